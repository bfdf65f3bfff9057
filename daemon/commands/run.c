/* run: the daemon, in the foreground. */
#include "commands.h"

#include "../app.h"
#include "../heartbeat.h"
#include "../log.h"
#include "../report.h"
#include "../supervise.h"

#include <stdlib.h>

/* At most one STATUS and one report for the commands in this many ms, and in this many more for each family. */
#define STATUS_EVERY  1000
#define STATUS_FAMILY 2
/* Events older than the retention are looked for this often, in ms. */
#define PRUNE_EVERY 60000

struct running {
    struct app app; /* first: handed around as struct app */
    struct loop_timer *status_timer;
    struct loop_timer *watchdog_timer;
    struct heartbeat *heartbeat;
    int64_t watchdog_every;
    mono_time last_ping;
    bool status_is_due;
    mono_time pruned;
};

static void tell_status(void *user)
{
    struct running *running = user;
    running->status_is_due = false;
    char *text = report_status_line(&running->app);
    if (text)
        supervise_status(text);
    free(text);
    report_store(&running->app);
    heartbeat_look(running->heartbeat);
    mono_time now = loop_now(running->app.loop).mono;
    if (mono_diff(now, running->pruned) < PRUNE_EVERY)
        return;
    running->pruned = now;
    app_prune(&running->app);
}

static void on_change(struct app *app)
{
    struct running *running = (struct running *)app;
    if (running->status_is_due || !running->status_timer)
        return;
    running->status_is_due = true;
    int64_t wait = STATUS_EVERY + STATUS_FAMILY * (int64_t)app_families(app);
    loop_timer_at(running->status_timer, mono_add(loop_now(app->loop).mono, wait));
}

/* The loop must turn at least as often as the watchdog wants to hear of it. */
static void on_watchdog(void *user)
{
    struct running *running = user;
    loop_timer_at(running->watchdog_timer,
                  mono_add(loop_now(running->app.loop).mono, running->watchdog_every));
}

static void on_turn(struct app *app)
{
    struct running *running = (struct running *)app;
    if (running->watchdog_every <= 0)
        return;
    mono_time now = loop_now(app->loop).mono;
    if (mono_diff(now, running->last_ping) < running->watchdog_every / 2)
        return;
    running->last_ping = now;
    supervise_watchdog();
}

static void on_reload(struct app *app)
{
    supervise_reloading();
    if (app_reload(app)) {
        log_notice("configuration reloaded: %zu accounts, %zu webhooks", app->config->n_accounts,
                   app->config->n_webhooks);
        heartbeat_configure(((struct running *)app)->heartbeat, &app->config->heartbeat);
    } else
        log_error("the configuration was not taken, the one before stays in effect");
    supervise_ready();
    on_change(app);
}

static void on_stop(struct app *app)
{
    struct running *running = (struct running *)app;
    supervise_stopping();
    loop_timer_close(running->status_timer);
    loop_timer_close(running->watchdog_timer);
    running->status_timer = running->watchdog_timer = NULL;
    heartbeat_close(running->heartbeat);
}

/* All accounts, as the worst of them. */
static enum heartbeat_sight sight_of_all(void *user)
{
    const struct app *app = user;
    struct now now = loop_now(app->loop);
    enum heartbeat_sight worst = SIGHT_GOOD;
    for (size_t i = 0; i < app->n_watches; i++) {
        enum heartbeat_sight sight = watch_sight(app->watches[i], now);
        worst = sight > worst ? sight : worst;
    }
    return worst;
}

static bool start_timers(struct running *running)
{
    running->watchdog_every = supervise_watchdog_interval();
    running->status_timer = loop_timer_new(running->app.loop, tell_status, running);
    running->watchdog_timer = loop_timer_new(running->app.loop, on_watchdog, running);
    running->heartbeat = heartbeat_new(running->app.loop, running->app.http, sight_of_all, &running->app);
    if (!running->status_timer || !running->watchdog_timer || !running->heartbeat) {
        log_error("out of memory");
        return false;
    }
    if (running->watchdog_every > 0)
        on_watchdog(running);
    return true;
}

static int end(struct running *running)
{
    int code = app_free(&running->app);
    heartbeat_free(running->heartbeat);
    return code;
}

int command_run(const struct options *options)
{
    struct running running = {
        .app = {.on_change = on_change, .on_reload = on_reload, .on_turn = on_turn, .on_stop = on_stop}};
    struct app *app = &running.app;
    if (!app_open(app, options, options->no_journal ? JOURNAL_STDERR : JOURNAL_AUTO))
        return app_free(app);
    if (!start_timers(&running)) {
        app->exit_code = EXIT_FAILED;
        return end(&running);
    }
    supervise_ready();
    tell_status(&running);
    heartbeat_configure(running.heartbeat, &app->config->heartbeat);
    log_info("klv-jobwatch " JOBWATCH_VERSION ": watching %zu accounts, telling the journal and %zu webhooks",
             app->config->n_accounts, app->config->n_webhooks);
    app_run(app);
    return end(&running);
}
