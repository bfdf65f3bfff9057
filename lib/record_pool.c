#include "record_pool.h"

#include "touch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* So that AddressSanitizer sees a use of what was given back. */
#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

/* Blocks grow by doubling between these: a watch of few jobs is small, one of many has few blocks. */
#define FIRST_BLOCK ((size_t)1024)
#define LAST_BLOCK  ((size_t)256 << 10)
/* Where another huge page more or less is nothing beside what there is. */
#define HUGE_FROM ((size_t)32 << 20)

/* Each block begins with the address of the one before; a record given back, with that of the one before. */
static void push(void **list, void *item)
{
    memcpy(item, list, sizeof *list);
    *list = item;
}

static void *pop(void **list)
{
    void *item = *list;
    memcpy(list, item, sizeof *list);
    return item;
}

static size_t next_size(const struct record_pool *pool)
{
    if (pool->total >= HUGE_FROM)
        return TOUCH_HUGE;
    size_t size = pool->block_size ? pool->block_size * 2 : FIRST_BLOCK;
    return size < LAST_BLOCK ? size : LAST_BLOCK;
}

void record_pool_expect(struct record_pool *pool, size_t bytes)
{
    if (bytes >= LAST_BLOCK)
        pool->block_size = LAST_BLOCK;
}

static bool add_block(struct record_pool *pool)
{
    size_t size = next_size(pool);
    char *block = size == TOUCH_HUGE ? aligned_alloc(size, size) : malloc(size);
    if (!block)
        return false;
    touch(block, size);
    push(&pool->blocks, block);
    pool->unused = block + RECORD_POOL_UNIT;
    pool->left = size - RECORD_POOL_UNIT;
    pool->block_size = size;
    pool->total += size;
    ASAN_POISON_MEMORY_REGION(pool->unused, pool->left);
    return true;
}

void *record_pool_take(struct record_pool *pool, size_t size)
{
    size = RECORD_POOL_ROUND(size);
    assert(size > 0 && size <= RECORD_POOL_MAX);
    void **same = &pool->given_back[size / RECORD_POOL_UNIT];
    if (*same) {
        ASAN_UNPOISON_MEMORY_REGION(*same, size);
        return memset(pop(same), 0, size);
    }
    /* What is left of a block that is too small for this record is lost. */
    if (pool->left < size && !add_block(pool))
        return NULL;
    void *record = pool->unused;
    pool->unused += size;
    pool->left -= size;
    ASAN_UNPOISON_MEMORY_REGION(record, size);
    return memset(record, 0, size);
}

void record_pool_give(struct record_pool *pool, void *record, size_t size)
{
    size = RECORD_POOL_ROUND(size);
    push(&pool->given_back[size / RECORD_POOL_UNIT], record);
    ASAN_POISON_MEMORY_REGION(record, size);
}

void record_pool_finish(struct record_pool *pool)
{
    while (pool->blocks)
        free(pop(&pool->blocks));
    *pool = (struct record_pool){0};
}
