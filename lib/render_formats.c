#include "render_formats.h"

#include "json_out.h"
#include "render.h"
#include "render_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    bool is_signed;
    bool one_event;
} formats[N_WEBHOOK_FORMATS] = {
    [FORMAT_STANDARD] = {"standard", true, false},   [FORMAT_CLOUDEVENTS] = {"cloudevents", true, false},
    [FORMAT_SLACK] = {"slack", false, false},        [FORMAT_DISCORD] = {"discord", false, false},
    [FORMAT_PAGERDUTY] = {"pagerduty", false, true}, [FORMAT_NTFY] = {"ntfy", false, false},
    [FORMAT_TEMPLATE] = {"template", true, false},
};

const char *format_name(enum webhook_format format)
{
    return formats[format].name;
}

bool format_from_name(const char *name, enum webhook_format *ret)
{
    for (enum webhook_format format = 0; format < N_WEBHOOK_FORMATS; format++) {
        if (strcmp(formats[format].name, name) == 0) {
            *ret = format;
            return true;
        }
    }
    return false;
}

size_t format_group_limit(enum webhook_format format)
{
    return formats[format].one_event ? 1 : SIZE_MAX;
}

bool format_is_signed(enum webhook_format format)
{
    return formats[format].is_signed;
}

const char *format_content_type(enum webhook_format format, const struct render_context *context, size_t n)
{
    if (format == FORMAT_CLOUDEVENTS)
        return n == 1 ? "application/cloudevents+json" : "application/cloudevents-batch+json";
    if (format == FORMAT_TEMPLATE && context->content_type)
        return context->content_type;
    return "application/json";
}

bool ntfy_topic(const char *url, const char **ret, size_t *ret_len)
{
    const char *host = strstr(url, "://");
    if (!host)
        return false;
    const char *path = host + 3 + strcspn(host + 3, "/?#");
    if (*path != '/')
        return false;
    size_t len = strspn(++path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_");
    if (len == 0 || len > 64 || (path[len] != '\0' && path[len] != '?'))
        return false;
    *ret = path;
    *ret_len = len;
    return true;
}

char *format_url(enum webhook_format format, const char *url)
{
    const char *topic;
    size_t len;
    if (format != FORMAT_NTFY || !ntfy_topic(url, &topic, &len))
        return strdup(url);
    char *server = strdup(url);
    if (server)
        memmove(server + (topic - url), topic + len, strlen(topic + len) + 1);
    return server;
}

bool format_message_id(const struct event *const events[], size_t n, char out[MESSAGE_ID_SIZE])
{
    if (n == 1) {
        memcpy(out, events[0]->id, MESSAGE_ID_SIZE);
        return true;
    }
    char *ids = malloc(n * EVENT_ID_SIZE + 1);
    if (!ids)
        return false;
    char *at = ids;
    for (size_t i = 0; i < n; i++)
        at = stpcpy(stpcpy(at, events[i]->id), " ");
    bool fine = event_id("", "", "", EVENT_TEST, ids, out);
    if (fine)
        memcpy(out, "dig_", 4);
    free(ids);
    return fine;
}

char *render_webhook(enum webhook_format format, const struct render_context *context,
                     const struct event *const events[], size_t n, size_t *len)
{
    assert(n > 0 && n <= format_group_limit(format));
    char *body = NULL;
    switch (format) {
    case FORMAT_STANDARD:
        body = n == 1 ? render_standard(events[0]) : json_out_string(digest_json(events, n));
        break;
    case FORMAT_CLOUDEVENTS:
        body = render_cloudevents(events, n);
        break;
    case FORMAT_SLACK:
        body = render_slack(events, n);
        break;
    case FORMAT_DISCORD:
        body = render_discord(events, n);
        break;
    case FORMAT_PAGERDUTY:
        body = render_pagerduty(events[0], context->routing_key);
        break;
    case FORMAT_NTFY:
        body = render_ntfy(events, n, context->url);
        break;
    case FORMAT_TEMPLATE:
        body = render_template(context->template, events, n);
        break;
    case N_WEBHOOK_FORMATS:
        break;
    }
    if (body && len)
        *len = strlen(body);
    return body;
}
