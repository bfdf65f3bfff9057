/*
 * options: what was typed. One table of commands and one of options; getopt_long(3) reads them.
 *
 * Errors name the word and, where it is close, what was probably meant; they end with exit code 2.
 */
#ifndef KLV_OPTIONS_H
#define KLV_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#define DEFAULT_CONFIG "/etc/klv-jobwatch/klv-jobwatch.conf"
#define DEFAULT_STATE  "/var/lib/klv-jobwatch"

/* Exit codes of every command. */
enum exit_code {
    EXIT_FINE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2, /* usage or configuration */
};

struct options {
    const char *config; /* --config, else DEFAULT_CONFIG */
    const char *state;  /* --state, else $STATE_DIRECTORY, else DEFAULT_STATE */
    bool json;
    bool online;
    bool debug;
    bool no_journal;
    bool follow;
    const char *since;
    const char *until;
    const char *job;
    const char *kind;
    const char *account;
    size_t last; /* -n; 0: all */
};

struct command {
    const char *name;
    const char *summary; /* one line for the list */
    const char *allowed; /* the options it takes, as letters of the option table */
    int (*run)(const struct options *options);
};

extern const struct command commands[];
extern const size_t n_commands;

/*
 * Read argv. Returns the command to run, or NULL with *ret_code the exit code: after --help, --version
 * (stdout), or an error (stderr).
 */
const struct command *options_read(int argc, char **argv, struct options *ret, int *ret_code);

#endif
