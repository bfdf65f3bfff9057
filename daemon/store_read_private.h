/* What the files of store_read share; nobody else includes this. */
#ifndef KLV_STORE_READ_PRIVATE_H
#define KLV_STORE_READ_PRIVATE_H

#include "store_private.h"
#include "store_read.h"

/* A statement made for one reading. Takes the text; NULL with the error set. Every value from outside goes into it
 * through %Q, or is a number. */
sqlite3_stmt *read_prepare(struct store *store, sqlite3_str *text);

/* One row, one number. Takes the text. */
bool read_number(struct store *store, sqlite3_str *text, int64_t *ret);

/* " WHERE …" for the accounts and families that were asked for. */
void read_add_watch_filter(sqlite3_str *text, const char *account, const char *family);

/* " AND column = 'text'", or that it begins so. */
void read_add_id(sqlite3_str *text, const char *column, const char *id, bool whole);

#endif
