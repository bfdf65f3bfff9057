#include "job_record.h"
#include "store_private.h"
#include "../lib/sweep.h"

#include <string.h>

bool store_job_put(struct store *store, int64_t watch, const struct known_job *job)
{
    sqlite3_stmt *s = store_statement(store, SQL_JOB_PUT);
    if (!s)
        return false;
    sqlite3_bind_int64(s, 1, watch);
    bind_text(s, 2, job->id);
    bind_text(s, 3, known_status_word(job));
    bind_count(s, 4, job->counts.total);
    bind_count(s, 5, job->counts.completed);
    bind_count(s, 6, job->counts.failed);
    bind_count(s, 7, job->counts.skipped);
    bind_wall(s, 8, job->created_at);
    bind_wall(s, 9, job->completed_at);
    bind_wall(s, 10, job->expires_at);
    sqlite3_bind_int64(s, 11, job->moved_at.ms);
    if (job->gone_at.ms != MONO_NEVER.ms)
        sqlite3_bind_int64(s, 12, job->gone_at.ms);
    sqlite3_bind_int64(s, 13, job->failures_told);
    sqlite3_bind_int64(s, 14, job->told);
    sqlite3_bind_int64(s, 15, job->anomalies);
    sqlite3_bind_int64(s, 16, job->revivals);
    sqlite3_bind_int64(s, 17, job->page);
    unsigned char record[JOB_RECORD_MAX];
    sqlite3_bind_blob(s, 18, record, (int)job_record_pack(job, record), SQLITE_TRANSIENT);
    return store_run(store, s);
}

bool store_job_remove(struct store *store, int64_t watch, const char *id)
{
    sqlite3_stmt *s = store_statement(store, SQL_JOB_REMOVE);
    if (!s)
        return false;
    sqlite3_bind_int64(s, 1, watch);
    bind_text(s, 2, id);
    return store_run(store, s);
}

static bool is_byte(sqlite3_stmt *s, int column)
{
    int64_t value = sqlite3_column_int64(s, column);
    return value >= 0 && value <= UINT8_MAX;
}

static bool is_place(sqlite3_stmt *s, int column, int64_t most)
{
    int64_t value = sqlite3_column_int64(s, column);
    return value >= 0 && value <= most;
}

/* A view of the row; false when it cannot have been written by us. */
static bool read_record(sqlite3_stmt *s, struct stored_job *ret)
{
    ret->id = column_text(s, 0);
    size_t id = (size_t)sqlite3_column_bytes(s, 0), len = (size_t)sqlite3_column_bytes(s, 1);
    return id > 0 && id <= JOB_ID_MAX && strlen(ret->id) == id &&
           job_record_unpack(sqlite3_column_blob(s, 1), len, ret);
}

static bool is_sane(sqlite3_stmt *s)
{
    size_t id = strlen(column_text(s, 0)), status = strlen(column_text(s, 1));
    return id > 0 && id <= JOB_ID_MAX && id == (size_t)sqlite3_column_bytes(s, 0) && status > 0 &&
           status <= JOB_STATUS_MAX && is_byte(s, 12) && is_byte(s, 13) && is_byte(s, 14) &&
           is_place(s, 15, SWEEP_MAX_PAGES);
}

/* The same for a row of an earlier version. */
static bool read_columns(sqlite3_stmt *s, struct stored_job *ret)
{
    *ret = (struct stored_job){
        .id = column_text(s, 0),
        .status_word = column_text(s, 1),
        .status = job_status_from_word(column_text(s, 1)),
        .counts = {column_count(s, 2), column_count(s, 3), column_count(s, 4), column_count(s, 5)},
        .created_at = column_wall(s, 6),
        .completed_at = column_wall(s, 7),
        .expires_at = column_wall(s, 8),
        .moved_at = {sqlite3_column_int64(s, 9)},
        .gone_at =
            sqlite3_column_type(s, 10) == SQLITE_NULL ? MONO_NEVER : (mono_time){sqlite3_column_int64(s, 10)},
        .failures_told = sqlite3_column_int64(s, 11),
        .told = (uint8_t)sqlite3_column_int64(s, 12),
        .anomalies = (uint8_t)sqlite3_column_int64(s, 13),
        .revivals = (uint8_t)sqlite3_column_int64(s, 14),
        .page = (uint32_t)sqlite3_column_int64(s, 15),
    };
    return is_sane(s);
}

/* Rows of an earlier version, which have no record, are left out by SQL_JOBS_LOAD and counted. */
static bool load(struct store *store, enum statement which, int64_t watch, size_t *old,
                 bool (*each)(void *user, const struct stored_job *job), void *user)
{
    bool fine = false, go_on = true;
    struct stored_job job;
    sqlite3_stmt *s = store_statement(store, which);
    if (!s)
        return false;
    sqlite3_bind_int64(s, 1, watch);
    while (go_on && store_row(store, s, &fine)) {
        if (which == SQL_JOBS_LOAD && sqlite3_column_type(s, 1) == SQLITE_NULL) {
            ++*old;
            continue;
        }
        bool sane = which == SQL_JOBS_LOAD ? read_record(s, &job) : read_columns(s, &job);
        go_on = sane ? each(user, &job) : store_odd_row(store, "a job's row is not one of ours");
    }
    sqlite3_reset(s);
    return fine && go_on;
}

bool store_jobs_load(struct store *store, int64_t watch,
                     bool (*each)(void *user, const struct stored_job *job), void *user)
{
    size_t old = 0;
    return load(store, SQL_JOBS_LOAD, watch, &old, each, user) &&
           (old == 0 || load(store, SQL_JOBS_LOAD_OLD, watch, &old, each, user));
}

bool store_page_put(struct store *store, int64_t watch, size_t place, const struct known_page *page)
{
    sqlite3_stmt *s = store_statement(store, page->read ? SQL_PAGE_PUT : SQL_PAGE_REMOVE);
    if (!s)
        return false;
    sqlite3_bind_int64(s, 1, watch);
    sqlite3_bind_int64(s, 2, (int64_t)place);
    if (!page->read)
        return store_run(store, s);
    sqlite3_bind_blob(s, 3, page->digest.words, sizeof page->digest.words, SQLITE_STATIC);
    sqlite3_bind_int64(s, 4, page->jobs);
    sqlite3_bind_int64(s, 5, page->newest_first);
    bind_wall(s, 6, page->first_created);
    bind_wall(s, 7, page->last_created);
    bind_text(s, 8, page->next_cursor);
    return store_run(store, s);
}

/* A view of the row: the cursor is the column's own text. */
static bool read_page(sqlite3_stmt *s, struct known_page *ret)
{
    if (!is_place(s, 0, SWEEP_MAX_PAGES - 1) || !is_place(s, 2, PAGE_MAX_JOBS) ||
        sqlite3_column_bytes(s, 1) != sizeof ret->digest.words)
        return false;
    *ret = (struct known_page){
        .read = true,
        .jobs = (uint32_t)sqlite3_column_int64(s, 2),
        .newest_first = sqlite3_column_int64(s, 3) != 0,
        .first_created = column_wall(s, 4),
        .last_created = column_wall(s, 5),
        .next_cursor = sqlite3_column_type(s, 6) == SQLITE_NULL ? NULL : column_text(s, 6),
    };
    memcpy(ret->digest.words, sqlite3_column_blob(s, 1), sizeof ret->digest.words);
    return true;
}

bool store_pages_load(struct store *store, int64_t watch,
                      bool (*each)(void *user, size_t place, const struct known_page *page), void *user)
{
    bool fine = false, go_on = true;
    sqlite3_stmt *s = store_statement(store, SQL_PAGES_LOAD);
    if (!s)
        return false;
    sqlite3_bind_int64(s, 1, watch);
    while (go_on && store_row(store, s, &fine)) {
        struct known_page page;
        go_on = read_page(s, &page) ? each(user, (size_t)sqlite3_column_int64(s, 0), &page)
                                    : store_odd_row(store, "a page's row is not one of ours");
    }
    sqlite3_reset(s);
    return fine && go_on;
}
