/* delivery_text: how an event went to a sink, in words and as JSON. */
#ifndef KLV_DELIVERY_TEXT_H
#define KLV_DELIVERY_TEXT_H

#include "view.h"
#include "../../lib/json_out.h"

/* "journal", or the name of a webhook. */
const char *delivery_sink_name(const char *sink);

/* "ops: delivered 2026-11-24 10:00:01, HTTP 200", "ops: waits, next attempt in 12s, 3 so far, the last 4s ago: HTTP
 * 503". malloc'd, NULL without memory. */
char *delivery_text(const struct view *view, const struct stored_delivery *row);

/* {"sink":"ops","state":"waiting",…}; NULL without memory. */
struct json_object *delivery_json(const struct view *view, const struct stored_delivery *row);

/* How a recorded event went to each sink: a line each, or the event as `once --json` tells it with "deliveries". False
 * when the store or memory fails. */
bool delivery_print(const struct view *view, int64_t seq, FILE *out);
struct json_object *delivery_event_json(const struct view *view, int64_t seq, const struct event *event);

#endif
