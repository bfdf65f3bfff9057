/* time_option: what people type for a time: "2h" (ago), "2026-11-24" (midnight UTC), "2026-11-24T09:00:00Z".
 */
#ifndef KLV_TIME_OPTION_H
#define KLV_TIME_OPTION_H

#include "../lib/timestamp.h"

/* False for anything else. */
bool time_option_parse(const char *text, wall_time now, wall_time *ret);

/* Our wall clock, for commands that have no loop. */
wall_time time_option_now(void);

#endif
