#include "store_private.h"
#include "store_replay.h"

#include "crash_point.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* "KLVJ": tells our file from any other database. */
#define APPLICATION_ID 0x4b4c564a
/* Across boots only the wall clock is left, which may have been set: no more than this is believed to have
 * passed. */
#define MAX_AWAY ((int64_t)31 * 86400000)

#define LOCK_FILE "klv-jobwatch.lock"

/* What makes version i + 1 of version i. */
static const char *const migrations[] = {
    "CREATE TABLE notes (key TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE watches (id INTEGER PRIMARY KEY, account TEXT NOT NULL, family TEXT NOT NULL, baseline_at "
    "INTEGER,"
    " full_pages INTEGER NOT NULL DEFAULT 0, last_good INTEGER, UNIQUE (account, family)) STRICT;"
    "CREATE TABLE jobs (watch INTEGER NOT NULL REFERENCES watches (id), id TEXT NOT NULL, status TEXT NOT "
    "NULL,"
    " total INTEGER, completed INTEGER, failed INTEGER, skipped INTEGER, created_at INTEGER, completed_at "
    "INTEGER,"
    " expires_at INTEGER, moved_at INTEGER NOT NULL, gone_at INTEGER, failures_told INTEGER NOT NULL,"
    " told INTEGER NOT NULL, anomalies INTEGER NOT NULL, revivals INTEGER NOT NULL, PRIMARY KEY (watch, id))"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE conditions (account TEXT NOT NULL, family TEXT NOT NULL, kind TEXT NOT NULL, since INTEGER "
    "NOT NULL,"
    " since_wall INTEGER NOT NULL, told INTEGER NOT NULL, reminders INTEGER NOT NULL, note TEXT NOT NULL,"
    " PRIMARY KEY (account, family, kind)) STRICT, WITHOUT ROWID;"
    "CREATE TABLE ledgers (watch INTEGER PRIMARY KEY REFERENCES watches (id), times BLOB NOT NULL) STRICT;"
    "CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
    " priority INTEGER NOT NULL, at INTEGER NOT NULL, account TEXT NOT NULL, family TEXT NOT NULL, job_id "
    "TEXT NOT NULL,"
    " status TEXT NOT NULL, total INTEGER, completed INTEGER, failed INTEGER, skipped INTEGER, "
    "previous_status TEXT,"
    " previous_completed INTEGER, previous_failed INTEGER, created_at INTEGER, completed_at INTEGER, "
    "expires_at INTEGER,"
    " note TEXT NOT NULL, figure INTEGER NOT NULL, reminder INTEGER NOT NULL, more_errors INTEGER NOT NULL,"
    " waits INTEGER NOT NULL DEFAULT 0) STRICT;"
    "CREATE INDEX events_at ON events (at);"
    "CREATE INDEX events_job ON events (job_id);"
    "CREATE INDEX events_waiting ON events (account, family) WHERE waits;"
    "CREATE TABLE event_errors (event INTEGER NOT NULL REFERENCES events (seq) ON DELETE CASCADE, n INTEGER "
    "NOT NULL,"
    " code TEXT NOT NULL, title TEXT NOT NULL, detail TEXT NOT NULL, pointer TEXT NOT NULL, PRIMARY KEY "
    "(event, n))"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE deliveries (sink TEXT NOT NULL, event INTEGER NOT NULL REFERENCES events (seq) ON DELETE "
    "CASCADE,"
    " order_key TEXT NOT NULL, state INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,"
    " queued_at INTEGER NOT NULL, next_at INTEGER NOT NULL, last_at INTEGER, last_status INTEGER NOT NULL "
    "DEFAULT 0,"
    " last_error TEXT NOT NULL DEFAULT '', PRIMARY KEY (sink, event)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX deliveries_event ON deliveries (event, state);"
    "CREATE INDEX deliveries_due ON deliveries (sink, next_at, event) WHERE state = 0;"
    "CREATE INDEX deliveries_order ON deliveries (sink, order_key, event) WHERE state = 0;"
    "CREATE INDEX deliveries_dead ON deliveries (sink) WHERE state = 2;",
    /* So that `jobs` and `status` need not look at each of a million jobs; the last column saves the look at the row. */
    "CREATE INDEX jobs_newest ON jobs (watch, created_at);"
    "CREATE INDEX jobs_unfinished ON jobs (watch, status, created_at) WHERE status <> 'complete';"
    "CREATE INDEX jobs_with_failures ON jobs (watch, created_at, failed) WHERE failed > 0;",
    "ALTER TABLE jobs ADD COLUMN page INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE pages (watch INTEGER NOT NULL REFERENCES watches (id), place INTEGER NOT NULL,"
    " digest BLOB NOT NULL, jobs INTEGER NOT NULL, newest_first INTEGER NOT NULL, first_created INTEGER,"
    " last_created INTEGER, next_cursor TEXT, PRIMARY KEY (watch, place)) STRICT, WITHOUT ROWID;",
    /* Groups: the events that were first sent in one request. */
    "ALTER TABLE deliveries ADD COLUMN leader INTEGER;"
    "CREATE INDEX deliveries_leaders ON deliveries (sink, next_at, event) WHERE state = 0 AND leader = event;"
    "CREATE INDEX deliveries_group ON deliveries (sink, leader, event) WHERE state = 0 AND leader IS NOT "
    "NULL;",
    /* Rows written before have none, and are read by their columns. */
    "ALTER TABLE jobs ADD COLUMN record BLOB;",
    /* With a rowid: to find a key without one, SQLite reads all of a long text that it passes, as the report is. */
    "CREATE TABLE notes_with_rowid (key TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT;"
    "INSERT INTO notes_with_rowid SELECT key, text FROM notes; DROP TABLE notes;"
    "ALTER TABLE notes_with_rowid RENAME TO notes;",
};
enum { VERSION = sizeof migrations / sizeof *migrations };

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

/* ---- opening ---- */

/* The lock names its holder, for the one that comes too late. */
static bool take_lock(struct store *store, char why[STORE_WHY])
{
    char path[4096], holder[32] = "";
    const char *dir = store->dir;
    snprintf(path, sizeof path, "%s/" LOCK_FILE, dir);
    store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock < 0) {
        snprintf(why, STORE_WHY,
                 "state directory %s: %s; it must exist and be writable (--state names another)", dir,
                 strerror(errno));
        return false;
    }
    if (flock(store->lock, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = pread(store->lock, holder, sizeof holder - 1, 0);
        holder[n > 0 ? n : 0] = '\0';
        holder[strcspn(holder, "\n")] = '\0';
        snprintf(why, STORE_WHY,
                 "state directory %s: another klv-jobwatch, process %s, writes there; stop it, or use "
                 "another --state",
                 dir, holder[0] ? holder : "(unknown)");
        return false;
    }
    int n = snprintf(holder, sizeof holder, "%d\n", (int)getpid());
    /* The number is a courtesy; the lock itself is what counts. */
    if (ftruncate(store->lock, 0) != 0 || pwrite(store->lock, holder, (size_t)n, 0) != n)
        return true;
    return true;
}

static bool execute(struct store *store, const char *sql)
{
    return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK || store_failed(store);
}

static bool pragma_number(struct store *store, const char *sql, int64_t *ret)
{
    sqlite3_stmt *statement = NULL;
    bool fine = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) == SQLITE_OK &&
                sqlite3_step(statement) == SQLITE_ROW;
    if (fine)
        *ret = sqlite3_column_int64(statement, 0);
    else
        store_failed(store);
    sqlite3_finalize(statement);
    return fine;
}

static bool migrate(struct store *store, int64_t version)
{
    char sql[96];
    if (!execute(store, "BEGIN IMMEDIATE"))
        return false;
    for (; version < VERSION; version++) {
        if (!execute(store, migrations[version]))
            return false;
    }
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d; PRAGMA application_id = %d", VERSION,
             APPLICATION_ID);
    return execute(store, sql) && execute(store, "COMMIT");
}

static bool refuse(struct store *store, const char *what)
{
    snprintf(store->error, sizeof store->error, "state file %s: %s", store->path, what);
    return false;
}

/* Whose file it is, and of which version. */
static bool check_version(struct store *store)
{
    int64_t application, version, tables;
    char what[200];
    if (!pragma_number(store, "PRAGMA application_id", &application) ||
        !pragma_number(store, "PRAGMA user_version", &version) ||
        !pragma_number(store, "SELECT count(*) FROM sqlite_schema", &tables))
        return false;
    if (application != APPLICATION_ID && (tables > 0 || version != 0))
        return refuse(store, "belongs to another program; use another --state directory");
    if (version > VERSION) {
        snprintf(what, sizeof what,
                 "is of version %lld, this klv-jobwatch knows up to %d: upgrade klv-jobwatch, or use another "
                 "--state directory",
                 (long long)version, VERSION);
        return refuse(store, what);
    }
    if (version == VERSION)
        return true;
    if (!store->writable)
        return refuse(
            store, "is of an older version, or empty: start the daemon once, it brings the file up to date");
    return migrate(store, version);
}

/* Pages that SQLite keeps in memory. All jobs are read once, and the writes are small: more would cost memory only. */
#define CACHE_PAGES "128"

static bool set_up(struct store *store)
{
    /* Before all that reads the file. What `replay` writes beside the daemon takes some ms at a time. */
    sqlite3_busy_timeout(store->db, store->writable ? 250 : 2000);
    if (!execute(store,
                 "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cache_size = " CACHE_PAGES))
        return false;
    if (store->writable)
        return check_version(store) && execute(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
                                                      "PRAGMA journal_size_limit = 4194304");
    return check_version(store) && (!store->beside || execute(store, "PRAGMA synchronous = FULL"));
}

static bool open_database(struct store *store)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    flags |= store->writable ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
             : store->beside ? SQLITE_OPEN_READWRITE
                             : SQLITE_OPEN_READONLY;
    mode_t mask = umask(0077);
    int code = sqlite3_open_v2(store->path, &store->db, flags, NULL);
    bool fine = store->db && code == SQLITE_OK && set_up(store);
    umask(mask);
    fine = fine && stat(store->path, &store->file) == 0;
    if (!store->db)
        snprintf(store->error, sizeof store->error, "state file %s: out of memory", store->path);
    else if (code != SQLITE_OK)
        store_failed(store);
    return fine;
}

/* A file that is there and that we may use; the owner makes it. */
static bool check_access(const struct store *store, char why[STORE_WHY])
{
    if (store->writable || access(store->path, store->beside ? R_OK | W_OK : R_OK) == 0)
        return true;
    snprintf(why, STORE_WHY,
             "state file %s: %s; has the daemon run with this --state directory, and may you %s it?",
             store->path, strerror(errno), store->beside ? "write" : "read");
    return false;
}

static struct store *open_as(const char *dir, bool writable, bool beside, char why[STORE_WHY])
{
    struct store *store = calloc(1, sizeof *store);
    snprintf(why, STORE_WHY, "out of memory");
    if (!store)
        return NULL;
    store->lock = -1;
    store->writable = writable;
    store->beside = beside;
    store->dir = strdup(dir);
    bool fine = store->dir && asprintf(&store->path, "%s/" STORE_FILE, dir) >= 0;
    if (!fine)
        store->path = NULL;
    fine = fine && check_access(store, why) && (!writable || take_lock(store, why));
    if (fine && !open_database(store)) {
        snprintf(why, STORE_WHY, "%s", store->error);
        fine = false;
    }
    if (fine)
        return store;
    store_close(store);
    return NULL;
}

struct store *store_open(const char *dir, bool writable, char why[STORE_WHY])
{
    return open_as(dir, writable, false, why);
}

struct store *store_open_beside(const char *dir, char why[STORE_WHY])
{
    return open_as(dir, false, true, why);
}

static void close_database(struct store *store)
{
    for (int i = 0; i < N_STATEMENTS; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
    sqlite3_close(store->db);
    store->db = NULL;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    close_database(store);
    if (store->lock >= 0)
        close(store->lock);
    free(store->path);
    free(store->dir);
    free(store);
}

/* ---- a file that is gone ---- */

/* The whole of the file that is open but has no name any more, under its name again. */
static bool write_anew(struct store *store)
{
    char new_path[4096];
    char *sql = NULL;
    snprintf(new_path, sizeof new_path, "%s.new", store->path);
    unlink(new_path); /* the rest of a try that failed */
    mode_t mask = umask(0077);
    bool fine = (sql = sqlite3_mprintf("VACUUM INTO %Q", new_path)) && execute(store, sql);
    umask(mask);
    sqlite3_free(sql);
    if (fine && rename(new_path, store->path) == 0)
        return true;
    if (fine)
        snprintf(store->error, sizeof store->error, "state file %s: %s", store->path, strerror(errno));
    unlink(new_path);
    return false;
}

/* The old connection must not tidy up by name when it is closed: that name is the new one's now. */
static bool move_over(struct store *store)
{
    struct store fresh = *store;
    fresh.db = NULL;
    memset(fresh.statements, 0, sizeof fresh.statements);
    if (!open_database(&fresh)) {
        close_database(&fresh);
        memcpy(store->error, fresh.error, sizeof store->error);
        return false;
    }
    sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    close_database(store);
    *store = fresh;
    return true;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* The lock that we hold may have lost its name too. */
static bool renew_lock(struct store *store)
{
    char path[4096];
    struct stat ours, named;
    int old_lock = store->lock;
    snprintf(path, sizeof path, "%s/" LOCK_FILE, store->dir);
    if (fstat(old_lock, &ours) == 0 && stat(path, &named) == 0 && is_same_file(&ours, &named))
        return true;
    if (take_lock(store, store->error)) {
        close(old_lock);
        return true;
    }
    if (store->lock >= 0)
        close(store->lock);
    store->lock = old_lock;
    return false;
}

static bool restore(struct store *store)
{
    if (!renew_lock(store) || !write_anew(store))
        return false;
    if (move_over(store))
        return true;
    unlink(store->path); /* ours, of a moment ago; the next try writes it again */
    return false;
}

/* SQLite would go on with a file that has no name any more, and all of it would be lost with the process. */
static bool is_in_place(struct store *store)
{
    struct stat st;
    if (!store->writable)
        return true;
    if (stat(store->path, &st) != 0)
        return errno == ENOENT ? restore(store) : true;
    if (is_same_file(&st, &store->file))
        return true;
    return refuse(store, "was replaced by another file while it was in use; restart klv-jobwatch");
}

/* ---- transactions ---- */

bool store_begin(struct store *store)
{
    crash_point("begin");
    if (store->held && !sqlite3_get_autocommit(store->db))
        return true;
    return is_in_place(store) && store_run(store, store_statement(store, SQL_BEGIN));
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

/* ---- watches, conditions, ledger ---- */

bool store_watch_get(struct store *store, const char *account, const char *family, struct store_watch *ret)
{
    bool fine;
    if (store->writable) {
        sqlite3_stmt *add = store_statement(store, SQL_WATCH_ADD);
        if (!add)
            return false;
        bind_text(add, 1, account);
        bind_text(add, 2, family);
        if (!store_run(store, add))
            return false;
    }
    sqlite3_stmt *get = store_statement(store, SQL_WATCH_GET);
    if (!get)
        return false;
    bind_text(get, 1, account);
    bind_text(get, 2, family);
    if (!store_row(store, get, &fine)) {
        if (fine)
            snprintf(store->error, sizeof store->error, "state file %s: knows nothing of account %s, %s",
                     store->path, account, family);
        return false;
    }
    *ret = (struct store_watch){
        .id = sqlite3_column_int64(get, 0),
        .baseline_at = column_wall(get, 1),
        .full_pages = (uint32_t)sqlite3_column_int64(get, 2),
        .last_good = column_wall(get, 3),
    };
    sqlite3_reset(get);
    return true;
}

bool store_watch_put(struct store *store, const struct store_watch *watch)
{
    sqlite3_stmt *statement = store_statement(store, SQL_WATCH_PUT);
    if (!statement)
        return false;
    sqlite3_bind_int64(statement, 1, watch->id);
    bind_wall(statement, 2, watch->baseline_at);
    sqlite3_bind_int64(statement, 3, watch->full_pages);
    bind_wall(statement, 4, watch->last_good);
    return store_run(store, statement);
}

bool store_condition_put(struct store *store, const char *account, const char *family,
                         const struct stored_condition *condition)
{
    sqlite3_stmt *statement = store_statement(store, SQL_CONDITION_PUT);
    if (!statement)
        return false;
    bind_text(statement, 1, account);
    bind_text(statement, 2, family);
    bind_text(statement, 3, event_types[condition->kind].name);
    sqlite3_bind_int64(statement, 4, condition->since.ms);
    sqlite3_bind_int64(statement, 5, condition->since_wall.ms);
    sqlite3_bind_int64(statement, 6, condition->told.ms);
    sqlite3_bind_int64(statement, 7, condition->reminders);
    bind_text(statement, 8, condition->note);
    return store_run(store, statement);
}

bool store_condition_remove(struct store *store, const char *account, const char *family,
                            enum event_kind kind)
{
    sqlite3_stmt *statement = store_statement(store, SQL_CONDITION_REMOVE);
    if (!statement)
        return false;
    bind_text(statement, 1, account);
    bind_text(statement, 2, family);
    bind_text(statement, 3, event_types[kind].name);
    return store_run(store, statement);
}

bool store_conditions_load(struct store *store, const char *account, const char *family,
                           bool (*each)(void *user, const struct stored_condition *condition), void *user)
{
    bool fine = false, go_on = true;
    sqlite3_stmt *statement = store_statement(store, SQL_CONDITIONS_LOAD);
    if (!statement)
        return false;
    bind_text(statement, 1, account);
    bind_text(statement, 2, family);
    while (go_on && store_row(store, statement, &fine)) {
        struct stored_condition condition = {
            .kind = event_kind_from_name(column_text(statement, 0)),
            .since = {sqlite3_column_int64(statement, 1)},
            .since_wall = {sqlite3_column_int64(statement, 2)},
            .told = {sqlite3_column_int64(statement, 3)},
            .reminders = (uint32_t)sqlite3_column_int64(statement, 4),
        };
        snprintf(condition.note, sizeof condition.note, "%s", column_text(statement, 5));
        /* A kind of a later version that went back: nothing of ours lasts under that name. */
        if (condition.kind != N_EVENT_KINDS)
            go_on = each(user, &condition);
    }
    sqlite3_reset(statement);
    return fine && go_on;
}

bool store_ledger_put(struct store *store, int64_t watch, const mono_time *times, size_t n)
{
    sqlite3_stmt *statement = store_statement(store, SQL_LEDGER_PUT);
    if (!statement)
        return false;
    sqlite3_bind_int64(statement, 1, watch);
    /* A zero-length blob would bind as NULL. */
    if (n == 0)
        sqlite3_bind_zeroblob(statement, 2, 0);
    else
        sqlite3_bind_blob64(statement, 2, times, n * sizeof *times, SQLITE_TRANSIENT);
    return store_run(store, statement);
}

bool store_ledger_load(struct store *store, int64_t watch, mono_time *times, size_t max, size_t *ret_n)
{
    bool fine;
    size_t n = 0;
    sqlite3_stmt *statement = store_statement(store, SQL_LEDGER_LOAD);
    if (!statement)
        return false;
    sqlite3_bind_int64(statement, 1, watch);
    if (store_row(store, statement, &fine)) {
        n = (size_t)sqlite3_column_bytes(statement, 0) / sizeof *times;
        n = n < max ? n : max;
        if (n > 0)
            memcpy(times, sqlite3_column_blob(statement, 0), n * sizeof *times);
        sqlite3_reset(statement);
    }
    *ret_n = n;
    return fine;
}
