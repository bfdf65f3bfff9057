/*
 * status: what is gathered for `status` before it is shown: the daemon's report from the store, and the store's own
 * figures. They can be told apart: the report is as old as it says, and goes stale when the daemon ends.
 */
#ifndef KLV_STATUS_H
#define KLV_STATUS_H

#include "view.h"

#include <json-c/json.h>

/* One (account, family). */
struct status_watch {
    char *account;
    char *family;
    struct watch_counts counts; /* but for its names */
    int64_t jobs;               /* as of the daemon's report, else counted */
    int64_t complete;
    struct json_object
        *live; /* the daemon's report of it; NULL: it is not watched by the last daemon, or none ran */
    bool told; /* a lasting condition says already what is wrong */
};

struct status_sink {
    struct sink_figures figures; /* but for its name */
    char *name;                  /* "journal", or a webhook's */
    bool off;                    /* answered that it is gone */
    bool unknown;                /* no longer in the daemon's configuration */
};

struct status {
    struct json_object *report; /* NULL: no daemon has run with this store */
    bool running;
    struct status_watch *watches;
    size_t n_watches;
    struct status_sink *sinks;
    size_t n_sinks;
    char **problems; /* what keeps it from being healthy, a sentence each */
    size_t n_problems;
};

/* False when the store fails or memory is short. Release with status_finish in any case. */
bool status_gather(struct view *view, struct status *ret);
void status_finish(struct status *status);

/* A member of the daemon's report; 0 and "" when there is none. */
int64_t status_int(struct json_object *object, const char *key);
const char *status_text(struct json_object *object, const char *key);

/* How old the newest view of the jobs in progress is, or was at its worst between the last two sweeps, in ms; 0 not known. */
int64_t status_delay(const struct status_watch *watch, wall_time now);

/* The two ways to show it. */
bool status_print(struct view *view, const struct status *status, FILE *out);
bool status_print_json(struct view *view, const struct status *status, FILE *out);

#endif
