/*
 * timestamp: the two kinds of time, and ISO 8601 text in and out.
 *
 * Invariant: monotonic and wall time are different types and never mix. Both count milliseconds in an
 * int64_t. mono_time  the daemon's own time line: it only goes forward, and the store carries it across
 * restarts, so intervals, back-off, ledger and stall clocks are measured on it. Its zero has no meaning.
 *   wall_time  UTC since 1970-01-01T00:00:00Z, for people and for comparing with what a server wrote.
 * Nothing here reads a clock: the shell samples struct now once a callback and hands it in.
 */
#ifndef JOBWATCH_TIMESTAMP_H
#define JOBWATCH_TIMESTAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t ms;
} mono_time;

typedef struct {
    int64_t ms;
} wall_time;

/* One sample of both clocks. */
struct now {
    mono_time mono;
    wall_time wall;
};

/* "No such time": absent or null in an answer, never in a deadline. */
#define WALL_NONE ((wall_time){INT64_MIN})
/* A deadline that never comes. */
#define MONO_NEVER ((mono_time){INT64_MAX})

/* Room for "-292277022-01-27T08:29:52.000Z" and its NUL. */
#define WALL_TEXT_SIZE 40

static inline bool wall_is_none(wall_time t)
{
    return t.ms == INT64_MIN;
}

/* t + ms, saturating; ms may be negative. MONO_NEVER stays MONO_NEVER. */
mono_time mono_add(mono_time t, int64_t ms);

/* a - b in ms, saturating. */
int64_t mono_diff(mono_time a, mono_time b);

static inline mono_time mono_min(mono_time a, mono_time b)
{
    return a.ms < b.ms ? a : b;
}

static inline mono_time mono_max(mono_time a, mono_time b)
{
    return a.ms > b.ms ? a : b;
}

/*
 * Read an ISO 8601 / RFC 3339 date and time: "2026-07-15T09:00:00", with 'T', 't' or a space between, an
 * optional fraction of any length (cut to ms), an optional offset ("Z", "+01:00", "-0330", "+01"). Without an
 * offset it is UTC (Klaviyo's revisions up to 2023-07-15). A leap second (":60") is read as the last
 * millisecond of its minute. Years 0001 to 9999. Returns false, *ret untouched, for anything else, trailing
 * bytes included.
 */
bool wall_parse(const char *text, size_t len, wall_time *ret);

/*
 * Read an HTTP date in the three forms of RFC 9110 section 5.6.7 ("Sun, 06 Nov 1994 08:49:37 GMT", RFC 850,
 * asctime). Returns false, *ret untouched, for anything else.
 */
bool wall_parse_http(const char *text, size_t len, wall_time *ret);

/* Write t as "2026-11-24T09:00:00.123Z" ("" for WALL_NONE). out always ends in NUL. Returns out. */
char *wall_format(wall_time t, char out[WALL_TEXT_SIZE]);

#endif
