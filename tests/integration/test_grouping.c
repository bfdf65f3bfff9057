/* Grouping: several events in one request, on a real store, loop and http, against scripted receivers. */
#include "delivery_rig.h"

#define WITHIN 60000

static bool hook_is_done(struct rig *rig)
{
    return waiting_of(rig, "hook:ops") == 0 && waiting_of(rig, "journal") == 0;
}

/* How many events a body says it has, by its count and by its events, which must agree. */
static size_t events_in(const struct seen_request *request)
{
    const char *count = strstr(request->body, "\"count\":");
    size_t events = count_in(request->body, "\"event_id\":");
    if (strncmp(request->body, "{\"type\":\"digest\"", 16) != 0) {
        assert_null(count);
        assert_int_equal(events, 1);
        return 1;
    }
    assert_non_null(count);
    assert_int_equal(strtoul(count + strlen("\"count\":"), NULL, 10), events);
    return events;
}

/* The number that the n-th event of a body was made with. */
static int64_t number_in(const char **at)
{
    static const char word[] = "\"completed_count\":";
    const char *found = strstr(*at, word);
    if (!found)
        return -1;
    *at = found + sizeof word - 1;
    return strtoll(*at, NULL, 10);
}

static void job_of(int i, char out[16])
{
    snprintf(out, 16, "JOB%d", i);
}

/* n events of n jobs in one transaction, as one sweep leaves them; every fifth is a cancelled one. */
static void enqueue_sweep(struct rig *rig, int n)
{
    char job[16];
    assert_true(store_begin(rig->store));
    for (int i = 0; i < n; i++) {
        job_of(i, job);
        enqueue_event(rig, make_event(i % 5 ? EVENT_JOB_COMPLETED : EVENT_JOB_CANCELLED, job, i), 0);
    }
    assert_true(store_commit(rig->store));
}

/* Every number below n exactly once in what was taken. */
static void assert_each_once(const struct scripted_server *server, int n)
{
    size_t *seen = calloc((size_t)n, sizeof *seen);
    assert_non_null(seen);
    for (size_t i = 0; i < server->n; i++) {
        const char *at = server->requests[i].body;
        if (server->requests[i].status / 100 != 2)
            continue;
        for (int64_t number; (number = number_in(&at)) >= 0;) {
            assert_in_range(number, 0, n - 1);
            seen[number]++;
        }
    }
    for (int i = 0; i < n; i++)
        assert_int_equal(seen[i], 1);
    free(seen);
}

/* No two bodies under one id, in all requests. */
static void assert_ids_are_unique(const struct scripted_server *server)
{
    char id[128], other[128];
    for (size_t i = 0; i < server->n; i++) {
        header_of(&server->requests[i], "webhook-id", id, sizeof id);
        for (size_t j = 0; j < i; j++) {
            header_of(&server->requests[j], "webhook-id", other, sizeof other);
            if (strcmp(id, other) == 0)
                assert_string_equal(server->requests[i].body, server->requests[j].body);
        }
    }
}

/* ---- a storm ---- */

static void test_one_sweep_of_a_thousand(void **state)
{
    enum { N = 1000, MAX = 100 };
    struct rig rig;
    struct scripted_server server;
    char counts[64], id[128];
    (void)state;
    server_start(&server, always_ok, NULL);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "group-wait = 5s\n group-max = 100");
    rig_open(&rig);
    rig_configure(&rig);
    enqueue_sweep(&rig, N);
    rig_run(&rig, hook_is_done, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, N / MAX);
    snprintf(counts, sizeof counts, "\"counts\":{\"job.completed\":%d,\"job.cancelled\":%d}", MAX - MAX / 5,
             MAX / 5);
    for (size_t i = 0; i < server.n; i++) {
        assert_int_equal(events_in(&server.requests[i]), MAX);
        assert_non_null(strstr(server.requests[i].body, counts));
        header_of(&server.requests[i], "webhook-id", id, sizeof id);
        assert_int_equal(strncmp(id, "dig_", 4), 0);
        assert_non_null(strstr(server.requests[i].body, id));
    }
    assert_each_once(&server, N);
    assert_ids_are_unique(&server);
    char *journal = rig_journal(&rig); /* which groups nothing */
    assert_int_equal(count_in(journal, "\n"), N);
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

/* What is too few for a whole group goes when the first of it has waited, not before. */
static void test_the_rest_waits(void **state)
{
    enum { WAIT = 700 };
    struct rig rig;
    struct scripted_server server;
    (void)state;
    server_start(&server, always_ok, NULL);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "group-wait = 700ms\n group-max = 20\n concurrency = 1");
    rig_open(&rig);
    rig_configure(&rig);
    int64_t began = clock_now_ms();
    enqueue_sweep(&rig, 47);
    rig_run(&rig, hook_is_done, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 3);
    assert_int_equal(events_in(&server.requests[0]), 20);
    assert_int_equal(events_in(&server.requests[1]), 20);
    assert_int_equal(events_in(&server.requests[2]), 7);
    assert_true(server.requests[2].at - began >= WAIT);
    assert_each_once(&server, 47);
    server_free(&server);
    rig_finish(&rig);
}

static void test_one_event_is_no_digest(void **state)
{
    struct rig rig;
    struct scripted_server server;
    (void)state;
    server_start(&server, always_ok, NULL);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "group-wait = 100ms");
    rig_open(&rig);
    rig_configure(&rig);
    struct event *event = make_event(EVENT_JOB_COMPLETED, "01A", 0);
    char id[EVENT_ID_SIZE], value[128];
    memcpy(id, event->id, sizeof id);
    event_free(event);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 0);
    rig_run(&rig, hook_is_done, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 1);
    assert_string_equal(header_of(&server.requests[0], "webhook-id", value, sizeof value), id);
    assert_int_equal(events_in(&server.requests[0]), 1);
    server_free(&server);
    rig_finish(&rig);
}

/* ---- trying again ---- */

static void test_retry_is_the_same_group(void **state)
{
    static const int answers[] = {500, 0, 429, -200};
    struct rig rig;
    struct scripted_server server;
    char first[128], other[128];
    (void)state;
    server_start(&server, by_list, (void *)answers);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "group-wait = 100ms\n concurrency = 1");
    rig_open(&rig);
    rig_configure(&rig);
    enqueue_sweep(&rig, 30);
    rig_run(&rig, hook_is_done, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 4);
    header_of(&server.requests[0], "webhook-id", first, sizeof first);
    for (size_t i = 0; i < server.n; i++) {
        assert_string_equal(header_of(&server.requests[i], "webhook-id", other, sizeof other), first);
        assert_string_equal(server.requests[i].body, server.requests[0].body);
    }
    assert_each_once(&server, 30);
    server_free(&server);
    rig_finish(&rig);
}

/* A job's events stay in order, within a digest and from one to the next, though many requests fail. */
static void test_order_per_job(void **state)
{
    enum { JOBS = 5, EACH = 40 };
    struct rig rig;
    struct scripted_server server;
    int64_t last[JOBS];
    char job[16];
    (void)state;
    server_start(&server, fail_often, NULL);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "concurrency = 8\n group-wait = 100ms\n group-max = 7");
    rig_open(&rig);
    rig_configure(&rig);
    for (int i = 0; i < JOBS * EACH; i++) {
        job_of(i % JOBS, job);
        enqueue(&rig, EVENT_JOB_FAILURES_GROWING, job, i);
    }
    rig_run(&rig, hook_is_done, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    for (int j = 0; j < JOBS; j++)
        last[j] = j - JOBS;
    for (size_t i = 0; i < server.n; i++) {
        const char *at = server.requests[i].body;
        for (int64_t n; server.requests[i].status == 200 && (n = number_in(&at)) >= 0;) {
            assert_int_equal(n, last[n % JOBS] + JOBS);
            last[n % JOBS] = n;
        }
    }
    for (int j = 0; j < JOBS; j++)
        assert_int_equal(last[j], JOBS * (EACH - 1) + j);
    assert_ids_are_unique(&server);
    server_free(&server);
    rig_finish(&rig);
}

/* An event that waits for its job's errors holds up that job's later ones, and nobody else's. */
static bool errors_after_others(struct rig *rig)
{
    struct job job = {.id = "JOB0"};
    bool *came = rig->data;
    if (!*came && waiting_of(rig, "hook:ops") == 2 && store_begin(rig->store)) {
        *came = delivery_errors_arrived(rig->delivery, loop_now(rig->loop), "main", FAMILY, &job) &&
                store_commit(rig->store);
        delivery_wake(rig->delivery);
    }
    return *came && hook_is_done(rig);
}

static void test_waiting_for_errors(void **state)
{
    struct rig rig;
    struct scripted_server server;
    bool came = false;
    (void)state;
    server_start(&server, always_ok, NULL);
    rig_init(&rig);
    rig.data = &came;
    rig_add_webhook(&rig, "ops", server.port, "group-wait = 100ms");
    rig_open(&rig);
    rig_configure(&rig);
    assert_true(store_begin(rig.store));
    enqueue_event(&rig, make_event(EVENT_JOB_FAILURES_GROWING, "JOB0", 0), 3600000);
    enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED, "JOB1", 1), 0);
    enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED, "JOB0", 2), 0);
    enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED, "JOB3", 3), 0);
    assert_true(store_commit(rig.store));
    rig_run(&rig, errors_after_others, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    static const int64_t order[] = {1, 3, 0, 2};
    size_t n = 0;
    for (size_t i = 0; i < server.n; i++) {
        const char *at = server.requests[i].body;
        for (int64_t number; (number = number_in(&at)) >= 0 && n < 4; n++)
            assert_int_equal(number, order[n]);
    }
    assert_int_equal(n, 4);
    server_free(&server);
    rig_finish(&rig);
}

/* ---- giving up ---- */

static void test_refused_group_is_told_by_event(void **state)
{
    static const int answers[] = {400, -200};
    struct rig rig;
    struct scripted_server server;
    (void)state;
    server_start(&server, by_list, (void *)answers);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "group-wait = 100ms\n group-max = 10\n concurrency = 1");
    rig_open(&rig);
    rig_configure(&rig);
    enqueue_sweep(&rig, 14);
    rig_run(&rig, hook_is_done, WITHIN);
    assert_int_equal(dead_of(&rig, "hook:ops"), 10);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 2);
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\"type\":\"delivery.failed\""), 10);
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

static void test_given_up_by_age(void **state)
{
    static const int answers[] = {-500};
    struct rig rig;
    struct scripted_server server;
    (void)state;
    server_start(&server, by_list, (void *)answers);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "group-wait = 100ms\n group-max = 20");
    rig_open(&rig);
    rig.config->webhooks[0].give_up_after = 400;
    rig_configure(&rig);
    enqueue_sweep(&rig, 300);
    rig_run(&rig, hook_is_done, WITHIN);
    assert_int_equal(dead_of(&rig, "hook:ops"), 300);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\"type\":\"delivery.failed\""), 300);
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

/* ---- restart and reload ---- */

static bool asked_twice(struct rig *rig)
{
    return server_count(rig->data) >= 2 && waiting_of(rig, "journal") == 0;
}

/* What was sent once is the same group in the next life, whatever came in between. */
static void test_restart_sends_the_same_group(void **state)
{
    static const int answers[] = {0, 0, -200};
    struct rig rig;
    struct scripted_server server;
    char id[128], other[128];
    (void)state;
    server_start(&server, by_list, (void *)answers);
    rig_init(&rig);
    rig.data = &server;
    rig_add_webhook(&rig, "ops", server.port, "group-wait = 100ms\n concurrency = 1");
    rig_open(&rig);
    rig_configure(&rig);
    enqueue_sweep(&rig, 10);
    rig_run(&rig, asked_twice, WITHIN);
    rig_close(&rig);
    assert_false(rig.timed_out);
    rig_open(&rig);
    rig_configure(&rig);
    for (int i = 10; i < 15; i++)
        enqueue(&rig, EVENT_JOB_COMPLETED, "JOB3", i);
    rig_run(&rig, hook_is_done, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 4);
    header_of(&server.requests[0], "webhook-id", id, sizeof id);
    for (size_t i = 1; i < 3; i++) {
        assert_string_equal(header_of(&server.requests[i], "webhook-id", other, sizeof other), id);
        assert_string_equal(server.requests[i].body, server.requests[0].body);
    }
    assert_int_equal(events_in(&server.requests[3]), 5);
    assert_each_once(&server, 15);
    server_free(&server);
    rig_finish(&rig);
}

/* From groups to single events, with groups under way and waiting, and back: nothing is lost or out of order. */
static bool without_groups(struct rig *rig)
{
    struct scripted_server *server = rig->data;
    return server_taken(server) >= 2 && waiting_of(rig, "journal") == 0;
}

static void test_reload_between_ways(void **state)
{
    struct rig rig;
    struct scripted_server server;
    (void)state;
    server_start(&server, fail_often, NULL);
    rig_init(&rig);
    rig.data = &server;
    rig_add_webhook(&rig, "ops", server.port, "group-wait = 100ms\n group-max = 6\n concurrency = 3");
    for (int life = 0; life < 3; life++) {
        rig_open(&rig);
        rig.config->webhooks[0].group_wait = life == 1 ? 0 : 100;
        rig_configure(&rig);
        for (int i = life * 20; i < life * 20 + 20; i++)
            enqueue(&rig, EVENT_JOB_COMPLETED, i % 2 ? "JOB1" : "JOB0", i);
        rig_run(&rig, life < 2 ? without_groups : hook_is_done, WITHIN);
        rig_close(&rig);
        assert_false(rig.timed_out);
    }
    server_stop(&server);
    /* The end of a life may have cut off an answer, so that a request came twice; its order still holds. */
    int64_t highest[2] = {-2, -1};
    for (size_t i = 0; i < server.n; i++) {
        const char *at = server.requests[i].body;
        for (int64_t n; server.requests[i].status == 200 && (n = number_in(&at)) >= 0;) {
            assert_true(n <= highest[n % 2] + 2);
            if (n > highest[n % 2])
                highest[n % 2] = n;
        }
    }
    assert_int_equal(highest[0], 58);
    assert_int_equal(highest[1], 59);
    assert_ids_are_unique(&server);
    server_free(&server);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_sweep_of_a_thousand),
        cmocka_unit_test(test_the_rest_waits),
        cmocka_unit_test(test_one_event_is_no_digest),
        cmocka_unit_test(test_retry_is_the_same_group),
        cmocka_unit_test(test_order_per_job),
        cmocka_unit_test(test_waiting_for_errors),
        cmocka_unit_test(test_refused_group_is_told_by_event),
        cmocka_unit_test(test_given_up_by_age),
        cmocka_unit_test(test_restart_sends_the_same_group),
        cmocka_unit_test(test_reload_between_ways),
    };
    log_init(PRIO_EMERG);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
