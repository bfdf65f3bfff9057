/*
 * Head sweeps: how deep into a list that is newest first one pays, for the sake of jobs that left the active sweeps or,
 * as a walk, in place of an active sweep.
 *
 * Where more jobs end in a round than the share allows looks, an active sweep only finds them gone. A walk of the list,
 * for as long as its pages show a job in progress each, tells what nearly all of them became, at a request a page; the
 * few that stand deeper are left to the full sweep.
 */
#include "watcher_private.h"

/* No head sweep goes deeper than this. */
#define MAX_DEPTH 1024
/* Walks are given up when looks would cost less than this part of theirs, so that the choice does not swing. */
#define CHEAPER(cost) ((cost) - (cost) / 4)

bool watcher_is_left_only(const struct known_job *job)
{
    return (job->look & (LOOK_LEFT | LOOK_CONFIRM | LOOK_ERRORS | LOOK_SWEPT)) == LOOK_LEFT;
}

bool watcher_is_ahead(const struct sweep *sweep, const struct known_job *job)
{
    bool passed = sweep->running && sweep->newest_first && !wall_is_none(sweep->last_created) &&
                  !wall_is_none(job->created_at) && job->created_at.ms > sweep->last_created.ms;
    return !passed;
}

/* How many pages it is worth to be shown the job, by a walk or for the left ones' sake. */
static int64_t worth_of(const struct watcher *watcher, const struct known_job *job, bool is_walk)
{
    if (is_walk)
        return 1;
    return watcher_is_left_only(job) ? (int64_t)plan_pages_for_look(watcher->behind) : 0;
}

/* How deep a head sweep should go from the job created at `from` on: the depth, in pages that span as much time as the
 * last ones did, where what it shows is worth most more than its pages cost. 0: nowhere. */
static void judge_depth(struct watcher *watcher, wall_time from, bool is_walk)
{
    int64_t at_depth[MAX_DEPTH + 1] = {0}, most = 0, worth = 0;
    watcher->head_depth = 0;
    if (watcher->head_span <= 0 || wall_is_none(from))
        return;
    for (size_t i = 0; i < job_table_active_count(watcher->table); i++) {
        const struct known_job *job = job_table_active(watcher->table, i);
        if (wall_is_none(job->created_at) || !watcher_is_ahead(&watcher->head, job))
            continue;
        int64_t age = job->created_at.ms < from.ms ? from.ms - job->created_at.ms : 0;
        if (age / watcher->head_span < MAX_DEPTH)
            at_depth[age / watcher->head_span + 1] += worth_of(watcher, job, is_walk);
    }
    for (uint32_t depth = 1; depth <= MAX_DEPTH; depth++) {
        worth += at_depth[depth];
        if (worth - (int64_t)depth > most) {
            most = worth - (int64_t)depth;
            watcher->head_depth = depth;
        }
    }
    watcher->head_limit = (wall_time){from.ms - watcher->head_span * watcher->head_depth};
}

/* Where the head sweep that runs has come to, or the next one would begin. */
static wall_time where_it_is(const struct watcher *watcher, mono_time now)
{
    wall_time from = watcher->head_newest;
    if (!wall_is_none(from))
        from.ms += mono_diff(now, watcher->head_read);
    bool is_under_way = watcher->head.running && !wall_is_none(watcher->head.last_created);
    return is_under_way ? watcher->head.last_created : from;
}

void watcher_judge_depth(struct watcher *watcher, mono_time now)
{
    judge_depth(watcher, where_it_is(watcher, now), watcher->walking);
}

void watcher_choose_walk(struct watcher *watcher, mono_time now)
{
    size_t by_looks = watcher->active_pages + watcher->ends;
    watcher->ends = 0;
    judge_depth(watcher, where_it_is(watcher, now), true);
    size_t by_walk = watcher->walking ? CHEAPER(watcher->head_depth) : watcher->head_depth;
    watcher->walking = watcher->behind && watcher->head_depth > 0 && by_looks > by_walk;
}

/* Left jobs that the pages down to `last` should have shown, but did not: only their own URL can tell. */
static void mark_swept(struct watcher *watcher, const struct sweep *sweep, wall_time last)
{
    for (size_t i = 0; i < job_table_active_count(watcher->table); i++) {
        struct known_job *job = job_table_active(watcher->table, i);
        if (watcher_is_left_only(job) && !job_seen_since(watcher->table, job, sweep->tick) &&
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
    judge_depth(watcher, last, watcher->walking);
    watcher_count_looks(watcher, now);
    if (watcher->walking)
        return watcher->head_depth > 0;
    return watcher->looks_head * plan_pages_for_look(watcher->behind) > watcher->head_depth;
}
