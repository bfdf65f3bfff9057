/* events: the recorded events, from the store, read-only. */
#include "commands.h"

#include "../log.h"
#include "../store.h"
#include "../time_option.h"
#include "../../lib/render.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* How often --follow looks for more. */
#define FOLLOW_MS 500

struct printing {
    bool json;
    bool broken; /* nobody reads any more, or no memory */
    int64_t last_seq;
};

static bool print_event(void *user, int64_t seq, const struct event *event)
{
    struct printing *printing = user;
    char *line = printing->json ? render_json_line(event) : render_line(event);
    printing->last_seq = seq;
    printing->broken = !line || puts(line) == EOF;
    free(line);
    return !printing->broken;
}

static bool read_times(const struct options *options, struct event_query *query)
{
    wall_time now = time_option_now();
    query->since = query->until = WALL_NONE;
    if (options->since && !time_option_parse(options->since, now, &query->since)) {
        log_error("--since \"%s\": give a time as 2026-11-24, 2026-11-24T09:00:00Z, or 30m, 2h, 3d ago",
                  options->since);
        return false;
    }
    if (options->until && !time_option_parse(options->until, now, &query->until)) {
        log_error("--until \"%s\": give a time as 2026-11-24, 2026-11-24T09:00:00Z, or 30m, 2h, 3d ago",
                  options->until);
        return false;
    }
    return true;
}

/* Newer events as they come, until Ctrl-C or until the reader of a pipe is gone. */
static bool follow(struct store *store, struct event_query *query, struct printing *printing)
{
    struct pollfd reader = {.fd = STDOUT_FILENO, .events = 0};
    query->last = 0;
    query->until = WALL_NONE;
    for (;;) {
        fflush(stdout);
        if (poll(&reader, 1, FOLLOW_MS) > 0 && reader.revents & (POLLERR | POLLHUP))
            return true;
        query->after_seq = printing->last_seq;
        if (!store_events_query(store, query, print_event, printing))
            return printing->broken;
    }
}

int command_events(const struct options *options)
{
    char why[STORE_WHY];
    struct event_query query = {.account = options->account,
                                .job_id = options->job,
                                .kind_glob = options->kind,
                                .last = options->last};
    struct printing printing = {.json = options->json};
    if (!read_times(options, &query))
        return EXIT_USAGE;
    struct store *store = store_open(options->state, false, why);
    if (!store) {
        log_error("%s", why);
        return EXIT_FAILED;
    }
    signal(SIGPIPE, SIG_IGN);
    bool fine = store_events_query(store, &query, print_event, &printing) || printing.broken;
    if (fine && options->follow && !printing.broken)
        fine = follow(store, &query, &printing);
    if (!fine)
        log_error("%s", store_error(store));
    store_close(store);
    return fine ? EXIT_FINE : EXIT_FAILED;
}
