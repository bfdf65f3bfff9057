/* job_diff: known × seen → changes, the baseline rule, the two-step rules. */
#include "unit.h"

#include "../../lib/job_diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const wall_time baseline = {1700000000000};

struct bench {
    struct job_table *table;
    struct alert_rules rules;
    struct diff_context context;
};

static struct bench new_bench(bool has_baseline)
{
    struct bench bench = {.table = job_table_new(1), .rules = alert_rules_default};
    assert_non_null(bench.table);
    bench.context = (struct diff_context){
        .source = SOURCE_LIST,
        .has_baseline = has_baseline,
        .baseline_at = baseline,
        .server_now = {baseline.ms + 3600000},
        .now = {1000},
    };
    return bench;
}

static struct job seen_job(enum job_status status, int64_t total, int64_t completed, int64_t failed)
{
    return (struct job){
        .id = "A",
        .status = status,
        .status_word = job_status_word(status),
        .counts = {total, completed, failed, COUNT_NONE},
        .created_at = {baseline.ms + 1000},
        .completed_at = job_status_is_terminal(status) ? (wall_time){baseline.ms + 5000} : WALL_NONE,
        .expires_at = WALL_NONE,
    };
}

static struct diff see(struct bench *bench, struct job job)
{
    struct diff diff;
    bench->context.rules = &bench->rules;
    assert_true(job_diff(bench->table, &job, &bench->context, &diff));
    return diff;
}

/* "job.completed job.anomaly(fell)", in order. */
static void kinds_of(const struct diff *diff, char *out, size_t size)
{
    out[0] = '\0';
    for (size_t i = 0; i < diff->n; i++) {
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%s%s", used ? " " : "", event_types[diff->changes[i].kind].name);
    }
}

static void expect(const struct diff *diff, const char *kinds)
{
    char text[512];
    kinds_of(diff, text, sizeof text);
    assert_string_equal(text, kinds);
}

struct step {
    enum job_status status;
    int64_t total, completed, failed;
    enum source source;
    const char *kinds;
    bool look; /* whether it is marked LOOK_CONFIRM afterwards */
};

struct life {
    const char *name;
    bool has_baseline;
    struct step steps[8];
};

#define END                                                                                                  \
    {                                                                                                        \
        .kinds = NULL                                                                                        \
    }

static const struct life lives[] = {
    {"a whole quiet life",
     true,
     {{JOB_QUEUED, 10, 0, 0, SOURCE_LIST, "", false},
      {JOB_PROCESSING, 10, 0, 0, SOURCE_LIST, "job.started", false},
      {JOB_PROCESSING, 10, 5, 0, SOURCE_LIST, "", false},
      {JOB_PROCESSING, 10, 5, 0, SOURCE_LIST, "", false},
      {JOB_COMPLETE, 10, 10, 0, SOURCE_LOOK, "job.completed", false},
      {JOB_COMPLETE, 10, 10, 0, SOURCE_LIST, "", false},
      END}},
    {"failures: first rise, doubling, end",
     true,
     {{JOB_PROCESSING, 100, 0, 0, SOURCE_LIST, "", false},
      {JOB_PROCESSING, 100, 1, 3, SOURCE_LIST, "job.failures_growing", false},
      {JOB_PROCESSING, 100, 1, 5, SOURCE_LIST, "", false},
      {JOB_PROCESSING, 100, 1, 6, SOURCE_LIST, "job.failures_growing", false},
      {JOB_COMPLETE, 100, 93, 7, SOURCE_LIST, "job.completed_with_failures", false},
      {JOB_COMPLETE, 100, 93, 7, SOURCE_LIST, "", false},
      END}},
    {"first seen finished after the baseline",
     true,
     {{JOB_COMPLETE, 5, 5, 0, SOURCE_LIST, "job.completed", false}, END}},
    {"first seen cancelled after the baseline",
     true,
     {{JOB_CANCELLED, 5, 0, 0, SOURCE_LIST, "job.cancelled", false}, END}},
    {"the baseline is silent",
     false,
     {{JOB_COMPLETE, 5, 4, 1, SOURCE_LIST, "", false}, {JOB_COMPLETE, 5, 4, 1, SOURCE_LIST, "", false}, END}},
    {"active at the baseline, then done",
     false,
     {{JOB_PROCESSING, 5, 1, 1, SOURCE_LIST, "", false},
      {JOB_PROCESSING, 5, 1, 1, SOURCE_LIST, "", false},
      {JOB_COMPLETE, 5, 4, 1, SOURCE_LIST, "job.completed_with_failures", false},
      END}},
    {"queued straight to complete is one event",
     true,
     {{JOB_QUEUED, 5, 0, 0, SOURCE_LIST, "", false},
      {JOB_COMPLETE, 5, 5, 0, SOURCE_LIST, "job.completed", false},
      END}},
    {"failures that show only after the end",
     true,
     {{JOB_PROCESSING, 9, 0, 0, SOURCE_LIST, "", false},
      {JOB_COMPLETE, 9, 9, 0, SOURCE_LIST, "job.completed", false},
      {JOB_COMPLETE, 9, 9, 0, SOURCE_LIST, "", false},
      {JOB_COMPLETE, 11, 9, 2, SOURCE_LIST, "job.completed_with_failures", false},
      END}},
    {"a stale page is not believed",
     true,
     {{JOB_PROCESSING, 9, 5, 0, SOURCE_LIST, "", false},
      {JOB_PROCESSING, 9, 3, 0, SOURCE_LIST, "", true},
      {JOB_PROCESSING, 9, 5, 0, SOURCE_LOOK, "", false},
      {JOB_COMPLETE, 9, 9, 0, SOURCE_LIST, "job.completed", false},
      {JOB_PROCESSING, 9, 5, 0, SOURCE_LIST, "", true},
      {JOB_COMPLETE, 9, 9, 0, SOURCE_LOOK, "", false},
      END}},
    {"a look that confirms is believed, once",
     true,
     {{JOB_COMPLETE, 9, 9, 0, SOURCE_LIST, "job.completed", false},
      {JOB_PROCESSING, 9, 3, 0, SOURCE_LIST, "", true},
      {JOB_PROCESSING, 9, 3, 0, SOURCE_LOOK, "job.anomaly job.anomaly", false},
      {JOB_PROCESSING, 9, 3, 0, SOURCE_LIST, "", false},
      {JOB_COMPLETE, 9, 9, 0, SOURCE_LIST, "job.completed", false},
      END}},
    {"complete turns into cancelled",
     true,
     {{JOB_COMPLETE, 9, 9, 0, SOURCE_LIST, "job.completed", false},
      {JOB_CANCELLED, 9, 9, 0, SOURCE_LIST, "", true},
      {JOB_CANCELLED, 9, 9, 0, SOURCE_LOOK, "job.cancelled job.anomaly", false},
      END}},
    {"more done than there is",
     true,
     {{JOB_PROCESSING, 5, 4, 0, SOURCE_LIST, "", false},
      {JOB_PROCESSING, 5, 6, 0, SOURCE_LIST, "", true},
      {JOB_PROCESSING, 5, 6, 0, SOURCE_LOOK, "job.anomaly", false},
      {JOB_PROCESSING, 5, 7, 0, SOURCE_LIST, "", false},
      END}},
    {"negative counts",
     true,
     {{JOB_PROCESSING, 5, 0, 0, SOURCE_LIST, "", false},
      {JOB_PROCESSING, 5, -94238524, 0, SOURCE_LIST, "", true},
      {JOB_PROCESSING, 5, -94238524, 0, SOURCE_LOOK, "job.anomaly job.anomaly", false},
      END}},
    {"a new job in an impossible state waits for its look",
     true,
     {{JOB_PROCESSING, 5, -1, 0, SOURCE_LIST, "", true},
      {JOB_PROCESSING, 5, -1, 0, SOURCE_LOOK, "job.anomaly", false},
      {JOB_PROCESSING, 5, -1, 0, SOURCE_LIST, "", false},
      END}},
    {"a new job whose look shows it sane",
     true,
     {{JOB_COMPLETE, 5, 9, 0, SOURCE_LIST, "", true},
      {JOB_COMPLETE, 5, 5, 0, SOURCE_LOOK, "job.completed", false},
      END}},
    {"impossible at the baseline: silent, and its movement is told",
     false,
     {{JOB_PROCESSING, 5, -1, 9, SOURCE_LIST, "", false},
      {JOB_PROCESSING, 5, -1, 9, SOURCE_LIST, "", false},
      {JOB_CANCELLED, 5, -1, 9, SOURCE_LIST, "job.cancelled", false},
      END}},
    {"processing to queued is believed after a look, silently",
     true,
     {{JOB_PROCESSING, 5, 0, 0, SOURCE_LIST, "", false},
      {JOB_QUEUED, 5, 0, 0, SOURCE_LIST, "", true},
      {JOB_QUEUED, 5, 0, 0, SOURCE_LOOK, "", false},
      END}},
    {"an absent count is not a fallen one",
     true,
     {{JOB_PROCESSING, 5, 3, 1, SOURCE_LIST, "job.failures_growing", false},
      {JOB_PROCESSING, 5, COUNT_NONE, COUNT_NONE, SOURCE_LIST, "", false},
      {JOB_COMPLETE, 5, 4, 1, SOURCE_LIST, "job.completed_with_failures", false},
      END}},
    {"64-bit counts",
     true,
     {{JOB_PROCESSING, INT64_MAX, INT64_MAX - 1, 0, SOURCE_LIST, "", false},
      {JOB_PROCESSING, INT64_MAX, INT64_MAX - 1, 2, SOURCE_LIST, "", true},
      {JOB_COMPLETE, INT64_MAX, INT64_MAX, 0, SOURCE_LOOK, "job.completed", false},
      END}},
};

static void test_lives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lives / sizeof *lives; i++) {
        struct bench bench = new_bench(lives[i].has_baseline);
        for (const struct step *step = lives[i].steps; step->kinds; step++) {
            char text[512];
            bench.context.source = step->source;
            bench.context.now.ms += 10000;
            struct diff diff =
                see(&bench, seen_job(step->status, step->total, step->completed, step->failed));
            kinds_of(&diff, text, sizeof text);
            if (strcmp(text, step->kinds) != 0 || step->look != !!(diff.job->look & LOOK_CONFIRM))
                fail_msg("%s, step %td: \"%s\"%s", lives[i].name, step - lives[i].steps, text,
                         diff.job->look & LOOK_CONFIRM ? " and a look" : "");
        }
        job_table_free(bench.table);
    }
}

static void test_finished_before_the_baseline_is_silent(void **state)
{
    (void)state;
    struct bench bench = new_bench(true);
    struct job job = seen_job(JOB_COMPLETE, 5, 4, 1);
    job.completed_at.ms = baseline.ms - 1;
    struct diff diff = see(&bench, job);
    expect(&diff, "");
    diff = see(&bench, job);
    expect(&diff, "");
    job_table_free(bench.table);
}

static void test_unknown_status(void **state)
{
    (void)state;
    struct bench bench = new_bench(true);
    struct job job = seen_job(JOB_PROCESSING, 5, 1, 0);
    struct diff diff = see(&bench, job);
    job.status = JOB_OTHER;
    job.status_word = "paused";
    diff = see(&bench, job);
    expect(&diff, "job.anomaly");
    assert_string_equal(diff.changes[0].distinct, "status=paused");
    assert_string_equal(known_status_word(diff.job), "paused");
    diff = see(&bench, job);
    expect(&diff, "");
    job.status_word = "failed";
    diff = see(&bench, job);
    expect(&diff, "job.anomaly");
    assert_string_equal(diff.previous_status, "paused");
    diff = see(&bench, seen_job(JOB_COMPLETE, 5, 5, 0));
    expect(&diff, "job.completed");
    job_table_free(bench.table);
}

static void test_created_is_off_by_default(void **state)
{
    (void)state;
    struct bench bench = new_bench(true);
    bench.rules.job_created = true;
    struct diff diff = see(&bench, seen_job(JOB_PROCESSING, 5, 1, 2));
    expect(&diff, "job.created job.failures_growing");
    job_table_free(bench.table);
}

static void test_stall_and_resume(void **state)
{
    (void)state;
    struct bench bench = new_bench(true);
    struct change change;
    size_t cursor = 0;
    uint32_t tick = job_table_new_tick(bench.table);
    bench.context.now.ms = 0;
    see(&bench, seen_job(JOB_PROCESSING, 5, 1, 0));
    mono_time at = {bench.rules.stalled_after - 1};
    assert_null(job_diff_stalled(bench.table, tick, &bench.rules, at, &cursor, &change));
    cursor = 0;
    at.ms++;
    assert_non_null(job_diff_stalled(bench.table, tick, &bench.rules, at, &cursor, &change));
    assert_int_equal(change.kind, EVENT_JOB_STALLED);
    assert_int_equal(change.figure, bench.rules.stalled_after);
    assert_false(change.reminder);
    cursor = 0;
    assert_null(job_diff_stalled(bench.table, tick, &bench.rules, at, &cursor, &change));
    cursor = 0;
    at.ms += bench.rules.remind_every;
    assert_non_null(job_diff_stalled(bench.table, tick, &bench.rules, at, &cursor, &change));
    assert_true(change.reminder);
    bench.context.now = at;
    struct diff diff = see(&bench, seen_job(JOB_PROCESSING, 5, 2, 0));
    expect(&diff, "job.resumed");
    assert_int_equal(diff.changes[0].figure, at.ms);
    /* A job not seen since the sweep began says nothing about itself. */
    cursor = 0;
    tick = job_table_new_tick(bench.table);
    at.ms += bench.rules.stalled_after;
    assert_null(job_diff_stalled(bench.table, tick, &bench.rules, at, &cursor, &change));
    job_table_free(bench.table);
}

static void test_stall_ended_by_completion(void **state)
{
    (void)state;
    struct bench bench = new_bench(true);
    struct change change;
    size_t cursor = 0;
    bench.context.now.ms = 0;
    see(&bench, seen_job(JOB_PROCESSING, 5, 1, 0));
    mono_time at = {bench.rules.stalled_after};
    assert_non_null(job_diff_stalled(bench.table, 0, &bench.rules, at, &cursor, &change));
    struct diff diff = see(&bench, seen_job(JOB_COMPLETE, 5, 5, 0));
    expect(&diff, "job.completed");
    job_table_free(bench.table);
}

static void test_absence_takes_two_steps(void **state)
{
    (void)state;
    struct bench bench = new_bench(true);
    struct change change;
    struct diff diff = see(&bench, seen_job(JOB_PROCESSING, 5, 1, 0));
    /* Not found without having been missed in a whole sweep: no news. */
    assert_false(job_diff_not_found(diff.job, &change));
    uint32_t tick = job_table_new_tick(bench.table);
    assert_int_equal(job_diff_active_end(bench.table, tick), 1);
    assert_true(diff.job->look & LOOK_LEFT);
    /* Seen again: the mark goes. */
    diff = see(&bench, seen_job(JOB_PROCESSING, 5, 1, 0));
    assert_false(diff.job->look & LOOK_LEFT);
    tick = job_table_new_tick(bench.table);
    assert_int_equal(job_diff_active_end(bench.table, tick), 1);
    assert_true(job_diff_not_found(diff.job, &change));
    assert_int_equal(change.kind, EVENT_JOB_VANISHED);
    job_table_free(bench.table);
}

static void test_a_look_that_finds_the_job_answers_all(void **state)
{
    (void)state;
    struct bench bench = new_bench(true);
    struct diff diff = see(&bench, seen_job(JOB_PROCESSING, 5, 1, 0));
    assert_int_equal(job_diff_full_end(bench.table, job_table_new_tick(bench.table), (mono_time){1}), 1);
    diff.job->look |= LOOK_CONFIRM;
    bench.context.source = SOURCE_LOOK;
    diff = see(&bench, seen_job(JOB_PROCESSING, 5, 1, 0));
    assert_int_equal(diff.job->look, 0);
    job_table_free(bench.table);
}

static void test_finished_jobs_may_leave(void **state)
{
    (void)state;
    struct bench bench = new_bench(true);
    size_t cursor = 0;
    struct diff diff = see(&bench, seen_job(JOB_COMPLETE, 5, 5, 0));
    uint32_t tick = job_table_new_tick(bench.table);
    assert_int_equal(job_diff_full_end(bench.table, tick, (mono_time){50000}), 0);
    assert_int_equal(diff.job->gone_at.ms, 50000);
    assert_null(job_diff_gone(bench.table, (mono_time){60000}, 10000, &cursor));
    cursor = 0;
    assert_non_null(job_diff_gone(bench.table, (mono_time){60001}, 10000, &cursor));
    /* Listed again: it is not gone, and not told twice. */
    diff = see(&bench, seen_job(JOB_COMPLETE, 5, 5, 0));
    expect(&diff, "");
    assert_true(diff.job->gone_at.ms == MONO_NEVER.ms);
    job_table_free(bench.table);
}

static void test_expiring(void **state)
{
    (void)state;
    struct bench bench = new_bench(true);
    struct change change;
    size_t cursor = 0;
    struct job job = seen_job(JOB_COMPLETE, 5, 4, 1);
    job.expires_at.ms = baseline.ms + 10 * bench.rules.expiring_before;
    see(&bench, job);
    wall_time server_now = {job.expires_at.ms - bench.rules.expiring_before - 1};
    assert_null(job_diff_expiring(bench.table, &bench.rules, server_now, &cursor, &change));
    server_now.ms++;
    cursor = 0;
    assert_non_null(job_diff_expiring(bench.table, &bench.rules, server_now, &cursor, &change));
    assert_int_equal(change.kind, EVENT_JOB_EXPIRING);
    cursor = 0;
    assert_null(job_diff_expiring(bench.table, &bench.rules, server_now, &cursor, &change));
    job_table_free(bench.table);
}

static void test_second_life_is_distinct(void **state)
{
    (void)state;
    struct bench bench = new_bench(true);
    struct diff first = see(&bench, seen_job(JOB_COMPLETE, 9, 9, 0));
    bench.context.source = SOURCE_LOOK;
    see(&bench, seen_job(JOB_PROCESSING, 9, 9, 0));
    struct diff second = see(&bench, seen_job(JOB_COMPLETE, 9, 9, 0));
    expect(&second, "job.completed");
    assert_string_not_equal(first.changes[0].distinct, second.changes[0].distinct);
    job_table_free(bench.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lives),
        cmocka_unit_test(test_finished_before_the_baseline_is_silent),
        cmocka_unit_test(test_unknown_status),
        cmocka_unit_test(test_created_is_off_by_default),
        cmocka_unit_test(test_stall_and_resume),
        cmocka_unit_test(test_stall_ended_by_completion),
        cmocka_unit_test(test_absence_takes_two_steps),
        cmocka_unit_test(test_a_look_that_finds_the_job_answers_all),
        cmocka_unit_test(test_finished_jobs_may_leave),
        cmocka_unit_test(test_expiring),
        cmocka_unit_test(test_second_life_is_distinct),
    };
    return cmocka_run_group_tests_name("job_diff", tests, NULL, NULL);
}
