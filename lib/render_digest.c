/* What the formats share: figures of several events, their lists, escaping within a limit. */
#include "render_private.h"

#include "json_out.h"
#include "render.h"

#include <stdlib.h>
#include <string.h>

void digest_of(const struct event *const events[], size_t n, struct digest *ret)
{
    *ret = (struct digest){.n = n, .worst = PRIO_DEBUG, .at = events[0]->at};
    for (size_t i = 0; i < n; i++) {
        ret->counts[events[i]->kind]++;
        if (events[i]->priority < ret->worst)
            ret->worst = events[i]->priority;
        if (events[i]->at.ms > ret->at.ms)
            ret->at = events[i]->at;
    }
}

void digest_summary(const struct digest *digest, struct text *text)
{
    text_addf(text, "%zu event%s", digest->n, digest->n == 1 ? "" : "s");
    const char *between = ": ";
    for (int kind = 0; kind < N_EVENT_KINDS; kind++) {
        if (digest->counts[kind] == 0)
            continue;
        text_addf(text, "%s%zu %s", between, digest->counts[kind], event_types[kind].name);
        between = ", ";
    }
}

struct json_object *digest_counts_json(const struct digest *digest)
{
    struct json_out counts = json_out_new();
    for (int kind = 0; kind < N_EVENT_KINDS; kind++) {
        if (digest->counts[kind] > 0)
            json_out_int(&counts, event_types[kind].name, (int64_t)digest->counts[kind]);
    }
    return json_out_json(&counts);
}

struct json_object *digest_json(const struct event *const events[], size_t n)
{
    struct digest digest;
    digest_of(events, n, &digest);
    struct json_out body = json_out_new();
    struct json_out data = json_out_new();
    struct json_object *array = json_object_new_array();
    char id[MESSAGE_ID_SIZE];
    data.failed |= !format_message_id(events, n, id);
    if (!data.failed)
        json_out_text(&data, "digest_id", id);
    json_out_int(&data, "count", (int64_t)n);
    json_out_put(&data, "counts", digest_counts_json(&digest));
    for (size_t i = 0; i < n && array; i++)
        array = json_out_append(array, event_standard_json(events[i]));
    json_out_put(&data, "events", array);
    json_out_text(&body, "type", "digest");
    json_out_time(&body, "timestamp", digest.at);
    json_out_object(&body, "data", &data);
    return json_out_json(&body);
}

bool event_is_good(const struct event *event)
{
    switch (event->kind) {
    case EVENT_JOB_COMPLETED:
    case EVENT_JOB_RESUMED:
    case EVENT_CAPACITY_OK:
    case EVENT_API_RECOVERED:
        return true;
    case EVENT_API_THROTTLED:
        return event_is_over(event);
    case EVENT_JOB_CREATED:
    case EVENT_JOB_STARTED:
    case EVENT_JOB_COMPLETED_WITH_FAILURES:
    case EVENT_JOB_CANCELLED:
    case EVENT_JOB_FAILURES_GROWING:
    case EVENT_JOB_STALLED:
    case EVENT_JOB_EXPIRING:
    case EVENT_JOB_VANISHED:
    case EVENT_JOB_ANOMALY:
    case EVENT_CAPACITY_HIGH:
    case EVENT_WATCH_STARTED:
    case EVENT_API_UNREACHABLE:
    case EVENT_API_UNAUTHORIZED:
    case EVENT_API_SCHEMA:
    case EVENT_DELIVERY_FAILED:
    case EVENT_TEST:
    case N_EVENT_KINDS:
        break;
    }
    return false;
}

const char *event_sign(const struct event *event)
{
    if (event_is_good(event))
        return "✅";
    if (event->priority <= PRIO_ERR)
        return "🚨";
    return event->priority == PRIO_WARNING ? "⚠️" : "🔔";
}

char *text_escaped(const char *string, size_t max, escape_rule *rule)
{
    static const char ellipsis[] = "…";
    struct text text;
    text_init(&text, SIZE_MAX, TEXT_CLEAN);
    size_t mark = 0; /* the last end of a character that leaves room for the ellipsis */
    char scratch[8];
    for (const char *at = string; *at && text.len <= max && !text.failed;) {
        if (text.len + sizeof ellipsis - 1 <= max)
            mark = text.len;
        uint32_t c;
        size_t n = utf8_decode(at, strlen(at), &c);
        const char *instead = rule && c < 0x80 ? rule((char)c, scratch) : NULL;
        if (instead)
            text_add(&text, instead);
        else
            text_add_bytes(&text, at, n);
        at += n;
    }
    if (text.len > max) {
        text.len = mark;
        text.data[mark] = '\0';
        text_add(&text, max >= sizeof ellipsis - 1 ? ellipsis : "");
    }
    return text_take(&text);
}

char *event_sentence(const struct event *event, size_t max, escape_rule *rule)
{
    char *message = render_message(event);
    struct text text;
    text_init(&text, SIZE_MAX, TEXT_VALID);
    text_addf(&text, "%s ", event_sign(event));
    char *escaped = message && max > text.len ? text_escaped(message, max - text.len, rule) : NULL;
    free(message);
    if (!escaped) {
        text_finish(&text);
        return NULL;
    }
    text_add(&text, escaped);
    free(escaped);
    return text_take(&text);
}

bool list_events(struct text *text, const struct event *const events[], size_t n, size_t *next, size_t max,
                 escape_rule *rule)
{
    for (; *next < n; ++*next) {
        char *line = event_sentence(events[*next], LINE_MAX_BYTES, rule);
        if (!line)
            return false;
        size_t need = text->len + (text->len > 0) + strlen(line) + (*next + 1 < n ? REST_MAX : 0);
        bool fits = need <= max;
        if (fits && text->len > 0)
            text_add(text, "\n");
        if (fits)
            text_add(text, line);
        free(line);
        if (!fits)
            break;
    }
    return !text->failed;
}

void list_rest(struct text *text, size_t rest)
{
    if (rest > 0)
        text_addf(text, "%s… and %zu more", text->len > 0 ? "\n" : "", rest);
}
