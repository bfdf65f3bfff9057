/* delivery: filters, and webhooks whose configuration is wrong or changes. */
#include "delivery_rig.h"

#define WITHIN 60000

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
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_same_event_is_recorded_once),
        cmocka_unit_test(test_missing_secret),
        cmocka_unit_test(test_reload_without_a_webhook),
    };
    log_init(PRIO_EMERG);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
