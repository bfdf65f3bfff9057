#include "check_online.h"

#include "../api_headers.h"
#include "../human.h"
#include "../log.h"
#include "../store_read.h"
#include "../time_option.h"
#include "../watch.h"
#include "../../lib/forecast.h"
#include "../../lib/rate_headers.h"
#include "../../lib/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Requests under way at a time. */
#define MAX_OPEN 8
/* As in watch_flight.c: a page of 100 jobs with all their relationships is a few hundred KiB. */
#define MAX_BODY (16u << 20)
/* The API's Date has whole seconds, and an answer takes some time. */
#define CLOCK_PRECISION 2000
/* Receivers of signed webhooks refuse time stamps that are farther off. */
#define CLOCK_LIMIT 300000
#define DAY         86400000
/* For so long Klaviyo keeps a revision, and so long before its end it is time to change. */
#define REVISION_LIFE ((int64_t)731 * DAY)
#define REVISION_SOON ((int64_t)60 * DAY)

struct trying;

/* What one answer said. */
struct trial {
    struct trying *trying;
    const struct config_account *account;
    const struct family *family;
    bool fine;
    int status; /* 0: no answer */
    char why[PAGE_WHY_SIZE];
    size_t jobs; /* on the first page, and those of them in progress */
    size_t queued;
    size_t processing;
    bool more;
    struct rate_headers rate;
    wall_time date; /* the API's clock, and ours in the middle of the request */
    wall_time ours;
};

struct trying {
    const struct config *config;
    struct loop *loop;
    struct http *http;
    struct api_headers *headers; /* of each account */
    struct trial *trials;
    size_t n;
    size_t next;
    size_t open;
};

/* ---- asking ---- */

static void start_more(struct trying *trying);

static void take_page(struct trial *trial, const struct page *page)
{
    trial->jobs = page->n_jobs;
    trial->more = page->next == NEXT_CURSOR;
    for (size_t i = 0; i < page->n_jobs; i++) {
        trial->queued += page->jobs[i].status == JOB_QUEUED;
        trial->processing += page->jobs[i].status == JOB_PROCESSING;
    }
    trial->fine = page->n_malformed == 0;
    if (!trial->fine)
        snprintf(trial->why, sizeof trial->why, "some entries are no jobs: %.150s", page->why);
}

static void take_body(struct trial *trial, const struct http_response *response)
{
    struct page page;
    if (response->status != 200) {
        api_error_text(response->body, response->body_len, trial->why, sizeof trial->why);
        return;
    }
    if (page_decode_list(response->body, response->body_len, trial->family->type, &page) != PAGE_OK) {
        snprintf(trial->why, sizeof trial->why, "the answer is no list of jobs: %.150s", page.why);
        return;
    }
    take_page(trial, &page);
    page_finish(&page);
}

static void on_answer(void *user, const struct http_response *response)
{
    struct trial *trial = user;
    struct trying *trying = trial->trying;
    trying->open--;
    trial->date = trial->ours = WALL_NONE;
    if (response->error == HTTP_OK) {
        trial->status = response->status;
        trial->ours.ms = time_option_now().ms - response->elapsed / 2;
        if (response->date)
            wall_parse_http(response->date, strlen(response->date), &trial->date);
        rate_headers_parse(response->ratelimit_limit, response->ratelimit_remaining,
                           response->ratelimit_reset, &trial->rate);
        take_body(trial, response);
    } else {
        snprintf(trial->why, sizeof trial->why, "%.199s", response->error_text);
    }
    start_more(trying);
}

static bool start(struct trying *trying, struct trial *trial)
{
    const struct config *config = trying->config;
    struct request_base base = {config->api_url, config->revision};
    const struct api_headers *headers = &trying->headers[trial->account - config->accounts];
    char *url = request_list_url(&base, trial->family, SWEEP_FULL, LIST_ALL, NULL);
    struct http_request request = {
        .url = url,
        .headers = (const char *const *)headers->lines,
        .connect_timeout = config->connect_timeout,
        .timeout = config->request_timeout,
        .max_body = MAX_BODY,
        .ca_file = config->ca_file,
        .allow_http = true, /* the configuration allows it to loopback only */
    };
    bool started = url && headers->lines[0] && http_start(trying->http, &request, on_answer, trial);
    if (!started)
        snprintf(trial->why, sizeof trial->why, "it cannot be asked: no memory");
    trying->open += started;
    free(url);
    return started;
}

static void start_more(struct trying *trying)
{
    while (trying->next < trying->n && trying->open < MAX_OPEN && !loop_is_stopping(trying->loop))
        start(trying, &trying->trials[trying->next++]);
    if (trying->open == 0)
        loop_stop(trying->loop);
}

static void on_stop(void *user)
{
    http_close(((struct trying *)user)->http);
}

static void on_reload(void *user)
{
    (void)user;
}

/* ---- what is known of the jobs ---- */

struct known {
    const struct trial *trial;
    bool whole; /* from the store, not only from the first page */
    int64_t id;
    struct forecast_input jobs;
};

static bool take_counts(void *user, const struct watch_counts *counts)
{
    struct known *known = user;
    /* Both names are globs to the store; only this very watch is meant. */
    if (strcmp(counts->account, known->trial->account->name) != 0 ||
        strcmp(counts->family, known->trial->family->type) != 0 || wall_is_none(counts->baseline_at))
        return true;
    known->whole = true;
    known->jobs.queued = (uint64_t)counts->queued;
    known->jobs.processing = (uint64_t)counts->processing;
    known->id = counts->id;
    return false;
}

/* A store that is there says how many jobs there are; else the first page says how many at least. */
static struct known jobs_of(struct store *store, const struct trial *trial)
{
    const struct config_account *account = trial->account;
    struct known known = {
        .trial = trial,
        .jobs = {.jobs = trial->jobs,
                 .queued = trial->queued,
                 .processing = trial->processing,
                 .interval = account->interval,
                 .idle_interval = account->idle_interval,
                 .full_sweep_interval = account->full_sweep_interval},
    };
    int64_t total = 0;
    if (!trial->more || !store)
        return known;
    if (store_read_watches(store, account->name, trial->family->type, take_counts, &known) && known.whole &&
        store_read_job_total(store, known.id, &total))
        known.jobs.jobs = (uint64_t)total;
    return known;
}

/* ---- telling ---- */

static const char *remedy(int status)
{
    switch (status) {
    case 401:
        return "; the key is not valid: make a new private key in Klaviyo (Settings, API keys)";
    case 403:
        return "; the key is valid but lacks the scope: make a key that has it";
    case 400:
        return "; the API refuses the request: is `revision` one that it still knows?";
    case 404:
        return "; no such path: is `api-url` right, and is the family known to this revision?";
    case 429:
        return "; the account's rate limit is used up right now: try again in a minute";
    default:
        return "";
    }
}

static void print_failure(const struct trial *trial)
{
    const char *name = trial->family->type, *scope = trial->family->scope;
    if (trial->status == 0 || trial->status == 200)
        printf("  %s, %s: FAILED: %s\n", trial->account->name, name,
               trial->why[0] ? trial->why : "it was not asked");
    else
        printf("  %s, %s (scope %s): FAILED: HTTP %d%s%s%s\n", trial->account->name, name,
               scope[0] ? scope : "unknown", trial->status, trial->why[0] ? ": " : "", trial->why,
               remedy(trial->status));
}

/* "1,240 jobs, 37 in progress: active sweep 2 requests every 10s, full sweep 13 every 10m = 0.4% of 3,500/min" */
static void print_estimate(const struct trial *trial, const struct known *known)
{
    char jobs[HUMAN_SIZE], active[HUMAN_SIZE], full[HUMAN_SIZE], limit_text[HUMAN_SIZE], a[HUMAN_SIZE],
        b[HUMAN_SIZE];
    const struct family *family = trial->family;
    const struct config_account *account = trial->account;
    struct forecast cost = forecast_of(family, &known->jobs);
    int64_t limit = trial->rate.limit > 0 ? trial->rate.limit : family->steady;
    bool at_least = trial->more && !known->whole;
    struct budget_limits ours = budget_limits_for(family->burst, family->steady, account->budget,
                                                  account->burst, account->steady, account->yield_below);
    printf("    %s%s jobs, %s in progress: active sweep %" PRIu64
           " request%s every %s%s, full sweep %s%s every %s "
           "= %s%.1f%% of %s/min%s\n",
           at_least ? "at least " : "", human_count((int64_t)known->jobs.jobs, jobs),
           human_count((int64_t)(known->jobs.queued + known->jobs.processing), active), cost.active_requests,
           cost.active_requests == 1 ? "" : "s", human_setting(cost.active_every, a),
           cost.head ? " and one for the newest page" : "", at_least ? "at least " : "",
           human_count((int64_t)cost.full_requests, full), human_setting(account->full_sweep_interval, b),
           at_least ? "at least " : "", cost.per_minute * 100 / (double)limit, human_count(limit, limit_text),
           cost.per_minute > ours.steady ? "; MORE THAN OUR SHARE: sweeps will come later" : "");
}

static void print_limits(const struct trial *trial)
{
    char limit[HUMAN_SIZE], left[HUMAN_SIZE], documented[HUMAN_SIZE];
    if (trial->rate.limit <= 0) {
        puts("    the API says nothing of its limit");
        return;
    }
    printf("    the API's limit: %s/min, %s left", human_count(trial->rate.limit, limit),
           human_count(trial->rate.remaining < 0 ? 0 : trial->rate.remaining, left));
    if (trial->rate.limit != trial->family->steady)
        printf("; documented are %s", human_count(trial->family->steady, documented));
    putchar('\n');
}

static void print_trial(struct store *store, const struct trial *trial)
{
    if (!trial->fine) {
        print_failure(trial);
        return;
    }
    struct known known = jobs_of(store, trial);
    printf("  %s, %s: fine, %zu jobs on the first page%s\n", trial->account->name, trial->family->type,
           trial->jobs, trial->more ? ", more follow" : "");
    print_limits(trial);
    print_estimate(trial, &known);
}

/* "4 months", from its date to now. */
static void age_text(int64_t ms, char out[HUMAN_SIZE])
{
    int64_t days = ms / DAY, months = days / 30;
    if (ms < 0)
        snprintf(out, HUMAN_SIZE, "dated in the future");
    else if (months < 2)
        snprintf(out, HUMAN_SIZE, "%" PRId64 " days old", days);
    else
        snprintf(out, HUMAN_SIZE, "%" PRId64 " months old", months);
}

static void print_revision(const struct config *config)
{
    char age[HUMAN_SIZE], text[40], until[WALL_TEXT_SIZE];
    wall_time born, now = time_option_now();
    int n = snprintf(text, sizeof text, "%.10sT00:00:00Z", config->revision);
    if (!wall_parse(text, (size_t)n, &born))
        return;
    wall_time end = {born.ms + REVISION_LIFE};
    age_text(now.ms - born.ms, age);
    printf("  revision %s is accepted; it is %s, Klaviyo keeps it until about %.10s%s\n", config->revision,
           age, wall_format(end, until),
           end.ms - now.ms < REVISION_SOON ? ": IT IS TIME for a newer one" : "");
}

/* False when the clocks are too far apart. */
static bool print_clock(const struct trial *trial)
{
    char apart[HUMAN_SIZE];
    if (wall_is_none(trial->date))
        return true;
    int64_t ms = trial->ours.ms - trial->date.ms, abs = ms < 0 ? -ms : ms;
    if (abs <= CLOCK_PRECISION) {
        puts("  our clock agrees with the API's");
        return true;
    }
    printf("  our clock is %s %s the API's%s\n", human_span(abs, apart), ms < 0 ? "behind" : "ahead of",
           abs > CLOCK_LIMIT ? ": FAILED: receivers refuse the time stamps of webhooks; set it (timedatectl)"
                             : "");
    return abs <= CLOCK_LIMIT;
}

static bool print_all(const struct options *options, const struct trying *trying)
{
    char why[STORE_WHY];
    bool fine = true;
    const struct trial *good = NULL;
    /* One that is not there, or not for us to read, is no mistake: then the first page has to do. */
    struct store *store = store_open(options->state, false, why);
    puts("online, with one request for each account and job type:");
    for (size_t i = 0; i < trying->n; i++) {
        print_trial(store, &trying->trials[i]);
        fine &= trying->trials[i].fine;
        if (trying->trials[i].fine && !good)
            good = &trying->trials[i];
    }
    store_close(store);
    if (!good)
        return false;
    print_revision(trying->config);
    return print_clock(good) && fine;
}

/* ---- set-up ---- */

static bool make_headers(struct trying *trying)
{
    const struct config *config = trying->config;
    trying->headers = calloc(config->n_accounts, sizeof *trying->headers);
    for (size_t i = 0; trying->headers && i < config->n_accounts; i++) {
        char why[STORE_WHY];
        struct secret key;
        bool read = watch_read_key(&config->accounts[i], &key, why, sizeof why);
        bool made = read && api_headers_make(&trying->headers[i], key.text, config->revision);
        if (read)
            secret_wipe(&key);
        if (!made)
            return false;
    }
    return trying->headers;
}

static bool make_trials(struct trying *trying)
{
    const struct config *config = trying->config;
    size_t n = 0;
    for (size_t i = 0; i < config->n_accounts; i++)
        n += config->accounts[i].n_families;
    trying->trials = calloc(n + 1, sizeof *trying->trials);
    for (size_t i = 0; trying->trials && i < config->n_accounts; i++) {
        for (size_t j = 0; j < config->accounts[i].n_families; j++)
            trying->trials[trying->n++] = (struct trial){.trying = trying,
                                                         .account = &config->accounts[i],
                                                         .family = config->accounts[i].families[j],
                                                         .date = WALL_NONE};
    }
    return trying->trials;
}

static bool set_up(struct trying *trying)
{
    struct loop_handlers handlers = {.on_stop = on_stop, .on_reload = on_reload, .user = trying};
    if (!make_headers(trying) || !make_trials(trying)) {
        log_error("out of memory");
        return false;
    }
    trying->loop = loop_new(&handlers, 0);
    trying->http = trying->loop ? http_new(trying->loop, "klv-jobwatch/" JOBWATCH_VERSION) : NULL;
    if (!trying->http)
        log_error("cannot set up the event loop or libcurl");
    return trying->http;
}

bool check_online(const struct options *options, const struct config *config)
{
    struct trying trying = {.config = config};
    bool fine = set_up(&trying);
    if (fine) {
        start_more(&trying);
        loop_run(trying.loop);
        fine = print_all(options, &trying);
    }
    http_free(trying.http);
    fine = loop_finish(trying.loop) == 0 && fine;
    for (size_t i = 0; trying.headers && i < config->n_accounts; i++)
        api_headers_wipe(&trying.headers[i]);
    free(trying.headers);
    free(trying.trials);
    return fine;
}
