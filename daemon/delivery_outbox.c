/*
 * What goes into the outbox, and what comes late for it: all within an open transaction, which is the caller's.
 *
 * Invariant: an event that is new gets, with itself, its rows for the journal and each webhook that takes it; one that
 * was recorded before gets none. False is the store's failure: the transaction has to be rolled back.
 */
#include "delivery_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void delivery_order_key(const struct event *event, char out[DELIVERY_KEY_SIZE])
{
    snprintf(out, DELIVERY_KEY_SIZE, "%s/%s/%s", event->account, event->family, event->job_id);
}

void delivery_sink_of(const char *webhook, char out[SINK_SIZE])
{
    snprintf(out, SINK_SIZE, SINK_HOOK_PREFIX "%.*s", (int)(SINK_SIZE - sizeof SINK_HOOK_PREFIX), webhook);
}

bool delivery_route(struct delivery *delivery, const struct event *event, struct now now,
                    mono_time hold_until, const char *but, bool journal_only, bool *ret_new)
{
    struct store *store = delivery->store;
    char order_key[DELIVERY_KEY_SIZE];
    bool is_new;
    int64_t seq;
    mono_time due = mono_max(now.mono, hold_until);
    delivery_order_key(event, order_key);
    if (!store_event_add(store, event, &is_new, &seq))
        return false;
    *ret_new = is_new;
    if (!is_new)
        return true;
    if (due.ms > now.mono.ms && !store_event_hold(store, seq, true))
        return false;
    if (event->kind != EVENT_TEST && !store_delivery_add(store, SINK_JOURNAL, seq, order_key, due, due))
        return false;
    for (size_t i = 0; i < delivery->n_hooks && !journal_only; i++) {
        const struct hook *hook = delivery->hooks[i];
        if (!hook_takes(hook, event) || (but && strcmp(but, hook_sink(hook)) == 0))
            continue;
        if (!store_delivery_add(store, hook_sink(hook), seq, order_key, due,
                                mono_add(due, hook_group_wait(hook))))
            return false;
    }
    delivery->figures->fresh = false;
    return true;
}

bool delivery_enqueue(struct delivery *delivery, const struct event *event, struct now now,
                      mono_time hold_until, bool *ret_new)
{
    return delivery_route(delivery, event, now, hold_until, NULL, false, ret_new);
}

bool delivery_journal_had(struct delivery *delivery, const char *event_id, struct now now)
{
    return store_delivery_done(delivery->store, SINK_JOURNAL, event_id, now.wall);
}

/* ---- errors that come late ---- */

/* The waiting events of one job. */
struct waiting {
    const char *job_id;
    int64_t *seqs;
    size_t n;
    size_t room;
};

static bool collect(void *user, int64_t seq, const char *job_id)
{
    struct waiting *waiting = user;
    if (strcmp(job_id, waiting->job_id) != 0)
        return true;
    if (waiting->n == waiting->room) {
        size_t room = waiting->room ? waiting->room * 2 : 8;
        int64_t *seqs = reallocarray(waiting->seqs, room, sizeof *seqs);
        if (!seqs)
            return false;
        waiting->seqs = seqs;
        waiting->room = room;
    }
    waiting->seqs[waiting->n++] = seq;
    return true;
}

bool delivery_errors_arrived(struct delivery *delivery, struct now now, const char *account,
                             const char *family, const struct job *job)
{
    struct store *store = delivery->store;
    struct waiting waiting = {.job_id = job->id};
    bool fine = store_events_waiting(store, account, family, collect, &waiting);
    for (size_t i = 0; fine && i < waiting.n; i++) {
        int64_t seq = waiting.seqs[i];
        fine = store_event_set_errors(store, seq, job->errors, job->n_errors, job->more_errors) &&
               store_event_hold(store, seq, false) && store_deliveries_release(store, seq, now.mono);
    }
    free(waiting.seqs);
    return fine;
}
