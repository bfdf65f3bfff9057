/*
 * The webhooks of a configuration take the place of those of the old one, which live on where the name is the same.
 *
 * Invariant: all that the new ones need is made and read before anything of the old ones is touched: on failure nothing
 * has changed. The configuration is the caller's and outlives the next one; keys belong to their webhook and are wiped.
 */
#include "delivery_private.h"

#include "webhook_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hook *delivery_find_hook(const struct delivery *delivery, const char *name)
{
    char sink[SINK_SIZE];
    delivery_sink_of(name, sink);
    for (size_t i = 0; i < delivery->n_hooks; i++) {
        if (delivery->hooks[i] && strcmp(hook_sink(delivery->hooks[i]), sink) == 0)
            return delivery->hooks[i];
    }
    return NULL;
}

/* What a new configuration needs, all of it made before anything of the old one is touched. */
struct exchange {
    size_t n;
    struct hook **hooks; /* NULL in the places of those that are there already */
    struct webhook_keys *keys;
};

static void finish_exchange(struct exchange *exchange)
{
    for (size_t i = 0; exchange->hooks && i < exchange->n; i++)
        hook_free(exchange->hooks[i]);
    for (size_t i = 0; exchange->keys && i < exchange->n; i++)
        webhook_keys_wipe(&exchange->keys[i]);
    free(exchange->hooks);
    free(exchange->keys);
}

static bool prepare_exchange(struct delivery *delivery, const struct config *config,
                             struct exchange *exchange, char *why, size_t why_size)
{
    /* One more, because an allocation of nothing may be NULL. */
    exchange->n = config->n_webhooks;
    exchange->hooks = calloc(exchange->n + 1, sizeof(struct hook *));
    exchange->keys = calloc(exchange->n + 1, sizeof *exchange->keys);
    bool fine = exchange->hooks && exchange->keys;
    for (size_t i = 0; fine && i < exchange->n; i++) {
        const struct config_webhook *webhook = &config->webhooks[i];
        if (!webhook_keys_read(webhook, &exchange->keys[i], why, why_size))
            return false;
        if (delivery_find_hook(delivery, webhook->name))
            continue;
        exchange->hooks[i] = hook_new(delivery, webhook->name);
        fine = exchange->hooks[i];
    }
    if (!fine)
        snprintf(why, why_size, "out of memory");
    return fine;
}

static void commit_exchange(struct delivery *delivery, const struct config *config, struct exchange *exchange)
{
    for (size_t i = 0; i < exchange->n; i++) {
        struct hook *old = exchange->hooks[i] ? NULL : delivery_find_hook(delivery, config->webhooks[i].name);
        for (size_t j = 0; old && j < delivery->n_hooks; j++) {
            if (delivery->hooks[j] == old)
                delivery->hooks[j] = NULL;
        }
        if (old)
            exchange->hooks[i] = old;
        hook_configure(exchange->hooks[i], &config->webhooks[i], &exchange->keys[i]);
    }
    for (size_t i = 0; i < delivery->n_hooks; i++)
        hook_free(delivery->hooks[i]);
    free(delivery->hooks);
    delivery->hooks = exchange->hooks;
    delivery->n_hooks = exchange->n;
    exchange->hooks = NULL;
}

bool delivery_configure(struct delivery *delivery, const struct config *config, char *why, size_t why_size)
{
    struct exchange exchange = {0};
    bool fine = prepare_exchange(delivery, config, &exchange, why, why_size);
    if (fine)
        commit_exchange(delivery, config, &exchange);
    finish_exchange(&exchange);
    if (fine && delivery->started)
        delivery_wake(delivery);
    return fine;
}
