/* check: read configuration and secrets, print what is in effect; with --online one request per account and
 * family. */
#include "commands.h"

#include "../config_file.h"
#include "../log.h"
#include "../api_headers.h"
#include "../watch.h"
#include "../webhook_keys.h"
#include "../../lib/budget.h"
#include "../../lib/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "10s", "15m", "500ms" */
static const char *duration(int64_t ms, char out[32])
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    size_t i = 0;
    while (ms % units[i].ms != 0 || ms < units[i].ms) {
        if (++i == sizeof units / sizeof *units)
            return "0";
    }
    snprintf(out, 32, "%" PRId64 "%s", ms / units[i].ms, units[i].unit);
    return out;
}

static bool print_account(const struct config_account *account)
{
    char why[STORE_WHY], a[32], b[32], c[32];
    struct secret key;
    bool fine = watch_read_key(account, &key, why, sizeof why);
    if (fine)
        secret_wipe(&key);
    else
        log_error("%s", why);
    printf("account \"%s\": key %s, every %s (idle %s), full sweep every %s\n", account->name,
           fine ? "present" : "MISSING", duration(account->interval, a), duration(account->idle_interval, b),
           duration(account->full_sweep_interval, c));
    for (size_t i = 0; i < account->n_families; i++) {
        const struct family *family = account->families[i];
        struct budget_limits limits =
            budget_limits_for(family->burst, family->steady, account->budget, account->burst, account->steady,
                              account->yield_below);
        printf("  %-40s budget %" PRIu32 "/s %" PRIu32 "/min of %" PRIu32 "/s %" PRIu32 "/min\n",
               family->type, limits.burst, limits.steady, family->burst, family->steady);
    }
    return fine;
}

static void print_list(const struct config_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        printf("%s%s", i ? ", " : "", list->items[i]);
}

static bool print_webhook(const struct config_webhook *webhook)
{
    char why[STORE_WHY];
    struct webhook_keys keys;
    bool fine = webhook_keys_read(webhook, &keys, why, sizeof why);
    if (!fine)
        log_error("%s", why);
    char *origin = url_origin(webhook->url);
    printf("webhook \"%s\": %s, secret %s%s, from %s, events ", webhook->name, origin ? origin : "?",
           fine ? "present" : "MISSING", fine && keys.signing.n > 1 ? " (two, rotating)" : "",
           priority_word(webhook->min_priority));
    webhook_keys_wipe(&keys);
    print_list(&webhook->events);
    putchar('\n');
    free(origin);
    return fine;
}

static bool print_config(const struct config *config)
{
    char a[32], b[32], c[32], d[32];
    bool fine = true;
    printf("API %s, revision %s\n", config->api_url, config->revision);
    for (size_t i = 0; i < config->n_accounts; i++)
        fine &= print_account(&config->accounts[i]);
    for (size_t i = 0; i < config->n_webhooks; i++)
        fine &= print_webhook(&config->webhooks[i]);
    if (config->n_webhooks == 0)
        puts("no webhooks: alerts go to the journal only");
    char *switch_at = config->heartbeat.url ? url_origin(config->heartbeat.url) : NULL;
    if (switch_at)
        printf("heartbeat: %s, every %s\n", switch_at, duration(config->heartbeat.every, a));
    free(switch_at);
    const struct alert_rules *alerts = &config->alerts;
    printf("alerts: stalled after %s, unreachable after %s, expiring before %s, reminders every %s\n",
           duration(alerts->stalled_after, a), duration(alerts->unreachable_after, b),
           duration(alerts->expiring_before, c), duration(alerts->remind_every, d));
    return fine;
}

/* ---- --online ---- */

struct trying {
    struct loop *loop;
    struct http *http;
    size_t open;
    bool failed;
};

struct trial {
    struct trying *trying;
    const char *account;
    const struct family *family;
};

static const char *remedy(int status)
{
    switch (status) {
    case 401:
        return "the key is not valid: make a new private key in Klaviyo (Settings, API keys)";
    case 403:
        return "the key lacks the scope named above: make a key that has it";
    case 400:
        return "the API refuses the request: is `revision` one that it still knows?";
    case 404:
        return "no such path: is `api-url` right, and is the family known to this revision?";
    case 429:
        return "the account's rate limit is used up right now: try again in a minute";
    default:
        return "";
    }
}

static void judge(const struct trial *trial, const struct http_response *response)
{
    char text[PAGE_WHY_SIZE];
    struct page page;
    const char *name = trial->family->type;
    if (response->error != HTTP_OK) {
        printf("  %s, %s: FAILED: %s\n", trial->account, name, response->error_text);
    } else if (response->status != 200) {
        api_error_text(response->body, response->body_len, text, sizeof text);
        printf("  %s, %s (scope %s): FAILED: HTTP %d%s%s%s%s\n", trial->account, name,
               trial->family->scope[0] ? trial->family->scope : "unknown", response->status,
               text[0] ? ": " : "", text, remedy(response->status)[0] ? "; " : "", remedy(response->status));
    } else if (page_decode_list(response->body, response->body_len, name, &page) != PAGE_OK) {
        printf("  %s, %s: FAILED: the answer is no list of jobs: %s\n", trial->account, name, page.why);
    } else {
        printf("  %s, %s: fine, %zu jobs on the first page%s%s%s\n", trial->account, name, page.n_jobs,
               page.n_malformed ? ", but some entries are no jobs: " : "", page.why,
               page.next == NEXT_CURSOR ? ", more follow" : "");
        trial->trying->failed |= page.n_malformed > 0;
        page_finish(&page);
        return;
    }
    trial->trying->failed = true;
}

static void on_answer(void *user, const struct http_response *response)
{
    struct trial *trial = user;
    struct trying *trying = trial->trying;
    judge(trial, response);
    free(trial);
    if (--trying->open == 0)
        loop_stop(trying->loop);
}

static bool try_family(struct trying *trying, const struct config *config,
                       const struct config_account *account, const struct family *family,
                       const char *const *headers)
{
    struct request_base base = {config->api_url, config->revision};
    struct trial *trial = calloc(1, sizeof *trial);
    char *url = request_list_url(&base, family, SWEEP_FULL, LIST_ALL, NULL);
    struct http_transfer *transfer = NULL;
    if (trial && url) {
        *trial = (struct trial){trying, account->name, family};
        struct http_request request = {
            .url = url,
            .headers = headers,
            .connect_timeout = config->connect_timeout,
            .timeout = config->request_timeout,
            .max_body = 16u << 20,
            .ca_file = config->ca_file,
            .allow_http = true,
        };
        transfer = http_start(trying->http, &request, on_answer, trial);
    }
    free(url);
    if (!transfer)
        free(trial);
    else
        trying->open++;
    return transfer;
}

static bool try_account(struct trying *trying, const struct config *config,
                        const struct config_account *account)
{
    char why[STORE_WHY];
    struct secret key;
    if (!watch_read_key(account, &key, why, sizeof why))
        return false; /* said before */
    struct api_headers headers;
    bool fine = api_headers_make(&headers, key.text, config->revision);
    secret_wipe(&key);
    for (size_t i = 0; fine && i < account->n_families; i++)
        fine = try_family(trying, config, account, account->families[i], (const char *const *)headers.lines);
    api_headers_wipe(&headers);
    return fine;
}

static void on_stop(void *user)
{
    http_close(((struct trying *)user)->http);
}

static void on_reload(void *user)
{
    (void)user;
}

static bool try_all(const struct config *config)
{
    struct trying trying = {0};
    struct loop_handlers handlers = {.on_stop = on_stop, .on_reload = on_reload, .user = &trying};
    trying.loop = loop_new(&handlers, 0);
    trying.http = trying.loop ? http_new(trying.loop, "klv-jobwatch/" JOBWATCH_VERSION) : NULL;
    if (!trying.http) {
        log_error("cannot set up the event loop or libcurl");
        loop_finish(trying.loop);
        return false;
    }
    puts("online:");
    for (size_t i = 0; i < config->n_accounts; i++)
        trying.failed |= !try_account(&trying, config, &config->accounts[i]);
    if (trying.open == 0)
        loop_stop(trying.loop);
    loop_run(trying.loop);
    http_free(trying.http);
    return loop_finish(trying.loop) == 0 && !trying.failed;
}

int command_check(const struct options *options)
{
    struct config *config = config_file_read(options->config);
    if (!config)
        return EXIT_USAGE;
    printf("%s: no errors\n", options->config);
    int code = print_config(config) ? EXIT_FINE : EXIT_USAGE;
    if (options->online && code == EXIT_FINE && !try_all(config))
        code = EXIT_FAILED;
    config_free(config);
    return code;
}
