#include "sink_webhook.h"

#include "crash_point.h"

#include "../lib/backoff.h"
#include "../lib/render.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ANSWER      4096
#define MAX_RETRY_AFTER INT64_C(86400000)
#define MAX_EXCERPT     120
/* Shorter parts of an URL ("api", "hook") are words that an answer may well hold. */
#define MIN_TOKEN 6

/* One request on its way. */
struct post {
    webhook_done *done;
    void *user;
    wall_time sent;
    char *tokens; /* each NUL-terminated, an empty one ends: what may not be shown */
    size_t tokens_size;
};

/* ---- what may not be shown ---- */

static void add_token(struct post *post, const char *token, size_t len, size_t min)
{
    if (len < min)
        return;
    char *end = post->tokens;
    while (*end)
        end += strlen(end) + 1;
    memcpy(end, token, len); /* the room is zeroed, and large enough for all there is */
}

/* Path, query and credentials of an URL, cut into parts. */
static void add_url_tokens(struct post *post, const char *url)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    const char *path = host + strcspn(host, "/?#");
    const char *at = memchr(host, '@', (size_t)(path - host));
    const char *colon = at ? memchr(host, ':', (size_t)(at - host)) : NULL;
    if (at && colon) {
        add_token(post, host, (size_t)(colon - host), 1);
        add_token(post, colon + 1, (size_t)(at - colon - 1), 1);
    } else if (at) {
        add_token(post, host, (size_t)(at - host), 1);
    }
    while (*path) {
        path += strspn(path, "/?#&=");
        size_t len = strcspn(path, "/?#&=");
        add_token(post, path, len, MIN_TOKEN);
        path += len;
    }
}

static bool collect_tokens(struct post *post, const struct config_webhook *webhook,
                           const struct signature_keys *keys)
{
    bool has_key = webhook->format == FORMAT_PAGERDUTY;
    /* Parts of an URL are divided by at least one byte, which makes room for their NULs. */
    post->tokens_size = strlen(webhook->url) + 2 + (has_key ? keys->len[0] + 1 : 0);
    for (size_t i = 0; i < webhook->n_headers; i++)
        post->tokens_size += strlen(webhook->headers[i].value) + 1;
    post->tokens = calloc(1, post->tokens_size);
    if (!post->tokens)
        return false;
    add_url_tokens(post, webhook->url);
    if (has_key)
        add_token(post, (const char *)keys->key[0], keys->len[0], 1);
    for (size_t i = 0; i < webhook->n_headers; i++)
        add_token(post, webhook->headers[i].value, strlen(webhook->headers[i].value), MIN_TOKEN);
    return true;
}

static bool gives_away(const struct post *post, const char *text)
{
    for (const char *token = post->tokens; *token; token += strlen(token) + 1) {
        if (strstr(text, token))
            return true;
    }
    return false;
}

static void free_post(struct post *post)
{
    if (post->tokens)
        explicit_bzero(post->tokens, post->tokens_size);
    free(post->tokens);
    free(post);
}

/* ---- the answer ---- */

static enum webhook_verdict verdict_of(const struct http_response *response)
{
    switch (response->error) {
    case HTTP_OK:
        break;
    case HTTP_CANCELLED:
        return WEBHOOK_CANCELLED;
    case HTTP_TRANSPORT:
    case HTTP_TIMEOUT:
    case HTTP_TOO_LARGE:
    case HTTP_NO_MEMORY:
        return WEBHOOK_RETRY;
    }
    int status = response->status;
    if (status >= 200 && status < 300)
        return WEBHOOK_DELIVERED;
    if (status == 410)
        return WEBHOOK_GONE;
    if (status == 408 || status == 425 || status == 429)
        return WEBHOOK_RETRY;
    return status >= 300 && status < 500 ? WEBHOOK_REFUSED : WEBHOOK_RETRY;
}

static int64_t retry_after_of(const struct post *post, const struct http_response *response)
{
    int64_t ms = -1;
    /* Without a Date of its own, the server's clock is taken to be ours. */
    wall_time server_now = {post->sent.ms + response->elapsed};
    if (response->error != HTTP_OK || (response->status != 429 && response->status != 503))
        return -1;
    if (response->date)
        wall_parse_http(response->date, strlen(response->date), &server_now);
    if (response->retry_after)
        retry_after_parse(response->retry_after, strlen(response->retry_after), server_now, MAX_RETRY_AFTER,
                          &ms);
    return ms;
}

/* "HTTP 400: no such channel" */
static void write_text(const struct post *post, const struct http_response *response, char text[WEBHOOK_TEXT])
{
    if (response->error != HTTP_OK) {
        bool fine = !gives_away(post, response->error_text);
        snprintf(text, WEBHOOK_TEXT, "%s", fine ? response->error_text : "no answer");
        return;
    }
    char *excerpt = NULL;
    if (response->body_len > 0 && !gives_away(post, response->body))
        excerpt = render_clean(response->body, MAX_EXCERPT);
    snprintf(text, WEBHOOK_TEXT, "HTTP %d%s%s", response->status, excerpt && excerpt[0] ? ": " : "",
             excerpt ? excerpt : "");
    free(excerpt);
}

static void on_response(void *user, const struct http_response *response)
{
    struct post *post = user;
    crash_point("webhook-answer");
    struct webhook_answer answer = {
        .verdict = verdict_of(response),
        .status = response->error == HTTP_OK ? response->status : 0,
        .retry_after = retry_after_of(post, response),
    };
    if (answer.verdict != WEBHOOK_DELIVERED)
        write_text(post, response, answer.text);
    webhook_done *done = post->done;
    user = post->user;
    free_post(post);
    done(user, &answer);
}

/* ---- the request ---- */

/* Lines for http_start, NULL-terminated; free_lines() also takes a half-built list. */
struct lines {
    char **items;
    size_t n;
    bool failed;
};

static void free_lines(struct lines *lines)
{
    for (size_t i = 0; i < lines->n; i++) {
        explicit_bzero(lines->items[i], strlen(lines->items[i]));
        free(lines->items[i]);
    }
    free(lines->items);
}

static void add_line(struct lines *lines, const char *name, const char *value)
{
    char *line;
    if (lines->failed || asprintf(&line, "%s: %s", name, value) < 0)
        lines->failed = true;
    else
        lines->items[lines->n++] = line;
}

static bool sign(struct lines *lines, const struct signature_keys *keys, const char *id, int64_t unix_seconds,
                 const char *body)
{
    char signature[SIGNATURE_SIZE], seconds[24];
    if (!signature_make(keys, id, unix_seconds, body, strlen(body), signature))
        return false;
    snprintf(seconds, sizeof seconds, "%" PRId64, unix_seconds);
    add_line(lines, "webhook-id", id);
    add_line(lines, "webhook-timestamp", seconds);
    add_line(lines, "webhook-signature", signature);
    return true;
}

static struct render_context context_of(const struct config_webhook *webhook,
                                        const struct signature_keys *keys)
{
    return (struct render_context){
        .url = webhook->url,
        .routing_key = (const char *)keys->key[0], /* NUL-terminated, see webhook_keys.h */
        .template = webhook->template,
        .content_type = webhook->content_type,
    };
}

static bool make_lines(struct lines *lines, const struct config_webhook *webhook,
                       const struct signature_keys *keys, const struct event *const events[], size_t n,
                       struct now now, const char *body)
{
    char id[MESSAGE_ID_SIZE];
    *lines = (struct lines){.items = calloc(webhook->n_headers + 5, sizeof(char *))};
    if (!lines->items || !format_message_id(events, n, id))
        return false;
    struct render_context context = context_of(webhook, keys);
    add_line(lines, "Content-Type", format_content_type(webhook->format, &context, n));
    if (format_is_signed(webhook->format) && !sign(lines, keys, id, now.wall.ms / 1000, body))
        return false;
    for (size_t i = 0; i < webhook->n_headers; i++)
        add_line(lines, webhook->headers[i].name, webhook->headers[i].value);
    return !lines->failed;
}

static struct http_transfer *start(struct http *http, const struct config_webhook *webhook,
                                   const struct secret *client, const char *body, const struct lines *lines,
                                   struct post *post)
{
    char *url = format_url(webhook->format, webhook->url);
    if (!url)
        return NULL;
    struct http_request request = {
        .url = url,
        .body = body,
        .body_len = strlen(body),
        .headers = (const char *const *)lines->items,
        .connect_timeout = webhook->timeout,
        .timeout = webhook->timeout,
        .max_body = MAX_ANSWER,
        .ca_file = webhook->ca_file,
        .client_pem = client->text,
        .allow_http = true, /* the configuration allows it where it may be */
        .keep_truncated = true,
    };
    crash_point("webhook-before");
    struct http_transfer *transfer = http_start(http, &request, on_response, post);
    crash_point("webhook-after");
    explicit_bzero(url, strlen(url));
    free(url);
    return transfer;
}

struct http_transfer *sink_webhook_send(struct http *http, const struct config_webhook *webhook,
                                        const struct webhook_keys *keys, const struct event *const events[],
                                        size_t n, struct now now, webhook_done *done, void *user)
{
    struct http_transfer *transfer = NULL;
    struct lines lines = {0};
    struct render_context context = context_of(webhook, &keys->signing);
    char *body = render_webhook(webhook->format, &context, events, n, NULL);
    struct post *post = calloc(1, sizeof *post);
    if (!post) {
        free(body);
        return NULL;
    }
    *post = (struct post){.done = done, .user = user, .sent = now.wall};
    if (body && collect_tokens(post, webhook, &keys->signing) &&
        make_lines(&lines, webhook, &keys->signing, events, n, now, body))
        transfer = start(http, webhook, &keys->client, body, &lines, post);
    if (!transfer)
        free_post(post);
    free_lines(&lines);
    if (body)
        explicit_bzero(body, strlen(body)); /* it may hold the receiver's key */
    free(body);
    return transfer;
}
