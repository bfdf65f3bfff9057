#include "work.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <uv.h>

/* Shared by the loop and the thread, freed by whichever lets go last. */
struct work {
    const struct work_type *type;
    void *user;
    uv_async_t async;
    bool busy; /* the loop's own view: submitted, done not called yet */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wanted;
    /* Under the mutex: */
    unsigned holders;
    bool closed;
    bool running;   /* the thread is inside type->run */
    void *job;      /* for the thread to run */
    void *finished; /* for the loop to take */
};

static void let_go(struct work *work)
{
    pthread_mutex_lock(&work->mutex);
    bool last = --work->holders == 0;
    pthread_mutex_unlock(&work->mutex);
    if (!last)
        return;
    pthread_cond_destroy(&work->wanted);
    pthread_mutex_destroy(&work->mutex);
    free(work);
}

/* The next job, or NULL when it is time to end. */
static void *wait_for_job(struct work *work)
{
    pthread_mutex_lock(&work->mutex);
    while (!work->job && !work->closed)
        pthread_cond_wait(&work->wanted, &work->mutex);
    void *job = work->job;
    work->job = NULL;
    work->running = job;
    pthread_mutex_unlock(&work->mutex);
    return job;
}

static void hand_back(struct work *work, void *job)
{
    pthread_mutex_lock(&work->mutex);
    bool abandoned = work->closed;
    work->running = false;
    if (!abandoned) {
        work->finished = job;
        /* Under the mutex, so that the handle is not being closed at the same time. */
        uv_async_send(&work->async);
    }
    pthread_mutex_unlock(&work->mutex);
    if (abandoned)
        work->type->drop(job);
}

static void *thread_main(void *arg)
{
    struct work *work = arg;
    for (void *job; (job = wait_for_job(work));) {
        work->type->run(job);
        hand_back(work, job);
    }
    let_go(work);
    return NULL;
}

static void on_async(uv_async_t *async)
{
    struct work *work = async->data;
    pthread_mutex_lock(&work->mutex);
    void *job = work->finished;
    work->finished = NULL;
    pthread_mutex_unlock(&work->mutex);
    if (!job)
        return;
    work->busy = false;
    work->type->done(work->user, job);
}

static void on_closed(uv_handle_t *handle)
{
    let_go(handle->data);
}

/* Deaf to signals, which are the loop's. */
static bool start_thread(struct work *work)
{
    sigset_t all, old;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &old) != 0)
        return false;
    bool fine = pthread_create(&work->thread, NULL, thread_main, work) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return fine;
}

struct work *work_new(struct loop *loop, const struct work_type *type, void *user)
{
    struct work *work = calloc(1, sizeof *work);
    if (!work)
        return NULL;
    work->type = type;
    work->user = user;
    work->holders = 2;
    pthread_mutex_init(&work->mutex, NULL);
    pthread_cond_init(&work->wanted, NULL);
    if (uv_async_init(loop_uv(loop), &work->async, on_async) != 0) {
        work->holders = 1;
        let_go(work);
        return NULL;
    }
    work->async.data = work;
    if (start_thread(work))
        return work;
    work->holders = 1;
    uv_close((uv_handle_t *)&work->async, on_closed);
    return NULL;
}

void work_submit(struct work *work, void *job)
{
    assert(!work->busy);
    work->busy = true;
    pthread_mutex_lock(&work->mutex);
    work->job = job;
    pthread_cond_signal(&work->wanted);
    pthread_mutex_unlock(&work->mutex);
}

void work_close(struct work *work)
{
    if (!work)
        return;
    pthread_mutex_lock(&work->mutex);
    void *left = work->job ? work->job : work->finished;
    bool hangs = work->running;
    work->job = NULL;
    work->finished = NULL;
    work->closed = true;
    pthread_cond_signal(&work->wanted);
    pthread_mutex_unlock(&work->mutex);
    /* A thread that waits for jobs ends at once; one that is inside a job may never. */
    if (hangs)
        pthread_detach(work->thread);
    else
        pthread_join(work->thread, NULL);
    if (left)
        work->type->drop(left);
    uv_close((uv_handle_t *)&work->async, on_closed);
}
