#include "store_replay.h"

#include "store_private.h"

static void bind_replay(sqlite3_stmt *s, const struct replay *replay)
{
    bind_text(s, 1, replay->sink);
    sqlite3_bind_int64(s, 2, replay->now.ms);
    if (replay->grouped)
        sqlite3_bind_int64(s, 3, DELIVERY_NO_GROUP);
}

bool store_replay_dead(struct store *store, const struct replay *replay, size_t *ret_n)
{
    sqlite3_stmt *s = store_statement(store, SQL_REPLAY_DEAD);
    if (!s)
        return false;
    bind_replay(s, replay);
    bind_text(s, 4, replay->event_id);
    bind_wall(s, 5, replay->since);
    sqlite3_bind_int64(s, 6, STORE_REPLAY_MAX);
    if (!store_run(store, s))
        return false;
    *ret_n = (size_t)sqlite3_changes(store->db);
    return true;
}

bool store_replay_event(struct store *store, const struct replay *replay, int64_t seq, const char *order_key,
                        bool *ret_new)
{
    sqlite3_stmt *s = store_statement(store, SQL_REPLAY_EVENT);
    if (!s)
        return false;
    bind_replay(s, replay);
    sqlite3_bind_int64(s, 4, seq);
    bind_text(s, 5, order_key);
    if (!store_run(store, s))
        return false;
    *ret_new = sqlite3_changes(store->db) > 0;
    return true;
}
