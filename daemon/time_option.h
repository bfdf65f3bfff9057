/* time_option: what people type for a time: an age ("90s", "30m", "2h", "3d", "1w"), "now", "today", "yesterday",
 * "09:30", "2026-11-24", "2026-11-24 09:00:00" in local time (or UTC), "2026-11-24T09:00:00Z". */
#ifndef KLV_TIME_OPTION_H
#define KLV_TIME_OPTION_H

#include "../lib/timestamp.h"

/* False for anything else. */
bool time_option_parse(const char *text, wall_time now, bool utc, wall_time *ret);

/* Our wall clock, for commands that have no loop. */
wall_time time_option_now(void);

#endif
