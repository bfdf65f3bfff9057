#include "json_out.h"

#include "render.h"
#include "text.h"

#include <limits.h>
#include <stdlib.h>

#define MAX_DEPTH 32
#define FORMAT    (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)

struct json_out json_out_new(void)
{
    struct json_object *json = json_object_new_object();
    return (struct json_out){.json = json, .failed = !json};
}

void json_out_put(struct json_out *out, const char *key, struct json_object *member)
{
    const unsigned flags = JSON_C_OBJECT_ADD_KEY_IS_NEW | JSON_C_OBJECT_ADD_CONSTANT_KEY;
    if (out->failed || !member || json_object_object_add_ex(out->json, key, member, flags) != 0) {
        json_object_put(member);
        out->failed = true;
    }
}

void json_out_object(struct json_out *out, const char *key, struct json_out *member)
{
    out->failed |= member->failed;
    json_out_put(out, key, member->json);
}

void json_out_taken(struct json_out *out, const char *key, char *valid)
{
    json_out_put(out, key, valid ? json_object_new_string(valid) : NULL);
    free(valid);
}

void json_out_text(struct json_out *out, const char *key, const char *string)
{
    json_out_taken(out, key, text_of(string, RENDER_MAX_VALUE, TEXT_VALID));
}

void json_out_int(struct json_out *out, const char *key, int64_t value)
{
    json_out_put(out, key, json_object_new_int64(value));
}

void json_out_true(struct json_out *out, const char *key)
{
    json_out_put(out, key, json_object_new_boolean(true));
}

void json_out_count(struct json_out *out, const char *key, int64_t count)
{
    if (count != COUNT_NONE)
        json_out_int(out, key, count);
}

void json_out_time(struct json_out *out, const char *key, wall_time t)
{
    if (!wall_is_none(t)) {
        char text[WALL_TEXT_SIZE];
        json_out_text(out, key, wall_format(t, text));
    }
}

struct json_object *json_out_json(struct json_out *out)
{
    if (!out->failed)
        return out->json;
    json_object_put(out->json);
    return NULL;
}

struct json_object *json_out_append(struct json_object *array, struct json_object *item)
{
    if (array && item && json_object_array_add(array, item) == 0)
        return array;
    json_object_put(item);
    json_object_put(array);
    return NULL;
}

/*
 * A copy of JSON text that a terminal can show: json-c escapes C0 only, here the other control characters
 * follow. They can stand in strings only, and none is beyond U+FFFF.
 */
static char *escape_controls(const char *json, size_t len)
{
    struct text text;
    text_init(&text, SIZE_MAX, TEXT_VALID);
    const char *plain = json; /* what is not copied yet */
    for (const char *at = json; at < json + len;) {
        uint32_t c;
        size_t n = utf8_decode(at, (size_t)(json + len - at), &c);
        if (utf8_is_control(c)) {
            text_add_bytes(&text, plain, (size_t)(at - plain));
            text_addf(&text, "\\u%04x", (unsigned)c);
            plain = at + n;
        }
        at += n;
    }
    text_add(&text, plain);
    return text_take(&text);
}

/* json-c 0.16 leaves out of its text what it has no memory for, without a word: it is whole when it reads back the same. */
static bool is_whole(const char *string, size_t len, struct json_object *json)
{
    struct json_tokener *tokener = json_tokener_new_ex(MAX_DEPTH);
    struct json_object *back =
        tokener && len < INT_MAX ? json_tokener_parse_ex(tokener, string, (int)len + 1) : NULL;
    bool same = back && json_object_equal(back, json);
    json_object_put(back);
    if (tokener)
        json_tokener_free(tokener);
    return same;
}

char *json_out_string(struct json_object *json)
{
    size_t len;
    const char *string = json ? json_object_to_json_string_length(json, FORMAT, &len) : NULL;
    char *copy = string && is_whole(string, len, json) ? escape_controls(string, len) : NULL;
    json_object_put(json);
    return copy;
}

char *json_out_take(struct json_out *out)
{
    return json_out_string(json_out_json(out));
}
