/* What the files of one simulated life share; nobody else includes this. */
#ifndef TESTS_SIM_LIFE_PRIVATE_H
#define TESTS_SIM_LIFE_PRIVATE_H

#include "life.h"

#include "../../lib/watcher.h"

/* Requests in flight, those of processes that died included. */
#define MAX_FLIGHTS 256
#define START       INT64_C(1700000000000) /* virtual wall time at the beginning */
#define NEVER       INT64_MAX
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
    mono_time ledger[BUDGET_MAX_LEDGER];
    size_t n_ledger;
    struct budget_left budget_left; /* what the ledger says of the share */
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

/* life.c: requests, answers, the ledger, and one run. */
mono_time life_mono(const struct run *run);
/* How long the next round trip takes, in ms. */
int64_t life_latency(struct run *run);
void life_end_flight(struct flight *flight);
/* Release what the run holds. */
void life_finish(struct run *run);

/* darkness.c: when nobody could watch. */
void life_add_blackout(struct run *run, int64_t from, int64_t to);
/* Make one of those that overlap, and add up; before life_visible_for(). */
void life_settle_blackouts(struct run *run);
/* The time between the two in which one could watch. */
int64_t life_visible_for(const struct run *run, int64_t from, int64_t to);

/* judge.c */
void life_note_refusals(struct run *run, const struct flight *flight);
void life_note_event(struct run *run, const struct event *event);
/* How long the ends waited: fills the result's delays. */
void life_judge_delays(struct run *run);
/* The run is over: fill its result. */
void life_judge(struct run *run);

/* troubles.c */
void life_be_born(struct run *run);
/* When the next trouble comes. */
void life_plan_trouble(struct run *run);
void life_suffer(struct run *run);

#endif
