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

/* What is far longer than any word we have is not compared. */
static void test_long_words(void **state)
{
    (void)state;
    char longest[65], too_long[66];
    memset(longest, 'a', sizeof longest);
    memset(too_long, 'a', sizeof too_long);
    longest[63] = too_long[64] = '\0';
    const char *const words[] = {too_long, "on"};
    assert_null(closest(too_long, words, 2));
    assert_null(closest(longest, words, 2));
    assert_string_equal(closest("in", words, 2), "on"); /* of a short word one letter may be wrong */
    const char *const itself[] = {longest};
    assert_ptr_equal(closest(longest, itself, 1), longest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_closest), cmocka_unit_test(test_long_words)};
    return cmocka_run_group_tests_name("closest", tests, NULL, NULL);
}
