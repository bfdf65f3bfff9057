/* webhook_keys: a webhook's signing keys from its secret file, or the systemd credential "webhook-NAME", and the
 * certificate that it shows the receiver. */
#ifndef KLV_WEBHOOK_KEYS_H
#define KLV_WEBHOOK_KEYS_H

#include <stddef.h>

#include "../lib/config.h"
#include "../lib/signature.h"
#include "secret.h"

struct webhook_keys {
    struct signature_keys signing;
    struct secret client; /* PEM, the certificate and its key; none: text NULL */
};

void webhook_keys_wipe(struct webhook_keys *keys);

/*
 * What the signing keys are depends on the format: those that sign, or for pagerduty one that is the integration's
 * routing key as it stands in the file; none for the other formats, whose secret is their URL.
 *
 * False with a sentence in why that names the webhook and the place; *ret is wiped then.
 */
bool webhook_keys_read(const struct config_webhook *webhook, struct webhook_keys *ret, char *why,
                       size_t why_size);

#endif
