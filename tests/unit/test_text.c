/* text: decoding UTF-8, cleaning and cutting it. */
#include "unit.h"

#include "../../lib/text.h"

#include <stdlib.h>

#define BAD "\xEF\xBF\xBD"

struct decode_case {
    const char *bytes;
    size_t len;
    uint32_t c;
    size_t n;
};

static void test_decode(void **state)
{
    (void)state;
    static const struct decode_case cases[] = {
        {"A", 1, 'A', 1},
        {"\0", 1, 0, 1},
        {"\x7F", 1, 0x7F, 1},
        {"\xC2\x80", 2, 0x80, 2},
        {"\xDF\xBF", 2, 0x7FF, 2},
        {"\xE0\xA0\x80", 3, 0x800, 3},
        {"\xED\x9F\xBF", 3, 0xD7FF, 3},
        {"\xEE\x80\x80", 3, 0xE000, 3},
        {"\xEF\xBF\xBF", 3, 0xFFFF, 3},
        {"\xF0\x90\x80\x80", 4, 0x10000, 4},
        {"\xF4\x8F\xBF\xBF", 4, 0x10FFFF, 4},
        {"\xE2\x82\xAC!", 4, 0x20AC, 3},
        /* continuation bytes and bytes that never occur */
        {"\x80", 1, UTF8_INVALID, 1},
        {"\xBF", 1, UTF8_INVALID, 1},
        {"\xFE", 1, UTF8_INVALID, 1},
        {"\xFF", 1, UTF8_INVALID, 1},
        /* overlong */
        {"\xC0\x80", 2, UTF8_INVALID, 1},
        {"\xC1\xBF", 2, UTF8_INVALID, 1},
        {"\xE0\x9F\xBF", 3, UTF8_INVALID, 1},
        {"\xF0\x8F\xBF\xBF", 4, UTF8_INVALID, 1},
        /* surrogates, over U+10FFFF */
        {"\xED\xA0\x80", 3, UTF8_INVALID, 1},
        {"\xED\xBF\xBF", 3, UTF8_INVALID, 1},
        {"\xF4\x90\x80\x80", 4, UTF8_INVALID, 1},
        {"\xF5\x80\x80\x80", 4, UTF8_INVALID, 1},
        /* cut short, by the end or by another character */
        {"\xC2", 1, UTF8_INVALID, 1},
        {"\xE2\x82", 2, UTF8_INVALID, 2},
        {"\xF0\x9F\x98", 3, UTF8_INVALID, 3},
        {"\xF0\x9F\x98x", 4, UTF8_INVALID, 3},
        {"\xE2\xC2\x80", 3, UTF8_INVALID, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* A copy of the exact size, so that the sanitizer sees a read beyond it. */
        char *bytes = malloc(cases[i].len);
        assert_non_null(bytes);
        memcpy(bytes, cases[i].bytes, cases[i].len);
        uint32_t c = 1;
        assert_int_equal(utf8_decode(bytes, cases[i].len, &c), cases[i].n);
        assert_int_equal(c, cases[i].c);
        free(bytes);
    }
}

static size_t encode(uint32_t c, char *out)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(marks[n] | c);
    return n;
}

static void test_decode_of_every_code_point(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char bytes[4];
        uint32_t got = 0;
        size_t len = encode(c, bytes);
        bool surrogate = c >= 0xD800 && c < 0xE000;
        size_t n = utf8_decode(bytes, len, &got);
        if (got != (surrogate ? UTF8_INVALID : c) || n != (surrogate ? 1 : len))
            fail_msg("U+%04X: got %u in %zu bytes", c, got, n);
    }
}

static void test_controls(void **state)
{
    (void)state;
    size_t n = 0;
    for (uint32_t c = 0; c < 0x110000; c++)
        n += utf8_is_control(c);
    assert_int_equal(n, 32 + 33 + 2 + 5 + 4 + 1);
    static const uint32_t controls[] = {0,      '\n',   0x1B,   0x7F,   0x80,   0x9B,   0x9F,
                                        0x2028, 0x2029, 0x202A, 0x202E, 0x2066, 0x2069, 0xFEFF};
    for (size_t i = 0; i < sizeof controls / sizeof *controls; i++)
        assert_true(utf8_is_control(controls[i]));
}

struct text_case {
    const char *in;
    size_t max;
    const char *clean;
    const char *valid; /* NULL: the same */
};

static void test_rules_and_cuts(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"", 10, "", NULL},
        {"", 0, "", NULL},
        {"plain", 100, "plain", NULL},
        {"a\nb\tc\x1B[31m", 100, "a" BAD "b" BAD "c" BAD "[31m", "a\nb\tc\x1B[31m"},
        {"\xC2\x9B"
         "31m",
         100, BAD "31m",
         "\xC2\x9B"
         "31m"},
        {"\u202Eevil\u2066\uFEFF\u2028", 100, BAD "evil" BAD BAD BAD, "\u202Eevil\u2066\uFEFF\u2028"},
        {"é€😀", 100, "é€😀", NULL},
        {"\xFF\xC0\xAF", 100, BAD BAD BAD, NULL},
        {"\xE2\x82|\xF0\x9F\x98", 100, BAD "|" BAD, NULL},
        {"\xED\xA0\x80", 100, BAD BAD BAD, NULL},
        /* cut, or just not */
        {"12345", 5, "12345", NULL},
        {"123456", 5, "12…", NULL},
        {"1234567890", 9, "123456…", NULL},
        {"ééé", 6, "ééé", NULL},
        {"ééé", 5, "é…", NULL},
        {"éé", 3, "…", NULL},
        {"€", 3, "€", NULL},
        {"€a", 3, "…", NULL},
        {"a€b", 4, "a…", NULL},
        {"😀", 3, "…", NULL},
        {"ab", 2, "ab", NULL},
        {"abc", 2, "", NULL},
        {"abc", 1, "", NULL},
        {"abc", 0, "", NULL},
        {"\xFF\xFF", 6, BAD BAD, NULL},
        {"\xFF\xFF", 5, "…", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *clean = text_of(cases[i].in, cases[i].max, TEXT_CLEAN);
        char *valid = text_of(cases[i].in, cases[i].max, TEXT_VALID);
        assert_string_equal(clean, cases[i].clean);
        assert_string_equal(valid, cases[i].valid ? cases[i].valid : cases[i].clean);
        free(clean);
        free(valid);
    }
}

static void test_append(void **state)
{
    (void)state;
    struct text text;
    text_init(&text, 20, TEXT_CLEAN);
    text_add(&text, "jobs: ");
    text_addf(&text, "%d of %s", 3, "four\n");
    assert_false(text.cut);
    assert_int_equal(text.len, strlen("jobs: 3 of four" BAD));
    text_add(&text, "567");
    assert_true(text.cut);
    text_add(&text, "dropped");
    char *taken = text_take(&text);
    assert_string_equal(taken, "jobs: 3 of four…");
    free(taken);

    /* It is empty again. */
    text_add(&text, "anew");
    taken = text_take(&text);
    assert_string_equal(taken, "anew");
    free(taken);
    text_add(&text, "left");
    text_finish(&text);
    text_finish(&text);
}

static void test_long_input_stays_within_the_maximum(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    char *in = malloc(SIZE + 1);
    assert_non_null(in);
    for (size_t i = 0; i < SIZE; i++)
        in[i] = (char)(1 + (i * 7919 >> 3) % 255);
    in[SIZE] = '\0';
    for (size_t max = 0; max < 600; max++) {
        char *out = text_of(in, max, TEXT_CLEAN);
        size_t len = strlen(out);
        assert_true(len <= max);
        for (size_t at = 0; at < len;) {
            uint32_t c;
            at += utf8_decode(out + at, len - at, &c);
            assert_true(c != UTF8_INVALID && !utf8_is_control(c));
        }
        free(out);
    }
    char *whole = text_of(in, SIZE_MAX, TEXT_VALID);
    assert_true(strlen(whole) > SIZE);
    free(whole);
    free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),   cmocka_unit_test(test_decode_of_every_code_point),
        cmocka_unit_test(test_controls), cmocka_unit_test(test_rules_and_cuts),
        cmocka_unit_test(test_append),   cmocka_unit_test(test_long_input_stays_within_the_maximum),
    };
    return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
