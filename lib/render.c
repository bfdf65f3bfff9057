#include "render.h"
#include "text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

char *render_clean(const char *text, size_t max)
{
    return text_of(text, max, TEXT_CLEAN);
}

/* "40 s", "15 min", "4 h 10 min", "3 d 4 h". */
static void add_age(struct text *text, int64_t ms)
{
    if (ms < SECOND)
        text_addf(text, "%" PRId64 " ms", ms < 0 ? 0 : ms);
    else if (ms < MINUTE)
        text_addf(text, "%" PRId64 " s", ms / SECOND);
    else if (ms < HOUR)
        text_addf(text, "%" PRId64 " min", ms / MINUTE);
    else if (ms < DAY)
        text_addf(text, "%" PRId64 " h", ms / HOUR);
    else
        text_addf(text, "%" PRId64 " d", ms / DAY);
    if (ms >= HOUR && ms < DAY && ms % HOUR >= MINUTE)
        text_addf(text, " %" PRId64 " min", ms % HOUR / MINUTE);
    if (ms >= DAY && ms % DAY >= HOUR)
        text_addf(text, " %" PRId64 " h", ms % DAY / HOUR);
}

/* " after 15 min"; nothing when the age is not known. */
static void add_figure_as_age(struct text *text, const char *lead, const struct event *event)
{
    if (event->figure <= 0)
        return;
    text_add(text, lead);
    add_age(text, event->figure);
}

/* What a sentence is about: a job, all jobs of a type, an account. */
static void add_subject(struct text *text, const struct event *event)
{
    if (event->family[0])
        text_add(text, event->family);
    if (event->job_id[0])
        text_addf(text, " %s", event->job_id);
    if (event->family[0] || event->job_id[0])
        text_add(text, " in ");
    text_addf(text, "account %s", event->account);
}

/* ": because" */
static void add_reason(struct text *text, const struct event *event)
{
    if (event->note[0])
        text_addf(text, ": %s", event->note);
}

static bool is_counted(int64_t count)
{
    return count != COUNT_NONE && count != 0;
}

/* "1200 of 40000 done, 3 failed, 2 skipped" behind `lead`; nothing at all when nothing is known. */
static void add_counts(struct text *text, const char *lead, const struct event *event)
{
    const struct job_counts *counts = &event->counts;
    bool has_completed = counts->completed != COUNT_NONE;
    bool has_total = counts->total != COUNT_NONE;
    if (has_completed && has_total)
        text_addf(text, "%s%" PRId64 " of %" PRId64 " done", lead, counts->completed, counts->total);
    else if (has_completed)
        text_addf(text, "%s%" PRId64 " done", lead, counts->completed);
    else if (has_total)
        text_addf(text, "%s%" PRId64 " in total", lead, counts->total);
    if (has_completed || has_total)
        lead = ", ";
    if (is_counted(counts->failed)) {
        text_addf(text, "%s%" PRId64 " failed", lead, counts->failed);
        lead = ", ";
    }
    if (is_counted(counts->skipped))
        text_addf(text, "%s%" PRId64 " skipped", lead, counts->skipped);
}

static void add_progress(struct text *text, const struct event *event)
{
    add_counts(text, ": ", event);
}

/* ": processing, 1200 of 40000 done" */
static void add_state(struct text *text, const struct event *event)
{
    text_addf(text, ": %s", event->status);
    add_counts(text, ", ", event);
}

static void add_stall(struct text *text, const struct event *event)
{
    add_figure_as_age(text, " for ", event);
    add_state(text, event);
}

static void add_end_of_stall(struct text *text, const struct event *event)
{
    add_figure_as_age(text, " after ", event);
    add_state(text, event);
}

/* " (first error: title: detail)" */
static void add_first_error(struct text *text, const struct event *event)
{
    if (event->n_errors == 0)
        return;
    const struct job_error *error = &event->errors[0];
    const char *title = error->title[0] ? error->title : error->code;
    if (!title[0] && !error->detail[0])
        return;
    /* Klaviyo's titles are sentences of their own ("Invalid input."), which need no colon. */
    bool sentence = title[0] && title[strlen(title) - 1] == '.';
    const char *between = !title[0] || !error->detail[0] ? "" : sentence ? " " : ": ";
    text_addf(text, " (first error: %s%s%s)", title, between, error->detail);
}

/* ": 3 of 40000 failed, 1 before (first error: title: detail)" */
static void add_failures(struct text *text, const struct event *event)
{
    text_addf(text, ": %" PRId64, count_or_zero(event->counts.failed));
    if (event->counts.total != COUNT_NONE)
        text_addf(text, " of %" PRId64, event->counts.total);
    text_add(text, " failed");
    bool grows = event->kind == EVENT_JOB_FAILURES_GROWING;
    if (grows && event->previous.known && is_counted(event->previous.failed))
        text_addf(text, ", %" PRId64 " before", event->previous.failed);
    add_first_error(text, event);
}

static void add_expiry(struct text *text, const struct event *event)
{
    if (!wall_is_none(event->expires_at)) {
        char at[WALL_TEXT_SIZE];
        text_addf(text, " at %s", wall_format(event->expires_at, at));
    }
    text_add(text, ", and its errors with it");
    add_failures(text, event);
}

static void add_anomaly(struct text *text, const struct event *event)
{
    add_reason(text, event);
    text_add(text, "; now");
    add_state(text, event);
}

static void add_capacity(struct text *text, const struct event *event)
{
    text_addf(text, " %" PRId64 " of at most %d jobs in progress: ", event->figure, JOB_CAPACITY);
    if (event->kind == EVENT_CAPACITY_OK)
        text_add(text, "there is room again");
    else
        text_add(text,
                 event->figure < JOB_CAPACITY ? "new ones will soon be refused" : "new ones are refused");
}

static void add_baseline(struct text *text, const struct event *event)
{
    text_addf(text, ": %" PRId64 " job%s known", event->figure, event->figure == 1 ? "" : "s");
    if (event->note[0])
        text_addf(text, ", %s", event->note);
}

static void add_trouble(struct text *text, const struct event *event)
{
    add_figure_as_age(text, " after ", event);
    add_reason(text, event);
}

static void add_throttled(struct text *text, const struct event *event)
{
    bool over = event_is_over(event);
    text_add(text, over ? " throttled no more" : " throttled");
    add_figure_as_age(text, ", the time between two sweeps is ", event);
    if (!over)
        add_reason(text, event);
}

/* " ops: HTTP 400": the note is the webhook and why. */
static void add_webhook(struct text *text, const struct event *event)
{
    if (event->note[0])
        text_addf(text, " %s", event->note);
}

/* What follows the subject: the kind's own words, then what the event has to say. */
static const struct {
    const char *words;
    void (*add_rest)(struct text *text, const struct event *event);
} sentences[N_EVENT_KINDS] = {
    [EVENT_JOB_CREATED] = {"is new", add_state},
    [EVENT_JOB_STARTED] = {"started", add_progress},
    [EVENT_JOB_COMPLETED] = {"is complete", add_progress},
    [EVENT_JOB_COMPLETED_WITH_FAILURES] = {"is complete with failures", add_failures},
    [EVENT_JOB_CANCELLED] = {"was cancelled", add_progress},
    [EVENT_JOB_FAILURES_GROWING] = {"has failures", add_failures},
    [EVENT_JOB_STALLED] = {"has not moved", add_stall},
    [EVENT_JOB_RESUMED] = {"moves again", add_end_of_stall},
    [EVENT_JOB_EXPIRING] = {"expires soon", add_expiry},
    [EVENT_JOB_VANISHED] = {"is gone before it finished; when last seen", add_state},
    [EVENT_JOB_ANOMALY] = {"looks wrong", add_anomaly},
    [EVENT_CAPACITY_HIGH] = {"has", add_capacity},
    [EVENT_CAPACITY_OK] = {"has", add_capacity},
    [EVENT_WATCH_STARTED] = {"is being watched", add_baseline},
    [EVENT_API_UNREACHABLE] = {"has no good answer from the API", add_trouble},
    [EVENT_API_RECOVERED] = {"has good answers from the API again", add_trouble},
    [EVENT_API_UNAUTHORIZED] = {"is refused by the API", add_trouble},
    [EVENT_API_THROTTLED] = {"is", add_throttled},
    [EVENT_API_SCHEMA] = {"gets answers that do not look like jobs", add_trouble},
    [EVENT_DELIVERY_FAILED] = {"has an event that was given up for webhook", add_webhook},
    [EVENT_TEST] = {"", add_reason},
};

char *render_message(const struct event *event)
{
    struct text text;
    text_init(&text, RENDER_MAX_TEXT, TEXT_CLEAN);
    if (event->kind == EVENT_TEST) {
        text_add(&text, "this is a test of klv-jobwatch, nothing happened");
    } else {
        add_subject(&text, event);
        text_addf(&text, " %s%s", event->reminder ? "still " : "", sentences[event->kind].words);
    }
    sentences[event->kind].add_rest(&text, event);
    return text_take(&text);
}

char *render_line(const struct event *event)
{
    char *message = render_message(event);
    if (!message)
        return NULL;
    char at[WALL_TEXT_SIZE];
    struct text text;
    text_init(&text, RENDER_MAX_TEXT + 128, TEXT_CLEAN);
    text_addf(&text, "%s %-7s %-20s %s", wall_format(event->at, at), priority_word(event->priority),
              event_types[event->kind].name, message);
    free(message);
    return text_take(&text);
}
