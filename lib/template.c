#include "template_private.h"

#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 16
#define SPACES    " \t\r\n"

struct parser {
    struct template *template;
    const char *name;
    size_t len;
    size_t at;               /* of the place being read, for messages */
    size_t open[MAX_DEPTH];  /* indexes of the sections that are open */
    size_t place[MAX_DEPTH]; /* where they begin */
    size_t depth;
    char **error;
};

/* ---- errors ---- */

static int line_at(const struct parser *p, size_t at)
{
    int line = 1;
    for (size_t i = 0; i < at; i++)
        line += p->template->text[i] == '\n';
    return line;
}

__attribute__((format(printf, 3, 4))) static bool complain(struct parser *p, size_t at, const char *format,
                                                           ...)
{
    char *what;
    struct text text;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&what, format, args);
    va_end(args);
    text_init(&text, 1000, TEXT_CLEAN);
    text_addf(&text, "%s:%d: ", p->name, line_at(p, at));
    text_add(&text, len < 0 ? "out of memory" : what);
    if (len >= 0)
        free(what);
    *p->error = text_take(&text);
    return false;
}

/* ---- the list of what to do ---- */

static bool add(struct parser *p, struct op op)
{
    struct template *template = p->template;
    /* Grown by doubling: room is the power of two from 16 on that holds n. */
    if (template->n == 0 || (template->n >= 16 && (template->n & (template->n - 1)) == 0)) {
        size_t room = template->n == 0 ? 16 : template->n * 2;
        struct op *ops = reallocarray(template->ops, room, sizeof *ops);
        if (!ops)
            return complain(p, p->at, "out of memory");
        template->ops = ops;
    }
    template->ops[template->n++] = op;
    return true;
}

static bool add_text(struct parser *p, size_t begin, size_t end)
{
    return end == begin || add(p, (struct op){.kind = OP_TEXT, .begin = begin, .len = end - begin});
}

static bool in_events(const struct parser *p)
{
    for (size_t i = 0; i < p->depth; i++) {
        if (p->template->ops[p->open[i]].kind == OP_EVENTS)
            return true;
    }
    return false;
}

/* ---- places ---- */

static bool is_events(const char *name, size_t len)
{
    return len == 6 && memcmp(name, "events", 6) == 0;
}

static bool find_field(struct parser *p, const char *name, size_t len, int *ret)
{
    int field = template_field(name, len);
    if (field >= 0) {
        *ret = field;
        return true;
    }
    if (is_events(name, len))
        return complain(p, p->at, "events has no text, write {{#events}}...{{/events}} around each event's");
    const char *near = template_field_near(name, len);
    if (near)
        return complain(p, p->at, "unknown field \"%.*s\"; did you mean \"%s\"?", (int)len, name, near);
    return complain(p, p->at, "unknown field \"%.*s\"; klv-jobwatch.conf(5) lists them", (int)len, name);
}

static bool open_section(struct parser *p, bool positive, const char *name, size_t len)
{
    struct op op = {.kind = positive ? OP_IF : OP_IF_NOT};
    if (positive && is_events(name, len))
        op.kind = OP_EVENTS;
    else if (!find_field(p, name, len, &op.field))
        return false;
    if (op.kind == OP_EVENTS && in_events(p))
        return complain(p, p->at, "{{#events}} inside of {{#events}}; close the first one before");
    if (p->depth == MAX_DEPTH)
        return complain(p, p->at, "more than %d sections inside of each other; use fewer", MAX_DEPTH);
    p->place[p->depth] = p->at;
    p->open[p->depth++] = p->template->n;
    return add(p, op);
}

static bool close_section(struct parser *p, const char *name, size_t len)
{
    if (p->depth == 0)
        return complain(p, p->at, "{{/%.*s}} closes no section; remove it or write {{#%.*s}} before",
                        (int)len, name, (int)len, name);
    struct op *open = &p->template->ops[p->open[p->depth - 1]];
    bool fits = open->kind == OP_EVENTS ? is_events(name, len) : template_field(name, len) == open->field;
    if (!fits)
        return complain(p, p->at, "{{/%.*s}} does not close the section of line %d; close that one first",
                        (int)len, name, line_at(p, p->place[p->depth - 1]));
    open->end = p->template->n;
    p->depth--;
    return add(p, (struct op){.kind = OP_END});
}

/* {{field}} or {{field|raw}}. */
static bool add_field(struct parser *p, bool raw, const char *name, size_t len)
{
    const char *bar = memchr(name, '|', len);
    if (bar) {
        const char *filter = bar + 1;
        size_t n = len - (size_t)(filter - name);
        len = (size_t)(bar - name);
        while (n > 0 && strchr(SPACES, *filter))
            filter++, n--;
        while (len > 0 && strchr(SPACES, name[len - 1]))
            len--;
        if (n != 3 || memcmp(filter, "raw", 3) != 0)
            return complain(p, p->at, "unknown filter \"%.*s\"; the only one is raw", (int)n, filter);
        raw = true;
    }
    struct op op = {.kind = raw ? OP_RAW : OP_FIELD};
    return find_field(p, name, len, &op.field) && add(p, op);
}

/* What stands between the braces. */
static bool add_place(struct parser *p, bool raw, const char *inside, size_t len)
{
    char sign = len > 0 && !raw ? *inside : '\0';
    if (sign == '!')
        return true;
    bool section = sign == '#' || sign == '^' || sign == '/';
    inside += section;
    len -= section;
    while (len > 0 && strchr(SPACES, *inside))
        inside++, len--;
    while (len > 0 && strchr(SPACES, inside[len - 1]))
        len--;
    if (sign == '/')
        return close_section(p, inside, len);
    return section ? open_section(p, sign == '#', inside, len) : add_field(p, raw, inside, len);
}

static bool parse(struct parser *p)
{
    const char *text = p->template->text;
    const char *begin;
    size_t at = 0;
    while ((begin = strstr(text + at, "{{")) != NULL) {
        p->at = (size_t)(begin - text);
        if (!add_text(p, at, p->at))
            return false;
        bool raw = begin[2] == '{';
        const char *inside = begin + 2 + raw;
        const char *end = strstr(inside, raw ? "}}}" : "}}");
        if (!end)
            return complain(p, p->at, "%s is not closed; add %s", raw ? "{{{" : "{{", raw ? "}}}" : "}}");
        if (!add_place(p, raw, inside, (size_t)(end - inside)))
            return false;
        at = (size_t)(end - text) + 2 + raw;
    }
    if (p->depth > 0)
        return complain(p, p->place[p->depth - 1],
                        "the section that begins here is not closed; add {{/...}}");
    return add_text(p, at, p->len);
}

static bool check_bytes(struct parser *p)
{
    const char *text = p->template->text;
    if (p->len > TEMPLATE_MAX)
        return complain(p, 0, "is larger than %d bytes; use a shorter one", TEMPLATE_MAX);
    for (size_t at = 0; at < p->len;) {
        uint32_t c;
        size_t n = utf8_decode(text + at, p->len - at, &c);
        if (c == UTF8_INVALID || c == 0)
            return complain(p, at, "holds a byte that is no UTF-8 text; save it as UTF-8");
        at += n;
    }
    return true;
}

struct template *template_parse(const char *text, size_t len, const char *name, char **error)
{
    struct template *template = calloc(1, sizeof *template);
    *error = NULL;
    if (template)
        template->text = malloc(len + 1);
    if (!template || !template->text) {
        free(template);
        return NULL;
    }
    memcpy(template->text, text, len);
    template->text[len] = '\0';
    struct parser parser = {.template = template, .name = name, .len = len, .error = error};
    if (check_bytes(&parser) && parse(&parser))
        return template;
    template_free(template);
    return NULL;
}

void template_free(struct template *template)
{
    if (!template)
        return;
    free(template->text);
    free(template->ops);
    free(template);
}
