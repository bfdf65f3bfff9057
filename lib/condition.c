#include "condition.h"

#include <inttypes.h>
#include <stdio.h>

static void note_telling(struct condition *condition, const char *note, int64_t figure, mono_time now)
{
    snprintf(condition->note, sizeof condition->note, "%s", note);
    condition->figure = figure;
    condition->told = now;
    condition->dirty = true;
}

enum condition_news condition_hold(struct condition *condition, mono_time since, const char *note,
                                   int64_t figure, struct now now, int64_t remind_every)
{
    if (!condition->on) {
        condition->on = true;
        condition->since = since;
        condition->since_wall = (wall_time){now.wall.ms - mono_diff(now.mono, since)};
        condition->reminders = 0;
        note_telling(condition, note, figure, now.mono);
        return CONDITION_BEGAN;
    }
    if (remind_every <= 0 || mono_diff(now.mono, condition->told) < remind_every)
        return CONDITION_QUIET;
    condition->reminders++;
    note_telling(condition, note, figure, now.mono);
    return CONDITION_REMINDED;
}

enum condition_news condition_end(struct condition *condition)
{
    if (!condition->on)
        return CONDITION_QUIET;
    condition->on = false;
    condition->dirty = true;
    return CONDITION_OVER;
}

struct event *condition_event(const struct condition *condition, enum condition_news news,
                              enum event_kind kind, wall_time at, const char *account, const char *type,
                              const char *note, int64_t figure)
{
    char distinct[64];
    snprintf(distinct, sizeof distinct, "since=%" PRId64 " n=%" PRIu32 "%s", condition->since_wall.ms,
             condition->reminders, news == CONDITION_OVER ? " over" : "");
    struct event *event = event_new(kind, at, account, type, NULL, distinct);
    if (!event)
        return NULL;
    event->reminder = news == CONDITION_REMINDED;
    if (event_set_note(event, note, figure))
        return event;
    event_free(event);
    return NULL;
}
