#include "id_queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool grow(struct id_queue *queue)
{
    size_t room = queue->room ? queue->room * 2 : 16;
    char **ids = calloc(room, sizeof *ids);
    if (!ids)
        return false;
    for (size_t i = 0; i < queue->n; i++)
        ids[i] = queue->ids[(queue->first + i) % queue->room];
    free(queue->ids);
    queue->ids = ids;
    queue->first = 0;
    queue->room = room;
    return true;
}

bool id_queue_push(struct id_queue *queue, const char *id)
{
    if (queue->n == queue->room && !grow(queue))
        return false;
    char *copy = strdup(id);
    if (!copy)
        return false;
    queue->ids[(queue->first + queue->n++) % queue->room] = copy;
    return true;
}

char *id_queue_pop(struct id_queue *queue)
{
    if (queue->n == 0)
        return NULL;
    char *id = queue->ids[queue->first];
    queue->first = (queue->first + 1) % queue->room;
    queue->n--;
    return id;
}

void id_queue_put_back(struct id_queue *queue, char *id)
{
    assert(queue->n < queue->room);
    queue->ids[(queue->first + queue->n++) % queue->room] = id;
}

void id_queue_finish(struct id_queue *queue)
{
    for (char *id; (id = id_queue_pop(queue)) != NULL;)
        free(id);
    free(queue->ids);
    *queue = (struct id_queue){0};
}
