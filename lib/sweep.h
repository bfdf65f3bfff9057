/*
 * sweep: one walk through the pages of a list, from its first page to the end of its links.
 *
 * Invariant: a sweep is whole only if every page came, each cursor was used once, and the last page had no
 * next link. Anything else ends it broken: what was seen stays seen, but nothing may be concluded from what
 * was not. A sweep always ends: a cursor that comes again, pages that bring nothing unseen, or too many pages
 * break it. An active sweep walks one filtered list per status, queued first, so that a job that starts
 * meanwhile is seen in the second. Where the family can filter for both at once it walks one list.
 */
#ifndef JOBWATCH_SWEEP_H
#define JOBWATCH_SWEEP_H

#include "known_pages.h"

enum sweep_kind {
    SWEEP_ACTIVE, /* status filters, sparse fieldset */
    SWEEP_FULL,   /* everything */
    SWEEP_HEAD,   /* the newest page, and more while they are wanted */
};

/* Which list a page belongs to. */
enum sweep_list {
    LIST_ALL,
    LIST_QUEUED,
    LIST_PROCESSING,
    LIST_IN_PROGRESS, /* both at once, for families with an `any` filter */
};

enum sweep_step {
    STEP_MORE,   /* ask for sweep->list with sweep->cursor */
    STEP_WHOLE,  /* over: every page was seen */
    STEP_BROKEN, /* over: see sweep->why */
};

/* Successive pages without a job unseen since it began, beside those that other sweeps may have seen meanwhile, and
 * pages in all, after which a sweep is broken. */
#define SWEEP_MAX_STALE_PAGES 20
#define SWEEP_MAX_PAGES       200000

struct sweep {
    enum sweep_kind kind;
    bool running;
    enum sweep_list list;
    char *cursor;  /* NULL: the first page of the list */
    uint32_t tick; /* of the job table, at the beginning */
    uint32_t pages;
    uint32_t stale_pages;
    uint32_t restarts; /* how often it began anew because a cursor had expired */
    size_t malformed;  /* entries left out */
    mono_time began;
    mono_time moved; /* when it last got on: it began, or a page came */
    wall_time
        server_began;  /* when the first answer came, by the server's clock or by ours if that is behind */
    bool deeper;       /* set before sweep_page(): a head sweep is to go on with the next page */
    bool newest_first; /* so far each job was created no later than the one before */
    wall_time last_created;
    const char *why; /* static: why it broke */
    uint64_t *used;  /* private: hashes of the cursors of this list */
    size_t n_used;
    size_t used_room;
};

/* Begin; any sweep before is released. both: the family's `any` filter exists. */
void sweep_begin(struct sweep *sweep, enum sweep_kind kind, bool both, uint32_t tick, mono_time now);

/*
 * A page was seen and applied. unseen: how many of its jobs had not been seen, by any sweep, since this one began;
 * known: how many jobs are known in all. Moves on to the next page or list, or ends. STEP_BROKEN also without memory.
 */
enum sweep_step sweep_page(struct sweep *sweep, const struct page *page, size_t unseen, size_t known);

/* The same for a page that was read before and came again as it was. */
enum sweep_step sweep_same_page(struct sweep *sweep, const struct known_page *page);

/* End it before its time (a page could not be had); release its memory. A zeroed sweep is fine. */
void sweep_end(struct sweep *sweep);

/* A whole sweep without malformed entries: absence from it means something. */
static inline bool sweep_is_consistent(const struct sweep *sweep)
{
    return sweep->malformed == 0;
}

#endif
