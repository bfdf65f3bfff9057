#include "table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2

struct cell {
    char *text;
    int width;
    enum style style;
};

struct table {
    const struct terminal *terminal;
    const struct column *columns;
    size_t n_columns;
    struct cell *cells;
    size_t n;
    size_t room;
    bool failed;
};

struct table *table_new(const struct terminal *terminal, const struct column *columns, size_t n)
{
    struct table *table = calloc(1, sizeof *table);
    if (table)
        *table = (struct table){.terminal = terminal, .columns = columns, .n_columns = n};
    return table;
}

void table_free(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->n; i++)
        free(table->cells[i].text);
    free(table->cells);
    free(table);
}

static struct cell *new_cell(struct table *table)
{
    if (table->n == table->room) {
        size_t room = table->room ? table->room * 2 : 64;
        struct cell *cells = reallocarray(table->cells, room, sizeof *cells);
        if (!cells)
            return NULL;
        table->cells = cells;
        table->room = room;
    }
    return &table->cells[table->n];
}

void table_cell(struct table *table, enum style style, const char *format, ...)
{
    char *raw = NULL;
    va_list arguments;
    if (!table || table->failed)
        return;
    va_start(arguments, format);
    int len = vasprintf(&raw, format, arguments);
    va_end(arguments);
    char *text = len < 0 ? NULL : terminal_text(table->terminal, raw);
    struct cell *cell = text ? new_cell(table) : NULL;
    if (len >= 0)
        free(raw);
    if (!cell) {
        free(text);
        table->failed = true;
        return;
    }
    *cell = (struct cell){text, terminal_text_width(table->terminal, text), style};
    table->n++;
}

size_t table_rows(const struct table *table)
{
    return table ? table->n / table->n_columns : 0;
}

/* ---- widths ---- */

static void natural_widths(const struct table *table, int *widths)
{
    for (size_t c = 0; c < table->n_columns; c++) {
        widths[c] = 0;
        for (size_t i = c; i < table->n; i += table->n_columns)
            widths[c] = table->cells[i].width > widths[c] ? table->cells[i].width : widths[c];
        int title = (int)strlen(table->columns[c].title);
        if (widths[c] > 0 && title > widths[c])
            widths[c] = title;
    }
}

static int whole_width(const struct table *table, const int *widths, int indent)
{
    int sum = indent - GAP;
    for (size_t c = 0; c < table->n_columns; c++)
        sum += widths[c] > 0 ? widths[c] + GAP : 0;
    return sum;
}

/* By one, the widest of those that may be. */
static bool shorten(const struct table *table, int *widths)
{
    int *widest = NULL;
    for (size_t c = 0; c < table->n_columns; c++) {
        int least = table->columns[c].least;
        if (least > 0 && widths[c] > least && (!widest || widths[c] > *widest))
            widest = &widths[c];
    }
    if (!widest)
        return false;
    --*widest;
    return true;
}

/* One that is worth no more than this. */
static bool leave_out(const struct table *table, int *widths, int worth)
{
    size_t first = table->n_columns;
    for (size_t c = 0; c < table->n_columns; c++) {
        int leaves = table->columns[c].leaves;
        if (widths[c] > 0 && leaves >= worth &&
            (first == table->n_columns || leaves > table->columns[first].leaves))
            first = c;
    }
    if (first == table->n_columns)
        return false;
    widths[first] = 0;
    return true;
}

static void fit(const struct table *table, int *widths, int indent)
{
    int width = table->terminal->width;
    natural_widths(table, widths);
    while (width > 0 && whole_width(table, widths, indent) > width) {
        if (!leave_out(table, widths, COLUMN_LUXURY) && !shorten(table, widths) &&
            !leave_out(table, widths, 1))
            break;
    }
}

/* ---- printing ---- */

static void pad(FILE *out, int n)
{
    fprintf(out, "%*s", n > 0 ? n : 0, "");
}

/* The text in so many columns, with a mark where something was left out. */
static void print_text(const struct table *table, const struct column *column, const char *text, int width,
                       FILE *out)
{
    const struct terminal *terminal = table->terminal;
    const char *mark = terminal_ellipsis(terminal);
    int taken, room = width - terminal_text_width(terminal, mark);
    size_t len = terminal_cut(terminal, text, room > 0 ? room : 0, column->keep_end, &taken);
    if (column->keep_end)
        fprintf(out, "%s%s", mark, text + strlen(text) - len);
    else
        fprintf(out, "%.*s%s", (int)len, text, mark);
    pad(out, room - taken);
}

/* last: nothing follows in the row, so nothing is padded. */
static void print_cell(const struct table *table, size_t c, const struct cell *cell, int width, bool last,
                       FILE *out)
{
    const struct column *column = &table->columns[c];
    if (column->right)
        pad(out, width - cell->width);
    fputs(terminal_style(table->terminal, cell->style), out);
    if (cell->width > width)
        print_text(table, column, cell->text, width, out);
    else
        fputs(cell->text, out);
    fputs(terminal_plain(table->terminal, cell->style), out);
    if (!column->right && !last)
        pad(out, width - cell->width);
}

static void print_row(const struct table *table, const struct cell *cells, const int *widths,
                      const char *indent, FILE *out)
{
    size_t last = 0;
    for (size_t c = 0; c < table->n_columns; c++) {
        if (widths[c] > 0 && cells[c].width > 0)
            last = c;
    }
    fputs(indent, out);
    for (size_t c = 0, shown = 0; c <= last; c++) {
        if (widths[c] == 0)
            continue;
        if (shown++ > 0)
            pad(out, GAP);
        print_cell(table, c, &cells[c], widths[c], c == last, out);
    }
    fputc('\n', out);
}

static bool print_titles(const struct table *table, const int *widths, const char *indent, FILE *out)
{
    struct cell *titles = calloc(table->n_columns, sizeof *titles);
    if (!titles)
        return false;
    for (size_t c = 0; c < table->n_columns; c++)
        titles[c] =
            (struct cell){(char *)table->columns[c].title, (int)strlen(table->columns[c].title), STYLE_BOLD};
    print_row(table, titles, widths, indent, out);
    free(titles);
    return true;
}

bool table_print(const struct table *table, FILE *out, const char *indent)
{
    if (!table || table->failed)
        return false;
    int *widths = calloc(table->n_columns, sizeof *widths);
    bool fine = widths != NULL;
    if (fine) {
        fit(table, widths, (int)strlen(indent));
        fine = print_titles(table, widths, indent, out);
    }
    for (size_t i = 0; fine && i + table->n_columns <= table->n; i += table->n_columns)
        print_row(table, &table->cells[i], widths, indent, out);
    free(widths);
    return fine;
}
