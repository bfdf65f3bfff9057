#include "http.h"

#include "allocator.h"

#include <ctype.h>
#include <curl/curl.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <uv.h>

#define MAX_HEADER   (64u << 10)
#define READ_AT_ONCE (64L << 10) /* curl's own buffer for receiving */
/* And for sending over TLS: the key goes through it, so that it has to be small enough for allocator.c. */
#define SEND_AT_ONCE    (16L << 10)
#define MAX_CONNECTIONS 128 /* kept open */
#define MAX_SPARE       (512u << 10)
/* A transfer slower than this many bytes a second for so long is as good as dead, whatever its time-out. */
#define LOW_SPEED_BYTES 1
#define LOW_SPEED_TIME  60

struct http {
    struct loop *loop;
    CURLM *multi; /* NULL: none, see give_all_up */
    uv_timer_t timer;
    uv_idle_t soon; /* curl wants to go on at once */
    char *user_agent;
    struct http_transfer *transfers; /* doubly linked */
    bool closing;
    int64_t renewed;         /* 0: never */
    const char *authorities; /* folder of the system's, named by hash; NULL: none such, or it lacks one */
    char *spare; /* room for a body that a transfer left, so that the next need not make it grow again */
    size_t spare_room;
};

/* curl's interest in one socket. Its memory lives until libuv's close callback; the descriptor may be used
 * again before that. */
struct watched {
    uv_poll_t poll;
    struct http *http;
    curl_socket_t fd;
};

/* The response headers that somebody asks for. */
enum wanted_header {
    HEADER_CONTENT_TYPE,
    HEADER_RETRY_AFTER,
    HEADER_DATE,
    HEADER_LIMIT,
    HEADER_REMAINING,
    HEADER_RESET,
    N_WANTED_HEADERS,
};

static const char *const header_names[N_WANTED_HEADERS] = {
    "content-type", "retry-after", "date", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset",
};

struct http_transfer {
    struct http *http;
    CURL *easy;
    struct curl_slist *headers;
    char *request_body;
    size_t request_len;
    bool by_hash; /* the server's authority is looked for in http->authorities */
    bool again;   /* and now in the file of all */
    http_done *done;
    void *user;
    char *body;
    size_t len;
    size_t room;
    size_t max_body;
    size_t max_header;
    size_t header_bytes;
    bool keep_truncated;
    bool head_is_over;
    bool body_is_full;
    bool too_large;
    bool no_memory;
    bool lost; /* see give_all_up */
    char *texts[N_WANTED_HEADERS];
    int64_t began;
    struct http_transfer *next;
    struct http_transfer *previous;
};

static int64_t monotonic_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- receiving ---- */

static void take_spare(struct http_transfer *t)
{
    t->body = t->http->spare;
    t->room = t->http->spare_room;
    t->http->spare = NULL;
}

/* A server may have said the key back. What is kept is wiped when keys change, and at the end. */
static void leave_spare(struct http_transfer *t)
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

static void wipe_spare(struct http *http)
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
static size_t on_body(char *data, size_t size, size_t n, void *user)
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
    /* What is cut off is not read to its end: the transfer stops here, see is_fine(). */
    return t->body_is_full ? CURL_WRITEFUNC_ERROR : len;
}

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

static size_t on_header(char *data, size_t size, size_t n, void *user)
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

/* ---- the life of a transfer ---- */

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
}

/* Header lines hold keys: curl's list keeps copies of its own, which are wiped before they are freed. */
static void free_headers(struct curl_slist *headers)
{
    for (struct curl_slist *line = headers; line; line = line->next)
        wipe(line->data);
    curl_slist_free_all(headers);
}

static void free_transfer(struct http_transfer *t)
{
    if (t->easy)
        curl_easy_cleanup(t->easy);
    free_headers(t->headers);
    for (int i = 0; i < N_WANTED_HEADERS; i++)
        free(t->texts[i]);
    free(t->request_body);
    leave_spare(t);
    free(t);
}

static void link_transfer(struct http_transfer *t)
{
    t->next = t->http->transfers;
    if (t->next)
        t->next->previous = t;
    t->http->transfers = t;
}

static void unlink_transfer(struct http_transfer *t)
{
    if (t->next)
        t->next->previous = t->previous;
    if (t->previous)
        t->previous->next = t->next;
    else
        t->http->transfers = t->next;
    t->next = t->previous = NULL;
}

/*
 * A body that was cut on purpose ends as a write error of ours, and is fine. A head that the connection's end cut
 * off is not, though curl takes it for an answer without a body: a look at a job would believe its 404.
 */
static bool is_fine(const struct http_transfer *t, CURLcode code)
{
    return (code == CURLE_OK && t->head_is_over) || (code == CURLE_WRITE_ERROR && t->body_is_full);
}

static enum http_error error_of(const struct http_transfer *t, CURLcode code)
{
    if (is_fine(t, code))
        return HTTP_OK;
    if (t->no_memory || code == CURLE_OUT_OF_MEMORY)
        return HTTP_NO_MEMORY;
    if (t->too_large || code == CURLE_FILESIZE_EXCEEDED)
        return HTTP_TOO_LARGE;
    return code == CURLE_OPERATION_TIMEDOUT ? HTTP_TIMEOUT : HTTP_TRANSPORT;
}

/* "scheme://host[:port]" of the request's URL, without credentials. */
static char *origin_of(CURL *easy)
{
    CURLU *parts = curl_url();
    char *url = NULL, *scheme = NULL, *host = NULL, *port = NULL, *origin = NULL;
    if (parts && curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url &&
        curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        curl_url_get(parts, CURLUPART_PORT, &port, 0);
        if (asprintf(&origin, "%s://%s%s%s", scheme, host, port ? ":" : "", port ? port : "") < 0)
            origin = NULL;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return origin;
}

/* curl's own buffer may quote the URL; its fixed sentences and our origin cannot hold a secret. */
static void describe(const struct http_transfer *t, enum http_error error, CURLcode code, char *out,
                     size_t size)
{
    const char *what = code == CURLE_OK ? "the answer ends within its head" : curl_easy_strerror(code);
    switch (error) {
    case HTTP_OK:
        out[0] = '\0';
        return;
    case HTTP_TOO_LARGE:
        what = "the answer is larger than allowed";
        break;
    case HTTP_NO_MEMORY:
        /* That is curl's word for a single line of more than 100 KB too. */
        what = t->no_memory ? "out of memory" : "out of memory, or a header line larger than allowed";
        break;
    case HTTP_CANCELLED:
        what = "given up";
        break;
    case HTTP_TRANSPORT:
    case HTTP_TIMEOUT:
        break;
    }
    char *origin = origin_of(t->easy);
    snprintf(out, size, "%s: %s", origin ? origin : "the server", what);
    free(origin);
}

/* The one call of done. t is out of the multi and of the list; it is freed here. */
static void report(struct http_transfer *t, enum http_error error, CURLcode code)
{
    char text[512];
    long status = 0, version = 0;
    describe(t, error, code, text, sizeof text);
    if (error == HTTP_OK)
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
    struct http_response response = {
        .error = error,
        .status = (int)status,
        .error_text = text,
        .body = error == HTTP_OK && t->body ? t->body : "",
        .body_len = error == HTTP_OK ? t->len : 0,
        .content_type = t->texts[HEADER_CONTENT_TYPE],
        .retry_after = t->texts[HEADER_RETRY_AFTER],
        .date = t->texts[HEADER_DATE],
        .ratelimit_limit = t->texts[HEADER_LIMIT],
        .ratelimit_remaining = t->texts[HEADER_REMAINING],
        .ratelimit_reset = t->texts[HEADER_RESET],
        .elapsed = monotonic_ms() - t->began,
        .http_version = version == CURL_HTTP_VERSION_2_0   ? 20
                        : version == CURL_HTTP_VERSION_1_1 ? 11
                        : version == CURL_HTTP_VERSION_1_0 ? 10
                                                           : 0,
    };
    t->done(t->user, &response);
    free_transfer(t);
}

/* The folder lacks the authority, but somebody may have put it into the file of all by hand: that one decides. */
static bool try_all_authorities(struct http_transfer *t, CURLcode code)
{
    if (code != CURLE_PEER_FAILED_VERIFICATION || !t->by_hash || t->again)
        return false;
    t->again = true;
    return curl_easy_setopt(t->easy, CURLOPT_CAINFO, curl_version_info(CURLVERSION_NOW)->cainfo) ==
               CURLE_OK &&
           curl_multi_add_handle(t->http->multi, t->easy) == CURLM_OK;
}

/*
 * Every message, after every action, also when nothing runs any more: a lone transfer's time-out is told by
 * no other way. The message dies with curl_multi_remove_handle, so what is needed of it is copied first; done
 * may start, cancel or close anything.
 */
static void drain(struct http *http)
{
    int left;
    for (CURLMsg *message; !http->closing && (message = curl_multi_info_read(http->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct http_transfer *t = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
        curl_multi_remove_handle(http->multi, t->easy);
        if (try_all_authorities(t, code))
            continue;
        if (t->again && is_fine(t, code))
            http->authorities = NULL; /* so it is: no use asking the folder first */
        unlink_transfer(t);
        report(t, error_of(t, code), code);
    }
}

/* ---- curl asks libuv ---- */

static void give_all_up(struct http *http);

/* What curl breaks off here, for lack of memory, it may never come back to, not even when its time is over; and it may
 * say nothing of it. */
static void act(struct http *http, curl_socket_t fd, int flags)
{
    int running;
    allocator_forget_failure();
    CURLMcode code = curl_multi_socket_action(http->multi, fd, flags, &running);
    if (code == CURLM_OK && !allocator_has_failed())
        drain(http);
    else
        give_all_up(http);
}

static void on_timer(uv_timer_t *handle)
{
    act(handle->data, CURL_SOCKET_TIMEOUT, 0);
}

/* In the loop's next turn, which does not wait; by then curl may ask for it again. */
static void on_soon(uv_idle_t *handle)
{
    uv_idle_stop(handle);
    act(handle->data, CURL_SOCKET_TIMEOUT, 0);
}

/*
 * No timer of 0 ms: before libuv 1.48 one that is armed again in its own callback starves all sockets; and one of 1 ms
 * puts the process to sleep before each request.
 */
static int on_curl_timer(CURLM *multi, long timeout, void *user)
{
    struct http *http = user;
    (void)multi;
    if (http->closing)
        return 0;
    if (timeout > 0)
        uv_timer_start(&http->timer, on_timer, (uint64_t)timeout, 0);
    else
        uv_timer_stop(&http->timer);
    if (timeout == 0)
        uv_idle_start(&http->soon, on_soon);
    else
        uv_idle_stop(&http->soon);
    return 0;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct watched *watched = handle->data;
    int flags = 0;
    /* libuv has stopped this poll by itself; every refused connection comes this way. */
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(watched->http, watched->fd, flags);
}

static void on_watched_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct watched *watch_socket(struct http *http, curl_socket_t fd)
{
    struct watched *watched = calloc(1, sizeof *watched);
    if (!watched)
        return NULL;
    watched->http = http;
    watched->fd = fd;
    watched->poll.data = watched;
    if (uv_poll_init_socket(loop_uv(http->loop), &watched->poll, fd) != 0) {
        free(watched);
        return NULL;
    }
    curl_multi_assign(http->multi, fd, watched);
    return watched;
}

/* `easy` may belong to a transfer that is gone already: it is never looked at. -1 would fail every transfer
 * of the multi. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct http *http = user;
    struct watched *watched = socket_user;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched) {
            curl_multi_assign(http->multi, fd, NULL);
            uv_close((uv_handle_t *)&watched->poll, on_watched_closed);
        }
        return 0;
    }
    /* curl_multi_cleanup asks for sockets again while it says goodbye; nobody will turn the loop for it. */
    if (http->closing)
        return 0;
    if (!watched)
        watched = watch_socket(http, fd);
    if (!watched)
        return -1;
    int events = what == CURL_POLL_IN    ? UV_READABLE
                 : what == CURL_POLL_OUT ? UV_WRITABLE
                                         : UV_READABLE | UV_WRITABLE;
    uv_poll_start(&watched->poll, events, on_poll);
    return 0;
}

/* ---- the multi ---- */

static bool set_up_multi(struct http *http)
{
    CURLM *multi = http->multi;
    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)MAX_CONNECTIONS) == CURLM_OK;
}

static void close_multi(struct http *http)
{
    if (http->multi)
        curl_multi_cleanup(http->multi);
    http->multi = NULL;
}

static bool open_multi(struct http *http)
{
    http->multi = curl_multi_init();
    if (http->multi && set_up_multi(http))
        return true;
    close_multi(http);
    return false;
}

/*
 * All that are under way, with their connections; `done` may start, cancel or close anything. libcurl 7.88 keeps in the
 * multi what it could not finish without memory, and the next transfer would crash on it, or never end: that one gets
 * another multi.
 */
static void give_all_up(struct http *http)
{
    for (struct http_transfer *t = http->transfers; t; t = t->next) {
        t->lost = true;
        curl_multi_remove_handle(http->multi, t->easy);
    }
    http->closing = true; /* what it asks for now is not meant, as at the end */
    close_multi(http);
    http->closing = false;
    uv_timer_stop(&http->timer);
    uv_idle_stop(&http->soon);
    for (struct http_transfer *t = http->transfers; t && !http->closing;) {
        if (!t->lost) {
            t = t->next;
            continue;
        }
        unlink_transfer(t);
        report(t, HTTP_NO_MEMORY, CURLE_OUT_OF_MEMORY);
        t = http->transfers;
    }
}

/* ---- starting ---- */

static bool copy_headers(struct http_transfer *t, const char *const *lines)
{
    for (; lines && *lines; lines++) {
        struct curl_slist *grown = curl_slist_append(t->headers, *lines);
        if (!grown)
            return false;
        t->headers = grown;
    }
    /* curl would wait a second for "100 Continue" before larger bodies. */
    struct curl_slist *grown = t->request_body ? curl_slist_append(t->headers, "Expect:") : t->headers;
    if (t->request_body && !grown)
        return false;
    t->headers = grown;
    return true;
}

static bool set_limits(struct http_transfer *t, const struct http_request *request)
{
    CURL *easy = t->easy;
    return curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)request->connect_timeout) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)LOW_SPEED_BYTES) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)LOW_SPEED_TIME) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
}

/*
 * Whom to trust: the authorities of the request's file and no others; else the system's. Read from one file for each
 * connection, as curl does by itself, all of these take as long as half a sweep of 10,000 jobs, and megabytes; in their
 * folder OpenSSL finds the one that it needs.
 */
static bool set_authorities(struct http_transfer *t, const struct http_request *request)
{
    t->by_hash = !request->ca_file && t->http->authorities;
    if (request->ca_file)
        return curl_easy_setopt(t->easy, CURLOPT_CAINFO, request->ca_file) == CURLE_OK &&
               curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    return !t->by_hash || (curl_easy_setopt(t->easy, CURLOPT_CAINFO, NULL) == CURLE_OK &&
                           curl_easy_setopt(t->easy, CURLOPT_CAPATH, t->http->authorities) == CURLE_OK);
}

/* The key must reach the named origin only: no other protocol, no proxy for this machine, TLS 1.2 at least,
 * names checked. */
static bool set_safety(struct http_transfer *t, const struct http_request *request)
{
    CURL *easy = t->easy;
    const char *protocols = request->allow_http ? "http,https" : "https";
    return curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocols) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, "localhost,127.0.0.0/8,::1") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK && set_authorities(t, request) &&
           curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK;
}

/* curl keeps a copy until the transfer is released. */
static bool set_client(struct http_transfer *t, const struct http_request *request)
{
    if (!request->client_pem)
        return true;
    struct curl_blob pem = {.data = (void *)(uintptr_t)request->client_pem,
                            .len = strlen(request->client_pem),
                            .flags = CURL_BLOB_COPY};
    return curl_easy_setopt(t->easy, CURLOPT_SSLCERT_BLOB, &pem) == CURLE_OK &&
           curl_easy_setopt(t->easy, CURLOPT_SSLKEY_BLOB, &pem) == CURLE_OK;
}

/* QUICK_EXIT: a DNS look-up in flight would hold up the end for as long as the resolver hangs. */
static bool set_manners(struct http_transfer *t, const struct http_request *request)
{
    CURL *easy = t->easy;
    return curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, t->http->user_agent) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PIPEWAIT, request->share ? 1L : 0L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, READ_AT_ONCE) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_AT_ONCE) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK;
}

/* curl compares whole seconds, rounded down: one less is on the safe side. */
static bool set_age(struct http_transfer *t)
{
    int64_t age = (t->began - t->http->renewed) / 1000 - 1;
    return t->http->renewed == 0 ||
           curl_easy_setopt(t->easy, CURLOPT_MAXLIFETIME_CONN, (long)(age > 1 ? age : 1)) == CURLE_OK;
}

static bool set_data(struct http_transfer *t, const struct http_request *request)
{
    CURL *easy = t->easy;
    bool fine = curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_PRIVATE, t) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_WRITEDATA, t) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_HEADERDATA, t) == CURLE_OK;
    if (!fine || !t->request_body)
        return fine;
    return curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request_len) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDS, t->request_body) == CURLE_OK;
}

static bool copy_body(struct http_transfer *t, const struct http_request *request)
{
    if (!request->body)
        return true;
    t->request_body = malloc(request->body_len + 1);
    if (!t->request_body)
        return false;
    memcpy(t->request_body, request->body, request->body_len);
    t->request_body[request->body_len] = '\0';
    t->request_len = request->body_len;
    return true;
}

static struct http_transfer *new_transfer(struct http *http, const struct http_request *request)
{
    struct http_transfer *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->http = http;
    t->max_body = request->max_body;
    t->max_header = request->max_header ? request->max_header : MAX_HEADER;
    t->keep_truncated = request->keep_truncated;
    t->began = monotonic_ms();
    t->easy = curl_easy_init();
    if (t->easy && copy_body(t, request) && copy_headers(t, request->headers) && set_data(t, request) &&
        set_limits(t, request) && set_safety(t, request) && set_client(t, request) &&
        set_manners(t, request) && set_age(t))
        return t;
    free_transfer(t);
    return NULL;
}

struct http_transfer *http_start(struct http *http, const struct http_request *request, http_done *done,
                                 void *user)
{
    if (http->closing || (!http->multi && !open_multi(http)))
        return NULL;
    if (!request->allow_http && strncasecmp(request->url, "https://", 8) != 0)
        return NULL;
    struct http_transfer *t = new_transfer(http, request);
    if (!t)
        return NULL;
    t->done = done;
    t->user = user;
    if (curl_multi_add_handle(http->multi, t->easy) != CURLM_OK) {
        free_transfer(t);
        return NULL;
    }
    link_transfer(t);
    return t;
}

void http_cancel(struct http_transfer *transfer)
{
    curl_multi_remove_handle(transfer->http->multi, transfer->easy);
    unlink_transfer(transfer);
    report(transfer, HTTP_CANCELLED, CURLE_OK);
}

/* ---- the whole ---- */

/* "5ed36f99.0" */
static bool is_hash_name(const char *name)
{
    size_t digits = 0;
    while (digits < 8 && isxdigit((unsigned char)name[digits]))
        digits++;
    return digits == 8 && strcmp(name + 8, ".0") == 0;
}

/* The folder that this curl looks into, when it holds authorities and there is a file of all beside it. */
static const char *find_authorities(void)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    DIR *folder =
        info->age >= CURLVERSION_SEVENTH && info->capath && info->cainfo ? opendir(info->capath) : NULL;
    bool found = false;
    for (struct dirent *entry; folder && !found && (entry = readdir(folder)) != NULL;)
        found = is_hash_name(entry->d_name);
    if (folder)
        closedir(folder);
    return found ? info->capath : NULL;
}

struct http *http_new(struct loop *loop, const char *user_agent)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return NULL;
    http->loop = loop;
    http->user_agent = strdup(user_agent);
    bool global = http->user_agent && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    http->authorities = global ? find_authorities() : NULL;
    if (global && open_multi(http)) {
        uv_timer_init(loop_uv(loop), &http->timer);
        uv_idle_init(loop_uv(loop), &http->soon);
        http->timer.data = http->soon.data = http;
        return http;
    }
    if (global)
        curl_global_cleanup();
    free(http->user_agent);
    free(http);
    return NULL;
}

void http_renew(struct http *http)
{
    http->renewed = monotonic_ms();
    http->authorities = find_authorities();
    wipe_spare(http);
}

void http_close(struct http *http)
{
    if (!http || http->closing)
        return;
    http->closing = true;
    while (http->transfers)
        http_cancel(http->transfers);
    /* Calls the socket callback once more for every connection; the timer must live until that is over. */
    close_multi(http);
    uv_close((uv_handle_t *)&http->timer, NULL);
    uv_close((uv_handle_t *)&http->soon, NULL);
}

void http_free(struct http *http)
{
    if (!http)
        return;
    curl_global_cleanup();
    wipe_spare(http);
    free(http->spare);
    free(http->user_agent);
    free(http);
}
