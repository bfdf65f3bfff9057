#include "status.h"

#include "delivery_text.h"
#include "../../lib/json_out.h"

#include <stdlib.h>
#include <string.h>

static void put_counts(struct json_out *out, const struct status_watch *watch)
{
    const struct watch_counts *counts = &watch->counts;
    json_out_int(out, "queued", counts->queued);
    json_out_int(out, "processing", counts->processing);
    json_out_int(out, "complete", watch->complete);
    json_out_int(out, "cancelled", counts->cancelled);
    json_out_int(out, "other", counts->other);
    json_out_int(out, "with_failures", counts->with_failures);
}

/* The daemon's report of the family, with the store's figures. */
static struct json_object *watch_json(const struct status_watch *watch, wall_time now)
{
    struct json_out out = {0};
    if (watch->live) {
        out.failed = json_object_deep_copy(watch->live, &out.json, NULL) != 0;
        json_out_int(&out, "delay_ms", status_delay(watch, now));
    } else {
        out = json_out_new();
        json_out_text(&out, "family", watch->family);
        json_out_int(&out, "jobs", watch->jobs);
        json_out_int(&out, "last_good_ms",
                     wall_is_none(watch->counts.last_good) ? 0 : watch->counts.last_good.ms);
    }
    put_counts(&out, watch);
    return json_out_json(&out);
}

/* Whether the daemon could write what it saw of this account; only it knows. */
static void put_saved(struct json_out *out, const struct status *status, const char *account)
{
    struct json_object *accounts = json_object_object_get(status->report, "accounts");
    for (size_t i = 0; accounts && i < json_object_array_length(accounts); i++) {
        struct json_object *one = json_object_array_get_idx(accounts, i);
        if (strcmp(status_text(one, "account"), account) == 0)
            json_out_put(out, "saved", json_object_get(json_object_object_get(one, "saved")));
    }
}

static struct json_object *account_json(const struct status *status, size_t first, size_t n, wall_time now)
{
    struct json_out out = json_out_new();
    struct json_object *list = json_object_new_array();
    json_out_text(&out, "account", status->watches[first].account);
    put_saved(&out, status, status->watches[first].account);
    for (size_t i = first; i < first + n; i++)
        list = json_out_append(list, watch_json(&status->watches[i], now));
    json_out_put(&out, "families", list);
    return json_out_json(&out);
}

static struct json_object *accounts_json(const struct status *status, wall_time now)
{
    struct json_object *accounts = json_object_new_array();
    for (size_t i = 0, n; i < status->n_watches; i += n) {
        for (n = 1; i + n < status->n_watches; n++) {
            if (strcmp(status->watches[i + n].account, status->watches[i].account) != 0)
                break;
        }
        accounts = json_out_append(accounts, account_json(status, i, n, now));
    }
    return accounts;
}

static struct json_object *sink_json(const struct view *view, const struct status_sink *sink)
{
    struct json_out out = json_out_new();
    json_out_text(&out, "sink", sink->name);
    json_out_int(&out, "waiting", sink->figures.waiting);
    json_out_int(&out, "given_up", sink->figures.dead);
    if (sink->figures.waiting > 0)
        json_out_time(&out, "next_attempt_at", view_wall(view, sink->figures.next_at));
    if (sink->off)
        json_out_true(&out, "off");
    if (sink->unknown)
        json_out_true(&out, "removed");
    if (!wall_is_none(sink->figures.last.last_at))
        json_out_put(&out, "last", delivery_json(view, &sink->figures.last));
    return json_out_json(&out);
}

bool status_print_json(struct view *view, const struct status *status, FILE *out)
{
    struct json_out whole = json_out_new();
    struct json_object *sinks = json_object_new_array(), *problems = json_object_new_array();
    for (size_t i = 0; i < status->n_sinks; i++)
        sinks = json_out_append(sinks, sink_json(view, &status->sinks[i]));
    for (size_t i = 0; i < status->n_problems; i++)
        problems = json_out_append(problems, json_object_new_string(status->problems[i]));
    json_out_put(&whole, "running", json_object_new_boolean(status->running));
    json_out_put(&whole, "healthy", json_object_new_boolean(status->n_problems == 0));
    json_out_put(&whole, "problems", problems);
    if (status->report) {
        json_out_int(&whole, "pid", status_int(status->report, "pid"));
        json_out_text(&whole, "version", status_text(status->report, "version"));
        json_out_int(&whole, "at_ms", status_int(status->report, "at_ms"));
    }
    json_out_put(&whole, "accounts", accounts_json(status, view->now));
    json_out_put(&whole, "sinks", sinks);
    char *text = json_out_take(&whole);
    if (text)
        fprintf(out, "%s\n", text);
    free(text);
    return text != NULL;
}
