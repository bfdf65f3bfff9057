/* id_queue: job ids in the order in which they came; a ring that owns copies. */
#ifndef JOBWATCH_ID_QUEUE_H
#define JOBWATCH_ID_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct id_queue {
    char **ids;
    size_t first;
    size_t n;
    size_t room;
};

bool id_queue_push(struct id_queue *queue, const char *id); /* false without memory */
char *id_queue_pop(struct id_queue *queue);                 /* the caller frees; NULL when empty */
/* At the end again, without a copy: what was popped since the last push fits for certain. */
void id_queue_put_back(struct id_queue *queue, char *id);
void id_queue_finish(struct id_queue *queue);

#endif
