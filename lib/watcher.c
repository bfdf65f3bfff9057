#include "watcher_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A 2xx that is no list of jobs is told when it came this often in a row: a proxy's page once is no news. */
#define ODD_ANSWERS_TOLD 3
/* How often a sweep begins anew because its cursor had expired. */
#define MAX_RESTARTS 3
/* A sweep that could not go on for this many of its intervals begins anew. */
#define STALE_AFTER_INTERVALS 3

struct watcher *watcher_new(const struct watcher_options *options, mono_time now)
{
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher)
        return NULL;
    watcher->options = *options;
    watcher->table = job_table_new(options->seed);
    watcher->budget = budget_new(&options->limits);
    if (!watcher->table || !watcher->budget) {
        watcher_free(watcher);
        return NULL;
    }
    plan_init(&watcher->plan, &options->plan, now, options->phase);
    watcher->state.baseline_at = watcher->state.last_good = watcher->head_newest = WALL_NONE;
    watcher->active_over = watcher->throttled = now;
    return watcher;
}

void watcher_free(struct watcher *watcher)
{
    if (!watcher)
        return;
    sweep_end(&watcher->active);
    sweep_end(&watcher->head);
    sweep_end(&watcher->full);
    for (size_t i = 0; i < WATCHER_SLOTS; i++)
        free(watcher->slots[i].job_id);
    id_queue_finish(&watcher->looks);
    job_table_free(watcher->table);
    budget_free(watcher->budget);
    free(watcher);
}

bool watcher_set_options(struct watcher *watcher, const struct watcher_options *options, mono_time now)
{
    if (!budget_set_limits(watcher->budget, &options->limits))
        return false;
    watcher->options = *options;
    plan_set_rules(&watcher->plan, &options->plan, now);
    return true;
}

const char *watcher_family(const struct watcher *watcher)
{
    return watcher->options.family->type;
}

struct job_table *watcher_table(struct watcher *watcher)
{
    return watcher->table;
}

struct budget *watcher_budget(struct watcher *watcher)
{
    return watcher->budget;
}

void watcher_restore(struct watcher *watcher, const struct watcher_state *state)
{
    watcher->state = *state;
}

struct condition *watcher_condition(struct watcher *watcher, enum watch_condition which)
{
    return &watcher->conditions[which];
}

bool watcher_want_errors(struct watcher *watcher, const char *job_id)
{
    struct known_job *job = job_table_find(watcher->table, job_id);
    if (!job)
        return true;
    job->look |= LOOK_ERRORS;
    return watcher_queue_look(watcher, job);
}

const struct watcher_state *watcher_state(const struct watcher *watcher)
{
    return &watcher->state;
}

bool watcher_state_changed(struct watcher *watcher)
{
    bool changed = watcher->state_changed;
    watcher->state_changed = false;
    return changed;
}

static bool is_in_flight(const struct watcher *watcher, enum slot_use use)
{
    for (size_t i = 0; i < WATCHER_SLOTS; i++) {
        if (watcher->slots[i].use == use)
            return true;
    }
    return false;
}

static enum plan_chain_state chain_state(const struct watcher *watcher, const struct sweep *sweep,
                                         enum slot_use use)
{
    if (is_in_flight(watcher, use))
        return CHAIN_WAITING;
    return sweep->running ? CHAIN_READY : CHAIN_IDLE;
}

static struct plan_view plan_view(const struct watcher *watcher, mono_time now)
{
    uint32_t reserve =
        plan_reserve(&watcher->plan, watcher->active_pages, budget_usage(watcher->budget, now).steady_now);
    struct plan_view view = {
        .budget_at = budget_when(watcher->budget, now),
        .budget_head_at = budget_when_reserving(watcher->budget, watcher->active_pages + PLAN_MAX_LOOKS, now),
        .budget_full_at = budget_when_reserving(watcher->budget, reserve, now),
        .active = chain_state(watcher, &watcher->active, SLOT_ACTIVE),
        .head = chain_state(watcher, &watcher->head, SLOT_HEAD),
        .full = chain_state(watcher, &watcher->full, SLOT_FULL),
        .looks = watcher->looks.n,
        .looks_left = watcher->looks_left,
        .looks_errors = watcher->looks_errors,
        .looks_head = watcher->looks_head,
        .head_pages_left = watcher->head_depth,
        .behind = watcher->behind,
        .walks = watcher->walking,
        .first_full = !watcher->state.has_baseline,
        .full_pages_left = watcher->state.full_pages,
    };
    /* A share that is always used up is used up at the same seconds of each minute, and the news of the others wait
     * until then; spread evenly they do not. */
    if (watcher->behind) {
        mono_time evenly = budget_evenly(watcher->budget, now);
        view.budget_at = mono_max(view.budget_at, evenly);
        view.budget_full_at = mono_max(view.budget_full_at, evenly);
    }
    for (size_t i = 0; i < WATCHER_SLOTS; i++)
        view.looks_in_flight += watcher->slots[i].use == SLOT_LOOK;
    if (watcher->full.running && view.full_pages_left > 0)
        view.full_pages_left =
            view.full_pages_left > watcher->full.pages ? view.full_pages_left - watcher->full.pages : 1;
    return view;
}

static struct sweep *sweep_of(struct watcher *watcher, enum slot_use use)
{
    switch (use) {
    case SLOT_ACTIVE:
        return &watcher->active;
    case SLOT_HEAD:
        return &watcher->head;
    case SLOT_FULL:
        return &watcher->full;
    case SLOT_FREE:
    case SLOT_LOOK:
        break;
    }
    return NULL;
}

static char *next_page_url(struct watcher *watcher, enum slot_use use, enum sweep_kind kind, mono_time now)
{
    const struct watcher_options *options = &watcher->options;
    struct sweep *sweep = sweep_of(watcher, use);
    if (!sweep->running)
        sweep_begin(sweep, kind, options->family->has_any, job_table_new_tick(watcher->table), now);
    return request_list_url(&options->base, options->family, kind, sweep->list, sweep->cursor);
}

static struct slot *free_slot(struct watcher *watcher)
{
    for (size_t i = 0; i < WATCHER_SLOTS; i++) {
        if (watcher->slots[i].use == SLOT_FREE)
            return &watcher->slots[i];
    }
    return NULL;
}

/* Fill a slot and return the URL for the action; NULL when there is nothing to do after all, or no memory. */
static char *begin_request(struct watcher *watcher, enum plan_action action, enum plan_way way,
                           struct slot *slot, mono_time now)
{
    char *url = NULL;
    switch (action) {
    case PLAN_WAIT:
        break;
    case PLAN_ACTIVE:
        slot->use = SLOT_ACTIVE;
        url = next_page_url(watcher, SLOT_ACTIVE, SWEEP_ACTIVE, now);
        break;
    case PLAN_HEAD:
        slot->use = SLOT_HEAD;
        url = next_page_url(watcher, SLOT_HEAD, SWEEP_HEAD, now);
        break;
    case PLAN_FULL:
        slot->use = SLOT_FULL;
        url = next_page_url(watcher, SLOT_FULL, SWEEP_FULL, now);
        break;
    case PLAN_LOOK:
        slot->job_id = watcher_pop_look(watcher, way, now);
        if (!slot->job_id)
            break;
        slot->use = SLOT_LOOK;
        url = request_job_url(&watcher->options.base, watcher->options.family, slot->job_id);
        break;
    }
    return url;
}

/* Empty the slot; a look that was not answered goes back into the queue. */
static bool release_slot(struct watcher *watcher, struct slot *slot, bool answered)
{
    struct known_job *job = slot->job_id ? job_table_find(watcher->table, slot->job_id) : NULL;
    free(slot->job_id);
    *slot = (struct slot){0};
    return answered || !job || watcher_queue_look(watcher, job);
}

bool watcher_next(struct watcher *watcher, mono_time now, struct watcher_request *ret, mono_time *ret_at)
{
    for (;;) {
        struct plan_view view = plan_view(watcher, now);
        struct plan_step step = plan_next(&watcher->plan, &view, now);
        struct slot *slot = free_slot(watcher);
        if (step.action == PLAN_WAIT || !slot) {
            watcher->starved |= step.starved;
            *ret_at = step.action == PLAN_WAIT ? step.at : MONO_NEVER;
            return false;
        }
        char *url = begin_request(watcher, step.action, plan_way(&view), slot, now);
        slot->sent = now;
        if (slot->use == SLOT_FREE)
            continue; /* what was queued for a look has settled itself */
        if (!url) {
            release_slot(watcher, slot, false);
            *ret_at = mono_add(now, 1000);
            return false;
        }
        budget_spend(watcher->budget, now);
        plan_sent(&watcher->plan, &view, step.action, now);
        watcher->requests++;
        *ret = (struct watcher_request){.slot = (unsigned)(slot - watcher->slots), .url = url};
        return true;
    }
}

void watcher_drop(struct watcher *watcher, unsigned slot, mono_time now)
{
    budget_done(watcher->budget, now, 0, NULL);
    release_slot(watcher, &watcher->slots[slot], false);
}

static void set_trouble(struct watcher *watcher, enum trouble trouble, const char *error, mono_time now)
{
    if (watcher->trouble != trouble)
        watcher->trouble_since = now;
    watcher->trouble = trouble;
    snprintf(watcher->last_error, sizeof watcher->last_error, "%s", error);
}

/* An answer that makes the API count as there. */
static void note_good(struct watcher *watcher)
{
    watcher->trouble = TROUBLE_NONE;
    watcher->odd_answers = 0;
    watcher->last_error[0] = '\0';
    plan_good(&watcher->plan);
}

/* "HTTP 503: title: detail", or what the transport said. */
static void describe(const struct watcher_answer *answer, char *out, size_t size)
{
    char text[PAGE_WHY_SIZE];
    if (answer->status == 0 || answer->too_large) {
        snprintf(out, size, "%s", answer->error[0] ? answer->error : "no answer");
        return;
    }
    api_error_text(answer->body, answer->body_len, text, sizeof text);
    snprintf(out, size, "HTTP %d%s%s", answer->status, text[0] ? ": " : "", text);
}

/* A sweep that stood still too long is not one picture any more: begin it anew. */
static bool drop_stale_sweep(struct dealing *dealing, struct sweep *sweep)
{
    const struct plan_rules *rules = &dealing->watcher->plan.rules;
    int64_t interval = sweep->kind == SWEEP_FULL ? rules->full_sweep_interval : rules->interval;
    /* A scarce budget stretches it; that is no standstill. */
    interval = dealing->watcher->period > interval ? dealing->watcher->period : interval;
    if (rules->once || mono_diff(dealing->now.mono, sweep->moved) / STALE_AFTER_INTERVALS <= interval)
        return true;
    return watcher_break(dealing, sweep);
}

static bool fail(struct dealing *dealing, struct sweep *sweep, enum trouble trouble, const char *error)
{
    struct watcher *watcher = dealing->watcher;
    set_trouble(watcher, trouble, error, dealing->now.mono);
    bool slow = trouble != TROUBLE_AWAY;
    plan_failed(&watcher->plan, dealing->now.mono, slow, dealing->random);
    return !sweep || drop_stale_sweep(dealing, sweep);
}

/* An answer that is none of the API's: maybe a proxy's page, maybe a schema that changed. */
static bool odd(struct dealing *dealing, struct sweep *sweep, const char *what, bool at_once)
{
    struct watcher *watcher = dealing->watcher;
    watcher->odd_answers++;
    if (!fail(dealing, sweep, TROUBLE_AWAY, what))
        return false;
    if (!at_once && watcher->odd_answers < ODD_ANSWERS_TOLD)
        return true;
    return watcher_hold_condition(dealing, WATCH_SCHEMA, dealing->now.mono, what, 0, 0);
}

/* A 400 or 404 for a list: an expired cursor is begun anew, anything else is a mistake of ours that needs a
 * person. */
static bool refused_list(struct dealing *dealing, struct sweep *sweep, const char *error)
{
    struct watcher *watcher = dealing->watcher;
    if (sweep->cursor && sweep->restarts < MAX_RESTARTS) {
        uint32_t restarts = sweep->restarts + 1;
        note_good(watcher);
        sweep_begin(sweep, sweep->kind, watcher->options.family->has_any, job_table_new_tick(watcher->table),
                    dealing->now.mono);
        sweep->restarts = restarts;
        return true;
    }
    plan_failed(&watcher->plan, dealing->now.mono, true, dealing->random);
    return odd(dealing, sweep, error, true) && watcher_break(dealing, sweep);
}

static bool errors_have_come(struct dealing *dealing, const struct known_job *record, const struct job *job)
{
    const struct watcher_options *options = &dealing->watcher->options;
    struct job none = {.id = record->id, .status_word = "", .counts = record->counts};
    struct event *carrier = event_new(EVENT_JOB_FAILURES_GROWING, dealing->now.wall, options->account,
                                      options->family->type, job ? job : &none, "");
    return batch_add(dealing->batch, BATCH_ERRORS, carrier, false);
}

/* Nobody waits any more for what a look of this job was to bring. */
static bool settle_errors(struct dealing *dealing, struct known_job *record, const struct job *job)
{
    if (!(record->look & LOOK_ERRORS))
        return true;
    record->look &= (uint8_t)~LOOK_ERRORS;
    return errors_have_come(dealing, record, job);
}

static bool look_found_nothing(struct dealing *dealing, struct known_job *record)
{
    struct watcher *watcher = dealing->watcher;
    struct change change;
    if (!settle_errors(dealing, record, NULL))
        return false;
    if (!job_diff_not_found(record, &change))
        return true;
    bool fine = watcher_tell_change(dealing, record, &change, NULL, NULL) &&
                batch_add_job(dealing->batch, record->id);
    job_table_remove(watcher->table, record);
    return fine;
}

static bool look_found(struct dealing *dealing, struct known_job *record, const struct page *page)
{
    const struct job *job = page->n_jobs == 1 ? &page->jobs[0] : NULL;
    if (!job || strcmp(job->id, record->id) != 0) {
        const char *why = page->why[0] ? page->why : "asked for one job, the answer is about another";
        record->look &= LOOK_QUEUED | LOOK_ERRORS;
        return settle_errors(dealing, record, NULL) &&
               watcher_hold_condition(dealing, WATCH_SCHEMA, dealing->now.mono, why, 0, 0);
    }
    if (!settle_errors(dealing, record, job))
        return false;
    /* Answers overtake each other: what was asked before the job last moved may be older than what is known, as a list may be. */
    enum source source = record->moved_at.ms < dealing->sent.ms ? SOURCE_LOOK : SOURCE_LIST;
    return watcher_apply_job(dealing, job, source, NULL) && watcher_check_throttled(dealing);
}

/* 200: decode and go on. */
static bool good_status(struct dealing *dealing, struct sweep *sweep, struct known_job *record)
{
    const struct watcher_answer *answer = dealing->answer;
    const char *type = dealing->watcher->options.family->type;
    struct page page;
    const struct known_page *known = sweep ? watcher_known_page(dealing, sweep) : NULL;
    if (known) {
        sweep->moved = dealing->now.mono;
        note_good(dealing->watcher);
        return watcher_same_page(dealing, sweep, known);
    }
    enum page_result result = sweep ? page_decode_list(answer->body, answer->body_len, type, &page)
                                    : page_decode_one(answer->body, answer->body_len, type, &page);
    if (result == PAGE_NO_MEMORY)
        return false;
    if (result != PAGE_OK) {
        char what[CONDITION_NOTE];
        snprintf(what, sizeof what, "HTTP 200, but not a list of jobs: %.200s", page.why);
        return odd(dealing, sweep, what, false);
    }
    note_good(dealing->watcher);
    if (sweep)
        sweep->moved = dealing->now.mono;
    bool fine = sweep ? watcher_page(dealing, sweep, &page) : !record || look_found(dealing, record, &page);
    page_finish(&page);
    return fine;
}

static bool client_error(struct dealing *dealing, struct sweep *sweep, struct known_job *record,
                         const char *error)
{
    switch (dealing->answer->status) {
    case 401:
        return fail(dealing, sweep, TROUBLE_UNAUTHORIZED, error);
    case 403:
        return fail(dealing, sweep, TROUBLE_FORBIDDEN, error);
    case 404:
        if (!sweep) {
            note_good(dealing->watcher);
            return !record || look_found_nothing(dealing, record);
        }
        return refused_list(dealing, sweep, error);
    case 400:
        if (sweep)
            return refused_list(dealing, sweep, error);
        break;
    case 408:
        return fail(dealing, sweep, TROUBLE_AWAY, error);
    default:
        break;
    }
    return odd(dealing, sweep, error, false);
}

static bool judge(struct dealing *dealing, struct sweep *sweep, struct known_job *record)
{
    const struct watcher_answer *answer = dealing->answer;
    if (answer->status == 200 && !answer->too_large)
        return good_status(dealing, sweep, record);
    if (answer->status == 429) {
        /* The budget waits; the API is there, it only wants less. */
        dealing->watcher->starved = true;
        return watcher_check_throttled(dealing);
    }
    char error[CONDITION_NOTE];
    describe(answer, error, sizeof error);
    if (answer->status == 0 || answer->status >= 500)
        return fail(dealing, sweep, TROUBLE_AWAY, error);
    if (answer->status >= 400)
        return client_error(dealing, sweep, record, error);
    return odd(dealing, sweep, error, false);
}

/* A look is over unless it has to be asked again. */
static bool is_answered(const struct watcher_answer *answer)
{
    return !answer->too_large && (answer->status == 200 || answer->status == 404);
}

bool watcher_answer(struct watcher *watcher, unsigned slot, const struct watcher_answer *answer,
                    struct now now, uint64_t random, struct batch *batch)
{
    struct slot *at = &watcher->slots[slot];
    struct sweep *sweep = sweep_of(watcher, at->use);
    struct known_job *record = at->use == SLOT_LOOK ? job_table_find(watcher->table, at->job_id) : NULL;
    struct dealing dealing = {
        .watcher = watcher, .answer = answer, .now = now, .random = random, .batch = batch};
    enum slot_use use = at->use;
    dealing.alone = use == SLOT_LOOK;
    dealing.sent = at->sent;

    budget_done(watcher->budget, now.mono, answer->status, &answer->rate);
    bool fine = use == SLOT_LOOK ? judge(&dealing, NULL, record) : judge(&dealing, sweep, NULL);
    /* The look may have made the job's record move, or removed it: it is found again by its id. */
    fine = release_slot(watcher, at, is_answered(answer) && watcher->odd_answers == 0) && fine;
    watcher_count_looks(watcher, now.mono);
    return fine;
}

bool watcher_is_sweeping(const struct watcher *watcher)
{
    return watcher->full.running;
}

bool watcher_is_done(const struct watcher *watcher, bool *ret_whole)
{
    for (size_t i = 0; i < WATCHER_SLOTS; i++) {
        if (watcher->slots[i].use != SLOT_FREE)
            return false;
    }
    *ret_whole = watcher->full_was_whole;
    return watcher->full_was_over && !watcher->full.running && watcher->looks.n == 0;
}

struct watcher_report watcher_report(const struct watcher *watcher, mono_time now)
{
    return (struct watcher_report){
        .trouble = watcher->trouble,
        .trouble_since = watcher->trouble_since,
        .failures = watcher->plan.failures,
        .last_error = watcher->last_error,
        .jobs = job_table_count(watcher->table),
        .active = job_table_active_count(watcher->table),
        .looks = watcher->looks.n,
        .next = mono_max(watcher->plan.active_due, watcher->plan.retry_at),
        .next_full = mono_max(watcher->plan.full_due, watcher->plan.retry_at),
        .last_active = watcher->active_was_over ? watcher->active_over : (mono_time){0},
        .period = watcher->period,
        .usage = budget_usage(watcher->budget, now),
        .requests = watcher->requests,
    };
}

static bool tell_away(struct dealing *dealing, bool tell)
{
    struct watcher *watcher = dealing->watcher;
    const struct alert_rules *rules = watcher->options.rules;
    struct condition *condition = &watcher->conditions[WATCH_UNREACHABLE];
    int64_t age = mono_diff(dealing->now.mono, watcher->trouble_since);
    if (tell && watcher->trouble == TROUBLE_AWAY && age >= rules->unreachable_after)
        return watcher_hold_condition(dealing, WATCH_UNREACHABLE, watcher->trouble_since, watcher->last_error,
                                      age, rules->remind_every);
    if (tell && (watcher->trouble == TROUBLE_AWAY || watcher->trouble == TROUBLE_UNKNOWN))
        return true;
    int64_t lasted = condition_age(condition, dealing->now.mono);
    enum condition_news news = condition_end(condition);
    if (!tell)
        return true;
    return watcher_tell_condition(dealing, condition, news, EVENT_API_RECOVERED,
                                  event_types[EVENT_API_RECOVERED].priority, "", lasted);
}

static bool tell_forbidden(struct dealing *dealing)
{
    struct watcher *watcher = dealing->watcher;
    struct condition *condition = &watcher->conditions[WATCH_FORBIDDEN];
    if (watcher->trouble == TROUBLE_FORBIDDEN)
        return watcher_hold_condition(dealing, WATCH_FORBIDDEN, watcher->trouble_since, watcher->last_error,
                                      mono_diff(dealing->now.mono, watcher->trouble_since),
                                      watcher->options.rules->remind_every);
    if (watcher->trouble != TROUBLE_NONE)
        return true;
    int64_t lasted = condition_age(condition, dealing->now.mono);
    return watcher_tell_condition(dealing, condition, condition_end(condition), EVENT_API_RECOVERED,
                                  event_types[EVENT_API_RECOVERED].priority, "", lasted);
}

bool watcher_tell_trouble(struct watcher *watcher, bool tell, struct now now, struct batch *batch)
{
    struct dealing dealing = {.watcher = watcher, .now = now, .batch = batch};
    return tell_away(&dealing, tell) && tell_forbidden(&dealing);
}
