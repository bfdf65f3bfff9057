/*
 * same_key: two account sections that have one key and watch the same jobs: the limits are the Klaviyo account's, and each
 * section takes a whole budget of them.
 *
 * Invariant: the warning names both sections and never the key.
 */
#ifndef KLV_SAME_KEY_H
#define KLV_SAME_KEY_H

#include "secret.h"
#include "../lib/config.h"

/* Log it, when it is so; true: it was. Once for a section is enough: of 500 with one key there are 124,750 pairs. A zeroed
 * secret, of a key that could not be read, is like no other. */
bool same_key_warn(const struct config_account *a, const struct secret *key_a, const struct config_account *b,
                   const struct secret *key_b);

#endif
