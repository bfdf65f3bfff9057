#include "jobs.h"

#include "delivery_text.h"
#include "event_line.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define BAR_WIDTH 30

/* "  name        value", cleaned. */
static bool fact(const struct view *view, FILE *out, const char *name, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool fact(const struct view *view, FILE *out, const char *name, const char *format, ...)
{
    char *raw = NULL;
    va_list arguments;
    va_start(arguments, format);
    int len = vasprintf(&raw, format, arguments);
    va_end(arguments);
    char *text = len < 0 ? NULL : terminal_text(&view->terminal, raw);
    if (text)
        fprintf(out, "  %-10s  %s\n", name, text);
    bool fine = text != NULL;
    if (len >= 0)
        free(raw);
    free(text);
    return fine;
}

static bool time_fact(const struct view *view, FILE *out, const char *name, wall_time at)
{
    char when[HUMAN_SIZE], distance[HUMAN_SIZE];
    if (wall_is_none(at))
        return true;
    return fact(view, out, name, "%s, %s", human_time(&view->terminal, at, false, when),
                human_distance(at, view->now, distance));
}

/* ", 12 failed" */
static void add_count(char *text, size_t size, int64_t count, const char *what)
{
    char number[HUMAN_SIZE];
    size_t len = strlen(text);
    if (count != COUNT_NONE && (count != 0 || strcmp(what, "completed") == 0))
        snprintf(text + len, size - len, "%s%s %s", len ? ", " : "", human_count(count, number), what);
}

static bool count_facts(const struct view *view, FILE *out, const struct job_row *row,
                        const struct job_pace *pace)
{
    char text[256] = "", total[HUMAN_SIZE], bar[JOB_BAR_SIZE];
    if (pace->part >= 0 &&
        !fact(view, out, "progress", "%s %3d%%", job_bar(&view->terminal, pace->part, BAR_WIDTH, bar),
              (int)(pace->part * 100)))
        return false;
    add_count(text, sizeof text, row->counts.completed, "completed");
    add_count(text, sizeof text, row->counts.failed, "failed");
    add_count(text, sizeof text, row->counts.skipped, "skipped");
    if (row->counts.total == COUNT_NONE)
        return fact(view, out, "items", "%s", text);
    return fact(view, out, "items", "%s of %s", text, human_count(row->counts.total, total));
}

static bool pace_facts(const struct view *view, FILE *out, const struct job_row *row,
                       const struct job_pace *pace)
{
    char rate[HUMAN_SIZE], end[HUMAN_SIZE], took[HUMAN_SIZE];
    if (pace->per_second > 0 && !fact(view, out, "rate", "%s", human_rate(pace->per_second, rate)))
        return false;
    if (!wall_is_none(pace->end) &&
        !fact(view, out, "done", "in about %s at that rate",
              human_span(pace->end.ms > view->now.ms ? pace->end.ms - view->now.ms : 0, end)))
        return false;
    if (wall_is_none(row->completed_at) || wall_is_none(row->created_at))
        return true;
    return fact(view, out, "took", "%s", human_span(row->completed_at.ms - row->created_at.ms, took));
}

static bool print_facts(const struct view *view, FILE *out, const struct job_row *row)
{
    struct job_pace pace;
    enum style style;
    if (!job_pace(view, row, &pace))
        return false;
    const struct terminal *terminal = &view->terminal;
    char *id = terminal_text(terminal, row->id);
    if (!id)
        return false;
    fprintf(out, "%s%s%s\n", terminal_style(terminal, STYLE_BOLD), id, terminal_plain(terminal, STYLE_BOLD));
    free(id);
    return fact(view, out, "job type", "%s", row->family) && fact(view, out, "account", "%s", row->account) &&
           fact(view, out, "state", "%s%s%s", row->status_word,
                strcmp(job_state(row, &style), row->status_word) == 0 ? "" : ", stalled",
                row->unlisted ? ", no longer in Klaviyo's list" : "") &&
           count_facts(view, out, row, &pace) && time_fact(view, out, "created", row->created_at) &&
           time_fact(view, out, "last moved",
                     job_status_is_active(row->status) ? view_wall(view, row->moved_at) : WALL_NONE) &&
           time_fact(view, out, "completed", row->completed_at) &&
           time_fact(view, out, "expires", row->expires_at) && pace_facts(view, out, row, &pace);
}

/* ---- history ---- */

struct history {
    struct view *view;
    FILE *out;
    size_t n;
    bool memory;
};

static bool print_error(const struct history *history, const struct job_error *error)
{
    char *raw = NULL;
    bool title = error->title[0] && strcmp(error->title, error->detail) != 0;
    if (asprintf(&raw, "%s%s%s%s%s%s%s", error->code, error->code[0] ? ": " : "", title ? error->title : "",
                 title && error->detail[0] ? ": " : "", error->detail, error->pointer[0] ? "  at " : "",
                 error->pointer) < 0)
        return false;
    char *text = terminal_text(&history->view->terminal, raw);
    if (text)
        fprintf(history->out, "    error: %s\n", text);
    bool fine = text != NULL;
    free(raw);
    free(text);
    return fine;
}

static bool print_event(void *user, int64_t seq, const struct event *event)
{
    struct history *history = user;
    bool fine = true;
    if (history->n++ == 0)
        fputs("\nHistory\n", history->out);
    fine = event_line(&history->view->terminal, event, history->out);
    for (size_t i = 0; fine && i < event->n_errors; i++)
        fine = print_error(history, &event->errors[i]);
    if (event->more_errors > 0)
        fprintf(history->out, "    and %zu more errors\n", event->more_errors);
    history->memory = fine && delivery_print(history->view, seq, history->out);
    return history->memory;
}

struct event_array {
    const struct view *view;
    struct json_object *json;
};

static bool add_event(void *user, int64_t seq, const struct event *event)
{
    struct event_array *array = user;
    array->json = json_out_append(array->json, delivery_event_json(array->view, seq, event));
    return array->json;
}

static struct event_query history_query(const struct job_row *row)
{
    return (struct event_query){.account = row->account,
                                .family = row->family,
                                .job_id = row->id,
                                .whole_id = true,
                                .priority = PRIO_DEBUG,
                                .since = WALL_NONE,
                                .until = WALL_NONE};
}

static bool page_json(struct view *view, const struct job_row *row, FILE *out)
{
    struct event_query query = history_query(row);
    struct json_out whole = {.json = job_json(view, row)};
    struct event_array events = {view, json_object_new_array()};
    whole.failed = !whole.json;
    if (!store_read_events(view->store, &query, add_event, &events))
        whole.failed = true;
    json_out_put(&whole, "events", events.json);
    char *text = json_out_take(&whole);
    if (text)
        fprintf(out, "%s\n", text);
    bool fine = text != NULL;
    free(text);
    return fine;
}

bool job_page(struct view *view, const struct job_row *row, FILE *out)
{
    struct history history = {view, out, 0, true};
    struct event_query query = history_query(row);
    if (view->options->json)
        return page_json(view, row, out);
    if (!print_facts(view, out, row) || !store_read_events(view->store, &query, print_event, &history))
        return false;
    if (history.n == 0)
        fputs("\nNothing was told about it: it had ended before the first sweep, or nothing of interest has "
              "happened yet.\n",
              out);
    return history.memory;
}
