/*
 * The journal's sink against a journald that is there, away, or hangs: a socket of ours at journald's path,
 * in a mount namespace of its own. Skipped where such a namespace may not be made.
 */
#include "delivery_rig.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/un.h>
#include <sys/wait.h>

#define WITHIN  60000
#define SKIPPED 77

static const char socket_path[] = "/run/systemd/journal/socket";

struct journald {
    int fd; /* -1: away */
    size_t events;
    char *text; /* all datagrams that were read, with '\n' for NUL */
    size_t len;
    bool tried;
    int64_t came_at;
};

static bool enter_namespace(void)
{
    uid_t uid = getuid();
    gid_t gid = getgid();
    char map[64];
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            return false;
        write_text_file("/proc/self/setgroups", "deny", 0600);
        snprintf(map, sizeof map, "0 %u 1", uid);
        write_text_file("/proc/self/uid_map", map, 0600);
        snprintf(map, sizeof map, "0 %u 1", gid);
        write_text_file("/proc/self/gid_map", map, 0600);
    }
    return mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", "/run", "tmpfs", 0, "") == 0 && mkdir("/run/systemd", 0755) == 0 &&
           mkdir("/run/systemd/journal", 0755) == 0;
}

static void journald_come(struct journald *journald)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, socket_path, sizeof socket_path);
    unlink(socket_path);
    journald->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(journald->fd, (struct sockaddr *)&address, sizeof address), 0);
}

static void journald_go(struct journald *journald)
{
    close(journald->fd);
    journald->fd = -1;
    unlink(socket_path);
}

static void journald_read(struct journald *journald)
{
    char datagram[1 << 16];
    for (;;) {
        ssize_t n = journald->fd < 0 ? -1 : recv(journald->fd, datagram, sizeof datagram, 0);
        if (n <= 0)
            return;
        journald->text = realloc(journald->text, journald->len + (size_t)n + 1);
        for (ssize_t i = 0; i < n; i++)
            journald->text[journald->len++] = datagram[i] ? datagram[i] : '\n';
        journald->text[journald->len] = '\0';
        journald->events++;
    }
}

static bool read_until_done(struct rig *rig)
{
    journald_read(rig->data);
    return waiting_of(rig, "journal") == 0;
}

static int run_there(void)
{
    struct rig rig;
    struct journald journald = {0};
    journald_come(&journald);
    rig_init(&rig);
    rig.port = JOURNAL_AUTO;
    rig.data = &journald;
    rig_open(&rig);
    rig_configure(&rig);
    for (int i = 0; i < 200; i++)
        enqueue(&rig, EVENT_JOB_COMPLETED, "01A", i);
    rig_run(&rig, read_until_done, WITHIN);
    rig_close(&rig);
    journald_read(&journald);
    bool fine = !rig.timed_out && journald.events == 200 &&
                count_in(journald.text, "KLV_JOB_ID=01A\n") == 200 &&
                count_in(journald.text, "KLV_EVENT=job.completed\n") == 200 &&
                count_in(journald.text, "SYSLOG_IDENTIFIER=klv-jobwatch\n") == 200 &&
                count_in(journald.text, "PRIORITY=5\n") == 200 && count_in(journald.text, "CODE_FILE=") == 0;
    for (int i = 0; i < 200 && fine; i++) { /* in order, each once */
        char field[64];
        snprintf(field, sizeof field, "KLV_COMPLETED_COUNT=%d\n", i);
        fine = count_in(journald.text, field) == 1;
    }
    free(journald.text);
    rig_finish(&rig);
    return fine ? 0 : 1;
}

/* Away after the start: nothing counts as written until it is there again. */
static bool away_then_back(struct rig *rig)
{
    struct journald *journald = rig->data;
    if (!journald->tried) {
        journald->came_at = clock_now_ms() + 300;
        journald->tried = true;
    }
    if (journald->fd < 0 && waiting_of(rig, "journal") != 3)
        return true; /* wrong: journald was away */
    if (journald->fd < 0 && clock_now_ms() >= journald->came_at)
        journald_come(journald);
    journald_read(journald);
    return waiting_of(rig, "journal") == 0;
}

static int run_away(void)
{
    struct rig rig;
    struct journald journald = {0};
    journald_come(&journald);
    rig_init(&rig);
    rig.port = JOURNAL_AUTO;
    rig.data = &journald;
    rig_open(&rig);
    rig_configure(&rig);
    journald_go(&journald);
    for (int i = 0; i < 3; i++)
        enqueue(&rig, EVENT_JOB_COMPLETED, "01A", i);
    rig_run(&rig, away_then_back, WITHIN);
    rig_close(&rig);
    journald_read(&journald);
    bool fine = !rig.timed_out && journald.events == 3;
    free(journald.text);
    rig_finish(&rig);
    return fine ? 0 : 1;
}

/* Datagrams of our own until its queue is full. */
static void fill_queue(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, socket_path, sizeof socket_path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    while (sendto(fd, "x", 1, 0, (struct sockaddr *)&address, sizeof address) == 1)
        ;
    close(fd);
}

/* Whether the thread that was left behind ends, and gives back what it holds, once journald is gone. */
static bool is_alone_again(void)
{
    int64_t deadline = clock_now_ms() + WITHIN;
    while (clock_now_ms() < deadline) {
        struct stat tasks;
        if (stat("/proc/self/task", &tasks) != 0 || tasks.st_nlink == 3)
            return true;
        sched_yield();
    }
    return false;
}

static bool has_begun(struct rig *rig)
{
    return sink_journal_is_busy(rig->journal);
}

/* Nobody reads. The end is not held up, and what was not taken stays. */
static int run_hangs(void)
{
    struct rig rig;
    struct journald journald = {0};
    journald_come(&journald);
    fill_queue();
    rig_init(&rig);
    rig.port = JOURNAL_AUTO;
    rig_open(&rig);
    rig_configure(&rig);
    for (int i = 0; i < 10; i++)
        enqueue(&rig, EVENT_JOB_COMPLETED, "01A", i);
    rig_run(&rig, has_begun, WITHIN);
    bool stuck = sink_journal_is_stuck(rig.journal);
    int64_t left = waiting_of(&rig, "journal");
    rig_close(&rig);
    rig_finish(&rig);
    journald_go(&journald);
    return !rig.timed_out && stuck && left == 10 && rig.stop_took < 1000 && is_alone_again() ? 0 : 1;
}

/* No journald at all: readable lines on stderr. */
static int run_without(void)
{
    struct rig rig;
    char path[128];
    rig_init(&rig);
    rig.port = JOURNAL_AUTO;
    snprintf(path, sizeof path, "%s/stderr", rig.dir);
    int saved = dup(STDERR_FILENO), fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    dup2(fd, STDERR_FILENO);
    rig_open(&rig);
    rig_configure(&rig);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 1);
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    char *lines = read_text_file(path);
    bool fine = !rig.timed_out && count_in(lines, "\n") == 1 && count_in(lines, "01A in account main") == 1 &&
                count_in(lines, "notice") == 1;
    free(lines);
    rig_finish(&rig);
    return fine ? 0 : 1;
}

/* In a child, because a process cannot leave a namespace or a thread that hangs. */
static void in_namespace(int (*run)(void))
{
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        exit(enter_namespace() ? run() : SKIPPED);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == SKIPPED) {
        print_message("mount namespaces may not be made here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_journald_there(void **state)
{
    (void)state;
    in_namespace(run_there);
}

static void test_journald_away(void **state)
{
    (void)state;
    in_namespace(run_away);
}

static void test_journald_hangs(void **state)
{
    (void)state;
    in_namespace(run_hangs);
}

static void test_without_journald(void **state)
{
    (void)state;
    in_namespace(run_without);
}

/* ---- lines on stdout; no namespace needed ---- */

static bool is_quiet_again(struct rig *rig)
{
    return delivery_is_quiet(rig->delivery);
}

static void test_full_disk_on_stdout(void **state)
{
    struct rig rig;
    char path[128];
    (void)state;
    if (access("/dev/full", W_OK) != 0)
        skip();
    rig_init(&rig);
    snprintf(path, sizeof path, "%s/journal", rig.dir);
    assert_int_equal(symlink("/dev/full", path), 0);
    rig_open(&rig);
    rig_configure(&rig);
    enqueue(&rig, EVENT_JOB_COMPLETED, "01A", 1);
    rig_run(&rig, is_quiet_again, WITHIN);
    assert_int_equal(waiting_of(&rig, "journal"), 1);
    rig_close(&rig);
    assert_false(rig.timed_out);
    assert_int_equal(unlink(path), 0);
    rig_open(&rig);
    rig_configure(&rig);
    rig_run(&rig, nothing_waits, WITHIN);
    rig_close(&rig);
    assert_false(rig.timed_out);
    char *journal = rig_journal(&rig);
    assert_int_equal(count_in(journal, "\n"), 1);
    free(journal);
    rig_finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_journald_there),      cmocka_unit_test(test_journald_away),
        cmocka_unit_test(test_journald_hangs),      cmocka_unit_test(test_without_journald),
        cmocka_unit_test(test_full_disk_on_stdout),
    };
    log_init(PRIO_EMERG);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
