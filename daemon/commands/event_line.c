#include "event_line.h"

#include "../human.h"
#include "../../lib/render.h"

#include <stdlib.h>

static enum style style_of(enum priority priority)
{
    if (priority <= PRIO_ERR)
        return STYLE_BAD;
    return priority == PRIO_WARNING ? STYLE_WARN : STYLE_PLAIN;
}

static char *line_text(const struct terminal *terminal, const struct event *event)
{
    char at[HUMAN_SIZE], *line = NULL;
    char *raw = render_message(event), *message = raw ? terminal_text(terminal, raw) : NULL;
    human_time(terminal, event->at, true, at);
    if (message && asprintf(&line, "%s  %-7s  %-27s  %s", at, priority_word(event->priority),
                            event_types[event->kind].name, message) < 0)
        line = NULL;
    free(raw);
    free(message);
    return line;
}

bool event_line(const struct terminal *terminal, const struct event *event, FILE *out)
{
    char *line = line_text(terminal, event);
    enum style style = style_of(event->priority);
    if (!line)
        return false;
    fprintf(out, "%s%s%s\n", terminal_style(terminal, style), line, terminal_plain(terminal, style));
    free(line);
    return true;
}
