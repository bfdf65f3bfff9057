/* The fields of a template, and the filling of it. */
#include "render_private.h"
#include "template_private.h"

#include "closest.h"
#include "json_out.h"
#include "render.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a place sees: one event, or all of them. */
struct view {
    const struct template *template;
    const struct event *const *events;
    size_t n;
    const struct event *event; /* NULL: the digest as a whole */
    bool last;                 /* of the events of a section */
    struct digest digest;
    char id[MESSAGE_ID_SIZE];
};

enum field {
    FIELD_TYPE,
    FIELD_KIND,
    FIELD_TIMESTAMP,
    FIELD_EVENT_ID,
    FIELD_ACCOUNT,
    FIELD_MESSAGE,
    FIELD_PRIORITY,
    FIELD_REMINDER,
    FIELD_REASON,
    FIELD_JOB_TYPE,
    FIELD_JOB_TYPE_TOO,
    FIELD_JOB_ID,
    FIELD_JOB_STATUS,
    FIELD_TOTAL,
    FIELD_COMPLETED,
    FIELD_FAILED,
    FIELD_SKIPPED,
    FIELD_CREATED_AT,
    FIELD_COMPLETED_AT,
    FIELD_EXPIRES_AT,
    FIELD_PREVIOUS_STATUS,
    FIELD_PREVIOUS_COMPLETED,
    FIELD_PREVIOUS_FAILED,
    FIELD_ERRORS,
    FIELD_JSON,
    FIELD_ID,
    FIELD_COUNT,
    FIELD_DIGEST,
    FIELD_LAST,
    N_FIELDS,
    FIELD_COUNTS = N_FIELDS, /* and the kind */
};

#define COUNTS "counts."

static const char *const names[N_FIELDS] = {
    [FIELD_TYPE] = "type",
    [FIELD_KIND] = "kind",
    [FIELD_TIMESTAMP] = "timestamp",
    [FIELD_EVENT_ID] = "event_id",
    [FIELD_ACCOUNT] = "account",
    [FIELD_MESSAGE] = "message",
    [FIELD_PRIORITY] = "priority",
    [FIELD_REMINDER] = "reminder",
    [FIELD_REASON] = "reason",
    [FIELD_JOB_TYPE] = "job_type",
    [FIELD_JOB_TYPE_TOO] = "job.type",
    [FIELD_JOB_ID] = "job.id",
    [FIELD_JOB_STATUS] = "job.status",
    [FIELD_TOTAL] = "job.total_count",
    [FIELD_COMPLETED] = "job.completed_count",
    [FIELD_FAILED] = "job.failed_count",
    [FIELD_SKIPPED] = "job.skipped_count",
    [FIELD_CREATED_AT] = "job.created_at",
    [FIELD_COMPLETED_AT] = "job.completed_at",
    [FIELD_EXPIRES_AT] = "job.expires_at",
    [FIELD_PREVIOUS_STATUS] = "previous.status",
    [FIELD_PREVIOUS_COMPLETED] = "previous.completed_count",
    [FIELD_PREVIOUS_FAILED] = "previous.failed_count",
    [FIELD_ERRORS] = "errors",
    [FIELD_JSON] = "json",
    [FIELD_ID] = "id",
    [FIELD_COUNT] = "count",
    [FIELD_DIGEST] = "digest",
    [FIELD_LAST] = "last",
};

static bool is_name(const char *name, size_t len, const char *known)
{
    return strlen(known) == len && memcmp(name, known, len) == 0;
}

int template_field(const char *name, size_t len)
{
    const size_t prefix = sizeof COUNTS - 1;
    for (int field = 0; field < N_FIELDS; field++) {
        if (is_name(name, len, names[field]))
            return field;
    }
    for (int kind = 0; kind < N_EVENT_KINDS; kind++) {
        if (len > prefix && memcmp(name, COUNTS, prefix) == 0 &&
            is_name(name + prefix, len - prefix, event_types[kind].name))
            return FIELD_COUNTS + kind;
    }
    return -1;
}

const char *template_field_near(const char *name, size_t len)
{
    char word[64];
    if (len >= sizeof word)
        return NULL;
    memcpy(word, name, len);
    word[len] = '\0';
    return closest(word, names, N_FIELDS);
}

/* ---- values ---- */

static void add_taken(struct text *text, char *string)
{
    if (string)
        text_add(text, string);
    else
        text->failed = true;
    free(string);
}

static void add_count(struct text *text, int64_t count)
{
    if (count != COUNT_NONE)
        text_addf(text, "%" PRId64, count);
}

static void add_time(struct text *text, wall_time t)
{
    char at[WALL_TEXT_SIZE];
    if (!wall_is_none(t))
        text_add(text, wall_format(t, at));
}

static void add_of_job(struct text *text, enum field field, const struct event *event)
{
    const struct event_previous *previous = &event->previous;
    if (field == FIELD_JOB_TYPE || field == FIELD_JOB_TYPE_TOO)
        text_add(text, event->family);
    else if (field == FIELD_JOB_ID)
        text_add(text, event->job_id);
    else if (field == FIELD_JOB_STATUS)
        text_add(text, event->status);
    else if (field == FIELD_TOTAL)
        add_count(text, event->counts.total);
    else if (field == FIELD_COMPLETED)
        add_count(text, event->counts.completed);
    else if (field == FIELD_FAILED)
        add_count(text, event->counts.failed);
    else if (field == FIELD_SKIPPED)
        add_count(text, event->counts.skipped);
    else if (field == FIELD_CREATED_AT)
        add_time(text, event->created_at);
    else if (field == FIELD_COMPLETED_AT)
        add_time(text, event->completed_at);
    else if (field == FIELD_EXPIRES_AT)
        add_time(text, event->expires_at);
    else if (field == FIELD_PREVIOUS_STATUS)
        text_add(text, previous->status);
    else if (field == FIELD_PREVIOUS_COMPLETED)
        add_count(text, previous->completed);
    else if (field == FIELD_PREVIOUS_FAILED)
        add_count(text, previous->failed);
}

static void add_of_event(struct text *text, enum field field, const struct event *event)
{
    if (field == FIELD_TYPE || field == FIELD_KIND)
        text_add(text, event_types[event->kind].name);
    else if (field == FIELD_TIMESTAMP)
        add_time(text, event->at);
    else if (field == FIELD_EVENT_ID)
        text_add(text, event->id);
    else if (field == FIELD_ACCOUNT)
        text_add(text, event->account);
    else if (field == FIELD_MESSAGE)
        add_taken(text, render_message(event));
    else if (field == FIELD_PRIORITY)
        text_add(text, priority_word(event->priority));
    else if (field == FIELD_REMINDER)
        text_add(text, event->reminder ? "true" : "");
    else if (field == FIELD_REASON)
        text_add(text, event->note);
    else if (field == FIELD_ERRORS)
        add_taken(text, render_errors(event));
    else if (field == FIELD_JSON)
        add_taken(text, render_standard(event));
    else
        add_of_job(text, field, event);
}

/* What a digest has of the fields that are an event's. */
static void add_of_digest(struct text *text, enum field field, const struct view *view)
{
    if (field == FIELD_TYPE || field == FIELD_KIND)
        text_add(text, "digest");
    else if (field == FIELD_TIMESTAMP)
        add_time(text, view->digest.at);
    else if (field == FIELD_MESSAGE)
        digest_summary(&view->digest, text);
    else if (field == FIELD_PRIORITY)
        text_add(text, priority_word(view->digest.worst));
    else if (field == FIELD_JSON)
        add_taken(text, json_out_string(digest_json(view->events, view->n)));
}

static void add_value(struct text *text, int field, const struct view *view)
{
    if (field >= FIELD_COUNTS)
        text_addf(text, "%zu", view->digest.counts[field - FIELD_COUNTS]);
    else if (field == FIELD_ID)
        text_add(text, view->id);
    else if (field == FIELD_COUNT)
        text_addf(text, "%zu", view->n);
    else if (field == FIELD_DIGEST)
        text_add(text, view->n > 1 ? "true" : "");
    else if (field == FIELD_LAST)
        text_add(text, view->last ? "true" : "");
    else if (!view->event)
        add_of_digest(text, (enum field)field, view);
    else
        add_of_event(text, (enum field)field, view->event);
}

/* As it stands inside of a JSON string. */
static void add_escaped(struct text *text, const char *string, size_t len)
{
    for (size_t at = 0; at < len;) {
        uint32_t c;
        size_t n = utf8_decode(string + at, len - at, &c);
        if (c == '"' || c == '\\')
            text_addf(text, "\\%c", (char)c);
        else if (utf8_is_control(c))
            text_addf(text, "\\u%04x", (unsigned)c);
        else
            text_add_bytes(text, string + at, n);
        at += n;
    }
}

/* ---- filling ---- */

static void add_field(struct text *text, const struct op *op, const struct view *view)
{
    struct text value;
    text_init(&value, SIZE_MAX, TEXT_VALID);
    add_value(&value, op->field, view);
    text->failed |= value.failed;
    if (value.len > 0 && op->kind == OP_RAW)
        text_add_bytes(text, value.data, value.len);
    else if (value.len > 0)
        add_escaped(text, value.data, value.len);
    text_finish(&value);
}

/* None, "0" and "[]" are no value. */
static bool has_value(const struct op *op, const struct view *view, struct text *text)
{
    struct text value;
    text_init(&value, SIZE_MAX, TEXT_VALID);
    add_value(&value, op->field, view);
    text->failed |= value.failed;
    bool has = value.len > 0 && strcmp(value.data, "0") != 0 && strcmp(value.data, "[]") != 0;
    text_finish(&value);
    return has;
}

static void fill(struct text *text, const struct view *view, size_t from, size_t to);

static void fill_events(struct text *text, const struct view *view, size_t from, size_t to)
{
    struct view inner = *view;
    for (size_t i = 0; i < view->n; i++) {
        inner.event = view->events[i];
        inner.last = i + 1 == view->n;
        fill(text, &inner, from, to);
    }
}

/* Sections are at most MAX_DEPTH deep, and so is this. */
static void fill(struct text *text, const struct view *view, size_t from, size_t to)
{
    const struct template *template = view->template;
    for (size_t i = from; i < to && !text->failed; i++) {
        const struct op *op = &template->ops[i];
        switch (op->kind) {
        case OP_TEXT:
            text_add_bytes(text, template->text + op->begin, op->len);
            break;
        case OP_FIELD:
        case OP_RAW:
            add_field(text, op, view);
            break;
        case OP_IF:
        case OP_IF_NOT:
            if (has_value(op, view, text) == (op->kind == OP_IF))
                fill(text, view, i + 1, op->end);
            i = op->end;
            break;
        case OP_EVENTS:
            fill_events(text, view, i + 1, op->end);
            i = op->end;
            break;
        case OP_END:
            break;
        }
    }
}

char *render_template(const struct template *template, const struct event *const events[], size_t n)
{
    struct view view = {
        .template = template, .events = events, .n = n, .event = n == 1 ? events[0] : NULL, .last = true};
    digest_of(events, n, &view.digest);
    if (!format_message_id(events, n, view.id))
        return NULL;
    struct text text;
    text_init(&text, SIZE_MAX, TEXT_VALID);
    fill(&text, &view, 0, template->n);
    return text_take(&text);
}
