/*
 * loop: the only file (with http and work) that knows libuv. One loop, the signals, deadline timers, ordered shutdown.
 *
 * Invariant: stop is idempotent, and after loop_run() has returned and everything registered is closed,
 * loop_finish() proves that nothing is left (uv_loop_close() is 0). The time is sampled once per callback,
 * with loop_now().
 */
#ifndef KLV_LOOP_H
#define KLV_LOOP_H

#include "../lib/timestamp.h"

struct uv_loop_s;
struct loop;
struct loop_timer;

struct loop_handlers {
    void (*on_stop)(void *user);   /* SIGTERM or SIGINT, once, or loop_stop(): close everything you own */
    void (*on_reload)(void *user); /* SIGHUP */
    void (*on_wake)(void *user);   /* SIGUSR1: somebody has written to the store; may be NULL */
    void (*on_gather)(
        void *user); /* before the loop waits: do at once what several callbacks asked for; may be NULL */
    void (*on_turn)(void *user); /* a turn of the loop is finished; for the watchdog; may be NULL */
    void *user;
};

/* SIGHUP and SIGUSR1 wait from here on until a loop is there to answer them: a start may take seconds, and somebody who
 * finds the process in the state directory may already ask it for something. For before threads are made. */
void loop_hold_requests(void);

/* NULL when libuv fails. SIGPIPE is ignored from here on. offset: see store_timeline(), added to
 * CLOCK_MONOTONIC. */
struct loop *loop_new(const struct loop_handlers *handlers, int64_t offset);

/* Run until stopped and everything is closed. */
void loop_run(struct loop *loop);

/* Ask for the end: on_stop is called once from the loop, then the loop's own handles are closed. Idempotent.
 */
void loop_stop(struct loop *loop);
bool loop_is_stopping(const struct loop *loop);

/* Close and free; returns 0, or a negative uv error when a handle was left open (a bug: say so loudly). NULL
 * is fine. */
int loop_finish(struct loop *loop);

/* Both clocks, sampled now: mono is CLOCK_MONOTONIC in ms plus the offset, wall is CLOCK_REALTIME. */
struct now loop_now(const struct loop *loop);

/* For http only. */
struct uv_loop_s *loop_uv(struct loop *loop);

/* A one-shot timer, owned by the caller until loop_timer_close. */
struct loop_timer *loop_timer_new(struct loop *loop, void (*fire)(void *user), void *user);
void loop_timer_at(struct loop_timer *timer,
                   mono_time when); /* re-arms; MONO_NEVER stops; at or before now fires in 1 ms */
void loop_timer_close(struct loop_timer *timer); /* NULL is fine; memory lives until libuv lets go */

#endif
