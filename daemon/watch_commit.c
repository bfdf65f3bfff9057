/*
 * Committing what the answers of one account brought: when, what of it, and what follows when the store does not take
 * it.
 *
 * Invariant: what waits is forgotten only when it was committed; while commits fail, its events are handed out for the
 * journal, and when MOST_UNSAVED records wait there are no new requests. Who opens the transaction is the caller's
 * matter, but for the last one. Times and waits in ms.
 */
#include "log.h"
#include "random.h"
#include "watch_private.h"
#include "../lib/backoff.h"

/* What only says when a list was last read is written this often at the most, in ms. */
#define LAZY_COMMIT 10000
/* So many records wait for the store at most, but for what the requests in flight bring. */
#define MOST_UNSAVED 4096
/* Jobs of which there is nothing to tell, while more pages of a full sweep are to come: likewise. */
#define SWEEP_COMMIT 1000
/* But not more of them at a time. */
#define SWEEP_ROWS 2000

/* ---- whether, and when ---- */

static const struct backoff_rules save_rules = {.base = 500, .cap = 10000};

void commit_note(struct watch *watch, bool fine, struct now now)
{
    if (fine && !watch->saved)
        log_notice("account %s: state is being saved again", watch->account->name);
    if (!fine && watch->saved)
        log_error("account %s: state is not being saved, alerts go to the journal only, webhooks wait: %s",
                  watch->account->name, store_error(watch->shared.store));
    watch->saved = fine;
    watch->save_failures = fine ? 0 : watch->save_failures + 1;
    if (!fine)
        watch->save_at = mono_add(now.mono, backoff_delay(&save_rules, watch->save_failures, random_u64()));
}

/* `once` ends by itself, and says that it could not save. */
bool commit_is_full(struct watch *watch)
{
    size_t waiting = 0;
    for (size_t i = 0; i < watch->n && !watch->saved && !watch->shared.once; i++)
        waiting += batch_size(&watch->families[i]->rows.batch);
    bool full = waiting >= MOST_UNSAVED;
    if (full && !watch->full)
        log_error("account %s: %zu records wait to be saved; Klaviyo is not asked again before they are",
                  watch->account->name, waiting);
    watch->full = full;
    return full;
}

/* How long what waits to be written may wait since the last commit, in ms. */
static int64_t may_wait(struct watch *watch)
{
    int64_t wait = watch_health_is_urgent(&watch->health) ? 0 : LAZY_COMMIT;
    for (size_t i = 0; wait > 0 && i < watch->n; i++) {
        const struct watch_rows *rows = &watch->families[i]->rows;
        bool sweeps = watcher_is_sweeping(watch->watchers[i]);
        if (watch_rows_are_urgent(rows, watch->watchers[i]) || rows->batch.n_jobs > (sweeps ? SWEEP_ROWS : 0))
            return 0;
        if (rows->batch.n_jobs > 0)
            wait = SWEEP_COMMIT;
    }
    return wait;
}

bool commit_is_due(struct watch *watch, struct now now)
{
    if (!watch->saved)
        return watch->ending || now.mono.ms >= watch->save_at.ms;
    return watch->answered && mono_diff(now.mono, watch->last_commit) >= may_wait(watch);
}

/* ---- what ---- */

bool commit_write(struct watch *watch, struct now now)
{
    struct watch_target target = {watch->shared.store, watch->shared.delivery, watch->account, now};
    bool fine = true;
    for (size_t i = 0; fine && i < watch->n; i++)
        fine = watch_rows_write(&watch->families[i]->rows, &target, watch->families[i]->watcher);
    return fine && watch_health_write(&watch->health, &target);
}

void commit_written(struct watch *watch, bool fine, struct now now)
{
    for (size_t i = 0; i < watch->n; i++) {
        struct family_watch *family = watch->families[i];
        if (fine)
            watch_rows_written(&family->rows, family->watcher);
        else
            batch_compact(&family->rows.batch);
    }
    if (fine)
        watch_health_written(&watch->health);
    watch->answered &= !fine;
    watch->last_commit = now.mono;
}

static bool settle_ledgers(struct watch *watch, struct now now)
{
    bool fine = true;
    for (size_t i = 0; fine && i < watch->n; i++)
        fine = watch_rows_settle(&watch->families[i]->rows, watch->shared.store, watch->watchers[i], now);
    return fine;
}

void commit_last(struct watch *watch)
{
    struct now now = loop_now(watch->shared.loop);
    struct store *store = watch->shared.store;
    if (!watch->started)
        return;
    bool fine = store_begin(store) && (watch->spoiled || commit_write(watch, now)) &&
                settle_ledgers(watch, now) && store_mark(store, now);
    if (fine)
        fine = store_commit(store);
    else
        store_rollback(store);
    commit_written(watch, fine, now);
    commit_note(watch, fine, now);
}

/* ---- what is not saved yet ---- */

size_t watch_unsaved(struct watch *watch, struct now now, const struct event **events, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < watch->n && !watch->saved; i++)
        n += batch_untold(&watch->families[i]->rows.batch, now.wall, watch->account->detail_timeout,
                          events + n, max - n);
    return n;
}

void watch_unsaved_told(struct watch *watch, const char *event_id, bool fine)
{
    for (size_t i = 0; i < watch->n; i++)
        batch_told(&watch->families[i]->rows.batch, event_id, fine);
}
