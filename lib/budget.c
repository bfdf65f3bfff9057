#include "budget.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SECOND ((int64_t)1000)
#define MINUTE ((int64_t)60000)
/* Stamps are cut to whole ms at both ends, so that one more has to pass before a window is over for certain.
 */
#define ROUNDING 1

/* The share after 429s: never under this part of what was configured; grown by a step for each good stretch.
 */
#define LEAST_SHARE   0.02
#define SHARE_STEP    0.05
#define GOOD_STRETCH  10000
#define FIRST_BLOCK   1000
#define LONGEST_BLOCK 60000

/* The ring begins with this room and doubles when more requests count at a time. */
#define FIRST_ROOM 16

/* What a request of lower worth leaves free of the burst share. */
#define BURST_RESERVE 2

/* What the server says of others is believed this long, and their use is taken a little higher than it looks.
 */
#define HINT_LIFE     (2 * MINUTE)
#define OTHERS_MARGIN 0.02
/* The part of our share that yielding leaves us, as far as there is room for it. */
#define LEAST_YIELDED 0.1
/* A use is projected to the whole window as if at least this much of it had passed. */
#define LEAST_ELAPSED 2000
/* Where at least this much of it had passed, the error of a projection is small. */
#define SURE_ELAPSED 45000
/* See budget_reserve(). */
#define RESERVE_PART  12
#define MOST_RESERVED 64
/* So long it is taken for as busy as can be: what others do cannot be seen yet. */
#define UNKNOWN_AT_FIRST 5000

/* The account's fixed steady window, as RateLimit-* describes it. */
struct server_window {
    bool known;
    bool sure;      /* the window before was described near its end */
    bool first;     /* nothing is known of the window before */
    mono_time seen; /* last described */
    mono_time ends;
    mono_time hold; /* it is used up: nothing before this */
    int64_t limit;
    int64_t remaining;
    /* What other clients will have used by its end: at most, about, at least. The seconds of RateLimit-Reset are
     * whole, so that nobody knows how much of the window has passed. */
    double others_most;
    double others;
    double others_least;
    double others_last; /* in the window before */
};

struct budget {
    struct budget_limits limits;
    mono_time *ends; /* ring of the end times of requests that may count still, oldest first */
    size_t room;
    size_t first;
    size_t n;
    mono_time spent; /* the last one granted */
    uint32_t in_flight;
    uint32_t stale; /* of those in flight, granted before the share was halved last */
    double share;   /* 1 until a 429 */
    mono_time good_since;
    mono_time blocked_until;
    uint32_t blocks; /* 429s in a row */
    struct server_window window;
    mono_time heard;    /* the last answer; before all time: none came yet */
    mono_time imported; /* the last end of an earlier life */
    uint32_t doubtful;  /* requests that it had open, sent or only reserved */
};

static uint32_t part_of(uint32_t documented, double share, uint32_t explicit_figure)
{
    if (explicit_figure > 0)
        return explicit_figure;
    double part = (double)documented * share;
    return part < 1 ? 1 : (uint32_t)(part + 1e-9);
}

struct budget_limits budget_limits_for(uint32_t documented_burst, uint32_t documented_steady, double share,
                                       uint32_t burst, uint32_t steady, double yield_below)
{
    return (struct budget_limits){
        .burst = part_of(documented_burst, share, burst),
        .steady = part_of(documented_steady, share, steady),
        .yield_below = yield_below,
    };
}

struct budget *budget_new(const struct budget_limits *limits)
{
    struct budget *budget = calloc(1, sizeof *budget);
    if (!budget)
        return NULL;
    budget->share = 1;
    budget->good_since = budget->blocked_until = budget->window.hold = (mono_time){INT64_MIN};
    budget->imported = budget->spent = budget->heard = budget->blocked_until;
    if (budget_set_limits(budget, limits))
        return budget;
    free(budget);
    return NULL;
}

void budget_free(struct budget *budget)
{
    if (budget)
        free(budget->ends);
    free(budget);
}

static mono_time end_at(const struct budget *budget, size_t i)
{
    return budget->ends[(budget->first + i) % budget->room];
}

static bool make_room(struct budget *budget, size_t room)
{
    if (room <= budget->room)
        return true;
    mono_time *ends = calloc(room, sizeof *ends);
    if (!ends)
        return false;
    for (size_t i = 0; i < budget->n; i++)
        ends[i] = end_at(budget, i);
    free(budget->ends);
    budget->ends = ends;
    budget->first = 0;
    budget->room = room;
    return true;
}

bool budget_set_limits(struct budget *budget, const struct budget_limits *limits)
{
    assert(limits->burst > 0 && limits->steady > 0);
    if (!make_room(budget, FIRST_ROOM))
        return false;
    budget->limits = *limits;
    return true;
}

static void forget_oldest(struct budget *budget)
{
    budget->first = (budget->first + 1) % budget->room;
    budget->n--;
}

/* Without memory for one more, nothing is sent until the one that has to be forgotten counts no longer. */
static void add_end(struct budget *budget, mono_time end)
{
    assert(budget->room > 0);
    if (budget->n > 0)
        end = mono_max(end, end_at(budget, budget->n - 1));
    while (budget->n > 0 && mono_diff(end, end_at(budget, 0)) >= MINUTE + ROUNDING)
        forget_oldest(budget);
    if (budget->n == budget->room && !make_room(budget, 2 * budget->room)) {
        mono_time safe = mono_add(end_at(budget, 0), MINUTE + ROUNDING);
        budget->blocked_until = mono_max(budget->blocked_until, safe);
        forget_oldest(budget);
    }
    budget->ends[(budget->first + budget->n++) % budget->room] = end;
}

/* How many of the ends lie after t: they are in order. */
static uint32_t ends_after(const struct budget *budget, mono_time t)
{
    size_t low = 0, high = budget->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (end_at(budget, middle).ms > t.ms)
            high = middle;
        else
            low = middle + 1;
    }
    return (uint32_t)(budget->n - low);
}

static uint32_t at_least_one(double value)
{
    return value < 1 ? 1 : (uint32_t)value;
}

/* As little as can be, beside what an earlier life spent. */
static double the_least(const struct budget *budget, double steady, mono_time now)
{
    mono_time ago = mono_add(now, -MINUTE - ROUNDING);
    double earlier = ends_after(budget, ago) - ends_after(budget, mono_max(ago, budget->imported));
    double least = earlier + steady * LEAST_YIELDED;
    return least < steady ? least : steady;
}

/* After a long silence, as after a suspend, as little is known of others as at the beginning. */
static bool is_heard(const struct budget *budget, mono_time now)
{
    return mono_add(budget->heard, HINT_LIFE).ms >= now.ms;
}

/* How far the window had got when it was last described, in ms. */
static int64_t described_at(const struct server_window *w)
{
    return mono_diff(w->seen, w->ends) + MINUTE;
}

/* What others used in the window that is over. Of its first seconds alone nothing can be told: they are taken for no less
 * busy than in the one before. */
static double others_of_last(const struct server_window *w)
{
    if (described_at(w) >= SURE_ELAPSED)
        return w->others;
    bool unknown = described_at(w) < UNKNOWN_AT_FIRST && w->others_last > w->others_most;
    return unknown ? w->others_last : w->others_most;
}

/* What others are taken to use in a window: more than they seem to, unless one was described near its end. */
static double others_use(const struct server_window *w)
{
    if (!w->sure && described_at(w) >= SURE_ELAPSED)
        return w->others;
    double now_used = w->sure ? w->others_least : w->others_most;
    return now_used > w->others_last ? now_used : w->others_last;
}

/* What is left of a steady limit after others took theirs, and the proportion by which a busy account slows
 * us down. */
static double yielded(const struct budget *budget, double steady, mono_time now)
{
    const struct server_window *w = &budget->window;
    if (!is_heard(budget, now) || (w->first && mono_diff(w->ends, now) > MINUTE - UNKNOWN_AT_FIRST))
        return the_least(budget, steady, now);
    if (!w->known || mono_diff(now, w->seen) > HINT_LIFE)
        return steady;
    double left = (double)w->limit * (1 - OTHERS_MARGIN) - others_use(w);
    double busy = (double)w->limit * budget->limits.yield_below, least = steady * LEAST_YIELDED;
    /* Half of the margin is safe to take. Without it, what looks like nothing would stay so, for want of answers that
     * tell how much there is. */
    double trickle = (double)w->limit * OTHERS_MARGIN / 2;
    left = left > trickle ? left : trickle;
    if (busy > 0 && left < busy)
        steady *= left / busy;
    /* However busy others are, a little of what they leave is enough not to go blind. */
    steady = steady > least ? steady : least;
    return steady < left ? steady : left;
}

static uint32_t steady_now(const struct budget *budget, mono_time now)
{
    return at_least_one(yielded(budget, budget->limits.steady * budget->share, now));
}

static uint32_t burst_now(const struct budget *budget)
{
    return at_least_one(budget->limits.burst * budget->share);
}

/* When a window of `length` has room for one more. */
static mono_time room_at(const struct budget *budget, uint32_t limit, int64_t length)
{
    if (budget->in_flight >= limit)
        return MONO_NEVER;
    size_t k = limit - budget->in_flight;
    if (budget->n < k)
        return (mono_time){INT64_MIN};
    return mono_add(end_at(budget, budget->n - k), length + ROUNDING);
}

/* The same for the minute. While too little is known of the others, no later than when enough is: by then the
 * caller asks again. */
static mono_time minute_room_at(const struct budget *budget, uint32_t limit, mono_time now)
{
    mono_time at = room_at(budget, limit, MINUTE);
    if (!is_heard(budget, now) || !budget->window.first)
        return at;
    mono_time known = mono_add(budget->window.ends, UNKNOWN_AT_FIRST - MINUTE);
    return known.ms > now.ms ? mono_min(at, known) : at;
}

/* Nothing may be sent before this, whatever the windows say. */
static mono_time blocked_until(const struct budget *budget)
{
    return mono_max(budget->blocked_until, budget->window.hold);
}

/* The first time from `at` on that is so near the end of the server's window that what others use shows. */
static mono_time when_it_shows(const struct server_window *w, mono_time at)
{
    int64_t elapsed = (mono_diff(at, w->ends) % MINUTE + MINUTE) % MINUTE;
    return elapsed < SURE_ELAPSED ? mono_add(at, SURE_ELAPSED - elapsed) : at;
}

/*
 * What others leave is spent evenly when it is less than half of the share: all at once it would be spent at the same
 * seconds of each window, and its end, which tells best how much others use, would never be seen. When it is so little
 * that it may miss that end even so, it waits for it once.
 */
static mono_time yielding_at(const struct budget *budget, uint32_t steady, mono_time now)
{
    const struct server_window *w = &budget->window;
    if (!w->known || !is_heard(budget, now) || steady * 2 >= budget->limits.steady * budget->share)
        return (mono_time){INT64_MIN};
    mono_time at = w->first ? now : mono_add(budget->spent, MINUTE / steady);
    bool misses = MINUTE / steady > MINUTE - SURE_ELAPSED;
    bool shows = w->sure || described_at(w) >= SURE_ELAPSED;
    return misses && !shows ? when_it_shows(w, at) : at;
}

mono_time budget_when(const struct budget *budget, mono_time now)
{
    uint32_t steady = steady_now(budget, now);
    mono_time second = room_at(budget, burst_now(budget), SECOND);
    mono_time minute = mono_max(minute_room_at(budget, steady, now), yielding_at(budget, steady, now));
    return mono_max(mono_max(second, minute), blocked_until(budget));
}

static uint32_t without(uint32_t limit, uint32_t reserve)
{
    return limit > reserve ? limit - reserve : 1;
}

mono_time budget_when_reserving(const struct budget *budget, uint32_t reserve, mono_time now)
{
    mono_time second = room_at(budget, without(burst_now(budget), BURST_RESERVE), SECOND);
    mono_time minute = minute_room_at(budget, without(steady_now(budget, now), reserve), now);
    return mono_max(mono_max(second, minute), budget_when(budget, now));
}

mono_time budget_evenly(const struct budget *budget, mono_time now)
{
    uint32_t steady = steady_now(budget, now);
    uint32_t used = budget->in_flight + ends_after(budget, mono_add(now, -MINUTE - ROUNDING));
    return used < steady - steady / 4 ? now : mono_add(budget->spent, MINUTE / steady);
}

void budget_spend(struct budget *budget, mono_time now)
{
    assert(budget_when(budget, now).ms <= now.ms);
    budget->spent = now;
    budget->in_flight++;
}

/* How long a 429 that does not say it stops us: doubled by each one in a row. */
static int64_t silent_block(uint32_t blocks)
{
    int64_t wait = FIRST_BLOCK;
    for (uint32_t i = 1; i < blocks && wait < LONGEST_BLOCK; i++)
        wait *= 2;
    return wait < LONGEST_BLOCK ? wait : LONGEST_BLOCK;
}

static void obey_429(struct budget *budget, mono_time now, int64_t retry_after, bool stale)
{
    /* A request that was under way at the last halving says nothing new about the share. */
    if (!stale) {
        budget->share = budget->share / 2 < LEAST_SHARE ? LEAST_SHARE : budget->share / 2;
        budget->blocks++;
        budget->stale = budget->in_flight;
    }
    int64_t wait = retry_after >= 0 ? retry_after : silent_block(budget->blocks);
    wait = wait < BUDGET_MAX_RETRY_AFTER ? wait : BUDGET_MAX_RETRY_AFTER;
    wait = wait > FIRST_BLOCK ? wait : FIRST_BLOCK;
    budget->blocked_until = mono_max(budget->blocked_until, mono_add(now, wait));
    budget->good_since = budget->blocked_until;
}

/* Each stretch of good answers gives back a step, which is one request a minute at least. */
static void recover(struct budget *budget, mono_time now)
{
    budget->blocks = 0;
    if (budget->share >= 1 || mono_diff(now, budget->good_since) < GOOD_STRETCH)
        return;
    double one = 1.0 / budget->limits.steady, step = one > SHARE_STEP ? one : SHARE_STEP;
    budget->share = budget->share + step > 1 ? 1 : budget->share + step;
    budget->good_since = now;
}

/* Our own requests since the server's window began. What an earlier life had open is left out, as if it were
 * others': most of it was reserved only. */
static uint32_t ours_since(const struct budget *budget, mono_time began)
{
    uint32_t n = budget->in_flight + ends_after(budget, mono_add(began, -1));
    uint32_t doubtful = budget->imported.ms >= began.ms ? budget->doubtful : 0;
    return n > doubtful ? n - doubtful : 0;
}

/* The last ones of a window are for others; and who takes what is not there gets a 429. */
static void leave_the_last(struct server_window *w, mono_time now, const struct rate_headers *h)
{
    double few = (double)h->limit * OTHERS_MARGIN;
    if (h->remaining > 0 && ((double)h->remaining > few || w->others <= few))
        return;
    /* The seconds may have been cut. */
    int64_t wait = (h->reset + 1) * SECOND;
    w->hold = mono_max(w->hold, mono_add(now, wait < MINUTE ? wait : MINUTE));
}

/* What is used in so much of a window, at the same rate for the whole of it. */
static double by_the_end(double used, int64_t elapsed)
{
    double whole = used * (double)MINUTE / (double)(elapsed < MINUTE ? elapsed : MINUTE);
    return whole > 0 ? whole : 0;
}

static void take_hint(struct budget *budget, mono_time now, const struct rate_headers *h)
{
    struct server_window *w = &budget->window;
    if (h->limit <= 0 || h->remaining < 0 || h->remaining > h->limit || h->reset < 0 ||
        h->reset > MINUTE / SECOND)
        return;
    mono_time ends = mono_add(now, h->reset * SECOND);
    bool fresh = !w->known || mono_diff(now, w->seen) > HINT_LIFE;
    /* An answer of the window before that one of the next overtook. */
    if (!fresh && mono_diff(w->ends, ends) > MINUTE / 2)
        return;
    if (fresh || mono_diff(ends, w->ends) > MINUTE / 2) {
        w->first = fresh;
        w->others_last = fresh ? 0 : others_of_last(w);
        w->sure = !fresh && described_at(w) >= SURE_ELAPSED;
        w->others_most = w->others = w->others_least = 0;
        w->ends = ends;
    }
    w->known = true;
    w->seen = now;
    w->limit = h->limit;
    w->remaining = h->remaining;
    /* The seconds may have been rounded up: what we sent in the one before may be in it too. */
    mono_time began = mono_add(w->ends, -MINUTE);
    int64_t elapsed = mono_diff(now, began);
    double used = (double)(h->limit - h->remaining) - (double)ours_since(budget, mono_add(began, -SECOND));
    elapsed = elapsed > LEAST_ELAPSED ? elapsed : LEAST_ELAPSED;
    w->others_most = by_the_end(used, elapsed);
    w->others = by_the_end(used, elapsed + SECOND / 2);
    w->others_least = by_the_end(used, elapsed + SECOND);
    leave_the_last(w, now, h);
}

void budget_done(struct budget *budget, mono_time now, int status, const struct rate_headers *headers)
{
    assert(budget->in_flight > 0);
    bool stale = budget->stale > 0;
    budget->in_flight--;
    budget->stale -= stale;
    add_end(budget, now);
    if (status > 0)
        budget->heard = now;
    if (status == 429) {
        obey_429(budget, now, headers ? headers->retry_after : -1, stale);
        return;
    }
    if (status >= 200 && status < 500 && !stale)
        recover(budget, now);
    if (headers)
        take_hint(budget, now, headers);
}

struct budget_usage budget_usage(const struct budget *budget, mono_time now)
{
    return (struct budget_usage){
        .in_last_minute = budget->in_flight + ends_after(budget, mono_add(now, -MINUTE - ROUNDING)),
        .steady = budget->limits.steady,
        .steady_now = steady_now(budget, now),
        .burst_now = burst_now(budget),
        .limit = budget->window.known ? budget->window.limit : 0,
        .remaining = budget->window.known ? budget->window.remaining : 0,
        .blocked_until = blocked_until(budget),
    };
}

size_t budget_export(const struct budget *budget, mono_time now, uint32_t reserve, mono_time *times,
                     size_t max)
{
    size_t n = 0, open = (size_t)budget->in_flight + reserve;
    size_t ended = ends_after(budget, mono_add(now, -MINUTE - ROUNDING));
    size_t block = blocked_until(budget).ms > now.ms && max > 0;
    open = open < max - block ? open : max - block;
    ended = ended < max - block - open ? ended : max - block - open;
    for (size_t i = 0; i < ended; i++)
        times[n++] = end_at(budget, budget->n - ended + i);
    if (block)
        times[n++] = blocked_until(budget);
    for (size_t i = 0; i < open; i++)
        times[n++] = MONO_NEVER;
    return n;
}

uint32_t budget_reserve(const struct budget *budget)
{
    uint32_t part = budget->limits.steady / RESERVE_PART;
    return part < MOST_RESERVED ? part : MOST_RESERVED;
}

static int by_time(const void *a, const void *b)
{
    int64_t x = ((const mono_time *)a)->ms, y = ((const mono_time *)b)->ms;
    return (x > y) - (x < y);
}

bool budget_import(struct budget *budget, mono_time now, const mono_time *times, size_t n)
{
    size_t kept = 0;
    mono_time *sorted = calloc(n ? n : 1, sizeof *sorted), longest = mono_add(now, BUDGET_MAX_RETRY_AFTER);
    mono_time last = mono_add(now, BUDGET_AFTERLIFE);
    if (!sorted)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (times[i].ms <= last.ms || times[i].ms == MONO_NEVER.ms)
            sorted[kept++] = mono_min(times[i], last);
        if (times[i].ms > now.ms && times[i].ms != MONO_NEVER.ms)
            budget->blocked_until = mono_max(budget->blocked_until, mono_min(times[i], longest));
    }
    qsort(sorted, kept, sizeof *sorted, by_time);
    for (size_t i = 0; i < kept; i++)
        add_end(budget, sorted[i]);
    if (kept > 0)
        budget->imported = sorted[kept - 1];
    for (size_t i = 0; i < n; i++)
        budget->doubtful += times[i].ms == MONO_NEVER.ms;
    free(sorted);
    return true;
}

struct budget_left budget_left(const struct budget *budget)
{
    return (struct budget_left){.share = budget->share, .good_since = budget->good_since};
}

void budget_restore_left(struct budget *budget, mono_time now, struct budget_left left)
{
    mono_time latest = mono_max(now, budget->blocked_until);
    budget->share = left.share >= 1 ? 1 : left.share > LEAST_SHARE ? left.share : LEAST_SHARE;
    budget->good_since = left.good_since.ms < latest.ms ? left.good_since : latest;
}
