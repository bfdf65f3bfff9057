#include "process.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

int64_t process_started(int64_t pid)
{
    char path[64], stat[1024];
    int64_t started = 0;
    snprintf(path, sizeof path, "/proc/%" PRId64 "/stat", pid);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    size_t len = fread(stat, 1, sizeof stat - 1, file);
    fclose(file);
    stat[len] = '\0';
    /* The second field, the name, may hold anything; the 22nd is what we want. */
    const char *at = strrchr(stat, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at || sscanf(at, "%" SCNd64, &started) != 1)
        return 0;
    return started;
}

bool process_runs(int64_t pid, int64_t started)
{
    if (pid <= 0)
        return false;
    int64_t now = process_started(pid);
    if (started != 0 && now != 0)
        return started == now;
    /* EPERM: it is there, under another user, as with DynamicUser. */
    return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}
