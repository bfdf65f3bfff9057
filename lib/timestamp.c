#include "timestamp.h"

#include <stdio.h>
#include <string.h>

mono_time mono_add(mono_time t, int64_t ms)
{
    int64_t sum;
    if (t.ms == MONO_NEVER.ms)
        return t;
    if (__builtin_add_overflow(t.ms, ms, &sum))
        sum = ms > 0 ? INT64_MAX : INT64_MIN;
    return (mono_time){sum};
}

int64_t mono_diff(mono_time a, mono_time b)
{
    int64_t difference;
    if (__builtin_sub_overflow(a.ms, b.ms, &difference))
        return a.ms > b.ms ? INT64_MAX : INT64_MIN;
    return difference;
}

/* Reading position in a text that need not end in NUL. */
struct reader {
    const char *at;
    const char *end;
};

static bool take(struct reader *r, char c)
{
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool digits(struct reader *r, int n, int *ret)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        if (r->at == r->end || *r->at < '0' || *r->at > '9')
            return false;
        value = value * 10 + (*r->at++ - '0');
    }
    *ret = value;
    return true;
}

struct fields {
    int year, month, day, hour, minute, second, ms;
    int offset; /* minutes east of UTC */
};

static bool is_leap_year(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int days_in_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap_year(year) ? 29 : days[month - 1];
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar; a year is counted from March, so that the leap
 * day is its last. */
static int64_t days_from_civil(int year, int month, int day)
{
    int y = month <= 2 ? year - 1 : year;
    int era = y / 400;
    int of_era = y - era * 400;
    int of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int day_of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

static bool to_wall(const struct fields *f, wall_time *ret)
{
    if (f->year < 1 || f->month < 1 || f->month > 12 || f->day < 1 ||
        f->day > days_in_month(f->year, f->month) || f->hour > 23 || f->minute > 59 || f->second > 60)
        return false;
    bool leap = f->second == 60;
    int64_t seconds = days_from_civil(f->year, f->month, f->day) * 86400 + (int64_t)f->hour * 3600 +
                      (int64_t)f->minute * 60 + (leap ? 59 : f->second) - (int64_t)f->offset * 60;
    *ret = (wall_time){seconds * 1000 + (leap ? 999 : f->ms)};
    return true;
}

static bool read_fraction(struct reader *r, int *ret_ms)
{
    int scale = 100, ms = 0, n = 0;
    if (!take(r, '.') && !take(r, ','))
        return true;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++, n++) {
        ms += (*r->at - '0') * scale;
        scale /= 10;
    }
    *ret_ms = ms;
    return n > 0;
}

static bool read_offset(struct reader *r, int *ret_minutes)
{
    int hours, minutes = 0, sign = 1;
    if (r->at == r->end || take(r, 'Z') || take(r, 'z'))
        return true;
    if (take(r, '-'))
        sign = -1;
    else if (!take(r, '+'))
        return false;
    if (!digits(r, 2, &hours))
        return false;
    if (r->at < r->end) {
        take(r, ':');
        if (!digits(r, 2, &minutes))
            return false;
    }
    if (hours > 23 || minutes > 59)
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return true;
}

bool wall_parse(const char *text, size_t len, wall_time *ret)
{
    struct reader r = {text, text + len};
    struct fields f = {0};
    if (!digits(&r, 4, &f.year) || !take(&r, '-') || !digits(&r, 2, &f.month) || !take(&r, '-') ||
        !digits(&r, 2, &f.day))
        return false;
    if (!take(&r, 'T') && !take(&r, 't') && !take(&r, ' '))
        return false;
    if (!digits(&r, 2, &f.hour) || !take(&r, ':') || !digits(&r, 2, &f.minute) || !take(&r, ':') ||
        !digits(&r, 2, &f.second) || !read_fraction(&r, &f.ms) || !read_offset(&r, &f.offset) ||
        r.at != r.end)
        return false;
    return to_wall(&f, ret);
}

static bool words(struct reader *r, const char *const *list, int n, int *ret)
{
    for (int i = 0; i < n; i++) {
        size_t len = strlen(list[i]);
        if ((size_t)(r->end - r->at) < len || strncmp(r->at, list[i], len) != 0)
            continue;
        r->at += len;
        *ret = i;
        return true;
    }
    return false;
}

static bool read_month(struct reader *r, int *ret)
{
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    if (!words(r, months, 12, ret))
        return false;
    ++*ret;
    return true;
}

static bool read_clock(struct reader *r, struct fields *f)
{
    return digits(r, 2, &f->hour) && take(r, ':') && digits(r, 2, &f->minute) && take(r, ':') &&
           digits(r, 2, &f->second);
}

static bool read_gmt(struct reader *r)
{
    return take(r, ' ') && take(r, 'G') && take(r, 'M') && take(r, 'T');
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_imf(struct reader r, struct fields *f)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    int day;
    return words(&r, days, 7, &day) && take(&r, ',') && take(&r, ' ') && digits(&r, 2, &f->day) &&
           take(&r, ' ') && read_month(&r, &f->month) && take(&r, ' ') && digits(&r, 4, &f->year) &&
           take(&r, ' ') && read_clock(&r, f) && read_gmt(&r) && r.at == r.end;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT": a two-digit year is of this or the last century (RFC 9110: the most
 * recent past one). */
static bool read_rfc850(struct reader r, struct fields *f)
{
    static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
    int day;
    bool fine = words(&r, days, 7, &day) && take(&r, ',') && take(&r, ' ') && digits(&r, 2, &f->day) &&
                take(&r, '-') && read_month(&r, &f->month) && take(&r, '-') && digits(&r, 2, &f->year) &&
                take(&r, ' ') && read_clock(&r, f) && read_gmt(&r) && r.at == r.end;
    f->year += f->year < 70 ? 2000 : 1900;
    return fine;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool read_asctime(struct reader r, struct fields *f)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    int day;
    if (!words(&r, days, 7, &day) || !take(&r, ' ') || !read_month(&r, &f->month) || !take(&r, ' '))
        return false;
    bool one = take(&r, ' ');
    return digits(&r, one ? 1 : 2, &f->day) && take(&r, ' ') && read_clock(&r, f) && take(&r, ' ') &&
           digits(&r, 4, &f->year) && r.at == r.end;
}

bool wall_parse_http(const char *text, size_t len, wall_time *ret)
{
    struct reader r = {text, text + len};
    struct fields imf = {0}, rfc850 = {0}, asctime = {0};
    if (read_imf(r, &imf))
        return to_wall(&imf, ret);
    if (read_rfc850(r, &rfc850))
        return to_wall(&rfc850, ret);
    return read_asctime(r, &asctime) && to_wall(&asctime, ret);
}

char *wall_format(wall_time t, char out[WALL_TEXT_SIZE])
{
    out[0] = '\0';
    if (wall_is_none(t))
        return out;
    int64_t days = t.ms / 86400000, of_day = t.ms % 86400000;
    if (of_day < 0) {
        of_day += 86400000;
        days--;
    }
    /* The inverse of days_from_civil, by the same calendar of 400-year eras. */
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365,
            doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153, day = doy - (153 * mp + 2) / 5 + 1, month = mp + (mp < 10 ? 3 : -9);
    int64_t year = yoe + era * 400 + (month <= 2);
    snprintf(out, WALL_TEXT_SIZE, "%04lld-%02d-%02dT%02d:%02d:%02d.%03dZ", (long long)year, (int)month,
             (int)day, (int)(of_day / 3600000), (int)(of_day / 60000 % 60), (int)(of_day / 1000 % 60),
             (int)(of_day % 1000));
    return out;
}
