#include "store_private.h"
#include "store_replay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* "KLVJ": tells our file from any other database. */
#define APPLICATION_ID 0x4b4c564a

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
    ("ALTER TABLE ledgers ADD COLUMN budget_left REAL NOT NULL DEFAULT 1;"
     "ALTER TABLE ledgers ADD COLUMN good_since INTEGER NOT NULL DEFAULT 0;"),
};
enum { VERSION = sizeof migrations / sizeof *migrations };

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

/* Pages that SQLite keeps in memory, as many as it makes room for at once. All jobs are read once, and the writes are
 * small: more would cost memory, and the time to make it. */
#define CACHE_PAGES "20"

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
bool store_is_in_place(struct store *store)
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
