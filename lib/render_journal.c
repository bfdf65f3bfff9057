#include "render.h"
#include "text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The fields so far; once memory is short it stays failed. */
struct fields {
    struct journal_field *fields;
    size_t n;
    bool failed;
};

/* Add NAME=value; the name is a literal with its '='. What is behind it is cleaned, so it stays one field of
 * one line. */
static void add(struct fields *fields, const char *name, const char *value, size_t max)
{
    if (fields->failed)
        return;
    assert(fields->n < RENDER_MAX_FIELDS);
    struct text text;
    text_init(&text, max, TEXT_CLEAN);
    text_add(&text, name);
    text_add(&text, value);
    size_t len = text.len;
    char *data = text_take(&text);
    fields->failed = !data;
    if (data)
        fields->fields[fields->n++] = (struct journal_field){data, len};
}

static void add_text(struct fields *fields, const char *name, const char *value)
{
    if (value[0])
        add(fields, name, value, RENDER_MAX_VALUE);
}

static void add_count(struct fields *fields, const char *name, int64_t count)
{
    char value[24];
    if (count == COUNT_NONE)
        return;
    snprintf(value, sizeof value, "%" PRId64, count);
    add_text(fields, name, value);
}

/* A rendered string, which is released; NULL is memory that was short. */
static void add_taken(struct fields *fields, const char *name, char *value, size_t max)
{
    if (value)
        add(fields, name, value, max);
    else
        fields->failed = true;
    free(value);
}

static void add_job(struct fields *fields, const struct event *event)
{
    add_text(fields, "KLV_JOB_TYPE=", event->family);
    add_text(fields, "KLV_JOB_ID=", event->job_id);
    add_text(fields, "KLV_STATUS=", event->status);
    if (event->previous.known)
        add_text(fields, "KLV_PREVIOUS_STATUS=", event->previous.status);
    add_count(fields, "KLV_TOTAL_COUNT=", event->counts.total);
    add_count(fields, "KLV_COMPLETED_COUNT=", event->counts.completed);
    add_count(fields, "KLV_FAILED_COUNT=", event->counts.failed);
    add_count(fields, "KLV_SKIPPED_COUNT=", event->counts.skipped);
    if (event->previous.known)
        add_count(fields, "KLV_PREVIOUS_FAILED_COUNT=", event->previous.failed);
    /* JSON that is cut is none: the number of errors and the length of their texts bound it. */
    if (event->n_errors > 0)
        add_taken(fields, "KLV_ERRORS=", render_errors(event), SIZE_MAX);
}

size_t render_journal(const struct event *event, struct journal_field fields[RENDER_MAX_FIELDS])
{
    const struct event_type *type = &event_types[event->kind];
    struct fields all = {.fields = fields};
    add_taken(&all, "MESSAGE=", render_message(event), RENDER_MAX_VALUE);
    add_text(&all, "MESSAGE_ID=", type->message_id);
    add_count(&all, "PRIORITY=", event->priority);
    add_text(&all, "SYSLOG_IDENTIFIER=", "klv-jobwatch");
    add_text(&all, "KLV_EVENT=", type->name);
    add_text(&all, "KLV_EVENT_ID=", event->id);
    add_text(&all, "KLV_ACCOUNT=", event->account);
    add_job(&all, event);
    if (!all.failed)
        return all.n;
    journal_fields_finish(fields, all.n);
    return 0;
}

void journal_fields_finish(struct journal_field *fields, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(fields[i].data);
}
