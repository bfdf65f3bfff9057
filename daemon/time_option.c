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
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}};
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

bool time_option_parse(const char *text, wall_time now, wall_time *ret)
{
    char day[32];
    if (parse_ago(text, now, ret) || wall_parse(text, strlen(text), ret))
        return true;
    if (strlen(text) != 10)
        return false;
    int n = snprintf(day, sizeof day, "%sT00:00:00Z", text);
    return wall_parse(day, (size_t)n, ret);
}
