#include "watcher_private.h"

#include <inttypes.h>
#include <stdio.h>

/* Active sweeps that come less often than every so many intervals are behind. */
#define BEHIND 2
/* So long, in ms, the pace has to be right again until api.throttled is over: a share that is spent before the minute is
 * over makes some sweeps of each minute prompt. */
#define CALM 61000

static bool in_progress(const struct watcher *watcher)
{
    return job_table_active_count(watcher->table) > 0;
}

static bool tell_stalled(struct dealing *dealing, uint32_t tick)
{
    struct watcher *watcher = dealing->watcher;
    struct change change;
    size_t cursor = 0;
    for (struct known_job *job; (job = job_diff_stalled(watcher->table, tick, watcher->options.rules,
                                                        dealing->now.mono, &cursor, &change)) != NULL;) {
        if (!watcher_tell_change(dealing, job, &change, NULL, NULL) || !watcher_save_job(dealing, job))
            return false;
    }
    return true;
}

static bool tell_expiring(struct dealing *dealing)
{
    struct watcher *watcher = dealing->watcher;
    struct change change;
    size_t cursor = 0;
    for (struct known_job *job;
         (job = job_diff_expiring(watcher->table, watcher->options.rules, dealing->answer->server_now,
                                  &cursor, &change)) != NULL;) {
        if (!watcher_tell_change(dealing, job, &change, NULL, NULL) || !watcher_save_job(dealing, job))
            return false;
    }
    return true;
}

/* Those that left the list and wait for their look take up no place any more. */
static size_t count_in_progress(const struct watcher *watcher)
{
    size_t n = 0;
    for (size_t i = 0; i < job_table_active_count(watcher->table); i++)
        n += !(job_table_active(watcher->table, i)->look & LOOK_LEFT);
    return n;
}

static bool check_capacity(struct dealing *dealing)
{
    struct watcher *watcher = dealing->watcher;
    size_t active = count_in_progress(watcher);
    uint32_t warn = watcher->options.rules->capacity_warn;
    if (warn > 0 && active >= warn)
        return watcher_hold_condition(dealing, WATCH_CAPACITY, dealing->now.mono, "", (int64_t)active, 0);
    struct condition *condition = &watcher->conditions[WATCH_CAPACITY];
    return watcher_tell_condition(dealing, condition, condition_end(condition), EVENT_CAPACITY_OK,
                                  event_types[EVENT_CAPACITY_OK].priority, "", (int64_t)active);
}

static bool take_baseline(struct dealing *dealing, const struct sweep *sweep)
{
    struct watcher *watcher = dealing->watcher;
    watcher->state.has_baseline = true;
    watcher->state.baseline_at = sweep->server_began;
    char distinct[DISTINCT_SIZE], note[64];
    snprintf(distinct, sizeof distinct, "baseline=%" PRId64, sweep->server_began.ms);
    snprintf(note, sizeof note, "%zu active", job_table_active_count(watcher->table));
    struct event *event = event_new(EVENT_WATCH_STARTED, dealing->now.wall, watcher->options.account,
                                    watcher->options.family->type, NULL, distinct);
    if (event && !event_set_note(event, note, (int64_t)job_table_count(watcher->table))) {
        event_free(event);
        event = NULL;
    }
    return batch_add(dealing->batch, BATCH_EVENT, event, false);
}

/* Finished jobs that left the list stamp when; those gone for longer than the retention are forgotten. */
static bool settle_absent(struct dealing *dealing, const struct sweep *sweep)
{
    struct watcher *watcher = dealing->watcher;
    size_t cursor = 0;
    if (sweep_is_consistent(sweep))
        job_diff_full_end(watcher->table, sweep->tick, dealing->now.mono);
    for (struct known_job *job; (job = job_table_next(watcher->table, &cursor)) != NULL;) {
        if (!watcher_save_job(dealing, job))
            return false;
    }
    cursor = 0;
    for (struct known_job *job; (job = job_diff_gone(watcher->table, dealing->now.mono,
                                                     watcher->options.retention, &cursor)) != NULL;) {
        if (!batch_add_job(dealing->batch, job->id))
            return false;
        job_table_remove(watcher->table, job);
    }
    return true;
}

static void note_active_over(struct watcher *watcher, mono_time now)
{
    if (watcher->active_was_over)
        watcher->period = mono_diff(now, watcher->active_over);
    watcher->active_over = now;
    watcher->active_was_over = true;
}

/*
 * An end is certain only at the end of a sweep that began after it: a sweep of many pages would add its length to
 * the interval. So the next one begins earlier by what this one took beyond one page, unless it only waited
 * for budget.
 */
static mono_time reckoned_beginning(const struct watcher *watcher, const struct sweep *sweep, mono_time now)
{
    int64_t took = mono_diff(now, sweep->began), most = watcher->options.plan.interval / 2;
    int64_t lead = watcher->starved ? 0 : took - took / sweep->pages;
    return mono_add(sweep->began, -(lead < most ? lead : most));
}

/* An active sweep is over, or the walk that was made in its place. */
static bool end_active(struct dealing *dealing, const struct sweep *sweep)
{
    struct watcher *watcher = dealing->watcher;
    if (sweep->kind == SWEEP_ACTIVE && sweep_is_consistent(sweep))
        job_diff_active_end(watcher->table, sweep->tick);
    bool fine = watcher_check_throttled(dealing);
    note_active_over(watcher, dealing->now.mono);
    if (sweep->kind == SWEEP_ACTIVE)
        watcher->active_pages = sweep->pages;
    plan_active_over(&watcher->plan, reckoned_beginning(watcher, sweep, dealing->now.mono), dealing->now.mono,
                     in_progress(watcher));
    watcher->behind = watcher->starved && watcher->period / BEHIND > watcher->plan.rules.interval;
    watcher->starved = false;
    watcher_choose_walk(watcher, dealing->now.mono);
    return fine && check_capacity(dealing) && tell_stalled(dealing, sweep->tick);
}

static bool end_full(struct dealing *dealing, const struct sweep *sweep)
{
    struct watcher *watcher = dealing->watcher;
    bool first = !watcher->state.has_baseline;
    watcher->state.full_pages = sweep->pages;
    watcher->plan.rules.head_pages = watcher->options.plan.head_pages || sweep->newest_first;
    watcher->full_was_over = watcher->full_was_whole = true;
    known_pages_end(job_table_pages(watcher->table), sweep->pages);
    plan_full_over(&watcher->plan, sweep->began, dealing->now.mono, true);
    bool fine = settle_absent(dealing, sweep) && (!first || take_baseline(dealing, sweep)) &&
                tell_stalled(dealing, sweep->tick) && tell_expiring(dealing);
    /* Without active sweeps beside it (`once`), the full sweep is the one that knows how many are in
     * progress. */
    if (fine && watcher->options.plan.once)
        fine = check_capacity(dealing);
    return fine;
}

static bool check_schema(struct dealing *dealing, const struct sweep *sweep, const char *page_why)
{
    struct condition *condition = &dealing->watcher->conditions[WATCH_SCHEMA];
    if (sweep->malformed > 0) {
        char note[CONDITION_NOTE];
        snprintf(note, sizeof note, "%zu entries of the list are no jobs and were left out%s%s",
                 sweep->malformed, page_why[0] ? ": " : "", page_why);
        return watcher_hold_condition(dealing, WATCH_SCHEMA, dealing->now.mono, note, 0, 0);
    }
    if (sweep->kind == SWEEP_FULL)
        condition_end(condition);
    return true;
}

static bool end_whole(struct dealing *dealing, struct sweep *sweep, const char *page_why)
{
    struct watcher *watcher = dealing->watcher;
    bool is_walk = sweep->kind == SWEEP_HEAD && watcher->walking;
    bool fine = true;
    switch (sweep->kind) {
    case SWEEP_ACTIVE:
        fine = end_active(dealing, sweep);
        break;
    case SWEEP_FULL:
        fine = end_full(dealing, sweep);
        break;
    case SWEEP_HEAD:
        plan_head_over(&watcher->plan, sweep->began, dealing->now.mono, in_progress(watcher));
        if (!sweep->newest_first)
            watcher->head_span = 0;
        fine = !is_walk || end_active(dealing, sweep);
        break;
    }
    if (sweep->kind != SWEEP_HEAD || is_walk) {
        watcher->state.last_good = dealing->now.wall;
        watcher->state_changed = true;
    }
    return fine && check_schema(dealing, sweep, page_why) && watcher_queue_looks(watcher, dealing->now.mono);
}

bool watcher_break(struct dealing *dealing, struct sweep *sweep)
{
    struct watcher *watcher = dealing->watcher;
    mono_time now = dealing->now.mono;
    sweep_end(sweep);
    switch (sweep->kind) {
    case SWEEP_ACTIVE:
        plan_active_over(&watcher->plan, sweep->began, now, in_progress(watcher));
        break;
    case SWEEP_HEAD:
        watcher->walking = false;
        plan_head_over(&watcher->plan, sweep->began, now, in_progress(watcher));
        break;
    case SWEEP_FULL:
        watcher->full_was_over = true;
        watcher->full_was_whole = false;
        plan_full_over(&watcher->plan, sweep->began, now, false);
        break;
    }
    return watcher_queue_looks(watcher, now);
}

static bool go_on(struct dealing *dealing, struct sweep *sweep, enum sweep_step step, const char *page_why)
{
    switch (step) {
    case STEP_MORE:
        return true;
    case STEP_WHOLE:
        return end_whole(dealing, sweep, page_why);
    case STEP_BROKEN:
        return watcher_hold_condition(dealing, WATCH_SCHEMA, dealing->now.mono, sweep->why, 0, 0) &&
               watcher_break(dealing, sweep);
    }
    return true;
}

/* What is done with a job that was read depends on these too, and on this program's version. */
static struct page_digest digest_of(const struct dealing *dealing)
{
    const struct watcher_options *options = &dealing->watcher->options;
    char rules[160];
    snprintf(rules, sizeof rules, JOBWATCH_VERSION " %.80s %" PRId64 " %d", options->base.revision,
             options->rules->failure_step, options->rules->job_created);
    return page_digest(dealing->answer->body, dealing->answer->body_len, rules);
}

/*
 * The earlier of the server's clock and ours: jobs that ended before are taken for old, so that a clock that runs ahead
 * would swallow the first ones that end under our eyes. One that is late only tells of old ones that the sweep missed.
 */
static void note_began(const struct dealing *dealing, struct sweep *sweep)
{
    wall_time theirs = dealing->answer->server_now, ours = dealing->now.wall;
    if (wall_is_none(sweep->server_began))
        sweep->server_began = theirs.ms < ours.ms ? theirs : ours;
}

const struct known_page *watcher_known_page(const struct dealing *dealing, const struct sweep *sweep)
{
    if (sweep->kind != SWEEP_FULL)
        return NULL;
    struct page_digest digest = digest_of(dealing);
    return known_pages_same(job_table_pages(dealing->watcher->table), sweep->pages, &digest);
}

bool watcher_same_page(struct dealing *dealing, struct sweep *sweep, const struct known_page *page)
{
    struct job_table *table = dealing->watcher->table;
    note_began(dealing, sweep);
    known_pages_see(job_table_pages(table), sweep->pages, job_table_tick(table));
    return go_on(dealing, sweep, sweep_same_page(sweep, page), "");
}

/* A page of the full list with nothing left to do is remembered. */
static bool remember(struct dealing *dealing, const struct sweep *sweep, const struct page *page,
                     const struct reading *reading)
{
    struct known_pages *pages = job_table_pages(dealing->watcher->table);
    if (sweep->kind != SWEEP_FULL)
        return true;
    if (!reading->settled || page->n_malformed > 0 || page->next == NEXT_UNUSABLE) {
        known_pages_forget(pages, sweep->pages);
        return true;
    }
    struct page_digest digest = digest_of(dealing);
    return known_pages_remember(pages, sweep->pages, &digest, page, reading->tick);
}

bool watcher_page(struct dealing *dealing, struct sweep *sweep, const struct page *page)
{
    struct reading reading = {
        .sweep = sweep, .tick = job_table_new_tick(dealing->watcher->table), .settled = true};
    note_began(dealing, sweep);
    for (size_t i = 0; i < page->n_jobs; i++) {
        if (!watcher_apply_job(dealing, &page->jobs[i], SOURCE_LIST, &reading))
            return false;
    }
    if (!remember(dealing, sweep, page, &reading))
        return false;
    if (sweep->kind == SWEEP_HEAD || (sweep->kind == SWEEP_FULL && sweep->pages == 0))
        watcher_measure_list(dealing->watcher, sweep, page, dealing->now.mono);
    if (sweep->kind == SWEEP_HEAD)
        sweep->deeper = watcher_head_goes_on(dealing->watcher, sweep, page, dealing->now.mono);
    size_t known = job_table_count(dealing->watcher->table);
    return go_on(dealing, sweep, sweep_page(sweep, page, reading.unseen, known), page->why);
}

bool watcher_check_throttled(struct dealing *dealing)
{
    struct watcher *watcher = dealing->watcher;
    struct condition *condition = &watcher->conditions[WATCH_THROTTLED];
    const struct plan_rules *rules = &watcher->plan.rules;
    if (rules->once)
        return true;
    int64_t expected = in_progress(watcher) ? rules->interval : rules->idle_interval;
    int64_t period = mono_diff(dealing->now.mono, watcher->active_over);
    if (watcher->starved && period / 3 > expected) {
        watcher->throttled = dealing->now.mono;
        return watcher_hold_condition(dealing, WATCH_THROTTLED, watcher->active_over,
                                      "the budget or the API's rate limit allows no more", period, 0);
    }
    bool calm = mono_diff(dealing->now.mono, watcher->throttled) > CALM;
    bool swept = !watcher->active.running && !watcher->walking;
    if (!condition->on || !swept || !calm || period / 2 > expected)
        return true;
    return watcher_tell_condition(dealing, condition, condition_end(condition), EVENT_API_THROTTLED,
                                  PRIO_NOTICE, "over", period);
}
