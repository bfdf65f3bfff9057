/*
 * known_pages: what each page of the full list said when it was last read, so that a page whose bytes come
 * again need not be parsed again. Pages are counted by their place in the sweep, from 0.
 *
 * A job stands on at most one page (known_job.page), the one that showed it last. Invariant: a page is taken
 * for read only if its bytes are the same, every job that it showed stands on it still and no other does, and
 * none of those jobs has changed, or is to be looked at, since: then reading it again would change nothing but
 * that its jobs were seen. Whoever changes a record in another way than by reading its page calls
 * known_pages_change. The digest is no protection against an API that forges collisions; such an API could
 * as well not show a change at all.
 */
#ifndef JOBWATCH_KNOWN_PAGES_H
#define JOBWATCH_KNOWN_PAGES_H

#include "page_decode.h"

/* known_job.page of a job that stands on no page; else it is the page's place plus one. */
#define PAGE_NONE 0

struct page_digest {
    uint64_t words[2];
};

struct known_page {
    bool read;  /* what follows holds */
    bool dirty; /* changed since it was last written to the store */
    bool newest_first;
    struct page_digest digest;
    uint32_t jobs;    /* how many it showed */
    uint32_t members; /* how many stand on it */
    uint32_t same;    /* tick at which its bytes last came again; 0 never */
    uint32_t came;    /* tick at which it was last read, or its bytes came again; 0 never */
    wall_time first_created;
    wall_time last_created;
    const char *next_cursor; /* NULL: it was the list's last page */
};

struct known_pages {
    struct known_page *pages;
    size_t n;
    size_t dirty_from; /* those that are dirty lie between */
    size_t dirty_to;
};

void known_pages_finish(struct known_pages *pages); /* a zeroed one is fine */

/*
 * Of an answer's bytes. rules: any text that stands for what is done with the jobs of a page once they are
 * read; another text makes every page a new one.
 */
struct page_digest page_digest(const char *bytes, size_t len, const char *rules);

/* The page at this place when it may be taken for read, else NULL. */
const struct known_page *known_pages_same(const struct known_pages *pages, size_t place,
                                          const struct page_digest *digest);

/* It was taken for read at this tick: that is when its jobs were last seen. */
void known_pages_see(struct known_pages *pages, size_t place, uint32_t tick);

/*
 * A page was read, and all its jobs, each once, stand on it with nothing left to do. False without memory,
 * nothing changed.
 */
bool known_pages_remember(struct known_pages *pages, size_t place, const struct page_digest *digest,
                          const struct page *page, uint32_t tick);

/* The page must be read when it comes again. */
void known_pages_forget(struct known_pages *pages, size_t place);

/* As loaded from the store; its jobs join it one by one, each by known_pages_join. False without memory. */
bool known_pages_restore(struct known_pages *pages, size_t place, const struct known_page *stored);

/* A whole sweep was over after so many pages: those behind are no more. */
void known_pages_end(struct known_pages *pages, size_t n);

/* Membership; page is known_job.page. join: false without memory. */
bool known_pages_join(struct known_pages *pages, size_t place);
void known_pages_leave(struct known_pages *pages, uint32_t page);

/* A job that stands on this page (known_job.page) changed. */
static inline void known_pages_change(struct known_pages *pages, uint32_t page)
{
    if (page != PAGE_NONE)
        known_pages_forget(pages, page - 1);
}

/* Whether the page came since `tick`. */
bool known_pages_came_since(const struct known_pages *pages, uint32_t page, uint32_t tick);

/* The tick at which the page's jobs were last seen together; 0 never. */
static inline uint32_t known_pages_seen(const struct known_pages *pages, uint32_t page)
{
    return page == PAGE_NONE ? 0 : pages->pages[page - 1].same;
}

/* Everything that was dirty is written. */
void known_pages_written(struct known_pages *pages);

#endif
