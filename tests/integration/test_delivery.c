/* The outbox on a real store, loop and http, against scripted receivers. */
#include "delivery_rig.h"
#include "../../daemon/store_private.h" /* to make its commits fail */

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdatomic.h>

#define WITHIN 20000
#define MANY   300 /* events: more than some batches; a third as many jobs */

static struct scripted_reply reply(int status)
{
    return (struct scripted_reply){.status = status};
}

static struct scripted_reply always_ok(void *user, size_t n, const struct seen_request *request)
{
    (void)user;
    (void)n;
    (void)request;
    return reply(204);
}

/* user: a list of statuses, ended by a negative one that is the last for ever (as a positive number). */
static struct scripted_reply by_list(void *user, size_t n, const struct seen_request *request)
{
    const int *list = user;
    (void)request;
    size_t i = 0;
    while (i < n && list[i] >= 0)
        i++;
    return reply(list[i] < 0 ? -list[i] : list[i]);
}

/* ---- the request ---- */

/* As a receiver would check it, with OpenSSL alone. */
static void verify_signature(const struct seen_request *request)
{
    unsigned char key[64], mac[EVP_MAX_MD_SIZE];
    char id[128], seconds[64], signature[256], expected[128] = "v1,";
    const char *encoded = strchr(SECRET, '_') + 1;
    unsigned int mac_len = 0;
    int key_len = EVP_DecodeBlock(key, (const unsigned char *)encoded, (int)strlen(encoded));
    assert_int_equal(key_len, 24);
    header_of(request, "webhook-id", id, sizeof id);
    header_of(request, "webhook-timestamp", seconds, sizeof seconds);
    header_of(request, "webhook-signature", signature, sizeof signature);
    size_t size = strlen(id) + strlen(seconds) + strlen(request->body) + 3;
    char *content = malloc(size);
    assert_non_null(content);
    snprintf(content, size, "%s.%s.%s", id, seconds, request->body);
    assert_non_null(
        HMAC(EVP_sha256(), key, key_len, (const unsigned char *)content, size - 1, mac, &mac_len));
    EVP_EncodeBlock((unsigned char *)expected + 3, mac, (int)mac_len);
    assert_string_equal(signature, expected);
    assert_true(llabs(strtoll(seconds, NULL, 10) - request->wall) <= 2);
    free(content);
}

static void test_signed_request(void **state)
{
    struct rig rig;
    struct scripted_server server;
    char value[256], id[EVENT_ID_SIZE];
    (void)state;
    server_start(&server, always_ok, NULL);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "headers = { \"X-Team: ops people\" }");
    rig_open(&rig);
    rig_configure(&rig);
    struct event *event = make_event(EVENT_JOB_COMPLETED, "01A", 7);
    memcpy(id, event->id, sizeof id);
    event_free(event);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 7);
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 1);
    const struct seen_request *request = &server.requests[0];
    assert_int_equal(strncmp(request->head, "POST /hook/very-secret-path HTTP/1.1\r\n", 38), 0);
    assert_string_equal(header_of(request, "content-type", value, sizeof value), "application/json");
    assert_string_equal(header_of(request, "x-team", value, sizeof value), "ops people");
    assert_string_equal(header_of(request, "webhook-id", value, sizeof value), id);
    assert_string_equal(header_of(request, "user-agent", value, sizeof value), "klv-jobwatch/test");
    verify_signature(request);
    assert_non_null(strstr(request->body, "{\"type\":\"job.completed\",\"timestamp\":"));
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\n"), 1);
    assert_non_null(strstr(journal, id));
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

/* ---- trying again ---- */

static void test_retry_keeps_id_and_body(void **state)
{
    static const int answers[] = {500, 0, 408, 425, 429, 503, -200};
    enum { N = sizeof answers / sizeof *answers };
    struct rig rig;
    struct scripted_server server;
    char first[128], other[128];
    (void)state;
    server_start(&server, by_list, (void *)answers);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "");
    rig_open(&rig);
    rig_configure(&rig);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 7);
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, N);
    header_of(&server.requests[0], "webhook-id", first, sizeof first);
    for (size_t i = 0; i < server.n; i++) {
        assert_string_equal(header_of(&server.requests[i], "webhook-id", other, sizeof other), first);
        assert_string_equal(server.requests[i].body, server.requests[0].body);
        verify_signature(&server.requests[i]);
    }
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\n"), 1);
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

static struct scripted_reply busy_once(void *user, size_t n, const struct seen_request *request)
{
    (void)user;
    (void)request;
    return n == 0 ? (struct scripted_reply){.status = 503, .headers = "Retry-After: 2\r\n"} : reply(200);
}

/* The receiver's wish holds for the webhook as a whole, and the signature's time is that of the attempt. */
static void test_retry_after(void **state)
{
    struct rig rig;
    struct scripted_server server;
    char value[64], again[64];
    (void)state;
    server_start(&server, busy_once, NULL);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "concurrency = 1");
    rig_open(&rig);
    rig_configure(&rig);
    for (int i = 0; i < 3; i++)
        enqueue(&rig, EVENT_JOB_COMPLETED, "01A", i);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01B", 1);
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 5);
    int64_t waited = server.requests[1].at - server.requests[0].at;
    assert_in_range(waited, 1990, 3500);
    header_of(&server.requests[0], "webhook-timestamp", value, sizeof value);
    header_of(&server.requests[1], "webhook-timestamp", again, sizeof again);
    assert_true(strtoll(again, NULL, 10) >= strtoll(value, NULL, 10) + 1);
    server_free(&server);
    rig_finish(&rig);
}

/* ---- giving up ---- */

static struct scripted_reply refuse_first(void *user, size_t n, const struct seen_request *request)
{
    static const struct scripted_reply echo = {
        .status = 400, .body = "cannot POST /hook/very-secret-path with token-abcdef"};
    (void)user;
    (void)request;
    return n == 0 ? echo : n == 1 ? reply(302) : n == 2 ? reply(404) : reply(200);
}

static const struct seen_request *find_type(const struct scripted_server *server, const char *type)
{
    char pattern[64];
    snprintf(pattern, sizeof pattern, "{\"type\":\"%s\"", type);
    for (size_t i = 0; i < server->n; i++) {
        if (strncmp(server->requests[i].body, pattern, strlen(pattern)) == 0)
            return &server->requests[i];
    }
    return NULL;
}

static void test_refused_fails_at_once(void **state)
{
    struct rig rig;
    struct scripted_server server, other;
    (void)state;
    server_start(&server, refuse_first, NULL);
    server_start(&other, always_ok, NULL);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "headers = { \"Authorization: Bearer token-abcdef\" }");
    rig_add_webhook(&rig, "other", other.port, "events = { \"delivery.*\" }");
    rig_open(&rig);
    rig_configure(&rig);
    for (int i = 0; i < 5; i++)
        enqueue(&rig, EVENT_JOB_COMPLETED, "01A", i);
    rig_run(&rig, nothing_waits, WITHIN);
    assert_int_equal(dead_of(&rig, "hook:ops"), 3);
    assert_int_equal(dead_of(&rig, "journal"), 0);
    rig_close(&rig);
    server_stop(&server);
    server_stop(&other);
    assert_false(rig.timed_out);
    /* One request for each event of the job, in their order, and no delivery.failed about itself. */
    assert_int_equal(server.n, 5);
    assert_null(find_type(&server, "delivery.failed"));
    assert_int_equal(other.n, 3);
    assert_non_null(find_type(&other, "delivery.failed"));
    assert_non_null(strstr(other.requests[0].body, "ops: HTTP 400"));
    assert_non_null(strstr(other.requests[0].body, "\"priority\":\"err\""));
    assert_non_null(strstr(other.requests[0].body, "\"id\":\"01A\""));
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\n"), 8);
    assert_int_equal(count_in(journal, "\"type\":\"delivery.failed\""), 3);
    assert_non_null(strstr(journal, "ops: HTTP 302"));
    assert_null(strstr(journal, "very-secret-path"));
    assert_null(strstr(journal, "token-abcdef"));
    free(journal);
    server_free(&server);
    server_free(&other);
    rig_finish(&rig);
}

static bool ops_waits_no_more(struct rig *rig)
{
    return waiting_of(rig, "hook:ops") == 0 && waiting_of(rig, "journal") == 0;
}

/* A dead receiver's events are given up by age, also those that were never tried, without requests. */
static void test_given_up_by_age(void **state)
{
    struct rig rig;
    struct scripted_server server;
    static const int answers[] = {-500};
    (void)state;
    server_start(&server, by_list, (void *)answers);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "");
    rig_open(&rig);
    rig.config->webhooks[0].give_up_after = 300;
    rig_configure(&rig);
    assert_true(store_begin(rig.store));
    for (int i = 0; i < 300; i++) {
        char job[16];
        snprintf(job, sizeof job, "JOB%d", i);
        enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED, job, i), 0);
    }
    assert_true(store_commit(rig.store));
    rig_run(&rig, ops_waits_no_more, WITHIN);
    assert_int_equal(dead_of(&rig, "hook:ops"), 300);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_in_range(server.n, 2, 100);
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\"type\":\"delivery.failed\""), 300);
    assert_int_equal(
        count_in(journal, "\"reason\":\"ops: not delivered within give-up-after; last: HTTP 500"), 300);
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

/* What lay in the outbox for longer than give-up-after while we were down is still tried. */
static void test_overdue_is_tried_after_down_time(void **state)
{
    struct rig rig;
    struct scripted_server server;
    (void)state;
    server_start(&server, always_ok, NULL);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "");
    rig_open(&rig);
    rig.config->webhooks[0].give_up_after = 0;
    rig_configure(&rig);
    for (int i = 0; i < 10; i++)
        enqueue(&rig, EVENT_JOB_COMPLETED, "01A", i);
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 10);
    server_free(&server);
    rig_finish(&rig);
}

/* Two dead webhooks tell the journal, and do not keep telling each other. */
static void test_two_dead_webhooks(void **state)
{
    struct rig rig;
    struct scripted_server server;
    static const int answers[] = {-400};
    (void)state;
    server_start(&server, by_list, (void *)answers);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "");
    rig_add_webhook(&rig, "two", server.port, "");
    rig_add_webhook(&rig, "three", server.port, "");
    rig_open(&rig);
    rig_configure(&rig);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 1);
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 3 + 6);
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\n"), 1 + 3 + 6);
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

/* ---- 410 ---- */

struct gone {
    struct scripted_server *server;
    int64_t quiet_since;
    bool reloaded;
    size_t off;
};

static bool gone_then_reloaded(struct rig *rig)
{
    struct gone *gone = rig->data;
    int64_t waiting, dead;
    size_t off;
    char why[STORE_WHY];
    delivery_figures(rig->delivery, &waiting, &dead, &off);
    if (off == 1 && delivery_is_quiet(rig->delivery) && waiting_of(rig, "journal") == 0 && !gone->reloaded) {
        gone->off = server_count(gone->server);
        gone->reloaded = delivery_configure(rig->delivery, rig->config, why, sizeof why);
    }
    return gone->reloaded && waiting_of(rig, NULL) == 0;
}

static void test_gone_is_off_until_reload(void **state)
{
    struct rig rig;
    struct scripted_server server;
    static const int answers[] = {200, 410, -200};
    struct gone gone = {.server = &server};
    (void)state;
    server_start(&server, by_list, (void *)answers);
    rig_init(&rig);
    rig.data = &gone;
    rig_add_webhook(&rig, "ops", server.port, "concurrency = 1");
    rig_open(&rig);
    rig_configure(&rig);
    for (int i = 0; i < 5; i++)
        enqueue(&rig, EVENT_JOB_COMPLETED, i % 2 ? "01A" : "01B", i);
    rig_run(&rig, gone_then_reloaded, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(gone.off, 2); /* and no more while it was off */
    assert_int_equal(server.n, 6);
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\"type\":\"delivery.failed\""), 1);
    assert_non_null(strstr(journal, "ops: HTTP 410"));
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

/* ---- order ---- */

static struct scripted_reply fail_often(void *user, size_t n, const struct seen_request *request)
{
    (void)user;
    (void)request;
    return reply(n % 3 == 1 ? 500 : n % 7 == 2 ? 0 : 200);
}

static int64_t completed_of(const struct seen_request *request)
{
    const char *at = strstr(request->body, "\"completed_count\":");
    return at ? strtoll(at + strlen("\"completed_count\":"), NULL, 10) : -1;
}

static void test_order_per_job(void **state)
{
    enum { JOBS = 5, EACH = 12 };
    struct rig rig;
    struct scripted_server server;
    int64_t last[JOBS];
    (void)state;
    server_start(&server, fail_often, NULL);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "concurrency = 8");
    rig_open(&rig);
    rig_configure(&rig);
    for (int i = 0; i < JOBS * EACH; i++) {
        char job[16];
        snprintf(job, sizeof job, "JOB%d", i % JOBS);
        enqueue(&rig, EVENT_JOB_FAILURES_GROWING, job, i);
    }
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    for (int j = 0; j < JOBS; j++)
        last[j] = j - JOBS;
    size_t taken = 0;
    for (size_t i = 0; i < server.n; i++) {
        int64_t n = completed_of(&server.requests[i]);
        if (server.requests[i].status != 200)
            continue;
        assert_int_equal(n, last[n % JOBS] + JOBS);
        last[n % JOBS] = n;
        taken++;
    }
    assert_int_equal(taken, JOBS * EACH);
    server_free(&server);
    rig_finish(&rig);
}

/* ---- isolation ---- */

struct dead {
    struct scripted_server *healthy;
    int64_t began;
    int64_t sent_at; /* when the newest event was recorded */
    int64_t worst;   /* ms until it arrived */
    size_t sent;
};

/* One event after the other for the healthy one, each measured, beside thousands for the dead one. */
static bool healthy_is_served(struct rig *rig)
{
    struct dead *dead = rig->data;
    int64_t now = clock_now_ms();
    if (dead->sent > 0 && server_count(dead->healthy) < dead->sent)
        return false;
    if (dead->sent > 0 && now - dead->sent_at > dead->worst)
        dead->worst = now - dead->sent_at;
    if (waiting_of(rig, "journal") > 0)
        return false; /* the backlog of the beginning */
    if (dead->sent == 0)
        dead->began = now;
    if (now - dead->began >= 1500)
        return waiting_of(rig, "hook:ops") == 0; /* the last answer may still be on its way to us */
    dead->sent++;
    dead->sent_at = now;
    bool is_new;
    struct now sample = loop_now(rig->loop);
    struct event *event = make_event(EVENT_JOB_CANCELLED, "01H", (int64_t)dead->sent);
    if (store_begin(rig->store) && delivery_enqueue(rig->delivery, event, sample, sample.mono, &is_new))
        store_commit(rig->store);
    event_free(event);
    delivery_wake(rig->delivery);
    return false;
}

static void run_dead_receiver(int dead_port, struct dead *dead)
{
    struct rig rig;
    struct scripted_server healthy;
    server_start(&healthy, always_ok, NULL);
    dead->healthy = &healthy;
    rig_init(&rig);
    rig.data = dead;
    rig_add_webhook(&rig, "dead", dead_port, "events = { \"job.completed\" }");
    rig_add_webhook(&rig, "ops", healthy.port, "events = { \"job.cancelled\" }");
    rig_open(&rig);
    rig.config->webhooks[0].retry_base = 200;
    rig.config->webhooks[0].retry_max = 1000;
    rig.config->webhooks[0].timeout = 300;
    rig_configure(&rig);
    assert_true(store_begin(rig.store));
    for (int i = 0; i < 5000; i++) {
        char job[16];
        snprintf(job, sizeof job, "JOB%d", i % 1000);
        enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED, job, i), 0);
    }
    assert_true(store_commit(rig.store));
    rig_run(&rig, healthy_is_served, 180000);
    assert_int_equal(waiting_of(&rig, "hook:dead"), 5000);
    assert_int_equal(waiting_of(&rig, "hook:ops"), 0);
    rig_close(&rig);
    server_stop(&healthy);
    assert_false(rig.timed_out);
    assert_true(rig.stop_took < 1000);
    assert_in_range(dead->sent, 10, 1500);
    assert_true(dead->worst < 250);
    server_free(&healthy);
    rig_finish(&rig);
}

static void test_dead_receiver_costs_little(void **state)
{
    static const int answers[] = {-503};
    struct scripted_server server;
    struct dead dead = {0};
    (void)state;
    server_start(&server, by_list, (void *)answers);
    int64_t began = clock_now_ms();
    run_dead_receiver(server.port, &dead);
    server_stop(&server);
    /* The waits are half a second on average once there were some. */
    assert_in_range(server.n, 2, 20 + (clock_now_ms() - began) / 100);
    server_free(&server);
}

/* It takes connections and says nothing. */
static void test_silent_receiver_delays_nobody(void **state)
{
    struct dead dead = {0};
    int port;
    (void)state;
    int fd = bind_loopback(&port);
    assert_int_equal(listen(fd, 64), 0);
    run_dead_receiver(port, &dead);
    close(fd);
}

static bool after_a_while(struct rig *rig)
{
    int64_t *until = rig->data;
    return clock_now_ms() >= *until;
}

static int count_statement(unsigned type, void *user, void *statement, void *more)
{
    (void)type;
    (void)statement;
    (void)more;
    ++*(size_t *)user;
    return 0;
}

/* With the journal done and all the rest waiting for a dead receiver, next to no work is left. */
static void test_backlog_sleeps(void **state)
{
    struct rig rig;
    int port;
    (void)state;
    int fd = bind_loopback(&port); /* not listening: refused */
    rig_init(&rig);
    rig_add_webhook(&rig, "dead", port, "");
    rig_open(&rig);
    rig.config->webhooks[0].retry_base = 500;
    rig.config->webhooks[0].retry_max = 1000;
    rig_configure(&rig);
    assert_true(store_begin(rig.store));
    for (int i = 0; i < 2000; i++) {
        char job[16];
        snprintf(job, sizeof job, "JOB%d", i % 500);
        enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED, job, i), 0);
    }
    assert_true(store_commit(rig.store));
    rig_run(&rig, ops_waits_no_more, 60000);
    rig_close(&rig);
    assert_false(rig.timed_out);
    rig_open(&rig);
    rig.config->webhooks[0].retry_base = 500;
    rig.config->webhooks[0].retry_max = 1000;
    rig_configure(&rig);
    size_t statements = 0;
    int64_t until = clock_now_ms() + 1500;
    rig.data = &until;
    sqlite3_trace_v2(rig.store->db, SQLITE_TRACE_STMT, count_statement, &statements);
    rig_run(&rig, after_a_while, WITHIN);
    sqlite3_trace_v2(rig.store->db, 0, NULL, NULL);
    assert_int_equal(waiting_of(&rig, "hook:dead"), 2000);
    rig_close(&rig);
    close(fd);
    assert_in_range(statements, 2, 200);
    rig_finish(&rig);
}

/* ---- restart ---- */

static bool tried_some(struct rig *rig)
{
    return server_count(rig->data) >= 4 && waiting_of(rig, "journal") == 0;
}

static void test_restart_sends_the_rest(void **state)
{
    struct rig rig;
    struct scripted_server server;
    static const int answers[] = {200, 500, 500, 500, 500, 500, 500, 500, 500, 500, -500};
    (void)state;
    server_start(&server, by_list, (void *)answers);
    rig_init(&rig);
    rig.data = &server;
    rig_add_webhook(&rig, "ops", server.port, "concurrency = 1");
    rig_open(&rig);
    rig_configure(&rig);
    for (int i = 0; i < 4; i++)
        enqueue(&rig, EVENT_JOB_COMPLETED, "01A", i);
    rig_run(&rig, tried_some, WITHIN);
    assert_int_equal(waiting_of(&rig, "hook:ops"), 3);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    server_free(&server);
    /* Another port: what waits belongs to the webhook's name. */
    struct scripted_server fine;
    server_start(&fine, always_ok, NULL);
    rig.config_text[0] = '\0';
    snprintf(rig.config_text, sizeof rig.config_text, "account \"main\" { jobs = { \"" FAMILY "\" } }\n");
    rig_add_webhook(&rig, "ops", fine.port, "");
    rig_open(&rig);
    rig_configure(&rig);
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    server_stop(&fine);
    assert_false(rig.timed_out);
    assert_int_equal(fine.n, 3);
    for (size_t i = 0; i < fine.n; i++)
        assert_int_equal(completed_of(&fine.requests[i]), (int64_t)i + 1);
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\n"), 4); /* once each, over both lives */
    free(journal);
    server_free(&fine);
    rig_finish(&rig);
}

/* ---- a stop while a request is in flight ---- */

struct slow {
    struct scripted_server server;
    atomic_bool asked;
    int ms; /* that an answer takes */
};

static struct scripted_reply ok_but_slow(void *user, size_t n, const struct seen_request *request)
{
    struct slow *slow = user;
    (void)n;
    (void)request;
    atomic_store(&slow->asked, true);
    poll(NULL, 0, slow->ms);
    return reply(200);
}

static bool is_asked(struct rig *rig)
{
    return atomic_load(&((struct slow *)rig->data)->asked) && waiting_of(rig, "journal") == 0;
}

/* Two events of one job: the second may not go, because it is the end. Returns how many wait afterwards. */
static int64_t stop_while_asked(struct rig *rig, struct slow *slow)
{
    rig->data = slow;
    rig_add_webhook(rig, "ops", slow->server.port, "");
    rig_open(rig);
    rig_configure(rig);
    enqueue(rig, EVENT_JOB_COMPLETED, "01A", 1);
    enqueue(rig, EVENT_JOB_COMPLETED, "01A", 2);
    rig_run(rig, is_asked, WITHIN);
    int64_t waiting = waiting_of(rig, "hook:ops");
    rig_close(rig);
    assert_false(rig->timed_out);
    assert_true(rig->stop_took < 1000);
    return waiting;
}

/* Its answer is waited for, and what it said is known to the next life. */
static void test_stop_waits_for_an_answer(void **state)
{
    struct rig rig;
    struct slow slow = {.ms = 100};
    (void)state;
    server_start(&slow.server, ok_but_slow, &slow);
    rig_init(&rig);
    assert_int_equal(stop_while_asked(&rig, &slow), 1);
    rig_open(&rig);
    rig_configure(&rig);
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    server_stop(&slow.server);
    assert_false(rig.timed_out);
    assert_int_equal(slow.server.n, 2); /* each once */
    server_free(&slow.server);
    rig_finish(&rig);
}

/* But not for ever: it comes again, as the same. */
static void test_stop_gives_a_stuck_receiver_up(void **state)
{
    struct rig rig;
    struct slow slow = {.ms = 1200}; /* less than the time-out of the request that follows */
    (void)state;
    server_start(&slow.server, ok_but_slow, &slow);
    rig_init(&rig);
    assert_int_equal(stop_while_asked(&rig, &slow), 2);
    slow.ms = 0;
    rig_open(&rig);
    rig_configure(&rig);
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    server_stop(&slow.server);
    assert_false(rig.timed_out);
    assert_int_equal(slow.server.n, 3);
    assert_string_equal(slow.server.requests[0].body, slow.server.requests[1].body);
    server_free(&slow.server);
    rig_finish(&rig);
}

/* ---- a store that fails ---- */

struct full {
    atomic_bool fails;
    size_t refused;
};

static int refuse_commit(void *user)
{
    struct full *full = user;
    bool fails = atomic_load(&full->fails);
    full->refused += fails;
    return fails;
}

/* Between the request and its answer the disk becomes full. */
static struct scripted_reply ok_on_full_disk(void *user, size_t n, const struct seen_request *request)
{
    struct full *full = user;
    (void)request;
    if (n == 0)
        atomic_store(&full->fails, true);
    return reply(200);
}

static bool freed_after_some_tries(struct rig *rig)
{
    struct full *full = rig->data;
    if (full->refused >= 4)
        atomic_store(&full->fails, false);
    return waiting_of(rig, NULL) == 0;
}

static void test_not_sent_again_when_saving_fails(void **state)
{
    struct rig rig;
    struct scripted_server server;
    struct full full = {0};
    (void)state;
    server_start(&server, ok_on_full_disk, &full);
    rig_init(&rig);
    rig.data = &full;
    rig_add_webhook(&rig, "ops", server.port, "concurrency = 1");
    rig_open(&rig);
    rig_configure(&rig);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 1);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 2);
    sqlite3_commit_hook(rig.store->db, refuse_commit, &full);
    rig_run(&rig, freed_after_some_tries, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_in_range(full.refused, 4, 50);
    assert_int_equal(server.n, 2); /* each once */
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\n"), 2);
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

static bool all_in_journal_then_freed(struct rig *rig)
{
    struct full *full = rig->data;
    char *journal = rig_journal(rig);
    size_t lines = count_in(journal, "\n");
    free(journal);
    if (lines >= MANY)
        atomic_store(&full->fails, false);
    return waiting_of(rig, NULL) == 0;
}

/* The place of an event in the journal, by its job and count. */
static const char *line_of(const char *journal, int job, int count)
{
    char id[32], completed[40];
    snprintf(id, sizeof id, "\"id\":\"JOB%d\"", job);
    snprintf(completed, sizeof completed, "\"completed_count\":%d,", count);
    for (const char *at = journal; (at = strstr(at, id)); at++) {
        if (strncmp(strstr(at, "\"completed_count\""), completed, strlen(completed)) == 0)
            return at;
    }
    return NULL;
}

/* Alerts that were recorded when the disk became full: all reach the journal, each once and each job's in order, before
 * any can be noted as told. */
static void test_journal_goes_on_when_saving_fails(void **state)
{
    struct rig rig;
    struct scripted_server server;
    struct full full = {0};
    (void)state;
    server_start(&server, always_ok, NULL);
    rig_init(&rig);
    rig.data = &full;
    rig_add_webhook(&rig, "ops", server.port, "min-priority = err");
    rig_open(&rig);
    rig_configure(&rig);
    assert_true(store_begin(rig.store));
    for (int i = 0; i < MANY; i++) {
        char job[16];
        snprintf(job, sizeof job, "JOB%d", i % (MANY / 3));
        enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED, job, i), i == MANY / 2 ? 50 : 0);
    }
    assert_true(store_commit(rig.store));
    sqlite3_commit_hook(rig.store->db, refuse_commit, &full);
    atomic_store(&full.fails, true);
    rig_run(&rig, all_in_journal_then_freed, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_true(full.refused > 0);
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\n"), MANY);
    for (int i = 0; i < MANY; i++) {
        const char *line = line_of(journal, i % (MANY / 3), i);
        assert_non_null(line);
        assert_true(i < MANY / 3 || line_of(journal, i % (MANY / 3), i - MANY / 3) < line);
    }
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

/* ---- errors that come later ---- */

static const struct job_error some_errors[] = {
    {.code = "invalid", .title = "Invalid input.", .detail = "external_id is unknown", .pointer = "/data"}};

static bool deliver_errors(struct rig *rig, const char *job_id)
{
    struct job job = {.id = job_id, .errors = some_errors, .n_errors = 1};
    return store_begin(rig->store) &&
           delivery_errors_arrived(rig->delivery, loop_now(rig->loop), "main", FAMILY, &job) &&
           store_commit(rig->store);
}

static bool errors_after_quiet(struct rig *rig)
{
    bool *came = rig->data;
    if (!*came && delivery_is_quiet(rig->delivery)) {
        *came = deliver_errors(rig, "01A");
        delivery_wake(rig->delivery);
    }
    return *came && waiting_of(rig, NULL) == 0;
}

static void test_errors_are_waited_for(void **state)
{
    struct rig rig;
    struct scripted_server server;
    bool came = false;
    (void)state;
    server_start(&server, always_ok, NULL);
    rig_init(&rig);
    rig.data = &came;
    rig_add_webhook(&rig, "ops", server.port, "");
    rig_open(&rig);
    rig_configure(&rig);
    assert_true(store_begin(rig.store));
    enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED_WITH_FAILURES, "01A", 1), 3600000);
    enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED, "01B", 2), 0);
    assert_true(store_commit(rig.store));
    rig_run(&rig, errors_after_quiet, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 2);
    assert_null(strstr(server.requests[0].body, "external_id")); /* the other job was not held up */
    assert_non_null(strstr(server.requests[1].body, "external_id is unknown"));
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\"detail\":\"external_id is unknown\""), 1);
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

struct late {
    struct scripted_server *server;
    bool came;
};

static bool errors_after_first_try(struct rig *rig)
{
    struct late *late = rig->data;
    if (!late->came && server_count(late->server) >= 1)
        late->came = deliver_errors(rig, "01A");
    return late->came && waiting_of(rig, NULL) == 0;
}

/* When they come too late the event stays as it was first sent: never two bodies under one id. */
static void test_errors_too_late(void **state)
{
    struct rig rig;
    struct scripted_server server;
    static const int answers[] = {500, 500, 500, 500, -200};
    struct late late = {.server = &server};
    (void)state;
    server_start(&server, by_list, (void *)answers);
    rig_init(&rig);
    rig.data = &late;
    rig_add_webhook(&rig, "ops", server.port, "");
    rig_open(&rig);
    rig_configure(&rig);
    assert_true(store_begin(rig.store));
    enqueue_event(&rig, make_event(EVENT_JOB_COMPLETED_WITH_FAILURES, "01A", 1), 50);
    assert_true(store_commit(rig.store));
    rig_run(&rig, errors_after_first_try, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 5);
    for (size_t i = 1; i < server.n; i++)
        assert_string_equal(server.requests[i].body, server.requests[0].body);
    server_free(&server);
    rig_finish(&rig);
}

/* ---- filters ---- */

static struct event *plain_event(enum event_kind kind, const char *account, const char *family)
{
    struct event *event = event_new(kind, (wall_time){1}, account, family, NULL, "x");
    assert_non_null(event);
    return event;
}

static void test_filters(void **state)
{
    static const struct {
        const char *filter;
        const char *taken; /* by the digits of the events below */
    } cases[] = {
        {"", "012345"},
        {"events = { \"api.*\" }", "345"},
        {"events = { \"job.c?mpleted\", \"capacity.*\" }", "012"},
        {"min-priority = warning", "1345"},
        {"min-priority = crit", "5"},
        {"accounts = { \"shop-*\" }", "24"},
        {"families = { \"coupon-*\" }", "135"}, /* api.* are about no family here */
    };
    enum { N = sizeof cases / sizeof *cases };
    (void)state;
    for (size_t i = 0; i < N; i++) {
        struct rig rig;
        int port;
        int fd = bind_loopback(&port);
        rig_init(&rig);
        rig_add_webhook(&rig, "ops", port, cases[i].filter);
        rig_open(&rig);
        rig_configure(&rig);
        struct event *events[] = {
            plain_event(EVENT_JOB_COMPLETED, "main", FAMILY),
            plain_event(EVENT_CAPACITY_HIGH, "main", "coupon-code-bulk-create-job"),
            plain_event(EVENT_JOB_COMPLETED, "shop-a", FAMILY),
            plain_event(EVENT_API_UNREACHABLE, "main", ""),
            plain_event(EVENT_API_SCHEMA, "shop-b", FAMILY),
            plain_event(EVENT_API_UNAUTHORIZED, "main", ""),
        };
        assert_true(store_begin(rig.store));
        for (size_t e = 0; e < sizeof events / sizeof *events; e++) {
            int64_t before = waiting_of(&rig, "hook:ops");
            enqueue_event(&rig, events[e], 0);
            bool taken = waiting_of(&rig, "hook:ops") > before;
            if (taken != (strchr(cases[i].taken, (int)('0' + e)) != NULL))
                fail_msg("filter %s: event %zu %s", cases[i].filter, e, taken ? "taken" : "left");
        }
        assert_true(store_commit(rig.store));
        assert_int_equal(waiting_of(&rig, "journal"), 6);
        rig_close(&rig);
        close(fd);
        rig_finish(&rig);
    }
}

static void test_same_event_is_recorded_once(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    rig_open(&rig);
    rig_configure(&rig);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 1);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 1);
    assert_int_equal(waiting_of(&rig, "journal"), 1);
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    assert_false(rig.timed_out);
    rig_finish(&rig);
}

/* ---- configuration ---- */

static void test_missing_secret(void **state)
{
    struct rig rig;
    struct scripted_server server;
    char why[STORE_WHY] = "", path[128];
    (void)state;
    server_start(&server, always_ok, NULL);
    rig_init(&rig);
    rig_add_webhook(&rig, "ops", server.port, "");
    rig_open(&rig);
    rig_configure(&rig);
    snprintf(path, sizeof path, "%s/secret", rig.dir);
    assert_int_equal(unlink(path), 0);
    struct config *config = rig_parse(&rig);
    assert_false(delivery_configure(rig.delivery, config, why, sizeof why));
    assert_non_null(strstr(why, "ops"));
    assert_non_null(strstr(why, path));
    free(config->webhooks[0].secret_file);
    config->webhooks[0].secret_file = NULL;
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_false(delivery_configure(rig.delivery, config, why, sizeof why));
    assert_non_null(strstr(why, "webhook-ops"));
    config_free(config);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 1); /* the old set is still at work */
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    server_stop(&server);
    assert_false(rig.timed_out);
    assert_int_equal(server.n, 1);
    server_free(&server);
    rig_finish(&rig);
}

struct swap {
    struct config *other;
    struct scripted_server *server;
    bool done;
};

static bool swapped(struct rig *rig)
{
    struct swap *swap = rig->data;
    char why[STORE_WHY];
    if (!swap->done && !delivery_is_quiet(rig->delivery) && waiting_of(rig, "journal") == 0)
        swap->done = delivery_configure(rig->delivery, swap->other, why, sizeof why);
    return swap->done && server_taken(swap->server) == 1;
}

/* A webhook that is gone from the configuration while a request of its own hangs; its events stay. */
static void test_reload_without_a_webhook(void **state)
{
    struct rig rig, without;
    struct scripted_server server;
    int port;
    (void)state;
    int fd = bind_loopback(&port);
    assert_int_equal(listen(fd, 8), 0);
    server_start(&server, always_ok, NULL);
    rig_init(&rig);
    rig_init(&without);
    rig_add_webhook(&rig, "gone", port, "timeout = 60s");
    rig_add_webhook(&without, "ops", server.port, "");
    rig_add_webhook(&rig, "ops", port, "timeout = 60s");
    struct swap swap = {.other = rig_parse(&without), .server = &server};
    rig.data = &swap;
    rig_open(&rig);
    rig.config->webhooks[1].concurrency = 1;
    rig_configure(&rig);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 1);
    /* Its first request hangs on the old address for ever; the new one gets a later event. */
    enqueue(&rig, EVENT_JOB_COMPLETED, "01B", 1);
    rig_run(&rig, swapped, WITHIN);
    assert_int_equal(waiting_of(&rig, "hook:gone"), 2);
    rig_close(&rig);
    config_free(swap.other);
    server_stop(&server);
    close(fd);
    assert_false(rig.timed_out);
    assert_true(rig.stop_took < 1000);
    server_free(&server);
    rig_finish(&rig);
    rig_finish(&without);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signed_request),
        cmocka_unit_test(test_retry_keeps_id_and_body),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_refused_fails_at_once),
        cmocka_unit_test(test_given_up_by_age),
        cmocka_unit_test(test_overdue_is_tried_after_down_time),
        cmocka_unit_test(test_two_dead_webhooks),
        cmocka_unit_test(test_gone_is_off_until_reload),
        cmocka_unit_test(test_order_per_job),
        cmocka_unit_test(test_dead_receiver_costs_little),
        cmocka_unit_test(test_silent_receiver_delays_nobody),
        cmocka_unit_test(test_backlog_sleeps),
        cmocka_unit_test(test_restart_sends_the_rest),
        cmocka_unit_test(test_stop_waits_for_an_answer),
        cmocka_unit_test(test_stop_gives_a_stuck_receiver_up),
        cmocka_unit_test(test_not_sent_again_when_saving_fails),
        cmocka_unit_test(test_journal_goes_on_when_saving_fails),
        cmocka_unit_test(test_errors_are_waited_for),
        cmocka_unit_test(test_errors_too_late),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_same_event_is_recorded_once),
        cmocka_unit_test(test_missing_secret),
        cmocka_unit_test(test_reload_without_a_webhook),
    };
    log_init(PRIO_EMERG);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
