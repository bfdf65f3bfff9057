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

static bool warn_of(struct keyed a, struct keyed b)
{
    size_t shared = 0;
    if (!a.key->text || !b.key->text || strcmp(a.key->text, b.key->text) != 0)
        return false;
    for (size_t i = 0; i < a.account->n_families; i++)
        shared += has_family(b.account, a.account->families[i]);
    if (shared > 0)
        log_warning(
            "accounts \"%s\" and \"%s\" have the same key and %zu job types in common: each takes a whole "
            "budget of the limits they share, and tells each alert; make them one, or give each jobs of its "
            "own, or a part of the budget",
            a.account->name, b.account->name, shared);
    return shared > 0;
}

void same_key_warn(struct keyed (*at)(const void *user, size_t i), const void *user, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool warned = false;
        for (size_t j = 0; j < i && !warned; j++)
            warned = warn_of(at(user, j), at(user, i));
    }
}
