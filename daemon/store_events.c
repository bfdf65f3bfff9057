#include "store_private.h"

#include "../lib/page_decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void bind_event(sqlite3_stmt *s, const struct event *event)
{
    const struct event_previous *previous = &event->previous;
    bind_text(s, 1, event->id);
    bind_text(s, 2, event_types[event->kind].name);
    sqlite3_bind_int(s, 3, (int)event->priority);
    sqlite3_bind_int64(s, 4, event->at.ms);
    bind_text(s, 5, event->account);
    bind_text(s, 6, event->family);
    bind_text(s, 7, event->job_id);
    bind_text(s, 8, event->status);
    bind_count(s, 9, event->counts.total);
    bind_count(s, 10, event->counts.completed);
    bind_count(s, 11, event->counts.failed);
    bind_count(s, 12, event->counts.skipped);
    bind_text(s, 13, previous->known ? previous->status : NULL);
    bind_count(s, 14, previous->known ? previous->completed : COUNT_NONE);
    bind_count(s, 15, previous->known ? previous->failed : COUNT_NONE);
    bind_wall(s, 16, event->created_at);
    bind_wall(s, 17, event->completed_at);
    bind_wall(s, 18, event->expires_at);
    bind_text(s, 19, event->note);
    sqlite3_bind_int64(s, 20, event->figure);
    sqlite3_bind_int(s, 21, event->reminder);
    sqlite3_bind_int64(s, 22, (int64_t)event->more_errors);
}

static bool add_errors(struct store *store, int64_t seq, const struct job_error *errors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        sqlite3_stmt *s = store_statement(store, SQL_ERROR_ADD);
        if (!s)
            return false;
        sqlite3_bind_int64(s, 1, seq);
        sqlite3_bind_int64(s, 2, (int64_t)i);
        bind_text(s, 3, errors[i].code);
        bind_text(s, 4, errors[i].title);
        bind_text(s, 5, errors[i].detail);
        bind_text(s, 6, errors[i].pointer);
        if (!store_run(store, s))
            return false;
    }
    return true;
}

bool store_event_add(struct store *store, const struct event *event, bool *ret_new, int64_t *ret_seq)
{
    sqlite3_stmt *s = store_statement(store, SQL_EVENT_ADD);
    if (!s)
        return false;
    bind_event(s, event);
    if (!store_run(store, s))
        return false;
    *ret_new = sqlite3_changes(store->db) > 0;
    *ret_seq = *ret_new ? sqlite3_last_insert_rowid(store->db) : 0;
    return !*ret_new || add_errors(store, *ret_seq, event->errors, event->n_errors);
}

bool store_event_set_errors(struct store *store, int64_t seq, const struct job_error *errors, size_t n,
                            size_t more)
{
    sqlite3_stmt *s = store_statement(store, SQL_ERRORS_CLEAR);
    if (!s)
        return false;
    sqlite3_bind_int64(s, 1, seq);
    if (!store_run(store, s))
        return false;
    s = store_statement(store, SQL_MORE_ERRORS);
    if (!s)
        return false;
    sqlite3_bind_int64(s, 1, seq);
    sqlite3_bind_int64(s, 2, (int64_t)more);
    return store_run(store, s) && add_errors(store, seq, errors, n);
}

bool store_event_hold(struct store *store, int64_t seq, bool waits)
{
    sqlite3_stmt *s = store_statement(store, SQL_EVENT_HOLD);
    if (!s)
        return false;
    sqlite3_bind_int64(s, 1, seq);
    sqlite3_bind_int(s, 2, waits);
    return store_run(store, s);
}

bool store_events_waiting(struct store *store, const char *account, const char *family,
                          bool (*each)(void *user, int64_t seq, const char *job_id), void *user)
{
    bool fine = false, go_on = true;
    sqlite3_stmt *s = store_statement(store, SQL_EVENTS_WAITING);
    if (!s)
        return false;
    bind_text(s, 1, account);
    bind_text(s, 2, family);
    while (go_on && store_row(store, s, &fine))
        go_on = each(user, sqlite3_column_int64(s, 0), column_text(s, 1));
    sqlite3_reset(s);
    return fine && go_on;
}

/* ---- reading ---- */

/* A copy of a column; what was there before is freed. */
static bool set_text(char **at, sqlite3_stmt *s, int column)
{
    char *copy = strdup(column_text(s, column));
    if (!copy)
        return false;
    free(*at);
    *at = copy;
    return true;
}

static void set_numbers(struct event *event, sqlite3_stmt *s)
{
    event->priority = (enum priority)sqlite3_column_int(s, 3);
    event->counts = (struct job_counts){column_count(s, 9), column_count(s, 10), column_count(s, 11),
                                        column_count(s, 12)};
    event->created_at = column_wall(s, 16);
    event->completed_at = column_wall(s, 17);
    event->expires_at = column_wall(s, 18);
    event->figure = sqlite3_column_int64(s, 20);
    event->reminder = sqlite3_column_int(s, 21) != 0;
    event->more_errors = (size_t)sqlite3_column_int64(s, 22);
}

static bool set_previous(struct event *event, sqlite3_stmt *s)
{
    if (sqlite3_column_type(s, 13) == SQLITE_NULL)
        return true;
    return event_set_previous(event, column_text(s, 13), column_count(s, 14), column_count(s, 15));
}

/* The event of the row at hand, without its errors; columns as in EVENT_COLUMNS behind seq. */
static struct event *read_event(struct store *store, sqlite3_stmt *s)
{
    enum event_kind kind = event_kind_from_name(column_text(s, 2));
    int priority = sqlite3_column_int(s, 3);
    if (kind == N_EVENT_KINDS || priority < PRIO_EMERG || priority > PRIO_DEBUG) {
        store_odd_row(store, "an event's row is not one of ours");
        return NULL;
    }
    struct event *event = event_new(kind, column_wall(s, 4), column_text(s, 5), column_text(s, 6), NULL, "");
    if (event && set_text(&event->job_id, s, 7) && set_text(&event->status, s, 8) && set_previous(event, s) &&
        event_set_note(event, column_text(s, 19), 0)) {
        snprintf(event->id, sizeof event->id, "%s", column_text(s, 1));
        set_numbers(event, s);
        return event;
    }
    event_free(event);
    store_no_memory(store);
    return NULL;
}

/* The errors' texts, copied because SQLite's own go with the next row. */
struct error_texts {
    struct job_error errors[PAGE_MAX_ERRORS];
    size_t n;
};

static void free_texts(struct error_texts *texts)
{
    for (size_t i = 0; i < texts->n; i++) {
        free((char *)texts->errors[i].code);
        free((char *)texts->errors[i].title);
        free((char *)texts->errors[i].detail);
        free((char *)texts->errors[i].pointer);
    }
}

static bool read_error(struct error_texts *texts, sqlite3_stmt *s)
{
    struct job_error *error = &texts->errors[texts->n++];
    *error = (struct job_error){
        .code = strdup(column_text(s, 0)),
        .title = strdup(column_text(s, 1)),
        .detail = strdup(column_text(s, 2)),
        .pointer = strdup(column_text(s, 3)),
    };
    return error->code && error->title && error->detail && error->pointer;
}

static bool load_errors(struct store *store, int64_t seq, struct event *event)
{
    bool fine = false, memory = true;
    struct error_texts texts = {0};
    sqlite3_stmt *s = store_statement(store, SQL_ERRORS_LOAD);
    if (!s)
        return false;
    sqlite3_bind_int64(s, 1, seq);
    while (memory && texts.n < PAGE_MAX_ERRORS && store_row(store, s, &fine))
        memory = read_error(&texts, s);
    sqlite3_reset(s);
    memory = memory && (texts.n == 0 || event_set_errors(event, texts.errors, texts.n, event->more_errors));
    free_texts(&texts);
    if (!memory)
        store_no_memory(store);
    return fine && memory;
}

struct event *store_event_load(struct store *store, int64_t seq)
{
    bool fine;
    sqlite3_stmt *s = store_statement(store, SQL_EVENT_LOAD);
    if (!s)
        return NULL;
    sqlite3_bind_int64(s, 1, seq);
    if (!store_row(store, s, &fine)) {
        if (fine)
            store_odd_row(store, "an event that is to be delivered is not there");
        return NULL;
    }
    struct event *event = read_event(store, s);
    sqlite3_reset(s);
    if (event && load_errors(store, seq, event))
        return event;
    event_free(event);
    return NULL;
}

bool store_prune(struct store *store, const char *sink, mono_time before, size_t max, size_t *ret_removed)
{
    sqlite3_stmt *s = store_statement(store, SQL_PRUNE);
    if (!s)
        return false;
    bind_text(s, 1, sink);
    sqlite3_bind_int64(s, 2, before.ms);
    sqlite3_bind_int64(s, 3, (int64_t)max);
    if (!store_run(store, s))
        return false;
    *ret_removed = (size_t)sqlite3_changes(store->db);
    return true;
}
