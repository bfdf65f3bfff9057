/*
 * supervise: what systemd is told (sd_notify): READY, STATUS, RELOADING, STOPPING, WATCHDOG. Without systemd
 * all calls do nothing. Invariant: the same STATUS text is not sent twice in a row.
 */
#ifndef KLV_SUPERVISE_H
#define KLV_SUPERVISE_H

#include <stdint.h>

void supervise_ready(void);
void supervise_status(const char *text);
void supervise_reloading(void); /* with MONOTONIC_USEC; supervise_ready() ends it */
void supervise_stopping(void);
void supervise_extend(int64_t ms); /* EXTEND_TIMEOUT_USEC, before a long step at start */

/* The ms between watchdog pings (half of WATCHDOG_USEC), 0 when systemd asks for none. */
int64_t supervise_watchdog_interval(void);
void supervise_watchdog(void);

#endif
