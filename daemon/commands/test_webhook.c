/* test-webhook: send one signed test event and show the answer. Nothing is stored, nothing is tried again. */
#include "commands.h"

#include "../config_file.h"
#include "../log.h"
#include "../random.h"
#include "../sink_webhook.h"
#include "../store.h"
#include "../time_option.h"
#include "../webhook_keys.h"
#include "../../lib/closest.h"
#include "../../lib/json_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct trying {
    struct loop *loop;
    struct http *http;
    bool answered;
    struct webhook_answer answer;
    mono_time began;
    int64_t took; /* ms */
};

const struct config_webhook *webhook_named(const struct config *config, const char *name)
{
    const char *names[64];
    size_t n = 0;
    for (size_t i = 0; i < config->n_webhooks; i++) {
        if (strcmp(config->webhooks[i].name, name) == 0)
            return &config->webhooks[i];
        if (n < sizeof names / sizeof *names)
            names[n++] = config->webhooks[i].name;
    }
    const char *close = closest(name, names, n);
    log_error("no webhook \"%s\" in the configuration%s%s%s", name, close ? "; did you mean \"" : "",
              close ? close : "", close ? "\"?" : "");
    return NULL;
}

static void on_answer(void *user, const struct webhook_answer *answer)
{
    struct trying *trying = user;
    trying->answered = answer->verdict != WEBHOOK_CANCELLED;
    trying->answer = *answer;
    trying->took = mono_diff(loop_now(trying->loop).mono, trying->began);
    loop_stop(trying->loop);
}

static void on_stop(void *user)
{
    http_close(((struct trying *)user)->http);
}

static void on_reload(void *user)
{
    (void)user;
}

static bool send_event(struct trying *trying, const struct config_webhook *webhook,
                       const struct webhook_keys *keys, const struct event *event)
{
    struct loop_handlers handlers = {.on_stop = on_stop, .on_reload = on_reload, .user = trying};
    trying->loop = loop_new(&handlers, 0);
    trying->http = trying->loop ? http_new(trying->loop, "klv-jobwatch/" JOBWATCH_VERSION) : NULL;
    if (!trying->http) {
        log_error("cannot set up the event loop or libcurl");
        loop_finish(trying->loop);
        return false;
    }
    struct now now = loop_now(trying->loop);
    trying->began = now.mono;
    if (!sink_webhook_send(trying->http, webhook, keys, &event, 1, now, on_answer, trying)) {
        log_error("webhook %s: the request could not be set up", webhook->name);
        loop_stop(trying->loop);
    }
    loop_run(trying->loop);
    http_free(trying->http);
    loop_finish(trying->loop);
    return trying->answered;
}

/* What a person can do about it. */
static const char *remedy(const struct webhook_answer *answer)
{
    int status = answer->status;
    if (answer->verdict == WEBHOOK_DELIVERED)
        return "";
    if (status >= 300 && status < 400)
        return "redirects are not followed: set the url that it points to";
    if (status == 401 || status == 403)
        return "it does not accept the signature or the headers: has it the same secret?";
    if (status == 404 || status == 410)
        return "there is no such webhook any more: set its new url";
    if (status == 0)
        return "no answer: is the url right, and may this machine reach it?";
    return "";
}

static void print_text(const struct config_webhook *webhook, const struct trying *trying)
{
    const struct webhook_answer *answer = &trying->answer;
    const char *help = remedy(answer);
    if (answer->verdict == WEBHOOK_DELIVERED)
        printf("webhook %s: taken, HTTP %d, in %" PRId64 " ms\n", webhook->name, answer->status,
               trying->took);
    else
        printf("webhook %s: NOT taken: %s, in %" PRId64 " ms%s%s\n", webhook->name, answer->text,
               trying->took, help[0] ? "; " : "", help);
}

static void print_json(const struct config_webhook *webhook, const struct event *event,
                       const struct trying *trying)
{
    struct json_out out = json_out_new();
    json_out_text(&out, "webhook", webhook->name);
    json_out_text(&out, "event_id", event->id);
    if (trying->answer.verdict == WEBHOOK_DELIVERED)
        json_out_true(&out, "taken");
    json_out_int(&out, "status", trying->answer.status);
    json_out_text(&out, "answer", trying->answer.text);
    json_out_int(&out, "elapsed_ms", trying->took);
    char *line = json_out_take(&out);
    if (line)
        puts(line);
    free(line);
}

/* Each test has an id of its own, so that no receiver takes it for a second copy. */
static struct event *make_event(const struct config *config)
{
    char distinct[32];
    snprintf(distinct, sizeof distinct, "%016" PRIx64, random_u64());
    struct now now = {.wall = time_option_now()};
    return event_new(EVENT_TEST, now.wall, config->accounts[0].name, "", NULL, distinct);
}

static int test(const struct options *options, const struct config *config,
                const struct config_webhook *webhook)
{
    char why[STORE_WHY];
    struct trying trying = {0};
    struct webhook_keys keys;
    if (!webhook_keys_read(webhook, &keys, why, sizeof why)) {
        log_error("%s", why);
        return EXIT_USAGE;
    }
    struct event *event = make_event(config);
    bool fine = event && send_event(&trying, webhook, &keys, event);
    if (fine && options->json)
        print_json(webhook, event, &trying);
    else if (fine)
        print_text(webhook, &trying);
    event_free(event);
    webhook_keys_wipe(&keys);
    return fine && trying.answer.verdict == WEBHOOK_DELIVERED ? EXIT_FINE : EXIT_FAILED;
}

int command_test_webhook(const struct options *options)
{
    if (options->n_arguments == 0) {
        log_error("which webhook? klv-jobwatch test-webhook NAME");
        return EXIT_USAGE;
    }
    struct config *config = config_file_read(options->config);
    const struct config_webhook *webhook = config ? webhook_named(config, options->arguments[0]) : NULL;
    int code = webhook ? test(options, config, webhook) : EXIT_USAGE;
    config_free(config);
    return code;
}
