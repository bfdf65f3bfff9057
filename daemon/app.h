/*
 * app: everything `run` and `once` need, set up in one order and taken down in the reverse one.
 *
 * Order: configuration → store (lock, migration) → loop → http → sinks and delivery → watches. app_stop
 * closes what lives on the loop; after loop_run app_free releases the rest. Invariant: stopping is
 * idempotent, and the loop must be empty at the end.
 */
#ifndef KLV_APP_H
#define KLV_APP_H

#include "options.h"
#include "watch.h"

struct app {
    const struct options *options;
    struct config *config;
    struct store *store;
    struct loop *loop;
    struct http *http;
    struct sink_journal *journal;
    struct delivery *delivery;
    struct watch **watches; /* one per account, in the configuration's order */
    size_t n_watches;
    bool once;
    bool wanted;      /* a watch wants its part of the next round */
    size_t first;     /* the watch that begins it: each in turn */
    size_t in_flight; /* requests of all watches on their way */
    int exit_code;
    void (*on_change)(struct app *app); /* a watch's state moved; may be NULL */
    void (*on_done)(struct app *app);   /* `once`: an account is done; may be NULL */
    void (*on_reload)(struct app *app);
    void (*on_turn)(struct app *app); /* may be NULL */
    void (*on_stop)(struct app *app); /* close timers of your own; may be NULL */
};

/* Set up; on failure it says why in the log, *app holds what there is so far (call app_free) and the exit
 * code is set. */
bool app_open(struct app *app, const struct options *options, enum journal_port port);

/* Begin to watch, and run until stopped. */
void app_run(struct app *app);

/* How many families of all accounts are watched. */
size_t app_families(const struct app *app);

/* Ask for the end, with an exit code. */
void app_stop(struct app *app, int exit_code);

/* SIGHUP: read the configuration anew and swap it in; on any error the old one stays and the log says why. */
bool app_reload(struct app *app);

/* Forget events older than the configuration's retention, a bounded number a call. A store that fails is told elsewhere. */
void app_prune(struct app *app);

/* Release everything; returns the exit code. */
int app_free(struct app *app);

#endif
