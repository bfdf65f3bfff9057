/* process: whether a process is the one that it was: its number alone is used again by others. */
#ifndef KLV_PROCESS_H
#define KLV_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

/* When the process began, in the kernel's ticks since it booted; 0: there is none, or that cannot be known. */
int64_t process_started(int64_t pid);

/* Whether it runs, and began then. started 0: any process of that number will do. */
bool process_runs(int64_t pid, int64_t started);

#endif
