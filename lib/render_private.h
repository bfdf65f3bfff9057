/* render_private: what the webhook formats share; one function for each format. */
#ifndef JOBWATCH_RENDER_PRIVATE_H
#define JOBWATCH_RENDER_PRIVATE_H

#include "render_formats.h"
#include "text.h"

struct json_object;

/* The `data` of the standard body, and the whole of it. NULL without memory; the caller owns it. */
struct json_object *event_data_json(const struct event *event, bool with_errors);
struct json_object *event_standard_json(const struct event *event);

/* What several events have in common. */
struct digest {
    size_t n;
    size_t counts[N_EVENT_KINDS];
    enum priority worst;
    wall_time at; /* of the latest */
};

void digest_of(const struct event *const events[], size_t n, struct digest *ret);
void digest_summary(const struct digest *digest, struct text *text); /* "12 events: 10 job.completed, …" */
struct json_object *digest_counts_json(const struct digest *digest); /* {"job.completed":10,…} */
struct json_object *digest_json(const struct event *const events[], size_t n);

/* Whether it is good news: the end of a trouble, or a job that went well. */
bool event_is_good(const struct event *event);

/* One character for people to see at a glance what it is about. */
const char *event_sign(const struct event *event);

/* What stands for an ASCII character, or NULL for itself. */
typedef const char *escape_rule(char c, char scratch[8]);

/*
 * string by the rule, at most max bytes: cut between characters, never inside of what stands for one, with
 * "…". Products count characters in several ways; none counts more of them than there are bytes.
 */
char *text_escaped(const char *string, size_t max, escape_rule *rule);

/* The sentence of an event behind its sign, by the rule (NULL: as it is); at most max bytes. */
char *event_sentence(const struct event *event, size_t max, escape_rule *rule);

#define LINE_MAX_BYTES 400 /* of one event in a list of several */

/*
 * Append a line for each event from *next on, as far as they fit into max bytes with "… and N more" behind
 * them where that is needed, and room for it is kept; the tail itself is list_rest's. False without memory.
 */
bool list_events(struct text *text, const struct event *const events[], size_t n, size_t *next, size_t max,
                 escape_rule *rule);
void list_rest(struct text *text, size_t rest); /* "… and 12 more" on a line of its own; nothing for 0 */
#define REST_MAX 48

char *render_cloudevents(const struct event *const events[], size_t n);
char *render_slack(const struct event *const events[], size_t n);
char *render_discord(const struct event *const events[], size_t n);
char *render_pagerduty(const struct event *event, const char *routing_key);
char *render_ntfy(const struct event *const events[], size_t n, const char *url);
char *render_template(const struct template *template, const struct event *const events[], size_t n);

#endif
