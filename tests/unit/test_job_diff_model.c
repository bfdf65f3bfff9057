/*
 * job_diff against a deliberately simple model of its header, over random histories of observations, looks, ends of
 * sweeps and walks. The model keeps a short list, names what it says as text and has no marks in bits, no table and no
 * ticks; wherever the two differ, the history's seed and step are printed.
 *
 * JOB_DIFF_HISTORIES and JOB_DIFF_SEED say how many and which; `make model` runs millions.
 */
#include "unit.h"

#include "../../lib/job_diff.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_JOBS   4
#define MAX_STEPS  40
#define N_COUNTS   4
#define N_WORDS    6
#define TEXT_SIZE  4096
#define RETENTION  50000
#define STALLED    3000
#define FEW_IDS    3
#define START_WALL INT64_C(1700000000000)

static const char *const words[N_WORDS] = {"queued",    "processing", "complete",
                                           "cancelled", "paused",     "melted"};

/* ---- the model ---- */

enum { SAID_NEGATIVE, SAID_OVER, SAID_FELL, SAID_REVIVED, SAID_TURNED, N_SAID };
static const char *const anomaly_words[N_SAID] = {"negative", "over-total", "fell", "revived", "turned"};

struct model_job {
    bool here;
    char id[8];
    bool believed;
    const char *word;
    int64_t counts[N_COUNTS]; /* total, completed, failed, skipped */
    int64_t completed_at, expires_at;
    int64_t moved_at;
    int64_t gone_since; /* -1: listed */
    int64_t failures_told;
    bool said[N_SAID];
    int lives;
    bool stalled, expiring_said;
    int stall_tellings;
    bool confirm, left;
    bool seen_by_active, seen_by_full;
};

struct model {
    struct model_job jobs[MAX_JOBS];
    const struct alert_rules *rules;
    bool has_baseline;
    int64_t baseline_at, server_now, now;
    char said[TEXT_SIZE];
};

static bool is_active_word(const char *word)
{
    return strcmp(word, "queued") == 0 || strcmp(word, "processing") == 0;
}

static bool is_final_word(const char *word)
{
    return strcmp(word, "complete") == 0 || strcmp(word, "cancelled") == 0;
}

static int64_t or_zero(int64_t count)
{
    return count == COUNT_NONE ? 0 : count;
}

static void say(char *out, const char *id, const char *kind, const char *distinct, const char *extra)
{
    size_t used = strlen(out);
    snprintf(out + used, TEXT_SIZE - used, "%s %s [%s]%s; ", id, kind, distinct, extra);
}

static void model_say(struct model *model, const struct model_job *job, const char *kind,
                      const char *distinct, const char *extra)
{
    char all[160] = "";
    if (job->lives > 1)
        snprintf(all, sizeof all, "life=%d%s", job->lives, distinct[0] ? " " : "");
    snprintf(all + strlen(all), sizeof all - strlen(all), "%s", distinct);
    say(model->said, job->id, kind, all, extra);
}

static void find_state_anomalies(const int64_t counts[N_COUNTS], bool found[N_SAID])
{
    double sum = 0;
    for (int i = 0; i < N_COUNTS; i++) {
        if (counts[i] != COUNT_NONE && counts[i] < 0)
            found[SAID_NEGATIVE] = true;
        if (i > 0)
            sum += (double)or_zero(counts[i]);
    }
    if (!found[SAID_NEGATIVE] && counts[0] != COUNT_NONE && sum > (double)counts[0])
        found[SAID_OVER] = true;
}

static void find_step_anomalies(const struct model_job *job, const char *word, const int64_t counts[N_COUNTS],
                                bool found[N_SAID])
{
    for (int i = 0; i < N_COUNTS; i++)
        if (job->counts[i] != COUNT_NONE && counts[i] != COUNT_NONE && counts[i] < job->counts[i])
            found[SAID_FELL] = true;
    if (is_final_word(job->word) && strcmp(job->word, word) != 0)
        found[is_final_word(word) ? SAID_TURNED : SAID_REVIVED] = true;
}

/* What a list may not be believed about: going back, or a strange state that was not told yet. */
static bool model_doubts(const struct model_job *job, const char *word, const int64_t counts[N_COUNTS])
{
    bool step[N_SAID] = {false}, state[N_SAID] = {false};
    find_step_anomalies(job, word, counts, step);
    find_state_anomalies(counts, state);
    for (int i = 0; i < N_SAID; i++)
        if (step[i] || (state[i] && !job->said[i]))
            return true;
    return strcmp(job->word, "processing") == 0 && strcmp(word, "queued") == 0;
}

static bool model_expiring(const struct model *model, int64_t expires_at)
{
    return expires_at != INT64_MIN && expires_at > model->server_now &&
           expires_at <= model->server_now + model->rules->expiring_before;
}

/* Copies what is there; true when the status or a count moved. */
static bool model_copy(struct model_job *job, const struct job *seen, const int64_t counts[N_COUNTS])
{
    bool moved = strcmp(job->word, seen->status_word) != 0;
    job->word = seen->status_word;
    for (int i = 0; i < N_COUNTS; i++) {
        if (counts[i] != COUNT_NONE && counts[i] != job->counts[i]) {
            job->counts[i] = counts[i];
            moved = true;
        }
    }
    if (!wall_is_none(seen->completed_at))
        job->completed_at = seen->completed_at.ms;
    if (!wall_is_none(seen->expires_at))
        job->expires_at = seen->expires_at.ms;
    return moved;
}

static bool failures_are_news(const struct model *model, const struct model_job *job)
{
    int64_t failed = or_zero(job->counts[2]), told = job->failures_told > 0 ? job->failures_told : 0;
    if (failed <= told)
        return false;
    if (model->rules->failure_step > 0 && told > 0)
        return failed / model->rules->failure_step != told / model->rules->failure_step;
    return told == 0 || failed >= 2 * told;
}

static void model_say_failures(struct model *model, struct model_job *job, const char *kind)
{
    char distinct[64];
    snprintf(distinct, sizeof distinct, "failed=%" PRId64, job->counts[2]);
    bool many = strcmp(kind, "job.failures_growing") == 0 && job->counts[0] > 0 &&
                (double)job->counts[2] / (double)job->counts[0] >= model->rules->failure_ratio;
    model_say(model, job, kind, distinct, many ? " err wants" : " warning wants");
    job->failures_told = job->counts[2];
}

static void model_say_progress(struct model *model, struct model_job *job, const char *was, bool was_believed)
{
    bool entered = !was_believed || strcmp(was, job->word) != 0;
    int64_t failed = or_zero(job->counts[2]);
    char distinct[96];
    if (strcmp(job->word, "processing") == 0) {
        if (was_believed && strcmp(was, "queued") == 0)
            model_say(model, job, "job.started", "", " info");
        if (failures_are_news(model, job))
            model_say_failures(model, job, "job.failures_growing");
    } else if (strcmp(job->word, "complete") == 0) {
        if (failed > 0 && (entered || failed > job->failures_told))
            model_say_failures(model, job, "job.completed_with_failures");
        else if (entered)
            model_say(model, job, "job.completed", "", " notice");
    } else if (strcmp(job->word, "cancelled") == 0) {
        if (entered)
            model_say(model, job, "job.cancelled", "", " warning");
    } else if (strcmp(job->word, "queued") != 0 && entered) {
        snprintf(distinct, sizeof distinct, "status=%s", job->word);
        model_say(model, job, "job.anomaly", distinct, " warning");
    }
}

static void model_believe(struct model *model, struct model_job *job, const struct job *seen,
                          const int64_t counts[N_COUNTS])
{
    bool found[N_SAID] = {false}, was_believed = job->believed;
    const char *was = job->word;
    int64_t moved_before = job->moved_at, completed = job->counts[1], failed = job->counts[2];
    char distinct[96], extra[96];
    find_step_anomalies(job, seen->status_word, counts, found);
    find_state_anomalies(counts, found);
    bool moved = model_copy(job, seen, counts);
    if (moved || !job->believed)
        job->moved_at = model->now;
    if (found[SAID_REVIVED])
        job->lives++;
    if (job->stalled && moved) {
        job->stalled = false;
        job->stall_tellings = 0;
        snprintf(distinct, sizeof distinct, "from=%" PRId64 "/%" PRId64, completed, failed);
        snprintf(extra, sizeof extra, " notice after=%" PRId64, model->now - moved_before);
        if (is_active_word(job->word))
            model_say(model, job, "job.resumed", distinct, extra);
    }
    model_say_progress(model, job, was, was_believed);
    for (int i = 0; i < N_SAID; i++) {
        if (found[i] && !job->said[i])
            model_say(model, job, "job.anomaly", anomaly_words[i], " warning");
        job->said[i] |= found[i];
    }
    job->believed = true;
}

static struct model_job *model_find(struct model *model, const char *id)
{
    for (int i = 0; i < MAX_JOBS; i++)
        if (model->jobs[i].here && strcmp(model->jobs[i].id, id) == 0)
            return &model->jobs[i];
    return NULL;
}

static struct model_job *model_add(struct model *model, const char *id)
{
    struct model_job *job = model->jobs;
    while (job->here)
        job++;
    *job = (struct model_job){
        .here = true,
        .word = "queued",
        .counts = {COUNT_NONE, COUNT_NONE, COUNT_NONE, COUNT_NONE},
        .completed_at = INT64_MIN,
        .expires_at = INT64_MIN,
        .moved_at = model->now,
        .gone_since = -1,
        .lives = 1,
    };
    snprintf(job->id, sizeof job->id, "%s", id);
    return job;
}

static void model_take_in_silence(struct model *model, struct model_job *job, const struct job *seen,
                                  const int64_t counts[N_COUNTS])
{
    model_copy(job, seen, counts);
    find_state_anomalies(counts, job->said);
    job->failures_told = or_zero(job->counts[2]);
    job->moved_at = model->now;
    job->expiring_said = model_expiring(model, job->expires_at);
    job->believed = true;
}

static void model_observe(struct model *model, const struct job *seen, bool is_list)
{
    const int64_t counts[N_COUNTS] = {seen->counts.total, seen->counts.completed, seen->counts.failed,
                                      seen->counts.skipped};
    struct model_job *job = model_find(model, seen->id);
    bool is_new = !job;
    if (is_new)
        job = model_add(model, seen->id);
    bool over_before = is_final_word(seen->status_word) && !wall_is_none(seen->completed_at) &&
                       seen->completed_at.ms < model->baseline_at;
    job->seen_by_active = job->seen_by_full = true;
    job->gone_since = -1;
    job->left = false;
    if (is_new && (!model->has_baseline || over_before)) {
        model_take_in_silence(model, job, seen, counts);
        return;
    }
    if (is_new && model->rules->job_created)
        model_say(model, job, "job.created", "", " info");
    if (is_list && model_doubts(job, seen->status_word, counts)) {
        job->confirm = true;
        return;
    }
    model_believe(model, job, seen, counts);
    if (!is_list)
        job->confirm = false;
}

static void model_not_found(struct model *model, const char *id)
{
    struct model_job *job = model_find(model, id);
    if (!job)
        return;
    if (job->left && !is_final_word(job->word)) {
        model_say(model, job, "job.vanished", "", " err");
        job->here = false;
    }
    job->left = job->confirm = false;
}

static void model_active_end(struct model *model)
{
    for (struct model_job *job = model->jobs; job < model->jobs + MAX_JOBS; job++)
        if (job->here && is_active_word(job->word) && !job->seen_by_active)
            job->left = true;
}

static void model_full_end(struct model *model)
{
    for (struct model_job *job = model->jobs; job < model->jobs + MAX_JOBS; job++) {
        if (!job->here || job->seen_by_full)
            continue;
        if (is_active_word(job->word))
            job->left = true;
        else if (job->gone_since < 0)
            job->gone_since = model->now;
    }
}

static void model_stalled(struct model *model)
{
    char distinct[96], extra[96];
    for (struct model_job *job = model->jobs; job < model->jobs + MAX_JOBS; job++) {
        int64_t still = model->now - job->moved_at;
        if (!job->here || !is_active_word(job->word) || !job->seen_by_active || job->left || job->confirm ||
            still < model->rules->stalled_after)
            continue;
        int due = 1;
        if (model->rules->remind_every > 0)
            due += (int)((still - model->rules->stalled_after) / model->rules->remind_every);
        if (due <= job->stall_tellings)
            continue;
        job->stalled = true;
        job->stall_tellings = due;
        snprintf(distinct, sizeof distinct, "at=%" PRId64 "/%" PRId64 " n=%d", job->counts[1], job->counts[2],
                 due);
        snprintf(extra, sizeof extra, " err after=%" PRId64 "%s", still, due > 1 ? " again" : "");
        model_say(model, job, "job.stalled", distinct, extra);
    }
}

static void model_expiring_walk(struct model *model)
{
    char distinct[64];
    for (struct model_job *job = model->jobs; job < model->jobs + MAX_JOBS; job++) {
        if (!job->here || !job->believed || job->expiring_said || !is_final_word(job->word) ||
            or_zero(job->counts[2]) <= 0 || job->gone_since >= 0 || !model_expiring(model, job->expires_at))
            continue;
        job->expiring_said = true;
        snprintf(distinct, sizeof distinct, "expires=%" PRId64, job->expires_at);
        model_say(model, job, "job.expiring", distinct, " notice");
    }
}

static void model_forget(struct model *model)
{
    for (struct model_job *job = model->jobs; job < model->jobs + MAX_JOBS; job++)
        if (job->here && job->gone_since >= 0 && model->now - job->gone_since > RETENTION)
            job->here = false;
}

/* ---- the real one, with its words as text ---- */

struct real {
    struct job_table *table;
    struct diff_context context;
    uint32_t active_tick, full_tick;
    char said[TEXT_SIZE];
};

static void real_say(struct real *real, const char *id, const struct change *change)
{
    char extra[96];
    snprintf(extra, sizeof extra, " %s%s", priority_word(change->priority),
             change->wants_errors ? " wants" : "");
    if (change->figure)
        snprintf(extra + strlen(extra), sizeof extra - strlen(extra), " after=%" PRId64, change->figure);
    if (change->reminder)
        snprintf(extra + strlen(extra), sizeof extra - strlen(extra), " again");
    assert_true((change->note[0] != '\0') == (change->kind == EVENT_JOB_ANOMALY));
    say(real->said, id, event_types[change->kind].name, change->distinct, extra);
}

static void real_observe(struct real *real, const struct job *seen, bool is_list)
{
    struct diff diff;
    real->context.source = is_list ? SOURCE_LIST : SOURCE_LOOK;
    assert_true(job_diff(real->table, seen, &real->context, &diff));
    assert_true(diff.n <= DIFF_MAX_CHANGES && job_table_find(real->table, seen->id) == diff.job);
    for (size_t i = 0; i < diff.n; i++)
        real_say(real, seen->id, &diff.changes[i]);
}

static void real_not_found(struct real *real, const char *id)
{
    struct change change;
    struct known_job *job = job_table_find(real->table, id);
    if (job && job_diff_not_found(job, &change)) {
        real_say(real, id, &change);
        job_table_remove(real->table, job);
    }
}

static void real_stalled(struct real *real)
{
    size_t cursor = 0;
    struct change change;
    for (struct known_job *job; (job = job_diff_stalled(real->table, real->active_tick, real->context.rules,
                                                        real->context.now, &cursor, &change)) != NULL;)
        real_say(real, job->id, &change);
}

static void real_expiring(struct real *real)
{
    size_t cursor = 0;
    struct change change;
    for (struct known_job *job;
         (job = job_diff_expiring(real->table, real->context.rules, real->context.server_now, &cursor,
                                  &change)) != NULL;)
        real_say(real, job->id, &change);
}

static void real_forget(struct real *real)
{
    size_t cursor = 0;
    for (struct known_job *job;
         (job = job_diff_gone(real->table, real->context.now, RETENTION, &cursor)) != NULL;) {
        job_table_remove(real->table, job);
        cursor = 0;
    }
}

/* ---- histories ---- */

static uint64_t chance_state;

/* splitmix64: every seed is a good one. */
static uint64_t chance(uint64_t below)
{
    uint64_t z = chance_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

static int64_t random_count(int64_t usual)
{
    switch (chance(16)) {
    case 0:
        return COUNT_NONE;
    case 1:
        return -(int64_t)chance(3);
    default:
        return (int64_t)chance((uint64_t)usual + 1);
    }
}

/* A job as a server might show it: mostly sane, since from chance alone no life would ever look like one. */
static struct job random_job(const char *id, const struct model *model)
{
    const struct model_job *known = NULL;
    for (int i = 0; i < MAX_JOBS; i++)
        if (model->jobs[i].here && strcmp(model->jobs[i].id, id) == 0)
            known = &model->jobs[i];
    bool goes_on = known && known->believed && chance(4) > 0;
    const char *word =
        goes_on && chance(3) > 0 ? known->word : words[chance(8) == 0 ? chance(N_WORDS) : chance(4)];
    struct job job = {
        .id = id,
        .status = job_status_from_word(word),
        .status_word = word,
        .counts = {20, random_count(8), random_count(8), COUNT_NONE},
        .created_at = {START_WALL},
        .completed_at = WALL_NONE,
        .expires_at = WALL_NONE,
    };
    if (goes_on) {
        job.counts =
            (struct job_counts){known->counts[0], known->counts[1], known->counts[2], known->counts[3]};
        int64_t *moves = chance(2) ? &job.counts.completed : &job.counts.failed;
        if (chance(2))
            *moves = or_zero(*moves) + (int64_t)chance(4);
    }
    if (chance(8) == 0)
        job.counts.total = random_count(20);
    if (chance(8) == 0)
        job.counts.skipped = random_count(3);
    if (chance(2) && is_final_word(word))
        job.completed_at.ms = model->baseline_at - 2000 + (int64_t)chance(4000);
    if (chance(2))
        job.expires_at.ms = model->server_now - 5000 + (int64_t)chance(20000);
    return job;
}

static void random_step(struct model *model, struct real *real)
{
    static const char *const ids[FEW_IDS] = {"A", "B", "C"};
    const char *id = ids[chance(FEW_IDS)];
    uint64_t what = chance(20);
    if (what < 12) {
        struct job seen = random_job(id, model);
        model_observe(model, &seen, what < 9);
        real_observe(real, &seen, what < 9);
    } else if (what == 12) {
        model_not_found(model, id);
        real_not_found(real, id);
    } else if (what == 13) {
        model_active_end(model);
        job_diff_active_end(real->table, real->active_tick);
    } else if (what == 14) {
        model_full_end(model);
        job_diff_full_end(real->table, real->full_tick, real->context.now);
    } else if (what == 15) {
        model_stalled(model);
        real_stalled(real);
    } else if (what == 16) {
        model_expiring_walk(model);
        real_expiring(real);
    } else if (what == 17) {
        model_forget(model);
        real_forget(real);
    } else if (what == 18) {
        real->active_tick = job_table_new_tick(real->table);
        for (int i = 0; i < MAX_JOBS; i++)
            model->jobs[i].seen_by_active = false;
    } else {
        real->full_tick = job_table_new_tick(real->table);
        for (int i = 0; i < MAX_JOBS; i++)
            model->jobs[i].seen_by_full = false;
    }
}

/* The model walks its list, the table its hash: what one walk says has no order. */
static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_sentences(char *text)
{
    char *parts[MAX_JOBS * DIFF_MAX_CHANGES], copy[TEXT_SIZE], *place;
    size_t n = 0;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *part = strtok_r(copy, ";", &place); part && n < MAX_JOBS * DIFF_MAX_CHANGES;
         part = strtok_r(NULL, ";", &place))
        parts[n++] = part + strspn(part, " ");
    qsort(parts, n, sizeof *parts, compare_texts);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        snprintf(text + strlen(text), TEXT_SIZE - strlen(text), "%s;", parts[i]);
}

static void same_record(const struct model_job *model, const struct known_job *real)
{
    const int64_t counts[N_COUNTS] = {real->counts.total, real->counts.completed, real->counts.failed,
                                      real->counts.skipped};
    assert_memory_equal(counts, model->counts, sizeof counts);
    assert_string_equal(known_status_word(real), model->word);
    assert_int_equal(real->completed_at.ms, model->completed_at);
    assert_int_equal(real->expires_at.ms, model->expires_at);
    assert_int_equal(real->gone_at.ms, model->gone_since < 0 ? INT64_MAX : model->gone_since);
    assert_int_equal(real->moved_at.ms, model->moved_at);
    assert_int_equal(!!(real->look & LOOK_CONFIRM), model->confirm);
    assert_int_equal(!!(real->look & LOOK_LEFT), model->left);
}

static void same_state(const struct model *model, const struct real *real)
{
    size_t n = 0, active = 0;
    for (int i = 0; i < MAX_JOBS; i++) {
        if (!model->jobs[i].here)
            continue;
        const struct known_job *job = job_table_find(real->table, model->jobs[i].id);
        assert_non_null(job);
        same_record(&model->jobs[i], job);
        n++;
        active += is_active_word(model->jobs[i].word);
    }
    assert_int_equal(job_table_count(real->table), n);
    assert_int_equal(job_table_active_count(real->table), active);
}

/* One history; returns how many sentences were said. */
static size_t history(uint64_t seed)
{
    struct alert_rules rules = alert_rules_default;
    chance_state = seed;
    rules.stalled_after = STALLED;
    rules.remind_every = chance(2) ? 5000 : 0;
    rules.expiring_before = 10000;
    rules.failure_step = chance(2) ? 3 : 0;
    rules.job_created = chance(2);
    struct model model = {
        .rules = &rules, .has_baseline = chance(4) > 0, .baseline_at = START_WALL, .now = 1000};
    struct real real = {.table = job_table_new(seed)};
    assert_non_null(real.table);
    real.active_tick = real.full_tick = job_table_new_tick(real.table);
    size_t sentences = 0, steps = 1 + chance(MAX_STEPS);
    for (size_t step = 0; step < steps; step++) {
        model.now += 1 + (int64_t)chance(chance(8) == 0 ? 60000 : 2000);
        model.server_now = START_WALL + model.now;
        model.has_baseline |= chance(8) == 0;
        real.context = (struct diff_context){.rules = &rules,
                                             .has_baseline = model.has_baseline,
                                             .baseline_at = {model.baseline_at},
                                             .server_now = {model.server_now},
                                             .now = {model.now}};
        model.said[0] = real.said[0] = '\0';
        random_step(&model, &real);
        sort_sentences(model.said);
        sort_sentences(real.said);
        if (strcmp(model.said, real.said) != 0)
            fail_msg("seed %" PRIu64 ", step %zu: the model says \"%s\", job_diff \"%s\"", seed, step,
                     model.said, real.said);
        same_state(&model, &real);
        for (const char *c = real.said; *c; c++)
            sentences += *c == ';';
    }
    job_table_free(real.table);
    return sentences;
}

static uint64_t number_from(const char *name, uint64_t usual)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : usual;
}

static void test_histories(void **state)
{
    (void)state;
    uint64_t n = number_from("JOB_DIFF_HISTORIES", 20000), first = number_from("JOB_DIFF_SEED", 1),
             sentences = 0;
    for (uint64_t i = 0; i < n; i++)
        sentences += history(first + i);
    printf("%" PRIu64 " histories from seed %" PRIu64 ", %" PRIu64 " changes told alike\n", n, first,
           sentences);
    assert_true(sentences > n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
