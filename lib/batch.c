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
