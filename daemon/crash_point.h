/*
 * crash_point: named places where the torture tests may kill the process: before and after each commit and
 * each send.
 *
 * Invariant: nothing of it is in any build but MODE=torture, which links tests/torture/crash_point.c.
 */
#ifndef KLV_CRASH_POINT_H
#define KLV_CRASH_POINT_H

#ifdef JOBWATCH_CRASH_POINTS
void crash_point(const char *name);
#else
static inline void crash_point(const char *name)
{
    (void)name;
}
#endif

#endif
