/*
 * The requests of one account: added in a round, sent at its end, and answered or given up.
 *
 * Invariant: each counts once among those of all accounts, from when it is added until it has ended, and its watcher
 * hears of each end once: as an answer, or that it was dropped. A flight belongs to the list that it is in: `departing`
 * until it is sent, then `flights`, from which its answer takes it.
 */
#include "crash_point.h"
#include "watch_private.h"

#include <stdlib.h>

/* A page of 100 jobs with all their relationships is a few hundred KiB. */
#define MAX_PAGE_BODY (16u << 20)
/* Requests of all accounts on their way at a time: what is more waits unspent, instead of in libcurl's memory. */
#define MOST_IN_FLIGHT 128

/* One request on its way. */
struct flight {
    struct family_watch *family;
    unsigned slot;
    char *url; /* until it leaves */
    struct http_transfer *transfer;
    struct flight *next;
};

bool flights_are_crowded(struct watch *watch)
{
    watch->crowded = *watch->shared.in_flight >= MOST_IN_FLIGHT;
    return watch->crowded;
}

bool flight_add(struct watch *watch, struct family_watch *family, struct watcher_request *wanted)
{
    struct flight *flight = calloc(1, sizeof *flight);
    if (!flight) {
        free(wanted->url);
        return false;
    }
    *flight =
        (struct flight){.family = family, .slot = wanted->slot, .url = wanted->url, .next = watch->departing};
    watch->departing = flight;
    ++*watch->shared.in_flight;
    return true;
}

/* ---- sent, and answered ---- */

static struct flight **find_flight(struct watch *watch, const struct flight *flight)
{
    struct flight **at = &watch->flights;
    while (*at && *at != flight)
        at = &(*at)->next;
    return at;
}

static void on_answer(void *user, const struct http_response *response)
{
    struct flight *flight = user;
    struct family_watch *family = flight->family;
    struct watch *watch = family->watch;
    unsigned slot = flight->slot;
    crash_point("answer");
    *find_flight(watch, flight) = flight->next;
    free(flight);
    --*watch->shared.in_flight;
    if (response->error == HTTP_CANCELLED || watch->closed)
        watcher_drop(family->watcher, slot, loop_now(watch->shared.loop).mono);
    else
        answer_take(watch, family, slot, response);
}

static bool send_request(struct watch *watch, struct flight *flight)
{
    const struct config *config = watch->shared.config;
    struct http_request request = {
        .url = flight->url,
        .headers = (const char *const *)watch->headers.lines,
        .connect_timeout = config->connect_timeout,
        .timeout = config->request_timeout,
        .max_body = MAX_PAGE_BODY,
        .ca_file = config->ca_file,
        .share = true,
        .allow_http = true, /* the configuration allows it to loopback only */
    };
    crash_point("request-before");
    flight->transfer = http_start(watch->shared.http, &request, on_answer, flight);
    crash_point("request-after");
    free(flight->url);
    flight->url = NULL;
    if (!flight->transfer)
        return false;
    flight->next = watch->flights;
    watch->flights = flight;
    return true;
}

static struct flight *reversed(struct flight *list)
{
    struct flight *ret = NULL;
    while (list) {
        struct flight *flight = list;
        list = flight->next;
        flight->next = ret;
        ret = flight;
    }
    return ret;
}

void flights_depart(struct watch *watch, struct now now)
{
    struct flight *list = reversed(watch->departing);
    watch->departing = NULL;
    while (list) {
        struct flight *flight = list;
        list = flight->next;
        if (send_request(watch, flight))
            continue;
        watcher_drop(flight->family->watcher, flight->slot, now.mono);
        free(flight);
        --*watch->shared.in_flight;
        watch->next = mono_min(watch->next, mono_add(now.mono, NOT_SENT_WAIT));
    }
}

void watch_cancel(struct watch *watch, const struct family_watch *family)
{
    for (struct flight **at = &watch->flights; *at;) {
        struct flight *flight = *at;
        if (family && flight->family != family) {
            at = &flight->next;
            continue;
        }
        /* Its done function takes it off the list. */
        http_cancel(flight->transfer);
    }
}
