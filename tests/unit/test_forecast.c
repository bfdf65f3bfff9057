/* forecast: the estimate in `check --online`, by hand. */
#include "unit.h"

#include "../../lib/forecast.h"

static struct forecast_input input(uint64_t jobs, uint64_t queued, uint64_t processing)
{
    return (struct forecast_input){.jobs = jobs,
                                   .queued = queued,
                                   .processing = processing,
                                   .interval = 10000,
                                   .idle_interval = 60000,
                                   .full_sweep_interval = 600000};
}

static void test_two_lists(void **state)
{
    (void)state;
    struct forecast_input jobs = input(1240, 2, 35);
    struct forecast seen = forecast_of(family_find("catalog-category-bulk-delete-job"), &jobs);
    assert_int_equal(seen.active_requests, 2);
    assert_int_equal(seen.active_every, 10000);
    assert_int_equal(seen.full_requests, 13);
    assert_false(seen.head);
    /* 2 requests six times a minute, 13 once in ten. */
    assert_true(seen.per_minute > 13.29 && seen.per_minute < 13.31);
}

static void test_one_list_and_a_head_page(void **state)
{
    (void)state;
    struct forecast_input jobs = input(0, 101, 100);
    struct forecast seen = forecast_of(family_find("profile-bulk-import-job"), &jobs);
    assert_int_equal(seen.active_requests, 3);
    assert_true(seen.head);
    assert_int_equal(seen.full_requests, 1);
    assert_true(seen.per_minute > 24.09 && seen.per_minute < 24.11);
}

static void test_idle(void **state)
{
    (void)state;
    struct forecast_input jobs = input(100, 0, 0);
    struct forecast seen = forecast_of(family_find("catalog-item-bulk-create-job"), &jobs);
    assert_int_equal(seen.active_requests, 2);
    assert_int_equal(seen.active_every, 60000);
    assert_int_equal(seen.full_requests, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_two_lists),
        cmocka_unit_test(test_one_list_and_a_head_page),
        cmocka_unit_test(test_idle),
    };
    return cmocka_run_group_tests_name("forecast", tests, NULL, NULL);
}
