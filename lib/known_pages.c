#include "known_pages.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* The same digest, by the widest registers that this processor has: a third of the instructions. */
#ifdef __x86_64__
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif

void known_pages_finish(struct known_pages *pages)
{
    for (size_t i = 0; i < pages->n; i++)
        free((char *)pages->pages[i].next_cursor);
    free(pages->pages);
    *pages = (struct known_pages){0};
}

struct page_digest page_digest(const char *bytes, size_t len, const char *rules)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(bytes, len, XXH3_64bits(rules, strlen(rules)));
    return (struct page_digest){{hash.low64, hash.high64}};
}

static bool equal(const struct page_digest *a, const struct page_digest *b)
{
    return a->words[0] == b->words[0] && a->words[1] == b->words[1];
}

const struct known_page *known_pages_same(const struct known_pages *pages, size_t place,
                                          const struct page_digest *digest)
{
    const struct known_page *page = place < pages->n ? &pages->pages[place] : NULL;
    return page && page->read && page->members == page->jobs && equal(&page->digest, digest) ? page : NULL;
}

void known_pages_see(struct known_pages *pages, size_t place, uint32_t tick)
{
    pages->pages[place].same = pages->pages[place].came = tick;
}

static void mark_dirty(struct known_pages *pages, size_t place)
{
    bool none = pages->dirty_from == pages->dirty_to;
    pages->pages[place].dirty = true;
    if (none || place < pages->dirty_from)
        pages->dirty_from = place;
    if (none || place + 1 > pages->dirty_to)
        pages->dirty_to = place + 1;
}

static bool make_room(struct known_pages *pages, size_t place)
{
    if (place < pages->n)
        return true;
    size_t n = place + 1 > pages->n + pages->n / 2 ? place + 1 : pages->n + pages->n / 2;
    struct known_page *grown = reallocarray(pages->pages, n, sizeof *grown);
    if (!grown)
        return false;
    memset(grown + pages->n, 0, (n - pages->n) * sizeof *grown);
    pages->pages = grown;
    pages->n = n;
    return true;
}

static bool is_newest_first(const struct page *page)
{
    for (size_t i = 0; i < page->n_jobs; i++) {
        wall_time created = page->jobs[i].created_at;
        if (wall_is_none(created) || (i > 0 && created.ms > page->jobs[i - 1].created_at.ms))
            return false;
    }
    return true;
}

bool known_pages_remember(struct known_pages *pages, size_t place, const struct page_digest *digest,
                          const struct page *page, uint32_t tick)
{
    char *cursor = page->next_cursor ? strdup(page->next_cursor) : NULL;
    if ((page->next_cursor && !cursor) || !make_room(pages, place)) {
        free(cursor);
        return false;
    }
    struct known_page *known = &pages->pages[place];
    free((char *)known->next_cursor);
    known->read = true;
    known->newest_first = is_newest_first(page);
    known->digest = *digest;
    known->jobs = (uint32_t)page->n_jobs;
    known->first_created = page->n_jobs ? page->jobs[0].created_at : WALL_NONE;
    known->last_created = page->n_jobs ? page->jobs[page->n_jobs - 1].created_at : WALL_NONE;
    known->next_cursor = cursor;
    known->came = tick;
    mark_dirty(pages, place);
    return true;
}

void known_pages_forget(struct known_pages *pages, size_t place)
{
    if (place >= pages->n || !pages->pages[place].read)
        return;
    pages->pages[place].read = false;
    mark_dirty(pages, place);
}

void known_pages_end(struct known_pages *pages, size_t n)
{
    for (size_t i = n; i < pages->n; i++)
        known_pages_forget(pages, i);
}

bool known_pages_restore(struct known_pages *pages, size_t place, const struct known_page *stored)
{
    char *cursor = stored->next_cursor ? strdup(stored->next_cursor) : NULL;
    if ((stored->next_cursor && !cursor) || !make_room(pages, place)) {
        free(cursor);
        return false;
    }
    struct known_page *known = &pages->pages[place];
    uint32_t members = known->members;
    *known = *stored;
    known->members = members;
    known->next_cursor = cursor;
    return true;
}

bool known_pages_join(struct known_pages *pages, size_t place)
{
    if (!make_room(pages, place))
        return false;
    pages->pages[place].members++;
    return true;
}

void known_pages_leave(struct known_pages *pages, uint32_t page)
{
    if (page == PAGE_NONE)
        return;
    assert(pages->pages[page - 1].members > 0);
    pages->pages[page - 1].members--;
}

bool known_pages_came_since(const struct known_pages *pages, uint32_t page, uint32_t tick)
{
    return page != PAGE_NONE && pages->pages[page - 1].came != 0 &&
           (int32_t)(pages->pages[page - 1].came - tick) >= 0;
}

void known_pages_written(struct known_pages *pages)
{
    for (size_t i = pages->dirty_from; i < pages->dirty_to; i++)
        pages->pages[i].dirty = false;
    pages->dirty_from = pages->dirty_to = 0;
}
