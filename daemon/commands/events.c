/* events: the recorded events, as journalctl(1) shows the journal's. */
#include "delivery_text.h"
#include "event_line.h"

#include "../log.h"
#include "../time_option.h"
#include "../../lib/closest.h"
#include "../../lib/config.h"
#include "../../lib/render.h"

#include <stdlib.h>
#include <string.h>

/* How often --follow looks for more, in ms. */
#define FOLLOW_EVERY 500
/* With --follow and nothing else, so many old ones go before. */
#define FOLLOW_LINES 10

struct printing {
    struct view *view;
    struct event_query query;
    FILE *out;
    int64_t last_seq;
    size_t shown;
    bool failed;
};

/* The event as `once --json` tells it; with --deliveries how it went to each sink. */
static bool print_json(struct printing *printing, int64_t seq, const struct event *event)
{
    char *line = printing->view->options->deliveries
                     ? json_out_string(delivery_event_json(printing->view, seq, event))
                     : render_json_line(event);
    if (line)
        fprintf(printing->out, "%s\n", line);
    free(line);
    return line != NULL;
}

static bool print_event(void *user, int64_t seq, const struct event *event)
{
    struct printing *printing = user;
    const struct view *view = printing->view;
    bool fine = view->options->json ? print_json(printing, seq, event)
                                    : event_line(&view->terminal, event, printing->out);
    if (fine && view->options->deliveries && !view->options->json)
        fine = delivery_print(view, seq, printing->out);
    printing->last_seq = seq;
    printing->shown++;
    printing->failed = !fine;
    return fine && !ferror(printing->out);
}

static bool draw(struct view *view, void *user, FILE *out)
{
    struct printing *printing = user;
    printing->out = out;
    return store_read_events(view->store, &printing->query, print_event, printing) && !printing->failed;
}

/* What has been recorded since the last look. */
static bool follow_step(void *user)
{
    struct printing *printing = user;
    printing->query.after_seq = printing->last_seq;
    return draw(printing->view, printing, stdout);
}

static int follow(struct printing *printing)
{
    if (printing->last_seq == 0 && !store_read_last_seq(printing->view->store, &printing->last_seq))
        return view_failed(printing->view);
    printing->query.last = 0;
    return view_follow(printing->view, FOLLOW_EVERY, follow_step, printing);
}

/* ---- what was typed ---- */

static bool read_time(const struct options *options, const char *name, const char *text, wall_time *ret)
{
    *ret = WALL_NONE;
    if (!text || time_option_parse(text, time_option_now(), options->utc, ret))
        return true;
    log_error("--%s \"%s\": give an age as 30m, 2h, 3d, or today, yesterday, 09:30, 2026-11-24, "
              "\"2026-11-24 09:00\", 2026-11-24T09:00:00Z",
              name, text);
    return false;
}

static bool any_kind_matches(const char *glob)
{
    for (int i = 0; i < N_EVENT_KINDS; i++) {
        if (glob_match(glob, event_types[i].name))
            return true;
    }
    return false;
}

static const char *closest_kind(const char *word)
{
    const char *names[N_EVENT_KINDS];
    for (int i = 0; i < N_EVENT_KINDS; i++)
        names[i] = event_types[i].name;
    return closest(word, names, N_EVENT_KINDS);
}

static bool check_kinds(const char *kinds)
{
    char *copy = kinds ? strdup(kinds) : NULL, *rest = copy;
    bool fine = true;
    for (char *one; fine && (one = strsep(&rest, ",")) != NULL;) {
        const char *close = closest_kind(one);
        fine = any_kind_matches(one);
        if (!fine)
            log_error("--kind \"%s\": no event is of that kind; %s%s%sman 8 klv-jobwatch lists them", one,
                      close ? "did you mean \"" : "", close ? close : "", close ? "\"? " : "");
    }
    free(copy);
    return fine;
}

static bool read_priority(const char *text, enum priority *ret)
{
    const char *words[PRIO_DEBUG + 1];
    size_t which;
    *ret = PRIO_DEBUG;
    if (!text)
        return true;
    if (text[0] >= '0' && text[0] <= '7' && text[1] == '\0') {
        *ret = (enum priority)(text[0] - '0');
        return true;
    }
    for (size_t i = 0; i <= PRIO_DEBUG; i++)
        words[i] = priority_word((enum priority)i);
    if (!options_choose("priority", text, words, PRIO_DEBUG + 1, &which))
        return false;
    *ret = (enum priority)which;
    return true;
}

static bool read_query(const struct options *options, struct event_query *query)
{
    *query = (struct event_query){.account = options->account,
                                  .family = options->family,
                                  .job_id = options->job,
                                  .kinds = options->kind,
                                  .last = options->lines == LINES_ALL ? 0 : options->lines};
    if (options->follow && options->lines == 0 && !options->since)
        query->last = FOLLOW_LINES;
    return read_time(options, "since", options->since, &query->since) &&
           read_time(options, "until", options->until, &query->until) && check_kinds(options->kind) &&
           read_priority(options->priority, &query->priority);
}

int command_events(const struct options *options)
{
    struct view view;
    struct printing printing = {.view = &view};
    if (!read_query(options, &printing.query))
        return EXIT_USAGE;
    if (options->follow && options->until) {
        log_error("--follow goes on for ever and --until ends it: give one of them");
        return EXIT_USAGE;
    }
    if (!view_open(&view, options))
        return EXIT_FAILED;
    bool paged = !options->follow && !options->json;
    struct options still = *options;
    still.follow = false;
    view.options = &still;
    int code = view_show(&view, paged, draw, &printing);
    if (code == EXIT_FINE && options->follow)
        code = follow(&printing);
    else if (code == EXIT_FINE && printing.shown == 0 && view.terminal.is_screen && !options->json)
        fputs("No such events.\n", stderr);
    view_close(&view);
    return code;
}
