/*
 * plan: which request of one watch (account and family) is worth sending next, and when.
 *
 * It knows due times and an order of worth, not jobs, URLs or budgets: what it needs to know of them comes in
 * as struct plan_view. Order of worth: the active sweep that is running (people wait for it), looks at jobs
 * that left, or the list that answers these for fewer requests, the next active sweep, looks that only bring
 * errors, the head page, the full sweep. So that a full sweep ends in time however scarce the budget is, it
 * gets one request in PLAN_FULL_TURN when it waits, the first one of all every second. Invariants: a sweep is due an
 * interval after the last one began, or at once where that one took longer, so latency is a promise; what was missed
 * (outage, suspend, clock step) is caught up by one sweep, never by a burst; after a failure nothing goes out before its
 * back-off is over.
 */
#ifndef JOBWATCH_PLAN_H
#define JOBWATCH_PLAN_H

#include "backoff.h"

/* While both wait, the full sweep gets every n-th request. */
#define PLAN_FULL_TURN  6
#define PLAN_FIRST_TURN 2
/* Where the plan is behind, a page of the list is read already when it answers one look in so many: it shows as well
 * what ended since, so that those jobs wait for one walk, not for an active sweep and a look after it. */
#define PLAN_BEHIND_PAGES 2
/* Looks in flight at a time. */
#define PLAN_MAX_LOOKS 4

struct plan_rules {
    int64_t interval;            /* ms */
    int64_t idle_interval;       /* ms, when nothing is in progress */
    int64_t full_sweep_interval; /* ms */
    bool head_pages;             /* whether the newest page can be asked for */
    bool once;                   /* one full sweep and its looks, nothing else */
};

enum plan_chain_state {
    CHAIN_IDLE,    /* no such sweep is running */
    CHAIN_READY,   /* it is, and its next page can be asked for */
    CHAIN_WAITING, /* a page is in flight */
};

struct plan_view {
    mono_time budget_at;      /* budget_when() */
    mono_time budget_head_at; /* budget_when_reserving() what one active sweep and its looks need */
    mono_time budget_full_at; /* budget_when_reserving() what the active sweeps need, see plan_reserve() */
    enum plan_chain_state active;
    enum plan_chain_state head;
    enum plan_chain_state full;
    size_t looks;        /* jobs marked for a look, not in flight */
    size_t looks_errors; /* those of them that bring no news, only errors */
    size_t looks_left;   /* those that a full sweep would answer too */
    size_t looks_head;   /* those that a head sweep of head_pages_left pages (more) would answer too */
    size_t head_pages_left;
    size_t looks_in_flight;
    bool behind;            /* the budget stretches the interval to much more than it should be */
    bool walks;             /* a head sweep takes the place of the active sweep */
    bool first_full;        /* no full sweep was ever whole: nothing is known before it is */
    size_t full_pages_left; /* about how many pages the running (or next) full sweep has left; 0: not known */
};

/* What answers the jobs that left for the fewest requests. */
enum plan_way {
    WAY_LOOKS,
    WAY_HEAD, /* some of them by a head sweep, the others by looks */
    WAY_FULL,
};

enum plan_action {
    PLAN_WAIT,   /* nothing before `at` */
    PLAN_ACTIVE, /* begin the active sweep, or ask for its next page */
    PLAN_LOOK,
    PLAN_HEAD,
    PLAN_FULL,
};

struct plan_step {
    enum plan_action action;
    mono_time at;
    bool starved; /* PLAN_WAIT, and only the budget stands in the way of something that is due */
};

struct plan {
    struct plan_rules rules;
    mono_time active_due;
    mono_time head_due;
    mono_time full_due;
    mono_time retry_at;  /* nothing before; after failures */
    uint32_t failures;   /* in a row */
    uint32_t since_full; /* requests sent while the full sweep waited */
};

/* phase: ms to wait before the first sweep, to spread many watches. */
void plan_init(struct plan *plan, const struct plan_rules *rules, mono_time now, int64_t phase);

/* Other rules (reload): due times move nearer where the new intervals are shorter. */
void plan_set_rules(struct plan *plan, const struct plan_rules *rules, mono_time now);

/*
 * How many requests a minute the rest needs while a full sweep goes on, so that the sweep leaves them free:
 * active sweeps of so many pages, head pages, and some looks. Never so much that the full sweep gets less
 * than its turn.
 */
uint32_t plan_reserve(const struct plan *plan, uint32_t active_pages, uint32_t steady_now);

/* How many pages of the list are worth one look that they save. */
static inline size_t plan_pages_for_look(bool behind)
{
    return behind ? PLAN_BEHIND_PAGES : 1;
}

enum plan_way plan_way(const struct plan_view *view);

struct plan_step plan_next(const struct plan *plan, const struct plan_view *view, mono_time now);

/* The action was carried out. */
void plan_sent(struct plan *plan, const struct plan_view *view, enum plan_action action, mono_time now);

/* A sweep that began at `began` is over, whole or not; in_progress: whether jobs are active. */
void plan_active_over(struct plan *plan, mono_time began, mono_time now, bool in_progress);
void plan_head_over(struct plan *plan, mono_time began, mono_time now, bool in_progress);
void plan_full_over(struct plan *plan, mono_time began, mono_time now, bool whole);

/* A good answer ends the back-off. */
void plan_good(struct plan *plan);

/* No good answer: wait, exponentially with full jitter. `slow`: it needs a person (401, 403, 400):
 * idle_interval from now. */
void plan_failed(struct plan *plan, mono_time now, bool slow, uint64_t random);

#endif
