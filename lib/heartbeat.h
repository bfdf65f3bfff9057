/*
 * heartbeat: whether the watch sees what it should, and when a dead man's switch hears of it.
 *
 * A service somewhere else expects a ping every so often, and tells people when none came: also when this process, its
 * machine or its network is gone. So a ping says that sweeps are good, a ping to /fail that they are not, and silence
 * that nobody is there to say either. Invariant: a change is told at once, what has not changed once in `every`.
 */
#ifndef JOBWATCH_HEARTBEAT_H
#define JOBWATCH_HEARTBEAT_H

#include <stdbool.h>

#include "timestamp.h"

/* What is known of one family; times on one line. */
struct heartbeat_view {
    bool refused;            /* the key is, or lacks a scope */
    mono_time trouble_since; /* no good answer since; MONO_NEVER: answers are good */
    mono_time swept; /* the end of the last whole sweep, or the start of this life when there was none */
    int64_t pace;    /* ms between sweeps at most, when all is well */
};

enum heartbeat_sight {
    SIGHT_GOOD,
    SIGHT_UNKNOWN, /* too early to tell, as before the first sweep */
    SIGHT_BAD,
};

/* patience: ms for which trouble is none yet (unreachable-after). has_swept: a whole sweep came in this life. */
enum heartbeat_sight heartbeat_judge(const struct heartbeat_view *view, bool has_swept, int64_t patience,
                                     mono_time now);

struct heartbeat_rhythm {
    bool told; /* something, in this life */
    bool good; /* what was told last */
    mono_time next;
};

/* Whether to tell now that all is good, or is not; if so *rhythm is moved on. */
bool heartbeat_is_due(struct heartbeat_rhythm *rhythm, bool good, int64_t every, mono_time now);

/* What was told did not arrive: again after `wait` ms, or when it is due anyway. */
void heartbeat_missed(struct heartbeat_rhythm *rhythm, int64_t wait, mono_time now);

/* Where to say it: the URL, for a failure with /fail behind its path. malloc'd, NULL without memory. */
char *heartbeat_url(const char *url, bool good);

#endif
