#include "delivery_text.h"

#include "../delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *delivery_sink_name(const char *sink)
{
    size_t prefix = strlen(SINK_HOOK_PREFIX);
    return strncmp(sink, SINK_HOOK_PREFIX, prefix) == 0 ? sink + prefix : sink;
}

/* "HTTP 503", "connection refused", "" */
static const char *answer(const struct stored_delivery *row, char out[256])
{
    if (row->last_error[0])
        snprintf(out, 256, "%s", row->last_error);
    else if (row->last_status)
        snprintf(out, 256, "HTTP %d", row->last_status);
    else
        out[0] = '\0';
    return out;
}

static char *waiting_text(const struct view *view, const struct stored_delivery *row)
{
    char next[HUMAN_SIZE], last[HUMAN_SIZE], said[256], *text;
    const char *name = delivery_sink_name(row->sink);
    human_distance(view_wall(view, row->next_at), view->now, next);
    if (wall_is_none(row->last_at))
        return asprintf(&text, "%s: waits, not sent yet", name) < 0 ? NULL : text;
    human_distance(row->last_at, view->now, last);
    answer(row, said);
    int n = asprintf(&text, "%s: waits, next attempt %s; %u so far, the last %s%s%s", name, next,
                     row->attempts, last, said[0] ? ": " : "", said);
    return n < 0 ? NULL : text;
}

char *delivery_text(const struct view *view, const struct stored_delivery *row)
{
    char at[HUMAN_SIZE], said[256], *text;
    if (row->state == DELIVERY_WAITING)
        return waiting_text(view, row);
    human_time(&view->terminal, row->last_at, true, at);
    answer(row, said);
    int n = asprintf(&text, "%s: %s %s%s%s (%u attempt%s)", delivery_sink_name(row->sink),
                     row->state == DELIVERY_DONE ? "delivered" : "given up", at, said[0] ? ", " : "", said,
                     row->attempts, row->attempts == 1 ? "" : "s");
    return n < 0 ? NULL : text;
}

struct json_object *delivery_json(const struct view *view, const struct stored_delivery *row)
{
    static const char *const states[] = {
        [DELIVERY_WAITING] = "waiting", [DELIVERY_DONE] = "delivered", [DELIVERY_DEAD] = "given_up"};
    struct json_out object = json_out_new();
    json_out_text(&object, "sink", delivery_sink_name(row->sink));
    json_out_text(&object, "state", states[row->state]);
    json_out_int(&object, "attempts", row->attempts);
    json_out_time(&object, "last_attempt_at", row->last_at);
    if (row->last_status)
        json_out_int(&object, "last_status", row->last_status);
    if (row->last_error[0])
        json_out_text(&object, "last_error", row->last_error);
    if (row->state == DELIVERY_WAITING)
        json_out_time(&object, "next_attempt_at", view_wall(view, row->next_at));
    return json_out_json(&object);
}
