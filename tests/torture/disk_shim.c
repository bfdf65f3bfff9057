/*
 * A disk that fails when it is told to, by LD_PRELOAD: the calls that SQLite makes on files below KLV_DISK_DIR.
 * The file KLV_DISK_CONTROL says "CALLS ERRNO FROM COUNT": the calls are letters (r reads, w writes, s syncs, o
 * opens for writing); of those that match, in this process, the FROMth and the COUNT - 1 after it fail with
 * ERRNO. It is read anew each time, so that a test can break and mend the disk under a running daemon. With
 * KLV_DISK_LOG, each matching call adds a byte to that file, so that a test can know how many there are.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;

static long raw_open(const char *path, int flags)
{
    return syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

/* "" when there is none. */
static void read_control(char *text, size_t size)
{
    const char *path = getenv("KLV_DISK_CONTROL");
    long fd = path ? raw_open(path, O_RDONLY) : -1;
    long n = fd < 0 ? 0 : syscall(SYS_read, fd, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        syscall(SYS_close, fd);
}

static void note(void)
{
    const char *path = getenv("KLV_DISK_LOG");
    long fd = path ? raw_open(path, O_WRONLY | O_APPEND | O_CREAT) : -1;
    if (fd < 0)
        return;
    syscall(SYS_write, fd, "x", 1);
    syscall(SYS_close, fd);
}

/* Whether this call is to fail; errno is set then. */
static bool fails(char call, const char *path)
{
    const char *dir = getenv("KLV_DISK_DIR");
    char control[64], wanted[8];
    int number;
    long from, count;
    if (!dir || strncmp(path, dir, strlen(dir)) != 0)
        return false;
    read_control(control, sizeof control);
    if (sscanf(control, "%7s %d %ld %ld", wanted, &number, &from, &count) != 4 || !strchr(wanted, call))
        return false;
    note();
    long n = atomic_fetch_add(&calls, 1) + 1;
    if (n < from || n - from >= count)
        return false;
    errno = number;
    return true;
}

static bool fails_fd(char call, int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    return fails(call, path);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    return fails_fd('w', fd) ? -1 : REAL(pwrite64)(fd, data, n, at);
}

ssize_t pread64(int fd, void *data, size_t n, off64_t at)
{
    return fails_fd('r', fd) ? -1 : REAL(pread64)(fd, data, n, at);
}

int ftruncate64(int fd, off64_t size)
{
    return fails_fd('w', fd) ? -1 : REAL(ftruncate64)(fd, size);
}

int fdatasync(int fd)
{
    return fails_fd('s', fd) ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
    return fails_fd('s', fd) ? -1 : REAL(fsync)(fd);
}

int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    if ((flags & O_ACCMODE) != O_RDONLY && fails('o', path))
        return -1;
    return REAL(open64)(path, flags, mode);
}
