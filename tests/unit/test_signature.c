/* signature: secrets as files hold them, and signatures that other implementations agree with. */
#include "unit.h"

#include "../../lib/signature.h"

#include <stdlib.h>

/* The specification's own example. */
#define SPEC_SECRET    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define SPEC_ID        "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define SPEC_TIME      1614265330
#define SPEC_BODY      "{\"test\": 2432232314}"
#define SPEC_SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

/* The bytes 0, 1, 2 … of each length. */
#define BYTES_24 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"
#define BYTES_32 "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define BYTES_64 BYTES_24 "GBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="

static bool parse(const char *text, size_t len, struct signature_keys *keys, const char **why)
{
    /* A copy of the exact size, so that the sanitizer sees a read beyond it. */
    char *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    bool fine = signature_keys_parse(copy, len, keys, why);
    free(copy);
    return fine;
}

static void test_good_secrets(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        size_t len[2];
    } cases[] = {
        {"whsec_" BYTES_24, 1, {24}},
        {"whsec_" BYTES_24 "\n", 1, {24}},
        {"\r\n \t whsec_" BYTES_32 " \t\r\n\r\n", 1, {32}},
        {"whsec_" BYTES_64, 1, {64}},
        {"whsec_" BYTES_64 "\n\n\nwhsec_" BYTES_24 "\n\n", 2, {64, 24}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct signature_keys keys;
        const char *why = NULL;
        assert_true(parse(cases[i].text, strlen(cases[i].text), &keys, &why));
        assert_null(why);
        assert_int_equal(keys.n, cases[i].n);
        for (size_t k = 0; k < keys.n; k++) {
            assert_int_equal(keys.len[k], cases[i].len[k]);
            for (size_t byte = 0; byte < keys.len[k]; byte++)
                assert_int_equal(keys.key[k][byte], byte);
        }
    }
}

#define NONE    "holds no secret, a line of whsec_ and base64 is expected"
#define PREFIX  "a secret must begin with whsec_"
#define BASE64  "what follows whsec_ must be base64"
#define SHORTER "a secret must be 24 to 64 bytes, this one is shorter"
#define LONGER  "a secret must be 24 to 64 bytes, this one is longer"
#define MANY    "holds more than two secrets"

static const struct {
    const char *text;
    const char *why;
} bad_secrets[] = {
    {"", NONE},
    {" \n\t\r\n", NONE},
    {BYTES_24, PREFIX},
    {"whsec", PREFIX},
    {"WHSEC_" BYTES_24, PREFIX},
    {"whsec_" BYTES_24 "\nsecret", PREFIX},
    {"whsec_", BASE64},
    {"whsec_ " BYTES_24, BASE64},
    {"whsec_" BYTES_24 "=", BASE64},
    {"whsec_" BYTES_24 "====", BASE64},
    {"whsec_" BYTES_24 "A", BASE64},
    {"whsec_" BYTES_24 "A===", BASE64},
    {"whsec_" BYTES_24 " GBka", BASE64},
    {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", BASE64},  /* padding left out */
    {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", BASE64}, /* bits set behind the end */
    {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFR=XGBkaGxwdHh8=", BASE64}, /* padding in the middle */
    {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY-", BASE64},
    {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY_", BASE64}, /* the alphabet of URLs */
    {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY\xC3", BASE64},
    {"whsec_====", BASE64},
    {"whsec_AA==", SHORTER},
    {"whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRY=", SHORTER},                                    /* 23 */
    {"whsec_" BYTES_24 "GBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0A=", LONGER}, /* 65 */
    {"whsec_" BYTES_24 "GBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0BB", LONGER}, /* 66 */
    {"whsec_" BYTES_64 BYTES_64, LONGER},
    {"whsec_" BYTES_24 "\nwhsec_" BYTES_32 "\nwhsec_" BYTES_24, MANY},
};

static void test_bad_secrets(void **state)
{
    (void)state;
    static const struct signature_keys wiped;
    for (size_t i = 0; i < sizeof bad_secrets / sizeof *bad_secrets; i++) {
        struct signature_keys keys;
        const char *why = NULL;
        memset(&keys, 0x55, sizeof keys);
        assert_false(parse(bad_secrets[i].text, strlen(bad_secrets[i].text), &keys, &why));
        assert_string_equal(why, bad_secrets[i].why);
        assert_memory_equal(&keys, &wiped, sizeof keys);
    }
}

static void test_nul_is_no_end(void **state)
{
    (void)state;
    static const char text[] = "whsec_" BYTES_24 "\0whsec_" BYTES_24;
    struct signature_keys keys;
    const char *why = NULL;
    assert_false(parse(text, sizeof text - 1, &keys, &why));
    assert_string_equal(why, BASE64);
    assert_false(parse(text, strlen(text) + 1, &keys, &why));
    assert_string_equal(why, BASE64);
}

static struct signature_keys keys_of(const char *text)
{
    struct signature_keys keys;
    const char *why = NULL;
    assert_true(parse(text, strlen(text), &keys, &why));
    return keys;
}

static void test_known_signatures(void **state)
{
    (void)state;
    /* All but the first computed apart from this code by Python's hmac. */
    static const struct {
        const char *secrets;
        const char *id;
        int64_t seconds;
        const char *body;
        size_t body_len;
        const char *signature;
    } cases[] = {
        {SPEC_SECRET, SPEC_ID, SPEC_TIME, SPEC_BODY, sizeof SPEC_BODY - 1, SPEC_SIGNATURE},
        {"whsec_" BYTES_24, "evt_x", -1, "a\0b", 3, "v1,rgCDkarpmpziMkY6MP1Zg7OwMhCnydEURo+LWKSYUK0="},
        {"whsec_" BYTES_32, "evt_x", -1, "a\0b", 3, "v1,8d2JnOAeXfIpofZssK8OTBqNWp/S/Fkegiv5zFOUk2I="},
        {"whsec_" BYTES_64, "evt_x", -1, "a\0b", 3, "v1,XDUv3yhSnyy3azWTLdAH7ZXuh/ewC1NAMGjpd0pwEao="},
        {"whsec_" BYTES_32 "\nwhsec_" BYTES_24, "evt_x", -1, "a\0b", 3,
         "v1,8d2JnOAeXfIpofZssK8OTBqNWp/S/Fkegiv5zFOUk2I= v1,rgCDkarpmpziMkY6MP1Zg7OwMhCnydEURo+LWKSYUK0="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct signature_keys keys = keys_of(cases[i].secrets);
        char out[SIGNATURE_SIZE];
        memset(out, 'x', sizeof out);
        assert_true(
            signature_make(&keys, cases[i].id, cases[i].seconds, cases[i].body, cases[i].body_len, out));
        assert_string_equal(out, cases[i].signature);
    }
}

static void test_each_part_is_signed(void **state)
{
    (void)state;
    struct signature_keys keys = keys_of(SPEC_SECRET);
    char out[SIGNATURE_SIZE];
    assert_true(signature_make(&keys, SPEC_ID "x", SPEC_TIME, SPEC_BODY, sizeof SPEC_BODY - 1, out));
    assert_string_not_equal(out, SPEC_SIGNATURE);
    assert_true(signature_make(&keys, SPEC_ID, SPEC_TIME + 1, SPEC_BODY, sizeof SPEC_BODY - 1, out));
    assert_string_not_equal(out, SPEC_SIGNATURE);
    assert_true(signature_make(&keys, SPEC_ID, SPEC_TIME, SPEC_BODY, sizeof SPEC_BODY - 2, out));
    assert_string_not_equal(out, SPEC_SIGNATURE);
    assert_true(signature_make(&keys, "", INT64_MIN, "", 0, out));
}

static void test_no_keys_no_signature(void **state)
{
    (void)state;
    static const struct signature_keys wiped;
    struct signature_keys keys = keys_of(SPEC_SECRET);
    signature_keys_wipe(&keys);
    assert_memory_equal(&keys, &wiped, sizeof keys);
    char out[SIGNATURE_SIZE] = "untouched";
    assert_false(signature_make(&keys, "id", 0, "", 0, out));
    assert_string_equal(out, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_secrets),        cmocka_unit_test(test_bad_secrets),
        cmocka_unit_test(test_nul_is_no_end),       cmocka_unit_test(test_known_signatures),
        cmocka_unit_test(test_each_part_is_signed), cmocka_unit_test(test_no_keys_no_signature),
    };
    return cmocka_run_group_tests_name("signature", tests, NULL, NULL);
}
