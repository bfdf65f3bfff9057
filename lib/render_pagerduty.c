/*
 * PagerDuty's Events API v2: https://developer.pagerduty.com/docs/events-api-v2-overview
 *
 * One request carries one event. A summary is at most 1,024 characters, a dedup_key 255, the whole 512 KB.
 * The alert is the job's, or the condition's: what goes wrong with it triggers, what needs nobody resolves (to
 * resolve what was never open does nothing), so a filter for this format should let both through.
 */
#include "render_private.h"

#include "json_out.h"
#include "render.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SUMMARY 1024
#define MAX_DEDUP   255
#define MAX_BODY    ((size_t)512 * 1000)

static const char *severity_of(enum priority priority)
{
    switch (priority) {
    case PRIO_EMERG:
    case PRIO_ALERT:
    case PRIO_CRIT:
        return "critical";
    case PRIO_ERR:
        return "error";
    case PRIO_WARNING:
        return "warning";
    case PRIO_NOTICE:
    case PRIO_INFO:
    case PRIO_DEBUG:
        break;
    }
    return "info";
}

static bool needs_nobody(const struct event *event)
{
    return event_is_good(event) || event->kind == EVENT_JOB_CREATED || event->kind == EVENT_JOB_STARTED ||
           event->kind == EVENT_WATCH_STARTED;
}

/* The alert's name where it is not the job's. api.recovered ends each of the first three. */
static const char *condition_of(const struct event *event)
{
    switch (event->kind) {
    case EVENT_API_UNREACHABLE:
    case EVENT_API_UNAUTHORIZED:
    case EVENT_API_SCHEMA:
    case EVENT_API_RECOVERED:
        return "api";
    case EVENT_API_THROTTLED:
        return "throttled";
    case EVENT_CAPACITY_HIGH:
    case EVENT_CAPACITY_OK:
        return "capacity";
    case EVENT_DELIVERY_FAILED:
        return "delivery";
    case EVENT_WATCH_STARTED:
        return "watch";
    case EVENT_TEST:
        return "test";
    case EVENT_JOB_CREATED:
    case EVENT_JOB_STARTED:
    case EVENT_JOB_COMPLETED:
    case EVENT_JOB_COMPLETED_WITH_FAILURES:
    case EVENT_JOB_CANCELLED:
    case EVENT_JOB_FAILURES_GROWING:
    case EVENT_JOB_STALLED:
    case EVENT_JOB_RESUMED:
    case EVENT_JOB_EXPIRING:
    case EVENT_JOB_VANISHED:
    case EVENT_JOB_ANOMALY:
    case N_EVENT_KINDS:
        break;
    }
    return NULL;
}

/* account/family/job, account/family/condition or account/condition; a hash of it where it is too long. */
static void put_dedup_key(struct json_out *body, const struct event *event)
{
    struct text key;
    const char *condition = condition_of(event);
    text_init(&key, SIZE_MAX, TEXT_CLEAN);
    text_add(&key, event->account);
    if (event->family[0])
        text_addf(&key, "/%s", event->family);
    text_addf(&key, "/%s", condition ? condition : event->job_id);
    char hash[EVENT_ID_SIZE];
    if (key.len <= MAX_DEDUP) {
        json_out_taken(body, "dedup_key", text_take(&key));
    } else if (event_id(event->account, event->family, event->job_id, EVENT_TEST, "dedup", hash)) {
        memcpy(hash, "key_", 4);
        json_out_text(body, "dedup_key", hash);
    } else {
        body->failed = true;
    }
    text_finish(&key);
}

static void put_payload(struct json_out *body, const struct event *event, bool with_errors)
{
    struct json_out payload = json_out_new();
    char *message = render_message(event);
    json_out_taken(&payload, "summary", message ? text_escaped(message, MAX_SUMMARY, NULL) : NULL);
    free(message);
    json_out_text(&payload, "source", event->account[0] ? event->account : "klv-jobwatch");
    json_out_text(&payload, "severity", severity_of(event->priority));
    json_out_time(&payload, "timestamp", event->at);
    if (event->family[0])
        json_out_text(&payload, "component", event->family);
    json_out_text(&payload, "class", event_types[event->kind].name);
    json_out_put(&payload, "custom_details", event_data_json(event, with_errors));
    json_out_object(body, "payload", &payload);
}

static char *render_body(const struct event *event, const char *routing_key, bool with_errors)
{
    struct json_out body = json_out_new();
    json_out_text(&body, "routing_key", routing_key ? routing_key : "");
    json_out_text(&body, "event_action", needs_nobody(event) ? "resolve" : "trigger");
    put_dedup_key(&body, event);
    json_out_text(&body, "client", "klv-jobwatch");
    put_payload(&body, event, with_errors);
    return json_out_take(&body);
}

char *render_pagerduty(const struct event *event, const char *routing_key)
{
    char *body = render_body(event, routing_key, true);
    if (body && strlen(body) > MAX_BODY) {
        explicit_bzero(body, strlen(body));
        free(body);
        body = render_body(event, routing_key, false);
    }
    return body;
}
