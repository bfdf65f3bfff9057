/* report: the daemon's state in words: one line for systemctl status, one JSON document for `klv-jobwatch
 * status`. */
#ifndef KLV_REPORT_H
#define KLV_REPORT_H

#include "app.h"

/* The key under which the report lies in the store. */
#define REPORT_KEY "status"

/* "2 accounts, 1240 jobs, 37 active; last sweep 12:00:03Z, next 12:00:13Z; budget 14 of 350/min; 0 queued".
 * malloc'd. */
char *report_status_line(const struct app *app);

/* Leave the whole report in the store, for the commands. A store that fails is not this function's news. */
void report_store(const struct app *app);

#endif
