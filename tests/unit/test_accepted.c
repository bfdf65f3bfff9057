/*
 * accepted: our bodies and signatures, byte for byte as public libraries have accepted them. No such library
 * is a Debian package, so their verdict is recorded in tests/data/accepted-webhooks.json, with their names and
 * versions; tests/data/accept.mjs asks them again. A change of a format fails here until it has been accepted anew.
 */
#include "unit.h"

#include "../../lib/render_formats.h"
#include "../../lib/signature.h"

#include <json-c/json.h>
#include <stdlib.h>

static struct event *make(const char *id, enum event_kind kind)
{
    static const struct job_error errors[] = {
        {"invalid", "Invalid input.", "No category \"Fr\xc3\xbchling\" <1>.", "/data/0"}};
    const struct job job = {
        .id = id,
        .status = JOB_COMPLETE,
        .status_word = "complete",
        .counts = {40000, 39988, 12, COUNT_NONE},
        .created_at = {1795510800000},
        .completed_at = {1795514400000},
        .expires_at = {1796119200000},
        .errors = errors,
        .n_errors = 1,
    };
    struct event *event = event_new(kind, (wall_time){1795514400123}, "main",
                                    "catalog-category-bulk-delete-job", &job, "complete");
    assert_non_null(event);
    return event;
}

static const char *string(struct json_object *of, const char *name)
{
    return json_object_get_string(json_object_object_get(of, name));
}

static void check_signature(struct json_object *accepted, const char *body, size_t len)
{
    struct signature_keys keys;
    const char *why;
    const char *secret = string(accepted, "secret");
    assert_true(signature_keys_parse(secret, strlen(secret), &keys, &why));
    char signature[SIGNATURE_SIZE];
    int64_t at = strtoll(string(accepted, "timestamp"), NULL, 10);
    assert_true(signature_make(&keys, string(accepted, "id"), at, body, len, signature));
    assert_string_equal(signature, string(accepted, "signature"));
}

static void check(struct json_object *accepted, const struct event *const events[2])
{
    enum webhook_format format;
    assert_true(format_from_name(string(accepted, "format"), &format));
    size_t n = (size_t)json_object_get_int(json_object_object_get(accepted, "events")), len;
    const struct render_context context = {.url = "https://hooks.example.com/klv"};
    char *body = render_webhook(format, &context, events, n, &len);
    assert_non_null(body);
    assert_string_equal(body, string(accepted, "body"));
    assert_string_equal(format_content_type(format, &context, n), string(accepted, "content_type"));
    char id[MESSAGE_ID_SIZE];
    assert_true(format_message_id(events, n, id));
    assert_string_equal(id, string(accepted, "id"));
    check_signature(accepted, body, len);
    free(body);
}

static void test_what_public_libraries_accepted(void **state)
{
    (void)state;
    struct event *first = make("01GSQPBF74KQ5YTDEPP41T1BZH", EVENT_JOB_COMPLETED_WITH_FAILURES);
    struct event *second = make("01GSQPBF74KQ5YTDEPP41T1BZJ", EVENT_JOB_COMPLETED_WITH_FAILURES);
    const struct event *const events[] = {first, second};
    struct json_object *file = json_object_from_file(TEST_DATA_DIR "/accepted-webhooks.json");
    assert_non_null(file);
    struct json_object *all = json_object_object_get(file, "requests");
    assert_int_equal(json_object_array_length(all), 4);
    for (size_t i = 0; i < 4; i++)
        check(json_object_array_get_idx(all, i), events);
    json_object_put(file);
    event_free(first);
    event_free(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_public_libraries_accepted)};
    return cmocka_run_group_tests_name("accepted", tests, NULL, NULL);
}
