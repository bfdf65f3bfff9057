#include "store_private.h"

#include <stdio.h>
#include <string.h>

bool store_delivery_add(struct store *store, const char *sink, int64_t seq, const char *order_key,
                        mono_time queued_at, mono_time next_at)
{
    sqlite3_stmt *s = store_statement(store, SQL_DELIVERY_ADD);
    if (!s)
        return false;
    bind_text(s, 1, sink);
    sqlite3_bind_int64(s, 2, seq);
    bind_text(s, 3, order_key);
    sqlite3_bind_int64(s, 4, queued_at.ms);
    sqlite3_bind_int64(s, 5, next_at.ms);
    return store_run(store, s);
}

static struct stored_delivery read_row(sqlite3_stmt *s, const char *sink)
{
    struct stored_delivery row = {
        .seq = sqlite3_column_int64(s, 0),
        .state = (enum delivery_state)sqlite3_column_int(s, 1),
        .attempts = (uint32_t)sqlite3_column_int64(s, 2),
        .queued_at = {sqlite3_column_int64(s, 3)},
        .next_at = {sqlite3_column_int64(s, 4)},
        .last_at = column_wall(s, 5),
        .last_status = sqlite3_column_int(s, 6),
        .leader = sqlite3_column_type(s, 8) == SQLITE_NULL ? DELIVERY_ALONE : sqlite3_column_int64(s, 8),
    };
    snprintf(row.sink, sizeof row.sink, "%s", sink);
    snprintf(row.last_error, sizeof row.last_error, "%s", column_text(s, 7));
    return row;
}

/* The rows of a statement whose parameters are a sink, a number and the most rows. */
static bool read_rows(struct store *store, enum statement which, const char *sink, int64_t number,
                      struct stored_delivery *rows, size_t max, size_t *ret_n)
{
    bool fine = true;
    size_t n = 0;
    sqlite3_stmt *s = store_statement(store, which);
    if (!s)
        return false;
    bind_text(s, 1, sink);
    sqlite3_bind_int64(s, 2, number);
    sqlite3_bind_int64(s, 3, (int64_t)max);
    while (n < max && store_row(store, s, &fine))
        rows[n++] = read_row(s, sink);
    sqlite3_reset(s);
    *ret_n = n;
    return fine;
}

bool store_deliveries_due(struct store *store, const char *sink, mono_time now, struct stored_delivery *rows,
                          size_t max, size_t *ret_n)
{
    return read_rows(store, SQL_DELIVERIES_DUE, sink, now.ms, rows, max, ret_n);
}

bool store_deliveries_behind(struct store *store, const char *sink, int64_t seq, struct stored_delivery *rows,
                             size_t max, size_t *ret_n)
{
    return read_rows(store, SQL_DELIVERIES_BEHIND, sink, seq, rows, max, ret_n);
}

bool store_deliveries_fresh(struct store *store, const char *sink, mono_time now,
                            struct stored_delivery *rows, size_t max, size_t *ret_n)
{
    return read_rows(store, SQL_DELIVERIES_FRESH, sink, now.ms, rows, max, ret_n);
}

bool store_leaders_due(struct store *store, const char *sink, mono_time now, struct stored_delivery *rows,
                       size_t max, size_t *ret_n)
{
    return read_rows(store, SQL_LEADERS_DUE, sink, now.ms, rows, max, ret_n);
}

bool store_delivery_group(struct store *store, const char *sink, int64_t leader, struct stored_delivery *rows,
                          size_t max, size_t *ret_n)
{
    return read_rows(store, SQL_DELIVERY_GROUP, sink, leader, rows, max, ret_n);
}

bool store_deliveries_arrange(struct store *store, const char *sink, bool grouped)
{
    sqlite3_stmt *s = store_statement(store, grouped ? SQL_GROUPS_BEGIN : SQL_GROUPS_END);
    if (!s)
        return false;
    bind_text(s, 1, sink);
    return store_run(store, s);
}

bool store_delivery_next(struct store *store, const char *sink, mono_time *ret)
{
    bool fine;
    sqlite3_stmt *s = store_statement(store, SQL_DELIVERY_NEXT);
    if (!s)
        return false;
    bind_text(s, 1, sink);
    mono_time next = MONO_NEVER;
    if (store_row(store, s, &fine)) {
        next.ms = sqlite3_column_int64(s, 0);
        sqlite3_reset(s);
    }
    if (fine)
        *ret = next;
    return fine;
}

bool store_delivery_put(struct store *store, const struct stored_delivery *row)
{
    sqlite3_stmt *s = store_statement(store, SQL_DELIVERY_PUT);
    if (!s)
        return false;
    bind_text(s, 1, row->sink);
    sqlite3_bind_int64(s, 2, row->seq);
    sqlite3_bind_int(s, 3, (int)row->state);
    sqlite3_bind_int64(s, 4, row->attempts);
    sqlite3_bind_int64(s, 5, row->queued_at.ms);
    sqlite3_bind_int64(s, 6, row->next_at.ms);
    bind_wall(s, 7, row->last_at);
    sqlite3_bind_int(s, 8, row->last_status);
    bind_text(s, 9, row->last_error);
    sqlite3_bind_int64(s, 10, row->leader);
    return store_run(store, s);
}

bool store_delivery_done(struct store *store, const char *sink, const char *event_id, wall_time when)
{
    sqlite3_stmt *s = store_statement(store, SQL_DELIVERY_DONE);
    if (!s)
        return false;
    bind_text(s, 1, sink);
    bind_text(s, 2, event_id);
    bind_wall(s, 3, when);
    return store_run(store, s);
}

bool store_deliveries_release(struct store *store, int64_t seq, mono_time when)
{
    sqlite3_stmt *s = store_statement(store, SQL_DELIVERIES_RELEASE);
    if (!s)
        return false;
    sqlite3_bind_int64(s, 1, seq);
    sqlite3_bind_int64(s, 2, when.ms);
    return store_run(store, s);
}

bool store_delivery_counts(struct store *store, const char *sink, int64_t *ret_waiting, int64_t *ret_dead)
{
    bool fine;
    sqlite3_stmt *s = store_statement(store, SQL_DELIVERY_COUNTS);
    if (!s)
        return false;
    bind_text(s, 1, sink);
    if (!store_row(store, s, &fine))
        return false;
    *ret_waiting = sqlite3_column_int64(s, 0);
    *ret_dead = sqlite3_column_int64(s, 1);
    sqlite3_reset(s);
    return true;
}
