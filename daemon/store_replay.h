/*
 * store_replay: deliveries that are to be made again, written beside a running daemon.
 *
 * Only deliveries are written, a bounded number in a transaction, so that the daemon waits for no longer than that
 * takes. What waits already is left alone. Times are on the store's time line. Functions return false with
 * store_error() when the store fails.
 */
#ifndef KLV_STORE_REPLAY_H
#define KLV_STORE_REPLAY_H

#include "store.h"

/* Open for store_replay_*, while the daemon runs or not: no lock, no migration. NULL with a sentence in why. */
struct store *store_open_beside(const char *dir, char why[STORE_WHY]);

/* The most that one call changes. */
#define STORE_REPLAY_MAX 500

struct replay {
    const char *sink;
    bool grouped;         /* the sink's webhook groups */
    const char *event_id; /* NULL: any */
    wall_time since;      /* WALL_NONE: any */
    mono_time now;
};

/* Up to STORE_REPLAY_MAX dead letters of the sink wait again. *ret_n fewer than that: they were the last. */
bool store_replay_dead(struct store *store, const struct replay *replay, size_t *ret_n);

/* Within an open transaction: have the event delivered, again or for the first time. *ret_new false: it waits already. */
bool store_replay_event(struct store *store, const struct replay *replay, int64_t seq, const char *order_key,
                        bool *ret_new);

#endif
