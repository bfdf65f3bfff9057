/* plan: order of worth, due times, back-off, no bursts. */
#include "unit.h"

#include "../../lib/plan.h"

static const struct plan_rules rules = {
    .interval = 10000, .idle_interval = 60000, .full_sweep_interval = 600000, .head_pages = true};

static struct plan_step next(const struct plan *plan, struct plan_view view, int64_t now)
{
    return plan_next(plan, &view, (mono_time){now});
}

static struct plan fresh(int64_t now)
{
    struct plan plan;
    plan_init(&plan, &rules, (mono_time){now}, 0);
    return plan;
}

static void test_active_first_then_full(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    assert_int_equal(next(&plan, (struct plan_view){0}, 0).action, PLAN_ACTIVE);
    assert_int_equal(next(&plan, (struct plan_view){.active = CHAIN_WAITING}, 0).action, PLAN_FULL);
    assert_int_equal(next(&plan, (struct plan_view){.active = CHAIN_WAITING, .looks = 1}, 0).action,
                     PLAN_LOOK);
    struct plan_step step =
        next(&plan, (struct plan_view){.active = CHAIN_WAITING, .full = CHAIN_WAITING}, 0);
    assert_int_equal(step.action, PLAN_WAIT);
    assert_int_equal(step.at.ms, 10000); /* the head page */
    assert_false(step.starved);
}

static void test_budget_holds_back_only_what_is_due(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    struct plan_step step = next(&plan, (struct plan_view){.budget_at = {700}, .budget_full_at = {700}}, 0);
    assert_int_equal(step.action, PLAN_WAIT);
    assert_int_equal(step.at.ms, 700);
    assert_true(step.starved);
    plan_active_over(&plan, (mono_time){0}, (mono_time){10}, true);
    plan_full_over(&plan, (mono_time){0}, (mono_time){10}, true);
    step = next(&plan, (struct plan_view){.budget_at = {700}, .budget_full_at = {700}}, 20);
    assert_int_equal(step.at.ms, 10000);
    assert_false(step.starved);
}

/* The head page is the first to wait: what it would take, the next active sweep needs. */
static void test_a_head_page_leaves_the_next_active_sweep_its_budget(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    plan_active_over(&plan, (mono_time){5000}, (mono_time){5100}, true);
    plan_full_over(&plan, (mono_time){0}, (mono_time){10}, true);
    struct plan_view view = {.budget_head_at = {13000}};
    struct plan_step step = next(&plan, view, 10000);
    assert_int_equal(step.action, PLAN_WAIT);
    assert_false(step.starved);
    view.looks = 1;
    assert_int_equal(next(&plan, view, 10000).action, PLAN_LOOK);
    view = (struct plan_view){0};
    assert_int_equal(next(&plan, view, 10000).action, PLAN_HEAD);
}

static void test_due_times_count_from_the_beginning(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    plan_active_over(&plan, (mono_time){1000}, (mono_time){1400}, true);
    assert_int_equal(plan.active_due.ms, 11000);
    plan_active_over(&plan, (mono_time){1000}, (mono_time){1400}, false);
    assert_int_equal(plan.active_due.ms, 61000);
    /* After a week asleep: one sweep now, not 60,480 of them. */
    plan_active_over(&plan, (mono_time){1000}, (mono_time){604800000}, true);
    assert_int_equal(plan.active_due.ms, 604800000);
}

static void test_full_sweep_is_not_starved(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    struct plan_view view = {.active = CHAIN_READY, .full = CHAIN_READY, .looks = 3};
    int full = 0;
    for (int i = 0; i < 600; i++) {
        enum plan_action action = next(&plan, view, 0).action;
        full += action == PLAN_FULL;
        plan_sent(&plan, &view, action, (mono_time){0});
    }
    assert_int_equal(full, 600 / PLAN_FULL_TURN);
}

static void test_an_endless_active_sweep_starves_nobody(void **state)
{
    (void)state;
    /* So little budget that the next active sweep is due before the last one is over: looks and the full sweep come all the same. */
    struct plan plan = fresh(0);
    int looks = 0, full = 0;
    for (int i = 0; i < 60; i++) {
        struct plan_view view = {.active = i % 2 ? CHAIN_READY : CHAIN_IDLE, .looks = looks < 5 ? 1 : 0};
        enum plan_action action = next(&plan, view, 0).action;
        looks += action == PLAN_LOOK;
        full += action == PLAN_FULL;
        plan_sent(&plan, &view, action, (mono_time){0});
    }
    assert_int_equal(looks, 5);
    assert_int_equal(full, 60 / PLAN_FULL_TURN);
}

static void test_a_full_sweep_leaves_room(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    assert_int_equal(plan_reserve(&plan, 2, 350), 3 * 6 + 35);
    /* However much the rest would need, the full sweep keeps its turn. */
    assert_int_equal(plan_reserve(&plan, 1000, 60), 50);
    struct plan_view view = {.active = CHAIN_WAITING, .full = CHAIN_READY, .budget_full_at = {4000}};
    struct plan_step step = next(&plan, view, 0);
    assert_int_equal(step.action, PLAN_WAIT);
    assert_int_equal(step.at.ms, 4000);
    assert_false(step.starved);
    view.active = CHAIN_READY;
    assert_int_equal(next(&plan, view, 0).action, PLAN_ACTIVE);
}

static void test_many_left_jobs_are_answered_by_a_sweep(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    plan_active_over(&plan, (mono_time){0}, (mono_time){10}, true);
    plan_full_over(&plan, (mono_time){0}, (mono_time){10}, true);
    struct plan_view view = {.looks = 5, .looks_left = 5, .full_pages_left = 5};
    assert_int_equal(next(&plan, view, 20).action, PLAN_LOOK);
    view.looks = view.looks_left = 6;
    assert_int_equal(next(&plan, view, 20).action, PLAN_FULL);
    /* Looks that a sweep cannot answer go on. */
    view.looks = 7;
    assert_int_equal(next(&plan, view, 20).action, PLAN_LOOK);
    /* While it does not know the size of a sweep, it looks. */
    view = (struct plan_view){.looks = 600, .looks_left = 600};
    assert_int_equal(next(&plan, view, 20).action, PLAN_LOOK);
}

static void test_many_left_jobs_are_answered_by_a_part_of_the_list(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    plan_active_over(&plan, (mono_time){0}, (mono_time){10}, true);
    plan_full_over(&plan, (mono_time){0}, (mono_time){10}, true);
    struct plan_view view = {
        .looks = 20, .looks_left = 18, .looks_head = 15, .head_pages_left = 3, .full_pages_left = 100};
    assert_int_equal(plan_way(&view), WAY_HEAD);
    /* Long before its time, and before the looks that only a look answers, unless these are fewer. */
    assert_int_equal(next(&plan, view, 20).action, PLAN_HEAD);
    view.looks = 18;
    assert_int_equal(next(&plan, view, 20).action, PLAN_LOOK);
    view.head = CHAIN_WAITING;
    assert_int_equal(next(&plan, view, 20).action, PLAN_LOOK);
    /* The others wait for it. */
    view.looks = view.looks_left = view.looks_head;
    assert_int_equal(next(&plan, view, 20).action, PLAN_WAIT);
    /* When it saves less than the whole list, that is read; when it saves nothing, they are looked at. */
    view.head = CHAIN_IDLE;
    view.full_pages_left = 2;
    assert_int_equal(next(&plan, view, 20).action, PLAN_FULL);
    view = (struct plan_view){.looks = 3, .looks_left = 3, .looks_head = 3, .head_pages_left = 3};
    assert_int_equal(next(&plan, view, 20).action, PLAN_LOOK);
}

/* Where the plan is behind, pages are read for fewer looks than they cost. */
static void test_behind_the_list_is_worth_more(void **state)
{
    (void)state;
    struct plan_view view = {.looks = 4, .looks_left = 4, .looks_head = 4, .head_pages_left = 6};
    assert_int_equal(plan_way(&view), WAY_LOOKS);
    view.behind = true;
    assert_int_equal(plan_way(&view), WAY_HEAD);
    view.head_pages_left = 8;
    assert_int_equal(plan_way(&view), WAY_LOOKS);
}

/* A walk begins when the active sweep would, and in its place. */
static void test_a_walk_takes_the_place_of_the_active_sweep(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    plan_active_over(&plan, (mono_time){0}, (mono_time){10}, true);
    plan_full_over(&plan, (mono_time){0}, (mono_time){10}, true);
    struct plan_view view = {.walks = true, .behind = true};
    assert_int_equal(plan_way(&view), WAY_HEAD);
    struct plan_step step = next(&plan, view, 20);
    assert_int_equal(step.action, PLAN_WAIT);
    assert_int_equal(step.at.ms, 10000);
    assert_int_equal(next(&plan, view, 10000).action, PLAN_HEAD);
    /* It goes on at once, and no active sweep beside it. */
    plan_active_over(&plan, (mono_time){10000}, (mono_time){10010}, true);
    view.head = CHAIN_READY;
    assert_int_equal(next(&plan, view, 10020).action, PLAN_HEAD);
    view.head = CHAIN_WAITING;
    assert_int_equal(next(&plan, view, 20010).action, PLAN_WAIT);
}

/* While the budget binds, an active sweep that is due does not push in behind what left, nor do errors and head pages
 * behind an active sweep, only because a request is on its way. */
static void test_a_scarce_budget_is_spent_in_order(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    plan_full_over(&plan, (mono_time){0}, (mono_time){10}, true);
    struct plan_view view = {.looks_in_flight = 1};
    assert_int_equal(next(&plan, view, 20).action, PLAN_ACTIVE);
    view.budget_full_at = (mono_time){4000};
    assert_int_equal(next(&plan, view, 20).action, PLAN_WAIT);
    view.looks_in_flight = 0;
    assert_int_equal(next(&plan, view, 20).action, PLAN_ACTIVE);
    view.active = CHAIN_WAITING;
    view.looks = view.looks_errors = 1;
    assert_int_equal(next(&plan, view, 20).action, PLAN_WAIT);
    plan_active_over(&plan, (mono_time){0}, (mono_time){20}, true);
    view.active = CHAIN_IDLE;
    assert_int_equal(next(&plan, view, 20).action, PLAN_LOOK);
}

static void test_errors_alone_come_behind_news(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    struct plan_view view = {.looks = 2, .looks_errors = 2};
    assert_int_equal(next(&plan, view, 0).action, PLAN_ACTIVE);
    view.active = CHAIN_WAITING;
    assert_int_equal(next(&plan, view, 0).action, PLAN_LOOK);
    view = (struct plan_view){.looks = 2, .looks_errors = 1};
    assert_int_equal(next(&plan, view, 0).action, PLAN_LOOK);
}

static void test_the_first_full_sweep_is_worth_more(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    struct plan_view view = {.active = CHAIN_READY, .full = CHAIN_READY, .first_full = true};
    int full = 0;
    for (int i = 0; i < 60; i++) {
        enum plan_action action = next(&plan, view, 0).action;
        full += action == PLAN_FULL;
        plan_sent(&plan, &view, action, (mono_time){0});
    }
    assert_int_equal(full, 60 / PLAN_FIRST_TURN);
}

static void test_nothing_before_the_back_off_is_over(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    plan_failed(&plan, (mono_time){0}, false, UINT64_MAX);
    assert_in_range(plan.retry_at.ms, 1, 1000);
    for (int i = 0; i < 40; i++)
        plan_failed(&plan, (mono_time){0}, false, UINT64_MAX);
    assert_in_range(plan.retry_at.ms, 50000, 60000);
    struct plan_step step = next(&plan, (struct plan_view){.looks = 1}, 0);
    assert_int_equal(step.action, PLAN_WAIT);
    assert_int_equal(step.at.ms, plan.retry_at.ms);
    plan_good(&plan);
    assert_int_equal(plan.failures, 0);
    plan = fresh(0);
    plan_failed(&plan, (mono_time){0}, true, 0);
    assert_int_equal(plan.retry_at.ms, 60000);
}

static void test_once_ends(void **state)
{
    (void)state;
    struct plan_rules once = rules;
    once.once = true;
    once.head_pages = false;
    struct plan plan;
    plan_init(&plan, &once, (mono_time){0}, 0);
    assert_int_equal(next(&plan, (struct plan_view){0}, 0).action, PLAN_FULL);
    plan_full_over(&plan, (mono_time){0}, (mono_time){5}, true);
    struct plan_step step = next(&plan, (struct plan_view){0}, 5);
    assert_int_equal(step.action, PLAN_WAIT);
    assert_true(step.at.ms == MONO_NEVER.ms);
}

static void test_reload_brings_due_times_nearer(void **state)
{
    (void)state;
    struct plan plan = fresh(0);
    plan_active_over(&plan, (mono_time){0}, (mono_time){0}, false);
    assert_int_equal(plan.active_due.ms, 60000);
    struct plan_rules faster = rules;
    faster.interval = 2000;
    plan_set_rules(&plan, &faster, (mono_time){1000});
    assert_int_equal(plan.active_due.ms, 3000);
}

/* However rarely an account without work is asked, the end of an outage is noticed within a minute. */
static void test_a_long_idle_interval_stretches_no_outage(void **state)
{
    (void)state;
    struct plan_rules lazy = rules;
    lazy.idle_interval = 86400000;
    struct plan plan;
    plan_init(&plan, &lazy, (mono_time){0}, 0);
    for (int i = 0; i < 40; i++)
        plan_failed(&plan, (mono_time){0}, false, UINT64_MAX);
    assert_in_range(plan.retry_at.ms, 50000, 60000);
    /* What needs a person may take its time. */
    plan_failed(&plan, (mono_time){0}, true, UINT64_MAX);
    assert_int_equal(plan.retry_at.ms, 86400000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_active_first_then_full),
        cmocka_unit_test(test_budget_holds_back_only_what_is_due),
        cmocka_unit_test(test_a_head_page_leaves_the_next_active_sweep_its_budget),
        cmocka_unit_test(test_due_times_count_from_the_beginning),
        cmocka_unit_test(test_full_sweep_is_not_starved),
        cmocka_unit_test(test_an_endless_active_sweep_starves_nobody),
        cmocka_unit_test(test_a_full_sweep_leaves_room),
        cmocka_unit_test(test_many_left_jobs_are_answered_by_a_sweep),
        cmocka_unit_test(test_many_left_jobs_are_answered_by_a_part_of_the_list),
        cmocka_unit_test(test_behind_the_list_is_worth_more),
        cmocka_unit_test(test_a_walk_takes_the_place_of_the_active_sweep),
        cmocka_unit_test(test_a_scarce_budget_is_spent_in_order),
        cmocka_unit_test(test_errors_alone_come_behind_news),
        cmocka_unit_test(test_the_first_full_sweep_is_worth_more),
        cmocka_unit_test(test_nothing_before_the_back_off_is_over),
        cmocka_unit_test(test_once_ends),
        cmocka_unit_test(test_reload_brings_due_times_nearer),
        cmocka_unit_test(test_a_long_idle_interval_stretches_no_outage),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
