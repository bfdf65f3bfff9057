/*
 * The core alone: `core first|same|changed` lets a watcher sweep a fixed account of 20 pages of 100 jobs. What
 * is measured is the function measured(), which valgrind is told to count: the account's
 * first sweep; the same pages again; pages of which each has one job that went on. No clock, no chance, no I/O:
 * the number of instructions is a property of the code and of the libraries it uses.
 */
#include "../../lib/watcher.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TYPE  "catalog-category-bulk-delete-job"
#define PAGES 20
#define JOBS  100
#define ROOM  (256u << 10)

static const struct family family = {.type = TYPE,
                                     .path = "/api/" TYPE "s",
                                     .burst = 1000,
                                     .steady = 4000,
                                     .scope = "",
                                     .fields = "",
                                     .sort = ""};

static char pages[PAGES][ROOM];

struct out {
    char *at;
    size_t left;
};

__attribute__((format(printf, 2, 3))) static void add(struct out *out, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out->at, out->left, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= out->left)
        abort();
    out->at += n;
    out->left -= (size_t)n;
}

static void add_job(struct out *out, int n, int moved)
{
    bool active = n % JOBS == 7;
    add(out, "{\"type\":\"" TYPE "\",\"id\":\"01H8XGJWBWBAQ4Z4%010d\",\"attributes\":{\"status\":\"%s\",", n,
        active ? "processing" : "complete");
    add(out, "\"created_at\":\"2026-07-01T%02d:%02d:00+00:00\",\"total_count\":%d,\"completed_count\":%d,",
        n / 60 % 24, n % 60, 100, active ? 40 + moved : 98);
    add(out, "\"failed_count\":%d,\"completed_at\":%s,\"expires_at\":\"2027-07-01T00:00:00+00:00\"",
        active ? 0 : 2, active ? "null" : "\"2026-07-02T00:00:00+00:00\"");
    add(out,
        ",\"errors\":[{\"id\":\"e%d\",\"code\":\"invalid\",\"title\":\"Invalid input.\",\"detail\":\"The "
        "category does not exist.\",\"source\":{\"pointer\":\"/data\"}}]},\"relationships\":{\"categories\":"
        "{\"data\":[{\"type\":\"catalog-category\",\"id\":\"$custom:::$default:::%d\"}]}},\"links\":{"
        "\"self\":"
        "\"https://a.klaviyo.com/api/" TYPE "s/%d\"}}",
        n, n, n);
}

static void make_pages(int moved)
{
    for (int page = 0; page < PAGES; page++) {
        struct out out = {pages[page], ROOM};
        add(&out, "{\"data\":[");
        for (int i = 0; i < JOBS; i++) {
            add(&out, "%s", i ? "," : "");
            add_job(&out, page * JOBS + i, moved);
        }
        if (page + 1 < PAGES)
            add(&out, "],\"links\":{\"next\":\"https://a.klaviyo.com/x?page%%5Bcursor%%5D=%d\"}}", page + 1);
        else
            add(&out, "],\"links\":{\"next\":null}}");
    }
}

static void answer(struct watcher *watcher, unsigned slot, const char *body, mono_time now)
{
    struct batch batch = {0};
    struct now both = {now, {now.ms}};
    struct watcher_answer answer = {.status = 200,
                                    .error = "",
                                    .body = body,
                                    .body_len = strlen(body),
                                    .rate = {-1, -1, -1, -1},
                                    .server_now = both.wall};
    if (!watcher_answer(watcher, slot, &answer, both, 1, &batch))
        abort();
    batch_finish(&batch);
}

static void sweep(struct watcher *watcher, mono_time *now)
{
    struct watcher_request request;
    mono_time at = *now;
    size_t read = 0;
    while (read < PAGES) {
        if (!watcher_next(watcher, *now, &request, &at)) {
            *now = at;
            continue;
        }
        const char *cursor = strstr(request.url, "cursor%5D=");
        bool full = !strstr(request.url, "filter=");
        size_t page = full && cursor ? strtoul(cursor + strlen("cursor%5D="), NULL, 10) : 0;
        now->ms += 10;
        answer(watcher, request.slot, full ? pages[page] : "{\"data\":[]}", *now);
        read += full;
        free(request.url);
    }
}

/* Not static, so that its name stays. */
void measured(struct watcher *watcher, mono_time *now);
__attribute__((noinline)) void measured(struct watcher *watcher, mono_time *now)
{
    sweep(watcher, now);
}

int main(int argc, char **argv)
{
    if (argc != 2 || (strcmp(argv[1], "first") && strcmp(argv[1], "same") && strcmp(argv[1], "changed"))) {
        fprintf(stderr, "usage: core first|same|changed\n");
        return 2;
    }
    mono_time now = {1000000};
    struct alert_rules rules = alert_rules_default;
    struct watcher_options options = {
        .account = "main",
        .family = &family,
        .base = {"https://a.klaviyo.com", "2026-07-15"},
        .rules = &rules,
        .plan = {.interval = 3600000, .idle_interval = 3600000, .full_sweep_interval = 1000, .once = false},
        .limits = {1000, 4000, 0},
        .retention = 86400000,
        .seed = 1,
    };
    struct watcher *watcher = watcher_new(&options, now);
    make_pages(0);
    if (strcmp(argv[1], "first") != 0) {
        sweep(watcher, &now);
        make_pages(strcmp(argv[1], "changed") == 0);
    }
    measured(watcher, &now);
    bool fine = job_table_count(watcher_table(watcher)) == PAGES * JOBS &&
                job_table_active_count(watcher_table(watcher)) == PAGES;
    watcher_free(watcher);
    return fine ? 0 : 1;
}
