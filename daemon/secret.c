#include "secret.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    const char *path;
    bool credential; /* in systemd's own directory, whose access systemd guards */
    char *why;
    size_t why_size;
};

__attribute__((format(printf, 2, 3))) static bool refuse(const struct place *place, const char *format, ...)
{
    int n = snprintf(place->why, place->why_size, "%s %s: ", place->credential ? "credential" : "file",
                     place->path);
    va_list args;
    va_start(args, format);
    if (n >= 0 && (size_t)n < place->why_size)
        vsnprintf(place->why + n, place->why_size - (size_t)n, format, args);
    va_end(args);
    return false;
}

static bool check_file(const struct place *place, int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return refuse(place, "%s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return refuse(place, "is not a regular file");
    if (st.st_size > SECRET_MAX)
        return refuse(place, "is larger than %d bytes; it should hold the secret only", SECRET_MAX);
    if (place->credential)
        return true;
    if (st.st_mode & 077)
        return refuse(place, "others can read or write it (mode %04o): chmod 600 %s", st.st_mode & 07777,
                      place->path);
    if (st.st_uid != 0 && st.st_uid != geteuid())
        return refuse(place,
                      "belongs to another user: chown it to root or to the user that klv-jobwatch runs as");
    return true;
}

static ssize_t read_all(int fd, char *text, size_t room)
{
    size_t len = 0;
    for (ssize_t n; len < room; len += (size_t)n) {
        n = read(fd, text + len, room - len);
        if (n < 0 && errno == EINTR)
            n = 0;
        else if (n <= 0)
            return n < 0 ? n : (ssize_t)len;
    }
    return (ssize_t)len;
}

static bool check_text(const struct place *place, const char *text, size_t len, bool multi_line)
{
    if (len == 0 && place->credential)
        return refuse(place,
                      "there is nothing in it: write the secret into the file that LoadCredential= of the "
                      "unit names, as in /etc/klv-jobwatch/api-key, readable by root only (chmod 600), "
                      "and start again");
    if (len == 0)
        return refuse(place, "is empty");
    if (memchr(text, '\0', len))
        return refuse(place, "holds a NUL byte; it should be plain text");
    if (!multi_line && memchr(text, '\n', len))
        return refuse(place, "holds more than one line");
    return true;
}

static bool take_text(const struct place *place, int fd, bool multi_line, struct secret *ret)
{
    char *text = malloc(SECRET_MAX + 2);
    if (!text)
        return refuse(place, "out of memory");
    ssize_t n = read_all(fd, text, SECRET_MAX + 1);
    struct secret secret = {.text = text, .len = n < 0 ? 0 : (size_t)n};
    bool fine = n >= 0 && secret.len <= SECRET_MAX;
    if (!fine)
        refuse(place, "%s", n < 0 ? strerror(errno) : "is too large");
    while (secret.len > 0 && isspace((unsigned char)text[secret.len - 1]))
        secret.len--;
    size_t blank = 0;
    while (blank < secret.len && isspace((unsigned char)text[blank]))
        blank++;
    secret.len -= blank;
    memmove(text, text + blank, secret.len);
    explicit_bzero(text + secret.len, SECRET_MAX + 2 - secret.len);
    if (fine && check_text(place, text, secret.len, multi_line)) {
        *ret = secret;
        return true;
    }
    secret.len = SECRET_MAX + 1;
    secret_wipe(&secret);
    return false;
}

static bool read_place(const struct place *place, bool multi_line, struct secret *ret)
{
    /* O_NONBLOCK: a FIFO in its place must not hang the start. */
    int fd = open(place->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return refuse(place, "%s", strerror(errno));
    bool fine = check_file(place, fd) && take_text(place, fd, multi_line, ret);
    close(fd);
    return fine;
}

/* Whether the credential exists; its path. */
static bool find_credential(const char *name, char path[PATH_MAX])
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (!name || !directory || directory[0] != '/')
        return false;
    int n = snprintf(path, PATH_MAX, "%s/%s", directory, name);
    return n > 0 && n < PATH_MAX && access(path, F_OK) == 0;
}

bool secret_read(const char *file, const char *credential, const char *fallback, bool multi_line,
                 struct secret *ret, char *why, size_t why_size)
{
    char path[PATH_MAX];
    struct place place = {.path = file, .why = why, .why_size = why_size};
    if (!file) {
        place.credential = true;
        place.path = path;
        if (!find_credential(credential, path) && !find_credential(fallback, path)) {
            const char *by_hand =
                getenv("CREDENTIALS_DIRECTORY")
                    ? ""
                    : "; typed by hand: CREDENTIALS_DIRECTORY=/etc/klv-jobwatch before the command";
            snprintf(
                why, why_size,
                "there is neither a file named in the configuration nor a systemd credential \"%s\"%s%s%s: "
                "add LoadCredential= to the unit, or name a file%s",
                credential, fallback ? " or \"" : "", fallback ? fallback : "", fallback ? "\"" : "",
                by_hand);
            return false;
        }
    }
    return read_place(&place, multi_line, ret);
}

void secret_wipe(struct secret *secret)
{
    if (!secret->text)
        return;
    explicit_bzero(secret->text, secret->len);
    free(secret->text);
    *secret = (struct secret){0};
}
