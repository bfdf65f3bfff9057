#include "delivery_private.h"

#include <stdlib.h>

#define FIGURES_AGE 1000
#define GRACE       400 /* ms for the last requests: the end has to come within a second */

static void turn(void *user);

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
    next = mono_min(next, journal_pump(delivery, saved, now));
    next = mono_min(next, journal_pump_unsaved(delivery, now));
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

/* ---- figures ---- */

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
    const struct hook *hook = delivery_find_hook(delivery, name);
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
    journal_drop_batch(&delivery->journal_queue, 0);
    free(delivery->figures);
    free(delivery);
}
