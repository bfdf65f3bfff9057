#include "time_option.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

wall_time time_option_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (wall_time){(int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000};
}

static bool parse_ago(const char *text, wall_time now, wall_time *ret)
{
    static const struct {
        char letter;
        int64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
    if (!isdigit((unsigned char)text[0]))
        return false;
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (end[0] == '\0' || end[1] != '\0' || n > 100000)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (units[i].letter != *end)
            continue;
        ret->ms = now.ms - (int64_t)n * units[i].ms;
        return true;
    }
    return false;
}

/* ".123", or nothing. */
static bool parse_fraction(const char *text, int64_t *ret_ms)
{
    *ret_ms = 0;
    if (*text == '\0')
        return true;
    if (*text++ != '.' || *text == '\0')
        return false;
    for (int64_t unit = 100; isdigit((unsigned char)*text); unit /= 10)
        *ret_ms += unit * (*text++ - '0');
    return *text == '\0';
}

static bool broken_down(struct tm *tm, bool utc, int64_t fraction, wall_time *ret)
{
    tm->tm_isdst = -1;
    time_t seconds = utc ? timegm(tm) : mktime(tm);
    if (seconds == (time_t)-1)
        return false;
    ret->ms = (int64_t)seconds * 1000 + fraction;
    return true;
}

/* Midnight, so many days from today. */
static bool day(struct tm today, int days, bool utc, wall_time *ret)
{
    today.tm_hour = today.tm_min = today.tm_sec = 0;
    today.tm_mday += days;
    return broken_down(&today, utc, 0, ret);
}

/* What has no offset: by the local clock, or by UTC. */
static bool parse_clock(const char *text, const struct tm *today, bool utc, wall_time *ret)
{
    static const char *const forms[] = {
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M",
        "%Y-%m-%d",          "%H:%M:%S",          "%H:%M"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct tm tm = *today;
        int64_t fraction;
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        const char *end = strptime(text, forms[i], &tm);
        if (end && parse_fraction(end, &fraction))
            return broken_down(&tm, utc, fraction, ret);
    }
    return false;
}

bool time_option_parse(const char *text, wall_time now, bool utc, wall_time *ret)
{
    struct tm today;
    time_t seconds = (time_t)(now.ms / 1000);
    if (!(utc ? gmtime_r(&seconds, &today) : localtime_r(&seconds, &today)))
        return false;
    if (strcmp(text, "now") == 0) {
        *ret = now;
        return true;
    }
    if (strcmp(text, "today") == 0)
        return day(today, 0, utc, ret);
    if (strcmp(text, "yesterday") == 0)
        return day(today, -1, utc, ret);
    return parse_ago(text, now, ret) || parse_clock(text, &today, utc, ret) ||
           wall_parse(text, strlen(text), ret);
}
