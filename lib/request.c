#include "request.h"

#include <json-c/printbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The unreserved characters of RFC 3986 section 2.3 stand for themselves. */
static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-._~", c) != NULL);
}

static bool add(struct printbuf *url, const char *text)
{
    size_t len = strlen(text);
    return len < INT32_MAX && printbuf_memappend(url, text, (int)len) >= 0;
}

static bool add_escaped(struct printbuf *url, const char *value)
{
    static const char hex[] = "0123456789ABCDEF";
    for (const unsigned char *p = (const unsigned char *)value; *p; p++) {
        char text[4] = {(char)*p, '\0'};
        if (!is_unreserved(*p))
            memcpy(text, (char[]){'%', hex[*p >> 4], hex[*p & 15], '\0'}, sizeof text);
        if (!add(url, text))
            return false;
    }
    return true;
}

/* name is ours and may hold brackets, which are encoded too; value is anybody's. */
static bool add_query(struct printbuf *url, const char *name, const char *value)
{
    return add(url, strchr(url->buf, '?') ? "&" : "?") && add_escaped(url, name) && add(url, "=") &&
           add_escaped(url, value);
}

static bool add_fields(struct printbuf *url, const struct request_base *base, const struct family *family)
{
    if (family->fields[0] == '\0')
        return true;
    bool old = revision_has_job_id(base->revision);
    return add(url, strchr(url->buf, '?') ? "&" : "?") && add_escaped(url, "fields[") &&
           add_escaped(url, family->type) && add_escaped(url, "]") && add(url, "=") &&
           add(url, old ? "job_id," : "") && add(url, family->fields);
}

static const char *list_filter(enum sweep_list list)
{
    switch (list) {
    case LIST_ALL:
        return NULL;
    case LIST_QUEUED:
        return "equals(status,\"queued\")";
    case LIST_PROCESSING:
        return "equals(status,\"processing\")";
    case LIST_IN_PROGRESS:
        return "any(status,[\"queued\",\"processing\"])";
    }
    return NULL;
}

/* The text of a buffer that was built without failing, else NULL; the buffer is gone either way. */
static char *take(struct printbuf *url, bool fine)
{
    char *text = fine ? strdup(url->buf) : NULL;
    printbuf_free(url);
    return text;
}

/* "." and ".." as a whole segment are taken out of a path by any client, so that their dots are encoded as
 * well. */
static bool add_segment(struct printbuf *url, const char *id)
{
    if (strcmp(id, ".") == 0)
        return add(url, "%2E");
    if (strcmp(id, "..") == 0)
        return add(url, "%2E%2E");
    return add_escaped(url, id);
}

static bool add_path(struct printbuf *url, const struct request_base *base, const struct family *family,
                     const char *job_id)
{
    return add(url, base->api_url) && add(url, family->path) &&
           (!job_id || (add(url, "/") && add_segment(url, job_id))) &&
           add(url, revision_has_trailing_slash(base->revision) ? "/" : "");
}

char *request_list_url(const struct request_base *base, const struct family *family, enum sweep_kind kind,
                       enum sweep_list list, const char *cursor)
{
    struct printbuf *url = printbuf_new();
    if (!url)
        return NULL;
    const char *filter = list_filter(list);
    char size[12] = "";
    if (family->page_size > 0)
        snprintf(size, sizeof size, "%u", family->page_size);
    bool fine = add_path(url, base, family, NULL) && (!filter || add_query(url, "filter", filter)) &&
                add_fields(url, base, family) &&
                (kind != SWEEP_HEAD || family->sort[0] == '\0' || add_query(url, "sort", family->sort)) &&
                (size[0] == '\0' || add_query(url, "page[size]", size)) &&
                (!cursor || add_query(url, "page[cursor]", cursor));
    return take(url, fine);
}

char *request_job_url(const struct request_base *base, const struct family *family, const char *job_id)
{
    struct printbuf *url = printbuf_new();
    return url ? take(url, add_path(url, base, family, job_id)) : NULL;
}
