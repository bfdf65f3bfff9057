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

/* A section and its key; a zeroed secret, of a key that could not be read, is like no other. Both are the caller's. */
struct keyed {
    const struct config_account *account;
    const struct secret *key;
};

/* Log it of those of the n sections that are so. Once for a section: of 500 with one key there are 124,750 pairs. */
void same_key_warn(struct keyed (*at)(const void *user, size_t i), const void *user, size_t n);

#endif
