/*
 * life: one watcher's life with the model of Klaviyo, in virtual time: the real core as the daemon drives it
 * (requests in flight, the ledger written ahead, restarts from what was stored), judged by what the server
 * saw and by what really happened to the jobs. And the watchers that people write, for comparison.
 *
 * Invariant: a scenario's result depends on the scenario only, its seed included.
 */
#ifndef TESTS_SIM_LIFE_H
#define TESTS_SIM_LIFE_H

#include "model.h"

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

struct scenario {
    struct model_options model;
    int64_t length; /* ms of virtual time */
    int64_t interval;
    int64_t full_interval;
    double budget;
    bool has_any;          /* the family's filter knows `any` */
    bool has_sort;         /* its lists can be sorted newest first */
    int64_t trouble_every; /* ms, mean, between crashes, crash loops, suspends and clock steps; 0 none */
};

struct result {
    uint32_t most_second, most_minute; /* requests in the fullest window, as the server saw them */
    uint32_t burst, steady;            /* what was allowed */
    uint64_t requests;
    uint64_t limited;  /* 429s we got */
    uint64_t hurt;     /* the neighbour's 429s by us */
    uint64_t changes;  /* starts, first failures and ends that were visible long enough */
    uint64_t missed;   /* those of them that were never told */
    uint64_t late;     /* told, but after more than the time they had to be visible for */
    uint64_t repeated; /* told twice */
    uint64_t invented; /* told, but not so */
    uint64_t troubles; /* crashes, suspends and clock steps lived through */
    size_t delays;     /* ends of jobs that were seen in progress; ms from the end to its telling: */
    int64_t p50, p90, p99, worst;
};

/* The core lives through the scenario. */
struct result simulate(const struct scenario *scenario);

/* The watchers that people write: a full sweep every `interval`, one page after the other, no budget; what it
 * shows is told. */
struct result simulate_naive(const struct scenario *scenario, int64_t interval);

#endif
