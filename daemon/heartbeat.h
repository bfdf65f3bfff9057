/*
 * heartbeat: the pings to a dead man's switch; what they say and when is lib/heartbeat's.
 *
 * One request at a time; a ping that fails is said once and sent again soon. The URL holds a secret: only its host is
 * logged, and redirects are not followed.
 */
#ifndef KLV_HEARTBEAT_H
#define KLV_HEARTBEAT_H

#include "http.h"
#include "../lib/config.h"
#include "../lib/heartbeat.h"

struct heartbeat;

/* loop and http must outlive it; `sight` tells how all accounts are seen. NULL without memory. */
struct heartbeat *heartbeat_new(struct loop *loop, struct http *http,
                                enum heartbeat_sight (*sight)(void *user), void *user);

/* At start and at reload; config must outlive the next call. */
void heartbeat_configure(struct heartbeat *heartbeat, const struct config_heartbeat *config);

/* What is seen may have changed. */
void heartbeat_look(struct heartbeat *heartbeat);

void heartbeat_close(struct heartbeat *heartbeat); /* no more pings; NULL is fine; idempotent */
void heartbeat_free(struct heartbeat *heartbeat);  /* after loop_run; NULL is fine */

#endif
