/* What the files of the watcher share; nobody else includes this. */
#ifndef JOBWATCH_WATCHER_PRIVATE_H
#define JOBWATCH_WATCHER_PRIVATE_H

#include "id_queue.h"
#include "watcher.h"

/* One active, head and full page, and the looks. */
#define WATCHER_SLOTS (3 + PLAN_MAX_LOOKS)

enum slot_use {
    SLOT_FREE,
    SLOT_ACTIVE,
    SLOT_HEAD,
    SLOT_FULL,
    SLOT_LOOK,
};

struct slot {
    enum slot_use use;
    char *job_id; /* SLOT_LOOK */
    mono_time sent;
};

struct watcher {
    struct watcher_options options;
    struct job_table *table;
    struct budget *budget;
    struct plan plan;
    struct sweep active;
    struct sweep head;
    struct sweep full;
    struct slot slots[WATCHER_SLOTS];
    struct id_queue looks;
    size_t looks_left;     /* those in the queue that a full sweep would answer too */
    size_t looks_head;     /* those that a head sweep of head_depth pages (more) would answer */
    size_t looks_errors;   /* those that bring a job's errors only */
    uint32_t head_depth;   /* 0: none is worth it */
    wall_time head_limit;  /* the creation of the oldest job that it would show */
    int64_t head_span;     /* ms of creations on one page of the list, newest first; 0 unknown */
    wall_time head_newest; /* the newest job's creation */
    mono_time head_read;   /* when that was seen */
    bool walking;          /* active sweeps are made as walks, see watcher_head.c */
    size_t ends; /* jobs in progress that were found ended since the last active sweep or walk was over */
    uint32_t active_pages; /* of the last whole active sweep */
    struct watcher_state state;
    bool state_changed;
    struct condition conditions[N_WATCH_CONDITIONS];
    enum trouble trouble;
    mono_time trouble_since;
    char last_error[CONDITION_NOTE];
    uint32_t odd_answers;  /* in a row: 2xx that are no jobs */
    bool starved;          /* the budget or a 429 held something up since the last whole active sweep */
    mono_time active_over; /* end of the last whole active sweep; before the first: our beginning */
    bool active_was_over;
    int64_t period;
    mono_time throttled; /* when sweeps were last found too far apart for api.throttled */
    bool behind;         /* the budget made it much longer than the interval */
    bool full_was_over;  /* at least one full sweep ended, for `once` */
    bool full_was_whole;
    uint64_t requests;
};

/* What is at hand while one answer is dealt with. */
struct dealing {
    struct watcher *watcher;
    const struct watcher_answer *answer;
    struct now now;
    uint64_t random;
    struct batch *batch;
    bool alone;     /* the answer is about one job, and has its errors */
    mono_time sent; /* when it was asked for */
};

/* One page of a sweep, as its jobs are read. */
struct reading {
    const struct sweep *sweep;
    uint32_t tick; /* of its own, so that a job that is on it twice shows */
    size_t unseen; /* jobs that had not been seen since the sweep began */
    bool settled;  /* to read the same page again would change nothing */
};

/* watcher_events.c: from changes and conditions to events in the batch. All return false without memory. */
/* reading: NULL for a look's answer. */
bool watcher_apply_job(struct dealing *dealing, const struct job *seen, enum source source,
                       struct reading *reading);
bool watcher_tell_change(struct dealing *dealing, struct known_job *job, const struct change *change,
                         const struct diff *diff, const struct job *seen);
bool watcher_save_job(struct dealing *dealing, struct known_job *job);
bool watcher_tell_condition(struct dealing *dealing, struct condition *condition, enum condition_news news,
                            enum event_kind kind, enum priority priority, const char *note, int64_t figure);
bool watcher_hold_condition(struct dealing *dealing, enum watch_condition which, mono_time since,
                            const char *note, int64_t figure, int64_t remind_every);

/* watcher_looks.c: the queue of looks. */
bool watcher_queue_look(struct watcher *watcher, struct known_job *job);
/* Queue every marked active job, and count which of all a list would answer as well. */
bool watcher_queue_looks(struct watcher *watcher, mono_time now);
/* Drop what has settled itself from the queue, and count the rest: after each answer, and as time goes by. */
void watcher_count_looks(struct watcher *watcher, mono_time now);
/* The next queued job that still wants a look, of those that no list is to answer; NULL when none does. */
char *watcher_pop_look(struct watcher *watcher, enum plan_way way, mono_time now);

/* watcher_head.c: how deep head sweeps go, and when they take the place of active ones. */
/* Jobs that any list answers: they left the active sweeps, and no list that should have shown them lacked them yet. */
bool watcher_is_left_only(const struct known_job *job);
/* Whether the sweep, if it is running, shows the job still. */
bool watcher_is_ahead(const struct sweep *sweep, const struct known_job *job);
/* How deep a head sweep that begins now, or goes on, should go. */
void watcher_judge_depth(struct watcher *watcher, mono_time now);
/* An active sweep or walk is over: whether the next one is a walk. */
void watcher_choose_walk(struct watcher *watcher, mono_time now);
/* How many jobs are created in the time that one page spans, from a page of a list that is newest first. */
void watcher_measure_list(struct watcher *watcher, const struct sweep *sweep, const struct page *page,
                          mono_time now);
/* Whether the page behind this one of a head sweep shows more than it costs. */
bool watcher_head_goes_on(struct watcher *watcher, const struct sweep *sweep, const struct page *page,
                          mono_time now);

/* watcher_sweeps.c: pages and the ends of sweeps. */
/* The page at hand, if it came before just so and need not be read again; else NULL. */
const struct known_page *watcher_known_page(const struct dealing *dealing, const struct sweep *sweep);
bool watcher_same_page(struct dealing *dealing, struct sweep *sweep, const struct known_page *page);
bool watcher_page(struct dealing *dealing, struct sweep *sweep, const struct page *page);
bool watcher_break(struct dealing *dealing, struct sweep *sweep);
bool watcher_check_throttled(struct dealing *dealing);

#endif
