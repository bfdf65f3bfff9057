/* Long outages and long queues: hours that pass as numbers, and events by the thousand that wait in the store. */
#include "delivery_rig.h"

#define WITHIN 60000
#define HOUR   3600000

/* ---- six hours ---- */

enum { JOBS = 20, EACH = 10, STEP = 10 * 60000 };

struct outage {
    struct scripted_server *server;
    bool over;     /* read by the server's thread */
    size_t before; /* requests before this life */
    int64_t until;
};

static struct scripted_reply fails_until_over(void *user, size_t n, const struct seen_request *request)
{
    static const int ways[] = {500, 503, 0, 429, 408};
    const struct outage *outage = user;
    (void)request;
    return (struct scripted_reply){.status = outage->over ? 200 : ways[n % (sizeof ways / sizeof *ways)]};
}

/* A life is long enough for whatever is due at its beginning. */
static bool tried_and_journaled(struct rig *rig)
{
    const struct outage *outage = rig->data;
    if (outage->over)
        return waiting_of(rig, NULL) == 0 || clock_now_ms() >= outage->until;
    return server_count(outage->server) > outage->before && waiting_of(rig, "journal") == 0;
}

static int64_t number_of(const struct seen_request *request)
{
    static const char word[] = "\"completed_count\":";
    const char *at = strstr(request->body, word);
    return at ? strtoll(at + sizeof word - 1, NULL, 10) : -1;
}

/* The back-off as it is by default; lives begin ten minutes apart. */
static void live(struct rig *rig, struct outage *outage, int n)
{
    char job[16];
    rig_open(rig);
    rig->config->webhooks[0].retry_base = 5000;
    rig->config->webhooks[0].retry_max = HOUR;
    rig_configure(rig);
    for (int i = 0; i < n; i++) {
        snprintf(job, sizeof job, "JOB%d", i % JOBS);
        enqueue(rig, EVENT_JOB_FAILURES_GROWING, job, i);
    }
    outage->before = server_count(outage->server);
    outage->until = clock_now_ms() + 1000;
    rig_run(rig, tried_and_journaled, WITHIN);
    assert_false(rig->timed_out);
}

static void assert_order(const struct scripted_server *server)
{
    int64_t last[JOBS];
    for (int j = 0; j < JOBS; j++)
        last[j] = j - JOBS;
    for (size_t i = 0; i < server->n; i++) {
        if (server->requests[i].status != 200)
            continue;
        int64_t n = number_of(&server->requests[i]);
        if (n <= last[n % JOBS])
            continue; /* a copy: the end of a life cut its answer off */
        assert_int_equal(n, last[n % JOBS] + JOBS);
        last[n % JOBS] = n;
    }
    for (int j = 0; j < JOBS; j++)
        assert_int_equal(last[j], JOBS * (EACH - 1) + j);
}

static void test_six_hours(void **state)
{
    struct rig rig;
    struct scripted_server server;
    struct outage outage = {.server = &server};
    (void)state;
    server_start(&server, fails_until_over, &outage);
    rig_init(&rig);
    rig.data = &outage;
    rig_add_webhook(&rig, "ops", server.port, "");
    int lives = 0;
    for (; (int64_t)lives * STEP < 6 * HOUR; lives++, rig.skipped = STEP) {
        live(&rig, &outage, lives == 0 ? JOBS * EACH : 0);
        assert_int_equal(waiting_of(&rig, "hook:ops"), JOBS * EACH);
        rig_close(&rig);
    }
    size_t tries = server_count(&server);
    outage.over = true;
    int64_t waiting = 1;
    for (; waiting > 0; lives++) {
        live(&rig, &outage, 0);
        waiting = waiting_of(&rig, "hook:ops");
        assert_int_equal(dead_of(&rig, "hook:ops"), 0);
        rig_close(&rig);
        assert_true(lives < 100);
    }
    server_stop(&server);
    /* A dead receiver is probed, not stormed: each life begins with as many as go side by side. */
    assert_in_range(tries, 36, 36 * 8);
    assert_order(&server);
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\"type\":\"delivery.failed\""), 0);
    free(journal);
    server_free(&server);
    rig_finish(&rig);
}

/* ---- a queue that is long ---- */

static size_t resident_kib(void)
{
    size_t pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu %zu", &pages, &resident), 2);
    fclose(file);
    return resident * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

static bool after_a_while(struct rig *rig)
{
    const struct outage *outage = rig->data;
    return clock_now_ms() >= outage->until;
}

/* Sanitizers and valgrind keep memory of their own. */
static bool is_instrumented(void)
{
#ifdef __SANITIZE_ADDRESS__
    return true;
#else
    const char *preload = getenv("LD_PRELOAD");
    return preload && strstr(preload, "valgrind");
#endif
}

/* KLV_QUEUED events (20,000 when it is not set) wait for a dead receiver; memory is that of the first tenth. */
static void test_memory_is_flat(void **state)
{
    const char *wish = getenv("KLV_QUEUED");
    const int n = wish ? atoi(wish) : 20000;
    if (is_instrumented())
        skip();
    struct rig rig;
    struct outage outage = {0};
    int port;
    size_t first = 0, last = 0;
    (void)state;
    assert_true(n >= 10000);
    int fd = bind_loopback(&port); /* not listening: refused */
    rig_init(&rig);
    rig.data = &outage;
    rig_add_webhook(&rig, "dead", port, "");
    rig_open(&rig);
    rig_configure(&rig);
    for (int i = 0; i < n; i += 1000) {
        enqueue_many(&rig, i, i + 1000, 5000);
        if (i + 1000 == n / 10)
            first = resident_kib();
    }
    outage.until = clock_now_ms() + 1000;
    rig_run(&rig, after_a_while, WITHIN);
    last = resident_kib();
    assert_int_equal(waiting_of(&rig, "hook:dead"), n);
    rig_close(&rig);
    close(fd);
    printf("%d events waiting: %zu KiB resident, %zu KiB with a tenth of them\n", n, last, first);
    assert_true(last < first + 6144); /* among it what a life of the loop and of libcurl takes */
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_six_hours),
        cmocka_unit_test(test_memory_is_flat),
    };
    log_init(PRIO_EMERG);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
