#include "config_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ERRORS_TEXT 65536

/* Filled first; what has to be worked out from several options follows. */
struct alerts_options {
    struct alert_rules rules;
    double capacity;
    char *step;
};

#define TOP(member)   offsetof(struct config, member)
#define ALERT(member) offsetof(struct alerts_options, member)
#define BEAT(member)  offsetof(struct config_heartbeat, member)

static const struct value_rule top_rules[] = {
    {"api-url", VALUE_TEXT, "https://a.klaviyo.com", 0, 0, false, TOP(api_url)},
    {"revision", VALUE_TEXT, "2026-07-15", 0, 0, false, TOP(revision)},
    {"ca-file", VALUE_PATH, NULL, 0, 0, false, TOP(ca_file)},
    {"connect-timeout", VALUE_DURATION, "10s", 100, MINUTE, false, TOP(connect_timeout)},
    {"request-timeout", VALUE_DURATION, "30s", 100, 5 * MINUTE, false, TOP(request_timeout)},
    {"retention", VALUE_DURATION, "30d", HOUR, 3650 * DAY, false, TOP(retention)},
};

static const struct value_rule alerts_rules[] = {
    {"stalled-after", VALUE_DURATION, "15m", SECOND, 30 * DAY, true, ALERT(rules.stalled_after)},
    {"failure-ratio", VALUE_SHARE, "5%", 1, 100 * PERCENT, true, ALERT(rules.failure_ratio)},
    {"expiring-before", VALUE_DURATION, "24h", SECOND, 365 * DAY, true, ALERT(rules.expiring_before)},
    {"unreachable-after", VALUE_DURATION, "2m", 100, DAY, false, ALERT(rules.unreachable_after)},
    {"remind-every", VALUE_DURATION, "4h", SECOND, 30 * DAY, true, ALERT(rules.remind_every)},
    {"capacity-warn", VALUE_SHARE, "90%", 1, 100 * PERCENT, true, ALERT(capacity)},
    {"job-created", VALUE_BOOL, "false", 0, 0, false, ALERT(rules.job_created)},
    {"failure-step", VALUE_TEXT, "0", 0, 0, false, ALERT(step)}, /* its range is its own: any int64 */
};

static const struct value_rule heartbeat_rules[] = {
    {"url", VALUE_TEXT, NULL, 0, 0, false, BEAT(url)},
    {"every", VALUE_DURATION, "1m", 100, DAY, false, BEAT(every)},
    {"timeout", VALUE_DURATION, "10s", 100, MINUTE, false, BEAT(timeout)},
    {"allow-http", VALUE_BOOL, "false", 0, 0, false, BEAT(allow_http)},
    {"ca-file", VALUE_PATH, NULL, 0, 0, false, BEAT(ca_file)},
};

static const struct section_rules top_section = {"", top_rules, COUNT(top_rules), false},
                                  alerts_section = {"alerts", alerts_rules, COUNT(alerts_rules), false},
                                  heartbeat_section = {"heartbeat", heartbeat_rules, COUNT(heartbeat_rules),
                                                       false};

static const struct section_rules *const sections[] = {&top_section,     &alerts_section, &account_section,
                                                       &webhook_section, &family_section, &heartbeat_section};

static int64_t step_of(struct parsing *p, cfg_t *section, const char *text)
{
    char *end;
    long long step = text && isdigit((unsigned char)text[0]) ? strtoll(text, &end, 10) : -1;
    if (step < 0 || *end != '\0')
        complain(p, line_of(p, section, "failure-step"),
                 "failure-step = \"%s\": should be a whole number of items; 0: tell at each doubling",
                 text ? text : "");
    return step;
}

static void fill_alerts(struct parsing *p, cfg_t *cfg)
{
    cfg_t *section = cfg_getsec(cfg, "alerts");
    struct alerts_options alerts = {.rules = alert_rules_default};
    fill(p, section, &alerts_section, &alerts);
    alerts.rules.failure_step = step_of(p, section, alerts.step);
    free(alerts.step);
    double jobs = alerts.capacity * JOB_CAPACITY;
    alerts.rules.capacity_warn = (uint32_t)jobs + (jobs > (double)(uint32_t)jobs);
    p->config->alerts = alerts.rules;
}

static void fill_top(struct parsing *p, cfg_t *cfg)
{
    struct config *config = p->config;
    const char *why;
    fill(p, cfg, &top_section, config);
    if (!config->api_url || !config->revision)
        return;
    size_t len = strlen(config->api_url);
    if (len > 0 && config->api_url[len - 1] == '/')
        config->api_url[len - 1] = '\0';
    const char *host = strstr(config->api_url, "://");
    if (!url_is_allowed(config->api_url, false, false, &why))
        complain(p, line_of(p, cfg, "api-url"), "api-url = \"%s\": %s", config->api_url, why);
    else if (strpbrk(host + 3, "/?#"))
        complain(p, line_of(p, cfg, "api-url"),
                 "api-url = \"%s\": should be scheme and host only, without a path", config->api_url);
    if (!revision_is_valid(config->revision))
        complain(p, line_of(p, cfg, "revision"),
                 "revision = \"%s\": should be a date as in 2026-07-15, or 2026-07-15.pre", config->revision);
}

static void fill_heartbeat(struct parsing *p, cfg_t *cfg)
{
    struct config_heartbeat *heartbeat = &p->config->heartbeat;
    cfg_t *section = cfg_getsec(cfg, "heartbeat");
    const char *why;
    fill(p, section, &heartbeat_section, heartbeat);
    bool given = false;
    for (size_t i = 0; i < COUNT(heartbeat_rules); i++)
        given |= was_given(p, section, heartbeat_rules[i].name);
    if (!heartbeat->url && given)
        complain(p, line_of(p, section, NULL), "heartbeat: url is needed");
    else if (heartbeat->url && !url_is_allowed(heartbeat->url, heartbeat->allow_http, true, &why))
        /* As a webhook's, it is not repeated. */
        complain(p, line_of(p, section, "url"), "url %s%s", why,
                 heartbeat->allow_http ? "" : ", or with allow-http = true");
}

static void fill_all(struct parsing *p, cfg_t *cfg)
{
    fill_top(p, cfg);
    fill_alerts(p, cfg);
    fill_families(p, cfg);
    fill_accounts(p, cfg);
    fill_webhooks(p, cfg);
    fill_heartbeat(p, cfg);
    if (p->config->n_accounts == 0)
        complain(p, cfg->line, "there should be at least one section account \"name\" { ... }");
}

static void parse(struct parsing *p, const char *text)
{
    p->config = calloc(1, sizeof *p->config);
    if (!p->config) {
        complain(p, 0, "out of memory");
        return;
    }
    cfg_t *cfg = parser_read(p, text, sections, COUNT(sections));
    if (!cfg)
        return;
    fill_all(p, cfg);
    int open = parser_open_brace(text);
    if (open > 0)
        complain(p, open, "the section that begins here is not closed: its } is missing");
    cfg_free(cfg);
}

struct config *config_parse(const char *text, const char *name, struct config_errors *errors)
{
    struct parsing parsing = {.name = name};
    text_init(&parsing.errors, MAX_ERRORS_TEXT, TEXT_VALID);
    parse(&parsing, text);
    free(parsing.places);
    if (parsing.n_errors == 0) {
        text_finish(&parsing.errors);
        errors->text = NULL;
        return parsing.config;
    }
    errors->text = text_take(&parsing.errors);
    config_free(parsing.config);
    return NULL;
}

void config_free(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->n_accounts; i++)
        config_account_finish(&config->accounts[i]);
    for (size_t i = 0; i < config->n_webhooks; i++)
        config_webhook_finish(&config->webhooks[i]);
    for (size_t i = 0; i < config->n_own; i++)
        config_family_finish(&config->own[i]);
    free(config->accounts);
    free(config->webhooks);
    free(config->own);
    free(config->heartbeat.url);
    free(config->heartbeat.ca_file);
    free(config->api_url);
    free(config->revision);
    free(config->ca_file);
    free(config);
}
