/*
 * store: the SQLite file with jobs, events, deliveries, conditions and the budget ledger. It knows rows, not
 * rules.
 *
 * Invariant: what belongs together is written in one transaction (store_begin … store_commit), WAL,
 * synchronous=FULL; after a crash the file holds all of a batch or nothing of it. The file is never deleted,
 * and a newer version's or a corrupt file is refused with the way out. One owner: a lock beside the file
 * names the process that holds it; but for `replay`, which puts deliveries back (store_replay.h), it alone
 * writes. A file that is removed under the owner is written anew, whole, as soon as its directory is there; one
 * that is replaced is left alone, and writing fails. Errors: functions return false (or NULL) and keep a
 * sentence for
 * store_error(); nothing is logged here. Times are mono_time on the store's own time line (see
 * store_timeline) and wall_time for people.
 */
#ifndef KLV_STORE_H
#define KLV_STORE_H

#include "../lib/budget.h"
#include "../lib/event.h"
#include "../lib/job_table.h"

struct store;

#define STORE_FILE "klv-jobwatch.db"
#define STORE_WHY  512

/*
 * Open dir/klv-jobwatch.db. For writing: the directory must exist and be writable; the file is made (mode
 * 0600) or migrated; the lock is taken. Read-only (commands, while the daemon runs or not): nothing is made
 * or changed. NULL with a sentence in why: no directory, not writable, locked ("klv-jobwatch, process 1234,
 * holds …"), newer version, not a database, corrupt, disk full.
 */
struct store *store_open(const char *dir, bool writable, char why[STORE_WHY]);
void store_close(struct store *store); /* NULL is fine; gives the lock back */

/* What the last failed call said. */
const char *store_error(const struct store *store);
/* Whether that was about what is written there, which time will not mend. */
bool store_is_damaged(const struct store *store);

/*
 * Between store_hold and store_release all transactions are one, so that the many small ones of a start or an end with
 * hundreds of accounts wait for the disk once. A rollback takes back all since store_hold. False: the store failed,
 * for release also that nothing was written; calls between go on as they would without it.
 */
bool store_hold(struct store *store);
bool store_release(struct store *store);

bool store_begin(struct store *store);
bool store_commit(struct store *store); /* false: rolled back */
void store_rollback(struct store *store);

/*
 * The time line: the number to add to CLOCK_MONOTONIC (ms) so that times go on from what the last process
 * stored: by CLOCK_MONOTONIC itself within one boot (same boot_id), by the wall clock's difference, clamped
 * to 0 … 10 minutes, across boots. store_mark keeps the present point; call it within each transaction.
 */
int64_t store_timeline(struct store *store, const char *boot_id, int64_t monotonic_ms, wall_time wall);
bool store_mark(struct store *store, struct now now);

/* One (account, family). */
struct store_watch {
    int64_t id;
    wall_time baseline_at; /* when the baseline's sweep began, see job_diff.h; WALL_NONE: no baseline yet */
    uint32_t full_pages;   /* pages of the last whole full sweep, 0 unknown */
    wall_time last_good;   /* our wall time of the last whole sweep, WALL_NONE never */
};

/* Find, or (writable) make, the row. */
bool store_watch_get(struct store *store, const char *account, const char *family, struct store_watch *ret);
bool store_watch_put(struct store *store, const struct store_watch *watch);

/* Jobs. load calls `each` for every job of the watch with a view of its row; `each` returning false stops it
 * (and fails). */
struct stored_job {
    const char *id;
    const char *status_word;
    enum job_status status;
    struct job_counts counts;
    wall_time created_at;
    wall_time completed_at;
    wall_time expires_at;
    mono_time moved_at;
    mono_time gone_at;
    int64_t failures_told;
    uint8_t told;
    uint8_t anomalies;
    uint8_t revivals;
    uint32_t page; /* as in struct known_job */
};
bool store_jobs_load(struct store *store, int64_t watch,
                     bool (*each)(void *user, const struct stored_job *job), void *user);
bool store_job_put(struct store *store, int64_t watch, const struct known_job *job);
bool store_job_remove(struct store *store, int64_t watch, const char *id);

/* The pages of the full list that were read; put removes the row of one that must be read again. */
bool store_page_put(struct store *store, int64_t watch, size_t place, const struct known_page *page);
bool store_pages_load(struct store *store, int64_t watch,
                      bool (*each)(void *user, size_t place, const struct known_page *page), void *user);

/* Conditions that last (unreachable, unauthorized, throttled, schema, capacity): so that a restart does not
 * tell them again. */
struct stored_condition {
    enum event_kind kind; /* the kind that began it */
    mono_time since;
    wall_time since_wall;
    mono_time told; /* when last told (reminders) */
    uint32_t reminders;
    char note[256];
};
bool store_condition_put(struct store *store, const char *account, const char *family,
                         const struct stored_condition *condition);
bool store_condition_remove(struct store *store, const char *account, const char *family,
                            enum event_kind kind);
bool store_conditions_load(struct store *store, const char *account, const char *family,
                           bool (*each)(void *user, const struct stored_condition *condition), void *user);

/* Events. add: *ret_new is false, and nothing is written, when this id was recorded before. */
bool store_event_add(struct store *store, const struct event *event, bool *ret_new, int64_t *ret_seq);
/* The whole event; NULL with store_error() when absent or unreadable. The caller frees it with event_free. */
struct event *store_event_load(struct store *store, int64_t seq);
bool store_event_set_errors(struct store *store, int64_t seq, const struct job_error *errors, size_t n,
                            size_t more);

/* Whether this event waits for its job's errors; seqs of all such events of a job. */
bool store_event_hold(struct store *store, int64_t seq, bool waits);
bool store_events_waiting(struct store *store, const char *account, const char *family,
                          bool (*each)(void *user, int64_t seq, const char *job_id), void *user);

/* Deliveries: one row per (sink, event). */
enum delivery_state {
    DELIVERY_WAITING,
    DELIVERY_DONE,
    DELIVERY_DEAD, /* given up: the dead letters that `replay` can send again */
};

struct stored_delivery {
    int64_t seq;
    char sink[72];
    enum delivery_state state;
    uint32_t attempts;
    mono_time queued_at; /* when it was first due; of a group, when its youngest was */
    mono_time next_at;
    wall_time last_at;         /* last attempt, WALL_NONE none */
    int last_status;           /* its HTTP status, 0 none */
    char last_error[200];      /* clean text, "" none */
    int64_t leader;            /* seq of the first event of the group that it was sent in; or one of these: */
#define DELIVERY_ALONE    (-1) /* the sink does not group */
#define DELIVERY_NO_GROUP 0    /* it waits for others to go with */
};

/* order_key: deliveries of one sink with the same key keep their order ("account/family/job id"). It may be
 * sent from queued_at on, and is due at next_at; when that is later, it waits for others to go with. */
bool store_delivery_add(struct store *store, const char *sink, int64_t seq, const char *order_key,
                        mono_time queued_at, mono_time next_at);
/*
 * Up to max waiting deliveries of the sink, due as of now, lowest seq first, of which none has an older
 * waiting one with the same order key. *ret_n how many.
 */
bool store_deliveries_due(struct store *store, const char *sink, mono_time now, struct stored_delivery *rows,
                          size_t max, size_t *ret_n);
/* Up to max waiting deliveries of the sink, due or not, of events behind seq, lowest first. */
bool store_deliveries_behind(struct store *store, const char *sink, int64_t seq, struct stored_delivery *rows,
                             size_t max, size_t *ret_n);
/*
 * For a sink that groups. fresh: waiting deliveries in no group yet, queued as of now, of which each older
 * waiting one with the same order key is one too; the first max by seq. leaders: groups (the first row of
 * each) that are due, none of which follows an older waiting one of its first row's key. group: all rows of
 * one group. arrange, before the first of these and when a sink groups no more: what was sent alone becomes a
 * group of its own, or all groups are undone.
 */
bool store_deliveries_fresh(struct store *store, const char *sink, mono_time now,
                            struct stored_delivery *rows, size_t max, size_t *ret_n);
bool store_leaders_due(struct store *store, const char *sink, mono_time now, struct stored_delivery *rows,
                       size_t max, size_t *ret_n);
bool store_delivery_group(struct store *store, const char *sink, int64_t leader, struct stored_delivery *rows,
                          size_t max, size_t *ret_n);
bool store_deliveries_arrange(struct store *store, const char *sink, bool grouped);
/* When the first of the sink's waiting deliveries that no older one holds up is due (MONO_NEVER: none waits).
 */
bool store_delivery_next(struct store *store, const char *sink, mono_time *ret);
/* Write what can change of one row: state, attempts, times, the last answer, the group. */
bool store_delivery_put(struct store *store, const struct stored_delivery *row);
/* The sink has had this event by another way: its waiting delivery is done. */
bool store_delivery_done(struct store *store, const char *sink, const char *event_id, wall_time when);
/* Make waiting deliveries of an event due at `when` if they are due later (its errors have come). */
bool store_deliveries_release(struct store *store, int64_t seq, mono_time when);
/* sink NULL: all of them. */
bool store_delivery_counts(struct store *store, const char *sink, int64_t *ret_waiting, int64_t *ret_dead);

/* The ledger of one watch: end times of requests, and what is left of the share (all, of one that has no ledger);
 * replaced as a whole. */
bool store_ledger_put(struct store *store, int64_t watch, const mono_time *times, size_t n,
                      struct budget_left left);
bool store_ledger_load(struct store *store, int64_t watch, mono_time *times, size_t max, size_t *ret_n,
                       struct budget_left *ret_left);

/*
 * Retention: remove events (with their deliveries) that were recorded before `before` and of which no delivery
 * waits, at most `max` a call. Recorded: queued for `sink`, which gets all of them; a wall clock that was set
 * wrong ages nothing.
 */
bool store_prune(struct store *store, const char *sink, mono_time before, size_t max, size_t *ret_removed);

/* A text the daemon leaves for the commands under a key (its plan, problems); overwritten each time. */
bool store_note_put(struct store *store, const char *key, const char *text);
char *store_note_get(struct store *store, const char *key); /* malloc'd; NULL absent or failed */

#endif
