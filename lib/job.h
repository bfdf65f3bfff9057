/*
 * job: one bulk job as an answer shows it, the status words, and the table of families.
 *
 * Invariant: a struct job is a plain view; its strings belong to whoever decoded it (struct page), are never
 * NULL, end in NUL and hold no NUL inside, but may hold any other byte: control characters and invalid UTF-8
 * are for render to clean. Counts are as the server wrote them, negative ones included. Source of the table:
 * Klaviyo's OpenAPI document, revision 2026-07-15 (paths, x-klaviyo-ratelimit, fields[...] enums).
 */
#ifndef JOBWATCH_JOB_H
#define JOBWATCH_JOB_H

#include "timestamp.h"

/* A count that the answer does not have (absent or null). */
#define COUNT_NONE INT64_MIN

/* Klaviyo's cap of jobs in progress per kind; creating more is refused. */
#define JOB_CAPACITY 500

/* Longest job id and status word that are believed, in bytes; Klaviyo's ids are 26 to some 60 bytes long. */
#define JOB_ID_MAX     256
#define JOB_STATUS_MAX 64

enum job_status {
    JOB_QUEUED,
    JOB_PROCESSING,
    JOB_COMPLETE,
    JOB_CANCELLED,
    JOB_OTHER, /* a word this version does not know; kept verbatim beside it */
};

struct job_counts {
    int64_t total;
    int64_t completed;
    int64_t failed;
    int64_t skipped; /* suppression jobs only */
};

struct job_error {
    const char *code;
    const char *title;
    const char *detail;
    const char *pointer; /* source.pointer */
};

struct job {
    const char *id;
    enum job_status status;
    const char *status_word; /* the server's own word, equal to job_status_word(status) unless JOB_OTHER */
    struct job_counts counts;
    wall_time created_at;
    wall_time completed_at;
    wall_time expires_at;
    const struct job_error *errors;
    size_t n_errors;    /* at most PAGE_MAX_ERRORS; more are counted below */
    size_t more_errors; /* how many the answer had beyond n_errors */
};

/* "queued", "processing", "complete", "cancelled"; "other" for JOB_OTHER. */
const char *job_status_word(enum job_status status);

/* The status for a server's word; JOB_OTHER when unknown. */
enum job_status job_status_from_word(const char *word);

/* In progress: queued or processing. */
static inline bool job_status_is_active(enum job_status s)
{
    return s == JOB_QUEUED || s == JOB_PROCESSING;
}

/* Over for good: complete or cancelled. JOB_OTHER is neither active nor terminal. */
static inline bool job_status_is_terminal(enum job_status s)
{
    return s == JOB_COMPLETE || s == JOB_CANCELLED;
}

/* The count, or 0 when it is absent. */
static inline int64_t count_or_zero(int64_t count)
{
    return count == COUNT_NONE ? 0 : count;
}

/* Room for a family's type and path. */
#define FAMILY_TYPE_MAX 64
#define FAMILY_PATH_MAX 160

/* One job type. Rows of the table are static; those of `family` sections belong to the configuration. */
struct family {
    const char *type;   /* JSON:API type, as in "catalog-category-bulk-delete-job" */
    const char *path;   /* "/api/catalog-category-bulk-delete-jobs", no trailing slash */
    uint32_t burst;     /* documented requests per second */
    uint32_t steady;    /* documented requests per minute */
    const char *scope;  /* the API key scopes it needs, "" when not known */
    const char *fields; /* sparse fieldset without errors, "" when the family's fields are not known */
    const char *sort;   /* the value of sort= that lists newest first, "" when it has none */
    uint32_t page_size; /* the value of page[size]= to ask for, 0 when the family has no such parameter */
    bool has_errors;    /* whether one job's GET can carry errors */
    bool has_cancelled; /* whether status=cancelled may be filtered for */
    bool has_any; /* whether its filter knows `any`, so that one list shows queued and processing jobs */
};

/* All thirteen families that Klaviyo can list. */
extern const struct family families[];
extern const size_t n_families;

/* The row for a type, or NULL. */
const struct family *family_find(const char *type);

/* Whether a revision ("YYYY-MM-DD[.suffix]") is of the old shape: attributes.job_id and naive timestamps (up
 * to 2023-07-15). */
bool revision_has_job_id(const char *revision);

/* Whether a revision's paths end in a slash (2022 and 2023). */
bool revision_has_trailing_slash(const char *revision);

/* Whether text is "YYYY-MM-DD" with an optional ".suffix" of letters, digits and dashes, and a real date. */
bool revision_is_valid(const char *text);

#endif
