/* What the files of the store share; nobody else includes this. */
#ifndef KLV_STORE_PRIVATE_H
#define KLV_STORE_PRIVATE_H

#include "store.h"

#include <sqlite3.h>
#include <sys/stat.h>

/* The note that holds the time line's last mark. */
#define STORE_MARK_KEY "time"

/* The columns of an event behind its seq, in the order in which store_events.c reads them. */
#define EVENT_COLUMNS                                                                                        \
    "id, kind, priority, at, account, family, job_id, status, total, completed, failed, skipped, "           \
    "previous_status, "                                                                                      \
    "previous_completed, previous_failed, created_at, completed_at, expires_at, note, figure, reminder, "    \
    "more_errors"

/* The columns of a delivery, in the order in which store_deliveries.c reads them. */
#define DELIVERY_ROW_COLUMNS                                                                                 \
    "event, state, attempts, queued_at, next_at, last_at, last_status, last_error, leader"

/* Every statement, prepared when it is first used and kept. The texts are in store_statements.c. */
enum statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_NOTE_PUT,
    SQL_NOTE_GET,
    SQL_WATCH_ADD,
    SQL_WATCH_GET,
    SQL_WATCH_PUT,
    SQL_JOB_PUT,
    SQL_JOB_REMOVE,
    SQL_JOBS_LOAD,
    SQL_JOBS_LOAD_OLD,
    SQL_PAGE_PUT,
    SQL_PAGE_REMOVE,
    SQL_PAGES_LOAD,
    SQL_CONDITION_PUT,
    SQL_CONDITION_REMOVE,
    SQL_CONDITIONS_LOAD,
    SQL_LEDGER_PUT,
    SQL_LEDGER_LOAD,
    SQL_EVENT_ADD,
    SQL_EVENT_LOAD,
    SQL_EVENT_HOLD,
    SQL_EVENTS_WAITING,
    SQL_ERRORS_CLEAR,
    SQL_ERROR_ADD,
    SQL_ERRORS_LOAD,
    SQL_MORE_ERRORS,
    SQL_PRUNE,
    SQL_DELIVERY_ADD,
    SQL_DELIVERIES_DUE,
    SQL_DELIVERIES_BEHIND,
    SQL_DELIVERIES_FRESH,
    SQL_LEADERS_DUE,
    SQL_DELIVERY_GROUP,
    SQL_GROUPS_BEGIN,
    SQL_GROUPS_END,
    SQL_DELIVERY_NEXT,
    SQL_DELIVERY_PUT,
    SQL_DELIVERY_DONE,
    SQL_DELIVERIES_RELEASE,
    SQL_DELIVERY_COUNTS,
    SQL_REPLAY_DEAD,
    SQL_REPLAY_EVENT,
    N_STATEMENTS,
};

extern const char *const statement_texts[N_STATEMENTS];

struct store {
    sqlite3 *db;
    char *dir;
    char *path;
    int lock;
    struct stat file; /* what is open, to see whether it is still what has that name */
    bool writable;    /* the owner */
    bool held;        /* see store_hold */
    bool beside;      /* writes beside the owner, see store_replay.h */
    sqlite3_stmt *statements[N_STATEMENTS];
    char boot_id[64];
    char error[STORE_WHY];
    bool damaged; /* what the error is about */
};

/* The statement, reset and without bindings; NULL with the error set. */
sqlite3_stmt *store_statement(struct store *store, enum statement which);

/* Run a statement that returns no rows; NULL is passed on. False with the error set. */
bool store_run(struct store *store, sqlite3_stmt *statement);

/* Step to the next row: true; at the end, or on an error, false with *ret_fine. */
bool store_row(struct store *store, sqlite3_stmt *statement, bool *ret_fine);

/* Keep the database's own sentence, with the way out where there is one. Returns false. */
bool store_failed(struct store *store);

/* Whether the open file still has its name; one that lost it is written anew under it. False with the error set. */
bool store_is_in_place(struct store *store);

/* A row that no version of ours wrote. Returns false. */
bool store_odd_row(struct store *store, const char *what);

/* Returns false. */
bool store_no_memory(struct store *store);

/* NULL for WALL_NONE and COUNT_NONE, and back. Text is copied by SQLite; NULL binds NULL. */
void bind_wall(sqlite3_stmt *statement, int place, wall_time t);
void bind_count(sqlite3_stmt *statement, int place, int64_t count);
void bind_text(sqlite3_stmt *statement, int place, const char *text);
wall_time column_wall(sqlite3_stmt *statement, int column);
int64_t column_count(sqlite3_stmt *statement, int column);
const char *column_text(sqlite3_stmt *statement, int column); /* "" for NULL; valid until the next step */

#endif
