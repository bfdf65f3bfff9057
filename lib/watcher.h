/*
 * watcher: the pure half of watching one account's jobs of one family. It says which request is next and
 * when, takes each answer, and turns it into table changes, events and lasting conditions; the shell only
 * carries out. The same code runs in virtual time in the simulator.
 *
 * Invariants: no request leaves without budget; an answer that is partial, inconsistent, stale or malformed
 * makes no job event; everything one answer causes is in one batch. Each request handed out is answered
 * exactly once, with watcher_answer or watcher_drop. Out of memory is returned as false: the caller must then
 * give up the process without committing the batch; the store has the state before.
 */
#ifndef JOBWATCH_WATCHER_H
#define JOBWATCH_WATCHER_H

#include "batch.h"
#include "budget.h"
#include "condition.h"
#include "job_diff.h"
#include "plan.h"
#include "request.h"

struct watcher_options {
    const char *account; /* must outlive the watcher, as all that is pointed to here */
    const struct family *family;
    struct request_base base;
    const struct alert_rules *rules;
    struct plan_rules plan;
    struct budget_limits limits;
    int64_t detail_timeout; /* ms; 0: events never wait for errors */
    int64_t retention;      /* ms a job is remembered after it left the list */
    int64_t phase;          /* ms */
    uint64_t seed;
};

/* The state of the API for this watch, as its last answers showed it. */
enum trouble {
    TROUBLE_UNKNOWN, /* no answer yet in this life */
    TROUBLE_NONE,
    TROUBLE_AWAY,         /* no answer, or 5xx, or not an answer of the API */
    TROUBLE_UNAUTHORIZED, /* 401: the key */
    TROUBLE_FORBIDDEN,    /* 403: the key lacks this family's scope */
};

struct watcher_request {
    unsigned slot; /* to be given back with the answer */
    char *url;     /* malloc'd, the caller frees */
};

struct watcher_answer {
    int status;        /* 0: none came; then error says why */
    bool too_large;    /* over the cap: no body */
    const char *error; /* clean text, "" none */
    const char *body;
    size_t body_len;
    struct rate_headers rate;
    wall_time server_now; /* its Date, or our wall time */
};

/* What a watch remembers across restarts, beside its jobs and conditions. */
struct watcher_state {
    bool has_baseline;
    wall_time baseline_at;
    uint32_t full_pages;
    wall_time last_good; /* our wall time of the last whole sweep */
};

enum watch_condition {
    WATCH_THROTTLED,
    WATCH_SCHEMA,
    WATCH_CAPACITY,
    WATCH_UNREACHABLE,
    WATCH_FORBIDDEN,
    N_WATCH_CONDITIONS,
};

struct watcher;

/* NULL without memory. */
struct watcher *watcher_new(const struct watcher_options *options, mono_time now);
void watcher_free(struct watcher *watcher); /* NULL is fine */

/* Reload: other rules, intervals, limits for the same account and family. False without memory, nothing
 * changed. */
bool watcher_set_options(struct watcher *watcher, const struct watcher_options *options, mono_time now);

/* Before the first request: what the store remembers. */
const char *watcher_family(const struct watcher *watcher);
struct job_table *watcher_table(struct watcher *watcher);
struct budget *watcher_budget(struct watcher *watcher);
void watcher_restore(struct watcher *watcher, const struct watcher_state *state);
struct condition *watcher_condition(struct watcher *watcher, enum watch_condition which);
bool watcher_want_errors(struct watcher *watcher,
                         const char *job_id); /* recorded events of this job wait for its errors */

/* After each answer: what changed of the rest of its state. */
const struct watcher_state *watcher_state(const struct watcher *watcher);
bool watcher_state_changed(struct watcher *watcher); /* since the last call */

/*
 * The next request, or none before *ret_at. True: *ret is filled and the budget is spent; call again for
 * more. False with *ret_at, which is MONO_NEVER when only an answer can change something (or, in `once`, when
 * all is done). Without memory false, *ret_at soon.
 */
bool watcher_next(struct watcher *watcher, mono_time now, struct watcher_request *ret, mono_time *ret_at);

/* An answer came, or the transfer failed. random: even over uint64_t. False without memory. */
bool watcher_answer(struct watcher *watcher, unsigned slot, const struct watcher_answer *answer,
                    struct now now, uint64_t random, struct batch *batch);

/* The request was given up by us (end, reload): no judgement. */
void watcher_drop(struct watcher *watcher, unsigned slot, mono_time now);

/* More pages of a full sweep are to come. */
bool watcher_is_sweeping(const struct watcher *watcher);

/* For `once`: the full sweep is over and no look is open; whether it was whole. */
bool watcher_is_done(const struct watcher *watcher, bool *ret_whole);

/* For status and for the account as a whole. */
struct watcher_report {
    enum trouble trouble;
    mono_time trouble_since;
    uint32_t failures;      /* answers in a row that were not good */
    const char *last_error; /* of the last answer that was not good; "" */
    size_t jobs;
    size_t active;
    size_t looks;
    mono_time next; /* next active (idle: likewise) sweep */
    mono_time next_full;
    mono_time last_active; /* end of the last whole active sweep; <= 0 never */
    int64_t period;        /* ms between the ends of the last two whole active sweeps, 0 unknown */
    struct budget_usage usage;
    uint64_t requests; /* sent in this life */
};
struct watcher_report watcher_report(const struct watcher *watcher, mono_time now);

/*
 * Whether the watch alone should say that it is unreachable or forbidden, decided by the account (see
 * account_health): `tell` false ends these conditions in silence.
 */
bool watcher_tell_trouble(struct watcher *watcher, bool tell, struct now now, struct batch *batch);

#endif
