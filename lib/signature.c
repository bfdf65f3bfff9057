#include "signature.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PREFIX     "whsec_"
#define PREFIX_LEN (sizeof PREFIX - 1)

/* Base64 of n bytes, without the NUL. */
#define BASE64_LEN(n) (((size_t)(n) + 2) / 3 * 4)

#define MAC_LEN       32                        /* HMAC-SHA256 */
#define SIGNATURE_LEN (3 + BASE64_LEN(MAC_LEN)) /* "v1,…" */
_Static_assert(SIGNATURE_MAX_SECRETS *(SIGNATURE_LEN + 1) == SIGNATURE_SIZE, "a space or NUL behind each");

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next line that is not blank, without the white space around it; *pos moves behind it. */
static bool next_line(const char *text, size_t len, size_t *pos, const char **ret, size_t *ret_len)
{
    size_t start = *pos;
    while (start < len && is_space(text[start]))
        start++;
    if (start == len)
        return false;
    const char *newline = memchr(text + start, '\n', len - start);
    size_t end = newline ? (size_t)(newline - text) : len;
    *pos = end;
    while (is_space(text[end - 1]))
        end--;
    *ret = text + start;
    *ret_len = end - start;
    return true;
}

/*
 * Decode base64 into key, which has room for SIGNATURE_MAX_KEY + 2 bytes; the length is within BASE64_LEN of
 * it. EVP_DecodeBlock is lenient and counts the padding as bytes, so only what encodes to the same letters
 * again is base64.
 */
static bool base64_decode(const char *base64, size_t len, unsigned char *key, size_t *ret)
{
    unsigned char again[BASE64_LEN(SIGNATURE_MAX_KEY) + 1];
    int n = EVP_DecodeBlock(key, (const unsigned char *)base64, (int)len);
    if (n < 3)
        return false;
    size_t key_len = (size_t)n - (base64[len - 1] == '=') - (base64[len - 2] == '=');
    bool same = EVP_EncodeBlock(again, key, (int)key_len) == (int)len && memcmp(again, base64, len) == 0;
    OPENSSL_cleanse(again, sizeof again);
    if (same)
        *ret = key_len;
    return same;
}

/* NULL when the line's secret was added, else why not. */
static const char *add_secret(struct signature_keys *keys, const char *line, size_t len)
{
    unsigned char key[SIGNATURE_MAX_KEY + 2];
    size_t key_len = 0;
    if (keys->n == SIGNATURE_MAX_SECRETS)
        return "holds more than two secrets";
    if (len < PREFIX_LEN || memcmp(line, PREFIX, PREFIX_LEN) != 0)
        return "a secret must begin with whsec_";
    if (len - PREFIX_LEN > BASE64_LEN(SIGNATURE_MAX_KEY))
        return "a secret must be 24 to 64 bytes, this one is longer";

    const char *why = NULL;
    if (!base64_decode(line + PREFIX_LEN, len - PREFIX_LEN, key, &key_len))
        why = "what follows whsec_ must be base64";
    else if (key_len < SIGNATURE_MIN_KEY)
        why = "a secret must be 24 to 64 bytes, this one is shorter";
    else if (key_len > SIGNATURE_MAX_KEY)
        why = "a secret must be 24 to 64 bytes, this one is longer";
    if (!why) {
        memcpy(keys->key[keys->n], key, key_len);
        keys->len[keys->n++] = key_len;
    }
    OPENSSL_cleanse(key, sizeof key);
    return why;
}

bool signature_keys_parse(const char *text, size_t len, struct signature_keys *ret, const char **why)
{
    const char *line;
    size_t line_len;
    size_t pos = 0;
    const char *wrong = NULL;
    signature_keys_wipe(ret);
    while (!wrong && next_line(text, len, &pos, &line, &line_len))
        wrong = add_secret(ret, line, line_len);
    if (!wrong && ret->n == 0)
        wrong = "holds no secret, a line of whsec_ and base64 is expected";
    if (!wrong)
        return true;
    signature_keys_wipe(ret);
    *why = wrong;
    return false;
}

/* The parts of what is signed, "id.timestamp.body". */
struct content {
    const char *id;
    char timestamp[24];
    const char *body;
    size_t body_len;
};

static bool update(EVP_MAC_CTX *mac, const char *bytes, size_t len)
{
    return EVP_MAC_update(mac, (const unsigned char *)bytes, len) == 1;
}

static bool sign(EVP_MAC_CTX *mac, const unsigned char *key, size_t key_len, const struct content *content,
                 unsigned char out[MAC_LEN])
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    size_t len;
    return EVP_MAC_init(mac, key, key_len, params) == 1 && update(mac, content->id, strlen(content->id)) &&
           update(mac, ".", 1) && update(mac, content->timestamp, strlen(content->timestamp)) &&
           update(mac, ".", 1) && update(mac, content->body, content->body_len) &&
           EVP_MAC_final(mac, out, &len, MAC_LEN) == 1;
}

static bool sign_all(EVP_MAC_CTX *mac, const struct signature_keys *keys, const struct content *content,
                     char out[SIGNATURE_SIZE])
{
    char *place = out;
    for (size_t i = 0; i < keys->n; i++) {
        unsigned char code[MAC_LEN];
        if (!sign(mac, keys->key[i], keys->len[i], content, code))
            return false;
        if (i > 0)
            *place++ = ' ';
        memcpy(place, "v1,", 3);
        place += 3;
        place += EVP_EncodeBlock((unsigned char *)place, code, MAC_LEN);
    }
    return true;
}

bool signature_make(const struct signature_keys *keys, const char *id, int64_t unix_seconds, const char *body,
                    size_t body_len, char out[SIGNATURE_SIZE])
{
    struct content content = {.id = id, .body = body, .body_len = body_len};
    char value[SIGNATURE_SIZE];
    if (keys->n == 0)
        return false;
    snprintf(content.timestamp, sizeof content.timestamp, "%" PRId64, unix_seconds);
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    bool fine = mac && sign_all(mac, keys, &content, value);
    if (fine)
        memcpy(out, value, strlen(value) + 1);
    EVP_MAC_CTX_free(mac);
    EVP_MAC_free(hmac);
    return fine;
}

void signature_keys_wipe(struct signature_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof *keys);
}
