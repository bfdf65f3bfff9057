/*
 * The crash points' other half, in MODE=torture only. KLV_CRASH="NAME:N" kills the process when it passes the
 * point NAME ("any": each of them counts) for the Nth time, as kill -9 does, or sends it the signal of the number
 * KLV_CRASH_SIGNAL. KLV_CRASH_LOG names a file that gets a line per passage, so that a test can know that a point
 * is passed at all.
 */
#include "../../daemon/crash_point.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void note(const char *name)
{
    const char *path = getenv("KLV_CRASH_LOG");
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return;
    char line[64];
    int len = snprintf(line, sizeof line, "%s\n", name);
    if (write(fd, line, (size_t)len) != len) /* one write a line: several threads pass points */
        abort();
    close(fd);
}

static int wanted_signal(void)
{
    const char *number = getenv("KLV_CRASH_SIGNAL");
    return number ? atoi(number) : SIGKILL;
}

/* Points are passed by the loop and by the journal's thread. */
void crash_point(const char *name)
{
    static atomic_long passed;
    const char *wanted = getenv("KLV_CRASH");
    const char *colon = wanted ? strchr(wanted, ':') : NULL;
    note(name);
    if (!colon)
        return;
    size_t len = (size_t)(colon - wanted);
    bool is_any = len == 3 && strncmp(wanted, "any", len) == 0;
    bool is_it = is_any || (strlen(name) == len && strncmp(name, wanted, len) == 0);
    if (is_it && atomic_fetch_add(&passed, 1) + 1 == atol(colon + 1))
        kill(getpid(), wanted_signal());
}
