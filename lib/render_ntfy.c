/*
 * ntfy: https://docs.ntfy.sh/publish/#publish-as-json
 *
 * JSON rather than headers and a plain body: title and message are then members, where no line end can begin
 * another header and any character goes through. It is posted to the server's root, and the topic goes along.
 * A message is at most 4,096 bytes (more would become an attachment); the server reads twice that of JSON.
 */
#include "render_private.h"

#include "json_out.h"
#include "render.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE 4096
#define MAX_BODY    8192

static int priority_of(enum priority priority)
{
    switch (priority) {
    case PRIO_EMERG:
    case PRIO_ALERT:
    case PRIO_CRIT:
        return 5;
    case PRIO_ERR:
        return 4;
    case PRIO_WARNING:
    case PRIO_NOTICE:
        return 3;
    case PRIO_INFO:
        return 2;
    case PRIO_DEBUG:
        return 1;
    }
    return 3;
}

static char *message_of(const struct event *const events[], size_t n, const struct digest *digest, size_t max)
{
    if (n == 1)
        return event_sentence(events[0], max, NULL);
    struct text text;
    size_t next = 0;
    text_init(&text, SIZE_MAX, TEXT_VALID);
    digest_summary(digest, &text);
    bool fine = list_events(&text, events, n, &next, max, NULL);
    list_rest(&text, n - next);
    if (fine)
        return text_take(&text);
    text_finish(&text);
    return NULL;
}

static char *title_of(const struct event *const events[], size_t n)
{
    struct text title;
    text_init(&title, 200, TEXT_CLEAN);
    if (n == 1)
        text_addf(&title, "%s (%s)", event_types[events[0]->kind].name, events[0]->account);
    else
        text_addf(&title, "klv-jobwatch: %zu events", n);
    return text_take(&title);
}

static char *render_within(const struct event *const events[], size_t n, const char *url, size_t max)
{
    struct digest digest;
    digest_of(events, n, &digest);
    const char *topic = "";
    size_t len = 0;
    ntfy_topic(url, &topic, &len);
    struct json_out body = json_out_new();
    struct json_object *tags = json_object_new_array();
    const char *tag = n == 1 ? event_types[events[0]->kind].name : "digest";
    json_out_put(&body, "topic", json_object_new_string_len(topic, (int)len));
    json_out_taken(&body, "title", title_of(events, n));
    json_out_taken(&body, "message", message_of(events, n, &digest, max));
    json_out_int(&body, "priority", priority_of(digest.worst));
    json_out_put(&body, "tags", json_out_append(tags, json_object_new_string(tag)));
    return json_out_take(&body);
}

char *render_ntfy(const struct event *const events[], size_t n, const char *url)
{
    char *body = render_within(events, n, url, MAX_MESSAGE);
    /* Quotes and line ends take two bytes each in JSON: with half the message the body fits for certain. */
    if (body && strlen(body) > MAX_BODY) {
        free(body);
        body = render_within(events, n, url, MAX_MESSAGE / 2);
    }
    return body;
}
