/* delivery: a restart, a stop while a request is in flight, and a store that fails. */
#include "delivery_rig.h"
#include "../../daemon/store_private.h" /* to make its commits fail */
#include <stdatomic.h>

#define WITHIN 60000
#define MANY   300 /* events: more than some batches; a third as many jobs */

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
    atomic_bool asked, stopping; /* a request came; the end has begun */
    atomic_bool answers;         /* what it has, as soon as the end has begun; else it waits */
};

static struct scripted_reply ok_but_slow(void *user, size_t n, const struct seen_request *request)
{
    struct slow *slow = user;
    (void)n;
    (void)request;
    atomic_store(&slow->asked, true);
    while (!atomic_load(&slow->stopping) || !atomic_load(&slow->answers))
        poll(NULL, 0, 1);
    return reply(200);
}

static bool is_asked(struct rig *rig)
{
    struct slow *slow = rig->data;
    bool asked = atomic_load(&slow->asked) && waiting_of(rig, "journal") == 0;
    if (asked)
        atomic_store(&slow->stopping, true); /* the loop takes no answer before it is told */
    return asked;
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

/* The next life, until nothing is left to send. */
static void send_the_rest(struct rig *rig, struct slow *slow)
{
    rig_open(rig);
    rig_configure(rig);
    rig_run(rig, nothing_waits, WITHIN);
    rig_close(rig);
    server_stop(&slow->server);
    assert_false(rig->timed_out);
}

/* Its answer is waited for, and what it said is known to the next life. */
static void test_stop_waits_for_an_answer(void **state)
{
    struct rig rig;
    struct slow slow = {.answers = true};
    (void)state;
    server_start(&slow.server, ok_but_slow, &slow);
    rig_init(&rig);
    assert_int_equal(stop_while_asked(&rig, &slow), 1);
    send_the_rest(&rig, &slow);
    assert_int_equal(slow.server.n, 2); /* each once */
    server_free(&slow.server);
    rig_finish(&rig);
}

/* But not for ever: it comes again, as the same. */
static void test_stop_gives_a_stuck_receiver_up(void **state)
{
    struct rig rig;
    struct slow slow = {0};
    (void)state;
    server_start(&slow.server, ok_but_slow, &slow);
    rig_init(&rig);
    assert_int_equal(stop_while_asked(&rig, &slow), 2);
    atomic_store(&slow.answers, true);
    send_the_rest(&rig, &slow);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_restart_sends_the_rest),
        cmocka_unit_test(test_stop_waits_for_an_answer),
        cmocka_unit_test(test_stop_gives_a_stuck_receiver_up),
        cmocka_unit_test(test_not_sent_again_when_saving_fails),
        cmocka_unit_test(test_journal_goes_on_when_saving_fails),
    };
    log_init(PRIO_EMERG);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
