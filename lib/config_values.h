/*
 * config_values: the values that options take: how each is written, its range, and where it goes in the
 * struct.
 *
 * One table row per option. The same reading serves the check (while libConfuse knows the line) and the
 * filling afterwards.
 */
#ifndef JOBWATCH_CONFIG_VALUES_H
#define JOBWATCH_CONFIG_VALUES_H

#include "config.h"

enum value_kind {
    VALUE_DURATION, /* int64_t ms: "10s"; units ms s m h d */
    VALUE_SHARE,    /* double 0..1: "10%" */
    VALUE_COUNT,    /* uint32_t */
    VALUE_BOOL,     /* bool: true, false, yes, no, on, off */
    VALUE_TEXT,     /* char *, NULL when not given */
    VALUE_PATH,     /* the same, an absolute path */
    VALUE_PRIORITY, /* enum priority: a word of syslog(3) */
    VALUE_LIST,     /* struct config_list; read by libConfuse as a list */
};

struct value_rule {
    const char *name;
    enum value_kind kind;
    const char *standard; /* the default, as it would be written; NULL: none */
    int64_t least;        /* of durations (ms) and counts; of shares in parts of a million */
    int64_t most;
    bool zero;     /* 0 is allowed too, and means never */
    size_t offset; /* in the section's struct */
};

#define WHY_SIZE 240

/*
 * Read text by the rule into the section's struct (which may be NULL to check only). Texts are copied. False
 * with a clause in why ("should be …"); out of memory is told likewise.
 */
bool value_read(const struct value_rule *rule, const char *text, void *section, char why[WHY_SIZE]);

/* Write ms as it would be written in the file: "10s". */
void duration_text(int64_t ms, char out[32]);

bool config_list_add(struct config_list *list, const char *item); /* a copy; false without memory */
void config_list_finish(struct config_list *list);

#endif
