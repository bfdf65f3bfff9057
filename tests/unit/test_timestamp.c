/* timestamp: ISO 8601 and HTTP dates in, ISO 8601 out, saturating arithmetic. */
#include "unit.h"

#include "../../lib/timestamp.h"

#include <stdio.h>

#define BAD INT64_MIN

struct reading {
    const char *text;
    int64_t ms;
};

static const struct reading iso[] = {
    {"1970-01-01T00:00:00Z", 0},
    {"1970-01-01T00:00:00", 0}, /* Klaviyo's revisions up to 2023-07-15: no offset is UTC */
    {"2022-11-08T00:00:00", 1667865600000},
    {"2022-11-08T00:00:00+00:00", 1667865600000},
    {"2022-11-08T10:11:12.123456+00:00", 1667902272123},
    {"2022-11-08t10:11:12.1z", 1667902272100},
    {"2022-11-08 10:11:12.123456789Z", 1667902272123},
    {"2022-11-08T10:11:12,5Z", 1667902272500},
    {"2003-09-28T16:54:58.009Z", 1064768098009},
    {"2022-11-08T10:11:12+01:00", 1667898672000},
    {"2022-11-08T10:11:12-0330", 1667914872000},
    {"2022-11-08T10:11:12+01", 1667898672000},
    {"2016-12-31T23:59:60Z", 1483228799999}, /* a leap second */
    {"2024-02-29T12:00:00Z", 1709208000000},
    {"0001-01-01T00:00:00Z", -62135596800000},
    {"9999-12-31T23:59:59.999Z", 253402300799999},
    {"1969-12-31T23:59:59.999Z", -1},
    {"2023-02-29T12:00:00Z", BAD},
    {"1900-02-29T12:00:00Z", BAD},
    {"0000-01-01T00:00:00Z", BAD},
    {"2022-13-01T00:00:00Z", BAD},
    {"2022-00-01T00:00:00Z", BAD},
    {"2022-11-31T00:00:00Z", BAD},
    {"2022-11-08T24:00:00Z", BAD},
    {"2022-11-08T10:60:00Z", BAD},
    {"2022-11-08T10:11:61Z", BAD},
    {"2022-11-08T10:11:12.Z", BAD},
    {"2022-11-08T10:11:12+24:00", BAD},
    {"2022-11-08T10:11:12+1:00", BAD},
    {"2022-11-08T10:11:12Z ", BAD},
    {"2022-11-08T10:11:12ZZ", BAD},
    {"2022-11-08T10:11:12+01:0", BAD},
    {"2022-11-08T10:11:12+01:60", BAD},
    {"2022-11-08T10:11:12+01:ab", BAD},
    {"2022-11-08T10:11:12 01:00", BAD},
    {"2022-11-00T00:00:00Z", BAD},
    {"2022-11-08T10:11:12x", BAD},
    {"2022-11-08T10:11", BAD},
    {"2022-11-08", BAD},
    {"+022-11-08T10:11:12Z", BAD},
    {"22-11-08T10:11:12Z", BAD},
    {"", BAD},
    {"soon", BAD},
};

static const struct reading http[] = {
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777000},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777000},
    {"Sun Nov  6 08:49:37 1994", 784111777000},
    {"Sun Nov 16 08:49:37 1994", 784975777000},
    {"Tue, 24 Nov 2026 09:00:00 GMT", 1795510800000},
    {"Tuesday, 24-Nov-26 09:00:00 GMT", 1795510800000},
    {"Sun, 31 Feb 2094 08:49:37 GMT", BAD},
    {"Sunday, 31-Feb-94 08:49:37 GMT", BAD},
    {"Sun Feb 31 08:49:37 1994", BAD},
    {"Sun, 06 Nov 1994 08:49:37 UTC", BAD},
    {"Sun, 6 Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 06 Nov 1994 08:49:37 GMT!", BAD},
    {"06 Nov 1994 08:49:37 GMT", BAD},
    {"120", BAD},
    {"", BAD},
};

static void check(const struct reading *cases, size_t n, bool (*parse)(const char *, size_t, wall_time *))
{
    for (size_t i = 0; i < n; i++) {
        wall_time t = {BAD};
        /* The text need not end in NUL. */
        char text[64];
        snprintf(text, sizeof text, "%s9", cases[i].text);
        bool fine = parse(text, strlen(cases[i].text), &t);
        if (fine != (cases[i].ms != BAD) || t.ms != cases[i].ms)
            fail_msg("\"%s\": %s, %lld", cases[i].text, fine ? "read" : "refused", (long long)t.ms);
    }
}

static void test_iso(void **state)
{
    (void)state;
    check(iso, sizeof iso / sizeof *iso, wall_parse);
}

static void test_http(void **state)
{
    (void)state;
    check(http, sizeof http / sizeof *http, wall_parse_http);
}

/* With any byte of it another, or with its end cut off, a date is none. */
static void check_each_byte(const char *good, bool (*parse)(const char *, size_t, wall_time *))
{
    char text[64];
    wall_time t;
    for (size_t i = 0; i < strlen(good); i++) {
        snprintf(text, sizeof text, "%s", good);
        assert_true(parse(text, strlen(text), &t));
        text[i] = '#';
        if (parse(text, strlen(text), &t) || parse(good, i, &t))
            fail_msg("taken: \"%s\", or the first %zu bytes of \"%s\"", text, i, good);
    }
}

static void test_each_byte_matters(void **state)
{
    (void)state;
    check_each_byte("2022-11-08T10:11:12", wall_parse);
    check_each_byte("Sun, 06 Nov 1994 08:49:37 GMT", wall_parse_http);
    check_each_byte("Sunday, 06-Nov-94 08:49:37 GMT", wall_parse_http);
    check_each_byte("Sun Nov  6 08:49:37 1994", wall_parse_http);
    check_each_byte("Sun Nov 16 08:49:37 1994", wall_parse_http);
}

static void test_format(void **state)
{
    (void)state;
    char text[WALL_TEXT_SIZE];
    assert_string_equal(wall_format((wall_time){1795510800123}, text), "2026-11-24T09:00:00.123Z");
    assert_string_equal(wall_format((wall_time){-1}, text), "1969-12-31T23:59:59.999Z");
    assert_string_equal(wall_format(WALL_NONE, text), "");
    /* Far ends have room. */
    wall_format((wall_time){INT64_MIN + 1}, text);
    wall_format((wall_time){INT64_MAX}, text);
}

static void test_round_trip(void **state)
{
    (void)state;
    char text[WALL_TEXT_SIZE];
    for (int64_t ms = -62135596800000; ms < 253402300800000; ms += 86400000LL * 13 + 12345677) {
        wall_time back = {0};
        wall_format((wall_time){ms}, text);
        assert_true(wall_parse(text, strlen(text), &back));
        assert_true(back.ms == ms);
    }
}

static void test_arithmetic_saturates(void **state)
{
    (void)state;
    assert_true(mono_add((mono_time){5}, 7).ms == 12);
    assert_true(mono_add((mono_time){INT64_MAX - 1}, 7).ms == INT64_MAX);
    assert_true(mono_add((mono_time){INT64_MIN + 1}, -7).ms == INT64_MIN);
    assert_true(mono_add(MONO_NEVER, -7).ms == MONO_NEVER.ms);
    assert_true(mono_diff((mono_time){INT64_MAX}, (mono_time){-1}) == INT64_MAX);
    assert_true(mono_diff((mono_time){INT64_MIN}, (mono_time){1}) == INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iso),
        cmocka_unit_test(test_http),
        cmocka_unit_test(test_each_byte_matters),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_arithmetic_saturates),
    };
    return cmocka_run_group_tests_name("timestamp", tests, NULL, NULL);
}
