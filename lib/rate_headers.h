/*
 * rate_headers: the texts of RateLimit-* headers → numbers.
 *
 * Klaviyo sends plain integers; elsewhere lists with parameters occur ("100, 100;w=60",
 * draft-ietf-httpapi-ratelimit-headers): the leading integer is taken. Anything else is -1, as is an absent
 * header.
 */
#ifndef JOBWATCH_RATE_HEADERS_H
#define JOBWATCH_RATE_HEADERS_H

#include "budget.h"

/* Any text may be NULL. Sets limit, remaining and reset; retry_after becomes -1. */
void rate_headers_parse(const char *limit, const char *remaining, const char *reset,
                        struct rate_headers *ret);

#endif
