/* What goes to a webhook in one request. */
#include "delivery_private.h"

#include <stdlib.h>

static struct parcel *new_parcel(size_t room)
{
    struct parcel *parcel = calloc(1, sizeof *parcel);
    if (!parcel)
        return NULL;
    parcel->events = calloc(room, sizeof(struct event *));
    parcel->outcomes = calloc(room, sizeof(struct outcome *));
    if (parcel->events && parcel->outcomes)
        return parcel;
    parcel_free(parcel);
    return NULL;
}

void parcel_free(struct parcel *parcel)
{
    if (!parcel)
        return;
    for (size_t i = 0; i < parcel->n; i++) {
        event_free(parcel->events[i]);
        outcome_free(parcel->outcomes[i]);
    }
    free(parcel->events);
    free(parcel->outcomes);
    free(parcel);
}

/* False: no memory, or the store fails. */
static bool add(struct delivery *delivery, struct parcel *parcel, const struct stored_delivery *row,
                struct now now)
{
    struct outcome *outcome = outcome_new(row);
    if (!outcome)
        return false;
    struct event *event = delivery_load(delivery, row, now);
    if (event) {
        parcel->events[parcel->n] = event;
        parcel->outcomes[parcel->n++] = outcome;
        return true;
    }
    outcome_free(outcome);
    return delivery_put_off(delivery, row, now);
}

/* A group that misses one is no longer what went out under its id. */
static void undo_group(struct delivery *delivery, struct parcel *parcel, struct now now)
{
    for (size_t i = 0; i < parcel->n; i++) {
        parcel->outcomes[i]->row.leader = DELIVERY_NO_GROUP;
        parcel->outcomes[i]->row.next_at = now.mono;
    }
    parcel_settle(delivery, parcel);
}

struct parcel *parcel_load(struct delivery *delivery, const struct stored_delivery *rows, size_t n,
                           struct now now)
{
    struct parcel *parcel = new_parcel(n);
    bool memory = parcel;
    for (size_t i = 0; i < n && memory; i++)
        memory = add(delivery, parcel, &rows[i], now);
    if (memory && parcel->n == n)
        return parcel;
    if (memory && parcel->n > 0 && rows[0].leader == DELIVERY_NO_GROUP)
        return parcel;
    if (memory && parcel->n > 0)
        undo_group(delivery, parcel, now);
    parcel_free(parcel);
    return NULL;
}

void parcel_spread(struct parcel *parcel)
{
    const struct stored_delivery *first = &parcel->outcomes[0]->row;
    for (size_t i = 1; i < parcel->n; i++) {
        struct stored_delivery *row = &parcel->outcomes[i]->row;
        int64_t seq = row->seq;
        *row = *first;
        row->seq = seq;
    }
}

void parcel_join(struct parcel *parcel)
{
    struct stored_delivery *first = &parcel->outcomes[0]->row;
    first->leader = first->seq;
    for (size_t i = 1; i < parcel->n; i++)
        first->queued_at = mono_max(first->queued_at, parcel->outcomes[i]->row.queued_at);
    parcel_spread(parcel);
}

void parcel_settle(struct delivery *delivery, struct parcel *parcel)
{
    for (size_t i = 0; i < parcel->n; i++) {
        delivery_settle(delivery, parcel->outcomes[i]);
        parcel->outcomes[i] = NULL;
    }
}
