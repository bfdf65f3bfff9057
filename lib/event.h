/*
 * event: what people are told. The table of kinds, the record of one event, its deterministic id, and the
 * rules that decide when something is worth telling.
 *
 * Invariant: the same observation gives the same event id on every run and every host, so a receiver can drop
 * second copies and a lost store invents no new ids. An event owns all of its strings.
 */
#ifndef JOBWATCH_EVENT_H
#define JOBWATCH_EVENT_H

#include "job.h"

/* The levels of syslog(3), as the journal's PRIORITY. */
enum priority {
    PRIO_EMERG,
    PRIO_ALERT,
    PRIO_CRIT,
    PRIO_ERR,
    PRIO_WARNING,
    PRIO_NOTICE,
    PRIO_INFO,
    PRIO_DEBUG,
};

enum event_kind {
    EVENT_JOB_CREATED,
    EVENT_JOB_STARTED,
    EVENT_JOB_COMPLETED,
    EVENT_JOB_COMPLETED_WITH_FAILURES,
    EVENT_JOB_CANCELLED,
    EVENT_JOB_FAILURES_GROWING,
    EVENT_JOB_STALLED,
    EVENT_JOB_RESUMED,
    EVENT_JOB_EXPIRING,
    EVENT_JOB_VANISHED,
    EVENT_JOB_ANOMALY,
    EVENT_CAPACITY_HIGH,
    EVENT_CAPACITY_OK,
    EVENT_WATCH_STARTED,
    EVENT_API_UNREACHABLE,
    EVENT_API_RECOVERED,
    EVENT_API_UNAUTHORIZED,
    EVENT_API_THROTTLED,
    EVENT_API_SCHEMA,
    EVENT_DELIVERY_FAILED,
    EVENT_TEST, /* sent by test-webhook only, never stored */
    N_EVENT_KINDS,
};

struct event_type {
    const char *name;       /* "job.completed" */
    enum priority priority; /* the usual one; an event may carry another */
    const char *message_id; /* 32 hexadecimal digits, journald's MESSAGE_ID; never changed once released */
};

extern const struct event_type event_types[N_EVENT_KINDS];

/* The kind for a name ("job.completed"), or N_EVENT_KINDS. */
enum event_kind event_kind_from_name(const char *name);

/* "emerg" … "debug", and back: false when the word is none of them. */
const char *priority_word(enum priority priority);
bool priority_from_word(const char *word, enum priority *ret);

/* "evt_" + 52 letters and digits + NUL. */
#define EVENT_ID_SIZE 57

/* The state a job was in before, for events about a change. */
struct event_previous {
    bool known;   /* false: the job was not known before, or the event is about no change of it */
    char *status; /* "" when not known */
    int64_t completed;
    int64_t failed;
};

struct event {
    char id[EVENT_ID_SIZE];
    enum event_kind kind;
    enum priority priority;
    bool reminder; /* told before, and still so */
    wall_time at;  /* when it was seen */
    char *account; /* the account's name in the configuration */
    char *family;  /* the job type; "" for events about an account as a whole */
    char *job_id;  /* "" for events that are about no job */
    char *status;  /* the server's word; "" when there is no job */
    struct job_counts counts;
    struct event_previous previous;
    wall_time created_at;
    wall_time completed_at;
    wall_time expires_at;
    /* What the kind's sentence needs beside the fields: a reason, a webhook's name; may be "". */
    char *note;
    int64_t figure;           /* ms of age, jobs in progress, ms between sweeps, … by kind; 0 */
    struct job_error *errors; /* in one block with their strings; NULL when there are none */
    size_t n_errors;
    size_t more_errors;
};

/*
 * Write the deterministic id: "evt_" and the lower-case RFC 4648 base32 (no padding) of SHA-256 over account,
 * family, job id, the kind's name and `distinct`, each preceded by its length (64 bits, big endian) so that
 * no two tuples can collide. False without memory, out untouched.
 */
bool event_id(const char *account, const char *family, const char *job_id, enum event_kind kind,
              const char *distinct, char out[EVENT_ID_SIZE]);

/*
 * A new event with copies of account and family; job may be NULL. Counts, times, status and job id are copied
 * from job, its errors too. Its id comes from event_id(). NULL without memory. Release with event_free.
 */
struct event *event_new(enum event_kind kind, wall_time at, const char *account, const char *family,
                        const struct job *job, const char *distinct);

/* The note of an api.throttled that tells the end of it. */
#define EVENT_NOTE_OVER "over"

/*
 * Set the note (copied; may be NULL for "") and the figure; the previous state. False without memory, the
 * event unchanged.
 */
bool event_set_note(struct event *event, const char *note, int64_t figure);
bool event_set_previous(struct event *event, const char *status, int64_t completed, int64_t failed);

/* Whether it tells the end of what its kind is about: an api.throttled with EVENT_NOTE_OVER. */
bool event_is_over(const struct event *event);

/* Replace the errors by copies. False without memory, the event unchanged. */
bool event_set_errors(struct event *event, const struct job_error *errors, size_t n, size_t more);

void event_free(struct event *event); /* NULL is fine */

/* The [alerts] section: when something is worth telling. Times in ms. */
struct alert_rules {
    int64_t stalled_after;   /* 0: never */
    int64_t failure_step;    /* 0: at each doubling */
    double failure_ratio;    /* 0..1, failed / total from which failures_growing is an err */
    int64_t expiring_before; /* 0: never */
    int64_t unreachable_after;
    int64_t remind_every;   /* 0: never */
    uint32_t capacity_warn; /* jobs in progress, 1..JOB_CAPACITY; 0: never */
    bool job_created;       /* whether job.created is told */
};

/* The defaults of the design page. */
extern const struct alert_rules alert_rules_default;

/*
 * Whether a failed_count of `failed` is worth telling when `told` was told last (0: nothing yet): the first
 * rise, then each multiple of failure_step crossed, or each doubling when failure_step is 0.
 */
bool failures_worth_telling(const struct alert_rules *rules, int64_t told, int64_t failed);

/* PRIO_ERR from failure_ratio on (total unknown or 0: never), else PRIO_WARNING. */
enum priority failures_priority(const struct alert_rules *rules, int64_t failed, int64_t total);

/* Whether a job is stalled that last moved at `moved`, told as of now. */
bool is_stalled(const struct alert_rules *rules, mono_time moved, mono_time now);

/* Whether expires_at lies ahead of server_now by no more than expiring_before. */
bool is_expiring(const struct alert_rules *rules, wall_time expires_at, wall_time server_now);

#endif
