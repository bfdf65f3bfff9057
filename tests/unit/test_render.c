/* render: the sentence of each kind, the journal's fields, JSON bodies, and hostile text in all of them. */
#include "unit.h"

#include "../../lib/render.h"
#include "../../lib/text.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#define BAD  "\xEF\xBF\xBD"
#define TYPE "catalog-category-bulk-delete-job"
#define ID   "01GSQPBF74KQ5YTDEPP41T1BZH"
#define JOB  TYPE " " ID " in account main "
#define ALL  TYPE " in account main "
#define NONE COUNT_NONE

static const struct job_error errors[] = {
    {"not_found", "Category not found", "No category c-17", "/data/attributes/categories/data/16"},
    {"invalid", "", "", ""},
};

static const struct job plain_job = {
    .id = ID,
    .status = JOB_PROCESSING,
    .status_word = "processing",
    .counts = {40000, 1200, 3, NONE},
    .created_at = {1795510800000},
    .completed_at = {INT64_MIN},
    .expires_at = {1796115600000},
};

static struct event *make(enum event_kind kind, const char *family, const struct job *job)
{
    struct event *event = event_new(kind, (wall_time){1795510800123}, "main", family, job, "");
    assert_non_null(event);
    return event;
}

/* A job's counts and what else a sentence can draw on. */
struct message_case {
    enum event_kind kind;
    const char *status;
    struct job_counts counts;
    size_t n_errors;
    int64_t previous_failed;
    bool reminder;
    const char *note;
    int64_t figure;
    const char *message;
};

static const struct message_case job_cases[] = {
    {.kind = EVENT_JOB_CREATED,
     .status = "queued",
     .counts = {40000, NONE, NONE, NONE},
     .message = JOB "is new: queued, 40000 in total"},
    {.kind = EVENT_JOB_CREATED,
     .status = "queued",
     .counts = {NONE, NONE, NONE, NONE},
     .message = JOB "is new: queued"},
    {.kind = EVENT_JOB_STARTED,
     .status = "processing",
     .counts = {40000, 0, 0, NONE},
     .message = JOB "started: 0 of 40000 done"},
    {.kind = EVENT_JOB_STARTED,
     .status = "processing",
     .counts = {NONE, NONE, NONE, NONE},
     .message = JOB "started"},
    {.kind = EVENT_JOB_COMPLETED,
     .status = "complete",
     .counts = {40000, 40000, 0, NONE},
     .message = JOB "is complete: 40000 of 40000 done"},
    {.kind = EVENT_JOB_COMPLETED,
     .status = "complete",
     .counts = {NONE, 40000, NONE, NONE},
     .message = JOB "is complete: 40000 done"},
    {.kind = EVENT_JOB_COMPLETED,
     .status = "complete",
     .counts = {100, 90, NONE, 10},
     .message = JOB "is complete: 90 of 100 done, 10 skipped"},
    {.kind = EVENT_JOB_COMPLETED_WITH_FAILURES,
     .status = "complete",
     .counts = {40000, 39997, 3, NONE},
     .n_errors = 2,
     .message = JOB
     "is complete with failures: 3 of 40000 failed (first error: Category not found: No category c-17)"},
    {.kind = EVENT_JOB_COMPLETED_WITH_FAILURES,
     .status = "complete",
     .counts = {NONE, 39997, 3, NONE},
     .message = JOB "is complete with failures: 3 failed"},
    {.kind = EVENT_JOB_CANCELLED,
     .status = "cancelled",
     .counts = {40000, 120, 3, 0},
     .message = JOB "was cancelled: 120 of 40000 done, 3 failed"},
    {.kind = EVENT_JOB_CANCELLED,
     .status = "cancelled",
     .counts = {NONE, NONE, 3, 2},
     .message = JOB "was cancelled: 3 failed, 2 skipped"},
    {.kind = EVENT_JOB_FAILURES_GROWING,
     .status = "processing",
     .counts = {40000, 1200, 12, NONE},
     .previous_failed = 5,
     .n_errors = 1,
     .message = JOB
     "has failures: 12 of 40000 failed, 5 before (first error: Category not found: No category c-17)"},
    {.kind = EVENT_JOB_FAILURES_GROWING,
     .status = "processing",
     .counts = {40000, 1200, 1, NONE},
     .previous_failed = 0,
     .message = JOB "has failures: 1 of 40000 failed"},
    {.kind = EVENT_JOB_STALLED,
     .status = "processing",
     .counts = {40000, 1200, 3, NONE},
     .figure = 15 * 60000 + 59999,
     .message = JOB "has not moved for 15 min: processing, 1200 of 40000 done, 3 failed"},
    {.kind = EVENT_JOB_STALLED,
     .status = "queued",
     .counts = {40000, NONE, NONE, NONE},
     .figure = 250 * 60000,
     .reminder = true,
     .message = JOB "still has not moved for 4 h 10 min: queued, 40000 in total"},
    {.kind = EVENT_JOB_RESUMED,
     .status = "processing",
     .counts = {40000, 1300, 0, NONE},
     .figure = 76 * 3600000,
     .message = JOB "moves again after 3 d 4 h: processing, 1300 of 40000 done"},
    {.kind = EVENT_JOB_EXPIRING,
     .status = "complete",
     .counts = {40000, 39997, 3, NONE},
     .message = JOB "expires soon at 2026-12-01T09:00:00.000Z, and its errors with it: 3 of 40000 failed"},
    {.kind = EVENT_JOB_VANISHED,
     .status = "processing",
     .counts = {40000, 1200, 0, NONE},
     .message = JOB "is gone before it finished; when last seen: processing, 1200 of 40000 done"},
    {.kind = EVENT_JOB_ANOMALY,
     .status = "complete",
     .counts = {40000, -1, -2, NONE},
     .note = "a count is negative",
     .message = JOB "looks wrong: a count is negative; now: complete, -1 of 40000 done, -2 failed"},
    {.kind = EVENT_JOB_ANOMALY,
     .status = "paused",
     .counts = {INT64_MAX, INT64_MIN + 1, 0, NONE},
     .note = "its status is a word this version does not know",
     .message = JOB "looks wrong: its status is a word this version does not know; now: paused, "
                    "-9223372036854775807 of 9223372036854775807 done"},
    {.kind = EVENT_DELIVERY_FAILED,
     .status = "complete",
     .counts = {NONE, NONE, NONE, NONE},
     .note = "ops: HTTP 404",
     .message = JOB "has an event that was given up for webhook ops: HTTP 404"},
};

static void test_messages_of_jobs(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof job_cases / sizeof *job_cases; i++) {
        const struct message_case *at = &job_cases[i];
        struct job job = plain_job;
        job.status_word = at->status;
        job.counts = at->counts;
        job.errors = errors;
        job.n_errors = at->n_errors;
        struct event *event = make(at->kind, TYPE, &job);
        event->reminder = at->reminder;
        assert_true(event_set_note(event, at->note, at->figure));
        assert_true(event_set_previous(event, "processing", 1, at->previous_failed));
        char *message = render_message(event);
        assert_string_equal(message, at->message);
        free(message);
        event_free(event);
    }
}

static const struct {
    enum event_kind kind;
    bool account_only;
    bool reminder;
    const char *note;
    int64_t figure;
    const char *message;
} other_cases[] = {
    {EVENT_CAPACITY_HIGH, false, false, "", 450,
     ALL "has 450 of at most 500 jobs in progress: new ones will soon be refused"},
    {EVENT_CAPACITY_HIGH, false, false, "", 499,
     ALL "has 499 of at most 500 jobs in progress: new ones will soon be refused"},
    {EVENT_CAPACITY_HIGH, false, false, "", 500,
     ALL "has 500 of at most 500 jobs in progress: new ones are refused"},
    {EVENT_CAPACITY_OK, false, false, "", 0,
     ALL "has 0 of at most 500 jobs in progress: there is room again"},
    {EVENT_WATCH_STARTED, false, false, "3 active", 1200, ALL "is being watched: 1200 jobs known, 3 active"},
    {EVENT_WATCH_STARTED, false, false, "", 1, ALL "is being watched: 1 job known"},
    {EVENT_API_UNREACHABLE, true, false, "connection refused", 120000,
     "account main has no good answer from the API after 2 min: connection refused"},
    {EVENT_API_UNREACHABLE, false, true, "HTTP 503", 4 * 3600000,
     ALL "still has no good answer from the API after 4 h: HTTP 503"},
    {EVENT_API_RECOVERED, true, false, "", 42999,
     "account main has good answers from the API again after 42 s"},
    {EVENT_API_UNAUTHORIZED, true, false, "HTTP 401: Authentication failed", 0,
     "account main is refused by the API: HTTP 401: Authentication failed"},
    {EVENT_API_UNAUTHORIZED, false, true, "HTTP 403", 86400000,
     ALL "still is refused by the API after 1 d: HTTP 403"},
    {EVENT_API_THROTTLED, false, false, "the budget or the API's rate limit allows no more", 35000,
     ALL
     "is throttled, the time between two sweeps is 35 s: the budget or the API's rate limit allows no more"},
    {EVENT_API_THROTTLED, false, false, EVENT_NOTE_OVER, 900,
     ALL "is throttled no more, the time between two sweeps is 900 ms"},
    {EVENT_API_SCHEMA, false, false, "the answer is not JSON", 0,
     ALL "gets answers that do not look like jobs: the answer is not JSON"},
    {EVENT_DELIVERY_FAILED, true, false, "ops: no answer for 3 d", 0,
     "account main has an event that was given up for webhook ops: no answer for 3 d"},
    {EVENT_TEST, true, false, "", 0, "this is a test of klv-jobwatch, nothing happened"},
};

static void test_messages_of_others(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof other_cases / sizeof *other_cases; i++) {
        struct event *event = make(other_cases[i].kind, other_cases[i].account_only ? "" : TYPE, NULL);
        event->reminder = other_cases[i].reminder;
        assert_true(event_set_note(event, other_cases[i].note, other_cases[i].figure));
        char *message = render_message(event);
        assert_string_equal(message, other_cases[i].message);
        free(message);
        event_free(event);
    }
}

static void test_first_error_uses_what_there_is(void **state)
{
    (void)state;
    static const struct {
        struct job_error error;
        const char *tail;
    } cases[] = {
        {{"c", "t", "d", "p"}, "3 of 40000 failed (first error: t: d)"},
        {{"c", "t", "", "p"}, "3 of 40000 failed (first error: t)"},
        {{"c", "", "d", "p"}, "3 of 40000 failed (first error: c: d)"},
        {{"", "", "d", "p"}, "3 of 40000 failed (first error: d)"},
        {{"c", "t.", "d", "p"}, "3 of 40000 failed (first error: t. d)"},
        {{"c", "", "", "p"}, "3 of 40000 failed (first error: c)"},
        {{"", "", "", "p"}, "3 of 40000 failed"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct event *event = make(EVENT_JOB_COMPLETED_WITH_FAILURES, TYPE, &plain_job);
        assert_true(event_set_errors(event, &cases[i].error, 1, 0));
        char *message = render_message(event);
        assert_string_equal(strrchr(message, '3'), cases[i].tail);
        free(message);
        event_free(event);
    }
}

static void test_line(void **state)
{
    (void)state;
    struct job job = plain_job;
    job.status_word = "complete";
    job.counts = (struct job_counts){10, 10, 0, NONE};
    struct event *event = make(EVENT_JOB_COMPLETED, TYPE, &job);
    char *line = render_line(event);
    assert_string_equal(line, "2026-11-24T09:00:00.123Z notice  job.completed        " JOB
                              "is complete: 10 of 10 done");
    free(line);
    event->kind = EVENT_JOB_COMPLETED_WITH_FAILURES;
    event->priority = PRIO_WARNING;
    line = render_line(event);
    assert_string_equal(line, "2026-11-24T09:00:00.123Z warning job.completed_with_failures " JOB
                              "is complete with failures: 0 of 10 failed");
    free(line);
    event_free(event);
}

/* All fields as lines. */
static char *journal_text(const struct event *event)
{
    struct journal_field fields[RENDER_MAX_FIELDS];
    size_t n = render_journal(event, fields);
    assert_int_not_equal(n, 0);
    char *text = calloc(1, 1 << 17);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++) {
        assert_null(memchr(fields[i].data, '\n', fields[i].len));
        assert_int_equal(strlen(fields[i].data), fields[i].len);
        strcat(text, fields[i].data);
        strcat(text, "\n");
    }
    journal_fields_finish(fields, n);
    return text;
}

static void test_journal_of_a_job(void **state)
{
    (void)state;
    struct job job = plain_job;
    job.counts.skipped = 4;
    job.errors = errors;
    job.n_errors = 2;
    struct event *event = make(EVENT_JOB_FAILURES_GROWING, TYPE, &job);
    event->priority = PRIO_ERR;
    assert_true(event_set_previous(event, "queued", 0, 1));
    char *text = journal_text(event);
    char expected[4096];
    snprintf(expected, sizeof expected,
             "MESSAGE=" JOB "has failures: 3 of 40000 failed, 1 before"
             " (first error: Category not found: No category c-17)\n"
             "MESSAGE_ID=%s\n"
             "PRIORITY=3\n"
             "SYSLOG_IDENTIFIER=klv-jobwatch\n"
             "KLV_EVENT=job.failures_growing\n"
             "KLV_EVENT_ID=%s\n"
             "KLV_ACCOUNT=main\n"
             "KLV_JOB_TYPE=" TYPE "\n"
             "KLV_JOB_ID=" ID "\n"
             "KLV_STATUS=processing\n"
             "KLV_PREVIOUS_STATUS=queued\n"
             "KLV_TOTAL_COUNT=40000\n"
             "KLV_COMPLETED_COUNT=1200\n"
             "KLV_FAILED_COUNT=3\n"
             "KLV_SKIPPED_COUNT=4\n"
             "KLV_PREVIOUS_FAILED_COUNT=1\n"
             "KLV_ERRORS=[{\"code\":\"not_found\",\"title\":\"Category not found\",\"detail\":\"No category "
             "c-17\","
             "\"pointer\":\"/data/attributes/categories/data/16\"},"
             "{\"code\":\"invalid\",\"title\":\"\",\"detail\":\"\",\"pointer\":\"\"}]\n",
             event_types[EVENT_JOB_FAILURES_GROWING].message_id, event->id);
    assert_string_equal(text, expected);
    free(text);
    event_free(event);
}

static void test_journal_of_an_account(void **state)
{
    (void)state;
    struct event *event = make(EVENT_API_UNAUTHORIZED, "", NULL);
    assert_true(event_set_note(event, "HTTP 401", 0));
    char *text = journal_text(event);
    char expected[1024];
    snprintf(expected, sizeof expected,
             "MESSAGE=account main is refused by the API: HTTP 401\n"
             "MESSAGE_ID=%s\n"
             "PRIORITY=2\n"
             "SYSLOG_IDENTIFIER=klv-jobwatch\n"
             "KLV_EVENT=api.unauthorized\n"
             "KLV_EVENT_ID=%s\n"
             "KLV_ACCOUNT=main\n",
             event_types[EVENT_API_UNAUTHORIZED].message_id, event->id);
    assert_string_equal(text, expected);
    free(text);
    event_free(event);
}

static void test_standard_of_a_job(void **state)
{
    (void)state;
    struct job job = plain_job;
    job.status_word = "complete";
    job.counts = (struct job_counts){10, 8, 2, NONE};
    job.completed_at = (wall_time){1795510799000};
    job.errors = errors;
    job.n_errors = 1;
    job.more_errors = 7;
    struct event *event = make(EVENT_JOB_COMPLETED_WITH_FAILURES, TYPE, &job);
    assert_true(event_set_previous(event, "processing", 7, 0));
    char expected[4096];
    snprintf(expected, sizeof expected,
             "{\"type\":\"job.completed_with_failures\",\"timestamp\":\"2026-11-24T09:00:00.123Z\",\"data\":{"
             "\"event_id\":\"%s\",\"account\":\"main\",\"message\":\"" JOB
             "is complete with failures: 2 of 10 failed "
             "(first error: Category not found: No category c-17)\",\"priority\":\"warning\","
             "\"job\":{\"type\":\"" TYPE "\",\"id\":\"" ID "\",\"status\":\"complete\",\"total_count\":10,"
             "\"completed_count\":8,\"failed_count\":2,\"created_at\":\"2026-11-24T09:00:00.000Z\","
             "\"completed_at\":\"2026-11-24T08:59:59.000Z\",\"expires_at\":\"2026-12-01T09:00:00.000Z\"},"
             "\"previous\":{\"status\":\"processing\",\"completed_count\":7,\"failed_count\":0},"
             "\"errors\":[{\"code\":\"not_found\",\"title\":\"Category not found\",\"detail\":\"No category "
             "c-17\","
             "\"pointer\":\"/data/attributes/categories/data/16\"}],\"errors_omitted\":7}}",
             event->id);
    char *body = render_standard(event);
    assert_string_equal(body, expected);
    free(body);
    event_free(event);
}

static void test_json_line_leaves_out_what_is_not_there(void **state)
{
    (void)state;
    struct job job = {.id = ID,
                      .status_word = "queued",
                      .counts = {NONE, NONE, NONE, NONE},
                      .created_at = WALL_NONE,
                      .completed_at = WALL_NONE,
                      .expires_at = WALL_NONE};
    struct event *event = make(EVENT_JOB_CREATED, TYPE, &job);
    char expected[1024];
    snprintf(expected, sizeof expected,
             "{\"type\":\"job.created\",\"event_id\":\"%s\",\"account\":\"main\",\"message\":\"" JOB
             "is new: queued\",\"priority\":\"info\",\"job\":{\"type\":\"" TYPE "\",\"id\":\"" ID
             "\",\"status\":\"queued\"}}",
             event->id);
    char *line = render_json_line(event);
    assert_string_equal(line, expected);
    free(line);
    event_free(event);
}

/* What a body has between "priority" and "job" or the end. */
static const struct {
    enum event_kind kind;
    bool has_job;
    const char *family;
    bool reminder;
    const char *note;
    int64_t figure;
    const char *members;
} member_cases[] = {
    {EVENT_JOB_STALLED, true, TYPE, true, "", 900000, ",\"reminder\":true,\"still_ms\":900000"},
    {EVENT_JOB_RESUMED, true, TYPE, false, "", 900000, ",\"still_ms\":900000"},
    {EVENT_JOB_ANOMALY, true, TYPE, false, "a count fell", 0, ",\"reason\":\"a count fell\""},
    {EVENT_JOB_COMPLETED, true, TYPE, false, "", 0, ""},
    {EVENT_CAPACITY_HIGH, false, TYPE, false, "", 450, ",\"job_type\":\"" TYPE "\",\"jobs_in_progress\":450"},
    {EVENT_CAPACITY_OK, false, TYPE, false, "", 0, ",\"job_type\":\"" TYPE "\",\"jobs_in_progress\":0"},
    {EVENT_WATCH_STARTED, false, TYPE, false, "0 active", 0,
     ",\"job_type\":\"" TYPE "\",\"summary\":\"0 active\",\"jobs_known\":0"},
    {EVENT_API_UNREACHABLE, false, "", true, "HTTP 503", 120000,
     ",\"reminder\":true,\"reason\":\"HTTP 503\",\"age_ms\":120000"},
    {EVENT_API_RECOVERED, false, "", false, "", 5, ",\"age_ms\":5"},
    {EVENT_API_UNAUTHORIZED, false, "", false, "HTTP 401", 0, ",\"reason\":\"HTTP 401\""},
    {EVENT_API_THROTTLED, false, TYPE, false, "others", 35000,
     ",\"job_type\":\"" TYPE "\",\"reason\":\"others\",\"interval_ms\":35000"},
    {EVENT_API_THROTTLED, false, TYPE, false, EVENT_NOTE_OVER, 10000,
     ",\"job_type\":\"" TYPE "\",\"over\":true,\"interval_ms\":10000"},
    {EVENT_API_SCHEMA, false, TYPE, false, "not JSON", 0,
     ",\"job_type\":\"" TYPE "\",\"reason\":\"not JSON\""},
    {EVENT_DELIVERY_FAILED, false, "", false, "ops: HTTP 400", 0, ",\"reason\":\"ops: HTTP 400\""},
    {EVENT_TEST, false, "", false, "", 0, ""},
};

static void test_members_of_each_kind(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof member_cases / sizeof *member_cases; i++) {
        struct event *event =
            make(member_cases[i].kind, member_cases[i].family, member_cases[i].has_job ? &plain_job : NULL);
        event->reminder = member_cases[i].reminder;
        assert_true(event_set_note(event, member_cases[i].note, member_cases[i].figure));
        char *body = render_standard(event);
        char expected[512];
        snprintf(expected, sizeof expected, "\"priority\":\"%s\"%s%s", priority_word(event->priority),
                 member_cases[i].members, member_cases[i].has_job ? ",\"job\":{" : "}}");
        if (!strstr(body, expected))
            fail_msg("%s has no %s", body, expected);
        free(body);
        event_free(event);
    }
}

static void test_no_errors(void **state)
{
    (void)state;
    struct event *event = make(EVENT_JOB_COMPLETED, TYPE, &plain_job);
    char *text = render_errors(event);
    assert_string_equal(text, "[]");
    free(text);
    event_free(event);
}

static void test_clean(void **state)
{
    (void)state;
    char *text = render_clean("a\x1B]0;x\x07\nb", 100);
    assert_string_equal(text, "a" BAD "]0;x" BAD BAD "b");
    free(text);
    text = render_clean("0123456789", 8);
    assert_string_equal(text, "01234…");
    free(text);
}

/* Everything a server could put into a text at once: escapes, a forged field and JSON, invalid and
 * bidirectional. */
#define HOSTILE                                                                                              \
    "x\nPRIORITY=0\r\x1B[2J\"}],\\/\x7F\xC2\x9B\xC0\xAF\xED\xA0\x80\xF4\x90\u202E\u2028\uFEFF\xE2\x82"

static void assert_clean(const char *text)
{
    for (size_t len = strlen(text); len > 0;) {
        uint32_t c;
        size_t n = utf8_decode(text, len, &c);
        assert_int_not_equal(c, UTF8_INVALID);
        assert_false(utf8_is_control(c));
        text += n;
        len -= n;
    }
}

static void assert_json(const char *text)
{
    struct json_tokener *tokener = json_tokener_new();
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *json = json_tokener_parse_ex(tokener, text, (int)strlen(text));
    assert_int_equal(json_tokener_get_error(tokener), json_tokener_success);
    assert_int_equal(json_tokener_get_parse_end(tokener), strlen(text));
    json_object_put(json);
    json_tokener_free(tokener);
}

/* A receiver must get the id that the API has, to ask for that job: nothing but invalid UTF-8 may change it.
 */
static void test_json_escapes_what_the_sentence_replaces(void **state)
{
    (void)state;
    struct job job = {.id = "a\n\x1B\x7F\xC2\x9B\u202E\uFEFF\xFF/\"€",
                      .status_word = "",
                      .counts = {NONE, NONE, NONE, NONE},
                      .created_at = WALL_NONE,
                      .completed_at = WALL_NONE,
                      .expires_at = WALL_NONE};
    struct event *event = make(EVENT_JOB_STARTED, "t", &job);
    char expected[1024];
    snprintf(expected, sizeof expected,
             "{\"type\":\"job.started\",\"event_id\":\"%s\",\"account\":\"main\",\"message\":\"t a" BAD BAD
                 BAD BAD BAD BAD BAD
             "/\\\"€ in account main started\",\"priority\":\"info\",\"job\":{\"type\":\"t\","
             "\"id\":\"a\\n\\u001b\\u007f\\u009b\\u202e\\ufeff" BAD "/\\\"€\",\"status\":\"\"}}",
             event->id);
    char *line = render_json_line(event);
    assert_string_equal(line, expected);
    free(line);
    event_free(event);
}

static struct event *make_hostile(enum event_kind kind, const char *text)
{
    struct job_error error = {text, text, text, text};
    struct job job = plain_job;
    job.id = job.status_word = text;
    struct event *event = event_new(kind, (wall_time){1795510800123}, text, text, &job, "");
    assert_non_null(event);
    assert_true(event_set_note(event, text, INT64_MIN));
    assert_true(event_set_previous(event, text, INT64_MIN + 1, INT64_MAX));
    assert_true(event_set_errors(event, &error, 1, SIZE_MAX / 2));
    return event;
}

static void check_all_outputs(const struct event *event)
{
    char *message = render_message(event);
    assert_clean(message);
    assert_true(strlen(message) <= RENDER_MAX_TEXT);
    free(message);
    char *line = render_line(event);
    assert_clean(line);
    free(line);
    char *fields = journal_text(event);
    for (char *field = strtok(fields, "\n"); field; field = strtok(NULL, "\n")) {
        assert_clean(field);
        if (strncmp(field, "KLV_ERRORS=", 11) == 0)
            assert_json(field + 11);
    }
    free(fields);
    char *bodies[] = {render_errors(event), render_standard(event), render_json_line(event)};
    for (size_t i = 0; i < 3; i++) {
        assert_clean(bodies[i]);
        assert_json(bodies[i]);
        free(bodies[i]);
    }
}

static void test_hostile_text_in_each_kind(void **state)
{
    (void)state;
    char *huge = malloc(70000);
    assert_non_null(huge);
    memset(huge, '\xC3', 69999);
    huge[69999] = '\0';
    for (enum event_kind kind = 0; kind < N_EVENT_KINDS; kind++) {
        struct event *event = make_hostile(kind, HOSTILE);
        check_all_outputs(event);
        event_free(event);
        event = make_hostile(kind, huge);
        check_all_outputs(event);
        event_free(event);
    }
    free(huge);
}

static void test_longest_id_is_shown_whole(void **state)
{
    (void)state;
    char id[JOB_ID_MAX + 1], family[FAMILY_TYPE_MAX + 1], expected[RENDER_MAX_TEXT];
    memset(id, 'i', JOB_ID_MAX);
    memset(family, 'f', FAMILY_TYPE_MAX);
    id[JOB_ID_MAX] = family[FAMILY_TYPE_MAX] = '\0';
    struct job_error error = {"", "", "0123456789", ""};
    char *long_text = malloc(1001);
    memset(long_text, 'd', 1000);
    long_text[1000] = '\0';
    error.detail = long_text;
    struct job job = plain_job;
    job.id = id;
    struct event *event = make(EVENT_JOB_COMPLETED_WITH_FAILURES, family, &job);
    assert_true(event_set_errors(event, &error, 1, 0));
    char *message = render_message(event);
    snprintf(expected, sizeof expected,
             "%s %s in account main is complete with failures: 3 of 40000 failed (first error: d", family,
             id);
    assert_memory_equal(message, expected, strlen(expected));
    assert_int_equal(strlen(message), RENDER_MAX_TEXT);
    assert_string_equal(message + RENDER_MAX_TEXT - 4, "d…");
    free(message);
    free(long_text);
    event_free(event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_of_jobs),
        cmocka_unit_test(test_messages_of_others),
        cmocka_unit_test(test_first_error_uses_what_there_is),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_journal_of_a_job),
        cmocka_unit_test(test_journal_of_an_account),
        cmocka_unit_test(test_standard_of_a_job),
        cmocka_unit_test(test_json_line_leaves_out_what_is_not_there),
        cmocka_unit_test(test_members_of_each_kind),
        cmocka_unit_test(test_no_errors),
        cmocka_unit_test(test_json_escapes_what_the_sentence_replaces),
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_hostile_text_in_each_kind),
        cmocka_unit_test(test_longest_id_is_shown_whole),
    };
    return cmocka_run_group_tests_name("render", tests, NULL, NULL);
}
