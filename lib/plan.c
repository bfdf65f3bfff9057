#include "plan.h"

/* The back-off of a watch ends at its idle interval, but no later than a minute, so that the end of an outage
 * is noticed. */
#define RETRY_BASE 1000
#define RETRY_CAP  60000

#define MINUTE 60000
/* Looks are reckoned with as this part of the share. */
#define LOOKS_PART 10

/* A full sweep that broke is tried again soon, but not so soon that it would take the place of the rest. */
#define BROKEN_FULL_PART 10

void plan_init(struct plan *plan, const struct plan_rules *rules, mono_time now, int64_t phase)
{
    mono_time first = mono_add(now, phase);
    *plan = (struct plan){
        .rules = *rules,
        .active_due = rules->once ? MONO_NEVER : first,
        .head_due = rules->once ? MONO_NEVER : mono_add(first, rules->interval),
        .full_due = first,
        .retry_at = now,
    };
}

void plan_set_rules(struct plan *plan, const struct plan_rules *rules, mono_time now)
{
    plan->rules = *rules;
    plan->active_due = mono_min(plan->active_due, mono_add(now, rules->interval));
    plan->head_due = mono_min(plan->head_due, mono_add(now, rules->interval));
    plan->full_due = mono_min(plan->full_due, mono_add(now, rules->full_sweep_interval));
    plan->retry_at = now;
    plan->failures = 0;
}

/* A running sweep is wanted now, an idle one when it is due, one in flight not before its answer. */
static mono_time chain_at(enum plan_chain_state state, mono_time due, mono_time now)
{
    switch (state) {
    case CHAIN_IDLE:
        return due;
    case CHAIN_READY:
        return now;
    case CHAIN_WAITING:
        return MONO_NEVER;
    }
    return MONO_NEVER;
}

static size_t saved_by(size_t looks, size_t pages)
{
    return pages > 0 && looks > pages ? looks - pages : 0;
}

enum plan_way plan_way(const struct plan_view *view)
{
    size_t head = saved_by(view->looks_head * plan_pages_for_look(view->behind), view->head_pages_left);
    size_t full = saved_by(view->looks_left, view->full_pages_left);
    if (view->walks)
        return WAY_HEAD;
    if (head == 0 && full == 0)
        return WAY_LOOKS;
    return head >= full ? WAY_HEAD : WAY_FULL;
}

/* The looks that no list is to answer. */
static size_t looks_alone(const struct plan_view *view, enum plan_way way)
{
    size_t held = way == WAY_HEAD ? view->looks_head : way == WAY_FULL ? view->looks_left : 0;
    size_t others = held + view->looks_errors;
    return view->looks > others ? view->looks - others : 0;
}

static mono_time look_at(const struct plan_view *view, enum plan_way way, mono_time now)
{
    return looks_alone(view, way) > 0 && view->looks_in_flight < PLAN_MAX_LOOKS ? now : MONO_NEVER;
}

/* Whether jobs that left are being asked for. */
static bool is_asking(const struct plan_view *view, enum plan_way way)
{
    return way != WAY_LOOKS || looks_alone(view, way) > 0 || view->looks_in_flight > 0 ||
           view->head == CHAIN_WAITING;
}

static mono_time errors_at(const struct plan_view *view, mono_time now)
{
    return view->looks_errors > 0 && view->looks_in_flight < PLAN_MAX_LOOKS ? now : MONO_NEVER;
}

static mono_time full_at(const struct plan *plan, const struct plan_view *view, mono_time now)
{
    return chain_at(view->full, plan_way(view) == WAY_FULL ? now : plan->full_due, now);
}

uint32_t plan_reserve(const struct plan *plan, uint32_t active_pages, uint32_t steady_now)
{
    if (plan->rules.once)
        return 0;
    int64_t a_sweep = (int64_t)active_pages + (plan->rules.head_pages ? 1 : 0);
    int64_t needed =
        (a_sweep * MINUTE + plan->rules.interval - 1) / plan->rules.interval + steady_now / LOOKS_PART;
    int64_t most = (int64_t)steady_now - steady_now / PLAN_FULL_TURN;
    return (uint32_t)(needed < most ? needed : most);
}

struct plan_step plan_next(const struct plan *plan, const struct plan_view *view, mono_time now)
{
    enum plan_way way = plan_way(view);
    mono_time full = full_at(plan, view, now);
    mono_time head_due = view->walks ? plan->active_due : way == WAY_HEAD ? now : plan->head_due;
    mono_time head = chain_at(view->head, head_due, now);
    mono_time active = chain_at(view->active, plan->active_due, now);
    uint32_t turn = view->first_full ? PLAN_FIRST_TURN : PLAN_FULL_TURN;
    bool active_goes_on = view->active == CHAIN_READY;
    /* Where the budget binds, what comes first goes on first: nothing of less worth pushes in while a request is on its
     * way. */
    bool scarce = view->budget_full_at.ms > now.ms;
    bool active_waits = active_goes_on || view->walks || (scarce && is_asking(view, way));
    bool spare = view->active == CHAIN_IDLE && plan->active_due.ms > now.ms;
    mono_time spare_at = spare ? view->budget_at : view->budget_full_at;
    mono_time head_at = spare ? view->budget_head_at : view->budget_full_at;
    bool head_first = way == WAY_HEAD && looks_alone(view, way) > view->head_pages_left;
    const struct {
        enum plan_action action;
        mono_time at;
        mono_time budget_at;
    } wishes[] = {
        {PLAN_FULL, plan->since_full + 1 >= turn ? full : MONO_NEVER, view->budget_at},
        {PLAN_ACTIVE, active_goes_on ? active : MONO_NEVER, view->budget_at},
        {PLAN_HEAD, head_first ? head : MONO_NEVER, view->budget_at},
        /* Before the next active sweep begins: it would only find the same jobs gone. */
        {PLAN_LOOK, look_at(view, way, now), view->budget_at},
        {PLAN_HEAD, way == WAY_HEAD ? head : MONO_NEVER, view->budget_at},
        {PLAN_FULL, way == WAY_FULL ? full : MONO_NEVER, view->budget_at},
        {PLAN_ACTIVE, active_waits ? MONO_NEVER : active, view->budget_at},
        {PLAN_LOOK, errors_at(view, now), spare_at},
        {PLAN_HEAD, plan->rules.head_pages ? head : MONO_NEVER, head_at},
        {PLAN_FULL, full, view->budget_full_at},
    };
    struct plan_step step = {.action = PLAN_WAIT, .at = MONO_NEVER};
    for (size_t i = 0; i < sizeof wishes / sizeof *wishes; i++) {
        mono_time at = mono_max(wishes[i].at, plan->retry_at);
        if (at.ms > now.ms) {
            step.at = mono_min(step.at, at);
        } else if (wishes[i].budget_at.ms > now.ms) {
            step.at = mono_min(step.at, wishes[i].budget_at);
            step.starved |= view->budget_at.ms > now.ms;
        } else {
            return (struct plan_step){.action = wishes[i].action, .at = now};
        }
    }
    return step;
}

void plan_sent(struct plan *plan, const struct plan_view *view, enum plan_action action, mono_time now)
{
    if (action == PLAN_FULL)
        plan->since_full = 0;
    else if (full_at(plan, view, now).ms <= now.ms)
        plan->since_full++;
}

/* An interval after the beginning; a sweep that ends later than that is followed by one at once, however many intervals
 * it took. */
static mono_time next_due(mono_time began, int64_t interval, mono_time now)
{
    return mono_max(mono_add(began, interval), now);
}

void plan_active_over(struct plan *plan, mono_time began, mono_time now, bool in_progress)
{
    int64_t interval = in_progress ? plan->rules.interval : plan->rules.idle_interval;
    plan->active_due = next_due(began, interval, now);
}

void plan_head_over(struct plan *plan, mono_time began, mono_time now, bool in_progress)
{
    int64_t interval = in_progress ? plan->rules.interval : plan->rules.idle_interval;
    plan->head_due = next_due(began, interval, now);
}

void plan_full_over(struct plan *plan, mono_time began, mono_time now, bool whole)
{
    int64_t interval = plan->rules.full_sweep_interval;
    if (whole)
        plan->full_due = plan->rules.once ? MONO_NEVER : next_due(began, interval, now);
    else
        plan->full_due = mono_add(now, interval / BROKEN_FULL_PART);
    plan->since_full = 0;
}

void plan_good(struct plan *plan)
{
    plan->failures = 0;
}

void plan_failed(struct plan *plan, mono_time now, bool slow, uint64_t random)
{
    int64_t cap = plan->rules.idle_interval < RETRY_CAP ? plan->rules.idle_interval : RETRY_CAP;
    struct backoff_rules rules = {.base = RETRY_BASE < cap ? RETRY_BASE : cap, .cap = cap};
    if (plan->failures < UINT32_MAX)
        plan->failures++;
    int64_t wait = slow ? plan->rules.idle_interval : backoff_delay(&rules, plan->failures, random);
    plan->retry_at = mono_max(plan->retry_at, mono_add(now, wait));
}
