#include "status.h"

#include "event_line.h"
#include "../table.h"
#include "../../lib/render.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* With more rows each account is one; of more accounts, those that matter most are shown. */
#define MAX_ROWS 20
/* Warnings and worse of the last day: so many. */
#define MAX_EVENTS 5
#define RECENT     86400000

/* ---- accounts and job types ---- */

static const struct column watch_columns[] = {
    {.title = "ACCOUNT", .least = 7},
    {.title = "JOB TYPE", .least = 16, .keep_end = true},
    {.title = "JOBS", .right = true},
    {.title = "QUEUED", .right = true, .leaves = 6},
    {.title = "RUNNING", .right = true},
    {.title = "DONE", .right = true, .leaves = 7},
    {.title = "CANCELLED", .right = true, .leaves = 8},
    {.title = "OTHER", .right = true, .leaves = 5},
    {.title = "FAILURES", .right = true, .leaves = 2},
    {.title = "DELAY", .right = true, .leaves = 3},
    {.title = "SWEPT", .right = true, .leaves = 4},
    {.title = "NEXT", .right = true, .leaves = 1},
    {.title = "NEXT FULL", .right = true, .leaves = 9},
    {.title = "USED/MIN", .right = true, .leaves = 10},
    {.title = "API LEFT", .right = true, .leaves = 11},
};
enum { N_WATCH_COLUMNS = sizeof watch_columns / sizeof *watch_columns };

/* One row: a family, or all of an account's. */
struct row {
    const char *account;
    char name[80];
    struct watch_counts sum;
    int64_t jobs;
    int64_t complete;
    int64_t delay;
    wall_time swept; /* the one that is longest ago */
    int64_t next;
    int64_t next_full;
    int64_t spent;
    int64_t share;
    int64_t limit;
    int64_t remaining;
    size_t n;
    bool trouble;
};

static int64_t earlier(int64_t a, int64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

static void add_to_row(struct row *row, const struct status_watch *watch, wall_time now)
{
    const struct watch_counts *counts = &watch->counts;
    int64_t delay = status_delay(watch, now);
    row->jobs += watch->jobs;
    row->sum.queued += counts->queued;
    row->sum.processing += counts->processing;
    row->complete += watch->complete;
    row->sum.cancelled += counts->cancelled;
    row->sum.other += counts->other;
    row->sum.with_failures += counts->with_failures;
    row->delay = delay > row->delay ? delay : row->delay;
    row->swept = row->n == 0 || counts->last_good.ms < row->swept.ms ? counts->last_good : row->swept;
    row->next = earlier(row->next, status_int(watch->live, "next_ms"));
    row->next_full = earlier(row->next_full, status_int(watch->live, "next_full_ms"));
    row->spent += status_int(watch->live, "spent");
    row->share += status_int(watch->live, "share_now");
    row->limit += status_int(watch->live, "limit");
    row->remaining += status_int(watch->live, "remaining");
    row->trouble |= watch->told || status_text(watch->live, "problem")[0] != '\0';
    row->n++;
    if (row->n == 1)
        snprintf(row->name, sizeof row->name, "%s", watch->family);
    else
        snprintf(row->name, sizeof row->name, "%zu job types", row->n);
}

static void count_cell(struct table *table, int64_t count, bool hide_zero, enum style style)
{
    char text[HUMAN_SIZE];
    table_cell(table, count > 0 ? style : STYLE_PLAIN, "%s",
               count == 0 && hide_zero ? "" : human_count(count, text));
}

/* "3s", how long ago or ahead; "-" where there is none. */
static void span_cell(struct table *table, bool known, int64_t ms)
{
    char text[HUMAN_SIZE];
    table_cell(table, STYLE_PLAIN, "%s", known ? human_span(ms, text) : "-");
}

static void part_cell(struct table *table, int64_t part, int64_t whole)
{
    char a[HUMAN_SIZE], b[HUMAN_SIZE];
    if (whole > 0)
        table_cell(table, STYLE_PLAIN, "%s/%s", human_count(part, a), human_count(whole, b));
    else
        table_cell(table, STYLE_PLAIN, "%s", "");
}

static void add_row(struct table *table, const struct row *row, wall_time now, bool running)
{
    table_cell(table, row->trouble && running ? STYLE_BAD : STYLE_PLAIN, "%s", row->account);
    table_cell(table, STYLE_PLAIN, "%s", row->name);
    count_cell(table, row->jobs, false, STYLE_PLAIN);
    count_cell(table, row->sum.queued, false, STYLE_PLAIN);
    count_cell(table, row->sum.processing, false, STYLE_GOOD);
    count_cell(table, row->complete, false, STYLE_PLAIN);
    count_cell(table, row->sum.cancelled, false, STYLE_PLAIN);
    count_cell(table, row->sum.other, true, STYLE_WARN);
    count_cell(table, row->sum.with_failures, false, STYLE_WARN);
    span_cell(table, running && row->delay > 0, row->delay);
    bool swept = !wall_is_none(row->swept);
    span_cell(table, swept, swept ? now.ms - row->swept.ms : 0);
    span_cell(table, running && row->next != 0, row->next - now.ms);
    span_cell(table, running && row->next_full != 0, row->next_full - now.ms);
    part_cell(table, running ? row->spent : 0, running ? row->share : 0);
    part_cell(table, row->remaining, running ? row->limit : 0);
}

/* Those in trouble first, then those with most in progress. */
static int by_worth(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    int64_t active_x = x->sum.queued + x->sum.processing, active_y = y->sum.queued + y->sum.processing;
    if (x->trouble != y->trouble)
        return x->trouble ? -1 : 1;
    if (active_x != active_y)
        return active_x > active_y ? -1 : 1;
    return strcmp(x->account, y->account);
}

/* Rows for the watches, by account where there are many. NULL without memory. */
static struct row *make_rows(const struct status *status, wall_time now, size_t *ret_n)
{
    bool by_account = status->n_watches > MAX_ROWS;
    struct row *rows = calloc(status->n_watches + 1, sizeof *rows);
    size_t n = 0;
    for (size_t i = 0; rows && i < status->n_watches; i++) {
        const struct status_watch *watch = &status->watches[i];
        if (n == 0 || !by_account || strcmp(rows[n - 1].account, watch->account) != 0)
            rows[n++].account = watch->account;
        add_to_row(&rows[n - 1], watch, now);
    }
    if (rows && n > MAX_ROWS)
        qsort(rows, n, sizeof *rows, by_worth);
    *ret_n = n;
    return rows;
}

static bool print_watches(struct view *view, const struct status *status, FILE *out)
{
    size_t n;
    struct row *rows = make_rows(status, view->now, &n);
    struct table *table = table_new(&view->terminal, watch_columns, N_WATCH_COLUMNS);
    for (size_t i = 0; rows && i < n && i < MAX_ROWS; i++)
        add_row(table, &rows[i], view->now, status->running);
    bool fine = rows && (n == 0 || table_print(table, out, ""));
    if (fine && n > MAX_ROWS)
        fprintf(out, "and %zu more accounts: klv-jobwatch status --account NAME\n", n - MAX_ROWS);
    table_free(table);
    free(rows);
    return fine;
}

/* ---- sinks ---- */

static const struct column sink_columns[] = {
    {.title = "SINK"},
    {.title = "WAITING", .right = true},
    {.title = "GIVEN UP", .right = true},
    {.title = "NEXT ATTEMPT", .right = true, .leaves = 1},
    {.title = "LAST ANSWER", .least = 12},
};
enum { N_SINK_COLUMNS = sizeof sink_columns / sizeof *sink_columns };

static void answer_cell(struct table *table, const struct stored_delivery *last, wall_time now)
{
    char ago[HUMAN_SIZE], attempt[32] = "";
    if (wall_is_none(last->last_at)) {
        table_cell(table, STYLE_DIM, "none yet");
        return;
    }
    human_distance(last->last_at, now, ago);
    if (last->state == DELIVERY_DONE) {
        table_cell(table, STYLE_GOOD, "delivered %s", ago);
        return;
    }
    if (last->attempts > 1)
        snprintf(attempt, sizeof attempt, ", attempt %u", last->attempts);
    table_cell(table, STYLE_BAD, "%s (%s%s)", last->last_error[0] ? last->last_error : "refused", ago,
               attempt);
}

static bool print_sinks(struct view *view, const struct status *status, FILE *out)
{
    struct table *table = table_new(&view->terminal, sink_columns, N_SINK_COLUMNS);
    for (size_t i = 0; i < status->n_sinks; i++) {
        const struct status_sink *sink = &status->sinks[i];
        char next[HUMAN_SIZE];
        table_cell(table, STYLE_PLAIN, "%s%s", sink->name,
                   sink->off       ? " (off)"
                   : sink->unknown ? " (removed)"
                                   : "");
        count_cell(table, sink->figures.waiting, false, STYLE_WARN);
        count_cell(table, sink->figures.dead, false, STYLE_WARN);
        if (sink->figures.waiting == 0 || sink->off || !status->running)
            table_cell(table, STYLE_PLAIN, "-");
        else
            table_cell(table, STYLE_PLAIN, "%s",
                       human_distance(view_wall(view, sink->figures.next_at), view->now, next));
        answer_cell(table, &sink->figures.last, view->now);
    }
    if (status->n_sinks > 0)
        fputc('\n', out);
    bool fine = status->n_sinks == 0 || table_print(table, out, "");
    table_free(table);
    return fine;
}

/* ---- the rest ---- */

/* A line, cleaned, and cut where the terminal ends. False without memory. */
static bool text_line(const struct terminal *terminal, FILE *out, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static bool text_line(const struct terminal *terminal, FILE *out, const char *format, ...)
{
    char *raw = NULL;
    va_list arguments;
    va_start(arguments, format);
    int len = vasprintf(&raw, format, arguments), taken;
    va_end(arguments);
    char *text = len < 0 ? NULL : terminal_text(terminal, raw);
    if (len >= 0)
        free(raw);
    if (!text)
        return false;
    bool cut = terminal->width > 0 && terminal_text_width(terminal, text) > terminal->width;
    const char *mark = cut ? terminal_ellipsis(terminal) : "";
    if (cut)
        text[terminal_cut(terminal, text, terminal->width - terminal_text_width(terminal, mark), false,
                          &taken)] = '\0';
    fprintf(out, "%s%s\n", text, mark);
    free(text);
    return true;
}

static void print_head(struct view *view, const struct status *status, FILE *out)
{
    const struct terminal *terminal = &view->terminal;
    char ago[HUMAN_SIZE];
    bool healthy = status->n_problems == 0;
    enum style style = healthy ? STYLE_GOOD : STYLE_BAD;
    if (status->running)
        fprintf(out, "klv-jobwatch %s runs as process %" PRId64 ", last news %s: ",
                status_text(status->report, "version"), status_int(status->report, "pid"),
                human_distance((wall_time){status_int(status->report, "at_ms")}, view->now, ago));
    else
        fputs("klv-jobwatch: ", out);
    fputs(terminal_style(terminal, style), out);
    if (healthy)
        fputs("all is well", out);
    else
        fprintf(out, "%zu problem%s", status->n_problems, status->n_problems == 1 ? "" : "s");
    fprintf(out, "%s\n", terminal_plain(terminal, style));
}

static bool print_problems(struct view *view, const struct status *status, FILE *out)
{
    for (size_t i = 0; i < status->n_problems; i++) {
        char *text = terminal_text(&view->terminal, status->problems[i]);
        if (!text)
            return false;
        fprintf(out, "%s! %s%s\n", terminal_style(&view->terminal, STYLE_BAD), text,
                terminal_plain(&view->terminal, STYLE_BAD));
        free(text);
    }
    fputc('\n', out);
    return true;
}

struct lately {
    struct view *view;
    FILE *out;
    size_t shown;
    bool memory;
};

static bool print_event(void *user, int64_t seq, const struct event *event)
{
    struct lately *lately = user;
    (void)seq;
    if (lately->shown++ == 0)
        fputs("\nWarnings and worse, of the last day:\n", lately->out);
    char *message = render_message(event), ago[HUMAN_SIZE];
    lately->memory = message && text_line(&lately->view->terminal, lately->out, "%11s  %s",
                                          human_distance(event->at, lately->view->now, ago), message);
    free(message);
    return lately->memory;
}

static bool print_events(struct view *view, FILE *out)
{
    struct lately lately = {view, out, 0, true};
    struct event_query query = {
        .account = view->options->account,
        .family = view->options->family,
        .priority = PRIO_WARNING,
        .since = {view->now.ms - RECENT},
        .until = WALL_NONE,
        .last = MAX_EVENTS,
    };
    return store_read_events(view->store, &query, print_event, &lately) && lately.memory;
}

bool status_print(struct view *view, const struct status *status, FILE *out)
{
    print_head(view, status, out);
    return print_problems(view, status, out) && print_watches(view, status, out) &&
           print_sinks(view, status, out) && print_events(view, out);
}
