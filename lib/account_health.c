#include "account_health.h"

/* The watches' troubles in one picture. */
struct picture {
    size_t away;
    size_t unauthorized;
    size_t there;                 /* the API answered, and took the key */
    mono_time since;              /* of the oldest of these troubles */
    mono_time unauthorized_since; /* of the oldest refused key */
    const char *error;
};

static struct picture take_picture(struct watcher *const *watchers, size_t n, mono_time now)
{
    struct picture picture = {.since = now, .unauthorized_since = now, .error = ""};
    for (size_t i = 0; i < n; i++) {
        struct watcher_report report = watcher_report(watchers[i], now);
        bool away = report.trouble == TROUBLE_AWAY;
        bool unauthorized = report.trouble == TROUBLE_UNAUTHORIZED;
        picture.away += away;
        picture.unauthorized += unauthorized;
        picture.there += report.trouble == TROUBLE_NONE || report.trouble == TROUBLE_FORBIDDEN;
        if ((away || unauthorized) &&
            (report.trouble_since.ms < picture.since.ms || picture.error[0] == '\0')) {
            picture.since = report.trouble_since;
            picture.error = report.last_error;
        }
        if (unauthorized)
            picture.unauthorized_since = mono_min(picture.unauthorized_since, report.trouble_since);
    }
    return picture;
}

static bool tell(const char *account, const struct condition *condition, enum condition_news news,
                 enum event_kind kind, const char *note, int64_t figure, struct now now, struct batch *batch)
{
    if (news == CONDITION_QUIET)
        return true;
    struct event *event = condition_event(condition, news, kind, now.wall, account, "", note, figure);
    return batch_add(batch, BATCH_EVENT, event, false);
}

static bool judge(struct condition *condition, bool holds, mono_time since, const char *error,
                  const char *account, const struct alert_rules *rules, struct now now, struct batch *batch)
{
    enum condition_news news;
    if (holds) {
        int64_t age = mono_diff(now.mono, since);
        news = condition_hold(condition, since, error, age, now, rules->remind_every);
        return tell(account, condition, news, condition->kind, error, age, now, batch);
    }
    int64_t age = condition_age(condition, now.mono);
    news = condition_end(condition);
    return tell(account, condition, news, EVENT_API_RECOVERED, "", age, now, batch);
}

bool account_health_check(struct account_health *health, const char *account, struct watcher *const *watchers,
                          size_t n, const struct alert_rules *rules, struct now now, struct batch *batch)
{
    struct picture picture = take_picture(watchers, n, now.mono);
    if (picture.there > 0)
        health->last_there = now.mono;
    /* One watch that never came back must not lend its age, and with it the id, to the next time that all are
     * away. */
    mono_time away_since = mono_max(picture.since, health->last_there);
    bool all_away = picture.away > 0 && picture.there == 0 && picture.unauthorized == 0;
    bool long_away = all_away && mono_diff(now.mono, away_since) >= rules->unreachable_after;
    health->away.kind = EVENT_API_UNREACHABLE;
    health->unauthorized.kind = EVENT_API_UNAUTHORIZED;

    /* Only an answer that shows the contrary ends a condition: a refused key stays refused while the API is
     * away. */
    bool unauthorized = picture.unauthorized > 0 || (health->unauthorized.on && picture.there == 0);
    bool away = long_away || (health->away.on && picture.there + picture.unauthorized == 0);
    if (!judge(&health->unauthorized, unauthorized, picture.unauthorized_since, picture.error, account, rules,
               now, batch) ||
        !judge(&health->away, away, away_since, picture.error, account, rules, now, batch))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!watcher_tell_trouble(watchers[i], !all_away, now, batch))
            return false;
    }
    return true;
}
