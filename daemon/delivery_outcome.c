#include "delivery_private.h"

#include "log.h"
#include "random.h"
#include "../lib/backoff.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct backoff_rules save_rules = {.base = 100, .cap = 10000};

/* An event that cannot be read holds up its job's later ones, but not for ever. */
#define UNREADABLE_WAIT  60000
#define UNREADABLE_TRIES 5

struct outcome *outcome_new(const struct stored_delivery *row)
{
    struct outcome *outcome = calloc(1, sizeof *outcome);
    if (outcome)
        outcome->row = *row;
    return outcome;
}

void outcome_free(struct outcome *outcome)
{
    if (outcome)
        event_free(outcome->told);
    free(outcome);
}

bool outcome_tell(struct outcome *outcome, const struct event *about, const char *webhook,
                  const char *distinct, const char *reason, struct now now)
{
    char note[400];
    struct job job = {
        .id = about->job_id,
        .status = job_status_from_word(about->status),
        .status_word = about->status,
        .counts = about->counts,
        .created_at = about->created_at,
        .completed_at = about->completed_at,
        .expires_at = about->expires_at,
    };
    snprintf(note, sizeof note, "%s: %s (%s)", webhook, reason, event_types[about->kind].name);
    struct event *told = event_new(EVENT_DELIVERY_FAILED, now.wall, about->account, about->family,
                                   about->job_id[0] ? &job : NULL, distinct);
    if (!told || !event_set_note(told, note, 0)) {
        event_free(told);
        return false;
    }
    outcome->told = told;
    /* Two dead webhooks that tell each other of what they lost would never end. */
    outcome->journal_only = about->kind == EVENT_DELIVERY_FAILED;
    return true;
}

void delivery_settle(struct delivery *delivery, struct outcome *outcome)
{
    outcome->next = NULL;
    *delivery->outcomes_end = outcome;
    delivery->outcomes_end = &outcome->next;
    delivery->n_outcomes++;
    delivery_soon(delivery);
}

static bool write_outcomes(struct delivery *delivery, struct now now)
{
    bool is_new;
    for (const struct outcome *outcome = delivery->outcomes; outcome; outcome = outcome->next) {
        if (!store_delivery_put(delivery->store, &outcome->row))
            return false;
        if (outcome->told && !delivery_route(delivery, outcome->told, now, now.mono, outcome->row.sink,
                                             outcome->journal_only, &is_new))
            return false;
    }
    return store_mark(delivery->store, now);
}

static void note_saved(struct delivery *delivery, bool fine, struct now now)
{
    if (fine && delivery->save_failures > 0)
        log_notice("deliveries are being saved again");
    if (!fine && delivery->save_failures == 0)
        log_error("what was delivered is not being saved, alerts go to the journal only, webhooks wait: %s",
                  store_error(delivery->store));
    delivery->save_failures = fine ? 0 : delivery->save_failures + 1;
    if (!fine)
        delivery->save_at =
            mono_add(now.mono, backoff_delay(&save_rules, delivery->save_failures, random_u64()));
}

/* Everything is looked at anew: rows that were in the way are gone, others were added. */
static void forget_outcomes(struct delivery *delivery)
{
    while (delivery->outcomes) {
        struct outcome *outcome = delivery->outcomes;
        delivery->outcomes = outcome->next;
        outcome_free(outcome);
    }
    delivery->outcomes_end = &delivery->outcomes;
    delivery->n_outcomes = 0;
    delivery->journal_queue.settled_to = 0;
    delivery->figures->fresh = false;
    for (size_t i = 0; i < delivery->n_hooks; i++)
        hook_wake(delivery->hooks[i]);
}

bool delivery_save(struct delivery *delivery, struct now now)
{
    if (!delivery->outcomes)
        return true;
    if (delivery->save_failures > 0 && now.mono.ms < delivery->save_at.ms)
        return false;
    bool fine = store_begin(delivery->store);
    if (fine && write_outcomes(delivery, now))
        fine = store_commit(delivery->store);
    else if (fine) {
        store_rollback(delivery->store);
        fine = false;
    }
    note_saved(delivery, fine, now);
    if (fine)
        forget_outcomes(delivery);
    return fine;
}

bool delivery_record(struct delivery *delivery, const struct parcel *parcel, struct now now)
{
    struct store *store = delivery->store;
    if (!store_begin(store))
        return false;
    bool fine = store_mark(store, now);
    for (size_t i = 0; i < parcel->n && fine; i++)
        fine = store_delivery_put(store, &parcel->outcomes[i]->row);
    if (fine)
        return store_commit(store);
    store_rollback(store);
    return false;
}

bool delivery_note_read(struct delivery *delivery, bool fine)
{
    if (!fine && !delivery->unreadable)
        log_error("cannot read what is to be delivered: %s", store_error(delivery->store));
    else if (fine && delivery->unreadable)
        log_notice("what is to be delivered can be read again");
    delivery->unreadable = !fine;
    return fine;
}

bool delivery_due(struct delivery *delivery, const char *sink, struct now now, size_t max, size_t *ret_n)
{
    if (max > DELIVERY_ROWS)
        max = DELIVERY_ROWS;
    return delivery_note_read(
        delivery, store_deliveries_due(delivery->store, sink, now.mono, delivery->rows, max, ret_n));
}

struct search {
    int64_t seq;
    bool found;
};

static bool is_this(void *user, int64_t seq, const char *job_id)
{
    struct search *search = user;
    (void)job_id;
    search->found |= seq == search->seq;
    return true;
}

/* Whether its errors have been waited for in vain. */
static bool let_errors_go(struct delivery *delivery, const struct event *event, int64_t seq, struct now now)
{
    struct store *store = delivery->store;
    struct search search = {.seq = seq};
    if (!store_events_waiting(store, event->account, event->family, is_this, &search))
        return false;
    if (!search.found)
        return true;
    if (!store_begin(store))
        return false;
    if (store_event_hold(store, seq, false) && store_mark(store, now))
        return store_commit(store);
    store_rollback(store);
    return false;
}

struct event *delivery_load(struct delivery *delivery, const struct stored_delivery *row, struct now now)
{
    struct event *event = store_event_load(delivery->store, row->seq);
    if (!event || event->n_errors > 0 || !event->job_id[0] || let_errors_go(delivery, event, row->seq, now))
        return event;
    event_free(event);
    return NULL;
}

bool delivery_put_off(struct delivery *delivery, const struct stored_delivery *row, struct now now)
{
    const char *why = store_error(delivery->store);
    struct outcome *outcome = store_is_damaged(delivery->store) ? outcome_new(row) : NULL;
    if (!outcome)
        return false;
    bool last = ++outcome->row.attempts >= UNREADABLE_TRIES;
    outcome->row.state = last ? DELIVERY_DEAD : DELIVERY_WAITING;
    outcome->row.next_at = mono_add(now.mono, UNREADABLE_WAIT);
    outcome->row.leader = row->seq;
    snprintf(outcome->row.last_error, sizeof outcome->row.last_error, "the event cannot be read: %s", why);
    log_error("event %" PRId64 " for %s cannot be read, %s: %s", row->seq, row->sink,
              last ? "giving up" : "trying again in a minute", why);
    delivery_settle(delivery, outcome);
    return true;
}

mono_time delivery_next_look(struct delivery *delivery, const char *sink, int64_t *wait, struct now now)
{
    mono_time next;
    if (store_delivery_next(delivery->store, sink, &next) && next.ms > now.mono.ms) {
        *wait = BLOCKED_WAIT;
        return next;
    }
    next = mono_add(now.mono, *wait);
    *wait = *wait * 2 < BLOCKED_WAIT_MAX ? *wait * 2 : BLOCKED_WAIT_MAX;
    return next;
}
