#include "status.h"

#include "delivery_text.h"
#include "../process.h"
#include "../report.h"
#include "../../lib/event.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Nothing has happened for so long (ms) after something was due: the daemon hangs. */
#define OVERDUE 60000
/* So many attempts in vain, and a webhook is in trouble. */
#define MANY_ATTEMPTS 3

int64_t status_int(struct json_object *object, const char *key)
{
    return json_object_get_int64(json_object_object_get(object, key));
}

const char *status_text(struct json_object *object, const char *key)
{
    const char *text = json_object_get_string(json_object_object_get(object, key));
    return text ? text : "";
}

int64_t status_delay(const struct status_watch *watch, wall_time now)
{
    int64_t last = status_int(watch->live, "last_active_ms"), period = status_int(watch->live, "period_ms");
    if (last == 0)
        return 0;
    return now.ms - last > period ? now.ms - last : period;
}

/* Room for one more behind n items; NULL without memory. */
static void *one_more(void *items, size_t n, size_t size)
{
    return reallocarray(items, n + 1, size);
}

/* ---- problems ---- */

static bool problem(struct status *status, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool problem(struct status *status, const char *format, ...)
{
    char *text, **problems = one_more(status->problems, status->n_problems, sizeof *problems);
    va_list arguments;
    if (!problems)
        return false;
    status->problems = problems;
    va_start(arguments, format);
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (len < 0)
        return false;
    status->problems[status->n_problems++] = text;
    return true;
}

static bool judge_daemon(struct view *view, struct status *status)
{
    char ago[HUMAN_SIZE];
    if (!status->report)
        return problem(status,
                       "no daemon has run with this state directory yet: systemctl start klv-jobwatch");
    if (status->running)
        return true;
    human_distance((wall_time){status_int(status->report, "at_ms")}, view->now, ago);
    return problem(
        status, "klv-jobwatch is not running, its last report is of %s: systemctl start klv-jobwatch", ago);
}

/* When the daemon wanted to do something next: the first of its watches that nothing holds up. */
static bool judge_pace(struct view *view, struct status *status)
{
    int64_t due = INT64_MAX;
    for (size_t i = 0; i < status->n_watches; i++) {
        struct json_object *live = status->watches[i].live;
        int64_t next = status_int(live, "next_ms"), blocked = status_int(live, "blocked_until_ms");
        next = blocked > next ? blocked : next;
        due = live && next > 0 && next < due ? next : due;
    }
    if (!status->running || due == INT64_MAX || view->now.ms - due < OVERDUE ||
        view->now.ms - status_int(status->report, "at_ms") < OVERDUE)
        return true;
    char late[HUMAN_SIZE];
    return problem(status,
                   "a sweep has been due for %s and the daemon does nothing: systemctl restart klv-jobwatch",
                   human_span(view->now.ms - due, late));
}

static bool judge_saved(struct status *status)
{
    struct json_object *accounts = json_object_object_get(status->report, "accounts");
    for (size_t i = 0; status->running && accounts && i < json_object_array_length(accounts); i++) {
        struct json_object *account = json_object_array_get_idx(accounts, i);
        if (!json_object_get_boolean(json_object_object_get(account, "saved")) &&
            !problem(status, "%s: state is not being saved; journalctl -u klv-jobwatch says why",
                     status_text(account, "account")))
            return false;
    }
    return true;
}

static const char *trouble_of(const struct status_watch *watch)
{
    return watch->told ? "" : status_text(watch->live, "problem");
}

/* The same trouble of an account's families is said once. */
static bool judge_families(struct status *status)
{
    for (size_t i = 0, n; status->running && i < status->n_watches; i += n) {
        const struct status_watch *first = &status->watches[i];
        const char *text = trouble_of(first);
        for (n = 1; i + n < status->n_watches; n++) {
            const struct status_watch *next = first + n;
            if (strcmp(next->account, first->account) != 0 || strcmp(trouble_of(next), text) != 0)
                break;
        }
        if (text[0] == '\0')
            continue;
        if (n == 1 ? !problem(status, "%s, %s: %s", first->account, first->family, text)
                   : !problem(status, "%s, %zu job types: %s", first->account, n, text))
            return false;
    }
    return true;
}

static bool judge_sinks(struct view *view, struct status *status)
{
    for (size_t i = 0; i < status->n_sinks; i++) {
        const struct status_sink *sink = &status->sinks[i];
        const struct stored_delivery *last = &sink->figures.last;
        char next[HUMAN_SIZE];
        bool fine = true;
        if (sink->off)
            fine =
                problem(status,
                        "webhook %s answered that it is gone (410), and is off: set its url, then systemctl "
                        "reload klv-jobwatch",
                        sink->name);
        else if (!sink->unknown && last->state == DELIVERY_WAITING && last->attempts >= MANY_ATTEMPTS)
            fine = problem(status, "%s has not taken an event in %u attempts: %s; next %s", sink->name,
                           last->attempts, last->last_error,
                           human_distance(view_wall(view, sink->figures.next_at), view->now, next));
        if (!fine)
            return false;
    }
    return true;
}

/* A lasting condition that keeps it from seeing. capacity.high is the account's business, not the watch's. */
struct judging {
    struct view *view;
    struct status *status;
    bool memory;
};

static bool judge_condition(void *user, const char *account, const char *family,
                            const struct stored_condition *condition)
{
    struct judging *judging = user;
    char age[HUMAN_SIZE];
    if (condition->kind == EVENT_CAPACITY_HIGH)
        return true;
    for (size_t i = 0; i < judging->status->n_watches; i++) {
        struct status_watch *watch = &judging->status->watches[i];
        watch->told |=
            strcmp(watch->account, account) == 0 && (!family[0] || strcmp(watch->family, family) == 0);
    }
    judging->memory = problem(judging->status, "%s%s%s: %s for %s%s%s", account, family[0] ? ", " : "",
                              family, event_types[condition->kind].name,
                              human_span(judging->view->now.ms - condition->since_wall.ms, age),
                              condition->note[0] ? ": " : "", condition->note);
    return judging->memory;
}

static bool judge(struct view *view, struct status *status)
{
    struct judging judging = {view, status, true};
    return judge_daemon(view, status) && judge_pace(view, status) && judge_saved(status) &&
           store_read_conditions(view->store, judge_condition, &judging) && judging.memory &&
           judge_families(status) && judge_sinks(view, status);
}

/* ---- gathering ---- */

/* The report's families by account and name, for many of them. */
static struct json_object *index_report(struct json_object *report)
{
    struct json_object *index = json_object_new_object();
    struct json_object *accounts = json_object_object_get(report, "accounts");
    for (size_t i = 0; index && accounts && i < json_object_array_length(accounts); i++) {
        struct json_object *account = json_object_array_get_idx(accounts, i),
                           *by_name = json_object_new_object();
        struct json_object *list = json_object_object_get(account, "families");
        json_object_object_add(index, status_text(account, "account"), by_name);
        for (size_t j = 0; list && j < json_object_array_length(list); j++) {
            struct json_object *family = json_object_array_get_idx(list, j);
            json_object_object_add(by_name, status_text(family, "family"), json_object_get(family));
        }
    }
    return index;
}

struct gathering {
    struct view *view;
    struct status *status;
    struct json_object *index;
    bool memory;
};

/* The daemon knows how many there are; while none runs they have to be counted. */
static bool count_all(const struct gathering *gathering, struct status_watch *watch)
{
    bool known = gathering->status->running && watch->live;
    watch->jobs = status_int(watch->live, "jobs");
    if (!known && !store_read_job_total(gathering->view->store, watch->counts.id, &watch->jobs))
        return false;
    watch->complete = watch->jobs > watch->counts.unfinished ? watch->jobs - watch->counts.unfinished : 0;
    return true;
}

static bool add_watch(void *user, const struct watch_counts *counts)
{
    struct gathering *gathering = user;
    struct status *status = gathering->status;
    struct json_object *account = json_object_object_get(gathering->index, counts->account);
    struct json_object *live = json_object_object_get(account, counts->family);
    /* What an earlier configuration watched is not news. */
    if (status->report && !live)
        return true;
    struct status_watch *watches = one_more(status->watches, status->n_watches, sizeof *watches);
    gathering->memory = watches;
    if (!watches)
        return false;
    status->watches = watches;
    struct status_watch *watch = &watches[status->n_watches++];
    *watch = (struct status_watch){.account = strdup(counts->account),
                                   .family = strdup(counts->family),
                                   .counts = *counts,
                                   .live = json_object_get(live)};
    watch->counts.account = watch->account;
    watch->counts.family = watch->family;
    gathering->memory = watch->account && watch->family && count_all(gathering, watch);
    return gathering->memory;
}

static struct json_object *find_webhook(struct json_object *report, const char *name)
{
    struct json_object *webhooks = json_object_object_get(report, "webhooks");
    for (size_t i = 0; webhooks && i < json_object_array_length(webhooks); i++) {
        struct json_object *webhook = json_object_array_get_idx(webhooks, i);
        if (strcmp(status_text(webhook, "name"), name) == 0)
            return webhook;
    }
    return NULL;
}

/* A webhook that is gone from the configuration is shown for as long as something waits for it or was given up. */
static bool add_sink(void *user, const struct sink_figures *figures)
{
    struct gathering *gathering = user;
    struct status *status = gathering->status;
    const char *name = delivery_sink_name(figures->sink);
    struct json_object *webhook = find_webhook(status->report, name);
    bool unknown = status->report && strcmp(figures->sink, SINK_JOURNAL) != 0 && !webhook;
    if (unknown && figures->waiting == 0 && figures->dead == 0)
        return true;
    struct status_sink *sinks = one_more(status->sinks, status->n_sinks, sizeof *sinks);
    gathering->memory = sinks;
    if (!sinks)
        return false;
    status->sinks = sinks;
    struct status_sink *sink = &sinks[status->n_sinks++];
    *sink = (struct status_sink){.figures = *figures,
                                 .name = strdup(name),
                                 .off = status->running &&
                                        json_object_get_boolean(json_object_object_get(webhook, "off")),
                                 .unknown = unknown};
    sink->figures.sink = sink->name;
    gathering->memory = sink->name;
    return gathering->memory;
}

static bool gather_all(struct view *view, struct gathering *gathering)
{
    const struct options *options = view->options;
    return store_read_watches(view->store, options->account, options->family, add_watch, gathering) &&
           gathering->memory && store_read_sinks(view->store, add_sink, gathering) && gathering->memory &&
           judge(view, gathering->status);
}

bool status_gather(struct view *view, struct status *ret)
{
    *ret = (struct status){0};
    char *text = store_note_get(view->store, REPORT_KEY);
    ret->report = text ? json_tokener_parse(text) : NULL;
    free(text);
    ret->running = process_runs(status_int(ret->report, "pid"), status_int(ret->report, "started"));
    struct gathering gathering = {view, ret, index_report(ret->report), true};
    bool fine = gathering.index && gather_all(view, &gathering);
    json_object_put(gathering.index);
    return fine;
}

void status_finish(struct status *status)
{
    for (size_t i = 0; i < status->n_watches; i++) {
        free(status->watches[i].account);
        free(status->watches[i].family);
        json_object_put(status->watches[i].live);
    }
    for (size_t i = 0; i < status->n_sinks; i++)
        free(status->sinks[i].name);
    for (size_t i = 0; i < status->n_problems; i++)
        free(status->problems[i]);
    free(status->watches);
    free(status->sinks);
    free(status->problems);
    json_object_put(status->report);
}
