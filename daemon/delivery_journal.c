/*
 * The queue of the journal: what is recorded, oldest first, and, while the store fails, what is not recorded yet.
 *
 * Invariant: one batch is being written at a time, of the one or the other kind. Of a batch the journal has its first
 * events or all; the rest stays where it was, and is tried again by the back-off. Outcomes belong to the batch until
 * they are settled; unsaved events stay their owner's. Times in ms.
 */
#include "delivery_private.h"

#include "log.h"
#include "random.h"
#include "../lib/backoff.h"

#include <string.h>

static const struct backoff_rules journal_rules = {.base = 100, .cap = 10000};

static void note_journal(struct delivery *delivery, bool fine, struct now now)
{
    struct journal_queue *queue = &delivery->journal_queue;
    if (fine && queue->failures > 0)
        log_notice("the journal takes alerts again");
    if (!fine && queue->failures == 0)
        log_warning("the journal does not take alerts; they wait, trying again");
    queue->failures = fine ? 0 : queue->failures + 1;
    if (!fine)
        queue->retry_at = mono_add(now.mono, backoff_delay(&journal_rules, queue->failures, random_u64()));
}

/* ---- what is not saved yet ---- */

void delivery_tell_unsaved(struct delivery *delivery, const struct unsaved_events *source)
{
    delivery->unsaved = *source;
}

static void answer_unsaved(struct delivery *delivery, size_t written)
{
    struct journal_queue *queue = &delivery->journal_queue;
    for (size_t i = 0; i < queue->n_unsaved; i++)
        delivery->unsaved.told(delivery->unsaved.user, queue->unsaved[i], i < written);
    queue->n_unsaved = 0;
}

static void unsaved_written(void *user, size_t written)
{
    struct delivery *delivery = user;
    if (!sink_journal_is_stuck(delivery->journal))
        note_journal(delivery, written == delivery->journal_queue.n_unsaved, loop_now(delivery->loop));
    answer_unsaved(delivery, written);
    delivery_soon(delivery);
}

mono_time journal_pump_unsaved(struct delivery *delivery, struct now now)
{
    struct journal_queue *queue = &delivery->journal_queue;
    const struct event *events[DELIVERY_BATCH];
    if (!delivery->unsaved.take || sink_journal_is_busy(delivery->journal))
        return MONO_NEVER;
    if (queue->failures > 0 && now.mono.ms < queue->retry_at.ms)
        return queue->retry_at;
    queue->n_unsaved = delivery->unsaved.take(delivery->unsaved.user, now, events, DELIVERY_BATCH);
    for (size_t i = 0; i < queue->n_unsaved; i++)
        memcpy(queue->unsaved[i], events[i]->id, sizeof queue->unsaved[i]);
    if (queue->n_unsaved == 0 ||
        sink_journal_write(delivery->journal, events, queue->n_unsaved, unsaved_written, delivery))
        return MONO_NEVER;
    answer_unsaved(delivery, 0);
    note_journal(delivery, false, now);
    return queue->retry_at;
}

/* ---- what is ---- */

void journal_drop_batch(struct journal_queue *queue, size_t from)
{
    for (size_t i = from; i < queue->n; i++)
        outcome_free(queue->batch[i]);
    queue->n = 0;
}

static void journal_written(void *user, size_t written)
{
    struct delivery *delivery = user;
    struct journal_queue *queue = &delivery->journal_queue;
    struct now now = loop_now(delivery->loop);
    if (sink_journal_is_stuck(delivery->journal))
        log_warning("the journal hangs; ending without it, %zu alerts stay in the outbox", queue->n);
    else
        note_journal(delivery, written == queue->n, now);
    for (size_t i = 0; i < written; i++) {
        struct stored_delivery *row = &queue->batch[i]->row;
        row->state = DELIVERY_DONE;
        row->attempts++;
        row->last_at = now.wall;
        delivery_settle(delivery, queue->batch[i]);
    }
    journal_drop_batch(queue, written);
    if (delivery->closed)
        delivery_save(delivery, now);
    else
        delivery_soon(delivery);
}

static bool is_settled(const struct delivery *delivery, int64_t seq)
{
    for (const struct outcome *outcome = delivery->outcomes; outcome; outcome = outcome->next) {
        if (outcome->row.seq == seq && strcmp(outcome->row.sink, SINK_JOURNAL) == 0)
            return true;
    }
    return false;
}

/*
 * While saving fails the store goes on to call due what the journal has had. So these are taken as they were
 * recorded, up to the first that has to wait, without those whose outcome is at hand.
 */
static bool due_while_saving_fails(struct delivery *delivery, struct now now, size_t *ret_n)
{
    struct journal_queue *queue = &delivery->journal_queue;
    size_t n = DELIVERY_BATCH, looked = DELIVERY_BATCH, kept = 0;
    while (kept == 0 && looked == DELIVERY_BATCH && delivery->n_outcomes < MOST_OUTCOMES) {
        bool fine = store_deliveries_behind(delivery->store, SINK_JOURNAL, queue->settled_to, delivery->rows,
                                            DELIVERY_BATCH, &n);
        if (!delivery_note_read(delivery, fine))
            return false;
        for (looked = 0; looked < n && delivery->rows[looked].next_at.ms <= now.mono.ms; looked++) {
            if (!is_settled(delivery, delivery->rows[looked].seq))
                delivery->rows[kept++] = delivery->rows[looked];
            else if (kept == 0)
                queue->settled_to = delivery->rows[looked].seq;
        }
    }
    *ret_n = kept;
    return true;
}

/* Load the events of due rows, each with the outcome it will have. Returns how many. Errors that come late are
 * kept away from them only when that can be saved. */
static size_t load_batch(struct delivery *delivery, size_t n, struct event **events, bool saved,
                         struct now now)
{
    struct journal_queue *queue = &delivery->journal_queue;
    queue->n = 0;
    for (size_t i = 0; i < n; i++) {
        struct outcome *outcome = outcome_new(&delivery->rows[i]);
        struct event *event = !outcome ? NULL
                              : saved  ? delivery_load(delivery, &outcome->row, now)
                                       : store_event_load(delivery->store, outcome->row.seq);
        if (event) {
            events[queue->n] = event;
            queue->batch[queue->n++] = outcome;
            continue;
        }
        bool put_off = outcome && delivery_put_off(delivery, &outcome->row, now);
        outcome_free(outcome);
        if (!put_off)
            break; /* the rest is as much out of reach */
    }
    return queue->n;
}

mono_time journal_pump(struct delivery *delivery, bool saved, struct now now)
{
    struct journal_queue *queue = &delivery->journal_queue;
    struct event *events[DELIVERY_BATCH];
    size_t n;
    if (sink_journal_is_busy(delivery->journal))
        return MONO_NEVER;
    if (queue->failures > 0 && now.mono.ms < queue->retry_at.ms)
        return queue->retry_at;
    if (!(saved ? delivery_due(delivery, SINK_JOURNAL, now, DELIVERY_BATCH, &n)
                : due_while_saving_fails(delivery, now, &n)))
        return mono_add(now.mono, STORE_WAIT);
    n = load_batch(delivery, n, events, saved, now);
    if (n == 0)
        return saved ? delivery_next_look(delivery, SINK_JOURNAL, &queue->blocked_wait, now)
                     : delivery->save_at;
    queue->blocked_wait = BLOCKED_WAIT;
    bool fine = sink_journal_write(delivery->journal, (const struct event *const *)events, n, journal_written,
                                   delivery);
    for (size_t i = 0; i < n; i++)
        event_free(events[i]);
    if (fine)
        return MONO_NEVER; /* journal_written() wakes us */
    journal_drop_batch(queue, 0);
    note_journal(delivery, false, now);
    return queue->retry_at;
}
