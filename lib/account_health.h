/*
 * account_health: what holds for an account as a whole, judged from its watches: an API that is away for all
 * of them is one event, not thirteen; a key that is refused is one event too. What holds for some of the
 * watches only is told by these.
 */
#ifndef JOBWATCH_ACCOUNT_HEALTH_H
#define JOBWATCH_ACCOUNT_HEALTH_H

#include "watcher.h"

struct account_health {
    struct condition away;         /* api.unreachable */
    struct condition unauthorized; /* api.unauthorized */
    mono_time last_there;          /* when a watch last counted as answered; not stored */
};

/* Judge anew after an answer; events go to the batch. False without memory. */
bool account_health_check(struct account_health *health, const char *account, struct watcher *const *watchers,
                          size_t n, const struct alert_rules *rules, struct now now, struct batch *batch);

#endif
