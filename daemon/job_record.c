#include "job_record.h"

#include "../lib/sweep.h"

#include <string.h>

/* COUNT_NONE and WALL_NONE, and MONO_NEVER of gone_at: one below everything else of the coding. */
#define ABSENT 0

/* Sign into the lowest bit, so that small numbers of both signs are short; one is added to leave room for ABSENT. */
static size_t put(unsigned char *out, int64_t value, bool absent)
{
    uint64_t code = ABSENT;
    size_t n = 0;
    if (!absent)
        code = (((uint64_t)value << 1) ^ (value < 0 ? UINT64_MAX : 0)) + 1;
    for (; code >= 0x80; code >>= 7)
        out[n++] = (unsigned char)(code | 0x80);
    out[n++] = (unsigned char)code;
    return n;
}

struct reading {
    const unsigned char *at;
    const unsigned char *end;
    bool failed;
};

/* The start of a process that knows a million jobs spends much of its time here. */
static int64_t get(struct reading *r, int64_t absent)
{
    const unsigned char *at = r->at, *end = r->end;
    uint64_t code = 0;
    unsigned shift = 0;
    while (at < end && *at >= 0x80 && shift < 63) {
        code |= (uint64_t)(*at++ & 0x7f) << shift;
        shift += 7;
    }
    if (at == end || *at >= 0x80) {
        r->failed = true;
        return absent;
    }
    code |= (uint64_t)*at << shift;
    r->at = at + 1;
    if (code == ABSENT)
        return absent;
    code--;
    return (int64_t)(code >> 1) ^ -(int64_t)(code & 1);
}

static size_t put_count(unsigned char *out, int64_t count)
{
    return put(out, count, count == COUNT_NONE);
}

size_t job_record_pack(const struct known_job *job, unsigned char out[JOB_RECORD_MAX])
{
    unsigned char *at = out;
    *at++ = job->status;
    *at++ = job->told;
    *at++ = job->anomalies;
    *at++ = job->revivals;
    at += put_count(at, job->counts.total);
    at += put_count(at, job->counts.completed);
    at += put_count(at, job->counts.failed);
    at += put_count(at, job->counts.skipped);
    at += put_count(at, job->created_at.ms);
    at += put_count(at, job->completed_at.ms);
    at += put_count(at, job->expires_at.ms);
    at += put(at, job->moved_at.ms, false);
    at += put(at, job->gone_at.ms, job->gone_at.ms == MONO_NEVER.ms);
    at += put(at, job->failures_told, false);
    at += put(at, job->page, false);
    if (job->status != JOB_OTHER)
        return (size_t)(at - out);
    const char *word = known_status_word(job);
    memcpy(at, word, strlen(word) + 1);
    return (size_t)(at - out) + strlen(word) + 1;
}

/* What is left is an unknown word with its NUL, or nothing. */
static bool get_word(struct reading *r, struct stored_job *job)
{
    size_t left = (size_t)(r->end - r->at);
    job->status_word = job_status_word(job->status);
    if (job->status != JOB_OTHER)
        return left == 0;
    job->status_word = (const char *)r->at;
    return left > 1 && left <= JOB_STATUS_MAX + 1 && strnlen(job->status_word, left) == left - 1;
}

bool job_record_unpack(const unsigned char *record, size_t len, struct stored_job *ret)
{
    if (!record || len < 4 || record[0] > JOB_OTHER)
        return false;
    struct reading r = {.at = record + 4, .end = record + len};
    ret->status = (enum job_status)record[0];
    ret->told = record[1];
    ret->anomalies = record[2];
    ret->revivals = record[3];
    ret->counts.total = get(&r, COUNT_NONE);
    ret->counts.completed = get(&r, COUNT_NONE);
    ret->counts.failed = get(&r, COUNT_NONE);
    ret->counts.skipped = get(&r, COUNT_NONE);
    ret->created_at.ms = get(&r, WALL_NONE.ms);
    ret->completed_at.ms = get(&r, WALL_NONE.ms);
    ret->expires_at.ms = get(&r, WALL_NONE.ms);
    ret->moved_at.ms = get(&r, 0);
    ret->gone_at.ms = get(&r, MONO_NEVER.ms);
    ret->failures_told = get(&r, 0);
    int64_t page = get(&r, 0);
    ret->page = (uint32_t)page;
    return !r.failed && page >= 0 && page <= SWEEP_MAX_PAGES && get_word(&r, ret);
}
