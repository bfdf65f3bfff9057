/* api_headers: the header lines of each request to the API. They hold the key: wiped on release. */
#ifndef KLV_API_HEADERS_H
#define KLV_API_HEADERS_H

#include <stdbool.h>

struct api_headers {
    char *lines[4]; /* NULL-terminated */
};

bool api_headers_make(struct api_headers *ret, const char *key,
                      const char *revision);        /* false without memory */
void api_headers_wipe(struct api_headers *headers); /* a zeroed one is fine */

#endif
