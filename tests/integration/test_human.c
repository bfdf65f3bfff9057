/* human: numbers, spans and rates as people read them. time_option: times as people type them. */
#include "../unit/unit.h"

#include "../../daemon/human.h"
#include "../../daemon/time_option.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* 2026-11-24 09:00:00.123 UTC, half past two by the local clock. */
static const wall_time now = {1795510800123};

static void test_spans(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{-5, "0s"},       {0, "0s"},
                 {999, "0s"},      {59999, "59s"},
                 {MINUTE, "1m"},   {3 * MINUTE + 20 * SECOND, "3m 20s"},
                 {2 * HOUR, "2h"}, {2 * HOUR + 5 * MINUTE, "2h 5m"},
                 {3 * DAY, "3d"},  {3 * DAY + 4 * HOUR, "3d 4h"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[HUMAN_SIZE];
        assert_string_equal(human_span(cases[i].ms, out), cases[i].text);
    }
}

static void test_distances(void **state)
{
    char out[HUMAN_SIZE];
    (void)state;
    assert_string_equal(human_distance(WALL_NONE, now, out), "never");
    assert_string_equal(human_distance((wall_time){now.ms - 999}, now, out), "now");
    assert_string_equal(human_distance((wall_time){now.ms + 999}, now, out), "now");
    assert_string_equal(human_distance((wall_time){now.ms - 90 * SECOND}, now, out), "1m 30s ago");
    assert_string_equal(human_distance((wall_time){now.ms + DAY}, now, out), "in 1d");
}

static void test_rates(void **state)
{
    static const struct {
        double per_second;
        const char *text;
    } cases[] = {{1234.6, "1,235/s"}, {10, "10/s"},        {9.94, "9.9/s"}, {1, "1.0/s"},
                 {0.5, "30/min"},     {1.0 / 60, "1/min"}, {0.01, "36/h"},  {0.0001, "0/h"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[HUMAN_SIZE];
        assert_string_equal(human_rate(cases[i].per_second, out), cases[i].text);
    }
}

static void test_times(void **state)
{
    struct terminal utc = {.utc = true}, local = {0};
    char out[HUMAN_SIZE];
    (void)state;
    assert_string_equal(human_time(&utc, WALL_NONE, true, out), "");
    assert_string_equal(human_time(&utc, now, true, out), "2026-11-24 09:00:00.123Z");
    assert_string_equal(human_time(&utc, now, false, out), "2026-11-24 09:00:00Z");
    assert_string_equal(human_time(&utc, (wall_time){-1}, true, out), "1969-12-31 23:59:59.999Z");
    assert_string_equal(human_time(&local, now, false, out), "2026-11-24 14:30:00");
    /* As a damaged state file may have them. */
    assert_string_equal(human_time(&utc, (wall_time){INT64_MAX}, false, out), "292278994-08-17 07:12:55Z");
    assert_string_equal(human_time(&utc, (wall_time){INT64_MIN + 1}, false, out),
                        "-292275055-05-16 16:47:04Z");
}

/* What is typed, and the time that it means by UTC; "": refused. */
static void test_typed_times(void **state)
{
    static const struct {
        const char *typed, *utc, *local;
    } cases[] = {
        {"now", "2026-11-24T09:00:00.123Z", "2026-11-24T09:00:00.123Z"},
        {"today", "2026-11-24T00:00:00.000Z", "2026-11-23T18:30:00.000Z"},
        {"yesterday", "2026-11-23T00:00:00.000Z", "2026-11-22T18:30:00.000Z"},
        {"30s", "2026-11-24T08:59:30.123Z", "2026-11-24T08:59:30.123Z"},
        {"5m", "2026-11-24T08:55:00.123Z", "2026-11-24T08:55:00.123Z"},
        {"2h", "2026-11-24T07:00:00.123Z", "2026-11-24T07:00:00.123Z"},
        {"3d", "2026-11-21T09:00:00.123Z", "2026-11-21T09:00:00.123Z"},
        {"1w", "2026-11-17T09:00:00.123Z", "2026-11-17T09:00:00.123Z"},
        {"08:30", "2026-11-24T08:30:00.000Z", "2026-11-24T03:00:00.000Z"},
        {"08:30:15.5", "2026-11-24T08:30:15.500Z", "2026-11-24T03:00:15.500Z"},
        {"2026-11-20", "2026-11-20T00:00:00.000Z", "2026-11-19T18:30:00.000Z"},
        {"2026-11-20 08:30", "2026-11-20T08:30:00.000Z", "2026-11-20T03:00:00.000Z"},
        {"2026-11-20T08:30:15.1239", "2026-11-20T08:30:15.123Z", "2026-11-20T03:00:15.123Z"},
        {"2026-11-20T08:30:15Z", "2026-11-20T08:30:15.000Z", "2026-11-20T08:30:15.000Z"},
        {"2026-11-20T08:30:15+01:00", "2026-11-20T07:30:15.000Z", "2026-11-20T07:30:15.000Z"},
        {"", "", ""},
        {"5", "", ""},
        {"5y", "", ""},
        {"5mm", "", ""},
        {"-5m", "", ""},
        {"100001s", "", ""},
        {"08:30:15.", "", ""},
        {"08:30:15.5x", "", ""},
        {"08:30:15,5", "", ""},
        {"25:00", "", ""},
        {"2026-13-01", "", ""},
        {"tomorrow", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int utc = 0; utc < 2; utc++) {
            wall_time at = WALL_NONE;
            char out[WALL_TEXT_SIZE];
            const char *expected = utc ? cases[i].utc : cases[i].local;
            bool fine = time_option_parse(cases[i].typed, now, utc, &at);
            if (fine != (expected[0] != '\0') || (fine && strcmp(wall_format(at, out), expected) != 0))
                fail_msg("\"%s\"%s: %s", cases[i].typed, utc ? " by UTC" : "", fine ? out : "refused");
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spans), cmocka_unit_test(test_distances),   cmocka_unit_test(test_rates),
        cmocka_unit_test(test_times), cmocka_unit_test(test_typed_times),
    };
    setenv("TZ", "IST-5:30", 1);
    tzset();
    return cmocka_run_group_tests_name("human", tests, NULL, NULL);
}
