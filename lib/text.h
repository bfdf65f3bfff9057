/*
 * text: strings for people and programs, built up to a maximum, always valid UTF-8.
 *
 * Invariant: whatever bytes go in, the result is valid UTF-8, no longer than the maximum its constructor was
 * given, and cut only between characters. Each maximal part that is no UTF-8 (overlong forms, surrogates and
 * code points over U+10FFFF included) becomes one U+FFFD; TEXT_CLEAN replaces control characters likewise, so
 * what comes out can neither steer a terminal nor begin a new line.
 */
#ifndef JOBWATCH_TEXT_H
#define JOBWATCH_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What utf8_decode() finds where there is no character. */
#define UTF8_INVALID UINT32_MAX

/*
 * The first character of text (len > 0 bytes): *ret is its code point, or UTF8_INVALID; returns the bytes
 * that it, or the invalid part, takes: 1 to 4.
 */
size_t utf8_decode(const char *text, size_t len, uint32_t *ret);

/*
 * Whether a code point may not reach a terminal: C0, DEL, C1, line and paragraph separators, bidirectional
 * embeddings, overrides and isolates, U+FEFF.
 */
bool utf8_is_control(uint32_t c);

enum text_rule {
    TEXT_CLEAN, /* valid UTF-8 without control characters */
    TEXT_VALID, /* valid UTF-8, control characters stay: for JSON, where they are escaped */
};

/* A string that grows up to its maximum. Set up by text_init, ended by text_take or text_finish. */
struct text {
    char *data;
    size_t len;
    size_t room;
    size_t max;
    size_t mark; /* the last end of a character that leaves room for "…" */
    enum text_rule rule;
    bool cut;    /* it reached its maximum and ends in "…"; what is added now is dropped */
    bool failed; /* no memory; what is added now is dropped */
};

/*
 * An empty text of at most max bytes; allocates nothing. When more is added it is cut between characters and
 * ends in "…", which is counted in max (with max < 3 it becomes empty).
 */
void text_init(struct text *text, size_t max, enum text_rule rule);

/* Append; everything goes through the text's rule. */
void text_add(struct text *text, const char *string);
void text_add_bytes(struct text *text, const char *bytes, size_t len);
void text_addf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Hand over the string, malloc'd; NULL when memory was short at any time. The text is empty then. */
char *text_take(struct text *text);

/* Release without taking. */
void text_finish(struct text *text);

/* One string through the rule: text_init, text_add, text_take. */
char *text_of(const char *string, size_t max, enum text_rule rule);

#endif
