#include "life.h"

#include "../../lib/page_decode.h"
#include "../../lib/watcher.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Requests in flight, those of processes that died included. */
#define MAX_FLIGHTS 256
/* The ledger as the daemon keeps it. */
#define MAX_LEDGER 4096
#define COVER_PART 12
#define COVER_MOST 20
#define START      INT64_C(1700000000000) /* virtual wall time at the beginning */
#define NEVER      INT64_MAX
/* A crash loop: so many lives of so many ms each, as under Restart=on-failure. */
#define LOOP_LIVES 20
#define LOOP_LIFE  100
/* What a crash loop spent and reserved counts for a window after it. */
#define LOOP_AFTERMATH (MINUTE + BUDGET_AFTERLIFE)
/* No later than this after a failure does the core have to ask again. */
#define RETRY_WITHIN MINUTE

struct flight {
    bool used;
    bool orphan; /* its process died */
    bool arrived;
    unsigned slot;
    char *url;
    int64_t sent;
    int64_t arrives;
    int64_t ends;
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

/* A time in which nobody could watch, and how much of such there was before it. */
struct blackout {
    int64_t from;
    int64_t to;
    int64_t before;
};

struct run {
    const struct scenario *scenario;
    struct model *model;
    struct family family;
    struct alert_rules rules;
    struct watcher_options options;
    struct watcher *watcher; /* NULL while it is dead */
    struct watcher *stored;  /* what the store has of it: the dead one's table and state */
    mono_time ledger[MAX_LEDGER];
    size_t n_ledger;
    uint32_t covered;
    struct flight flights[MAX_FLIGHTS];
    struct arrivals arrivals;
    struct blackout *blackouts;
    size_t n_blackouts;
    size_t room_blackouts;
    int64_t refused_since; /* the request that failed first since the last good answer was sent; NEVER none */
    int64_t refused_last;  /* the last such answer */
    int64_t walk_since;    /* the full sweep that is under way began; NEVER none is */
    struct result result;
    uint64_t random;
    int64_t now;
    int64_t wake;     /* the watcher's next deadline */
    int64_t awake_at; /* a suspended machine wakes then */
    int64_t asleep;   /* ms that our monotonic clock stood still */
    int64_t skew;     /* of our wall clock */
    int64_t trouble_at;
    int64_t reborn_at;
    uint32_t loop_left; /* crashes of this loop still to come */
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

/* ---- what the share allows ---- */

/* The share that the core has left beside its neighbours, in requests a minute: see budget.h. What they use it takes
 * for up to a hundredth more, because RateLimit-Reset tells whole seconds only. */
static double share_left(const struct scenario *scenario, const struct budget_limits *limits)
{
    double limit = scenario->model.steady, left = limit * (0.98 - scenario->model.neighbour * 1.011);
    double busy = limit * limits->yield_below, share = limits->steady;
    if (left < busy)
        share *= left / busy > 0.1 ? left / busy : 0.1;
    left = left > limit * 0.01 ? left : limit * 0.01;
    share = share < left ? share : left;
    return share > 1 ? share : 1;
}

/* How long the next page of a full sweep takes: a round trip, or, where the share binds, PLAN_FULL_TURN requests, each of
 * which counts for a minute after its end. */
static int64_t time_of_a_page(const struct run *run)
{
    const struct scenario *scenario = run->scenario;
    double round_trip = 1.5 * (double)scenario->model.latency;
    double by_share =
        PLAN_FULL_TURN * ((double)MINUTE + round_trip) / share_left(scenario, &run->options.limits);
    return (int64_t)(by_share > round_trip ? by_share : round_trip);
}

/* ---- when nobody could watch ---- */

static void add_blackout(struct run *run, int64_t from, int64_t to)
{
    if (run->n_blackouts == run->room_blackouts) {
        run->room_blackouts = run->room_blackouts ? run->room_blackouts * 2 : 64;
        run->blackouts = reallocarray(run->blackouts, run->room_blackouts, sizeof *run->blackouts);
        if (!run->blackouts)
            abort();
    }
    run->blackouts[run->n_blackouts++] = (struct blackout){.from = from, .to = to};
}

/* The API refused or failed: nobody could watch from the first such request until an answer is good again, but the
 * core has to ask again in time. A failed page costs its turn. */
static void note_refusals(struct run *run, const struct flight *flight)
{
    int status = flight->answer.status;
    if (status == 0 || status == 429 || status >= 500) {
        run->refused_since = flight->sent < run->refused_since ? flight->sent : run->refused_since;
        run->refused_last = run->now;
        if (status >= 500)
            add_blackout(run, flight->sent, flight->sent + time_of_a_page(run));
    } else if (run->refused_since != NEVER) {
        int64_t until = run->refused_last + RETRY_WITHIN;
        add_blackout(run, run->refused_since, until < run->now ? until : run->now);
        run->refused_since = NEVER;
    }
}

static int by_beginning(const void *a, const void *b)
{
    const struct blackout *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* Make one of those that overlap, and add up. */
static void settle_blackouts(struct run *run)
{
    struct blackout *all = run->blackouts;
    size_t n = 0;
    qsort(all, run->n_blackouts, sizeof *all, by_beginning);
    for (size_t i = 0; i < run->n_blackouts; i++) {
        if (n > 0 && all[i].from <= all[n - 1].to) {
            all[n - 1].to = all[i].to > all[n - 1].to ? all[i].to : all[n - 1].to;
        } else {
            int64_t before = n > 0 ? all[n - 1].before + all[n - 1].to - all[n - 1].from : 0;
            all[n++] = (struct blackout){all[i].from, all[i].to, before};
        }
    }
    run->n_blackouts = n;
}

/* How long nobody could watch before t. */
static int64_t dark_before(const struct run *run, int64_t t)
{
    size_t low = 0, high = run->n_blackouts;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (run->blackouts[middle].from < t)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    const struct blackout *last = &run->blackouts[low - 1];
    return last->before + (t < last->to ? t : last->to) - last->from;
}

/* The time between the two in which one could watch. */
static int64_t visible_for(const struct run *run, int64_t from, int64_t to)
{
    return to - from - (dark_before(run, to) - dark_before(run, from));
}

/* ---- what is told ---- */

static int64_t latency(struct run *run)
{
    double mean = (double)run->scenario->model.latency;
    return 1 + (int64_t)(mean * (0.5 + model_uniform(&run->random)));
}

/* Note that a change was told, once and not before it was so. */
static void note_told(struct run *run, int64_t *told, bool true_to_life)
{
    if (!true_to_life)
        run->result.invented++;
    else if (*told >= 0)
        run->result.repeated++;
    else
        *told = run->now;
}

static void note_growing(struct run *run, struct model_job *job, const struct event *event)
{
    int64_t failed = event->counts.failed;
    if (failed <= job->told_failed)
        run->result.repeated++;
    if (job->failed == 0 || failed > job->failed || run->now < model_first_failure(job))
        run->result.invented++;
    job->told_failed = failed;
    job->told_growing = job->told_growing < 0 ? run->now : job->told_growing;
}

static void note_end(struct run *run, struct model_job *job, enum event_kind kind)
{
    enum event_kind truth = job->cancelled    ? EVENT_JOB_CANCELLED
                            : job->failed > 0 ? EVENT_JOB_COMPLETED_WITH_FAILURES
                                              : EVENT_JOB_COMPLETED;
    note_told(run, &job->told_end, run->now >= job->ended && kind == truth);
}

/* An undisturbed account whose share is ample must not be told to be in trouble. */
static bool trouble_is_possible(const struct run *run)
{
    const struct model_options *model = &run->scenario->model;
    int64_t pages = 4 + (int64_t)(model->active * (double)model->n_jobs * 2) / 100;
    bool ample = run->options.limits.steady >= 4 * pages * MINUTE / run->scenario->interval;
    return model->neighbour > 0 || model->error_rate > 0 || model->outage_every > 0 ||
           run->scenario->trouble_every > 0 || !ample;
}

/* About so many are in progress at a time; twice as many never. */
static bool capacity_is_near(const struct run *run)
{
    const struct model_options *model = &run->scenario->model;
    return 2 * model->active * (double)model->n_jobs > run->rules.capacity_warn;
}

static void note_event(struct run *run, const struct event *event)
{
    struct model_job *job = model_find(run->model, event->job_id);
    switch (event->kind) {
    case EVENT_WATCH_STARTED:
        run->result.repeated += run->baseline_told != 0;
        run->baseline_told = run->now;
        break;
    case EVENT_JOB_STARTED:
        if (job)
            note_told(run, &job->told_start, run->now >= job->started && job->told_end < 0);
        break;
    case EVENT_JOB_FAILURES_GROWING:
        if (job)
            note_growing(run, job, event);
        break;
    case EVENT_JOB_COMPLETED:
    case EVENT_JOB_COMPLETED_WITH_FAILURES:
    case EVENT_JOB_CANCELLED:
        if (job)
            note_end(run, job, event->kind);
        break;
    case EVENT_API_THROTTLED:
    case EVENT_API_UNREACHABLE:
    case EVENT_API_RECOVERED:
        run->result.invented += !trouble_is_possible(run);
        break;
    case EVENT_CAPACITY_HIGH:
    case EVENT_CAPACITY_OK:
        run->result.invented += !capacity_is_near(run);
        break;
    case EVENT_JOB_STALLED: /* a job of hours may well show no movement for a quarter of one */
    case EVENT_JOB_RESUMED:
    case EVENT_DELIVERY_FAILED:
        break;
    case EVENT_JOB_CREATED:
    case EVENT_JOB_EXPIRING:
    case EVENT_JOB_VANISHED:
    case EVENT_JOB_ANOMALY:
    case EVENT_API_UNAUTHORIZED:
    case EVENT_API_SCHEMA:
    case EVENT_TEST:
    case N_EVENT_KINDS:
        run->result.invented++;
    }
    run->result.invented += event->job_id[0] != '\0' && !job;
}

/* ---- the shell: requests, answers, the ledger ---- */

static mono_time mono(const struct run *run)
{
    return (mono_time){run->now - run->asleep};
}

static void end_flight(struct flight *flight)
{
    free(flight->body);
    free(flight->url);
    *flight = (struct flight){0};
}

static void take_answer(struct run *run, struct flight *flight)
{
    struct batch batch = {0};
    note_refusals(run, flight);
    struct watcher_answer answer = {
        .status = flight->answer.status,
        .error = flight->answer.status ? "" : "connection refused",
        .body = flight->body,
        .body_len = flight->answer.len,
        .rate = {flight->answer.limit, flight->answer.remaining, flight->answer.reset,
                 flight->answer.retry_after},
        .server_now = {run->now},
    };
    struct now now = {mono(run), {run->now + run->skew}};
    if (!watcher_answer(run->watcher, flight->slot, &answer, now, model_random(&run->random), &batch) ||
        !watcher_tell_trouble(run->watcher, true, now, &batch))
        abort();
    run->result.limited += flight->answer.status == 429;
    for (size_t i = 0; i < batch.n_items; i++) {
        if (batch.items[i].kind == BATCH_EVENT)
            note_event(run, batch.items[i].event);
    }
    batch_finish(&batch);
    end_flight(flight);
}

/* As the daemon does: no request leaves that the stored ledger does not cover. */
static void cover(struct run *run)
{
    if (run->covered > 0) {
        run->covered--;
        return;
    }
    uint32_t reserve = run->options.limits.steady / COVER_PART;
    reserve = reserve < COVER_MOST ? reserve : COVER_MOST;
    run->n_ledger = budget_export(watcher_budget(run->watcher), mono(run), reserve, run->ledger, MAX_LEDGER);
    run->covered = reserve;
}

static void send_wanted(struct run *run)
{
    struct watcher_request wanted;
    mono_time next = MONO_NEVER;
    while (watcher_next(run->watcher, mono(run), &wanted, &next)) {
        cover(run);
        struct flight *flight = run->flights;
        while (flight < run->flights + MAX_FLIGHTS && flight->used)
            flight++;
        if (flight == run->flights + MAX_FLIGHTS)
            abort();
        int64_t round_trip = latency(run);
        *flight = (struct flight){.used = true, .slot = wanted.slot, .url = wanted.url, .sent = run->now};
        flight->arrives = run->now + (int64_t)((double)round_trip * model_uniform(&run->random));
        flight->ends = run->now + round_trip;
        run->result.requests++;
    }
    bool walks = watcher_is_sweeping(run->watcher);
    run->walk_since = !walks ? NEVER : run->walk_since == NEVER ? run->now : run->walk_since;
    run->wake = next.ms == MONO_NEVER.ms ? NEVER : next.ms + run->asleep;
    if (run->wake <= run->now)
        run->wake = run->now + 1;
}

static void arrive(struct run *run, struct flight *flight)
{
    flight->arrived = true;
    note_arrival(&run->arrivals, run->now);
    flight->answer = model_get(run->model, flight->url, run->now);
    if (flight->orphan) {
        end_flight(flight);
        return;
    }
    flight->body = flight->answer.body ? strndup(flight->answer.body, flight->answer.len) : strdup("");
    if (!flight->body)
        abort();
}

/* ---- crashes, suspends, clock steps ---- */

static int64_t spread(struct run *run, int64_t low, int64_t high)
{
    return low + (int64_t)(model_uniform(&run->random) * (double)(high - low));
}

static void plan_trouble(struct run *run)
{
    int64_t mean = run->scenario->trouble_every;
    run->trouble_at = mean > 0 ? run->now + spread(run, 1, 2 * mean) : NEVER;
}

/* What the store keeps of a job, as daemon/watch_store.c does. */
static void restore_jobs(struct job_table *to, struct job_table *from)
{
    size_t cursor = 0;
    for (struct known_job *old; (old = job_table_next(from, &cursor)) != NULL;) {
        struct known_job *job = job_table_add(to, old->id);
        job =
            job ? job_table_set_status(to, job, (enum job_status)old->status, known_status_word(old)) : NULL;
        if (!job)
            abort();
        job->counts = old->counts;
        job->created_at = old->created_at;
        job->completed_at = old->completed_at;
        job->expires_at = old->expires_at;
        job->moved_at = old->moved_at;
        job->gone_at = old->gone_at;
        job->failures_told = old->failures_told;
        job->told = old->told;
        job->anomalies = old->anomalies;
        job->revivals = old->revivals;
    }
}

static void be_born(struct run *run)
{
    run->watcher = watcher_new(&run->options, mono(run));
    if (!run->watcher)
        abort();
    model_watcher_begins(run->model, run->now);
    if (run->stored) {
        restore_jobs(watcher_table(run->watcher), watcher_table(run->stored));
        watcher_restore(run->watcher, watcher_state(run->stored));
        if (!budget_import(watcher_budget(run->watcher), mono(run), run->ledger, run->n_ledger))
            abort();
        watcher_free(run->stored);
        run->stored = NULL;
    }
    run->covered = 0;
    run->reborn_at = NEVER;
    run->wake = run->now;
}

/* For a minute after a beginning or a sleep, the core leaves to other clients what it cannot know they leave. */
static int64_t until_others_are_known(const struct run *run)
{
    return run->scenario->model.neighbour > 0 ? MINUTE : 0;
}

/* Requests that were sent reach the server all the same; what a full sweep had read has to be read again. */
static void die(struct run *run, int64_t dead_for)
{
    for (size_t i = 0; i < MAX_FLIGHTS; i++) {
        struct flight *flight = &run->flights[i];
        if (flight->used && flight->arrived)
            end_flight(flight);
        flight->orphan |= flight->used;
    }
    if (run->walk_since != NEVER)
        add_blackout(run, run->walk_since, run->now);
    run->walk_since = NEVER;
    run->stored = run->watcher;
    run->watcher = NULL;
    run->wake = NEVER;
    run->reborn_at = run->now + dead_for;
}

static void go_on_with_loop(struct run *run)
{
    run->loop_left--;
    die(run, LOOP_LIFE);
    if (run->loop_left > 0)
        run->trouble_at = run->now + 2 * LOOP_LIFE;
    else
        plan_trouble(run);
}

static void suffer(struct run *run)
{
    if (run->loop_left > 0) {
        go_on_with_loop(run);
        return;
    }
    run->result.troubles++;
    uint64_t kind = model_random(&run->random) % 4;
    int64_t length = spread(run, 100, kind == 2 ? 8 * HOUR : HOUR / 2);
    plan_trouble(run);
    /* The next one waits until this one is over. */
    run->trouble_at += kind == 0 || kind == 2 ? length : 0;
    switch (kind) {
    case 0:
        die(run, length);
        add_blackout(run, run->now, run->now + length + until_others_are_known(run));
        break;
    case 1:
        run->loop_left = LOOP_LIVES;
        add_blackout(run, run->now, run->now + (int64_t)LOOP_LIVES * 2 * LOOP_LIFE + LOOP_AFTERMATH);
        go_on_with_loop(run);
        break;
    case 2:
        run->awake_at = run->now + length;
        run->asleep += length;
        add_blackout(run, run->now, run->awake_at + until_others_are_known(run));
        break;
    default:
        run->skew = spread(run, -2 * DAY, 2 * DAY);
    }
}

/* ---- one run ---- */

/* The earliest thing that happens to a request in flight; NULL when none is. A sleeping machine takes no answers. */
static struct flight *next_flight(struct run *run, int64_t *ret_at)
{
    struct flight *best = NULL;
    *ret_at = NEVER;
    for (size_t i = 0; i < MAX_FLIGHTS; i++) {
        struct flight *f = &run->flights[i];
        int64_t at = !f->arrived ? f->arrives : f->ends > run->awake_at ? f->ends : run->awake_at;
        if (f->used && at < *ret_at) {
            best = f;
            *ret_at = at;
        }
    }
    return best;
}

static void step(struct run *run)
{
    int64_t flight_at, wake_at = run->wake > run->awake_at ? run->wake : run->awake_at;
    struct flight *flight = next_flight(run, &flight_at);
    if (run->reborn_at <= flight_at && run->reborn_at <= run->trouble_at && run->reborn_at <= wake_at) {
        run->now = run->reborn_at;
        be_born(run);
    } else if (run->trouble_at <= flight_at && run->trouble_at <= wake_at) {
        run->now = run->trouble_at;
        suffer(run);
    } else if (wake_at < flight_at) {
        run->now = wake_at;
        send_wanted(run);
    } else if (flight) {
        run->now = flight_at;
        if (!flight->arrived) {
            arrive(run, flight);
        } else {
            take_answer(run, flight);
            run->wake = run->now;
        }
    } else {
        run->now = NEVER;
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* A change counts when it was there to be seen for `grace`, blackouts left out. */
static void judge_change(struct run *run, int64_t at, int64_t until, int64_t told, int64_t grace)
{
    int64_t end = START + run->scenario->length;
    until = until < end ? until : end;
    if (at <= run->baseline_told || visible_for(run, at, until) < grace)
        return;
    run->result.changes++;
    if (told < 0)
        run->result.missed++;
    else if (visible_for(run, at, told) > grace)
        run->result.late++;
}

static void judge_job(struct run *run, const struct model_job *job, int64_t grace)
{
    judge_change(run, job->ended, job->ended + model_keep(run->model), job->told_end, grace);
    if (visible_for(run, job->created, job->started) >= grace)
        judge_change(run, job->started, job->ended, job->told_start, grace);
    if (job->failed > 0)
        judge_change(run, model_first_failure(job), job->ended, job->told_growing, grace);
}

static int64_t percentile(const int64_t *sorted, size_t n, size_t part)
{
    return sorted[n - 1 - n * (100 - part) / 100];
}

/* How long the ends of jobs waited that were in progress for long enough to be known. Those of the last quarter
 * are left out, and what was not told by the end of the others' counts as told then. */
static void judge_delays(struct run *run)
{
    size_t n = 0;
    int64_t end = START + run->scenario->length;
    int64_t *delays = calloc(model_count(run->model) + 1, sizeof *delays);
    if (!delays)
        abort();
    for (size_t i = 0; i < model_count(run->model); i++) {
        const struct model_job *job = model_at(run->model, i);
        if (job->ended > run->baseline_told && job->ended <= end - run->scenario->length / 4 &&
            job->ended - job->created > 2 * run->scenario->interval)
            delays[n++] = (job->told_end >= 0 ? job->told_end : end) - job->ended;
    }
    qsort(delays, n, sizeof *delays, by_size);
    run->result.delays = n;
    if (n > 0) {
        run->result.p50 = percentile(delays, n, 50);
        run->result.p90 = percentile(delays, n, 90);
        run->result.p99 = percentile(delays, n, 99);
        run->result.worst = delays[n - 1];
    }
    free(delays);
}

static void judge(struct run *run, int64_t grace)
{
    settle_blackouts(run);
    if (run->baseline_told != 0) {
        for (size_t i = 0; i < model_count(run->model); i++)
            judge_job(run, model_at(run->model, i), grace);
        judge_delays(run);
    }
    run->result.hurt = model_neighbour_hurt(run->model);
    run->result.most_minute = run->arrivals.most_minute;
    run->result.most_second = run->arrivals.most_second;
}

/* A change counts as missed when it could be seen for one full-sweep interval, and for the walk to its page, and was
 * not told. A walk that is longer than the interval takes its place. */
static int64_t full_sweep_reach(const struct run *run)
{
    const struct scenario *scenario = run->scenario;
    int64_t walk = (int64_t)model_most_pages(run->model) * time_of_a_page(run);
    return walk + (walk > scenario->full_interval ? walk : scenario->full_interval);
}

static void set_options(struct run *run)
{
    const struct scenario *scenario = run->scenario;
    run->rules = alert_rules_default;
    run->family = (struct family){
        .type = "catalog-category-bulk-delete-job",
        .path = "/api/catalog-category-bulk-delete-jobs",
        .burst = scenario->model.burst,
        .steady = scenario->model.steady,
        .scope = "",
        .fields = "status",
        .sort = scenario->has_sort ? "-created_at" : "",
        .has_errors = true,
        .has_any = scenario->has_any,
    };
    run->options = (struct watcher_options){
        .account = "main",
        .family = &run->family,
        .base = {"https://a.klaviyo.com", "2026-07-15"},
        .rules = &run->rules,
        .plan = {.interval = scenario->interval,
                 .idle_interval = 6 * scenario->interval,
                 .full_sweep_interval = scenario->full_interval,
                 .head_pages = scenario->has_sort},
        .limits = budget_limits_for(run->family.burst, run->family.steady, scenario->budget, 0, 0, 0.5),
        .detail_timeout = 10 * SECOND,
        .retention = 2 * DAY,
        .seed = scenario->model.seed,
    };
}

static void add_outages(struct run *run)
{
    const struct model_options *model = &run->scenario->model;
    for (int64_t at = START + model->outage_every;
         model->outage_every > 0 && at - model->outage_length < START + run->scenario->length;
         at += model->outage_every)
        add_blackout(run, at - model->outage_length, at + RETRY_WITHIN);
}

static void finish(struct run *run)
{
    for (size_t i = 0; i < MAX_FLIGHTS; i++)
        end_flight(&run->flights[i]);
    watcher_free(run->watcher);
    watcher_free(run->stored);
    model_free(run->model);
    free(run->arrivals.at);
    free(run->blackouts);
}

struct result simulate(const struct scenario *scenario)
{
    static struct run run;
    run = (struct run){.scenario = scenario,
                       .random = scenario->model.seed ^ 0x5851f42d4c957f2d,
                       .now = START,
                       .reborn_at = NEVER,
                       .refused_since = NEVER,
                       .walk_since = NEVER};
    set_options(&run);
    run.result.burst = run.options.limits.burst;
    run.result.steady = run.options.limits.steady;
    run.model = model_new(&scenario->model, START);
    be_born(&run);
    add_outages(&run);
    plan_trouble(&run);
    while (run.now < START + scenario->length)
        step(&run);
    judge(&run, full_sweep_reach(&run));
    finish(&run);
    return run.result;
}

/* ---- the watchers that people write ---- */

/* One page; *ret_more and the URL of the next one. */
static bool naive_page(struct run *run, char *url, size_t size, bool *ret_more)
{
    int64_t round_trip = latency(run);
    struct model_answer answer = model_get(run->model, url, run->now + round_trip / 2);
    struct page page;
    run->now += round_trip;
    run->result.requests++;
    run->result.limited += answer.status == 429;
    if (answer.status != 200 ||
        page_decode_list(answer.body, answer.len, "catalog-category-bulk-delete-job", &page) != PAGE_OK)
        return false;
    for (size_t i = 0; i < page.n_jobs; i++) {
        struct model_job *job = model_find(run->model, page.jobs[i].id);
        if (job && job_status_is_terminal(page.jobs[i].status) && job->told_end < 0)
            job->told_end = run->now;
    }
    *ret_more = page.next == NEXT_CURSOR;
    if (*ret_more)
        snprintf(url, size, "https://a.klaviyo.com/api/x-jobs?page%%5Bcursor%%5D=%s", page.next_cursor);
    page_finish(&page);
    return true;
}

struct result simulate_naive(const struct scenario *scenario, int64_t interval)
{
    static struct run run;
    run = (struct run){.scenario = scenario, .random = scenario->model.seed ^ 0x5851f42d4c957f2d};
    int64_t end = START + scenario->length;
    run.model = model_new(&scenario->model, START);
    for (int64_t began = START; began < end; began += interval) {
        run.now = began;
        char url[160] = "https://a.klaviyo.com/api/catalog-category-bulk-delete-jobs";
        for (bool more = true; more && run.now < end;) {
            if (!naive_page(&run, url, sizeof url, &more))
                break;
        }
        while (began + interval < run.now) /* the next run waits for this one, as under a lock */
            began += interval;
    }
    run.baseline_told = START + 2 * interval;
    judge_delays(&run);
    finish(&run);
    return run.result;
}
