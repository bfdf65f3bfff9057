/* What the files of the delivery share; nobody else includes this. */
#ifndef KLV_DELIVERY_PRIVATE_H
#define KLV_DELIVERY_PRIVATE_H

#include "delivery.h"
#include "../lib/signature.h"

/* Sinks as the store knows them: this, and the prefix with a webhook's name. */
#define SINK_SIZE sizeof(((struct stored_delivery *)NULL)->sink)

/* Events for the journal in one go, and given-up deliveries of a webhook in one look. */
#define DELIVERY_BATCH  64
#define MAX_CONCURRENCY 64
#define DELIVERY_ROWS   (DELIVERY_BATCH + MAX_CONCURRENCY)

#define BLOCKED_WAIT     1000
#define BLOCKED_WAIT_MAX 30000

/* A row as it should be written, with the delivery.failed event that belongs to it. */
struct outcome {
    struct stored_delivery row;
    struct event *told; /* owned; NULL: nothing to tell */
    bool journal_only;  /* where to tell it */
    struct outcome *next;
};

struct hook;

struct journal_queue {
    struct outcome *batch[DELIVERY_BATCH]; /* what is being written */
    size_t n;
    char unsaved[DELIVERY_BATCH][EVENT_ID_SIZE]; /* what is being written before it is saved */
    size_t n_unsaved;
    uint32_t failures;
    mono_time retry_at;
    int64_t blocked_wait;
};

struct figures {
    bool fresh;
    mono_time counted_at;
    int64_t waiting;
    int64_t dead;
};

struct delivery {
    struct loop *loop;
    struct http *http;
    struct store *store;
    struct sink_journal *journal;
    struct loop_timer *timer;
    struct journal_queue journal_queue;
    struct unsaved_events unsaved;
    struct hook **hooks;
    size_t n_hooks;
    struct outcome *outcomes; /* not written yet, oldest first */
    struct outcome **outcomes_end;
    uint32_t save_failures;
    mono_time save_at; /* no write before */
    bool unreadable;   /* the store, at the last try */
    struct figures *figures;
    bool woken; /* a turn comes at once */
    bool started;
    bool closed;
    void (*quiet)(void *user);
    void *quiet_user;
    struct stored_delivery rows[DELIVERY_ROWS]; /* room for one look at a time */
};

/* ---- delivery.c ---- */

/* The turn comes at once. */
void delivery_soon(struct delivery *delivery);

/* As delivery_enqueue; with journal_only no webhook gets it, and never the one called `but`. */
bool delivery_route(struct delivery *delivery, const struct event *event, struct now now,
                    mono_time hold_until, const char *but, bool journal_only, bool *ret_new);

/* ---- delivery_outcome.c ---- */

struct outcome *outcome_new(const struct stored_delivery *row); /* NULL without memory */
void outcome_free(struct outcome *outcome);

/* Have it written with this turn's others. Takes the outcome. */
void delivery_settle(struct delivery *delivery, struct outcome *outcome);

/* Have delivery.failed told with it: what was lost, or why the webhook is off. False without memory. */
bool outcome_tell(struct outcome *outcome, const struct event *about, const char *webhook,
                  const char *distinct, const char *reason, struct now now);

/* Up to max due rows of a sink into delivery->rows. False (said once): the store cannot be read. */
bool delivery_due(struct delivery *delivery, const char *sink, struct now now, size_t max, size_t *ret_n);

/* Write all outcomes in one transaction; false: not now, the store fails. */
bool delivery_save(struct delivery *delivery, struct now now);

/*
 * The event of a row that is about to be sent; NULL with store_error(). From here on errors that come late
 * are not filled in any more, so that no two bodies go out under one id.
 */
struct event *delivery_load(struct delivery *delivery, const struct stored_delivery *row, struct now now);

/* An event that cannot be read must not keep the others: its row waits, and is given up in the end. */
void delivery_put_off(struct delivery *delivery, const struct stored_delivery *row, struct now now);

/*
 * When to look again at a sink of which all that is due and free has been taken. What is due and was not
 * taken stands behind an older one of its job, whose end mostly wakes us, but perhaps its time: then after
 * *wait, which doubles. It begins with BLOCKED_WAIT.
 */
mono_time delivery_next_look(struct delivery *delivery, const char *sink, int64_t *wait, struct now now);

/* ---- delivery_hook.c: the queue of one webhook ---- */

struct hook *hook_new(struct delivery *delivery, const char *name); /* NULL without memory */
void hook_free(struct hook *hook);                                  /* wipes; gives up what is in flight */

/* A new configuration: whatever held the webhook back is forgotten. Takes the keys. */
void hook_configure(struct hook *hook, const struct config_webhook *config, struct signature_keys *keys);

const char *hook_sink(const struct hook *hook);
bool hook_takes(const struct hook *hook, const struct event *event);
bool hook_is_off(const struct hook *hook);
size_t hook_in_flight(const struct hook *hook);

/* Something may be due. */
void hook_wake(struct hook *hook);

/* Send what may be sent; when to come again. */
mono_time hook_pump(struct hook *hook, struct now now);

#endif
