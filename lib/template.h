/*
 * template: a text with {{field}} places, from a user's file, and what is filled in.
 *
 * A part of Mustache: {{field}} escaped for the inside of a JSON string, {{{field}}} or {{field|raw}} as it
 * is, {{#field}}…{{/field}} when the field has a value, {{^field}}…{{/field}} when it has none, {{! comment}}.
 * {{#events}}…{{/events}} is repeated for each event, whose fields it sees. Invariant: a template that was
 * parsed can be filled from any events; nothing that is filled in is read as a template again.
 */
#ifndef JOBWATCH_TEMPLATE_H
#define JOBWATCH_TEMPLATE_H

#include "event.h"

#define TEMPLATE_MAX 65536 /* bytes of a file */

struct template;

/*
 * Parse len bytes as the content of the file called `name`. NULL with a malloc'd "file:line: what, remedy" in
 * *error (itself NULL without memory).
 */
struct template *template_parse(const char *text, size_t len, const char *name, char **error);

void template_free(struct template *template); /* NULL is fine */

#endif
