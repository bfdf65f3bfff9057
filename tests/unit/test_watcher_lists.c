/* watcher: active, head and full sweeps and walks, which of them answers what left. */
#include "watcher_bench.h"

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
        char next[12] = "";
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
        char next[12] = "";
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
        char next[12];
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

/* A cursor that has expired stays so: the list is read again from its first page, an active sweep's from the queued one. */
static void test_an_expired_cursor_is_not_asked_again(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    assert_string_equal(ask(&bench), QUEUED);
    unsigned active = bench.request.slot;
    assert_string_equal(ask(&bench), "");
    answer(&bench, 200, many(0, 1, "processing", "old"));
    assert_string_equal(ask(&bench), "?page%5Bcursor%5D=old");
    answer(&bench, 400, "");
    assert_string_equal(ask(&bench), "");
    answer(&bench, 200, many(0, 1, "processing", "new"));
    assert_string_equal(ask(&bench), "?page%5Bcursor%5D=new");
    answer(&bench, 200, many(2, 3, "processing", ""));
    expect_told(&bench, "watch.started");

    answer_slot(&bench, active, 200, EMPTY);
    assert_string_equal(ask(&bench), PROCESSING);
    answer(&bench, 200, many(0, 1, "processing", "old"));
    assert_string_equal(ask(&bench), PROCESSING "&page%5Bcursor%5D=old");
    answer(&bench, 404, "");
    assert_string_equal(ask(&bench), QUEUED);
    answer(&bench, 200, EMPTY);
    assert_string_equal(ask(&bench), PROCESSING);
    answer(&bench, 200, many(0, 3, "processing", ""));
    assert_string_equal(ask(&bench), "wait"); /* none of them is missing */
    expect_told(&bench, "");
    tear_down(&bench);
}

/* Where every cursor expires, the sweep is given up after the third new beginning, and that is said. */
static void test_cursors_that_all_expire_end_the_sweep(void **state)
{
    (void)state;
    struct bench bench;
    set_up(&bench, "main");
    assert_string_equal(ask(&bench), QUEUED); /* never answered */
    for (int i = 0; i < 4; i++) {
        expect_told(&bench, "");
        char next[12], url[40];
        snprintf(next, sizeof next, "%d", i);
        snprintf(url, sizeof url, "?page%%5Bcursor%%5D=%d", i);
        assert_string_equal(ask(&bench), "");
        answer(&bench, 200, many(0, 1, "processing", next));
        assert_string_equal(ask(&bench), url);
        answer(&bench, 400, "");
    }
    expect_told(&bench, "api.schema");
    assert_string_equal(ask(&bench), "wait");
    assert_false(watcher_is_sweeping(bench.watcher));
    bench.now += 60000; /* a tenth of its interval later it is tried again */
    assert_string_equal(ask(&bench), "");
    tear_down(&bench);
}

/* A list with an entry that is no job may be short of any: who is missing from it is neither looked at nor gone. */
static void test_a_list_with_a_malformed_entry_shows_nobody_absent(void **state)
{
    (void)state;
    static const char odd[] = "{\"data\":[7]}";
    static const char both[] =
        "{\"data\":[{\"type\":\"" TYPE
        "\",\"id\":\"J5\",\"attributes\":{\"status\":\"processing\"}},{\"type\":\"" TYPE
        "\",\"id\":\"J6\",\"attributes\":{\"status\":\"complete\"}}]}";
    struct bench bench;
    set_up(&bench, "main");
    assert_string_equal(ask(&bench), QUEUED);
    unsigned active = bench.request.slot;
    assert_string_equal(ask(&bench), "");
    answer(&bench, 200, both);
    answer_slot(&bench, active, 200, EMPTY);
    assert_string_equal(ask(&bench), PROCESSING);
    answer(&bench, 200, list_of("J5", "processing", 0, 0));
    expect_told(&bench, "watch.started");
    struct job_table *table = watcher_table(bench.watcher);

    active_sweep(&bench, odd);
    expect_told(&bench, "api.schema");
    assert_string_equal(ask(&bench), "wait");
    assert_int_equal(job_table_find(table, "J5")->look, 0);

    bench.now += 600000;
    assert_string_equal(ask(&bench), QUEUED);
    active = bench.request.slot;
    assert_string_equal(ask(&bench), "");
    answer(&bench, 200, odd);
    assert_string_equal(ask(&bench), ""); /* the head page, never answered: no job was out of order */
    assert_string_equal(ask(&bench), "wait");
    assert_int_equal(job_table_find(table, "J5")->look, 0);
    assert_true(job_table_find(table, "J6")->gone_at.ms == MONO_NEVER.ms);

    /* Whole lists that lack them mean it. */
    answer_slot(&bench, active, 200, EMPTY);
    assert_string_equal(ask(&bench), PROCESSING);
    answer(&bench, 200, EMPTY);
    assert_string_equal(ask(&bench), "/J5");
    answer(&bench, 404, "{}");
    expect_told(&bench, "job.vanished");
    active_sweep(&bench, EMPTY);
    bench.now += 590000;
    assert_string_equal(ask(&bench), QUEUED);
    assert_string_equal(ask(&bench), "");
    answer(&bench, 200, EMPTY);
    assert_int_equal(job_table_find(table, "J6")->gone_at.ms, bench.now);
    tear_down(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_that_left_are_answered_by_the_list),
        cmocka_unit_test(test_those_that_leave_behind_a_head_sweep_are_answered_by_the_next),
        cmocka_unit_test(test_walks_take_the_place_of_active_sweeps),
        cmocka_unit_test(test_a_list_out_of_order_is_not_walked),
        cmocka_unit_test(test_sweeps_do_not_make_each_other_stale),
        cmocka_unit_test(test_a_slow_sweep_survives_an_error),
        cmocka_unit_test(test_an_expired_cursor_is_not_asked_again),
        cmocka_unit_test(test_cursors_that_all_expire_end_the_sweep),
        cmocka_unit_test(test_a_list_with_a_malformed_entry_shows_nobody_absent),
    };
    return cmocka_run_group_tests_name("watcher_lists", tests, NULL, NULL);
}
