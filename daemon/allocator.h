/*
 * allocator: what stands before the C library's malloc, calloc, realloc and free, for every library in the process.
 *
 * Every small block is wiped when it is freed, whoever frees it: the keys pass through buffers of curl, nghttp2 and
 * OpenSSL that are not ours to wipe, and would stay in the free memory of the heap after a reload has replaced them.
 *
 * A failed allocation is remembered, for libraries that do not tell: json-c 0.16 leaves out the member of an object for
 * which it has no memory, and what it hands over then looks like an answer that Klaviyo never gave.
 *
 * Under a sanitizer, which has an allocator of its own, nothing is wiped here and no failure is seen unless it is noted.
 */
#ifndef KLV_ALLOCATOR_H
#define KLV_ALLOCATOR_H

#include <stdbool.h>

/* To be called once, first: blocks of more than a MiB go back to the system when they are freed. */
void allocator_set_up(void);

/* Whether an allocation of this thread has failed since. */
void allocator_forget_failure(void);
bool allocator_has_failed(void);

/* One that did not come by here has failed: what stands before a sanitizer's allocator, or libcurl's own, says so. */
void allocator_note_failure(void);

#endif
