/* delivery: the request, attempts that fail, giving up, 410, and the order of events. */
#include "delivery_rig.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define WITHIN 60000

/* ---- the request ---- */

/* As a receiver would check it, with OpenSSL alone. Its time is that of this attempt: not before `earliest`, in Unix
 * seconds, but for what time(2) lags behind. */
static void verify_signature(const struct seen_request *request, int64_t earliest)
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
    assert_in_range(strtoll(seconds, NULL, 10), earliest, request->wall + 1);
    free(content);
}

static void test_signed_request(void **state)
{
    struct rig rig;
    struct scripted_server server;
    char value[256], id[EVENT_ID_SIZE];
    int64_t began = time(NULL);
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
    verify_signature(request, began);
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
    int64_t began = time(NULL);
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
        verify_signature(&server.requests[i], i > 0 ? server.requests[i - 1].wall : began);
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
    assert_in_range(waited, 1990, 3500 + rig.starved);
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
    enqueue_many(&rig, 0, 300, 300);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signed_request),    cmocka_unit_test(test_retry_keeps_id_and_body),
        cmocka_unit_test(test_retry_after),       cmocka_unit_test(test_refused_fails_at_once),
        cmocka_unit_test(test_given_up_by_age),   cmocka_unit_test(test_overdue_is_tried_after_down_time),
        cmocka_unit_test(test_two_dead_webhooks), cmocka_unit_test(test_gone_is_off_until_reload),
        cmocka_unit_test(test_order_per_job),
    };
    log_init(PRIO_EMERG);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
