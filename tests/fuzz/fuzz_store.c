/*
 * Any rows in the state file, of any type and value, as a damaged disk or another program might leave them: what the
 * store hands out is sane or refused, the core goes on from it without a fault, and every event renders as valid JSON.
 *
 * The tables are made without STRICT here, so that every column can hold everything. One transaction an input, rolled
 * back at its end.
 */
#include "../../daemon/store_private.h"
#include "../../daemon/store_read.h"
#include "../../daemon/watch_store.h"
#include "../../lib/render.h"
#include "../../lib/render_formats.h"

#include <json.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ACCOUNT "main"
#define TYPE    "catalog-category-bulk-delete-job"
#define NOW     INT64_C(1795510800000)

static char dir[] = "/tmp/klv-fuzz-store-XXXXXX";
static struct store *store;

/* ---- the file ---- */

static void execute(const char *sql)
{
    char *error = NULL;
    sqlite3_exec(store->db, sql, NULL, NULL, &error);
    if (error)
        fprintf(stderr, "%s: %s\n", sql, error);
    assert(!error);
}

static void remove_directory(void)
{
    static const char *const names[] = {STORE_FILE, STORE_FILE "-wal", STORE_FILE "-shm",
                                        "klv-jobwatch.lock"};
    char path[128];
    store_close(store);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

static void make_lax(void)
{
    execute("PRAGMA writable_schema = ON;"
            "UPDATE sqlite_schema SET sql = replace(replace(replace(sql, ') STRICT', ') '), ') , WITHOUT', "
            "') WITHOUT'),"
            " 'NOT NULL', '') WHERE type = 'table';"
            "PRAGMA writable_schema = RESET");
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char why[STORE_WHY];
    (void)argc;
    (void)argv;
    assert(mkdtemp(dir));
    store_close(store_open(dir, true, why));
    store = store_open(dir, true, why);
    assert(store);
    atexit(remove_directory);
    make_lax();
    execute("PRAGMA foreign_keys = OFF; INSERT INTO watches (id, account, family) VALUES (1, '" ACCOUNT
            "', '" TYPE "')");
    return 0;
}

/* ---- rows out of bytes ---- */

struct input {
    const uint8_t *data;
    size_t len;
};

static uint8_t take_byte(struct input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->data++;
}

static int64_t take_number(struct input *in)
{
    static const int64_t special[] = {0,         1,         -1,        255,           256,
                                      INT32_MAX, INT64_MAX, INT64_MIN, INT64_MIN + 1, NOW};
    uint8_t which = take_byte(in);
    if (which < sizeof special / sizeof *special)
        return special[which];
    uint64_t number = 0;
    for (int i = 0; i < which % 8; i++)
        number = number << 8 | take_byte(in);
    return (int64_t)number;
}

static void bind_value(sqlite3_stmt *row, int place, struct input *in)
{
    static const char *const words[] = {"",
                                        "A",
                                        "B",
                                        "queued",
                                        "processing",
                                        "complete",
                                        "cancelled",
                                        "paused",
                                        TYPE,
                                        ACCOUNT,
                                        "hook",
                                        "time",
                                        "job.completed",
                                        "job.stalled",
                                        "api.unreachable",
                                        "api.throttled",
                                        "capacity.high",
                                        "api.schema"};
    uint8_t type = take_byte(in);
    size_t len = type >= 128 ? type - 128 : 0;
    len = len < in->len ? len : in->len;
    if (type < 64) {
        sqlite3_bind_int64(row, place, take_number(in));
    } else if (type < 96) {
        sqlite3_bind_text(row, place, words[type % (sizeof words / sizeof *words)], -1, SQLITE_STATIC);
    } else if (type < 100) {
        sqlite3_bind_null(row, place);
    } else if (type < 104) {
        sqlite3_bind_double(row, place, (double)take_number(in) / 3);
    } else if (type < 128) {
        len = type < in->len ? type : in->len;
        sqlite3_bind_blob(row, place, in->data, (int)len, SQLITE_TRANSIENT);
    } else {
        sqlite3_bind_text(row, place, (const char *)in->data, (int)len, SQLITE_TRANSIENT);
    }
    if (type >= 104) {
        in->data += len;
        in->len -= len;
    }
}

/* The fixed values put the row where it is read; the rest of the columns is the input's. */
static const struct {
    const char *sql;
    int columns;
} tables[] = {
    {"INSERT OR REPLACE INTO jobs (watch, id, status, total, completed, failed, skipped, created_at, "
     "completed_at,"
     " expires_at, moved_at, gone_at, failures_told, told, anomalies, revivals)"
     " VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
     15},
    {"INSERT OR REPLACE INTO events (seq, waits, account, family, id, kind, priority, at, job_id, status, "
     "total,"
     " completed, failed, skipped, previous_status, previous_completed, previous_failed, created_at, "
     "completed_at,"
     " expires_at, note, figure, reminder, more_errors) VALUES (abs(?1 % 4), 1, '" ACCOUNT "', '" TYPE
     "', ?2, ?3, ?4,"
     " ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21)",
     21},
    {"INSERT OR REPLACE INTO event_errors (event, n, code, title, detail, pointer)"
     " VALUES (abs(?1 % 4), ?2, ?3, ?4, ?5, ?6)",
     6},
    {"INSERT OR REPLACE INTO deliveries (sink, event, order_key, state, attempts, queued_at, next_at, "
     "last_at,"
     " last_status, last_error) VALUES ('hook', abs(?1 % 4), ?2, 0, ?3, ?4, ?5, ?6, ?7, ?8)",
     8},
    {"INSERT OR REPLACE INTO conditions (account, family, kind, since, since_wall, told, reminders, note)"
     " VALUES ('" ACCOUNT "', '" TYPE "', ?1, ?2, ?3, ?4, ?5, ?6)",
     6},
    {"INSERT OR REPLACE INTO conditions (account, family, kind, since, since_wall, told, reminders, note)"
     " VALUES ('" ACCOUNT "', '', ?1, ?2, ?3, ?4, ?5, ?6)",
     6},
    {"INSERT OR REPLACE INTO pages (watch, place, digest, jobs, newest_first, first_created, last_created,"
     " next_cursor) VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
     7},
    {"UPDATE jobs SET record = ?1, page = ?2", 2},
    {"INSERT OR REPLACE INTO ledgers (watch, times, budget_left, good_since) VALUES (1, ?1, ?2, ?3)", 3},
    {"UPDATE watches SET baseline_at = ?1, full_pages = ?2, last_good = ?3", 3},
    {"INSERT OR REPLACE INTO notes (key, text) VALUES ('time', ?1)", 1},
};
enum { N_TABLES = sizeof tables / sizeof *tables };

static void add_row(struct input *in)
{
    static sqlite3_stmt *prepared[N_TABLES];
    size_t which = take_byte(in) % N_TABLES;
    if (!prepared[which])
        sqlite3_prepare_v3(store->db, tables[which].sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared[which],
                           NULL);
    assert(prepared[which]);
    for (int i = 1; i <= tables[which].columns; i++)
        bind_value(prepared[which], i, in);
    /* What SQLite itself does not take cannot be in the file. */
    sqlite3_step(prepared[which]);
    sqlite3_reset(prepared[which]);
}

/* ---- reading them ---- */

static void check_json(char *text)
{
    assert(text);
    struct json_object *object = json_tokener_parse(text);
    assert(object);
    json_object_put(object);
    free(text);
}

static bool each_event(void *user, int64_t seq, const struct event *event)
{
    struct render_context context = {.url = "https://h/topic", .routing_key = "k"};
    (void)user;
    (void)seq;
    assert(event->kind < N_EVENT_KINDS && event->priority <= PRIO_DEBUG);
    char *line = render_line(event);
    assert(line && !strpbrk(line, "\n\r\033"));
    free(line);
    check_json(render_json_line(event));
    for (enum webhook_format format = FORMAT_STANDARD; format <= FORMAT_PAGERDUTY; format++)
        check_json(render_webhook(format, &context, &event, 1, NULL));
    return true;
}

static bool each_job(void *user, const struct job_row *row)
{
    struct job_start start;
    (void)user;
    assert(row->id && row->status_word);
    store_read_job_start(store, row, &start);
    return true;
}

static bool each_watch(void *user, const struct watch_counts *counts)
{
    int64_t total;
    (void)user;
    assert(counts->account && counts->family);
    store_read_job_total(store, counts->id, &total);
    return true;
}

static bool each_sink(void *user, const struct sink_figures *figures)
{
    (void)user;
    assert(figures->sink);
    return true;
}

/* What the commands read. */
static void read_as_commands_do(void)
{
    struct event_query events = {.priority = PRIO_DEBUG, .since = WALL_NONE, .until = WALL_NONE};
    struct job_query jobs = {.order = JOBS_USUAL};
    store_read_events(store, &events, each_event, NULL);
    store_read_jobs(store, &jobs, each_job, NULL);
    store_read_watches(store, NULL, NULL, each_watch, NULL);
    store_read_sinks(store, each_sink, NULL);
}

static void read_the_rest(void)
{
    struct stored_delivery rows[4];
    size_t n = 0;
    mono_time next;
    int64_t a, b;
    if (store_deliveries_due(store, "hook", (mono_time){NOW}, rows, 4, &n)) {
        for (size_t i = 0; i < n; i++)
            event_free(store_event_load(store, rows[i].seq));
    }
    store_delivery_next(store, "hook", &next);
    store_delivery_counts(store, NULL, &a, &b);
    read_as_commands_do();
    store_timeline(store, "here", 12345, (wall_time){NOW});
}

/* ---- going on from them ---- */

static const char page[] =
    "{\"data\":[{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{\"status\":\"processing\","
    "\"total_count\":9,\"completed_count\":3,\"failed_count\":1}},{\"type\":\"" TYPE
    "\",\"id\":\"B\",\"attributes\":{\"status\":\"complete\",\"total_count\":9,"
    "\"completed_count\":8,\"failed_count\":1,\"expires_at\":\"2026-11-25T09:00:00Z\"}}]}";

static void answer_all(struct watcher *watcher, struct account_health *health, struct batch *batch)
{
    struct watcher_request request;
    mono_time at;
    struct now now = {{NOW}, {NOW}};
    struct watcher_answer answer = {.status = 200,
                                    .error = "",
                                    .body = page,
                                    .body_len = sizeof page - 1,
                                    .rate = {-1, -1, -1, -1},
                                    .server_now = now.wall};
    for (int i = 0; i < 5; i++, now.mono.ms += 60000) {
        while (watcher_next(watcher, now.mono, &request, &at)) {
            free(request.url);
            answer.status = i % 4 == 3 ? 503 : 200;
            assert(watcher_answer(watcher, request.slot, &answer, now, 7, batch));
            assert(account_health_check(health, ACCOUNT, &watcher, 1, &alert_rules_default, now, batch));
            watcher_report(watcher, now.mono);
        }
    }
}

static void go_on(void)
{
    struct watcher_options options = {
        .account = ACCOUNT,
        .family = family_find(TYPE),
        .base = {"https://a.klaviyo.com", "2026-07-15"},
        .rules = &alert_rules_default,
        .plan = {.interval = 10000, .idle_interval = 60000, .full_sweep_interval = 120000},
        .limits = {100, 1000, 0.5},
        .detail_timeout = 10000,
        .retention = 86400000,
        .seed = 1,
    };
    struct watch_rows rows = {0};
    struct account_health health = {0};
    struct watcher *watcher = watcher_new(&options, (mono_time){NOW});
    assert(watcher);
    if (watch_rows_load(&rows, store, ACCOUNT, TYPE, watcher, (struct now){{NOW}, {NOW}}) &&
        watch_health_load(&health, store, ACCOUNT)) {
        answer_all(watcher, &health, &rows.batch);
        for (size_t i = 0; i < rows.batch.n_items; i++)
            each_event(NULL, 0, rows.batch.items[i].event);
    } else {
        assert(store_error(store)[0] != '\0');
    }
    batch_finish(&rows.batch);
    watcher_free(watcher);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    assert(store_begin(store));
    for (int i = 0; i < 16 && in.len > 0; i++)
        add_row(&in);
    read_the_rest();
    go_on();
    store_rollback(store);
    return 0;
}
