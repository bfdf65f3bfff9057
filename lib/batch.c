#include "batch.h"

#include <stdlib.h>
#include <string.h>

/* Make room for one more element of `size` bytes. */
static bool grow(void **array, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return true;
    size_t wanted = *room ? *room * 2 : 16;
    void *grown = reallocarray(*array, wanted, size);
    if (!grown)
        return false;
    *array = grown;
    *room = wanted;
    return true;
}

bool batch_add(struct batch *batch, enum batch_kind kind, struct event *event, bool hold)
{
    if (!event || !grow((void **)&batch->items, batch->n_items, &batch->room_items, sizeof *batch->items)) {
        event_free(event);
        return false;
    }
    batch->items[batch->n_items++] = (struct batch_item){.kind = kind, .hold = hold, .event = event};
    return true;
}

bool batch_add_job(struct batch *batch, const char *id)
{
    if (!grow((void **)&batch->jobs, batch->n_jobs, &batch->room_jobs, sizeof *batch->jobs))
        return false;
    char *copy = strdup(id);
    if (!copy)
        return false;
    batch->jobs[batch->n_jobs++] = copy;
    return true;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void batch_compact(struct batch *batch)
{
    size_t kept = 0;
    if (batch->n_jobs > 1)
        qsort(batch->jobs, batch->n_jobs, sizeof *batch->jobs, compare_ids);
    for (size_t i = 0; i < batch->n_jobs; i++) {
        if (kept > 0 && strcmp(batch->jobs[kept - 1], batch->jobs[i]) == 0)
            free(batch->jobs[i]);
        else
            batch->jobs[kept++] = batch->jobs[i];
    }
    batch->n_jobs = kept;
}

/* Whether the errors that an event waits for have come, behind it; they are filled in. */
static bool take_errors(const struct batch *batch, size_t place)
{
    struct event *event = batch->items[place].event;
    for (size_t i = place + 1; i < batch->n_items; i++) {
        const struct event *with = batch->items[i].event;
        if (batch->items[i].kind == BATCH_ERRORS && strcmp(with->job_id, event->job_id) == 0)
            return event_set_errors(event, with->errors, with->n_errors, with->more_errors);
    }
    return false;
}

size_t batch_untold(struct batch *batch, wall_time now, int64_t patience, const struct event **events,
                    size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < batch->n_items && n < max; i++) {
        struct batch_item *item = &batch->items[i];
        if (item->kind != BATCH_EVENT || item->told || item->telling)
            continue;
        if (item->hold && !take_errors(batch, i) && now.ms - item->event->at.ms < patience)
            continue;
        /* What was told is not told in another way later. */
        item->hold = false;
        item->telling = true;
        events[n++] = item->event;
    }
    return n;
}

void batch_told(struct batch *batch, const char *event_id, bool fine)
{
    for (size_t i = 0; i < batch->n_items; i++) {
        struct batch_item *item = &batch->items[i];
        if (!item->telling || strcmp(item->event->id, event_id) != 0)
            continue;
        item->telling = false;
        item->told = fine;
    }
}

void batch_finish(struct batch *batch)
{
    for (size_t i = 0; i < batch->n_items; i++)
        event_free(batch->items[i].event);
    for (size_t i = 0; i < batch->n_jobs; i++)
        free(batch->jobs[i]);
    free(batch->items);
    free(batch->jobs);
    *batch = (struct batch){0};
}
