/* store: a real SQLite file in a temporary folder: what is written together is there together, and mistakes are told. */
#include "../unit/unit.h"

#include "../../daemon/job_record.h"
#include "../../lib/sweep.h"
#include "../../daemon/store_private.h"
#include "../../daemon/store_replay.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char dir[64];

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/klv-store-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static struct store *must_open(bool writable)
{
    char why[STORE_WHY];
    struct store *store = store_open(dir, writable, why);
    if (!store)
        fail_msg("%s", why);
    return store;
}

static void must_refuse(bool writable, const char *said)
{
    char why[STORE_WHY] = "";
    struct store *store = store_open(dir, writable, why);
    if (store || !strstr(why, said) || !strstr(why, dir))
        fail_msg("%s", store ? "opened" : why);
}

static void execute(const char *sql)
{
    char path[128];
    sqlite3 *db;
    snprintf(path, sizeof path, "%s/" STORE_FILE, dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static struct event *new_event(const char *distinct)
{
    struct job_error error = {"code", "title", "de\"tail\n\xff", "/data/0"};
    struct job job = {.id = "J\xff\n1",
                      .status = JOB_COMPLETE,
                      .status_word = "complete",
                      .counts = {10, 9, 1, COUNT_NONE},
                      .created_at = {1},
                      .completed_at = {2},
                      .expires_at = WALL_NONE,
                      .errors = &error,
                      .n_errors = 1,
                      .more_errors = 3};
    struct event *event =
        event_new(EVENT_JOB_COMPLETED_WITH_FAILURES, (wall_time){1000}, "main", "fam", &job, distinct);
    assert_non_null(event);
    assert_true(event_set_note(event, "note", 77));
    assert_true(event_set_previous(event, "processing", 5, COUNT_NONE));
    event->reminder = true;
    return event;
}

static int64_t add_event(struct store *store, const char *distinct)
{
    bool is_new;
    int64_t seq;
    struct event *event = new_event(distinct);
    assert_true(store_event_add(store, event, &is_new, &seq));
    event_free(event);
    return is_new ? seq : 0;
}

static void test_an_event_comes_back_whole(void **state)
{
    (void)state;
    struct store *store = must_open(true);
    int64_t seq = add_event(store, "a");
    assert_true(seq > 0);
    assert_int_equal(add_event(store, "a"), 0); /* the same id: nothing is added */
    struct event *expected = new_event("a"), *event = store_event_load(store, seq);
    assert_non_null(event);
    assert_string_equal(event->id, expected->id);
    assert_int_equal(event->kind, expected->kind);
    assert_int_equal(event->priority, expected->priority);
    assert_string_equal(event->job_id, expected->job_id);
    assert_string_equal(event->status, "complete");
    assert_memory_equal(&event->counts, &expected->counts, sizeof event->counts);
    assert_true(event->previous.known && event->previous.completed == 5 &&
                event->previous.failed == COUNT_NONE);
    assert_string_equal(event->previous.status, "processing");
    assert_true(event->created_at.ms == 1 && event->completed_at.ms == 2 && wall_is_none(event->expires_at));
    assert_string_equal(event->note, "note");
    assert_int_equal(event->figure, 77);
    assert_true(event->reminder);
    assert_int_equal(event->n_errors, 1);
    assert_string_equal(event->errors[0].detail, expected->errors[0].detail);
    assert_int_equal(event->more_errors, 3);
    event_free(event);
    event_free(expected);
    assert_true(store_event_set_errors(store, seq, NULL, 0, 0));
    event = store_event_load(store, seq);
    assert_int_equal(event->n_errors + event->more_errors, 0);
    event_free(event);
    store_close(store);
}

struct loaded {
    int n;
    struct stored_job job;
    char id[JOB_ID_MAX + 1], word[JOB_STATUS_MAX + 1];
};

static bool take_job(void *user, const struct stored_job *job)
{
    struct loaded *loaded = user;
    loaded->n++;
    loaded->job = *job;
    snprintf(loaded->id, sizeof loaded->id, "%s", job->id);
    snprintf(loaded->word, sizeof loaded->word, "%s", job->status_word);
    return true;
}

static void test_a_job_comes_back_whole(void **state)
{
    (void)state;
    struct loaded loaded = {0};
    struct store_watch watch;
    struct store *store = must_open(true);
    struct job_table *table = job_table_new(1);
    struct known_job *job = job_table_add(table, "a\xfe\n");
    job = job_table_set_status(table, job, JOB_OTHER, "paused");
    job->counts = (struct job_counts){INT64_MAX, -5, COUNT_NONE, 0};
    job->moved_at.ms = 123;
    job->failures_told = 9;
    job->told = TOLD_STALLED;
    job->anomalies = ANOMALY_FELL;
    job->revivals = 2;
    assert_true(store_watch_get(store, "main", "fam", &watch));
    assert_true(wall_is_none(watch.baseline_at) && wall_is_none(watch.last_good));
    assert_true(store_job_put(store, watch.id, job) && store_job_put(store, watch.id, job));
    assert_true(store_jobs_load(store, watch.id, take_job, &loaded));
    assert_int_equal(loaded.n, 1);
    assert_string_equal(loaded.id, "a\xfe\n");
    assert_string_equal(loaded.word, "paused");
    assert_memory_equal(&loaded.job.counts, &job->counts, sizeof job->counts);
    assert_true(loaded.job.gone_at.ms == MONO_NEVER.ms && loaded.job.moved_at.ms == 123 &&
                loaded.job.revivals == 2);
    assert_true(store_job_remove(store, watch.id, "a\xfe\n"));
    assert_true(store_jobs_load(store, watch.id, take_job, &loaded));
    assert_int_equal(loaded.n, 1);
    job_table_free(table);
    store_close(store);
}

static bool take_page(void *user, size_t place, const struct known_page *page)
{
    struct known_page *wanted = user;
    assert_int_equal(place, 4);
    assert_true(page->read && page->newest_first == wanted->newest_first && page->jobs == wanted->jobs &&
                page->first_created.ms == wanted->first_created.ms &&
                page->last_created.ms == wanted->last_created.ms);
    assert_memory_equal(&page->digest, &wanted->digest, sizeof page->digest);
    if (wanted->next_cursor)
        assert_string_equal(page->next_cursor, wanted->next_cursor);
    else
        assert_null(page->next_cursor);
    wanted->members++;
    return true;
}

static void test_pages(void **state)
{
    (void)state;
    struct store_watch watch;
    struct store *store = must_open(true);
    struct known_page page = {.read = true,
                              .newest_first = true,
                              .digest = {{1, UINT64_MAX}},
                              .jobs = 100,
                              .first_created = {5},
                              .last_created = WALL_NONE,
                              .next_cursor = "next"};
    assert_true(store_watch_get(store, "main", "fam", &watch));
    assert_true(store_page_put(store, watch.id, 4, &page) &&
                store_pages_load(store, watch.id, take_page, &page));
    page.next_cursor = NULL;
    page.newest_first = false;
    assert_true(store_page_put(store, watch.id, 4, &page) &&
                store_pages_load(store, watch.id, take_page, &page));
    assert_int_equal(page.members, 2);
    page.read = false;
    assert_true(store_page_put(store, watch.id, 4, &page) &&
                store_pages_load(store, watch.id, take_page, &page));
    assert_int_equal(page.members, 2);
    store_close(store);
}

static struct known_job *a_job(struct job_table *table, const char *id, enum job_status status,
                               const char *word)
{
    struct known_job *job = job_table_add(table, id);
    job = job_table_set_status(table, job, status, word);
    assert_non_null(job);
    return job;
}

static void assert_comes_back(const struct known_job *job)
{
    unsigned char record[JOB_RECORD_MAX + 1];
    struct stored_job back;
    size_t len = job_record_pack(job, record);
    assert_true(len <= JOB_RECORD_MAX && job_record_unpack(record, len, &back));
    assert_memory_equal(&back.counts, &job->counts, sizeof back.counts);
    assert_string_equal(back.status_word, known_status_word(job));
    assert_true(back.status == job->status && back.created_at.ms == job->created_at.ms &&
                back.completed_at.ms == job->completed_at.ms && back.expires_at.ms == job->expires_at.ms &&
                back.moved_at.ms == job->moved_at.ms && back.gone_at.ms == job->gone_at.ms &&
                back.failures_told == job->failures_told && back.page == job->page &&
                back.told == job->told && back.anomalies == job->anomalies && back.revivals == job->revivals);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(job_record_unpack(record, cut, &back));
    record[len] = 0;
    assert_false(job_record_unpack(record, len + 1, &back));
}

static void test_records(void **state)
{
    (void)state;
    struct job_table *table = job_table_new(1);
    assert_comes_back(a_job(table, "A", JOB_QUEUED, "queued"));
    struct known_job *job = a_job(table, "B", JOB_COMPLETE, "complete");
    job->counts = (struct job_counts){INT64_MAX, INT64_MIN + 1, 0, -1};
    job->created_at = job->completed_at = (wall_time){INT64_MAX};
    job->expires_at = (wall_time){-1};
    job->moved_at = job->gone_at = (mono_time){1790000000000};
    job->failures_told = INT64_MAX;
    job->told = job->anomalies = job->revivals = UINT8_MAX;
    job->page = SWEEP_MAX_PAGES;
    assert_comes_back(job);
    assert_comes_back(a_job(table, "C", JOB_OTHER, "paused"));
    char longest[JOB_STATUS_MAX + 1];
    memset(longest, 'x', JOB_STATUS_MAX);
    longest[JOB_STATUS_MAX] = '\0';
    assert_comes_back(a_job(table, "D", JOB_OTHER, longest));
    job_table_free(table);
}

static void test_a_row_of_somebody_else(void **state)
{
    (void)state;
    struct store_watch watch;
    struct loaded loaded = {0};
    struct store *store = must_open(true);
    assert_true(store_watch_get(store, "main", "fam", &watch));
    execute("INSERT INTO jobs VALUES (1, '', 'queued', 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, NULL)");
    assert_false(store_jobs_load(store, watch.id, take_job, &loaded));
    assert_non_null(strstr(store_error(store), "not one of ours"));
    execute("UPDATE jobs SET id = 'A', told = 5000");
    assert_false(store_jobs_load(store, watch.id, take_job, &loaded));
    execute("UPDATE jobs SET told = 0, page = 200001");
    assert_false(store_jobs_load(store, watch.id, take_job, &loaded));
    execute("UPDATE jobs SET page = 1");
    assert_true(store_jobs_load(store, watch.id, take_job, &loaded)); /* as an earlier version wrote it */
    assert_int_equal(loaded.n, 1);
    loaded.n = 0;
    execute("UPDATE jobs SET record = x'0400000000'");
    assert_false(store_jobs_load(store, watch.id, take_job, &loaded));
    execute("INSERT INTO pages (watch, place, digest, jobs, newest_first) VALUES (1, 0, x'00', 1, 0)");
    assert_false(store_pages_load(store, watch.id, take_page, NULL));
    assert_non_null(strstr(store_error(store), "not one of ours"));
    execute("INSERT INTO events (id, kind, priority, at, account, family, job_id, status, note, figure, "
            "reminder, more_errors)"
            " VALUES ('x', 'no.kind', 5, 1, 'a', 'f', 'j', '', '', 0, 0, 0)");
    assert_null(store_event_load(store, 1));
    assert_int_equal(loaded.n, 0);
    store_close(store);
}

static void test_due(void **state)
{
    (void)state;
    struct stored_delivery rows[8];
    size_t n;
    mono_time next;
    struct store *store = must_open(true);
    for (int i = 0; i < 5; i++) {
        char distinct[8];
        snprintf(distinct, sizeof distinct, "%d", i);
        int64_t seq = add_event(store, distinct);
        /* Events 1, 3, 5 of job A; 2, 4 of job B; the first of A is due late. */
        assert_true(store_delivery_add(store, "hook", seq, i % 2 ? "B" : "A",
                                       (mono_time){i == 0 ? 500 : 100 + i},
                                       (mono_time){i == 0 ? 500 : 100 + i}));
        assert_true(store_delivery_add(store, "journal", seq, "", (mono_time){0}, (mono_time){0}));
    }
    assert_true(store_deliveries_due(store, "hook", (mono_time){200}, rows, 8, &n));
    assert_int_equal(n, 1); /* of A the first is not due, of B the second waits for the first */
    assert_int_equal(rows[0].seq, 2);
    assert_true(store_delivery_next(store, "hook", &next) && next.ms == 101);
    rows[0].state = DELIVERY_DONE;
    rows[0].attempts = 1;
    assert_true(store_delivery_put(store, &rows[0]));
    assert_true(store_deliveries_due(store, "hook", (mono_time){600}, rows, 8, &n));
    assert_int_equal(n, 2);
    assert_int_equal(rows[0].seq, 4);
    assert_int_equal(rows[1].seq, 1);
    assert_true(store_deliveries_release(store, 1, (mono_time){50}));
    assert_true(store_delivery_next(store, "hook", &next) && next.ms == 50);
    int64_t waiting, dead;
    assert_true(store_delivery_counts(store, "hook", &waiting, &dead));
    assert_int_equal(waiting, 4);
    assert_true(store_delivery_counts(store, NULL, &waiting, &dead));
    assert_int_equal(waiting, 9);
    store_close(store);
}

/* Nothing reads the whole table, however much waits. */
static void test_plans(void **state)
{
    (void)state;
    char path[128];
    sqlite3 *db;
    sqlite3_stmt *s;
    store_close(must_open(true));
    snprintf(path, sizeof path, "%s/" STORE_FILE, dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    static const char *const queries[] = {
        "SELECT event FROM deliveries AS d WHERE sink = 'a' AND state = 0 AND next_at <= 5 AND NOT EXISTS "
        "(SELECT 1 FROM deliveries AS e INDEXED BY deliveries_order"
        " WHERE e.sink = d.sink AND e.order_key = d.order_key AND e.state = 0 AND e.event < d.event) ORDER "
        "BY next_at, event LIMIT 4",
        "SELECT seq, job_id FROM events WHERE waits AND account = 'a' AND family = 'b' ORDER BY seq",
    };
    for (size_t i = 0; i < sizeof queries / sizeof *queries; i++) {
        char sql[600];
        snprintf(sql, sizeof sql, "EXPLAIN QUERY PLAN %s", queries[i]);
        assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
        while (sqlite3_step(s) == SQLITE_ROW) {
            const char *detail = (const char *)sqlite3_column_text(s, 3);
            if (strncmp(detail, "SCAN", 4) == 0)
                fail_msg("%s", detail);
        }
        sqlite3_finalize(s);
    }
    sqlite3_close(db);
}

static void test_a_transaction_is_all_or_nothing(void **state)
{
    (void)state;
    struct store *store = must_open(true);
    assert_true(store_begin(store));
    add_event(store, "a");
    store_rollback(store);
    assert_true(store_begin(store));
    assert_true(add_event(store, "b") > 0);
    assert_true(store_commit(store));
    assert_true(add_event(store, "a") > 0);
    store_close(store);
}

static void assert_synced(struct store *store)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(store->db,
                                        "SELECT synchronous, journal_mode FROM pragma_synchronous, "
                                        "pragma_journal_mode",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(statement, 0), 2); /* FULL: each commit, as no kill -9 can show */
    assert_string_equal(column_text(statement, 1), "wal");
    sqlite3_finalize(statement);
}

static void test_a_power_cut_takes_back_no_commit(void **state)
{
    (void)state;
    char why[STORE_WHY];
    struct store *store = must_open(true), *beside = store_open_beside(dir, why);
    assert_non_null(beside);
    assert_synced(store);
    assert_synced(beside);
    store_close(beside);
    assert_int_equal(unlink(store->path), 0);
    assert_true(store_is_in_place(store));
    assert_synced(store); /* the file that was written anew */
    store_close(store);
}

static void test_kill_9_in_a_transaction(void **state)
{
    (void)state;
    store_close(must_open(true));
    pid_t child = fork();
    if (child == 0) {
        char why[STORE_WHY];
        struct store *store = store_open(dir, true, why);
        if (!store || !store_begin(store) || add_event(store, "committed") == 0 || !store_commit(store) ||
            !store_begin(store))
            _exit(1);
        add_event(store, "not committed");
        raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    struct store *store = must_open(true); /* the lock went with the process */
    assert_int_equal(add_event(store, "committed"), 0);
    assert_true(add_event(store, "not committed") > 0);
    store_close(store);
}

static void test_the_second_writer_is_refused(void **state)
{
    (void)state;
    char me[32];
    snprintf(me, sizeof me, "process %d", (int)getpid());
    struct store *store = must_open(true);
    must_refuse(true, me);
    struct store *reader = must_open(false);
    add_event(store, "while somebody reads");
    struct event *event = store_event_load(reader, 1);
    assert_non_null(event);
    event_free(event);
    store_close(reader);
    store_close(store);
    store_close(must_open(true));
}

static void test_files_that_are_not_ours(void **state)
{
    char path[128];
    (void)state;
    must_refuse(false, "has the daemon run");
    snprintf(path, sizeof path, "%s/" STORE_FILE, dir);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("not a database", file);
    fclose(file);
    must_refuse(true, "move the file away");
    must_refuse(false, "move the file away");
    remove(path);
    execute("CREATE TABLE theirs (x)");
    must_refuse(true, "another program");
    remove(path);
    store_close(must_open(true));
    execute("PRAGMA user_version = 99");
    must_refuse(true, "is of version 99");
    must_refuse(false, "upgrade klv-jobwatch");
}

static bool count_job(void *user, const struct stored_job *job)
{
    (void)job;
    ++*(int *)user;
    return true;
}

static void test_an_older_version_is_brought_up(void **state)
{
    (void)state;
    int jobs = 0;
    static char sql[65536];
    struct store_watch watch;
    FILE *file = fopen(TEST_DATA_DIR "/store-version-1.sql", "r");
    assert_non_null(file);
    sql[fread(sql, 1, sizeof sql - 1, file)] = '\0';
    fclose(file);
    execute(sql);
    must_refuse(false, "start the daemon once");
    store_close(must_open(true));
    struct store *store = must_open(false);
    assert_true(store_watch_get(store, "main", "catalog-item-bulk-create-job", &watch));
    assert_true(store_jobs_load(store, watch.id, count_job, &jobs));
    assert_int_equal(jobs, 3);
    struct event *event = store_event_load(store, 1);
    assert_non_null(event);
    event_free(event);
    store_close(store);
}

static int64_t line_at(const char *boot, int64_t monotonic, int64_t wall)
{
    struct store *store = must_open(true);
    int64_t offset = store_timeline(store, boot, monotonic, (wall_time){wall});
    store_close(store);
    return monotonic + offset;
}

static int64_t monotonic_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* The mark is written with the real CLOCK_MONOTONIC, which the test reads before and behind it. */
static void test_the_time_line(void **state)
{
    (void)state;
    struct store *store = must_open(true);
    int64_t before = monotonic_ms();
    assert_int_equal(store_timeline(store, "boot-1", 1000, (wall_time){0}), 0);
    assert_true(store_begin(store) && store_mark(store, (struct now){{500000}, {1700000000000}}) &&
                store_commit(store));
    store_close(store);
    int64_t monotonic = monotonic_ms(), most = 507000 + monotonic - before;
    /* The same boot: CLOCK_MONOTONIC counts, whatever the wall clock was set to. */
    assert_in_range(line_at("boot-1", monotonic + 7000, 1700000000000 + 315360000000), 507000, most);
    assert_in_range(line_at("boot-1", monotonic + 7000, 0), 507000, most);
    /* Another boot: the wall clock, never backward, never far ahead. */
    assert_int_equal(line_at("boot-2", 3, 1700000000000 + 60000), 560000);
    assert_int_equal(line_at("boot-2", 3, 1600000000000), 500000);
    assert_int_equal(line_at("boot-2", 3, 1700000000000 + 315360000000), 500000 + 600000);
    /* The same name, but a clock that went back: not the same boot after all. */
    assert_int_equal(line_at("boot-1", 3, 1700000000000 + 60000), 560000);
    assert_int_equal(line_at("unknown", monotonic + 7000, 1700000000000 + 60000), 560000);
}

static void test_a_mark_of_somebody_else(void **state)
{
    static const char *const marks[] = {"",
                                        "boot-1",
                                        "boot-1 1 2 x",
                                        "boot-1 1 99999999999999999999 3",
                                        "boot-1 -9223372036854775807 0 9223372036854775807",
                                        "boot-2 1 -9223372036854775807 1"};
    (void)state;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        struct store *store = must_open(true);
        assert_true(store_note_put(store, "time", marks[i]));
        assert_int_equal(store_timeline(store, "boot-1", 1000, (wall_time){1700000000000}), 0);
        store_close(store);
    }
}

static void test_ledger_and_notes(void **state)
{
    (void)state;
    mono_time times[3] = {{1}, {2}, {INT64_MAX}}, back[8];
    size_t n;
    struct budget_left left;
    struct store_watch watch;
    struct store *store = must_open(true);
    assert_true(store_watch_get(store, "main", "fam", &watch));
    assert_true(store_ledger_load(store, watch.id, back, 8, &n, &left) && n == 0 && left.share >= 1);
    assert_true(store_ledger_put(store, watch.id, times, 3, (struct budget_left){0.25, {-5}}));
    assert_true(store_ledger_load(store, watch.id, back, 8, &n, &left));
    assert_int_equal(n, 3);
    assert_true(left.share > 0.24 && left.share < 0.26);
    assert_int_equal(left.good_since.ms, -5);
    assert_memory_equal(back, times, sizeof times);
    assert_true(store_ledger_put(store, watch.id, times, 0, (struct budget_left){1, {7}}));
    assert_true(store_ledger_load(store, watch.id, back, 8, &n, &left) && n == 0 && left.share >= 1);
    assert_null(store_note_get(store, "x"));
    assert_true(store_note_put(store, "x", "1") && store_note_put(store, "x", "2"));
    char *note = store_note_get(store, "x");
    assert_string_equal(note, "2");
    free(note);
    store_close(store);
}

static bool is_there(struct store *store, int64_t seq)
{
    struct event *event = store_event_load(store, seq);
    event_free(event);
    return event;
}

/* An event that was recorded at `queued`, and whether a webhook still waits for it. */
static int64_t add_recorded(struct store *store, const char *distinct, int64_t queued, bool waits)
{
    int64_t seq = add_event(store, distinct);
    mono_time at = {queued};
    struct stored_delivery row = {.seq = seq, .sink = "journal", .state = DELIVERY_DONE, .queued_at = at};
    assert_true(store_delivery_add(store, "journal", seq, "A", at, at) && store_delivery_put(store, &row));
    assert_true(!waits || store_delivery_add(store, "hook", seq, "A", at, at));
    return seq;
}

/* All of them say the same wall time: only the time line counts. */
static void test_prune(void **state)
{
    (void)state;
    size_t removed;
    struct store *store = must_open(true);
    int64_t first = add_recorded(store, "1", 100, false), waits = add_recorded(store, "2", 200, true);
    int64_t old = add_recorded(store, "3", 300, false), young = add_recorded(store, "4", 2000, false);
    assert_true(store_prune(store, "journal", (mono_time){100}, 100, &removed));
    assert_int_equal(removed, 0);
    assert_true(store_prune(store, "journal", (mono_time){2000}, 1, &removed));
    assert_int_equal(removed, 1);
    assert_true(!is_there(store, first) && is_there(store, old));
    assert_true(store_prune(store, "journal", (mono_time){2000}, 100, &removed));
    assert_int_equal(removed, 1);
    assert_true(is_there(store, waits) && !is_there(store, old) && is_there(store, young));
    assert_true(store_prune(store, "journal", (mono_time){2001}, 100, &removed));
    assert_int_equal(removed, 1);
    assert_true(is_there(store, waits) && !is_there(store, young));
    store_close(store);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_an_event_comes_back_whole),
        TEST(test_a_job_comes_back_whole),
        TEST(test_pages),
        TEST(test_records),
        TEST(test_a_row_of_somebody_else),
        TEST(test_due),
        TEST(test_plans),
        TEST(test_a_transaction_is_all_or_nothing),
        TEST(test_a_power_cut_takes_back_no_commit),
        TEST(test_kill_9_in_a_transaction),
        TEST(test_the_second_writer_is_refused),
        TEST(test_files_that_are_not_ours),
        TEST(test_an_older_version_is_brought_up),
        TEST(test_the_time_line),
        TEST(test_a_mark_of_somebody_else),
        TEST(test_ledger_and_notes),
        TEST(test_prune),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
