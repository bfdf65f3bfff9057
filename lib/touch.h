/*
 * touch: memory that is about to be used, whole. The kernel makes its pages at once, for a third of what it costs to
 * make each when it is first touched, and for a tenth where huge pages fit into it. Nothing else changes, and nothing
 * fails: a kernel before 5.14, or one without huge pages, does not know it.
 */
#ifndef JOBWATCH_TOUCH_H
#define JOBWATCH_TOUCH_H

#include <stddef.h>

/* Less is left alone: it may be memory that was in use before. */
#define TOUCH_LEAST ((size_t)64 << 10)

/* A huge page, where it is aligned so. */
#define TOUCH_HUGE ((size_t)2 << 20)

void touch(void *memory, size_t size);

#endif
