/* Whether what the watcher told is true, told once and in time, for what the share allows. */
#include "life_private.h"

#include <stdlib.h>

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

/* The API refused or failed: nobody could watch from the first such request until an answer is good again, but the
 * core has to ask again in time. A failed page costs its turn. */
void life_note_refusals(struct run *run, const struct flight *flight)
{
    int status = flight->answer.status;
    if (status == 0 || status == 429 || status >= 500) {
        run->refused_since = flight->sent < run->refused_since ? flight->sent : run->refused_since;
        run->refused_last = run->now;
        if (status >= 500)
            life_add_blackout(run, flight->sent, flight->sent + time_of_a_page(run));
    } else if (run->refused_since != NEVER) {
        int64_t until = run->refused_last + RETRY_WITHIN;
        life_add_blackout(run, run->refused_since, until < run->now ? until : run->now);
        run->refused_since = NEVER;
    }
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

void life_note_event(struct run *run, const struct event *event)
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
    if (at <= run->baseline_told || life_visible_for(run, at, until) < grace)
        return;
    run->result.changes++;
    if (told < 0)
        run->result.missed++;
    else if (life_visible_for(run, at, told) > grace)
        run->result.late++;
}

static void judge_job(struct run *run, const struct model_job *job, int64_t grace)
{
    judge_change(run, job->ended, job->ended + model_keep(run->model), job->told_end, grace);
    if (life_visible_for(run, job->created, job->started) >= grace)
        judge_change(run, job->started, job->ended, job->told_start, grace);
    if (job->failed > 0)
        judge_change(run, model_first_failure(job), job->ended, job->told_growing, grace);
}

static int64_t percentile(const int64_t *sorted, size_t n, size_t part)
{
    return sorted[n - 1 - n * (100 - part) / 100];
}

/* How long a job has to be in progress to be known: where no other one is, it is looked for at the idle interval only. */
static int64_t known_after(const struct run *run, const struct model_job *job, int64_t others_until)
{
    int64_t interval = run->scenario->interval;
    int64_t idle = run->options.plan.idle_interval;
    return others_until <= job->created && idle > interval ? idle + interval : 2 * interval;
}

/* How long the ends of jobs waited that were in progress for long enough to be known. Those of the last quarter
 * are left out, and what was not told by the end of the others' counts as told then. */
void life_judge_delays(struct run *run)
{
    size_t n = 0;
    int64_t end = START + run->scenario->length, others_until = 0;
    int64_t *delays = calloc(model_count(run->model) + 1, sizeof *delays);
    if (!delays)
        abort();
    for (size_t i = 0; i < model_count(run->model); i++) {
        const struct model_job *job = model_at(run->model, i);
        if (job->ended > run->baseline_told && job->ended <= end - run->scenario->length / 4 &&
            job->ended - job->created > known_after(run, job, others_until))
            delays[n++] = (job->told_end >= 0 ? job->told_end : end) - job->ended;
        others_until = job->ended > others_until ? job->ended : others_until;
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

/* A change counts as missed when it could be seen for one full-sweep interval, and for the walk to its page, and was
 * not told. A walk that is longer than the interval takes its place. */
static int64_t full_sweep_reach(const struct run *run)
{
    const struct scenario *scenario = run->scenario;
    int64_t walk = (int64_t)model_most_pages(run->model) * time_of_a_page(run);
    return walk + (walk > scenario->full_interval ? walk : scenario->full_interval);
}

void life_judge(struct run *run)
{
    int64_t grace = full_sweep_reach(run);
    life_settle_blackouts(run);
    if (run->baseline_told == 0) {
        run->result.missed++; /* in all of a day nothing was ever known */
    } else {
        for (size_t i = 0; i < model_count(run->model); i++)
            judge_job(run, model_at(run->model, i), grace);
        life_judge_delays(run);
    }
    run->result.hurt = model_neighbour_hurt(run->model);
    run->result.most_minute = run->arrivals.most_minute;
    run->result.most_second = run->arrivals.most_second;
}
