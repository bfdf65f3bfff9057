#include "watch_private.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

struct keyed watch_keyed(const struct watch *watch)
{
    return (struct keyed){watch->account, &watch->key};
}

const char *watch_account(const struct watch *watch)
{
    return watch->account->name;
}

bool watch_is_done(const struct watch *watch)
{
    return watch->done;
}

bool watch_was_whole(const struct watch *watch, char *why, size_t why_size)
{
    struct now now = loop_now(watch->shared.loop);
    for (size_t i = 0; i < watch->n; i++) {
        if (!watch->families[i]->failed)
            continue;
        struct watcher_report report = watcher_report(watch->watchers[i], now.mono);
        const struct condition *schema = watcher_condition(watch->watchers[i], WATCH_SCHEMA);
        const char *error = report.last_error[0] ? report.last_error : schema->note;
        snprintf(why, why_size, "account \"%s\", %s: %s", watch->account->name,
                 watcher_family(watch->watchers[i]), error[0] ? error : "no request could be sent");
        return false;
    }
    return watch->saved;
}

static const char *trouble_text(const struct watcher_report *report)
{
    switch (report->trouble) {
    case TROUBLE_UNKNOWN:
    case TROUBLE_NONE:
        return "";
    case TROUBLE_AWAY:
    case TROUBLE_UNAUTHORIZED:
    case TROUBLE_FORBIDDEN:
        return report->last_error;
    }
    return "";
}

struct watch_figures watch_figures(const struct watch *watch, struct now now)
{
    struct watch_figures figures = {.families = watch->n,
                                    .next = MONO_NEVER,
                                    .saved = watch->saved,
                                    .problem = "",
                                    .last_good = now.wall};
    for (size_t i = 0; i < watch->n; i++) {
        struct watcher_report report = watcher_report(watch->watchers[i], now.mono);
        wall_time good = watcher_state(watch->watchers[i])->last_good;
        figures.jobs += report.jobs;
        figures.active += report.active;
        figures.next = mono_min(figures.next, mono_min(report.next, report.next_full));
        figures.spent += report.usage.in_last_minute;
        figures.share += report.usage.steady;
        if (good.ms < figures.last_good.ms)
            figures.last_good = good;
        if (figures.problem[0] == '\0')
            figures.problem = trouble_text(&report);
    }
    return figures;
}

enum heartbeat_sight watch_sight(const struct watch *watch, struct now now)
{
    const struct config_account *account = watch->account;
    enum heartbeat_sight worst = watch->saved ? SIGHT_GOOD : SIGHT_BAD;
    for (size_t i = 0; i < watch->n; i++) {
        struct watcher_report report = watcher_report(watch->watchers[i], now.mono);
        bool has_swept = report.last_active.ms > 0;
        struct heartbeat_view view = {
            .refused = report.trouble == TROUBLE_UNAUTHORIZED || report.trouble == TROUBLE_FORBIDDEN,
            .trouble_since = report.trouble == TROUBLE_AWAY ? report.trouble_since : MONO_NEVER,
            .swept = has_swept ? report.last_active : watch->began,
            .pace = report.period > account->idle_interval ? report.period : account->idle_interval,
        };
        enum heartbeat_sight sight =
            heartbeat_judge(&view, has_swept, watch->shared.config->alerts.unreachable_after, now.mono);
        worst = sight > worst ? sight : worst;
    }
    return worst;
}

static bool put_int(struct json_object *object, const char *key, int64_t value)
{
    return json_object_object_add(object, key, json_object_new_int64(value)) == 0;
}

static struct json_object *family_json(const struct watch *watch, size_t i, struct now now)
{
    struct watcher_report report = watcher_report(watch->watchers[i], now.mono);
    const struct watcher_state *state = watcher_state(watch->watchers[i]);
    struct json_object *object = json_object_new_object();
    if (!object)
        return NULL;
    /* Times are told as wall times, so that a reader needs no clock of ours. */
    int64_t to_wall = now.wall.ms - now.mono.ms;
    json_object_object_add(object, "family", json_object_new_string(watcher_family(watch->watchers[i])));
    json_object_object_add(object, "problem", json_object_new_string(trouble_text(&report)));
    json_object_object_add(object, "baseline", json_object_new_boolean(state->has_baseline));
    put_int(object, "jobs", (int64_t)report.jobs);
    put_int(object, "active", (int64_t)report.active);
    put_int(object, "last_good_ms", wall_is_none(state->last_good) ? 0 : state->last_good.ms);
    put_int(object, "next_ms", report.next.ms == MONO_NEVER.ms ? 0 : report.next.ms + to_wall);
    put_int(object, "next_full_ms", report.next_full.ms == MONO_NEVER.ms ? 0 : report.next_full.ms + to_wall);
    put_int(object, "last_active_ms", report.last_active.ms <= 0 ? 0 : report.last_active.ms + to_wall);
    put_int(object, "period_ms", report.period);
    put_int(object, "blocked_until_ms", mono_max(report.usage.blocked_until, now.mono).ms + to_wall);
    put_int(object, "spent", report.usage.in_last_minute);
    put_int(object, "share", report.usage.steady);
    put_int(object, "share_now", report.usage.steady_now);
    put_int(object, "limit", report.usage.limit);
    put_int(object, "remaining", report.usage.remaining);
    put_int(object, "requests", (int64_t)report.requests);
    return object;
}

char *watch_report_json(const struct watch *watch, struct now now)
{
    struct json_object *array = json_object_new_array();
    for (size_t i = 0; array && i < watch->n; i++) {
        struct json_object *family = family_json(watch, i, now);
        if (!family || json_object_array_add(array, family) != 0) {
            json_object_put(family);
            json_object_put(array);
            return NULL;
        }
    }
    const char *text = array ? json_object_to_json_string_ext(array, JSON_C_TO_STRING_PLAIN) : NULL;
    char *copy = text ? strdup(text) : NULL;
    json_object_put(array);
    return copy;
}
