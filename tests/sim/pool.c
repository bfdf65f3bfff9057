#include "pool.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Where the result of one call is, or will be. */
struct place {
    pid_t pid; /* 0: not at work */
    int pipe;  /* holds the result, which fits into a pipe, until it is its turn */
};

static void give_up(const char *what, size_t i)
{
    fprintf(stderr, "simulate: number %zu: %s\n", i, what);
    exit(EXIT_FAILURE);
}

static void begin(const struct pool_task *task, size_t i, struct place *place)
{
    int ends[2];
    if (pipe(ends) != 0)
        give_up("no pipe", i);
    fflush(stdout);
    place->pid = fork();
    if (place->pid < 0)
        give_up("no process", i);
    if (place->pid == 0) {
        void *result = calloc(1, task->result_size);
        if (!result)
            _exit(EXIT_FAILURE);
        task->work(task->user, i, result);
        bool sent = write(ends[1], result, task->result_size) == (ssize_t)task->result_size;
        free(result);
        _exit(sent ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    close(ends[1]);
    place->pipe = ends[0];
}

static void wait_for_one(struct place *places, size_t from, size_t to)
{
    int status;
    pid_t pid = wait(&status);
    for (size_t i = from; i < to; i++) {
        if (places[i].pid != pid)
            continue;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS)
            give_up("its process died", i);
        places[i].pid = 0;
    }
}

static void hand_over(const struct pool_task *task, size_t i, const struct place *place)
{
    void *result = malloc(task->result_size);
    if (!result || read(place->pipe, result, task->result_size) != (ssize_t)task->result_size)
        give_up("no result", i);
    close(place->pipe);
    task->done(task->user, i, result);
    free(result);
}

void pool_run(const struct pool_task *task, size_t n, size_t processes)
{
    struct place *places = calloc(n ? n : 1, sizeof *places);
    size_t begun = 0, over = 0, running = 0;
    if (!places || task->result_size > PIPE_BUF)
        give_up("no memory", 0);
    while (over < n) {
        for (; begun < n && running < processes; running++, begun++)
            begin(task, begun, &places[begun]);
        if (running > 0) {
            wait_for_one(places, over, begun);
            running--;
        }
        for (; over < begun && places[over].pid == 0; over++)
            hand_over(task, over, &places[over]);
    }
    free(places);
}
