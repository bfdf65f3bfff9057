/* sweep: a walk through pages always ends, and is whole only if nothing is odd. */
#include "unit.h"

#include "../../lib/sweep.h"

#include <stdio.h>

static const mono_time now = {5000};

static struct page page_with(enum page_next next, char *cursor)
{
    return (struct page){.next = next, .next_cursor = cursor};
}

static enum sweep_step feed(struct sweep *sweep, enum page_next next, const char *cursor, size_t unseen)
{
    char text[64] = "";
    if (cursor)
        snprintf(text, sizeof text, "%s", cursor);
    struct page page = page_with(next, cursor ? text : NULL);
    return sweep_page(sweep, &page, unseen, 0);
}

static void test_active_walks_queued_then_processing(void **state)
{
    (void)state;
    struct sweep sweep = {0};
    sweep_begin(&sweep, SWEEP_ACTIVE, false, 1, now);
    assert_int_equal(sweep.list, LIST_QUEUED);
    assert_int_equal(feed(&sweep, NEXT_CURSOR, "a", 100), STEP_MORE);
    assert_string_equal(sweep.cursor, "a");
    assert_int_equal(feed(&sweep, NEXT_NONE, NULL, 3), STEP_MORE);
    assert_int_equal(sweep.list, LIST_PROCESSING);
    assert_null(sweep.cursor);
    /* The other list may use the same cursors. */
    assert_int_equal(feed(&sweep, NEXT_CURSOR, "a", 100), STEP_MORE);
    assert_int_equal(feed(&sweep, NEXT_NONE, NULL, 1), STEP_WHOLE);
    assert_false(sweep.running);
    assert_true(sweep_is_consistent(&sweep));
    sweep_end(&sweep);
}

static void test_any_filter_is_one_list(void **state)
{
    (void)state;
    struct sweep sweep = {0};
    sweep_begin(&sweep, SWEEP_ACTIVE, true, 1, now);
    assert_int_equal(sweep.list, LIST_IN_PROGRESS);
    assert_int_equal(feed(&sweep, NEXT_NONE, NULL, 0), STEP_WHOLE);
}

static void test_head_is_one_page(void **state)
{
    (void)state;
    struct sweep sweep = {0};
    sweep_begin(&sweep, SWEEP_HEAD, false, 1, now);
    assert_int_equal(feed(&sweep, NEXT_CURSOR, "more", 100), STEP_WHOLE);
}

static void test_repeated_cursor_breaks(void **state)
{
    (void)state;
    struct sweep sweep = {0};
    char cursor[32];
    sweep_begin(&sweep, SWEEP_FULL, false, 1, now);
    for (int i = 0; i < 5000; i++) {
        snprintf(cursor, sizeof cursor, "c%d", i);
        assert_int_equal(feed(&sweep, NEXT_CURSOR, cursor, 1), STEP_MORE);
    }
    assert_int_equal(feed(&sweep, NEXT_CURSOR, "c17", 1), STEP_BROKEN);
    assert_non_null(sweep.why);
    assert_false(sweep.running);
}

static void test_unusable_next_breaks(void **state)
{
    (void)state;
    struct sweep sweep = {0};
    sweep_begin(&sweep, SWEEP_FULL, false, 1, now);
    assert_int_equal(feed(&sweep, NEXT_UNUSABLE, NULL, 1), STEP_BROKEN);
}

static void test_endless_list_of_the_same_breaks(void **state)
{
    (void)state;
    struct sweep sweep = {0};
    char cursor[32];
    int pages = 0;
    enum sweep_step step = STEP_MORE;
    sweep_begin(&sweep, SWEEP_FULL, false, 1, now);
    for (; step == STEP_MORE; pages++) {
        snprintf(cursor, sizeof cursor, "c%d", pages);
        step = feed(&sweep, NEXT_CURSOR, cursor, pages == 0 ? 100 : 0);
    }
    assert_int_equal(step, STEP_BROKEN);
    assert_int_equal(pages, SWEEP_MAX_STALE_PAGES + 1);
}

static void test_malformed_entries_make_it_inconsistent(void **state)
{
    (void)state;
    struct sweep sweep = {0};
    struct page page = {.next = NEXT_NONE, .n_malformed = 1};
    sweep_begin(&sweep, SWEEP_FULL, false, 1, now);
    assert_int_equal(sweep_page(&sweep, &page, 5, 5), STEP_WHOLE);
    assert_false(sweep_is_consistent(&sweep));
}

static void test_order_is_learned(void **state)
{
    (void)state;
    struct job newest_first[] = {{.created_at = {300}}, {.created_at = {200}}, {.created_at = {200}}};
    struct job mixed[] = {{.created_at = {100}}, {.created_at = {150}}};
    struct sweep sweep = {0};
    struct page page = {.next = NEXT_NONE, .jobs = newest_first, .n_jobs = 3};
    sweep_begin(&sweep, SWEEP_FULL, false, 1, now);
    sweep_page(&sweep, &page, 3, 3);
    assert_true(sweep.newest_first);
    sweep_begin(&sweep, SWEEP_FULL, false, 1, now);
    page.jobs = mixed;
    page.n_jobs = 2;
    sweep_page(&sweep, &page, 2, 3);
    assert_false(sweep.newest_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_active_walks_queued_then_processing),
        cmocka_unit_test(test_any_filter_is_one_list),
        cmocka_unit_test(test_head_is_one_page),
        cmocka_unit_test(test_repeated_cursor_breaks),
        cmocka_unit_test(test_unusable_next_breaks),
        cmocka_unit_test(test_endless_list_of_the_same_breaks),
        cmocka_unit_test(test_malformed_entries_make_it_inconsistent),
        cmocka_unit_test(test_order_is_learned),
    };
    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
