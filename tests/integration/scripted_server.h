/*
 * scripted_server: a small HTTP server in a thread of its own, on a port of the kernel's choice on loopback.
 * It keeps every request, and answers each as the test's function says. One connection at a time; each is
 * closed after its answer.
 */
#ifndef TESTS_SCRIPTED_SERVER_H
#define TESTS_SCRIPTED_SERVER_H

#include <arpa/inet.h>
#include <dirent.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct seen_request {
    char *head; /* request line and header lines */
    char *body;
    int64_t at;   /* CLOCK_MONOTONIC ms */
    int64_t wall; /* Unix seconds */
    int status;   /* what was answered */
};

struct scripted_reply {
    int status;          /* 0: close without an answer */
    const char *headers; /* further lines, each ended by \r\n; NULL none */
    const char *body;    /* NULL none */
};

/* Takes one connection after another in a thread of its own; serve() does not close it. */
struct socket_server {
    int listener;
    int port;
    int stop[2];
    pthread_t thread;
    void (*serve)(void *user, int fd);
    void *user;
};

/* n: how many requests came before this one. Called in the server's thread. */
typedef struct scripted_reply scripted_answer(void *user, size_t n, const struct seen_request *request);

static inline struct scripted_reply reply(int status)
{
    return (struct scripted_reply){.status = status};
}

static inline struct scripted_reply always_ok(void *user, size_t n, const struct seen_request *request)
{
    (void)user;
    (void)n;
    (void)request;
    return reply(204);
}

static inline struct scripted_reply fail_often(void *user, size_t n, const struct seen_request *request)
{
    (void)user;
    (void)request;
    return reply(n % 3 == 1 ? 500 : n % 7 == 2 ? 0 : 200);
}

/* user: a list of statuses, ended by a negative one that is the last for ever (as a positive number). */
static inline struct scripted_reply by_list(void *user, size_t n, const struct seen_request *request)
{
    const int *list = user;
    (void)request;
    size_t i = 0;
    while (i < n && list[i] >= 0)
        i++;
    return reply(list[i] < 0 ? -list[i] : list[i]);
}

struct scripted_server {
    struct socket_server socket;
    int port; /* the socket's */
    pthread_mutex_t mutex;
    struct seen_request *requests; /* under the mutex */
    size_t n;
    scripted_answer *answer;
    void *user;
};

static inline int64_t clock_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/*
 * ms in which threads of ours were ready to run and other processes had all cores, so that what is bounded in time can
 * be bounded on a busy machine too. Only differences mean something, and those only while no thread ends.
 */
static inline int64_t starved_ms(void)
{
    int64_t sum = 0, waited;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        char path[300];
        snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task->d_name);
        FILE *file = fopen(path, "re");
        if (file && fscanf(file, "%*s %" SCNd64, &waited) == 1)
            sum += waited;
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return sum / 1000000;
}

static inline size_t content_length(const char *head)
{
    const char *at = strcasestr(head, "\r\ncontent-length:");
    return at ? strtoul(at + strlen("\r\ncontent-length:"), NULL, 10) : 0;
}

/* False when the peer went away. */
static inline bool read_request(int fd, struct seen_request *ret)
{
    size_t room = 1 << 16, len = 0;
    char *data = calloc(1, room);
    for (;;) {
        char *end = strstr(data, "\r\n\r\n");
        if (end && len >= (size_t)(end - data) + 4 + content_length(data)) {
            ret->body = strdup(end + 4);
            end[2] = '\0';
            ret->head = data;
            return true;
        }
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        ssize_t n =
            len + 1 < room && poll(&readable, 1, 5000) > 0 ? read(fd, data + len, room - len - 1) : -1;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    free(data);
    return false;
}

static inline void send_all(int fd, const char *text)
{
    for (size_t len = strlen(text); len > 0;) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static inline void serve_one(void *user, int fd)
{
    struct scripted_server *server = user;
    struct seen_request request = {0};
    char head[1024];
    if (!read_request(fd, &request))
        return;
    request.at = clock_now_ms();
    request.wall = time(NULL);
    pthread_mutex_lock(&server->mutex);
    size_t n = server->n;
    pthread_mutex_unlock(&server->mutex);
    struct scripted_reply reply = server->answer(server->user, n, &request);
    request.status = reply.status;
    pthread_mutex_lock(&server->mutex);
    server->requests = reallocarray(server->requests, n + 1, sizeof *server->requests);
    server->requests[n] = request;
    server->n = n + 1;
    pthread_mutex_unlock(&server->mutex);
    if (reply.status == 0)
        return;
    snprintf(head, sizeof head, "HTTP/1.1 %d Text\r\nContent-Length: %zu\r\nConnection: close\r\n%s\r\n",
             reply.status, reply.body ? strlen(reply.body) : 0, reply.headers ? reply.headers : "");
    send_all(fd, head);
    if (reply.body)
        send_all(fd, reply.body);
}

static inline void *socket_server_main(void *arg)
{
    struct socket_server *server = arg;
    for (;;) {
        struct pollfd fds[2] = {{.fd = server->listener, .events = POLLIN},
                                {.fd = server->stop[0], .events = POLLIN}};
        poll(fds, 2, -1);
        if (fds[1].revents)
            return NULL;
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0)
            continue;
        server->serve(server->user, fd);
        close(fd);
    }
}

/* A bound socket on a port of the kernel's choice. */
static inline int bind_loopback(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        abort();
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static inline void socket_server_start(struct socket_server *server, void (*serve)(void *user, int fd),
                                       void *user)
{
    *server = (struct socket_server){.serve = serve, .user = user};
    server->listener = bind_loopback(&server->port);
    if (listen(server->listener, 64) != 0 || pipe(server->stop) != 0 ||
        pthread_create(&server->thread, NULL, socket_server_main, server) != 0)
        abort();
}

static inline void socket_server_stop(struct socket_server *server)
{
    if (write(server->stop[1], "x", 1) != 1)
        abort();
    pthread_join(server->thread, NULL);
    close(server->stop[0]);
    close(server->stop[1]);
    close(server->listener);
}

static inline void server_start(struct scripted_server *server, scripted_answer *answer, void *user)
{
    *server = (struct scripted_server){.answer = answer, .user = user};
    pthread_mutex_init(&server->mutex, NULL);
    socket_server_start(&server->socket, serve_one, server);
    server->port = server->socket.port;
}

static inline size_t server_count(struct scripted_server *server)
{
    pthread_mutex_lock(&server->mutex);
    size_t n = server->n;
    pthread_mutex_unlock(&server->mutex);
    return n;
}

/* How many were answered with 2xx. */
static inline size_t server_taken(struct scripted_server *server)
{
    size_t taken = 0;
    pthread_mutex_lock(&server->mutex);
    for (size_t i = 0; i < server->n; i++)
        taken += server->requests[i].status / 100 == 2;
    pthread_mutex_unlock(&server->mutex);
    return taken;
}

/* Ends the thread; the requests stay readable until server_free. */
static inline void server_stop(struct scripted_server *server)
{
    socket_server_stop(&server->socket);
}

static inline void server_free(struct scripted_server *server)
{
    for (size_t i = 0; i < server->n; i++) {
        free(server->requests[i].head);
        free(server->requests[i].body);
    }
    free(server->requests);
    pthread_mutex_destroy(&server->mutex);
}

/* The value of a header line, in a buffer of the caller's; "" when absent. */
static inline const char *header_of(const struct seen_request *request, const char *name, char *out,
                                    size_t size)
{
    char pattern[80];
    snprintf(pattern, sizeof pattern, "\r\n%s: ", name);
    const char *at = strcasestr(request->head, pattern);
    out[0] = '\0';
    if (at)
        snprintf(out, size, "%.*s", (int)strcspn(at + strlen(pattern), "\r\n"), at + strlen(pattern));
    return out;
}

#endif
