#include "life_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

int64_t life_latency(struct run *run)
{
    double mean = (double)run->scenario->model.latency;
    return 1 + (int64_t)(mean * (0.5 + model_uniform(&run->random)));
}

mono_time life_mono(const struct run *run)
{
    return (mono_time){run->now - run->asleep};
}

void life_end_flight(struct flight *flight)
{
    free(flight->body);
    free(flight->url);
    *flight = (struct flight){0};
}

static void take_answer(struct run *run, struct flight *flight)
{
    struct batch batch = {0};
    life_note_refusals(run, flight);
    struct watcher_answer answer = {
        .status = flight->answer.status,
        .error = flight->answer.status ? "" : "connection refused",
        .body = flight->body,
        .body_len = flight->answer.len,
        .rate = {flight->answer.limit, flight->answer.remaining, flight->answer.reset,
                 flight->answer.retry_after},
        .server_now = {run->now},
    };
    struct now now = {life_mono(run), {run->now + run->skew}};
    if (!watcher_answer(run->watcher, flight->slot, &answer, now, model_random(&run->random), &batch) ||
        !watcher_tell_trouble(run->watcher, true, now, &batch))
        abort();
    run->result.limited += flight->answer.status == 429;
    for (size_t i = 0; i < batch.n_items; i++) {
        if (batch.items[i].kind == BATCH_EVENT)
            life_note_event(run, batch.items[i].event);
    }
    batch_finish(&batch);
    life_end_flight(flight);
}

/* As the daemon does: no request leaves that the stored ledger does not cover. */
static void cover(struct run *run)
{
    if (run->covered > 0) {
        run->covered--;
        return;
    }
    struct budget *budget = watcher_budget(run->watcher);
    run->covered = budget_reserve(budget);
    run->n_ledger = budget_export(budget, life_mono(run), run->covered, run->ledger, BUDGET_MAX_LEDGER);
    run->budget_left = budget_left(budget);
}

static void send_wanted(struct run *run)
{
    struct watcher_request wanted;
    mono_time next = MONO_NEVER;
    while (watcher_next(run->watcher, life_mono(run), &wanted, &next)) {
        cover(run);
        struct flight *flight = run->flights;
        while (flight < run->flights + MAX_FLIGHTS && flight->used)
            flight++;
        if (flight == run->flights + MAX_FLIGHTS)
            abort();
        int64_t round_trip = life_latency(run);
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
        life_end_flight(flight);
        return;
    }
    flight->body = flight->answer.body ? strndup(flight->answer.body, flight->answer.len) : strdup("");
    if (!flight->body)
        abort();
}

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
        life_be_born(run);
    } else if (run->trouble_at <= flight_at && run->trouble_at <= wake_at) {
        run->now = run->trouble_at;
        life_suffer(run);
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
        life_add_blackout(run, at - model->outage_length, at + RETRY_WITHIN);
}

void life_finish(struct run *run)
{
    for (size_t i = 0; i < MAX_FLIGHTS; i++)
        life_end_flight(&run->flights[i]);
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
    life_be_born(&run);
    add_outages(&run);
    life_plan_trouble(&run);
    while (run.now < START + scenario->length)
        step(&run);
    life_judge(&run);
    life_finish(&run);
    return run.result;
}
