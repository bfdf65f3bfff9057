/*
 * simulate: the real core (watcher, plan, budget, decode, diff) against the model of Klaviyo, in virtual
 * time.
 *
 *   simulate runs N [SEED]      N random accounts, each a simulated day to a week; fails unless every promise held
 *   simulate table              detection latency and requests spent, beside the naive watcher and cron;
 *                               fails where it is later or dearer than promised
 *   simulate row JOBS ACTIVE%   the same for accounts of one kind
 *   simulate brief              the same for half an hour of two kinds whose bars are the tightest: where an active sweep is
 *                               many pages long, and where requests are counted against the naive watcher's
 *
 * JOBS in the environment: how many processes at a time (1).
 */
#include "life.h"
#include "pool.h"

#include "../../lib/plan.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t processes(void)
{
    const char *jobs = getenv("JOBS");
    size_t n = jobs ? strtoull(jobs, NULL, 10) : 1;
    return n > 0 ? n : 1;
}

/* ---- random runs ---- */

#define MOST_NEIGHBOUR 0.95

static double between(uint64_t *random, double low, double high)
{
    return low + (high - low) * model_uniform(random);
}

static bool coin(uint64_t *random)
{
    return model_random(random) % 2 == 0;
}

/* What other clients take: nothing, the most that there is, or anything between. */
static double neighbour(uint64_t *random)
{
    uint64_t kind = model_random(random) % 6;
    return kind < 2 ? 0 : kind == 2 ? MOST_NEIGHBOUR : between(random, 0, MOST_NEIGHBOUR);
}

static struct scenario random_scenario(uint64_t seed)
{
    static const size_t sizes[] = {10, 30, 100, 100, 300, 300, 600, 1500};
    static const double budgets[] = {0.01, 0.1, 0.5};
    static const int64_t intervals[] = {10, 15, 30, 60};
    static const struct {
        uint32_t burst, steady;
    } limits[] = {{350, 3500}, {350, 3500}, {75, 750}, {75, 750}, {10, 150}};
    uint64_t random = seed;
    size_t limit = model_random(&random) % 5;
    struct scenario scenario = {
        .model =
            {
                .seed = seed,
                .n_jobs = sizes[model_random(&random) % 8],
                .active = between(&random, 0.001, 0.1),
                .mean_life = (int64_t)between(&random, 2 * MINUTE, 2 * HOUR),
                .burst = limits[limit].burst,
                .steady = limits[limit].steady,
                .neighbour = neighbour(&random),
                .error_rate = coin(&random) ? 0 : between(&random, 0, 0.1),
                .outage_every = coin(&random) ? 0 : 5 * HOUR,
                .outage_length = (int64_t)between(&random, MINUTE, HOUR),
                .latency = (int64_t)between(&random, 20, 800),
                .oldest_first = coin(&random),
            },
        .length = DAY,
        .interval = intervals[model_random(&random) % 4] * SECOND,
        .full_interval = (int64_t)between(&random, 10, 30) * MINUTE,
        .budget = budgets[model_random(&random) % 3],
        .has_any = coin(&random),
        .has_sort = coin(&random),
        .trouble_every = coin(&random) ? 0 : 3 * HOUR,
    };
    /* Most runs are a day long, some a week, so that a thousand of them end within the hour. */
    if (model_random(&random) % 8 == 0)
        scenario.length = (int64_t)between(&random, DAY, 7 * DAY);
    return scenario;
}

static bool held(const struct scenario *scenario, const struct result *r)
{
    bool alone = scenario->model.neighbour == 0;
    return r->most_second <= r->burst && r->most_minute <= r->steady && r->missed == 0 && r->late == 0 &&
           r->repeated == 0 && r->invented == 0 && r->hurt == 0 && (!alone || r->limited == 0);
}

static void print_run(uint64_t seed, const struct scenario *scenario, const struct result *r)
{
    const struct model_options *model = &scenario->model;
    printf("seed %" PRIu64 ": %zu jobs, %.1f%% active, limits %u/s %u/min, budget %.0f%%, neighbour %.0f%%, "
           "errors %.0f%%, latency %" PRId64 " ms, %s%s%s, %.1f days, %" PRIu64 " troubles\n"
           "    fullest windows %u/%u a s, %u/%u a min; changes %" PRIu64 ", missed %" PRIu64
           ", late %" PRIu64 ", repeated %" PRIu64 ", invented %" PRIu64 "; 429s %" PRIu64
           ", the neighbour's %" PRIu64 "; p99 %.1f s\n",
           seed, model->n_jobs, model->active * 100, model->burst, model->steady, scenario->budget * 100,
           model->neighbour * 100, model->error_rate * 100, model->latency,
           model->oldest_first ? "oldest first" : "newest first", scenario->has_any ? ", any" : "",
           scenario->has_sort ? ", sort" : "", (double)scenario->length / (double)DAY, r->troubles,
           r->most_second, r->burst, r->most_minute, r->steady, r->changes, r->missed, r->late, r->repeated,
           r->invented, r->limited, r->hurt, (double)r->p99 / 1000);
}

struct runs {
    uint64_t seed;
    uint64_t bad;
    struct result sum; /* of the counts that are added up */
    double days;
};

static void run_one(void *user, size_t i, void *ret_result)
{
    struct scenario scenario = random_scenario(((struct runs *)user)->seed + i);
    struct result result = simulate(&scenario);
    memcpy(ret_result, &result, sizeof result);
}

static void add_up(void *user, size_t i, const void *result)
{
    struct runs *runs = user;
    const struct result *r = result;
    struct scenario scenario = random_scenario(runs->seed + i);
    runs->days += (double)scenario.length / (double)DAY;
    runs->sum.changes += r->changes;
    runs->sum.requests += r->requests;
    runs->sum.troubles += r->troubles;
    runs->sum.missed += r->missed + r->late;
    runs->sum.repeated += r->repeated;
    runs->sum.invented += r->invented;
    runs->sum.hurt += r->hurt;
    runs->sum.limited += scenario.model.neighbour == 0 ? r->limited : 0;
    runs->sum.most_minute += r->most_minute > r->steady || r->most_second > r->burst;
    if (held(&scenario, r) && !getenv("VERBOSE"))
        return;
    runs->bad += !held(&scenario, r);
    print_run(runs->seed + i, &scenario, r);
}

static int random_runs(uint64_t n, uint64_t seed)
{
    struct runs runs = {.seed = seed};
    struct pool_task task = {sizeof(struct result), run_one, add_up, &runs};
    pool_run(&task, n, processes());
    const struct result *sum = &runs.sum;
    printf("simulate: %" PRIu64 " runs (seeds %" PRIu64 " to %" PRIu64 "), %.0f days, %" PRIu64
           " requests, %" PRIu64 " crashes, suspends and clock steps, %" PRIu64 " changes to tell: %" PRIu64
           " missed or late, %" PRIu64 " told twice, %" PRIu64
           " made up; %u runs with a window over the share, "
           "%" PRIu64 " 429s without other clients, %" PRIu64 " 429s of other clients by us; %" PRIu64
           " runs broke a promise\n",
           n, seed, seed + n - 1, runs.days, sum->requests, sum->troubles, sum->changes, sum->missed,
           sum->repeated, sum->invented, sum->most_minute, sum->limited, sum->hurt, runs.bad);
    return runs.bad ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- the table ---- */

/* A kind of account has five rows: three budgets of ours, and the two watchers that people write. */
enum { NAIVE = 3, CRON = 4, ROWS = 5 };
#define LATENCY 100

static const double budgets[] = {0.01, 0.1, 0.5};

struct kind {
    size_t n_jobs;
    double active;
    int64_t length; /* ms of each row; 0: what the table takes */
};

/* What is measured repeats every few minutes, so that the more jobs there are, the less time it takes. */
static int64_t table_length(const struct kind *kind, size_t row)
{
    double active = kind->active * (double)kind->n_jobs;
    if (kind->length > 0)
        return kind->length;
    if (kind->n_jobs >= 100000)
        return row >= NAIVE ? HOUR / 2 : row == 0 ? 12 * HOUR : 2 * HOUR;
    return kind->n_jobs >= 10000 ? 4 * HOUR : active >= 10 ? 12 * HOUR : active >= 1 ? 2 * DAY : 28 * DAY;
}

static struct scenario table_scenario(const struct kind *kind, size_t row)
{
    return (struct scenario){
        .model = {.seed = 1,
                  .n_jobs = kind->n_jobs,
                  .active = kind->active,
                  .mean_life = 20 * MINUTE,
                  .burst = 350,
                  .steady = 3500,
                  .latency = LATENCY},
        .length = table_length(kind, row),
        .interval = 10 * SECOND,
        .full_interval = 10 * MINUTE,
        .budget = row < NAIVE ? budgets[row] : 1,
    };
}

struct table {
    const struct kind *kinds;
    struct result rows[ROWS]; /* of the kind at hand */
    unsigned broken;
};

static void row_one(void *user, size_t i, void *ret_result)
{
    size_t row = i % ROWS;
    struct scenario scenario = table_scenario(&((const struct table *)user)->kinds[i / ROWS], row);
    struct result result = row < NAIVE    ? simulate(&scenario)
                           : row == NAIVE ? simulate_naive(&scenario, scenario.interval)
                                          : simulate_naive(&scenario, MINUTE);
    memcpy(ret_result, &result, sizeof result);
}

/* How long it takes to read so many pages. */
static double pages_by(double pages, double share)
{
    return share > 0 ? pages / share : INFINITY;
}

/*
 * The best that can be had: an interval and a round trip; or the pages to read by the share, of which a full sweep
 * takes what is due of it, at most one request in PLAN_FULL_TURN. These pages are those of an active sweep beside one
 * look at each job that ends; or those of the list, newest first, on which 99% of the jobs stand while they live; or
 * all of it: whichever is read soonest. Or, where pages one after the other take longer than half the interval
 * whatever the share, two active sweeps.
 */
static double best(const struct scenario *scenario, size_t row)
{
    const struct model_options *model = &scenario->model;
    double active = model->active * (double)model->n_jobs, pages = 2 + active / 100;
    double share = scenario->budget * model->steady / (double)MINUTE;
    double full = (double)(model->n_jobs / 100 + 1) / (double)scenario->full_interval;
    double rest = share - fmin(full, share / PLAN_FULL_TURN);
    double by_looks = pages_by(pages, rest - active / (double)model->mean_life);
    double by_walk = pages_by(fmax(1, log(100) * active / 100), rest);
    double by_share = fmin(by_looks, fmin(by_walk, pages_by((double)(model->n_jobs / 100 + 1), share)));
    double by_latency = 2 * pages * LATENCY, undisturbed = (double)scenario->interval + 1.5 * LATENCY;
    if (row >= NAIVE)
        return row == NAIVE ? 10 * SECOND : MINUTE;
    return fmax(undisturbed, fmax(by_share, by_latency));
}

static double an_hour(const struct scenario *scenario, const struct result *result)
{
    return (double)result->requests * (double)HOUR / (double)scenario->length;
}

/* What is promised of 10,000 jobs of which 1% are active: a fifth of the naive watcher's requests. */
static const char *dearer_than_promised(const struct table *table, const struct kind *kind,
                                        const struct scenario *naive)
{
    struct scenario ours = table_scenario(kind, 1);
    const struct result *r = &table->rows[1];
    bool dear =
        an_hour(&ours, r) * 5 > an_hour(naive, &table->rows[NAIVE]) || r->p99 > table->rows[NAIVE].p99;
    return kind->n_jobs == 10000 && kind->active == 0.01 && dear ? "more than a fifth of this" : NULL;
}

/* And in each row: the interval and a round trip where nothing binds, else no more than 1.25 times the best. */
static const char *broken_promise(const struct table *table, const struct kind *kind, size_t row)
{
    struct scenario scenario = table_scenario(kind, row);
    const struct result *r = &table->rows[row];
    double ratio = (double)r->p99 / best(&scenario, row);
    if (row >= NAIVE)
        return row == NAIVE ? dearer_than_promised(table, kind, &scenario) : NULL;
    if (r->limited > 0 || r->most_minute > r->steady || r->most_second > r->burst)
        return "over the budget";
    if (r->missed > 0 || r->late > 0 || r->repeated > 0 || r->invented > 0)
        return "missed, told twice or made up";
    bool binds = scenario.budget < 0.1 || best(&scenario, row) > (double)scenario.interval + 1.5 * LATENCY;
    return ratio <= (binds ? 1.25 : 1) ? NULL : "later than promised";
}

static void print_row(void *user, size_t i, const void *result)
{
    static const char *const who[ROWS] = {"klv-jobwatch", "klv-jobwatch", "klv-jobwatch", "naive, 10 s",
                                          "cron, 1 min"};
    struct table *table = user;
    const struct kind *kind = &table->kinds[i / ROWS];
    const struct result *r = result;
    size_t row = i % ROWS;
    struct scenario scenario = table_scenario(kind, row);
    char budget[8] = "-";
    if (row < NAIVE)
        snprintf(budget, sizeof budget, "%.0f%%", scenario.budget * 100);
    table->rows[row] = *r;
    const char *broken = broken_promise(table, kind, row);
    table->broken += broken != NULL;
    printf("%6zu %5.1f%% %6s  %-12s %8.0f %6zu %6.1f %6.1f %6.1f %6.1f  %6.1f %5.2f %5" PRIu64 "%s%s\n",
           kind->n_jobs, kind->active * 100, budget, who[row], an_hour(&scenario, r), r->delays,
           (double)r->p50 / 1000, (double)r->p90 / 1000, (double)r->p99 / 1000, (double)r->worst / 1000,
           best(&scenario, row) / 1000, (double)r->p99 / best(&scenario, row), r->limited,
           broken ? "  BROKEN: " : "", broken ? broken : "");
    fflush(stdout);
}

static int print_table(const struct kind *kinds, size_t n)
{
    struct table table = {.kinds = kinds};
    struct pool_task task = {sizeof(struct result), row_one, print_row, &table};
    puts("                             requests         seconds from the end to its telling    best   p99/\n"
         "  jobs active budget watcher  an hour   ends    p50    p90    p99    max   p99   best  429s");
    pool_run(&task, n * ROWS, processes());
    return table.broken ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int whole_table(void)
{
    static const struct kind kinds[] = {{10, .001, 0},  {10, .01, 0},      {10, .1, 0},      {1000, .001, 0},
                                        {1000, .01, 0}, {1000, .1, 0},     {10000, .001, 0}, {10000, .01, 0},
                                        {10000, .1, 0}, {100000, .001, 0}, {100000, .01, 0}, {100000, .1, 0}};
    return print_table(kinds, sizeof kinds / sizeof *kinds);
}

static int brief_table(void)
{
    static const struct kind kinds[] = {{10000, .01, HOUR / 2}, {10000, .1, HOUR / 2}};
    return print_table(kinds, sizeof kinds / sizeof *kinds);
}

int main(int argc, char **argv)
{
    if (argc >= 3 && strcmp(argv[1], "runs") == 0)
        return random_runs(strtoull(argv[2], NULL, 10), argc > 3 ? strtoull(argv[3], NULL, 10) : 1);
    if (argc == 2 && strcmp(argv[1], "table") == 0)
        return whole_table();
    if (argc == 4 && strcmp(argv[1], "row") == 0)
        return print_table(&(struct kind){strtoull(argv[2], NULL, 10), strtod(argv[3], NULL) / 100, 0}, 1);
    if (argc == 2 && strcmp(argv[1], "brief") == 0)
        return brief_table();
    fputs("usage: simulate runs N [SEED] | table | row JOBS ACTIVE% | brief\n", stderr);
    return 2;
}
