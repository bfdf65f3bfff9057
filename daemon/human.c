#include "human.h"

#include "../lib/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* "3m 20s", the smaller part left out where it is 0. */
static void two_parts(int64_t a, char a_unit, int64_t b, char b_unit, char out[HUMAN_SIZE])
{
    int n = snprintf(out, HUMAN_SIZE, "%" PRId64 "%c", a, a_unit);
    if (b > 0)
        snprintf(out + n, (size_t)(HUMAN_SIZE - n), " %" PRId64 "%c", b, b_unit);
}

char *human_span(int64_t ms, char out[HUMAN_SIZE])
{
    if (ms < MINUTE)
        two_parts(ms < 0 ? 0 : ms / SECOND, 's', 0, ' ', out);
    else if (ms < HOUR)
        two_parts(ms / MINUTE, 'm', ms % MINUTE / SECOND, 's', out);
    else if (ms < DAY)
        two_parts(ms / HOUR, 'h', ms % HOUR / MINUTE, 'm', out);
    else
        two_parts(ms / DAY, 'd', ms % DAY / HOUR, 'h', out);
    return out;
}

char *human_distance(wall_time at, wall_time now, char out[HUMAN_SIZE])
{
    char span[HUMAN_SIZE];
    if (wall_is_none(at)) {
        snprintf(out, HUMAN_SIZE, "never");
        return out;
    }
    int64_t ms = now.ms - at.ms;
    if (ms > -SECOND && ms < SECOND)
        snprintf(out, HUMAN_SIZE, "now");
    else if (ms > 0)
        snprintf(out, HUMAN_SIZE, "%.40s ago", human_span(ms, span));
    else
        snprintf(out, HUMAN_SIZE, "in %.40s", human_span(-ms, span));
    return out;
}

char *human_setting(int64_t ms, char out[HUMAN_SIZE])
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{DAY, "d"}, {HOUR, "h"}, {MINUTE, "m"}, {SECOND, "s"}, {1, "ms"}};
    snprintf(out, HUMAN_SIZE, "0");
    for (size_t i = 0; ms > 0 && i < sizeof units / sizeof *units; i++) {
        if (ms % units[i].ms != 0)
            continue;
        snprintf(out, HUMAN_SIZE, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
        break;
    }
    return out;
}

char *human_count(int64_t count, char out[HUMAN_SIZE])
{
    char digits[24];
    out[0] = '\0';
    if (count == COUNT_NONE)
        return out;
    int len = snprintf(digits, sizeof digits, "%" PRId64, count);
    int sign = digits[0] == '-';
    size_t to = 0;
    for (int i = 0; i < len; i++) {
        if (i > sign && (len - i) % 3 == 0)
            out[to++] = ',';
        out[to++] = digits[i];
    }
    out[to] = '\0';
    return out;
}

char *human_rate(double per_second, char out[HUMAN_SIZE])
{
    char whole[HUMAN_SIZE];
    if (per_second >= 10 && per_second < 1e15)
        snprintf(out, HUMAN_SIZE, "%.40s/s", human_count((int64_t)(per_second + 0.5), whole));
    else if (per_second >= 1)
        snprintf(out, HUMAN_SIZE, "%.1f/s", per_second);
    else if (per_second * 60 >= 1)
        snprintf(out, HUMAN_SIZE, "%.0f/min", per_second * 60);
    else
        snprintf(out, HUMAN_SIZE, "%.0f/h", per_second * 3600);
    return out;
}

char *human_time(const struct terminal *terminal, wall_time at, bool with_ms, char out[HUMAN_SIZE])
{
    struct tm tm;
    out[0] = '\0';
    if (wall_is_none(at))
        return out;
    int64_t ms = at.ms % 1000;
    ms += ms < 0 ? 1000 : 0;
    time_t seconds = (time_t)(at.ms / 1000 - (at.ms % 1000 < 0));
    if (!(terminal->utc ? gmtime_r(&seconds, &tm) : localtime_r(&seconds, &tm)))
        return out;
    size_t n = strftime(out, HUMAN_SIZE, "%Y-%m-%d %H:%M:%S", &tm);
    if (with_ms)
        n += (size_t)snprintf(out + n, HUMAN_SIZE - n, ".%03d", (int)ms);
    snprintf(out + n, HUMAN_SIZE - n, "%s", terminal->utc ? "Z" : "");
    return out;
}
