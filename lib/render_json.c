#include "render.h"
#include "text.h"

#include <json-c/json.h>

#include <stdlib.h>

#define FORMAT (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

/* A JSON object being filled; once memory is short it stays failed, and json_take ends in NULL. */
struct object {
    struct json_object *json;
    bool failed;
};

static struct object object_new(void)
{
    struct json_object *json = json_object_new_object();
    return (struct object){.json = json, .failed = !json};
}

/* Add a member, taking it; key is a literal that is not in the object yet. */
static void put(struct object *object, const char *key, struct json_object *member)
{
    const unsigned flags = JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY;
    if (object->failed || !member || json_object_object_add_ex(object->json, key, member, flags) != 0) {
        json_object_put(member);
        object->failed = true;
    }
}

static void put_object(struct object *object, const char *key, struct object *member)
{
    object->failed |= member->failed;
    put(object, key, member->json);
}

/* The string goes in as valid UTF-8, nothing else of it is changed: what is a control character is escaped at
 * the end. */
static void put_text(struct object *object, const char *key, const char *string)
{
    char *valid = text_of(string, RENDER_MAX_VALUE, TEXT_VALID);
    put(object, key, valid ? json_object_new_string(valid) : NULL);
    free(valid);
}

static void put_int(struct object *object, const char *key, int64_t value)
{
    put(object, key, json_object_new_int64(value));
}

static void put_true(struct object *object, const char *key)
{
    put(object, key, json_object_new_boolean(true));
}

static void put_count(struct object *object, const char *key, int64_t count)
{
    if (count != COUNT_NONE)
        put_int(object, key, count);
}

static void put_time(struct object *object, const char *key, wall_time t)
{
    if (!wall_is_none(t)) {
        char text[WALL_TEXT_SIZE];
        put_text(object, key, wall_format(t, text));
    }
}

static void put_message(struct object *object, const struct event *event)
{
    char *message = render_message(event);
    put(object, "message", message ? json_object_new_string(message) : NULL);
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

static void put_note(struct object *data, const struct event *event)
{
    if (event_is_over(event))
        put_true(data, "over");
    else if (event->note[0])
        put_text(data, event->kind == EVENT_WATCH_STARTED ? "summary" : "reason", event->note);
    struct figure_name figure = figure_name(event->kind);
    if (figure.name && (event->figure != 0 || figure.zero))
        put_int(data, figure.name, event->figure);
}

static void put_job(struct object *data, const struct event *event)
{
    struct object job = object_new();
    put_text(&job, "type", event->family);
    put_text(&job, "id", event->job_id);
    put_text(&job, "status", event->status);
    put_count(&job, "total_count", event->counts.total);
    put_count(&job, "completed_count", event->counts.completed);
    put_count(&job, "failed_count", event->counts.failed);
    put_count(&job, "skipped_count", event->counts.skipped);
    put_time(&job, "created_at", event->created_at);
    put_time(&job, "completed_at", event->completed_at);
    put_time(&job, "expires_at", event->expires_at);
    put_object(data, "job", &job);
}

static void put_previous(struct object *data, const struct event_previous *before)
{
    struct object previous = object_new();
    put_text(&previous, "status", before->status);
    put_count(&previous, "completed_count", before->completed);
    put_count(&previous, "failed_count", before->failed);
    put_object(data, "previous", &previous);
}

static struct json_object *error_json(const struct job_error *error)
{
    struct object object = object_new();
    put_text(&object, "code", error->code);
    put_text(&object, "title", error->title);
    put_text(&object, "detail", error->detail);
    put_text(&object, "pointer", error->pointer);
    if (!object.failed)
        return object.json;
    json_object_put(object.json);
    return NULL;
}

/* NULL without memory. */
static struct json_object *errors_json(const struct event *event)
{
    struct json_object *errors = json_object_new_array();
    for (size_t i = 0; errors && i < event->n_errors; i++) {
        struct json_object *error = error_json(&event->errors[i]);
        if (!error || json_object_array_add(errors, error) != 0) {
            json_object_put(error);
            json_object_put(errors);
            return NULL;
        }
    }
    return errors;
}

static void put_data(struct object *data, const struct event *event)
{
    put_text(data, "event_id", event->id);
    put_text(data, "account", event->account);
    put_message(data, event);
    put_text(data, "priority", priority_word(event->priority));
    if (event->reminder)
        put_true(data, "reminder");
    if (event->family[0] && !event->job_id[0])
        put_text(data, "job_type", event->family);
    put_note(data, event);
    if (event->job_id[0])
        put_job(data, event);
    if (event->previous.known)
        put_previous(data, &event->previous);
    if (event->n_errors > 0)
        put(data, "errors", errors_json(event));
    if (event->more_errors > 0)
        put_int(data, "errors_omitted", (int64_t)event->more_errors);
}

/*
 * A copy of JSON text that a terminal can show: json-c escapes C0 only, here the other control characters
 * follow. They can stand in strings only, and none is beyond U+FFFF.
 */
static char *escape_controls(const char *json, size_t len)
{
    struct text text;
    text_init(&text, SIZE_MAX, TEXT_VALID);
    const char *plain = json; /* what is not copied yet */
    for (const char *at = json; at < json + len;) {
        uint32_t c;
        size_t n = utf8_decode(at, (size_t)(json + len - at), &c);
        if (utf8_is_control(c)) {
            text_add_bytes(&text, plain, (size_t)(at - plain));
            text_addf(&text, "\\u%04x", (unsigned)c);
            plain = at + n;
        }
        at += n;
    }
    text_add(&text, plain);
    return text_take(&text);
}

/* The text of a JSON value, which is released. NULL without memory, and for NULL. */
static char *json_take(struct json_object *json)
{
    size_t len;
    const char *string = json ? json_object_to_json_string_length(json, FORMAT, &len) : NULL;
    char *copy = string ? escape_controls(string, len) : NULL;
    json_object_put(json);
    return copy;
}

static char *object_take(struct object *object)
{
    if (!object->failed)
        return json_take(object->json);
    json_object_put(object->json);
    return NULL;
}

char *render_errors(const struct event *event)
{
    return json_take(errors_json(event));
}

char *render_standard(const struct event *event)
{
    struct object body = object_new();
    struct object data = object_new();
    put_text(&body, "type", event_types[event->kind].name);
    put_time(&body, "timestamp", event->at);
    put_data(&data, event);
    put_object(&body, "data", &data);
    return object_take(&body);
}

char *render_json_line(const struct event *event)
{
    struct object line = object_new();
    put_text(&line, "type", event_types[event->kind].name);
    put_data(&line, event);
    return object_take(&line);
}
