#include "api_headers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *line(const char *name, const char *value)
{
    char *text;
    return asprintf(&text, "%s%s", name, value) < 0 ? NULL : text;
}

bool api_headers_make(struct api_headers *ret, const char *key, const char *revision)
{
    *ret = (struct api_headers){{
        line("Authorization: Klaviyo-API-Key ", key),
        line("revision: ", revision),
        line("Accept: ", "application/vnd.api+json"),
    }};
    if (ret->lines[0] && ret->lines[1] && ret->lines[2])
        return true;
    api_headers_wipe(ret);
    return false;
}

void api_headers_wipe(struct api_headers *headers)
{
    for (size_t i = 0; i < sizeof headers->lines / sizeof *headers->lines; i++) {
        if (!headers->lines[i])
            continue;
        explicit_bzero(headers->lines[i], strlen(headers->lines[i]));
        free(headers->lines[i]);
        headers->lines[i] = NULL;
    }
}
