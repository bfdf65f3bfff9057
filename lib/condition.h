/*
 * condition: something that lasts (unreachable, unauthorized, throttled, schema, capacity): told once when it
 * begins, again every remind_every while it lasts, once when it is over.
 *
 * Invariant: a condition that is on and stored is not told again by the next process as new; its reminders go
 * on where they were.
 */
#ifndef JOBWATCH_CONDITION_H
#define JOBWATCH_CONDITION_H

#include "event.h"

#define CONDITION_NOTE 256

struct condition {
    enum event_kind kind; /* of its beginning */
    bool on;
    bool dirty; /* differs from what is stored */
    mono_time since;
    wall_time since_wall;
    mono_time told;
    uint32_t reminders;
    int64_t figure;
    char note[CONDITION_NOTE];
};

enum condition_news {
    CONDITION_QUIET,
    CONDITION_BEGAN,
    CONDITION_REMINDED,
    CONDITION_OVER,
};

/*
 * It holds as of now, since `since`; note and figure say more and follow the newest telling. remind_every in
 * ms, 0 never. After a long sleep one reminder is told, not all that were missed.
 */
enum condition_news condition_hold(struct condition *condition, mono_time since, const char *note,
                                   int64_t figure, struct now now, int64_t remind_every);

/* It does not hold any more. */
enum condition_news condition_end(struct condition *condition);

/* How long it has been on, in ms. */
static inline int64_t condition_age(const struct condition *condition, mono_time now)
{
    return mono_diff(now, condition->since);
}

/*
 * The event that tells these news (not CONDITION_QUIET), distinct by the condition's beginning, the reminder's number and
 * whether it is over. type: the family's, "" when it is about the account. The caller frees it; NULL without memory.
 */
struct event *condition_event(const struct condition *condition, enum condition_news news,
                              enum event_kind kind, wall_time at, const char *account, const char *type,
                              const char *note, int64_t figure);

#endif
