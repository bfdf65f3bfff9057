/*
 * The queue of one webhook.
 *
 * A failed delivery waits by its own back-off, and with it the webhook as a whole by another: it is paused,
 * then probed with one delivery at a time until one gets through. So a dead receiver costs one request a
 * pause, however much waits for it in the store.
 */
#include "delivery_private.h"

#include "log.h"
#include "random.h"
#include "sink_webhook.h"
#include "../lib/backoff.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MIN_RETRY_AFTER 1000
#define STORE_WAIT      1000

/* One request on its way. */
struct attempt {
    struct hook *hook;
    struct event *event;
    struct outcome *outcome; /* made beforehand, so that no answer is lost to a lack of memory */
    struct http_transfer *transfer;
    uint32_t round;
    struct attempt *next;
};

struct hook {
    struct delivery *delivery;
    const struct config_webhook *config;
    struct signature_keys keys;
    char name[SINK_SIZE];
    char sink[SINK_SIZE];
    struct attempt *attempts;
    size_t in_flight;
    bool off;
    bool dirty;        /* look before look_at, unless paused */
    uint32_t failures; /* in a row; while there are any, one delivery at a time probes */
    uint32_t round;    /* one more with each pause: what was sent before does not lengthen it */
    bool asked;        /* the pause is the receiver's own wish */
    mono_time pause_until;
    mono_time look_at;
    mono_time retry_at; /* the nearest retry that we know of; later ones of its job wait for it */
    int64_t blocked_wait;
    char trouble[WEBHOOK_TEXT]; /* the last failure */
};

struct hook *hook_new(struct delivery *delivery, const char *name)
{
    struct hook *hook = calloc(1, sizeof *hook);
    if (!hook)
        return NULL;
    hook->delivery = delivery;
    hook->retry_at = MONO_NEVER;
    hook->blocked_wait = BLOCKED_WAIT;
    snprintf(hook->name, sizeof hook->name, "%s", name);
    snprintf(hook->sink, sizeof hook->sink, SINK_HOOK_PREFIX "%.*s",
             (int)(sizeof hook->sink - sizeof SINK_HOOK_PREFIX), name);
    return hook;
}

void hook_free(struct hook *hook)
{
    if (!hook)
        return;
    /* Each one's answer function takes it off the list. */
    while (hook->attempts)
        http_cancel(hook->attempts->transfer);
    signature_keys_wipe(&hook->keys);
    free(hook);
}

void hook_configure(struct hook *hook, const struct config_webhook *config, struct signature_keys *keys)
{
    hook->config = config;
    hook->keys = *keys;
    signature_keys_wipe(keys);
    hook->off = false;
    hook->failures = 0;
    hook->round++;
    hook->asked = false;
    hook->pause_until = (mono_time){INT64_MIN};
    hook->look_at = (mono_time){INT64_MIN};
}

const char *hook_sink(const struct hook *hook)
{
    return hook->sink;
}

bool hook_is_off(const struct hook *hook)
{
    return hook->off;
}

size_t hook_in_flight(const struct hook *hook)
{
    return hook->in_flight;
}

void hook_wake(struct hook *hook)
{
    hook->dirty = true;
}

bool hook_takes(const struct hook *hook, const struct event *event)
{
    const struct config_webhook *config = hook->config;
    return event->priority <= config->min_priority &&
           config_list_matches(&config->events, event_types[event->kind].name) &&
           config_list_matches(&config->accounts, event->account) &&
           (!event->family[0] || config_list_matches(&config->families, event->family));
}

/* ---- what an answer means ---- */

static void note_alive(struct hook *hook)
{
    if (hook->failures > 0)
        log_notice("webhook %s: it answers again", hook->name);
    hook->failures = 0;
    if (!hook->asked)
        hook->pause_until = (mono_time){INT64_MIN};
}

static int64_t retry_delay(const struct hook *hook, uint32_t failures, int64_t retry_after)
{
    struct backoff_rules rules = {.base = hook->config->retry_base, .cap = hook->config->retry_max};
    if (retry_after >= 0)
        return retry_after > MIN_RETRY_AFTER ? retry_after : MIN_RETRY_AFTER;
    return backoff_delay(&rules, failures, random_u64());
}

/* Requests that were sent side by side and fail together count as one failure. */
static void pause_hook(struct hook *hook, uint32_t round, const struct webhook_answer *answer, struct now now)
{
    bool asked = answer->retry_after >= 0;
    snprintf(hook->trouble, sizeof hook->trouble, "%s", answer->text);
    if (round != hook->round && !asked)
        return;
    if (round == hook->round) {
        hook->round++;
        hook->asked = false;
        if (hook->failures++ == 0)
            log_warning("webhook %s: %s; trying again until it answers, its events wait", hook->name,
                        answer->text);
    }
    mono_time until = mono_add(now.mono, retry_delay(hook, hook->failures, answer->retry_after));
    hook->asked |= asked;
    hook->pause_until = mono_max(hook->pause_until, until);
}

static void wait_for_retry(struct hook *hook, struct outcome *outcome, int64_t retry_after, struct now now)
{
    struct stored_delivery *row = &outcome->row;
    /* Not beyond the time it is given up, so that it is told then. */
    mono_time end = mono_add(row->queued_at, hook->config->give_up_after);
    mono_time next = mono_add(now.mono, retry_delay(hook, row->attempts, retry_after));
    row->state = DELIVERY_WAITING;
    row->next_at = mono_min(next, mono_max(end, now.mono));
    hook->retry_at = mono_min(hook->retry_at, row->next_at);
}

/* A dead letter, and the event that says so; without memory for that it stays waiting. */
static void give_up(struct hook *hook, struct outcome *outcome, const struct event *event, const char *reason,
                    struct now now)
{
    char distinct[SINK_SIZE + EVENT_ID_SIZE + 2];
    snprintf(distinct, sizeof distinct, "%s/%s", hook->sink, event->id);
    if (outcome_tell(outcome, event, hook->name, distinct, reason, now))
        outcome->row.state = DELIVERY_DEAD;
    else
        outcome->row.next_at = mono_add(now.mono, STORE_WAIT);
}

static bool is_overdue(const struct hook *hook, const struct stored_delivery *row, struct now now)
{
    return mono_diff(now.mono, row->queued_at) >= hook->config->give_up_after;
}

static void give_up_by_age(struct hook *hook, struct outcome *outcome, const struct event *event,
                           struct now now)
{
    char reason[WEBHOOK_TEXT + 80];
    const char *last = outcome->row.last_error[0] ? outcome->row.last_error : hook->trouble;
    snprintf(reason, sizeof reason, "not delivered within give-up-after; last: %s", last);
    give_up(hook, outcome, event, reason, now);
}

/* 410 Gone: it wants no more. Said once; what is queued waits for a reload. */
static void turn_off(struct hook *hook, struct outcome *outcome, const struct event *event,
                     const struct webhook_answer *answer, struct now now)
{
    char distinct[SINK_SIZE + EVENT_ID_SIZE + 8], reason[WEBHOOK_TEXT + 40];
    if (hook->off)
        return;
    hook->off = true;
    log_error("webhook %s: %s; it is off until the configuration is loaded again, its events wait",
              hook->name, answer->text);
    snprintf(distinct, sizeof distinct, "%s/gone/%s", hook->sink, event->id);
    snprintf(reason, sizeof reason, "%s; off until reload, its events wait", answer->text);
    if (!outcome_tell(outcome, event, hook->name, distinct, reason, now))
        log_error("out of memory");
}

static void judge(struct hook *hook, struct attempt *attempt, const struct webhook_answer *answer,
                  struct now now)
{
    struct outcome *outcome = attempt->outcome;
    struct stored_delivery *row = &outcome->row;
    row->attempts++;
    row->last_at = now.wall;
    row->last_status = answer->status;
    snprintf(row->last_error, sizeof row->last_error, "%s", answer->text);
    switch (answer->verdict) {
    case WEBHOOK_DELIVERED:
        row->state = DELIVERY_DONE;
        note_alive(hook);
        return;
    case WEBHOOK_RETRY:
        pause_hook(hook, attempt->round, answer, now);
        if (is_overdue(hook, row, now))
            give_up_by_age(hook, outcome, attempt->event, now);
        else
            wait_for_retry(hook, outcome, answer->retry_after, now);
        return;
    case WEBHOOK_REFUSED:
        note_alive(hook);
        give_up(hook, outcome, attempt->event, answer->text, now);
        return;
    case WEBHOOK_GONE:
        turn_off(hook, outcome, attempt->event, answer, now);
        return;
    case WEBHOOK_CANCELLED:
        return;
    }
}

/* ---- attempts ---- */

static void free_attempt(struct attempt *attempt)
{
    if (!attempt)
        return;
    event_free(attempt->event);
    outcome_free(attempt->outcome);
    free(attempt);
}

static void unlink_attempt(struct hook *hook, const struct attempt *attempt)
{
    struct attempt **at = &hook->attempts;
    while (*at != attempt)
        at = &(*at)->next;
    *at = attempt->next;
    hook->in_flight--;
}

static void settle(struct hook *hook, struct attempt *attempt, const struct webhook_answer *answer)
{
    judge(hook, attempt, answer, loop_now(hook->delivery->loop));
    hook->look_at = (mono_time){INT64_MIN};
    delivery_settle(hook->delivery, attempt->outcome);
    attempt->outcome = NULL;
}

static void on_answer(void *user, const struct webhook_answer *answer)
{
    struct attempt *attempt = user;
    struct hook *hook = attempt->hook;
    unlink_attempt(hook, attempt);
    if (answer->verdict != WEBHOOK_CANCELLED && !hook->delivery->closed)
        settle(hook, attempt, answer);
    free_attempt(attempt);
}

static struct attempt *new_attempt(struct hook *hook, const struct stored_delivery *row)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt)
        return NULL;
    *attempt = (struct attempt){.hook = hook, .outcome = outcome_new(row), .round = hook->round};
    if (attempt->outcome)
        return attempt;
    free(attempt);
    return NULL;
}

static bool is_in_flight(const struct hook *hook, int64_t seq)
{
    for (const struct attempt *attempt = hook->attempts; attempt; attempt = attempt->next) {
        if (attempt->outcome->row.seq == seq)
            return true;
    }
    return false;
}

static void post(struct hook *hook, struct attempt *attempt, struct now now)
{
    static const struct webhook_answer not_sent = {
        .verdict = WEBHOOK_RETRY, .retry_after = -1, .text = "the request could not be set up"};
    attempt->transfer = sink_webhook_send(hook->delivery->http, hook->config, &hook->keys, attempt->event,
                                          now, on_answer, attempt);
    if (attempt->transfer) {
        attempt->next = hook->attempts;
        hook->attempts = attempt;
        hook->in_flight++;
        return;
    }
    settle(hook, attempt, &not_sent);
    free_attempt(attempt);
}

/* How many more may be sent now. */
static size_t free_places(const struct hook *hook, struct now now)
{
    size_t places = hook->failures > 0 ? 1 : hook->config->concurrency;
    if (now.mono.ms < hook->pause_until.ms || hook->in_flight >= places)
        return 0;
    return places - hook->in_flight;
}

/* Send the event of a row, or give it up: one that is overdue is still tried when nothing speaks against the
 * receiver, as after a long time down. False: no memory, come again. */
static bool take_row(struct hook *hook, const struct stored_delivery *row, bool give, struct now now)
{
    struct attempt *attempt = new_attempt(hook, row);
    if (!attempt)
        return false;
    attempt->event = delivery_load(hook->delivery, row, now);
    if (!attempt->event) {
        delivery_put_off(hook->delivery, row, now);
        free_attempt(attempt);
    } else if (give) {
        give_up_by_age(hook, attempt->outcome, attempt->event, now);
        delivery_settle(hook->delivery, attempt->outcome);
        attempt->outcome = NULL;
        free_attempt(attempt);
    } else {
        post(hook, attempt, now);
    }
    return true;
}

/* Take from the rows what may be; returns when the first that has to stay is overdue, or now when some were
 * given up, because there may be more. */
static mono_time take_rows(struct hook *hook, const struct stored_delivery *rows, size_t n, struct now now)
{
    mono_time overdue_at = mono_add(now.mono, hook->config->give_up_after);
    for (size_t i = 0; i < n; i++) {
        if (is_in_flight(hook, rows[i].seq))
            continue;
        bool give = hook->failures > 0 && is_overdue(hook, &rows[i], now);
        if (!give && free_places(hook, now) == 0)
            overdue_at = mono_min(overdue_at, mono_add(rows[i].queued_at, hook->config->give_up_after));
        else if (!take_row(hook, &rows[i], give, now))
            return mono_add(now.mono, STORE_WAIT);
        else if (give)
            overdue_at = now.mono;
        else
            hook->blocked_wait = BLOCKED_WAIT;
    }
    return overdue_at;
}

static mono_time look(struct hook *hook, struct now now)
{
    struct delivery *delivery = hook->delivery;
    size_t n, max = hook->in_flight + (hook->failures > 0 ? DELIVERY_BATCH : free_places(hook, now));
    if (!delivery_due(delivery, hook->sink, now, max, &n))
        return mono_add(now.mono, STORE_WAIT);
    mono_time overdue_at = take_rows(hook, delivery->rows, n, now);
    if (now.mono.ms < hook->pause_until.ms)
        return mono_min(hook->pause_until, overdue_at);
    if (free_places(hook, now) == 0)
        return hook->failures > 0 ? overdue_at : MONO_NEVER; /* an answer wakes us */
    if (hook->retry_at.ms <= now.mono.ms)
        hook->retry_at = MONO_NEVER;
    return mono_min(hook->retry_at, delivery_next_look(delivery, hook->sink, &hook->blocked_wait, now));
}

mono_time hook_pump(struct hook *hook, struct now now)
{
    if (hook->off)
        return MONO_NEVER;
    bool woken = hook->dirty && free_places(hook, now) > 0;
    if (woken || now.mono.ms >= hook->look_at.ms) {
        hook->dirty = false;
        hook->look_at = look(hook, now);
    }
    return hook->look_at;
}
