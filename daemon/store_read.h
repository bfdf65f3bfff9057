/*
 * store_read: what the commands read from the store, beside the running daemon: lists of jobs and events with
 * filters and orders, deliveries, figures. Nothing here writes, and nothing here is used by the daemon itself.
 *
 * The views that `each` gets are valid during its call; `each` returning false ends the reading, which is no
 * failure. Functions return false with store_error() when the store fails. Accounts and families are chosen by
 * globs, NULL: all; a family also matches without its "-job".
 */
#ifndef KLV_STORE_READ_H
#define KLV_STORE_READ_H

#include "store.h"

/* What to add to a time of the store's time line to get the wall time, as of the daemon's last mark. False also
 * when there is no mark yet. */
bool store_read_clock(struct store *store, int64_t *ret_to_wall);

/* A number that changes whenever another process has written to the store. */
bool store_read_version(struct store *store, int64_t *ret);

/* One (account, family) with its jobs by state, but for the finished ones: they may be a million. */
struct watch_counts {
    int64_t id;
    const char *account;
    const char *family;
    wall_time baseline_at;
    wall_time last_good;
    int64_t unfinished; /* all that are not complete: the four that follow */
    int64_t queued;
    int64_t processing;
    int64_t cancelled;
    int64_t other; /* states this version does not know */
    int64_t with_failures;
};
bool store_read_watches(struct store *store, const char *account, const char *family,
                        bool (*each)(void *user, const struct watch_counts *counts), void *user);

/* How many jobs a watch has in all; looks at each. */
bool store_read_job_total(struct store *store, int64_t watch, int64_t *ret);

enum job_order {
    JOBS_USUAL,    /* those in progress first, then the newest */
    JOBS_CREATED,  /* newest first */
    JOBS_FINISHED, /* last finished first */
    JOBS_FAILED,   /* most failures first */
    JOBS_TOTAL,    /* largest first */
    JOBS_PROGRESS, /* nearest to the end first */
    JOBS_ID,       /* alphabetically */
    N_JOB_ORDERS,
};
extern const char *const job_order_words[N_JOB_ORDERS];

enum job_choice {
    JOBS_ALL,
    JOBS_ACTIVE,
    JOBS_QUEUED,
    JOBS_PROCESSING,
    JOBS_COMPLETE,
    JOBS_CANCELLED,
    JOBS_OTHER,    /* states this version does not know */
    JOBS_INACTIVE, /* all but the active ones */
    N_JOB_CHOICES,
};
extern const char *const job_choice_words[N_JOB_CHOICES];

struct job_query {
    const char *account;
    const char *family;
    const char *id; /* its beginning; NULL: all */
    bool whole_id;  /* that id only */
    enum job_choice choice;
    bool failed;
    bool stalled;
    enum job_order order;
    bool reverse;
    size_t limit; /* 0: all */
};

struct job_row {
    const char *account;
    const char *family;
    const char *id;
    const char *status_word;
    enum job_status status;
    struct job_counts counts;
    wall_time created_at;
    wall_time completed_at;
    wall_time expires_at;
    mono_time moved_at; /* when a count or its status was last seen to move, on the store's time line */
    bool stalled;       /* told so, and still in progress */
    bool unlisted;      /* finished, and no longer in Klaviyo's list */
};
/* Up to some thousand jobs are found in the time that it takes to look into each watch; all of them, or the first
 * of an order that no index has, in the time that it takes to look at each job. */
bool store_read_jobs(struct store *store, const struct job_query *query,
                     bool (*each)(void *user, const struct job_row *row), void *user);

/* When and with how many items done a job was seen to start; WALL_NONE when that was not seen. */
struct job_start {
    wall_time at;
    int64_t done;
};
bool store_read_job_start(struct store *store, const struct job_row *row, struct job_start *ret);

/* Events; NULL, WALL_NONE, 0: no such filter. */
struct event_query {
    const char *account;
    const char *family;
    const char *job_id;     /* its beginning */
    bool whole_id;          /* that id only */
    const char *kinds;      /* globs, separated by commas */
    enum priority priority; /* this and more urgent ones; PRIO_DEBUG: all */
    wall_time since;
    wall_time until;
    int64_t after_seq; /* only newer ones, for --follow */
    size_t last;       /* only the newest N; 0: all */
};
/* In the order of their numbers, which is that of their telling. */
bool store_read_events(struct store *store, const struct event_query *query,
                       bool (*each)(void *user, int64_t seq, const struct event *event), void *user);

/* The newest event's seq, 0: none. */
bool store_read_last_seq(struct store *store, int64_t *ret);

/* An event's deliveries, by sink. */
bool store_read_deliveries(struct store *store, int64_t seq,
                           bool (*each)(void *user, const struct stored_delivery *row), void *user);

/* One sink's queue, for all sinks that ever had a delivery. */
struct sink_figures {
    const char *sink;
    int64_t waiting;
    int64_t dead;
    mono_time next_at;           /* MONO_NEVER: nothing waits */
    struct stored_delivery last; /* the last attempt; last_at WALL_NONE: none yet */
};
bool store_read_sinks(struct store *store, bool (*each)(void *user, const struct sink_figures *figures),
                      void *user);

/* Conditions that last (api.unreachable, …), the oldest first. family "": of the account as a whole. */
bool store_read_conditions(struct store *store,
                           bool (*each)(void *user, const char *account, const char *family,
                                        const struct stored_condition *condition),
                           void *user);

#endif
