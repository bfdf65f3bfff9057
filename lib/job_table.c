#include "job_table.h"

#include "record_pool.h"
#include "touch.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define NOT_ACTIVE UINT32_MAX
#define FIRST_ROOM 16
#define NO_TAG     0

/*
 * Open addressing with linear probing; removal closes the gap, so that there are no tombstones. The tags, some bits of
 * each record's hash, are few enough to stay in the processor's cache: a record is looked at only where they agree.
 */
struct job_table {
    struct known_job **slots; /* and behind them, in the same block, the tags */
    uint8_t *tags;            /* NO_TAG: the slot is empty */
    size_t room;              /* less than 2^32, at most seven eighths full */
    size_t n;
    struct known_job **active;
    size_t n_active;
    size_t room_active;
    struct record_pool records;
    struct known_pages pages;
    struct known_job *late; /* the last one loaded, in no slot yet */
    uint64_t late_hash;
    uint64_t seed;
    uint32_t tick;
};

static bool make_slots(struct job_table *table, size_t room)
{
    struct known_job **slots = calloc(room, sizeof *slots + sizeof *table->tags);
    if (!slots)
        return false;
    touch(slots, room * (sizeof *slots + sizeof *table->tags));
    table->slots = slots;
    table->tags = (uint8_t *)(slots + room);
    table->room = room;
    return true;
}

struct job_table *job_table_new(uint64_t seed)
{
    struct job_table *table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->seed = seed;
    if (make_slots(table, FIRST_ROOM))
        return table;
    free(table);
    return NULL;
}

void job_table_free(struct job_table *table)
{
    if (!table)
        return;
    record_pool_finish(&table->records);
    known_pages_finish(&table->pages);
    free(table->slots);
    free(table->active);
    free(table);
}

static uint64_t hash_of(const struct job_table *table, const char *id)
{
    return XXH3_64bits_withSeed(id, strlen(id), table->seed);
}

static size_t home_of(const struct job_table *table, uint64_t hash)
{
    return (size_t)((hash & UINT32_MAX) * table->room >> 32);
}

static size_t next_slot(const struct job_table *table, size_t slot)
{
    return slot + 1 < table->room ? slot + 1 : 0;
}

/* Of bits that the home does not have. */
static uint8_t tag_of(uint64_t hash)
{
    return (uint8_t)(hash >> 57) + 1;
}

/* The slot of an id, or the empty one where it belongs. */
static size_t slot_of(const struct job_table *table, const char *id, uint64_t hash)
{
    size_t i = home_of(table, hash);
    uint8_t tag = tag_of(hash);
    while (table->tags[i] != NO_TAG && (table->tags[i] != tag || strcmp(table->slots[i]->id, id) != 0))
        i = next_slot(table, i);
    return i;
}

static void fill_slot(struct job_table *table, size_t slot, struct known_job *job, uint8_t tag)
{
    table->slots[slot] = job;
    table->tags[slot] = tag;
}

struct known_job *job_table_find(const struct job_table *table, const char *id)
{
    assert(!table->late);
    size_t slot = slot_of(table, id, hash_of(table, id));
    return table->tags[slot] == NO_TAG ? NULL : table->slots[slot];
}

/* room: more than there is. */
static bool grow(struct job_table *table, size_t room)
{
    struct known_job **old = table->slots;
    size_t old_room = table->room;
    if (!make_slots(table, room))
        return false;
    for (size_t i = 0; i < old_room; i++) {
        if (!old[i])
            continue;
        uint64_t hash = hash_of(table, old[i]->id);
        fill_slot(table, slot_of(table, old[i]->id, hash), old[i], tag_of(hash));
    }
    free(old);
    return true;
}

static bool make_room(struct job_table *table, size_t n)
{
    size_t room = table->room;
    while (n > room / 8 * 7)
        room += room / 2;
    return room == table->room || grow(table, room);
}

bool job_table_reserve(struct job_table *table, size_t n)
{
    record_pool_expect(&table->records, n * sizeof(struct known_job));
    return n <= table->room / 8 * 7 || grow(table, n + n / 3);
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

/* word: with its NUL; 0 when the status is one of the known. */
static size_t record_size(size_t id, size_t word)
{
    return offsetof(struct known_job, id) + id + 1 + word;
}

static char *word_of(struct known_job *job)
{
    return job->id + strlen(job->id) + 1;
}

static size_t word_room(struct known_job *job)
{
    return job->status == JOB_OTHER ? strlen(word_of(job)) + 1 : 0;
}

/* A record that is in no slot yet. */
static struct known_job *make_record(struct job_table *table, const char *id, size_t len)
{
    assert(len <= JOB_ID_MAX);
    struct known_job *job = record_pool_take(&table->records, record_size(len, 0));
    if (!job)
        return NULL;
    memcpy(job->id, id, len);
    job->status = JOB_QUEUED;
    job->counts = (struct job_counts){COUNT_NONE, COUNT_NONE, COUNT_NONE, COUNT_NONE};
    job->created_at = job->completed_at = job->expires_at = WALL_NONE;
    job->gone_at = MONO_NEVER;
    job->active_place = NOT_ACTIVE;
    if (make_active(table, job)) {
        table->n++;
        return job;
    }
    record_pool_give(&table->records, job, record_size(len, 0));
    return NULL;
}

/* One that is in no slot any more. */
static void drop_record(struct job_table *table, struct known_job *job)
{
    make_inactive(table, job);
    known_pages_leave(&table->pages, job->page);
    table->n--;
    record_pool_give(&table->records, job, record_size(strlen(job->id), word_room(job)));
}

struct known_job *job_table_add(struct job_table *table, const char *id)
{
    assert(!table->late);
    if (!make_room(table, table->n + 1))
        return NULL;
    uint64_t hash = hash_of(table, id);
    size_t slot = slot_of(table, id, hash);
    if (table->tags[slot] != NO_TAG)
        return table->slots[slot];
    struct known_job *job = make_record(table, id, strlen(id));
    if (job)
        fill_slot(table, slot, job, tag_of(hash));
    return job;
}

void job_table_loaded(struct job_table *table)
{
    struct known_job *job = table->late;
    if (!job)
        return;
    table->late = NULL;
    size_t slot = slot_of(table, job->id, table->late_hash);
    if (table->tags[slot] == NO_TAG)
        fill_slot(table, slot, job, tag_of(table->late_hash));
    else
        drop_record(table, job);
}

/* With a million jobs the slot is in no cache: it is on its way here while the next row is read. */
struct known_job *job_table_load(struct job_table *table, const char *id)
{
    job_table_loaded(table);
    if (!make_room(table, table->n + 1))
        return NULL;
    uint64_t hash = hash_of(table, id);
    __builtin_prefetch(&table->tags[home_of(table, hash)], 1);
    __builtin_prefetch(&table->slots[home_of(table, hash)], 1);
    table->late = make_record(table, id, strlen(id));
    table->late_hash = hash;
    return table->late;
}

/* Slots from one to another, onwards. */
static size_t distance(const struct job_table *table, size_t from, size_t to)
{
    return to >= from ? to - from : to + table->room - from;
}

/* Those behind the gap that would not be found any more move up (Knuth, volume 3, section 6.4, algorithm R). */
static void close_gap(struct job_table *table, size_t gap)
{
    for (size_t i = next_slot(table, gap); table->slots[i]; i = next_slot(table, i)) {
        size_t home = home_of(table, hash_of(table, table->slots[i]->id));
        if (distance(table, home, i) < distance(table, gap, i))
            continue;
        fill_slot(table, gap, table->slots[i], table->tags[i]);
        fill_slot(table, i, NULL, NO_TAG);
        gap = i;
    }
}

void job_table_remove(struct job_table *table, struct known_job *job)
{
    size_t slot = slot_of(table, job->id, hash_of(table, job->id));
    assert(table->slots[slot] == job);
    known_pages_change(&table->pages, job->page);
    fill_slot(table, slot, NULL, NO_TAG);
    close_gap(table, slot);
    drop_record(table, job);
}

/* Give the record room for another status word; everything that points to it follows. */
static struct known_job *make_word_room(struct job_table *table, struct known_job *job, size_t word)
{
    size_t len = strlen(job->id), old = record_size(len, word_room(job)), size = record_size(len, word);
    if (RECORD_POOL_ROUND(size) == RECORD_POOL_ROUND(old))
        return job;
    struct known_job *moved = record_pool_take(&table->records, size);
    if (!moved)
        return NULL;
    memcpy(moved, job, record_size(len, 0));
    if (table->late == job)
        table->late = moved;
    else
        table->slots[slot_of(table, job->id, hash_of(table, job->id))] = moved;
    record_pool_give(&table->records, job, old);
    if (moved->active_place != NOT_ACTIVE)
        table->active[moved->active_place] = moved;
    return moved;
}

struct known_job *job_table_set_status(struct job_table *table, struct known_job *job, enum job_status status,
                                       const char *word)
{
    bool was_active = job->active_place != NOT_ACTIVE, is_active = job_status_is_active(status);
    size_t room = status == JOB_OTHER ? strlen(word) + 1 : 0;
    if (is_active && !was_active && !make_active(table, job))
        return NULL;
    struct known_job *moved = make_word_room(table, job, room);
    if (!moved) {
        if (!was_active)
            make_inactive(table, job);
        return NULL;
    }
    job = moved;
    memcpy(word_of(job), word, room);
    if (was_active && !is_active)
        make_inactive(table, job);
    job->status = (uint8_t)status;
    return job;
}

const char *known_status_word(const struct known_job *job)
{
    return job->status == JOB_OTHER ? job->id + strlen(job->id) + 1
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

uint32_t job_table_tick(const struct job_table *table)
{
    return table->tick;
}

void job_table_see(struct job_table *table, struct known_job *job)
{
    job->seen = table->tick;
}

/* Whichever is later. A job that joined its page after that came again was seen later itself; one that it shows no more keeps it from being taken for read. */
uint32_t job_table_last_seen(const struct job_table *table, const struct known_job *job)
{
    uint32_t page = known_pages_seen(&table->pages, job->page);
    return page != 0 && tick_is_since(page, job->seen) ? page : job->seen;
}

struct known_pages *job_table_pages(struct job_table *table)
{
    return &table->pages;
}

/*
 * Take it off its page. That page is still as it was read if it came in this sweep without the job: the list
 * has moved on. In any other case it showed the job, and must be read again.
 */
static void take_off(struct job_table *table, struct known_job *job, uint32_t sweep, uint32_t seen)
{
    bool moved_on = known_pages_came_since(&table->pages, job->page, sweep) && !tick_is_since(seen, sweep);
    if (!moved_on)
        known_pages_change(&table->pages, job->page);
    known_pages_leave(&table->pages, job->page);
    job->page = PAGE_NONE;
    job->dirty = true;
}

bool job_table_stand(struct job_table *table, struct known_job *job, size_t place, uint32_t sweep,
                     uint32_t seen_before)
{
    if (job->page == place + 1)
        return true;
    if (!known_pages_join(&table->pages, place))
        return false;
    take_off(table, job, sweep, seen_before);
    job->page = (uint32_t)(place + 1);
    return true;
}

void job_table_stand_nowhere(struct job_table *table, struct known_job *job, uint32_t sweep)
{
    uint32_t seen = job_table_last_seen(table, job);
    if (job->page != PAGE_NONE)
        take_off(table, job, sweep, seen);
    job->seen = seen;
}
