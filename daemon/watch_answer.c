/*
 * An answer of the API, put into the core's words and handed to the watcher that asked, and to the account's health.
 *
 * Invariant: what an answer changed is in the batch of its family, whole: when memory ran out on the way, nothing that
 * is not in the store yet is to be believed, and the process is asked to end. The response is the caller's.
 */
#include "allocator.h"
#include "log.h"
#include "random.h"
#include "watch_private.h"
#include "../lib/rate_headers.h"

#include <string.h>

static int64_t header_ms(const char *text, wall_time server_now)
{
    int64_t ms;
    return text && retry_after_parse(text, strlen(text), server_now, BUDGET_MAX_RETRY_AFTER, &ms) ? ms : -1;
}

static struct watcher_answer answer_of(const struct http_response *response, struct now now)
{
    struct watcher_answer answer = {
        .status = response->error == HTTP_OK ? response->status : 0,
        .too_large = response->error == HTTP_TOO_LARGE,
        .error = response->error_text,
        .body = response->body,
        .body_len = response->body_len,
        .server_now = now.wall,
    };
    if (response->date)
        wall_parse_http(response->date, strlen(response->date), &answer.server_now);
    rate_headers_parse(response->ratelimit_limit, response->ratelimit_remaining, response->ratelimit_reset,
                       &answer.rate);
    answer.rate.retry_after = header_ms(response->retry_after, answer.server_now);
    return answer;
}

/* The alert says that the key is refused; this, what to do. */
static void note_refused(struct watch *watch, const struct family_watch *family, struct now now)
{
    enum trouble trouble = watcher_report(family->watcher, now.mono).trouble;
    if (trouble == TROUBLE_NONE)
        watch->refused = false;
    if (trouble != TROUBLE_UNAUTHORIZED || watch->refused)
        return;
    watch->refused = true;
    log_notice(
        "account %s: make a private key (pk_...) in Klaviyo's settings and put it in the old one's place; "
        "try "
        "it: CREDENTIALS_DIRECTORY=/etc/klv-jobwatch klv-jobwatch check --online; then: systemctl restart "
        "klv-jobwatch",
        watch->account->name);
}

void answer_take(struct watch *watch, struct family_watch *family, unsigned slot,
                 const struct http_response *response)
{
    struct now now = loop_now(watch->shared.loop);
    struct watcher_answer answer = answer_of(response, now);
    allocator_forget_failure();
    bool fine = watcher_answer(family->watcher, slot, &answer, now, random_u64(), &family->rows.batch) &&
                account_health_check(&watch->health, watch->account->name, watch->watchers, watch->n,
                                     &watch->shared.config->alerts, now, &family->rows.batch);
    if (!fine || allocator_has_failed()) {
        watch->spoiled = true;
        watch->shared.on_no_memory(watch->shared.user);
        return;
    }
    watch->answered = true;
    note_refused(watch, family, now);
    if (watch->shared.on_change)
        watch->shared.on_change(watch->shared.user);
    watch_want(watch);
}
