/*
 * known_pages: pages that come again are not read again, and nobody can tell. Two watchers see the same random account;
 * one of them gets every answer with blanks behind it, never the same twice, so that it has to read all pages. At each
 * step both must ask for the same, tell the same and know the same.
 */
#include "unit.h"

#include "../../lib/watcher.h"

#include <stdio.h>
#include <stdlib.h>

#define TYPE      "catalog-category-bulk-delete-job"
#define MAX_JOBS  24
#define PAGE_SIZE 4
#define N_PAGES   (MAX_JOBS + 8)
#define BODY_SIZE 8192
#define WORLDS    250
#define STEPS     600

static const struct family family = {
    .type = TYPE, .path = "/jobs", .burst = 1000, .steady = 4000, .scope = "", .fields = "", .sort = ""};

/* ---- the module ---- */

static struct page page_of(struct job *jobs, size_t n, char *next)
{
    return (struct page){
        .jobs = jobs, .n_jobs = n, .next = next ? NEXT_CURSOR : NEXT_NONE, .next_cursor = next};
}

static void test_a_page_is_known_by_its_bytes_and_its_jobs(void **state)
{
    (void)state;
    struct known_pages pages = {0};
    struct page_digest digest = page_digest("abc", 3, "rules"), other = page_digest("abd", 3, "rules"),
                       ruled = page_digest("abc", 3, "other rules");
    struct job jobs[2] = {{.created_at = {20}}, {.created_at = {10}}};
    struct page page = page_of(jobs, 2, "next");
    assert_null(known_pages_same(&pages, 3, &digest));
    assert_true(known_pages_join(&pages, 3) && known_pages_remember(&pages, 3, &digest, &page, 7));
    assert_null(known_pages_same(&pages, 3, &digest)); /* one of its two jobs stands elsewhere */
    assert_true(known_pages_join(&pages, 3));
    const struct known_page *known = known_pages_same(&pages, 3, &digest);
    assert_non_null(known);
    assert_true(known->newest_first && known->first_created.ms == 20 && known->last_created.ms == 10);
    assert_string_equal(known->next_cursor, "next");
    assert_null(known_pages_same(&pages, 3, &other));
    assert_null(known_pages_same(&pages, 3, &ruled));
    assert_null(known_pages_same(&pages, 2, &digest));
    assert_true(known_pages_came_since(&pages, 4, 7) && !known_pages_came_since(&pages, 4, 8));
    known_pages_see(&pages, 3, 9);
    assert_int_equal(known_pages_seen(&pages, 4), 9);
    known_pages_change(&pages, PAGE_NONE);
    assert_non_null(known_pages_same(&pages, 3, &digest));
    known_pages_change(&pages, 4);
    assert_null(known_pages_same(&pages, 3, &digest));
    known_pages_finish(&pages);
}

static void test_what_has_to_be_written(void **state)
{
    (void)state;
    struct known_pages pages = {0};
    struct page_digest digest = page_digest("", 0, "");
    struct page page = page_of(NULL, 0, NULL);
    assert_true(known_pages_remember(&pages, 5, &digest, &page, 1) &&
                known_pages_remember(&pages, 2, &digest, &page, 2));
    assert_true(pages.dirty_from == 2 && pages.dirty_to == 6 && pages.pages[5].dirty &&
                !pages.pages[3].dirty);
    known_pages_written(&pages);
    assert_true(pages.dirty_from == pages.dirty_to && !pages.pages[5].dirty);
    known_pages_see(&pages, 5, 3);
    assert_true(pages.dirty_from == pages.dirty_to); /* that it came again is no news for the store */
    known_pages_end(&pages, 3);
    assert_true(pages.pages[5].dirty && !pages.pages[5].read && pages.pages[2].read);
    known_pages_finish(&pages);
}

/* ---- the account ---- */

struct model_job {
    int id;
    const char *status;
    int completed, failed;
    bool listed;
};

struct world {
    uint64_t random;
    struct model_job jobs[MAX_JOBS];
    size_t n;
    int next_id;
    int64_t now;
    char old[N_PAGES][BODY_SIZE]; /* what a page of the full list was before it changed */
    char last[N_PAGES][BODY_SIZE];
};

static uint32_t roll(struct world *world, uint32_t n)
{
    world->random ^= world->random << 13;
    world->random ^= world->random >> 7;
    world->random ^= world->random << 17;
    return (uint32_t)(world->random >> 20) % n;
}

static bool is_active(const struct model_job *job)
{
    return job->status[0] == 'q' || job->status[0] == 'p';
}

static void add_job(struct world *world)
{
    if (world->n == MAX_JOBS)
        return;
    memmove(world->jobs + 1, world->jobs, world->n++ * sizeof *world->jobs);
    static const char *const words[] = {"queued", "processing", "processing", "complete", "melted"};
    world->jobs[0] = (struct model_job){world->next_id++, words[roll(world, 5)], 0, 0, true};
}

/* Forward, as jobs do; now and then to an end, to a state that cannot be, or out of the list. */
static void change_job(struct world *world)
{
    struct model_job *job = &world->jobs[roll(world, (uint32_t)world->n)];
    switch (roll(world, 8)) {
    case 0:
        job->status = "complete";
        break;
    case 1:
        job->failed++;
        break;
    case 2:
        job->listed = !job->listed;
        break;
    case 3:
        job->status = "cancelled";
        break;
    case 4:
        job->completed -= roll(world, 4) == 0 ? 3 : 0;
        break;
    case 5:
        job->status = is_active(job) ? "processing" : job->status;
        break;
    default:
        job->completed++;
    }
}

static void move_on(struct world *world)
{
    if (roll(world, 6) == 0)
        add_job(world);
    for (uint32_t n = roll(world, 8) == 0 ? 1 + roll(world, 3) : 0; n > 0; n--)
        change_job(world);
    if (roll(world, 15) == 0) {
        size_t a = roll(world, (uint32_t)world->n), b = roll(world, (uint32_t)world->n);
        struct model_job job = world->jobs[a];
        world->jobs[a] = world->jobs[b];
        world->jobs[b] = job;
    }
    if (roll(world, 20) == 0)
        world->jobs[roll(world, (uint32_t)world->n)] = world->jobs[roll(world, (uint32_t)world->n)];
}

__attribute__((format(printf, 2, 3))) static void add(char *body, const char *format, ...)
{
    size_t len = strlen(body);
    va_list args;
    va_start(args, format);
    vsnprintf(body + len, BODY_SIZE - len, format, args);
    va_end(args);
}

static void add_resource(char *body, const struct model_job *job)
{
    add(body,
        "{\"type\":\"" TYPE "\",\"id\":\"job-%d\",\"attributes\":{\"status\":\"%s\",\"total_count\":30,",
        job->id, job->status);
    add(body, "\"completed_count\":%d,\"failed_count\":%d,\"created_at\":\"2026-07-01T00:%02d:00Z\"}}",
        job->completed, job->failed, job->id % 60);
}

/* Filtered lists lack a job now and then. */
static void list_body(struct world *world, const char *filter, size_t page, char *body)
{
    size_t at = 0, lacks = filter && roll(world, 5) == 0 ? roll(world, MAX_JOBS) : MAX_JOBS;
    body[0] = '\0';
    add(body, "{\"data\":[");
    for (size_t i = 0; i < world->n; i++) {
        const struct model_job *job = &world->jobs[i];
        if (!job->listed || i == lacks || (filter && strcmp(job->status, filter) != 0))
            continue;
        if (at / PAGE_SIZE == page) {
            add(body, "%s", at % PAGE_SIZE ? "," : "");
            add_resource(body, job);
        }
        at++;
    }
    add(body, "],\"links\":{\"next\":");
    if (at > (page + 1) * PAGE_SIZE)
        add(body, "\"https://x/jobs?page%%5Bcursor%%5D=%zu\"}}", page + 1);
    else
        add(body, "null}}");
}

/* Answers are late or stale at times: then a page is what it was before it changed last. */
static void full_page(struct world *world, size_t page, char *body)
{
    list_body(world, NULL, page, body);
    if (strcmp(body, world->last[page]) != 0) {
        memcpy(world->old[page], world->last[page], BODY_SIZE);
        memcpy(world->last[page], body, BODY_SIZE);
    }
    if (world->old[page][0] != '\0' && roll(world, 5) == 0)
        memcpy(body, world->old[page], BODY_SIZE);
}

static int answer_to(struct world *world, const char *url, char *body)
{
    const char *cursor = strstr(url, "cursor%5D=");
    size_t page = cursor ? strtoul(cursor + strlen("cursor%5D="), NULL, 10) : 0;
    const char *id = strstr(url, "/jobs/job-");
    body[0] = '\0';
    if (roll(world, 50) == 0)
        return 503;
    if (!id) {
        if (strstr(url, "queued") || strstr(url, "processing"))
            list_body(world, strstr(url, "queued") ? "queued" : "processing", page, body);
        else
            full_page(world, page < N_PAGES ? page : 0, body);
        return 200;
    }
    for (size_t i = 0; i < world->n; i++) {
        if (world->jobs[i].id != atoi(id + strlen("/jobs/job-")) ||
            (!world->jobs[i].listed && roll(world, 2)))
            continue;
        add(body, "{\"data\":");
        add_resource(body, &world->jobs[i]);
        add(body, "}");
        return 200;
    }
    return 404;
}

/* ---- two watchers ---- */

static struct watcher *new_watcher(const struct alert_rules *rules, int64_t now)
{
    struct watcher_options options = {
        .account = "main",
        .family = &family,
        .base = {"https://a.klaviyo.com", "2026-07-15"},
        .rules = rules,
        .plan = {.interval = 1000, .idle_interval = 2000, .full_sweep_interval = 3000},
        .limits = {1000, 4000, 0},
        .detail_timeout = 10000,
        .retention = 20000,
    };
    struct watcher *watcher = watcher_new(&options, (mono_time){now});
    assert_non_null(watcher);
    return watcher;
}

static void told_text(struct batch *batch, char *text)
{
    for (size_t i = 0; i < batch->n_items; i++) {
        const struct event *event = batch->items[i].event;
        add(text, "%s %s %s %s\n", event->id, event_types[event->kind].name, event->job_id, event->note);
    }
    batch_finish(batch);
}

static void deal(struct watcher *watcher, unsigned slot, int status, const char *body, int64_t now,
                 char *told)
{
    struct batch batch = {0};
    struct now both = {{now}, {now}};
    struct watcher_answer answer = {.status = status,
                                    .error = "",
                                    .body = body,
                                    .body_len = strlen(body),
                                    .rate = {-1, -1, -1, -1},
                                    .server_now = both.wall};
    assert_true(watcher_answer(watcher, slot, &answer, both, 1, &batch));
    told_text(&batch, told);
}

static void assert_same_jobs(struct watcher *a, struct watcher *b)
{
    struct job_table *ours = watcher_table(a), *theirs = watcher_table(b);
    size_t cursor = 0;
    assert_int_equal(job_table_count(ours), job_table_count(theirs));
    for (struct known_job *job; (job = job_table_next(ours, &cursor)) != NULL;) {
        const struct known_job *other = job_table_find(theirs, job->id);
        assert_non_null(other);
        assert_memory_equal(&job->counts, &other->counts, sizeof job->counts);
        assert_string_equal(known_status_word(job), known_status_word(other));
        assert_true(job->moved_at.ms == other->moved_at.ms && job->gone_at.ms == other->gone_at.ms &&
                    job->failures_told == other->failures_told && job->look == other->look &&
                    job->told == other->told && job->anomalies == other->anomalies &&
                    job->revivals == other->revivals && job->stall_told == other->stall_told);
    }
}

/* An answer on its way: made when it was asked for, and delivered some time later, in any order. */
struct flight {
    unsigned slot;
    int status;
    bool full;
    char body[BODY_SIZE + STEPS];
};

struct pair {
    struct watcher *reads_less, *reads_all;
    struct flight flights[3];
    size_t n;
    unsigned seed, step;
    size_t same; /* pages that the first did not read */
};

/* False: there is nothing to ask for before *ret_at. */
static bool ask_both(struct pair *pair, struct world *world, mono_time *ret_at)
{
    struct watcher_request ours, theirs;
    mono_time at;
    bool wants = watcher_next(pair->reads_less, (mono_time){world->now}, &ours, ret_at);
    assert_int_equal(wants, watcher_next(pair->reads_all, (mono_time){world->now}, &theirs, &at));
    if (!wants) {
        assert_int_equal(ret_at->ms, at.ms);
        return false;
    }
    if (strcmp(ours.url, theirs.url) != 0 || ours.slot != theirs.slot)
        fail_msg("world %u, step %u: one asks %s, the other %s", pair->seed, pair->step, ours.url,
                 theirs.url);
    struct flight *flight = &pair->flights[pair->n++];
    flight->slot = ours.slot;
    flight->full = !strstr(ours.url, "filter") && !strstr(ours.url, "/job-");
    flight->status = answer_to(world, ours.url, flight->body);
    free(ours.url);
    free(theirs.url);
    return true;
}

static void answer_both(struct pair *pair, struct world *world)
{
    static char told[2][BODY_SIZE];
    struct flight *flight = &pair->flights[roll(world, (uint32_t)pair->n)];
    uint32_t tick = job_table_tick(watcher_table(pair->reads_less));
    size_t len = strlen(flight->body);
    world->now += 1 + roll(world, 30);
    told[0][0] = told[1][0] = '\0';
    deal(pair->reads_less, flight->slot, flight->status, flight->body, world->now, told[0]);
    pair->same +=
        flight->full && flight->status == 200 && job_table_tick(watcher_table(pair->reads_less)) == tick;
    memset(flight->body + len, ' ', pair->step);
    flight->body[len + pair->step] = '\0';
    deal(pair->reads_all, flight->slot, flight->status, flight->body, world->now, told[1]);
    if (strcmp(told[0], told[1]) != 0)
        fail_msg("world %u, step %u: one tells\n%sthe other\n%s", pair->seed, pair->step, told[0], told[1]);
    assert_same_jobs(pair->reads_less, pair->reads_all);
    *flight = pair->flights[--pair->n];
}

static size_t live(struct world *world, const struct alert_rules *rules, unsigned seed)
{
    static struct pair pair;
    pair = (struct pair){.reads_less = new_watcher(rules, world->now),
                         .reads_all = new_watcher(rules, world->now),
                         .seed = seed};
    for (pair.step = 1; pair.step < STEPS; pair.step++) {
        mono_time at = MONO_NEVER;
        bool room = pair.n < sizeof pair.flights / sizeof *pair.flights;
        bool asked = room && roll(world, 2) == 0 && ask_both(&pair, world, &at);
        if (!asked && pair.n > 0)
            answer_both(&pair, world);
        else if (!asked && at.ms != MONO_NEVER.ms)
            world->now = at.ms;
        if (roll(world, 3) == 0)
            move_on(world);
    }
    watcher_free(pair.reads_less);
    watcher_free(pair.reads_all);
    return pair.same;
}

static void test_nobody_can_tell(void **state)
{
    (void)state;
    static struct world world;
    struct alert_rules rules = alert_rules_default;
    size_t same = 0;
    rules.stalled_after = 5000;
    rules.job_created = true;
    for (unsigned seed = 1; seed <= WORLDS; seed++) {
        world = (struct world){.random = seed * UINT64_C(0x9e3779b97f4a7c15), .now = 1000000};
        for (uint32_t n = 1 + roll(&world, 14); n > 0; n--)
            add_job(&world);
        same += live(&world, &rules, seed);
    }
    print_message("%zu pages were not read again in %d worlds\n", same, WORLDS);
    assert_true(same > WORLDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_is_known_by_its_bytes_and_its_jobs),
        cmocka_unit_test(test_what_has_to_be_written),
        cmocka_unit_test(test_nobody_can_tell),
    };
    return cmocka_run_group_tests_name("known_pages", tests, NULL, NULL);
}
