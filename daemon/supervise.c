#include "supervise.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

void supervise_ready(void)
{
    sd_notify(0, "READY=1");
}

void supervise_status(const char *text)
{
    static char last[512];
    if (strncmp(text, last, sizeof last - 1) == 0)
        return;
    snprintf(last, sizeof last, "%s", text);
    sd_notifyf(0, "STATUS=%s", last);
}

/* MONOTONIC_USEC is what Type=notify-reload wants beside RELOADING=1 (sd_notify(3)). */
void supervise_reloading(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
               (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
}

void supervise_stopping(void)
{
    sd_notify(0, "STOPPING=1");
}

void supervise_extend(int64_t ms)
{
    sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRId64, ms * 1000);
}

int64_t supervise_watchdog_interval(void)
{
    uint64_t usec = 0;
    if (sd_watchdog_enabled(0, &usec) <= 0)
        return 0;
    return (int64_t)(usec / 2000);
}

void supervise_watchdog(void)
{
    sd_notify(0, "WATCHDOG=1");
}
