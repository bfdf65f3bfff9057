#include "job_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define NOT_ACTIVE UINT32_MAX
#define FIRST_ROOM 16

/* Open addressing with linear probing; removal closes the gap, so that there are no tombstones. */
struct job_table {
    struct known_job **slots;
    size_t room; /* a power of two, at most three quarters full */
    size_t n;
    struct known_job **active;
    size_t n_active;
    size_t room_active;
    uint64_t seed;
    uint32_t tick;
};

struct job_table *job_table_new(uint64_t seed)
{
    struct job_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->seed = seed;
    table->room = FIRST_ROOM;
    table->slots = calloc(table->room, sizeof *table->slots);
    if (table->slots)
        return table;
    free(table);
    return NULL;
}

void job_table_free(struct job_table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->room; i++)
        free(table->slots[i]);
    free(table->slots);
    free(table->active);
    free(table);
}

static size_t home_of(const struct job_table *table, const char *id, size_t len)
{
    return (size_t)XXH3_64bits_withSeed(id, len, table->seed) & (table->room - 1);
}

/* The slot of an id, or the empty one where it belongs. */
static size_t slot_of(const struct job_table *table, const char *id)
{
    size_t i = home_of(table, id, strlen(id));
    while (table->slots[i] && strcmp(table->slots[i]->id, id) != 0)
        i = (i + 1) & (table->room - 1);
    return i;
}

struct known_job *job_table_find(const struct job_table *table, const char *id)
{
    return table->slots[slot_of(table, id)];
}

static bool grow(struct job_table *table)
{
    struct known_job **old = table->slots;
    size_t old_room = table->room;
    struct known_job **slots = calloc(old_room * 2, sizeof(struct known_job *));
    if (!slots)
        return false;
    table->slots = slots;
    table->room = old_room * 2;
    for (size_t i = 0; i < old_room; i++) {
        if (old[i])
            slots[slot_of(table, old[i]->id)] = old[i];
    }
    free(old);
    return true;
}

static bool make_active(struct job_table *table, struct known_job *job)
{
    if (table->n_active == table->room_active) {
        size_t room = table->room_active ? table->room_active * 2 : FIRST_ROOM;
        struct known_job **active = reallocarray(table->active, room, sizeof *active);
        if (!active)
            return false;
        table->active = active;
        table->room_active = room;
    }
    job->active_place = (uint32_t)table->n_active;
    table->active[table->n_active++] = job;
    return true;
}

/* The last one takes its place. */
static void make_inactive(struct job_table *table, struct known_job *job)
{
    if (job->active_place == NOT_ACTIVE)
        return;
    struct known_job *last = table->active[--table->n_active];
    table->active[job->active_place] = last;
    last->active_place = job->active_place;
    job->active_place = NOT_ACTIVE;
}

struct known_job *job_table_add(struct job_table *table, const char *id)
{
    size_t len = strlen(id);
    assert(len <= JOB_ID_MAX);
    if (table->n * 4 >= table->room * 3 && !grow(table))
        return NULL;
    size_t slot = slot_of(table, id);
    assert(!table->slots[slot]);
    /* One NUL behind the id, one behind an empty status word. */
    struct known_job *job = calloc(1, sizeof *job + len + 2);
    if (!job)
        return NULL;
    memcpy(job->id, id, len);
    job->id_len = (uint16_t)len;
    job->status = JOB_QUEUED;
    job->counts = (struct job_counts){COUNT_NONE, COUNT_NONE, COUNT_NONE, COUNT_NONE};
    job->created_at = job->completed_at = job->expires_at = WALL_NONE;
    job->gone_at = MONO_NEVER;
    job->active_place = NOT_ACTIVE;
    if (!make_active(table, job)) {
        free(job);
        return NULL;
    }
    table->slots[slot] = job;
    table->n++;
    return job;
}

/* Those behind the gap that would not be found any more move up (Knuth, volume 3, section 6.4, algorithm R). */
static void close_gap(struct job_table *table, size_t gap)
{
    size_t mask = table->room - 1;
    for (size_t i = (gap + 1) & mask; table->slots[i]; i = (i + 1) & mask) {
        size_t home = home_of(table, table->slots[i]->id, table->slots[i]->id_len);
        if (((i - home) & mask) < ((i - gap) & mask))
            continue;
        table->slots[gap] = table->slots[i];
        table->slots[i] = NULL;
        gap = i;
    }
}

void job_table_remove(struct job_table *table, struct known_job *job)
{
    size_t slot = slot_of(table, job->id);
    assert(table->slots[slot] == job);
    make_inactive(table, job);
    table->slots[slot] = NULL;
    table->n--;
    close_gap(table, slot);
    free(job);
}

static char *word_of(struct known_job *job)
{
    return job->id + job->id_len + 1;
}

/* Give the record room for another status word; everything that points to it follows. */
static struct known_job *make_word_room(struct job_table *table, struct known_job *job, size_t len)
{
    if (len <= strlen(word_of(job)))
        return job;
    size_t slot = slot_of(table, job->id);
    struct known_job *moved = realloc(job, sizeof *job + job->id_len + len + 2);
    if (!moved)
        return NULL;
    table->slots[slot] = moved;
    if (moved->active_place != NOT_ACTIVE)
        table->active[moved->active_place] = moved;
    return moved;
}

struct known_job *job_table_set_status(struct job_table *table, struct known_job *job, enum job_status status,
                                       const char *word)
{
    bool was_active = job->active_place != NOT_ACTIVE, is_active = job_status_is_active(status);
    if (status == JOB_OTHER) {
        job = make_word_room(table, job, strlen(word));
        if (!job)
            return NULL;
        memcpy(word_of(job), word, strlen(word) + 1);
    }
    if (is_active && !was_active && !make_active(table, job))
        return NULL;
    if (was_active && !is_active)
        make_inactive(table, job);
    job->status = (uint8_t)status;
    return job;
}

const char *known_status_word(const struct known_job *job)
{
    return job->status == JOB_OTHER ? job->id + job->id_len + 1
                                    : job_status_word((enum job_status)job->status);
}

size_t job_table_count(const struct job_table *table)
{
    return table->n;
}

size_t job_table_active_count(const struct job_table *table)
{
    return table->n_active;
}

struct known_job *job_table_active(const struct job_table *table, size_t i)
{
    return table->active[i];
}

struct known_job *job_table_next(const struct job_table *table, size_t *cursor)
{
    /* From the last slot to the first, so that closing the gap of one removed moves only those that were met already, or round the end. */
    for (; *cursor < table->room; ++*cursor) {
        struct known_job *job = table->slots[table->room - 1 - *cursor];
        if (!job)
            continue;
        ++*cursor;
        return job;
    }
    return NULL;
}

uint32_t job_table_new_tick(struct job_table *table)
{
    return ++table->tick;
}

void job_table_see(struct job_table *table, struct known_job *job)
{
    job->seen = table->tick;
}
