#include "watcher_private.h"

static const enum event_kind condition_kinds[N_WATCH_CONDITIONS] = {
    [WATCH_THROTTLED] = EVENT_API_THROTTLED,    [WATCH_SCHEMA] = EVENT_API_SCHEMA,
    [WATCH_CAPACITY] = EVENT_CAPACITY_HIGH,     [WATCH_UNREACHABLE] = EVENT_API_UNREACHABLE,
    [WATCH_FORBIDDEN] = EVENT_API_UNAUTHORIZED,
};

bool watcher_save_job(struct dealing *dealing, struct known_job *job)
{
    if (!job->dirty)
        return true;
    if (!batch_add_job(dealing->batch, job->id))
        return false;
    job->dirty = false;
    return true;
}

/* The record as a job; the errors are those of the answer at hand, if it is about one job. */
static struct job job_of_record(const struct known_job *record, const struct job *seen)
{
    struct job job = {
        .id = record->id,
        .status = (enum job_status)record->status,
        .status_word = known_status_word(record),
        .counts = record->counts,
        .created_at = record->created_at,
        .completed_at = record->completed_at,
        .expires_at = record->expires_at,
    };
    if (seen) {
        job.errors = seen->errors;
        job.n_errors = seen->n_errors;
        job.more_errors = seen->more_errors;
    }
    return job;
}

bool watcher_tell_change(struct dealing *dealing, struct known_job *record, const struct change *change,
                         const struct diff *diff, const struct job *seen)
{
    struct watcher *watcher = dealing->watcher;
    const struct watcher_options *options = &watcher->options;
    /* Errors are the story of events that ask for them only. */
    struct job job = job_of_record(record, change->wants_errors ? seen : NULL);
    struct event *event = event_new(change->kind, dealing->now.wall, options->account, options->family->type,
                                    &job, change->distinct);
    if (!event)
        return false;
    event->priority = change->priority;
    event->reminder = change->reminder;
    bool fine = event_set_note(event, change->note, change->figure);
    if (fine && diff && diff->was_known)
        fine =
            event_set_previous(event, diff->previous_status, diff->previous_completed, diff->previous_failed);
    if (!fine) {
        event_free(event);
        return false;
    }
    bool hold = change->wants_errors && options->family->has_errors && options->detail_timeout > 0 && !seen;
    if (hold)
        record->look |= LOOK_ERRORS;
    return batch_add(dealing->batch, BATCH_EVENT, event, hold);
}

/* What it means for its page that the job was on it. False without memory. */
static bool note_read(struct watcher *watcher, const struct diff *diff, struct reading *reading)
{
    bool seen = diff->was_in_table && tick_is_since(diff->seen_before, reading->sweep->tick);
    bool twice = diff->was_in_table && tick_is_since(diff->seen_before, reading->tick);
    reading->unseen += !seen;
    reading->settled &= !twice && !(diff->job->look & ~(unsigned)LOOK_QUEUED);
    return reading->sweep->kind != SWEEP_FULL ||
           job_table_stand(watcher->table, diff->job, reading->sweep->pages, reading->sweep->tick,
                           diff->seen_before);
}

bool watcher_apply_job(struct dealing *dealing, const struct job *seen, enum source source,
                       struct reading *reading)
{
    struct watcher *watcher = dealing->watcher;
    struct diff_context context = {
        .rules = watcher->options.rules,
        .source = source,
        .has_baseline = watcher->state.has_baseline,
        .baseline_at = watcher->state.baseline_at,
        .server_now = dealing->answer->server_now,
        .now = dealing->now.mono,
    };
    struct diff diff;
    size_t active = job_table_active_count(watcher->table);
    if (!job_diff(watcher->table, seen, &context, &diff))
        return false;
    watcher->ends += job_table_active_count(watcher->table) < active;
    for (size_t i = 0; i < diff.n; i++) {
        if (!watcher_tell_change(dealing, diff.job, &diff.changes[i], &diff, dealing->alone ? seen : NULL))
            return false;
    }
    if (reading && !note_read(watcher, &diff, reading))
        return false;
    return watcher_queue_look(watcher, diff.job) && watcher_save_job(dealing, diff.job);
}

bool watcher_tell_condition(struct dealing *dealing, struct condition *condition, enum condition_news news,
                            enum event_kind kind, enum priority priority, const char *note, int64_t figure)
{
    if (news == CONDITION_QUIET)
        return true;
    const struct watcher_options *options = &dealing->watcher->options;
    struct event *event = condition_event(condition, news, kind, dealing->now.wall, options->account,
                                          options->family->type, note, figure);
    if (event)
        event->priority = priority;
    return batch_add(dealing->batch, BATCH_EVENT, event, false);
}

bool watcher_hold_condition(struct dealing *dealing, enum watch_condition which, mono_time since,
                            const char *note, int64_t figure, int64_t remind_every)
{
    struct condition *condition = &dealing->watcher->conditions[which];
    condition->kind = condition_kinds[which];
    enum condition_news news = condition_hold(condition, since, note, figure, dealing->now, remind_every);
    return watcher_tell_condition(dealing, condition, news, condition->kind,
                                  event_types[condition->kind].priority, note, figure);
}
