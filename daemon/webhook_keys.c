#include "webhook_keys.h"

#include "secret.h"

#include <stdio.h>

bool webhook_keys_read(const struct config_webhook *webhook, struct signature_keys *ret, char *why,
                       size_t why_size)
{
    char credential[80], reason[400];
    struct secret secret;
    const char *wrong;
    snprintf(credential, sizeof credential, "webhook-%s", webhook->name);
    *ret = (struct signature_keys){0};
    if (!secret_read(webhook->secret_file, credential, NULL, true, &secret, reason, sizeof reason)) {
        snprintf(why, why_size, "webhook \"%s\": secret: %s", webhook->name, reason);
        return false;
    }
    bool fine = signature_keys_parse(secret.text, secret.len, ret, &wrong);
    secret_wipe(&secret);
    if (!fine)
        snprintf(why, why_size, "webhook \"%s\": secret %s%s: %s", webhook->name,
                 webhook->secret_file ? "file " : "credential ",
                 webhook->secret_file ? webhook->secret_file : credential, wrong);
    return fine;
}
