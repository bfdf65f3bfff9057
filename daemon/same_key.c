#include "same_key.h"

#include "log.h"

#include <string.h>

static bool has_family(const struct config_account *account, const struct family *family)
{
    for (size_t i = 0; i < account->n_families; i++) {
        if (account->families[i] == family)
            return true;
    }
    return false;
}

bool same_key_warn(const struct config_account *a, const struct secret *key_a, const struct config_account *b,
                   const struct secret *key_b)
{
    size_t shared = 0;
    if (!key_a->text || !key_b->text || strcmp(key_a->text, key_b->text) != 0)
        return false;
    for (size_t i = 0; i < a->n_families; i++)
        shared += has_family(b, a->families[i]);
    if (shared > 0)
        log_warning(
            "accounts \"%s\" and \"%s\" have the same key and %zu job types in common: each takes a whole "
            "budget of the limits they share, and tells each alert; make them one, or give each jobs of its "
            "own, or a part of the budget",
            a->name, b->name, shared);
    return shared > 0;
}
