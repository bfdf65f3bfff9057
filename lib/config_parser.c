#include "config_private.h"

#include "closest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 32, MAX_SECTIONS = 8 };

/* Where an option was given, for messages after the parser has moved on. */
struct option_place {
    const cfg_t *section;
    const char *option;
    int line;
};

/* libConfuse hands no pointer of ours to its callbacks; set for the length of one config_parse(). */
static _Thread_local struct parsing *current;

/* ---- errors ---- */

void complain(struct parsing *p, int line, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (p->n_errors++ > 0)
        text_add(&p->errors, "\n");
    text_addf(&p->errors, "%s:%d: ", p->name, line);
    /* One error is one line, whatever the file holds. */
    char *clean = text_of(text, sizeof text, TEXT_CLEAN);
    text_add(&p->errors, clean ? clean : "out of memory");
    free(clean);
}

int line_of(const struct parsing *p, const cfg_t *section, const char *option)
{
    int last = section->line;
    for (size_t i = 0; i < p->n_places; i++) {
        if (p->places[i].section == section && (!option || strcmp(p->places[i].option, option) == 0))
            last = p->places[i].line;
    }
    return last;
}

bool was_given(const struct parsing *p, const cfg_t *section, const char *option)
{
    for (size_t i = 0; i < p->n_places; i++) {
        if (p->places[i].section == section && strcmp(p->places[i].option, option) == 0)
            return true;
    }
    return false;
}

static void suggest(const cfg_t *cfg, const char *word, char *out, size_t size)
{
    const char *names[MAX_OPTIONS + 8];
    size_t n = 0;
    for (const cfg_opt_t *opt = cfg->opts; opt && opt->name && n < COUNT(names); opt++)
        names[n++] = opt->name;
    const char *close = closest(word, names, n);
    bool secret = strcmp(word, "api-key") == 0 || strcmp(word, "secret") == 0 || strcmp(word, "key") == 0;
    if (secret)
        snprintf(out, size, "; secrets stay out of this file: name a file with api-key-file or secret-file");
    else if (close)
        snprintf(out, size, "; did you mean \"%s\"?", close);
    else
        snprintf(out, size, "; see klv-jobwatch.conf(5)");
}

/* What libConfuse itself complains about: syntax, unknown options, titles given twice. */
__attribute__((format(printf, 2, 0))) static void on_error(cfg_t *cfg, const char *format, va_list args)
{
    char text[400], more[200] = "";
    vsnprintf(text, sizeof text, format, args);
    const char *quote = strstr(text, "no such option '");
    if (quote) {
        char word[100];
        snprintf(word, sizeof word, "%s", quote + strlen("no such option '"));
        word[strcspn(word, "'")] = '\0';
        suggest(cfg, word, more, sizeof more);
    }
    complain(current, cfg->line, "%s%s", text, more);
}

/* Every option leaves the line that it stands in. */
static int on_option(cfg_t *cfg, cfg_opt_t *opt)
{
    struct option_place *places = reallocarray(current->places, current->n_places + 1, sizeof *places);
    if (!places) {
        complain(current, cfg->line, "out of memory");
        return 0; /* libConfuse ends the process when a default value is refused */
    }
    current->places = places;
    places[current->n_places++] = (struct option_place){cfg, opt->name, cfg->line};
    return 0;
}

/* ---- libConfuse's tables ---- */

static void make_options(const struct section_rules *section, cfg_opt_t *out)
{
    for (size_t i = 0; i < section->n; i++) {
        const struct value_rule *rule = &section->rules[i];
        cfg_opt_t text = CFG_STR(rule->name, rule->standard, CFGF_NONE),
                  list = CFG_STR_LIST(rule->name, (char *)(uintptr_t)rule->standard, CFGF_NONE);
        out[i] = rule->kind == VALUE_LIST ? list : text;
    }
    out[section->n] = (cfg_opt_t)CFG_END();
}

static void note_lines(cfg_t *cfg, const struct section_rules *section)
{
    char name[100];
    for (size_t i = 0; i < section->n; i++) {
        snprintf(name, sizeof name, "%s%s%s", section->name, section->name[0] ? "|" : "",
                 section->rules[i].name);
        cfg_set_validate_func(cfg, name, on_option);
    }
}

static cfg_t *make_parser(const struct section_rules *const *sections, size_t n)
{
    cfg_opt_t top[MAX_OPTIONS], options[MAX_SECTIONS][MAX_OPTIONS];
    size_t n_top = sections[0]->n;
    make_options(sections[0], top);
    for (size_t i = 1; i < n; i++) {
        make_options(sections[i], options[i]);
        cfg_flag_t flags = sections[i]->titled ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES : CFGF_NONE;
        top[n_top++] = (cfg_opt_t)CFG_SEC(sections[i]->name, options[i], flags);
    }
    top[n_top] = (cfg_opt_t)CFG_END();
    cfg_t *cfg = cfg_init(top, CFGF_NONE);
    if (!cfg)
        return NULL;
    cfg_set_error_function(cfg, on_error);
    errno = 0;
    for (size_t i = 0; i < n; i++)
        note_lines(cfg, sections[i]);
    if (errno != ENOMEM)
        return cfg;
    cfg_free(cfg); /* there is no other word of an option that could not be found for that */
    return NULL;
}

cfg_t *parser_read(struct parsing *p, const char *text, const struct section_rules *const *sections, size_t n)
{
    /* fmemopen takes no empty buffer. */
    const char *content = text[0] ? text : "\n";
    FILE *file = fmemopen((void *)(uintptr_t)content, strlen(content), "r");
    cfg_t *cfg = file ? make_parser(sections, n) : NULL;
    current = p;
    if (!cfg) {
        complain(p, 0, "out of memory");
    } else {
        cfg->filename = strdup(p->name);
        if (cfg_parse_fp(cfg, file) != CFG_SUCCESS) {
            if (p->n_errors == 0)
                complain(p, cfg->line, "syntax error");
            cfg_free(cfg);
            cfg = NULL;
        }
    }
    current = NULL;
    if (file)
        fclose(file);
    return cfg;
}

/* Behind a quoted text or a comment that begins at p; p itself when none does. */
static const char *skip_opaque(const char *p)
{
    if (*p == '"' || *p == '\'') {
        char quote = *p++;
        for (; *p && *p != quote; p++)
            p += *p == '\\' && p[1];
        return *p ? p + 1 : p;
    }
    if (*p == '#' || strncmp(p, "//", 2) == 0)
        return p + strcspn(p, "\n");
    if (strncmp(p, "/*", 2) == 0) {
        const char *end = strstr(p + 2, "*/");
        return end ? end + 2 : p + strlen(p);
    }
    return p;
}

int parser_open_brace(const char *text)
{
    int line = 1, depth = 0, first = 0;
    for (const char *p = text; *p;) {
        const char *next = skip_opaque(p);
        if (next == p) {
            if (*p == '{' && depth++ == 0)
                first = line;
            depth -= *p == '}' && depth > 0;
            next = p + 1;
        }
        for (; p < next; p++)
            line += *p == '\n';
    }
    return depth > 0 ? first : 0;
}

/* ---- filling ---- */

static void fill_list(struct parsing *p, cfg_t *section, const struct value_rule *rule, void *target)
{
    struct config_list *list = (struct config_list *)((char *)target + rule->offset);
    for (unsigned i = 0; i < cfg_size(section, rule->name); i++) {
        if (!config_list_add(list, cfg_getnstr(section, rule->name, i)))
            complain(p, section->line, "out of memory");
    }
    if (list->n == 0 && was_given(p, section, rule->name) && strcmp(rule->name, "headers") != 0)
        complain(p, line_of(p, section, rule->name), "%s should name at least one", rule->name);
}

void *room_for_each(struct parsing *p, cfg_t *cfg, const char *name, size_t size, size_t *ret_n)
{
    size_t n = cfg_size(cfg, name);
    void *room = calloc(n ? n : 1, size);
    *ret_n = room ? n : 0;
    if (!room)
        complain(p, 0, "out of memory");
    return room;
}

void fill(struct parsing *p, cfg_t *section, const struct section_rules *rules, void *target)
{
    char why[WHY_SIZE];
    for (size_t i = 0; i < rules->n; i++) {
        const struct value_rule *rule = &rules->rules[i];
        if (rule->kind == VALUE_LIST) {
            fill_list(p, section, rule, target);
            continue;
        }
        const char *text = cfg_getstr(section, rule->name);
        /* libConfuse goes on without a word when it cannot copy a value. */
        if (!text && (rule->standard || was_given(p, section, rule->name)))
            complain(p, line_of(p, section, rule->name), "out of memory");
        else if (text && !value_read(rule, text, target, why))
            complain(p, line_of(p, section, rule->name), "%s = \"%s\": %s", rule->name, text, why);
    }
}

bool title_is_fine(struct parsing *p, cfg_t *section, const char *what)
{
    const char *title = cfg_title(section);
    size_t n = strspn(title, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (n == strlen(title) && n > 0 && n <= 64)
        return true;
    complain(p, line_of(p, section, NULL),
             "%s \"%s\": a name should be 1 to 64 letters, digits, dots, dashes or underscores", what, title);
    return false;
}
