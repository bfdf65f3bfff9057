/*
 * backoff: how long to wait before the next try.
 *
 * Exponential with full jitter: a wait drawn evenly from 0 … min(cap, base · 2^(attempt-1)); chance comes in
 * as an argument. What a server asks for with Retry-After is added on top of nothing and clamped, see below.
 */
#ifndef JOBWATCH_BACKOFF_H
#define JOBWATCH_BACKOFF_H

#include "timestamp.h"

struct backoff_rules {
    int64_t base; /* ms, the first ceiling, > 0 */
    int64_t cap;  /* ms, the last ceiling, >= base */
};

/* The wait in ms after `attempts` failures (>= 1), random evenly spread over all of uint64_t. At least 1. */
int64_t backoff_delay(const struct backoff_rules *rules, uint32_t attempts, uint64_t random);

/*
 * A Retry-After header's value (RFC 9110 section 10.2.3: seconds, or an HTTP date) → ms from `server_now`
 * (the answer's own Date when it has one, else our wall time), clamped to 0 … max. False for anything else,
 * *ret untouched.
 */
bool retry_after_parse(const char *text, size_t len, wall_time server_now, int64_t max, int64_t *ret);

#endif
