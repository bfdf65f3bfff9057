/*
 * Discord's webhooks: https://discord.com/developers/docs/resources/webhook#execute-webhook
 * content is at most 2,000 characters; allowed_mentions without types lets nothing ping anyone; the flag
 * SUPPRESS_EMBEDS keeps links from being looked up.
 */
#include "render_private.h"

#include "json_out.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CONTENT     2000
#define SUPPRESS_EMBEDS 4

/* A backslash takes the meaning off any punctuation. */
static const char *escape(char c, char scratch[8])
{
    if (c == '\0' || !strchr("\\*_~`|<>[]()#@:", c))
        return NULL;
    scratch[0] = '\\';
    scratch[1] = c;
    scratch[2] = '\0';
    return scratch;
}

static char *content_of(const struct event *const events[], size_t n)
{
    if (n == 1)
        return event_sentence(events[0], MAX_CONTENT, escape);
    struct digest digest;
    struct text text, summary;
    size_t next = 0;
    digest_of(events, n, &digest);
    text_init(&summary, SIZE_MAX, TEXT_CLEAN);
    digest_summary(&digest, &summary);
    text_init(&text, SIZE_MAX, TEXT_VALID);
    char *heading = summary.failed ? NULL : text_escaped(summary.data, MAX_CONTENT / 2, escape);
    text_finish(&summary);
    text_addf(&text, "**%s**", heading ? heading : "");
    bool fine = heading && list_events(&text, events, n, &next, MAX_CONTENT, escape);
    free(heading);
    list_rest(&text, n - next);
    if (fine)
        return text_take(&text);
    text_finish(&text);
    return NULL;
}

char *render_discord(const struct event *const events[], size_t n)
{
    struct json_out body = json_out_new();
    struct json_out mentions = json_out_new();
    json_out_taken(&body, "content", content_of(events, n));
    json_out_put(&mentions, "parse", json_object_new_array());
    json_out_object(&body, "allowed_mentions", &mentions);
    json_out_int(&body, "flags", SUPPRESS_EMBEDS);
    return json_out_take(&body);
}
