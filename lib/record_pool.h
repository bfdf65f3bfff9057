/*
 * record_pool: memory for many small records of one owner, without the overhead of one allocation each.
 *
 * Invariant: a record's address never changes. What is given back is used again for records of the same size;
 * all of it goes back to the system with record_pool_finish only. Sizes are rounded up to 8 bytes.
 */
#ifndef JOBWATCH_RECORD_POOL_H
#define JOBWATCH_RECORD_POOL_H

#include <stdbool.h>
#include <stddef.h>

#define RECORD_POOL_UNIT     ((size_t)8)
#define RECORD_POOL_MAX      ((size_t)512) /* the largest record, in bytes */
#define RECORD_POOL_ROUND(n) (((n) + RECORD_POOL_UNIT - 1) & ~(RECORD_POOL_UNIT - 1))

struct record_pool {
    void *blocks;
    char *unused; /* in the newest block */
    size_t left;
    size_t block_size;
    size_t total; /* of all blocks */
    void *given_back[RECORD_POOL_MAX / RECORD_POOL_UNIT + 1];
};

/* All zero bytes; size at most RECORD_POOL_MAX (asserted). NULL without memory. */
void *record_pool_take(struct record_pool *pool, size_t size);

/* So many bytes will be taken soon: no use beginning with small blocks. */
void record_pool_expect(struct record_pool *pool, size_t bytes);

/* size: as it was taken. */
void record_pool_give(struct record_pool *pool, void *record, size_t size);

/* All records are gone. A zeroed pool is fine. */
void record_pool_finish(struct record_pool *pool);

#endif
