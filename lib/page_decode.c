#include "page_decode.h"

#include "text.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a page keeps alive: the parsed answer that its strings live in, the errors, and strings that had to be
 * cleaned. */
struct memory {
    struct json_object *root;
    struct job_error *errors; /* one block for all jobs of the page */
    char **texts;
    size_t n_texts;
    size_t room_texts;
};

struct decoding {
    struct page *page;
    struct memory *memory;
    const char *type;
    size_t n_errors;
    bool no_memory;
};

static struct json_object *member(struct json_object *object, const char *name)
{
    struct json_object *value = NULL;
    if (!json_object_is_type(object, json_type_object))
        return NULL;
    json_object_object_get_ex(object, name, &value);
    return value;
}

/* The first thing that is wrong with the page, in printable ASCII. */
static void complain(struct page *page, const char *what)
{
    if (page->why[0] == '\0')
        snprintf(page->why, sizeof page->why, "%s", what);
}

/* The text of a string member without NUL inside and of 1..max bytes, else NULL. */
static const char *plain_text(struct json_object *value, size_t max)
{
    if (!json_object_is_type(value, json_type_string))
        return NULL;
    size_t len = (size_t)json_object_get_string_len(value);
    const char *text = json_object_get_string(value);
    return len > 0 && len <= max && strlen(text) == len ? text : NULL;
}

/* Absent and null are COUNT_NONE. json-c saturates what does not fit an int64: the ends of the range are not
 * believed. */
static bool read_count(struct json_object *attributes, const char *name, int64_t *ret)
{
    struct json_object *value = member(attributes, name);
    *ret = COUNT_NONE;
    if (!value)
        return true;
    if (json_object_is_type(value, json_type_double)) {
        double number = json_object_get_double(value);
        if (!(number > -9.2e18 && number < 9.2e18) || number != (double)(int64_t)number)
            return false;
        *ret = (int64_t)number;
        return true;
    }
    if (!json_object_is_type(value, json_type_int))
        return false;
    int64_t number = json_object_get_int64(value);
    if (number == INT64_MAX || number == INT64_MIN)
        return false;
    *ret = number;
    return true;
}

static wall_time read_time(struct json_object *attributes, const char *name)
{
    wall_time t = WALL_NONE;
    struct json_object *value = member(attributes, name);
    if (json_object_is_type(value, json_type_string))
        wall_parse(json_object_get_string(value), (size_t)json_object_get_string_len(value), &t);
    return t;
}

static bool keep(struct memory *memory, char *text)
{
    if (memory->n_texts == memory->room_texts) {
        size_t room = memory->room_texts ? memory->room_texts * 2 : 16;
        char **texts = reallocarray(memory->texts, room, sizeof *texts);
        if (!texts)
            return false;
        memory->texts = texts;
        memory->room_texts = room;
    }
    memory->texts[memory->n_texts++] = text;
    return true;
}

/* An error's text: "" unless it is a string; cut at PAGE_MAX_TEXT, NUL replaced. */
static const char *error_text(struct decoding *d, struct json_object *value)
{
    if (!json_object_is_type(value, json_type_string))
        return "";
    size_t len = (size_t)json_object_get_string_len(value);
    const char *text = json_object_get_string(value);
    if (len <= PAGE_MAX_TEXT && strlen(text) == len)
        return text;
    struct text cut;
    text_init(&cut, PAGE_MAX_TEXT, TEXT_VALID);
    for (size_t at = 0; at < len; at++) {
        size_t part = strlen(text + at);
        text_add_bytes(&cut, text + at, part);
        at += part;
        if (at < len)
            text_add(&cut, "\xef\xbf\xbd"); /* U+FFFD for the NUL */
    }
    char *copy = text_take(&cut);
    if (!copy || !keep(d->memory, copy)) {
        free(copy);
        d->no_memory = true;
        return "";
    }
    return copy;
}

static void read_errors(struct decoding *d, struct json_object *list, struct job *job)
{
    if (!json_object_is_type(list, json_type_array))
        return;
    size_t n = json_object_array_length(list);
    struct job_error *first = d->memory->errors + d->n_errors;
    for (size_t i = 0; i < n && i < PAGE_MAX_ERRORS; i++) {
        struct json_object *error = json_object_array_get_idx(list, i);
        d->memory->errors[d->n_errors++] = (struct job_error){
            .code = error_text(d, member(error, "code")),
            .title = error_text(d, member(error, "title")),
            .detail = error_text(d, member(error, "detail")),
            .pointer = error_text(d, member(member(error, "source"), "pointer")),
        };
        job->n_errors++;
    }
    job->errors = job->n_errors ? first : NULL;
    job->more_errors = n - job->n_errors;
}

static bool read_counts(struct json_object *attributes, struct job_counts *counts)
{
    return read_count(attributes, "total_count", &counts->total) &&
           read_count(attributes, "completed_count", &counts->completed) &&
           read_count(attributes, "failed_count", &counts->failed) &&
           read_count(attributes, "skipped_count", &counts->skipped);
}

/* NULL when the entry is a job, else why it is none. */
static const char *read_job(struct decoding *d, struct json_object *entry, struct job *job)
{
    struct json_object *attributes = member(entry, "attributes"), *id = member(entry, "id");
    const char *type = plain_text(member(entry, "type"), FAMILY_TYPE_MAX);
    if (!type || strcmp(type, d->type) != 0)
        return "an entry is not of the type asked for";
    job->id = plain_text(id ? id : member(attributes, "job_id"), JOB_ID_MAX);
    if (!job->id)
        return "an entry has no usable id";
    job->status_word = plain_text(member(attributes, "status"), JOB_STATUS_MAX);
    if (!job->status_word)
        return "an entry has no usable status";
    if (!read_counts(attributes, &job->counts))
        return "an entry has a count that is no whole number";
    job->status = job_status_from_word(job->status_word);
    job->created_at = read_time(attributes, "created_at");
    job->completed_at = read_time(attributes, "completed_at");
    job->expires_at = read_time(attributes, "expires_at");
    read_errors(d, member(attributes, "errors"), job);
    return NULL;
}

static void read_entry(struct decoding *d, struct json_object *entry)
{
    struct job job = {0};
    const char *why = read_job(d, entry, &job);
    if (why) {
        d->page->n_malformed++;
        complain(d->page, why);
        return;
    }
    d->page->jobs[d->page->n_jobs++] = job;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decoded copy of len bytes; NULL for control characters, bad escapes, or without memory. '+' stands
 * for itself (RFC 3986). */
static char *decode_value(const char *text, size_t len, bool *no_memory)
{
    char *out = malloc(len + 1);
    size_t n = 0;
    *no_memory = !out;
    for (size_t i = 0; out && i < len; i++) {
        int byte = (unsigned char)text[i];
        if (byte == '%') {
            int high = i + 2 < len ? hex_digit(text[i + 1]) : -1,
                low = i + 2 < len ? hex_digit(text[i + 2]) : -1;
            byte = high < 0 || low < 0 ? 0 : high * 16 + low;
            i += 2;
        }
        if (byte < ' ' || byte == 0x7f) {
            free(out);
            return NULL;
        }
        out[n++] = (char)byte;
    }
    if (out)
        out[n] = '\0';
    return out;
}

/* Where the value of page[cursor] begins in a query parameter, or NULL. */
static const char *cursor_value(const char *parameter)
{
    static const char *const names[] = {"page[cursor]=", "page%5Bcursor%5D=", "page%5bcursor%5d="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strncmp(parameter, names[i], strlen(names[i])) == 0)
            return parameter + strlen(names[i]);
    }
    return NULL;
}

static bool read_cursor(struct decoding *d, const char *url)
{
    const char *query = strchr(url, '?');
    for (const char *p = query ? query + 1 : NULL; p; p = strchr(p, '&') ? strchr(p, '&') + 1 : NULL) {
        const char *value = cursor_value(p);
        if (!value)
            continue;
        size_t len = strcspn(value, "&#");
        if (len == 0 || len > PAGE_MAX_CURSOR)
            return false;
        d->page->next_cursor = decode_value(value, len, &d->no_memory);
        return d->page->next_cursor;
    }
    return false;
}

static void read_next(struct decoding *d, struct json_object *root)
{
    struct json_object *next = member(member(root, "links"), "next");
    if (!next)
        return;
    if (json_object_is_type(next, json_type_string) && json_object_get_string_len(next) == 0)
        return;
    const char *url = plain_text(next, INT_MAX);
    d->page->next = url && read_cursor(d, url) ? NEXT_CURSOR : NEXT_UNUSABLE;
    if (d->page->next == NEXT_UNUSABLE)
        complain(d->page, "links.next holds no usable page[cursor]");
}

static size_t count_errors(struct json_object *entry)
{
    struct json_object *list = member(member(entry, "attributes"), "errors");
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    return n < PAGE_MAX_ERRORS ? n : PAGE_MAX_ERRORS;
}

static bool make_room(struct decoding *d, struct json_object *data, size_t n)
{
    size_t errors = 0;
    for (size_t i = 0; i < n; i++)
        errors += count_errors(json_object_is_type(data, json_type_array) ? json_object_array_get_idx(data, i)
                                                                          : data);
    d->page->jobs = calloc(n ? n : 1, sizeof *d->page->jobs);
    d->memory->errors = calloc(errors ? errors : 1, sizeof *d->memory->errors);
    return d->page->jobs && d->memory->errors;
}

static enum page_result parse(const char *bytes, size_t len, struct json_object **ret, const char **why)
{
    if (len == 0 || len > INT_MAX - 1) {
        *why = len == 0 ? "the answer is empty" : "the answer is too large";
        return PAGE_NOT_JSON;
    }
    struct json_tokener *tokener = json_tokener_new_ex(PAGE_MAX_DEPTH);
    if (!tokener)
        return PAGE_NO_MEMORY;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    /* A lone value that could go on (a number) is complete only with the byte behind it; bytes end in NUL,
     * which is that byte. */
    *ret = json_tokener_parse_ex(tokener, bytes, (int)len + 1);
    enum json_tokener_error error = json_tokener_get_error(tokener);
    size_t end = json_tokener_get_parse_end(tokener);
    json_tokener_free(tokener);
    if (error == json_tokener_success && end < len)
        end += strspn(bytes + end, " \t\r\n");
    bool complete = error == json_tokener_success && end >= len;
    if (complete)
        return PAGE_OK;
    json_object_put(*ret);
    *ret = NULL;
    *why = error == json_tokener_error_depth ? "the answer is nested too deep" : "the answer is not JSON";
    return PAGE_NOT_JSON;
}

static enum page_result fail(struct page *page, enum page_result result, const char *why)
{
    page_finish(page);
    complain(page, why);
    return result;
}

static enum page_result decode(const char *bytes, size_t len, const char *type, bool list, struct page *ret)
{
    const char *why = "out of memory";
    *ret = (struct page){0};
    struct memory *memory = calloc(1, sizeof *memory);
    if (!memory)
        return fail(ret, PAGE_NO_MEMORY, why);
    ret->memory = memory;
    enum page_result result = parse(bytes, len, &memory->root, &why);
    if (result != PAGE_OK)
        return fail(ret, result, why);
    struct json_object *data = member(memory->root, "data");
    if (!json_object_is_type(data, list ? json_type_array : json_type_object))
        return fail(ret, PAGE_NOT_JOBS,
                    list ? "the answer has no array `data`" : "the answer has no object `data`");
    struct decoding d = {.page = ret, .memory = memory, .type = type};
    size_t n = list ? json_object_array_length(data) : 1, kept = n < PAGE_MAX_JOBS ? n : PAGE_MAX_JOBS;
    if (!make_room(&d, data, kept))
        return fail(ret, PAGE_NO_MEMORY, why);
    for (size_t i = 0; i < kept; i++)
        read_entry(&d, list ? json_object_array_get_idx(data, i) : data);
    if (n > kept) {
        ret->n_malformed += n - kept;
        complain(ret, "the page has more entries than are read");
    }
    if (list)
        read_next(&d, memory->root);
    return d.no_memory ? fail(ret, PAGE_NO_MEMORY, why) : PAGE_OK;
}

enum page_result page_decode_list(const char *bytes, size_t len, const char *type, struct page *ret)
{
    return decode(bytes, len, type, true, ret);
}

enum page_result page_decode_one(const char *bytes, size_t len, const char *type, struct page *ret)
{
    return decode(bytes, len, type, false, ret);
}

void page_finish(struct page *page)
{
    struct memory *memory = page->memory;
    if (memory) {
        for (size_t i = 0; i < memory->n_texts; i++)
            free(memory->texts[i]);
        free(memory->texts);
        free(memory->errors);
        json_object_put(memory->root);
        free(memory);
    }
    free(page->jobs);
    free(page->next_cursor);
    *page = (struct page){0};
}

/* Klaviyo's titles are sentences of their own, which need no colon, and are now and then the detail too. */
static void append(char *out, size_t size, const char *text)
{
    size_t used = strlen(out);
    const char *between = used == 0 ? "" : out[used - 1] == '.' ? " " : ": ";
    if (used < size && strcmp(out, text) != 0)
        snprintf(out + used, size - used, "%s%s", text[0] ? between : "", text);
}

void api_error_text(const char *bytes, size_t len, char *out, size_t size)
{
    const char *why;
    struct json_object *root = NULL;
    out[0] = '\0';
    if (parse(bytes, len, &root, &why) != PAGE_OK)
        return;
    struct json_object *list = member(root, "errors");
    struct json_object *error =
        json_object_is_type(list, json_type_array) ? json_object_array_get_idx(list, 0) : NULL;
    static const char *const names[] = {"title", "detail"};
    for (size_t i = 0; i < 2; i++) {
        struct json_object *text = member(error, names[i]);
        if (json_object_is_type(text, json_type_string))
            append(out, size, json_object_get_string(text));
    }
    for (char *p = out; *p; p++) {
        if (*p < ' ' || *p > '~')
            *p = '?';
    }
    json_object_put(root);
}
