#include "webhook_keys.h"

#include "secret.h"

#include <stdio.h>
#include <string.h>

/* Letters and digits, with what may join them. */
static bool parse_routing_key(const struct secret *secret, struct signature_keys *ret, const char **wrong)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    /* The last byte stays 0, so that it can be read as a string. */
    if (secret->len >= SIGNATURE_MAX_KEY || strspn(secret->text, allowed) != secret->len) {
        *wrong = "should be the integration key of a PagerDuty service, 32 letters and digits";
        return false;
    }
    ret->n = 1;
    ret->len[0] = secret->len;
    memcpy(ret->key[0], secret->text, secret->len);
    return true;
}

bool webhook_keys_read(const struct config_webhook *webhook, struct signature_keys *ret, char *why,
                       size_t why_size)
{
    char credential[80], reason[400];
    struct secret secret;
    const char *wrong;
    snprintf(credential, sizeof credential, "webhook-%s", webhook->name);
    *ret = (struct signature_keys){0};
    bool is_signed = format_is_signed(webhook->format);
    if (!is_signed && webhook->format != FORMAT_PAGERDUTY)
        return true;
    if (!secret_read(webhook->secret_file, credential, NULL, true, &secret, reason, sizeof reason)) {
        snprintf(why, why_size, "webhook \"%s\": secret: %s", webhook->name, reason);
        return false;
    }
    bool fine = is_signed ? signature_keys_parse(secret.text, secret.len, ret, &wrong)
                          : parse_routing_key(&secret, ret, &wrong);
    secret_wipe(&secret);
    if (!fine)
        snprintf(why, why_size, "webhook \"%s\": secret %s%s: %s", webhook->name,
                 webhook->secret_file ? "file " : "credential ",
                 webhook->secret_file ? webhook->secret_file : credential, wrong);
    return fine;
}
