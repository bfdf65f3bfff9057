/*
 * One account's part of a round: which requests leave, what is written before they do, and when there is more to do;
 * and, in `once`, when all is over.
 *
 * Invariant: a request leaves only after what had to be written first was committed, or the store failed. A round is
 * gather, write, settle, with one time; what is said of it in struct watch holds until the next. Times in ms.
 */
#include "watch_private.h"

/* In `once`, so many answers in a row that were not good end the run. */
#define ONCE_MAX_FAILURES 4
/* And so many turns in a row in which no request could be sent, with none under way: there is no memory, and
 * a wait for the budget is over sooner. */
#define ONCE_MAX_BARREN 10
/* A turn that comes back this soon, in ms, does so for that, or for the budget of one second. */
#define BARREN_WAIT 1000

void watch_want(struct watch *watch)
{
    watch->wanted = true;
    watch->shared.on_want(watch->shared.user);
}

/* ---- the end of `once` ---- */

static bool family_is_done(struct family_watch *family, struct now now)
{
    bool whole;
    struct watcher_report report = watcher_report(family->watcher, now.mono);
    family->failed |= report.trouble == TROUBLE_UNAUTHORIZED || report.trouble == TROUBLE_FORBIDDEN ||
                      report.failures >= ONCE_MAX_FAILURES;
    if (watcher_is_done(family->watcher, &whole)) {
        family->failed |= !whole;
        return true;
    }
    return family->failed;
}

static bool is_over(struct watch *watch, struct now now)
{
    for (size_t i = 0; watch->shared.once && i < watch->n; i++) {
        if (!family_is_done(watch->families[i], now))
            return false;
    }
    return watch->shared.once;
}

/*
 * In `once`, after a round that left nothing under way: the end may have come without an answer, when the last look was
 * not needed any more; and without memory it must not try, or wait, for ever. The next round ends it.
 */
static void note_idle_round(struct watch *watch, struct now now)
{
    if (!is_over(watch, now)) {
        watch->barren = watch->next.ms <= mono_add(now.mono, BARREN_WAIT).ms ? watch->barren + 1 : 0;
        if (watch->next.ms != MONO_NEVER.ms && watch->barren <= ONCE_MAX_BARREN)
            return;
        for (size_t i = 0; i < watch->n; i++)
            watch->families[i]->failed = true;
    }
    watch->next = now.mono;
}

/* ---- a round ---- */

static mono_time gather_family(struct watch *watch, struct family_watch *family, struct now now)
{
    struct watcher_request wanted;
    mono_time next = MONO_NEVER;
    uint32_t n = 0;
    while (!family->failed && !flights_are_crowded(watch) &&
           watcher_next(family->watcher, now.mono, &wanted, &next)) {
        if (!flight_add(watch, family, &wanted)) {
            watcher_drop(family->watcher, wanted.slot, now.mono);
            next = mono_add(now.mono, NOT_SENT_WAIT);
            break;
        }
        n++;
    }
    const struct budget *budget = watcher_budget(family->watcher);
    watch->covers |= watch_rows_spend(&family->rows, n, budget, now.mono) && watch->saved;
    return next;
}

void watch_gather(struct watch *watch, struct now now)
{
    watch->gathered = watch->wanted && watch->started && !watch->closed && !watch->done && !watch->spoiled;
    watch->wanted = false;
    if (!watch->gathered)
        return;
    watch->next = MONO_NEVER;
    watch->covers = watch->crowded = false;
    watch->ending = is_over(watch, now);
    bool full = commit_is_full(watch);
    for (size_t i = 0; i < watch->n && !full && !watch->ending; i++)
        watch->next = mono_min(watch->next, gather_family(watch, watch->families[i], now));
    watch->writes = commit_is_due(watch, now);
}

bool watch_has_to_write(const struct watch *watch)
{
    return watch->gathered && (watch->writes || watch->covers);
}

bool watch_write(struct watch *watch, struct now now)
{
    bool fine = true;
    if (!watch_has_to_write(watch))
        return true;
    if (watch->writes)
        fine = commit_write(watch, now);
    for (size_t i = 0; fine && watch->covers && i < watch->n; i++)
        fine = watch_rows_cover(&watch->families[i]->rows, watch->shared.store, watch->watchers[i], now);
    return fine;
}

void watch_settle(struct watch *watch, bool fine, struct now now)
{
    if (!watch->gathered)
        return;
    watch->gathered = false;
    if (watch->writes)
        commit_written(watch, fine, now);
    for (size_t i = 0; i < watch->n; i++)
        watch_rows_covered(&watch->families[i]->rows, fine && watch->covers);
    if (watch->writes || watch->covers)
        commit_note(watch, fine, now);
    if (watch->writes || !watch->saved)
        delivery_wake(watch->shared.delivery);
    flights_depart(watch, now);
    watch->done = watch->ending;
    /* Nothing but a timer or a socket ends the wait that comes now; what is crowded waits for an answer anyway. */
    if (watch->crowded)
        watch_want(watch);
    else if (watch->full && watch->saved)
        watch->next = now.mono;
    else if (watch->flights)
        watch->barren = 0;
    else if (watch->shared.once && !watch->done)
        note_idle_round(watch, now);
    if (!watch->saved)
        watch->next = mono_min(watch->next, watch->save_at);
    loop_timer_at(watch->timer, watch->done ? MONO_NEVER : watch->next);
    if (watch->done && watch->shared.on_done)
        watch->shared.on_done(watch->shared.user);
}
