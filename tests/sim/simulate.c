/*
 * simulate: the real core (watcher, plan, budget, decode, diff) against the model of Klaviyo, in virtual
 * time.
 *
 *   simulate runs N [SEED]   N random runs of a simulated day to a week; fails unless every promise held in
 * each simulate table           detection latency and requests spent, beside the naive watcher and cron, for
 * README and `make simulate`
 *
 * Every window is checked as the server saw it: for each request its arrival time, in every sliding window of
 * 1 s and 60 s.
 */
#include "model.h"

#include "../../lib/watcher.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FLIGHTS = 16 };

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define START  INT64_C(1700000000000) /* virtual wall time at the beginning */

struct scenario {
    struct model_options model;
    int64_t length; /* ms of virtual time */
    int64_t interval;
    int64_t full_interval;
    double budget;
};

struct flight {
    bool used;
    unsigned slot;
    char *url;
    int64_t arrives;
    int64_t ends;
    bool arrived;
    struct model_answer answer;
    char *body; /* the answer's, kept until the flight ends */
};

/* Arrival times of our requests, for the windows. */
struct arrivals {
    int64_t *at;
    size_t n;
    size_t room;
    size_t first_minute;
    size_t first_second;
    uint32_t most_minute;
    uint32_t most_second;
};

struct result {
    uint32_t most_second, most_minute; /* requests in the fullest window, as the server saw them */
    uint32_t burst, steady;            /* what was allowed */
    uint64_t requests;
    uint64_t limited; /* 429s we got */
    uint64_t hurt;    /* the neighbour's 429s by us */
    uint64_t ends;    /* ends that should have been told */
    uint64_t missed;
    uint64_t repeated;
    uint64_t invented;
    int64_t p50, p99, worst; /* ms from a job's end to its telling, of jobs seen in progress */
    bool throttled;
};

struct run {
    const struct scenario *scenario;
    struct model *model;
    struct watcher *watcher;
    struct flight flights[MAX_FLIGHTS];
    struct arrivals arrivals;
    struct result result;
    uint64_t random;
    int64_t baseline_told;
};

/* ---- the windows ---- */

static uint32_t count_window(const struct arrivals *a, size_t *first, int64_t length)
{
    while (a->at[*first] <= a->at[a->n - 1] - length)
        (*first)++;
    return (uint32_t)(a->n - *first);
}

static void note_arrival(struct arrivals *a, int64_t t)
{
    if (a->n == a->room) {
        a->room = a->room ? a->room * 2 : 4096;
        a->at = reallocarray(a->at, a->room, sizeof *a->at);
        if (!a->at)
            abort();
    }
    a->at[a->n++] = t;
    uint32_t minute = count_window(a, &a->first_minute, MINUTE),
             second = count_window(a, &a->first_second, SECOND);
    a->most_minute = minute > a->most_minute ? minute : a->most_minute;
    a->most_second = second > a->most_second ? second : a->most_second;
}

/* ---- one run ---- */

static int64_t latency(struct run *run)
{
    double mean = (double)run->scenario->model.latency;
    return 1 + (int64_t)(mean * (0.5 + model_uniform(&run->random)));
}

static void note_event(struct run *run, const struct event *event, int64_t now)
{
    switch (event->kind) {
    case EVENT_WATCH_STARTED:
        run->baseline_told = now;
        return;
    case EVENT_API_THROTTLED:
        run->result.throttled = true;
        return;
    case EVENT_JOB_COMPLETED:
    case EVENT_JOB_COMPLETED_WITH_FAILURES:
    case EVENT_JOB_CANCELLED:
        break;
    case EVENT_JOB_VANISHED:
    case EVENT_JOB_ANOMALY:
    case EVENT_API_SCHEMA:
        run->result.invented++;
        return;
    default:
        return;
    }
    struct model_job *job = model_find(run->model, event->job_id);
    bool failed = event->kind == EVENT_JOB_COMPLETED_WITH_FAILURES;
    bool true_to_life = job && now >= job->ended && (event->kind == EVENT_JOB_CANCELLED) == job->cancelled &&
                        (job->cancelled || failed == (job->failed > 0));
    if (!true_to_life)
        run->result.invented++;
    else if (job->told_end >= 0)
        run->result.repeated++;
    else
        job->told_end = now;
}

static void take_answer(struct run *run, struct flight *flight, int64_t now)
{
    struct batch batch = {0};
    struct watcher_answer answer = {
        .status = flight->answer.status,
        .error = flight->answer.status ? "" : "connection refused",
        .body = flight->body,
        .body_len = flight->answer.len,
        .rate = {flight->answer.limit, flight->answer.remaining, flight->answer.reset,
                 flight->answer.retry_after},
        .server_now = {now},
    };
    struct now both = {{now}, {now}};
    if (!watcher_answer(run->watcher, flight->slot, &answer, both, model_random(&run->random), &batch) ||
        !watcher_tell_trouble(run->watcher, true, both, &batch))
        abort();
    run->result.limited += flight->answer.status == 429;
    for (size_t i = 0; i < batch.n_items; i++) {
        if (batch.items[i].kind == BATCH_EVENT)
            note_event(run, batch.items[i].event, now);
    }
    batch_finish(&batch);
    free(flight->body);
    free(flight->url);
    *flight = (struct flight){0};
}

static void send_wanted(struct run *run, int64_t now, int64_t *ret_next)
{
    struct watcher_request wanted;
    mono_time next = MONO_NEVER;
    while (watcher_next(run->watcher, (mono_time){now}, &wanted, &next)) {
        struct flight *flight = run->flights;
        while (flight->used)
            flight++;
        int64_t round_trip = latency(run);
        *flight = (struct flight){.used = true, .slot = wanted.slot, .url = wanted.url};
        flight->arrives = now + (int64_t)((double)round_trip * model_uniform(&run->random));
        flight->ends = now + round_trip;
        run->result.requests++;
    }
    *ret_next = next.ms;
}

/* The earliest thing that happens to a request in flight; NULL when none is. */
static struct flight *next_flight(struct run *run, int64_t *ret_at)
{
    struct flight *best = NULL;
    for (size_t i = 0; i < MAX_FLIGHTS; i++) {
        struct flight *f = &run->flights[i];
        int64_t at = f->arrived ? f->ends : f->arrives;
        if (f->used && (!best || at < *ret_at)) {
            best = f;
            *ret_at = at;
        }
    }
    return best;
}

static void live(struct run *run)
{
    int64_t end = START + run->scenario->length, now = START, wake = START;
    while (now < end) {
        int64_t at = INT64_MAX;
        struct flight *flight = next_flight(run, &at);
        if (!flight || wake < at) {
            if (wake == INT64_MAX)
                break;
            now = wake > now ? wake : now;
            send_wanted(run, now, &wake);
            if (wake <= now)
                wake = now + 1;
            continue;
        }
        now = at;
        if (!flight->arrived) {
            flight->arrived = true;
            note_arrival(&run->arrivals, now);
            flight->answer = model_get(run->model, flight->url, now);
            flight->body =
                flight->answer.body ? strndup(flight->answer.body, flight->answer.len) : strdup("");
            if (!flight->body)
                abort();
            continue;
        }
        take_answer(run, flight, now);
        wake = now;
    }
    for (size_t i = 0; i < MAX_FLIGHTS; i++) {
        free(run->flights[i].body);
        free(run->flights[i].url);
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* An end counts as missed when it was there to be seen for two full sweeps (or the slower pace that the share
 * allows) and was not told. */
static void judge(struct run *run, int64_t grace)
{
    size_t n = 0;
    int64_t *delays = calloc(model_count(run->model) + 1, sizeof *delays);
    if (!delays)
        abort();
    for (size_t i = 0; i < model_count(run->model); i++) {
        const struct model_job *job = model_at(run->model, i);
        if (run->baseline_told == 0 || job->ended < run->baseline_told ||
            job->ended > START + run->scenario->length - grace)
            continue;
        run->result.ends++;
        if (job->told_end < 0)
            run->result.missed++;
        else if (job->ended - job->created > 2 * run->scenario->interval)
            delays[n++] = job->told_end - job->ended;
    }
    qsort(delays, n, sizeof *delays, by_size);
    if (n > 0) {
        run->result.p50 = delays[n / 2];
        run->result.p99 = delays[n - 1 - n / 100];
        run->result.worst = delays[n - 1];
    }
    free(delays);
}

static struct family the_family(const struct model_options *model)
{
    return (struct family){
        .type = "catalog-category-bulk-delete-job",
        .path = "/api/catalog-category-bulk-delete-jobs",
        .burst = model->burst,
        .steady = model->steady,
        .scope = "",
        .fields = "status",
        .sort = "",
    };
}

/* How long the share needs for a full sweep beside everything else, at the worst. */
static int64_t full_sweep_time(const struct scenario *scenario, uint32_t steady)
{
    int64_t pages =
        (int64_t)scenario->model.n_jobs / 100 + 1 + scenario->length / scenario->model.mean_life / 50;
    double share = (double)steady * (1 - scenario->model.neighbour);
    return (int64_t)((double)(pages * PLAN_FULL_TURN * 2) * (double)MINUTE / (share < 1 ? 1 : share));
}

static struct result simulate(const struct scenario *scenario)
{
    struct family family = the_family(&scenario->model);
    struct alert_rules rules = alert_rules_default;
    struct run run = {.scenario = scenario, .random = scenario->model.seed ^ 0x5851f42d4c957f2d};
    struct watcher_options options = {
        .account = "main",
        .family = &family,
        .base = {"https://a.klaviyo.com", "2026-07-15"},
        .rules = &rules,
        .plan = {.interval = scenario->interval,
                 .idle_interval = 6 * scenario->interval,
                 .full_sweep_interval = scenario->full_interval},
        .limits = budget_limits_for(family.burst, family.steady, scenario->budget, 0, 0, 0.5),
        .retention = 2 * DAY,
        .seed = scenario->model.seed,
    };
    run.model = model_new(&scenario->model, START);
    run.watcher = watcher_new(&options, (mono_time){START});
    if (!run.watcher)
        abort();
    live(&run);
    run.result.burst = options.limits.burst;
    run.result.steady = options.limits.steady;
    run.result.most_minute = run.arrivals.most_minute;
    run.result.most_second = run.arrivals.most_second;
    run.result.hurt = model_neighbour_hurt(run.model);
    judge(&run, 2 * scenario->full_interval + full_sweep_time(scenario, options.limits.steady) +
                    2 * scenario->model.outage_length);
    watcher_free(run.watcher);
    model_free(run.model);
    free(run.arrivals.at);
    return run.result;
}

/* ---- random runs ---- */

static double between(uint64_t *random, double low, double high)
{
    return low + (high - low) * model_uniform(random);
}

static struct scenario random_scenario(uint64_t seed)
{
    static const size_t sizes[] = {10, 30, 100, 100, 300, 300, 600, 1500};
    static const double budgets[] = {0.01, 0.1, 0.5};
    static const double neighbours[] = {0, 0, 0.3, 0.9, 0.95};
    uint64_t random = seed;
    bool wide = model_random(&random) % 2;
    struct scenario scenario = {
        .model =
            {
                .seed = seed,
                .n_jobs = sizes[model_random(&random) % 8],
                .active = between(&random, 0.001, 0.1),
                .mean_life = (int64_t)between(&random, 2 * MINUTE, 2 * HOUR),
                .burst = wide ? 350 : 75,
                .steady = wide ? 3500 : 750,
                .neighbour = neighbours[model_random(&random) % 5],
                .error_rate = model_random(&random) % 2 ? 0 : between(&random, 0, 0.1),
                .outage_every = model_random(&random) % 2 ? 0 : 5 * HOUR,
                .outage_length = (int64_t)between(&random, MINUTE, HOUR),
                .latency = (int64_t)between(&random, 20, 800),
            },
        .length = DAY,
        .interval = 10 * SECOND,
        .full_interval = 10 * MINUTE,
        .budget = budgets[model_random(&random) % 3],
    };
    /* Most runs are a day long, some a week, so that a thousand of them end within the hour. */
    if (model_random(&random) % 8 == 0)
        scenario.length = (int64_t)between(&random, DAY, 7 * DAY);
    if (scenario.model.outage_every == 0)
        scenario.model.outage_length = 0;
    return scenario;
}

static bool held(const struct scenario *scenario, const struct result *result)
{
    bool alone = scenario->model.neighbour == 0;
    return result->most_second <= result->burst && result->most_minute <= result->steady &&
           result->missed == 0 && result->repeated == 0 && result->invented == 0 &&
           (!alone || result->limited == 0);
}

static void print_run(uint64_t seed, const struct scenario *scenario, const struct result *result)
{
    printf("seed %" PRIu64
           ": %zu jobs, %.1f%% active, budget %.0f%%, neighbour %.0f%%, %.1f days: fullest windows %" PRIu32
           "/%" PRIu32 " a s, %" PRIu32 "/%" PRIu32 " a min; ends %" PRIu64 ", missed %" PRIu64
           ", repeated %" PRIu64 ", invented %" PRIu64 "; 429s %" PRIu64 "; neighbour's %" PRIu64 "\n",
           seed, scenario->model.n_jobs, scenario->model.active * 100, scenario->budget * 100,
           scenario->model.neighbour * 100, (double)scenario->length / (double)DAY, result->most_second,
           result->burst, result->most_minute, result->steady, result->ends, result->missed, result->repeated,
           result->invented, result->limited, result->hurt);
}

static int random_runs(uint64_t n, uint64_t seed)
{
    uint64_t bad = 0, ends = 0;
    for (uint64_t i = 0; i < n; i++) {
        struct scenario scenario = random_scenario(seed + i);
        struct result result = simulate(&scenario);
        ends += result.ends;
        if (!held(&scenario, &result)) {
            bad++;
            print_run(seed + i, &scenario, &result);
        }
    }
    printf("simulate: %" PRIu64 " runs from seed %" PRIu64 ", %" PRIu64 " ends of jobs told, %" PRIu64
           " runs broke a promise\n",
           n, seed, ends, bad);
    return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- the table ---- */

/* The watchers that people write: a full sweep every `interval`, one page after the other, no budget; what it
 * shows is told. */
static struct result simulate_naive(const struct scenario *scenario, int64_t interval)
{
    struct run run = {.scenario = scenario,
                      .random = scenario->model.seed ^ 0x5851f42d4c957f2d,
                      .baseline_told = START + 1};
    int64_t end = START + scenario->length;
    run.model = model_new(&scenario->model, START);
    for (int64_t began = START; began < end; began += interval) {
        int64_t now = began;
        char url[160] = "https://a.klaviyo.com/api/catalog-category-bulk-delete-jobs";
        for (bool more = true; more && now < end;) {
            int64_t round_trip = latency(&run);
            struct model_answer answer = model_get(run.model, url, now + round_trip / 2);
            now += round_trip;
            run.result.requests++;
            run.result.limited += answer.status == 429;
            struct page page;
            if (answer.status != 200 ||
                page_decode_list(answer.body, answer.len, "catalog-category-bulk-delete-job", &page) !=
                    PAGE_OK)
                break;
            for (size_t i = 0; i < page.n_jobs; i++) {
                struct model_job *job = model_find(run.model, page.jobs[i].id);
                if (job && job_status_is_terminal(page.jobs[i].status) && job->told_end < 0)
                    job->told_end = now;
            }
            more = page.next == NEXT_CURSOR;
            if (more)
                snprintf(url, sizeof url, "https://a.klaviyo.com/api/x-jobs?page%%5Bcursor%%5D=%s",
                         page.next_cursor);
            page_finish(&page);
        }
        while (began + interval < now) /* the next run waits for this one, as under a lock */
            began += interval;
    }
    run.result.hurt = model_neighbour_hurt(run.model);
    run.baseline_told = START + 2 * interval;
    judge(&run, 2 * interval);
    model_free(run.model);
    return run.result;
}

static void print_row(const char *who, const struct scenario *scenario, const struct result *result,
                      double best)
{
    double hours = (double)scenario->length / (double)HOUR;
    printf("%7zu %6.1f%% %5.0f%%  %-12s %9.0f %8.1f %8.1f %9.1f %6.2f %7" PRIu64 " %7" PRIu64 "\n",
           scenario->model.n_jobs, scenario->model.active * 100, scenario->budget * 100, who,
           (double)result->requests / hours, (double)result->p50 / 1000, (double)result->p99 / 1000,
           best / 1000, (double)result->p99 / best, result->missed, result->limited);
}

static struct scenario table_scenario(size_t n_jobs, double active, double budget, int64_t length)
{
    return (struct scenario){
        .model = {.seed = 1,
                  .n_jobs = n_jobs,
                  .active = active,
                  .mean_life = 20 * MINUTE,
                  .burst = 350,
                  .steady = 3500,
                  .latency = 100},
        .length = length,
        .interval = 10 * SECOND,
        .full_interval = 10 * MINUTE,
        .budget = budget,
    };
}

static void table_rows(size_t n_jobs, double active, double budget, int64_t length)
{
    struct scenario scenario = table_scenario(n_jobs, active, budget, length);
    double pages = 2 + active * (double)n_jobs / 100, share = budget * scenario.model.steady;
    double sweep = pages / share * (double)MINUTE, round_trip = 1.5 * (double)scenario.model.latency;
    double best = sweep > (double)scenario.interval ? sweep : (double)scenario.interval + round_trip;
    struct result ours = simulate(&scenario);
    print_row("klv-jobwatch", &scenario, &ours, best);
    fflush(stdout);
}

static void baseline_rows(size_t n_jobs, double active, int64_t length)
{
    struct scenario scenario = table_scenario(n_jobs, active, 1, length);
    struct result naive = simulate_naive(&scenario, 10 * SECOND);
    print_row("naive, 10 s", &scenario, &naive, 10 * SECOND);
    struct result cron = simulate_naive(&scenario, MINUTE);
    print_row("cron, 1 min", &scenario, &cron, MINUTE);
    fflush(stdout);
}

static int table(void)
{
    static const size_t sizes[] = {10, 1000, 10000, 100000};
    static const double actives[] = {0.001, 0.01, 0.1}, budgets[] = {0.01, 0.1, 0.5};
    puts("   jobs  active budget  watcher      requests   p50       p99      best    p99/   missed    429s\n"
         "                                       an hour     s         s         s    best");
    for (size_t i = 0; i < 4; i++) {
        /* The larger the account, the shorter the time: what is measured repeats every few minutes. */
        int64_t length = sizes[i] >= 100000 ? 2 * HOUR : sizes[i] >= 10000 ? 4 * HOUR : 12 * HOUR;
        for (size_t j = 0; j < 3; j++) {
            for (size_t k = 0; k < 3; k++)
                table_rows(sizes[i], actives[j], budgets[k], length);
            baseline_rows(sizes[i], actives[j], sizes[i] >= 100000 ? HOUR / 2 : length);
        }
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "runs") == 0)
        return random_runs(strtoull(argv[2], NULL, 10), argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
    if (argc == 2 && strcmp(argv[1], "table") == 0)
        return table();
    fputs("usage: simulate runs N [SEED] | simulate table\n", stderr);
    return 2;
}
