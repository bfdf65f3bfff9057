#include "store_private.h"

#include "crash_point.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Across boots only the wall clock is left, which may have been set: no more than this is believed to have
 * passed. What is owed is then tried for longer and what is known kept for longer; believing a clock that is days
 * ahead would give queued events up, forget history and call jobs stalled. */
#define MAX_AWAY ((int64_t)10 * 60000)

/* ---- errors, statements ---- */

const char *store_error(const struct store *store)
{
    return store->error;
}

bool store_is_damaged(const struct store *store)
{
    return store->damaged;
}

/* What a person can do about it. */
static const char *remedy(int code)
{
    switch (code & 0xff) {
    case SQLITE_FULL:
        return "; the disk is full: free some space";
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return "; check who owns the state directory, and that its file system is writable";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return "; move the file away (it is not deleted) and start again, with a new baseline";
    case SQLITE_IOERR:
        /* sqlite3_system_errno() does not know of a failed COMMIT; no call that is meant to fail says this. */
        return errno == EROFS ? "; its file system has become read-only: the kernel's log says why"
                              : "; the disk does not read or write";
    default:
        return "";
    }
}

bool store_failed(struct store *store)
{
    snprintf(store->error, sizeof store->error, "state file %s: %s%s", store->path, sqlite3_errmsg(store->db),
             remedy(sqlite3_errcode(store->db)));
    int code = sqlite3_errcode(store->db) & 0xff;
    store->damaged = code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    return false;
}

bool store_odd_row(struct store *store, const char *what)
{
    snprintf(store->error, sizeof store->error,
             "state file %s: %s; it was changed by something else: move it away and start again, with a new "
             "baseline",
             store->path, what);
    store->damaged = true;
    return false;
}

bool store_no_memory(struct store *store)
{
    snprintf(store->error, sizeof store->error, "out of memory");
    store->damaged = false;
    return false;
}

sqlite3_stmt *store_statement(struct store *store, enum statement which)
{
    sqlite3_stmt **at = &store->statements[which];
    if (!*at && sqlite3_prepare_v3(store->db, statement_texts[which], -1, SQLITE_PREPARE_PERSISTENT, at,
                                   NULL) != SQLITE_OK) {
        store_failed(store);
        return NULL;
    }
    sqlite3_reset(*at);
    sqlite3_clear_bindings(*at);
    return *at;
}

bool store_row(struct store *store, sqlite3_stmt *statement, bool *ret_fine)
{
    *ret_fine = false;
    if (!statement)
        return false;
    errno = 0;
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *ret_fine = true;
        return true;
    }
    *ret_fine = code == SQLITE_DONE;
    if (!*ret_fine)
        store_failed(store);
    sqlite3_reset(statement);
    return false;
}

bool store_run(struct store *store, sqlite3_stmt *statement)
{
    bool fine;
    if (store_row(store, statement, &fine))
        sqlite3_reset(statement);
    return fine;
}

void bind_wall(sqlite3_stmt *statement, int place, wall_time t)
{
    bind_count(statement, place, t.ms);
}

/* WALL_NONE and COUNT_NONE are the same number. */
void bind_count(sqlite3_stmt *statement, int place, int64_t count)
{
    if (count == COUNT_NONE)
        sqlite3_bind_null(statement, place);
    else
        sqlite3_bind_int64(statement, place, count);
}

void bind_text(sqlite3_stmt *statement, int place, const char *text)
{
    if (text)
        sqlite3_bind_text(statement, place, text, -1, SQLITE_TRANSIENT);
    else
        sqlite3_bind_null(statement, place);
}

wall_time column_wall(sqlite3_stmt *statement, int column)
{
    return (wall_time){column_count(statement, column)};
}

int64_t column_count(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL ? COUNT_NONE
                                                                 : sqlite3_column_int64(statement, column);
}

const char *column_text(sqlite3_stmt *statement, int column)
{
    const unsigned char *text = sqlite3_column_text(statement, column);
    return text ? (const char *)text : "";
}

/* ---- transactions ---- */

bool store_begin(struct store *store)
{
    crash_point("begin");
    if (store->held && !sqlite3_get_autocommit(store->db))
        return true;
    return store_is_in_place(store) && store_run(store, store_statement(store, SQL_BEGIN));
}

/* SQLite rolls back by itself after some errors (a full disk), but not after all. */
void store_rollback(struct store *store)
{
    if (sqlite3_get_autocommit(store->db))
        return;
    char error[STORE_WHY];
    memcpy(error, store->error, sizeof error);
    store_run(store, store_statement(store, SQL_ROLLBACK));
    memcpy(store->error, error, sizeof error);
}

bool store_commit(struct store *store)
{
    if (store->held)
        return true;
    crash_point("commit-before");
    bool fine = store_run(store, store_statement(store, SQL_COMMIT));
    crash_point("commit-after");
    if (fine)
        return true;
    store_rollback(store);
    return false;
}

bool store_hold(struct store *store)
{
    store->held = store_begin(store);
    return store->held;
}

bool store_release(struct store *store)
{
    bool open = !sqlite3_get_autocommit(store->db);
    store->held = false;
    return open && store_commit(store);
}

/* ---- the time line, notes ---- */

bool store_note_put(struct store *store, const char *key, const char *text)
{
    sqlite3_stmt *statement = store_statement(store, SQL_NOTE_PUT);
    if (!statement)
        return false;
    bind_text(statement, 1, key);
    bind_text(statement, 2, text);
    return store_run(store, statement);
}

char *store_note_get(struct store *store, const char *key)
{
    bool fine;
    char *text = NULL;
    sqlite3_stmt *statement = store_statement(store, SQL_NOTE_GET);
    if (!statement)
        return NULL;
    bind_text(statement, 1, key);
    if (store_row(store, statement, &fine)) {
        text = strdup(column_text(statement, 0));
        sqlite3_reset(statement);
    }
    return text;
}

static int64_t clamp(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

/* More than any clock will say, and so far from the ends that sums and differences of such times hold. */
static bool is_time(long long ms)
{
    return ms > INT64_MIN / 4 && ms < INT64_MAX / 4;
}

/* The mark: boot id, CLOCK_MONOTONIC, wall clock and time line, as they were together. */
int64_t store_timeline(struct store *store, const char *boot_id, int64_t monotonic_ms, wall_time wall)
{
    char boot[64] = "";
    long long monotonic = 0, wall_then = 0, line = 0;
    char *mark = store_note_get(store, STORE_MARK_KEY);
    snprintf(store->boot_id, sizeof store->boot_id, "%s", boot_id);
    bool known = mark && sscanf(mark, "%63s %lld %lld %lld", boot, &monotonic, &wall_then, &line) == 4;
    free(mark);
    if (!known || !is_time(monotonic) || !is_time(wall_then) || !is_time(line))
        return 0;
    bool same_boot = strcmp(boot, boot_id) == 0 && strcmp(boot, "unknown") != 0 && monotonic_ms >= monotonic;
    int64_t passed = same_boot ? monotonic_ms - monotonic : clamp(wall.ms - wall_then, 0, MAX_AWAY);
    return line + passed - monotonic_ms;
}

static int64_t monotonic_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

bool store_mark(struct store *store, struct now now)
{
    char mark[160];
    snprintf(mark, sizeof mark, "%s %lld %lld %lld", store->boot_id[0] ? store->boot_id : "unknown",
             (long long)monotonic_now(), (long long)now.wall.ms, (long long)now.mono.ms);
    return store_note_put(store, STORE_MARK_KEY, mark);
}
