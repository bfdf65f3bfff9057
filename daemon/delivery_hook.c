/*
 * The queue of one webhook.
 *
 * A failed delivery waits by its own back-off, and with it the webhook as a whole by another: it is paused,
 * then probed with one delivery at a time until one gets through. So a dead receiver costs one request a
 * pause, however much waits for it in the store.
 */
#include "delivery_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hook *hook_new(struct delivery *delivery, const char *name)
{
    struct hook *hook = calloc(1, sizeof *hook);
    if (!hook)
        return NULL;
    hook->delivery = delivery;
    hook->retry_at = MONO_NEVER;
    hook->group_at = MONO_NEVER;
    hook->blocked_wait = BLOCKED_WAIT;
    snprintf(hook->name, sizeof hook->name, "%s", name);
    delivery_sink_of(name, hook->sink);
    return hook;
}

void hook_free(struct hook *hook)
{
    if (!hook)
        return;
    /* Each one's answer function takes it off the list. */
    while (hook->attempts)
        http_cancel(hook->attempts->transfer);
    webhook_keys_wipe(&hook->keys);
    free(hook);
}

void hook_configure(struct hook *hook, const struct config_webhook *config, struct webhook_keys *keys)
{
    hook->config = config;
    webhook_keys_wipe(&hook->keys);
    hook->keys = *keys;
    *keys = (struct webhook_keys){0};
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

void hook_rearrange(struct hook *hook)
{
    hook->arranged = false;
}

void hook_wake(struct hook *hook)
{
    hook->dirty = true;
}

int64_t hook_group_wait(const struct hook *hook)
{
    return hook->config->group_wait;
}

bool hook_takes(const struct hook *hook, const struct event *event)
{
    return webhook_takes(hook->config, event);
}

/* ---- attempts ---- */

static void free_attempt(struct attempt *attempt)
{
    parcel_free(attempt->parcel);
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
    hook_judge(hook, attempt->parcel, attempt->round, answer, loop_now(hook->delivery->loop));
    hook->look_at = (mono_time){INT64_MIN};
    parcel_settle(hook->delivery, attempt->parcel);
}

static void on_answer(void *user, const struct webhook_answer *answer)
{
    struct attempt *attempt = user;
    struct hook *hook = attempt->hook;
    unlink_attempt(hook, attempt);
    if (answer->verdict != WEBHOOK_CANCELLED)
        settle(hook, attempt, answer);
    free_attempt(attempt);
}

/* Whether the row goes with a request that is under way; of a group, its first row. */
static bool is_in_flight(const struct hook *hook, int64_t seq)
{
    for (const struct attempt *attempt = hook->attempts; attempt; attempt = attempt->next) {
        if (attempt->parcel->outcomes[0]->row.seq == seq)
            return true;
    }
    return false;
}

/* Takes the parcel. False: no memory, come again. */
static bool post(struct hook *hook, struct parcel *parcel, struct now now)
{
    static const struct webhook_answer not_sent = {
        .verdict = WEBHOOK_RETRY, .retry_after = -1, .text = "the request could not be set up"};
    struct attempt *attempt = calloc(1, sizeof *attempt);
    if (!attempt) {
        parcel_free(parcel);
        return false;
    }
    *attempt = (struct attempt){.hook = hook, .parcel = parcel, .round = hook->round};
    attempt->transfer =
        sink_webhook_send(hook->delivery->http, hook->config, &hook->keys,
                          (const struct event *const *)parcel->events, parcel->n, now, on_answer, attempt);
    if (attempt->transfer) {
        attempt->next = hook->attempts;
        hook->attempts = attempt;
        hook->in_flight++;
        return true;
    }
    settle(hook, attempt, &not_sent);
    free_attempt(attempt);
    return true;
}

/* How many more may be sent now. */
static size_t free_places(const struct hook *hook, struct now now)
{
    size_t places = hook->failures > 0 ? 1 : hook->config->concurrency;
    if (now.mono.ms < hook->pause_until.ms || hook->in_flight >= places)
        return 0;
    return places - hook->in_flight;
}

/* ---- what is due ---- */

/* The row's event, or all of the group that it leads. NULL: nothing is left to send, or come again. */
static struct parcel *load_row(struct hook *hook, const struct stored_delivery *row, struct now now)
{
    struct delivery *delivery = hook->delivery;
    size_t n;
    if (!hook->grouped)
        return parcel_load(delivery, row, 1, now);
    if (!delivery_note_read(delivery, store_delivery_group(delivery->store, hook->sink, row->seq,
                                                           delivery->members, DELIVERY_ROWS, &n)))
        return NULL;
    return parcel_load(delivery, delivery->members, n, now);
}

/* Send what a row stands for, or give it up: one that is overdue is still tried when nothing speaks against
 * the receiver, as after a long time down. False: come again. */
static bool take_row(struct hook *hook, const struct stored_delivery *row, bool give, struct now now)
{
    struct parcel *parcel = load_row(hook, row, now);
    if (!parcel)
        return false;
    if (!give)
        return post(hook, parcel, now);
    hook_give_up_by_age(hook, parcel, now);
    parcel_settle(hook->delivery, parcel);
    parcel_free(parcel);
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
        bool give = hook->failures > 0 && hook_is_overdue(hook, &rows[i], now);
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

/* How many rows to look at: those under way are among them. */
static size_t look_size(const struct hook *hook, struct now now)
{
    return hook->in_flight + (hook->failures > 0 ? DELIVERY_BATCH : free_places(hook, now));
}

static mono_time take_singles(struct hook *hook, struct now now)
{
    size_t n;
    if (!delivery_due(hook->delivery, hook->sink, now, look_size(hook, now), &n))
        return mono_add(now.mono, STORE_WAIT);
    return take_rows(hook, hook->delivery->rows, n, now);
}

/* ---- groups ---- */

/* The overdue ones of rows that are in no group yet. */
static bool give_up_fresh(struct hook *hook, const struct stored_delivery *rows, size_t n, struct now now)
{
    bool any = false;
    for (size_t i = 0; hook->failures > 0 && i < n; i++) {
        struct parcel *parcel =
            hook_is_overdue(hook, &rows[i], now) ? parcel_load(hook->delivery, &rows[i], 1, now) : NULL;
        if (!parcel)
            continue;
        hook_give_up_by_age(hook, parcel, now);
        parcel_settle(hook->delivery, parcel);
        parcel_free(parcel);
        any = true;
    }
    return any;
}

/* It is written before it is sent: what is sent again is the same group under the same id. */
static bool send_group(struct hook *hook, const struct stored_delivery *rows, size_t n, struct now now)
{
    struct parcel *parcel = parcel_load(hook->delivery, rows, n, now);
    if (!parcel)
        return false;
    parcel_join(parcel);
    bool whole = parcel->n == n;
    if (!delivery_record(hook->delivery, parcel, now)) {
        parcel_free(parcel);
        return false;
    }
    hook->blocked_wait = BLOCKED_WAIT;
    return post(hook, parcel, now) && whole;
}

/* When the first of them has waited long enough for others. */
static mono_time ripe_at(const struct stored_delivery *rows, size_t n)
{
    mono_time at = MONO_NEVER;
    for (size_t i = 0; i < n; i++)
        at = mono_min(at, rows[i].next_at);
    return at;
}

static mono_time first_overdue(const struct hook *hook, const struct stored_delivery *rows, size_t n)
{
    mono_time at = MONO_NEVER;
    for (size_t i = 0; i < n; i++)
        at = mono_min(at, mono_add(rows[i].queued_at, hook->config->give_up_after));
    return at;
}

static mono_time take_fresh(struct hook *hook, struct now now)
{
    struct delivery *delivery = hook->delivery;
    const size_t max = hook->config->group_max;
    for (;;) {
        size_t n;
        bool fine = store_deliveries_fresh(delivery->store, hook->sink, now.mono, delivery->rows, max, &n);
        if (!delivery_note_read(delivery, fine))
            return mono_add(now.mono, STORE_WAIT);
        if (give_up_fresh(hook, delivery->rows, n, now))
            return now.mono;
        mono_time ripe = n == max ? now.mono : ripe_at(delivery->rows, n);
        if (free_places(hook, now) == 0)
            return n > 0 ? first_overdue(hook, delivery->rows, n) : MONO_NEVER;
        hook->group_at = ripe;
        if (ripe.ms > now.mono.ms)
            return MONO_NEVER;
        if (!send_group(hook, delivery->rows, n, now))
            return mono_add(now.mono, STORE_WAIT);
    }
}

/* What was sent before goes first. */
static mono_time take_groups(struct hook *hook, struct now now)
{
    struct delivery *delivery = hook->delivery;
    size_t n;
    hook->group_at = MONO_NEVER;
    bool fine =
        store_leaders_due(delivery->store, hook->sink, now.mono, delivery->rows, look_size(hook, now), &n);
    if (!delivery_note_read(delivery, fine))
        return mono_add(now.mono, STORE_WAIT);
    mono_time overdue_at = take_rows(hook, delivery->rows, n, now);
    return mono_min(overdue_at, take_fresh(hook, now));
}

/* ---- the look ---- */

/* Whether the rows are as this way of sending needs them; what is under way still ends in the other way. */
static bool arrange(struct hook *hook)
{
    bool grouped = hook->config->group_wait > 0;
    if (hook->arranged && hook->grouped == grouped)
        return true;
    if (hook->in_flight > 0 && hook->grouped != grouped)
        return false;
    struct delivery *delivery = hook->delivery;
    hook->arranged =
        delivery_note_read(delivery, store_deliveries_arrange(delivery->store, hook->sink, grouped));
    hook->grouped = grouped;
    return hook->arranged;
}

static mono_time look(struct hook *hook, struct now now)
{
    struct delivery *delivery = hook->delivery;
    if (!arrange(hook))
        return mono_add(now.mono, STORE_WAIT);
    mono_time overdue_at = hook->grouped ? take_groups(hook, now) : take_singles(hook, now);
    if (now.mono.ms < hook->pause_until.ms)
        return mono_min(hook->pause_until, overdue_at);
    if (free_places(hook, now) == 0)
        return hook->failures > 0 ? overdue_at : MONO_NEVER; /* an answer wakes us */
    if (hook->retry_at.ms <= now.mono.ms)
        hook->retry_at = MONO_NEVER;
    hook->group_at = MONO_NEVER;
    mono_time next = mono_min(hook->retry_at, hook->group_at);
    return mono_min(next, delivery_next_look(delivery, hook->sink, &hook->blocked_wait, now));
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
