/* condition: begun once, reminded, over once. */
#include "unit.h"

#include "../../lib/condition.h"

static struct now at(int64_t ms)
{
    return (struct now){{ms}, {1700000000000 + ms}};
}

/* The id is that of the distinct text, which must not change: other versions of the program tell the same under it. */
static void expect_id(const struct condition *c, enum condition_news news, const char *distinct)
{
    struct event *event = condition_event(c, news, c->kind, (wall_time){0}, "main", "", "note", 7);
    struct event *same = event_new(c->kind, (wall_time){0}, "main", "", NULL, distinct);
    assert_true(event && same);
    assert_string_equal(event->id, same->id);
    assert_string_equal(event->note, "note");
    assert_int_equal(event->figure, 7);
    assert_int_equal(event->reminder, news == CONDITION_REMINDED);
    event_free(event);
    event_free(same);
}

static void test_life(void **state)
{
    (void)state;
    struct condition c = {.kind = EVENT_API_UNREACHABLE};
    assert_int_equal(condition_end(&c), CONDITION_QUIET);
    assert_int_equal(condition_hold(&c, (mono_time){1000}, "refused", 5, at(3000), 10000), CONDITION_BEGAN);
    assert_int_equal(c.since_wall.ms, 1700000000000 + 1000);
    expect_id(&c, CONDITION_BEGAN, "since=1700000001000 n=0");
    assert_int_equal(condition_hold(&c, (mono_time){1000}, "refused", 5, at(12999), 10000), CONDITION_QUIET);
    assert_int_equal(condition_hold(&c, (mono_time){1000}, "refused", 5, at(13000), 10000),
                     CONDITION_REMINDED);
    expect_id(&c, CONDITION_REMINDED, "since=1700000001000 n=1");
    expect_id(&c, CONDITION_OVER, "since=1700000001000 n=1 over");
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
