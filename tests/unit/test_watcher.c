/* watcher and account_health: answers in, requests and events out, in virtual time. */
#include "unit.h"

#include "../../lib/account_health.h"

#include <stdio.h>
#include <stdlib.h>

#define TYPE "catalog-category-bulk-delete-job"

static const struct family family = {.type = TYPE,
                                     .path = "/api/" TYPE "s",
                                     .burst = 100,
                                     .steady = 1000,
                                     .scope = "",
                                     .fields = "",
                                     .sort = "",
                                     .has_errors = true};

struct bench {
    struct watcher *watcher;
    struct alert_rules rules;
    struct account_health health;
    int64_t now;
    int64_t wall_off;               /* how far our wall clock is off; the server's is right */
    struct watcher_request request; /* the last one handed out */
    char told[512];                 /* kinds of the events so far, since the last look */
};

static void set_up_family(struct bench *bench, const char *account, const struct family *of)
{
    *bench = (struct bench){.rules = alert_rules_default, .now = 1000000};
    struct watcher_options options = {
        .account = account,
        .family = of,
        .base = {"https://a.klaviyo.com", "2026-07-15"},
        .rules = &bench->rules,
        .plan = {.interval = 10000, .idle_interval = 60000, .full_sweep_interval = 600000},
        .limits = {100, 1000, 0.5},
        .detail_timeout = 10000,
        .retention = 86400000,
    };
    bench->watcher = watcher_new(&options, (mono_time){bench->now});
    assert_non_null(bench->watcher);
}

static void set_up(struct bench *bench, const char *account)
{
    set_up_family(bench, account, &family);
}

static void tear_down(struct bench *bench)
{
    watcher_free(bench->watcher);
}

/* The next request's URL behind the path, or "wait". */
static const char *ask(struct bench *bench)
{
    static char text[300];
    mono_time at;
    if (!watcher_next(bench->watcher, (mono_time){bench->now}, &bench->request, &at))
        return "wait";
    snprintf(text, sizeof text, "%s", bench->request.url + strlen("https://a.klaviyo.com/api/" TYPE "s"));
    free(bench->request.url);
    return text;
}

static void note_events(struct bench *bench, struct batch *batch)
{
    for (size_t i = 0; i < batch->n_items; i++) {
        const struct batch_item *item = &batch->items[i];
        size_t used = strlen(bench->told);
        snprintf(bench->told + used, sizeof bench->told - used, "%s%s%s", used ? " " : "",
                 item->kind == BATCH_ERRORS ? "errors" : event_types[item->event->kind].name,
                 item->hold ? "(held)" : "");
    }
    batch_finish(batch);
}

static void answer_slot(struct bench *bench, unsigned slot, int status, const char *body)
{
    struct batch batch = {0};
    struct now now = {{bench->now}, {bench->now + bench->wall_off}};
    struct watcher_answer answer = {.status = status,
                                    .error = status ? "" : "refused",
                                    .body = body,
                                    .body_len = strlen(body),
                                    .rate = {-1, -1, -1, status == 429 ? 5000 : -1},
                                    .server_now = {bench->now}};
    assert_true(watcher_answer(bench->watcher, slot, &answer, now, UINT64_MAX, &batch));
    assert_true(account_health_check(&bench->health, "main", &bench->watcher, 1, &bench->rules, now, &batch));
    note_events(bench, &batch);
}

static void answer(struct bench *bench, int status, const char *body)
{
    answer_slot(bench, bench->request.slot, status, body);
}

static void expect_told(struct bench *bench, const char *kinds)
{
    assert_string_equal(bench->told, kinds);
    bench->told[0] = '\0';
}

#define EMPTY "{\"data\":[]}"

static const char *list_of(const char *id, const char *status, int completed, int failed)
{
    static char text[400];
    snprintf(text, sizeof text,
             "{\"data\":[{\"type\":\"" TYPE
             "\",\"id\":\"%s\",\"attributes\":{\"status\":\"%s\",\"total_count\":9,"
             "\"completed_count\":%d,\"failed_count\":%d}}]}",
             id, status, completed, failed);
    return text;
}

static const char *one(const char *id, const char *status, int completed, int failed)
{
    static char text[400];
    snprintf(text, sizeof text,
             "{\"data\":{\"type\":\"" TYPE
             "\",\"id\":\"%s\",\"attributes\":{\"status\":\"%s\",\"total_count\":9,"
             "\"completed_count\":%d,\"failed_count\":%d,\"errors\":[{\"title\":\"t\"}]}}}",
             id, status, completed, failed);
    return text;
}

#define QUEUED     "?filter=equals%28status%2C%22queued%22%29"
#define PROCESSING "?filter=equals%28status%2C%22processing%22%29"

/* The baseline: an active sweep and a full one side by side, silent but for its own event. */
static void start(struct bench *bench, const char *all)
{
    assert_string_equal(ask(bench), QUEUED);
    unsigned active = bench->request.slot;
    assert_string_equal(ask(bench), "");
    unsigned full = bench->request.slot;
    assert_string_equal(ask(bench), "wait");
    answer_slot(bench, active, 200, EMPTY);
    assert_string_equal(ask(bench), PROCESSING);
    answer(bench, 200, all);
    answer_slot(bench, full, 200, all);
    expect_told(bench, "watch.started");
}

static void active_sweep(struct bench *bench, const char *processing)
{
    bench->now += 10000;
    assert_string_equal(ask(bench), QUEUED);
    answer(bench, 200, EMPTY);
    assert_string_equal(ask(bench), PROCESSING);
    answer(bench, 200, processing);
}

static void test_a_job_that_left_is_looked_at(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, EMPTY);
    expect_told(&bench, "");
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 200, one("A", "complete", 8, 1));
    expect_told(&bench, "job.completed_with_failures"); /* the look brought the errors: nothing to wait for */
    tear_down(&bench);
}

#define SORTED "?sort=-created_at"

/* Jobs J<from> to J<to>, each created a minute before the one before; next: the next page's cursor or "". */
static const char *page_of(int from, int to, const char *status, int old, const char *next)
{
    static char text[2000];
    size_t used = (size_t)snprintf(text, sizeof text, "{\"data\":[");
    for (int i = from; i <= to; i++) {
        int place = i == to ? old : i;
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "%s{\"type\":\"" TYPE "\",\"id\":\"J%d\",\"attributes\":{\"status\":\"%s\","
                                 "\"total_count\":9,\"created_at\":\"1970-01-01T00:%02d:00Z\"}}",
                                 i > from ? "," : "", place, place > 5 ? "complete" : status, 16 - place);
    }
    snprintf(text + used, sizeof text - used,
             next[0] ? "],\"links\":{\"next\":\"/x?page[cursor]=%s\"}}" : "]}", next);
    return text;
}

static void test_many_that_left_are_answered_by_the_list(void **state)
{
    (void)state;
    struct family sortable = family;
    struct bench bench;
    sortable.sort = "-created_at";
    set_up_family(&bench, "main", &sortable);
    assert_string_equal(ask(&bench), QUEUED);
    unsigned active = bench.request.slot;
    assert_string_equal(ask(&bench), "");
    answer(&bench, 200, page_of(0, 2, "processing", 2, "2"));
    assert_string_equal(ask(&bench), "?page%5Bcursor%5D=2");
    answer(&bench, 200, page_of(3, 5, "processing", 5, "3"));
    assert_string_equal(ask(&bench), "?page%5Bcursor%5D=3");
    answer(&bench, 200, page_of(6, 8, "complete", 8, "4"));
    assert_string_equal(ask(&bench), "?page%5Bcursor%5D=4");
    answer(&bench, 200, page_of(9, 9, "complete", 9, ""));
    answer_slot(&bench, active, 200, EMPTY);
    assert_string_equal(ask(&bench), PROCESSING);
    answer(&bench, 200, page_of(0, 5, "processing", 5, ""));
    expect_told(&bench, "watch.started");

    /* All six are gone: pages answer three for one. J5 is not where it should be, and is looked at. */
    active_sweep(&bench, EMPTY);
    assert_string_equal(ask(&bench), SORTED);
    assert_string_equal(ask(&bench), "wait");
    answer(&bench, 200, page_of(0, 2, "complete", 2, "2"));
    expect_told(&bench, "job.completed job.completed job.completed");
    assert_string_equal(ask(&bench), SORTED "&page%5Bcursor%5D=2");
    answer(&bench, 200, page_of(3, 5, "complete", 6, "3"));
    expect_told(&bench, "job.completed job.completed");
    assert_string_equal(ask(&bench), "/J5");
    answer(&bench, 404, "{}");
    expect_told(&bench, "job.vanished");
    assert_string_equal(ask(&bench), "wait");
    tear_down(&bench);
}

/* Jobs J<from> to J<to>, as old as their number says. */
static const char *many(int from, int to, const char *status, const char *next)
{
    static char text[8000];
    size_t used = (size_t)snprintf(text, sizeof text, "{\"data\":[");
    for (int i = from; i <= to; i++)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "%s{\"type\":\"" TYPE "\",\"id\":\"J%d\",\"attributes\":{\"status\":\"%s\","
                                 "\"total_count\":9,\"created_at\":\"1970-01-01T00:%02d:00Z\"}}",
                                 i > from ? "," : "", i, status, 50 - i);
    snprintf(text + used, sizeof text - used,
             next[0] ? "],\"links\":{\"next\":\"/x?page[cursor]=%s\"}}" : "]}", next);
    return text;
}

/* While pages further down are read, those at the top leave: another walk from the top answers them. */
static void test_those_that_leave_behind_a_head_sweep_are_answered_by_the_next(void **state)
{
    (void)state;
    struct family sortable = family;
    struct bench bench;
    sortable.sort = "-created_at";
    set_up_family(&bench, "main", &sortable);
    bench.now = 3000000;
    assert_string_equal(ask(&bench), QUEUED);
    unsigned active = bench.request.slot;
    assert_string_equal(ask(&bench), "");
    answer(&bench, 200, many(0, 7, "processing", "2"));
    assert_string_equal(ask(&bench), "?page%5Bcursor%5D=2");
    answer(&bench, 200, many(8, 11, "processing", "3"));
    for (int i = 12; i < 24; i++) {
        assert_memory_equal(ask(&bench), "?page%5Bcursor%5D=", 18);
        char next[8] = "";
        if (i < 23)
            snprintf(next, sizeof next, "%d", i);
        answer(&bench, 200, many(i, i, "complete", next));
    }
    answer_slot(&bench, active, 200, EMPTY);
    assert_string_equal(ask(&bench), PROCESSING);
    answer(&bench, 200, many(0, 11, "processing", ""));
    expect_told(&bench, "watch.started");

    active_sweep(&bench, many(0, 7, "processing", ""));
    assert_string_equal(ask(&bench), SORTED);
    answer(&bench, 200, many(0, 7, "processing", "2"));
    assert_string_equal(ask(&bench), SORTED "&page%5Bcursor%5D=2");
    unsigned head = bench.request.slot;
    active_sweep(&bench, many(7, 7, "processing", ""));
    for (int i = 0; i < PLAN_MAX_LOOKS; i++)
        assert_memory_equal(ask(&bench), "/J", 2);
    assert_string_equal(ask(&bench), "wait");
    answer_slot(&bench, head, 200, many(8, 11, "complete", "3"));
    expect_told(&bench, "job.completed job.completed job.completed job.completed");
    assert_string_equal(ask(&bench), SORTED);
    tear_down(&bench);
}

/* A server of SHOP_JOBS jobs, J0 the newest, four on a page; each ends at its time. */
#define SHOP_JOBS 48

struct shop {
    struct bench bench;
    struct family family;
    int64_t ends[SHOP_JOBS];
    bool shuffled;    /* the sorted list is not */
    char asked[2000]; /* a letter a request: active, full, head or look */
};

static const char *state_of(const struct shop *shop, int i)
{
    return shop->bench.now >= shop->ends[i] ? "complete" : "processing";
}

static const char *shop_list(const struct shop *shop, int from, int to, bool active, bool shuffled)
{
    static char text[8000];
    size_t used = (size_t)snprintf(text, sizeof text, "{\"data\":[");
    for (int k = from; k < to; k++) {
        int i = shuffled && k % 4 == 1 ? k + 1 : shuffled && k % 4 == 2 ? k - 1 : k;
        if (active && strcmp(state_of(shop, i), "complete") == 0)
            continue;
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "%s{\"type\":\"" TYPE "\",\"id\":\"J%d\",\"attributes\":{\"status\":\"%s\","
                                 "\"total_count\":9,\"created_at\":\"1970-01-01T00:%02d:00Z\"}}",
                                 text[used - 1] == '[' ? "" : ",", i, state_of(shop, i), 50 - i);
    }
    if (!active && to < SHOP_JOBS)
        snprintf(text + used, sizeof text - used, "],\"links\":{\"next\":\"/x?page[cursor]=%d\"}}", to);
    else
        snprintf(text + used, sizeof text - used, "]}");
    return text;
}

static void shop_answer(struct shop *shop, const char *url)
{
    const char *cursor = strstr(url, "cursor%5D=");
    int from = cursor ? atoi(cursor + strlen("cursor%5D=")) : 0;
    bool sorted = strstr(url, "sort=") != NULL, look = url[0] == '/', active = strstr(url, "filter=") != NULL;
    size_t n = strlen(shop->asked);
    assert_true(n + 1 < sizeof shop->asked);
    shop->asked[n] = look ? 'l' : active ? 'a' : sorted ? 'h' : 'f';
    if (look)
        answer(&shop->bench, 200, one(url + 1, state_of(shop, atoi(url + 2)), 1, 0));
    else if (active)
        answer(&shop->bench, 200, strstr(url, "queued") ? EMPTY : shop_list(shop, 0, SHOP_JOBS, true, false));
    else
        answer(&shop->bench, 200, shop_list(shop, from, from + 4, false, sorted && shop->shuffled));
}

static void shop_until(struct shop *shop, int64_t until)
{
    shop->asked[0] = '\0';
    memset(shop->asked, 0, sizeof shop->asked);
    for (; shop->bench.now < until; shop->bench.now += 1000) {
        for (const char *url; strcmp(url = ask(&shop->bench), "wait") != 0;)
            shop_answer(shop, url);
    }
}

static void shop_end(struct shop *shop, int from, int to)
{
    for (int i = from; i < to; i++)
        shop->ends[i] = shop->bench.now;
}

/* A share of six a minute, and sixteen jobs that ended: found gone by an active sweep, told by the list. */
static void shop_open(struct shop *shop)
{
    struct budget_limits scarce = {100, 6, 0.5};
    *shop = (struct shop){.family = family};
    shop->family.sort = "-created_at";
    set_up_family(&shop->bench, "main", &shop->family);
    assert_true(budget_set_limits(watcher_budget(shop->bench.watcher), &scarce));
    shop->bench.now = 3000000;
    for (int i = 0; i < SHOP_JOBS; i++)
        shop->ends[i] = INT64_MAX;
    shop_until(shop, 3600000);
    expect_told(&shop->bench, "api.throttled watch.started");
    shop_end(shop, 0, 16);
}

static size_t told_ends(struct shop *shop)
{
    size_t n = 0;
    for (const char *p = shop->bench.told; (p = strstr(p, "job.completed")) != NULL; p++)
        n++;
    shop->bench.told[0] = '\0';
    return n;
}

/* Where more jobs end than the share allows looks, the list is walked instead of the active sweep, as long as so many
 * end. */
static void test_walks_take_the_place_of_active_sweeps(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop);
    shop_until(&shop, shop.bench.now + 90000);
    assert_int_equal(told_ends(&shop), 16);
    for (int i = 16; i < 34; i += 9) {
        shop_end(&shop, i, i + 9);
        shop_until(&shop, shop.bench.now + 150000);
        assert_int_equal(told_ends(&shop), 9);
        assert_non_null(strstr(shop.asked, "hhh"));
        assert_null(strchr(shop.asked, 'l'));
    }
    assert_null(strchr(shop.asked, 'a'));
    shop_until(&shop, shop.bench.now + 600000);
    assert_non_null(strstr(shop.asked, "aa"));
    shop_end(&shop, 34, 36);
    shop_until(&shop, shop.bench.now + 180000);
    assert_int_equal(told_ends(&shop), 2);
    assert_null(strchr(shop.asked, 'h'));
    tear_down(&shop.bench);
}

/* A list that is not newest first after all is not walked again. */
static void test_a_list_out_of_order_is_not_walked(void **state)
{
    (void)state;
    struct shop shop;
    shop_open(&shop);
    shop_until(&shop, shop.bench.now + 90000);
    told_ends(&shop);
    shop.shuffled = true;
    shop_end(&shop, 16, 30);
    shop_until(&shop, shop.bench.now + 600000);
    assert_int_equal(told_ends(&shop), 14);
    assert_non_null(strstr(shop.asked, "aa"));
    assert_null(strstr(shop.asked, "hhh"));
    tear_down(&shop.bench);
}

/* Sweeps that see the same jobs side by side are not taken for a list that goes on without anything new. */
static void test_sweeps_do_not_make_each_other_stale(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    assert_string_equal(ask(&bench), QUEUED);
    unsigned active = bench.request.slot;
    assert_string_equal(ask(&bench), "");
    unsigned full = bench.request.slot;
    answer_slot(&bench, active, 200, EMPTY);
    assert_string_equal(ask(&bench), PROCESSING);
    answer(&bench, 200, many(0, 29, "processing", ""));
    for (int i = 0; i < 30; i++) {
        char next[8] = "";
        if (i < 29)
            snprintf(next, sizeof next, "%d", i + 1);
        answer_slot(&bench, full, 200, many(i, i, "processing", next));
        if (next[0])
            assert_memory_equal(ask(&bench), "?page%5Bcursor%5D=", 18);
        full = bench.request.slot;
    }
    expect_told(&bench, "watch.started");
    tear_down(&bench);
}

/* One that a scarce budget stretches over hours is not begun anew for an error; one that stood still so long is. */
static void test_a_slow_sweep_survives_an_error(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    assert_string_equal(ask(&bench), QUEUED); /* never answered: no other sweep is in the way */
    assert_string_equal(ask(&bench), "");
    for (int i = 0; i < 5; i++) {
        char next[8];
        snprintf(next, sizeof next, "%d", i + 1);
        bench.now += 500000;
        answer(&bench, 200, many(i, i, "complete", next));
        assert_memory_equal(ask(&bench), "?page%5Bcursor%5D=", 18);
    }
    answer(&bench, 503, "");
    bench.now += 60000;
    assert_string_equal(ask(&bench), "?page%5Bcursor%5D=5");
    bench.now += 3 * 600000 + 600000;
    answer(&bench, 503, "");
    bench.now += 120000;
    assert_string_equal(ask(&bench), "");
    tear_down(&bench);
}

static void test_errors_that_nobody_waits_for_are_not_asked_for(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, list_of("A", "processing", 1, 1));
    expect_told(&bench, "job.failures_growing(held)");
    /* Nothing can be sent until the event has left without them. */
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 429, "");
    bench.now += 10001;
    assert_string_equal(ask(&bench), QUEUED);
    answer(&bench, 200, EMPTY);
    assert_string_equal(ask(&bench), PROCESSING);
    answer(&bench, 200, list_of("A", "processing", 1, 1));
    assert_string_equal(ask(&bench), "wait");
    tear_down(&bench);
}

static void test_a_look_that_was_overtaken_is_not_believed(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, EMPTY);
    assert_string_equal(ask(&bench), "/A");
    unsigned look = bench.request.slot;
    /* Sent later, here sooner: the list has seen more than the look, whose answer was made before. */
    active_sweep(&bench, list_of("A", "processing", 7, 0));
    answer_slot(&bench, look, 200, one("A", "processing", 2, 0));
    expect_told(&bench, "");
    bench.now += 1;
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 200, one("A", "processing", 7, 0));
    expect_told(&bench, "");
    tear_down(&bench);
}

static void test_vanished(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, EMPTY);
    assert_string_equal(ask(&bench), "/A");
    /* An answer that says nothing is asked again after its back-off. */
    answer(&bench, 503, "");
    assert_string_equal(ask(&bench), "wait");
    bench.now += 1000;
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 404, "{}");
    expect_told(&bench, "job.vanished");
    tear_down(&bench);
}

static void test_errors_are_fetched_while_the_event_is_held(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, list_of("A", "processing", 2, 3));
    expect_told(&bench, "job.failures_growing(held)");
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 200, one("A", "processing", 2, 3));
    expect_told(&bench, "errors");
    tear_down(&bench);
}

static void test_a_broken_answer_is_no_news_until_it_lasts(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    bench.now += 10000;
    for (int i = 0; i < 3; i++) {
        assert_string_equal(ask(&bench), QUEUED); /* the same page again */
        expect_told(&bench, "");
        answer(&bench, 200, "<html>log in");
        assert_string_equal(ask(&bench), "wait");
        bench.now += 8000;
    }
    expect_told(&bench, "api.schema");
    tear_down(&bench);
}

static void test_away_and_back(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    bench.now += 10000;
    int64_t began = bench.now;
    while (bench.now - began < bench.rules.unreachable_after) {
        expect_told(&bench, "");
        while (strcmp(ask(&bench), "wait") != 0)
            answer(&bench, 0, "");
        bench.now += 5000;
    }
    while (strcmp(ask(&bench), "wait") == 0)
        bench.now += 1000;
    answer(&bench, 0, "");
    expect_told(&bench, "api.unreachable");
    while (strcmp(ask(&bench), "wait") == 0)
        bench.now += 1000;
    answer(&bench, 200, EMPTY);
    expect_told(&bench, "api.recovered");
    tear_down(&bench);
}

/* What one watch's failing, or good, list does to the whole account. */
static bool list_answered(struct bench *bench, struct watcher *const *both, size_t which, int status,
                          struct batch *batch)
{
    struct watcher_request request;
    mono_time at;
    if (!watcher_next(both[which], (mono_time){bench->now}, &request, &at))
        return false;
    free(request.url);
    struct now now = {{bench->now}, {bench->now}};
    struct watcher_answer answer = {.status = status,
                                    .error = status ? "" : "refused",
                                    .body = status ? EMPTY : "",
                                    .body_len = status ? strlen(EMPTY) : 0,
                                    .rate = {-1, -1, -1, -1},
                                    .server_now = {bench->now}};
    assert_true(watcher_answer(both[which], request.slot, &answer, now, UINT64_MAX, batch));
    assert_true(account_health_check(&bench->health, "main", both, 2, &bench->rules, now, batch));
    return true;
}

/* Both fail, and nothing else, until the account says that it is unreachable; its id. */
static void until_unreachable(struct bench *bench, struct watcher *const *both, char id[EVENT_ID_SIZE])
{
    struct batch batch = {0};
    int64_t began = bench->now;
    for (id[0] = '\0'; !id[0]; bench->now += 1000) {
        assert_true(bench->now - began < 10 * bench->rules.unreachable_after);
        for (size_t which = 0; which < 2; which++) {
            while (list_answered(bench, both, which, 0, &batch))
                ;
        }
        for (size_t i = 0; i < batch.n_items; i++) {
            assert_int_equal(batch.items[i].event->kind, EVENT_API_UNREACHABLE);
            snprintf(id, EVENT_ID_SIZE, "%s", batch.items[i].event->id);
        }
        batch_finish(&batch);
    }
}

/* Of two watches one comes back for a moment: the second time without an answer is a new one, with an id of its own. */
static void test_away_twice_while_one_watch_stays_away(void **state)
{
    (void)state;
    struct bench first, second;
    set_up(&first, "main");
    set_up(&second, "main");
    struct watcher *const both[] = {first.watcher, second.watcher};
    char before[EVENT_ID_SIZE], after[EVENT_ID_SIZE];
    until_unreachable(&first, both, before);
    struct batch batch = {0};
    while (!list_answered(&first, both, 0, 200, &batch))
        first.now += 1000;
    assert_int_equal(batch.items[0].event->kind, EVENT_API_RECOVERED);
    batch_finish(&batch);
    int64_t back = first.now;
    until_unreachable(&first, both, after);
    assert_string_not_equal(before, after);
    assert_true(first.now - back >= first.rules.unreachable_after);
    tear_down(&first);
    tear_down(&second);
}

static void test_a_refused_key_is_told_at_once_and_polled_slowly(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    bench.now += 10000;
    assert_string_equal(ask(&bench), QUEUED);
    answer(&bench, 401, "{\"errors\":[{\"title\":\"no\"}]}");
    expect_told(&bench, "api.unauthorized");
    bench.now += 59999;
    assert_string_equal(ask(&bench), "wait");
    bench.now += 1;
    assert_string_equal(ask(&bench), QUEUED);
    answer(&bench, 200, EMPTY);
    expect_told(&bench, "api.recovered");
    tear_down(&bench);
}

static void test_429_is_waited_out_and_told_when_it_lasts(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    bench.now += 10000;
    assert_string_equal(ask(&bench), QUEUED);
    answer(&bench, 429, "");
    bench.now += 4999;
    assert_string_equal(ask(&bench), "wait");
    bench.now += 1;
    for (int i = 0; i < 5; i++) {
        assert_string_equal(ask(&bench), QUEUED);
        answer(&bench, 429, "");
        bench.now += 5000;
    }
    expect_told(&bench, "api.throttled");
    assert_string_equal(ask(&bench), QUEUED);
    answer(&bench, 200, EMPTY);
    assert_string_equal(ask(&bench), PROCESSING);
    answer(&bench, 200, list_of("A", "processing", 2, 0));
    expect_told(&bench, ""); /* this sweep was late itself */
    for (int i = 0; i < 6; i++)
        active_sweep(&bench, list_of("A", "processing", 3, 0));
    expect_told(&bench, ""); /* for less than a minute it was well */
    active_sweep(&bench, list_of("A", "processing", 3, 0));
    expect_told(&bench, "api.throttled"); /* over */
    tear_down(&bench);
}

static void test_a_dropped_look_comes_again(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    active_sweep(&bench, EMPTY);
    assert_string_equal(ask(&bench), "/A");
    watcher_drop(bench.watcher, bench.request.slot, (mono_time){bench.now});
    assert_string_equal(ask(&bench), "/A");
    answer(&bench, 200, one("A", "processing", 1, 0));
    expect_told(&bench, "");
    assert_string_equal(ask(&bench), "wait");
    tear_down(&bench);
}

/* Ten seconds later: all that is asked for is answered with that status. Returns how many requests there were. */
static int poll_all(struct bench *bench, int status, const char *processing)
{
    int n = 0;
    bench->now += 10000;
    for (const char *url; strcmp(url = ask(bench), "wait") != 0; n++)
        answer(bench, status, strcmp(url, QUEUED) == 0 ? EMPTY : processing);
    return n;
}

static void test_a_wall_clock_that_is_stepped(void **state)
{
    static const int64_t day = 86400000, steps[] = {0, day, -day, 3652 * day, -3652 * day};
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    /* 14 minutes, stepped before each sweep: none is left out, nothing is told. */
    for (size_t i = 0; i < 84; i++) {
        bench.wall_off = steps[i % (sizeof steps / sizeof *steps)];
        assert_true(poll_all(&bench, 200, list_of("A", "processing", 1, 0)) >= 2);
        expect_told(&bench, "");
    }
    /* The stall that is one comes when it is due, once. */
    for (size_t i = 0; i < 12; i++) {
        bench.wall_off = steps[i % (sizeof steps / sizeof *steps)];
        poll_all(&bench, 200, list_of("A", "processing", 1, 0));
    }
    expect_told(&bench, "job.stalled");
    tear_down(&bench);
}

static void test_an_outage_under_a_stepped_clock(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, EMPTY);
    for (int i = 0; i < 10; i++) {
        bench.wall_off = i % 2 ? INT64_C(315532800000) : -INT64_C(315532800000);
        poll_all(&bench, 503, "");
        expect_told(&bench, "");
    }
    bench.now += 60000;
    poll_all(&bench, 503, "");
    expect_told(&bench, "api.unreachable");
    bench.now += 60000;
    poll_all(&bench, 200, EMPTY);
    expect_told(&bench, "api.recovered");
    tear_down(&bench);
}

/* As a virtual machine that was paused sees it: an hour is gone on both clocks, and what was in flight has timed out. */
static void test_an_hour_that_nobody_watched(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    start(&bench, list_of("A", "processing", 1, 0));
    bench.now += 10000;
    assert_string_equal(ask(&bench), QUEUED);
    bench.now += 3600000;
    answer(&bench, 0, "");
    expect_told(&bench, "");
    assert_true(poll_all(&bench, 200, list_of("A", "processing", 2, 0)) >= 2);
    assert_true(poll_all(&bench, 200, list_of("A", "processing", 2, 0)) >= 2);
    expect_told(&bench, "");
    tear_down(&bench);
}

/* See note_began() of the watcher: with one clock far ahead, a job that ends after the baseline is still news. */
static void test_a_clock_that_is_ahead_swallows_no_end(void **state)
{
    static const int64_t offs[] = {INT64_C(18000000), -INT64_C(18000000), 0};
    (void)state;
    for (size_t i = 0; i < sizeof offs / sizeof *offs; i++) {
        char body[400];
        struct bench bench;
        set_up(&bench, "main");
        bench.now = INT64_C(1795510800000);
        bench.wall_off = offs[i];
        start(&bench, EMPTY);
        snprintf(body, sizeof body,
                 "{\"data\":[{\"type\":\"" TYPE
                 "\",\"id\":\"S\",\"attributes\":{\"status\":\"complete\",\"total_count\":1,"
                 "\"completed_count\":1,\"completed_at\":\"2026-11-24T10:00:00Z\"}}]}");
        bench.now += 7200000;
        poll_all(&bench, 200, body);
        expect_told(&bench, "job.completed");
        tear_down(&bench);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_job_that_left_is_looked_at),
        cmocka_unit_test(test_many_that_left_are_answered_by_the_list),
        cmocka_unit_test(test_those_that_leave_behind_a_head_sweep_are_answered_by_the_next),
        cmocka_unit_test(test_walks_take_the_place_of_active_sweeps),
        cmocka_unit_test(test_a_list_out_of_order_is_not_walked),
        cmocka_unit_test(test_sweeps_do_not_make_each_other_stale),
        cmocka_unit_test(test_a_slow_sweep_survives_an_error),
        cmocka_unit_test(test_errors_that_nobody_waits_for_are_not_asked_for),
        cmocka_unit_test(test_a_look_that_was_overtaken_is_not_believed),
        cmocka_unit_test(test_vanished),
        cmocka_unit_test(test_errors_are_fetched_while_the_event_is_held),
        cmocka_unit_test(test_a_broken_answer_is_no_news_until_it_lasts),
        cmocka_unit_test(test_away_and_back),
        cmocka_unit_test(test_away_twice_while_one_watch_stays_away),
        cmocka_unit_test(test_a_refused_key_is_told_at_once_and_polled_slowly),
        cmocka_unit_test(test_429_is_waited_out_and_told_when_it_lasts),
        cmocka_unit_test(test_a_dropped_look_comes_again),
        cmocka_unit_test(test_a_wall_clock_that_is_stepped),
        cmocka_unit_test(test_an_outage_under_a_stepped_clock),
        cmocka_unit_test(test_an_hour_that_nobody_watched),
        cmocka_unit_test(test_a_clock_that_is_ahead_swallows_no_end),
    };
    return cmocka_run_group_tests_name("watcher", tests, NULL, NULL);
}
