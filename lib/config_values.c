#include "config_values.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MILLION 1000000

static const struct {
    const char *unit;
    int64_t ms;
} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
enum { N_UNITS = sizeof units / sizeof *units };

void duration_text(int64_t ms, char out[32])
{
    int i = N_UNITS - 1;
    while (i > 0 && ms % units[i].ms != 0)
        i--;
    snprintf(out, 32, "%" PRId64 "%s", ms / units[i].ms, ms ? units[i].unit : "");
}

/* The digits at the beginning; *rest behind them. False when there are none, or too many. */
static bool read_digits(const char *text, int64_t *ret, const char **rest)
{
    int64_t number = 0;
    const char *p = text;
    for (; isdigit((unsigned char)*p); p++) {
        if (number > INT64_MAX / 100000000)
            return false;
        number = number * 10 + (*p - '0');
    }
    *rest = p;
    *ret = number;
    return p != text;
}

static bool read_duration(const struct value_rule *rule, const char *text, int64_t *ret, char why[WHY_SIZE])
{
    int64_t number;
    const char *rest;
    char least[32], most[32];
    duration_text(rule->least, least);
    duration_text(rule->most, most);
    bool fine = read_digits(text, &number, &rest);
    int i = 0;
    while (fine && i < N_UNITS && strcmp(rest, units[i].unit) != 0)
        i++;
    bool zero = fine && number == 0 && (i < N_UNITS || *rest == '\0');
    if (zero && rule->zero) {
        *ret = 0;
        return true;
    }
    if (fine && i < N_UNITS && number <= rule->most / units[i].ms && number * units[i].ms >= rule->least) {
        *ret = number * units[i].ms;
        return true;
    }
    snprintf(why, WHY_SIZE, "should be a time from %s to %s, a number and its unit ms, s, m, h or d%s", least,
             most, rule->zero ? "; or 0 for never" : "");
    return false;
}

static bool read_share(const struct value_rule *rule, const char *text, double *ret, char why[WHY_SIZE])
{
    char *rest = "";
    double number = isdigit((unsigned char)text[0]) ? strtod(text, &rest) : -1;
    int64_t parts = number >= 0 && number <= 100 ? (int64_t)(number * MILLION / 100 + 0.5) : -1;
    bool fine = parts >= 0 && strcmp(rest, "%") == 0 &&
                (parts >= rule->least || (parts == 0 && rule->zero)) && parts <= rule->most;
    if (fine) {
        *ret = number / 100;
        return true;
    }
    snprintf(why, WHY_SIZE, "should be a share from %g%% to %g%%, with its percent sign%s",
             (double)rule->least * 100 / MILLION, (double)rule->most * 100 / MILLION,
             rule->zero ? "; or 0% for never" : "");
    return false;
}

static bool read_count(const struct value_rule *rule, const char *text, uint32_t *ret, char why[WHY_SIZE])
{
    int64_t number;
    const char *rest;
    bool fine = read_digits(text, &number, &rest) && *rest == '\0' && number <= rule->most &&
                (number >= rule->least || (number == 0 && rule->zero));
    if (fine)
        *ret = (uint32_t)number;
    else
        snprintf(why, WHY_SIZE, "should be a whole number from %" PRId64 " to %" PRId64,
                 rule->zero ? 0 : rule->least, rule->most);
    return fine;
}

static bool read_bool(const char *text, bool *ret, char why[WHY_SIZE])
{
    static const char *const yes[] = {"true", "yes", "on"}, *const no[] = {"false", "no", "off"};
    for (int i = 0; i < 3; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *ret = strcasecmp(text, yes[i]) == 0;
            return true;
        }
    }
    snprintf(why, WHY_SIZE, "should be true or false");
    return false;
}

static bool copy_text(const char *text, char **at, char why[WHY_SIZE])
{
    char *copy = strdup(text);
    if (!copy) {
        snprintf(why, WHY_SIZE, "out of memory");
        return false;
    }
    free(*at);
    *at = copy;
    return true;
}

bool value_read(const struct value_rule *rule, const char *text, void *section, char why[WHY_SIZE])
{
    union {
        int64_t duration;
        double share;
        uint32_t count;
        bool yes;
        enum priority priority;
        char *text;
    } scratch = {0};
    void *at = section ? (char *)section + rule->offset : (void *)&scratch;
    switch (rule->kind) {
    case VALUE_DURATION:
        return read_duration(rule, text, at, why);
    case VALUE_SHARE:
        return read_share(rule, text, at, why);
    case VALUE_COUNT:
        return read_count(rule, text, at, why);
    case VALUE_BOOL:
        return read_bool(text, at, why);
    case VALUE_PRIORITY:
        if (priority_from_word(text, at))
            return true;
        snprintf(why, WHY_SIZE, "should be one of emerg, alert, crit, err, warning, notice, info, debug");
        return false;
    case VALUE_PATH:
        if (text[0] != '/') {
            snprintf(why, WHY_SIZE, "should be an absolute path, as in /etc/klv-jobwatch/...");
            return false;
        }
        return !section || copy_text(text, at, why);
    case VALUE_TEXT:
        return !section || copy_text(text, at, why);
    case VALUE_LIST:
        return true;
    }
    return false;
}

bool config_list_add(struct config_list *list, const char *item)
{
    char *copy = strdup(item);
    char **items = copy ? reallocarray(list->items, list->n + 1, sizeof *items) : NULL;
    if (!items) {
        free(copy);
        return false;
    }
    list->items = items;
    list->items[list->n++] = copy;
    return true;
}

void config_list_finish(struct config_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct config_list){0};
}
