/*
 * formats: each product's documented limits with events at and far beyond them, valid JSON whatever the API
 * says, exact counts, and nothing of it becoming markup or a mention.
 */
#include "unit.h"

#include "../../lib/render_formats.h"
#include "../../lib/template.h"
#include "../../lib/text.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#define TYPE "catalog-category-bulk-delete-job"
#define URL  "https://ntfy.example.com/klv_alerts-1?auth=abc"
#define KEY  "R0123456789abcdef0123456789abcde"

static const struct render_context context = {.url = URL, .routing_key = KEY};

/* What the API may say: control characters, markup of each product, invalid UTF-8. */
static const char *const hostile[] = {
    "01GSQPBF74KQ5YTDEPP41T1BZH",
    "@everyone <!channel> <@U123> <https://evil.example|click> &amp; *b* _i_ ~s~ `c` ||x|| [a](b) # h :x:",
    "a\nb\r\n\x1b[31mred\x07\x7f\xc2\x85\xe2\x80\xae\xe2\x80\xa8",
    "\xff\xfe\xc0\x80 \"quoted\" \\ back {{message}} </script>",
    "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\"\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\",
};
#define N_HOSTILE (sizeof hostile / sizeof *hostile)

static struct event *make(enum event_kind kind, const char *id, const char *detail)
{
    struct job_error errors[20];
    for (size_t i = 0; i < 20; i++)
        errors[i] = (struct job_error){"invalid", "Invalid input.", detail, "/data"};
    struct job job = {
        .id = id,
        .status = JOB_PROCESSING,
        .status_word = "processing",
        .counts = {40000, 1200, 3, COUNT_NONE},
        .created_at = {1795510800000},
        .completed_at = WALL_NONE,
        .expires_at = WALL_NONE,
        .errors = errors,
        .n_errors = 20,
    };
    bool of_job = kind <= EVENT_JOB_ANOMALY;
    struct event *event =
        event_new(kind, (wall_time){1795510800123}, "main", of_job ? TYPE : "", of_job ? &job : NULL, detail);
    assert_non_null(event);
    assert_true(event_set_note(event, detail, 900000));
    return event;
}

static void free_events(struct event **events, size_t n)
{
    for (size_t i = 0; i < n; i++)
        event_free(events[i]);
    free(events);
}

/* n events that take turns in kind and in what they say; long: sentences of their greatest length. */
static struct event **make_many(size_t n, bool large)
{
    char id[JOB_ID_MAX + 1], detail[2100];
    struct event **events = calloc(n, sizeof *events);
    assert_non_null(events);
    for (size_t i = 0; i < n; i++) {
        snprintf(id, sizeof id, "%s-%zu", hostile[i % N_HOSTILE], i);
        snprintf(detail, sizeof detail, "%s %zu", hostile[i % N_HOSTILE], i);
        if (large) {
            for (size_t at = strlen(detail); at + 4 < sizeof detail; at += strlen(detail + at))
                strcpy(detail + at, (const char *const[]){"&", "ä", "\"", "😀", "*"}[at % 5]);
        }
        events[i] = make((enum event_kind)(i % (EVENT_JOB_ANOMALY + 1)), id, detail);
    }
    return events;
}

static struct json_object *render(enum webhook_format format, struct event **events, size_t n,
                                  size_t *ret_len)
{
    size_t len = 0;
    char *body = render_webhook(format, &context, (const struct event *const *)events, n, &len);
    assert_non_null(body);
    assert_int_equal(strlen(body), len);
    for (size_t at = 0; at < len;) {
        uint32_t c;
        at += utf8_decode(body + at, len - at, &c);
        if (c == UTF8_INVALID || utf8_is_control(c))
            fail_msg("%s: a control character or no UTF-8 in %s", format_name(format), body);
    }
    struct json_tokener *tokener = json_tokener_new_ex(32);
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    struct json_object *json = json_tokener_parse_ex(tokener, body, (int)len + 1);
    if (!json)
        fail_msg("%s: %s in %s", format_name(format),
                 json_tokener_error_desc(json_tokener_get_error(tokener)), body);
    json_tokener_free(tokener);
    free(body);
    if (ret_len)
        *ret_len = len;
    return json;
}

static struct json_object *member(struct json_object *json, const char *key)
{
    struct json_object *found = json_object_object_get(json, key);
    if (!found)
        fail_msg("no \"%s\" in %s", key, json_object_to_json_string(json));
    return found;
}

static const char *string(struct json_object *json, const char *key)
{
    return json_object_get_string(member(json, key));
}

/* As the strictest product counts: UTF-16 units would be fewer than bytes. */
static size_t length(struct json_object *json, const char *key)
{
    return (size_t)json_object_get_string_len(member(json, key));
}

/* How many events a list shows: its lines begin with a sign. */
static size_t count_signs(const char *text)
{
    size_t n = 0;
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        n += strncmp(line, "✅", 3) == 0 || strncmp(line, "🚨", 4) == 0 || strncmp(line, "⚠", 3) == 0 ||
             strncmp(line, "🔔", 4) == 0;
    }
    return n;
}

/* The N of "… and N more" at the end, 0 when it is not there. */
static size_t rest_of(const char *text)
{
    const char *last = strrchr(text, '\n');
    size_t n = 0;
    if (strncmp(last ? last + 1 : text, "… and ", 8) == 0)
        n = strtoul((last ? last + 1 : text) + 8, NULL, 10);
    return n;
}

/* ---- names, content types, ids, URLs ---- */

static void test_names(void **state)
{
    (void)state;
    enum webhook_format found = FORMAT_NTFY;
    for (enum webhook_format format = 0; format < N_WEBHOOK_FORMATS; format++) {
        assert_true(format_from_name(format_name(format), &found));
        assert_int_equal(found, format);
        assert_true(format_group_limit(format) == (format == FORMAT_PAGERDUTY ? 1 : SIZE_MAX));
    }
    assert_false(format_from_name("Slack", &found));
    assert_int_equal(found, FORMAT_TEMPLATE);
    struct render_context text = {.content_type = "text/plain"};
    assert_string_equal(format_content_type(FORMAT_SLACK, &text, 1), "application/json");
    assert_string_equal(format_content_type(FORMAT_TEMPLATE, &text, 1), "text/plain");
    assert_string_equal(format_content_type(FORMAT_TEMPLATE, &context, 1), "application/json");
    assert_string_equal(format_content_type(FORMAT_CLOUDEVENTS, &context, 1), "application/cloudevents+json");
    assert_string_equal(format_content_type(FORMAT_CLOUDEVENTS, &context, 2),
                        "application/cloudevents-batch+json");
}

static const struct {
    const char *url;
    const char *topic; /* NULL: none can be told */
    const char *posted;
} topics[] = {
    {"https://ntfy.sh/topic", "topic", "https://ntfy.sh/"},
    {"https://u:p@ntfy.sh:8443/To_pic-9?auth=x/y", "To_pic-9", "https://u:p@ntfy.sh:8443/?auth=x/y"},
    {"https://ntfy.sh", NULL, "https://ntfy.sh"},
    {"https://ntfy.sh/", NULL, "https://ntfy.sh/"},
    {"https://ntfy.sh?/topic", NULL, "https://ntfy.sh?/topic"},
    {"https://ntfy.sh/a/b", NULL, "https://ntfy.sh/a/b"},
    {"https://ntfy.sh/t%2f", NULL, "https://ntfy.sh/t%2f"},
    {"ntfy.sh/topic", NULL, "ntfy.sh/topic"},
    {"https://h/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL, NULL},
};

static void test_topics(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
        const char *topic = NULL;
        size_t len = 0;
        assert_int_equal(ntfy_topic(topics[i].url, &topic, &len), topics[i].topic != NULL);
        if (topics[i].topic) {
            assert_int_equal(len, strlen(topics[i].topic));
            assert_memory_equal(topic, topics[i].topic, len);
        }
        char *posted = format_url(FORMAT_NTFY, topics[i].url);
        assert_string_equal(posted, topics[i].posted ? topics[i].posted : topics[i].url);
        free(posted);
        posted = format_url(FORMAT_SLACK, topics[i].url);
        assert_string_equal(posted, topics[i].url);
        free(posted);
    }
}

static void test_message_ids(void **state)
{
    (void)state;
    struct event **events = make_many(3, false);
    const struct event *swapped[] = {events[1], events[0], events[2]};
    char one[MESSAGE_ID_SIZE], all[MESSAGE_ID_SIZE], again[MESSAGE_ID_SIZE];
    assert_true(format_message_id((const struct event *const *)events, 1, one));
    assert_string_equal(one, events[0]->id);
    assert_true(format_message_id((const struct event *const *)events, 3, all));
    assert_true(format_message_id((const struct event *const *)events, 3, again));
    assert_string_equal(all, again);
    assert_memory_equal(all, "dig_", 4);
    assert_int_equal(strlen(all), EVENT_ID_SIZE - 1);
    assert_true(format_message_id((const struct event *const *)events, 2, again));
    assert_string_not_equal(all, again);
    assert_true(format_message_id(swapped, 3, again));
    assert_string_not_equal(all, again);
    free_events(events, 3);
}

/* ---- all formats ---- */

/* Valid JSON of the same bytes each time, whatever is said; render() checks the text. */
static void test_hostile(void **state)
{
    (void)state;
    for (enum webhook_format format = 0; format < FORMAT_TEMPLATE; format++) {
        for (int large = 0; large < 2; large++) {
            struct event **events = make_many(60, large);
            for (size_t i = 0; i < 60; i++)
                json_object_put(render(format, events + i, 1, NULL));
            if (format_group_limit(format) > 1) {
                char *a = render_webhook(format, &context, (const struct event *const *)events, 60, NULL);
                char *b = render_webhook(format, &context, (const struct event *const *)events, 60, NULL);
                assert_string_equal(a, b);
                free(a);
                free(b);
                json_object_put(render(format, events, 60, NULL));
            }
            free_events(events, 60);
        }
    }
}

static void test_standard_digest(void **state)
{
    (void)state;
    struct event **events = make_many(1000, false);
    events[7]->at.ms += 5000;
    struct json_object *body = render(FORMAT_STANDARD, events, 1000, NULL), *data = member(body, "data");
    assert_string_equal(string(body, "type"), "digest");
    assert_string_equal(string(body, "timestamp"), "2026-11-24T09:00:05.123Z");
    assert_int_equal(json_object_get_int(member(data, "count")), 1000);
    assert_memory_equal(string(data, "digest_id"), "dig_", 4);
    int64_t sum = 0;
    struct json_object_iter it;
    json_object_object_foreachC(member(data, "counts"), it)
    {
        assert_true(event_kind_from_name(it.key) != N_EVENT_KINDS);
        sum += json_object_get_int64(it.val);
    }
    assert_int_equal(sum, 1000);
    assert_int_equal(json_object_get_int(member(member(data, "counts"), "job.created")), 91);
    struct json_object *array = member(data, "events");
    assert_int_equal(json_object_array_length(array), 1000);
    for (size_t i = 0; i < 1000; i++) {
        char *alone =
            render_webhook(FORMAT_STANDARD, &context, (const struct event *const *)events + i, 1, NULL);
        struct json_object *parsed = json_tokener_parse(alone);
        assert_true(json_object_equal(parsed, json_object_array_get_idx(array, i)));
        json_object_put(parsed);
        free(alone);
    }
    json_object_put(body);
    free_events(events, 1000);
}

/* ---- CloudEvents ---- */

/*
 * The rules of the JSON schema that the CloudEvents project publishes:
 * https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/cloudevents.json
 * required are id, source, specversion and type, strings of at least one character; subject and
 * datacontenttype are such strings or null; names of attributes are of lower-case letters and digits (section
 * "Naming Conventions" of spec.md).
 */
static void check_cloudevent(struct json_object *json, const struct event *event)
{
    struct json_object_iter it;
    json_object_object_foreachC(json, it)
    {
        assert_int_equal(strspn(it.key, "abcdefghijklmnopqrstuvwxyz0123456789"), strlen(it.key));
        if (strcmp(it.key, "data") != 0) {
            assert_true(json_object_is_type(it.val, json_type_string));
            assert_true(json_object_get_string_len(it.val) > 0);
        }
    }
    assert_string_equal(string(json, "specversion"), "1.0");
    assert_string_equal(string(json, "id"), event->id);
    assert_string_equal(string(json, "source"), "/klv-jobwatch/main");
    assert_memory_equal(string(json, "type"), "klv-jobwatch.", 13);
    assert_string_equal(string(json, "type") + 13, event_types[event->kind].name);
    assert_string_equal(string(json, "time"), "2026-11-24T09:00:00.123Z");
    assert_string_equal(string(json, "datacontenttype"), "application/json");
    assert_string_equal(string(member(json, "data"), "event_id"), event->id);
    assert_int_equal(json_object_object_get_ex(json, "subject", NULL), event->family[0] != '\0');
}

static void test_cloudevents(void **state)
{
    (void)state;
    struct event **events = make_many(25, true);
    events[24]->kind = EVENT_API_SCHEMA;
    events[24]->family[0] = events[24]->job_id[0] = '\0';
    struct json_object *batch = render(FORMAT_CLOUDEVENTS, events, 25, NULL);
    assert_int_equal(json_object_array_length(batch), 25);
    for (size_t i = 0; i < 25; i++) {
        check_cloudevent(json_object_array_get_idx(batch, i), events[i]);
        struct json_object *alone = render(FORMAT_CLOUDEVENTS, events + i, 1, NULL);
        assert_true(json_object_equal(alone, json_object_array_get_idx(batch, i)));
        json_object_put(alone);
    }
    json_object_put(batch);
    free_events(events, 25);
}

/* What is not unreserved in an URL is encoded in the source, byte for byte. */
static void test_cloudevents_source(void **state)
{
    (void)state;
    struct event *event =
        event_new(EVENT_API_SCHEMA, (wall_time){1795510800123}, "azAZ09-._~ /:@[`{\xc3\xa9", "", NULL, "");
    assert_non_null(event);
    struct json_object *body = render(FORMAT_CLOUDEVENTS, &event, 1, NULL);
    assert_string_equal(string(body, "source"), "/klv-jobwatch/azAZ09-._~%20%2F%3A%40%5B%60%7B%C3%A9");
    assert_null(json_object_object_get(body, "subject"));
    json_object_put(body);
    event_free(event);
}

/* ---- Slack ---- */

/* No '<' or '>', and no '&' but of the three that Slack names. */
static void check_mrkdwn(const char *text)
{
    assert_null(strpbrk(text, "<>"));
    for (const char *at = text; (at = strchr(at, '&')) != NULL; at++)
        assert_true(strncmp(at, "&amp;", 5) == 0 || strncmp(at, "&lt;", 4) == 0 ||
                    strncmp(at, "&gt;", 4) == 0);
}

static void check_slack(struct event **events, size_t n)
{
    size_t len, shown = 0, rest = 0;
    struct json_object *body = render(FORMAT_SLACK, events, n, &len), *blocks = member(body, "blocks");
    size_t n_blocks = json_object_array_length(blocks);
    assert_true(len <= 12000);
    assert_true(n_blocks >= 1 && n_blocks <= 50);
    assert_true(length(body, "text") > 0 && length(body, "text") <= 3000);
    check_mrkdwn(string(body, "text"));
    for (size_t i = 0; i < n_blocks; i++) {
        struct json_object *block = json_object_array_get_idx(blocks, i), *text = member(block, "text");
        bool header = strcmp(string(block, "type"), "header") == 0;
        assert_true(length(text, "text") > 0 && length(text, "text") <= (header ? 150 : 3000));
        assert_string_equal(string(text, "type"), header ? "plain_text" : "mrkdwn");
        if (!header) {
            check_mrkdwn(string(text, "text"));
            assert_true(json_object_get_boolean(member(text, "verbatim")));
            shown += count_signs(string(text, "text"));
            rest += rest_of(string(text, "text"));
        }
    }
    assert_int_equal(shown + rest, n);
    json_object_put(body);
}

static const size_t sizes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 20, 24, 25, 26, 40, 60, 100, 1000};
#define N_SIZES (sizeof sizes / sizeof *sizes)

static void check_sizes(void (*check)(struct event **events, size_t n))
{
    for (int large = 0; large < 2; large++) {
        struct event **events = make_many(1000, large);
        for (size_t i = 0; i < N_SIZES; i++)
            check(events, sizes[i]);
        for (size_t i = 0; i < 50; i++)
            check(events + i, 1);
        free_events(events, 1000);
    }
}

static void test_slack(void **state)
{
    (void)state;
    check_sizes(check_slack);
}

/* Ids of quotes: each takes two bytes in JSON, and a body that would be too long is rendered again, shorter. */
static void check_quotes(void (*check)(struct event **events, size_t n))
{
    char id[JOB_ID_MAX + 1];
    memset(id, '"', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    for (size_t n = 1; n <= 256; n *= 4) {
        struct event **events = calloc(n, sizeof *events);
        assert_non_null(events);
        for (size_t i = 0; i < n; i++)
            events[i] = make(EVENT_JOB_STALLED, id, id);
        check(events, n);
        free_events(events, n);
    }
}

static void test_slack_of_quotes(void **state)
{
    (void)state;
    check_quotes(check_slack);
}

/* ---- Discord ---- */

static void check_discord(struct event **events, size_t n)
{
    struct json_object *body = render(FORMAT_DISCORD, events, n, NULL);
    const char *content = string(body, "content");
    assert_true(length(body, "content") > 0 && length(body, "content") <= 2000);
    assert_int_equal(json_object_array_length(member(member(body, "allowed_mentions"), "parse")), 0);
    assert_int_equal(json_object_get_int(member(body, "flags")), 4);
    assert_int_equal(count_signs(content) + rest_of(content), n);
    /* Behind the heading's own two stars, whatever means something has its backslash. */
    const char *at = content;
    if (n > 1) {
        assert_memory_equal(content, "**", 2);
        at = strstr(content + 2, "**") + 2;
    }
    for (; *at; at++) {
        if (*at == '\\')
            assert_true(*++at != '\0' && strchr("\\*_~`|<>[]()#@:", *at));
        else
            assert_null(strchr("*_~`|<>[]()#@:", *at));
    }
    json_object_put(body);
}

static void test_discord(void **state)
{
    (void)state;
    check_sizes(check_discord);
}

/* ---- ntfy ---- */

static void check_ntfy(struct event **events, size_t n)
{
    size_t len;
    struct json_object *body = render(FORMAT_NTFY, events, n, &len);
    int priority = json_object_get_int(member(body, "priority"));
    assert_true(len <= 8192);
    assert_string_equal(string(body, "topic"), "klv_alerts-1");
    assert_true(length(body, "message") > 0 && length(body, "message") <= 4096);
    assert_true(length(body, "title") > 0 && length(body, "title") <= 250);
    assert_true(priority >= 1 && priority <= 5);
    assert_int_equal(json_object_array_length(member(body, "tags")), 1);
    assert_int_equal(count_signs(string(body, "message")) + rest_of(string(body, "message")), n);
    json_object_put(body);
}

static void test_ntfy(void **state)
{
    (void)state;
    check_sizes(check_ntfy);
    static const int expected[] = {5, 5, 5, 4, 3, 3, 2, 1};
    struct event *event = make(EVENT_JOB_STALLED, "id", "");
    for (enum priority priority = PRIO_EMERG; priority <= PRIO_DEBUG; priority++) {
        event->priority = priority;
        struct json_object *body = render(FORMAT_NTFY, &event, 1, NULL);
        assert_int_equal(json_object_get_int(member(body, "priority")), expected[priority]);
        json_object_put(body);
    }
    event_free(event);
}

static void test_ntfy_of_quotes(void **state)
{
    (void)state;
    check_quotes(check_ntfy);
}

/* ---- PagerDuty ---- */

static const struct {
    enum event_kind kind;
    const char *action;
    const char *severity;
    const char *dedup_key;
} alerts[] = {
    {EVENT_JOB_STALLED, "trigger", "error", "main/" TYPE "/id"},
    {EVENT_JOB_RESUMED, "resolve", "info", "main/" TYPE "/id"},
    {EVENT_JOB_COMPLETED, "resolve", "info", "main/" TYPE "/id"},
    {EVENT_JOB_COMPLETED_WITH_FAILURES, "trigger", "warning", "main/" TYPE "/id"},
    {EVENT_JOB_CANCELLED, "trigger", "warning", "main/" TYPE "/id"},
    {EVENT_JOB_VANISHED, "trigger", "error", "main/" TYPE "/id"},
    {EVENT_JOB_CREATED, "resolve", "info", "main/" TYPE "/id"},
    {EVENT_JOB_STARTED, "resolve", "info", "main/" TYPE "/id"},
    {EVENT_JOB_EXPIRING, "trigger", "info", "main/" TYPE "/id"},
    {EVENT_API_UNREACHABLE, "trigger", "error", "main/api"},
    {EVENT_API_UNAUTHORIZED, "trigger", "critical", "main/api"},
    {EVENT_API_RECOVERED, "resolve", "info", "main/api"},
    {EVENT_API_THROTTLED, "trigger", "warning", "main/throttled"},
    {EVENT_CAPACITY_HIGH, "trigger", "warning", "main/capacity"},
    {EVENT_CAPACITY_OK, "resolve", "info", "main/capacity"},
    {EVENT_DELIVERY_FAILED, "trigger", "error", "main/delivery"},
    {EVENT_TEST, "trigger", "info", "main/test"},
};

static void check_pagerduty(struct json_object *body, size_t len)
{
    struct json_object *payload = member(body, "payload");
    assert_true(len <= 512000);
    assert_string_equal(string(body, "routing_key"), KEY);
    assert_true(length(body, "dedup_key") > 0 && length(body, "dedup_key") <= 255);
    assert_true(length(payload, "summary") > 0 && length(payload, "summary") <= 1024);
    assert_true(length(payload, "source") > 0);
}

static void test_pagerduty_actions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof alerts / sizeof *alerts; i++) {
        size_t len;
        struct event *event = make(alerts[i].kind, "id", "why");
        struct json_object *body = render(FORMAT_PAGERDUTY, &event, 1, &len);
        check_pagerduty(body, len);
        assert_string_equal(string(body, "event_action"), alerts[i].action);
        assert_string_equal(string(body, "dedup_key"), alerts[i].dedup_key);
        assert_string_equal(string(member(body, "payload"), "severity"), alerts[i].severity);
        json_object_put(body);
        event_free(event);
    }
    struct event *over = make(EVENT_API_THROTTLED, "", EVENT_NOTE_OVER);
    struct json_object *body = render(FORMAT_PAGERDUTY, &over, 1, NULL);
    assert_string_equal(string(body, "event_action"), "resolve");
    json_object_put(body);
    event_free(over);
}

static void test_pagerduty_limits(void **state)
{
    (void)state;
    char id[300], detail[2049];
    memset(id, 'x', sizeof id);
    id[255 - strlen("main/" TYPE "/")] = '\0';
    memset(detail, '\x01', sizeof detail); /* six bytes each in JSON */
    detail[sizeof detail - 1] = '\0';
    for (int more = 0; more < 2; more++) {
        size_t len;
        struct event *event = make(EVENT_JOB_FAILURES_GROWING, id, detail);
        struct job_error errors[20];
        for (size_t i = 0; i < 20; i++)
            errors[i] = (struct job_error){detail, detail, detail, detail};
        assert_true(event_set_errors(event, errors, 20, 2));
        struct json_object *body = render(FORMAT_PAGERDUTY, &event, 1, &len);
        check_pagerduty(body, len);
        struct json_object *details = member(member(body, "payload"), "custom_details");
        assert_int_equal(json_object_get_int(member(details, "errors_omitted")), 22);
        assert_int_equal(length(body, "dedup_key"), more ? strlen("key_") + 52 : 255);
        json_object_put(body);
        event_free(event);
        strcpy(id + strlen(id), "yy");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_message_ids),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_standard_digest),
        cmocka_unit_test(test_cloudevents),
        cmocka_unit_test(test_cloudevents_source),
        cmocka_unit_test(test_slack),
        cmocka_unit_test(test_slack_of_quotes),
        cmocka_unit_test(test_discord),
        cmocka_unit_test(test_ntfy),
        cmocka_unit_test(test_ntfy_of_quotes),
        cmocka_unit_test(test_pagerduty_actions),
        cmocka_unit_test(test_pagerduty_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
