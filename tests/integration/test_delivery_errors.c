/* delivery: events that wait for their job's errors. */
#include "delivery_rig.h"

#define WITHIN 60000

static const struct job_error some_errors[] = {
    {.code = "invalid", .title = "Invalid input.", .detail = "external_id is unknown", .pointer = "/data"}};

static bool deliver_errors(struct rig *rig, const char *job_id)
{
    struct job job = {.id = job_id, .errors = some_errors, .n_errors = 1};
    return store_begin(rig->store) &&
           delivery_errors_arrived(rig->delivery, loop_now(rig->loop), "main", FAMILY, &job) &&
           store_commit(rig->store);
}

static bool errors_after_quiet(struct rig *rig)
{
    bool *came = rig->data;
    if (!*came && delivery_is_quiet(rig->delivery)) {
        *came = deliver_errors(rig, "01A");
        delivery_wake(rig->delivery);
    }
    return *came && waiting_of(rig, NULL) == 0;
}

static void test_errors_are_waited_for(void **state)
{
    struct rig rig;
    struct scripted_server server;
    bool came = false;
    (void)state;
    server_start(&server, always_ok, NULL);
    rig_init(&rig);
    rig.data = &came;
    rig_add_webhook(&rig, "ops", server.port, "");
    rig_open(&rig);
    rig_configure(&rig);
    assert_true(store_begin(rig.store));
    enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED_WITH_FAILURES, "01A", 1), 3600000);
    enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED, "01B", 2), 0);
    assert_true(store_commit(rig.store));
    rig_run(&rig, errors_after_quiet, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 2);
    assert_null(strstr(server.requests[0].body, "external_id")); /* the other job was not held up */
    assert_non_null(strstr(server.requests[1].body, "external_id is unknown"));
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\"detail\":\"external_id is unknown\""), 1);
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

struct late {
    struct scripted_server *server;
    bool came;
};

static bool errors_after_first_try(struct rig *rig)
{
    struct late *late = rig->data;
    if (!late->came && server_count(late->server) >= 1)
        late->came = deliver_errors(rig, "01A");
    return late->came && waiting_of(rig, NULL) == 0;
}

/* When they come too late the event stays as it was first sent: never two bodies under one id. */
static void test_errors_too_late(void **state)
{
    struct rig rig;
    struct scripted_server server;
    static const int answers[] = {500, 500, 500, 500, -200};
    struct late late = {.server = &server};
    (void)state;
    server_start(&server, by_list, (void *)answers);
    rig_init(&rig);
    rig.data = &late;
    rig_add_webhook(&rig, "ops", server.port, "");
    rig_open(&rig);
    rig_configure(&rig);
    assert_true(store_begin(rig.store));
    enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED_WITH_FAILURES, "01A", 1), 50);
    assert_true(store_commit(rig.store));
    rig_run(&rig, errors_after_first_try, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 5);
    for (size_t i = 1; i < server.n; i++)
        assert_string_equal(server.requests[i].body, server.requests[0].body);
    server_free(&server);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_are_waited_for),
        cmocka_unit_test(test_errors_too_late),
    };
    log_init(PRIO_EMERG);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
