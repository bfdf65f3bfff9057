/* check: read configuration and secrets, print what is in effect; with --online one request per account and
 * family. */
#include "check_online.h"
#include "commands.h"

#include "../config_file.h"
#include "../human.h"
#include "../log.h"
#include "../same_key.h"
#include "../table.h"
#include "../terminal.h"
#include "../watch.h"
#include "../webhook_keys.h"
#include "../../lib/budget.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct column family_columns[] = {
    {.title = "JOB TYPE"},
    {.title = "OURS/S", .right = true},
    {.title = "OURS/MIN", .right = true},
    {.title = "KLAVIYO'S/S", .right = true, .leaves = 2},
    {.title = "KLAVIYO'S/MIN", .right = true, .leaves = 1},
    {.title = "SCOPES OF THE KEY", .leaves = 3},
};
enum { N_FAMILY_COLUMNS = sizeof family_columns / sizeof *family_columns };

static void limit_cell(struct table *table, uint32_t limit)
{
    char text[HUMAN_SIZE];
    table_cell(table, STYLE_PLAIN, "%s", human_count(limit, text));
}

static bool print_families(const struct config_account *account)
{
    struct terminal terminal;
    terminal_init(&terminal, false);
    struct table *table = table_new(&terminal, family_columns, N_FAMILY_COLUMNS);
    for (size_t i = 0; i < account->n_families; i++) {
        const struct family *family = account->families[i];
        struct budget_limits ours = budget_limits_for(family->burst, family->steady, account->budget,
                                                      account->burst, account->steady, account->yield_below);
        table_cell(table, STYLE_PLAIN, "%s", family->type);
        limit_cell(table, ours.burst);
        limit_cell(table, ours.steady);
        limit_cell(table, family->burst);
        limit_cell(table, family->steady);
        table_cell(table, STYLE_PLAIN, "%s", family->scope[0] ? family->scope : "(not known)");
    }
    bool fine = table_print(table, stdout, "  ");
    table_free(table);
    return fine;
}

/* The key is for the caller to wipe. */
static bool print_account(const struct config_account *account, struct secret *ret_key)
{
    char why[STORE_WHY], a[HUMAN_SIZE], b[HUMAN_SIZE], c[HUMAN_SIZE];
    bool fine = watch_read_key(account, ret_key, why, sizeof why);
    if (!fine)
        log_error("%s", why);
    printf("account \"%s\": key %s, every %s (idle %s), full sweep every %s\n", account->name,
           fine ? "present" : "MISSING", human_setting(account->interval, a),
           human_setting(account->idle_interval, b), human_setting(account->full_sweep_interval, c));
    return print_families(account) && fine;
}

struct read_keys {
    const struct config *config;
    struct secret *keys;
};

static struct keyed keyed_at(const void *user, size_t i)
{
    const struct read_keys *read = user;
    return (struct keyed){&read->config->accounts[i], &read->keys[i]};
}

static bool print_accounts(const struct config *config)
{
    struct secret *keys = calloc(config->n_accounts, sizeof *keys);
    bool fine = keys;
    for (size_t i = 0; keys && i < config->n_accounts; i++)
        fine &= print_account(&config->accounts[i], &keys[i]);
    if (keys)
        same_key_warn(keyed_at, &(struct read_keys){config, keys}, config->n_accounts);
    for (size_t i = 0; keys && i < config->n_accounts; i++)
        secret_wipe(&keys[i]);
    if (!keys)
        log_error("out of memory");
    free(keys);
    return fine;
}

static void print_list(const char *what, const struct config_list *list)
{
    printf(", %s ", what);
    for (size_t i = 0; i < list->n; i++)
        printf("%s%s", i ? " " : "", list->items[i]);
}

static bool print_webhook(const struct config_webhook *webhook)
{
    char why[STORE_WHY];
    struct webhook_keys keys;
    bool fine = webhook_keys_read(webhook, &keys, why, sizeof why);
    if (!fine)
        log_error("%s", why);
    char *origin = url_origin(webhook->url);
    printf("webhook \"%s\": %s, format %s, secret %s%s, from %s", webhook->name, origin ? origin : "?",
           format_name(webhook->format),
           !fine                 ? "MISSING"
           : keys.signing.n == 0 ? "not needed"
                                 : "present",
           fine && keys.signing.n > 1 ? " (two, rotating)" : "", priority_word(webhook->min_priority));
    webhook_keys_wipe(&keys);
    print_list("events", &webhook->events);
    print_list("accounts", &webhook->accounts);
    print_list("job types", &webhook->families);
    putchar('\n');
    free(origin);
    return fine;
}

static bool print_config(const struct config *config)
{
    char a[HUMAN_SIZE], b[HUMAN_SIZE], c[HUMAN_SIZE], d[HUMAN_SIZE];
    printf("API %s, revision %s\n", config->api_url, config->revision);
    bool fine = print_accounts(config);
    for (size_t i = 0; i < config->n_webhooks; i++)
        fine &= print_webhook(&config->webhooks[i]);
    if (config->n_webhooks == 0)
        puts("no webhooks: alerts go to the journal only");
    char *switch_at = config->heartbeat.url ? url_origin(config->heartbeat.url) : NULL;
    if (switch_at)
        printf("heartbeat: %s, every %s\n", switch_at, human_setting(config->heartbeat.every, a));
    free(switch_at);
    const struct alert_rules *alerts = &config->alerts;
    printf("alerts: stalled after %s, unreachable after %s, expiring before %s, reminders every %s\n",
           human_setting(alerts->stalled_after, a), human_setting(alerts->unreachable_after, b),
           human_setting(alerts->expiring_before, c), human_setting(alerts->remind_every, d));
    return fine;
}

int command_check(const struct options *options)
{
    struct config *config = config_file_read(options->config);
    if (!config)
        return EXIT_USAGE;
    printf("%s: no errors\n", options->config);
    int code = print_config(config) ? EXIT_FINE : EXIT_USAGE;
    if (options->online && code == EXIT_FINE && !check_online(options, config))
        code = EXIT_FAILED;
    config_free(config);
    return code;
}
