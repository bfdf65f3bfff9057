/* event_line: one event as a line for people, in columns that stay where they are: time, priority, kind, sentence. */
#ifndef KLV_EVENT_LINE_H
#define KLV_EVENT_LINE_H

#include "../terminal.h"
#include "../../lib/event.h"

#include <stdio.h>

/* False without memory. */
bool event_line(const struct terminal *terminal, const struct event *event, FILE *out);

#endif
