/*
 * CloudEvents 1.0.2 in the structured mode of its JSON format, a batch for several.
 *
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md: id, source, specversion and type are
 * required and not empty; source is a URI reference, and source and id together are unique; time is RFC 3339.
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md: data is a JSON value
 * when datacontenttype is JSON; a batch is an array.
 */
#include "render_private.h"

#include "json_out.h"

#include <string.h>

/* Only what RFC 3986 calls unreserved stays as it is. */
static void add_part(struct text *text, const char *part)
{
    for (const char *at = part; *at; at++) {
        bool plain = strchr("-._~", *at) || (*at >= '0' && *at <= '9') || (*at >= 'a' && *at <= 'z') ||
                     (*at >= 'A' && *at <= 'Z');
        text_addf(text, plain ? "%c" : "%%%02X", (unsigned char)*at);
    }
}

static void put_source(struct json_out *out, const struct event *event)
{
    struct text source;
    text_init(&source, SIZE_MAX, TEXT_CLEAN);
    text_add(&source, "/klv-jobwatch/");
    add_part(&source, event->account);
    json_out_taken(out, "source", text_take(&source));
}

static void put_subject(struct json_out *out, const struct event *event)
{
    if (!event->family[0] && !event->job_id[0])
        return;
    struct text subject;
    text_init(&subject, SIZE_MAX, TEXT_CLEAN);
    text_add(&subject, event->family);
    if (event->job_id[0])
        text_addf(&subject, "/%s", event->job_id);
    json_out_taken(out, "subject", text_take(&subject));
}

static struct json_object *cloudevent(const struct event *event)
{
    struct json_out out = json_out_new();
    struct text type;
    text_init(&type, SIZE_MAX, TEXT_CLEAN);
    text_addf(&type, "klv-jobwatch.%s", event_types[event->kind].name);
    json_out_text(&out, "specversion", "1.0");
    json_out_text(&out, "id", event->id);
    put_source(&out, event);
    json_out_taken(&out, "type", text_take(&type));
    put_subject(&out, event);
    json_out_time(&out, "time", event->at);
    json_out_text(&out, "datacontenttype", "application/json");
    json_out_put(&out, "data", event_data_json(event, true));
    return json_out_json(&out);
}

char *render_cloudevents(const struct event *const events[], size_t n)
{
    if (n == 1)
        return json_out_string(cloudevent(events[0]));
    struct json_object *batch = json_object_new_array();
    for (size_t i = 0; i < n && batch; i++)
        batch = json_out_append(batch, cloudevent(events[i]));
    return json_out_string(batch);
}
