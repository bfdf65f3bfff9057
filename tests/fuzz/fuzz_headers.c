/* Any text as a time, a Retry-After or a RateLimit header. */
#include "../../lib/backoff.h"
#include "../../lib/rate_headers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    wall_time t, again;
    int64_t ms;
    struct rate_headers headers;
    char out[WALL_TEXT_SIZE], *text = strndup((const char *)data, size);
    if (!text)
        return 0;
    if (wall_parse((const char *)data, size, &t)) {
        /* Years from 1 to 9999 come back as they were. */
        wall_format(t, out);
        assert(t.ms < -62135596800000 || t.ms > 253402300799999 ||
               (wall_parse(out, strlen(out), &again) && again.ms == t.ms));
    }
    wall_parse_http((const char *)data, size, &t);
    if (retry_after_parse((const char *)data, size, (wall_time){0}, 1000, &ms))
        assert(ms >= 0 && ms <= 1000);
    rate_headers_parse(text, text, text, &headers);
    assert(headers.limit >= -1 && headers.limit <= 1000000000);
    assert(headers.remaining == headers.limit && headers.reset == headers.limit); /* the same text */
    assert(headers.retry_after == -1);
    if (headers.limit >= 0) /* nothing but blanks stands before the number */
        assert(strtoll(text, NULL, 10) == headers.limit);
    struct rate_headers alone;
    rate_headers_parse(NULL, text, NULL, &alone);
    assert(alone.limit == -1 && alone.reset == -1 && alone.remaining == headers.remaining);
    free(text);
    return 0;
}
