/* once: one full sweep against the stored state, tell and deliver what changed, exit. For cron and tests. */
#include "commands.h"

#include "../app.h"
#include "../log.h"

/* All sweeps are over: stay only until what can be delivered now is delivered. */
static void end_when_quiet(void *user)
{
    struct app *app = user;
    if (loop_is_stopping(app->loop) || !delivery_is_quiet(app->delivery))
        return;
    app_stop(app, app->exit_code);
}

static void judge(struct app *app)
{
    char why[STORE_WHY] = "";
    for (size_t i = 0; i < app->n_watches; i++) {
        if (watch_was_whole(app->watches[i], why, sizeof why))
            continue;
        log_error("%s", why[0] ? why : "the state could not be saved");
        app->exit_code = EXIT_FAILED;
    }
}

static void on_done(struct app *app)
{
    for (size_t i = 0; i < app->n_watches; i++) {
        if (!watch_is_done(app->watches[i]))
            return;
    }
    judge(app);
    delivery_on_quiet(app->delivery, end_when_quiet, app);
    delivery_wake(app->delivery);
    end_when_quiet(app);
}

int command_once(const struct options *options)
{
    struct app app = {.once = true, .on_done = on_done};
    if (app_open(&app, options, options->json ? JOURNAL_STDOUT_JSON : JOURNAL_STDOUT)) {
        app_prune(&app);
        app_run(&app);
    }
    int64_t waiting = 0, dead = 0;
    if (app.store && store_delivery_counts(app.store, NULL, &waiting, &dead) && waiting > 0)
        log_warning("%lld deliveries wait in the outbox for a later run", (long long)waiting);
    return app_free(&app);
}
