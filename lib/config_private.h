/*
 * config_private: what the readers of the configuration's sections share: libConfuse's parser with one table of options
 * for each section, and complaints that name file and line.
 *
 * config_parser.c turns the text into libConfuse's sections; config.c, config_account.c and config_webhook.c fill
 * structs from them. Errors: every mistake is a complaint, none ends the reading, so that all are told at once.
 * Owner: config_parse() owns the struct parsing for the length of its call.
 */
#ifndef JOBWATCH_CONFIG_PRIVATE_H
#define JOBWATCH_CONFIG_PRIVATE_H

#include "config.h"
#include "config_values.h"
#include "text.h"

#include <confuse.h>

#define SECOND  ((int64_t)1000)
#define MINUTE  (60 * SECOND)
#define HOUR    (60 * MINUTE)
#define DAY     (24 * HOUR)
#define PERCENT ((int64_t)10000) /* parts of a million */

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The options of one kind of section; the name is "" for those outside of any. */
struct section_rules {
    const char *name;
    const struct value_rule *rules;
    size_t n;
    bool titled; /* account "main" { ... }, any number of them */
};

extern const struct section_rules account_section, family_section; /* config_account.c */
extern const struct section_rules webhook_section;                 /* config_webhook.c */

struct option_place;

struct parsing {
    const char *name; /* of the file */
    struct text errors;
    size_t n_errors;
    struct option_place *places;
    size_t n_places;
    struct config *config;
};

/*
 * Parse the text with the options of the sections, the first of which is "". NULL, with at least one complaint, on a
 * mistake in the syntax, an unknown option, or without memory. Finish with cfg_free().
 */
cfg_t *parser_read(struct parsing *p, const char *text, const struct section_rules *const *sections,
                   size_t n);
/* The line of a brace that is never closed, which libConfuse does not mind; 0 when there is none. */
int parser_open_brace(const char *text);

__attribute__((format(printf, 3, 4))) void complain(struct parsing *p, int line, const char *format, ...);
/* Where the option was given last, or else where the section began. */
int line_of(const struct parsing *p, const cfg_t *section, const char *option);
bool was_given(const struct parsing *p, const cfg_t *section, const char *option);
/* Whether the section's title may be a name; complains when not. `what` is the kind of section. */
bool title_is_fine(struct parsing *p, cfg_t *section, const char *what);
/* Zeroed structs, of `size` bytes each, for the sections of that name; NULL and none, with a complaint, without memory. */
void *room_for_each(struct parsing *p, cfg_t *cfg, const char *name, size_t size, size_t *ret_n);
/* Read all options of the section by its rules into the struct that their offsets are of. */
void fill(struct parsing *p, cfg_t *section, const struct section_rules *rules, void *target);

void fill_families(struct parsing *p, cfg_t *cfg);
void fill_accounts(struct parsing *p, cfg_t *cfg); /* behind fill_families */
void fill_webhooks(struct parsing *p, cfg_t *cfg);
void config_family_finish(struct family *family); /* one of the file's own */
void config_account_finish(struct config_account *account);
void config_webhook_finish(struct config_webhook *webhook);

#endif
