/*
 * view: what the commands that read the store have in common: the store and the terminal, output through a pager, and live
 * views that are drawn again when the store has changed.
 */
#ifndef KLV_VIEW_H
#define KLV_VIEW_H

#include "commands.h"
#include "../human.h"
#include "../store_read.h"

#include <stdio.h>

struct view {
    const struct options *options;
    struct store *store;
    struct terminal terminal;
    int64_t to_wall; /* what makes a wall time of one on the store's time line */
    wall_time now;   /* sampled before each drawing */
    int code;        /* exit code, if nothing fails */
};

/* Open the store, look at the terminal. False after an error was logged; then view_close is not needed. */
bool view_open(struct view *view, const struct options *options);
void view_close(struct view *view);

/* The wall time of a time on the store's time line; WALL_NONE for MONO_NEVER. */
wall_time view_wall(const struct view *view, mono_time t);

/* Log what the store said; returns EXIT_FAILED. */
int view_failed(const struct view *view);

/*
 * Draw once, on a terminal through a pager where `paged`; with --follow on a terminal again and again, in place, until
 * the person has enough. `draw` writes to out and returns false when the store or memory fails. Returns the exit code.
 */
int view_show(struct view *view, bool paged, bool (*draw)(struct view *view, void *user, FILE *out),
              void *user);

/*
 * Into a pipe: step() prints what is new, now and whenever another process has written to the store (looked at anew
 * after at most so many ms), until Ctrl-C or until the reader is gone. It returns false when the store or memory fails.
 * Returns the exit code.
 */
int view_follow(struct view *view, int every, bool (*step)(void *user), void *user);

#endif
