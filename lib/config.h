/*
 * config: the text of a configuration file → one validated struct.
 *
 * Syntax by libConfuse: titled sections, lists, # comments. Invariant: a struct config that was returned is
 * complete and every figure in it is within its range; nothing is clamped in silence, an unknown key or a
 * wrong unit is an error that reads "file:line: what is wrong, and what is allowed". All errors that can be
 * found are reported, not just the first. Nothing is read here but the text handed in: secret files and
 * credentials are the shell's, only their paths are kept. Times are ms. The struct owns all it points to;
 * release with config_free. A template, too, is the shell's to read.
 */
#ifndef JOBWATCH_CONFIG_H
#define JOBWATCH_CONFIG_H

#include "render_formats.h"
#include "template.h"

struct config_list {
    char **items;
    size_t n;
};

struct config_account {
    char *name;         /* section title: 1..64 of letters, digits, '.', '_', '-' ; unique */
    char *api_key_file; /* absolute path, or NULL: the systemd credential "api-key-NAME", else "api-key" */
    const struct family *
        *families; /* what `jobs` names, globs resolved, no doubles; rows of the table or of `own` */
    size_t n_families;
    int64_t interval;            /* 100ms..1h, default 10s */
    int64_t idle_interval;       /* interval..1d, default 60s */
    int64_t full_sweep_interval; /* interval..7d, default 10m */
    int64_t detail_timeout;      /* 0..5m, default 10s: how long an event may wait for its job's errors */
    double budget;               /* share of the documented limits, >0..1, default 0.10 */
    uint32_t burst;              /* explicit requests a second, 0: by share */
    uint32_t steady;             /* explicit requests a minute, 0: by share */
    double yield_below; /* 0..1, default 0.5: RateLimit-Remaining under this part of the limit means others
                           are busy */
};

#define CONFIG_GROUP_MAX 500

struct config_header {
    char *name;
    char *value;
};

struct config_webhook {
    char *name;                  /* section title, as an account's; unique */
    char *url;                   /* https, or http to loopback (any http with allow-http = true) */
    char *secret_file;           /* absolute path, or NULL: the systemd credential "webhook-NAME" */
    enum webhook_format format;  /* default standard */
    char *template_file;         /* absolute path; there is one exactly when the format is template */
    char *content_type;          /* of the template's body, default application/json */
    struct template *template;   /* what is in template_file: set by whoever reads it, NULL until then */
    struct config_list events;   /* globs over kinds, default { "*" } */
    enum priority min_priority;  /* default info: everything */
    struct config_list accounts; /* globs, default { "*" } */
    struct config_list families; /* globs over job types, default { "*" } */
    int64_t give_up_after;       /* 1m..30d, default 3d */
    int64_t timeout;             /* 100ms..2m, default 15s: one attempt */
    int64_t retry_base;          /* 10ms..1h, default 5s: first back-off ceiling */
    int64_t retry_max;           /* retry_base..1d, default 1h: last back-off ceiling */
    uint32_t concurrency;        /* 1..64, default 4 */
    int64_t group_wait;          /* 0 (each event alone) or 100ms..1h, default 0 */
    uint32_t group_max;          /* 2..CONFIG_GROUP_MAX, default 50 */
    bool allow_http;
    char *ca_file;          /* absolute path or NULL */
    char *client_cert_file; /* absolute path or NULL: certificate and key for the receiver to see */
    struct config_header
        *headers; /* `headers = { "X-Team: ops" }`; none of webhook-*, content-type, content-length, host */
    size_t n_headers;
};

/* The dead man's switch. */
struct config_heartbeat {
    char *url;       /* NULL: there is none */
    int64_t every;   /* 100ms..1d, default 1m */
    int64_t timeout; /* 100ms..1m, default 10s */
    bool allow_http;
    char *ca_file; /* absolute path or NULL */
};

struct config {
    char *api_url; /* origin only: scheme://host[:port], no trailing slash, no path, no credentials */
    char *revision;
    char *ca_file;           /* absolute path or NULL: CAs for the API, for proxies and tests */
    int64_t connect_timeout; /* 100ms..1m, default 10s */
    int64_t request_timeout; /* 100ms..5m, default 30s */
    int64_t retention;       /* 1h..3650d, default 30d */
    struct alert_rules alerts;
    struct config_account *accounts; /* at least one */
    size_t n_accounts;
    struct config_webhook *webhooks;
    size_t n_webhooks;
    struct config_heartbeat heartbeat;
    struct family *own; /* the `family` sections */
    size_t n_own;
};

/* One error or all of them, a line each: "file:line: text". */
struct config_errors {
    char *text; /* malloc'd, "\n"-separated, no trailing newline; NULL when there are none */
};

/*
 * Parse text (NUL-terminated) as the content of the file called `name` (used in messages only). Returns NULL
 * and sets errors->text (the caller frees it) when anything is wrong.
 */
struct config *config_parse(const char *text, const char *name, struct config_errors *errors);

void config_free(struct config *config); /* NULL is fine */

/* Shell-style match: '*' any run, '?' one character; no classes. */
bool glob_match(const char *pattern, const char *text);

/* Whether any item of the list matches text. */
bool config_list_matches(const struct config_list *list, const char *text);

/* Whether the webhook's filter takes the event: kind, priority, account, job type. */
bool webhook_takes(const struct config_webhook *webhook, const struct event *event);

/*
 * Whether an URL may be used: https://host…, or http:// to localhost, 127.0.0.0/8 or [::1] (any host with
 * allow_http). A host is required; credentials (user:pass@) are refused when `credentials` is false. *why is
 * a static sentence on failure.
 */
bool url_is_allowed(const char *url, bool allow_http, bool credentials, const char **why);

/* The "scheme://host[:port]" part of an URL, without credentials, for messages. malloc'd; NULL without
 * memory. */
char *url_origin(const char *url);

#endif
