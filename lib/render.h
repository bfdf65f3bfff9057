/*
 * render: one event → the sentence people read, the journal's fields, the bodies of webhooks.
 *
 * Invariant: text from the API is cleaned before it leaves: control characters (C0, C1, DEL, line and
 * paragraph separators, bidirectional overrides) become U+FFFD in sentences and in the journal's fields and
 * are escaped in JSON, invalid UTF-8 becomes U+FFFD everywhere, lengths are bounded. Output is always valid
 * UTF-8 on one line without control characters, JSON output always valid JSON. A new webhook format is one
 * function here.
 *
 * All results are malloc'd strings that the caller frees; NULL means no memory.
 */
#ifndef JOBWATCH_RENDER_H
#define JOBWATCH_RENDER_H

#include "event.h"

#define RENDER_MAX_TEXT  1024 /* bytes of a message */
#define RENDER_MAX_VALUE 2048 /* bytes of any other text: a member of a JSON body, a field of the journal */

/*
 * A copy of text fit for a terminal or a journal line: one line, valid UTF-8, no control characters, cut to
 * at most max bytes at a character boundary with "…" (counted in max) when cut.
 */
char *render_clean(const char *text, size_t max);

/*
 * The sentence: "catalog-category-bulk-delete-job 01GSQ… in account main is complete: 40000 of 40000 done"
 * and so on per kind. What the event does not have is left out. An account, job type and id of the longest
 * kind fit whole.
 */
char *render_message(const struct event *event);

/*
 * One line for stderr, stdout and people, without newline: "2026-11-24T09:00:00.123Z notice  job.completed "
 * and the message. Priority and kind are padded to 7 and 20 columns, so that messages begin below each other
 * but for the one kind that is longer.
 */
char *render_line(const struct event *event);

/* One journal field, "NAME=value"; the value may hold any byte, so len counts. */
struct journal_field {
    char *data;
    size_t len;
};

#define RENDER_MAX_FIELDS 32

/*
 * The fields of the design page for sd_journal_sendv: MESSAGE, MESSAGE_ID, PRIORITY, SYSLOG_IDENTIFIER,
 * KLV_*. Fields that the event does not have are left out. Returns how many, 0 without memory. Release with
 * journal_fields_finish.
 */
size_t render_journal(const struct event *event, struct journal_field fields[RENDER_MAX_FIELDS]);
void journal_fields_finish(struct journal_field *fields, size_t n);

/* The errors as a JSON array of {"code","title","detail","pointer"}; "[]" when there are none. */
char *render_errors(const struct event *event);

/*
 * The `standard` webhook body on one line: {"type":…,"timestamp":…,"data":{…}}. There are no nulls: what the
 * event does not have is left out. The members of data, in this order:
 *
 * - event_id, account, message, priority
 * - reminder: true when it was told before and is still so
 * - job_type: of an event about all jobs of a type, which has no "job"
 * - reason: why (job.anomaly, api.*, delivery.failed); for watch.started it is called summary
 * - over: true for the end of an api.throttled
 * - a figure, by kind: still_ms (job.stalled, job.resumed: how long it had not moved), age_ms (other api.*:
 *   how long it lasts or lasted), interval_ms (api.throttled: how far apart sweeps are), jobs_in_progress
 *   (capacity.*), jobs_known (watch.started)
 * - job: {type, id, status, total_count, completed_count, failed_count, skipped_count, created_at,
 *   completed_at, expires_at}
 * - previous: {status, completed_count, failed_count}, when the job was known before
 * - errors: [{code, title, detail, pointer}…], when there are some
 * - errors_omitted: how many more there are
 */
char *render_standard(const struct event *event);

/* The `data` object of the standard body with "type" as its first member: the line that --json prints. */
char *render_json_line(const struct event *event);

#endif
