/*
 * request: the URLs that klv-jobwatch asks the API for.
 *
 * Invariant: an URL always begins with the configured api_url; what came from an answer (cursors, job ids)
 * only ever stands percent-encoded behind it, as one path segment or one query value. Source of the
 * parameters: Klaviyo's "API overview" (filtering, sparse fieldsets, pagination) and the OpenAPI documents.
 * Results are malloc'd; NULL without memory.
 */
#ifndef JOBWATCH_REQUEST_H
#define JOBWATCH_REQUEST_H

#include "sweep.h"

/* Where an account's requests go. */
struct request_base {
    const char *api_url;  /* "https://a.klaviyo.com", no trailing slash */
    const char *revision; /* decides between the two shapes of paths and fields */
};

/* One page of a list. Active lists leave out the errors by a sparse fieldset, as full ones do. cursor may be
 * NULL. */
char *request_list_url(const struct request_base *base, const struct family *family, enum sweep_kind kind,
                       enum sweep_list list, const char *cursor);

/* One job, with its errors. */
char *request_job_url(const struct request_base *base, const struct family *family, const char *job_id);

#endif
