/* delivery: a receiver that is dead, silent or behind costs the others nothing. */
#include "delivery_rig.h"
#include "../../daemon/store_private.h" /* to count its statements */

#define WITHIN 60000

struct dead {
    struct scripted_server *healthy;
    int64_t began;
    int64_t sent_at; /* when the newest event was recorded, by a clock that stands still without a core */
    int64_t worst;   /* ms until it arrived, by the same */
    size_t sent;
};

/* One event after the other for the healthy one, each measured, beside thousands for the dead one. */
static bool healthy_is_served(struct rig *rig)
{
    struct dead *dead = rig->data;
    if (dead->sent > 0 && server_count(dead->healthy) < dead->sent)
        return false;
    int64_t now = clock_now_ms(), granted = now - starved_ms();
    if (dead->sent > 0 && granted - dead->sent_at > dead->worst)
        dead->worst = granted - dead->sent_at;
    if (waiting_of(rig, "journal") > 0)
        return false; /* the backlog of the beginning */
    if (dead->sent == 0)
        dead->began = now;
    if (now - dead->began >= 1500 && dead->sent >= 10)
        return waiting_of(rig, "hook:ops") == 0; /* the last answer may still be on its way to us */
    dead->sent++;
    dead->sent_at = granted;
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
    enqueue_many(&rig, 0, 5000, 1000);
    rig_run(&rig, healthy_is_served, 180000);
    assert_int_equal(waiting_of(&rig, "hook:dead"), 5000);
    assert_int_equal(waiting_of(&rig, "hook:ops"), 0);
    rig_close(&rig);
    server_stop(&healthy);
    assert_false(rig.timed_out);
    assert_true(rig.stop_took < 1000);
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
    enqueue_many(&rig, 0, 2000, 500);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dead_receiver_costs_little),
        cmocka_unit_test(test_silent_receiver_delays_nobody),
        cmocka_unit_test(test_backlog_sleeps),
    };
    log_init(PRIO_EMERG);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
