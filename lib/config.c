#include "config.h"

#include "closest.h"
#include "config_values.h"
#include "text.h"

#include <confuse.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SECOND  ((int64_t)1000)
#define MINUTE  (60 * SECOND)
#define HOUR    (60 * MINUTE)
#define DAY     (24 * HOUR)
#define PERCENT ((int64_t)10000) /* parts of a million */

#define MAX_ERRORS_TEXT 65536

/* Sections are filled into these first; what has to be worked out from several options follows. */
struct alerts_section {
    struct alert_rules rules;
    double capacity;
};

struct account_section {
    struct config_account account;
    struct config_list jobs;
};

struct webhook_section {
    struct config_webhook webhook;
    char *format;
    struct config_list headers;
};

#define TOP(member)     offsetof(struct config, member)
#define ALERT(member)   offsetof(struct alerts_section, member)
#define ACCOUNT(member) offsetof(struct account_section, member)
#define HOOK(member)    offsetof(struct webhook_section, member)
#define BEAT(member)    offsetof(struct config_heartbeat, member)
#define FAMILY(member)  offsetof(struct family, member)

static const struct value_rule top_rules[] = {
    {"api-url", VALUE_TEXT, "https://a.klaviyo.com", 0, 0, false, TOP(api_url)},
    {"revision", VALUE_TEXT, "2026-07-15", 0, 0, false, TOP(revision)},
    {"ca-file", VALUE_PATH, NULL, 0, 0, false, TOP(ca_file)},
    {"connect-timeout", VALUE_DURATION, "10s", 100, MINUTE, false, TOP(connect_timeout)},
    {"request-timeout", VALUE_DURATION, "30s", 100, 5 * MINUTE, false, TOP(request_timeout)},
    {"retention", VALUE_DURATION, "30d", HOUR, 3650 * DAY, false, TOP(retention)},
};

static const struct value_rule alert_value_rules[] = {
    {"stalled-after", VALUE_DURATION, "15m", SECOND, 30 * DAY, true, ALERT(rules.stalled_after)},
    {"failure-ratio", VALUE_SHARE, "5%", 1, 100 * PERCENT, true, ALERT(rules.failure_ratio)},
    {"expiring-before", VALUE_DURATION, "24h", SECOND, 365 * DAY, true, ALERT(rules.expiring_before)},
    {"unreachable-after", VALUE_DURATION, "2m", 100, DAY, false, ALERT(rules.unreachable_after)},
    {"remind-every", VALUE_DURATION, "4h", SECOND, 30 * DAY, true, ALERT(rules.remind_every)},
    {"capacity-warn", VALUE_SHARE, "90%", 1, 100 * PERCENT, true, ALERT(capacity)},
    {"job-created", VALUE_BOOL, "false", 0, 0, false, ALERT(rules.job_created)},
};

static const struct value_rule account_rules[] = {
    {"api-key-file", VALUE_PATH, NULL, 0, 0, false, ACCOUNT(account.api_key_file)},
    {"jobs", VALUE_LIST, "{\"catalog-category-bulk-delete-job\"}", 0, 0, false, ACCOUNT(jobs)},
    {"interval", VALUE_DURATION, "10s", 100, HOUR, false, ACCOUNT(account.interval)},
    {"idle-interval", VALUE_DURATION, NULL, 100, DAY, false, ACCOUNT(account.idle_interval)},
    {"full-sweep-interval", VALUE_DURATION, NULL, 100, 7 * DAY, false, ACCOUNT(account.full_sweep_interval)},
    {"detail-timeout", VALUE_DURATION, "10s", 100, 5 * MINUTE, true, ACCOUNT(account.detail_timeout)},
    {"budget", VALUE_SHARE, "10%", 1, 100 * PERCENT, false, ACCOUNT(account.budget)},
    {"burst", VALUE_COUNT, "0", 1, 1000, true, ACCOUNT(account.burst)},
    {"steady", VALUE_COUNT, "0", 1, 4000, true, ACCOUNT(account.steady)},
    {"yield-below", VALUE_SHARE, "50%", 1, 100 * PERCENT, true, ACCOUNT(account.yield_below)},
};

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

static const struct value_rule heartbeat_rules[] = {
    {"url", VALUE_TEXT, NULL, 0, 0, false, BEAT(url)},
    {"every", VALUE_DURATION, "1m", 100, DAY, false, BEAT(every)},
    {"timeout", VALUE_DURATION, "10s", 100, MINUTE, false, BEAT(timeout)},
    {"allow-http", VALUE_BOOL, "false", 0, 0, false, BEAT(allow_http)},
    {"ca-file", VALUE_PATH, NULL, 0, 0, false, BEAT(ca_file)},
};

static const struct value_rule family_rules[] = {
    {"path", VALUE_TEXT, NULL, 0, 0, false, FAMILY(path)},
    {"burst", VALUE_COUNT, NULL, 1, 1000, false, FAMILY(burst)},
    {"steady", VALUE_COUNT, NULL, 1, 4000, false, FAMILY(steady)},
    {"scope", VALUE_TEXT, "", 0, 0, false, FAMILY(scope)},
    {"fields", VALUE_TEXT, "", 0, 0, false, FAMILY(fields)},
    {"sort", VALUE_TEXT, "", 0, 0, false, FAMILY(sort)},
    {"page-size", VALUE_COUNT, "0", 1, 1000, true, FAMILY(page_size)},
    {"has-errors", VALUE_BOOL, "true", 0, 0, false, FAMILY(has_errors)},
    {"has-cancelled", VALUE_BOOL, "true", 0, 0, false, FAMILY(has_cancelled)},
};

/* failure-step has a range of its own: any int64. */
#define STEP_OPTION "failure-step"

#define COUNT(array) (sizeof(array) / sizeof *(array))
enum { MAX_OPTIONS = 32 };

/* Where an option was given, for messages after the parser has moved on. */
struct place {
    const cfg_t *section;
    const char *option;
    int line;
};

struct parsing {
    const char *name; /* of the file */
    struct text errors;
    size_t n_errors;
    struct place *places;
    size_t n_places;
    struct config *config;
};

/* libConfuse hands no pointer of ours to its callbacks; set for the length of one config_parse(). */
static _Thread_local struct parsing *current;

/* ---- errors ---- */

__attribute__((format(printf, 3, 4))) static void complain(struct parsing *p, int line, const char *format,
                                                           ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (p->n_errors++ > 0)
        text_add(&p->errors, "\n");
    text_addf(&p->errors, "%s:%d: ", p->name, line);
    /* One error is one line, whatever the file holds. */
    char *clean = text_of(text, sizeof text, TEXT_CLEAN);
    text_add(&p->errors, clean ? clean : "out of memory");
    free(clean);
}

static int line_of(const struct parsing *p, const cfg_t *section, const char *option)
{
    int last = section->line;
    for (size_t i = 0; i < p->n_places; i++) {
        if (p->places[i].section == section && (!option || strcmp(p->places[i].option, option) == 0))
            last = p->places[i].line;
    }
    return last;
}

static bool was_given(const struct parsing *p, const cfg_t *section, const char *option)
{
    for (size_t i = 0; i < p->n_places; i++) {
        if (p->places[i].section == section && strcmp(p->places[i].option, option) == 0)
            return true;
    }
    return false;
}

static void suggest(const cfg_t *cfg, const char *word, char *out, size_t size)
{
    const char *names[MAX_OPTIONS + 8];
    size_t n = 0;
    for (const cfg_opt_t *opt = cfg->opts; opt && opt->name && n < COUNT(names); opt++)
        names[n++] = opt->name;
    const char *close = closest(word, names, n);
    bool secret = strcmp(word, "api-key") == 0 || strcmp(word, "secret") == 0 || strcmp(word, "key") == 0;
    if (secret)
        snprintf(out, size, "; secrets stay out of this file: name a file with api-key-file or secret-file");
    else if (close)
        snprintf(out, size, "; did you mean \"%s\"?", close);
    else
        snprintf(out, size, "; see klv-jobwatch.conf(5)");
}

/* What libConfuse itself complains about: syntax, unknown options, titles given twice. */
__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *format, va_list args)
{
    char text[400], more[200] = "";
    vsnprintf(text, sizeof text, format, args);
    const char *quote = strstr(text, "no such option '");
    if (quote) {
        char word[100];
        snprintf(word, sizeof word, "%s", quote + strlen("no such option '"));
        word[strcspn(word, "'")] = '\0';
        suggest(cfg, word, more, sizeof more);
    }
    complain(current, cfg->line, "%s%s", text, more);
}

/* Every option leaves the line that it stands in. */
static int on_option(cfg_t *cfg, cfg_opt_t *opt)
{
    struct place *places = reallocarray(current->places, current->n_places + 1, sizeof *places);
    if (!places)
        return -1;
    current->places = places;
    places[current->n_places++] = (struct place){cfg, opt->name, cfg->line};
    return 0;
}

/* ---- libConfuse's tables ---- */

static void make_options(const struct value_rule *rules, size_t n, cfg_opt_t *out)
{
    for (size_t i = 0; i < n; i++) {
        const char *standard = rules[i].standard;
        cfg_opt_t text = CFG_STR(rules[i].name, standard, CFGF_NONE),
                  list = CFG_STR_LIST(rules[i].name, (char *)(uintptr_t)standard, CFGF_NONE);
        out[i] = rules[i].kind == VALUE_LIST ? list : text;
    }
    out[n] = (cfg_opt_t)CFG_END();
}

static void note_lines(cfg_t *cfg, const char *section, const struct value_rule *rules, size_t n)
{
    char name[100];
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%s%s%s", section, section[0] ? "|" : "", rules[i].name);
        cfg_set_validate_func(cfg, name, on_option);
    }
}

static cfg_t *make_parser(void)
{
    cfg_opt_t alerts[MAX_OPTIONS], account[MAX_OPTIONS], webhook[MAX_OPTIONS], family[MAX_OPTIONS],
        heartbeat[MAX_OPTIONS], top[MAX_OPTIONS];
    cfg_flag_t titled = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
    size_t n = COUNT(alert_value_rules);
    make_options(alert_value_rules, n, alerts);
    alerts[n] = (cfg_opt_t)CFG_STR(STEP_OPTION, "0", CFGF_NONE);
    alerts[n + 1] = (cfg_opt_t)CFG_END();
    make_options(account_rules, COUNT(account_rules), account);
    make_options(webhook_rules, COUNT(webhook_rules), webhook);
    make_options(family_rules, COUNT(family_rules), family);
    make_options(heartbeat_rules, COUNT(heartbeat_rules), heartbeat);
    n = COUNT(top_rules);
    make_options(top_rules, n, top);
    top[n] = (cfg_opt_t)CFG_SEC("alerts", alerts, CFGF_NONE);
    top[n + 1] = (cfg_opt_t)CFG_SEC("account", account, titled);
    top[n + 2] = (cfg_opt_t)CFG_SEC("webhook", webhook, titled);
    top[n + 3] = (cfg_opt_t)CFG_SEC("family", family, titled);
    top[n + 4] = (cfg_opt_t)CFG_SEC("heartbeat", heartbeat, CFGF_NONE);
    top[n + 5] = (cfg_opt_t)CFG_END();
    cfg_t *cfg = cfg_init(top, CFGF_NONE);
    if (!cfg)
        return NULL;
    cfg_set_error_function(cfg, on_error);
    note_lines(cfg, "", top_rules, COUNT(top_rules));
    note_lines(cfg, "alerts", alert_value_rules, COUNT(alert_value_rules));
    cfg_set_validate_func(cfg, "alerts|" STEP_OPTION, on_option);
    note_lines(cfg, "account", account_rules, COUNT(account_rules));
    note_lines(cfg, "webhook", webhook_rules, COUNT(webhook_rules));
    note_lines(cfg, "family", family_rules, COUNT(family_rules));
    note_lines(cfg, "heartbeat", heartbeat_rules, COUNT(heartbeat_rules));
    return cfg;
}

/* ---- filling ---- */

static void fill_list(struct parsing *p, cfg_t *section, const struct value_rule *rule, void *target)
{
    struct config_list *list = (struct config_list *)((char *)target + rule->offset);
    for (unsigned i = 0; i < cfg_size(section, rule->name); i++) {
        if (!config_list_add(list, cfg_getnstr(section, rule->name, i)))
            complain(p, section->line, "out of memory");
    }
    if (list->n == 0 && was_given(p, section, rule->name) && strcmp(rule->name, "headers") != 0)
        complain(p, line_of(p, section, rule->name), "%s should name at least one", rule->name);
}

static void fill(struct parsing *p, cfg_t *section, const struct value_rule *rules, size_t n, void *target)
{
    char why[WHY_SIZE];
    for (size_t i = 0; i < n; i++) {
        const struct value_rule *rule = &rules[i];
        if (rule->kind == VALUE_LIST) {
            fill_list(p, section, rule, target);
            continue;
        }
        const char *text = cfg_getstr(section, rule->name);
        if (text && !value_read(rule, text, target, why))
            complain(p, line_of(p, section, rule->name), "%s = \"%s\": %s", rule->name, text, why);
    }
}

static bool title_is_fine(struct parsing *p, cfg_t *section, const char *what)
{
    const char *title = cfg_title(section);
    size_t n = strspn(title, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (n == strlen(title) && n > 0 && n <= 64)
        return true;
    complain(p, line_of(p, section, NULL),
             "%s \"%s\": a name should be 1 to 64 letters, digits, dots, dashes or underscores", what, title);
    return false;
}

static void fill_alerts(struct parsing *p, cfg_t *cfg)
{
    cfg_t *section = cfg_getsec(cfg, "alerts");
    struct alerts_section alerts = {.rules = alert_rules_default};
    fill(p, section, alert_value_rules, COUNT(alert_value_rules), &alerts);
    const char *step = cfg_getstr(section, STEP_OPTION);
    char *end;
    long long number = isdigit((unsigned char)step[0]) ? strtoll(step, &end, 10) : -1;
    if (number < 0 || *end != '\0')
        complain(p, line_of(p, section, STEP_OPTION),
                 STEP_OPTION " = \"%s\": should be a whole number of items; 0: tell at each doubling", step);
    alerts.rules.failure_step = number;
    double jobs = alerts.capacity * JOB_CAPACITY;
    alerts.rules.capacity_warn = (uint32_t)jobs + (jobs > (double)(uint32_t)jobs);
    p->config->alerts = alerts.rules;
}

static void fill_top(struct parsing *p, cfg_t *cfg)
{
    struct config *config = p->config;
    const char *why;
    fill(p, cfg, top_rules, COUNT(top_rules), config);
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

/* ---- families ---- */

static void check_path(struct parsing *p, cfg_t *section, struct family *family)
{
    char *path = (char *)family->path;
    size_t len = strlen(path);
    if (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    bool fine = path[0] == '/' && len > 1 && len < FAMILY_PATH_MAX && !strpbrk(path, "?#% \t\"") &&
                !strstr(path, "..");
    for (size_t i = 0; i < len; i++)
        fine &= path[i] > ' ' && path[i] < 0x7f;
    if (!fine)
        complain(p, line_of(p, section, "path"),
                 "path = \"%s\": should be the path of the list, as in /api/some-new-bulk-jobs", path);
}

static void fill_family(struct parsing *p, cfg_t *section, struct family *family)
{
    const char *type = cfg_title(section);
    fill(p, section, family_rules, COUNT(family_rules), family);
    family->type = strdup(type);
    if (!title_is_fine(p, section, "family"))
        return;
    if (strlen(type) > FAMILY_TYPE_MAX - 1)
        complain(p, line_of(p, section, NULL), "family \"%s\": the name is too long", type);
    if (family_find(type))
        complain(p, line_of(p, section, NULL), "family \"%s\": is known already; leave this section out",
                 type);
    if (family->path)
        check_path(p, section, family);
    if (!family->path || family->burst == 0 || family->steady == 0)
        complain(p, line_of(p, section, NULL), "family \"%s\": path, burst and steady are needed", type);
}

static void fill_families(struct parsing *p, cfg_t *cfg)
{
    size_t n = cfg_size(cfg, "family");
    p->config->own = calloc(n ? n : 1, sizeof *p->config->own);
    if (!p->config->own) {
        complain(p, 0, "out of memory");
        return;
    }
    p->config->n_own = n;
    for (size_t i = 0; i < n; i++)
        fill_family(p, cfg_getnsec(cfg, "family", (unsigned)i), &p->config->own[i]);
}

/* The i-th of all families, those of the table first; NULL behind the last. */
static const struct family *family_at(const struct config *config, size_t i)
{
    if (i < n_families)
        return &families[i];
    return i - n_families < config->n_own ? &config->own[i - n_families] : NULL;
}

/* ---- accounts ---- */

static bool has_family(const struct config_account *account, const struct family *family)
{
    for (size_t i = 0; i < account->n_families; i++) {
        if (account->families[i] == family)
            return true;
    }
    return false;
}

static void add_matching(struct parsing *p, cfg_t *section, struct config_account *account, const char *glob)
{
    const char *names[64];
    size_t n = 0, found = 0;
    const struct family *family;
    for (size_t i = 0; (family = family_at(p->config, i)) != NULL; i++) {
        if (n < COUNT(names) && family->type)
            names[n++] = family->type;
        if (!family->type || !glob_match(glob, family->type))
            continue;
        found++;
        if (!has_family(account, family))
            account->families[account->n_families++] = family;
    }
    if (found > 0)
        return;
    const char *close = closest(glob, names, n);
    complain(p, line_of(p, section, "jobs"),
             "jobs: \"%s\" matches no job type%s%s%s; klv-jobwatch.conf(5) lists them", glob,
             close ? "; did you mean \"" : "", close ? close : "", close ? "\"?" : "");
}

/* An interval that was not given is its default, or the next shorter interval when that is longer. */
static void settle_interval(struct parsing *p, cfg_t *section, const char *option, int64_t *at,
                            int64_t standard, int64_t least)
{
    if (!was_given(p, section, option)) {
        *at = standard > least ? standard : least;
        return;
    }
    if (*at > 0 && *at < least)
        complain(p, line_of(p, section, option), "%s should not be shorter than interval", option);
}

static void fill_account(struct parsing *p, cfg_t *section, struct config_account *ret)
{
    struct account_section filled = {0};
    struct config_account *account = &filled.account;
    fill(p, section, account_rules, COUNT(account_rules), &filled);
    title_is_fine(p, section, "account");
    settle_interval(p, section, "idle-interval", &account->idle_interval, MINUTE, account->interval);
    settle_interval(p, section, "full-sweep-interval", &account->full_sweep_interval, 10 * MINUTE,
                    account->interval);
    account->name = strdup(cfg_title(section));
    account->families = calloc(n_families + p->config->n_own, sizeof *account->families);
    if (!account->name || !account->families)
        complain(p, 0, "out of memory");
    for (size_t i = 0; account->families && i < filled.jobs.n; i++)
        add_matching(p, section, account, filled.jobs.items[i]);
    config_list_finish(&filled.jobs);
    *ret = *account;
}

static void fill_accounts(struct parsing *p, cfg_t *cfg)
{
    size_t n = cfg_size(cfg, "account");
    p->config->accounts = calloc(n ? n : 1, sizeof *p->config->accounts);
    if (!p->config->accounts) {
        complain(p, 0, "out of memory");
        return;
    }
    p->config->n_accounts = n;
    for (size_t i = 0; i < n; i++)
        fill_account(p, cfg_getnsec(cfg, "account", (unsigned)i), &p->config->accounts[i]);
}

/* ---- webhooks ---- */

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

static void fill_headers(struct parsing *p, cfg_t *section, struct webhook_section *filled)
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

static void fill_format(struct parsing *p, cfg_t *section, struct webhook_section *filled)
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
    struct webhook_section filled = {0};
    struct config_webhook *webhook = &filled.webhook;
    const char *why;
    fill(p, section, webhook_rules, COUNT(webhook_rules), &filled);
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

static void fill_webhooks(struct parsing *p, cfg_t *cfg)
{
    size_t n = cfg_size(cfg, "webhook");
    p->config->webhooks = calloc(n ? n : 1, sizeof *p->config->webhooks);
    if (!p->config->webhooks) {
        complain(p, 0, "out of memory");
        return;
    }
    p->config->n_webhooks = n;
    for (size_t i = 0; i < n; i++)
        fill_webhook(p, cfg_getnsec(cfg, "webhook", (unsigned)i), &p->config->webhooks[i]);
}

/* ---- the heartbeat ---- */

static void fill_heartbeat(struct parsing *p, cfg_t *cfg)
{
    struct config_heartbeat *heartbeat = &p->config->heartbeat;
    cfg_t *section = cfg_getsec(cfg, "heartbeat");
    const char *why;
    fill(p, section, heartbeat_rules, COUNT(heartbeat_rules), heartbeat);
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

/* ---- the whole ---- */

/* Behind a quoted text or a comment that begins at p; p itself when none does. */
static const char *skip_opaque(const char *p)
{
    if (*p == '"' || *p == '\'') {
        char quote = *p++;
        for (; *p && *p != quote; p++)
            p += *p == '\\' && p[1];
        return *p ? p + 1 : p;
    }
    if (*p == '#' || strncmp(p, "//", 2) == 0)
        return p + strcspn(p, "\n");
    if (strncmp(p, "/*", 2) == 0) {
        const char *end = strstr(p + 2, "*/");
        return end ? end + 2 : p + strlen(p);
    }
    return p;
}

/* libConfuse takes the end of the file for the end of a section: a file that was cut short would be half in effect. The line of a brace that is never closed, 0 when there is none. */
static int open_brace(const char *text)
{
    int line = 1, depth = 0, first = 0;
    for (const char *p = text; *p;) {
        const char *next = skip_opaque(p);
        if (next == p) {
            if (*p == '{' && depth++ == 0)
                first = line;
            depth -= *p == '}' && depth > 0;
            next = p + 1;
        }
        for (; p < next; p++)
            line += *p == '\n';
    }
    return depth > 0 ? first : 0;
}

static void parse(struct parsing *p, const char *text)
{
    /* fmemopen takes no empty buffer. */
    const char *content = text[0] ? text : "\n";
    FILE *file = fmemopen((void *)(uintptr_t)content, strlen(content), "r");
    cfg_t *cfg = file ? make_parser() : NULL;
    p->config = calloc(1, sizeof *p->config);
    if (!cfg || !p->config) {
        complain(p, 0, "out of memory");
    } else {
        cfg->filename = strdup(p->name);
        if (cfg_parse_fp(cfg, file) == CFG_SUCCESS) {
            fill_top(p, cfg);
            fill_alerts(p, cfg);
            fill_families(p, cfg);
            fill_accounts(p, cfg);
            fill_webhooks(p, cfg);
            fill_heartbeat(p, cfg);
            int open = open_brace(text);
            if (open > 0)
                complain(p, open, "the section that begins here is not closed: its } is missing");
            if (p->config->n_accounts == 0)
                complain(p, cfg->line, "there should be at least one section account \"name\" { ... }");
        } else if (p->n_errors == 0) {
            complain(p, cfg->line, "syntax error");
        }
    }
    if (cfg)
        cfg_free(cfg);
    if (file)
        fclose(file);
}

bool webhook_takes(const struct config_webhook *webhook, const struct event *event)
{
    return event->priority <= webhook->min_priority &&
           config_list_matches(&webhook->events, event_types[event->kind].name) &&
           config_list_matches(&webhook->accounts, event->account) &&
           (!event->family[0] || config_list_matches(&webhook->families, event->family));
}

struct config *config_parse(const char *text, const char *name, struct config_errors *errors)
{
    struct parsing parsing = {.name = name};
    text_init(&parsing.errors, MAX_ERRORS_TEXT, TEXT_VALID);
    current = &parsing;
    parse(&parsing, text);
    current = NULL;
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

static void free_account(struct config_account *account)
{
    free(account->name);
    free(account->api_key_file);
    free(account->families);
}

static void free_webhook(struct config_webhook *webhook)
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

/* The texts of an own family are ours, those of the table are not; the type is const for both. */
static void free_family(struct family *family)
{
    free((char *)family->type);
    free((char *)family->path);
    free((char *)family->scope);
    free((char *)family->fields);
    free((char *)family->sort);
}

void config_free(struct config *config)
{
    if (!config)
        return;
    for (size_t i = 0; i < config->n_accounts; i++)
        free_account(&config->accounts[i]);
    for (size_t i = 0; i < config->n_webhooks; i++)
        free_webhook(&config->webhooks[i]);
    for (size_t i = 0; i < config->n_own; i++)
        free_family(&config->own[i]);
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
