/*
 * One transfer: made from a request, with all that curl is to keep to, and freed.
 *
 * Invariant: nothing of the request is needed after transfer_new, which copies it; every option that keeps a key from
 * anybody but the named origin is set, or there is no transfer. Header lines are wiped when it is freed. Times in ms.
 */
#include "http_private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_HEADER   (64u << 10)
#define READ_AT_ONCE (64L << 10) /* curl's own buffer for receiving */
/* And for sending over TLS: the key goes through it, so that it has to be small enough for allocator.c. */
#define SEND_AT_ONCE (16L << 10)
/* A transfer slower than this many bytes a second for so long is as good as dead, whatever its time-out. */
#define LOW_SPEED_BYTES 1
#define LOW_SPEED_TIME  60

int64_t transfer_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- its end ---- */

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

void transfer_free(struct http_transfer *t)
{
    if (t->easy)
        curl_easy_cleanup(t->easy);
    free_headers(t->headers);
    for (int i = 0; i < N_WANTED_HEADERS; i++)
        free(t->texts[i]);
    free(t->request_body);
    spare_leave(t);
    free(t);
}

/* ---- among the others ---- */

void transfer_link(struct http_transfer *t)
{
    t->next = t->http->transfers;
    if (t->next)
        t->next->previous = t;
    t->http->transfers = t;
}

void transfer_unlink(struct http_transfer *t)
{
    if (t->next)
        t->next->previous = t->previous;
    if (t->previous)
        t->previous->next = t->next;
    else
        t->http->transfers = t->next;
    t->next = t->previous = NULL;
}

/* ---- its options ---- */

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

static bool set_data(struct http_transfer *t, const struct http_request *request)
{
    CURL *easy = t->easy;
    bool fine = curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_PRIVATE, t) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_HTTPHEADER, t->headers) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, transfer_on_body) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_WRITEDATA, t) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, transfer_on_header) == CURLE_OK &&
                curl_easy_setopt(easy, CURLOPT_HEADERDATA, t) == CURLE_OK;
    if (!fine || !t->request_body)
        return fine;
    return curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request_len) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_POSTFIELDS, t->request_body) == CURLE_OK;
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
           curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK && authorities_set(t, request) &&
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

struct http_transfer *transfer_new(struct http *http, const struct http_request *request)
{
    struct http_transfer *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->http = http;
    t->max_body = request->max_body;
    t->max_header = request->max_header ? request->max_header : MAX_HEADER;
    t->keep_truncated = request->keep_truncated;
    t->began = transfer_clock();
    t->easy = curl_easy_init();
    if (t->easy && copy_body(t, request) && copy_headers(t, request->headers) && set_data(t, request) &&
        set_limits(t, request) && set_safety(t, request) && set_client(t, request) &&
        set_manners(t, request) && set_age(t))
        return t;
    transfer_free(t);
    return NULL;
}
