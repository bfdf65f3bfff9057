/*
 * budget: may this account send a request to this family's endpoint now, and if not, when.
 *
 * One struct budget per (account, endpoint family); look-ups of one job and list pages draw on the same one.
 * Invariant: in no window of 1 s and in no window of 60 s, whatever its phase and whatever the latency, does
 * the server see more than the configured burst and steady share from us. A request counts from the moment it
 * is granted until 1 s / 60 s after it ended, because the server may have counted it at any time in between:
 * exact sliding windows, not a token bucket. Times are mono_time, which the store carries across restarts.
 *
 * On top of the windows lies the effective share, between 1 and the configured one. A 429 halves it, at most
 * once per round trip: a request that was in flight at the last halving does not halve again. Each 10 s of good
 * answers give back a twentieth of the configured share, at least one request. While RateLimit-Remaining, what
 * we spent ourselves in that window added, is below yield_below of the limit, others are busy: the share is
 * cut in proportion, to what they leave but for a margin of the limit, of which half is ours even so: what they used
 * is known only about, because the seconds of RateLimit-Reset are whole, and best near the end of a window, so that what
 * little is left is spent there. Before anything can be known of them, which is until the first answer and in the first
 * seconds of the first window, it is cut to the least. When it says that nothing is left, or only the last few beside
 * busy others, all waits for RateLimit-Reset. A 429 blocks for its Retry-After, without one for 1 s, doubling up to 60 s
 * while they go on; either at least 1 s and at most BUDGET_MAX_RETRY_AFTER. Headers that contradict themselves are
 * ignored.
 */
#ifndef JOBWATCH_BUDGET_H
#define JOBWATCH_BUDGET_H

#include "timestamp.h"

/* The longest Retry-After that is obeyed, in ms; the caller clamps by it too. */
#define BUDGET_MAX_RETRY_AFTER 3600000

/* What a process that died had sent may reach the server this long after the next one began, in ms: a lost
 * packet is sent again after one second. */
#define BUDGET_AFTERLIFE 2000

struct budget_limits {
    uint32_t burst;     /* our requests per second, >= 1 */
    uint32_t steady;    /* our requests per minute, >= 1 */
    double yield_below; /* 0..1 of the limit that the server reports */
};

/* The documented limits times a share (0 < share <= 1), never less than 1 each. Explicit figures win where
 * not 0. */
struct budget_limits budget_limits_for(uint32_t documented_burst, uint32_t documented_steady, double share,
                                       uint32_t burst, uint32_t steady, double yield_below);

/* What an answer said about the account's limits; -1 where a header was absent or nonsense. */
struct rate_headers {
    int64_t limit;       /* RateLimit-Limit */
    int64_t remaining;   /* RateLimit-Remaining */
    int64_t reset;       /* RateLimit-Reset, seconds */
    int64_t retry_after; /* ms, from Retry-After by retry_after_parse */
};

struct budget;

/* NULL without memory. */
struct budget *budget_new(const struct budget_limits *limits);
void budget_free(struct budget *budget); /* NULL is fine */

/* New limits (reload); what was spent stays spent. False without memory, nothing changed. */
bool budget_set_limits(struct budget *budget, const struct budget_limits *limits);

/*
 * When the next request may be sent: a time <= now means now. MONO_NEVER: only after a request in flight has
 * ended (ask again then). Does not spend.
 */
mono_time budget_when(const struct budget *budget, mono_time now);

/*
 * The same for a request that must leave room for others of ours: `reserve` of the steady share, and a few of
 * the burst share, stay free for them.
 */
mono_time budget_when_reserving(const struct budget *budget, uint32_t reserve, mono_time now);

/* When the next request is due if the last quarter of the minute's share is spent evenly, as in a whole minute. */
mono_time budget_evenly(const struct budget *budget, mono_time now);

/* Spend one request, granted now; only when budget_when() said so (asserted). */
void budget_spend(struct budget *budget, mono_time now);

/* A spent request ended: answered, failed or timed out; the headers steer the share. status 0: no answer. */
void budget_done(struct budget *budget, mono_time now, int status, const struct rate_headers *headers);

/* Figures for `status` and for api.throttled. */
struct budget_usage {
    uint32_t in_last_minute; /* requests that count in the steady window as of now */
    uint32_t steady;         /* our full share */
    uint32_t steady_now;     /* the effective share as of now, after 429s and yielding */
    uint32_t burst_now;
    int64_t limit;           /* the account's steady limit as the server said last, 0: it has not yet */
    int64_t remaining;       /* what was left of it then */
    mono_time blocked_until; /* a 429 or a used-up server window in force, else a time <= now */
};
struct budget_usage budget_usage(const struct budget *budget, mono_time now);

/*
 * The ledger, for the store. It is written ahead: an export covers the requests in flight and the next
 * `reserve` ones, so that so many can be sent before it has to be written again, and a crash at any time
 * leaves no request unaccounted for. Reserved ones that were not sent are free again with the next export.
 * Export: the end times of requests that still count as of now, oldest first, then blocked_until if that is in
 * the future, then MONO_NEVER for each one in flight or reserved; at most max entries, the newest and the open
 * ones first. Returns how many. Import, into a new budget: the entries of an earlier life, in any order. The
 * open ones count as ended BUDGET_AFTERLIFE from now, because they may be on their way still; any other time
 * in the future blocks until then, for BUDGET_MAX_RETRY_AFTER at most, and counts as an end when it is no
 * farther than BUDGET_AFTERLIFE. False without memory.
 */
size_t budget_export(const struct budget *budget, mono_time now, uint32_t reserve, mono_time *times,
                     size_t max);

/*
 * How many requests one write of the ledger covers beyond those in flight: a twelfth of the minute's share, 64 at most.
 * A process that is killed loses as much of its share for a minute, and no more.
 */
uint32_t budget_reserve(const struct budget *budget);

/* More entries than any family's documented steady limit and what is open beside it. */
#define BUDGET_MAX_LEDGER 4096

bool budget_import(struct budget *budget, mono_time now, const mono_time *times, size_t n);

/*
 * What 429s have left of the share, over 0 to 1, and since when answers have been good, for the store; and those of an
 * earlier life, into a new budget after its ledger. It grows back as if that life went on, so that it does for lives
 * that are shorter than it takes too. Figures that cannot be are taken for the nearest that can.
 */
struct budget_left {
    double share;
    mono_time good_since;
};

struct budget_left budget_left(const struct budget *budget);
void budget_restore_left(struct budget *budget, mono_time now, struct budget_left left);

#endif
