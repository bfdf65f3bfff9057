/* job: the words, the revisions, and the table against Klaviyo's own document. */
#include "unit.h"

#include "../../lib/job.h"

#include <json-c/json.h>
#include <stdio.h>

static void test_words(void **state)
{
    (void)state;
    for (enum job_status s = JOB_QUEUED; s < JOB_OTHER; s++)
        assert_int_equal(job_status_from_word(job_status_word(s)), s);
    assert_int_equal(job_status_from_word("paused"), JOB_OTHER);
    assert_int_equal(job_status_from_word("Complete"), JOB_OTHER);
    assert_int_equal(job_status_from_word("other"), JOB_OTHER);
}

static void test_revisions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid, job_id, slash;
    } cases[] = {
        {"2022-10-17", true, true, true},
        {"2023-07-15", true, true, true},
        {"2023-07-15.pre", true, true, true},
        {"2023-08-15", true, false, true},
        {"2024-02-15", true, false, false},
        {"2026-07-15.pre-1", true, false, false},
        {"2026-07-15.", false, false, false},
        {"2026-13-15", false, false, false},
        {"latest", false, false, false},
        {"2026-07-15.a b", false, false, false},
        {"", false, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(revision_is_valid(cases[i].text), cases[i].valid);
        if (!cases[i].valid)
            continue;
        assert_int_equal(revision_has_job_id(cases[i].text), cases[i].job_id);
        assert_int_equal(revision_has_trailing_slash(cases[i].text), cases[i].slash);
    }
}

static struct json_object *member(struct json_object *object, const char *name)
{
    struct json_object *value = json_object_object_get(object, name);
    if (!value)
        fail_msg("the document has no %s", name);
    return value;
}

static void check_limits(const struct family *family, struct json_object *get)
{
    struct json_object *limits = member(get, "x-klaviyo-ratelimit");
    char burst[20], steady[20];
    snprintf(burst, sizeof burst, "%u/s", family->burst);
    snprintf(steady, sizeof steady, "%u/m", family->steady);
    assert_string_equal(json_object_get_string(member(limits, "burst")), burst);
    assert_string_equal(json_object_get_string(member(limits, "steady")), steady);
}

static void check_scopes(const struct family *family, struct json_object *get)
{
    struct json_object *scopes = member(get, "x-klaviyo-scopes");
    char text[200] = "";
    for (size_t i = 0; i < json_object_array_length(scopes); i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", used ? " " : "",
                 json_object_get_string(json_object_array_get_idx(scopes, i)));
    }
    assert_string_equal(family->scope, text);
}

/* Whether an enum of the document holds the word. */
static bool allows(struct json_object *schema, const char *word, size_t len)
{
    struct json_object *list = json_object_object_get(schema, "enum");
    if (!list)
        list = json_object_object_get(json_object_object_get(schema, "items"), "enum");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        const char *one = json_object_get_string(json_object_array_get_idx(list, i));
        if (strlen(one) == len && strncmp(one, word, len) == 0)
            return true;
    }
    return false;
}

static void check_fields(const struct family *family, struct json_object *schema)
{
    for (const char *p = family->fields; *p;) {
        size_t len = strcspn(p, ",");
        if (!allows(schema, p, len))
            fail_msg("%s: the field %.*s is none of the API's", family->type, (int)len, p);
        p += len + (p[len] == ',');
    }
    assert_int_equal(family->has_errors, allows(schema, "errors", 6));
    assert_null(strstr(family->fields, "errors"));
}

static void check_parameters(const struct family *family, struct json_object *get)
{
    struct json_object *parameters = member(get, "parameters");
    bool sort = false, size = false;
    for (size_t i = 0; i < json_object_array_length(parameters); i++) {
        struct json_object *parameter = json_object_array_get_idx(parameters, i);
        const char *name = json_object_get_string(json_object_object_get(parameter, "name"));
        struct json_object *schema = json_object_object_get(parameter, "schema");
        if (!name)
            continue;
        if (strncmp(name, "fields[", 7) == 0 && strncmp(name + 7, family->type, strlen(family->type)) == 0)
            check_fields(family, schema);
        if (strcmp(name, "sort") == 0) {
            sort = true;
            assert_true(allows(schema, family->sort, strlen(family->sort)));
            assert_int_equal(family->sort[0], '-');
        }
        size |= strcmp(name, "page[size]") == 0;
        if (strcmp(name, "filter") == 0)
            assert_int_equal(family->has_any, strstr(json_object_get_string(member(parameter, "description")),
                                                     "`any`") != NULL);
    }
    assert_int_equal(sort, family->sort[0] != '\0');
    assert_int_equal(size, family->page_size > 0);
}

static void test_the_table_is_klaviyos(void **state)
{
    (void)state;
    struct json_object *document = json_object_from_file(TEST_DATA_DIR "/openapi-2026-07-15-bulk-jobs.json");
    assert_non_null(document);
    struct json_object *paths = member(document, "paths");
    size_t lists = 0;
    struct json_object_iterator end = json_object_iter_end(paths);
    for (struct json_object_iterator at = json_object_iter_begin(paths); !json_object_iter_equal(&at, &end);
         json_object_iter_next(&at)) {
        const char *path = json_object_iter_peek_name(&at);
        size_t len = strlen(path);
        lists += !strchr(path, '{') && len > 5 && strcmp(path + len - 5, "-jobs") == 0;
    }
    assert_int_equal(lists, n_families);
    assert_int_equal(n_families, 13);
    for (size_t i = 0; i < n_families; i++) {
        const struct family *family = &families[i];
        struct json_object *get = member(member(paths, family->path), "get");
        assert_ptr_equal(family_find(family->type), family);
        assert_true(strncmp(family->path + 5, family->type, strlen(family->type)) == 0);
        check_limits(family, get);
        check_scopes(family, get);
        check_parameters(family, get);
    }
    assert_null(family_find("some-new-bulk-job"));
    json_object_put(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_revisions),
        cmocka_unit_test(test_the_table_is_klaviyos),
    };
    return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
