#include "store_read_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of a sink's queue so many rows are looked through for the last attempt. */
#define LAST_ATTEMPT_ROWS 1000

/* ---- statements made for one reading ---- */

sqlite3_stmt *read_prepare(struct store *store, sqlite3_str *text)
{
    sqlite3_stmt *statement = NULL;
    char *sql = sqlite3_str_finish(text);
    if (!sql)
        snprintf(store->error, sizeof store->error, "out of memory");
    else if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK)
        store_failed(store);
    sqlite3_free(sql);
    return statement;
}

bool read_number(struct store *store, sqlite3_str *text, int64_t *ret)
{
    sqlite3_stmt *s = read_prepare(store, text);
    bool fine = false;
    if (store_row(store, s, &fine))
        *ret = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return fine;
}

void read_add_watch_filter(sqlite3_str *text, const char *account, const char *family)
{
    sqlite3_str_appendall(text, " WHERE 1");
    if (account)
        sqlite3_str_appendf(text, " AND account GLOB %Q", account);
    if (family)
        sqlite3_str_appendf(text, " AND (family GLOB %Q OR family GLOB %Q || '-job')", family, family);
}

void read_add_id(sqlite3_str *text, const char *column, const char *id, bool whole)
{
    if (whole)
        sqlite3_str_appendf(text, " AND %s = %Q", column, id);
    else
        sqlite3_str_appendf(text, " AND %s >= %Q AND %s < %Q || char(0x10FFFF)", column, id, column, id);
}

bool store_read_clock(struct store *store, int64_t *ret_to_wall)
{
    char boot[64];
    long long monotonic, wall, line;
    char *mark = store_note_get(store, STORE_MARK_KEY);
    bool known = mark && sscanf(mark, "%63s %lld %lld %lld", boot, &monotonic, &wall, &line) == 4;
    free(mark);
    *ret_to_wall = known ? wall - line : 0;
    return known;
}

bool store_read_version(struct store *store, int64_t *ret)
{
    sqlite3_str *text = sqlite3_str_new(store->db);
    sqlite3_str_appendall(text, "PRAGMA data_version");
    return read_number(store, text, ret);
}

/* ---- watches ---- */

/* A row of which no observation is believed yet is nobody's business; those are few and soon over. The condition on
 * `complete` is that of the index. */
#define UNFINISHED                                                                                           \
    "(SELECT count(*) FROM jobs INDEXED BY jobs_unfinished WHERE watch = w.id AND status <> 'complete'"
#define COUNTS                                                                                               \
    UNFINISHED "), " UNFINISHED " AND status = 'queued'), " UNFINISHED                                       \
               " AND status = 'processing'), " UNFINISHED                                                    \
               " AND status = 'cancelled'), (SELECT count(*) FROM jobs INDEXED BY jobs_with_failures"        \
               " WHERE watch = w.id AND failed > 0)"

static struct watch_counts read_counts(sqlite3_stmt *s)
{
    struct watch_counts counts = {
        .id = sqlite3_column_int64(s, 0),
        .account = column_text(s, 1),
        .family = column_text(s, 2),
        .baseline_at = column_wall(s, 3),
        .last_good = column_wall(s, 4),
        .unfinished = sqlite3_column_int64(s, 5),
        .queued = sqlite3_column_int64(s, 6),
        .processing = sqlite3_column_int64(s, 7),
        .cancelled = sqlite3_column_int64(s, 8),
        .with_failures = sqlite3_column_int64(s, 9),
    };
    counts.other = counts.unfinished - counts.queued - counts.processing - counts.cancelled;
    return counts;
}

bool store_read_job_total(struct store *store, int64_t watch, int64_t *ret)
{
    sqlite3_str *text = sqlite3_str_new(store->db);
    sqlite3_str_appendf(text, "SELECT count(*) FROM jobs INDEXED BY jobs_newest WHERE watch = %lld",
                        (long long)watch);
    return read_number(store, text, ret);
}

bool store_read_watches(struct store *store, const char *account, const char *family,
                        bool (*each)(void *user, const struct watch_counts *counts), void *user)
{
    bool fine = false, go_on = true;
    sqlite3_str *text = sqlite3_str_new(store->db);
    sqlite3_str_appendall(text,
                          "SELECT id, account, family, baseline_at, last_good, " COUNTS " FROM watches AS w");
    read_add_watch_filter(text, account, family);
    sqlite3_str_appendall(text, " ORDER BY account, family");
    sqlite3_stmt *s = read_prepare(store, text);
    while (go_on && store_row(store, s, &fine)) {
        struct watch_counts counts = read_counts(s);
        go_on = each(user, &counts);
    }
    sqlite3_finalize(s);
    return fine;
}

/* ---- events ---- */

/* " AND (kind GLOB 'a' OR kind GLOB 'b')" */
static void add_kinds(sqlite3_str *text, const char *kinds)
{
    const char *lead = " AND (";
    for (const char *at = kinds;; at++) {
        size_t len = strcspn(at, ",");
        sqlite3_str_appendf(text, "%skind GLOB '%.*q'", lead, (int)len, at);
        lead = " OR ";
        at += len;
        if (*at == '\0')
            break;
    }
    sqlite3_str_appendall(text, ")");
}

static void add_event_filters(sqlite3_str *text, const struct event_query *query)
{
    sqlite3_str_appendf(text, " AND seq > %lld", (long long)query->after_seq);
    if (query->job_id)
        read_add_id(text, "job_id", query->job_id, query->whole_id);
    if (query->kinds)
        add_kinds(text, query->kinds);
    if (query->priority != PRIO_DEBUG)
        sqlite3_str_appendf(text, " AND priority <= %d", (int)query->priority);
    /* The first of them is found in the index of times; from there on the order of the numbers is kept. */
    if (!wall_is_none(query->since))
        sqlite3_str_appendf(text, " AND seq >= (SELECT min(seq) FROM events WHERE at >= %lld) AND at >= %lld",
                            (long long)query->since.ms, (long long)query->since.ms);
    if (!wall_is_none(query->until))
        sqlite3_str_appendf(text, " AND at <= %lld", (long long)query->until.ms);
}

/*
 * With `last` the newest are found from the end; otherwise nothing is sorted, so the first screen of many events comes
 * at once.
 */
static sqlite3_str *events_text(struct store *store, const struct event_query *query)
{
    sqlite3_str *text = sqlite3_str_new(store->db);
    if (query->last)
        sqlite3_str_appendall(text, "SELECT seq FROM (");
    sqlite3_str_appendf(text, "SELECT seq FROM events %s",
                        query->job_id ? "INDEXED BY events_job" : "NOT INDEXED");
    read_add_watch_filter(text, query->account, query->family);
    add_event_filters(text, query);
    if (query->last)
        sqlite3_str_appendf(text, " ORDER BY seq DESC LIMIT %lld)", (long long)query->last);
    sqlite3_str_appendall(text, " ORDER BY seq");
    return text;
}

bool store_read_events(struct store *store, const struct event_query *query,
                       bool (*each)(void *user, int64_t seq, const struct event *event), void *user)
{
    bool fine = false, go_on = true, whole = true;
    sqlite3_stmt *s = read_prepare(store, events_text(store, query));
    while (whole && go_on && store_row(store, s, &fine)) {
        int64_t seq = sqlite3_column_int64(s, 0);
        struct event *event = store_event_load(store, seq);
        whole = event;
        go_on = event && each(user, seq, event);
        event_free(event);
    }
    sqlite3_finalize(s);
    return fine && whole;
}

bool store_read_last_seq(struct store *store, int64_t *ret)
{
    sqlite3_str *text = sqlite3_str_new(store->db);
    sqlite3_str_appendall(text, "SELECT ifnull(max(seq), 0) FROM events");
    return read_number(store, text, ret);
}

/* ---- deliveries ---- */

#define DELIVERY_COLUMNS "sink, event, state, attempts, queued_at, next_at, last_at, last_status, last_error"

static struct stored_delivery read_delivery(sqlite3_stmt *s)
{
    struct stored_delivery row = {
        .seq = sqlite3_column_int64(s, 1),
        .state = (enum delivery_state)sqlite3_column_int(s, 2),
        .attempts = (uint32_t)sqlite3_column_int64(s, 3),
        .queued_at = {sqlite3_column_int64(s, 4)},
        .next_at = {sqlite3_column_int64(s, 5)},
        .last_at = column_wall(s, 6),
        .last_status = sqlite3_column_int(s, 7),
    };
    snprintf(row.sink, sizeof row.sink, "%s", column_text(s, 0));
    snprintf(row.last_error, sizeof row.last_error, "%s", column_text(s, 8));
    return row;
}

bool store_read_deliveries(struct store *store, int64_t seq,
                           bool (*each)(void *user, const struct stored_delivery *row), void *user)
{
    bool fine = false, go_on = true;
    sqlite3_str *text = sqlite3_str_new(store->db);
    sqlite3_str_appendf(text, "SELECT " DELIVERY_COLUMNS " FROM deliveries WHERE event = %lld ORDER BY sink",
                        (long long)seq);
    sqlite3_stmt *s = read_prepare(store, text);
    while (go_on && store_row(store, s, &fine)) {
        struct stored_delivery row = read_delivery(s);
        go_on = each(user, &row);
    }
    sqlite3_finalize(s);
    return fine;
}

/* The attempt made last: among those that wait, the ones due first, and among those that are over, the newest. */
static bool read_last_attempt(struct store *store, const char *sink, struct stored_delivery *ret)
{
    bool fine = false;
    sqlite3_str *text = sqlite3_str_new(store->db);
    sqlite3_str_appendf(text,
                        "SELECT * FROM (SELECT " DELIVERY_COLUMNS
                        " FROM deliveries WHERE sink = %Q AND state = 0 ORDER BY next_at, event LIMIT %d)"
                        " WHERE last_at IS NOT NULL UNION ALL SELECT * FROM (SELECT " DELIVERY_COLUMNS
                        " FROM deliveries WHERE sink = %Q ORDER BY event DESC LIMIT %d)"
                        " WHERE last_at IS NOT NULL ORDER BY last_at DESC LIMIT 1",
                        sink, LAST_ATTEMPT_ROWS, sink, LAST_ATTEMPT_ROWS);
    sqlite3_stmt *s = read_prepare(store, text);
    *ret = (struct stored_delivery){.last_at = WALL_NONE};
    if (store_row(store, s, &fine))
        *ret = read_delivery(s);
    sqlite3_finalize(s);
    return fine;
}

/* Each along the index of its state. */
static bool count_deliveries(struct store *store, const char *sink, struct sink_figures *ret)
{
    sqlite3_str *waiting = sqlite3_str_new(store->db), *dead = sqlite3_str_new(store->db);
    sqlite3_str_appendf(
        waiting, "SELECT count(*) FROM deliveries INDEXED BY deliveries_due WHERE sink = %Q AND state = %d",
        sink, (int)DELIVERY_WAITING);
    sqlite3_str_appendf(
        dead, "SELECT count(*) FROM deliveries INDEXED BY deliveries_dead WHERE sink = %Q AND state = %d",
        sink, (int)DELIVERY_DEAD);
    bool fine = read_number(store, waiting, &ret->waiting);
    return read_number(store, dead, &ret->dead) && fine;
}

/* The first sink behind this name; *ret_found false at the end. Jumps along the primary key. */
static bool next_sink(struct store *store, char sink[72], bool *ret_found)
{
    bool fine = false;
    sqlite3_str *text = sqlite3_str_new(store->db);
    sqlite3_str_appendf(text, "SELECT min(sink) FROM deliveries WHERE sink > %Q", sink);
    sqlite3_stmt *s = read_prepare(store, text);
    *ret_found = false;
    if (store_row(store, s, &fine) && sqlite3_column_type(s, 0) == SQLITE_TEXT) {
        *ret_found = true;
        snprintf(sink, 72, "%s", column_text(s, 0));
    }
    sqlite3_finalize(s);
    return fine;
}

bool store_read_sinks(struct store *store, bool (*each)(void *user, const struct sink_figures *figures),
                      void *user)
{
    char sink[72] = "";
    bool found, go_on = true;
    for (;;) {
        if (!next_sink(store, sink, &found))
            return false;
        if (!found || !go_on)
            return true;
        struct sink_figures figures = {.sink = sink};
        if (!count_deliveries(store, sink, &figures) || !store_delivery_next(store, sink, &figures.next_at) ||
            !read_last_attempt(store, sink, &figures.last))
            return false;
        go_on = each(user, &figures);
    }
}

/* ---- conditions ---- */

bool store_read_conditions(struct store *store,
                           bool (*each)(void *user, const char *account, const char *family,
                                        const struct stored_condition *condition),
                           void *user)
{
    bool fine = false, go_on = true;
    sqlite3_str *text = sqlite3_str_new(store->db);
    sqlite3_str_appendall(text, "SELECT kind, since, since_wall, told, reminders, note, account, family"
                                " FROM conditions ORDER BY since_wall, account, family");
    sqlite3_stmt *s = read_prepare(store, text);
    while (go_on && store_row(store, s, &fine)) {
        struct stored_condition condition = {
            .kind = event_kind_from_name(column_text(s, 0)),
            .since = {sqlite3_column_int64(s, 1)},
            .since_wall = {sqlite3_column_int64(s, 2)},
            .told = {sqlite3_column_int64(s, 3)},
            .reminders = (uint32_t)sqlite3_column_int64(s, 4),
        };
        snprintf(condition.note, sizeof condition.note, "%s", column_text(s, 5));
        if (condition.kind != N_EVENT_KINDS)
            go_on = each(user, column_text(s, 6), column_text(s, 7), &condition);
    }
    sqlite3_finalize(s);
    return fine;
}
