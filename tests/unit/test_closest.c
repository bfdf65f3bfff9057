/* closest: what was probably meant. */
#include "unit.h"

#include "../../lib/closest.h"

static void test_closest(void **state)
{
    (void)state;
    static const char *const words[] = {"run", "once", "check", "status", "events"};
    static const struct {
        const char *word, *expected;
    } cases[] = {{"staus", "status"}, {"chekc", "check"}, {"event", "events"}, {"rnu", "run"},
                 {"once", "once"},    {"", NULL},         {"xyzzy", NULL},     {"ran", "run"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *got = closest(cases[i].word, words, 5);
        if (!cases[i].expected)
            assert_null(got);
        else
            assert_string_equal(got ? got : "nothing", cases[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_closest)};
    return cmocka_run_group_tests_name("closest", tests, NULL, NULL);
}
