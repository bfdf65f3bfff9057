/*
 * table: a table for people: cells row by row, columns as wide as they need, all within the terminal's width.
 *
 * A column of which every cell is empty is left out. When the terminal is too narrow, first those that may go and are a
 * luxury are left out, the highest number first; then those that may be shortened are, down to their least width, the
 * widest first; then the rest of those that may go. Text is cleaned (terminal_text). Memory that is short is told by
 * table_print.
 */
#ifndef KLV_TABLE_H
#define KLV_TABLE_H

#include "terminal.h"

#include <stdio.h>

/* A column that leaves before another is shortened. */
#define COLUMN_LUXURY 6

struct column {
    const char *title;
    bool right;    /* aligned to the right, as numbers are */
    int least;     /* may be shortened to so many columns; 0: never */
    bool keep_end; /* what is shortened loses its beginning, as an id that begins like all others */
    int leaves;    /* may be left out, those of a higher number first; 0: never */
};

struct table;

/* columns must outlive the table. NULL without memory; all functions take that. */
struct table *table_new(const struct terminal *terminal, const struct column *columns, size_t n);
void table_free(struct table *table);

/* The next cell of the row; after the last column a new row begins. */
void table_cell(struct table *table, enum style style, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The titles, then the rows, each behind an indent. False without memory; output errors stay in the stream. */
bool table_print(const struct table *table, FILE *out, const char *indent);

/* How many rows are whole. */
size_t table_rows(const struct table *table);

#endif
