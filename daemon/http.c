#include "http_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct http_transfer *http_start(struct http *http, const struct http_request *request, http_done *done,
                                 void *user)
{
    if (http->closing || (!http->multi && !multi_open(http)))
        return NULL;
    if (!request->allow_http && strncasecmp(request->url, "https://", 8) != 0)
        return NULL;
    struct http_transfer *t = transfer_new(http, request);
    if (!t)
        return NULL;
    t->done = done;
    t->user = user;
    if (curl_multi_add_handle(http->multi, t->easy) != CURLM_OK) {
        transfer_free(t);
        return NULL;
    }
    transfer_link(t);
    return t;
}

void http_cancel(struct http_transfer *transfer)
{
    curl_multi_remove_handle(transfer->http->multi, transfer->easy);
    transfer_unlink(transfer);
    transfer_report(transfer, HTTP_CANCELLED, CURLE_OK);
}

/* ---- the whole ---- */

struct http *http_new(struct loop *loop, const char *user_agent)
{
    struct http *http = calloc(1, sizeof *http);
    if (!http)
        return NULL;
    http->loop = loop;
    http->user_agent = strdup(user_agent);
    bool global = http->user_agent && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    http->authorities = global ? authorities_find() : NULL;
    if (global && multi_open(http)) {
        uv_timer_init(loop_uv(loop), &http->timer);
        uv_idle_init(loop_uv(loop), &http->soon);
        http->timer.data = http->soon.data = http;
        return http;
    }
    if (global)
        curl_global_cleanup();
    free(http->user_agent);
    free(http);
    return NULL;
}

void http_renew(struct http *http)
{
    http->renewed = transfer_clock();
    http->authorities = authorities_find();
    spare_wipe(http);
}

void http_close(struct http *http)
{
    if (!http || http->closing)
        return;
    http->closing = true;
    while (http->transfers)
        http_cancel(http->transfers);
    /* Calls the socket callback once more for every connection; the timer must live until that is over. */
    multi_close(http);
    uv_close((uv_handle_t *)&http->timer, NULL);
    uv_close((uv_handle_t *)&http->soon, NULL);
}

void http_free(struct http *http)
{
    if (!http)
        return;
    curl_global_cleanup();
    spare_wipe(http);
    free(http->spare);
    free(http->user_agent);
    free(http);
}
