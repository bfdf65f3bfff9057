/* status: what the daemon sees and does, from the report it leaves in the store. */
#include "commands.h"

#include "../log.h"
#include "../report.h"
#include "../time_option.h"
#include "../../lib/render.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_running(int64_t pid)
{
    /* EPERM: it is there, under another user, as with DynamicUser. */
    return pid > 0 && (kill((pid_t)pid, 0) == 0 || errno == EPERM);
}

static int64_t get_int(struct json_object *object, const char *key)
{
    return json_object_get_int64(json_object_object_get(object, key));
}

static const char *get_text(struct json_object *object, const char *key)
{
    const char *text = json_object_get_string(json_object_object_get(object, key));
    return text ? text : "";
}

/* "12 s ago", "in 3 min", "never" */
static const char *distance(int64_t at_ms, wall_time now, char out[40])
{
    if (at_ms == 0)
        return "never";
    int64_t s = (at_ms - now.ms) / 1000, abs = s < 0 ? -s : s;
    const char *unit = abs < 120 ? "s" : abs < 7200 ? "min" : "h";
    int64_t n = abs < 120 ? abs : abs < 7200 ? abs / 60 : abs / 3600;
    snprintf(out, 40, "%s%" PRId64 " %s%s", s > 0 ? "in " : "", n, unit, s > 0 ? "" : " ago");
    return out;
}

static bool print_family(struct json_object *family, wall_time now, bool running)
{
    char good[40], next[40];
    const char *problem = get_text(family, "problem");
    bool baseline = json_object_get_boolean(json_object_object_get(family, "baseline"));
    printf("  %-40s %8" PRId64 " jobs %6" PRId64 " active   last sweep %-10s next %-10s budget %" PRId64
           "/%" PRId64 " a min\n",
           get_text(family, "family"), get_int(family, "jobs"), get_int(family, "active"),
           distance(get_int(family, "last_good_ms"), now, good),
           running ? distance(get_int(family, "next_ms"), now, next) : "-", get_int(family, "spent"),
           get_int(family, "share_now"));
    if (!baseline)
        puts("    no baseline yet: nothing is told before the first whole sweep");
    if (problem[0])
        printf("    problem: %s\n", problem);
    return problem[0] == '\0';
}

static bool print_accounts(struct json_object *report, wall_time now, bool running)
{
    bool healthy = true;
    struct json_object *accounts = json_object_object_get(report, "accounts");
    for (size_t i = 0; i < json_object_array_length(accounts); i++) {
        struct json_object *account = json_object_array_get_idx(accounts, i);
        struct json_object *list = json_object_object_get(account, "families");
        printf("account %s\n", get_text(account, "account"));
        if (!json_object_get_boolean(json_object_object_get(account, "saved"))) {
            puts("  problem: state is not being saved");
            healthy = false;
        }
        for (size_t j = 0; list && j < json_object_array_length(list); j++)
            healthy &= print_family(json_object_array_get_idx(list, j), now, running);
    }
    return healthy;
}

static int print_text(struct json_object *report, struct store *store)
{
    char at[40];
    wall_time now = time_option_now();
    int64_t pid = get_int(report, "pid"), waiting = 0, dead = 0;
    bool running = is_running(pid);
    if (running)
        printf("klv-jobwatch %s, process %" PRId64 ", report of %s\n", get_text(report, "version"), pid,
               distance(get_int(report, "at_ms"), now, at));
    else
        printf("klv-jobwatch is not running (last report %s): systemctl start klv-jobwatch\n",
               distance(get_int(report, "at_ms"), now, at));
    bool healthy = print_accounts(report, now, running) && running;
    if (!store_delivery_counts(store, NULL, &waiting, &dead)) {
        log_error("%s", store_error(store));
        return EXIT_FAILED;
    }
    printf("outbox: %" PRId64 " waiting, %" PRId64 " given up\n", waiting, dead);
    return healthy ? EXIT_FINE : EXIT_FAILED;
}

static int print_report(const char *text, struct store *store, bool json)
{
    struct json_object *report = json_tokener_parse(text);
    if (!report || !json_object_is_type(json_object_object_get(report, "accounts"), json_type_array)) {
        log_error("the daemon's report in the state file is not readable");
        json_object_put(report);
        return EXIT_FAILED;
    }
    int code = EXIT_FINE;
    if (json) {
        bool running = is_running(get_int(report, "pid"));
        json_object_object_add(report, "running", json_object_new_boolean(running));
        puts(json_object_to_json_string_ext(report, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        code = running ? EXIT_FINE : EXIT_FAILED;
    } else {
        code = print_text(report, store);
    }
    json_object_put(report);
    return code;
}

int command_status(const struct options *options)
{
    char why[STORE_WHY];
    struct store *store = store_open(options->state, false, why);
    if (!store) {
        log_error("%s", why);
        return EXIT_FAILED;
    }
    char *text = store_note_get(store, REPORT_KEY);
    int code = EXIT_FAILED;
    if (text)
        code = print_report(text, store, options->json);
    else
        log_error("no report in %s yet: has the daemon run? (systemctl status klv-jobwatch)", options->state);
    free(text);
    store_close(store);
    return code;
}
