/*
 * secret: API keys and webhook secrets, from files or systemd credentials into memory that is wiped on
 * release.
 *
 * Invariant: a secret's bytes never reach a log line or an error text. A file that group or others can read
 * is refused, but for systemd's own credentials directory, whose access systemd guards.
 */
#ifndef KLV_SECRET_H
#define KLV_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define SECRET_MAX 16384 /* bytes; a client certificate comes with its chain */

struct secret {
    char *text; /* NUL-terminated, white space around it cut off */
    size_t len;
};

/*
 * Read `file`, or when it is NULL the first of the two systemd credentials (either name may be NULL) that
 * exists in $CREDENTIALS_DIRECTORY. False with a whole sentence in why (naming the place and the remedy) when
 * missing, unreadable, empty, too large, not a regular file, open to others, or holding a NUL or a line feed
 * inside (lines > 1 only if multi_line).
 */
bool secret_read(const char *file, const char *credential, const char *fallback, bool multi_line,
                 struct secret *ret, char *why, size_t why_size);

/* Wipe and free; a zeroed secret is fine. */
void secret_wipe(struct secret *secret);

#endif
