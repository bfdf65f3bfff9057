/* What the files of a watch share; nobody else includes this. */
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

/* One request on its way. */
struct flight {
    struct family_watch *family;
    unsigned slot;
    char *url; /* until it leaves */
    struct http_transfer *transfer;
    struct flight *next;
};

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

struct watcher_options watch_options(const struct watch *watch, const struct family *family, int64_t phase);
/* phase in ms of the interval; NULL with a sentence in why. */
struct family_watch *watch_new_family(struct watch *watch, const struct family *type, int64_t phase,
                                      char *why, size_t why_size);
void watch_free_family(struct family_watch *family); /* NULL is fine */
/* Give up what is in flight for a family (NULL: for all). */
void watch_cancel(struct watch *watch, const struct family_watch *family);
/* Ask for a part of the next round. */
void watch_want(struct watch *watch);

#endif
