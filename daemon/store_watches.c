#include "store_private.h"

#include <stdio.h>
#include <string.h>

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

bool store_ledger_put(struct store *store, int64_t watch, const mono_time *times, size_t n,
                      struct budget_left left)
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
    sqlite3_bind_double(statement, 3, left.share);
    sqlite3_bind_int64(statement, 4, left.good_since.ms);
    return store_run(store, statement);
}

bool store_ledger_load(struct store *store, int64_t watch, mono_time *times, size_t max, size_t *ret_n,
                       struct budget_left *ret_left)
{
    bool fine;
    size_t n = 0;
    struct budget_left left = {.share = 1};
    sqlite3_stmt *statement = store_statement(store, SQL_LEDGER_LOAD);
    if (!statement)
        return false;
    sqlite3_bind_int64(statement, 1, watch);
    if (store_row(store, statement, &fine)) {
        n = (size_t)sqlite3_column_bytes(statement, 0) / sizeof *times;
        n = n < max ? n : max;
        if (n > 0)
            memcpy(times, sqlite3_column_blob(statement, 0), n * sizeof *times);
        left.share = sqlite3_column_double(statement, 1);
        left.good_since.ms = sqlite3_column_int64(statement, 2);
        sqlite3_reset(statement);
    }
    *ret_n = n;
    *ret_left = left;
    return fine;
}
