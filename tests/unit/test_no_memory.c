/*
 * The core without memory: in each of these scenes every call of ours that takes memory fails in turn, once alone and once
 * with all after it. What is asked for comes whole or is refused; nothing is half done. That nothing leaks is for the
 * sanitizers and valgrind, which run this too. And how often it takes memory where it should not.
 *
 * The linker puts the functions below in front of the real ones (see the Makefile), for our own calls only: what the
 * libraries do without memory is tested with the whole daemon, tests/torture/test_memory.py.
 */
#include "unit.h"

#include "../../lib/account_health.h"
#include "../../lib/config.h"
#include "../../lib/heartbeat.h"
#include "../../lib/job_diff.h"
#include "../../lib/page_decode.h"
#include "../../lib/render.h"
#include "../../lib/render_formats.h"
#include "../../lib/request.h"
#include "../../lib/signature.h"
#include "../../lib/template.h"

#include <confuse.h>
#include <json.h>
#include <openssl/evp.h>

#include <stdio.h>
#include <stdlib.h>

#define TYPE "catalog-category-bulk-delete-job"

/* ---- allocations that fail when told ---- */

static size_t countdown; /* the allocation that fails; 0: none */
static bool and_all_after;
static bool failed;
static size_t taken; /* how often memory was asked for */

static bool fails(void)
{
    taken++;
    if (countdown != 1) {
        countdown -= countdown > 0;
        return false;
    }
    failed = true;
    countdown = and_all_after;
    return true;
}

/* What the real function returns when it cannot, in place of its result. */
#define FAILING_WITH(failure, type, name, parameters, arguments)                                             \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        return fails() ? (failure) : __real_##name arguments;                                                \
    }
#define FAILING(type, name, parameters, arguments) FAILING_WITH(NULL, type, name, parameters, arguments)
FAILING(void *, malloc, (size_t size), (size))
FAILING(void *, calloc, (size_t n, size_t size), (n, size))
FAILING(void *, realloc, (void *at, size_t size), (at, size))
FAILING(void *, reallocarray, (void *at, size_t n, size_t size), (at, n, size))
FAILING(char *, strdup, (const char *text), (text))
FAILING(char *, strndup, (const char *text, size_t len), (text, len))
FAILING(FILE *, fmemopen, (void *buf, size_t size, const char *mode), (buf, size, mode))
FAILING(cfg_t *, cfg_init, (cfg_opt_t * options, cfg_flag_t flags), (options, flags))
FAILING(struct json_object *, json_object_new_object, (void), ())
FAILING(struct json_object *, json_object_new_array, (void), ())
FAILING(struct json_object *, json_object_new_string, (const char *text), (text))
FAILING(struct json_object *, json_object_new_string_len, (const char *text, const int len), (text, len))
FAILING(struct json_object *, json_object_new_int64, (int64_t number), (number))
FAILING(struct json_object *, json_object_new_boolean, (json_bool truth), (truth))
FAILING(const char *, json_object_to_json_string_length, (struct json_object * json, int flags, size_t *len),
        (json, flags, len))
FAILING_WITH(-1, int, json_object_object_add_ex,
             (struct json_object * json, const char *key, struct json_object *member, unsigned flags),
             (json, key, member, flags))
FAILING_WITH(-1, int, json_object_array_add, (struct json_object * array, struct json_object *item),
             (array, item))
FAILING(struct json_tokener *, json_tokener_new_ex, (int depth), (depth))
FAILING(struct printbuf *, printbuf_new, (void), ())
/* Once for each byte of an URL: in the scene of the URLs only. */
static bool appending_fails;
int __real_printbuf_memappend(struct printbuf *buf, const char *text, int len);
int __wrap_printbuf_memappend(struct printbuf *buf, const char *text, int len);
int __wrap_printbuf_memappend(struct printbuf *buf, const char *text, int len)
{
    return appending_fails && fails() ? -1 : __real_printbuf_memappend(buf, text, len);
}
FAILING(EVP_MD_CTX *, EVP_MD_CTX_new, (void), ())
FAILING_WITH(0, int, EVP_DigestInit_ex, (EVP_MD_CTX * ctx, const EVP_MD *type, ENGINE *engine),
             (ctx, type, engine))
FAILING_WITH(0, int, EVP_DigestUpdate, (EVP_MD_CTX * ctx, const void *bytes, size_t len), (ctx, bytes, len))
FAILING_WITH(0, int, EVP_DigestFinal_ex, (EVP_MD_CTX * ctx, unsigned char *out, unsigned *len),
             (ctx, out, len))
FAILING(EVP_MAC *, EVP_MAC_fetch, (OSSL_LIB_CTX * library, const char *name, const char *wanted),
        (library, name, wanted))
FAILING(EVP_MAC_CTX *, EVP_MAC_CTX_new, (EVP_MAC * mac), (mac))
FAILING_WITH(0, int, EVP_MAC_init,
             (EVP_MAC_CTX * ctx, const unsigned char *key, size_t len, const OSSL_PARAM params[]),
             (ctx, key, len, params))
FAILING_WITH(0, int, EVP_MAC_update, (EVP_MAC_CTX * ctx, const unsigned char *bytes, size_t len),
             (ctx, bytes, len))
FAILING_WITH(0, int, EVP_MAC_final, (EVP_MAC_CTX * ctx, unsigned char *out, size_t *len, size_t size),
             (ctx, out, len, size))
/* A build with _FORTIFY_SOURCE calls other functions in place of the next two. */
FAILING_WITH(-1, int, vasprintf, (char **out, const char *format, va_list args), (out, format, args))
int __wrap_asprintf(char **out, const char *format, ...);
int __wrap_asprintf(char **out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = __wrap_vasprintf(out, format, args);
    va_end(args);
    return len;
}

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
    struct event *events[] = {make_event(EVENT_JOB_COMPLETED_WITH_FAILURES),
                              make_event(EVENT_API_UNREACHABLE)};
    const size_t n_events = sizeof events / sizeof *events;
    struct journal_field fields[RENDER_MAX_FIELDS];
    bool got = template && events[0] && events[1];
    if (got) {
        const struct event *const *all = (const struct event *const *)events;
        size_t n = render_journal(events[0], fields);
        const bool each[] = {render_all(all, 1, template),   render_all(all, n_events, template),
                             fine(render_line(events[0])),   fine(render_json_line(events[0])),
                             fine(render_errors(events[0])), n > 0};
        for (size_t i = 0; i < sizeof each / sizeof *each; i++)
            got = got && each[i];
        journal_fields_finish(fields, n);
    }
    for (size_t i = 0; i < n_events; i++)
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

static bool scene_urls(void)
{
    static const struct request_base base = {"https://h", "2022-10-17"};
    static const struct family listed = {
        .type = "t", .path = "/p", .scope = "", .fields = "status", .sort = "-created_at", .page_size = 9};
    appending_fails = true;
    char *list = request_list_url(&base, &listed, SWEEP_HEAD, LIST_QUEUED, "c");
    char *job = request_job_url(&base, &listed, "..");
    appending_fails = false;
    if (list)
        assert_string_equal(
            list, "https://h/p/?filter=equals%28status%2C%22queued%22%29&fields%5Bt%5D=job_id,status&"
                  "sort=-created_at&page%5Bsize%5D=9&page%5Bcursor%5D=c");
    if (job)
        assert_string_equal(job, "https://h/p/%2E%2E/");
    bool got = list && job;
    free(list);
    free(job);
    return got;
}

static bool scene_heartbeat(void)
{
    return fine(heartbeat_url("https://h/uuid/?a=b", false)) && fine(heartbeat_url("https://h/uuid", true));
}

static bool scene_config(void)
{
    static const char text[] =
        "api-url = \"https://a.klaviyo.com/\"  revision = \"2026-07-15\"\n"
        "family \"some-new-bulk-job\" { path = \"/api/some-new-bulk-jobs/\"  burst = 75  steady = 750 }\n"
        "account \"main\" { jobs = { \"catalog-item-*\", \"some-new-bulk-job\" }  api-key-file = \"/k\" }\n"
        "alerts { stalled-after = 0 }\n"
        "webhook \"ops\" { url = \"https://h/\"  secret-file = \"/s\"  events = { \"job.*\" }\n"
        "  headers = { \"X-Team: ops\" } }\n"
        "heartbeat { url = \"https://h/uuid\" }\n";
    struct config_errors errors = {0};
    struct config *config = config_parse(text, "f.conf", &errors);
    bool got = config != NULL;
    if (config) {
        assert_null(errors.text);
        assert_string_equal(config->api_url, "https://a.klaviyo.com");
        assert_string_equal(config->own[0].path, "/api/some-new-bulk-jobs");
        assert_int_equal(config->accounts[0].n_families, 4);
        assert_string_equal(config->accounts[0].api_key_file, "/k");
        assert_string_equal(config->webhooks[0].secret_file, "/s");
        assert_int_equal(config->webhooks[0].events.n, 1);
        assert_string_equal(config->webhooks[0].headers[0].value, "ops");
        assert_string_equal(config->heartbeat.url, "https://h/uuid");
    }
    free(errors.text);
    config_free(config);
    return got;
}

/* A mistake is refused without memory too, though perhaps without a word. */
static bool scene_bad_config(void)
{
    static const char text[] = "account \"main\" { intervall = 5s }\nwebhook \"w\" { format = slick }\n";
    struct config_errors errors = {0};
    assert_null(config_parse(text, "f.conf", &errors));
    return fine(errors.text);
}

/* ---- many jobs ---- */

/* other: a status word that is not known; NULL: it is processing. */
static bool observe(struct job_table *table, int number, const char *other, bool has_baseline)
{
    char id[16];
    const char *word = other ? other : "processing";
    struct diff diff;
    snprintf(id, sizeof id, "JOB-%d", number);
    const struct job seen = {.id = id,
                             .status = other ? JOB_OTHER : JOB_PROCESSING,
                             .status_word = word,
                             .counts = {9, 1, 0, COUNT_NONE},
                             .created_at = WALL_NONE,
                             .completed_at = WALL_NONE,
                             .expires_at = WALL_NONE};
    const struct diff_context context = {.rules = &alert_rules_default,
                                         .source = SOURCE_LOOK,
                                         .has_baseline = has_baseline,
                                         .baseline_at = WALL_NONE};
    const struct known_job *known = job_table_find(table, id);
    const char *was = known ? known_status_word(known) : NULL;
    char before[JOB_STATUS_MAX + 1];
    snprintf(before, sizeof before, "%s", was ? was : "");
    size_t active = job_table_active_count(table), count = job_table_count(table);
    if (job_diff(table, &seen, &context, &diff)) {
        assert_string_equal(known_status_word(job_table_find(table, id)), word);
        return true;
    }
    /* Nothing has changed. */
    known = job_table_find(table, id);
    assert_int_equal(known != NULL, was != NULL);
    if (known)
        assert_string_equal(known_status_word(known), before);
    assert_int_equal(job_table_active_count(table), active);
    assert_int_equal(job_table_count(table), count);
    return false;
}

static bool scene_jobs(void)
{
    static const char long_word[] = "a_word_that_needs_much_more_room_than_a_record_has";
    static const struct {
        int from, n;
        bool other, baseline;
    } turns[] = {
        {0, 800, false, true}, {0, 800, true, true},    {5000, 900, false, true},
        {0, 800, false, true}, {8000, 400, true, true}, {9000, 400, true, false},
    };
    struct job_table *table = job_table_new(1);
    bool got = table != NULL;
    for (size_t t = 0; got && t < sizeof turns / sizeof *turns; t++) {
        for (int i = 0; got && i < turns[t].n; i++)
            got = observe(table, turns[t].from + i, turns[t].other ? long_word : NULL, turns[t].baseline);
    }
    job_table_free(table);
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
        bool outage = turn >= 33 && turn <= 35;
        struct watcher_answer answer = {.status = outage           ? 0
                                                  : turn % 11 == 7 ? 503
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

static const struct watcher_options watcher_options = {
    .account = "main",
    .family = &family,
    .base = {"https://a.klaviyo.com", "2026-07-15"},
    .rules = &alert_rules_default,
    .plan = {.interval = 10000, .idle_interval = 60000, .full_sweep_interval = 60000},
    .limits = {100, 1000, 0.5},
    .retention = 30000,
};

static bool scene_watch(void)
{
    struct alert_rules rules = alert_rules_default;
    struct account_health health = {0};
    struct now now = {{1000000}, {1795510800000}};
    struct watcher_options options = watcher_options;
    options.rules = &rules;
    options.detail_timeout = 10000;
    rules.job_created = true;
    struct watcher *watcher = watcher_new(&options, now.mono);
    bool got = watcher && watcher_want_errors(watcher, "A");
    for (int turn = 0; got && turn < 40; turn++) {
        now.mono.ms += 10000 + (turn == 30 || turn == 35 ? 1000000 : 0);
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

/* A budget that cannot note one more end sends nothing until the one that it forgot in its place counts no longer. */
static void test_a_full_ledger_holds_the_window(void **state)
{
    (void)state;
    struct budget_limits limits = {100, 20, 0.5};
    struct budget *budget = budget_new(&limits);
    assert_non_null(budget);
    for (int64_t i = 0; i < 20; i++) {
        assert_true(budget_when(budget, (mono_time){1000 + i}).ms <= 1000 + i);
        budget_spend(budget, (mono_time){1000 + i});
        failed = false;
        countdown = 1;
        budget_done(budget, (mono_time){1000 + i}, 200, NULL);
        countdown = 0;
        if (failed)
            break;
    }
    assert_true(failed);
    assert_int_equal(budget_when(budget, (mono_time){1100}).ms, 1000 + 60001);
    budget_free(budget);
}

/* ---- what unchanged jobs cost ---- */

#define MANY_JOBS 100

/* Calls of ours that take memory, in the answers of one sweep of unchanged jobs. */
struct cost {
    size_t same;   /* a full sweep whose pages came before just so */
    size_t read;   /* one whose pages are other bytes with the same jobs */
    size_t active; /* an active sweep, which is always read */
};

/* Every second job is in progress; blank: behind it, so that it is not the same page. */
static const char *list_body(int n, bool active, bool goes_on, const char *blank)
{
    static char text[MANY_JOBS * 160];
    size_t used = (size_t)snprintf(text, sizeof text, "{\"data\":[");
    for (int i = 0; i < n; i += active ? 2 : 1)
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "%s{\"type\":\"" TYPE "\",\"id\":\"J%d\",\"attributes\":{\"status\":\"%s\","
                                 "\"total_count\":9,\"completed_count\":3,\"failed_count\":1}}",
                                 i ? "," : "", i, i % 2 ? "complete" : "processing");
    snprintf(text + used, sizeof text - used, "]%s}%s",
             goes_on ? ",\"links\":{\"next\":\"/x?page[cursor]=2\"}" : "", blank);
    return text;
}

/* The full list is a page of n jobs and an empty one. */
static const char *body_for(const char *url, int n, const char *blank)
{
    if (strstr(url, "queued") || strstr(url, "cursor"))
        return list_body(0, false, false, blank);
    bool active = strstr(url, "processing");
    return list_body(n, active, !active, blank);
}

static void sweep_once(struct watcher *watcher, int64_t now, int n, const char *blank, size_t *ret_full,
                       size_t *ret_active)
{
    struct watcher_request request;
    mono_time at;
    *ret_full = *ret_active = 0;
    while (watcher_next(watcher, (mono_time){now}, &request, &at)) {
        const char *body = body_for(request.url, n, blank);
        struct batch batch = {0};
        struct watcher_answer answer = {.status = 200,
                                        .error = "",
                                        .body = body,
                                        .body_len = strlen(body),
                                        .rate = {-1, -1, -1, -1},
                                        .server_now = {1795510800000 + now}};
        size_t before = taken;
        assert_true(watcher_answer(watcher, request.slot, &answer, (struct now){{now}, {1795510800000 + now}},
                                   1, &batch));
        *(strstr(request.url, "filter") ? ret_active : ret_full) += taken - before;
        /* Nor has the store anything to write of them. */
        assert_true(now == 0 || (batch.n_items == 0 && batch.n_jobs == 0));
        batch_finish(&batch);
        free(request.url);
    }
}

static struct cost cost_of(int n)
{
    struct cost cost;
    size_t full, active;
    struct watcher *watcher = watcher_new(&watcher_options, (mono_time){0});
    assert_non_null(watcher);
    sweep_once(watcher, 0, n, "", &full, &active);
    sweep_once(watcher, 60000, n, "", &cost.same, &active);
    sweep_once(watcher, 120000, n, " ", &cost.read, &cost.active);
    assert_int_equal(job_table_count(watcher_table(watcher)), n);
    watcher_free(watcher);
    return cost;
}

/*
 * A page takes memory for the parser, its arrays and its cursor, however many jobs are on it; one that came before just
 * so for the next cursor alone, and the parser is not asked. What json-c takes inside is not counted here.
 */
static void test_unchanged_jobs_take_no_memory(void **state)
{
    (void)state;
    struct cost few = cost_of(4), many = cost_of(MANY_JOBS);
    print_message("a sweep of unchanged jobs takes memory %zu times, %zu when it is read again, an active "
                  "one %zu times\n",
                  many.same, many.read, many.active);
    assert_int_equal(many.same, few.same);
    assert_int_equal(many.read, few.read);
    assert_int_equal(many.active, few.active);
    assert_int_equal(many.same, 2);
    assert_int_equal(many.read, 12);
    assert_int_equal(many.active, 8);
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
SCENE(urls)
SCENE(heartbeat)
SCENE(config)
SCENE(bad_config)
SCENE(jobs)
SCENE(watch)
SCENE(budget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_bad_template),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_bad_config),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_a_full_ledger_holds_the_window),
        cmocka_unit_test(test_unchanged_jobs_take_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
