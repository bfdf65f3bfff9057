/*
 * What the files of the delivery share; nobody else includes this.
 *
 * delivery.c has the turn, the beginning and the end; delivery_configure.c takes a configuration; delivery_outbox.c
 * records what is to be delivered. A turn pumps two kinds of queue, delivery_journal.c and, for each webhook,
 * delivery_hook.c, which makes parcels (delivery_parcel.c) and judges answers (delivery_answer.c). What came of
 * deliveries is kept and written by delivery_outcome.c. Queues come back to delivery.c only by delivery_soon.
 */
#ifndef KLV_DELIVERY_PRIVATE_H
#define KLV_DELIVERY_PRIVATE_H

#include "delivery.h"
#include "sink_webhook.h"

/* Sinks as the store knows them: this, and the prefix with a webhook's name. */
#define SINK_SIZE sizeof(((struct stored_delivery *)NULL)->sink)

/* Events for the journal in one go, and given-up deliveries of a webhook in one look. */
#define DELIVERY_BATCH 64
/* More than a batch and the most requests of a webhook together. */
#define DELIVERY_ROWS CONFIG_GROUP_MAX

/* So many outcomes wait to be saved at most, but for what the requests in flight bring. */
#define MOST_OUTCOMES 4096

#define STORE_WAIT       1000 /* ms, when the store or the memory fails */
#define BLOCKED_WAIT     1000
#define BLOCKED_WAIT_MAX 30000

/* A row as it should be written, with the delivery.failed event that belongs to it. */
struct outcome {
    struct stored_delivery row;
    struct event *told; /* owned; NULL: nothing to tell */
    bool journal_only;  /* where to tell it */
    struct outcome *next;
};

/* What goes to a webhook in one request: events, each with the outcome its delivery will have. The first row
 * stands for all of them, whose state, attempts and times are the same. */
struct parcel {
    size_t n;
    struct event **events;
    struct outcome **outcomes; /* made beforehand, so that no answer is lost to a lack of memory */
};

struct hook;

struct journal_queue {
    struct outcome *batch[DELIVERY_BATCH]; /* what is being written */
    size_t n;
    char unsaved[DELIVERY_BATCH][EVENT_ID_SIZE]; /* what is being written before it is saved */
    size_t n_unsaved;
    int64_t settled_to; /* while saving fails: of the waiting rows up to this one, each has its outcome */
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
    size_t n_outcomes;
    uint32_t save_failures;
    mono_time save_at; /* no write before */
    bool unreadable;   /* the store, at the last try */
    struct figures *figures;
    bool woken; /* a turn comes at once */
    bool started;
    bool closed;
    mono_time grace_end; /* then what is in flight is given up */
    void (*ended)(void *user);
    void *ended_user;
    void (*quiet)(void *user);
    void *quiet_user;
    struct stored_delivery rows[DELIVERY_ROWS];    /* room for one look at a time */
    struct stored_delivery members[DELIVERY_ROWS]; /* and for the group that it looks at */
};

/* ---- delivery.c ---- */

/* The turn comes at once. */
void delivery_soon(struct delivery *delivery);

/* ---- delivery_configure.c ---- */

/* By the webhook's name; NULL: there is none. */
struct hook *delivery_find_hook(const struct delivery *delivery, const char *name);

/* ---- delivery_outbox.c ---- */

/* As delivery_enqueue; with journal_only no webhook gets it, and never the one called `but`. */
bool delivery_route(struct delivery *delivery, const struct event *event, struct now now,
                    mono_time hold_until, const char *but, bool journal_only, bool *ret_new);

/* ---- delivery_journal.c: the queue of the journal ---- */

/* Write a batch, when none is being written, of what is recorded, or of what could not be; when to come again. saved:
 * whether the store takes outcomes now. */
mono_time journal_pump(struct delivery *delivery, bool saved, struct now now);
mono_time journal_pump_unsaved(struct delivery *delivery, struct now now);

/* The batch is over; its outcomes from this one on are freed. */
void journal_drop_batch(struct journal_queue *queue, size_t from);

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

/* Say once that the store cannot be read, or that it can again. Returns fine. */
bool delivery_note_read(struct delivery *delivery, bool fine);

/* Write the rows of a group before it is sent, so that it is the same group after a crash. */
bool delivery_record(struct delivery *delivery, const struct parcel *parcel, struct now now);

/* Write all outcomes in one transaction; false: not now, the store fails. */
bool delivery_save(struct delivery *delivery, struct now now);

/*
 * The event of a row that is about to be sent; NULL with store_error(). From here on errors that come late
 * are not filled in any more, so that no two bodies go out under one id.
 */
struct event *delivery_load(struct delivery *delivery, const struct stored_delivery *row, struct now now);

/* An event that is damaged must not keep the others: its row waits, and is given up in the end. False: it is
 * the store that fails, or there is no memory: come again. */
bool delivery_put_off(struct delivery *delivery, const struct stored_delivery *row, struct now now);

/* ---- delivery_parcel.c ---- */

/*
 * The events of rows. One that cannot be read is put off; of rows that were sent together before, the others
 * are then sent anew by themselves. NULL: no memory, or nothing is left to send.
 */
struct parcel *parcel_load(struct delivery *delivery, const struct stored_delivery *rows, size_t n,
                           struct now now);
void parcel_free(struct parcel *parcel); /* NULL is fine */

/* What is the same for all: take it from the first row. */
void parcel_spread(struct parcel *parcel);

/* Make it a group: led by its first row, as old as its youngest. */
void parcel_join(struct parcel *parcel);

/* Have all outcomes written. */
void parcel_settle(struct delivery *delivery, struct parcel *parcel);

/* ---- delivery_outcome.c ---- */

/*
 * When to look again at a sink of which all that is due and free has been taken. What is due and was not
 * taken stands behind an older one of its job, whose end mostly wakes us, but perhaps its time: then after
 * *wait, which doubles. It begins with BLOCKED_WAIT.
 */
mono_time delivery_next_look(struct delivery *delivery, const char *sink, int64_t *wait, struct now now);

/* ---- delivery_hook.c: the queue of one webhook ---- */

/* One request on its way. */
struct attempt {
    struct hook *hook;
    struct parcel *parcel;
    struct http_transfer *transfer;
    uint32_t round;
    struct attempt *next;
};

struct hook {
    struct delivery *delivery;
    const struct config_webhook *config;
    struct webhook_keys keys;
    char name[SINK_SIZE];
    char sink[SINK_SIZE];
    struct attempt *attempts;
    size_t in_flight;
    bool off;
    bool arranged;     /* the store's rows are as the way of sending needs them */
    bool grouped;      /* the way in which they were sent so far */
    bool dirty;        /* look before look_at, unless paused */
    uint32_t failures; /* in a row; while there are any, one delivery at a time probes */
    uint32_t round;    /* one more with each pause: what was sent before does not lengthen it */
    bool asked;        /* the pause is the receiver's own wish */
    mono_time pause_until;
    mono_time look_at;
    mono_time retry_at; /* the nearest retry that we know of; later ones of its job wait for it */
    mono_time group_at; /* when the events at hand have waited long enough for others */
    int64_t blocked_wait;
    char trouble[WEBHOOK_TEXT]; /* the last failure */
};

struct hook *hook_new(struct delivery *delivery, const char *name); /* NULL without memory */
void hook_free(struct hook *hook);                                  /* wipes; gives up what is in flight */

/* A new configuration: whatever held the webhook back is forgotten. Takes the keys. */
void hook_configure(struct hook *hook, const struct config_webhook *config, struct webhook_keys *keys);

const char *hook_sink(const struct hook *hook);
int64_t hook_group_wait(const struct hook *hook); /* 0: each event goes alone */
bool hook_takes(const struct hook *hook, const struct event *event);
bool hook_is_off(const struct hook *hook);
size_t hook_in_flight(const struct hook *hook);

/* Rows have come that may not be as this way of sending needs them. */
void hook_rearrange(struct hook *hook);

/* Something may be due. */
void hook_wake(struct hook *hook);

/* Send what may be sent; when to come again. */
mono_time hook_pump(struct hook *hook, struct now now);

/* ---- delivery_answer.c ---- */

/* What the answer to a request means for its parcel, whose outcomes are filled in, and for the webhook. round:
 * the webhook's when it was sent. */
void hook_judge(struct hook *hook, struct parcel *parcel, uint32_t round, const struct webhook_answer *answer,
                struct now now);

/* Whether its time is over. */
bool hook_is_overdue(const struct hook *hook, const struct stored_delivery *row, struct now now);
void hook_give_up_by_age(struct hook *hook, struct parcel *parcel, struct now now);

#endif
