#include "rate_headers.h"

#include <stddef.h>
#include <string.h>

/* Larger numbers than these are no limits. */
#define MAX_NUMBER 1000000000

static int64_t parse(const char *text)
{
    int64_t value = 0;
    if (!text)
        return -1;
    text += strspn(text, " \t");
    size_t n = strspn(text, "0123456789");
    for (size_t i = 0; i < n && value <= MAX_NUMBER; i++)
        value = value * 10 + (text[i] - '0');
    const char *rest = text + n + strspn(text + n, " \t");
    bool ends = *rest == '\0' || *rest == ',' || *rest == ';';
    return n > 0 && ends && value <= MAX_NUMBER ? value : -1;
}

void rate_headers_parse(const char *limit, const char *remaining, const char *reset, struct rate_headers *ret)
{
    *ret = (struct rate_headers){
        .limit = parse(limit),
        .remaining = parse(remaining),
        .reset = parse(reset),
        .retry_after = -1,
    };
}
