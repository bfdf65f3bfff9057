/*
 * Every small block of memory is wiped when it is freed, whoever frees it: the keys pass through buffers of
 * curl, nghttp2 and OpenSSL that are not ours to wipe, and would stay in the free memory of the heap after a
 * reload has replaced them. free and realloc stand here before the C library's; large blocks, which hold
 * answers and no keys, pass.
 *
 * Sanitizers have allocators of their own, which overwrite what is freed.
 */
#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define LARGE ((size_t)32 << 10)

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

// NOLINTNEXTLINE(readability-inconsistent-declaration-parameter-name): the C library's names are reserved
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
    if (room == 0 || room > LARGE || size == 0 || size <= room)
        return pass_realloc(block, size);
    void *moved = malloc(size);
    if (!moved)
        return NULL;
    memcpy(moved, block, room);
    free(block);
    return moved;
}

#endif
