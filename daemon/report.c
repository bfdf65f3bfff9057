#include "report.h"

#include "process.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All accounts together. */
struct total {
    struct watch_figures sum;
    int64_t queued;
    int64_t dead;
    size_t webhooks_off;
};

static struct total add_up(const struct app *app, struct now now)
{
    struct total total = {.sum = {.next = MONO_NEVER, .saved = true, .problem = "", .last_good = now.wall}};
    for (size_t i = 0; i < app->n_watches; i++) {
        struct watch_figures one = watch_figures(app->watches[i], now);
        total.sum.families += one.families;
        total.sum.jobs += one.jobs;
        total.sum.active += one.active;
        total.sum.spent += one.spent;
        total.sum.share += one.share;
        total.sum.next = mono_min(total.sum.next, one.next);
        total.sum.saved &= one.saved;
        if (one.last_good.ms < total.sum.last_good.ms)
            total.sum.last_good = one.last_good;
        if (total.sum.problem[0] == '\0')
            total.sum.problem = one.problem;
    }
    delivery_figures(app->delivery, &total.queued, &total.dead, &total.webhooks_off);
    return total;
}

/* "12:00:03Z" */
static void clock_text(wall_time t, char out[16])
{
    char text[WALL_TEXT_SIZE];
    wall_format(t, text);
    snprintf(out, 16, "%.8sZ", strlen(text) > 11 ? text + 11 : "--:--:--");
}

char *report_status_line(const struct app *app)
{
    struct now now = loop_now(app->loop);
    struct total total = add_up(app, now);
    char last[16], next[16], *text;
    if (wall_is_none(total.sum.last_good))
        snprintf(last, sizeof last, "none yet");
    else
        clock_text(total.sum.last_good, last);
    wall_time at = WALL_NONE;
    if (total.sum.next.ms != MONO_NEVER.ms)
        at.ms = now.wall.ms + mono_diff(total.sum.next, now.mono);
    clock_text(at, next);
    const char *problem = !total.sum.saved ? "state is not being saved" : total.sum.problem;
    const char *bar = problem[0] ? " | " : "";
    const char *ending = total.sum.families == 1 ? "y" : "ies";
    const char *off = total.webhooks_off ? ", a webhook is off" : "";
    char dead[40] = "";
    if (total.dead > 0)
        snprintf(dead, sizeof dead, ", %lld failed", (long long)total.dead);
    int n =
        asprintf(&text,
                 "%s%s%zu jobs, %zu active in %zu famil%s; last sweep %s, next %s; budget %u of %u/min; %lld "
                 "queued%s%s",
                 problem, bar, total.sum.jobs, total.sum.active, total.sum.families, ending, last, next,
                 (unsigned)total.sum.spent, (unsigned)total.sum.share, (long long)total.queued, dead, off);
    return n < 0 ? NULL : text;
}

static struct json_object *account_json(const struct watch *watch, struct now now)
{
    struct json_object *account = json_object_new_object();
    char *text = watch_report_json(watch, now);
    struct json_object *parsed = text ? json_tokener_parse(text) : NULL;
    free(text);
    if (!account || !parsed) {
        json_object_put(account);
        json_object_put(parsed);
        return NULL;
    }
    json_object_object_add(account, "account", json_object_new_string(watch_account(watch)));
    json_object_object_add(account, "saved", json_object_new_boolean(watch_figures(watch, now).saved));
    json_object_object_add(account, "families", parsed);
    return account;
}

static struct json_object *webhooks_json(const struct app *app)
{
    bool off;
    struct json_object *webhooks = json_object_new_array();
    for (size_t i = 0; webhooks && i < app->config->n_webhooks; i++) {
        struct json_object *webhook = json_object_new_object();
        const char *name = app->config->webhooks[i].name;
        json_object_object_add(webhook, "name", json_object_new_string(name));
        if (delivery_webhook_is_off(app->delivery, name, &off))
            json_object_object_add(webhook, "off", json_object_new_boolean(off));
        json_object_array_add(webhooks, webhook);
    }
    return webhooks;
}

static struct json_object *report_json(const struct app *app)
{
    struct now now = loop_now(app->loop);
    struct json_object *report = json_object_new_object();
    struct json_object *accounts = json_object_new_array();
    if (!report || !accounts) {
        json_object_put(report);
        json_object_put(accounts);
        return NULL;
    }
    json_object_object_add(report, "pid", json_object_new_int64(getpid()));
    json_object_object_add(report, "started", json_object_new_int64(process_started(getpid())));
    json_object_object_add(report, "version", json_object_new_string(JOBWATCH_VERSION));
    json_object_object_add(report, "at_ms", json_object_new_int64(now.wall.ms));
    json_object_object_add(report, "accounts", accounts);
    json_object_object_add(report, "webhooks", webhooks_json(app));
    for (size_t i = 0; i < app->n_watches; i++) {
        struct json_object *account = account_json(app->watches[i], now);
        if (account)
            json_object_array_add(accounts, account);
    }
    return report;
}

void report_store(const struct app *app)
{
    struct json_object *report = report_json(app);
    const char *text = report ? json_object_to_json_string_ext(report, JSON_C_TO_STRING_PLAIN) : NULL;
    if (text && store_begin(app->store)) {
        if (store_note_put(app->store, REPORT_KEY, text))
            (void)store_commit(app->store);
        else
            store_rollback(app->store);
    }
    json_object_put(report);
}
