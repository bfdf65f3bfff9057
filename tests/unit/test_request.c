/* request: URLs always begin with our own base, whatever an answer said. */
#include "unit.h"

#include "../../lib/request.h"

#include <stdlib.h>

static const struct request_base newer = {"https://a.klaviyo.com", "2026-07-15"};
static const struct request_base older = {"https://a.klaviyo.com", "2022-10-17"};
static const struct family family = {
    .type = "catalog-category-bulk-delete-job",
    .path = "/api/catalog-category-bulk-delete-jobs",
    .scope = "",
    .fields = "status,total_count",
    .sort = "",
};
static const struct family import = {
    .type = "profile-bulk-import-job",
    .path = "/api/profile-bulk-import-jobs",
    .scope = "",
    .fields = "",
    .sort = "-created_at",
    .page_size = 100,
    .has_any = true,
};

static void check(char *url, const char *expected)
{
    assert_non_null(url);
    assert_string_equal(url, expected);
    free(url);
}

#define BASE   "https://a.klaviyo.com/api/catalog-category-bulk-delete-jobs"
#define FIELDS "fields%5Bcatalog-category-bulk-delete-job%5D="

static void test_lists(void **state)
{
    (void)state;
    check(request_list_url(&newer, &family, SWEEP_FULL, LIST_ALL, NULL),
          BASE "?" FIELDS "status,total_count");
    check(request_list_url(&newer, &family, SWEEP_ACTIVE, LIST_PROCESSING, "bmV4dA=="),
          BASE "?filter=equals%28status%2C%22processing%22%29&" FIELDS
               "status,total_count&page%5Bcursor%5D=bmV4dA%3D%3D");
    check(request_list_url(&older, &family, SWEEP_ACTIVE, LIST_QUEUED, NULL),
          BASE "/?filter=equals%28status%2C%22queued%22%29&" FIELDS "job_id,status,total_count");
    check(request_list_url(&newer, &import, SWEEP_HEAD, LIST_ALL, NULL),
          "https://a.klaviyo.com/api/profile-bulk-import-jobs?sort=-created_at&page%5Bsize%5D=100");
    check(request_list_url(&newer, &import, SWEEP_ACTIVE, LIST_IN_PROGRESS, NULL),
          "https://a.klaviyo.com/api/"
          "profile-bulk-import-jobs?filter=any%28status%2C%5B%22queued%22%2C%22processing%22%5D%29"
          "&page%5Bsize%5D=100");
}

static void test_a_hostile_cursor_stays_a_value(void **state)
{
    (void)state;
    check(request_list_url(&newer, &family, SWEEP_FULL, LIST_ALL, "x&filter=y#@evil.example/\r\nA: b"), BASE
          "?" FIELDS "status,total_count&page%5Bcursor%5D=x%26filter%3Dy%23%40evil.example%2F%0D%0AA%3A%20b");
}

/* Each byte that is not unreserved (RFC 3986, section 2.3) is encoded, and no other. */
static void test_what_stays_as_it_is(void **state)
{
    static const char plain[] = "azAZ09-._~";
    (void)state;
    check(request_job_url(&newer, &family, plain), BASE "/azAZ09-._~");
    check(request_job_url(&newer, &family, "`{@[/:"), BASE "/%60%7B%40%5B%2F%3A");
    check(request_list_url(&newer, &import, SWEEP_FULL, LIST_ALL, NULL),
          "https://a.klaviyo.com/api/profile-bulk-import-jobs?page%5Bsize%5D=100");
}

static void test_one_job(void **state)
{
    (void)state;
    check(request_job_url(&newer, &family, "01GSQPBF74KQ5YTDEPP41T1BZH"), BASE "/01GSQPBF74KQ5YTDEPP41T1BZH");
    check(request_job_url(&older, &family, "a b"), BASE "/a%20b/");
    check(request_job_url(&newer, &family, "../../x?y=\xff"), BASE "/..%2F..%2Fx%3Fy%3D%FF");
    /* A lone dot segment would be taken out of the path by any client: it must not reach another resource. */
    check(request_job_url(&newer, &family, ".."), BASE "/%2E%2E");
    check(request_job_url(&newer, &family, "."), BASE "/%2E");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_a_hostile_cursor_stays_a_value),
        cmocka_unit_test(test_what_stays_as_it_is),
        cmocka_unit_test(test_one_job),
    };
    return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
