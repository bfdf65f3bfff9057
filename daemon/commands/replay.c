/* replay: have events delivered to webhooks again, by writing into the outbox and waking the daemon. */
#include "commands.h"

#include "../config_file.h"
#include "../delivery.h"
#include "../log.h"
#include "../process.h"
#include "../report.h"
#include "../store_read.h"
#include "../store_replay.h"
#include "../time_option.h"
#include "../../lib/json_out.h"

#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct replaying {
    const struct options *options;
    const struct config *config;
    struct store *store;
    struct replay replay;
    char sink[sizeof((struct stored_delivery *)NULL)->sink];
    const struct config_webhook *webhook; /* the one at hand */
    size_t n;                             /* for the one at hand */
    int64_t after;                        /* the last event that was looked at */
    size_t page;                          /* how many were, in this transaction */
    bool failed;
};

/* ---- what was given up ---- */

static bool replay_dead(struct replaying *replaying)
{
    for (size_t n = STORE_REPLAY_MAX; n == STORE_REPLAY_MAX;) {
        if (!store_replay_dead(replaying->store, &replaying->replay, &n))
            return false;
        replaying->n += n;
    }
    return true;
}

/* ---- chosen events ---- */

/* An event and a webhook that were both named go together whatever its filter says. */
static bool is_meant(const struct replaying *replaying, const struct event *event)
{
    const struct options *options = replaying->options;
    if (options->event)
        return strcmp(event->id, options->event) == 0 &&
               (options->webhook || webhook_takes(replaying->webhook, event));
    return webhook_takes(replaying->webhook, event);
}

/* False ends the page. */
static bool replay_event(void *user, int64_t seq, const struct event *event)
{
    struct replaying *replaying = user;
    char order_key[DELIVERY_KEY_SIZE];
    bool is_new = false;
    replaying->after = seq;
    replaying->page++;
    if (is_meant(replaying, event)) {
        delivery_order_key(event, order_key);
        replaying->failed =
            !store_replay_event(replaying->store, &replaying->replay, seq, order_key, &is_new);
    }
    replaying->n += is_new;
    return !replaying->failed && replaying->page < STORE_REPLAY_MAX;
}

static bool replay_page(struct replaying *replaying)
{
    struct event_query query = {.since = replaying->replay.since,
                                .until = WALL_NONE,
                                .priority = PRIO_DEBUG,
                                .after_seq = replaying->after};
    replaying->page = 0;
    if (!store_begin(replaying->store))
        return false;
    if (store_read_events(replaying->store, &query, replay_event, replaying) && !replaying->failed)
        return store_commit(replaying->store);
    store_rollback(replaying->store);
    return false;
}

static bool replay_chosen(struct replaying *replaying)
{
    replaying->after = 0;
    do {
        if (!replay_page(replaying))
            return false;
    } while (replaying->page == STORE_REPLAY_MAX);
    return true;
}

/* ---- the daemon ---- */

/* Whether a daemon runs and could be told that there is something to do. */
static bool wake_daemon(struct store *store, bool *ret_runs)
{
    char *text = store_note_get(store, REPORT_KEY);
    struct json_object *report = text ? json_tokener_parse(text) : NULL;
    int64_t pid = json_object_get_int64(json_object_object_get(report, "pid"));
    int64_t started = json_object_get_int64(json_object_object_get(report, "started"));
    json_object_put(report);
    free(text);
    *ret_runs = process_runs(pid, started);
    return *ret_runs && kill((pid_t)pid, SIGUSR1) == 0;
}

static const char *when(struct store *store)
{
    bool runs;
    if (wake_daemon(store, &runs))
        return "on their way";
    return runs ? "on their way after a reload: systemctl reload klv-jobwatch"
                : "on their way as soon as klv-jobwatch runs";
}

/* ---- the command ---- */

static bool replay_to(struct replaying *replaying, const struct config_webhook *webhook)
{
    delivery_sink_of(webhook->name, replaying->sink);
    replaying->webhook = webhook;
    replaying->n = 0;
    replaying->replay.sink = replaying->sink;
    replaying->replay.grouped = webhook->group_wait > 0;
    if (replaying->options->failed ? replay_dead(replaying) : replay_chosen(replaying))
        return true;
    log_error("%s", store_error(replaying->store));
    return false;
}

static int replay_all(struct replaying *replaying)
{
    const struct options *options = replaying->options;
    const struct config *config = replaying->config;
    size_t total = 0;
    for (size_t i = 0; i < config->n_webhooks; i++) {
        const struct config_webhook *webhook = &config->webhooks[i];
        if (options->webhook && strcmp(options->webhook, webhook->name) != 0)
            continue;
        if (!replay_to(replaying, webhook))
            return EXIT_FAILED;
        printf("webhook %s: %zu event%s\n", webhook->name, replaying->n, replaying->n == 1 ? "" : "s");
        total += replaying->n;
    }
    if (total > 0)
        puts(when(replaying->store));
    else
        log_warning("nothing to send: no event is as you asked, or all of them wait to be sent already");
    return total > 0 ? EXIT_FINE : EXIT_FAILED;
}

/* The daemon's time line, as far as it can be known without it. */
static bool set_times(struct replaying *replaying)
{
    const char *since = replaying->options->since;
    wall_time now = time_option_now();
    int64_t to_wall;
    replaying->replay.since = WALL_NONE;
    if (since && !time_option_parse(since, now, false, &replaying->replay.since)) {
        log_error("--since \"%s\" is no time: 2h (ago), today, 2026-11-24 or '2026-11-24 09:00'", since);
        return false;
    }
    replaying->replay.now.ms = store_read_clock(replaying->store, &to_wall) ? now.ms - to_wall : 0;
    return true;
}

static bool choice_is_clear(const struct options *options, const struct config *config)
{
    if (!options->failed && !options->since && !options->event) {
        log_error("which events? --failed, --since TIME, --event ID");
        return false;
    }
    if (config->n_webhooks == 0)
        log_error("there is no webhook in the configuration");
    return config->n_webhooks > 0 && (!options->webhook || webhook_named(config, options->webhook));
}

int command_replay(const struct options *options)
{
    char why[STORE_WHY];
    int code = EXIT_USAGE;
    struct config *config = config_file_read(options->config);
    struct replaying replaying = {.options = options, .config = config, .replay.event_id = options->event};
    if (config && choice_is_clear(options, config)) {
        code = EXIT_FAILED;
        replaying.store = store_open_beside(options->state, why);
        if (!replaying.store)
            log_error("%s", why);
        else
            code = set_times(&replaying) ? replay_all(&replaying) : EXIT_USAGE;
    }
    store_close(replaying.store);
    config_free(config);
    return code;
}
