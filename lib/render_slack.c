/*
 * Slack's incoming webhooks, in blocks: https://api.slack.com/reference/block-kit/blocks
 *
 * At most 50 blocks, 3,000 characters in a section's text, 150 in a header. All blocks together are refused
 * as msg_blocks_too_long from some 13,200 characters of JSON on, which no page says
 * (https://github.com/slackapi/bolt-js/issues/2509), so a body is held below that. Text is escaped as
 * https://api.slack.com/reference/surfaces/formatting#escaping says, so no <!channel> and no link gets
 * through; `verbatim` keeps what looks like one from becoming one.
 */
#include "render_private.h"

#include "json_out.h"
#include "render.h"

#include <stdlib.h>
#include <string.h>

#define MAX_SECTION 3000
#define MAX_BLOCKS  50
#define MAX_BODY    12000

static const char *escape(char c, char scratch[8])
{
    (void)scratch;
    return c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : NULL;
}

/* {"type":…,"text":…}, taking the text. */
static struct json_object *text_json(const char *type, char *string)
{
    struct json_out text = json_out_new();
    json_out_text(&text, "type", type);
    json_out_taken(&text, "text", string);
    if (strcmp(type, "mrkdwn") == 0)
        json_out_true(&text, "verbatim");
    return json_out_json(&text);
}

static struct json_object *block(const char *type, struct json_object *text)
{
    struct json_out out = json_out_new();
    json_out_text(&out, "type", type);
    json_out_put(&out, "text", text);
    return json_out_json(&out);
}

static struct json_object *section(char *mrkdwn)
{
    return block("section", text_json("mrkdwn", mrkdwn));
}

/* Sections of lines, together at most max bytes of them; the last one says what is left out. */
static struct json_object *add_sections(struct json_object *blocks, const struct event *const events[],
                                        size_t n, size_t max)
{
    size_t next = 0, used = 0, before;
    do {
        struct text text;
        text_init(&text, SIZE_MAX, TEXT_VALID);
        before = next;
        size_t room = max - used < MAX_SECTION ? max - used : MAX_SECTION;
        bool fine = list_events(&text, events, n, &next, room, escape);
        used += text.len;
        bool last = next == n || next == before || max - used < LINE_MAX_BYTES + REST_MAX ||
                    json_object_array_length(blocks) + 1 >= MAX_BLOCKS;
        if (last)
            list_rest(&text, n - next);
        char *mrkdwn = fine ? text_take(&text) : NULL;
        text_finish(&text);
        blocks = json_out_append(blocks, section(mrkdwn));
        if (last)
            break;
    } while (blocks);
    return blocks;
}

static char *summary_of(const struct event *const events[], size_t n)
{
    if (n == 1)
        return event_sentence(events[0], MAX_SECTION, escape);
    struct digest digest;
    struct text summary;
    digest_of(events, n, &digest);
    text_init(&summary, MAX_SECTION, TEXT_CLEAN);
    digest_summary(&digest, &summary);
    return text_take(&summary);
}

static char *render_within(const struct event *const events[], size_t n, size_t max)
{
    struct json_object *blocks = json_object_new_array();
    char *title = n == 1 ? strdup(event_types[events[0]->kind].name) : strdup("klv-jobwatch");
    blocks = json_out_append(blocks, block("header", text_json("plain_text", title)));
    if (blocks)
        blocks = json_out_append(blocks, section(summary_of(events, n)));
    if (blocks && n > 1)
        blocks = add_sections(blocks, events, n, max);
    struct json_out body = json_out_new();
    json_out_taken(&body, "text", summary_of(events, n)); /* for notifications */
    json_out_put(&body, "blocks", blocks);
    return json_out_take(&body);
}

char *render_slack(const struct event *const events[], size_t n)
{
    size_t max = MAX_BODY * 4 / 5;
    char *body = render_within(events, n, max);
    /* What JSON escapes makes it longer. */
    while (body && strlen(body) > MAX_BODY && max > MAX_SECTION) {
        free(body);
        max = max * 3 / 4;
        body = render_within(events, n, max);
    }
    return body;
}
