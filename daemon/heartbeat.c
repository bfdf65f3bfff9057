#include "heartbeat.h"

#include "log.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ANSWER 4096
/* ms until a ping that failed is sent again. */
#define AGAIN 10000

struct heartbeat {
    struct loop *loop;
    struct http *http;
    enum heartbeat_sight (*sight)(void *user);
    void *user;
    const struct config_heartbeat *config; /* NULL: closed, or not configured yet */
    struct loop_timer *timer;
    struct heartbeat_rhythm rhythm;
    bool in_flight;
    bool fails; /* the pings */
};

static void look(void *user)
{
    heartbeat_look(user);
}

struct heartbeat *heartbeat_new(struct loop *loop, struct http *http,
                                enum heartbeat_sight (*sight)(void *user), void *user)
{
    struct heartbeat *heartbeat = calloc(1, sizeof *heartbeat);
    if (!heartbeat)
        return NULL;
    *heartbeat = (struct heartbeat){.loop = loop, .http = http, .sight = sight, .user = user};
    heartbeat->timer = loop_timer_new(loop, look, heartbeat);
    if (heartbeat->timer)
        return heartbeat;
    free(heartbeat);
    return NULL;
}

static void note(struct heartbeat *heartbeat, bool fine, const struct http_response *response)
{
    bool turned = fine == heartbeat->fails;
    char *origin = heartbeat->config ? url_origin(heartbeat->config->url) : NULL;
    heartbeat->fails = !fine;
    if (turned && fine)
        log_notice("heartbeat: %s takes pings again", origin ? origin : "it");
    else if (turned && response->error == HTTP_OK)
        log_warning("heartbeat: %s answers HTTP %d, trying again", origin ? origin : "it", response->status);
    else if (turned)
        log_warning("heartbeat: %s, trying again", response->error_text);
    free(origin);
}

static void on_answer(void *user, const struct http_response *response)
{
    struct heartbeat *heartbeat = user;
    bool fine = response->error == HTTP_OK && response->status / 100 == 2;
    heartbeat->in_flight = false;
    if (response->error == HTTP_CANCELLED)
        return;
    note(heartbeat, fine, response);
    if (!fine)
        heartbeat_missed(&heartbeat->rhythm, AGAIN, loop_now(heartbeat->loop).mono);
    heartbeat_look(heartbeat);
}

static bool ping(struct heartbeat *heartbeat, bool good)
{
    const struct config_heartbeat *config = heartbeat->config;
    char *url = heartbeat_url(config->url, good);
    if (!url)
        return false;
    struct http_request request = {
        .url = url,
        .connect_timeout = config->timeout,
        .timeout = config->timeout,
        .max_body = MAX_ANSWER,
        .ca_file = config->ca_file,
        .allow_http = true, /* the configuration allows it where it may be */
        .keep_truncated = true,
    };
    heartbeat->in_flight = http_start(heartbeat->http, &request, on_answer, heartbeat);
    explicit_bzero(url, strlen(url));
    free(url);
    return heartbeat->in_flight;
}

void heartbeat_look(struct heartbeat *heartbeat)
{
    const struct config_heartbeat *config = heartbeat->config;
    if (!config || !config->url || heartbeat->in_flight)
        return; /* its answer looks again */
    mono_time now = loop_now(heartbeat->loop).mono;
    enum heartbeat_sight sight = heartbeat->sight(heartbeat->user);
    bool good = sight == SIGHT_GOOD;
    if (sight != SIGHT_UNKNOWN && heartbeat_is_due(&heartbeat->rhythm, good, config->every, now) &&
        !ping(heartbeat, good))
        heartbeat_missed(&heartbeat->rhythm, AGAIN, now);
    mono_time soon = mono_add(now, config->every);
    loop_timer_at(heartbeat->timer, heartbeat->rhythm.told ? mono_min(heartbeat->rhythm.next, soon) : soon);
}

void heartbeat_configure(struct heartbeat *heartbeat, const struct config_heartbeat *config)
{
    if (!heartbeat->timer)
        return;
    heartbeat->config = config;
    heartbeat->rhythm = (struct heartbeat_rhythm){0};
    heartbeat_look(heartbeat);
}

void heartbeat_close(struct heartbeat *heartbeat)
{
    if (!heartbeat)
        return;
    heartbeat->config = NULL;
    loop_timer_close(heartbeat->timer);
    heartbeat->timer = NULL;
}

void heartbeat_free(struct heartbeat *heartbeat)
{
    free(heartbeat);
}
