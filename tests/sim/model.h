/*
 * model: a Klaviyo account's jobs of one family in virtual time, as the API would show them: scripted lives,
 * pages of 100 in either order, filters, fixed rate windows of any phase, other clients, outages. It answers the URLs that
 * the real core asks for, with real JSON.
 *
 * Invariant: what is shown depends on the virtual time and the seed only, so a run can be repeated.
 */
#ifndef TESTS_SIM_MODEL_H
#define TESTS_SIM_MODEL_H

#include "../../lib/job.h"

struct model_options {
    uint64_t seed;
    size_t n_jobs;     /* listed at the beginning, finished ones included */
    double active;     /* the part of them that is in progress, kept about constant */
    int64_t mean_life; /* ms from start to end */
    uint32_t burst;    /* the account's limits */
    uint32_t steady;
    double neighbour;      /* the part of the steady limit that other clients ask for, 0..0.95 */
    double error_rate;     /* the part of answers that fail with 503 */
    int64_t outage_every;  /* ms between outages, 0 none */
    int64_t outage_length; /* ms */
    int64_t latency;       /* ms, mean of one round trip */
    bool oldest_first;     /* the order of its lists */
};

struct model_job {
    char id[32];
    char created_text[WALL_TEXT_SIZE];
    char ended_text[WALL_TEXT_SIZE];
    int64_t created; /* ms of virtual time */
    int64_t started;
    int64_t ended;
    int64_t total;
    int64_t failed; /* at the end */
    bool cancelled;
    /* When the watcher told it, by virtual time; -1 not yet. */
    int64_t told_start;
    int64_t told_growing;
    int64_t told_end;
    int64_t told_failed; /* the failed_count that it told last */
};

struct model_answer {
    int status;       /* 0: no answer (outage) */
    const char *body; /* the model's; valid until the next call */
    size_t len;
    int64_t limit, remaining, reset; /* RateLimit headers, -1 absent */
    int64_t retry_after;             /* ms, -1 absent */
    bool ours_limited;               /* a 429 that we got */
};

struct model;

struct model *model_new(const struct model_options *options, int64_t start);
void model_free(struct model *model);

/* The server receives one of our requests at virtual time t (never going back). */
struct model_answer model_get(struct model *model, const char *url, int64_t t);

/* Other clients' requests up to t are counted, and new jobs born. */
void model_advance(struct model *model, int64_t t);

size_t model_count(const struct model *model);
struct model_job *model_at(struct model *model, size_t i);
struct model_job *model_find(struct model *model, const char *id);

/* When a job that is to fail in part shows its first failure. */
int64_t model_first_failure(const struct model_job *job);

/* How long a finished job stays listed, in ms. */
int64_t model_keep(const struct model *model);

/* How many pages the list had when it was longest. */
size_t model_most_pages(const struct model *model);

/* A process of ours begins. */
void model_watcher_begins(struct model *model, int64_t t);

/* The neighbour's 429s in windows in which we sent something, but for the first minute of each of our processes. */
uint64_t model_neighbour_hurt(const struct model *model);

/* A number evenly spread over 0..n-1, and over 0..1, from the model's own generator. */
uint64_t model_random(uint64_t *state);
double model_uniform(uint64_t *state);

#endif
