/* event: the table of kinds, deterministic ids, ownership, and when something is worth telling. */
#include "unit.h"

#include "../../lib/event.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    const char *priority;
} design[N_EVENT_KINDS] = {
    [EVENT_JOB_CREATED] = {"job.created", "info"},
    [EVENT_JOB_STARTED] = {"job.started", "info"},
    [EVENT_JOB_COMPLETED] = {"job.completed", "notice"},
    [EVENT_JOB_COMPLETED_WITH_FAILURES] = {"job.completed_with_failures", "warning"},
    [EVENT_JOB_CANCELLED] = {"job.cancelled", "warning"},
    [EVENT_JOB_FAILURES_GROWING] = {"job.failures_growing", "warning"},
    [EVENT_JOB_STALLED] = {"job.stalled", "err"},
    [EVENT_JOB_RESUMED] = {"job.resumed", "notice"},
    [EVENT_JOB_EXPIRING] = {"job.expiring", "notice"},
    [EVENT_JOB_VANISHED] = {"job.vanished", "err"},
    [EVENT_JOB_ANOMALY] = {"job.anomaly", "warning"},
    [EVENT_CAPACITY_HIGH] = {"capacity.high", "warning"},
    [EVENT_CAPACITY_OK] = {"capacity.ok", "notice"},
    [EVENT_WATCH_STARTED] = {"watch.started", "info"},
    [EVENT_API_UNREACHABLE] = {"api.unreachable", "err"},
    [EVENT_API_RECOVERED] = {"api.recovered", "notice"},
    [EVENT_API_UNAUTHORIZED] = {"api.unauthorized", "crit"},
    [EVENT_API_THROTTLED] = {"api.throttled", "warning"},
    [EVENT_API_SCHEMA] = {"api.schema", "err"},
    [EVENT_DELIVERY_FAILED] = {"delivery.failed", "err"},
    [EVENT_TEST] = {"test", "notice"},
};

static void test_table(void **state)
{
    (void)state;
    for (enum event_kind kind = 0; kind < N_EVENT_KINDS; kind++) {
        assert_string_equal(event_types[kind].name, design[kind].name);
        assert_string_equal(priority_word(event_types[kind].priority), design[kind].priority);
        assert_int_equal(event_kind_from_name(design[kind].name), kind);
    }
    assert_int_equal(event_kind_from_name(""), N_EVENT_KINDS);
    assert_int_equal(event_kind_from_name("job.complete"), N_EVENT_KINDS);
    assert_int_equal(event_kind_from_name("job.completed "), N_EVENT_KINDS);
}

static void test_message_ids(void **state)
{
    (void)state;
    for (enum event_kind kind = 0; kind < N_EVENT_KINDS; kind++) {
        const char *id = event_types[kind].message_id;
        assert_int_equal(strlen(id), 32);
        assert_int_equal(strspn(id, "0123456789abcdef"), 32);
        for (enum event_kind other = 0; other < kind; other++)
            assert_string_not_equal(id, event_types[other].message_id);
    }
}

static char *read_catalog(void)
{
    FILE *file = fopen(TEST_DATA_DIR "/../../systemd/klv-jobwatch.catalog", "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    size_t len = fread(text, 1, (1 << 16) - 1, file);
    assert_true(len > 0 && len < (1 << 16) - 1);
    fclose(file);
    return text;
}

/* The places of a catalog's text may only name fields that every event of the kind has. */
static void check_places(const char *entry, const char *end, enum event_kind kind)
{
    static const char *const job_only[] = {"@KLV_JOB_ID@", "@KLV_STATUS@", "@KLV_FAILED_COUNT@"};
    for (size_t i = 0; i < sizeof job_only / sizeof *job_only; i++) {
        const char *place = strstr(entry, job_only[i]);
        if (place && place < end)
            assert_memory_equal(event_types[kind].name, "job.", 4);
    }
    const char *type = strstr(entry, "@KLV_JOB_TYPE@");
    if (type && type < end)
        assert_memory_not_equal(event_types[kind].name, "api.", 4);
}

static void test_catalog_has_each_kind_once(void **state)
{
    (void)state;
    char *catalog = read_catalog();
    bool seen[N_EVENT_KINDS] = {false};
    size_t n = 0;
    for (char *entry = strstr(catalog, "\n-- "); entry; n++) {
        char *next = strstr(entry + 1, "\n-- ");
        const char *end = next ? next : entry + strlen(entry);
        enum event_kind kind = 0;
        while (kind < N_EVENT_KINDS && strncmp(entry + 4, event_types[kind].message_id, 32) != 0)
            kind++;
        assert_int_not_equal(kind, N_EVENT_KINDS);
        assert_false(seen[kind]);
        seen[kind] = true;
        assert_int_equal(entry[36], '\n');
        assert_memory_equal(entry + 37, "Subject: ", 9);
        char *rest = strchr(entry + 37, '\n');
        static const char heads[] = "\nDefined-By: klv-jobwatch\nDocumentation: man:klv-jobwatch(8)\n\n";
        assert_memory_equal(rest, heads, sizeof heads - 1);
        assert_true(isupper((unsigned char)rest[sizeof heads - 1]));
        check_places(entry, end, kind);
        entry = next;
    }
    assert_int_equal(n, N_EVENT_KINDS);
    free(catalog);
}

static void test_priority_words(void **state)
{
    (void)state;
    for (enum priority priority = PRIO_EMERG; priority <= PRIO_DEBUG; priority++) {
        enum priority got = PRIO_DEBUG;
        assert_true(priority_from_word(priority_word(priority), &got));
        assert_int_equal(got, priority);
    }
    static const char *const wrong[] = {"", "error", "WARNING", "notice ", "3"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        enum priority untouched = PRIO_ALERT;
        assert_false(priority_from_word(wrong[i], &untouched));
        assert_int_equal(untouched, PRIO_ALERT);
    }
}

/* Known answers, computed apart from this code by Python's hashlib and base64:
 * parts = [account, family, job_id, kind, distinct]
 * digest = sha256(b"".join(struct.pack(">Q", len(p)) + p for p in parts)).digest()
 * "evt_" + b32encode(digest).decode().rstrip("=").lower() */
static const struct {
    const char *account;
    const char *family;
    const char *job_id;
    enum event_kind kind;
    const char *distinct;
    const char *id;
} known_ids[] = {
    {"main", "catalog-category-bulk-delete-job", "01GSQPBF74KQ5YTDEPP41T1BZH", EVENT_JOB_COMPLETED, "",
     "evt_a3cfez4whou75mjscn4c34ezqwojy7qfisoomdysuwo4y3ja4pna"},
    {"main", "", "", EVENT_API_UNREACHABLE, "since=1795510800000 n=0",
     "evt_apxjgicffis7dudqn72ndojla7enugwd3jdna4geemijqo737zzq"},
    /* The same letters, parted otherwise. */
    {"a", "bc", "", EVENT_JOB_STARTED, "", "evt_glmlcdjsbgvf42cf3klygw7fmbb2pwlsndhsk6tzl6pigprvd7zq"},
    {"ab", "c", "", EVENT_JOB_STARTED, "", "evt_h5upvcy7vahiabvbtc6hvv4wjrd6sm2zsnu2eouq2wjuc45tfqta"},
};

static void test_ids(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known_ids / sizeof *known_ids; i++) {
        char id[EVENT_ID_SIZE];
        assert_true(event_id(known_ids[i].account, known_ids[i].family, known_ids[i].job_id,
                             known_ids[i].kind, known_ids[i].distinct, id));
        assert_string_equal(id, known_ids[i].id);
        assert_int_equal(strlen(id), EVENT_ID_SIZE - 1);
    }
}

static void test_each_part_makes_the_id_distinct(void **state)
{
    (void)state;
    char ids[6][EVENT_ID_SIZE];
    assert_true(event_id("a", "f", "j", EVENT_JOB_STARTED, "d", ids[0]));
    assert_true(event_id("b", "f", "j", EVENT_JOB_STARTED, "d", ids[1]));
    assert_true(event_id("a", "g", "j", EVENT_JOB_STARTED, "d", ids[2]));
    assert_true(event_id("a", "f", "k", EVENT_JOB_STARTED, "d", ids[3]));
    assert_true(event_id("a", "f", "j", EVENT_JOB_STALLED, "d", ids[4]));
    assert_true(event_id("a", "f", "j", EVENT_JOB_STARTED, "e", ids[5]));
    for (size_t i = 0; i < 6; i++) {
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
    }
}

static void test_new_copies_the_job(void **state)
{
    (void)state;
    char id[] = "j1", word[] = "processing", title[] = "Not found", account[] = "main", family[] = "fam";
    struct job_error error = {"not_found", title, "", "/data/0"};
    struct job job = {.id = id,
                      .status = JOB_PROCESSING,
                      .status_word = word,
                      .counts = {10, 7, 1, COUNT_NONE},
                      .created_at = {1},
                      .completed_at = WALL_NONE,
                      .expires_at = {3},
                      .errors = &error,
                      .n_errors = 1,
                      .more_errors = 2};
    struct event *event = event_new(EVENT_JOB_FAILURES_GROWING, (wall_time){42}, account, family, &job, "d");
    assert_non_null(event);
    id[0] = word[0] = title[0] = account[0] = family[0] = '!';

    char expected[EVENT_ID_SIZE];
    assert_true(event_id("main", "fam", "j1", EVENT_JOB_FAILURES_GROWING, "d", expected));
    assert_string_equal(event->id, expected);
    assert_int_equal(event->kind, EVENT_JOB_FAILURES_GROWING);
    assert_int_equal(event->priority, PRIO_WARNING);
    assert_false(event->reminder);
    assert_int_equal(event->at.ms, 42);
    assert_string_equal(event->account, "main");
    assert_string_equal(event->family, "fam");
    assert_string_equal(event->job_id, "j1");
    assert_string_equal(event->status, "processing");
    assert_memory_equal(&event->counts, &job.counts, sizeof job.counts);
    assert_false(event->previous.known);
    assert_string_equal(event->previous.status, "");
    assert_int_equal(event->created_at.ms, 1);
    assert_true(wall_is_none(event->completed_at));
    assert_int_equal(event->expires_at.ms, 3);
    assert_string_equal(event->note, "");
    assert_int_equal(event->figure, 0);
    assert_int_equal(event->n_errors, 1);
    assert_int_equal(event->more_errors, 2);
    assert_string_equal(event->errors[0].code, "not_found");
    assert_string_equal(event->errors[0].title, "Not found");
    assert_string_equal(event->errors[0].detail, "");
    assert_string_equal(event->errors[0].pointer, "/data/0");
    event_free(event);
}

static void test_new_without_a_job(void **state)
{
    (void)state;
    struct event *event = event_new(EVENT_API_UNREACHABLE, (wall_time){42}, "main", "", NULL, "x");
    assert_non_null(event);
    assert_string_equal(event->family, "");
    assert_string_equal(event->job_id, "");
    assert_string_equal(event->status, "");
    assert_int_equal(event->counts.total, COUNT_NONE);
    assert_int_equal(event->counts.completed, COUNT_NONE);
    assert_int_equal(event->counts.failed, COUNT_NONE);
    assert_int_equal(event->counts.skipped, COUNT_NONE);
    assert_true(wall_is_none(event->created_at) && wall_is_none(event->completed_at) &&
                wall_is_none(event->expires_at));
    assert_null(event->errors);
    assert_int_equal(event->n_errors, 0);
    event_free(event);
    event_free(NULL);
}

static void test_setters(void **state)
{
    (void)state;
    struct event *event = event_new(EVENT_JOB_STALLED, (wall_time){0}, "main", "fam", NULL, "");
    char note[] = "why";
    assert_true(event_set_note(event, note, 7));
    note[0] = '!';
    assert_string_equal(event->note, "why");
    assert_int_equal(event->figure, 7);
    assert_true(event_set_note(event, NULL, -1));
    assert_string_equal(event->note, "");
    assert_int_equal(event->figure, -1);

    assert_true(event_set_previous(event, "queued", 3, COUNT_NONE));
    assert_true(event->previous.known);
    assert_string_equal(event->previous.status, "queued");
    assert_int_equal(event->previous.completed, 3);
    assert_int_equal(event->previous.failed, COUNT_NONE);

    struct job_error errors[] = {{"a", "b", "c", "d"}, {"", "", "", ""}, {"1", "22", "333", "4444"}};
    assert_true(event_set_errors(event, errors, 3, 9));
    assert_int_equal(event->n_errors, 3);
    assert_int_equal(event->more_errors, 9);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(event->errors[i].code, errors[i].code);
        assert_string_equal(event->errors[i].title, errors[i].title);
        assert_string_equal(event->errors[i].detail, errors[i].detail);
        assert_string_equal(event->errors[i].pointer, errors[i].pointer);
    }
    assert_true(event_set_errors(event, &errors[2], 1, 0));
    assert_int_equal(event->n_errors, 1);
    assert_string_equal(event->errors[0].pointer, "4444");
    assert_true(event_set_errors(event, NULL, 0, 0));
    assert_null(event->errors);
    event_free(event);
}

static void test_over(void **state)
{
    (void)state;
    struct event *event = event_new(EVENT_API_THROTTLED, (wall_time){0}, "main", "fam", NULL, "");
    assert_false(event_is_over(event));
    assert_true(event_set_note(event, EVENT_NOTE_OVER, 0));
    assert_true(event_is_over(event));
    event->kind = EVENT_API_SCHEMA;
    assert_false(event_is_over(event));
    event_free(event);
}

static void test_default_rules(void **state)
{
    (void)state;
    const struct alert_rules *rules = &alert_rules_default;
    assert_int_equal(rules->stalled_after, 900000);
    assert_int_equal(rules->failure_step, 0);
    assert_true(rules->failure_ratio == 5 / 100.0);
    assert_int_equal(rules->expiring_before, 86400000);
    assert_int_equal(rules->unreachable_after, 120000);
    assert_int_equal(rules->remind_every, 14400000);
    assert_int_equal(rules->capacity_warn, 450);
    assert_false(rules->job_created);
}

static const struct {
    int64_t step;
    int64_t told;
    int64_t failed;
    bool worth;
} failure_cases[] = {
    /* nothing failed, or no rise */
    {0, 0, 0, false},
    {0, 0, COUNT_NONE, false},
    {0, 0, -5, false},
    {0, 3, 3, false},
    {0, 3, 2, false},
    {10, 25, 24, false},
    /* the first rise */
    {0, 0, 1, true},
    {1000, 0, 1, true},
    {0, -7, 1, true},
    /* each doubling */
    {0, 1, 2, true},
    {0, 2, 3, false},
    {0, 2, 4, true},
    {0, 5, 9, false},
    {0, 5, 10, true},
    {0, 5, INT64_MAX, true},
    {0, INT64_MAX / 2, INT64_MAX - 2, false},
    {0, INT64_MAX / 2, INT64_MAX - 1, true},
    {0, INT64_MAX / 2 + 1, INT64_MAX, false},
    {0, INT64_MAX - 1, INT64_MAX, false},
    {0, INT64_MAX, INT64_MAX, false},
    {0, COUNT_NONE, INT64_MAX, true},
    /* each multiple of the step */
    {10, 1, 9, false},
    {10, 1, 10, true},
    {10, 10, 19, false},
    {10, 10, 20, true},
    {10, 15, 19, false},
    {10, 15, 20, true},
    {10, 15, 21, true},
    {1, 15, 16, true},
    {INT64_MAX, 1, INT64_MAX - 1, false},
    {INT64_MAX, 1, INT64_MAX, true},
};

static void test_failures_worth_telling(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof failure_cases / sizeof *failure_cases; i++) {
        struct alert_rules rules = {.failure_step = failure_cases[i].step};
        bool worth = failures_worth_telling(&rules, failure_cases[i].told, failure_cases[i].failed);
        if (worth != failure_cases[i].worth)
            fail_msg("case %zu", i);
    }
}

static const struct {
    double ratio;
    int64_t failed;
    int64_t total;
    enum priority priority;
} priority_cases[] = {
    {0.05, 1999, 40000, PRIO_WARNING},
    {0.05, 2000, 40000, PRIO_ERR},
    {0.05, 40000, 40000, PRIO_ERR},
    {1, 9, 10, PRIO_WARNING},
    {1, 10, 10, PRIO_ERR},
    {0, 1, INT64_MAX, PRIO_ERR},
    {0.05, 5, 0, PRIO_WARNING},
    {0.05, 5, -10, PRIO_WARNING},
    {0.05, 5, COUNT_NONE, PRIO_WARNING},
    {0, 0, 10, PRIO_WARNING},
    {0, -1, 10, PRIO_WARNING},
    {0, COUNT_NONE, 10, PRIO_WARNING},
    {0.05, INT64_MAX, INT64_MAX, PRIO_ERR},
    {0.05, INT64_MAX, 1, PRIO_ERR},
};

static void test_failures_priority(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof priority_cases / sizeof *priority_cases; i++) {
        struct alert_rules rules = {.failure_ratio = priority_cases[i].ratio};
        if (failures_priority(&rules, priority_cases[i].failed, priority_cases[i].total) !=
            priority_cases[i].priority)
            fail_msg("case %zu", i);
    }
}

static void test_stalled(void **state)
{
    (void)state;
    static const struct {
        int64_t after, moved, now;
        bool stalled;
    } cases[] = {
        {1000, 500, 1499, false},         {1000, 500, 1500, true},
        {1000, 500, 400, false},          {0, 0, INT64_MAX, false},
        {1, INT64_MIN, INT64_MAX, true},  {INT64_MAX, INT64_MIN, INT64_MAX, true},
        {1, INT64_MAX, INT64_MIN, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct alert_rules rules = {.stalled_after = cases[i].after};
        if (is_stalled(&rules, (mono_time){cases[i].moved}, (mono_time){cases[i].now}) != cases[i].stalled)
            fail_msg("case %zu", i);
    }
}

static void test_expiring(void **state)
{
    (void)state;
    static const struct {
        int64_t before, expires, now;
        bool expiring;
    } cases[] = {
        {1000, 5000, 3999, false},
        {1000, 5000, 4000, true},
        {1000, 5000, 4999, true},
        {1000, 5000, 5000, false}, /* it is over, no longer ahead */
        {1000, 5000, 6000, false},
        {0, 5000, 4999, false},
        {1000, INT64_MIN, 0, false},
        {1000, 5000, INT64_MIN, false},
        {INT64_MAX, INT64_MAX, INT64_MIN + 1, false},
        {INT64_MAX, INT64_MAX, 0, true},
        {1000, INT64_MIN + 1, INT64_MAX, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct alert_rules rules = {.expiring_before = cases[i].before};
        if (is_expiring(&rules, (wall_time){cases[i].expires}, (wall_time){cases[i].now}) !=
            cases[i].expiring)
            fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_message_ids),
        cmocka_unit_test(test_catalog_has_each_kind_once),
        cmocka_unit_test(test_priority_words),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_each_part_makes_the_id_distinct),
        cmocka_unit_test(test_new_copies_the_job),
        cmocka_unit_test(test_new_without_a_job),
        cmocka_unit_test(test_setters),
        cmocka_unit_test(test_over),
        cmocka_unit_test(test_default_rules),
        cmocka_unit_test(test_failures_worth_telling),
        cmocka_unit_test(test_failures_priority),
        cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_expiring),
    };
    return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
