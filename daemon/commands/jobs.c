/* jobs: the known jobs as a table, live if wanted, or one job whole. */
#include "jobs.h"

#include "../log.h"
#include "../table.h"

#include <stdlib.h>
#include <string.h>

/* Rows of a table and of what is followed, unless --lines says otherwise. */
#define USUAL_LINES 100
/* Lines of a live view beside the rows: the heading and the titles. */
#define HEAD_LINES 2
#define BAR_WIDTH  10
/* How often --follow in a pipe looks for changes, in ms. */
#define FOLLOW_EVERY 1000

static const struct column columns[] = {
    {.title = "STATE"},
    {.title = "PROGRESS", .leaves = 2},
    {.title = "DONE", .right = true, .leaves = 10},
    {.title = "TOTAL", .right = true, .leaves = 5},
    {.title = "FAILED", .right = true, .leaves = 1},
    {.title = "SKIPPED", .right = true, .leaves = 9},
    {.title = "RATE", .right = true, .leaves = 8},
    {.title = "LEFT", .right = true, .leaves = 4},
    {.title = "AGE", .right = true, .leaves = 7},
    {.title = "ACCOUNT", .least = 7, .leaves = 3},
    {.title = "JOB TYPE", .least = 16, .keep_end = true, .leaves = 3},
    {.title = "ID", .least = 14, .keep_end = true},
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

struct listing {
    struct view *view;
    struct job_query query;
    struct table *table;
    FILE *out;
    size_t limit; /* rows wanted; the query asks for one more, to know whether there are */
    size_t given;
    bool more;
    bool failed;
};

static void progress_cell(struct table *table, const struct terminal *terminal, double part, enum style style)
{
    char bar[JOB_BAR_SIZE];
    if (part < 0)
        table_cell(table, STYLE_PLAIN, "%s", "");
    else if (terminal->is_screen)
        table_cell(table, style, "%s %3d%%", job_bar(terminal, part, BAR_WIDTH, bar), (int)(part * 100));
    else
        table_cell(table, style, "%3d%%", (int)(part * 100));
}

static void count_cell(struct table *table, int64_t count, enum style style)
{
    char text[HUMAN_SIZE];
    table_cell(table, count > 0 ? style : STYLE_PLAIN, "%s", human_count(count, text));
}

static void left_cell(struct table *table, wall_time end, wall_time now)
{
    char text[HUMAN_SIZE];
    table_cell(table, STYLE_PLAIN, "%s",
               wall_is_none(end) ? "" : human_span(end.ms > now.ms ? end.ms - now.ms : 0, text));
}

static bool add_row(struct listing *listing, const struct job_row *row)
{
    const struct view *view = listing->view;
    struct table *table = listing->table;
    struct job_pace pace;
    enum style style;
    char text[HUMAN_SIZE];
    if (!job_pace(view, row, &pace))
        return false;
    const char *state = job_state(row, &style);
    table_cell(table, style, "%s", state);
    progress_cell(table, &view->terminal, pace.part, style);
    count_cell(table, row->counts.completed, STYLE_PLAIN);
    count_cell(table, row->counts.total, STYLE_PLAIN);
    count_cell(table, row->counts.failed, STYLE_WARN);
    count_cell(table, row->counts.skipped, STYLE_PLAIN);
    table_cell(table, STYLE_PLAIN, "%s", pace.per_second > 0 ? human_rate(pace.per_second, text) : "");
    left_cell(table, pace.end, view->now);
    table_cell(table, STYLE_PLAIN, "%s",
               wall_is_none(row->created_at) ? "" : human_span(view->now.ms - row->created_at.ms, text));
    table_cell(table, STYLE_PLAIN, "%s", row->account);
    table_cell(table, STYLE_PLAIN, "%s", row->family);
    table_cell(table, STYLE_PLAIN, "%s", row->id);
    return true;
}

static bool print_json(const struct view *view, const struct job_row *row, FILE *out)
{
    char *text = json_out_string(job_json(view, row));
    if (text)
        fprintf(out, "%s\n", text);
    bool fine = text != NULL;
    free(text);
    return fine;
}

static bool each_job(void *user, const struct job_row *row)
{
    struct listing *listing = user;
    listing->more = listing->limit > 0 && listing->given == listing->limit;
    if (listing->more)
        return false;
    listing->given++;
    bool fine =
        listing->view->options->json ? print_json(listing->view, row, listing->out) : add_row(listing, row);
    listing->failed = !fine;
    return fine && !ferror(listing->out);
}

static bool read_all(struct listing *listing, size_t limit)
{
    listing->limit = limit;
    listing->query.limit = limit ? limit + 1 : 0;
    listing->given = 0;
    listing->more = false;
    return store_read_jobs(listing->view->store, &listing->query, each_job, listing) && !listing->failed;
}

/* ---- the table ---- */

static size_t limit_of(const struct view *view)
{
    const struct options *options = view->options;
    size_t limit = options->lines == LINES_ALL ? 0 : options->lines;
    if (options->lines == 0 && (!options->json || options->follow))
        limit = USUAL_LINES;
    if (!options->follow || !view->terminal.is_screen || options->json)
        return limit;
    int rows = view->terminal.height - HEAD_LINES;
    size_t room = rows > 0 ? (size_t)rows : 1;
    return limit == 0 || limit > room ? room : limit;
}

static void print_heading(const struct listing *listing)
{
    const struct view *view = listing->view;
    char at[HUMAN_SIZE];
    fprintf(listing->out, "%zu job%s%s, %s; Ctrl-C ends\n", listing->given, listing->given == 1 ? "" : "s",
            listing->more ? " of more" : "", human_time(&view->terminal, view->now, false, at));
}

/* What a reader of the table may want to know, where it is no part of it. */
static void print_ending(const struct listing *listing)
{
    const struct terminal *terminal = &listing->view->terminal;
    FILE *out = terminal->is_screen ? listing->out : stderr;
    if (listing->more)
        fprintf(out, "There are more: -n all shows them\n");
    else if (listing->given == 0)
        fprintf(out, "No such jobs.\n");
}

static bool draw(struct view *view, void *user, FILE *out)
{
    struct listing *listing = user;
    bool live = view->options->follow && !view->options->json && view->terminal.is_screen;
    listing->out = out;
    listing->table = table_new(&view->terminal, columns, N_COLUMNS);
    bool fine = listing->table && read_all(listing, limit_of(view));
    if (fine && live)
        print_heading(listing);
    if (fine && !view->options->json && listing->given > 0)
        fine = table_print(listing->table, out, "");
    if (fine && !live && !view->options->json)
        print_ending(listing);
    table_free(listing->table);
    return fine;
}

/* ---- following in a pipe: each job that is new, or has changed ---- */

struct seen {
    char **lines; /* sorted: what was printed of each job */
    size_t n;
};

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void forget(struct seen *seen)
{
    for (size_t i = 0; i < seen->n; i++)
        free(seen->lines[i]);
    free(seen->lines);
    *seen = (struct seen){0};
}

struct following {
    struct listing listing;
    struct seen before;
    struct seen now;
};

/* Its JSON does not change unless the job does. */
static bool each_followed(void *user, const struct job_row *row)
{
    struct following *following = user;
    struct listing *listing = &following->listing;
    struct seen *now = &following->now;
    char *text = json_out_string(job_json(listing->view, row));
    char **lines = text ? reallocarray(now->lines, now->n + 1, sizeof *lines) : NULL;
    listing->failed = !lines;
    if (!lines) {
        free(text);
        return false;
    }
    now->lines = lines;
    lines[now->n++] = text;
    const struct seen *before = &following->before;
    if (before->n > 0 && bsearch(&text, before->lines, before->n, sizeof text, compare_lines))
        return true;
    if (listing->view->options->json)
        puts(text);
    else
        listing->failed = !add_row(listing, row);
    return !listing->failed;
}

static bool follow_step(void *user)
{
    struct following *following = user;
    struct listing *listing = &following->listing;
    listing->query.limit = limit_of(listing->view);
    listing->table = table_new(&listing->view->terminal, columns, N_COLUMNS);
    bool fine = listing->table &&
                store_read_jobs(listing->view->store, &listing->query, each_followed, following) &&
                !listing->failed;
    if (fine && table_rows(listing->table) > 0)
        fine = table_print(listing->table, stdout, "");
    table_free(listing->table);
    if (following->now.n > 0)
        qsort(following->now.lines, following->now.n, sizeof(char *), compare_lines);
    forget(&following->before);
    following->before = following->now;
    following->now = (struct seen){0};
    return fine;
}

static int follow(const struct listing *listing)
{
    struct following following = {.listing = *listing};
    int code = view_follow(listing->view, FOLLOW_EVERY, follow_step, &following);
    forget(&following.before);
    return code;
}

/* ---- one job ---- */

static bool count_one(void *user, const struct job_row *row)
{
    (void)row;
    ++*(size_t *)user;
    return true;
}

/* How many jobs there are of an id, or that begin so: 2 stands for more. */
static bool count_jobs(const struct view *view, struct job_query *query, bool whole, size_t *ret)
{
    query->whole_id = whole;
    query->limit = 2;
    *ret = 0;
    return store_read_jobs(view->store, query, count_one, ret);
}

struct drawing {
    struct view *view;
    FILE *out;
    bool fine;
};

static bool draw_row(void *user, const struct job_row *row)
{
    struct drawing *page = user;
    page->fine = job_page(page->view, row, page->out);
    return false;
}

static bool draw_page(struct view *view, void *user, FILE *out)
{
    struct listing *listing = user;
    struct drawing page = {view, out, true};
    listing->query.limit = 1;
    return store_read_jobs(view->store, &listing->query, draw_row, &page) && page.fine;
}

/* The page where one job is meant, the table where there are more. */
static int show_job(struct view *view, struct listing *listing)
{
    struct job_query *query = &listing->query;
    size_t n;
    if (!count_jobs(view, query, true, &n) || (n != 1 && !count_jobs(view, query, false, &n)))
        return view_failed(view);
    if (n == 1)
        return view_show(view, true, draw_page, listing);
    if (n > 1)
        return view_show(view, true, draw, listing);
    log_error("no job begins with \"%s\"; events about jobs that are forgotten: klv-jobwatch events --job %s",
              query->id, query->id);
    return EXIT_FAILED;
}

/* ---- what was typed ---- */

static bool read_query(const struct options *options, struct job_query *query)
{
    size_t which;
    *query = (struct job_query){.account = options->account,
                                .family = options->family,
                                .id = options->n_arguments ? options->arguments[0] : NULL,
                                .failed = options->failed,
                                .stalled = options->stalled,
                                .reverse = options->reverse};
    if (options->status) {
        if (!options_choose("status", options->status, job_choice_words, N_JOB_CHOICES, &which))
            return false;
        query->choice = (enum job_choice)which;
    }
    if (options->sort) {
        if (!options_choose("sort", options->sort, job_order_words, N_JOB_ORDERS, &which))
            return false;
        query->order = (enum job_order)which;
    }
    return true;
}

int command_jobs(const struct options *options)
{
    struct view view;
    struct listing listing = {.view = &view};
    int code;
    if (!read_query(options, &listing.query))
        return EXIT_USAGE;
    if (!view_open(&view, options))
        return EXIT_FAILED;
    if (listing.query.id)
        code = show_job(&view, &listing);
    else if (options->follow && (options->json || !view.terminal.is_screen))
        code = follow(&listing);
    else
        code = view_show(&view, !options->json, draw, &listing);
    view_close(&view);
    return code;
}
