#include "allocator.h"
#include "crash_point.h"
#include "log.h"
#include "random.h"
#include "watch_private.h"
#include "../lib/backoff.h"
#include "../lib/rate_headers.h"
#include "../lib/render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A page of 100 jobs with all their relationships is a few hundred KiB. */
#define MAX_PAGE_BODY (16u << 20)
/* What only says when a list was last read is written this often at the most, in ms. */
#define LAZY_COMMIT 10000
/* So many records wait for the store at most, but for what the requests in flight bring. */
#define MOST_UNSAVED 4096
/* Jobs of which there is nothing to tell, while more pages of a full sweep are to come: likewise. */
#define SWEEP_COMMIT 1000
/* But not more of them at a time. */
#define SWEEP_ROWS 2000
/* In `once`, so many answers in a row that were not good end the run. */
#define ONCE_MAX_FAILURES 4
/* And so many turns in a row in which no request could be sent, with none under way: there is no memory, and
 * a wait for the budget is over sooner. */
#define ONCE_MAX_BARREN 10
/* A turn that comes back this soon, in ms, does so for that, or for the budget of one second. */
#define BARREN_WAIT 1000

/* Requests of all accounts on their way at a time: what is more waits unspent, instead of in libcurl's memory. */
#define MOST_IN_FLIGHT 128

/* ---- the key ---- */

static bool key_is_plain(const char *key)
{
    for (const char *p = key; *p; p++) {
        if (*p < '!' || *p > '~')
            return false;
    }
    return true;
}

bool watch_read_key(const struct config_account *account, struct secret *ret, char *why, size_t why_size)
{
    char credential[80];
    snprintf(credential, sizeof credential, "api-key-%s", account->name);
    char reason[STORE_WHY];
    if (!secret_read(account->api_key_file, credential, "api-key", false, ret, reason, sizeof reason)) {
        snprintf(why, why_size, "account \"%s\": API key: %s", account->name, reason);
        return false;
    }
    if (key_is_plain(ret->text))
        return true;
    secret_wipe(ret);
    snprintf(why, why_size,
             "account \"%s\": the API key holds spaces or control characters; it should be one word (pk_...)",
             account->name);
    return false;
}

/* ---- set-up ---- */

struct watcher_options watch_options(const struct watch *watch, const struct family *family, int64_t phase)
{
    const struct config *config = watch->shared.config;
    const struct config_account *account = watch->account;
    return (struct watcher_options){
        .account = account->name,
        .family = family,
        .base = {.api_url = config->api_url, .revision = config->revision},
        .rules = &config->alerts,
        .plan =
            {
                .interval = account->interval,
                .idle_interval = account->idle_interval,
                .full_sweep_interval = account->full_sweep_interval,
                .head_pages = family->sort[0] != '\0',
                .once = watch->shared.once,
            },
        .limits = budget_limits_for(family->burst, family->steady, account->budget, account->burst,
                                    account->steady, account->yield_below),
        .detail_timeout = account->detail_timeout,
        .retention = config->retention,
        .phase = phase,
        .seed = random_u64(),
    };
}

void watch_free_family(struct family_watch *family)
{
    if (!family)
        return;
    watcher_free(family->watcher);
    batch_finish(&family->rows.batch);
    free(family);
}

struct family_watch *watch_new_family(struct watch *watch, const struct family *type, int64_t phase,
                                      char *why, size_t why_size)
{
    struct family_watch *family = calloc(1, sizeof *family);
    struct watcher_options options = watch_options(watch, type, phase);
    struct now now = loop_now(watch->shared.loop);
    snprintf(why, why_size, "out of memory");
    if (!family)
        return NULL;
    family->watch = watch;
    family->watcher = watcher_new(&options, now.mono);
    if (!family->watcher || !watch_rows_load(&family->rows, watch->shared.store, watch->account->name,
                                             type->type, family->watcher, now)) {
        if (family->watcher)
            snprintf(why, why_size, "%s", store_error(watch->shared.store));
        watch_free_family(family);
        return NULL;
    }
    return family;
}

/* The phase spreads all (account, family) pairs evenly over one interval; a lone one begins at once. */
static int64_t phase_of(const struct watch *watch, size_t family, size_t place, size_t of)
{
    if (watch->shared.once || of == 0)
        return 0;
    size_t n = watch->account->n_families;
    double part = ((double)place + (double)family / (double)n) / (double)of;
    return (int64_t)(part * (double)watch->account->interval);
}

void watch_want(struct watch *watch)
{
    watch->wanted = true;
    watch->shared.on_want(watch->shared.user);
}

static void on_timer(void *user)
{
    watch_want(user);
}

static bool fill(struct watch *watch, size_t place, size_t of, char *why, size_t why_size)
{
    const struct config_account *account = watch->account;
    watch->families = calloc(account->n_families, sizeof(struct family_watch *));
    watch->watchers = calloc(account->n_families, sizeof(struct watcher *));
    watch->timer = loop_timer_new(watch->shared.loop, on_timer, watch);
    snprintf(why, why_size, "out of memory");
    if (!watch->families || !watch->watchers || !watch->timer ||
        !api_headers_make(&watch->headers, watch->key.text, watch->shared.config->revision))
        return false;
    for (; watch->n < account->n_families; watch->n++) {
        struct family_watch *family = watch_new_family(watch, account->families[watch->n],
                                                       phase_of(watch, watch->n, place, of), why, why_size);
        if (!family)
            return false;
        watch->families[watch->n] = family;
        watch->watchers[watch->n] = family->watcher;
    }
    return watch_health_load(&watch->health, watch->shared.store, account->name);
}

struct watch *watch_new(const struct watch_shared *shared, const struct config_account *account, size_t place,
                        size_t of, char *why, size_t why_size)
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch) {
        snprintf(why, why_size, "out of memory");
        return NULL;
    }
    watch->shared = *shared;
    watch->began = watch->last_commit = loop_now(shared->loop).mono;
    watch->account = account;
    watch->saved = true;
    if (!watch_read_key(account, &watch->key, why, why_size) || !fill(watch, place, of, why, why_size)) {
        watch_close(watch);
        watch_free(watch);
        return NULL;
    }
    return watch;
}

void watch_start(struct watch *watch)
{
    watch->started = true;
    watch_want(watch);
}

/* ---- committing ---- */

static const struct backoff_rules save_rules = {.base = 500, .cap = 10000};

static void note_saved(struct watch *watch, bool fine, struct now now)
{
    if (fine && !watch->saved)
        log_notice("account %s: state is being saved again", watch->account->name);
    if (!fine && watch->saved)
        log_error("account %s: state is not being saved, alerts go to the journal only, webhooks wait: %s",
                  watch->account->name, store_error(watch->shared.store));
    watch->saved = fine;
    watch->save_failures = fine ? 0 : watch->save_failures + 1;
    if (!fine)
        watch->save_at = mono_add(now.mono, backoff_delay(&save_rules, watch->save_failures, random_u64()));
}

/* `once` ends by itself, and says that it could not save. */
static bool is_full(struct watch *watch)
{
    size_t waiting = 0;
    for (size_t i = 0; i < watch->n && !watch->saved && !watch->shared.once; i++)
        waiting += batch_size(&watch->families[i]->rows.batch);
    bool full = waiting >= MOST_UNSAVED;
    if (full && !watch->full)
        log_error("account %s: %zu records wait to be saved; Klaviyo is not asked again before they are",
                  watch->account->name, waiting);
    watch->full = full;
    return full;
}

/* The alert says that the key is refused; this, what to do. */
static void note_refused(struct watch *watch, const struct family_watch *family, struct now now)
{
    enum trouble trouble = watcher_report(family->watcher, now.mono).trouble;
    if (trouble == TROUBLE_NONE)
        watch->refused = false;
    if (trouble != TROUBLE_UNAUTHORIZED || watch->refused)
        return;
    watch->refused = true;
    log_notice(
        "account %s: make a private key (pk_...) in Klaviyo's settings and put it in the old one's place; "
        "try "
        "it: CREDENTIALS_DIRECTORY=/etc/klv-jobwatch klv-jobwatch check --online; then: systemctl restart "
        "klv-jobwatch",
        watch->account->name);
}

/* How long what waits to be written may wait since the last commit, in ms. */
static int64_t may_wait(struct watch *watch)
{
    int64_t wait = watch_health_is_urgent(&watch->health) ? 0 : LAZY_COMMIT;
    for (size_t i = 0; wait > 0 && i < watch->n; i++) {
        const struct watch_rows *rows = &watch->families[i]->rows;
        bool sweeps = watcher_is_sweeping(watch->watchers[i]);
        if (watch_rows_are_urgent(rows, watch->watchers[i]) || rows->batch.n_jobs > (sweeps ? SWEEP_ROWS : 0))
            return 0;
        if (rows->batch.n_jobs > 0)
            wait = SWEEP_COMMIT;
    }
    return wait;
}

/* Everything that waits to be written; within an open transaction. */
static bool write_rows(struct watch *watch, struct now now)
{
    struct watch_target target = {watch->shared.store, watch->shared.delivery, watch->account, now};
    bool fine = true;
    for (size_t i = 0; fine && i < watch->n; i++)
        fine = watch_rows_write(&watch->families[i]->rows, &target, watch->families[i]->watcher);
    return fine && watch_health_write(&watch->health, &target);
}

static void rows_written(struct watch *watch, bool fine, struct now now)
{
    for (size_t i = 0; i < watch->n; i++) {
        struct family_watch *family = watch->families[i];
        if (fine)
            watch_rows_written(&family->rows, family->watcher);
        else
            batch_compact(&family->rows.batch);
    }
    if (fine)
        watch_health_written(&watch->health);
    watch->answered &= !fine;
    watch->last_commit = now.mono;
}

static bool commit_is_due(struct watch *watch, struct now now)
{
    if (!watch->saved)
        return watch->ending || now.mono.ms >= watch->save_at.ms;
    return watch->answered && mono_diff(now.mono, watch->last_commit) >= may_wait(watch);
}

size_t watch_unsaved(struct watch *watch, struct now now, const struct event **events, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < watch->n && !watch->saved; i++)
        n += batch_untold(&watch->families[i]->rows.batch, now.wall, watch->account->detail_timeout,
                          events + n, max - n);
    return n;
}

void watch_unsaved_told(struct watch *watch, const char *event_id, bool fine)
{
    for (size_t i = 0; i < watch->n; i++)
        batch_told(&watch->families[i]->rows.batch, event_id, fine);
}

/* ---- requests and answers ---- */

static struct flight **find_flight(struct watch *watch, const struct flight *flight)
{
    struct flight **at = &watch->flights;
    while (*at && *at != flight)
        at = &(*at)->next;
    return at;
}

static int64_t header_ms(const char *text, wall_time server_now)
{
    int64_t ms;
    return text && retry_after_parse(text, strlen(text), server_now, BUDGET_MAX_RETRY_AFTER, &ms) ? ms : -1;
}

static struct watcher_answer answer_of(const struct http_response *response, struct now now)
{
    struct watcher_answer answer = {
        .status = response->error == HTTP_OK ? response->status : 0,
        .too_large = response->error == HTTP_TOO_LARGE,
        .error = response->error_text,
        .body = response->body,
        .body_len = response->body_len,
        .server_now = now.wall,
    };
    if (response->date)
        wall_parse_http(response->date, strlen(response->date), &answer.server_now);
    rate_headers_parse(response->ratelimit_limit, response->ratelimit_remaining, response->ratelimit_reset,
                       &answer.rate);
    answer.rate.retry_after = header_ms(response->retry_after, answer.server_now);
    return answer;
}

static bool family_is_done(struct family_watch *family, struct now now)
{
    bool whole;
    struct watcher_report report = watcher_report(family->watcher, now.mono);
    family->failed |= report.trouble == TROUBLE_UNAUTHORIZED || report.trouble == TROUBLE_FORBIDDEN ||
                      report.failures >= ONCE_MAX_FAILURES;
    if (watcher_is_done(family->watcher, &whole)) {
        family->failed |= !whole;
        return true;
    }
    return family->failed;
}

static bool is_over(struct watch *watch, struct now now)
{
    for (size_t i = 0; watch->shared.once && i < watch->n; i++) {
        if (!family_is_done(watch->families[i], now))
            return false;
    }
    return watch->shared.once;
}

static void deal(struct watch *watch, struct family_watch *family, unsigned slot,
                 const struct http_response *response)
{
    struct now now = loop_now(watch->shared.loop);
    struct watcher_answer answer = answer_of(response, now);
    allocator_forget_failure();
    bool fine = watcher_answer(family->watcher, slot, &answer, now, random_u64(), &family->rows.batch) &&
                account_health_check(&watch->health, watch->account->name, watch->watchers, watch->n,
                                     &watch->shared.config->alerts, now, &family->rows.batch);
    if (!fine || allocator_has_failed()) {
        watch->spoiled = true;
        watch->shared.on_no_memory(watch->shared.user);
        return;
    }
    watch->answered = true;
    note_refused(watch, family, now);
    if (watch->shared.on_change)
        watch->shared.on_change(watch->shared.user);
    watch_want(watch);
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
        deal(watch, family, slot, response);
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

/* ---- a round ---- */

/* What could not be sent is tried again so much later, in ms. */
#define NOT_SENT_WAIT 1000

static bool add_departure(struct watch *watch, struct family_watch *family, struct watcher_request *wanted)
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

static bool is_crowded(struct watch *watch)
{
    watch->crowded = *watch->shared.in_flight >= MOST_IN_FLIGHT;
    return watch->crowded;
}

static mono_time gather_family(struct watch *watch, struct family_watch *family, struct now now)
{
    struct watcher_request wanted;
    mono_time next = MONO_NEVER;
    uint32_t n = 0;
    while (!family->failed && !is_crowded(watch) && watcher_next(family->watcher, now.mono, &wanted, &next)) {
        if (!add_departure(watch, family, &wanted)) {
            watcher_drop(family->watcher, wanted.slot, now.mono);
            next = mono_add(now.mono, NOT_SENT_WAIT);
            break;
        }
        n++;
    }
    watch->covers |= watch_rows_spend(&family->rows, n) && watch->saved;
    return next;
}

void watch_gather(struct watch *watch, struct now now)
{
    watch->gathered = watch->wanted && watch->started && !watch->closed && !watch->done && !watch->spoiled;
    watch->wanted = false;
    if (!watch->gathered)
        return;
    watch->next = MONO_NEVER;
    watch->covers = watch->crowded = false;
    watch->ending = is_over(watch, now);
    bool full = is_full(watch);
    for (size_t i = 0; i < watch->n && !full && !watch->ending; i++)
        watch->next = mono_min(watch->next, gather_family(watch, watch->families[i], now));
    watch->writes = commit_is_due(watch, now);
}

bool watch_has_to_write(const struct watch *watch)
{
    return watch->gathered && (watch->writes || watch->covers);
}

bool watch_write(struct watch *watch, struct now now)
{
    bool fine = true;
    if (!watch_has_to_write(watch))
        return true;
    if (watch->writes)
        fine = write_rows(watch, now);
    for (size_t i = 0; fine && watch->covers && i < watch->n; i++)
        fine = watch_rows_cover(&watch->families[i]->rows, watch->shared.store, watch->watchers[i], now);
    return fine;
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

static void depart(struct watch *watch, struct now now)
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

/*
 * In `once`, after a round that left nothing under way: the end may have come without an answer, when the last look was
 * not needed any more; and without memory it must not try, or wait, for ever. The next round ends it.
 */
static void note_idle_round(struct watch *watch, struct now now)
{
    if (!is_over(watch, now)) {
        watch->barren = watch->next.ms <= mono_add(now.mono, BARREN_WAIT).ms ? watch->barren + 1 : 0;
        if (watch->next.ms != MONO_NEVER.ms && watch->barren <= ONCE_MAX_BARREN)
            return;
        for (size_t i = 0; i < watch->n; i++)
            watch->families[i]->failed = true;
    }
    watch->next = now.mono;
}

void watch_settle(struct watch *watch, bool fine, struct now now)
{
    if (!watch->gathered)
        return;
    watch->gathered = false;
    if (watch->writes)
        rows_written(watch, fine, now);
    for (size_t i = 0; i < watch->n; i++)
        watch_rows_covered(&watch->families[i]->rows, fine && watch->covers);
    if (watch->writes || watch->covers)
        note_saved(watch, fine, now);
    if (watch->writes || !watch->saved)
        delivery_wake(watch->shared.delivery);
    depart(watch, now);
    watch->done = watch->ending;
    /* Nothing but a timer or a socket ends the wait that comes now; what is crowded waits for an answer anyway. */
    if (watch->crowded)
        watch_want(watch);
    else if (watch->full && watch->saved)
        watch->next = now.mono;
    else if (watch->flights)
        watch->barren = 0;
    else if (watch->shared.once && !watch->done)
        note_idle_round(watch, now);
    if (!watch->saved)
        watch->next = mono_min(watch->next, watch->save_at);
    loop_timer_at(watch->timer, watch->done ? MONO_NEVER : watch->next);
    if (watch->done && watch->shared.on_done)
        watch->shared.on_done(watch->shared.user);
}

/* ---- the end ---- */

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

static bool settle_ledgers(struct watch *watch, struct now now)
{
    bool fine = true;
    for (size_t i = 0; fine && i < watch->n; i++)
        fine = watch_rows_settle(&watch->families[i]->rows, watch->shared.store, watch->watchers[i], now);
    return fine;
}

/* The last words: what was not urgent, and the exact ledger. */
static void settle(struct watch *watch)
{
    struct now now = loop_now(watch->shared.loop);
    struct store *store = watch->shared.store;
    if (!watch->started)
        return;
    bool fine = store_begin(store) && (watch->spoiled || write_rows(watch, now)) &&
                settle_ledgers(watch, now) && store_mark(store, now);
    if (fine)
        fine = store_commit(store);
    else
        store_rollback(store);
    rows_written(watch, fine, now);
    note_saved(watch, fine, now);
}

void watch_close(struct watch *watch)
{
    if (watch->closed)
        return;
    watch->closed = true;
    watch_cancel(watch, NULL);
    settle(watch);
    loop_timer_close(watch->timer);
    watch->timer = NULL;
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    for (size_t i = 0; i < watch->n; i++)
        watch_free_family(watch->families[i]);
    free(watch->families);
    free(watch->watchers);
    api_headers_wipe(&watch->headers);
    secret_wipe(&watch->key);
    free(watch);
}
