#include "allocator.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

/* Larger blocks hold answers and no keys. */
#define LARGE ((size_t)32 << 10)

/* glibc raises its threshold to the largest block ever freed, and then keeps twice that: one huge answer, and the process
 * would stay twice as large. */
#define OWN_PAGES (1 << 20)

void allocator_set_up(void)
{
    mallopt(M_MMAP_THRESHOLD, OWN_PAGES);
    mallopt(M_TRIM_THRESHOLD, 2 * OWN_PAGES);
}

static _Thread_local bool failed;

void allocator_forget_failure(void)
{
    failed = false;
}

bool allocator_has_failed(void)
{
    return failed;
}

void allocator_note_failure(void)
{
    failed = true;
}

/* Sanitizers have allocators of their own, which overwrite what is freed. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_OWN_ALLOCATOR
#endif
#endif

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(HAS_OWN_ALLOCATOR)

/* What the name stands for behind us: dlsym(3) allocates nothing when it finds it. */
static void find(const char *name, void *ret, size_t size)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    if (!symbol)
        abort();
    memcpy(ret, &symbol, size);
}

static void *note_failure(void *block)
{
    failed |= !block;
    return block;
}

static void pass_free(void *block)
{
    static void (*next)(void *);
    if (!next)
        find("free", &next, sizeof next);
    next(block);
}

static void *pass_realloc(void *block, size_t size)
{
    static void *(*next)(void *, size_t);
    if (!next)
        find("realloc", &next, sizeof next);
    return next(block, size);
}

void *malloc(size_t size)
{
    static void *(*next)(size_t);
    if (!next)
        find("malloc", &next, sizeof next);
    return note_failure(next(size));
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library's names are reserved
void *calloc(size_t n, size_t size)
{
    static void *(*next)(size_t, size_t);
    if (!next)
        find("calloc", &next, sizeof next);
    return note_failure(next(n, size));
}

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
void free(void *block)
{
    if (!block)
        return;
    size_t room = malloc_usable_size(block);
    if (room <= LARGE)
        explicit_bzero(block, room);
    pass_free(block);
}

/* A small block that has to move is copied here, so that the old one is wiped. */
// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name)
void *realloc(void *block, size_t size)
{
    size_t room = block ? malloc_usable_size(block) : 0;
    if (size == 0)
        return pass_realloc(block, size); /* which frees */
    if (room == 0 || room > LARGE || size <= room)
        return note_failure(pass_realloc(block, size));
    void *moved = malloc(size);
    if (!moved)
        return NULL;
    memcpy(moved, block, room);
    free(block);
    return moved;
}

#endif
