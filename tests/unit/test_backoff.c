/* backoff: exponential with full jitter, Retry-After in both forms, clamped. */
#include "unit.h"

#include "../../lib/backoff.h"

static void test_ceilings(void **state)
{
    (void)state;
    static const struct backoff_rules rules = {.base = 1000, .cap = 10000};
    static const int64_t ceilings[] = {1000, 2000, 4000, 8000, 10000, 10000};
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(backoff_delay(&rules, i + 1, UINT64_MAX), ceilings[i]);
        assert_int_equal(backoff_delay(&rules, i + 1, 0), 1);
        assert_in_range(backoff_delay(&rules, i + 1, UINT64_MAX / 2), ceilings[i] / 2 - 1,
                        ceilings[i] / 2 + 1);
    }
    assert_int_equal(backoff_delay(&rules, UINT32_MAX, UINT64_MAX), 10000);
    static const struct backoff_rules low = {.base = 5000, .cap = 3000};
    assert_int_equal(backoff_delay(&low, 1, UINT64_MAX), 3000);
    static const struct backoff_rules day = {.base = 86400000, .cap = 86400000};
    assert_int_equal(backoff_delay(&day, 1, UINT64_MAX), 86400000);
}

static void test_retry_after(void **state)
{
    (void)state;
    static const wall_time now = {784111777000}; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        {"0", 0},
        {"1", 1000},
        {"  5\t", 5000},
        {"\t5 ", 5000},
        {" \t ", -1},
        {"120", 120000},
        {"99999999999999999999999999", 600000},
        {"601", 600000},
        {"Sun, 06 Nov 1994 08:49:47 GMT", 10000},
        {"Sun, 06 Nov 1994 08:49:27 GMT", 0},
        {"Sun, 06 Nov 2094 08:49:27 GMT", 600000}, /* servers get weekdays wrong; the date is what counts */
        {"-1", -1},
        {"1.5", -1},
        {"1e9", -1},
        {"", -1},
        {"soon", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = -1;
        bool fine = retry_after_parse(cases[i].text, strlen(cases[i].text), now, 600000, &ms);
        int64_t expected = cases[i].ms;
        if (fine != (expected >= 0) || ms != expected)
            fail_msg("\"%s\": %lld", cases[i].text, (long long)ms);
    }
}

/* A date says how long only beside the server's own clock. */
static void test_a_date_needs_a_clock(void **state)
{
    (void)state;
    static const char date[] = "Sun, 06 Nov 1994 08:49:47 GMT";
    int64_t ms = -1;
    assert_false(retry_after_parse(date, strlen(date), WALL_NONE, 600000, &ms));
    assert_false(retry_after_parse(date, strlen(date), (wall_time){INT64_MIN + 1}, 600000, &ms));
    assert_int_equal(ms, -1);
    assert_true(retry_after_parse("7", 1, WALL_NONE, 600000, &ms));
    assert_int_equal(ms, 7000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ceilings), cmocka_unit_test(test_retry_after),
                                       cmocka_unit_test(test_a_date_needs_a_clock)};
    return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
