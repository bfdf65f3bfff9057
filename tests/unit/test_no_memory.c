/*
 * The core without memory: in each of these scenes every allocation of ours fails in turn, once alone and once with all
 * after it. What is asked for comes whole or is refused; nothing is half done. That nothing leaks is for the sanitizers
 * and valgrind, which run this too.
 *
 * Not so the reading of the configuration: libConfuse ends the process when a default value cannot be kept. The linker puts the functions below in front of the real ones (see the Makefile), for our own calls only: what the
 * libraries do without memory is tested with the whole daemon, tests/torture/test_memory.py.
 */
#include "unit.h"

#include "../../lib/account_health.h"
#include "../../lib/page_decode.h"
#include "../../lib/render.h"
#include "../../lib/render_formats.h"
#include "../../lib/signature.h"
#include "../../lib/template.h"

#include <json.h>
#include <openssl/evp.h>

#include <stdio.h>
#include <stdlib.h>

#define TYPE "catalog-category-bulk-delete-job"

/* ---- allocations that fail when told ---- */

static size_t countdown; /* the allocation that fails; 0: none */
static bool and_all_after;
static bool failed;

static bool fails(void)
{
    if (countdown != 1) {
        countdown -= countdown > 0;
        return false;
    }
    failed = true;
    countdown = and_all_after;
    return true;
}

/* NULL in place of the real function's result. */
#define FAILING(type, name, parameters, arguments)                                                           \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        return fails() ? NULL : __real_##name arguments;                                                     \
    }
FAILING(void *, malloc, (size_t size), (size))
FAILING(void *, calloc, (size_t n, size_t size), (n, size))
FAILING(void *, realloc, (void *at, size_t size), (at, size))
FAILING(void *, reallocarray, (void *at, size_t n, size_t size), (at, n, size))
FAILING(char *, strdup, (const char *text), (text))
FAILING(char *, strndup, (const char *text, size_t len), (text, len))
FAILING(struct json_object *, json_object_new_object, (void), ())
FAILING(struct json_object *, json_object_new_array, (void), ())
FAILING(struct json_object *, json_object_new_string, (const char *text), (text))
FAILING(struct json_object *, json_object_new_int64, (int64_t number), (number))
FAILING(struct json_object *, json_object_new_boolean, (json_bool truth), (truth))
FAILING(struct json_tokener *, json_tokener_new, (void), ())
FAILING(EVP_MD_CTX *, EVP_MD_CTX_new, (void), ())

/* Plays a scene with its 1st, 2nd, … allocation failing, until none does; without a failure it gets all it asked for. */
static void each_allocation(bool (*scene)(void), const char *name)
{
    size_t plays = 0;
    for (int all = 0; all <= 1; all++) {
        failed = true;
        for (size_t n = 1; failed; n++, plays++) {
            countdown = n;
            and_all_after = all;
            failed = false;
            bool got = scene();
            countdown = 0;
            if (!failed && !got)
                fail_msg("%s gets nothing though no allocation fails", name);
        }
    }
    printf("%s: %zu plays\n", name, plays);
}

/* ---- scenes ---- */

static const char full_page[] =
    "{\"data\":[{\"type\":\"" TYPE
    "\",\"id\":\"A\",\"attributes\":{\"status\":\"processing\",\"total_count\":9,"
    "\"completed_count\":3,\"failed_count\":1,\"created_at\":\"2026-11-24T08:00:00Z\",\"errors\":[{\"code\":"
    "\"c\",\"title\":\"t\","
    "\"detail\":\"d\\u0000d\",\"source\":{\"pointer\":\"/p\"}}]}},{\"type\":\"" TYPE
    "\",\"id\":\"B\",\"attributes\":{"
    "\"status\":\"paused\",\"total_count\":1}},7],\"links\":{\"next\":\"https://h/"
    "x?page%5Bcursor%5D=abc%20d\"}}";

static bool scene_pages(void)
{
    struct page page;
    char why[64];
    enum page_result list = page_decode_list(full_page, sizeof full_page - 1, TYPE, &page);
    bool got = list == PAGE_OK && page.n_jobs == 2 && page.n_malformed == 1;
    assert_true(got || list != PAGE_OK);
    page_finish(&page);
    static const char error[] = "{\"errors\":[{\"title\":\"no\",\"detail\":\"why\"}]}";
    api_error_text(error, sizeof error - 1, why, sizeof why);
    return got;
}

static struct event *make_event(enum event_kind kind)
{
    static const struct job_error errors[] = {{"c", "t", "d <b> * \x01", "/p"}, {"c2", "t2", "d2", ""}};
    struct job job = {.id = "01ID",
                      .status = JOB_COMPLETE,
                      .status_word = "complete",
                      .counts = {9, 7, 2, 0},
                      .created_at = {1},
                      .completed_at = {2},
                      .expires_at = {3},
                      .errors = errors,
                      .n_errors = 2,
                      .more_errors = 3};
    struct event *event = event_new(kind, (wall_time){1795510800123}, "main", TYPE, &job, "d");
    if (event && event_set_note(event, "note", 7) && event_set_previous(event, "processing", 5, 1))
        return event;
    event_free(event);
    return NULL;
}

/* A rendered text is all or nothing. */
static bool fine(char *text)
{
    bool got = text != NULL;
    free(text);
    return got;
}

static bool render_all(const struct event *const events[], size_t n, const struct template *template)
{
    struct render_context context = {.template = template, .url = "https://h/topic", .routing_key = "k"};
    bool got = true;
    for (enum webhook_format format = 0; format < N_WEBHOOK_FORMATS; format++) {
        char id[MESSAGE_ID_SIZE];
        size_t most = format_group_limit(format) < n ? format_group_limit(format) : n;
        got &= fine(render_webhook(format, &context, events, most, NULL));
        got &= fine(format_url(format, context.url));
        got &= format_message_id(events, most, id);
    }
    return got;
}

static bool scene_render(void)
{
    static const char text[] = "{\"t\": \"{{message}}\", \"e\": \"{{job.id}}\"}";
    char *error = NULL;
    struct template *template = template_parse(text, sizeof text - 1, "t", &error);
    struct event *events[] = {make_event(EVENT_JOB_COMPLETED_WITH_FAILURES), make_event(EVENT_JOB_STALLED),
                              make_event(EVENT_API_UNREACHABLE)};
    struct journal_field fields[RENDER_MAX_FIELDS];
    bool got = template && events[0] && events[1] && events[2];
    if (got) {
        const struct event *const *all = (const struct event *const *)events;
        size_t n = render_journal(events[0], fields);
        const bool each[] = {render_all(all, 1, template),   render_all(all, 3, template),
                             fine(render_line(events[0])),   fine(render_json_line(events[0])),
                             fine(render_errors(events[0])), n > 0};
        for (size_t i = 0; i < sizeof each / sizeof *each; i++)
            got = got && each[i];
        journal_fields_finish(fields, n);
    }
    for (size_t i = 0; i < 3; i++)
        event_free(events[i]);
    template_free(template);
    free(error);
    return got;
}

static bool scene_bad_template(void)
{
    char *error = NULL;
    struct template *template = template_parse("{{mesage}}", 10, "t", &error);
    bool got = !template && error;
    assert_null(template);
    free(error);
    return got;
}

static bool scene_signature(void)
{
    static const char secrets[] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    struct signature_keys keys;
    const char *why;
    char out[SIGNATURE_SIZE];
    bool got = signature_keys_parse(secrets, sizeof secrets - 1, &keys, &why) &&
               signature_make(&keys, "evt_1", 1, "body", 4, out);
    signature_keys_wipe(&keys);
    return got;
}

/* ---- a whole life of a watch ---- */

static const struct family family = {.type = TYPE,
                                     .path = "/api/" TYPE "s",
                                     .burst = 100,
                                     .steady = 1000,
                                     .scope = "",
                                     .fields = "status",
                                     .sort = "-created_at",
                                     .page_size = 100,
                                     .has_errors = true};

static const char *body_of(int turn, bool look)
{
    static char text[800];
    static const char *const states[] = {"queued",     "processing", "processing", "paused",
                                         "processing", "complete",   "processing"};
    int n = turn % 7;
    char jobs[600];
    snprintf(jobs, sizeof jobs,
             "{\"type\":\"" TYPE
             "\",\"id\":\"A\",\"attributes\":{\"status\":\"%s\",\"total_count\":9,\"completed_count\":%d,"
             "\"failed_count\":%d,\"expires_at\":\"2026-11-24T20:00:00Z\",\"errors\":[{\"title\":\"t\"}]}}",
             states[n], n, n / 2);
    snprintf(text, sizeof text, look ? "{\"data\":%s}" : "{\"data\":[%s]}", jobs);
    if (!look && turn % 5 == 4)
        snprintf(text, sizeof text,
                 "{\"data\":[{\"type\":\"" TYPE
                 "\",\"id\":\"N%d\",\"attributes\":{\"status\":\"processing\"}},7]}",
                 turn);
    return text;
}

/* False: it said that memory is short, and is given up, as its header says. */
static bool turn_once(struct watcher *watcher, struct account_health *health, struct now now, int turn)
{
    struct watcher_request request;
    struct batch batch = {0};
    mono_time at;
    bool got = true;
    while (got && watcher_next(watcher, now.mono, &request, &at)) {
        bool look = strstr(request.url, "s/") != NULL;
        const char *body = body_of(turn, look);
        struct watcher_answer answer = {.status = turn % 11 == 7   ? 503
                                                  : turn % 13 == 9 ? 404
                                                  : turn == 20     ? 401
                                                                   : 200,
                                        .error = "",
                                        .body = body,
                                        .body_len = strlen(body),
                                        .rate = {-1, -1, -1, -1},
                                        .server_now = now.wall};
        got = watcher_answer(watcher, request.slot, &answer, now, UINT64_MAX, &batch) &&
              account_health_check(health, "main", &watcher, 1, &alert_rules_default, now, &batch);
        free(request.url);
    }
    batch_finish(&batch);
    return got;
}

static bool scene_watch(void)
{
    struct alert_rules rules = alert_rules_default;
    struct account_health health = {0};
    struct now now = {{1000000}, {1795510800000}};
    struct watcher_options options = {
        .account = "main",
        .family = &family,
        .base = {"https://a.klaviyo.com", "2026-07-15"},
        .rules = &rules,
        .plan = {.interval = 10000, .idle_interval = 60000, .full_sweep_interval = 60000},
        .limits = {100, 1000, 0.5},
        .detail_timeout = 10000,
        .retention = 30000,
    };
    rules.job_created = true;
    struct watcher *watcher = watcher_new(&options, now.mono);
    bool got = watcher && watcher_want_errors(watcher, "A");
    for (int turn = 0; got && turn < 40; turn++) {
        now.mono.ms += 10000 + (turn == 30 ? 1000000 : 0);
        now.wall.ms += 10000;
        got = turn_once(watcher, &health, now, turn);
        /* Short of memory without an answer in hand, it asks later; so it may have got all the same. */
        if (turn == 25)
            got = got && watcher_set_options(watcher, &options, now.mono);
    }
    watcher_free(watcher);
    return got || failed;
}

static bool scene_budget(void)
{
    struct budget_limits limits = {10, 100, 0.5}, more = {20, 300, 0.5};
    struct budget *budget = budget_new(&limits);
    mono_time times[200];
    bool got = budget != NULL;
    for (int i = 0; got && i < 10; i++) {
        budget_spend(budget, (mono_time){1000});
        budget_done(budget, (mono_time){1001 + i}, 200, NULL);
    }
    if (got) {
        size_t n = budget_export(budget, (mono_time){2000}, 5, times, 200);
        struct budget *next = budget_new(&more);
        got = budget_set_limits(budget, &more);
        got = next && budget_import(next, (mono_time){2000}, times, n) && got;
        budget_free(next);
    }
    budget_free(budget);
    return got;
}

#define SCENE(name)                                                                                          \
    static void test_##name(void **state)                                                                    \
    {                                                                                                        \
        (void)state;                                                                                         \
        each_allocation(scene_##name, #name);                                                                \
    }
SCENE(pages)
SCENE(render)
SCENE(bad_template)
SCENE(signature)
SCENE(watch)
SCENE(budget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),     cmocka_unit_test(test_render), cmocka_unit_test(test_bad_template),
        cmocka_unit_test(test_signature), cmocka_unit_test(test_watch),  cmocka_unit_test(test_budget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
