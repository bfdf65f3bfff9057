/*
 * signature: signing webhooks by the Standard Webhooks specification (symmetric, "v1").
 *
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 * The signed content is "id.timestamp.body"; the header's value is one "v1,<base64 of HMAC-SHA256>" per
 * secret, separated by spaces, so that a receiver holding either the old or the new secret accepts it while
 * one replaces the other.
 *
 * Invariant: secrets are never printed and are wiped when released.
 */
#ifndef JOBWATCH_SIGNATURE_H
#define JOBWATCH_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGNATURE_MAX_SECRETS 2
#define SIGNATURE_MIN_KEY     24 /* bytes, by the specification */
#define SIGNATURE_MAX_KEY     64

struct signature_keys {
    size_t n;
    size_t len[SIGNATURE_MAX_SECRETS];
    unsigned char key[SIGNATURE_MAX_SECRETS][SIGNATURE_MAX_KEY];
};

/* Room for the value of webhook-signature with two secrets, and its NUL. */
#define SIGNATURE_SIZE (SIGNATURE_MAX_SECRETS * (size_t)48)

/*
 * Read the text of a secret file: one or two lines "whsec_<base64 of 24 to 64 bytes>", the newest first;
 * blank lines and white space around a line are passed over. On failure *why is a static sentence fit to
 * follow "FILE: ", *ret is wiped.
 */
bool signature_keys_parse(const char *text, size_t len, struct signature_keys *ret, const char **why);

/* The value of webhook-signature for a message id, Unix seconds and body. False when keys->n is 0 or HMAC
 * fails. */
bool signature_make(const struct signature_keys *keys, const char *id, int64_t unix_seconds, const char *body,
                    size_t body_len, char out[SIGNATURE_SIZE]);

/* Overwrite the keys so that the compiler cannot leave it out. */
void signature_keys_wipe(struct signature_keys *keys);

#endif
