/* The times in which nobody could watch, and what of a span of time is left without them. */
#include "life_private.h"

#include <stdlib.h>

void life_add_blackout(struct run *run, int64_t from, int64_t to)
{
    if (run->n_blackouts == run->room_blackouts) {
        run->room_blackouts = run->room_blackouts ? run->room_blackouts * 2 : 64;
        run->blackouts = reallocarray(run->blackouts, run->room_blackouts, sizeof *run->blackouts);
        if (!run->blackouts)
            abort();
    }
    run->blackouts[run->n_blackouts++] = (struct blackout){.from = from, .to = to};
}

static int by_beginning(const void *a, const void *b)
{
    const struct blackout *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* Make one of those that overlap, and add up. */
void life_settle_blackouts(struct run *run)
{
    struct blackout *all = run->blackouts;
    size_t n = 0;
    qsort(all, run->n_blackouts, sizeof *all, by_beginning);
    for (size_t i = 0; i < run->n_blackouts; i++) {
        if (n > 0 && all[i].from <= all[n - 1].to) {
            all[n - 1].to = all[i].to > all[n - 1].to ? all[i].to : all[n - 1].to;
        } else {
            int64_t before = n > 0 ? all[n - 1].before + all[n - 1].to - all[n - 1].from : 0;
            all[n++] = (struct blackout){all[i].from, all[i].to, before};
        }
    }
    run->n_blackouts = n;
}

/* How long nobody could watch before t. */
static int64_t dark_before(const struct run *run, int64_t t)
{
    size_t low = 0, high = run->n_blackouts;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (run->blackouts[middle].from < t)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return 0;
    const struct blackout *last = &run->blackouts[low - 1];
    return last->before + (t < last->to ? t : last->to) - last->from;
}

/* The time between the two in which one could watch. */
int64_t life_visible_for(const struct run *run, int64_t from, int64_t to)
{
    return to - from - (dark_before(run, to) - dark_before(run, from));
}
