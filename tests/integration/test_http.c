/*
 * http: answers cut off at each of their bytes, trickled, never ended or never begun: each transfer ends once, in time,
 * and what was not whole is never handed on as an answer of jobs.
 */
#include "../unit/unit.h"
#include "scripted_server.h"

#include "../../daemon/allocator.h"
#include "../../daemon/http.h"
#include "../../lib/page_decode.h"

#include <curl/curl.h>
#include <netinet/tcp.h>

#define TYPE "catalog-category-bulk-delete-job"
#define PAGE                                                                                                 \
    "{\"data\":[{\"type\":\"" TYPE                                                                           \
    "\",\"id\":\"A\",\"attributes\":{\"status\":\"complete\",\"total_count\":9,"                             \
    "\"completed_count\":9}}],\"links\":{\"next\":null}}"
#define PAGE_LENGTH "156"

/* ---- a server of bytes ---- */

struct bytes {
    char data[1024];
    size_t len;
};

enum manner {
    FIN,   /* the bytes, then the end */
    RST,   /* the bytes, then a reset */
    HOLD,  /* the bytes, then silence until the client goes */
    DRIP,  /* one byte at a time, slowly, and again from `again` for ever */
    FLOOD, /* the bytes, then those from `again` for ever, fast */
};

struct byte_server {
    struct socket_server socket;
    /* Set between transfers, of which there is one at a time. */
    const struct bytes *answer;
    size_t cut, again;
    enum manner manner;
};

/* Whether the client is still there, waiting so long for it to go. */
static bool still_there(int fd, int ms)
{
    struct pollfd gone = {.fd = fd, .events = POLLIN | POLLRDHUP};
    return poll(&gone, 1, ms) == 0;
}

static void send_on(int fd, const struct byte_server *server)
{
    const struct bytes *answer = server->answer;
    size_t at = server->cut < answer->len ? server->cut : server->again;
    while (still_there(fd, server->manner == DRIP ? 20 : 0)) {
        size_t n = server->manner == DRIP ? 1 : answer->len - at;
        if (send(fd, answer->data + at, n, MSG_NOSIGNAL) <= 0)
            return;
        at += n;
        if (at >= answer->len)
            at = server->again;
    }
}

static void serve(void *user, int fd)
{
    const struct byte_server *server = user;
    struct seen_request request = {0};
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (!read_request(fd, &request))
        return;
    free(request.head);
    free(request.body);
    if (server->cut > 0 && send(fd, server->answer->data, server->cut, MSG_NOSIGNAL) <= 0)
        return;
    if (server->manner == HOLD)
        still_there(fd, 30000);
    if (server->manner == DRIP || server->manner == FLOOD)
        send_on(fd, server);
    if (server->manner == RST)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
}

/* ---- one transfer after another ---- */

struct bench {
    struct byte_server server;
    struct loop *loop;
    struct http *http;
    int64_t timeout;
    void (*next)(struct bench *bench,
                 const struct http_response *response); /* judges, then starts another, or stops */
    size_t transfers;
    size_t whole;
    /* What the last transfer was. */
    enum http_error error;
    int64_t elapsed;
    /* Without memory. */
    struct loop_timer *guard;
    size_t made;
};

static void on_done(void *user, const struct http_response *response)
{
    struct bench *bench = user;
    bench->transfers++;
    bench->error = response->error;
    bench->elapsed = response->elapsed;
    bench->next(bench, response);
}

static bool try_start(struct bench *bench)
{
    char url[80];
    snprintf(url, sizeof url, "http://127.0.0.1:%d/api", bench->server.socket.port);
    struct http_request request = {.url = url,
                                   .connect_timeout = bench->timeout,
                                   .timeout = bench->timeout,
                                   .max_body = 1 << 20,
                                   .allow_http = true};
    return http_start(bench->http, &request, on_done, bench);
}

static void start(struct bench *bench)
{
    assert_true(try_start(bench));
}

static void on_stop(void *user)
{
    http_close(((struct bench *)user)->http);
}

static void on_reload(void *user)
{
    (void)user;
}

static void run(struct bench *bench)
{
    struct loop_handlers handlers = {.on_stop = on_stop, .on_reload = on_reload, .user = bench};
    bench->loop = loop_new(&handlers, 0);
    bench->http = http_new(bench->loop, "test");
    assert_non_null(bench->http);
    start(bench);
    loop_run(bench->loop);
    http_free(bench->http);
    assert_int_equal(loop_finish(bench->loop), 0);
}

static void stop_after_one(struct bench *bench, const struct http_response *response)
{
    (void)response;
    loop_stop(bench->loop);
}

/* One transfer in that manner; its error, which must come before the deadline of the test itself. */
static enum http_error one(const struct bytes *answer, enum manner manner, size_t cut, size_t again)
{
    struct bench bench = {.timeout = manner == FLOOD ? 20000 : 300, .next = stop_after_one};
    socket_server_start(&bench.server.socket, serve, &bench.server);
    bench.server.answer = answer;
    bench.server.manner = manner;
    bench.server.cut = cut;
    bench.server.again = again;
    run(&bench);
    socket_server_stop(&bench.server.socket);
    assert_int_equal(bench.transfers, 1);
    assert_true(bench.elapsed < 20000);
    return bench.error;
}

static struct bytes text(const char *all)
{
    struct bytes bytes = {.len = strlen(all)};
    assert_true(bytes.len < sizeof bytes.data);
    memcpy(bytes.data, all, bytes.len);
    return bytes;
}

/* ---- cut off at each byte ---- */

/* PAGE as gzip -9n makes it. */
static const unsigned char zipped[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x3d, 0x8c, 0x41, 0x0a, 0xc3, 0x30, 0x0c,
    0x04, 0xff, 0xb2, 0x67, 0xfb, 0x01, 0xf5, 0xad, 0xef, 0x28, 0xa5, 0xd8, 0xb1, 0x08, 0x6e, 0x54, 0x2b,
    0xc4, 0x32, 0x34, 0x04, 0xff, 0xbd, 0x4a, 0x0f, 0x39, 0x69, 0xb5, 0x3b, 0xcc, 0x81, 0x1c, 0x35, 0x22,
    0x3c, 0x0e, 0xe8, 0xbe, 0x12, 0x02, 0x26, 0xfb, 0x59, 0x66, 0x6f, 0x97, 0x66, 0xd9, 0x76, 0x9f, 0x3a,
    0x2f, 0x3e, 0x13, 0x93, 0x92, 0x7f, 0x4b, 0x82, 0x43, 0xc9, 0xc6, 0xdd, 0x2d, 0x44, 0xd5, 0xad, 0xa4,
    0xae, 0xd4, 0x10, 0x0e, 0x34, 0x8d, 0xda, 0xdb, 0xa9, 0x90, 0xcf, 0x7a, 0xe2, 0x46, 0xa8, 0x98, 0xed,
    0x35, 0x49, 0xaf, 0x8a, 0x70, 0x73, 0xd7, 0x94, 0xaf, 0x6e, 0x8c, 0xa7, 0x03, 0x97, 0xba, 0xfc, 0x1d,
    0x95, 0xbe, 0x56, 0xd6, 0xce, 0x3c, 0xc6, 0x0f, 0x9e, 0x7c, 0x65, 0x29, 0x9c, 0x00, 0x00, 0x00,
};

static struct bytes zipped_answer(void)
{
    struct bytes bytes;
    int n =
        snprintf(bytes.data, sizeof bytes.data,
                 "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", sizeof zipped);
    memcpy(bytes.data + n, zipped, sizeof zipped);
    bytes.len = (size_t)n + sizeof zipped;
    return bytes;
}

/* 1: all of the page came. 0: no list of jobs. -1: a list of jobs that is not that page. */
static int what_came(const struct http_response *response)
{
    struct page page;
    if (response->error != HTTP_OK || response->status != 200)
        return 0;
    bool fine = page_decode_list(response->body, response->body_len, TYPE, &page) == PAGE_OK;
    page_finish(&page);
    if (!fine)
        return 0;
    return strcmp(response->body, PAGE) == 0 ? 1 : -1;
}

/*
 * All of its bytes make it an answer; fewer do not, unless the page is in them (only the line end behind the last chunk
 * is missing). A head that is cut off is none in any case.
 */
static void next_byte(struct bench *bench, const struct http_response *response)
{
    struct byte_server *server = &bench->server;
    const struct bytes *answer = server->answer;
    const char *body = memmem(answer->data, answer->len, "\r\n\r\n", 4);
    size_t head = (size_t)(body - answer->data) + 4, left = answer->len - server->cut;
    int came = what_came(response);
    if (came < 0 || (left == 0 && came == 0) || (left > 2 && came == 1) ||
        (server->cut < head && response->error == HTTP_OK))
        fail_msg("%zu of %zu bytes and %s: error %d, status %d, body \"%s\"", server->cut, answer->len,
                 server->manner == RST ? "RST" : "FIN", response->error, response->status, response->body);
    bench->whole += left == 0;
    server->cut++;
    /* With its last byte sent, a reset may or may not come before the client has read it. */
    if (server->cut > answer->len - (server->manner == RST))
        loop_stop(bench->loop);
    else
        start(bench);
}

static void test_cut_at_each_byte(void **state)
{
    (void)state;
    const struct bytes answers[] = {
        text("HTTP/1.1 200 OK\r\nContent-Length: " PAGE_LENGTH "\r\n\r\n" PAGE),
        text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
             "9c\r\n" PAGE "\r\n0\r\n\r\n"),
        text("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" PAGE),
        zipped_answer(),
    };
    assert_int_equal(strlen(PAGE), atoi(PAGE_LENGTH));
    size_t transfers = 0;
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        for (enum manner manner = FIN; manner <= RST; manner++) {
            struct bench bench = {.timeout = 20000, .next = next_byte};
            socket_server_start(&bench.server.socket, serve, &bench.server);
            bench.server.answer = &answers[i];
            bench.server.manner = manner;
            run(&bench);
            socket_server_stop(&bench.server.socket);
            assert_int_equal(bench.transfers, answers[i].len + (manner == FIN));
            assert_int_equal(bench.whole, manner == FIN);
            transfers += bench.transfers;
        }
    }
    printf("%zu answers, each cut off at another byte\n", transfers);
}

/* ---- slow, silent, endless ---- */

static void test_silence_and_trickles_time_out(void **state)
{
    (void)state;
    struct bytes answer = text("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\nX: xxxxxxxxxxxxxxxx\r\n\r\n"
                               "{\"data\":[                                                    ");
    size_t in_header = 50, in_body = answer.len - 20;
    assert_int_equal(one(&answer, HOLD, 0, 0), HTTP_TIMEOUT);
    assert_int_equal(one(&answer, HOLD, in_header, 0), HTTP_TIMEOUT);
    assert_int_equal(one(&answer, HOLD, in_body, 0), HTTP_TIMEOUT);
    assert_int_equal(one(&answer, DRIP, 0, in_header), HTTP_TIMEOUT);
    assert_int_equal(one(&answer, DRIP, in_body, in_body), HTTP_TIMEOUT);
}

static void test_endless_heads_are_cut_off(void **state)
{
    (void)state;
    struct bytes lines =
        text("HTTP/1.1 200 OK\r\nX-Flood: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
    struct bytes line =
        text("HTTP/1.1 200 OK\r\nX-Flood: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
    struct bytes informational = text("HTTP/1.1 103 Early Hints\r\nX: x\r\n\r\n");
    struct bytes trailers =
        text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Flood: xxxxxxxxxxxxxxxxxxx\r\n");
    assert_int_equal(one(&lines, FLOOD, lines.len - 20, 17), HTTP_TOO_LARGE);
    assert_int_equal(one(&line, FLOOD, line.len, 30), HTTP_NO_MEMORY); /* as curl calls it */
    assert_int_equal(one(&informational, FLOOD, informational.len, 0), HTTP_TOO_LARGE);
    assert_int_equal(one(&trailers, FLOOD, trailers.len, trailers.len - 30), HTTP_TOO_LARGE);
}

static void test_endless_bodies_are_cut_off(void **state)
{
    (void)state;
    struct bytes plain =
        text("HTTP/1.1 200 OK\r\n\r\n                                                             ");
    struct bytes chunks =
        text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n                \r\n");
    assert_int_equal(one(&plain, FLOOD, plain.len, 20), HTTP_TOO_LARGE);
    assert_int_equal(one(&chunks, FLOOD, chunks.len, chunks.len - 22), HTTP_TOO_LARGE);
}

/* A listener whose queue is full answers no SYN, like a host behind a firewall that swallows everything. */
static void test_connecting_to_nobody_times_out(void **state)
{
    (void)state;
    enum { FILLERS = 4 };
    int fillers[FILLERS];
    struct bench bench = {.timeout = 300, .next = stop_after_one};
    bench.server.socket.listener = bind_loopback(&bench.server.socket.port);
    assert_int_equal(listen(bench.server.socket.listener, 0), 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)bench.server.socket.port)};
    for (int i = 0; i < FILLERS; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        int refused = connect(fillers[i], (struct sockaddr *)&address, sizeof address);
        assert_true(fillers[i] >= 0 && refused != 0);
        /* The queue has room for the first: it is in it before the next one comes. */
        struct pollfd connected = {.fd = fillers[i], .events = POLLOUT};
        assert_true(i > 0 || poll(&connected, 1, 20000) == 1);
    }
    run(&bench);
    assert_int_equal(bench.error, HTTP_TIMEOUT);
    for (int i = 0; i < FILLERS; i++)
        close(fillers[i]);
    close(bench.server.socket.listener);
}

static void test_a_refused_connection(void **state)
{
    (void)state;
    struct bench bench = {.timeout = 20000, .next = stop_after_one};
    int fd = bind_loopback(&bench.server.socket.port);
    run(&bench);
    assert_int_equal(bench.error, HTTP_TRANSPORT);
    close(fd);
}

/* ---- memory ---- */

static size_t made, fail_at; /* allocations of libcurl's own; 0: none fails */

static bool runs_out(void)
{
    if (++made != fail_at)
        return false;
    allocator_note_failure();
    return true;
}

static void *failing_malloc(size_t n)
{
    return runs_out() ? NULL : malloc(n);
}

static void *failing_calloc(size_t n, size_t size)
{
    return runs_out() ? NULL : calloc(n, size);
}

static void *failing_realloc(void *block, size_t n)
{
    return runs_out() ? NULL : realloc(block, n);
}

static char *failing_strdup(const char *text)
{
    return runs_out() ? NULL : strdup(text);
}

static void stop_whole(struct bench *bench, const struct http_response *response)
{
    assert_true(response->error == HTTP_OK && response->status == 200);
    loop_timer_close(bench->guard);
    loop_stop(bench->loop);
}

/* There is memory again: the next transfer lacks nothing, whatever libcurl could not finish in the first. */
static void again_with_memory(struct bench *bench, const struct http_response *response)
{
    (void)response;
    bench->made = made;
    fail_at = 0;
    bench->next = stop_whole;
    start(bench);
}

static void too_late(void *user)
{
    (void)user;
    fail_msg("allocation %zu of libcurl failed, and the transfer never ended", fail_at);
}

/* One transfer that lacks one allocation: it ends, once, and so does the next. */
static void without_one(struct bench *bench, size_t n)
{
    struct loop_handlers handlers = {.on_stop = on_stop, .on_reload = on_reload, .user = bench};
    bench->loop = loop_new(&handlers, 0);
    bench->http = http_new(bench->loop, "test");
    assert_non_null(bench->http);
    bench->guard = loop_timer_new(bench->loop, too_late, NULL);
    loop_timer_at(bench->guard, mono_add(loop_now(bench->loop).mono, 20000));
    bench->transfers = 0;
    bench->next = again_with_memory;
    made = 0;
    fail_at = n;
    bool started = try_start(bench);
    if (!started)
        again_with_memory(bench, NULL);
    loop_run(bench->loop);
    http_free(bench->http);
    assert_int_equal(loop_finish(bench->loop), 0);
    assert_int_equal(bench->transfers, started ? 2 : 1);
}

static void test_each_allocation_of_libcurl_fails(void **state)
{
    struct bytes answer = zipped_answer();
    struct bench bench = {.timeout = 10000};
    size_t n = 1;
    (void)state;
    /* The first to initialise it names its allocator. */
    assert_int_equal(curl_global_init_mem(CURL_GLOBAL_DEFAULT, failing_malloc, free, failing_realloc,
                                          failing_strdup, failing_calloc),
                     CURLE_OK);
    socket_server_start(&bench.server.socket, serve, &bench.server);
    bench.server.answer = &answer;
    bench.server.cut = answer.len;
    do {
        without_one(&bench, n);
    } while (bench.made >= n++);
    socket_server_stop(&bench.server.socket);
    curl_global_cleanup();
    assert_true(n > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_at_each_byte),
        cmocka_unit_test(test_silence_and_trickles_time_out),
        cmocka_unit_test(test_endless_heads_are_cut_off),
        cmocka_unit_test(test_endless_bodies_are_cut_off),
        cmocka_unit_test(test_connecting_to_nobody_times_out),
        cmocka_unit_test(test_a_refused_connection),
        cmocka_unit_test(test_each_allocation_of_libcurl_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
