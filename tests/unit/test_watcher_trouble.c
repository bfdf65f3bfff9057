/* watcher and account_health: failures, refusals, throttling, and clocks that are stepped. */
#include "watcher_bench.h"

static void test_a_broken_answer_is_no_news_until_it_lasts(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    bench.now += 10000;
    for (int i = 0; i < 3; i++) {
        assert_string_equal(ask(&bench), QUEUED); /* the same page again */
        expect_told(&bench, "");
        answer(&bench, 200, "<html>log in");
        assert_string_equal(ask(&bench), "wait");
        bench.now += 8000;
    }
    expect_told(&bench, "api.schema");
    tear_down(&bench);
}

static void test_away_and_back(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    bench.now += 10000;
    int64_t began = bench.now;
    while (bench.now - began < bench.rules.unreachable_after) {
        expect_told(&bench, "");
        while (strcmp(ask(&bench), "wait") != 0)
            answer(&bench, 0, "");
        bench.now += 5000;
    }
    while (strcmp(ask(&bench), "wait") == 0)
        bench.now += 1000;
    answer(&bench, 0, "");
    expect_told(&bench, "api.unreachable");
    while (strcmp(ask(&bench), "wait") == 0)
        bench.now += 1000;
    answer(&bench, 200, EMPTY);
    expect_told(&bench, "api.recovered");
    tear_down(&bench);
}

/* What one watch's failing, or good, list does to the whole account. */
static bool list_answered(struct bench *bench, struct watcher *const *both, size_t which, int status,
                          struct batch *batch)
{
    struct watcher_request request;
    mono_time at;
    if (!watcher_next(both[which], (mono_time){bench->now}, &request, &at))
        return false;
    free(request.url);
    struct now now = {{bench->now}, {bench->now}};
    struct watcher_answer answer = {.status = status,
                                    .error = status ? "" : "refused",
                                    .body = status ? EMPTY : "",
                                    .body_len = status ? strlen(EMPTY) : 0,
                                    .rate = {-1, -1, -1, -1},
                                    .server_now = {bench->now}};
    assert_true(watcher_answer(both[which], request.slot, &answer, now, UINT64_MAX, batch));
    assert_true(account_health_check(&bench->health, "main", both, 2, &bench->rules, now, batch));
    return true;
}

/* Both fail, and nothing else, until the account says that it is unreachable; its id. */
static void until_unreachable(struct bench *bench, struct watcher *const *both, char id[EVENT_ID_SIZE])
{
    struct batch batch = {0};
    int64_t began = bench->now;
    for (id[0] = '\0'; !id[0]; bench->now += 1000) {
        assert_true(bench->now - began < 10 * bench->rules.unreachable_after);
        for (size_t which = 0; which < 2; which++) {
            while (list_answered(bench, both, which, 0, &batch))
                ;
        }
        for (size_t i = 0; i < batch.n_items; i++) {
            assert_int_equal(batch.items[i].event->kind, EVENT_API_UNREACHABLE);
            snprintf(id, EVENT_ID_SIZE, "%s", batch.items[i].event->id);
        }
        batch_finish(&batch);
    }
}

/* Of two watches one comes back for a moment: the second time without an answer is a new one, with an id of its own. */
static void test_away_twice_while_one_watch_stays_away(void **state)
{
    (void)state;
    struct bench first, second;
    set_up(&first, "main");
    set_up(&second, "main");
    struct watcher *const both[] = {first.watcher, second.watcher};
    char before[EVENT_ID_SIZE], after[EVENT_ID_SIZE];
    until_unreachable(&first, both, before);
    struct batch batch = {0};
    while (!list_answered(&first, both, 0, 200, &batch))
        first.now += 1000;
    assert_int_equal(batch.items[0].event->kind, EVENT_API_RECOVERED);
    batch_finish(&batch);
    int64_t back = first.now;
    until_unreachable(&first, both, after);
    assert_string_not_equal(before, after);
    assert_true(first.now - back >= first.rules.unreachable_after);
    tear_down(&first);
    tear_down(&second);
}

static void test_a_refused_key_is_told_at_once_and_polled_slowly(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    bench.now += 10000;
    assert_string_equal(ask(&bench), QUEUED);
    answer(&bench, 401, "{\"errors\":[{\"title\":\"no\"}]}");
    expect_told(&bench, "api.unauthorized");
    bench.now += 59999;
    assert_string_equal(ask(&bench), "wait");
    bench.now += 1;
    assert_string_equal(ask(&bench), QUEUED);
    answer(&bench, 200, EMPTY);
    expect_told(&bench, "api.recovered");
    tear_down(&bench);
}

static void test_429_is_waited_out_and_told_when_it_lasts(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    bench.now += 10000;
    assert_string_equal(ask(&bench), QUEUED);
    answer(&bench, 429, "");
    bench.now += 4999;
    assert_string_equal(ask(&bench), "wait");
    bench.now += 1;
    for (int i = 0; i < 5; i++) {
        assert_string_equal(ask(&bench), QUEUED);
        answer(&bench, 429, "");
        bench.now += 5000;
    }
    expect_told(&bench, "api.throttled");
    assert_string_equal(ask(&bench), QUEUED);
    answer(&bench, 200, EMPTY);
    assert_string_equal(ask(&bench), PROCESSING);
    answer(&bench, 200, list_of("A", "processing", 2, 0));
    expect_told(&bench, ""); /* this sweep was late itself */
    for (int i = 0; i < 6; i++)
        active_sweep(&bench, list_of("A", "processing", 3, 0));
    expect_told(&bench, ""); /* for less than a minute it was well */
    active_sweep(&bench, list_of("A", "processing", 3, 0));
    expect_told(&bench, "api.throttled"); /* over */
    tear_down(&bench);
}

/* Ten seconds later: all that is asked for is answered with that status. Returns how many requests there were. */
static int poll_all(struct bench *bench, int status, const char *processing)
{
    int n = 0;
    bench->now += 10000;
    for (const char *url; strcmp(url = ask(bench), "wait") != 0; n++)
        answer(bench, status, strcmp(url, QUEUED) == 0 ? EMPTY : processing);
    return n;
}

static void test_a_wall_clock_that_is_stepped(void **state)
{
    static const int64_t day = 86400000, steps[] = {0, day, -day, 3652 * day, -3652 * day};
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    /* 14 minutes, stepped before each sweep: none is left out, nothing is told. */
    for (size_t i = 0; i < 84; i++) {
        bench.wall_off = steps[i % (sizeof steps / sizeof *steps)];
        assert_true(poll_all(&bench, 200, list_of("A", "processing", 1, 0)) >= 2);
        expect_told(&bench, "");
    }
    /* The stall that is one comes when it is due, once. */
    for (size_t i = 0; i < 12; i++) {
        bench.wall_off = steps[i % (sizeof steps / sizeof *steps)];
        poll_all(&bench, 200, list_of("A", "processing", 1, 0));
    }
    expect_told(&bench, "job.stalled");
    tear_down(&bench);
}

static void test_an_outage_under_a_stepped_clock(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, EMPTY);
    for (int i = 0; i < 10; i++) {
        bench.wall_off = i % 2 ? INT64_C(315532800000) : -INT64_C(315532800000);
        poll_all(&bench, 503, "");
        expect_told(&bench, "");
    }
    bench.now += 60000;
    poll_all(&bench, 503, "");
    expect_told(&bench, "api.unreachable");
    bench.now += 60000;
    poll_all(&bench, 200, EMPTY);
    expect_told(&bench, "api.recovered");
    tear_down(&bench);
}

/* A life that begins throttled, as the one before it ended, has seen no minute yet of which it could say that it is over. */
static void test_a_restart_does_not_end_throttling(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    watcher_condition(bench.watcher, WATCH_THROTTLED)->on = true;
    start(&bench, list_of("A", "processing", 1, 0));
    for (int i = 0; i < 6; i++)
        active_sweep(&bench, list_of("A", "processing", 1, 0));
    expect_told(&bench, "");
    active_sweep(&bench, list_of("A", "processing", 1, 0));
    expect_told(&bench, "api.throttled"); /* over */
    tear_down(&bench);
}

/* As a virtual machine that was paused sees it: an hour is gone on both clocks, and what was in flight has timed out. */
static void test_an_hour_that_nobody_watched(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    bench.now += 10000;
    assert_string_equal(ask(&bench), QUEUED);
    bench.now += 3600000;
    answer(&bench, 0, "");
    expect_told(&bench, "");
    assert_true(poll_all(&bench, 200, list_of("A", "processing", 2, 0)) >= 2);
    assert_true(poll_all(&bench, 200, list_of("A", "processing", 2, 0)) >= 2);
    expect_told(&bench, "");
    tear_down(&bench);
}

/* See note_began() of the watcher: with one clock far ahead, a job that ends after the baseline is still news. */
static void test_a_clock_that_is_ahead_swallows_no_end(void **state)
{
    static const int64_t offs[] = {INT64_C(18000000), -INT64_C(18000000), 0};
    (void)state;
    for (size_t i = 0; i < sizeof offs / sizeof *offs; i++) {
        char body[400];
        struct bench bench;
        set_up(&bench, "main");
        bench.now = INT64_C(1795510800000);
        bench.wall_off = offs[i];
        start(&bench, EMPTY);
        snprintf(body, sizeof body,
                 "{\"data\":[{\"type\":\"" TYPE
                 "\",\"id\":\"S\",\"attributes\":{\"status\":\"complete\",\"total_count\":1,"
                 "\"completed_count\":1,\"completed_at\":\"2026-11-24T10:00:00Z\"}}]}");
        bench.now += 7200000;
        poll_all(&bench, 200, body);
        expect_told(&bench, "job.completed");
        tear_down(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_broken_answer_is_no_news_until_it_lasts),
        cmocka_unit_test(test_away_and_back),
        cmocka_unit_test(test_away_twice_while_one_watch_stays_away),
        cmocka_unit_test(test_a_refused_key_is_told_at_once_and_polled_slowly),
        cmocka_unit_test(test_429_is_waited_out_and_told_when_it_lasts),
        cmocka_unit_test(test_a_restart_does_not_end_throttling),
        cmocka_unit_test(test_a_wall_clock_that_is_stepped),
        cmocka_unit_test(test_an_outage_under_a_stepped_clock),
        cmocka_unit_test(test_an_hour_that_nobody_watched),
        cmocka_unit_test(test_a_clock_that_is_ahead_swallows_no_end),
    };
    return cmocka_run_group_tests_name("watcher_trouble", tests, NULL, NULL);
}
