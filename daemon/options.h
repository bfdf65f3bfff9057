/*
 * options: what was typed. One table of commands and one of options; getopt_long(3) reads them, help and completions
 * are made of them.
 *
 * Errors name the word and, where it is close, what was probably meant; they end with exit code 2.
 */
#ifndef KLV_OPTIONS_H
#define KLV_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEFAULT_CONFIG "/etc/klv-jobwatch/klv-jobwatch.conf"
#define DEFAULT_STATE  "/var/lib/klv-jobwatch"

/* Exit codes of every command. */
enum exit_code {
    EXIT_FINE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2, /* usage or configuration */
};

/* --lines all */
#define LINES_ALL SIZE_MAX

struct options {
    const char *config; /* --config, else DEFAULT_CONFIG */
    const char *state;  /* --state, else $STATE_DIRECTORY, else DEFAULT_STATE */
    bool json;
    bool online;
    bool debug;
    bool no_journal;
    bool follow;
    bool utc;
    bool failed;
    bool stalled;
    bool reverse;
    bool deliveries;
    const char *since;
    const char *until;
    const char *job;
    const char *kind;
    const char *account;
    const char *family;
    const char *priority;
    const char *status;
    const char *sort;
    const char *webhook;
    const char *event;
    size_t lines;     /* 0: not given; LINES_ALL */
    char **arguments; /* what stands behind the command beside options */
    size_t n_arguments;
};

/* What a word may be: how an option is read, and how it is completed. */
enum word_kind {
    WORD_NONE, /* an option that takes no value, a command without arguments */
    WORD_TEXT,
    WORD_FILE,
    WORD_DIRECTORY,
    WORD_COUNT,
    WORD_TIME,
    WORD_ACCOUNT,
    WORD_FAMILY,
    WORD_EVENT_KIND,
    WORD_PRIORITY,
    WORD_STATUS,
    WORD_ORDER,
    WORD_JOB,
    WORD_WEBHOOK,
};

struct option_type {
    char letter; /* unique; also the short option where has_short */
    bool has_short;
    const char *name;
    const char *value; /* what help calls its value; NULL: takes none */
    enum word_kind kind;
    size_t place; /* in struct options: a bool, a const char * or (WORD_COUNT) a size_t */
    const char *text;
};

extern const struct option_type option_types[];
extern const size_t n_option_types;

struct command {
    const char *name;
    const char *arguments; /* as usage shows them, "[ID]"; NULL: it takes none */
    enum word_kind argument;
    size_t max_arguments;
    const char *summary;  /* one line for the list; NULL: not listed */
    const char *allowed;  /* the options it takes, as letters of the option table */
    const char *more;     /* further lines of its help, "" none */
    const char *examples; /* lines of "command  # what it does" */
    int (*run)(const struct options *options);
};

extern const struct command commands[];
extern const size_t n_commands;

/*
 * Read argv. Returns the command to run, or NULL with *ret_code the exit code: after --help, --version
 * (stdout), or an error (stderr).
 */
const struct command *options_read(int argc, char **argv, struct options *ret, int *ret_code);

/* Whether the command takes the option. -h and -V go with each. */
bool command_allows(const struct command *command, const struct option_type *option);

/* The command of that name, or NULL. */
const struct command *command_find(const char *name);

/* Which of n words an option's value is. False after an error on stderr that lists them. */
bool options_choose(const char *option, const char *value, const char *const *words, size_t n, size_t *ret);

#endif
