/* template_private: what template.c parses into, and render_template.c fills. */
#ifndef JOBWATCH_TEMPLATE_PRIVATE_H
#define JOBWATCH_TEMPLATE_PRIVATE_H

#include "template.h"

enum op_kind {
    OP_TEXT,
    OP_FIELD,
    OP_RAW,
    OP_IF,     /* up to `end`, when the field has a value */
    OP_IF_NOT, /* up to `end`, when it has none */
    OP_EVENTS, /* up to `end`, for each event */
    OP_END,
};

struct op {
    enum op_kind kind;
    size_t begin; /* OP_TEXT: where in the text */
    size_t len;
    int field;  /* for template_field_* */
    size_t end; /* index of the OP_END */
};

struct template
{
    char *text;
    struct op *ops;
    size_t n;
};

/* The field for a name of len bytes, or -1; and a known name that is near, or NULL. */
int template_field(const char *name, size_t len);
const char *template_field_near(const char *name, size_t len);

#endif
