#include "options.h"

#include "../lib/closest.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct option_help {
    char letter; /* unique; also the short option where `has_short` */
    bool has_short;
    const char *name;
    const char *value; /* NULL: takes none */
    const char *text;
};

static const struct option_help option_helps[] = {
    {'c', true, "config", "FILE", "configuration (default " DEFAULT_CONFIG ")"},
    {'s', true, "state", "DIR", "state directory (default $STATE_DIRECTORY, else " DEFAULT_STATE ")"},
    {'j', true, "json", NULL, "JSON on stdout, nothing else"},
    {'o', false, "online", NULL, "also try each key and family with one request"},
    {'N', false, "no-journal", NULL, "events as readable lines on stderr, also where there is a journal"},
    {'d', false, "debug", NULL, "say more on stderr"},
    {'S', false, "since", "TIME", "only events since: 2026-11-24, 2026-11-24T09:00:00Z, or 2h ago as 2h"},
    {'U', false, "until", "TIME", "only events until"},
    {'J', false, "job", "ID", "only this job's events"},
    {'k', false, "kind", "GLOB", "only these kinds, as in 'job.*'"},
    {'a', true, "account", "NAME", "only this account's events"},
    {'n', true, "lines", "N", "only the newest N"},
    {'f', true, "follow", NULL, "go on with new events as they come"},
    {'h', true, "help", NULL, "this text"},
    {'V', true, "version", NULL, "the version"},
};
enum { N_OPTIONS = sizeof option_helps / sizeof *option_helps };

static void print_options(const char *allowed)
{
    puts("\nOptions:");
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option_help *o = &option_helps[i];
        if (!strchr(allowed, o->letter) && !strchr("hV", o->letter))
            continue;
        char left[40];
        snprintf(left, sizeof left, "%c%c%s --%s%s%s", o->has_short ? '-' : ' ',
                 o->has_short ? o->letter : ' ', o->has_short ? "," : " ", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        printf("  %-22s %s\n", left, o->text);
    }
}

static void print_help(void)
{
    puts("klv-jobwatch watches Klaviyo's bulk jobs and tells what happened to them, through the journal and "
         "webhooks.\n"
         "\n"
         "Usage: klv-jobwatch COMMAND [OPTIONS]\n"
         "\n"
         "Commands:");
    for (size_t i = 0; i < n_commands; i++)
        printf("  %-10s %s\n", commands[i].name, commands[i].summary);
    puts("\n"
         "First steps: put the API key into /etc/klv-jobwatch/api-key, readable by root only,\n"
         "try `CREDENTIALS_DIRECTORY=/etc/klv-jobwatch klv-jobwatch check --online`, then `systemctl enable "
         "--now klv-jobwatch`.\n"
         "`klv-jobwatch COMMAND --help` lists a command's options. More: man 8 klv-jobwatch, man 5 "
         "klv-jobwatch.conf.");
}

static void print_command_help(const struct command *command)
{
    printf("klv-jobwatch %s: %s\n\nUsage: klv-jobwatch %s [OPTIONS]\n", command->name, command->summary,
           command->name);
    print_options(command->allowed);
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < n_commands; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static void complain_command(const char *name)
{
    const char *names[16];
    size_t n = 0;
    for (; n < n_commands && n < sizeof names / sizeof *names; n++)
        names[n] = commands[n].name;
    const char *close = closest(name, names, n);
    fprintf(stderr, "klv-jobwatch: unknown command \"%s\"%s%s%s; `klv-jobwatch --help` lists them\n", name,
            close ? "; did you mean \"" : "", close ? close : "", close ? "\"?" : "");
}

static void complain_option(const struct command *command, const char *word)
{
    const char *names[N_OPTIONS];
    size_t n = 0;
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (strchr(command->allowed, option_helps[i].letter))
            names[n++] = option_helps[i].name;
    }
    const char *close = strncmp(word, "--", 2) == 0 ? closest(word + 2, names, n) : NULL;
    fprintf(stderr, "klv-jobwatch %s: unknown option \"%s\"%s%s%s; `klv-jobwatch %s --help` lists them\n",
            command->name, word, close ? "; did you mean \"--" : "", close ? close : "", close ? "\"?" : "",
            command->name);
}

static bool read_count(const char *text, size_t *ret)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || *end || end == text || text[0] == '-' || value == 0 || value > 1000000)
        return false;
    *ret = value;
    return true;
}

static bool take_option(const struct command *command, int letter, const char *value, struct options *ret)
{
    switch (letter) {
    case 'c':
        ret->config = value;
        return true;
    case 's':
        ret->state = value;
        return true;
    case 'j':
        ret->json = true;
        return true;
    case 'o':
        ret->online = true;
        return true;
    case 'N':
        ret->no_journal = true;
        return true;
    case 'd':
        ret->debug = true;
        return true;
    case 'f':
        ret->follow = true;
        return true;
    case 'S':
        ret->since = value;
        return true;
    case 'U':
        ret->until = value;
        return true;
    case 'J':
        ret->job = value;
        return true;
    case 'k':
        ret->kind = value;
        return true;
    case 'a':
        ret->account = value;
        return true;
    case 'n':
        if (read_count(value, &ret->last))
            return true;
        fprintf(stderr, "klv-jobwatch %s: --lines takes a number from 1 to 1000000, not \"%s\"\n",
                command->name, value);
        return false;
    default:
        return false;
    }
}

/* getopt_long's tables for the options that this command takes. */
static void make_tables(const struct command *command, struct option *longs, char *shorts)
{
    *shorts++ = ':';
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option_help *o = &option_helps[i];
        if (!strchr(command->allowed, o->letter) && o->letter != 'h' && o->letter != 'V')
            continue;
        *longs++ = (struct option){o->name, o->value ? required_argument : no_argument, NULL, o->letter};
        if (!o->has_short)
            continue;
        *shorts++ = o->letter;
        if (o->value)
            *shorts++ = ':';
    }
    *longs = (struct option){0};
    *shorts = '\0';
}

/* The options behind the command word. False: *ret_code says how to end. */
static bool read_options(const struct command *command, int argc, char **argv, struct options *ret,
                         int *ret_code)
{
    struct option longs[N_OPTIONS + 1];
    char shorts[2 * N_OPTIONS + 2];
    make_tables(command, longs, shorts);
    opterr = 0;
    optind = 1;
    *ret_code = EXIT_USAGE;
    for (int letter; (letter = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        const char *word = argv[optind - 1];
        if (letter == 'h') {
            print_command_help(command);
            *ret_code = EXIT_FINE;
            return false;
        }
        if (letter == 'V') {
            puts("klv-jobwatch " JOBWATCH_VERSION);
            *ret_code = EXIT_FINE;
            return false;
        }
        if (letter == ':') {
            fprintf(stderr, "klv-jobwatch %s: option \"%s\" needs a value\n", command->name, word);
            return false;
        }
        if (letter == '?') {
            complain_option(command, word);
            return false;
        }
        if (!take_option(command, letter, optarg, ret))
            return false;
    }
    if (optind == argc)
        return true;
    fprintf(stderr, "klv-jobwatch %s: takes no argument \"%s\"\n", command->name, argv[optind]);
    return false;
}

const struct command *options_read(int argc, char **argv, struct options *ret, int *ret_code)
{
    const char *word = argc > 1 ? argv[1] : "--help";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        print_help();
        *ret_code = argc > 1 ? EXIT_FINE : EXIT_USAGE;
        return NULL;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts("klv-jobwatch " JOBWATCH_VERSION);
        *ret_code = EXIT_FINE;
        return NULL;
    }
    const struct command *command = find_command(word);
    if (!command) {
        complain_command(word);
        *ret_code = EXIT_USAGE;
        return NULL;
    }
    const char *state = getenv("STATE_DIRECTORY");
    *ret = (struct options){.config = DEFAULT_CONFIG, .state = state && *state ? state : DEFAULT_STATE};
    return read_options(command, argc - 1, argv + 1, ret, ret_code) ? command : NULL;
}
