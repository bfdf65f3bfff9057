#include "sweep.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static void forget_cursors(struct sweep *sweep)
{
    free(sweep->cursor);
    free(sweep->used);
    sweep->cursor = NULL;
    sweep->used = NULL;
    sweep->n_used = sweep->used_room = 0;
}

void sweep_begin(struct sweep *sweep, enum sweep_kind kind, bool both, uint32_t tick, mono_time now)
{
    sweep_end(sweep);
    *sweep = (struct sweep){
        .kind = kind,
        .running = true,
        .list = kind != SWEEP_ACTIVE ? LIST_ALL
                : both               ? LIST_IN_PROGRESS
                                     : LIST_QUEUED,
        .tick = tick,
        .began = now,
        .moved = now,
        .server_began = WALL_NONE,
        .newest_first = true,
        .last_created = WALL_NONE,
    };
}

void sweep_end(struct sweep *sweep)
{
    forget_cursors(sweep);
    sweep->running = false;
}

/* The slot of a hash in the open-addressed set (room is a power of two, 0 marks an empty slot). */
static size_t used_slot(const uint64_t *used, size_t room, uint64_t hash)
{
    size_t i = (size_t)hash & (room - 1);
    while (used[i] != 0 && used[i] != hash)
        i = (i + 1) & (room - 1);
    return i;
}

static bool grow_used(struct sweep *sweep)
{
    size_t room = sweep->used_room ? sweep->used_room * 2 : 16;
    uint64_t *used = calloc(room, sizeof *used);
    if (!used)
        return false;
    for (size_t i = 0; i < sweep->used_room; i++) {
        if (sweep->used[i] != 0)
            used[used_slot(used, room, sweep->used[i])] = sweep->used[i];
    }
    free(sweep->used);
    sweep->used = used;
    sweep->used_room = room;
    return true;
}

/* Note a cursor as used. NULL when fine, else why the sweep is broken. */
static const char *use_cursor(struct sweep *sweep, const char *cursor)
{
    if (sweep->n_used * 2 >= sweep->used_room && !grow_used(sweep))
        return "out of memory";
    uint64_t hash = XXH3_64bits(cursor, strlen(cursor));
    if (hash == 0)
        hash = 1;
    size_t i = used_slot(sweep->used, sweep->used_room, hash);
    if (sweep->used[i] == hash)
        return "the list's next link came back to a page that was read before";
    sweep->used[i] = hash;
    sweep->n_used++;
    return NULL;
}

static enum sweep_step broken(struct sweep *sweep, const char *why)
{
    sweep->why = why;
    sweep_end(sweep);
    return STEP_BROKEN;
}

/* The end of one list: the next one, or the end of the sweep. */
static enum sweep_step end_of_list(struct sweep *sweep)
{
    forget_cursors(sweep);
    if (sweep->list == LIST_QUEUED) {
        sweep->list = LIST_PROCESSING;
        return STEP_MORE;
    }
    sweep->running = false;
    return STEP_WHOLE;
}

static void watch_order(struct sweep *sweep, const struct page *page)
{
    for (size_t i = 0; i < page->n_jobs; i++) {
        wall_time created = page->jobs[i].created_at;
        if (wall_is_none(created) ||
            (!wall_is_none(sweep->last_created) && created.ms > sweep->last_created.ms))
            sweep->newest_first = false;
        sweep->last_created = created;
    }
}

/* The page is done: to the next page or list, or the end. */
static enum sweep_step step(struct sweep *sweep, enum page_next next, const char *next_cursor,
                            size_t most_stale)
{
    sweep->pages++;
    if (sweep->kind == SWEEP_HEAD && !sweep->deeper)
        return end_of_list(sweep);
    switch (next) {
    case NEXT_NONE:
        return end_of_list(sweep);
    case NEXT_UNUSABLE:
        return broken(sweep, "the list's next link holds no page[cursor]");
    case NEXT_CURSOR:
        break;
    }
    if (sweep->stale_pages >= most_stale)
        return broken(sweep, "the list goes on, but its pages bring nothing new");
    if (sweep->pages >= SWEEP_MAX_PAGES)
        return broken(sweep, "the list has no end");
    const char *why = use_cursor(sweep, next_cursor);
    if (why)
        return broken(sweep, why);
    char *cursor = strdup(next_cursor);
    if (!cursor)
        return broken(sweep, "out of memory");
    free(sweep->cursor);
    sweep->cursor = cursor;
    return STEP_MORE;
}

enum sweep_step sweep_page(struct sweep *sweep, const struct page *page, size_t unseen, size_t known)
{
    sweep->malformed += page->n_malformed;
    sweep->stale_pages = unseen > 0 ? 0 : sweep->stale_pages + 1;
    watch_order(sweep, page);
    /* What all known jobs fill may have been seen by sweeps beside this one. */
    size_t beside = page->n_jobs > 0 ? known / page->n_jobs : 0;
    return step(sweep, page->next, page->next_cursor, SWEEP_MAX_STALE_PAGES + beside);
}

/* Its jobs stand on no other page, so that all of them are new to this sweep. */
enum sweep_step sweep_same_page(struct sweep *sweep, const struct known_page *page)
{
    if (page->jobs > 0) {
        bool older = wall_is_none(sweep->last_created) || page->first_created.ms <= sweep->last_created.ms;
        sweep->newest_first &= page->newest_first && older;
        sweep->last_created = page->last_created;
    }
    sweep->stale_pages = page->jobs > 0 ? 0 : sweep->stale_pages + 1;
    return step(sweep, page->next_cursor ? NEXT_CURSOR : NEXT_NONE, page->next_cursor, SWEEP_MAX_STALE_PAGES);
}
