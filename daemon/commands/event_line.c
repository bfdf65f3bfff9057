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

bool event_line(const struct terminal *terminal, const struct event *event, int width, FILE *out)
{
    char *line = line_text(terminal, event);
    enum style style = style_of(event->priority);
    if (!line)
        return false;
    int taken = width > 0 ? terminal_text_width(terminal, line) : 0;
    const char *mark = taken > width ? terminal_ellipsis(terminal) : "";
    if (taken > width)
        line[terminal_cut(terminal, line, width - terminal_text_width(terminal, mark), false, &taken)] = '\0';
    fprintf(out, "%s%s%s%s\n", terminal_style(terminal, style), line, mark, terminal_plain(terminal, style));
    free(line);
    return true;
}
