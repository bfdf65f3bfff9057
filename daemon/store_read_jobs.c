/* store_read: the jobs. The first of each watch are read along an index, one watch after another, and the best of all
 * are kept; so it costs little to find some among a million. */
#include "store_read_private.h"

#include "../lib/job_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Beyond so many wanted rows SQLite sorts. */
#define MAX_BEST 5000

const char *const job_order_words[N_JOB_ORDERS] = {
    [JOBS_USUAL] = "usual",   [JOBS_CREATED] = "created", [JOBS_FINISHED] = "finished",
    [JOBS_FAILED] = "failed", [JOBS_TOTAL] = "total",     [JOBS_PROGRESS] = "progress",
    [JOBS_ID] = "id",
};

const char *const job_choice_words[N_JOB_CHOICES] = {
    [JOBS_ALL] = "all",           [JOBS_ACTIVE] = "active",
    [JOBS_QUEUED] = "queued",     [JOBS_PROCESSING] = "processing",
    [JOBS_COMPLETE] = "complete", [JOBS_CANCELLED] = "cancelled",
    [JOBS_OTHER] = "other",       [JOBS_INACTIVE] = "inactive",
};

/* ---- the statement ---- */

/* What is read of a job; the last one is what it is sorted by before its age and its id. */
#define JOB_COLUMNS                                                                                          \
    "account, family, jobs.id, status, total, completed, failed, skipped, created_at, completed_at,"         \
    " expires_at, moved_at, told, gone_at IS NOT NULL, "
#define KEY_COLUMN 14

static const char *key_of(enum job_order order)
{
    switch (order) {
    case JOBS_USUAL:
    case JOBS_CREATED:
    case JOBS_ID:
        return "0";
    case JOBS_FINISHED:
        return "completed_at";
    case JOBS_FAILED:
        return "failed";
    case JOBS_TOTAL:
        return "total";
    case JOBS_PROGRESS:
        return "CASE WHEN total > 0 THEN"
               " (ifnull(completed, 0) + ifnull(failed, 0) + ifnull(skipped, 0)) * 1.0 / total END";
    case N_JOB_ORDERS:
        break;
    }
    return "0";
}

#define UNFINISHED " AND status <> 'complete'"

/* The condition on `complete` is that of jobs_unfinished. */
static void add_choice(sqlite3_str *text, enum job_choice choice)
{
    static const char *const conditions[N_JOB_CHOICES] = {
        [JOBS_ALL] = "",
        [JOBS_ACTIVE] = UNFINISHED " AND status IN ('queued', 'processing')",
        [JOBS_QUEUED] = UNFINISHED " AND status = 'queued'",
        [JOBS_PROCESSING] = UNFINISHED " AND status = 'processing'",
        [JOBS_COMPLETE] = " AND status = 'complete'",
        [JOBS_CANCELLED] = UNFINISHED " AND status = 'cancelled'",
        [JOBS_OTHER] = UNFINISHED " AND status NOT IN ('queued', 'processing', 'cancelled')",
        [JOBS_INACTIVE] = " AND status NOT IN ('queued', 'processing')",
    };
    sqlite3_str_appendall(text, conditions[choice]);
}

static void add_order(sqlite3_str *text, const struct job_query *query)
{
    const char *down = query->reverse ? "ASC" : "DESC", *up = query->reverse ? "DESC" : "ASC";
    if (query->order == JOBS_ID)
        sqlite3_str_appendf(text, " ORDER BY jobs.id %s", up);
    else if (strcmp(key_of(query->order), "0") == 0)
        sqlite3_str_appendf(text, " ORDER BY created_at %s, jobs.id %s", down, down);
    else
        sqlite3_str_appendf(text, " ORDER BY key %s, created_at %s, jobs.id %s", down, down, down);
    if (query->limit)
        sqlite3_str_appendf(text, " LIMIT %lld", (long long)query->limit);
}

/* Named, because SQLite, which knows nothing of how many there are of what, would rather save the sorting. */
static const char *index_of(const struct job_query *query)
{
    bool newest_first = query->order == JOBS_USUAL || query->order == JOBS_CREATED;
    if (query->id)
        return "NOT INDEXED";
    if (query->stalled ||
        (query->choice != JOBS_ALL && query->choice != JOBS_COMPLETE && query->choice != JOBS_INACTIVE))
        return "INDEXED BY jobs_unfinished";
    if (query->failed)
        return "INDEXED BY jobs_with_failures";
    return newest_first ? "INDEXED BY jobs_newest" : "NOT INDEXED";
}

/* The jobs of one watch, ?1, or of all that were asked for. A row of which no observation is believed yet is nobody's
 * business. */
static sqlite3_stmt *prepare_jobs(struct store *store, const struct job_query *query, bool one_watch)
{
    sqlite3_str *text = sqlite3_str_new(store->db);
    sqlite3_str_appendf(
        text, "SELECT " JOB_COLUMNS "%s AS key FROM watches CROSS JOIN jobs %s ON watch = watches.id",
        key_of(query->order), index_of(query));
    read_add_watch_filter(text, query->account, query->family);
    if (one_watch)
        sqlite3_str_appendall(text, " AND watches.id = ?1");
    sqlite3_str_appendf(text, " AND told & %d = 0", TOLD_NOTHING);
    add_choice(text, query->choice);
    if (query->failed)
        sqlite3_str_appendall(text, " AND failed > 0");
    if (query->stalled)
        sqlite3_str_appendf(text, UNFINISHED " AND status IN ('queued', 'processing') AND told & %d",
                            TOLD_STALLED);
    if (query->id)
        read_add_id(text, "jobs.id", query->id, query->whole_id);
    add_order(text, query);
    return read_prepare(store, text);
}

static struct job_row read_job(sqlite3_stmt *s)
{
    enum job_status status = job_status_from_word(column_text(s, 3));
    return (struct job_row){
        .account = column_text(s, 0),
        .family = column_text(s, 1),
        .id = column_text(s, 2),
        .status_word = column_text(s, 3),
        .status = status,
        .counts = {column_count(s, 4), column_count(s, 5), column_count(s, 6), column_count(s, 7)},
        .created_at = column_wall(s, 8),
        .completed_at = column_wall(s, 9),
        .expires_at = column_wall(s, 10),
        .moved_at = {sqlite3_column_int64(s, 11)},
        .stalled = sqlite3_column_int(s, 12) & TOLD_STALLED && job_status_is_active(status),
        .unlisted = sqlite3_column_int(s, 13) != 0,
    };
}

/* ---- the best of all watches ---- */

struct kept_job {
    struct job_row row; /* its strings are ours */
    double key;         /* -INFINITY: none */
};

struct best {
    const struct job_query *query;
    struct kept_job *jobs; /* in order */
    size_t n;
};

static void free_strings(struct job_row *row)
{
    free((char *)row->account);
    free((char *)row->family);
    free((char *)row->id);
    free((char *)row->status_word);
}

static bool copy_strings(struct job_row *row)
{
    row->account = strdup(row->account);
    row->family = strdup(row->family);
    row->id = strdup(row->id);
    row->status_word = strdup(row->status_word);
    if (row->account && row->family && row->id && row->status_word)
        return true;
    free_strings(row);
    return false;
}

/* As the statement's ORDER BY; < 0: a comes first. */
static int compare_jobs(const struct job_query *query, const struct kept_job *a, const struct kept_job *b)
{
    int order = 0;
    if (query->order == JOBS_ID)
        order = strcmp(a->row.id, b->row.id);
    else if (a->key != b->key)
        order = a->key > b->key ? -1 : 1;
    else if (a->row.created_at.ms != b->row.created_at.ms)
        order = a->row.created_at.ms > b->row.created_at.ms ? -1 : 1;
    else
        order = strcmp(b->row.id, a->row.id);
    return query->reverse ? -order : order;
}

/* *ret_taken false: it is none of the best, nor is any that comes behind it. False without memory. */
static bool take(struct best *best, struct kept_job job, bool *ret_taken)
{
    size_t limit = best->query->limit, at = best->n;
    while (at > 0 && compare_jobs(best->query, &job, &best->jobs[at - 1]) < 0)
        at--;
    *ret_taken = at < limit;
    if (at == limit)
        return true;
    if (!copy_strings(&job.row))
        return false;
    if (best->n == limit)
        free_strings(&best->jobs[--best->n].row);
    memmove(&best->jobs[at + 1], &best->jobs[at], (best->n - at) * sizeof *best->jobs);
    best->jobs[at] = job;
    best->n++;
    return true;
}

/* One watch's jobs, as long as they are among the best. */
static bool read_watch(struct store *store, sqlite3_stmt *s, struct best *best)
{
    bool fine = false, taken = true, memory = true;
    while (memory && taken && store_row(store, s, &fine)) {
        struct kept_job job = {
            .row = read_job(s),
            .key =
                sqlite3_column_type(s, KEY_COLUMN) == SQLITE_NULL ? -1 : sqlite3_column_double(s, KEY_COLUMN),
        };
        memory = take(best, job, &taken);
    }
    sqlite3_reset(s);
    if (!memory)
        snprintf(store->error, sizeof store->error, "out of memory");
    return fine && memory;
}

static bool read_best(struct store *store, const struct job_query *query, struct best *best)
{
    bool fine = false, whole = true;
    sqlite3_str *text = sqlite3_str_new(store->db);
    sqlite3_str_appendall(text, "SELECT id FROM watches");
    read_add_watch_filter(text, query->account, query->family);
    sqlite3_stmt *watches = read_prepare(store, text);
    sqlite3_stmt *jobs = prepare_jobs(store, query, true);
    while (jobs && whole && store_row(store, watches, &fine)) {
        sqlite3_bind_int64(jobs, 1, sqlite3_column_int64(watches, 0));
        whole = read_watch(store, jobs, best);
    }
    sqlite3_finalize(watches);
    sqlite3_finalize(jobs);
    return fine && whole;
}

/* What has been given of a list that may be made of two parts. */
struct giving {
    bool (*each)(void *user, const struct job_row *row);
    void *user;
    size_t given;
    bool ended;
};

static bool give_best(struct store *store, const struct job_query *query, struct giving *giving)
{
    struct best best = {.query = query, .jobs = calloc(query->limit + 1, sizeof *best.jobs)};
    bool fine = false;
    if (!best.jobs)
        snprintf(store->error, sizeof store->error, "out of memory");
    else
        fine = read_best(store, query, &best);
    for (size_t i = 0; i < best.n; i++) {
        if (fine && !giving->ended) {
            giving->given++;
            giving->ended = !giving->each(giving->user, &best.jobs[i].row);
        }
        free_strings(&best.jobs[i].row);
    }
    free(best.jobs);
    return fine;
}

static bool give_sorted(struct store *store, const struct job_query *query, struct giving *giving)
{
    bool fine = false;
    sqlite3_stmt *s = prepare_jobs(store, query, false);
    while (!giving->ended && store_row(store, s, &fine)) {
        struct job_row row = read_job(s);
        giving->given++;
        giving->ended = !giving->each(giving->user, &row);
    }
    sqlite3_finalize(s);
    return fine;
}

static bool give(struct store *store, const struct job_query *query, struct giving *giving)
{
    if (query->limit > 0 && query->limit <= MAX_BEST)
        return give_best(store, query, giving);
    return give_sorted(store, query, giving);
}

bool store_read_jobs(struct store *store, const struct job_query *query,
                     bool (*each)(void *user, const struct job_row *row), void *user)
{
    struct giving giving = {.each = each, .user = user};
    struct job_query part = *query;
    if (query->order != JOBS_USUAL || query->choice != JOBS_ALL || query->stalled)
        return give(store, query, &giving);
    enum job_choice choices[] = {JOBS_ACTIVE, JOBS_INACTIVE};
    for (size_t i = 0; i < 2 && !giving.ended; i++) {
        part.choice = choices[query->reverse ? 1 - i : i];
        part.limit = query->limit ? query->limit - giving.given : 0;
        if (query->limit && part.limit == 0)
            break;
        if (!give(store, &part, &giving))
            return false;
    }
    return true;
}

bool store_read_job_start(struct store *store, const struct job_row *row, struct job_start *ret)
{
    bool fine = false;
    sqlite3_str *text = sqlite3_str_new(store->db);
    sqlite3_str_appendf(text,
                        "SELECT at, ifnull(completed, 0) + ifnull(failed, 0) + ifnull(skipped, 0) FROM events"
                        " INDEXED BY events_job WHERE job_id = %Q AND account = %Q AND family = %Q"
                        " AND kind = %Q ORDER BY seq DESC LIMIT 1",
                        row->id, row->account, row->family, event_types[EVENT_JOB_STARTED].name);
    sqlite3_stmt *s = read_prepare(store, text);
    *ret = (struct job_start){.at = WALL_NONE};
    if (store_row(store, s, &fine))
        *ret = (struct job_start){column_wall(s, 0), sqlite3_column_int64(s, 1)};
    sqlite3_finalize(s);
    return fine;
}
