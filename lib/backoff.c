#include "backoff.h"

#include <string.h>

int64_t backoff_delay(const struct backoff_rules *rules, uint32_t attempts, uint64_t random)
{
    int64_t ceiling = rules->base;
    for (uint32_t i = 1; i < attempts && ceiling < rules->cap; i++)
        ceiling = ceiling > rules->cap / 2 ? rules->cap : ceiling * 2;
    if (ceiling > rules->cap)
        ceiling = rules->cap;
    /* 32 random bits spread evenly over the range; ceilings are below 2^31 ms, some 24 days. */
    int64_t delay = (int64_t)(((random >> 32) * (uint64_t)ceiling) >> 32) + 1;
    return delay < ceiling ? delay : ceiling;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool retry_after_parse(const char *text, size_t len, wall_time server_now, int64_t max, int64_t *ret)
{
    while (len > 0 && (text[0] == ' ' || text[0] == '\t')) {
        text++;
        len--;
    }
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        len--;
    int64_t ms = 0;
    size_t i = 0;
    for (; i < len && is_digit(text[i]); i++)
        ms = ms > max ? ms : ms * 10 + (int64_t)(text[i] - '0') * 1000;
    if (len == 0 || i < len) {
        wall_time at;
        if (!wall_parse_http(text, len, &at) || wall_is_none(server_now))
            return false;
        if (__builtin_sub_overflow(at.ms, server_now.ms, &ms))
            return false;
    }
    *ret = ms < 0 ? 0 : ms > max ? max : ms;
    return true;
}
