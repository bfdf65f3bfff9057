/*
 * How a transfer ended, as whoever started it is told: once, and in words that cannot hold a secret.
 *
 * The transfer is out of the multi and of the list before; it is freed here, after done has returned.
 */
#include "http_private.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * A body that was cut on purpose ends as a write error of ours, and is fine. A head that the connection's end cut
 * off is not, though curl takes it for an answer without a body: a look at a job would believe its 404.
 */
bool transfer_is_fine(const struct http_transfer *t, CURLcode code)
{
    return (code == CURLE_OK && t->head_is_over) || (code == CURLE_WRITE_ERROR && t->body_is_full);
}

enum http_error transfer_error(const struct http_transfer *t, CURLcode code)
{
    if (transfer_is_fine(t, code))
        return HTTP_OK;
    if (t->no_memory || code == CURLE_OUT_OF_MEMORY)
        return HTTP_NO_MEMORY;
    if (t->too_large || code == CURLE_FILESIZE_EXCEEDED)
        return HTTP_TOO_LARGE;
    return code == CURLE_OPERATION_TIMEDOUT ? HTTP_TIMEOUT : HTTP_TRANSPORT;
}

/* "scheme://host[:port]" of the request's URL, without credentials. */
static char *origin_of(CURL *easy)
{
    CURLU *parts = curl_url();
    char *url = NULL, *scheme = NULL, *host = NULL, *port = NULL, *origin = NULL;
    if (parts && curl_easy_getinfo(easy, CURLINFO_EFFECTIVE_URL, &url) == CURLE_OK && url &&
        curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
        curl_url_get(parts, CURLUPART_PORT, &port, 0);
        if (asprintf(&origin, "%s://%s%s%s", scheme, host, port ? ":" : "", port ? port : "") < 0)
            origin = NULL;
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parts);
    return origin;
}

/* curl's own buffer may quote the URL; its fixed sentences and our origin cannot hold a secret. */
static void describe(const struct http_transfer *t, enum http_error error, CURLcode code, char *out,
                     size_t size)
{
    const char *what = code == CURLE_OK ? "the answer ends within its head" : curl_easy_strerror(code);
    switch (error) {
    case HTTP_OK:
        out[0] = '\0';
        return;
    case HTTP_TOO_LARGE:
        what = "the answer is larger than allowed";
        break;
    case HTTP_NO_MEMORY:
        /* That is curl's word for a single line of more than 100 KB too. */
        what = t->no_memory ? "out of memory" : "out of memory, or a header line larger than allowed";
        break;
    case HTTP_CANCELLED:
        what = "given up";
        break;
    case HTTP_TRANSPORT:
    case HTTP_TIMEOUT:
        break;
    }
    char *origin = origin_of(t->easy);
    snprintf(out, size, "%s: %s", origin ? origin : "the server", what);
    free(origin);
}

void transfer_report(struct http_transfer *t, enum http_error error, CURLcode code)
{
    char text[512];
    long status = 0, version = 0;
    describe(t, error, code, text, sizeof text);
    if (error == HTTP_OK)
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
    struct http_response response = {
        .error = error,
        .status = (int)status,
        .error_text = text,
        .body = error == HTTP_OK && t->body ? t->body : "",
        .body_len = error == HTTP_OK ? t->len : 0,
        .content_type = t->texts[HEADER_CONTENT_TYPE],
        .retry_after = t->texts[HEADER_RETRY_AFTER],
        .date = t->texts[HEADER_DATE],
        .ratelimit_limit = t->texts[HEADER_LIMIT],
        .ratelimit_remaining = t->texts[HEADER_REMAINING],
        .ratelimit_reset = t->texts[HEADER_RESET],
        .elapsed = transfer_clock() - t->began,
        .http_version = version == CURL_HTTP_VERSION_2_0   ? 20
                        : version == CURL_HTTP_VERSION_1_1 ? 11
                        : version == CURL_HTTP_VERSION_1_0 ? 10
                                                           : 0,
    };
    t->done(t->user, &response);
    transfer_free(t);
}
