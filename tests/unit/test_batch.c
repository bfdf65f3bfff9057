/* batch: what waits for the store can be told before, once, with its errors or after a while without. */
#include "unit.h"

#include "../../lib/batch.h"

#define AT 1700000000000

static struct event *event(enum event_kind kind, const char *job, const char *detail)
{
    struct job_error error = {.code = "c", .title = "t", .detail = (char *)detail, .pointer = ""};
    struct job with = {
        .id = (char *)job, .status_word = "complete", .errors = &error, .n_errors = detail ? 1 : 0};
    struct event *made = event_new(kind, (wall_time){AT}, "main", "family", &with, job);
    assert_non_null(made);
    return made;
}

static void test_told_once(void **state)
{
    (void)state;
    struct batch batch = {0};
    const struct event *out[8];
    for (int i = 0; i < 3; i++) {
        char id[2] = {(char)('A' + i), '\0'};
        assert_true(batch_add(&batch, BATCH_EVENT, event(EVENT_JOB_COMPLETED, id, NULL), false));
    }
    assert_int_equal(batch_untold(&batch, (wall_time){AT}, 0, out, 2), 2);
    assert_string_equal(out[0]->job_id, "A");
    assert_string_equal(out[1]->job_id, "B");
    /* While two are being told, only the third is left. */
    char a[EVENT_ID_SIZE], b[EVENT_ID_SIZE];
    memcpy(a, out[0]->id, sizeof a);
    memcpy(b, out[1]->id, sizeof b);
    assert_int_equal(batch_untold(&batch, (wall_time){AT}, 0, out, 8), 1);
    assert_string_equal(out[0]->job_id, "C");
    batch_told(&batch, a, true);
    batch_told(&batch, b, false);
    batch_told(&batch, "evt_unknown", true);
    assert_true(batch.items[0].told);
    /* What could not be told comes again. */
    assert_int_equal(batch_untold(&batch, (wall_time){AT}, 0, out, 8), 1);
    assert_string_equal(out[0]->job_id, "B");
    batch_finish(&batch);
    assert_int_equal(batch_untold(&batch, (wall_time){AT}, 0, out, 8), 0);
}

static void test_waits_for_errors(void **state)
{
    (void)state;
    struct batch batch = {0};
    const struct event *out[8];
    assert_true(batch_add(&batch, BATCH_EVENT, event(EVENT_JOB_FAILURES_GROWING, "A", NULL), true));
    assert_true(batch_add(&batch, BATCH_EVENT, event(EVENT_JOB_FAILURES_GROWING, "B", NULL), true));
    assert_int_equal(batch_untold(&batch, (wall_time){AT + 999}, 1000, out, 8), 0);
    assert_true(batch_add(&batch, BATCH_ERRORS, event(EVENT_JOB_FAILURES_GROWING, "B", "why"), false));
    assert_int_equal(batch_untold(&batch, (wall_time){AT + 999}, 1000, out, 8), 1);
    assert_string_equal(out[0]->job_id, "B");
    assert_int_equal(out[0]->n_errors, 1);
    assert_string_equal(out[0]->errors[0].detail, "why");
    assert_false(batch.items[1].hold);
    assert_int_equal(batch_untold(&batch, (wall_time){AT + 1000}, 1000, out, 8), 1);
    assert_string_equal(out[0]->job_id, "A");
    assert_int_equal(out[0]->n_errors, 0);
    batch_finish(&batch);
}

static void test_compact(void **state)
{
    (void)state;
    struct batch batch = {0};
    batch_compact(&batch);
    for (int i = 0; i < 100; i++) {
        assert_true(batch_add_job(&batch, i % 2 ? "A" : "B"));
        assert_true(batch_add_job(&batch, i % 3 ? "C" : "A"));
    }
    assert_int_equal(batch_size(&batch), 200);
    batch_compact(&batch);
    assert_int_equal(batch_size(&batch), 3);
    assert_string_equal(batch.jobs[0], "A");
    assert_string_equal(batch.jobs[2], "C");
    assert_true(batch_add_job(&batch, "A"));
    batch_compact(&batch);
    assert_int_equal(batch_size(&batch), 3);
    batch_finish(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_told_once),
                                       cmocka_unit_test(test_waits_for_errors),
                                       cmocka_unit_test(test_compact)};
    return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
