/*
 * Memory that runs out when it is told to, by LD_PRELOAD: every allocation of the process, in its own code and
 * in every library, goes through here. KLV_MEMORY="FROM:COUNT" makes the FROMth allocation and the COUNT - 1
 * after it fail. KLV_MEMORY_KEEP="N": the Nth call of free by the program's own code does nothing, a leak made on
 * purpose. KLV_MEMORY_LOG names a file that gets the number of allocations when the process exits;
 * KLV_MEMORY_WHERE one that gets the objects on the stack of the first that fails, innermost first.
 *
 * KLV_MEMORY_LIVES=1: main() is entered once for each line "FROM COUNT OUT ERR" of standard input, in a process
 * of its own, forked off where main() begins, with its output in those two files; standard output gets the status
 * of waitpid(2). Loading the libraries is most of what a short life costs.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

/* glibc's own names for what is replaced here; in a program under AddressSanitizer, that one's. */
#ifdef SANITIZED
#define REAL(name) __interceptor_##name
#else
#define REAL(name) __libc_##name
#endif
void *REAL(malloc)(size_t n);
void *REAL(calloc)(size_t n, size_t size);
void *REAL(realloc)(void *old, size_t n);
void REAL(free)(void *old);

/* The program's, see daemon/allocator.h; only a sanitized one, which does not see for itself, lets it be called. */
void allocator_note_failure(void) __attribute__((weak));

static atomic_long made;
static atomic_long freed; /* by the program itself, while one is to be kept */
static long from;
static long count;
static long keep;

__attribute__((constructor)) static void begin(void)
{
    void *frame;
    backtrace(&frame, 1); /* loads what it needs now */
    const char *wanted = getenv("KLV_MEMORY");
    if (!wanted || sscanf(wanted, "%ld:%ld", &from, &count) != 2)
        from = count = 0;
    const char *kept = getenv("KLV_MEMORY_KEEP");
    keep = kept ? atol(kept) : 0;
    atomic_store(&made, 0);
}

__attribute__((destructor)) static void end(void)
{
    const char *path = getenv("KLV_MEMORY_LOG");
    long n = atomic_load(&made);
    from = 0;
    FILE *file = path ? fopen(path, "we") : NULL;
    if (file && (fprintf(file, "%ld\n", n) < 0 || fclose(file) != 0))
        abort();
}

typedef int main_function(int argc, char **argv, char **environment);
static main_function *its_main;

static void redirect(int fd, const char *path, int flags)
{
    int opened = open(path, flags | O_CLOEXEC, 0600);
    if (opened < 0 || dup2(opened, fd) != fd)
        abort();
    close(opened);
}

/* One life, in the child; it ends as main() does. */
static int live(int argc, char **argv, char **environment, const char *out, const char *err)
{
    redirect(STDIN_FILENO, "/dev/null", O_RDONLY);
    redirect(STDOUT_FILENO, out, O_WRONLY | O_CREAT | O_TRUNC);
    redirect(STDERR_FILENO, err, O_WRONLY | O_CREAT | O_TRUNC);
    return its_main(argc, argv, environment);
}

/* A line without its end, or false when there are no more. */
static bool read_line(char *line, size_t size)
{
    size_t n = 0;
    while (n < size && read(STDIN_FILENO, line + n, 1) == 1) {
        if (line[n] == '\n') {
            line[n] = '\0';
            return true;
        }
        n++;
    }
    return false;
}

static int lives(int argc, char **argv, char **environment)
{
    char line[1024], out[400], err[400];
    while (read_line(line, sizeof line)) {
        long first, n;
        int status = -1;
        if (sscanf(line, "%ld %ld %399s %399s", &first, &n, out, err) != 4)
            abort();
        pid_t child = fork();
        if (child < 0)
            abort();
        if (child == 0) {
            atomic_store(&made, 0);
            from = first;
            count = n;
            return live(argc, argv, environment, out, err);
        }
        if (waitpid(child, &status, 0) != child)
            abort();
        dprintf(STDOUT_FILENO, "%d\n", status);
    }
    _exit(0);
}

/* What _start calls, in the C library's own terms. */
// NOLINTNEXTLINE
int __libc_start_main(main_function *main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    __typeof__(&__libc_start_main) next = dlsym(RTLD_NEXT, "__libc_start_main");
    its_main = main;
    return next(getenv("KLV_MEMORY_LIVES") ? lives : main, argc, argv, init, fini, rtld_fini, stack_end);
}

/* The program's stand before every library's, see daemon/allocator.h. */
static bool is_allocator(const char *symbol)
{
    return symbol &&
           (strcmp(symbol, "malloc") == 0 || strcmp(symbol, "calloc") == 0 || strcmp(symbol, "realloc") == 0);
}

static void note_where(void)
{
    const char *path = getenv("KLV_MEMORY_WHERE");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    void *frames[32];
    int n = fd < 0 ? 0 : backtrace(frames, 32);
    for (int i = 0; i < n; i++) {
        Dl_info info = {0};
        bool is_known = dladdr(frames[i], &info) && info.dli_fname;
        if (is_known && !is_allocator(info.dli_sname))
            dprintf(fd, "%s\n", info.dli_fname);
    }
    if (fd >= 0)
        close(fd);
}

/* This thread's allocations are not counted. Reached without a call: it is also asked before the program and its
 * sanitizer are set up. */
static _Thread_local bool spared __attribute__((tls_model("initial-exec")));

static bool runs_out(void)
{
    if (spared)
        return false;
    long n = atomic_fetch_add(&made, 1) + 1;
    if (from == 0 || n < from || n - from >= count)
        return false;
    spared = true;
    if (n == from)
        note_where();
    spared = false;
    if (allocator_note_failure)
        allocator_note_failure();
    errno = ENOMEM;
    return true;
}

#ifdef SANITIZED
/* AddressSanitizer ends the process when this has no memory for a new thread, which no program without it asks. */
int pthread_getattr_np(pthread_t thread, pthread_attr_t *attr)
{
    static int (*next)(pthread_t, pthread_attr_t *);
    bool was = spared;
    spared = true;
    if (!next)
        next = (int (*)(pthread_t, pthread_attr_t *))dlsym(RTLD_NEXT, "pthread_getattr_np");
    int e = next(thread, attr);
    spared = was;
    return e;
}
#endif

void *malloc(size_t n)
{
    return runs_out() ? NULL : REAL(malloc)(n);
}

void *calloc(size_t n, size_t size)
{
    return runs_out() ? NULL : REAL(calloc)(n, size);
}

void *realloc(void *old, size_t n)
{
    return runs_out() ? NULL : REAL(realloc)(old, n);
}

void *reallocarray(void *old, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(old, bytes);
}

static bool is_the_programs(const void *caller)
{
    Dl_info info, program;
    return dladdr(caller, &info) && dladdr((void *)getauxval(AT_ENTRY), &program) &&
           info.dli_fbase == program.dli_fbase;
}

void free(void *old)
{
    if (keep > 0 && old && is_the_programs(__builtin_return_address(0)) &&
        atomic_fetch_add(&freed, 1) + 1 == keep)
        return;
    REAL(free)(old);
}
