/*
 * http: libcurl's multi interface on the libuv loop, and nothing about jobs or webhooks.
 *
 * One struct http per loop: connections, DNS and TLS sessions are shared by all transfers. Invariant: every
 * started transfer ends in exactly one call of its done function (also when cancelled by http_close, with
 * HTTP_CANCELLED), never from inside http_start. Redirects are never followed; only https and (where the
 * request allows it) http; answers are bounded; nothing blocks the loop: DNS runs in curl's threads and never
 * delays the end (CURLOPT_QUICK_EXIT).
 *
 * HTTP/2 wherever a server offers it: as `make bench-http2` shows, lists that are read at the same time take fewer
 * connections and less CPU than by HTTP/1.1, and a lone one takes no more.
 */
#ifndef KLV_HTTP_H
#define KLV_HTTP_H

#include "loop.h"

struct http;
struct http_transfer;

enum http_error {
    HTTP_OK,        /* an answer came, whatever its status */
    HTTP_TRANSPORT, /* resolve, connect, TLS, reset, truncated */
    HTTP_TIMEOUT,
    HTTP_TOO_LARGE, /* body or header over the cap, decoded size */
    HTTP_CANCELLED,
    HTTP_NO_MEMORY,
};

struct http_request {
    const char *url;
    const char *body; /* NULL: GET, else POST; copied */
    size_t body_len;
    const char *const *headers; /* "Name: value" lines, NULL-terminated; copied and wiped on release */
    int64_t connect_timeout;    /* ms */
    int64_t timeout;            /* ms, whole transfer */
    size_t max_body;            /* bytes, after decompression */
    size_t max_header;          /* bytes of all header lines together; 0: 64 KiB */
    const char *ca_file;        /* these authorities and no others; NULL: the system's */
    const char *client_pem;     /* certificate and key that the server is shown; NULL: none */
    bool allow_http;            /* plain http is allowed for this URL (the caller judged it) */
    bool share; /* wait for a connection that others of this server's requests are making, to share it */
    bool keep_truncated; /* a body over max_body is cut instead of HTTP_TOO_LARGE (webhook answers) */
};

/* Valid during the done call only. Header texts are NULL when absent; if one came twice the last counts. */
struct http_response {
    enum http_error error;
    int status;             /* 0 unless HTTP_OK */
    const char *error_text; /* one clean sentence for people, "" when HTTP_OK; never holds credentials */
    const char *body;       /* NUL-terminated */
    size_t body_len;
    const char *content_type;
    const char *retry_after;
    const char *date;
    const char *ratelimit_limit;
    const char *ratelimit_remaining;
    const char *ratelimit_reset;
    int64_t elapsed;  /* ms from start */
    int http_version; /* 10, 11, 20; 0 unknown */
};

typedef void http_done(void *user, const struct http_response *response);

/* NULL without memory or when curl fails. user_agent is copied. */
struct http *http_new(struct loop *loop, const char *user_agent);

/* Start; NULL when it cannot even be set up (no memory, URL not allowed): done is not called then. */
struct http_transfer *http_start(struct http *http, const struct http_request *request, http_done *done,
                                 void *user);

/* Give up one transfer: its done is called with HTTP_CANCELLED before this returns. */
void http_cancel(struct http_transfer *transfer);

/*
 * From the next request on use no connection from before this call, but those that are never idle: HTTP/2 keeps
 * a table of the header lines it sent, keys too, for as long as a connection lasts. Exact to a second or two.
 */
void http_renew(struct http *http);

/* Cancel all, close all libuv handles; idempotent; new requests fail from here on. */
void http_close(struct http *http);

/* After loop_run has returned. NULL is fine. */
void http_free(struct http *http);

#endif
