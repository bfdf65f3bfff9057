#include "loop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

enum { N_SIGNALS = 4 };
static const int signals[N_SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};

/* Those that ask for something, and whose default is to kill. */
static void mask_requests(int how)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(how, &set, NULL);
}

void loop_hold_requests(void)
{
    mask_requests(SIG_BLOCK);
}

struct loop {
    uv_loop_t uv;
    struct loop_handlers handlers;
    int64_t offset;
    uv_signal_t signals[N_SIGNALS];
    uv_async_t
        stop; /* carries loop_stop() to the next turn, so that on_stop is never called from inside a caller */
    uv_check_t turn;
    uv_prepare_t gather; /* after timers and sockets have called, before the loop waits */
    bool stopping;
};

struct loop_timer {
    uv_timer_t uv;
    struct loop *loop;
    void (*fire)(void *user);
    void *user;
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct now loop_now(const struct loop *loop)
{
    return (struct now){{clock_ms(CLOCK_MONOTONIC) + loop->offset}, {clock_ms(CLOCK_REALTIME)}};
}

struct uv_loop_s *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

/* libuv aborts over one that it could not set up. */
static void close_if_open(void *handle)
{
    if (uv_handle_get_type(handle) != UV_UNKNOWN_HANDLE)
        uv_close(handle, NULL);
}

/*
 * The loop ends by itself when the last handle is closed: stopping a signal handle would not be enough. What the end
 * still waits for is not to be killed by a late reload; a second SIGTERM may.
 */
static void close_own_handles(struct loop *loop)
{
    mask_requests(SIG_BLOCK); /* between libuv's handlers and ours the default would kill */
    for (int i = 0; i < N_SIGNALS; i++)
        close_if_open(&loop->signals[i]);
    signal(SIGHUP, SIG_IGN);
    signal(SIGUSR1, SIG_IGN);
    mask_requests(SIG_UNBLOCK);
    close_if_open(&loop->stop);
    close_if_open(&loop->turn);
    close_if_open(&loop->gather);
}

static void on_async_stop(uv_async_t *handle)
{
    struct loop *loop = handle->data;
    loop->handlers.on_stop(loop->handlers.user);
    close_own_handles(loop);
}

/* A cancelled transfer's callback tends to ask for the end again, and a second uv_close would abort: once
 * only. */
void loop_stop(struct loop *loop)
{
    if (loop->stopping)
        return;
    loop->stopping = true;
    uv_async_send(&loop->stop);
}

bool loop_is_stopping(const struct loop *loop)
{
    return loop->stopping;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct loop *loop = handle->data;
    if (number == SIGTERM || number == SIGINT)
        loop_stop(loop);
    else if (loop->stopping)
        return;
    else if (number == SIGHUP)
        loop->handlers.on_reload(loop->handlers.user);
    else if (loop->handlers.on_wake)
        loop->handlers.on_wake(loop->handlers.user);
}

static void on_turn(uv_check_t *handle)
{
    struct loop *loop = handle->data;
    if (loop->handlers.on_turn && !loop->stopping)
        loop->handlers.on_turn(loop->handlers.user);
}

static void on_gather(uv_prepare_t *handle)
{
    struct loop *loop = handle->data;
    if (loop->handlers.on_gather && !loop->stopping)
        loop->handlers.on_gather(loop->handlers.user);
}

/* libuv makes pipes for signals when it is first used, and aborts when it cannot. */
static bool pipes_can_be_made(void)
{
    enum { N = 4 };
    int pipes[N][2], n = 0;
    while (n < N && pipe2(pipes[n], O_CLOEXEC) == 0)
        n++;
    for (int i = 0; i < n; i++) {
        close(pipes[i][0]);
        close(pipes[i][1]);
    }
    return n == N;
}

struct loop *loop_new(const struct loop_handlers *handlers, int64_t offset)
{
    struct loop *loop = pipes_can_be_made() ? calloc(1, sizeof *loop) : NULL;
    if (!loop)
        return NULL;
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return NULL;
    }
    loop->handlers = *handlers;
    loop->offset = offset;
    loop->stop.data = loop->turn.data = loop->gather.data = loop;
    /* curl is told not to touch signals, so that a peer that hangs up must not kill us here. */
    signal(SIGPIPE, SIG_IGN);
    bool failed = uv_async_init(&loop->uv, &loop->stop, on_async_stop) != 0;
    failed |= uv_check_init(&loop->uv, &loop->turn) != 0 || uv_check_start(&loop->turn, on_turn) != 0;
    failed |=
        uv_prepare_init(&loop->uv, &loop->gather) != 0 || uv_prepare_start(&loop->gather, on_gather) != 0;
    for (int i = 0; i < N_SIGNALS; i++) {
        loop->signals[i].data = loop;
        failed |= uv_signal_init(&loop->uv, &loop->signals[i]) != 0 ||
                  uv_signal_start(&loop->signals[i], on_signal, signals[i]) != 0;
    }
    if (!failed) {
        mask_requests(SIG_UNBLOCK);
        return loop;
    }
    close_own_handles(loop);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    uv_loop_close(&loop->uv);
    free(loop);
    return NULL;
}

void loop_run(struct loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

int loop_finish(struct loop *loop)
{
    if (!loop)
        return 0;
    int result = uv_loop_close(&loop->uv);
    /* With a handle left open the loop's memory must stay: the handle points to it. */
    if (result == 0)
        free(loop);
    return result;
}

static void on_fire(uv_timer_t *handle)
{
    struct loop_timer *timer = handle->data;
    timer->fire(timer->user);
}

struct loop_timer *loop_timer_new(struct loop *loop, void (*fire)(void *user), void *user)
{
    struct loop_timer *timer = calloc(1, sizeof *timer);
    if (!timer)
        return NULL;
    *timer = (struct loop_timer){.loop = loop, .fire = fire, .user = user};
    uv_timer_init(&loop->uv, &timer->uv);
    timer->uv.data = timer;
    return timer;
}

void loop_timer_at(struct loop_timer *timer, mono_time when)
{
    if (when.ms == MONO_NEVER.ms) {
        uv_timer_stop(&timer->uv);
        return;
    }
    int64_t wait = mono_diff(when, loop_now(timer->loop).mono);
    /* Never 0: before libuv 1.48 a 0 ms timer armed again in its own callback starves everything else. */
    if (wait < 1)
        wait = 1;
    /* libuv counts from the time the turn began. */
    uv_update_time(&timer->loop->uv);
    uv_timer_start(&timer->uv, on_fire, (uint64_t)wait, 0);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_timer_close(struct loop_timer *timer)
{
    if (timer)
        uv_close((uv_handle_t *)&timer->uv, on_closed);
}
