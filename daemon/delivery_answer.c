/* What an answer means for a webhook and for what was sent to it. */
#include "delivery_private.h"

#include "log.h"
#include "random.h"
#include "../lib/backoff.h"

#include <stdio.h>
#include <string.h>

#define MIN_RETRY_AFTER 1000

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

static void wait_for_retry(struct hook *hook, struct stored_delivery *row, int64_t retry_after,
                           struct now now)
{
    /* Not beyond the time it is given up, so that it is told then. */
    mono_time end = mono_add(row->queued_at, hook->config->give_up_after);
    mono_time next = mono_add(now.mono, retry_delay(hook, row->attempts, retry_after));
    row->state = DELIVERY_WAITING;
    row->next_at = mono_min(next, mono_max(end, now.mono));
    hook->retry_at = mono_min(hook->retry_at, row->next_at);
}

/* A dead letter, and the event that says so; without memory for that it stays waiting, by itself. */
static void give_up(struct hook *hook, struct outcome *outcome, const struct event *event, const char *reason,
                    struct now now)
{
    char distinct[SINK_SIZE + EVENT_ID_SIZE + 2];
    snprintf(distinct, sizeof distinct, "%s/%s", hook->sink, event->id);
    if (outcome_tell(outcome, event, hook->name, distinct, reason, now)) {
        outcome->row.state = DELIVERY_DEAD;
        return;
    }
    outcome->row.next_at = mono_add(now.mono, STORE_WAIT);
    outcome->row.leader = outcome->row.seq;
}

static void give_all_up(struct hook *hook, struct parcel *parcel, const char *reason, struct now now)
{
    parcel_spread(parcel);
    for (size_t i = 0; i < parcel->n; i++)
        give_up(hook, parcel->outcomes[i], parcel->events[i], reason, now);
}

bool hook_is_overdue(const struct hook *hook, const struct stored_delivery *row, struct now now)
{
    return mono_diff(now.mono, row->queued_at) >= hook->config->give_up_after;
}

void hook_give_up_by_age(struct hook *hook, struct parcel *parcel, struct now now)
{
    char reason[WEBHOOK_TEXT + 80];
    const char *last = parcel->outcomes[0]->row.last_error;
    snprintf(reason, sizeof reason, "not delivered within give-up-after; last: %s",
             last[0] ? last : hook->trouble);
    give_all_up(hook, parcel, reason, now);
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

void hook_judge(struct hook *hook, struct parcel *parcel, uint32_t round, const struct webhook_answer *answer,
                struct now now)
{
    struct stored_delivery *row = &parcel->outcomes[0]->row;
    row->attempts++;
    row->last_at = now.wall;
    row->last_status = answer->status;
    snprintf(row->last_error, sizeof row->last_error, "%s", answer->text);
    switch (answer->verdict) {
    case WEBHOOK_DELIVERED:
        row->state = DELIVERY_DONE;
        note_alive(hook);
        break;
    case WEBHOOK_RETRY:
        pause_hook(hook, round, answer, now);
        if (hook_is_overdue(hook, row, now)) {
            hook_give_up_by_age(hook, parcel, now);
            return;
        }
        wait_for_retry(hook, row, answer->retry_after, now);
        break;
    case WEBHOOK_REFUSED:
        note_alive(hook);
        give_all_up(hook, parcel, answer->text, now);
        return;
    case WEBHOOK_GONE:
        turn_off(hook, parcel->outcomes[0], parcel->events[0], answer, now);
        break;
    case WEBHOOK_CANCELLED:
        break;
    }
    parcel_spread(parcel);
}
