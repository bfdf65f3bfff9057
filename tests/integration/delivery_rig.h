/*
 * delivery_rig: a store in a directory of its own, a loop, http, the journal's sink on a file and the
 * delivery, for tests to run in lives: open, run until something holds, close, open again.
 */
#ifndef TESTS_DELIVERY_RIG_H
#define TESTS_DELIVERY_RIG_H

#include "../unit/unit.h"
#include "scripted_server.h"

#include "../../daemon/delivery.h"
#include "../../daemon/log.h"

#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <sys/stat.h>

#define FAMILY "catalog-category-bulk-delete-job"
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define TICK   5

struct rig {
    char dir[64];
    char config_text[4096];
    struct config *config;
    struct store *store;
    struct loop *loop;
    struct http *http;
    struct sink_journal *journal;
    struct delivery *delivery;
    struct loop_timer *timer;
    enum journal_port port;
    bool (*tick)(struct rig *rig); /* each TICK ms; true ends the life */
    int64_t deadline;
    bool timed_out;
    int64_t stop_took; /* ms from loop_stop to the loop's end, without those without a core */
    int64_t stopped_at;
    int64_t starved; /* ms of the last life without a core */
    int saved_stdout;
    int64_t skipped; /* ms that seem to have passed since the last life, beside those of the clock */
    void *data;      /* the test's own */
};

static inline void write_text_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static inline char *read_text_file(const char *path)
{
    FILE *file = fopen(path, "re");
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    if (file) {
        size_t n = fread(text, 1, (1 << 20) - 1, file);
        text[n] = '\0';
        fclose(file);
    }
    return text;
}

static inline void rig_init(struct rig *rig)
{
    char path[128];
    *rig = (struct rig){.port = JOURNAL_STDOUT_JSON};
    snprintf(rig->dir, sizeof rig->dir, "/tmp/klv-delivery-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    snprintf(path, sizeof path, "%s/secret", rig->dir);
    write_text_file(path, SECRET "\n", 0600);
    snprintf(rig->config_text, sizeof rig->config_text, "account \"main\" { jobs = { \"" FAMILY "\" } }\n");
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void rig_finish(struct rig *rig)
{
    nftw(rig->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Add a webhook to the configuration; `more` is more of its section. */
static inline void rig_add_webhook(struct rig *rig, const char *name, int port, const char *more)
{
    size_t len = strlen(rig->config_text);
    snprintf(rig->config_text + len, sizeof rig->config_text - len,
             "webhook \"%s\" {\n url = \"http://127.0.0.1:%d/hook/very-secret-path\"\n"
             " secret-file = \"%s/secret\"\n retry-base = 10ms\n retry-max = 40ms\n timeout = 20s\n%s\n}\n",
             name, port, rig->dir, more);
}

static inline struct config *rig_parse(const struct rig *rig)
{
    struct config_errors errors = {0};
    struct config *config = config_parse(rig->config_text, "test.conf", &errors);
    if (!config)
        print_error("%s\n", errors.text);
    assert_non_null(config);
    return config;
}

static inline void rig_end_requests(void *user)
{
    struct rig *rig = user;
    http_close(rig->http);
}

static inline void rig_on_stop(void *user)
{
    struct rig *rig = user;
    loop_timer_close(rig->timer);
    delivery_close(rig->delivery, rig_end_requests, rig);
}

static inline void rig_on_reload(void *user)
{
    (void)user;
}

static inline void rig_on_timer(void *user)
{
    struct rig *rig = user;
    rig->timed_out = clock_now_ms() >= rig->deadline;
    if (rig->timed_out || rig->tick(rig)) {
        rig->stopped_at = clock_now_ms() - starved_ms();
        loop_stop(rig->loop);
        return;
    }
    loop_timer_at(rig->timer, mono_add(loop_now(rig->loop).mono, TICK));
}

/* The journal's lines of all lives so far go to this file. */
static inline void redirect_stdout(struct rig *rig)
{
    char path[128];
    snprintf(path, sizeof path, "%s/journal", rig->dir);
    fflush(stdout);
    rig->saved_stdout = dup(STDOUT_FILENO);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(rig->saved_stdout >= 0 && fd >= 0);
    dup2(fd, STDOUT_FILENO);
    close(fd);
}

static inline void restore_stdout(struct rig *rig)
{
    dup2(rig->saved_stdout, STDOUT_FILENO);
    close(rig->saved_stdout);
}

/* Begin a life. The parsed configuration may be changed before rig_start. */
static inline void rig_open(struct rig *rig)
{
    char why[STORE_WHY] = "";
    struct loop_handlers handlers = {.on_stop = rig_on_stop, .on_reload = rig_on_reload, .user = rig};
    rig->config = rig_parse(rig);
    rig->store = store_open(rig->dir, true, why);
    if (!rig->store)
        print_error("%s\n", why);
    assert_non_null(rig->store);
    int64_t offset = rig->skipped + store_timeline(rig->store, "boot", clock_now_ms(),
                                                   (wall_time){time(NULL) * INT64_C(1000)});
    rig->loop = loop_new(&handlers, offset);
    assert_non_null(rig->loop);
    rig->http = http_new(rig->loop, "klv-jobwatch/test");
    assert_non_null(rig->http);
    rig->journal = sink_journal_new(rig->loop, rig->port);
    assert_non_null(rig->journal);
    rig->delivery = delivery_new(rig->loop, rig->http, rig->store, rig->journal);
    assert_non_null(rig->delivery);
    rig->timer = loop_timer_new(rig->loop, rig_on_timer, rig);
    assert_non_null(rig->timer);
}

static inline void rig_configure(struct rig *rig)
{
    char why[STORE_WHY] = "";
    if (!delivery_configure(rig->delivery, rig->config, why, sizeof why))
        fail_msg("%s", why);
}

/* Run until tick says so; nothing is asserted while stdout is the journal. */
static inline void rig_run(struct rig *rig, bool (*tick)(struct rig *rig), int64_t within)
{
    rig->tick = tick;
    rig->deadline = clock_now_ms() + within;
    rig->timed_out = false;
    int64_t starved = starved_ms();
    redirect_stdout(rig);
    delivery_wake(rig->delivery);
    loop_timer_at(rig->timer, loop_now(rig->loop).mono);
    loop_run(rig->loop);
    rig->stop_took = clock_now_ms() - starved_ms() - rig->stopped_at;
    rig->starved = starved_ms() - starved;
    restore_stdout(rig);
}

/* End the life. */
static inline void rig_close(struct rig *rig)
{
    if (!loop_is_stopping(rig->loop)) {
        loop_stop(rig->loop);
        loop_run(rig->loop);
    }
    delivery_free(rig->delivery);
    sink_journal_free(rig->journal);
    http_free(rig->http);
    assert_int_equal(loop_finish(rig->loop), 0);
    store_close(rig->store);
    config_free(rig->config);
}

static inline char *rig_journal(const struct rig *rig)
{
    char path[128];
    snprintf(path, sizeof path, "%s/journal", rig->dir);
    return read_text_file(path);
}

/* An event about a job; n makes it distinct and is its completed_count. */
static inline struct event *make_event(enum event_kind kind, const char *job_id, int64_t n)
{
    char distinct[32];
    struct job job = {
        .id = job_id,
        .status = JOB_PROCESSING,
        .status_word = "processing",
        .counts = {.total = 1000000, .completed = n, .failed = 0, .skipped = COUNT_NONE},
        .created_at = {INT64_C(1790000000000)},
        .completed_at = WALL_NONE,
        .expires_at = WALL_NONE,
    };
    snprintf(distinct, sizeof distinct, "%" PRId64, n);
    struct event *event = event_new(kind, (wall_time){INT64_C(1790000001000)}, "main", FAMILY,
                                    job_id[0] ? &job : NULL, distinct);
    assert_non_null(event);
    return event;
}

/* Within one transaction; takes the event. */
static inline void enqueue_event(struct rig *rig, struct event *event, int64_t hold)
{
    bool is_new = false;
    struct now now = loop_now(rig->loop);
    if (!delivery_enqueue(rig->delivery, event, now, mono_add(now.mono, hold), &is_new))
        fail_msg("%s", store_error(rig->store));
    event_free(event);
}

static inline void enqueue(struct rig *rig, enum event_kind kind, const char *job_id, int64_t n)
{
    assert_true(store_begin(rig->store));
    enqueue_event(rig, make_event(kind, job_id, n), 0);
    assert_true(store_commit(rig->store));
}

static inline int64_t waiting_of(struct rig *rig, const char *sink)
{
    int64_t waiting = -1, dead = -1;
    store_delivery_counts(rig->store, sink, &waiting, &dead);
    return waiting;
}

static inline int64_t dead_of(struct rig *rig, const char *sink)
{
    int64_t waiting = -1, dead = -1;
    store_delivery_counts(rig->store, sink, &waiting, &dead);
    return dead;
}

static inline bool nothing_waits(struct rig *rig)
{
    return waiting_of(rig, NULL) == 0;
}

static inline size_t count_in(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at += strlen(what))
        n++;
    return n;
}

/* Completions number `from` to `to` - 1, of `jobs` jobs in turn, in one transaction. */
static inline void enqueue_many(struct rig *rig, int from, int to, int jobs)
{
    char job[16];
    assert_true(store_begin(rig->store));
    for (int i = from; i < to; i++) {
        snprintf(job, sizeof job, "JOB%d", i % jobs);
        enqueue_event(rig, make_event(EVENT_JOB_COMPLETED, job, i), 0);
    }
    assert_true(store_commit(rig->store));
}

static inline bool ops_waits_no_more(struct rig *rig)
{
    return waiting_of(rig, "hook:ops") == 0 && waiting_of(rig, "journal") == 0;
}

static inline int64_t completed_of(const struct seen_request *request)
{
    const char *at = strstr(request->body, "\"completed_count\":");
    return at ? strtoll(at + strlen("\"completed_count\":"), NULL, 10) : -1;
}

#endif
