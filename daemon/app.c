#include "app.h"

#include "config_file.h"
#include "log.h"
#include "same_key.h"
#include "supervise.h"
#include "../lib/touch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

/* The keys in memory must not reach the disk through a core dump, or another process through ptrace. */
static void forbid_dumps(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

/* What every life takes of the heap, made at once. It stays there: it is less than allocator_set_up() lets go. */
#define HEAP_AT_ONCE ((size_t)512 << 10)

static void make_heap(void)
{
    void *heap = malloc(HEAP_AT_ONCE);
    if (heap)
        touch(heap, HEAP_AT_ONCE);
    free(heap);
}

static bool read_boot_id(char *out, size_t size)
{
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    bool fine = file && fgets(out, (int)size, file);
    if (file)
        fclose(file);
    if (!fine)
        snprintf(out, size, "unknown"); /* then times across restarts are measured by the wall clock */
    out[strcspn(out, "\n")] = '\0';
    return fine;
}

static int64_t clock_ms(clockid_t clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void end_requests(void *user)
{
    struct app *app = user;
    http_close(app->http);
}

/* The command's own goes first: it tells that this is the end. */
static void on_stop(void *user)
{
    struct app *app = user;
    bool held = store_hold(app->store);
    for (size_t i = 0; i < app->n_watches; i++)
        watch_close(app->watches[i]);
    if (held && !store_release(app->store))
        log_error("what changed last is not saved, it will be seen again: %s", store_error(app->store));
    if (app->on_stop)
        app->on_stop(app);
    if (app->delivery)
        delivery_close(app->delivery, end_requests, app);
    else
        end_requests(app);
}

static void on_reload(void *user)
{
    struct app *app = user;
    if (app->on_reload)
        app->on_reload(app);
}

static void on_wake(void *user)
{
    struct app *app = user;
    delivery_replay(app->delivery);
}

/* What these watches have to write, in one transaction. */
static bool write_watches(struct app *app, struct watch *const *watches, size_t n, struct now now)
{
    bool fine = store_begin(app->store);
    for (size_t i = 0; fine && i < n; i++)
        fine = watch_write(watches[i], now);
    if (fine && store_mark(app->store, now))
        return store_commit(app->store);
    store_rollback(app->store);
    return false;
}

/* When it cannot be written together, each for itself: what is wrong with one's rows must not be in the others' way. */
static void on_gather(void *user)
{
    struct app *app = user;
    size_t writers = 0;
    if (!app->wanted)
        return;
    app->wanted = false;
    struct now now = loop_now(app->loop);
    app->first = app->first + 1 < app->n_watches ? app->first + 1 : 0;
    for (size_t i = 0; i < app->n_watches; i++) {
        struct watch *watch = app->watches[(app->first + i) % app->n_watches];
        watch_gather(watch, now);
        writers += watch_has_to_write(watch);
    }
    bool together = writers == 0 || write_watches(app, app->watches, app->n_watches, now);
    for (size_t i = 0; i < app->n_watches; i++) {
        struct watch *watch = app->watches[i];
        bool alone = !together && writers > 1 && watch_has_to_write(watch);
        watch_settle(watch, alone ? write_watches(app, &app->watches[i], 1, now) : together, now);
    }
}

static void on_turn(void *user)
{
    struct app *app = user;
    if (app->on_turn)
        app->on_turn(app);
}

/* What a migration of a large store may take, in ms, on top of the time that the unit gives a start. */
#define LONG_START INT64_C(600000)

static bool open_store(struct app *app)
{
    char why[STORE_WHY];
    supervise_extend(LONG_START);
    app->store = store_open(app->options->state, true, why);
    if (!app->store)
        log_error("%s", why);
    return app->store;
}

static bool open_loop(struct app *app)
{
    static const char user_agent[] = "klv-jobwatch/" JOBWATCH_VERSION;
    char boot_id[64];
    read_boot_id(boot_id, sizeof boot_id);
    int64_t offset =
        store_timeline(app->store, boot_id, clock_ms(CLOCK_MONOTONIC), (wall_time){clock_ms(CLOCK_REALTIME)});
    struct loop_handlers handlers = {.on_stop = on_stop,
                                     .on_reload = on_reload,
                                     .on_wake = on_wake,
                                     .on_gather = on_gather,
                                     .on_turn = on_turn,
                                     .user = app};
    app->loop = loop_new(&handlers, offset);
    if (app->loop)
        app->http = http_new(app->loop, user_agent);
    if (!app->http)
        log_error("cannot set up the event loop or libcurl");
    return app->http;
}

static size_t take_unsaved(void *user, struct now now, const struct event **events, size_t max)
{
    struct app *app = user;
    size_t n = 0;
    for (size_t i = 0; i < app->n_watches; i++)
        n += watch_unsaved(app->watches[i], now, events + n, max - n);
    return n;
}

static void unsaved_told(void *user, const char *event_id, bool fine)
{
    struct app *app = user;
    for (size_t i = 0; i < app->n_watches; i++)
        watch_unsaved_told(app->watches[i], event_id, fine);
}

static bool open_delivery(struct app *app, enum journal_port port)
{
    char why[STORE_WHY];
    app->journal = sink_journal_new(app->loop, port);
    if (app->journal)
        app->delivery = delivery_new(app->loop, app->http, app->store, app->journal);
    if (!app->delivery) {
        log_error("out of memory");
        return false;
    }
    delivery_tell_unsaved(app->delivery,
                          &(struct unsaved_events){.take = take_unsaved, .told = unsaved_told, .user = app});
    if (delivery_configure(app->delivery, app->config, why, sizeof why))
        return true;
    log_error("%s", why);
    app->exit_code = EXIT_USAGE;
    return false;
}

static void wanted(void *user)
{
    ((struct app *)user)->wanted = true;
}

static void change(void *user)
{
    struct app *app = user;
    if (app->on_change)
        app->on_change(app);
}

static void done(void *user)
{
    struct app *app = user;
    if (app->on_done)
        app->on_done(app);
}

static void no_memory(void *user)
{
    log_error("out of memory; ending, what was not saved will be seen again");
    app_stop(user, EXIT_FAILED);
}

static struct watch_shared shared_of(struct app *app, const struct config *config)
{
    return (struct watch_shared){
        .loop = app->loop,
        .http = app->http,
        .store = app->store,
        .delivery = app->delivery,
        .config = config,
        .in_flight = &app->in_flight,
        .once = app->once,
        .on_want = wanted,
        .on_change = change,
        .on_done = done,
        .on_no_memory = no_memory,
        .user = app,
    };
}

static bool key_is_there(const struct config_account *account, char *why, size_t why_size)
{
    struct secret key;
    if (!watch_read_key(account, &key, why, why_size))
        return false;
    secret_wipe(&key);
    return true;
}

static bool make_watches(struct app *app)
{
    char why[STORE_WHY];
    struct watch_shared shared = shared_of(app, app->config);
    app->watches = calloc(app->config->n_accounts, sizeof(struct watch *));
    if (!app->watches) {
        log_error("out of memory");
        return false;
    }
    for (size_t i = 0; i < app->config->n_accounts; i++) {
        const struct config_account *account = &app->config->accounts[i];
        bool has_key = key_is_there(account, why, sizeof why);
        struct watch *watch =
            has_key ? watch_new(&shared, account, i, app->config->n_accounts, why, sizeof why) : NULL;
        if (!watch) {
            log_error("%s", why);
            app->exit_code = has_key ? EXIT_FAILED : EXIT_USAGE;
            return false;
        }
        app->watches[app->n_watches++] = watch;
    }
    return true;
}

static bool open_watches(struct app *app)
{
    bool held = store_hold(app->store), fine = make_watches(app);
    if (!held || store_release(app->store) || !fine)
        return fine;
    log_error("%s", store_error(app->store));
    return false;
}

static struct keyed keyed_at(const void *user, size_t i)
{
    return watch_keyed(((const struct app *)user)->watches[i]);
}

static void warn_of_same_keys(const struct app *app)
{
    same_key_warn(keyed_at, app, app->n_watches);
}

bool app_open(struct app *app, const struct options *options, enum journal_port port)
{
    loop_hold_requests();
    forbid_dumps();
    app->options = options;
    app->exit_code = EXIT_USAGE;
    app->config = config_file_read(options->config);
    if (!app->config)
        return false;
    app->exit_code = EXIT_FAILED;
    make_heap();
    if (!open_store(app) || !open_loop(app) || !open_delivery(app, port) || !open_watches(app))
        return false;
    if (!app->once) /* of each run from cron it would be too much */
        warn_of_same_keys(app);
    app->exit_code = EXIT_FINE;
    return true;
}

void app_run(struct app *app)
{
    delivery_wake(app->delivery); /* what an earlier life left in the outbox goes out first */
    for (size_t i = 0; i < app->n_watches; i++)
        watch_start(app->watches[i]);
    loop_run(app->loop);
}

size_t app_families(const struct app *app)
{
    size_t n = 0;
    for (size_t i = 0; i < app->config->n_accounts; i++)
        n += app->config->accounts[i].n_families;
    return n;
}

void app_stop(struct app *app, int exit_code)
{
    if (exit_code != EXIT_FINE)
        app->exit_code = exit_code;
    loop_stop(app->loop);
}

/* ---- reload ---- */

static struct watch *find_watch(const struct app *app, const char *account)
{
    for (size_t i = 0; i < app->n_watches; i++) {
        if (strcmp(watch_account(app->watches[i]), account) == 0)
            return app->watches[i];
    }
    return NULL;
}

/* Watches for the accounts that are new; NULL in the places of those that are there already. */
static bool make_new_watches(struct app *app, const struct config *config, struct watch **watches, char *why,
                             size_t why_size)
{
    struct watch_shared shared = shared_of(app, config);
    for (size_t i = 0; i < config->n_accounts; i++) {
        if (find_watch(app, config->accounts[i].name))
            continue;
        watches[i] = watch_new(&shared, &config->accounts[i], i, config->n_accounts, why, why_size);
        if (!watches[i])
            return false;
    }
    return true;
}

static void discard(struct watch **watches, size_t n)
{
    for (size_t i = 0; watches && i < n; i++) {
        if (watches[i])
            watch_close(watches[i]);
        watch_free(watches[i]);
    }
    free(watches);
}

/* Every key is read before anything is swapped, so that a missing one leaves all as it was. */
static bool keys_are_there(struct app *app, const struct config *config, char *why, size_t why_size)
{
    for (size_t i = 0; i < config->n_accounts; i++) {
        if (find_watch(app, config->accounts[i].name) && !key_is_there(&config->accounts[i], why, why_size))
            return false;
    }
    return true;
}

/* The point of no return: known accounts move over, accounts that are gone end, new ones begin. */
static void swap(struct app *app, struct config *config, struct watch **watches)
{
    char why[STORE_WHY];
    struct watch_shared shared = shared_of(app, config);
    struct watch **old = app->watches;
    size_t n_old = app->n_watches;
    bool *is_new = calloc(config->n_accounts, sizeof *is_new);
    for (size_t i = 0; i < config->n_accounts; i++) {
        if (watches[i]) {
            if (is_new)
                is_new[i] = true;
            continue;
        }
        for (size_t j = 0; j < n_old && !watches[i]; j++) {
            if (!old[j] || strcmp(watch_account(old[j]), config->accounts[i].name) != 0)
                continue;
            watches[i] = old[j];
            old[j] = NULL;
        }
        if (!watch_reconfigure(watches[i], &shared, &config->accounts[i], why, sizeof why)) {
            log_error("%s", why);
            app_stop(app, EXIT_FAILED);
        }
    }
    discard(old, n_old);
    app->watches = watches;
    app->n_watches = config->n_accounts;
    for (size_t i = 0; i < app->n_watches; i++) {
        if (!is_new || is_new[i])
            watch_start(watches[i]);
    }
    free(is_new);
    config_free(app->config);
    app->config = config;
    warn_of_same_keys(app);
    http_renew(app->http);
}

bool app_reload(struct app *app)
{
    char why[STORE_WHY];
    struct config *config = config_file_read(app->options->config);
    if (!config)
        return false;
    struct watch **watches = calloc(config->n_accounts, sizeof(struct watch *));
    snprintf(why, sizeof why, "out of memory");
    if (watches && keys_are_there(app, config, why, sizeof why) &&
        make_new_watches(app, config, watches, why, sizeof why) &&
        delivery_configure(app->delivery, config, why, sizeof why)) {
        swap(app, config, watches);
        return true;
    }
    log_error("%s", why);
    discard(watches, config->n_accounts);
    config_free(config);
    return false;
}

#define MAX_PRUNED 1000

void app_prune(struct app *app)
{
    size_t removed;
    struct now now = loop_now(app->loop);
    if (!store_begin(app->store))
        return;
    mono_time before = {now.mono.ms - app->config->retention};
    if (store_prune(app->store, SINK_JOURNAL, before, MAX_PRUNED, &removed))
        (void)store_commit(app->store);
    else
        store_rollback(app->store);
}

/* ---- the end ---- */

int app_free(struct app *app)
{
    /* A set-up that failed half-way never ran: let the loop close what was registered. */
    if (app->loop && !loop_is_stopping(app->loop)) {
        loop_stop(app->loop);
        loop_run(app->loop);
    }
    for (size_t i = 0; i < app->n_watches; i++)
        watch_free(app->watches[i]);
    free(app->watches);
    delivery_free(app->delivery);
    sink_journal_free(app->journal);
    http_free(app->http);
    int left = loop_finish(app->loop);
    if (left != 0) {
        log_error("a handle was left open on the event loop (%d); please report this", left);
        app->exit_code = EXIT_FAILED;
    }
    store_close(app->store);
    config_free(app->config);
    return app->exit_code;
}
