/* budget: the windows hold whatever the latency; 429s, others, and the ledger across lives. */
#include "unit.h"

#include "../../lib/budget.h"
#include "../../lib/rate_headers.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MINUTE 60000

static const struct rate_headers no_headers = {-1, -1, -1, -1};

static struct budget *new_budget(uint32_t burst, uint32_t steady)
{
    struct budget *budget = budget_new(&(struct budget_limits){burst, steady, 0.5});
    assert_non_null(budget);
    return budget;
}

static int64_t when(const struct budget *budget, int64_t now)
{
    return budget_when(budget, (mono_time){now}).ms;
}

static void one(struct budget *budget, int64_t began, int64_t ended)
{
    assert_true(when(budget, began) <= began);
    budget_spend(budget, (mono_time){began});
    budget_done(budget, (mono_time){ended}, 200, &no_headers);
}

static void test_limits(void **state)
{
    (void)state;
    struct budget_limits limits = budget_limits_for(350, 3500, 0.1, 0, 0, 0.5);
    assert_int_equal(limits.burst, 35);
    assert_int_equal(limits.steady, 350);
    limits = budget_limits_for(10, 150, 0.01, 0, 0, 0.5);
    assert_int_equal(limits.burst, 1);
    assert_int_equal(limits.steady, 1);
    limits = budget_limits_for(10, 150, 0.01, 7, 70, 0.5);
    assert_int_equal(limits.burst, 7);
    assert_int_equal(limits.steady, 70);
}

/* A twelfth of the minute's share, so that what a crash costs stays small however large that is. */
static void test_what_a_ledger_covers(void **state)
{
    (void)state;
    static const uint32_t steady[] = {1, 24, 350, 3500}, covered[] = {0, 2, 29, 64};
    for (size_t i = 0; i < 4; i++) {
        struct budget *budget = new_budget(1, steady[i]);
        assert_int_equal(budget_reserve(budget), covered[i]);
        budget_free(budget);
    }
}

static void test_the_second(void **state)
{
    (void)state;
    struct budget *budget = new_budget(2, 100);
    one(budget, 0, 10);
    one(budget, 20, 500);
    assert_int_equal(when(budget, 600), 1011);
    one(budget, 1011, 1020);
    assert_int_equal(when(budget, 1020), 1501);
    budget_free(budget);
}

static void test_the_minute(void **state)
{
    (void)state;
    struct budget *budget = new_budget(10, 3);
    for (int i = 0; i < 3; i++)
        one(budget, i * 1000, i * 1000 + 100);
    assert_int_equal(when(budget, 5000), MINUTE + 101);
    assert_int_equal(budget_usage(budget, (mono_time){5000}).in_last_minute, 3);
    assert_int_equal(budget_usage(budget, (mono_time){MINUTE + 1000}).in_last_minute, 2);
    budget_free(budget);
}

/* A request may have been counted at any time until its answer: it stays counted while it is under way. */
static void test_in_flight(void **state)
{
    (void)state;
    struct budget *budget = new_budget(2, 100);
    budget_spend(budget, (mono_time){0});
    budget_spend(budget, (mono_time){0});
    assert_true(when(budget, 500000) == MONO_NEVER.ms);
    budget_done(budget, (mono_time){500000}, 0, NULL);
    assert_int_equal(when(budget, 500000), 501001);
    budget_free(budget);
}

static void test_reserving(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 10);
    for (int i = 0; i < 6; i++)
        one(budget, 0, 0);
    assert_true(budget_when_reserving(budget, 3, (mono_time){1}).ms <= 1);
    assert_int_equal(budget_when_reserving(budget, 4, (mono_time){1}).ms, MINUTE + 1);
    assert_true(when(budget, 1) <= 1);
    budget_free(budget);
}

static void limited(struct budget *budget, int64_t now, int64_t retry_after)
{
    struct rate_headers headers = no_headers;
    headers.retry_after = retry_after;
    budget_spend(budget, (mono_time){now});
    budget_done(budget, (mono_time){now}, 429, &headers);
}

static void test_429(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 1000);
    limited(budget, 0, 30000);
    assert_int_equal(when(budget, 0), 30000);
    assert_int_equal(budget_usage(budget, (mono_time){0}).steady_now, 500);
    /* Another answer to a request of the same time says nothing new. */
    limited(budget, 30000, 5000);
    assert_int_equal(budget_usage(budget, (mono_time){30000}).steady_now, 250);
    /* Recovers by steps, not at once. */
    one(budget, 36000, 36000);
    assert_int_equal(budget_usage(budget, (mono_time){36000}).steady_now, 250);
    for (int64_t t = 46000; t < 46000 + 20 * 11000; t += 11000)
        one(budget, t, t);
    assert_int_equal(budget_usage(budget, (mono_time){300000}).steady_now, 1000);
    budget_free(budget);
}

/* Those that were under way when the share was halved say nothing new, each of them. */
static void test_one_halving_a_round_trip(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 1000);
    struct rate_headers headers = no_headers;
    headers.retry_after = 1000;
    for (int i = 0; i < 4; i++)
        budget_spend(budget, (mono_time){0});
    for (int i = 0; i < 4; i++)
        budget_done(budget, (mono_time){i}, 429, &headers);
    assert_int_equal(budget_usage(budget, (mono_time){4}).steady_now, 500);
    limited(budget, 2000, 1000);
    assert_int_equal(budget_usage(budget, (mono_time){2000}).steady_now, 250);
    budget_free(budget);
}

/* The next life waits as long as this one was asked to. */
static void test_a_wait_outlives_the_process(void **state)
{
    (void)state;
    mono_time times[8];
    struct budget *budget = new_budget(100, 1000);
    limited(budget, 0, 30000);
    size_t n = budget_export(budget, (mono_time){1000}, 2, times, 8);
    budget_free(budget);
    budget = new_budget(100, 1000);
    assert_true(budget_import(budget, (mono_time){5000}, times, n));
    assert_int_equal(when(budget, 5000), 30000);
    budget_free(budget);
}

/* So is what the 429s have left of the share, and it grows back no sooner for that. */
static void test_a_halved_share_outlives_the_process(void **state)
{
    (void)state;
    mono_time times[8];
    struct budget *budget = new_budget(100, 1000);
    limited(budget, 0, 1000);
    limited(budget, 2000, 1000);
    size_t n = budget_export(budget, (mono_time){2000}, 0, times, 8);
    struct budget_left left = budget_left(budget);
    budget_free(budget);
    budget = new_budget(100, 1000);
    assert_true(budget_import(budget, (mono_time){2500}, times, n));
    budget_restore_left(budget, (mono_time){2500}, left);
    assert_int_equal(budget_usage(budget, (mono_time){2500}).burst_now, 25);
    for (int64_t now = 3000; now < 13000; now += 1000) {
        one(budget, now, now);
        assert_int_equal(budget_usage(budget, (mono_time){now}).burst_now, 25);
    }
    one(budget, 13000, 13000);
    assert_int_equal(budget_usage(budget, (mono_time){13000}).burst_now, 30);
    budget_free(budget);
}

/* As `once` from cron: each life is over before a stretch of good answers is. */
static void test_a_share_grows_back_over_short_lives(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 1000);
    limited(budget, 0, 1000);
    for (int64_t now = 60000; now <= 600000; now += 60000) {
        struct budget_left left = budget_left(budget);
        budget_free(budget);
        budget = new_budget(100, 1000);
        budget_restore_left(budget, (mono_time){now}, left);
        for (int64_t i = 0; i < 3; i++)
            one(budget, now + i * 100, now + i * 100);
        assert_int_equal(budget_usage(budget, (mono_time){now + 1000}).burst_now, 50 + now / 12000);
    }
    budget_free(budget);
}

static void test_a_stored_share_that_cannot_be(void **state)
{
    (void)state;
    static const struct {
        double stored;
        uint32_t burst;
    } cases[] = {{0, 2}, {-1, 2}, {NAN, 2}, {-INFINITY, 2}, {1.5, 100}, {INFINITY, 100}, {1, 100}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct budget *budget = new_budget(100, 1000);
        budget_restore_left(budget, (mono_time){0}, (struct budget_left){.share = cases[i].stored});
        assert_int_equal(budget_usage(budget, (mono_time){0}).burst_now, cases[i].burst);
        budget_free(budget);
    }
    struct budget *budget = new_budget(100, 1000);
    budget_restore_left(budget, (mono_time){0}, (struct budget_left){.share = 0.5, .good_since = MONO_NEVER});
    one(budget, 10000, 10000);
    assert_int_equal(budget_usage(budget, (mono_time){10000}).burst_now, 55);
    budget_free(budget);
}

static void test_429_without_retry_after(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 1000);
    int64_t now = 0, expected = 1000;
    for (int i = 0; i < 8; i++) {
        limited(budget, now, -1);
        assert_int_equal(when(budget, now), now + expected);
        now += expected;
        expected = expected * 2 > MINUTE ? MINUTE : expected * 2;
    }
    /* Nonsense is bounded too. */
    limited(budget, now, INT64_MAX);
    assert_int_equal(when(budget, now), now + BUDGET_MAX_RETRY_AFTER);
    assert_true(budget_usage(budget, (mono_time){now}).steady_now >= 1);
    budget_free(budget);
}

/* ns for one "may I send now, else when" and one request, at so many entries. */
static double cost(uint32_t steady)
{
    enum { TIMES = 100000 };
    struct budget *budget = new_budget(steady, steady);
    for (uint32_t i = 0; i < steady; i++)
        one(budget, i, i);
    int64_t now = MINUTE + steady;
    struct timespec began, ended;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
    for (int i = 0; i < TIMES; i++, now += MINUTE / steady + 1)
        one(budget, mono_max((mono_time){when(budget, now)}, (mono_time){now}).ms, now + 1);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
    assert_in_range(budget_usage(budget, (mono_time){now}).in_last_minute, steady / 2, steady);
    budget_free(budget);
    return ((double)(ended.tv_sec - began.tv_sec) * 1e9 + (double)(ended.tv_nsec - began.tv_nsec)) / TIMES;
}

static void test_the_largest_limit_is_as_cheap_as_a_small_one(void **state)
{
    (void)state;
    double small = cost(35), large = cost(3500);
    print_message("a request costs %.0f ns of budget at 35 entries, %.0f ns at 3,500\n", small, large);
    assert_true(large < 20 * small); /* a walk through the entries would cost a hundred times as much */
}

/* Each stretch of good answers gives back the same, whatever the share is. */
static void test_recovery_is_additive(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 1000);
    for (int i = 0; i < 4; i++)
        limited(budget, i * 1000, 1000);
    uint32_t share = budget_usage(budget, (mono_time){4000}).steady_now;
    assert_int_equal(share, 62); /* 1000 / 2^4 */
    for (int64_t t = 14000; share < 950; t += 10000) {
        one(budget, t, t);
        uint32_t more = budget_usage(budget, (mono_time){t}).steady_now;
        assert_in_range(more - share, 49, 51);
        share = more;
    }
    /* However often it is halved, something is left. */
    for (int i = 0; i < 40; i++)
        limited(budget, 900000 + i * MINUTE * 2, 1000);
    assert_int_equal(budget_usage(budget, (mono_time){900000 + 80 * MINUTE}).steady_now, 20);
    budget_free(budget);
}

static void hint(struct budget *budget, int64_t now, int64_t limit, int64_t remaining, int64_t reset)
{
    struct rate_headers headers = {limit, remaining, reset, -1};
    budget_spend(budget, (mono_time){now});
    budget_done(budget, (mono_time){now}, 200, &headers);
}

static void test_others_come_first(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 350);
    /* In the middle of the server's minute others have used 1,575 of 3,500: 90% by its end. */
    hint(budget, 30000, 3500, 3500 - 1575 - 1, 30);
    uint32_t yielded = budget_usage(budget, (mono_time){30000}).steady_now;
    assert_in_range(yielded, 35, 80);
    /* Without an answer it is as at the beginning; with one that says nothing of them, they are forgotten. */
    assert_int_equal(budget_usage(budget, (mono_time){30000 + 121000}).steady_now, 35);
    one(budget, 30000 + 121000, 30000 + 121100);
    assert_int_equal(budget_usage(budget, (mono_time){30000 + 121100}).steady_now, 350);
    budget_free(budget);
}

/* RateLimit-Remaining: 0. The seconds may have been cut, so that one more passes. */
static void test_when_nothing_is_left_all_waits_for_the_reset(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 3500);
    hint(budget, 30000, 3500, 0, 20);
    assert_int_equal(when(budget, 30000), 51000);
    assert_int_equal(budget_usage(budget, (mono_time){30000}).blocked_until.ms, 51000);
    budget_free(budget);
}

/* After a restart nothing is known of the window before: what others have used of its first seconds counts for
 * the rest. */
static void test_others_come_first_in_the_first_window_too(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 1750);
    assert_int_equal(budget_usage(budget, (mono_time){0}).steady_now, 175);
    hint(budget, 1000, 3500, 3500 - 52 - 1, 59);
    assert_int_equal(budget_usage(budget, (mono_time){1000}).steady_now, 175);
    /* Six seconds in: 315 of 3,500, which is 90% by its end. */
    hint(budget, 6000, 3500, 3500 - 315 - 2, 54);
    assert_in_range(budget_usage(budget, (mono_time){6000}).steady_now, 175, 290);
    budget_free(budget);
    /* Nobody else: all of the share after the first seconds. */
    budget = new_budget(100, 350);
    hint(budget, 6000, 3500, 3500 - 1, 54);
    assert_int_equal(budget_usage(budget, (mono_time){6000}).steady_now, 350);
    budget_free(budget);
}

/* What an earlier life had reserved is not taken for sent: it would hide what others sent. */
static void test_others_are_not_hidden_by_the_ledger(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 1750);
    mono_time times[100];
    for (size_t i = 0; i < 100; i++)
        times[i] = MONO_NEVER;
    assert_true(budget_import(budget, (mono_time){0}, times, 100));
    /* Nor does it keep the new life from asking. */
    assert_int_equal(budget_usage(budget, (mono_time){5000}).steady_now, 275);
    hint(budget, 10000, 3500, 3500 - 525 - 1, 50);
    assert_in_range(budget_usage(budget, (mono_time){10000}).steady_now, 175, 290);
    budget_free(budget);
}

/* What we spent ourselves is not somebody else's. */
static void test_no_yielding_to_ourselves(void **state)
{
    (void)state;
    struct budget *budget = new_budget(1000, 1000);
    for (int i = 1; i <= 900; i++)
        hint(budget, 1000 + i * 50, 1000, 1000 - i, 59 - i / 20);
    assert_int_equal(budget_usage(budget, (mono_time){46000}).steady_now, 980); /* the margin alone */
    budget_free(budget);
}

/* Answers overtake each other: what is left of a window that is over says nothing of the next one. */
static void test_a_hint_that_was_overtaken(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 1750);
    for (int i = 1; i <= 100; i++)
        hint(budget, 1000 + i * 500, 3500, 3500 - i, 59 - i / 2);
    hint(budget, 60050, 3500, 3499, 60);
    hint(budget, 60060, 3500, 3500 - 101, 1);
    assert_int_equal(budget_usage(budget, (mono_time){60060}).steady_now, 1750);
    budget_free(budget);
}

/* The seconds of RateLimit-Reset are whole: an error of one second does not hide the 5% that a busy account leaves. */
static void test_the_little_that_others_leave(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 350);
    int sent = 0;
    for (int64_t at = 0; at < 5 * MINUTE; at += 10000) {
        int64_t into = (at + 700) % MINUTE;
        if (when(budget, at) > at)
            continue;
        sent = into < 10000 ? 1 : sent + 1;
        hint(budget, at, 3500, 3500 - into * 3325 / MINUTE - sent, (MINUTE - into + 999) / 1000);
        if (at >= 2 * MINUTE)
            assert_int_equal(budget_usage(budget, (mono_time){at}).steady_now, 35);
    }
    budget_free(budget);
}

/* A small account of which others take 98%, then 95%: one request a minute early in each window would not find out for an
 * hour that there is room for more. */
static void test_the_little_that_is_left_is_found(void **state)
{
    (void)state;
    struct budget *budget = new_budget(5, 75);
    int64_t window = -1;
    int sent = 0, late = 0;
    for (int64_t at = 4000; at < 30 * MINUTE; at += 100) {
        int64_t into = at % MINUTE, others = 1 + (at < 12 * MINUTE ? 147 : 143) * into / MINUTE;
        if (when(budget, at) > at)
            continue;
        sent = at / MINUTE == window ? sent + 1 : 1;
        window = at / MINUTE;
        late += at >= 15 * MINUTE;
        budget_spend(budget, (mono_time){at});
        struct rate_headers rate = {150, 150 - others - sent, (MINUTE - into + 999) / 1000, -1};
        budget_done(budget, (mono_time){at + 200}, 200, &rate);
    }
    assert_in_range(late, 25, 60);
    budget_free(budget);
}

/* At a beginning beside busy others it waits once for the end of the window, and knows by then. */
static void test_others_show_at_the_end_of_the_first_window(void **state)
{
    (void)state;
    struct budget *budget = new_budget(10, 60);
    /* Six seconds in, twelve requests of others look like all of 120; with 108 a minute, eight are left for us. */
    hint(budget, 6000, 120, 120 - 12 - 1, 54);
    assert_int_equal(budget_usage(budget, (mono_time){6000}).steady_now, 1);
    int64_t at = when(budget, 67000);
    assert_in_range(at, MINUTE + 45000, MINUTE + 46000);
    hint(budget, at, 120, 120 - 81 - 1, 15);
    assert_in_range(budget_usage(budget, (mono_time){at}).steady_now, 7, 10);
    budget_free(budget);
}

/* The first second of a window tells nothing of others, nor does that of the next: what was known before counts. */
static void test_the_first_second_of_a_window_tells_nothing(void **state)
{
    (void)state;
    struct budget *budget = new_budget(10, 60);
    hint(budget, 6000, 120, 120 - 11 - 1, 54);
    hint(budget, MINUTE + 50000, 120, 120 - 95 - 1, 10);
    for (int64_t window = 3; window < 5; window++) {
        hint(budget, window * MINUTE + 600, 120, 120 - 1 - 1, 60);
        assert_in_range(budget_usage(budget, (mono_time){window * MINUTE + 600}).steady_now, 1, 6);
    }
    budget_free(budget);
}

/* What busy others leave is not sent all at once. */
static void test_what_is_left_is_spent_evenly(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 350);
    hint(budget, 30000, 3500, 3500 - 1575 - 1, 30);
    hint(budget, 59000, 3500, 3500 - 3097 - 2, 1);
    hint(budget, 65000, 3500, 3500 - 262 - 1, 55);
    int64_t gap = when(budget, 65000) - 65000;
    assert_in_range(gap, MINUTE / 80, MINUTE / 35);
    assert_in_range(budget_when_reserving(budget, 1, (mono_time){65000}).ms, 65000 + gap, INT64_MAX);
    budget_free(budget);
}

/* Of 60 a minute, the last 15 are one each second. */
static void test_the_last_quarter_is_spent_evenly(void **state)
{
    (void)state;
    struct budget *budget = new_budget(60, 60);
    for (int64_t i = 0; i < 45; i++) {
        assert_true(budget_evenly(budget, (mono_time){5000 + i}).ms <= 5000 + i);
        one(budget, 5000 + i, 5000 + i);
    }
    assert_int_equal(budget_evenly(budget, (mono_time){5100}).ms, 5044 + 1000);
    assert_true(budget_evenly(budget, (mono_time){5044 + MINUTE}).ms <= 5044 + MINUTE);
    budget_free(budget);
}

static void test_nonsense_hints(void **state)
{
    (void)state;
    static const int64_t nonsense[][3] = {{0, 0, 30},    {100, 200, 30},  {-1, 5, 30},
                                          {100, -1, 30}, {100, 0, 99999}, {100, 0, -1}};
    struct budget *budget = new_budget(100, 100);
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
        hint(budget, (int64_t)i, nonsense[i][0], nonsense[i][1], nonsense[i][2]);
    assert_int_equal(budget_usage(budget, (mono_time){10}).steady_now, 100);
    budget_free(budget);
}

static void test_reload_keeps_what_was_spent(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 3);
    for (int i = 0; i < 3; i++)
        one(budget, 0, i);
    assert_true(budget_set_limits(budget, &(struct budget_limits){100, 5, 0.5}));
    one(budget, 10, 10);
    one(budget, 10, 10);
    assert_int_equal(when(budget, 20), MINUTE + 1);
    assert_true(budget_set_limits(budget, &(struct budget_limits){100, 2, 0.5}));
    assert_int_equal(when(budget, 20), MINUTE + 11);
    budget_free(budget);
}

static void test_headers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t number;
    } cases[] = {{"3500", 3500},
                 {" 7 ", 7},
                 {"100, 100;w=60", 100},
                 {"5;w=1", 5},
                 {NULL, -1},
                 {"", -1},
                 {"-1", -1},
                 {"1.5", -1},
                 {"x", -1},
                 {"99999999999999999999", -1},
                 {"0", 0},
                 {"12a", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rate_headers headers;
        rate_headers_parse(cases[i].text, cases[i].text, NULL, &headers);
        assert_int_equal(headers.limit, cases[i].number);
        assert_int_equal(headers.remaining, cases[i].number);
        assert_int_equal(headers.reset, -1);
        assert_int_equal(headers.retry_after, -1);
    }
}

/* ---- property: no sliding window of the server ever sees more, across latencies, lives and crashes ---- */

static uint64_t chance;

static uint64_t draw(uint64_t n)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return chance % n;
}

struct server {
    int64_t at[20000];
    size_t n;
};

static void check_windows(const struct server *server, uint32_t limit, int64_t length)
{
    for (size_t i = limit; i < server->n; i++) {
        if (server->at[i] - server->at[i - limit] < length)
            fail_msg("%u requests within %lld ms", limit + 1,
                     (long long)(server->at[i] - server->at[i - limit]));
    }
}

static int by_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

struct open_request {
    int64_t ends;
    bool used;
};

/* One life: sends whenever it may, with random latency; ends by a crash. What it left behind is in times. */
static int64_t live(struct server *server, uint32_t burst, uint32_t steady, int64_t now, mono_time *times,
                    size_t *n)
{
    struct budget *budget = new_budget(burst, steady);
    struct open_request open[8] = {0};
    int64_t death = now + (int64_t)draw(90000);
    uint32_t covered = 0;
    assert_true(budget_import(budget, (mono_time){now}, times, *n));
    while (now < death) {
        for (size_t i = 0; i < 8; i++) {
            if (open[i].used && open[i].ends <= now) {
                budget_done(budget, (mono_time){open[i].ends}, 200, &no_headers);
                open[i].used = false;
            }
        }
        size_t place = draw(8);
        if (!open[place].used && when(budget, now) <= now) {
            if (covered == 0) {
                covered = (uint32_t)draw(steady) + 1;
                *n = budget_export(budget, (mono_time){now}, covered, times, 4096);
            }
            covered--;
            budget_spend(budget, (mono_time){now});
            int64_t latency = (int64_t)draw(3000) + 1;
            open[place] = (struct open_request){now + latency, true};
            /* What a process that died had sent is on its way still. */
            int64_t arrives = now + (int64_t)draw((uint64_t)latency);
            int64_t last = death + BUDGET_AFTERLIFE;
            server->at[server->n++] = arrives < last ? arrives : last;
        }
        now += 1 + (int64_t)draw(draw(4) ? 20 : 4000);
    }
    budget_free(budget);
    return now;
}

static void test_no_window_is_ever_over(void **state)
{
    (void)state;
    const char *seed = getenv("SEED");
    uint64_t first = seed ? strtoull(seed, NULL, 10) : 1;
    static struct server server;
    static mono_time times[4096];
    for (uint64_t run = first; run < first + 300; run++) {
        chance = run * 0x9e3779b97f4a7c15 + 1;
        uint32_t burst = (uint32_t)draw(5) + 1, steady = burst + (uint32_t)draw(30);
        int64_t now = 0;
        size_t n = 0;
        server.n = 0;
        for (int lives = 0; lives < 8; lives++)
            now = live(&server, burst, steady, now, times, &n);
        qsort(server.at, server.n, sizeof *server.at, by_time);
        if (run == first)
            print_message("first seed %llu\n", (unsigned long long)run);
        check_windows(&server, burst, 1000);
        check_windows(&server, steady, MINUTE);
    }
}

/* The least is for the first seconds only: whoever waits is told to ask again when they are over. */
static void test_the_first_seconds_hold_nobody_for_a_minute(void **state)
{
    (void)state;
    const struct budget_limits limits = {10, 40, 0.5};
    const struct rate_headers headers = {120, 119, 60, -1};
    struct budget *budget = budget_new(&limits);
    mono_time now = {1000000};
    int sent = 0;
    for (; sent < 40 && budget_when(budget, now).ms <= now.ms; sent++) {
        budget_spend(budget, now);
        budget_done(budget, now, 200, &headers);
    }
    assert_true(sent > 0 && sent < 10);
    assert_in_range(budget_when(budget, now).ms - now.ms, 1, 5000);
    assert_in_range(budget_when_reserving(budget, 2, now).ms - now.ms, 1, 5000);
    now = budget_when(budget, now);
    assert_true(budget_when(budget, now).ms <= now.ms);
    budget_free(budget);
}

/* What asks for nothing, or for no time at all, is a second. */
static void test_a_429_is_at_least_a_second(void **state)
{
    (void)state;
    static const int64_t asked[] = {0, 1, 999};
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct budget *budget = new_budget(100, 1000);
        limited(budget, 0, asked[i]);
        assert_int_equal(when(budget, 0), 1000);
        budget_free(budget);
    }
}

/* The wait that was asked for is no stretch of good answers. */
static void test_recovery_begins_behind_the_wait(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 1000);
    limited(budget, 0, 30000);
    one(budget, 30000, 39999);
    assert_int_equal(budget_usage(budget, (mono_time){39999}).steady_now, 500);
    one(budget, 39999, 40000);
    assert_int_equal(budget_usage(budget, (mono_time){40000}).steady_now, 550);
    budget_free(budget);
}

/* 429s in a row are waited for ever longer; those that a good answer parts are not in a row. */
static void test_a_good_answer_ends_the_row_of_429s(void **state)
{
    (void)state;
    struct budget *budget = new_budget(100, 1000);
    limited(budget, 0, -1);
    limited(budget, 1000, -1);
    limited(budget, 3000, -1);
    assert_int_equal(when(budget, 3000), 3000 + 4000);
    one(budget, 7000, 7000);
    limited(budget, 8000, -1);
    assert_int_equal(when(budget, 8000), 8000 + 1000);
    budget_free(budget);
}

/* What a killed process had sent may arrive after the next one began, when a packet was lost and is sent again: that
 * takes a second, so that two are reckoned with. */
static void test_what_a_dead_life_had_open_arrives_late(void **state)
{
    (void)state;
    struct budget *budget = new_budget(1, 1);
    assert_true(budget_import(budget, (mono_time){0}, &MONO_NEVER, 1));
    assert_in_range(when(budget, 0), MINUTE + 2000, MINUTE + 3000);
    budget_free(budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_what_a_ledger_covers),
        cmocka_unit_test(test_the_second),
        cmocka_unit_test(test_the_minute),
        cmocka_unit_test(test_in_flight),
        cmocka_unit_test(test_reserving),
        cmocka_unit_test(test_429),
        cmocka_unit_test(test_429_without_retry_after),
        cmocka_unit_test(test_one_halving_a_round_trip),
        cmocka_unit_test(test_a_wait_outlives_the_process),
        cmocka_unit_test(test_a_halved_share_outlives_the_process),
        cmocka_unit_test(test_a_share_grows_back_over_short_lives),
        cmocka_unit_test(test_a_stored_share_that_cannot_be),
        cmocka_unit_test(test_when_nothing_is_left_all_waits_for_the_reset),
        cmocka_unit_test(test_the_largest_limit_is_as_cheap_as_a_small_one),
        cmocka_unit_test(test_recovery_is_additive),
        cmocka_unit_test(test_others_come_first),
        cmocka_unit_test(test_others_come_first_in_the_first_window_too),
        cmocka_unit_test(test_others_are_not_hidden_by_the_ledger),
        cmocka_unit_test(test_no_yielding_to_ourselves),
        cmocka_unit_test(test_a_hint_that_was_overtaken),
        cmocka_unit_test(test_the_little_that_others_leave),
        cmocka_unit_test(test_the_little_that_is_left_is_found),
        cmocka_unit_test(test_others_show_at_the_end_of_the_first_window),
        cmocka_unit_test(test_the_first_second_of_a_window_tells_nothing),
        cmocka_unit_test(test_what_is_left_is_spent_evenly),
        cmocka_unit_test(test_the_last_quarter_is_spent_evenly),
        cmocka_unit_test(test_nonsense_hints),
        cmocka_unit_test(test_reload_keeps_what_was_spent),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_no_window_is_ever_over),
        cmocka_unit_test(test_the_first_seconds_hold_nobody_for_a_minute),
        cmocka_unit_test(test_a_429_is_at_least_a_second),
        cmocka_unit_test(test_recovery_begins_behind_the_wait),
        cmocka_unit_test(test_a_good_answer_ends_the_row_of_429s),
        cmocka_unit_test(test_what_a_dead_life_had_open_arrives_late),
    };
    return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}
