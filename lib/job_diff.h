/*
 * job_diff: what an observation of a job changes, known × seen → ordered changes; the baseline rule; the
 * two-step rules.
 *
 * Invariants:
 *   - What is applied to the table and what is returned as changes is the same step: a change is returned
 * exactly once.
 *   - Before the baseline is taken, jobs not known yet are taken in silence. After it, a job first seen
 * finished is told, unless it finished before the baseline's sweep began (then that sweep merely missed it
 * between two pages).
 *   - Two steps for what may be a stale or broken answer: when a list shows a movement backward (a count
 * falls, a finished job runs again, processing → queued) or a state that cannot be (negative counts, more
 * done than there is), nothing is applied; the job is marked LOOK_CONFIRM, and only a look at that one job is
 * believed.
 *   - Two steps for absence: a job missing from a whole consistent sweep is marked LOOK_LEFT; only a look
 * that finds nothing makes it vanished. An absent count never overwrites a known one. Times are handed in; no
 * memory is returned as false with nothing changed.
 */
#ifndef JOBWATCH_JOB_DIFF_H
#define JOBWATCH_JOB_DIFF_H

#include "event.h"
#include "job_table.h"

enum source {
    SOURCE_LIST, /* a page of a sweep */
    SOURCE_LOOK, /* the answer to a look at this one job */
};

struct diff_context {
    const struct alert_rules *rules;
    enum source source;
    bool has_baseline;
    wall_time
        baseline_at; /* when the baseline's sweep began, by the server's clock or by ours if that is behind */
    wall_time server_now; /* the answer's Date, or our wall time without one */
    mono_time now;
};

/* Room for what makes an event distinct beside its kind: see event_id(). */
#define DISTINCT_SIZE 128

/* One thing to tell; the watch makes an event of it. */
struct change {
    enum event_kind kind;
    enum priority priority;
    bool wants_errors; /* worth a look for the job's errors before it is sent */
    bool reminder;     /* told before, still so */
    int64_t figure;    /* ms still, for job.stalled and job.resumed; else 0 */
    char note[96];     /* for job.anomaly: what is wrong; else "" */
    char distinct[DISTINCT_SIZE];
};

/* An observation can change several things at a time; this many at most. */
#define DIFF_MAX_CHANGES 10

struct diff {
    struct known_job *job; /* the record, after the change */
    bool was_in_table;
    uint32_t seen_before; /* the tick it was last seen at, when it was in the table */
    bool was_known;       /* and something of it had been believed */
    char previous_status[JOB_STATUS_MAX + 1];
    int64_t previous_completed;
    int64_t previous_failed;
    size_t n;
    struct change changes[DIFF_MAX_CHANGES]; /* in the order in which they are to be told */
};

/* Compare and apply one observation. False without memory. */
bool job_diff(struct job_table *table, const struct job *seen, const struct diff_context *context,
              struct diff *ret);

/*
 * A look found no such job (404). When it was marked LOOK_LEFT and unfinished it has vanished: true, *ret is
 * the change, and the caller removes the record after telling. Otherwise false, and the look's marks are
 * cleared.
 */
bool job_diff_not_found(struct known_job *job, struct change *ret);

/* A whole consistent active sweep that began at `tick` is over: mark each active job it did not see
 * LOOK_LEFT. Returns how many. */
size_t job_diff_active_end(struct job_table *table, uint32_t tick);

/*
 * A whole consistent full sweep that began at `tick` is over: mark active jobs it did not see LOOK_LEFT
 * (returns how many), note since when finished ones are gone from the list.
 */
size_t job_diff_full_end(struct job_table *table, uint32_t tick, mono_time now);

/*
 * Walks; *cursor starts at 0, NULL at the end; each call returns the next record with something to tell and
 * the change. Stalled: active jobs seen since `tick` whose counts have not moved for stalled_after; again
 * each remind_every. Expiring: finished jobs with failures, listed, whose expires_at is near. Gone: not
 * listed for longer than `retention` ms; to be removed.
 */
struct known_job *job_diff_stalled(struct job_table *table, uint32_t tick, const struct alert_rules *rules,
                                   mono_time now, size_t *cursor, struct change *ret);
struct known_job *job_diff_expiring(struct job_table *table, const struct alert_rules *rules,
                                    wall_time server_now, size_t *cursor, struct change *ret);
struct known_job *job_diff_gone(struct job_table *table, mono_time now, int64_t retention, size_t *cursor);

#endif
