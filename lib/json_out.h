/*
 * json_out: JSON objects for others to read, filled member by member.
 *
 * Invariant: strings go in as valid UTF-8 and come out without control characters (they are escaped, those
 * beyond C0 too), so the text can be shown. Once memory is short an object stays failed, and what is made of
 * it is NULL: nothing has to be checked in between.
 */
#ifndef JOBWATCH_JSON_OUT_H
#define JOBWATCH_JSON_OUT_H

#include <json-c/json.h>

#include <stdbool.h>
#include <stdint.h>

#include "job.h"

struct json_out {
    struct json_object *json;
    bool failed;
};

struct json_out json_out_new(void);

/* Add a member; key is a literal that is not in the object yet. What is handed over is taken; NULL is memory
 * that was short. */
void json_out_put(struct json_out *out, const char *key, struct json_object *member);
void json_out_object(struct json_out *out, const char *key, struct json_out *member);
void json_out_taken(struct json_out *out, const char *key, char *valid); /* valid UTF-8, malloc'd */

void json_out_text(struct json_out *out, const char *key, const char *string); /* cut to RENDER_MAX_VALUE */
void json_out_int(struct json_out *out, const char *key, int64_t value);
void json_out_true(struct json_out *out, const char *key);
void json_out_count(struct json_out *out, const char *key, int64_t count); /* nothing for COUNT_NONE */
void json_out_time(struct json_out *out, const char *key, wall_time t);    /* nothing for WALL_NONE */

/* The object itself, or NULL when it failed. The caller owns it. */
struct json_object *json_out_json(struct json_out *out);

/* Append to an array, taking item; on failure both are released and NULL is returned. NULL goes through. */
struct json_object *json_out_append(struct json_object *array, struct json_object *item);

/* The text on one line, malloc'd; the value is released. NULL without memory, and for NULL. */
char *json_out_string(struct json_object *json);
char *json_out_take(struct json_out *out);

#endif
