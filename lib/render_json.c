#include "render.h"

#include "json_out.h"
#include "render_private.h"

#include <stdlib.h>

static void put_message(struct json_out *object, const struct event *event)
{
    char *message = render_message(event);
    json_out_put(object, "message", message ? json_object_new_string(message) : NULL);
    free(message);
}

/* What note and figure are called in the body of a kind. NULL: it has none. */
struct figure_name {
    const char *name;
    bool zero; /* 0 is a figure too, not the want of one */
};

static struct figure_name figure_name(enum event_kind kind)
{
    switch (kind) {
    case EVENT_JOB_STALLED:
    case EVENT_JOB_RESUMED:
        return (struct figure_name){"still_ms", false};
    case EVENT_CAPACITY_HIGH:
    case EVENT_CAPACITY_OK:
        return (struct figure_name){"jobs_in_progress", true};
    case EVENT_WATCH_STARTED:
        return (struct figure_name){"jobs_known", true};
    case EVENT_API_UNREACHABLE:
    case EVENT_API_RECOVERED:
    case EVENT_API_UNAUTHORIZED:
    case EVENT_API_SCHEMA:
        return (struct figure_name){"age_ms", false};
    case EVENT_API_THROTTLED:
        return (struct figure_name){"interval_ms", false};
    case EVENT_JOB_CREATED:
    case EVENT_JOB_STARTED:
    case EVENT_JOB_COMPLETED:
    case EVENT_JOB_COMPLETED_WITH_FAILURES:
    case EVENT_JOB_CANCELLED:
    case EVENT_JOB_FAILURES_GROWING:
    case EVENT_JOB_EXPIRING:
    case EVENT_JOB_VANISHED:
    case EVENT_JOB_ANOMALY:
    case EVENT_DELIVERY_FAILED:
    case EVENT_TEST:
    case N_EVENT_KINDS:
        break;
    }
    return (struct figure_name){NULL, false};
}

static void put_note(struct json_out *data, const struct event *event)
{
    if (event_is_over(event))
        json_out_true(data, "over");
    else if (event->note[0])
        json_out_text(data, event->kind == EVENT_WATCH_STARTED ? "summary" : "reason", event->note);
    struct figure_name figure = figure_name(event->kind);
    if (figure.name && (event->figure != 0 || figure.zero))
        json_out_int(data, figure.name, event->figure);
}

static void put_job(struct json_out *data, const struct event *event)
{
    struct json_out job = json_out_new();
    json_out_text(&job, "type", event->family);
    json_out_text(&job, "id", event->job_id);
    json_out_text(&job, "status", event->status);
    json_out_count(&job, "total_count", event->counts.total);
    json_out_count(&job, "completed_count", event->counts.completed);
    json_out_count(&job, "failed_count", event->counts.failed);
    json_out_count(&job, "skipped_count", event->counts.skipped);
    json_out_time(&job, "created_at", event->created_at);
    json_out_time(&job, "completed_at", event->completed_at);
    json_out_time(&job, "expires_at", event->expires_at);
    json_out_object(data, "job", &job);
}

static void put_previous(struct json_out *data, const struct event_previous *before)
{
    struct json_out previous = json_out_new();
    json_out_text(&previous, "status", before->status);
    json_out_count(&previous, "completed_count", before->completed);
    json_out_count(&previous, "failed_count", before->failed);
    json_out_object(data, "previous", &previous);
}

static struct json_object *error_json(const struct job_error *error)
{
    struct json_out object = json_out_new();
    json_out_text(&object, "code", error->code);
    json_out_text(&object, "title", error->title);
    json_out_text(&object, "detail", error->detail);
    json_out_text(&object, "pointer", error->pointer);
    return json_out_json(&object);
}

/* NULL without memory. */
static struct json_object *errors_json(const struct event *event)
{
    struct json_object *errors = json_object_new_array();
    for (size_t i = 0; errors && i < event->n_errors; i++)
        errors = json_out_append(errors, error_json(&event->errors[i]));
    return errors;
}

static void put_data(struct json_out *data, const struct event *event, bool with_errors)
{
    json_out_text(data, "event_id", event->id);
    json_out_text(data, "account", event->account);
    put_message(data, event);
    json_out_text(data, "priority", priority_word(event->priority));
    if (event->reminder)
        json_out_true(data, "reminder");
    if (event->family[0] && !event->job_id[0])
        json_out_text(data, "job_type", event->family);
    put_note(data, event);
    if (event->job_id[0])
        put_job(data, event);
    if (event->previous.known)
        put_previous(data, &event->previous);
    if (with_errors && event->n_errors > 0)
        json_out_put(data, "errors", errors_json(event));
    size_t omitted = event->more_errors + (with_errors ? 0 : event->n_errors);
    if (omitted > 0)
        json_out_int(data, "errors_omitted", (int64_t)omitted);
}

struct json_object *event_data_json(const struct event *event, bool with_errors)
{
    struct json_out data = json_out_new();
    put_data(&data, event, with_errors);
    return json_out_json(&data);
}

struct json_object *event_standard_json(const struct event *event)
{
    struct json_out body = json_out_new();
    json_out_text(&body, "type", event_types[event->kind].name);
    json_out_time(&body, "timestamp", event->at);
    json_out_put(&body, "data", event_data_json(event, true));
    return json_out_json(&body);
}

char *render_errors(const struct event *event)
{
    return json_out_string(errors_json(event));
}

char *render_standard(const struct event *event)
{
    return json_out_string(event_standard_json(event));
}

char *render_json_line(const struct event *event)
{
    struct json_out line = json_out_new();
    json_out_text(&line, "type", event_types[event->kind].name);
    put_data(&line, event, true);
    return json_out_take(&line);
}
