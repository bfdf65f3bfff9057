#include "watch_private.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct family_watch *find_family(const struct watch *watch, const struct family *type)
{
    for (size_t i = 0; i < watch->n; i++) {
        if (strcmp(watcher_family(watch->watchers[i]), type->type) == 0)
            return watch->families[i];
    }
    return NULL;
}

static bool is_in(struct family_watch *const *held, size_t n, const struct family_watch *family)
{
    for (size_t i = 0; i < n; i++) {
        if (held[i] == family)
            return true;
    }
    return false;
}

/* Of the first n, those that were made anew; NULL is fine. */
static void drop_wanted(const struct watch *watch, struct family_watch **wanted, size_t n)
{
    for (size_t i = 0; wanted && i < n; i++) {
        if (!is_in(watch->families, watch->n, wanted[i]))
            watch_free_family(wanted[i]);
    }
    free(wanted);
}

/* The families of the new configuration: known ones take their new options, others are made. NULL, nothing
 * changed, on failure. */
static struct family_watch **new_families(struct watch *watch, char *why, size_t why_size)
{
    size_t n = watch->account->n_families;
    struct family_watch **wanted = calloc(n, sizeof(struct family_watch *));
    snprintf(why, why_size, "out of memory");
    for (size_t i = 0; wanted && i < n; i++) {
        wanted[i] = find_family(watch, watch->account->families[i]);
        if (!wanted[i])
            wanted[i] = watch_new_family(watch, watch->account->families[i], 0, why, why_size);
        if (wanted[i])
            continue;
        drop_wanted(watch, wanted, i);
        return NULL;
    }
    return wanted;
}

static bool take_families(struct watch *watch, struct family_watch **wanted, size_t n)
{
    struct now now = loop_now(watch->shared.loop);
    struct watcher **watchers = calloc(n, sizeof(struct watcher *));
    if (!watchers)
        return false;
    for (size_t i = 0; i < watch->n; i++) {
        if (is_in(wanted, n, watch->families[i]))
            continue;
        watch_cancel(watch, watch->families[i]);
        watch_free_family(watch->families[i]);
    }
    free(watch->families);
    free(watch->watchers);
    watch->families = wanted;
    watch->watchers = watchers;
    watch->n = n;
    for (size_t i = 0; i < n; i++) {
        struct watcher_options options = watch_options(watch, watch->account->families[i], 0);
        assert(wanted[i]);
        watchers[i] = wanted[i]->watcher;
        if (!watcher_set_options(watchers[i], &options, now.mono))
            watch->shared.on_no_memory(watch->shared.user);
    }
    return true;
}

bool watch_reconfigure(struct watch *watch, const struct watch_shared *shared,
                       const struct config_account *account, char *why, size_t why_size)
{
    struct watch_shared old_shared = watch->shared;
    const struct config_account *old_account = watch->account;
    struct secret key;
    if (!watch_read_key(account, &key, why, why_size))
        return false;
    watch->shared = *shared;
    watch->account = account;
    struct family_watch **wanted = new_families(watch, why, why_size);
    if (!wanted || !take_families(watch, wanted, account->n_families)) {
        watch->shared = old_shared;
        watch->account = old_account;
        drop_wanted(watch, wanted, account->n_families);
        secret_wipe(&key);
        return false;
    }
    secret_wipe(&watch->key);
    api_headers_wipe(&watch->headers);
    watch->key = key;
    if (!api_headers_make(&watch->headers, key.text, shared->config->revision))
        watch->shared.on_no_memory(watch->shared.user);
    watch_want(watch);
    return true;
}
