#include "store_private.h"

const char *const statement_texts[N_STATEMENTS] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",
    [SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",
    [SQL_NOTE_PUT] =
        "INSERT INTO notes (key, text) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET text = ?2",
    [SQL_NOTE_GET] = "SELECT text FROM notes WHERE key = ?1",
    [SQL_WATCH_ADD] = "INSERT INTO watches (account, family) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
    [SQL_WATCH_GET] =
        "SELECT id, baseline_at, full_pages, last_good FROM watches WHERE account = ?1 AND family = ?2",
    [SQL_WATCH_PUT] = "UPDATE watches SET baseline_at = ?2, full_pages = ?3, last_good = ?4 WHERE id = ?1",
    /* Not "OR REPLACE": that would write each index anew, and a journal of its own for each row. */
    [SQL_JOB_PUT] =
        "INSERT INTO jobs (watch, id, status, total, completed, failed, skipped, created_at, "
        "completed_at, expires_at, moved_at, gone_at, failures_told, told, anomalies, revivals, page, record)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
        " ON CONFLICT (watch, id) DO UPDATE SET status = ?3, total = ?4, completed = ?5,"
        " failed = ?6, skipped = ?7, created_at = ?8, completed_at = ?9, expires_at = ?10,"
        " moved_at = ?11, gone_at = ?12, failures_told = ?13, told = ?14, anomalies = ?15,"
        " revivals = ?16, page = ?17, record = ?18",
    [SQL_JOB_REMOVE] = "DELETE FROM jobs WHERE watch = ?1 AND id = ?2",
    [SQL_JOBS_LOAD] = "SELECT id, record FROM jobs WHERE watch = ?1",
    [SQL_JOBS_LOAD_OLD] = "SELECT id, status, total, completed, failed, skipped, created_at, completed_at, "
                          "expires_at, moved_at,"
                          " gone_at, failures_told, told, anomalies, revivals, page FROM jobs WHERE watch = "
                          "?1 AND record IS NULL",
    [SQL_PAGE_PUT] = "INSERT OR REPLACE INTO pages (watch, place, digest, jobs, newest_first, first_created,"
                     " last_created, next_cursor) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_PAGE_REMOVE] = "DELETE FROM pages WHERE watch = ?1 AND place = ?2",
    [SQL_PAGES_LOAD] = "SELECT place, digest, jobs, newest_first, first_created, last_created, next_cursor"
                       " FROM pages WHERE watch = ?1",
    [SQL_CONDITION_PUT] =
        "INSERT OR REPLACE INTO conditions (account, family, kind, since, since_wall, told, reminders, note)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    [SQL_CONDITION_REMOVE] = "DELETE FROM conditions WHERE account = ?1 AND family = ?2 AND kind = ?3",
    [SQL_CONDITIONS_LOAD] = "SELECT kind, since, since_wall, told, reminders, note FROM conditions"
                            " WHERE account = ?1 AND family = ?2",
    [SQL_LEDGER_PUT] = "INSERT INTO ledgers (watch, times, budget_left, good_since) VALUES (?1, ?2, ?3, ?4)"
                       " ON CONFLICT (watch) DO UPDATE SET times = ?2, budget_left = ?3, good_since = ?4",
    [SQL_LEDGER_LOAD] = "SELECT times, budget_left, good_since FROM ledgers WHERE watch = ?1",
    [SQL_EVENT_ADD] = "INSERT INTO events (id, kind, priority, at, account, family, job_id, status, total, "
                      "completed, failed,"
                      " skipped, previous_status, previous_completed, previous_failed, created_at, "
                      "completed_at, expires_at,"
                      " note, figure, reminder, more_errors)"
                      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, "
                      "?18, ?19, ?20, ?21,"
                      " ?22) ON CONFLICT (id) DO NOTHING",
    [SQL_EVENT_LOAD] = "SELECT seq, " EVENT_COLUMNS " FROM events WHERE seq = ?1",
    [SQL_EVENT_HOLD] = "UPDATE events SET waits = ?2 WHERE seq = ?1",
    [SQL_EVENTS_WAITING] =
        "SELECT seq, job_id FROM events WHERE waits AND account = ?1 AND family = ?2 ORDER BY seq",
    [SQL_ERRORS_CLEAR] = "DELETE FROM event_errors WHERE event = ?1",
    [SQL_ERROR_ADD] =
        "INSERT INTO event_errors (event, n, code, title, detail, pointer) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [SQL_ERRORS_LOAD] = "SELECT code, title, detail, pointer FROM event_errors WHERE event = ?1 ORDER BY n",
    [SQL_MORE_ERRORS] = "UPDATE events SET more_errors = ?2 WHERE seq = ?1",
    /* What was recorded later has a higher number: the first that is to stay bounds the look. */
    [SQL_PRUNE] = "DELETE FROM events WHERE seq IN (SELECT seq FROM events WHERE seq < coalesce("
                  "(SELECT event FROM deliveries WHERE sink = ?1 AND queued_at >= ?2 ORDER BY event LIMIT 1),"
                  " (SELECT max(seq) + 1 FROM events))"
                  " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = seq AND state = 0)"
                  " ORDER BY seq LIMIT ?3)",
    [SQL_DELIVERY_ADD] = "INSERT INTO deliveries (sink, event, order_key, queued_at, next_at, leader)"
                         " VALUES (?1, ?2, ?3, ?4, ?5, iif(?5 > ?4, 0, NULL))"
                         " ON CONFLICT DO NOTHING",
    [SQL_DELIVERIES_DUE] =
        "SELECT " DELIVERY_ROW_COLUMNS " FROM deliveries AS d WHERE sink = ?1 AND state = 0 AND next_at <= ?2"
        " AND NOT EXISTS (SELECT 1 FROM deliveries AS e INDEXED BY deliveries_order WHERE e.sink = d.sink "
        "AND e.order_key = d.order_key"
        " AND e.state = 0 AND e.event < d.event) ORDER BY next_at, event LIMIT ?3",
    [SQL_DELIVERIES_BEHIND] = "SELECT " DELIVERY_ROW_COLUMNS " FROM deliveries INDEXED BY deliveries_due"
                              " WHERE sink = ?1 AND state = 0 AND event > ?2 ORDER BY event LIMIT ?3",
    [SQL_DELIVERIES_FRESH] =
        "SELECT " DELIVERY_ROW_COLUMNS " FROM deliveries AS d INDEXED BY deliveries_group"
        " WHERE sink = ?1 AND leader = 0 AND state = 0 AND queued_at <= ?2"
        " AND NOT EXISTS (SELECT 1 FROM deliveries AS e INDEXED BY deliveries_order WHERE e.sink = d.sink "
        "AND e.order_key = d.order_key AND e.state = 0 AND e.event < d.event"
        " AND (e.leader <> 0 OR e.queued_at > ?2)) ORDER BY event LIMIT ?3",
    [SQL_LEADERS_DUE] =
        "SELECT " DELIVERY_ROW_COLUMNS
        " FROM deliveries AS d WHERE sink = ?1 AND state = 0 AND leader = event"
        " AND next_at <= ?2"
        " AND NOT EXISTS (SELECT 1 FROM deliveries AS e INDEXED BY deliveries_order WHERE e.sink = d.sink "
        "AND e.order_key = d.order_key AND e.state = 0 AND e.event < d.event)"
        " ORDER BY next_at, event LIMIT ?3",
    [SQL_DELIVERY_GROUP] = "SELECT " DELIVERY_ROW_COLUMNS " FROM deliveries WHERE sink = ?1 AND leader = ?2"
                           " AND state = 0 ORDER BY event LIMIT ?3",
    [SQL_GROUPS_BEGIN] = "UPDATE deliveries SET leader = iif(attempts > 0, event, 0)"
                         " WHERE sink = ?1 AND state = 0 AND leader IS NULL",
    [SQL_GROUPS_END] =
        "UPDATE deliveries SET leader = NULL WHERE sink = ?1 AND state = 0 AND leader IS NOT NULL",
    [SQL_DELIVERY_NEXT] = "SELECT next_at FROM deliveries AS d WHERE sink = ?1 AND state = 0"
                          " AND NOT EXISTS (SELECT 1 FROM deliveries AS e INDEXED BY deliveries_order WHERE "
                          "e.sink = d.sink AND e.order_key = d.order_key"
                          " AND e.state = 0 AND e.event < d.event) ORDER BY next_at LIMIT 1",
    [SQL_DELIVERY_PUT] =
        "UPDATE deliveries SET state = ?3, attempts = ?4, queued_at = ?5, next_at = ?6, last_at = ?7,"
        " last_status = ?8, last_error = ?9, leader = nullif(?10, -1) WHERE sink = ?1 AND event = ?2",
    [SQL_DELIVERY_DONE] = "UPDATE deliveries SET state = 1, attempts = attempts + 1, last_at = ?3"
                          " WHERE sink = ?1 AND state = 0 AND event = (SELECT seq FROM events WHERE id = ?2)",
    [SQL_DELIVERIES_RELEASE] = "UPDATE deliveries SET next_at = ?2 + next_at - queued_at, queued_at = ?2 "
                               "WHERE event = ?1 AND state = 0"
                               " AND attempts = 0 AND queued_at > ?2",
    [SQL_REPLAY_DEAD] =
        "UPDATE deliveries SET state = 0, attempts = 0, queued_at = ?2, next_at = ?2, leader = ?3"
        " WHERE sink = ?1 AND event IN (SELECT d.event FROM deliveries AS d JOIN events ON seq = d.event"
        " WHERE d.sink = ?1 AND d.state = 2 AND (?4 IS NULL OR id = ?4) AND (?5 IS NULL OR at >= ?5) LIMIT "
        "?6)",
    [SQL_REPLAY_EVENT] =
        "INSERT INTO deliveries (sink, event, order_key, queued_at, next_at, leader)"
        " VALUES (?1, ?4, ?5, ?2, ?2, ?3) ON CONFLICT (sink, event) DO UPDATE SET state = 0, attempts = 0,"
        " queued_at = ?2, next_at = ?2, leader = ?3 WHERE state <> 0",
    [SQL_DELIVERY_COUNTS] =
        "SELECT count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 2) FROM deliveries"
        " WHERE state IN (0, 2) AND (?1 IS NULL OR sink = ?1)",
};
