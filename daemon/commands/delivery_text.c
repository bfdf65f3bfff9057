#include "delivery_text.h"

#include "../delivery.h"
#include "../../lib/render.h"

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

/* ---- all of an event's ---- */

struct telling {
    const struct view *view;
    FILE *out;
    struct json_object *array;
    bool memory;
};

static bool print_one(void *user, const struct stored_delivery *row)
{
    struct telling *telling = user;
    char *raw = delivery_text(telling->view, row);
    char *text = raw ? terminal_text(&telling->view->terminal, raw) : NULL;
    if (text)
        fprintf(telling->out, "    %s\n", text);
    telling->memory = text;
    free(raw);
    free(text);
    return telling->memory;
}

static bool add_one(void *user, const struct stored_delivery *row)
{
    struct telling *telling = user;
    telling->array = json_out_append(telling->array, delivery_json(telling->view, row));
    return telling->array;
}

bool delivery_print(const struct view *view, int64_t seq, FILE *out)
{
    struct telling telling = {.view = view, .out = out, .memory = true};
    return store_read_deliveries(view->store, seq, print_one, &telling) && telling.memory;
}

struct json_object *delivery_event_json(const struct view *view, int64_t seq, const struct event *event)
{
    struct telling telling = {.view = view, .array = json_object_new_array()};
    char *line = render_json_line(event);
    struct json_out whole = {.json = line ? json_tokener_parse(line) : NULL};
    whole.failed = !whole.json;
    free(line);
    if (!store_read_deliveries(view->store, seq, add_one, &telling)) {
        json_object_put(telling.array);
        telling.array = NULL;
    }
    json_out_put(&whole, "deliveries", telling.array);
    return json_out_json(&whole);
}
