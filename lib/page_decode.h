/*
 * page_decode: the bytes of one answer → jobs and the cursor of the next page.
 *
 * Invariant: whatever the bytes are, the result is bounded (the limits below), and no job is made up: an
 * entry that is not plainly a job of the expected type is left out and counted in n_malformed. Both shapes
 * are read without being told which: `data[].id` (newer) or `attributes.job_id` (revisions up to 2023-07-15).
 * Numbers are read to int64. The only user of json-c for input. No text of an answer is trusted: strings are
 * cut at the limits, a NUL inside an id or a status makes the entry malformed, a NUL inside an error text
 * becomes U+FFFD.
 *
 * Malformed (left out and counted): not an object; `type` missing or another than expected; id missing,
 * empty, longer than JOB_ID_MAX or holding NUL; status missing, not a string or longer than JOB_STATUS_MAX; a
 * count that is neither absent, null nor a whole number within int64 (a float with no fraction is whole).
 * Tolerated: unknown members, unreadable or absent timestamps (WALL_NONE), errors of the wrong shape (read as
 * far as they are strings).
 */
#ifndef JOBWATCH_PAGE_DECODE_H
#define JOBWATCH_PAGE_DECODE_H

#include "job.h"

#define PAGE_MAX_JOBS   1000 /* Klaviyo sends at most 100 */
#define PAGE_MAX_ERRORS 20   /* errors kept per job; the rest is counted */
#define PAGE_MAX_TEXT   500  /* bytes kept of each error text, cut at a UTF-8 character */
#define PAGE_MAX_CURSOR 2048 /* bytes of an (undecoded) page[cursor] */
#define PAGE_MAX_DEPTH  32   /* JSON nesting */
#define PAGE_WHY_SIZE   200

enum page_result {
    PAGE_OK,       /* *ret is set; look at n_malformed too */
    PAGE_NOT_JSON, /* not one JSON value, or nested too deep */
    PAGE_NOT_JOBS, /* JSON, but without `data` as an array (list) or an object (one job) */
    PAGE_NO_MEMORY,
};

enum page_next {
    NEXT_NONE,     /* links.next absent, null or "": the sweep ends here */
    NEXT_CURSOR,   /* next_cursor is set */
    NEXT_UNUSABLE, /* links.next is there but has no page[cursor], or one too long */
};

struct page {
    struct job *jobs; /* in the answer's order; owned by the page */
    size_t n_jobs;
    size_t n_malformed;
    char why[PAGE_WHY_SIZE]; /* of the first malformed entry or unusable next: printable ASCII, "" when there
                                is none */
    enum page_next next;
    char *next_cursor; /* percent-decoded value of page[cursor]; NULL unless NEXT_CURSOR */
    void *memory;      /* private */
};

/*
 * Decode a list answer (`data` an array) or a one-job answer (`data` an object); bytes[len] must be a NUL; len 0 is PAGE_NOT_JSON. type
 * is the family's. On PAGE_OK *ret must be released with page_finish; otherwise ret->why says what is wrong
 * (printable ASCII, at most PAGE_WHY_SIZE) and the rest of *ret is zero.
 */
enum page_result page_decode_list(const char *bytes, size_t len, const char *type, struct page *ret);
enum page_result page_decode_one(const char *bytes, size_t len, const char *type, struct page *ret);

/* Release what a page owns; a zeroed page and a second call are fine. */
void page_finish(struct page *page);

/*
 * One line from a JSON:API error answer, "title: detail (pointer or parameter)", printable ASCII, cut to
 * size;
 * "" when the bytes are no such answer. out always ends in NUL.
 */
void api_error_text(const char *bytes, size_t len, char *out, size_t size);

#endif
