#include "config_private.h"

#include "render_formats.h"
#include "template.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Filled first; what has to be worked out from several options follows. */
struct webhook_options {
    struct config_webhook webhook;
    char *format;
    struct config_list headers;
};

#define HOOK(member) offsetof(struct webhook_options, member)

static const struct value_rule webhook_rules[] = {
    {"url", VALUE_TEXT, NULL, 0, 0, false, HOOK(webhook.url)},
    {"secret-file", VALUE_PATH, NULL, 0, 0, false, HOOK(webhook.secret_file)},
    {"format", VALUE_TEXT, "standard", 0, 0, false, HOOK(format)},
    {"template-file", VALUE_PATH, NULL, 0, 0, false, HOOK(webhook.template_file)},
    {"content-type", VALUE_TEXT, NULL, 0, 0, false, HOOK(webhook.content_type)},
    {"events", VALUE_LIST, "{\"*\"}", 0, 0, false, HOOK(webhook.events)},
    {"min-priority", VALUE_PRIORITY, "info", 0, 0, false, HOOK(webhook.min_priority)},
    {"accounts", VALUE_LIST, "{\"*\"}", 0, 0, false, HOOK(webhook.accounts)},
    {"families", VALUE_LIST, "{\"*\"}", 0, 0, false, HOOK(webhook.families)},
    {"give-up-after", VALUE_DURATION, "3d", MINUTE, 30 * DAY, false, HOOK(webhook.give_up_after)},
    {"timeout", VALUE_DURATION, "15s", 100, 2 * MINUTE, false, HOOK(webhook.timeout)},
    {"retry-base", VALUE_DURATION, "5s", 10, HOUR, false, HOOK(webhook.retry_base)},
    {"retry-max", VALUE_DURATION, "1h", 10, DAY, false, HOOK(webhook.retry_max)},
    {"concurrency", VALUE_COUNT, "4", 1, 64, false, HOOK(webhook.concurrency)},
    {"group-wait", VALUE_DURATION, "0s", 100, HOUR, true, HOOK(webhook.group_wait)},
    {"group-max", VALUE_COUNT, "50", 2, CONFIG_GROUP_MAX, false, HOOK(webhook.group_max)},
    {"allow-http", VALUE_BOOL, "false", 0, 0, false, HOOK(webhook.allow_http)},
    {"ca-file", VALUE_PATH, NULL, 0, 0, false, HOOK(webhook.ca_file)},
    {"client-cert-file", VALUE_PATH, NULL, 0, 0, false, HOOK(webhook.client_cert_file)},
    {"headers", VALUE_LIST, "{}", 0, 0, false, HOOK(headers)},
};

const struct section_rules webhook_section = {"webhook", webhook_rules, COUNT(webhook_rules), true};

/* RFC 9110 section 5.6.2: the characters of a header's name. */
static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && (text[i] == '\0' || !strchr("!#$%&'*+-.^_`|~", text[i])))
            return false;
    }
    return len > 0;
}

static bool is_ours(const char *name)
{
    static const char *const ours[] = {"content-type",      "content-length", "host",
                                       "transfer-encoding", "connection",     "user-agent"};
    for (size_t i = 0; i < COUNT(ours); i++) {
        if (strcasecmp(name, ours[i]) == 0)
            return true;
    }
    return strncasecmp(name, "webhook-", 8) == 0;
}

/* NULL when fine, else what is wrong. */
static const char *read_header(const char *line, struct config_header *ret)
{
    const char *colon = strchr(line, ':');
    if (!colon || !is_token(line, (size_t)(colon - line)))
        return "should read \"Name: value\"";
    for (const char *c = colon; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return "holds a control character";
    }
    ret->name = strndup(line, (size_t)(colon - line));
    ret->value = strdup(colon + 1 + strspn(colon + 1, " \t"));
    if (!ret->name || !ret->value)
        return "out of memory";
    return is_ours(ret->name) ? "is set by klv-jobwatch itself" : NULL;
}

static void fill_headers(struct parsing *p, cfg_t *section, struct webhook_options *filled)
{
    struct config_webhook *webhook = &filled->webhook;
    webhook->headers = calloc(filled->headers.n ? filled->headers.n : 1, sizeof *webhook->headers);
    if (!webhook->headers) {
        complain(p, 0, "out of memory");
        return;
    }
    for (size_t i = 0; i < filled->headers.n; i++) {
        const char *why = read_header(filled->headers.items[i], &webhook->headers[webhook->n_headers++]);
        if (why)
            complain(p, line_of(p, section, "headers"), "headers: \"%.40s\" %s", filled->headers.items[i],
                     why);
    }
}

static void check_globs(struct parsing *p, cfg_t *section, const struct config_list *events)
{
    for (size_t i = 0; i < events->n; i++) {
        bool found = false;
        for (int kind = 0; kind < N_EVENT_KINDS; kind++)
            found |= glob_match(events->items[i], event_types[kind].name);
        if (!found)
            complain(p, line_of(p, section, "events"),
                     "events: \"%s\" matches no kind of event; klv-jobwatch(8) lists them", events->items[i]);
    }
}

/* A media type, in what a header may hold. */
static bool is_content_type(const char *text)
{
    const char *slash = strchr(text, '/');
    if (!slash || !is_token(text, (size_t)(slash - text)))
        return false;
    size_t len = strcspn(slash + 1, "; ");
    for (const char *c = slash + 1 + len; *c; c++) {
        if (*c < ' ' || *c == 0x7f)
            return false;
    }
    return is_token(slash + 1, len);
}

static void complain_format(struct parsing *p, cfg_t *section, const char *given)
{
    struct text allowed;
    text_init(&allowed, 200, TEXT_CLEAN);
    for (enum webhook_format format = 0; format < N_WEBHOOK_FORMATS; format++)
        text_addf(&allowed, "%s%s", format == 0 ? "" : ", ", format_name(format));
    complain(p, line_of(p, section, "format"), "format = \"%s\": should be one of %s", given,
             allowed.data ? allowed.data : "?");
    text_finish(&allowed);
}

static void fill_format(struct parsing *p, cfg_t *section, struct webhook_options *filled)
{
    struct config_webhook *webhook = &filled->webhook;
    if (filled->format && !format_from_name(filled->format, &webhook->format)) {
        complain_format(p, section, filled->format);
        return;
    }
    bool template = webhook->format == FORMAT_TEMPLATE;
    const char *topic;
    size_t len;
    if (template && !webhook->template_file)
        complain(p, line_of(p, section, "format"), "format = template: template-file is needed too");
    if (!template && webhook->template_file)
        complain(p, line_of(p, section, "template-file"), "template-file: is for format = template only");
    if (!template && webhook->content_type)
        complain(p, line_of(p, section, "content-type"), "content-type: is for format = template only");
    if (webhook->content_type && !is_content_type(webhook->content_type))
        complain(p, line_of(p, section, "content-type"),
                 "content-type = \"%s\": should be a media type, as in text/plain", webhook->content_type);
    if (webhook->group_wait > 0 && format_group_limit(webhook->format) == 1)
        complain(p, line_of(p, section, "group-wait"), "group-wait: a request of format %s holds one event",
                 format_name(webhook->format));
    if (webhook->format == FORMAT_NTFY && webhook->url && !ntfy_topic(webhook->url, &topic, &len))
        complain(p, line_of(p, section, "url"),
                 "url should end in the topic, as in https://ntfy.sh/topic: 1 to 64 letters, digits, - or _");
}

static void fill_webhook(struct parsing *p, cfg_t *section, struct config_webhook *ret)
{
    struct webhook_options filled = {0};
    struct config_webhook *webhook = &filled.webhook;
    const char *why;
    fill(p, section, &webhook_section, &filled);
    title_is_fine(p, section, "webhook");
    webhook->name = strdup(cfg_title(section));
    if (!webhook->name)
        complain(p, 0, "out of memory");
    if (!webhook->url)
        complain(p, line_of(p, section, NULL), "webhook \"%s\": url is needed", cfg_title(section));
    else if (!url_is_allowed(webhook->url, webhook->allow_http, true, &why))
        /* The URL itself may hold credentials or a token: it is not repeated. */
        complain(p, line_of(p, section, "url"), "url %s%s", why,
                 webhook->allow_http ? "" : ", or with allow-http = true");
    fill_format(p, section, &filled);
    if (webhook->retry_max > 0 && webhook->retry_max < webhook->retry_base)
        complain(p, line_of(p, section, "retry-max"), "retry-max should not be shorter than retry-base");
    check_globs(p, section, &webhook->events);
    fill_headers(p, section, &filled);
    config_list_finish(&filled.headers);
    free(filled.format);
    *ret = *webhook;
}

void fill_webhooks(struct parsing *p, cfg_t *cfg)
{
    p->config->webhooks =
        room_for_each(p, cfg, "webhook", sizeof *p->config->webhooks, &p->config->n_webhooks);
    for (size_t i = 0; i < p->config->n_webhooks; i++)
        fill_webhook(p, cfg_getnsec(cfg, "webhook", (unsigned)i), &p->config->webhooks[i]);
}

bool webhook_takes(const struct config_webhook *webhook, const struct event *event)
{
    return event->priority <= webhook->min_priority &&
           config_list_matches(&webhook->events, event_types[event->kind].name) &&
           config_list_matches(&webhook->accounts, event->account) &&
           (!event->family[0] || config_list_matches(&webhook->families, event->family));
}

void config_webhook_finish(struct config_webhook *webhook)
{
    free(webhook->name);
    free(webhook->url);
    free(webhook->secret_file);
    free(webhook->template_file);
    free(webhook->content_type);
    template_free(webhook->template);
    config_list_finish(&webhook->events);
    config_list_finish(&webhook->accounts);
    config_list_finish(&webhook->families);
    free(webhook->ca_file);
    free(webhook->client_cert_file);
    for (size_t i = 0; i < webhook->n_headers; i++) {
        free(webhook->headers[i].name);
        free(webhook->headers[i].value);
    }
    free(webhook->headers);
}
