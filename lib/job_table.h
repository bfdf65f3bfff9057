/*
 * job_table: the known jobs of one watch (one account and family), id → compact record.
 *
 * Invariant: an id is in the table at most once, and the active list holds exactly the records whose status
 * is queued or processing. A record costs at most 128 bytes, table slot included, plus its id. Records belong
 * to the table; a pointer to one stays valid until it is removed or a status that is an unknown word is set
 * or left. The table
 * also knows on which page of the full list each job stands, see known_pages.
 */
#ifndef JOBWATCH_JOB_TABLE_H
#define JOBWATCH_JOB_TABLE_H

#include "known_pages.h"

/* Why one job should be looked at by its own URL (bits of known_job.look). */
enum look {
    LOOK_LEFT = 1,    /* active, but absent from a whole consistent sweep */
    LOOK_CONFIRM = 2, /* an answer said something impossible or stale; believed only after this look */
    LOOK_ERRORS = 4,  /* recorded events wait for the job's errors */
    LOOK_SWEPT = 8, /* with LOOK_LEFT: a whole full sweep did not find it either, only its own URL can tell */
    LOOK_QUEUED = 16, /* it stands in the watcher's queue of looks */
};

/* What was told about a job already (bits of known_job.told). */
enum told {
    TOLD_STALLED = 1,
    TOLD_EXPIRING = 2,
    TOLD_NOTHING =
        4, /* added, but no observation of it is believed yet (its first one waits for LOOK_CONFIRM) */
};

/* Impossible states and movements (bits of known_job.anomalies: those told already). */
enum anomaly {
    ANOMALY_NEGATIVE = 1,   /* a count below zero */
    ANOMALY_OVER_TOTAL = 2, /* completed + failed + skipped over total */
    ANOMALY_FELL = 4,       /* a count fell */
    ANOMALY_REVIVED = 8,    /* finished, then active again */
    ANOMALY_TURNED = 16,    /* complete, then cancelled, or the reverse */
    ANOMALY_UNKNOWN = 32,   /* a status word this version does not know */
};

struct known_job {
    struct job_counts counts;
    wall_time created_at;
    wall_time completed_at;
    wall_time expires_at;
    mono_time moved_at;    /* when its status or a count was last seen to move */
    mono_time gone_at;     /* finished and absent since this full sweep; MONO_NEVER while listed */
    int64_t failures_told; /* failed_count when failures were last told; 0: never */
    uint32_t seen;         /* private: tick of the last observation by itself, see job_table_last_seen */
    uint32_t active_place; /* private: index in the active list */
    uint32_t page;         /* where it stands in the full list: PAGE_NONE, or a page's place + 1 */
    uint16_t stall_told;   /* how often this stall was told, reminders included; not stored */
    uint8_t status;        /* enum job_status */
    uint8_t look;          /* enum look bits; not stored */
    uint8_t told;          /* enum told bits */
    uint8_t anomalies;     /* enum anomaly bits */
    uint8_t revivals; /* how often it came back from the dead: makes the ids of its second end distinct */
    bool dirty;       /* changed since it was last written to the store; not stored */
    char id[];        /* NUL-terminated; behind it the status word of JOB_OTHER, see known_status_word */
};

struct job_table;

/* seed: any number, keeps a hostile server from choosing colliding ids. NULL without memory. */
struct job_table *job_table_new(uint64_t seed);
void job_table_free(struct job_table *table); /* NULL is fine */

/* The record, or NULL. */
struct known_job *job_table_find(const struct job_table *table, const char *id);

/*
 * Add a record: queued, counts and times absent, gone_at MONO_NEVER, the rest zero. One that is there already is
 * returned as it is. NULL without memory, nothing changed.
 */
struct known_job *job_table_add(struct job_table *table, const char *id);

/*
 * The same for rows that are read one after the other, each of an id of its own: it is found only once all are there,
 * after job_table_loaded; one whose id was there already is dropped again then. Until then nothing else but
 * job_table_set_status may be asked of the table, of the last one.
 */
struct known_job *job_table_load(struct job_table *table, const char *id);
void job_table_loaded(struct job_table *table);

/* Room for so many in all, so that adding them does not have to make it again and again. False without memory. */
bool job_table_reserve(struct job_table *table, size_t n);

/* Remove and free. */
void job_table_remove(struct job_table *table, struct known_job *job);

/*
 * Set status and word; keeps the active list. Returns the record, moved when it needs other room, or
 * NULL without memory (nothing changed). The word is looked at only for JOB_OTHER.
 */
struct known_job *job_table_set_status(struct job_table *table, struct known_job *job, enum job_status status,
                                       const char *word);

/* The status as the server wrote it. */
const char *known_status_word(const struct known_job *job);

size_t job_table_count(const struct job_table *table);
size_t job_table_active_count(const struct job_table *table);

/* The i-th active record, i < active_count; the order is stable only while nothing is added, removed or set.
 */
struct known_job *job_table_active(const struct job_table *table, size_t i);

/* Walk all records: *cursor starts at 0; NULL at the end. Records may be removed, not added, while walking; then
 * one that moves round the end of the table may be passed over until the next walk.
 */
struct known_job *job_table_next(const struct job_table *table, size_t *cursor);

/*
 * Ticks order sweeps and observations: each sweep starts with a new tick, each observation stamps the current
 * one, so a job was not seen since a sweep's start when its `seen` is older than the sweep's tick.
 */
uint32_t job_table_new_tick(struct job_table *table);
uint32_t job_table_tick(const struct job_table *table); /* the current one */
void job_table_see(struct job_table *table, struct known_job *job);

/* The last observation, by itself or with the page it stands on. */
uint32_t job_table_last_seen(const struct job_table *table, const struct known_job *job);

static inline bool tick_is_since(uint32_t seen, uint32_t tick)
{
    return (int32_t)(seen - tick) >= 0;
}

static inline bool job_seen_since(const struct job_table *table, const struct known_job *job, uint32_t tick)
{
    return tick_is_since(job_table_last_seen(table, job), tick);
}

/* The pages of the full list that were read. */
struct known_pages *job_table_pages(struct job_table *table);

/*
 * A page of the full sweep that began at `sweep` shows the job, which was last seen at `seen_before` (of no
 * meaning for a new one): it stands on that page from now on, and on no other. False without memory.
 */
bool job_table_stand(struct job_table *table, struct known_job *job, size_t place, uint32_t sweep,
                     uint32_t seen_before);

/* The whole full sweep that began at `sweep` did not show it: it stands on no page. */
void job_table_stand_nowhere(struct job_table *table, struct known_job *job, uint32_t sweep);

#endif
