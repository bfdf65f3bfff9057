/*
 * sink_webhook: the port through which events reach one webhook, one or several in a request: body, signature headers, the POST, and
 * the sorting of its answer.
 *
 * Each answer is sorted once: delivered, try again (when), or give up. Nothing is stored and nothing is
 * decided about queues here. Invariant: no text that comes out of here holds a part of the URL behind its
 * host, its credentials, or the value of a configured header, not even when the receiver echoes them.
 */
#ifndef KLV_SINK_WEBHOOK_H
#define KLV_SINK_WEBHOOK_H

#include "http.h"
#include "webhook_keys.h"
#include "../lib/config.h"

enum webhook_verdict {
    WEBHOOK_DELIVERED, /* 2xx */
    WEBHOOK_RETRY,     /* 408, 425, 429, 5xx, transport */
    WEBHOOK_REFUSED,   /* other 4xx and 3xx: this event fails at once */
    WEBHOOK_GONE,      /* 410: this webhook is off until reload */
    WEBHOOK_CANCELLED, /* we are stopping */
};

#define WEBHOOK_TEXT 200

struct webhook_answer {
    enum webhook_verdict verdict;
    int status;              /* 0 without an answer */
    int64_t retry_after;     /* ms that a 429 or 503 asks to wait (clamped to 1 day), -1 none */
    char text[WEBHOOK_TEXT]; /* clean sentence: "HTTP 500: …" or the transport's error; "" when delivered */
};

typedef void webhook_done(void *user, const struct webhook_answer *answer);

/* Sign and post; done is called later exactly once. NULL (done not called) when it could not be set up. The
 * webhook, keys and events are needed during this call only. n is what the format can carry. */
struct http_transfer *sink_webhook_send(struct http *http, const struct config_webhook *webhook,
                                        const struct webhook_keys *keys, const struct event *const events[],
                                        size_t n, struct now now, webhook_done *done, void *user);

#endif
