/*
 * job_record: a stored job as a few bytes, so that a million of them are read in well under a second. The columns
 * beside it say the same to people and to `jobs`.
 *
 * Invariant: job_record_unpack takes only what job_record_pack made, to its last byte. Numbers stand in seven bits
 * a byte, smallest first, the sign lowest; what is absent is one byte.
 */
#ifndef KLV_JOB_RECORD_H
#define KLV_JOB_RECORD_H

#include "store.h"

/* 10 numbers of at most 10 bytes, 5 bytes, a page's place, an unknown status word. */
#define JOB_RECORD_MAX (10 * 10 + 5 + 10 + JOB_STATUS_MAX + 1)

/* Without the id. Returns how many bytes. */
size_t job_record_pack(const struct known_job *job, unsigned char out[JOB_RECORD_MAX]);

/* ret->status_word is a static word, or points into the record. False, *ret of no meaning, when it is none of ours. */
bool job_record_unpack(const unsigned char *record, size_t len, struct stored_job *ret);

#endif
