/* watcher: looks at single jobs, answers in, requests and events out, in virtual time. */
#include "watcher_bench.h"

static void test_a_job_that_left_is_looked_at(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, EMPTY);
    expect_told(&bench, "");
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 200, one("A", "complete", 8, 1));
    expect_told(&bench, "job.completed_with_failures"); /* the look brought the errors: nothing to wait for */
    tear_down(&bench);
}

static void test_errors_that_nobody_waits_for_are_not_asked_for(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, list_of("A", "processing", 1, 1));
    expect_told(&bench, "job.failures_growing(held)");
    /* Nothing can be sent until the event has left without them. */
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 429, "");
    bench.now += 10001;
    assert_string_equal(ask(&bench), QUEUED);
    answer(&bench, 200, EMPTY);
    assert_string_equal(ask(&bench), PROCESSING);
    answer(&bench, 200, list_of("A", "processing", 1, 1));
    assert_string_equal(ask(&bench), "wait");
    tear_down(&bench);
}

static void test_a_look_that_was_overtaken_is_not_believed(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, EMPTY);
    assert_string_equal(ask(&bench), "/A");
    unsigned look = bench.request.slot;
    /* Sent later, here sooner: the list has seen more than the look, whose answer was made before. */
    active_sweep(&bench, list_of("A", "processing", 7, 0));
    answer_slot(&bench, look, 200, one("A", "processing", 2, 0));
    expect_told(&bench, "");
    bench.now += 1;
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 200, one("A", "processing", 7, 0));
    expect_told(&bench, "");
    tear_down(&bench);
}

static void test_vanished(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, EMPTY);
    assert_string_equal(ask(&bench), "/A");
    /* An answer that says nothing is asked again after its back-off. */
    answer(&bench, 503, "");
    assert_string_equal(ask(&bench), "wait");
    bench.now += 1000;
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 404, "{}");
    expect_told(&bench, "job.vanished");
    tear_down(&bench);
}

static void test_errors_are_fetched_while_the_event_is_held(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, list_of("A", "processing", 2, 3));
    expect_told(&bench, "job.failures_growing(held)");
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 200, one("A", "processing", 2, 3));
    expect_told(&bench, "errors");
    tear_down(&bench);
}

static void test_a_dropped_look_comes_again(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, EMPTY);
    assert_string_equal(ask(&bench), "/A");
    watcher_drop(bench.watcher, bench.request.slot, (mono_time){bench.now});
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 200, one("A", "processing", 1, 0));
    expect_told(&bench, "");
    assert_string_equal(ask(&bench), "wait");
    tear_down(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_that_left_is_looked_at),
        cmocka_unit_test(test_errors_that_nobody_waits_for_are_not_asked_for),
        cmocka_unit_test(test_a_look_that_was_overtaken_is_not_believed),
        cmocka_unit_test(test_vanished),
        cmocka_unit_test(test_errors_are_fetched_while_the_event_is_held),
        cmocka_unit_test(test_a_dropped_look_comes_again),
    };
    return cmocka_run_group_tests_name("watcher", tests, NULL, NULL);
}
