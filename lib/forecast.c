#include "forecast.h"

#define MINUTE 60000.0

/* Klaviyo's lists have a hundred jobs a page; an empty list is a page too. */
#define PAGE 100

static uint64_t pages_of(uint64_t jobs)
{
    return jobs == 0 ? 1 : (jobs + PAGE - 1) / PAGE;
}

struct forecast forecast_of(const struct family *family, const struct forecast_input *input)
{
    uint64_t active = input->queued + input->processing;
    struct forecast forecast = {
        /* Without `any` there is a list for each of the two states. */
        .active_requests =
            family->has_any ? pages_of(active) : pages_of(input->queued) + pages_of(input->processing),
        .active_every = active > 0 ? input->interval : input->idle_interval,
        .head = family->sort[0] != '\0',
        .full_requests = pages_of(input->jobs),
    };
    uint64_t often = forecast.active_requests + (forecast.head ? 1 : 0);
    forecast.per_minute = (double)often * MINUTE / (double)forecast.active_every +
                          (double)forecast.full_requests * MINUTE / (double)input->full_sweep_interval;
    return forecast;
}
