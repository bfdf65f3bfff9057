/* Looks at single jobs: which are wanted, and which of them a list would answer for fewer requests. */
#include "watcher_private.h"

#include <stdlib.h>

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

static bool is_held(const struct watcher *watcher, const struct known_job *job, enum plan_way way)
{
    switch (way) {
    case WAY_LOOKS:
        return false;
    case WAY_HEAD:
        return watcher->head_depth > 0 && watcher_is_left_only(job) && !wall_is_none(job->created_at) &&
               job->created_at.ms >= watcher->head_limit.ms && watcher_is_ahead(&watcher->head, job);
    case WAY_FULL:
        return watcher_is_left_only(job) && watcher_is_ahead(&watcher->full, job);
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

bool watcher_queue_looks(struct watcher *watcher, mono_time now)
{
    for (size_t i = 0; i < job_table_active_count(watcher->table); i++) {
        if (!watcher_queue_look(watcher, job_table_active(watcher->table, i)))
            return false;
    }
    watcher_judge_depth(watcher, now);
    watcher_count_looks(watcher, now);
    return true;
}
