/* status: one screen that says whether it works, whether anything is wrong, and what it will do next. */
#include "status.h"

#include "../log.h"

static bool draw(struct view *view, void *user, FILE *out)
{
    struct status status;
    (void)user;
    bool fine = status_gather(view, &status);
    if (fine && view->options->json)
        fine = status_print_json(view, &status, out);
    else if (fine)
        fine = status_print(view, &status, out);
    view->code = status.n_problems == 0 ? EXIT_FINE : EXIT_FAILED;
    status_finish(&status);
    return fine;
}

int command_status(const struct options *options)
{
    struct view view;
    if (!view_open(&view, options))
        return EXIT_FAILED;
    int code = EXIT_USAGE;
    if (options->follow && (options->json || !view.terminal.is_screen))
        log_error("status --follow draws on a terminal; in a pipe, follow the events: klv-jobwatch events "
                  "--follow");
    else
        code = view_show(&view, false, draw, NULL);
    view_close(&view);
    return code;
}
