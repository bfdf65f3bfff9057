#include "event.h"

#include <openssl/evp.h>

#include <stdlib.h>
#include <string.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)

const struct event_type event_types[N_EVENT_KINDS] = {
    [EVENT_JOB_CREATED] = {"job.created", PRIO_INFO, "5f03847fc32b4157801579eef00c1458"},
    [EVENT_JOB_STARTED] = {"job.started", PRIO_INFO, "50b6b0c28b4d48659589da43bd99ac69"},
    [EVENT_JOB_COMPLETED] = {"job.completed", PRIO_NOTICE, "e273cbea28be4c74b7bb52d681ef36af"},
    [EVENT_JOB_COMPLETED_WITH_FAILURES] = {"job.completed_with_failures", PRIO_WARNING,
                                           "9e9bb8cdfb4544e4a1ed4d74c15558fb"},
    [EVENT_JOB_CANCELLED] = {"job.cancelled", PRIO_WARNING, "03b4111db40640f18f6411660bcc15aa"},
    [EVENT_JOB_FAILURES_GROWING] = {"job.failures_growing", PRIO_WARNING, "1cb75277054c47d3af6f74ef5d0b0496"},
    [EVENT_JOB_STALLED] = {"job.stalled", PRIO_ERR, "0dc13589246c4f4f9de495c5e24c78b2"},
    [EVENT_JOB_RESUMED] = {"job.resumed", PRIO_NOTICE, "7c84fd253d964aa4b9deee781d244b6a"},
    [EVENT_JOB_EXPIRING] = {"job.expiring", PRIO_NOTICE, "deb2580e950742b9b0cf1a037dd24582"},
    [EVENT_JOB_VANISHED] = {"job.vanished", PRIO_ERR, "d4cecd8c6e4b45d6899f18f7a8feaddf"},
    [EVENT_JOB_ANOMALY] = {"job.anomaly", PRIO_WARNING, "d206960e0f824fdcb4734b1aa21479f4"},
    [EVENT_CAPACITY_HIGH] = {"capacity.high", PRIO_WARNING, "202b2e4852614110926dd36e301ed644"},
    [EVENT_CAPACITY_OK] = {"capacity.ok", PRIO_NOTICE, "84e84c642aa642708c27b02d9aeeaad6"},
    [EVENT_WATCH_STARTED] = {"watch.started", PRIO_INFO, "3116d9bd95964b41aa89a760d3afd453"},
    [EVENT_API_UNREACHABLE] = {"api.unreachable", PRIO_ERR, "cb0f036eba9d4f96a4a12e045b4165ab"},
    [EVENT_API_RECOVERED] = {"api.recovered", PRIO_NOTICE, "f0c1d5a4be29442db5dc075a63e02702"},
    [EVENT_API_UNAUTHORIZED] = {"api.unauthorized", PRIO_CRIT, "76e65c3a1df744d984391a2977335a52"},
    [EVENT_API_THROTTLED] = {"api.throttled", PRIO_WARNING, "370630ab0a7843e787d5984eccdd59df"},
    [EVENT_API_SCHEMA] = {"api.schema", PRIO_ERR, "4771595a6a944419a3eee0795bbbc2dc"},
    [EVENT_DELIVERY_FAILED] = {"delivery.failed", PRIO_ERR, "84687c5775de41a6bc57dfd0f31eff5c"},
    [EVENT_TEST] = {"test", PRIO_NOTICE, "45e3c7ef337b4ad9beba0c30ff06c463"},
};

enum event_kind event_kind_from_name(const char *name)
{
    enum event_kind kind = 0;
    while (kind < N_EVENT_KINDS && strcmp(event_types[kind].name, name) != 0)
        kind++;
    return kind;
}

static const char *const priority_words[] = {
    [PRIO_EMERG] = "emerg",     [PRIO_ALERT] = "alert",   [PRIO_CRIT] = "crit", [PRIO_ERR] = "err",
    [PRIO_WARNING] = "warning", [PRIO_NOTICE] = "notice", [PRIO_INFO] = "info", [PRIO_DEBUG] = "debug",
};

const char *priority_word(enum priority priority)
{
    return priority_words[priority];
}

bool priority_from_word(const char *word, enum priority *ret)
{
    for (enum priority priority = PRIO_EMERG; priority <= PRIO_DEBUG; priority++) {
        if (strcmp(priority_words[priority], word) == 0) {
            *ret = priority;
            return true;
        }
    }
    return false;
}

static bool digest_part(EVP_MD_CTX *digest, const char *part)
{
    size_t len = strlen(part);
    unsigned char prefix[8];
    for (size_t i = 0; i < sizeof prefix; i++)
        prefix[i] = (unsigned char)((uint64_t)len >> (56 - 8 * i));
    return EVP_DigestUpdate(digest, prefix, sizeof prefix) == 1 && EVP_DigestUpdate(digest, part, len) == 1;
}

static bool digest_parts(const char *const *parts, size_t n, unsigned char out[EVP_MAX_MD_SIZE],
                         unsigned *len)
{
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool fine = digest && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1;
    for (size_t i = 0; fine && i < n; i++)
        fine = digest_part(digest, parts[i]);
    fine = fine && EVP_DigestFinal_ex(digest, out, len) == 1;
    EVP_MD_CTX_free(digest);
    return fine;
}

/* RFC 4648 section 6, lower case, without padding; out is not terminated. Returns the letters written. */
static size_t base32(const unsigned char *bytes, size_t len, char *out)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    size_t n = 0;
    uint32_t bits = 0;
    unsigned n_bits = 0;
    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | bytes[i];
        for (n_bits += 8; n_bits >= 5; n_bits -= 5)
            out[n++] = alphabet[bits >> (n_bits - 5) & 31];
    }
    if (n_bits > 0)
        out[n++] = alphabet[bits << (5 - n_bits) & 31];
    return n;
}

bool event_id(const char *account, const char *family, const char *job_id, enum event_kind kind,
              const char *distinct, char out[EVENT_ID_SIZE])
{
    const char *parts[] = {account, family, job_id, event_types[kind].name, distinct};
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned len;
    if (!digest_parts(parts, sizeof parts / sizeof *parts, hash, &len))
        return false;
    memcpy(out, "evt_", 4);
    out[4 + base32(hash, len, out + 4)] = '\0';
    return true;
}

static bool copy_job(struct event *event, const struct job *job)
{
    event->job_id = strdup(job->id);
    event->status = strdup(job->status_word);
    event->counts = job->counts;
    event->created_at = job->created_at;
    event->completed_at = job->completed_at;
    event->expires_at = job->expires_at;
    return event->job_id && event->status &&
           event_set_errors(event, job->errors, job->n_errors, job->more_errors);
}

static bool copy_no_job(struct event *event)
{
    event->job_id = strdup("");
    event->status = strdup("");
    event->counts = (struct job_counts){COUNT_NONE, COUNT_NONE, COUNT_NONE, COUNT_NONE};
    event->created_at = event->completed_at = event->expires_at = WALL_NONE;
    return event->job_id && event->status;
}

struct event *event_new(enum event_kind kind, wall_time at, const char *account, const char *family,
                        const struct job *job, const char *distinct)
{
    struct event *event = calloc(1, sizeof *event);
    if (!event)
        return NULL;
    event->kind = kind;
    event->priority = event_types[kind].priority;
    event->at = at;
    event->previous.completed = event->previous.failed = COUNT_NONE;
    event->account = strdup(account);
    event->family = strdup(family);
    event->previous.status = strdup("");
    event->note = strdup("");
    if (!event->account || !event->family || !event->previous.status || !event->note ||
        !(job ? copy_job(event, job) : copy_no_job(event)) ||
        !event_id(account, family, event->job_id, kind, distinct, event->id)) {
        event_free(event);
        return NULL;
    }
    return event;
}

static bool replace(char **string, const char *by)
{
    char *copy = strdup(by);
    if (!copy)
        return false;
    free(*string);
    *string = copy;
    return true;
}

bool event_set_note(struct event *event, const char *note, int64_t figure)
{
    if (!replace(&event->note, note ? note : ""))
        return false;
    event->figure = figure;
    return true;
}

bool event_set_previous(struct event *event, const char *status, int64_t completed, int64_t failed)
{
    if (!replace(&event->previous.status, status))
        return false;
    event->previous.known = true;
    event->previous.completed = completed;
    event->previous.failed = failed;
    return true;
}

bool event_is_over(const struct event *event)
{
    return event->kind == EVENT_API_THROTTLED && strcmp(event->note, EVENT_NOTE_OVER) == 0;
}

/* Copy a string to *place, which moves on behind it. */
static const char *copy_into(char **place, const char *string)
{
    size_t size = strlen(string) + 1;
    char *copy = memcpy(*place, string, size);
    *place += size;
    return copy;
}

/* The copies in one block: the array, behind it the strings. */
static struct job_error *copy_errors(const struct job_error *errors, size_t n)
{
    size_t size = n * sizeof *errors;
    for (size_t i = 0; i < n; i++)
        size += strlen(errors[i].code) + strlen(errors[i].title) + strlen(errors[i].detail) +
                strlen(errors[i].pointer) + 4;
    struct job_error *copies = malloc(size);
    if (!copies)
        return NULL;
    char *place = (char *)(copies + n);
    for (size_t i = 0; i < n; i++) {
        copies[i].code = copy_into(&place, errors[i].code);
        copies[i].title = copy_into(&place, errors[i].title);
        copies[i].detail = copy_into(&place, errors[i].detail);
        copies[i].pointer = copy_into(&place, errors[i].pointer);
    }
    return copies;
}

bool event_set_errors(struct event *event, const struct job_error *errors, size_t n, size_t more)
{
    struct job_error *copies = NULL;
    if (n > 0) {
        copies = copy_errors(errors, n);
        if (!copies)
            return false;
    }
    free(event->errors);
    event->errors = copies;
    event->n_errors = n;
    event->more_errors = more;
    return true;
}

void event_free(struct event *event)
{
    if (!event)
        return;
    free(event->account);
    free(event->family);
    free(event->job_id);
    free(event->status);
    free(event->previous.status);
    free(event->note);
    free(event->errors);
    free(event);
}

const struct alert_rules alert_rules_default = {
    .stalled_after = 15 * MINUTE,
    .failure_step = 0,
    .failure_ratio = 0.05,
    .expiring_before = 24 * HOUR,
    .unreachable_after = 2 * MINUTE,
    .remind_every = 4 * HOUR,
    .capacity_warn = JOB_CAPACITY * 9 / 10,
    .job_created = false,
};

bool failures_worth_telling(const struct alert_rules *rules, int64_t told, int64_t failed)
{
    if (told < 0)
        told = 0;
    if (failed <= told)
        return false;
    if (told == 0)
        return true;
    if (rules->failure_step > 0)
        return failed / rules->failure_step > told / rules->failure_step;
    return failed - told >= told;
}

enum priority failures_priority(const struct alert_rules *rules, int64_t failed, int64_t total)
{
    if (failed <= 0 || total <= 0)
        return PRIO_WARNING;
    return (double)failed / (double)total >= rules->failure_ratio ? PRIO_ERR : PRIO_WARNING;
}

bool is_stalled(const struct alert_rules *rules, mono_time moved, mono_time now)
{
    return rules->stalled_after > 0 && mono_diff(now, moved) >= rules->stalled_after;
}

bool is_expiring(const struct alert_rules *rules, wall_time expires_at, wall_time server_now)
{
    if (rules->expiring_before <= 0 || wall_is_none(expires_at) || wall_is_none(server_now))
        return false;
    int64_t left;
    if (__builtin_sub_overflow(expires_at.ms, server_now.ms, &left))
        return false;
    return left > 0 && left <= rules->expiring_before;
}
