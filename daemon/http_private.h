/*
 * What the files of http share; nobody else includes this.
 *
 * http.c has what others may call, and the beginning and the end of the whole. Below it: http_multi.c, libcurl's multi
 * on the loop; http_report.c, how a transfer ended; http_transfer.c, one transfer, from a request; http_receive.c, what
 * comes in; http_authorities.c, whom to trust. Each calls those that come after it here, and none before it.
 */
#ifndef KLV_HTTP_PRIVATE_H
#define KLV_HTTP_PRIVATE_H

#include "http.h"

#include <curl/curl.h>
#include <uv.h>

struct http {
    struct loop *loop;
    CURLM *multi; /* NULL: none, see give_all_up() in http_multi.c */
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

struct http_transfer {
    struct http *http;
    CURL *easy; /* and what it keeps pointers to */
    struct curl_slist *headers;
    char *request_body;
    size_t request_len;
    bool by_hash; /* the server's authority is looked for in http->authorities */
    bool again;   /* and now in the file of all */
    http_done *done;
    void *user;
    /* http_receive.c's, from here */
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
    char *texts[N_WANTED_HEADERS];
    /* to here */
    bool lost; /* given up by http_multi.c, and not told yet */
    int64_t began;
    struct http_transfer *next;
    struct http_transfer *previous;
};

/* ---- http_multi.c ---- */

/* There is a multi from here on, and the loop drives it. False: there is none, for lack of memory. */
bool multi_open(struct http *http);

/* All connections end. The transfers are out of it before, or are told by the caller. NULL in http->multi is fine. */
void multi_close(struct http *http);

/* ---- http_report.c ---- */

/* Whether a transfer that curl ended with this code brought an answer. */
bool transfer_is_fine(const struct http_transfer *t, CURLcode code);
enum http_error transfer_error(const struct http_transfer *t, CURLcode code);

/* The one call of done. t is out of the multi and of the list; it is freed here. */
void transfer_report(struct http_transfer *t, enum http_error error, CURLcode code);

/* ---- http_transfer.c ---- */

/* In no list and not in the multi, which stay the caller's. NULL without memory. */
struct http_transfer *transfer_new(struct http *http, const struct http_request *request);
void transfer_free(struct http_transfer *t); /* wipes */
void transfer_link(struct http_transfer *t);
void transfer_unlink(struct http_transfer *t);
int64_t transfer_clock(void); /* ms of CLOCK_MONOTONIC: `began`, `renewed` */

/* ---- http_receive.c ---- */

/* Callbacks of curl; user is the transfer. */
size_t transfer_on_body(char *data, size_t size, size_t n, void *user);
size_t transfer_on_header(char *data, size_t size, size_t n, void *user);

/* The transfer's body is over: keep its room for the next, or free it. */
void spare_leave(struct http_transfer *t);
void spare_wipe(struct http *http);

/* ---- http_authorities.c ---- */

const char *authorities_find(void); /* see struct http */
bool authorities_set(struct http_transfer *t, const struct http_request *request);

/* Whether the transfer that ended with this code goes on, back in the multi. */
bool authorities_try_all(struct http_transfer *t, CURLcode code);

#endif
