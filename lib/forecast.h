/*
 * forecast: what watching one (account, family) costs in requests, for people who choose intervals and budgets. An
 * estimate: looks at single jobs, repeats and yielding are not in it.
 */
#ifndef JOBWATCH_FORECAST_H
#define JOBWATCH_FORECAST_H

#include "job.h"

/* What is known, or assumed, of the jobs; times in ms. */
struct forecast_input {
    uint64_t jobs;
    uint64_t queued;
    uint64_t processing;
    int64_t interval;
    int64_t idle_interval;
    int64_t full_sweep_interval;
};

struct forecast {
    uint64_t active_requests; /* of one active sweep */
    int64_t active_every;     /* ms: the interval, or the idle one when nothing is in progress */
    bool head;                /* one more request an interval, for the newest page */
    uint64_t full_requests;   /* of one full sweep */
    double per_minute;        /* all together, on average */
};

struct forecast forecast_of(const struct family *family, const struct forecast_input *input);

#endif
