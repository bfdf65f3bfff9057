#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD */
static const char ellipsis[] = "…";

#define ELLIPSIS_LEN (sizeof ellipsis - 1)

/* What may follow a lead byte: how many continuation bytes, and the range of the first of them. */
struct utf8_lead {
    unsigned char first;
    unsigned char last;
    unsigned char n;
    unsigned char low;
    unsigned char high;
};

/* Table 3-7 of the Unicode standard, "Well-Formed UTF-8 Byte Sequences". */
static const struct utf8_lead leads[] = {
    {0xC2, 0xDF, 1, 0x80, 0xBF}, {0xE0, 0xE0, 2, 0xA0, 0xBF}, {0xE1, 0xEC, 2, 0x80, 0xBF},
    {0xED, 0xED, 2, 0x80, 0x9F}, {0xEE, 0xEF, 2, 0x80, 0xBF}, {0xF0, 0xF0, 3, 0x90, 0xBF},
    {0xF1, 0xF3, 3, 0x80, 0xBF}, {0xF4, 0xF4, 3, 0x80, 0x8F},
};

static const struct utf8_lead *find_lead(unsigned char byte)
{
    for (size_t i = 0; i < sizeof leads / sizeof *leads; i++) {
        if (byte >= leads[i].first && byte <= leads[i].last)
            return &leads[i];
    }
    return NULL;
}

size_t utf8_decode(const char *text, size_t len, uint32_t *ret)
{
    const unsigned char *bytes = (const unsigned char *)text;
    if (bytes[0] < 0x80) {
        *ret = bytes[0];
        return 1;
    }
    *ret = UTF8_INVALID;
    const struct utf8_lead *lead = find_lead(bytes[0]);
    if (!lead)
        return 1;
    unsigned low = lead->low;
    unsigned high = lead->high;
    uint32_t c = bytes[0] & (0x3Fu >> lead->n);
    for (size_t i = 1; i <= lead->n; i++) {
        if (i == len || bytes[i] < low || bytes[i] > high)
            return i;
        c = c << 6 | (bytes[i] & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    *ret = c;
    return lead->n + 1u;
}

bool utf8_is_control(uint32_t c)
{
    static const uint32_t ranges[][2] = {
        {0x0000, 0x001F}, {0x007F, 0x009F}, {0x2028, 0x2029},
        {0x202A, 0x202E}, {0x2066, 0x2069}, {0xFEFF, 0xFEFF},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    }
    return false;
}

void text_init(struct text *text, size_t max, enum text_rule rule)
{
    *text = (struct text){.max = max, .rule = rule};
}

/* Make room for n more bytes and a NUL. */
static bool grow(struct text *text, size_t n)
{
    size_t need = text->len + n + 1;
    if (text->data && need <= text->room)
        return true;
    size_t room = text->room < 64 ? 128 : text->room * 2;
    if (room < need)
        room = need;
    char *data = realloc(text->data, room);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->room = room;
    return true;
}

static void put(struct text *text, const char *bytes, size_t n)
{
    if (!grow(text, n))
        return;
    memcpy(text->data + text->len, bytes, n);
    text->len += n;
    text->data[text->len] = '\0';
}

static void cut(struct text *text)
{
    text->cut = true;
    text->len = text->mark;
    if (text->data)
        text->data[text->len] = '\0';
    if (text->max >= ELLIPSIS_LEN)
        put(text, ellipsis, ELLIPSIS_LEN);
}

/* One whole character. */
static void put_character(struct text *text, const char *bytes, size_t n)
{
    if (n > text->max - text->len) {
        cut(text);
        return;
    }
    put(text, bytes, n);
    if (text->max >= ELLIPSIS_LEN && text->len <= text->max - ELLIPSIS_LEN)
        text->mark = text->len;
}

void text_add_bytes(struct text *text, const char *bytes, size_t len)
{
    while (len > 0 && !text->cut && !text->failed) {
        uint32_t c;
        size_t n = utf8_decode(bytes, len, &c);
        if (c == UTF8_INVALID || (text->rule == TEXT_CLEAN && utf8_is_control(c)))
            put_character(text, replacement, sizeof replacement - 1);
        else
            put_character(text, bytes, n);
        bytes += n;
        len -= n;
    }
}

void text_add(struct text *text, const char *string)
{
    text_add_bytes(text, string, strlen(string));
}

void text_addf(struct text *text, const char *format, ...)
{
    char *string;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&string, format, args);
    va_end(args);
    if (len < 0) {
        text->failed = true;
        return;
    }
    text_add_bytes(text, string, (size_t)len);
    free(string);
}

char *text_take(struct text *text)
{
    if (!text->data && !text->failed)
        put(text, "", 0);
    char *data = text->data;
    bool failed = text->failed;
    text_init(text, text->max, text->rule);
    if (!failed)
        return data;
    free(data);
    return NULL;
}

void text_finish(struct text *text)
{
    free(text->data);
    text_init(text, text->max, text->rule);
}

char *text_of(const char *string, size_t max, enum text_rule rule)
{
    struct text text;
    text_init(&text, max, rule);
    text_add(&text, string);
    return text_take(&text);
}
