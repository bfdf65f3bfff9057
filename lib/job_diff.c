#include "job_diff.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* The anomalies that a state shows by itself, whatever was before. */
static unsigned state_anomalies(const struct job_counts *c)
{
    unsigned found = 0;
    if ((c->total < 0 && c->total != COUNT_NONE) || (c->completed < 0 && c->completed != COUNT_NONE) ||
        (c->failed < 0 && c->failed != COUNT_NONE) || (c->skipped < 0 && c->skipped != COUNT_NONE))
        found |= ANOMALY_NEGATIVE;
    if (c->total == COUNT_NONE || found)
        return found;
    int64_t done;
    bool over = __builtin_add_overflow(count_or_zero(c->completed), count_or_zero(c->failed), &done) ||
                __builtin_add_overflow(done, count_or_zero(c->skipped), &done) || done > c->total;
    return over ? ANOMALY_OVER_TOTAL : 0;
}

static bool fell(int64_t known, int64_t seen)
{
    return known != COUNT_NONE && seen != COUNT_NONE && seen < known;
}

/* The anomalies of the step from the record to what is seen. */
static unsigned step_anomalies(const struct known_job *job, const struct job *seen)
{
    const struct job_counts *k = &job->counts, *s = &seen->counts;
    unsigned found = 0;
    if (fell(k->total, s->total) || fell(k->completed, s->completed) || fell(k->failed, s->failed) ||
        fell(k->skipped, s->skipped))
        found |= ANOMALY_FELL;
    if (job_status_is_terminal((enum job_status)job->status) && seen->status != (enum job_status)job->status)
        found |= job_status_is_terminal(seen->status) ? ANOMALY_TURNED : ANOMALY_REVIVED;
    return found;
}

/* Whether a list's word is not enough: a step backward at any time, an impossible state until it was told. */
static bool needs_look(const struct known_job *job, const struct job *seen)
{
    if (step_anomalies(job, seen))
        return true;
    if (job->status == JOB_PROCESSING && seen->status == JOB_QUEUED)
        return true;
    return (state_anomalies(&seen->counts) & ~(unsigned)job->anomalies) != 0;
}

static bool merge_count(int64_t *known, int64_t seen)
{
    if (seen == COUNT_NONE || seen == *known)
        return false;
    *known = seen;
    return true;
}

static bool merge_time(wall_time *known, wall_time seen)
{
    if (wall_is_none(seen) || seen.ms == known->ms)
        return false;
    *known = seen;
    return true;
}

/* Copy what is seen into the record. A status or count that moves restarts the stall clock. */
static bool apply(struct job_table *table, struct known_job **job, const struct job *seen, mono_time now)
{
    bool moved = false;
    if (seen->status != (enum job_status)(*job)->status ||
        (seen->status == JOB_OTHER && strcmp(seen->status_word, known_status_word(*job)) != 0)) {
        struct known_job *set = job_table_set_status(table, *job, seen->status, seen->status_word);
        if (!set)
            return false;
        *job = set;
        moved = true;
    }
    struct known_job *j = *job;
    moved |= merge_count(&j->counts.total, seen->counts.total);
    moved |= merge_count(&j->counts.completed, seen->counts.completed);
    moved |= merge_count(&j->counts.failed, seen->counts.failed);
    moved |= merge_count(&j->counts.skipped, seen->counts.skipped);
    if (moved || j->told & TOLD_NOTHING)
        j->moved_at = now;
    bool dated = merge_time(&j->created_at, seen->created_at);
    dated |= merge_time(&j->completed_at, seen->completed_at);
    dated |= merge_time(&j->expires_at, seen->expires_at);
    if (moved || dated || j->told & TOLD_NOTHING)
        j->dirty = true;
    return true;
}

static struct change *add_change(struct diff *diff, enum event_kind kind)
{
    struct change *change = &diff->changes[diff->n++];
    *change = (struct change){.kind = kind, .priority = event_types[kind].priority};
    /* A second life makes its events distinct from the first one's. */
    if (diff->job->revivals > 0)
        snprintf(change->distinct, sizeof change->distinct, "life=%u", diff->job->revivals + 1u);
    return change;
}

__attribute__((format(printf, 2, 3))) static void set_distinct(struct change *change, const char *format, ...)
{
    size_t used = strlen(change->distinct);
    if (used > 0 && used + 1 < sizeof change->distinct)
        change->distinct[used++] = ' ';
    va_list args;
    va_start(args, format);
    vsnprintf(change->distinct + used, sizeof change->distinct - used, format, args);
    va_end(args);
}

static const struct {
    enum anomaly bit;
    const char *word;
    const char *note;
} anomaly_texts[] = {
    {ANOMALY_NEGATIVE, "negative", "a count is negative"},
    {ANOMALY_OVER_TOTAL, "over-total", "more is done than the job has in total"},
    {ANOMALY_FELL, "fell", "a count fell"},
    {ANOMALY_REVIVED, "revived", "it was finished and is not finished any more"},
    {ANOMALY_TURNED, "turned", "it finished one way and now says the other"},
};

static void tell_anomalies(struct diff *diff, unsigned found)
{
    struct known_job *job = diff->job;
    unsigned fresh = found & ~(unsigned)job->anomalies;
    for (size_t i = 0; i < sizeof anomaly_texts / sizeof *anomaly_texts; i++) {
        if (!(fresh & anomaly_texts[i].bit))
            continue;
        struct change *change = add_change(diff, EVENT_JOB_ANOMALY);
        snprintf(change->note, sizeof change->note, "%s", anomaly_texts[i].note);
        set_distinct(change, "%s", anomaly_texts[i].word);
    }
    job->anomalies = (uint8_t)(job->anomalies | found);
}

static void tell_unknown_status(struct diff *diff)
{
    struct change *change = add_change(diff, EVENT_JOB_ANOMALY);
    snprintf(change->note, sizeof change->note, "its status is a word this version does not know");
    set_distinct(change, "status=%s", known_status_word(diff->job));
    diff->job->anomalies |= ANOMALY_UNKNOWN;
}

static void tell_failures(struct diff *diff, enum event_kind kind, const struct alert_rules *rules)
{
    struct known_job *job = diff->job;
    struct change *change = add_change(diff, kind);
    set_distinct(change, "failed=%" PRId64, job->counts.failed);
    change->wants_errors = true;
    if (kind == EVENT_JOB_FAILURES_GROWING)
        change->priority = failures_priority(rules, job->counts.failed, job->counts.total);
    job->failures_told = job->counts.failed;
}

/* What the status and failed_count say now, against the record as it was. */
static void tell_progress(struct diff *diff, enum job_status was, bool same_word,
                          const struct alert_rules *rules)
{
    struct known_job *job = diff->job;
    int64_t failed = count_or_zero(job->counts.failed);
    bool entered = was != (enum job_status)job->status || !diff->was_known;
    switch ((enum job_status)job->status) {
    case JOB_QUEUED:
        break;
    case JOB_PROCESSING:
        if (entered && diff->was_known && was == JOB_QUEUED)
            add_change(diff, EVENT_JOB_STARTED);
        if (failures_worth_telling(rules, job->failures_told, failed))
            tell_failures(diff, EVENT_JOB_FAILURES_GROWING, rules);
        break;
    case JOB_COMPLETE:
        /* Failures that show only after the end are news too. */
        if (failed > 0 && (entered || failed > job->failures_told))
            tell_failures(diff, EVENT_JOB_COMPLETED_WITH_FAILURES, rules);
        else if (entered)
            add_change(diff, EVENT_JOB_COMPLETED);
        break;
    case JOB_CANCELLED:
        if (entered)
            add_change(diff, EVENT_JOB_CANCELLED);
        break;
    case JOB_OTHER:
        if (entered || !same_word)
            tell_unknown_status(diff);
        break;
    }
}

static void tell_resumed(struct diff *diff, mono_time moved_before, mono_time now)
{
    struct known_job *job = diff->job;
    if (!(job->told & TOLD_STALLED) || job->moved_at.ms == moved_before.ms)
        return;
    job->told &= (uint8_t)~TOLD_STALLED;
    job->stall_told = 0;
    /* Its end says more than that it moved again. */
    if (!job_status_is_active((enum job_status)job->status))
        return;
    struct change *change = add_change(diff, EVENT_JOB_RESUMED);
    change->figure = mono_diff(now, moved_before);
    set_distinct(change, "from=%" PRId64 "/%" PRId64, diff->previous_completed, diff->previous_failed);
}

static void remember_previous(struct diff *diff)
{
    const struct known_job *job = diff->job;
    diff->was_known = !(job->told & TOLD_NOTHING);
    snprintf(diff->previous_status, sizeof diff->previous_status, "%s",
             diff->was_known ? known_status_word(job) : "");
    diff->previous_completed = job->counts.completed;
    diff->previous_failed = job->counts.failed;
}

/* Believe what is seen: apply it and list what it changes. */
static bool believe(struct job_table *table, const struct job *seen, const struct diff_context *context,
                    struct diff *diff)
{
    enum job_status was = (enum job_status)diff->job->status;
    mono_time moved_before = diff->job->moved_at;
    bool same_word =
        diff->job->status != JOB_OTHER || strcmp(known_status_word(diff->job), seen->status_word) == 0;
    unsigned found = step_anomalies(diff->job, seen) | state_anomalies(&seen->counts);

    if (!apply(table, &diff->job, seen, context->now))
        return false;
    if (found & ANOMALY_REVIVED && diff->job->revivals < UINT8_MAX)
        diff->job->revivals++;
    tell_resumed(diff, moved_before, context->now);
    tell_progress(diff, was, same_word, context->rules);
    tell_anomalies(diff, found);
    diff->job->told &= (uint8_t)~TOLD_NOTHING;
    return true;
}

/* Take a job without a word: it is what was there before we watched. */
static bool take_in_silence(struct job_table *table, const struct job *seen,
                            const struct diff_context *context, struct diff *diff)
{
    if (!apply(table, &diff->job, seen, context->now))
        return false;
    struct known_job *job = diff->job;
    job->failures_told = count_or_zero(job->counts.failed);
    job->anomalies = (uint8_t)state_anomalies(&job->counts);
    if (job->status == JOB_OTHER)
        job->anomalies |= ANOMALY_UNKNOWN;
    job->told = 0;
    if (is_expiring(context->rules, job->expires_at, context->server_now))
        job->told = TOLD_EXPIRING;
    return true;
}

/* Whether a job not known yet was over before the watch began. */
static bool is_of_baseline(const struct job *seen, const struct diff_context *context)
{
    if (!context->has_baseline)
        return true;
    return job_status_is_terminal(seen->status) && !wall_is_none(seen->completed_at) &&
           !wall_is_none(context->baseline_at) && seen->completed_at.ms < context->baseline_at.ms;
}

bool job_diff(struct job_table *table, const struct job *seen, const struct diff_context *context,
              struct diff *ret)
{
    struct known_job *job = job_table_find(table, seen->id);
    bool is_new = !job;
    if (is_new) {
        job = job_table_add(table, seen->id);
        if (!job)
            return false;
        job->told = TOLD_NOTHING;
        job->moved_at = context->now;
        job->dirty = true;
    }
    struct diff diff = {.job = job, .was_in_table = !is_new, .seen_before = job_table_last_seen(table, job)};
    remember_previous(&diff);
    job_table_see(table, job);
    if (job->gone_at.ms != MONO_NEVER.ms) {
        job->gone_at = MONO_NEVER;
        job->dirty = true;
    }

    bool fine = true;
    if (is_new && is_of_baseline(seen, context)) {
        fine = take_in_silence(table, seen, context, &diff);
    } else {
        if (is_new && context->rules->job_created)
            add_change(&diff, EVENT_JOB_CREATED);
        if (context->source == SOURCE_LIST && needs_look(job, seen))
            job->look |= LOOK_CONFIRM;
        else
            fine = believe(table, seen, context, &diff);
    }
    if (!fine) {
        if (is_new)
            job_table_remove(table, job);
        return false;
    }
    unsigned answered = LOOK_LEFT | LOOK_SWEPT | (context->source == SOURCE_LOOK ? LOOK_CONFIRM : 0);
    diff.job->look &= (uint8_t)~answered;
    diff.job->dirty |= diff.n > 0;
    /* To read its page again would not be the same as now. */
    if (diff.job->dirty || diff.job->look)
        known_pages_change(job_table_pages(table), diff.job->page);
    *ret = diff;
    return true;
}

bool job_diff_not_found(struct known_job *job, struct change *ret)
{
    bool vanished = job->look & LOOK_LEFT && !job_status_is_terminal((enum job_status)job->status);
    job->look &= LOOK_QUEUED;
    if (!vanished)
        return false;
    struct diff diff = {.job = job};
    *ret = *add_change(&diff, EVENT_JOB_VANISHED);
    return true;
}

static size_t mark_left(struct job_table *table, uint32_t tick, unsigned bits)
{
    size_t left = 0;
    for (size_t i = 0; i < job_table_active_count(table); i++) {
        struct known_job *job = job_table_active(table, i);
        if (job_seen_since(table, job, tick))
            continue;
        job->look = (uint8_t)(job->look | bits);
        known_pages_change(job_table_pages(table), job->page);
        left++;
    }
    return left;
}

size_t job_diff_active_end(struct job_table *table, uint32_t tick)
{
    return mark_left(table, tick, LOOK_LEFT);
}

size_t job_diff_full_end(struct job_table *table, uint32_t tick, mono_time now)
{
    size_t cursor = 0;
    for (struct known_job *job; (job = job_table_next(table, &cursor)) != NULL;) {
        if (job_seen_since(table, job, tick))
            continue;
        job_table_stand_nowhere(table, job, tick);
        if (job_status_is_active((enum job_status)job->status))
            continue;
        if (job->gone_at.ms == MONO_NEVER.ms) {
            job->gone_at = now;
            job->dirty = true;
        }
    }
    return mark_left(table, tick, LOOK_LEFT | LOOK_SWEPT);
}

/* How often a stall that lasts for `still` ms should have been told by now. */
static uint16_t stall_tellings(const struct alert_rules *rules, int64_t still)
{
    if (rules->remind_every <= 0)
        return 1;
    int64_t n = 1 + (still - rules->stalled_after) / rules->remind_every;
    return n < UINT16_MAX ? (uint16_t)n : UINT16_MAX;
}

struct known_job *job_diff_stalled(struct job_table *table, uint32_t tick, const struct alert_rules *rules,
                                   mono_time now, size_t *cursor, struct change *ret)
{
    while (*cursor < job_table_active_count(table)) {
        struct known_job *job = job_table_active(table, (*cursor)++);
        if (!job_seen_since(table, job, tick) || (job->look & ~(unsigned)LOOK_QUEUED) ||
            !is_stalled(rules, job->moved_at, now))
            continue;
        int64_t still = mono_diff(now, job->moved_at);
        uint16_t tellings = stall_tellings(rules, still);
        if (tellings <= job->stall_told)
            continue;
        struct diff diff = {.job = job};
        struct change *change = add_change(&diff, EVENT_JOB_STALLED);
        set_distinct(change, "at=%" PRId64 "/%" PRId64 " n=%u", job->counts.completed, job->counts.failed,
                     tellings);
        change->figure = still;
        change->reminder = tellings > 1;
        if (!(job->told & TOLD_STALLED)) {
            job->told |= TOLD_STALLED;
            job->dirty = true;
        }
        job->stall_told = tellings;
        *ret = *change;
        return job;
    }
    return NULL;
}

struct known_job *job_diff_expiring(struct job_table *table, const struct alert_rules *rules,
                                    wall_time server_now, size_t *cursor, struct change *ret)
{
    for (struct known_job *job; (job = job_table_next(table, cursor)) != NULL;) {
        if (job->told & (TOLD_EXPIRING | TOLD_NOTHING) ||
            !job_status_is_terminal((enum job_status)job->status) || count_or_zero(job->counts.failed) <= 0 ||
            job->gone_at.ms != MONO_NEVER.ms || !is_expiring(rules, job->expires_at, server_now))
            continue;
        struct diff diff = {.job = job};
        struct change *change = add_change(&diff, EVENT_JOB_EXPIRING);
        set_distinct(change, "expires=%" PRId64, job->expires_at.ms);
        job->told |= TOLD_EXPIRING;
        job->dirty = true;
        *ret = *change;
        return job;
    }
    return NULL;
}

struct known_job *job_diff_gone(struct job_table *table, mono_time now, int64_t retention, size_t *cursor)
{
    for (struct known_job *job; (job = job_table_next(table, cursor)) != NULL;) {
        if (job->gone_at.ms != MONO_NEVER.ms && mono_diff(now, job->gone_at) > retention)
            return job;
    }
    return NULL;
}
