/*
 * delivery: the outbox worker. It decides which recorded event goes to which sink next, and what to do with
 * the answer.
 *
 * Invariant: a delivery row is written in the same transaction as its event, before anything is sent; it ends
 * as done, or as a dead letter that is told (delivery.failed) and kept. At-least-once: after a crash a row
 * may be sent again under the same event id. Order per job is kept within a sink. Sinks do not wait for each
 * other. What waits lives in the store, not in memory: per sink at most `concurrency` events are loaded.
 */
#ifndef KLV_DELIVERY_H
#define KLV_DELIVERY_H

#include "http.h"
#include "sink_journal.h"
#include "store.h"
#include "../lib/config.h"

/* How sinks are called in the store: the journal, and a webhook by its name. */
#define SINK_JOURNAL     "journal"
#define SINK_HOOK_PREFIX "hook:"

struct delivery;

/*
 * The worker; loop, http and store must outlive it. The sink called "journal" is always there, writing
 * through `journal` (owned by the caller). NULL without memory.
 */
struct delivery *delivery_new(struct loop *loop, struct http *http, struct store *store,
                              struct sink_journal *journal);

/*
 * Take webhooks and their secrets from a configuration (at start and at reload; it must outlive the next call
 * or delivery_free). What is queued for a webhook that is gone stays in the store. False with a sentence in
 * why (a secret is missing, …): the old set stays.
 */
bool delivery_configure(struct delivery *delivery, const struct config *config, char *why, size_t why_size);

/*
 * Within an open transaction: record the event and a waiting delivery for the journal and each webhook whose
 * filter takes it. With hold_until later than now the event waits for its job's errors until then. *ret_new
 * false: this id was recorded before, nothing was added. False: the store failed.
 */
bool delivery_enqueue(struct delivery *delivery, const struct event *event, struct now now,
                      mono_time hold_until, bool *ret_new);

/* Within an open transaction: the errors of a job have come; fill them into its waiting events and make these
 * due now. */
bool delivery_errors_arrived(struct delivery *delivery, struct now now, const char *account,
                             const char *family, const struct job *job);

/* Within an open transaction: the journal has had this recorded event already, see delivery_tell_unsaved. */
bool delivery_journal_had(struct delivery *delivery, const char *event_id, struct now now);

/*
 * Events that cannot be recorded, because the store fails, go to the journal all the same, whenever a turn
 * comes: `take` hands out up to max of them, `told` hears of each whether the journal has it now. To be
 * called before the first turn.
 */
struct unsaved_events {
    size_t (*take)(void *user, struct now now, const struct event **events, size_t max);
    void (*told)(void *user, const char *event_id, bool fine);
    void *user;
};
void delivery_tell_unsaved(struct delivery *delivery, const struct unsaved_events *source);

/* After a commit, or when in doubt: look for due deliveries. */
void delivery_wake(struct delivery *delivery);

/* Another process has written to the outbox. */
void delivery_replay(struct delivery *delivery);

/* An event's order key, and a webhook's name as a sink. */
#define DELIVERY_KEY_SIZE 512
void delivery_order_key(const struct event *event, char out[DELIVERY_KEY_SIZE]);
void delivery_sink_of(const char *webhook, char out[sizeof((struct stored_delivery *)NULL)->sink]);

/* Nothing is being sent and nothing is due now; what waits for a later retry does not count. For `once`. */
bool delivery_is_quiet(const struct delivery *delivery);

/* Called whenever delivery_is_quiet() may have become true. May be NULL. */
void delivery_on_quiet(struct delivery *delivery, void (*quiet)(void *user), void *user);

/* Figures for STATUS, over all sinks; counted anew at most once a second. */
void delivery_figures(const struct delivery *delivery, int64_t *ret_waiting, int64_t *ret_dead,
                      size_t *ret_webhooks_off);

/* Whether a webhook answered that it is gone, and gets nothing until the next reload. False: there is none of the name. */
bool delivery_webhook_is_off(const struct delivery *delivery, const char *name, bool *ret);

/*
 * Stop sending: nothing new starts. Requests in flight have less than half a second to end, and what came of
 * them is written; then `closed` is called once, perhaps before this returns: http_close is to give up the
 * rest, which is sent again by the next run. Idempotent.
 */
void delivery_close(struct delivery *delivery, void (*closed)(void *user), void *user);
void delivery_free(struct delivery *delivery); /* after loop_run; NULL is fine; wipes secrets */

#endif
