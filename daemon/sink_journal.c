#include "sink_journal.h"

#include "crash_point.h"
#include "work.h"
#include "../lib/render.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION /* the place in our source says nothing about an alert */
#include <systemd/sd-journal.h>

#define GRACE 500 /* ms for the last batch */

static const char socket_path[] = "/run/systemd/journal/socket";

/* Where a batch goes. */
enum target {
    TARGET_JOURNALD,
    TARGET_STDERR,
    TARGET_STDOUT,
    TARGET_STDOUT_JSON,
};

/* One event, rendered: the journal's fields, or one line. */
struct entry {
    struct journal_field fields[RENDER_MAX_FIELDS];
    size_t n;
};

/* What the thread works on; it shares nothing else with the loop. */
struct journal_batch {
    enum target target;
    size_t written;
    size_t n;
    struct entry entries[];
};

struct sink_journal {
    struct loop *loop;
    enum target target;
    struct work *work; /* NULL until the first batch */
    sink_journal_done *done;
    void *user;
    struct loop_timer *grace;
    bool busy;
    bool closed;
    bool stuck;
};

/* ---- in the thread ---- */

static bool journald_is_there(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, socket_path, sizeof socket_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool there = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return there;
}

static bool send_fields(const struct entry *entry)
{
    struct iovec fields[RENDER_MAX_FIELDS];
    for (size_t i = 0; i < entry->n; i++)
        fields[i] = (struct iovec){entry->fields[i].data, entry->fields[i].len};
    return journald_is_there() && sd_journal_sendv(fields, (int)entry->n) == 0 && journald_is_there();
}

/* All of it, also to a pipe that somebody made non-blocking. */
static bool write_line(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd writable = {.fd = fd, .events = POLLOUT};
            poll(&writable, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return false;
        } else if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static bool write_entry(enum target target, const struct entry *entry)
{
    switch (target) {
    case TARGET_JOURNALD:
        return send_fields(entry);
    case TARGET_STDERR:
        return write_line(STDERR_FILENO, entry->fields[0].data, entry->fields[0].len);
    case TARGET_STDOUT:
    case TARGET_STDOUT_JSON:
        return write_line(STDOUT_FILENO, entry->fields[0].data, entry->fields[0].len);
    }
    return false;
}

static void run_batch(void *job)
{
    struct journal_batch *batch = job;
    crash_point("journal-before");
    while (batch->written < batch->n && write_entry(batch->target, &batch->entries[batch->written])) {
        batch->written++;
        crash_point("journal-after");
    }
}

static void free_batch(void *job)
{
    struct journal_batch *batch = job;
    for (size_t i = 0; i < batch->n; i++)
        journal_fields_finish(batch->entries[i].fields, batch->entries[i].n);
    free(batch);
}

/* ---- on the loop ---- */

/* A line's memory as the one field of an entry, its line feed in the place of the NUL. */
static size_t take_line(char *line, struct journal_field *ret)
{
    if (!line)
        return 0;
    *ret = (struct journal_field){line, strlen(line) + 1};
    line[ret->len - 1] = '\n';
    return 1;
}

/* How many fields; 0 without memory. */
static size_t render_entry(enum target target, const struct event *event, struct journal_field *fields)
{
    switch (target) {
    case TARGET_JOURNALD:
        return render_journal(event, fields);
    case TARGET_STDERR:
    case TARGET_STDOUT:
        return take_line(render_line(event), fields);
    case TARGET_STDOUT_JSON:
        return take_line(render_json_line(event), fields);
    }
    return 0;
}

static struct journal_batch *new_batch(enum target target, const struct event *const *events, size_t n)
{
    struct journal_batch *batch = calloc(1, sizeof *batch + n * sizeof(struct entry));
    if (!batch)
        return NULL;
    batch->target = target;
    for (; batch->n < n; batch->n++) {
        struct entry *entry = &batch->entries[batch->n];
        entry->n = render_entry(target, events[batch->n], entry->fields);
        if (entry->n == 0) {
            free_batch(batch);
            return NULL;
        }
    }
    return batch;
}

static void end_work(struct sink_journal *sink)
{
    work_close(sink->work);
    sink->work = NULL;
    loop_timer_close(sink->grace);
    sink->grace = NULL;
}

static void on_done(void *user, void *job)
{
    struct sink_journal *sink = user;
    struct journal_batch *batch = job;
    size_t written = batch->written;
    free_batch(batch);
    sink->busy = false;
    if (sink->closed)
        end_work(sink);
    sink->done(sink->user, written);
}

static const struct work_type batch_work = {.run = run_batch, .done = on_done, .drop = free_batch};

static enum target target_of(enum journal_port port)
{
    switch (port) {
    case JOURNAL_AUTO:
        return journald_is_there() ? TARGET_JOURNALD : TARGET_STDERR;
    case JOURNAL_STDERR:
        return TARGET_STDERR;
    case JOURNAL_STDOUT:
        return TARGET_STDOUT;
    case JOURNAL_STDOUT_JSON:
        return TARGET_STDOUT_JSON;
    }
    return TARGET_STDERR;
}

struct sink_journal *sink_journal_new(struct loop *loop, enum journal_port port)
{
    struct sink_journal *sink = calloc(1, sizeof *sink);
    if (!sink)
        return NULL;
    sink->loop = loop;
    sink->target = target_of(port);
    return sink;
}

bool sink_journal_write(struct sink_journal *sink, const struct event *const *events, size_t n,
                        sink_journal_done *done, void *user)
{
    assert(!sink->busy);
    if (sink->closed)
        return false;
    if (!sink->work)
        sink->work = work_new(sink->loop, &batch_work, sink);
    struct journal_batch *batch = sink->work ? new_batch(sink->target, events, n) : NULL;
    if (!batch)
        return false;
    sink->done = done;
    sink->user = user;
    sink->busy = true;
    work_submit(sink->work, batch);
    return true;
}

bool sink_journal_is_busy(const struct sink_journal *sink)
{
    return sink->busy;
}

static void abandon(void *user)
{
    struct sink_journal *sink = user;
    sink->stuck = true;
    sink->busy = false;
    end_work(sink);
    sink->done(sink->user, 0);
}

void sink_journal_close(struct sink_journal *sink)
{
    if (sink->closed)
        return;
    sink->closed = true;
    if (!sink->busy) {
        end_work(sink);
        return;
    }
    sink->grace = loop_timer_new(sink->loop, abandon, sink);
    if (sink->grace)
        loop_timer_at(sink->grace, mono_add(loop_now(sink->loop).mono, GRACE));
    else
        abandon(sink);
}

bool sink_journal_is_stuck(const struct sink_journal *sink)
{
    return sink->stuck;
}

void sink_journal_free(struct sink_journal *sink)
{
    free(sink);
}
