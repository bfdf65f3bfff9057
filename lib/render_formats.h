/*
 * render_formats: events → the body of one webhook request, in the format that the receiving product reads.
 *
 * One event makes one message; several make one digest, which has exact counts by kind and every event in it,
 * or where the product's limits do not allow that, the first ones and an exact rest: "… and 12 more".
 * Invariants: the same events give the same bytes, so that a retry repeats its body; a body never exceeds the
 * limits of its product, which stand in the format's own file; nothing that the API says can become markup, a
 * mention, a header or another member of the JSON.
 */
#ifndef JOBWATCH_RENDER_FORMATS_H
#define JOBWATCH_RENDER_FORMATS_H

#include "event.h"

struct template;

enum webhook_format {
    FORMAT_STANDARD,
    FORMAT_CLOUDEVENTS,
    FORMAT_SLACK,
    FORMAT_DISCORD,
    FORMAT_PAGERDUTY,
    FORMAT_NTFY,
    FORMAT_TEMPLATE,
    N_WEBHOOK_FORMATS,
};

/* What a format needs beside the events; all but `template` are strings of the caller's. */
struct render_context {
    const char *url;                 /* ntfy: the topic is the last part of its path */
    const char *routing_key;         /* pagerduty: the integration's key; secret, it stands in the body */
    const struct template *template; /* template */
    const char *content_type;        /* template: NULL is application/json */
};

/* "standard" … "template", and back: false when the word is none of them. */
const char *format_name(enum webhook_format format);
bool format_from_name(const char *name, enum webhook_format *ret);

/* How many events one request can carry: 1, or SIZE_MAX for as many as there are. */
size_t format_group_limit(enum webhook_format format);

/* Whether requests carry webhook-id, webhook-timestamp and webhook-signature, and so need a signing secret. */
bool format_is_signed(enum webhook_format format);

/* The value of Content-Type for a body of n events. */
const char *format_content_type(enum webhook_format format, const struct render_context *context, size_t n);

/*
 * Where to post: `url` itself, but ntfy's JSON goes to the server, not to the topic. malloc'd, NULL without
 * memory.
 */
char *format_url(enum webhook_format format, const char *url);

/*
 * The id of a message, for webhook-id and digest_id: the event's own, or for a digest "dig_" and base32 of
 * SHA-256 over the ids of its events, in their order. n > 0. False without memory.
 */
#define MESSAGE_ID_SIZE EVENT_ID_SIZE
bool format_message_id(const struct event *const events[], size_t n, char out[MESSAGE_ID_SIZE]);

/*
 * The body, malloc'd and NUL-terminated; *len may be NULL. n is from 1 to format_group_limit(). NULL without
 * memory.
 */
char *render_webhook(enum webhook_format format, const struct render_context *context,
                     const struct event *const events[], size_t n, size_t *len);

/*
 * Whether the topic of an ntfy URL can be told: the path's only part, 1 to 64 letters, digits, '-' or '_'.
 * *ret points into url.
 */
bool ntfy_topic(const char *url, const char **ret, size_t *ret_len);

#endif
