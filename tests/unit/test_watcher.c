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

/* A page that came before just so is not read again, unless other rules hold for what is on it. */
static void test_other_rules_read_unchanged_pages(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    bench.rules.failure_step = 0;             /* at each doubling */
    assert_string_equal(ask(&bench), QUEUED); /* never answered: the full sweep alone sees the job */
    assert_string_equal(ask(&bench), "");
    answer(&bench, 200, list_of("A", "processing", 1, 2));
    expect_told(&bench, "watch.started");
    uint32_t tick = 0;
    for (int i = 0; i < 2; i++) {
        bench.now += 600000;
        assert_string_equal(ask(&bench), "");
        tick = job_table_tick(watcher_table(bench.watcher));
        answer(&bench, 200, list_of("A", "processing", 1, 3));
        expect_told(&bench, "");
    }
    assert_int_equal(job_table_tick(watcher_table(bench.watcher)),
                     tick); /* the second time it was not read */
    bench.rules.failure_step = 1;
    bench.now += 600000;
    assert_string_equal(ask(&bench), "");
    answer(&bench, 200, list_of("A", "processing", 1, 3));
    expect_told(&bench, "job.failures_growing(held)");
    tear_down(&bench);
}

/* A job that left the list takes up no place, though what became of it is not known yet. */
static void test_capacity_counts_what_is_listed(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    bench.rules.capacity_warn = 1;
    active_sweep(&bench, list_of("A", "processing", 1, 0));
    expect_told(&bench, "capacity.high");
    active_sweep(&bench, EMPTY);
    expect_told(&bench, "capacity.ok");
    assert_string_equal(ask(&bench), "/A");
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
        cmocka_unit_test(test_other_rules_read_unchanged_pages),
        cmocka_unit_test(test_capacity_counts_what_is_listed),
    };
    return cmocka_run_group_tests_name("watcher", tests, NULL, NULL);
}
