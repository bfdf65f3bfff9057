#include "model.h"

#include "../../lib/page_decode.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 100 };

struct model {
    struct model_options options;
    uint64_t random;
    struct model_job *jobs; /* oldest first */
    size_t n;
    size_t room;
    size_t oldest;  /* the list begins here: those before have expired */
    size_t longest; /* that it ever was */
    size_t *active; /* jobs that had not ended at the last look, oldest first */
    size_t n_active;
    size_t room_active;
    int64_t keep; /* ms that a finished job stays listed, so that about n_jobs are */
    int64_t next_birth;
    int64_t last_advance;
    /* The account's fixed windows. */
    int64_t phase_second;
    int64_t phase_minute;
    int64_t second;
    int64_t minute;
    uint64_t in_second;
    uint64_t in_minute;
    uint64_t ours_in_minute;
    double neighbour_debt;
    uint64_t neighbour_hurt;
    int64_t began;
    int64_t watcher_began;
    bool forward; /* the list at hand is oldest first */
    char *body;
    size_t body_len;
    size_t body_room;
};

uint64_t model_random(uint64_t *state)
{
    /* splitmix64, public domain (Sebastiano Vigna). */
    uint64_t z = (*state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

double model_uniform(uint64_t *state)
{
    return (double)(model_random(state) >> 11) / 9007199254740992.0;
}

static double exponential(struct model *model, double mean)
{
    return -mean * log(1.0 - model_uniform(&model->random));
}

static void add_active(struct model *model, size_t i)
{
    if (model->n_active == model->room_active) {
        model->room_active = model->room_active ? model->room_active * 2 : 256;
        model->active = reallocarray(model->active, model->room_active, sizeof *model->active);
        if (!model->active)
            abort();
    }
    model->active[model->n_active++] = i;
}

/* Time never goes back, so that what has ended or expired need not be looked at again. */
static void forget_past(struct model *model, int64_t t)
{
    size_t kept = 0;
    for (size_t i = 0; i < model->n_active; i++) {
        if (model->jobs[model->active[i]].ended > t)
            model->active[kept++] = model->active[i];
    }
    model->n_active = kept;
    while (model->oldest < model->n && model->jobs[model->oldest].ended < t - model->keep)
        model->oldest++;
    size_t listed = model->n - model->oldest;
    model->longest = listed > model->longest ? listed : model->longest;
}

static void name(struct model *model, size_t i)
{
    struct model_job *job = &model->jobs[i];
    snprintf(job->id, sizeof job->id, "job-%07zu-%08" PRIx32, i % 10000000,
             (uint32_t)model_random(&model->random));
    wall_format((wall_time){job->created}, job->created_text);
    wall_format((wall_time){job->ended}, job->ended_text);
}

/* Every job lives for an exponentially spread time, up to 30% of it in the queue; a tenth fail in part, a
 * fiftieth are cancelled. */
static struct model_job *give_birth(struct model *model, int64_t t)
{
    if (model->n == model->room) {
        size_t room = model->room ? model->room * 2 : 1024;
        struct model_job *jobs = reallocarray(model->jobs, room, sizeof *jobs);
        if (!jobs)
            abort();
        model->jobs = jobs;
        model->room = room;
    }
    struct model_job *job = &model->jobs[model->n];
    double life = exponential(model, (double)model->options.mean_life);
    *job = (struct model_job){
        .created = t,
        .total = 1 + (int64_t)(model_random(&model->random) % 100),
        .told_start = -1,
        .told_growing = -1,
        .told_end = -1,
    };
    snprintf(job->id, sizeof job->id, "job-%07zu-%08" PRIx64, model->n,
             model_random(&model->random) & 0xffffffff);
    job->started = t + (int64_t)(life * 0.3 * model_uniform(&model->random));
    job->ended = t + 1 + (int64_t)life;
    double fate = model_uniform(&model->random);
    job->cancelled = fate < 0.02;
    if (fate > 0.9)
        job->failed = 1 + (int64_t)(model_random(&model->random) % (uint64_t)job->total);
    name(model, model->n++);
    return job;
}

static int64_t birth_gap(struct model *model)
{
    double active = model->options.active * (double)model->options.n_jobs;
    if (active <= 0)
        return INT64_MAX / 2;
    return 1 + (int64_t)exponential(model, (double)model->options.mean_life / active);
}

static int by_creation(const void *a, const void *b)
{
    const struct model_job *x = a, *y = b;
    return (x->created > y->created) - (x->created < y->created);
}

/* The past: finished jobs long ago, and as many in progress as there always are. */
static void make_past(struct model *model, int64_t start)
{
    size_t active = (size_t)(model->options.active * (double)model->options.n_jobs);
    for (size_t i = 0; i < model->options.n_jobs; i++) {
        struct model_job *job = give_birth(model, start);
        int64_t life = job->ended - job->created, queue = job->started - job->created;
        if (i < active) {
            job->created = start - (int64_t)(model_uniform(&model->random) * (double)life);
        } else {
            job->created = start - life - 1 - (int64_t)(model_uniform(&model->random) * (double)model->keep);
        }
        job->started = job->created + queue;
        job->ended = job->created + life;
    }
    qsort(model->jobs, model->n, sizeof *model->jobs, by_creation);
    for (size_t i = 0; i < model->n; i++) {
        name(model, i);
        add_active(model, i);
    }
}

/* Enter the windows that hold t. */
static void enter_windows(struct model *model, int64_t t)
{
    int64_t second = (t + model->phase_second) / 1000, minute = (t + model->phase_minute) / 60000;
    if (second != model->second) {
        model->second = second;
        model->in_second = 0;
    }
    if (minute != model->minute) {
        model->minute = minute;
        model->in_minute = 0;
        model->ours_in_minute = 0;
    }
}

struct model *model_new(const struct model_options *options, int64_t start)
{
    struct model *model = calloc(1, sizeof *model);
    if (!model)
        abort();
    model->options = *options;
    model->keep = (int64_t)((double)options->mean_life / (options->active > 0 ? options->active : 1));
    model->random = options->seed;
    model->last_advance = model->began = model->watcher_began = start;
    model->phase_second = (int64_t)(model_random(&model->random) % 1000);
    model->phase_minute = (int64_t)(model_random(&model->random) % 60000);
    model->second = model->minute = -1;
    make_past(model, start);
    enter_windows(model, start);
    /* The others were there before us. */
    double part = (double)((start + model->phase_minute) % 60000) / 60000;
    model->in_minute = (uint64_t)(options->neighbour * options->steady * part);
    model->next_birth = start + birth_gap(model);
    return model;
}

void model_free(struct model *model)
{
    if (!model)
        return;
    free(model->jobs);
    free(model->active);
    free(model->body);
    free(model);
}

/* Other clients ask evenly, in steps of 100 ms. */
static void neighbours(struct model *model, int64_t t)
{
    double per_ms = model->options.neighbour * model->options.steady / 60000.0;
    for (int64_t at = model->last_advance; per_ms > 0 && at < t;) {
        int64_t step = t - at < 100 ? t - at : 100;
        at += step;
        enter_windows(model, at);
        model->neighbour_debt += per_ms * (double)step;
        uint64_t n = (uint64_t)model->neighbour_debt;
        model->neighbour_debt -= (double)n;
        for (; n > 0; n--) {
            if (model->in_minute >= model->options.steady || model->in_second >= model->options.burst) {
                if (model->ours_in_minute > 0 && at - model->watcher_began > 60000)
                    model->neighbour_hurt++;
                continue;
            }
            model->in_minute++;
            model->in_second++;
        }
    }
}

void model_advance(struct model *model, int64_t t)
{
    if (t <= model->last_advance)
        return;
    neighbours(model, t);
    model->last_advance = t;
    while (model->next_birth <= t) {
        int64_t born = model->next_birth;
        give_birth(model, born);
        add_active(model, model->n - 1);
        model->next_birth = born + birth_gap(model);
    }
}

size_t model_count(const struct model *model)
{
    return model->n;
}

struct model_job *model_at(struct model *model, size_t i)
{
    return &model->jobs[i];
}

struct model_job *model_find(struct model *model, const char *id)
{
    size_t i;
    if (sscanf(id, "job-%zu-", &i) == 1 && i < model->n && strcmp(model->jobs[i].id, id) == 0)
        return &model->jobs[i];
    return NULL;
}

int64_t model_keep(const struct model *model)
{
    return model->keep;
}

size_t model_most_pages(const struct model *model)
{
    return model->longest / PAGE + 1;
}

int64_t model_first_failure(const struct model_job *job)
{
    return job->started + (job->ended - job->started) / job->failed;
}

void model_watcher_begins(struct model *model, int64_t t)
{
    model->watcher_began = t;
}

uint64_t model_neighbour_hurt(const struct model *model)
{
    return model->neighbour_hurt;
}

static enum job_status status_at(const struct model_job *job, int64_t t)
{
    if (t < job->started)
        return JOB_QUEUED;
    if (t < job->ended)
        return JOB_PROCESSING;
    return job->cancelled ? JOB_CANCELLED : JOB_COMPLETE;
}

static void add(struct model *model, const char *text)
{
    size_t len = strlen(text);
    if (model->body_len + len >= model->body_room) {
        model->body_room = (model->body_len + len + 1) * 2;
        model->body = realloc(model->body, model->body_room);
        if (!model->body)
            abort();
    }
    memcpy(model->body + model->body_len, text, len + 1);
    model->body_len += len;
}

static void add_number(struct model *model, const char *name, int64_t number)
{
    char text[24];
    char *p = text + sizeof text - 1;
    *p = '\0';
    do
        *--p = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    add(model, name);
    add(model, p);
}

static void print_job(struct model *model, struct model_job *job, int64_t t)
{
    enum job_status status = status_at(job, t);
    int64_t life = job->ended > job->started ? job->ended - job->started : 1;
    double part = t <= job->started ? 0 : t >= job->ended ? 1 : (double)(t - job->started) / (double)life;
    add(model, "{\"type\":\"catalog-category-bulk-delete-job\",\"id\":\"");
    add(model, job->id);
    add(model, "\",\"attributes\":{\"status\":\"");
    add(model, job_status_word(status));
    add(model, "\",\"created_at\":\"");
    add(model, job->created_text);
    add_number(model, "\",\"total_count\":", job->total);
    add_number(model, ",\"completed_count\":", (int64_t)((double)(job->total - job->failed) * part));
    add_number(model, ",\"failed_count\":", (int64_t)((double)job->failed * part));
    if (job_status_is_terminal(status)) {
        add(model, ",\"completed_at\":\"");
        add(model, job->ended_text);
        add(model, "\"");
    }
    add(model, "}}");
}

static void print_end(struct model *model, size_t next)
{
    if (next == 0) {
        add(model, "],\"links\":{\"next\":null}}");
        return;
    }
    add_number(model, "],\"links\":{\"next\":\"http://elsewhere.example/x?page%5Bcursor%5D=", (int64_t)next);
    add(model, "\"}}");
}

/* The next job of a list from place i on (newest first: from i - 1 down), which *ret_after is the place behind. */
static bool next_place(const struct model *model, size_t i, size_t *ret, size_t *ret_after)
{
    if (model->forward) {
        *ret = i > model->oldest ? i : model->oldest;
        *ret_after = *ret + 1;
        return *ret < model->n;
    }
    *ret = *ret_after = i - 1;
    return i > model->oldest;
}

/* A page's cursor is a place among all jobs that ever were, so that new ones do not move pages. */
static void print_all(struct model *model, size_t from, int64_t t)
{
    size_t i, after = from, shown = 0;
    while (next_place(model, after, &i, &after) && shown < PAGE) {
        if (shown++)
            add(model, ",");
        print_job(model, &model->jobs[i], t);
        from = after;
    }
    print_end(model, next_place(model, from, &i, &after) ? from : 0);
}

static void print_filtered(struct model *model, const char *filter, size_t from, int64_t t)
{
    bool forward = model->forward;
    size_t shown = 0, next = 0;
    for (size_t k = 0; k < model->n_active; k++) {
        size_t i = model->active[forward ? k : model->n_active - 1 - k];
        struct model_job *job = &model->jobs[i];
        if ((forward ? i < from : i >= from) || !strstr(filter, job_status_word(status_at(job, t))))
            continue;
        if (shown == PAGE) {
            next = forward ? i : i + 1;
            break;
        }
        if (shown++)
            add(model, ",");
        print_job(model, job, t);
    }
    print_end(model, next);
}

static int print_answer(struct model *model, const char *url, int64_t t)
{
    const char *cursor = strstr(url, "page%5Bcursor%5D="), *filter = strstr(url, "filter=");
    const char *path = strstr(url, "-jobs");
    model->body_len = 0;
    if (path && path[5] == '/') {
        struct model_job *job = model_find(model, path + 6);
        add(model, job ? "{\"data\":" : "{\"errors\":[{\"title\":\"Not found.\"}]");
        if (job)
            print_job(model, job, t);
        add(model, "}");
        return job ? 200 : 404;
    }
    model->forward = model->options.oldest_first && !strstr(url, "sort=");
    size_t first = model->forward ? 0 : model->n;
    size_t from = cursor ? strtoull(cursor + strlen("page%5Bcursor%5D="), NULL, 10) : first;
    from = from < model->n ? from : model->n;
    forget_past(model, t);
    add(model, "{\"data\":[");
    if (filter)
        print_filtered(model, filter, from, t);
    else
        print_all(model, from, t);
    return 200;
}

static bool is_out(const struct model *model, int64_t t)
{
    int64_t every = model->options.outage_every;
    return every > 0 && (t - model->began) % every > every - model->options.outage_length;
}

struct model_answer model_get(struct model *model, const char *url, int64_t t)
{
    struct model_answer none = {.limit = -1, .remaining = -1, .reset = -1, .retry_after = -1};
    model_advance(model, t);
    if (is_out(model, t))
        return none;
    enter_windows(model, t);
    if (model->in_minute >= model->options.steady || model->in_second >= model->options.burst) {
        none.status = 429;
        int64_t left =
            model->in_minute >= model->options.steady ? 60000 - (t + model->phase_minute) % 60000 : 1000;
        none.retry_after = (left + 999) / 1000 * 1000;
        return none;
    }
    model->in_minute++;
    model->in_second++;
    model->ours_in_minute++;
    struct model_answer answer = none;
    answer.status = 503;
    if (model_uniform(&model->random) >= model->options.error_rate) {
        answer.status = print_answer(model, url, t);
        answer.body = model->body;
        answer.len = model->body_len;
    }
    answer.limit = model->options.steady;
    answer.remaining = (int64_t)(model->options.steady - model->in_minute);
    answer.reset = (60000 - (t + model->phase_minute) % 60000 + 999) / 1000;
    return answer;
}
