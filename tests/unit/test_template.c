/* template: what a file may say, what is wrong with it and where, and what comes out. */
#include "unit.h"

#include "../../lib/render_formats.h"
#include "../../lib/template.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

static struct template *parse(const char *text)
{
    char *error;
    struct template *template = template_parse(text, strlen(text), "t.json", &error);
    if (!template)
        fail_msg("%s\n→ %s", text, error);
    return template;
}

static struct event *make(const char *id, int64_t failed)
{
    struct job job = {
        .id = id,
        .status = JOB_COMPLETE,
        .status_word = "complete",
        .counts = {10, 10, failed, COUNT_NONE},
        .created_at = {1795510800000},
        .completed_at = WALL_NONE,
        .expires_at = WALL_NONE,
    };
    struct event *event =
        event_new(failed > 0 ? EVENT_JOB_COMPLETED_WITH_FAILURES : EVENT_JOB_COMPLETED,
                  (wall_time){1795510800123}, "main", "catalog-category-bulk-delete-job", &job, id);
    assert_non_null(event);
    return event;
}

static char *fill(const char *text, const struct event *const events[], size_t n)
{
    struct template *template = parse(text);
    struct render_context context = {.template = template};
    char *filled = render_webhook(FORMAT_TEMPLATE, &context, events, n, NULL);
    assert_non_null(filled);
    template_free(template);
    return filled;
}

static const struct {
    const char *text;
    const char *filled;
} single[] = {
    {"", ""},
    {"plain { } }} text", "plain { } }} text"},
    {"{{kind}} {{ type }} {{count}}", "job.completed_with_failures job.completed_with_failures 1"},
    {"{{job.id}}", "a\\\"b\\\\\\u000a\\u001b{{kind}}"},
    {"{{{job.id}}}", "a\"b\\\n\x1b{{kind}}"},
    {"{{job.id|raw}}{{ job.id | raw }}", "a\"b\\\n\x1b{{kind}}a\"b\\\n\x1b{{kind}}"},
    {"{{job.failed_count}}/{{job.total_count}} {{job.skipped_count}}.", "2/10 ."},
    {"{{job.created_at}}{{job.completed_at}}", "2026-11-24T09:00:00.000Z"},
    {"{{timestamp}} {{priority}} {{account}} {{job.status}}",
     "2026-11-24T09:00:00.123Z warning main complete"},
    {"{{#job.failed_count}}bad{{/job.failed_count}}{{^job.failed_count}}good{{/job.failed_count}}", "bad"},
    {"{{#reminder}}again {{/reminder}}{{^reminder}}new{{/reminder}}", "new"},
    {"{{#errors}}some{{/errors}}{{^errors}}none{{/errors}}", "none"},
    {"{{#digest}}many{{/digest}}{{^digest}}one{{/digest}}", "one"},
    {"{{! nothing {of} it }}x{{!}}", "x"},
    {"[{{#events}}{{count}}{{^last}},{{/last}}{{/events}}]", "[1]"},
    {"{{counts.job.completed}} {{counts.job.completed_with_failures}}", "0 1"},
    {"{{#counts.job.completed}}x{{/counts.job.completed}}", ""},
    {"{{previous.status}}{{previous.completed_count}}{{reason}}", ""},
    {"{\"a\":{\"b\":{{count}}}}", "{\"a\":{\"b\":1}}"},
};

static void test_single(void **state)
{
    (void)state;
    struct event *event = make("a\"b\\\n\x1b{{kind}}", 2);
    const struct event *events[] = {event};
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        char *filled = fill(single[i].text, events, 1);
        assert_string_equal(filled, single[i].filled);
        free(filled);
    }
    event_free(event);
}

/* Each field of an event, with a value that no other field has. */
static void test_each_field(void **state)
{
    (void)state;
    static const struct job_error errors[] = {{"code", "title", "detail", "/pointer"}};
    const struct job job = {
        .id = "01ID",
        .status = JOB_OTHER,
        .status_word = "paused",
        .counts = {10, 7, 2, 1},
        .created_at = {1795510800000},
        .completed_at = {1795510801000},
        .expires_at = {1795510802000},
        .errors = errors,
        .n_errors = 1,
    };
    struct event *event = event_new(EVENT_JOB_STALLED, (wall_time){1795510803000}, "main",
                                    "catalog-category-bulk-delete-job", &job, "d");
    assert_non_null(event);
    assert_true(event_set_note(event, "the note", 900000) && event_set_previous(event, "queued", 5, 4));
    event->reminder = true;
    const struct {
        const char *field, *value;
    } fields[] = {
        {"type", "job.stalled"},
        {"kind", "job.stalled"},
        {"timestamp", "2026-11-24T09:00:03.000Z"},
        {"event_id", event->id},
        {"id", event->id},
        {"account", "main"},
        {"priority", "err"},
        {"reminder", "true"},
        {"reason", "the note"},
        {"job_type", "catalog-category-bulk-delete-job"},
        {"job.type", "catalog-category-bulk-delete-job"},
        {"job.id", "01ID"},
        {"job.status", "paused"},
        {"job.total_count", "10"},
        {"job.completed_count", "7"},
        {"job.failed_count", "2"},
        {"job.skipped_count", "1"},
        {"job.created_at", "2026-11-24T09:00:00.000Z"},
        {"job.completed_at", "2026-11-24T09:00:01.000Z"},
        {"job.expires_at", "2026-11-24T09:00:02.000Z"},
        {"previous.status", "queued"},
        {"previous.completed_count", "5"},
        {"previous.failed_count", "4"},
        {"count", "1"},
        {"digest", ""},
    };
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        char text[80];
        snprintf(text, sizeof text, "{{%s}}", fields[i].field);
        char *filled = fill(text, (const struct event *const[]){event}, 1);
        if (strcmp(filled, fields[i].value) != 0)
            fail_msg("%s: \"%s\"", text, filled);
        free(filled);
    }
    event_free(event);
}

/* The same fields of a digest that has no one event: its own time and id, and nothing for the rest. */
static void test_fields_of_a_digest(void **state)
{
    (void)state;
    struct event *events[] = {make("a", 0), make("b", 3)};
    const struct event *const *all = (const struct event *const *)events;
    char id[MESSAGE_ID_SIZE], expected[200];
    assert_true(format_message_id(all, 2, id));
    snprintf(expected, sizeof expected, "digest digest 2026-11-24T09:00:00.123Z %s true []", id);
    char *filled =
        fill("{{type}} {{kind}} {{timestamp}} {{id}} {{digest}} [{{event_id}}{{account}}{{reason}}]", all, 2);
    assert_string_equal(filled, expected);
    free(filled);
    event_free(events[0]);
    event_free(events[1]);
}

static void test_digest(void **state)
{
    static const char text[] = "{\"n\":{{count}},\"ok\":{{counts.job.completed}},\"what\":\"{{message}}\","
                               "\"worst\":\"{{priority}}\",\"kind\":\"{{kind}}\",\"none\":\"{{job.id}}\","
                               "\"jobs\":[{{#events}}{\"id\":\"{{job.id}}\",\"whole\":{{{json}}}}"
                               "{{^last}},{{/last}}{{/events}}],\"all\":{{{json}}}}";
    (void)state;
    struct event *events[] = {make("a", 0), make("b\"", 3), make("c", 0)};
    char *filled = fill(text, (const struct event *const *)events, 3);
    struct json_object *json = json_tokener_parse(filled);
    assert_non_null(json);
    assert_int_equal(json_object_get_int(json_object_object_get(json, "n")), 3);
    assert_int_equal(json_object_get_int(json_object_object_get(json, "ok")), 2);
    assert_string_equal(json_object_get_string(json_object_object_get(json, "what")),
                        "3 events: 2 job.completed, 1 job.completed_with_failures");
    assert_string_equal(json_object_get_string(json_object_object_get(json, "worst")), "warning");
    assert_string_equal(json_object_get_string(json_object_object_get(json, "kind")), "digest");
    assert_string_equal(json_object_get_string(json_object_object_get(json, "none")), "");
    struct json_object *jobs = json_object_object_get(json, "jobs");
    assert_int_equal(json_object_array_length(jobs), 3);
    struct json_object *second = json_object_array_get_idx(jobs, 1);
    assert_string_equal(json_object_get_string(json_object_object_get(second, "id")), "b\"");
    assert_string_equal(json_object_get_string(json_object_object_get(
                            json_object_object_get(json_object_object_get(json, "all"), "data"), "count")),
                        "3");
    json_object_put(json);
    free(filled);
    for (int i = 0; i < 3; i++)
        event_free(events[i]);
}

static const struct {
    const char *text;
    const char *error;
} mistakes[] = {
    {"\n\n {{message", "t.json:3: {{ is not closed; add }}"},
    {"{{{message}}", "t.json:1: {{{ is not closed; add }}}"},
    {"a\n{{mesage}}", "t.json:2: unknown field \"mesage\"; did you mean \"message\"?"},
    {"{{}}", "t.json:1: unknown field \"\"; klv-jobwatch.conf(5) lists them"},
    {"{{counts.job.done}}", "t.json:1: unknown field \"counts.job.done\"; klv-jobwatch.conf(5) lists them"},
    {"{{message|html}}", "t.json:1: unknown filter \"html\"; the only one is raw"},
    {"{{a_name_that_is_longer_than_any_field_has_and_goes_on_for_more_than_64_bytes}}",
     "t.json:1: unknown field "
     "\"a_name_that_is_longer_than_any_field_has_and_goes_on_for_more_than_64_bytes\"; "
     "klv-jobwatch.conf(5) lists them"},
    {"{{|raw}}", "t.json:1: unknown field \"\"; klv-jobwatch.conf(5) lists them"},
    {"{{message|rawest}}", "t.json:1: unknown filter \"rawest\"; the only one is raw"},
    {"{{message|}}", "t.json:1: unknown filter \"\"; the only one is raw"},
    {"{{events}}", "t.json:1: events has no text, write {{#events}}...{{/events}} around each event's"},
    {"{{^events}}{{/events}}",
     "t.json:1: events has no text, write {{#events}}...{{/events}} around each event's"},
    {"\n{{#events}}\n", "t.json:2: the section that begins here is not closed; add {{/...}}"},
    {"{{/events}}", "t.json:1: {{/events}} closes no section; remove it or write {{#events}} before"},
    {"{{#digest}}\n{{/last}}",
     "t.json:2: {{/last}} does not close the section of line 1; close that one first"},
    {"{{#events}}{{#digest}}\n{{#events}}",
     "t.json:2: {{#events}} inside of {{#events}}; close the first one before"},
    {"{{\x1b[31m}}", "t.json:1: unknown field \"\xEF\xBF\xBD[31m\"; klv-jobwatch.conf(5) lists them"},
    {"ab\n\xff", "t.json:2: holds a byte that is no UTF-8 text; save it as UTF-8"},
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        char *error = NULL;
        const char *text = mistakes[i].text;
        if (template_parse(text, strlen(text), "t.json", &error))
            fail_msg("taken: %s", text);
        assert_non_null(error);
        assert_string_equal(error, mistakes[i].error);
        free(error);
    }
}

static void test_bounds(void **state)
{
    (void)state;
    char *error, text[TEMPLATE_MAX + 2], deep[2000] = "";
    memset(text, 'x', sizeof text);
    struct template *template = template_parse(text, TEMPLATE_MAX, "t", &error);
    assert_non_null(template);
    template_free(template);
    assert_null(template_parse(text, TEMPLATE_MAX + 1, "t", &error));
    assert_string_equal(error, "t:1: is larger than 65536 bytes; use a shorter one");
    free(error);
    assert_null(template_parse("a\0b", 3, "t", &error));
    assert_string_equal(error, "t:1: holds a byte that is no UTF-8 text; save it as UTF-8");
    free(error);
    for (int i = 0; i < 17; i++)
        strcat(deep, "{{#digest}}");
    assert_null(template_parse(deep, strlen(deep), "t", &error));
    assert_string_equal(error, "t:1: more than 16 sections inside of each other; use fewer");
    free(error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single),
        cmocka_unit_test(test_each_field),
        cmocka_unit_test(test_fields_of_a_digest),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
