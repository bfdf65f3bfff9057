#include "heartbeat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sweep may be late by so many times the pace: budgets stretch it. */
#define LATE 3

enum heartbeat_sight heartbeat_judge(const struct heartbeat_view *view, bool has_swept, int64_t patience,
                                     mono_time now)
{
    bool lasts = view->trouble_since.ms != MONO_NEVER.ms && mono_diff(now, view->trouble_since) >= patience;
    bool late = mono_diff(now, view->swept) > LATE * view->pace + patience;
    if (view->refused || lasts || late)
        return SIGHT_BAD;
    return has_swept ? SIGHT_GOOD : SIGHT_UNKNOWN;
}

bool heartbeat_is_due(struct heartbeat_rhythm *rhythm, bool good, int64_t every, mono_time now)
{
    if (rhythm->told && rhythm->good == good && now.ms < rhythm->next.ms)
        return false;
    *rhythm = (struct heartbeat_rhythm){.told = true, .good = good, .next = mono_add(now, every)};
    return true;
}

void heartbeat_missed(struct heartbeat_rhythm *rhythm, int64_t wait, mono_time now)
{
    rhythm->next = mono_min(rhythm->next, mono_add(now, wait));
}

char *heartbeat_url(const char *url, bool good)
{
    char *out;
    size_t path = strcspn(url, "?#");
    size_t len = path;
    while (len > 0 && url[len - 1] == '/')
        len--;
    if (good)
        return strdup(url);
    return asprintf(&out, "%.*s/fail%s", (int)len, url, url + path) < 0 ? NULL : out;
}
