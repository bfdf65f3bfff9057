/* webhook_keys: a webhook's signing keys from its secret file, or the systemd credential "webhook-NAME". */
#ifndef KLV_WEBHOOK_KEYS_H
#define KLV_WEBHOOK_KEYS_H

#include <stddef.h>

#include "../lib/config.h"
#include "../lib/signature.h"

/*
 * What the keys are depends on the format: those that sign, or for pagerduty one that is the integration's
 * routing key as it stands in the file; none for the other formats, whose secret is their URL.
 *
 * False with a sentence in why that names the webhook and the place; *ret is wiped then.
 */
bool webhook_keys_read(const struct config_webhook *webhook, struct signature_keys *ret, char *why,
                       size_t why_size);

#endif
