#include "delivery_private.h"

#include "log.h"
#include "random.h"
#include "webhook_keys.h"
#include "../lib/backoff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIGURES_AGE 1000
#define GRACE       400 /* ms for the last requests: the end has to come within a second */

static const struct backoff_rules journal_rules = {.base = 100, .cap = 10000};

static void turn(void *user);

/* ---- set-up ---- */

struct delivery *delivery_new(struct loop *loop, struct http *http, struct store *store,
                              struct sink_journal *journal)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);
    if (!delivery)
        return NULL;
    delivery->loop = loop;
    delivery->http = http;
    delivery->store = store;
    delivery->journal = journal;
    delivery->outcomes_end = &delivery->outcomes;
    delivery->journal_queue.blocked_wait = BLOCKED_WAIT;
    delivery->figures = calloc(1, sizeof *delivery->figures);
    delivery->timer = delivery->figures ? loop_timer_new(loop, turn, delivery) : NULL;
    if (delivery->timer) {
        delivery->figures->counted_at = (mono_time){INT64_MIN};
        return delivery;
    }
    free(delivery->figures);
    free(delivery);
    return NULL;
}

static struct hook *find_hook(const struct delivery *delivery, const char *name)
{
    char sink[SINK_SIZE];
    delivery_sink_of(name, sink);
    for (size_t i = 0; i < delivery->n_hooks; i++) {
        if (delivery->hooks[i] && strcmp(hook_sink(delivery->hooks[i]), sink) == 0)
            return delivery->hooks[i];
    }
    return NULL;
}

/* What a new configuration needs, all of it made before anything of the old one is touched. */
struct exchange {
    size_t n;
    struct hook **hooks; /* NULL in the places of those that are there already */
    struct webhook_keys *keys;
};

static void finish_exchange(struct exchange *exchange)
{
    for (size_t i = 0; exchange->hooks && i < exchange->n; i++)
        hook_free(exchange->hooks[i]);
    for (size_t i = 0; exchange->keys && i < exchange->n; i++)
        webhook_keys_wipe(&exchange->keys[i]);
    free(exchange->hooks);
    free(exchange->keys);
}

static bool prepare_exchange(struct delivery *delivery, const struct config *config,
                             struct exchange *exchange, char *why, size_t why_size)
{
    /* One more, because an allocation of nothing may be NULL. */
    exchange->n = config->n_webhooks;
    exchange->hooks = calloc(exchange->n + 1, sizeof(struct hook *));
    exchange->keys = calloc(exchange->n + 1, sizeof *exchange->keys);
    bool fine = exchange->hooks && exchange->keys;
    for (size_t i = 0; fine && i < exchange->n; i++) {
        const struct config_webhook *webhook = &config->webhooks[i];
        if (!webhook_keys_read(webhook, &exchange->keys[i], why, why_size))
            return false;
        if (find_hook(delivery, webhook->name))
            continue;
        exchange->hooks[i] = hook_new(delivery, webhook->name);
        fine = exchange->hooks[i];
    }
    if (!fine)
        snprintf(why, why_size, "out of memory");
    return fine;
}

static void commit_exchange(struct delivery *delivery, const struct config *config, struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->n; i++) {
        struct hook *old = exchange->hooks[i] ? NULL : find_hook(delivery, config->webhooks[i].name);
        for (size_t j = 0; old && j < delivery->n_hooks; j++) {
            if (delivery->hooks[j] == old)
                delivery->hooks[j] = NULL;
        }
        if (old)
            exchange->hooks[i] = old;
        hook_configure(exchange->hooks[i], &config->webhooks[i], &exchange->keys[i]);
    }
    for (size_t i = 0; i < delivery->n_hooks; i++)
        hook_free(delivery->hooks[i]);
    free(delivery->hooks);
    delivery->hooks = exchange->hooks;
    delivery->n_hooks = exchange->n;
    exchange->hooks = NULL;
}

bool delivery_configure(struct delivery *delivery, const struct config *config, char *why, size_t why_size)
{
    struct exchange exchange = {0};
    bool fine = prepare_exchange(delivery, config, &exchange, why, why_size);
    if (fine)
        commit_exchange(delivery, config, &exchange);
    finish_exchange(&exchange);
    if (fine && delivery->started)
        delivery_wake(delivery);
    return fine;
}

/* ---- into the outbox ---- */

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

/* ---- the journal ---- */

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

static void drop_batch(struct journal_queue *queue, size_t from)
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
    drop_batch(queue, written);
    if (delivery->closed)
        delivery_save(delivery, now);
    else
        delivery_soon(delivery);
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

static mono_time pump_unsaved(struct delivery *delivery, struct now now)
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

static mono_time pump_journal(struct delivery *delivery, bool saved, struct now now)
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
    drop_batch(queue, 0);
    note_journal(delivery, false, now);
    return queue->retry_at;
}

/* ---- the turn ---- */

void delivery_soon(struct delivery *delivery)
{
    if (!delivery->timer)
        return;
    delivery->woken = true;
    loop_timer_at(delivery->timer, loop_now(delivery->loop).mono);
}

static bool is_sending(const struct delivery *delivery)
{
    for (size_t i = 0; i < delivery->n_hooks; i++) {
        if (hook_in_flight(delivery->hooks[i]) > 0)
            return true;
    }
    return false;
}

/* After the close: the end, as soon as nothing is in flight. */
static void end_or_wait(struct delivery *delivery, struct now now)
{
    delivery->save_at = (mono_time){INT64_MIN}; /* the last chance */
    delivery_save(delivery, now);
    if (is_sending(delivery) && now.mono.ms < delivery->grace_end.ms) {
        loop_timer_at(delivery->timer, delivery->grace_end);
        return;
    }
    loop_timer_close(delivery->timer);
    delivery->timer = NULL;
    delivery->ended(delivery->ended_user);
}

/* What has ended is written first, so that it makes way for what follows it. */
static void turn(void *user)
{
    struct delivery *delivery = user;
    struct now now = loop_now(delivery->loop);
    if (delivery->closed) {
        end_or_wait(delivery, now);
        return;
    }
    delivery->woken = false;
    bool saved = delivery_save(delivery, now);
    mono_time next = saved ? MONO_NEVER : delivery->save_at;
    /* What is recorded is older than what is not. */
    next = mono_min(next, pump_journal(delivery, saved, now));
    next = mono_min(next, pump_unsaved(delivery, now));
    for (size_t i = 0; i < delivery->n_hooks && saved; i++)
        next = mono_min(next, hook_pump(delivery->hooks[i], now));
    if (delivery->woken || next.ms <= now.mono.ms)
        delivery_soon(delivery);
    else
        loop_timer_at(delivery->timer, next);
    if (delivery->quiet && delivery_is_quiet(delivery))
        delivery->quiet(delivery->quiet_user);
}

void delivery_wake(struct delivery *delivery)
{
    delivery->started = true;
    for (size_t i = 0; i < delivery->n_hooks; i++)
        hook_wake(delivery->hooks[i]);
    delivery_soon(delivery);
}

void delivery_replay(struct delivery *delivery)
{
    for (size_t i = 0; i < delivery->n_hooks; i++)
        hook_rearrange(delivery->hooks[i]);
    delivery_wake(delivery);
}

bool delivery_is_quiet(const struct delivery *delivery)
{
    return !delivery->woken && !sink_journal_is_busy(delivery->journal) && !is_sending(delivery);
}

void delivery_on_quiet(struct delivery *delivery, void (*quiet)(void *user), void *user)
{
    delivery->quiet = quiet;
    delivery->quiet_user = user;
}

void delivery_figures(const struct delivery *delivery, int64_t *ret_waiting, int64_t *ret_dead,
                      size_t *ret_webhooks_off)
{
    struct figures *figures = delivery->figures;
    mono_time now = loop_now(delivery->loop).mono;
    if (!figures->fresh && mono_diff(now, figures->counted_at) >= FIGURES_AGE) {
        figures->fresh = store_delivery_counts(delivery->store, NULL, &figures->waiting, &figures->dead);
        figures->counted_at = now;
    }
    *ret_waiting = figures->waiting;
    *ret_dead = figures->dead;
    *ret_webhooks_off = 0;
    for (size_t i = 0; i < delivery->n_hooks; i++)
        *ret_webhooks_off += hook_is_off(delivery->hooks[i]);
}

bool delivery_webhook_is_off(const struct delivery *delivery, const char *name, bool *ret)
{
    const struct hook *hook = find_hook(delivery, name);
    if (hook)
        *ret = hook_is_off(hook);
    return hook;
}

/* ---- the end ---- */

void delivery_close(struct delivery *delivery, void (*closed)(void *user), void *user)
{
    if (delivery->closed)
        return;
    struct now now = loop_now(delivery->loop);
    delivery->closed = true;
    delivery->ended = closed;
    delivery->ended_user = user;
    delivery->grace_end = mono_add(now.mono, GRACE);
    sink_journal_close(delivery->journal);
    end_or_wait(delivery, now);
}

void delivery_free(struct delivery *delivery)
{
    if (!delivery)
        return;
    for (size_t i = 0; i < delivery->n_hooks; i++)
        hook_free(delivery->hooks[i]);
    free(delivery->hooks);
    while (delivery->outcomes) {
        struct outcome *outcome = delivery->outcomes;
        delivery->outcomes = outcome->next;
        outcome_free(outcome);
    }
    drop_batch(&delivery->journal_queue, 0);
    free(delivery->figures);
    free(delivery);
}
