/* page_decode: whatever the bytes are, the result is bounded and no job is made up. */
#include "unit.h"

#include "../../lib/page_decode.h"

#include <stdio.h>
#include <stdlib.h>

#define TYPE "catalog-category-bulk-delete-job"

static enum page_result decode(const char *text, struct page *page)
{
    return page_decode_list(text, strlen(text), TYPE, page);
}

static char *read_file(const char *path, size_t *ret_len)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 20);
    assert_non_null(file);
    assert_non_null(text);
    *ret_len = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return text;
}

static void test_the_seed(void **state)
{
    (void)state;
    struct page page;
    size_t len;
    char *text = read_file(TEST_DATA_DIR "/seed-example.json", &len);
    assert_int_equal(page_decode_list(text, len, TYPE, &page), PAGE_OK);
    assert_int_equal(page.n_jobs, 2);
    assert_int_equal(page.n_malformed, 0);
    assert_int_equal(page.next, NEXT_UNUSABLE);
    const struct job *job = &page.jobs[0];
    assert_string_equal(job->id, "mollit consectetur minim Duis");
    assert_int_equal(job->status, JOB_PROCESSING);
    assert_int_equal(job->counts.total, 7518390);
    assert_int_equal(job->counts.completed, -94238524);
    assert_int_equal(job->counts.failed, 61048905);
    assert_true(job->counts.skipped == COUNT_NONE);
    assert_true(job->created_at.ms == 1064768098009);
    assert_int_equal(job->n_errors, 2);
    assert_string_equal(job->errors[0].code, "");
    assert_string_equal(job->errors[1].pointer, "");
    page_finish(&page);
    /* Cut anywhere, it is no JSON, and nothing more. */
    for (size_t i = 0; i < len - 2; i += 7) {
        char *part = strndup(text, i);
        assert_int_equal(page_decode_list(part, i, TYPE, &page), PAGE_NOT_JSON);
        assert_true(page.why[0] != '\0');
        free(part);
    }
    free(text);
}

static void test_a_newer_job_whole(void **state)
{
    (void)state;
    struct page page;
    static const char text[] =
        "{\"data\":{\"type\":\"" TYPE
        "\",\"id\":\"01GSQPBF74KQ5YTDEPP41T1BZH\",\"attributes\":{\"status\":\"complete\","
        "\"created_at\":\"2022-11-08T00:00:00+00:00\",\"total_count\":10,\"completed_count\":9,\"failed_"
        "count\":1.0,"
        "\"completed_at\":\"2022-11-08T00:00:01.5+00:00\",\"expires_at\":null,\"errors\":[{\"id\":\"x\","
        "\"code\":\"c\","
        "\"title\":\"t\",\"detail\":\"d\",\"source\":{\"pointer\":\"/"
        "p\"}}]},\"relationships\":{\"big\":[1,2,3]}}} \n";
    assert_int_equal(page_decode_one(text, strlen(text), TYPE, &page), PAGE_OK);
    assert_int_equal(page.n_jobs, 1);
    const struct job *job = &page.jobs[0];
    assert_string_equal(job->id, "01GSQPBF74KQ5YTDEPP41T1BZH");
    assert_int_equal(job->status, JOB_COMPLETE);
    assert_int_equal(job->counts.failed, 1);
    assert_true(job->completed_at.ms == 1667865601500);
    assert_true(wall_is_none(job->expires_at));
    assert_int_equal(job->n_errors, 1);
    assert_string_equal(job->errors[0].code, "c");
    assert_string_equal(job->errors[0].title, "t");
    assert_string_equal(job->errors[0].detail, "d");
    assert_string_equal(job->errors[0].pointer, "/p");
    page_finish(&page);
    page_finish(&page);
}

static void test_no_lists(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum page_result result;
    } cases[] = {
        {"", PAGE_NOT_JSON},
        {" ", PAGE_NOT_JSON},
        {"<!DOCTYPE html><p>log in", PAGE_NOT_JSON},
        {"{\"data\":[]", PAGE_NOT_JSON},
        {"{\"data\":[]}}", PAGE_NOT_JSON},
        {"{\"data\":[]} x", PAGE_NOT_JSON},
        {"\xff\xfe", PAGE_NOT_JSON},
        {"null", PAGE_NOT_JOBS},
        {"[]", PAGE_NOT_JOBS},
        {"5 ", PAGE_NOT_JOBS},
        {"\"data\"", PAGE_NOT_JOBS},
        {"{}", PAGE_NOT_JOBS},
        {"{\"data\":null}", PAGE_NOT_JOBS},
        {"{\"data\":{}}", PAGE_NOT_JOBS},
        {"{\"errors\":[{}]}", PAGE_NOT_JOBS},
        {"{\"data\":[]}", PAGE_OK},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct page page;
        enum page_result result = decode(cases[i].text, &page);
        if (result != cases[i].result || (result != PAGE_OK) != (page.why[0] != '\0'))
            fail_msg("\"%s\": %d, \"%s\"", cases[i].text, result, page.why);
        page_finish(&page);
    }
}

static void test_nesting_is_bounded(void **state)
{
    (void)state;
    struct page page;
    char text[4096] = "{\"data\":";
    memset(text + 8, '[', 2000);
    assert_int_equal(decode(text, &page), PAGE_NOT_JSON);
    assert_string_equal(page.why, "the answer is nested too deep");
}

/* One entry each; whether it is a job. */
static void test_entries(void **state)
{
    (void)state;
    static const struct {
        const char *entry;
        bool job;
    } cases[] = {
        {"{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\"}}", true},
        {"{\"type\":\"" TYPE "\",\"attributes\":{\"job_id\":\"A\",\"status\":\"queued\"}}", true},
        {"{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{\"status\":\"paused\"}}", true},
        {"{\"type\":\"" TYPE "\",\"id\":\"a\\nb\",\"attributes\":{\"status\":\"queued\"}}", true},
        {"{\"type\":\"" TYPE
         "\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\",\"total_count\":9007199254740993}}",
         true},
        {"{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\",\"total_count\":-0}}",
         true},
        {"{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\",\"total_count\":1e3}}",
         true},
        {"{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\",\"errors\":{\"a\":1}}}",
         true},
        {"{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\",\"created_at\":5}}",
         true},
        {"{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\",\"total_count\":1.5}}",
         false},
        {"{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\",\"total_count\":\"5\"}}",
         false},
        {"{\"type\":\"" TYPE
         "\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\",\"total_count\":9223372036854775808}}",
         false},
        {"{\"type\":\"" TYPE
         "\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\",\"failed_count\":-99999999999999999999}}",
         false},
        {"{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\",\"failed_count\":1e300}}",
         false},
        {"{\"type\":\"" TYPE "\",\"id\":\"a\\u0000b\",\"attributes\":{\"status\":\"queued\"}}", false},
        {"{\"type\":\"" TYPE "\",\"id\":\"\",\"attributes\":{\"status\":\"queued\"}}", false},
        {"{\"type\":\"" TYPE "\",\"id\":5,\"attributes\":{\"status\":\"queued\"}}", false},
        {"{\"type\":\"" TYPE "\",\"attributes\":{\"status\":\"queued\"}}", false},
        {"{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{\"status\":null}}", false},
        {"{\"type\":\"" TYPE "\",\"id\":\"A\",\"attributes\":{}}", false},
        {"{\"type\":\"" TYPE "\",\"id\":\"A\"}", false},
        {"{\"type\":\"profile\",\"id\":\"A\",\"attributes\":{\"status\":\"queued\"}}", false},
        {"{\"id\":\"A\",\"attributes\":{\"status\":\"queued\"}}", false},
        {"null", false},
        {"[]", false},
        {"7", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct page page;
        char text[600];
        snprintf(text, sizeof text, "{\"data\":[%s]}", cases[i].entry);
        assert_int_equal(decode(text, &page), PAGE_OK);
        if (page.n_jobs != cases[i].job || page.n_malformed != !cases[i].job ||
            (page.why[0] != '\0') == cases[i].job)
            fail_msg("%s: %zu jobs, %zu malformed, \"%s\"", cases[i].entry, page.n_jobs, page.n_malformed,
                     page.why);
        page_finish(&page);
    }
}

static void test_long_ids(void **state)
{
    (void)state;
    for (size_t len = JOB_ID_MAX - 1; len <= JOB_ID_MAX + 1; len++) {
        struct page page;
        char text[600], id[JOB_ID_MAX + 2] = "";
        memset(id, 'x', len);
        snprintf(text, sizeof text,
                 "{\"data\":[{\"type\":\"" TYPE "\",\"id\":\"%s\",\"attributes\":{\"status\":\"queued\"}}]}",
                 id);
        assert_int_equal(decode(text, &page), PAGE_OK);
        assert_int_equal(page.n_jobs, len <= JOB_ID_MAX);
        page_finish(&page);
    }
}

static void test_next(void **state)
{
    (void)state;
    static const struct {
        const char *next;
        enum page_next result;
        const char *cursor;
    } cases[] = {
        {"null", NEXT_NONE, NULL},
        {"\"\"", NEXT_NONE, NULL},
        {"\"https://a/api/x?page%5Bcursor%5D=bmV4dA%3D%3D\"", NEXT_CURSOR, "bmV4dA=="},
        {"\"https://a/api/x?page[cursor]=abc\"", NEXT_CURSOR, "abc"},
        {"\"https://a/api/x?filter=a&page%5bcursor%5d=abc&sort=b\"", NEXT_CURSOR, "abc"},
        {"\"https://elsewhere.example/?page[cursor]=a+b#page[cursor]=c\"", NEXT_CURSOR, "a+b"},
        {"\"?page[cursor]=%E2%98%83\"", NEXT_CURSOR, "\xe2\x98\x83"},
        {"\"http://example.com\"", NEXT_UNUSABLE, NULL},
        {"\"https://a/x?xpage[cursor]=abc\"", NEXT_UNUSABLE, NULL},
        {"\"https://a/x?page[cursor]=\"", NEXT_UNUSABLE, NULL},
        {"\"https://a/x?page[cursor]=a%00b\"", NEXT_UNUSABLE, NULL},
        {"\"https://a/x?page[cursor]=a%0d%0ab\"", NEXT_UNUSABLE, NULL},
        {"\"https://a/x?page[cursor]=a%4\"", NEXT_UNUSABLE, NULL},
        {"\"https://a/x?page[cursor]=a%zz\"", NEXT_UNUSABLE, NULL},
        {"\"https://a/x?page[cursor]=%41\"", NEXT_CURSOR, "A"},
        {"\"https://a/x?page[cursor]=%c3%A9%aF%Fa\"", NEXT_CURSOR, "\xc3\xa9\xaf\xfa"},
        {"\"https://a/x?page[cursor]=%4G\"", NEXT_UNUSABLE, NULL},
        {"\"https://a/x?page[cursor]=%@1\"", NEXT_UNUSABLE, NULL},
        {"\"https://a/x?page[cursor]=%/1\"", NEXT_UNUSABLE, NULL},
        {"\"https://a/x?page[cursor]=%7F\"", NEXT_UNUSABLE, NULL},
        {"\"https://a/x?page[cursor]=a\\u007fb\"", NEXT_UNUSABLE, NULL},
        {"5", NEXT_UNUSABLE, NULL},
        {"{}", NEXT_UNUSABLE, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct page page;
        char text[300];
        snprintf(text, sizeof text, "{\"data\":[],\"links\":{\"next\":%s}}", cases[i].next);
        assert_int_equal(decode(text, &page), PAGE_OK);
        bool same = cases[i].cursor ? page.next_cursor && strcmp(page.next_cursor, cases[i].cursor) == 0
                                    : !page.next_cursor;
        if (page.next != cases[i].result || !same || (page.next == NEXT_UNUSABLE) != (page.why[0] != '\0'))
            fail_msg("%s: %d, \"%s\"", cases[i].next, page.next, page.next_cursor ? page.next_cursor : "");
        page_finish(&page);
    }
}

static void test_the_longest_cursor(void **state)
{
    (void)state;
    for (int more = 0; more < 2; more++) {
        struct page page;
        char cursor[PAGE_MAX_CURSOR + 2], text[PAGE_MAX_CURSOR + 100];
        memset(cursor, 'c', sizeof cursor);
        cursor[PAGE_MAX_CURSOR + more] = '\0';
        snprintf(text, sizeof text, "{\"data\":[],\"links\":{\"next\":\"?page[cursor]=%s\"}}", cursor);
        assert_int_equal(decode(text, &page), PAGE_OK);
        assert_int_equal(page.next, more ? NEXT_UNUSABLE : NEXT_CURSOR);
        page_finish(&page);
    }
}

static void test_errors_are_bounded(void **state)
{
    (void)state;
    struct page page;
    char *text = calloc(1, 200000);
    assert_non_null(text);
    strcpy(text, "{\"data\":[{\"type\":\"" TYPE
                 "\",\"id\":\"A\",\"attributes\":{\"status\":\"complete\",\"errors\":[");
    char *at = text + strlen(text);
    for (int i = 0; i < PAGE_MAX_ERRORS + 7; i++) {
        at += sprintf(at, "%s{\"title\":\"a\\u0000b\",\"detail\":\"", i ? "," : "");
        for (int j = 0; j < 400; j++)
            at += sprintf(at, "\xc3\xa9");
        at += sprintf(at, "\"}");
    }
    strcpy(at, "]}}]}");
    assert_int_equal(decode(text, &page), PAGE_OK);
    const struct job *job = &page.jobs[0];
    assert_int_equal(job->n_errors, PAGE_MAX_ERRORS);
    assert_int_equal(job->more_errors, 7);
    assert_string_equal(job->errors[0].title, "a\xef\xbf\xbd"
                                              "b");
    assert_true(strlen(job->errors[0].detail) <= PAGE_MAX_TEXT);
    assert_true(strlen(job->errors[0].detail) > PAGE_MAX_TEXT - 8);
    page_finish(&page);
    free(text);
}

static void test_too_many_jobs(void **state)
{
    (void)state;
    struct page page;
    char *text = calloc(1, 200000), *at = text;
    assert_non_null(text);
    at += sprintf(at, "{\"data\":[");
    for (int i = 0; i < PAGE_MAX_JOBS + 5; i++)
        at += sprintf(at, "%s{\"type\":\"" TYPE "\",\"id\":\"%d\",\"attributes\":{\"status\":\"queued\"}}",
                      i ? "," : "", i);
    strcpy(at, "]}");
    assert_int_equal(decode(text, &page), PAGE_OK);
    assert_int_equal(page.n_jobs, PAGE_MAX_JOBS);
    assert_int_equal(page.n_malformed, 5);
    page_finish(&page);
    free(text);
}

static void test_api_error_text(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
    } cases[] = {
        {"{\"errors\":[{\"id\":\"1\",\"code\":\"c\",\"title\":\"Unauthorized\",\"detail\":\"No such "
         "key.\"}]}",
         "Unauthorized: No such key."},
        {"{\"errors\":[{\"title\":\"a\\nb\\u001b\"}]}", "a?b?"},
        {"{\"errors\":[{\"detail\":\"only\"}]}", "only"},
        /* Klaviyo's own for a key that it does not know: the same sentence twice. */
        {"{\"errors\":[{\"title\":\"Incorrect key.\",\"detail\":\"Incorrect key.\"}]}", "Incorrect key."},
        {"{\"errors\":[{\"title\":\"Invalid input.\",\"detail\":\"It is.\"}]}", "Invalid input. It is."},
        {"{\"errors\":[]}", ""},
        {"{\"errors\":{}}", ""},
        {"{\"errors\":[{\"title\":5,\"detail\":\"~\\u007f\\u00e9\"}]}", "~???"},
        {"<html>", ""},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char out[100];
        api_error_text(cases[i].body, strlen(cases[i].body), out, sizeof out);
        assert_string_equal(out, cases[i].text);
    }
    char small[8];
    api_error_text(cases[0].body, strlen(cases[0].body), small, sizeof small);
    assert_string_equal(small, "Unautho");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_seed),
        cmocka_unit_test(test_a_newer_job_whole),
        cmocka_unit_test(test_no_lists),
        cmocka_unit_test(test_nesting_is_bounded),
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_long_ids),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_the_longest_cursor),
        cmocka_unit_test(test_errors_are_bounded),
        cmocka_unit_test(test_too_many_jobs),
        cmocka_unit_test(test_api_error_text),
    };
    return cmocka_run_group_tests_name("page_decode", tests, NULL, NULL);
}
