/*
 * sink_journal: the port through which events reach the journal; or, without one, readable lines.
 *
 * Invariant: a write never blocks the loop: it runs in a thread of its own, one batch at a time, in order.
 * An event counts as written only when journald was there to take it (sd_journal_sendv returns 0 when it is
 * away, so its socket is asked before and after each event). A journald that hangs never holds up the end:
 * the thread is left behind, and what it had not written stays in the outbox.
 */
#ifndef KLV_SINK_JOURNAL_H
#define KLV_SINK_JOURNAL_H

#include "loop.h"
#include "../lib/event.h"

enum journal_port {
    JOURNAL_AUTO,        /* journald when its socket is there at start, else lines on stderr */
    JOURNAL_STDERR,      /* lines on stderr, whether there is a journal or not */
    JOURNAL_STDOUT,      /* lines on stdout (`once`) */
    JOURNAL_STDOUT_JSON, /* JSON lines on stdout (`once --json`) */
};

struct sink_journal;

struct sink_journal *sink_journal_new(struct loop *loop, enum journal_port port);

/*
 * Write n events in order; done is called later from the loop with how many were written, from the first on;
 * fewer than n: the rest should be tried again later. One batch at a time (asserted). The events are needed
 * during this call only. False: no memory or no thread, done is not called.
 */
typedef void sink_journal_done(void *user, size_t written);
bool sink_journal_write(struct sink_journal *sink, const struct event *const *events, size_t n,
                        sink_journal_done *done, void *user);
bool sink_journal_is_busy(const struct sink_journal *sink);

/*
 * No more batches. One that is under way has half a second to end; then done is called with 0 and it is
 * abandoned. Idempotent. To be called before the loop can end, once something was written.
 */
void sink_journal_close(struct sink_journal *sink);

/* Whether a batch was abandoned at the close. */
bool sink_journal_is_stuck(const struct sink_journal *sink);

void sink_journal_free(struct sink_journal *sink); /* after loop_run; NULL is fine */

#endif
