/* condition: begun once, reminded, over once. */
#include "unit.h"

#include "../../lib/condition.h"

static struct now at(int64_t ms)
{
    return (struct now){{ms}, {1700000000000 + ms}};
}

static void test_life(void **state)
{
    (void)state;
    struct condition c = {.kind = EVENT_API_UNREACHABLE};
    char first[128], again[128];
    assert_int_equal(condition_end(&c), CONDITION_QUIET);
    assert_int_equal(condition_hold(&c, (mono_time){1000}, "refused", 5, at(3000), 10000), CONDITION_BEGAN);
    assert_int_equal(c.since_wall.ms, 1700000000000 + 1000);
    condition_distinct(&c, first, sizeof first);
    assert_int_equal(condition_hold(&c, (mono_time){1000}, "refused", 5, at(12999), 10000), CONDITION_QUIET);
    assert_int_equal(condition_hold(&c, (mono_time){1000}, "refused", 5, at(13000), 10000),
                     CONDITION_REMINDED);
    condition_distinct(&c, again, sizeof again);
    assert_string_not_equal(first, again);
    /* After a long sleep: one reminder. */
    assert_int_equal(condition_hold(&c, (mono_time){1000}, "", 5, at(10000000), 10000), CONDITION_REMINDED);
    assert_int_equal(condition_hold(&c, (mono_time){1000}, "", 5, at(10000001), 10000), CONDITION_QUIET);
    assert_int_equal(condition_end(&c), CONDITION_OVER);
    assert_int_equal(condition_end(&c), CONDITION_QUIET);
}

static void test_no_reminders(void **state)
{
    (void)state;
    struct condition c = {.kind = EVENT_API_SCHEMA};
    assert_int_equal(condition_hold(&c, (mono_time){0}, "x", 0, at(0), 0), CONDITION_BEGAN);
    assert_int_equal(condition_hold(&c, (mono_time){0}, "x", 0, at(INT64_MAX / 4), 0), CONDITION_QUIET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_life), cmocka_unit_test(test_no_reminders)};
    return cmocka_run_group_tests_name("condition", tests, NULL, NULL);
}
