#include "random.h"
#include "watch_private.h"

#include <stdio.h>
#include <stdlib.h>

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

/* ---- the end ---- */

void watch_close(struct watch *watch)
{
    if (watch->closed)
        return;
    watch->closed = true;
    watch_cancel(watch, NULL);
    commit_last(watch);
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
