#include "watch_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct loading {
    struct watcher *watcher;
    struct account_health *health;
    size_t listed; /* jobs on the pages that were read */
};

static bool load_job(void *user, const struct stored_job *stored)
{
    struct job_table *table = watcher_table(((struct loading *)user)->watcher);
    struct known_job *job = job_table_load(table, stored->id);
    if (!job)
        return false;
    job = job_table_set_status(table, job, stored->status, stored->status_word);
    if (!job)
        return false;
    job->counts = stored->counts;
    job->created_at = stored->created_at;
    job->completed_at = stored->completed_at;
    job->expires_at = stored->expires_at;
    job->moved_at = stored->moved_at;
    job->gone_at = stored->gone_at;
    job->failures_told = stored->failures_told;
    job->told = stored->told;
    job->anomalies = stored->anomalies;
    job->revivals = stored->revivals;
    job->page = stored->page;
    return job->page == PAGE_NONE || known_pages_join(job_table_pages(table), job->page - 1);
}

static bool load_page(void *user, size_t place, const struct known_page *page)
{
    struct loading *loading = user;
    loading->listed += page->jobs;
    return known_pages_restore(job_table_pages(watcher_table(loading->watcher)), place, page);
}

static void restore_condition(struct condition *condition, const struct stored_condition *stored)
{
    *condition = (struct condition){
        .kind = stored->kind,
        .on = true,
        .since = stored->since,
        .since_wall = stored->since_wall,
        .told = stored->told,
        .reminders = stored->reminders,
    };
    snprintf(condition->note, sizeof condition->note, "%s", stored->note);
}

static bool load_condition(void *user, const struct stored_condition *stored)
{
    struct watcher *watcher = ((struct loading *)user)->watcher;
    static const struct {
        enum event_kind kind;
        enum watch_condition which;
    } places[] = {
        {EVENT_API_THROTTLED, WATCH_THROTTLED},    {EVENT_API_SCHEMA, WATCH_SCHEMA},
        {EVENT_CAPACITY_HIGH, WATCH_CAPACITY},     {EVENT_API_UNREACHABLE, WATCH_UNREACHABLE},
        {EVENT_API_UNAUTHORIZED, WATCH_FORBIDDEN},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        if (places[i].kind == stored->kind)
            restore_condition(watcher_condition(watcher, places[i].which), stored);
    }
    return true;
}

static bool load_waiting(void *user, int64_t seq, const char *job_id)
{
    (void)seq;
    return watcher_want_errors(((struct loading *)user)->watcher, job_id);
}

static bool load_ledger(struct store *store, int64_t watch, struct watcher *watcher, struct now now)
{
    mono_time *times = calloc(BUDGET_MAX_LEDGER, sizeof *times);
    size_t n = 0;
    struct budget_left left;
    bool fine = times && store_ledger_load(store, watch, times, BUDGET_MAX_LEDGER, &n, &left) &&
                budget_import(watcher_budget(watcher), now.mono, times, n);
    if (fine)
        budget_restore_left(watcher_budget(watcher), now.mono, left);
    free(times);
    return fine;
}

static bool load_jobs(const struct watch_rows *rows, struct store *store, struct loading *loading)
{
    struct job_table *table = watcher_table(loading->watcher);
    bool fine =
        job_table_reserve(table, loading->listed) && store_jobs_load(store, rows->row.id, load_job, loading);
    job_table_loaded(table);
    return fine;
}

bool watch_rows_load(struct watch_rows *rows, struct store *store, const char *account, const char *family,
                     struct watcher *watcher, struct now now)
{
    struct loading loading = {.watcher = watcher};
    if (!store_watch_get(store, account, family, &rows->row) ||
        !store_pages_load(store, rows->row.id, load_page, &loading) || !load_jobs(rows, store, &loading) ||
        !store_conditions_load(store, account, family, load_condition, &loading) ||
        !store_events_waiting(store, account, family, load_waiting, &loading) ||
        !load_ledger(store, rows->row.id, watcher, now))
        return false;
    struct watcher_state state = {
        .has_baseline = !wall_is_none(rows->row.baseline_at),
        .baseline_at = rows->row.baseline_at,
        .full_pages = rows->row.full_pages,
        .last_good = rows->row.last_good,
    };
    watcher_restore(watcher, &state);
    return true;
}

static bool write_condition(const struct watch_target *target, const char *family,
                            const struct condition *condition)
{
    const char *account = target->account->name;
    if (!condition->dirty)
        return true;
    if (!condition->on)
        return store_condition_remove(target->store, account, family, condition->kind);
    struct stored_condition stored = {
        .kind = condition->kind,
        .since = condition->since,
        .since_wall = condition->since_wall,
        .told = condition->told,
        .reminders = condition->reminders,
    };
    snprintf(stored.note, sizeof stored.note, "%s", condition->note);
    return store_condition_put(target->store, account, family, &stored);
}

static bool write_jobs(const struct watch_rows *rows, const struct watch_target *target,
                       struct watcher *watcher)
{
    for (size_t i = 0; i < rows->batch.n_jobs; i++) {
        const char *id = rows->batch.jobs[i];
        const struct known_job *job = job_table_find(watcher_table(watcher), id);
        bool fine = job ? store_job_put(target->store, rows->row.id, job)
                        : store_job_remove(target->store, rows->row.id, id);
        if (!fine)
            return false;
    }
    return true;
}

static bool write_pages(const struct watch_rows *rows, const struct watch_target *target,
                        const struct known_pages *pages)
{
    for (size_t i = pages->dirty_from; i < pages->dirty_to; i++) {
        if (pages->pages[i].dirty && !store_page_put(target->store, rows->row.id, i, &pages->pages[i]))
            return false;
    }
    return true;
}

static bool write_item(const struct watch_target *target, const struct batch_item *item)
{
    const struct event *event = item->event;
    bool is_new;
    mono_time hold =
        item->hold ? mono_add(target->now.mono, target->account->detail_timeout) : target->now.mono;
    switch (item->kind) {
    case BATCH_EVENT:
        return delivery_enqueue(target->delivery, event, target->now, hold, &is_new) &&
               (!item->told || delivery_journal_had(target->delivery, event->id, target->now));
    case BATCH_ERRORS:
        break;
    }
    struct job job = {
        .id = event->job_id,
        .errors = event->errors,
        .n_errors = event->n_errors,
        .more_errors = event->more_errors,
    };
    return delivery_errors_arrived(target->delivery, target->now, event->account, event->family, &job);
}

static bool write_ledger(const struct watch_rows *rows, struct store *store, struct watcher *watcher,
                         uint32_t reserve, struct now now)
{
    mono_time *times = calloc(BUDGET_MAX_LEDGER, sizeof *times);
    if (!times)
        return false;
    const struct budget *budget = watcher_budget(watcher);
    size_t n = budget_export(budget, now.mono, reserve, times, BUDGET_MAX_LEDGER);
    bool fine = store_ledger_put(store, rows->row.id, times, n, budget_left(budget));
    free(times);
    return fine;
}

bool watch_rows_spend(struct watch_rows *rows, uint32_t n, const struct budget *budget, mono_time now)
{
    mono_time blocked_until = budget_usage(budget, now).blocked_until;
    double left = budget_left(budget).share;
    rows->uncovered = n > rows->covered || blocked_until.ms > rows->blocked_until.ms || left < rows->left;
    if (!rows->uncovered)
        rows->covered -= n;
    return rows->uncovered;
}

bool watch_rows_cover(struct watch_rows *rows, struct store *store, struct watcher *watcher, struct now now)
{
    if (!rows->uncovered)
        return true;
    rows->covered = budget_reserve(watcher_budget(watcher));
    rows->blocked_until = budget_usage(watcher_budget(watcher), now.mono).blocked_until;
    rows->left = budget_left(watcher_budget(watcher)).share;
    return write_ledger(rows, store, watcher, rows->covered, now);
}

void watch_rows_covered(struct watch_rows *rows, bool fine)
{
    if (rows->uncovered && !fine) {
        rows->covered = 0;
        rows->blocked_until = (mono_time){INT64_MIN};
        rows->left = 1;
    }
    rows->uncovered = false;
}

bool watch_rows_settle(const struct watch_rows *rows, struct store *store, struct watcher *watcher,
                       struct now now)
{
    return write_ledger(rows, store, watcher, 0, now);
}

bool watch_rows_are_urgent(const struct watch_rows *rows, struct watcher *watcher)
{
    if (rows->batch.n_items > 0)
        return true;
    for (int i = 0; i < N_WATCH_CONDITIONS; i++) {
        if (watcher_condition(watcher, (enum watch_condition)i)->dirty)
            return true;
    }
    return false;
}

bool watch_health_is_urgent(const struct account_health *health)
{
    return health->away.dirty || health->unauthorized.dirty;
}

bool watch_rows_write(struct watch_rows *rows, const struct watch_target *target, struct watcher *watcher)
{
    const char *family = rows->row.id ? watcher_family(watcher) : "";
    rows->row_dirty |= watcher_state_changed(watcher);
    if (rows->row_dirty) {
        const struct watcher_state *state = watcher_state(watcher);
        rows->row.baseline_at = state->has_baseline ? state->baseline_at : WALL_NONE;
        rows->row.full_pages = state->full_pages;
        rows->row.last_good = state->last_good;
        if (!store_watch_put(target->store, &rows->row))
            return false;
    }
    if (!write_jobs(rows, target, watcher) ||
        !write_pages(rows, target, job_table_pages(watcher_table(watcher))))
        return false;
    for (size_t i = 0; i < rows->batch.n_items; i++) {
        if (!write_item(target, &rows->batch.items[i]))
            return false;
    }
    for (int i = 0; i < N_WATCH_CONDITIONS; i++) {
        if (!write_condition(target, family, watcher_condition(watcher, (enum watch_condition)i)))
            return false;
    }
    return true;
}

void watch_rows_written(struct watch_rows *rows, struct watcher *watcher)
{
    batch_finish(&rows->batch);
    rows->row_dirty = false;
    known_pages_written(job_table_pages(watcher_table(watcher)));
    for (int i = 0; i < N_WATCH_CONDITIONS; i++)
        watcher_condition(watcher, (enum watch_condition)i)->dirty = false;
}

static bool load_health(void *user, const struct stored_condition *stored)
{
    struct account_health *health = ((struct loading *)user)->health;
    if (stored->kind == EVENT_API_UNREACHABLE)
        restore_condition(&health->away, stored);
    else if (stored->kind == EVENT_API_UNAUTHORIZED)
        restore_condition(&health->unauthorized, stored);
    return true;
}

bool watch_health_load(struct account_health *health, struct store *store, const char *account)
{
    struct loading loading = {.health = health};
    return store_conditions_load(store, account, "", load_health, &loading);
}

bool watch_health_write(struct account_health *health, const struct watch_target *target)
{
    return write_condition(target, "", &health->away) && write_condition(target, "", &health->unauthorized);
}

void watch_health_written(struct account_health *health)
{
    health->away.dirty = false;
    health->unauthorized.dirty = false;
}
