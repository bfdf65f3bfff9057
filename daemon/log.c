#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINE 2048

static enum priority least = PRIO_INFO;
static bool to_journal;

/* systemd says which device and inode its stream has, so that a redirected stderr is not taken for it
 * (systemd.exec(5)). */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
           st.st_dev == device && st.st_ino == inode;
}

void log_init(enum priority max)
{
    least = max;
    to_journal = stderr_is_journal();
}

/* C0 and DEL could steer a terminal or begin another line. */
static void clean(char *text)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (*p < ' ' || *p == 0x7f)
            *p = '?';
    }
}

void log_line(enum priority priority, const char *format, ...)
{
    char line[MAX_LINE];
    if (priority > least)
        return;
    int head = to_journal ? snprintf(line, sizeof line, "<%d>", (int)priority)
                          : snprintf(line, sizeof line, "klv-jobwatch: ");
    char *text = line + head;
    size_t room = sizeof line - (size_t)head - 1;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, room, format, args);
    va_end(args);
    if (n < 0)
        return;
    clean(text);
    size_t len = strlen(line);
    line[len++] = '\n';
    /* One write, so that lines of several processes do not mix. Nobody is left to tell when it fails. */
    if (write(STDERR_FILENO, line, len) < 0)
        return;
}
