/*
 * work: one job at a time in a thread of its own, for what may block, so that the loop never does.
 *
 * Not libuv's thread pool: a pool thread that hangs can be neither left behind (exit(3) waits for it) nor
 * taken from the DNS look-ups. Invariant: each submitted job ends in exactly one call of done, on the loop,
 * unless work_close() abandoned it; a job that was abandoned belongs to the thread, which drops it if it ever
 * comes back.
 */
#ifndef KLV_WORK_H
#define KLV_WORK_H

#include "loop.h"

struct work;

struct work_type {
    void (*run)(void *job);              /* in the thread */
    void (*done)(void *user, void *job); /* on the loop; the job is the caller's again */
    void (*drop)(void *job);             /* for an abandoned job, in either thread */
};

/* Starts the thread; type must live for ever. NULL without memory or when no thread can be made. */
struct work *work_new(struct loop *loop, const struct work_type *type, void *user);

/* Hand over a job; none may be under way (asserted). */
void work_submit(struct work *work, void *job);

/* End the thread, abandoning the job under way if there is one; never waits for it. Frees work. NULL is fine.
 */
void work_close(struct work *work);

#endif
