/* Any text as a template: refused with file and line, or filled with hostile events without a fault. */
#include "../../lib/render_formats.h"
#include "../../lib/template.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first 200 bytes of the input are what the API says. */
static struct event *make(const uint8_t *data, size_t size, enum event_kind kind)
{
    char said[201] = "";
    size_t len = size < sizeof said - 1 ? size : sizeof said - 1;
    memcpy(said, data, len);
    struct job job = {
        .id = said,
        .status_word = said,
        .counts = {10, -1, COUNT_NONE, INT64_MAX},
        .created_at = WALL_NONE,
        .completed_at = {INT64_MAX},
        .expires_at = {0},
    };
    return event_new(kind, (wall_time){1795510800123}, "main", "family", &job, "");
}

static void fill(const struct template *template, const uint8_t *data, size_t size)
{
    struct event *events[] = {make(data, size, EVENT_JOB_STALLED), make(data, size, EVENT_JOB_ANOMALY)};
    struct render_context context = {.template = template, .url = "https://h/topic", .routing_key = "k"};
    for (enum webhook_format format = 0; format < N_WEBHOOK_FORMATS; format++) {
        for (size_t n = 1; n <= 2 && n <= format_group_limit(format); n++) {
            size_t len = SIZE_MAX;
            char *body = render_webhook(format, &context, (const struct event *const *)events, n, &len);
            assert(body && strlen(body) == len);
            free(body);
        }
    }
    event_free(events[0]);
    event_free(events[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *error = NULL;
    struct template *template = template_parse((const char *)data, size, "t", &error);
    assert((template == NULL) == (error != NULL));
    if (template)
        fill(template, data, size);
    else
        assert(strncmp(error, "t:", 2) == 0);
    free(error);
    template_free(template);
    return 0;
}
