#include "view.h"

#include "../log.h"
#include "../time_option.h"

#include <stdlib.h>

/* The store is looked at this often, in ms, and the view drawn anew at least so often, because ages grow. */
#define LOOK_EVERY   250
#define REDRAW_EVERY 1000

bool view_open(struct view *view, const struct options *options)
{
    char why[STORE_WHY];
    *view = (struct view){.options = options, .code = EXIT_FINE, .now = time_option_now()};
    terminal_init(&view->terminal, options->utc);
    view->store = store_open(options->state, false, why);
    if (!view->store)
        log_error("%s", why);
    return view->store;
}

void view_close(struct view *view)
{
    store_close(view->store);
}

wall_time view_wall(const struct view *view, mono_time t)
{
    return t.ms == MONO_NEVER.ms ? WALL_NONE : (wall_time){t.ms + view->to_wall};
}

int view_failed(const struct view *view)
{
    const char *error = store_error(view->store);
    log_error("%s", error[0] ? error : "out of memory");
    return EXIT_FAILED;
}

/* Sample now and to_wall anew. */
static void look_at_clocks(struct view *view)
{
    view->now = time_option_now();
    /* Without a mark nothing has been written yet that has such a time. */
    (void)store_read_clock(view->store, &view->to_wall);
}

static int show_once(struct view *view, bool paged, bool (*draw)(struct view *view, void *user, FILE *out),
                     void *user)
{
    look_at_clocks(view);
    pid_t pager = paged ? pager_start(&view->terminal) : 0;
    bool drawn = draw(view, user, stdout);
    if (!pager_finish(pager)) {
        log_error("cannot write the output");
        return EXIT_FAILED;
    }
    return drawn ? view->code : view_failed(view);
}

/* False: it cannot be drawn; *ret_shown false: nobody can see it any more. */
static bool show_frame(struct view *view, struct live *live,
                       bool (*draw)(struct view *view, void *user, FILE *out), void *user, bool *ret_shown)
{
    char *frame = NULL;
    size_t len;
    FILE *out = open_memstream(&frame, &len);
    look_at_clocks(view);
    bool drawn = out && draw(view, user, out);
    if (out && fclose(out) != 0)
        drawn = false;
    *ret_shown = drawn && live_show(live, frame);
    free(frame);
    return drawn;
}

/* After at most so many ms, or when another process has written to the store: true. False: it is to end. */
static bool wait_change(struct view *view, struct live *live, int ms)
{
    int64_t before = 0, after;
    if (!store_read_version(view->store, &before))
        return true;
    for (int waited = 0; waited < ms; waited += LOOK_EVERY) {
        switch (live_wait(live, LOOK_EVERY)) {
        case LIVE_END:
            return false;
        case LIVE_RESIZED:
            return true;
        case LIVE_TIMEOUT:
            break;
        }
        if (!store_read_version(view->store, &after) || after != before)
            return true;
    }
    return true;
}

static int show_live(struct view *view, bool (*draw)(struct view *view, void *user, FILE *out), void *user)
{
    struct live live;
    bool drawn = true, shown = true;
    if (!live_begin(&live, &view->terminal)) {
        log_error("cannot listen for signals");
        return EXIT_FAILED;
    }
    do
        drawn = show_frame(view, &live, draw, user, &shown);
    while (drawn && shown && wait_change(view, &live, REDRAW_EVERY));
    live_end(&live);
    return drawn ? EXIT_FINE : view_failed(view);
}

int view_follow(struct view *view, int every, bool (*step)(void *user), void *user)
{
    struct terminal plain = {0};
    struct live live;
    bool fine;
    if (!live_begin(&live, &plain)) {
        log_error("cannot listen for signals");
        return EXIT_FAILED;
    }
    do {
        look_at_clocks(view);
        fine = step(user);
    } while (fine && fflush(stdout) == 0 && wait_change(view, &live, every));
    live_end(&live);
    return fine ? EXIT_FINE : view_failed(view);
}

int view_show(struct view *view, bool paged, bool (*draw)(struct view *view, void *user, FILE *out),
              void *user)
{
    if (view->options->follow && view->terminal.is_screen && !view->options->json)
        return show_live(view, draw, user);
    return show_once(view, paged, draw, user);
}
