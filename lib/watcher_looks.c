/* Looks at single jobs: which are wanted, and which of them a list would answer for fewer requests. */
#include "watcher_private.h"

#include <stdlib.h>

/* A head sweep goes no deeper than this for the sake of jobs that left. */
#define MAX_DEPTH 1024

/* Jobs that any list answers: they left the active sweeps, and no list that should have shown them lacked
 * them yet. */
static bool is_left_only(const struct known_job *job)
{
    return (job->look & (LOOK_LEFT | LOOK_CONFIRM | LOOK_ERRORS | LOOK_SWEPT)) == LOOK_LEFT;
}

/* Looks that bring no news, only the errors of what is told already. */
static bool is_for_errors(const struct known_job *job)
{
    return (job->look & (LOOK_LEFT | LOOK_CONFIRM | LOOK_ERRORS)) == LOOK_ERRORS;
}

bool watcher_queue_look(struct watcher *watcher, struct known_job *job)
{
    if (!(job->look & ~(unsigned)LOOK_QUEUED) || job->look & LOOK_QUEUED)
        return true;
    if (!id_queue_push(&watcher->looks, job->id))
        return false;
    job->look |= LOOK_QUEUED;
    watcher->looks_errors += is_for_errors(job);
    return true;
}

/* Nobody waits for a job's errors any more when its last news is older than the events are held back for. */
static void forget_errors(const struct watcher *watcher, struct known_job *job, mono_time now)
{
    if (mono_diff(now, job->moved_at) > watcher->options.detail_timeout)
        job->look &= (uint8_t)~LOOK_ERRORS;
}

/* The record of the queue's first id when it wants its look still; else the id is dropped. */
static struct known_job *first_wanted(struct watcher *watcher, mono_time now, char **ret_id)
{
    for (char *id; (id = id_queue_pop(&watcher->looks)) != NULL; free(id)) {
        struct known_job *job = job_table_find(watcher->table, id);
        if (!job)
            continue;
        forget_errors(watcher, job, now);
        if (job->look & ~(unsigned)LOOK_QUEUED) {
            *ret_id = id;
            return job;
        }
        job->look = 0;
    }
    return NULL;
}

/* Whether the sweep, if it is running, shows the job still. */
static bool is_ahead(const struct sweep *sweep, const struct known_job *job)
{
    bool passed = sweep->running && sweep->newest_first && !wall_is_none(sweep->last_created) &&
                  !wall_is_none(job->created_at) && job->created_at.ms > sweep->last_created.ms;
    return !passed;
}

static bool is_held(const struct watcher *watcher, const struct known_job *job, enum plan_way way)
{
    switch (way) {
    case WAY_LOOKS:
        return false;
    case WAY_HEAD:
        return watcher->head_depth > 0 && is_left_only(job) && !wall_is_none(job->created_at) &&
               job->created_at.ms >= watcher->head_limit.ms && is_ahead(&watcher->head, job);
    case WAY_FULL:
        return is_left_only(job) && is_ahead(&watcher->full, job);
    }
    return false;
}

void watcher_count_looks(struct watcher *watcher, mono_time now)
{
    size_t n = watcher->looks.n;
    char *id;
    watcher->looks_left = watcher->looks_head = watcher->looks_errors = 0;
    for (size_t i = 0; i < n && watcher->looks.n > 0; i++) {
        struct known_job *job = first_wanted(watcher, now, &id);
        if (!job)
            break;
        id_queue_put_back(&watcher->looks, id);
        watcher->looks_left += is_held(watcher, job, WAY_FULL);
        watcher->looks_head += is_held(watcher, job, WAY_HEAD);
        watcher->looks_errors += is_for_errors(job);
    }
}

/* The first one that is not held, and, unless wanted, not for errors. */
static char *pop(struct watcher *watcher, enum plan_way way, bool for_errors, mono_time now)
{
    char *id;
    for (size_t i = watcher->looks.n; i > 0; i--) {
        struct known_job *job = first_wanted(watcher, now, &id);
        if (!job)
            break;
        if (!is_held(watcher, job, way) && (for_errors || !is_for_errors(job))) {
            job->look &= (uint8_t)~LOOK_QUEUED;
            watcher->looks_left -= watcher->looks_left > 0 && is_held(watcher, job, WAY_FULL);
            watcher->looks_head -= watcher->looks_head > 0 && is_held(watcher, job, WAY_HEAD);
            watcher->looks_errors -= watcher->looks_errors > 0 && is_for_errors(job);
            return id;
        }
        id_queue_put_back(&watcher->looks, id);
    }
    return NULL;
}

char *watcher_pop_look(struct watcher *watcher, enum plan_way way, mono_time now)
{
    char *id = pop(watcher, way, false, now);
    if (!id)
        id = pop(watcher, way, true, now);
    if (!id)
        watcher_count_looks(watcher, now);
    return id;
}

/*
 * How deep a head sweep should go from the job created at `from` on: the depth, in pages that span as much
 * time as the last ones did, where the jobs that it answers outnumber its pages most. 0: nowhere.
 */
static void judge_depth(struct watcher *watcher, wall_time from)
{
    uint32_t at_depth[MAX_DEPTH + 1] = {0};
    int64_t most = 0, answered = 0, worth = (int64_t)plan_pages_for_look(watcher->behind);
    watcher->head_depth = 0;
    if (watcher->head_span <= 0 || wall_is_none(from))
        return;
    for (size_t i = 0; i < job_table_active_count(watcher->table); i++) {
        const struct known_job *job = job_table_active(watcher->table, i);
        if (!is_left_only(job) || wall_is_none(job->created_at) || !is_ahead(&watcher->head, job))
            continue;
        int64_t age = job->created_at.ms < from.ms ? from.ms - job->created_at.ms : 0;
        if (age / watcher->head_span < MAX_DEPTH)
            at_depth[age / watcher->head_span + 1]++;
    }
    for (uint32_t depth = 1; depth <= MAX_DEPTH; depth++) {
        answered += at_depth[depth];
        if (answered * worth - depth > most) {
            most = answered * worth - depth;
            watcher->head_depth = depth;
        }
    }
    watcher->head_limit = (wall_time){from.ms - watcher->head_span * watcher->head_depth};
}

bool watcher_queue_looks(struct watcher *watcher, mono_time now)
{
    for (size_t i = 0; i < job_table_active_count(watcher->table); i++) {
        if (!watcher_queue_look(watcher, job_table_active(watcher->table, i)))
            return false;
    }
    wall_time from = watcher->head_newest;
    if (!wall_is_none(from))
        from.ms += mono_diff(now, watcher->head_read);
    if (watcher->head.running && !wall_is_none(watcher->head.last_created))
        from = watcher->head.last_created;
    judge_depth(watcher, from);
    watcher_count_looks(watcher, now);
    return true;
}

/* Left jobs that the pages down to `last` should have shown, but did not: only their own URL can tell. */
static void mark_swept(struct watcher *watcher, const struct sweep *sweep, wall_time last)
{
    for (size_t i = 0; i < job_table_active_count(watcher->table); i++) {
        struct known_job *job = job_table_active(watcher->table, i);
        if (is_left_only(job) && !job_seen_since(watcher->table, job, sweep->tick) &&
            (wall_is_none(job->created_at) || job->created_at.ms > last.ms))
            job->look |= LOOK_SWEPT;
    }
}

void watcher_measure_list(struct watcher *watcher, const struct sweep *sweep, const struct page *page,
                          mono_time now)
{
    if (page->n_jobs == 0 || !sweep->newest_first)
        return;
    wall_time first = page->jobs[0].created_at, last = page->jobs[page->n_jobs - 1].created_at;
    if (wall_is_none(first) || wall_is_none(last))
        return;
    if (sweep->pages == 0) {
        watcher->head_newest = first;
        watcher->head_read = now;
    }
    int64_t span = (watcher->head_newest.ms - last.ms) / ((int64_t)sweep->pages + 1);
    watcher->head_span = span > 0 ? span : 1;
}

bool watcher_head_goes_on(struct watcher *watcher, const struct sweep *sweep, const struct page *page,
                          mono_time now)
{
    watcher->head_depth = 0;
    watcher->looks_head = 0;
    if (page->n_jobs == 0 || !sweep->newest_first || watcher->head_span == 0)
        return false;
    wall_time last = page->jobs[page->n_jobs - 1].created_at;
    if (wall_is_none(last))
        return false;
    mark_swept(watcher, sweep, last);
    if (page->next != NEXT_CURSOR)
        return false;
    judge_depth(watcher, last);
    watcher_count_looks(watcher, now);
    return watcher->looks_head * plan_pages_for_look(watcher->behind) > watcher->head_depth;
}
