/*
 * watch_store: between a watch and the store: what one family, and the account's health, have to load and to
 * write.
 *
 * Invariant: write is called within an open transaction and may be repeated after a failed one; `written`
 * afterwards, only when the commit succeeded, is what forgets the batch.
 */
#ifndef KLV_WATCH_STORE_H
#define KLV_WATCH_STORE_H

#include "delivery.h"
#include "../lib/account_health.h"

struct watch_rows {
    struct store_watch row;
    struct batch batch;
    bool row_dirty;
    uint32_t covered;        /* requests that may be sent before the ledger has to be written again */
    mono_time blocked_until; /* what the ledger says of it */
    double left;             /* and of the share */
    bool uncovered; /* requests wait for that, or the API has asked for a longer wait, or to slow down */
};

struct watch_target {
    struct store *store;
    struct delivery *delivery;
    const struct config_account *account;
    struct now now;
};

/* Find or make the rows of (account, family) and fill the new watcher from them: jobs, conditions, ledger,
 * waiting events. */
bool watch_rows_load(struct watch_rows *rows, struct store *store, const char *account, const char *family,
                     struct watcher *watcher, struct now now);

/* Whether there is something that must not wait: events and conditions. Jobs of which there is nothing to
 * tell can, a little: what is not written is seen again. A newer time of the last sweep can, too. */
bool watch_rows_are_urgent(const struct watch_rows *rows, struct watcher *watcher);

/*
 * Before requests leave, the ledger in the store covers them, and some more, so that not all have to wait for the disk.
 * spend: n requests, spent already, are about to leave; true: they must wait for cover, which is within an open
 * transaction and writes nothing when none wait. It is wanted without a request too when nothing may be sent for longer,
 * or less may, than the ledger says: a process that dies meanwhile must not make the next one forget. covered: how that
 * ended. When the store failed they may go all the same: the windows of this life hold without it.
 */
bool watch_rows_spend(struct watch_rows *rows, uint32_t n, const struct budget *budget, mono_time now);
bool watch_rows_cover(struct watch_rows *rows, struct store *store, struct watcher *watcher, struct now now);
void watch_rows_covered(struct watch_rows *rows, bool fine);

/* The exact ledger, at the end of a life; within an open transaction. */
bool watch_rows_settle(const struct watch_rows *rows, struct store *store, struct watcher *watcher,
                       struct now now);

bool watch_rows_write(struct watch_rows *rows, const struct watch_target *target, struct watcher *watcher);
void watch_rows_written(struct watch_rows *rows, struct watcher *watcher);

bool watch_health_load(struct account_health *health, struct store *store, const char *account);
bool watch_health_is_urgent(const struct account_health *health);
bool watch_health_write(struct account_health *health, const struct watch_target *target);
void watch_health_written(struct account_health *health);

#endif
