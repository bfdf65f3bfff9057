/* webhook_keys: a webhook's signing keys from its secret file, or the systemd credential "webhook-NAME". */
#ifndef KLV_WEBHOOK_KEYS_H
#define KLV_WEBHOOK_KEYS_H

#include <stddef.h>

#include "../lib/config.h"
#include "../lib/signature.h"

/* False with a sentence in why that names the webhook and the place; *ret is wiped then. */
bool webhook_keys_read(const struct config_webhook *webhook, struct signature_keys *ret, char *why,
                       size_t why_size);

#endif
