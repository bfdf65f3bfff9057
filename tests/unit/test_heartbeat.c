/* heartbeat: when the watch is well, and when a dead man's switch hears of it. */
#include "unit.h"

#include "../../lib/heartbeat.h"

#include <stdlib.h>

#define PATIENCE 120000
#define PACE     60000

static enum heartbeat_sight judge(bool refused, int64_t trouble_since, int64_t swept, bool has_swept,
                                  int64_t now)
{
    struct heartbeat_view view = {
        .refused = refused, .trouble_since = {trouble_since}, .swept = {swept}, .pace = PACE};
    return heartbeat_judge(&view, has_swept, PATIENCE, (mono_time){now});
}

static void test_sight(void **state)
{
    const int64_t never = MONO_NEVER.ms, late = 3 * PACE + PATIENCE;
    (void)state;
    assert_int_equal(judge(false, never, 1000, false, 1000), SIGHT_UNKNOWN);
    assert_int_equal(judge(false, never, 1000, true, 1000), SIGHT_GOOD);
    assert_int_equal(judge(true, never, 1000, true, 1000), SIGHT_BAD);
    /* A blip is no trouble yet. */
    assert_int_equal(judge(false, 5000, 4000, true, 5000 + PATIENCE - 1), SIGHT_GOOD);
    assert_int_equal(judge(false, 5000, 4000, true, 5000 + PATIENCE), SIGHT_BAD);
    /* Without a word of trouble, sweeps that do not come are trouble; also when there was none yet. */
    assert_int_equal(judge(false, never, 1000, true, 1000 + late), SIGHT_GOOD);
    assert_int_equal(judge(false, never, 1000, true, 1001 + late), SIGHT_BAD);
    assert_int_equal(judge(false, never, 1000, false, 1001 + late), SIGHT_BAD);
}

static void test_rhythm(void **state)
{
    struct heartbeat_rhythm rhythm = {0};
    (void)state;
    assert_true(heartbeat_is_due(&rhythm, true, 100, (mono_time){5}));
    assert_false(heartbeat_is_due(&rhythm, true, 100, (mono_time){104}));
    assert_true(heartbeat_is_due(&rhythm, true, 100, (mono_time){105}));
    /* A change at once, both ways. */
    assert_true(heartbeat_is_due(&rhythm, false, 100, (mono_time){106}));
    assert_false(heartbeat_is_due(&rhythm, false, 100, (mono_time){107}));
    assert_true(heartbeat_is_due(&rhythm, true, 100, (mono_time){108}));
    /* One that did not arrive comes again sooner, never later. */
    heartbeat_missed(&rhythm, 10, (mono_time){120});
    assert_false(heartbeat_is_due(&rhythm, true, 100, (mono_time){129}));
    assert_true(heartbeat_is_due(&rhythm, true, 100, (mono_time){130}));
    heartbeat_missed(&rhythm, 500, (mono_time){131});
    assert_true(heartbeat_is_due(&rhythm, true, 100, (mono_time){230}));
    /* After a long sleep: one. */
    assert_true(heartbeat_is_due(&rhythm, true, 100, (mono_time){100000}));
    assert_false(heartbeat_is_due(&rhythm, true, 100, (mono_time){100001}));
}

static void test_url(void **state)
{
    static const struct {
        const char *url, *fail;
    } cases[] = {
        {"https://h/uuid", "https://h/uuid/fail"},
        {"https://h/uuid/", "https://h/uuid/fail"},
        {"https://h", "https://h/fail"},
        {"https://h/uuid?rid=1", "https://h/uuid/fail?rid=1"},
        {"https://h?a=/b/", "https://h/fail?a=/b/"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *good = heartbeat_url(cases[i].url, true), *fail = heartbeat_url(cases[i].url, false);
        assert_string_equal(good, cases[i].url);
        assert_string_equal(fail, cases[i].fail);
        free(good);
        free(fail);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sight),
        cmocka_unit_test(test_rhythm),
        cmocka_unit_test(test_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
