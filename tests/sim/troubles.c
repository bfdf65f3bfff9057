/* Crashes, crash loops, suspends and clock steps; and what a new life knows of the one before. */
#include "life_private.h"

#include <stdlib.h>

/* A crash loop: so many lives of so many ms each, as under Restart=on-failure. */
#define LOOP_LIVES 20
#define LOOP_LIFE  100
/* What a crash loop spent and reserved counts for a window after it. */
#define LOOP_AFTERMATH (MINUTE + BUDGET_AFTERLIFE)

static int64_t spread(struct run *run, int64_t low, int64_t high)
{
    return low + (int64_t)(model_uniform(&run->random) * (double)(high - low));
}

void life_plan_trouble(struct run *run)
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

void life_be_born(struct run *run)
{
    run->watcher = watcher_new(&run->options, life_mono(run));
    if (!run->watcher)
        abort();
    model_watcher_begins(run->model, run->now);
    if (run->stored) {
        restore_jobs(watcher_table(run->watcher), watcher_table(run->stored));
        watcher_restore(run->watcher, watcher_state(run->stored));
        if (!budget_import(watcher_budget(run->watcher), life_mono(run), run->ledger, run->n_ledger))
            abort();
        budget_restore_left(watcher_budget(run->watcher), life_mono(run), run->budget_left);
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
            life_end_flight(flight);
        flight->orphan |= flight->used;
    }
    if (run->walk_since != NEVER)
        life_add_blackout(run, run->walk_since, run->now);
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
        life_plan_trouble(run);
}

void life_suffer(struct run *run)
{
    if (run->loop_left > 0) {
        go_on_with_loop(run);
        return;
    }
    run->result.troubles++;
    uint64_t kind = model_random(&run->random) % 4;
    int64_t length = spread(run, 100, kind == 2 ? 8 * HOUR : HOUR / 2);
    life_plan_trouble(run);
    /* The next one waits until this one is over. */
    run->trouble_at += kind == 0 || kind == 2 ? length : 0;
    switch (kind) {
    case 0:
        die(run, length);
        life_add_blackout(run, run->now, run->now + length + until_others_are_known(run));
        break;
    case 1:
        run->loop_left = LOOP_LIVES;
        life_add_blackout(run, run->now, run->now + (int64_t)LOOP_LIVES * 2 * LOOP_LIFE + LOOP_AFTERMATH);
        go_on_with_loop(run);
        break;
    case 2:
        run->awake_at = run->now + length;
        run->asleep += length;
        life_add_blackout(run, run->now, run->awake_at + until_others_are_known(run));
        break;
    default:
        run->skew = spread(run, -2 * DAY, 2 * DAY);
    }
}
