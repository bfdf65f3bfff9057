/* human: figures and times as people read them. Each function fills its buffer and returns it. */
#ifndef KLV_HUMAN_H
#define KLV_HUMAN_H

#include "terminal.h"
#include "../lib/timestamp.h"

#define HUMAN_SIZE 48

/* "0s", "45s", "3m 20s", "2h 5m", "3d 4h"; a negative one counts as 0. */
char *human_span(int64_t ms, char out[HUMAN_SIZE]);

/* "12s ago", "in 3m 20s", "now"; "never" for WALL_NONE. */
char *human_distance(wall_time at, wall_time now, char out[HUMAN_SIZE]);

/* A setting's value as the configuration would write it: "10s", "15m", "500ms", "0". */
char *human_setting(int64_t ms, char out[HUMAN_SIZE]);

/* "1,240"; "" for COUNT_NONE. */
char *human_count(int64_t count, char out[HUMAN_SIZE]);

/* Items a second: "340/s", "2.5/s", "12/min", "3/h". */
char *human_rate(double per_second, char out[HUMAN_SIZE]);

/* "2026-11-24 10:00:00" by local time, "2026-11-24 09:00:00Z" where UTC is asked for; with_ms adds ".123". "" for
 * WALL_NONE. */
char *human_time(const struct terminal *terminal, wall_time at, bool with_ms, char out[HUMAN_SIZE]);

#endif
