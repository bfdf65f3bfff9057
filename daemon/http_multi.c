/*
 * libcurl's multi on the libuv loop: its sockets, its timer, and the transfers that it has ended.
 *
 * Invariant: after every action all that curl has to say is heard, so that each transfer in the list is also in the
 * multi and still under way. When memory runs out within curl all of them end, and with them the multi: the next one
 * that is started gets another. A poll's memory lives until libuv's close callback. Times in ms.
 */
#include "http_private.h"

#include "allocator.h"

#include <stdlib.h>

#define MAX_CONNECTIONS 128 /* kept open */

/* curl's interest in one socket. Its memory lives until libuv's close callback; the descriptor may be used
 * again before that. */
struct watched {
    uv_poll_t poll;
    struct http *http;
    curl_socket_t fd;
};

/* ---- what has ended ---- */

/*
 * Every message, after every action, also when nothing runs any more: a lone transfer's time-out is told by
 * no other way. The message dies with curl_multi_remove_handle, so what is needed of it is copied first; done
 * may start, cancel or close anything.
 */
static void drain(struct http *http)
{
    int left;
    for (CURLMsg *message; !http->closing && (message = curl_multi_info_read(http->multi, &left)) != NULL;) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct http_transfer *t = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &t);
        curl_multi_remove_handle(http->multi, t->easy);
        if (authorities_try_all(t, code))
            continue;
        if (t->again && transfer_is_fine(t, code))
            http->authorities = NULL; /* so it is: no use asking the folder first */
        transfer_unlink(t);
        transfer_report(t, transfer_error(t, code), code);
    }
}

/* ---- curl asks libuv ---- */

static void give_all_up(struct http *http);

/* What curl breaks off here, for lack of memory, it may never come back to, not even when its time is over; and it may
 * say nothing of it. */
static void act(struct http *http, curl_socket_t fd, int flags)
{
    int running;
    allocator_forget_failure();
    CURLMcode code = curl_multi_socket_action(http->multi, fd, flags, &running);
    if (code == CURLM_OK && !allocator_has_failed())
        drain(http);
    else
        give_all_up(http);
}

static void on_timer(uv_timer_t *handle)
{
    act(handle->data, CURL_SOCKET_TIMEOUT, 0);
}

/* In the loop's next turn, which does not wait; by then curl may ask for it again. */
static void on_soon(uv_idle_t *handle)
{
    uv_idle_stop(handle);
    act(handle->data, CURL_SOCKET_TIMEOUT, 0);
}

/*
 * No timer of 0 ms: before libuv 1.48 one that is armed again in its own callback starves all sockets; and one of 1 ms
 * puts the process to sleep before each request.
 */
static int on_curl_timer(CURLM *multi, long timeout, void *user)
{
    struct http *http = user;
    (void)multi;
    if (http->closing)
        return 0;
    if (timeout > 0)
        uv_timer_start(&http->timer, on_timer, (uint64_t)timeout, 0);
    else
        uv_timer_stop(&http->timer);
    if (timeout == 0)
        uv_idle_start(&http->soon, on_soon);
    else
        uv_idle_stop(&http->soon);
    return 0;
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct watched *watched = handle->data;
    int flags = 0;
    /* libuv has stopped this poll by itself; every refused connection comes this way. */
    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(watched->http, watched->fd, flags);
}

static void on_watched_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct watched *watch_socket(struct http *http, curl_socket_t fd)
{
    struct watched *watched = calloc(1, sizeof *watched);
    if (!watched)
        return NULL;
    watched->http = http;
    watched->fd = fd;
    watched->poll.data = watched;
    if (uv_poll_init_socket(loop_uv(http->loop), &watched->poll, fd) != 0) {
        free(watched);
        return NULL;
    }
    curl_multi_assign(http->multi, fd, watched);
    return watched;
}

/* `easy` may belong to a transfer that is gone already: it is never looked at. -1 would fail every transfer
 * of the multi. */
static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *user, void *socket_user)
{
    struct http *http = user;
    struct watched *watched = socket_user;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched) {
            curl_multi_assign(http->multi, fd, NULL);
            uv_close((uv_handle_t *)&watched->poll, on_watched_closed);
        }
        return 0;
    }
    /* curl_multi_cleanup asks for sockets again while it says goodbye; nobody will turn the loop for it. */
    if (http->closing)
        return 0;
    if (!watched)
        watched = watch_socket(http, fd);
    if (!watched)
        return -1;
    int events = what == CURL_POLL_IN    ? UV_READABLE
                 : what == CURL_POLL_OUT ? UV_WRITABLE
                                         : UV_READABLE | UV_WRITABLE;
    uv_poll_start(&watched->poll, events, on_poll);
    return 0;
}

/* ---- the multi ---- */

static bool set_up_multi(struct http *http)
{
    CURLM *multi = http->multi;
    return curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX) == CURLM_OK &&
           curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)MAX_CONNECTIONS) == CURLM_OK;
}

void multi_close(struct http *http)
{
    if (http->multi)
        curl_multi_cleanup(http->multi);
    http->multi = NULL;
}

bool multi_open(struct http *http)
{
    http->multi = curl_multi_init();
    if (http->multi && set_up_multi(http))
        return true;
    multi_close(http);
    return false;
}

/*
 * All that are under way, with their connections; `done` may start, cancel or close anything. libcurl 7.88 keeps in the
 * multi what it could not finish without memory, and the next transfer would crash on it, or never end: that one gets
 * another multi.
 */
static void give_all_up(struct http *http)
{
    for (struct http_transfer *t = http->transfers; t; t = t->next) {
        t->lost = true;
        curl_multi_remove_handle(http->multi, t->easy);
    }
    http->closing = true; /* what it asks for now is not meant, as at the end */
    multi_close(http);
    http->closing = false;
    uv_timer_stop(&http->timer);
    uv_idle_stop(&http->soon);
    for (struct http_transfer *t = http->transfers; t && !http->closing;) {
        if (!t->lost) {
            t = t->next;
            continue;
        }
        transfer_unlink(t);
        transfer_report(t, HTTP_NO_MEMORY, CURLE_OUT_OF_MEMORY);
        t = http->transfers;
    }
}
