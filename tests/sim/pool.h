/*
 * pool: the same function for many numbers, in several processes at a time; results come back in order.
 *
 * Invariant: each call runs in a process of its own; a process that dies ends the whole with a message that
 * names the number.
 */
#ifndef TESTS_SIM_POOL_H
#define TESTS_SIM_POOL_H

#include <stddef.h>

struct pool_task {
    size_t result_size; /* at most PIPE_BUF */
    void (*work)(void *user, size_t i, void *ret_result);
    void (*done)(void *user, size_t i, const void *result); /* here, in the order of i */
    void *user;
};

/* work(0 … n - 1) in so many processes at a time. */
void pool_run(const struct pool_task *task, size_t n, size_t processes);

#endif
