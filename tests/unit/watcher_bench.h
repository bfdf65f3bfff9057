/*
 * watcher_bench: a watcher on a bench, for tests to hand it answers in virtual time and see what it asks for and tells. The
 * test frees it by tear_down(); nothing else is owned by the test.
 */
#ifndef TESTS_WATCHER_BENCH_H
#define TESTS_WATCHER_BENCH_H

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

static inline void set_up_family(struct bench *bench, const char *account, const struct family *of)
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

static inline void set_up(struct bench *bench, const char *account)
{
    set_up_family(bench, account, &family);
}

static inline void tear_down(struct bench *bench)
{
    watcher_free(bench->watcher);
}

/* The next request's URL behind the path, or "wait". */
static inline const char *ask(struct bench *bench)
{
    static char text[300];
    mono_time at;
    if (!watcher_next(bench->watcher, (mono_time){bench->now}, &bench->request, &at))
        return "wait";
    snprintf(text, sizeof text, "%s", bench->request.url + strlen("https://a.klaviyo.com/api/" TYPE "s"));
    free(bench->request.url);
    return text;
}

static inline void note_events(struct bench *bench, struct batch *batch)
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

static inline void answer_slot(struct bench *bench, unsigned slot, int status, const char *body)
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

static inline void answer(struct bench *bench, int status, const char *body)
{
    answer_slot(bench, bench->request.slot, status, body);
}

static inline void expect_told(struct bench *bench, const char *kinds)
{
    assert_string_equal(bench->told, kinds);
    bench->told[0] = '\0';
}

#define EMPTY "{\"data\":[]}"

static inline const char *list_of(const char *id, const char *status, int completed, int failed)
{
    static char text[400];
    snprintf(text, sizeof text,
             "{\"data\":[{\"type\":\"" TYPE
             "\",\"id\":\"%s\",\"attributes\":{\"status\":\"%s\",\"total_count\":9,"
             "\"completed_count\":%d,\"failed_count\":%d}}]}",
             id, status, completed, failed);
    return text;
}

static inline const char *one(const char *id, const char *status, int completed, int failed)
{
    static char text[600];
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
static inline void start(struct bench *bench, const char *all)
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

static inline void active_sweep(struct bench *bench, const char *processing)
{
    bench->now += 10000;
    assert_string_equal(ask(bench), QUEUED);
    answer(bench, 200, EMPTY);
    assert_string_equal(ask(bench), PROCESSING);
    answer(bench, 200, processing);
}

#endif
