/*
 * watch: the shell of one account: its key, its watchers (one per family), its health. It carries out what
 * the core decides: it sends requests, hands answers in, commits each batch, then wakes the delivery. Its
 * files are the only ones that see both sides.
 *
 * Invariant: what an answer changed is committed, jobs, events and deliveries in one transaction, before
 * anything of it is sent. When a commit fails, the batch stays and is tried again; its events go to the
 * journal meanwhile, and the state says that it is not being saved. So that memory stays bounded, Klaviyo is
 * not asked any more when very much waits: what was not seen yet stays visible there.
 */
#ifndef KLV_WATCH_H
#define KLV_WATCH_H

#include "delivery.h"
#include "same_key.h"
#include "../lib/heartbeat.h"

struct watch; /* one account */

struct watch_shared {
    struct loop *loop;
    struct http *http;
    struct store *store;
    struct delivery *delivery;
    const struct config *config;
    size_t *in_flight;                /* requests of all watches on their way */
    bool once;                        /* one full sweep each, then done */
    void (*on_want)(void *user);      /* a watch wants its part of the next round, see watch_gather */
    void (*on_change)(void *user);    /* something for STATUS changed; may be NULL */
    void (*on_done)(void *user);      /* `once`: this account is done; may be NULL */
    void (*on_no_memory)(void *user); /* the process must end; nothing uncommitted is to be kept */
    void *user;
};

/*
 * Watch one account. The key is read here (its file, or the systemd credential) and wiped by watch_free.
 * place and of spread the accounts' first sweeps in time. NULL with a sentence in why: the key, the store, no
 * memory.
 */
struct watch *watch_new(const struct watch_shared *shared, const struct config_account *account, size_t place,
                        size_t of, char *why, size_t why_size);

/* Only read the key, as watch_new does: for `check`. The caller wipes *ret. */
bool watch_read_key(const struct config_account *account, struct secret *ret, char *why, size_t why_size);

/* Begin (after everything is proven). */
void watch_start(struct watch *watch);

/*
 * A round of all watches, before the loop waits, so that what they have to write waits for the disk once: gather finds
 * which requests are to leave and whether something has to be written first; write does so, within an open transaction;
 * settle, when that was committed (fine) or was not, sends the requests. In this order, with one time. A watch that did
 * not ask for its part does nothing.
 */
void watch_gather(struct watch *watch, struct now now);
bool watch_has_to_write(const struct watch *watch);
bool watch_write(struct watch *watch, struct now now);
void watch_settle(struct watch *watch, bool fine, struct now now);

/* Reload: the same account with another configuration. A new key is read first: on failure false with why,
 * and all stays as it was. */
bool watch_reconfigure(struct watch *watch, const struct watch_shared *shared,
                       const struct config_account *account, char *why, size_t why_size);

/* No new requests; what is in flight is given up. Idempotent. */
void watch_close(struct watch *watch);
void watch_free(struct watch *watch); /* NULL is fine */

/* Its section and key, for same_key.h; they are the watch's. */
struct keyed watch_keyed(const struct watch *watch);

const char *watch_account(const struct watch *watch);

/* `once`: whether every family's sweep and looks are over. */
bool watch_is_done(const struct watch *watch);

/* `once`: whether every family's sweep was whole; the first error otherwise in why. */
bool watch_was_whole(const struct watch *watch, char *why, size_t why_size);

/* What the store does not take, for the journal: see struct unsaved_events. */
size_t watch_unsaved(struct watch *watch, struct now now, const struct event **events, size_t max);
void watch_unsaved_told(struct watch *watch, const char *event_id, bool fine);

/* Figures for STATUS and `status`. */
struct watch_figures {
    size_t families;
    size_t jobs;
    size_t active;
    wall_time last_good; /* oldest of the families' last whole sweeps; WALL_NONE when one has none yet */
    mono_time next;      /* next request of any family */
    uint32_t spent;      /* requests in the last minute, and the share */
    uint32_t share;
    bool saved;          /* the last commit succeeded */
    const char *problem; /* "" when all is well */
};
struct watch_figures watch_figures(const struct watch *watch, struct now now);

/* How it sees its families, for the heartbeat: as the worst of them. */
enum heartbeat_sight watch_sight(const struct watch *watch, struct now now);

/* The families' reports as a JSON array, for the commands; malloc'd, NULL without memory. */
char *watch_report_json(const struct watch *watch, struct now now);

#endif
