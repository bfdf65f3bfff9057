/*
 * What comes in of one transfer: its header lines and its body, within their caps.
 *
 * Invariant: a transfer never holds more than max_body bytes of a body, counted after decompression, nor takes more
 * than max_header of header lines; its body ends with a NUL that is not counted. What does not fit is noted in the
 * transfer (too_large, body_is_full, no_memory), and curl is told to end it. A body belongs to its transfer, and its
 * room, when that is over, to struct http, for the next one.
 */
#include "http_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MAX_SPARE (512u << 10)

static const char *const header_names[N_WANTED_HEADERS] = {
    "content-type", "retry-after", "date", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset",
};

/* ---- the body ---- */

static void take_spare(struct http_transfer *t)
{
    t->body = t->http->spare;
    t->room = t->http->spare_room;
    t->http->spare = NULL;
}

/* A server may have said the key back. What is kept is wiped when keys change, and at the end. */
void spare_leave(struct http_transfer *t)
{
    bool keep = !t->http->spare && t->room <= MAX_SPARE;
    if (t->body && (!keep || t->began <= t->http->renewed))
        explicit_bzero(t->body, t->len);
    if (!keep) {
        free(t->body);
        return;
    }
    t->http->spare = t->body;
    t->http->spare_room = t->room;
}

void spare_wipe(struct http *http)
{
    if (http->spare)
        explicit_bzero(http->spare, http->spare_room);
}

static bool grow_body(struct http_transfer *t, size_t wanted)
{
    if (!t->body && t->http->spare)
        take_spare(t);
    if (wanted < t->room)
        return true;
    size_t room = t->room ? t->room : 16384;
    while (room <= wanted)
        room *= 2;
    char *body = realloc(t->body, room);
    if (!body)
        return false;
    t->body = body;
    t->room = room;
    return true;
}

/* Counted after decompression, so that a small bomb is stopped as soon as it has unfolded to the cap. */
size_t transfer_on_body(char *data, size_t size, size_t n, void *user)
{
    struct http_transfer *t = user;
    size_t len = size * n, taken = len;
    if (len > t->max_body - t->len) {
        t->too_large = !t->keep_truncated;
        t->body_is_full = t->keep_truncated;
        taken = t->max_body - t->len;
        if (t->too_large)
            return CURL_WRITEFUNC_ERROR;
    }
    if (!grow_body(t, t->len + taken)) {
        t->no_memory = true;
        return CURL_WRITEFUNC_ERROR;
    }
    memcpy(t->body + t->len, data, taken);
    t->len += taken;
    t->body[t->len] = '\0';
    /* What is cut off is not read to its end: the transfer stops here, see transfer_is_fine(). */
    return t->body_is_full ? CURL_WRITEFUNC_ERROR : len;
}

/* ---- header lines ---- */

static bool keep_header(struct http_transfer *t, enum wanted_header which, const char *value, size_t len)
{
    while (len > 0 && strchr(" \t", *value)) {
        value++;
        len--;
    }
    while (len > 0 && strchr(" \t\r\n", value[len - 1]))
        len--;
    char *copy = strndup(value, len);
    if (!copy)
        return false;
    free(t->texts[which]);
    t->texts[which] = copy;
    return true;
}

/* An empty line ends a head, and after one of status 1xx another begins. */
static void note_head(struct http_transfer *t, const char *line, size_t len)
{
    if (len > 0 && strchr("\r\n", *line))
        t->head_is_over = true;
    else if (len > 5 && memcmp(line, "HTTP/", 5) == 0)
        t->head_is_over = false;
}

size_t transfer_on_header(char *data, size_t size, size_t n, void *user)
{
    struct http_transfer *t = user;
    size_t len = size * n;
    note_head(t, data, len);
    t->header_bytes += len;
    if (t->header_bytes > t->max_header) {
        t->too_large = true;
        return 0;
    }
    for (int i = 0; i < N_WANTED_HEADERS; i++) {
        size_t name = strlen(header_names[i]);
        if (len <= name || data[name] != ':' || strncasecmp(data, header_names[i], name) != 0)
            continue;
        if (!keep_header(t, (enum wanted_header)i, data + name + 1, len - name - 1)) {
            t->no_memory = true;
            return 0;
        }
    }
    return len;
}
