#include "touch.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

void touch(void *memory, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), skip = (page - (uintptr_t)memory % page) % page;
    if (size < TOUCH_LEAST)
        return;
    if (size >= TOUCH_HUGE)
        (void)madvise((char *)memory + skip, (size - skip) / page * page, MADV_HUGEPAGE);
    (void)madvise((char *)memory + skip, (size - skip) / page * page, MADV_POPULATE_WRITE);
}
