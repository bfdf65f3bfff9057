#include "terminal.h"

#include "../lib/render.h"
#include "../lib/text.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#define ALTERNATE_SCREEN "\033[?1049h\033[?25l"
#define NORMAL_SCREEN    "\033[?25h\033[?1049l"
/* Synchronized output: terminals that know it show the frame at once, the others ignore it. What is too long for a line is
 * cut by the terminal. */
#define BEGIN_FRAME "\033[?2026h\033[?7l\033[H"
#define END_FRAME   "\033[J\033[?7h\033[?2026l"
#define END_LINE    "\033[K"

static void measure(struct terminal *terminal)
{
    struct winsize size = {0};
    const char *columns = getenv("COLUMNS");
    terminal->width = terminal->height = 0;
    if (!terminal->is_screen)
        return;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        int typed = columns ? atoi(columns) : 0;
        size.ws_col = (unsigned short)(typed > 0 && typed < 10000 ? typed : 80);
        size.ws_row = 24;
    }
    terminal->width = size.ws_col;
    terminal->height = size.ws_row;
}

void terminal_init(struct terminal *terminal, bool utc)
{
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_CTYPE, "");
    *terminal = (struct terminal){
        .is_screen = isatty(STDOUT_FILENO) == 1,
        .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
        .utc = utc,
    };
    terminal->colour =
        terminal->is_screen && !(no_colour && *no_colour) && term && *term && strcmp(term, "dumb") != 0;
    measure(terminal);
}

const char *terminal_style(const struct terminal *terminal, enum style style)
{
    static const char *const sequences[] = {
        [STYLE_PLAIN] = "",        [STYLE_BOLD] = "\033[1m",  [STYLE_DIM] = "\033[2m",
        [STYLE_GOOD] = "\033[32m", [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[31m",
    };
    return terminal->colour ? sequences[style] : "";
}

const char *terminal_plain(const struct terminal *terminal, enum style style)
{
    return terminal->colour && style != STYLE_PLAIN ? "\033[0m" : "";
}

/* ---- text ---- */

static int char_width(uint32_t c)
{
    int width = c == UTF8_INVALID ? 1 : wcwidth((wchar_t)c);
    return width < 0 ? 1 : width;
}

int terminal_text_width(const struct terminal *terminal, const char *text)
{
    int width;
    terminal_cut(terminal, text, INT32_MAX, false, &width);
    return width;
}

char *terminal_text(const struct terminal *terminal, const char *text)
{
    char *clean = render_clean(text, RENDER_MAX_VALUE);
    if (!clean || terminal->utf8)
        return clean;
    char *to = clean;
    for (const char *at = clean; *at;) {
        uint32_t c;
        at += utf8_decode(at, strlen(at), &c);
        *to++ = c < 0x80 ? (char)c : '?';
    }
    *to = '\0';
    return clean;
}

size_t terminal_cut(const struct terminal *terminal, const char *text, int width, bool from_end,
                    int *ret_width)
{
    int taken = 0, whole = 0;
    size_t len = strlen(text), at = 0;
    if (from_end)
        whole = terminal_text_width(terminal, text);
    /* From the end: skip characters until the rest fits. */
    while (at < len && (!from_end || whole - taken > width)) {
        uint32_t c;
        size_t n = utf8_decode(text + at, len - at, &c);
        int one = terminal->utf8 ? char_width(c) : 1;
        if (!from_end && taken + one > width)
            break;
        taken += one;
        at += n;
    }
    *ret_width = from_end ? whole - taken : taken;
    return from_end ? len - at : at;
}

const char *terminal_ellipsis(const struct terminal *terminal)
{
    return terminal->utf8 ? "\u2026" : "..";
}

/* ---- the pager ---- */

/* In the child. less: chop long lines, leave at once when all fits on one screen, show colours. */
static void be_pager(void)
{
    const char *typed = getenv("PAGER");
    setenv("LESS", "FRSXMK", 0);
    /* Who may look through sudo may not have a shell by it. */
    setenv("LESSSECURE", "1", 1);
    signal(SIGPIPE, SIG_DFL);
    if (typed && *typed)
        execl("/bin/sh", "sh", "-c", typed, (char *)NULL);
    execlp("less", "less", (char *)NULL);
    execlp("more", "more", (char *)NULL);
    execlp("cat", "cat", (char *)NULL);
    _exit(127);
}

pid_t pager_start(const struct terminal *terminal)
{
    int ends[2];
    const char *typed = getenv("PAGER");
    if (!terminal->is_screen || (typed && (*typed == '\0' || strcmp(typed, "cat") == 0)) || pipe(ends) != 0)
        return 0;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[0], STDIN_FILENO);
        close(ends[0]);
        close(ends[1]);
        be_pager();
    }
    close(ends[0]);
    if (pid > 0) {
        dup2(ends[1], STDOUT_FILENO);
        /* Ctrl-C is the pager's: it ends a search there, not us. */
        signal(SIGINT, SIG_IGN);
    }
    close(ends[1]);
    return pid > 0 ? pid : 0;
}

static bool reader_is_gone(void)
{
    struct pollfd reader = {.fd = STDOUT_FILENO, .events = 0};
    return poll(&reader, 1, 0) > 0 && reader.revents & POLLERR;
}

bool pager_finish(pid_t pager)
{
    bool fine = (fflush(stdout) == 0 && !ferror(stdout)) || reader_is_gone();
    if (pager <= 0)
        return fine;
    fclose(stdout);
    while (waitpid(pager, NULL, 0) < 0 && errno == EINTR)
        continue;
    return fine;
}

/* ---- live views ---- */

static bool write_all(const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

static void leave_screen(struct live *live)
{
    if (live->has_screen)
        (void)write_all(NORMAL_SCREEN, sizeof NORMAL_SCREEN - 1);
    live->has_screen = false;
    free(live->last);
    live->last = NULL;
}

bool live_begin(struct live *live, struct terminal *terminal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGWINCH);
    if (terminal->is_screen)
        sigaddset(&set, SIGTSTP);
    *live = (struct live){.terminal = terminal, .signals = -1};
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return false;
    live->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return live->signals >= 0;
}

/* The frame with its control sequences, cut to the terminal's height. NULL without memory. */
static char *frame_text(const struct live *live, const char *frame, size_t *ret_len)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, ret_len);
    if (!out)
        return NULL;
    if (!live->has_screen)
        fputs(ALTERNATE_SCREEN, out);
    fputs(BEGIN_FRAME, out);
    for (int line = 0; *frame && line < live->terminal->height; line++) {
        size_t len = strcspn(frame, "\n");
        fprintf(out, "%s%.*s" END_LINE, line ? "\r\n" : "", (int)len, frame);
        frame += len + (frame[len] == '\n');
    }
    fputs(END_FRAME, out);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

bool live_show(struct live *live, const char *frame)
{
    if (live->last && strcmp(live->last, frame) == 0)
        return true;
    size_t len;
    char *copy = strdup(frame), *text = frame_text(live, frame, &len);
    bool fine = copy && text && write_all(text, len);
    live->has_screen |= fine;
    free(text);
    free(live->last);
    live->last = copy;
    return fine;
}

/* Ctrl-Z: give the screen back, stop, and draw anew when continued. */
static enum live_news stop_for_a_while(struct live *live)
{
    leave_screen(live);
    raise(SIGSTOP);
    measure(live->terminal);
    return LIVE_RESIZED;
}

static enum live_news read_signal(struct live *live)
{
    struct signalfd_siginfo info;
    enum live_news news = LIVE_TIMEOUT;
    while (read(live->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTSTP)
            return stop_for_a_while(live);
        if (info.ssi_signo != SIGWINCH)
            return LIVE_END;
        measure(live->terminal);
        free(live->last);
        live->last = NULL;
        news = LIVE_RESIZED;
    }
    return news;
}

enum live_news live_wait(struct live *live, int ms)
{
    struct pollfd fds[] = {{.fd = STDOUT_FILENO, .events = 0}, {.fd = live->signals, .events = POLLIN}};
    int n = poll(fds, 2, ms);
    if (n <= 0)
        return LIVE_TIMEOUT;
    if (fds[0].revents & (POLLERR | POLLHUP | POLLNVAL))
        return LIVE_END;
    return read_signal(live);
}

void live_end(struct live *live)
{
    leave_screen(live);
    if (live->signals >= 0)
        close(live->signals);
    live->signals = -1;
}
