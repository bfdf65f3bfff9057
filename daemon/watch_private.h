/*
 * What the files of a watch share; nobody else includes this.
 *
 * watch.c makes a watch and ends it, watch_reload.c gives it another configuration, watch_report.c says how it stands.
 * A round is in watch_round.c: it sends by watch_flight.c and writes by watch_commit.c, which writes each family's rows
 * by watch_store.c. An answer comes from the loop to watch_flight.c, which passes it to watch_answer.c; that one wants
 * the next round.
 */
#ifndef KLV_WATCH_PRIVATE_H
#define KLV_WATCH_PRIVATE_H

#include "api_headers.h"
#include "watch.h"
#include "watch_store.h"
#include "../lib/account_health.h"

/* One family of the account. */
struct family_watch {
    struct watch *watch;
    struct watcher *watcher;
    struct watch_rows rows;
    bool failed; /* `once` */
};

struct flight;

struct watch {
    struct watch_shared shared;
    const struct config_account *account;
    struct secret key;
    struct api_headers headers;
    struct family_watch **families;
    struct watcher **watchers; /* the same, for account_health */
    size_t n;
    struct account_health health;
    struct loop_timer *timer;
    struct flight *flights;
    struct flight *departing; /* of this round, the last first */
    mono_time next;           /* of this round: when there is more to do */
    bool wanted;              /* a part of the next round */
    bool gathered;            /* of this one */
    bool writes;              /* in it, what waits to be written */
    bool covers;              /* in it, a ledger */
    bool ending;              /* in it, `once` is over */
    bool crowded;             /* in it, MOST_IN_FLIGHT was reached */
    bool answered;            /* since the last commit */
    bool started;
    bool closed;
    bool done;
    bool saved;
    bool full; /* MOST_UNSAVED is reached */
    bool refused;
    bool spoiled;    /* memory ran out: what is not in the store yet is not to be believed */
    uint32_t barren; /* `once`: turns in a row that sent nothing */
    uint32_t save_failures;
    mono_time save_at; /* no commit before, when the last one failed */
    mono_time last_commit;
    mono_time began;
};

/* What could not be sent is tried again so much later, in ms. */
#define NOT_SENT_WAIT 1000

/* ---- watch.c ---- */

struct watcher_options watch_options(const struct watch *watch, const struct family *family, int64_t phase);
/* phase in ms of the interval; NULL with a sentence in why. */
struct family_watch *watch_new_family(struct watch *watch, const struct family *type, int64_t phase,
                                      char *why, size_t why_size);
void watch_free_family(struct family_watch *family); /* NULL is fine */

/* ---- watch_round.c ---- */

/* Ask for a part of the next round. */
void watch_want(struct watch *watch);

/* ---- watch_flight.c ---- */

/* Whether MOST_IN_FLIGHT is reached; noted for the round. */
bool flights_are_crowded(struct watch *watch);

/* A request that is to leave at the round's end. Takes its URL. False: no memory, the watcher does not know yet. */
bool flight_add(struct watch *watch, struct family_watch *family, struct watcher_request *wanted);

/* Send what was added, in that order. What cannot be sent is dropped, and the round's `next` is soon. */
void flights_depart(struct watch *watch, struct now now);

/* Give up what is in flight for a family (NULL: for all). */
void watch_cancel(struct watch *watch, const struct family_watch *family);

/* ---- watch_answer.c ---- */

void answer_take(struct watch *watch, struct family_watch *family, unsigned slot,
                 const struct http_response *response);

/* ---- watch_commit.c ---- */

/* Whether so much waits, while the store fails, that nothing more is to be asked for; said once. */
bool commit_is_full(struct watch *watch);
bool commit_is_due(struct watch *watch, struct now now);

/* Everything that waits to be written; within an open transaction. */
bool commit_write(struct watch *watch, struct now now);

/* How that ended. */
void commit_written(struct watch *watch, bool fine, struct now now);

/* Say once that state is not being saved, or that it is again; and when to try again. */
void commit_note(struct watch *watch, bool fine, struct now now);

/* The last words, in a transaction of their own: what was not urgent, and the exact ledger. Not of a watch that never
 * started. */
void commit_last(struct watch *watch);

#endif
