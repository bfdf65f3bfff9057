/*
 * batch: what one answer makes worth storing and telling, in order, until the shell has committed it.
 *
 * Invariant: nothing in a batch is lost when a commit fails: it stays until one succeeds, and its events can
 * be told meanwhile (batch_untold). Jobs are kept by id, so that the newest record is written. The batch owns
 * all it holds.
 */
#ifndef JOBWATCH_BATCH_H
#define JOBWATCH_BATCH_H

#include "event.h"

enum batch_kind {
    BATCH_EVENT,  /* record the event; `hold` says whether it waits for its job's errors */
    BATCH_ERRORS, /* the errors of event->job_id have come (perhaps none): fill them into its waiting events
                   */
};

struct batch_item {
    enum batch_kind kind;
    bool hold;
    bool telling; /* handed out by batch_untold, not answered yet */
    bool told;    /* the journal has it, though it is not saved */
    struct event *event;
};

struct batch {
    struct batch_item *items;
    size_t n_items;
    size_t room_items;
    char **jobs; /* ids of records to write, or to remove when the table has them no more */
    size_t n_jobs;
    size_t room_jobs;
};

/* Takes the event, also on failure (then it is freed). False without memory or when event is NULL. */
bool batch_add(struct batch *batch, enum batch_kind kind, struct event *event, bool hold);

/* The record of this id is to be written or removed. */
bool batch_add_job(struct batch *batch, const char *id);

static inline bool batch_is_empty(const struct batch *batch)
{
    return batch->n_items == 0 && batch->n_jobs == 0;
}

/* How much it holds, in records. */
static inline size_t batch_size(const struct batch *batch)
{
    return batch->n_items + batch->n_jobs;
}

/* After a failed commit: forget that a job is named twice, so that a long wait costs no more than there is. */
void batch_compact(struct batch *batch);

/*
 * Up to max events that have not been told, in order, to be told before they are saved; *events is good until
 * the batch changes. One that waits for its job's errors is handed out with them, or after `patience` ms
 * without. Each is to be answered with batch_told.
 */
size_t batch_untold(struct batch *batch, wall_time now, int64_t patience, const struct event **events,
                    size_t max);
void batch_told(struct batch *batch, const char *event_id, bool fine);

/* Release what it holds and empty it; a zeroed batch is fine. */
void batch_finish(struct batch *batch);

#endif
