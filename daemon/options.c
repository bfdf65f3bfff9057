#include "options.h"

#include "../lib/closest.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLACE(member) offsetof(struct options, member)

const struct option_type option_types[] = {
    {'c', true, "config", "FILE", WORD_FILE, PLACE(config), "configuration (default " DEFAULT_CONFIG ")"},
    {'s', true, "state", "DIR", WORD_DIRECTORY, PLACE(state),
     "state directory (default $STATE_DIRECTORY, else " DEFAULT_STATE ")"},
    {'a', true, "account", "NAME", WORD_ACCOUNT, PLACE(account), "only this account; * and ? match"},
    {'F', false, "family", "TYPE", WORD_FAMILY, PLACE(family), "only this job type, as in 'catalog-item-*'"},
    {'T', false, "status", "STATE", WORD_STATUS, PLACE(status),
     "only active, queued, processing, complete, cancelled, other, inactive"},
    {'E', false, "failed", NULL, WORD_NONE, PLACE(failed), "only what failed"},
    {'L', false, "stalled", NULL, WORD_NONE, PLACE(stalled), "only jobs that have not moved for a while"},
    {'O', false, "sort", "ORDER", WORD_ORDER, PLACE(sort),
     "usual, created, finished, failed, total, progress, id"},
    {'r', true, "reverse", NULL, WORD_NONE, PLACE(reverse), "the other way round"},
    {'S', false, "since", "TIME", WORD_TIME, PLACE(since),
     "only since: 2h (ago), today, 09:30, 2026-11-24, '2026-11-24 09:00'"},
    {'U', false, "until", "TIME", WORD_TIME, PLACE(until), "only until"},
    {'J', false, "job", "ID", WORD_JOB, PLACE(job), "only this job's, by its id or how that begins"},
    {'k', false, "kind", "KIND", WORD_EVENT_KIND, PLACE(kind), "only these kinds, as in 'job.*,api.*'"},
    {'p', true, "priority", "LEVEL", WORD_PRIORITY, PLACE(priority),
     "only this one and worse, as in warning"},
    {'W', false, "webhook", "NAME", WORD_WEBHOOK, PLACE(webhook), "only to this webhook"},
    {'e', false, "event", "ID", WORD_TEXT, PLACE(event), "only this event, as in evt_..."},
    {'D', false, "deliveries", NULL, WORD_NONE, PLACE(deliveries), "with how each sink took each event"},
    {'n', true, "lines", "N", WORD_COUNT, PLACE(lines), "so many, or all"},
    {'f', true, "follow", NULL, WORD_NONE, PLACE(follow), "go on, until Ctrl-C"},
    {'u', false, "utc", NULL, WORD_NONE, PLACE(utc), "times in UTC, not in local time"},
    {'j', true, "json", NULL, WORD_NONE, PLACE(json), "JSON on stdout, nothing else"},
    {'o', false, "online", NULL, WORD_NONE, PLACE(online), "also try each key and family with one request"},
    {'N', false, "no-journal", NULL, WORD_NONE, PLACE(no_journal),
     "events as readable lines on stderr, also where there is a journal"},
    {'d', false, "debug", NULL, WORD_NONE, PLACE(debug), "say more on stderr"},
    {'h', true, "help", NULL, WORD_NONE, 0, "this text"},
    {'V', true, "version", NULL, WORD_NONE, 0, "the version"},
};
enum { N_OPTIONS = sizeof option_types / sizeof *option_types };
const size_t n_option_types = N_OPTIONS;

bool command_allows(const struct command *command, const struct option_type *option)
{
    return strchr(command->allowed, option->letter) || strchr("hV", option->letter);
}

/* ---- help ---- */

static void print_options(const struct command *command)
{
    puts("\nOptions:");
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option_type *o = &option_types[i];
        char left[40];
        if (!command_allows(command, o))
            continue;
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
    for (size_t i = 0; i < n_commands; i++) {
        if (commands[i].summary)
            printf("  %-13s %s\n", commands[i].name, commands[i].summary);
    }
    puts("\n"
         "First steps: put the API key into /etc/klv-jobwatch/api-key, readable by root only,\n"
         "try `CREDENTIALS_DIRECTORY=/etc/klv-jobwatch klv-jobwatch check --online`, then\n"
         "`systemctl enable --now klv-jobwatch`, and look: `klv-jobwatch status`.\n"
         "`klv-jobwatch COMMAND --help` has a command's options and examples. More: man 8 klv-jobwatch,\n"
         "man 5 klv-jobwatch.conf.");
}

/* "  klv-jobwatch LINE" for each line. */
static void print_examples(const char *examples)
{
    puts("\nExamples:");
    for (const char *at = examples; *at;) {
        size_t len = strcspn(at, "\n");
        printf("  klv-jobwatch %.*s\n", (int)len, at);
        at += len + (at[len] == '\n');
    }
}

static void print_command_help(const struct command *command)
{
    printf("klv-jobwatch %s: %s\n\nUsage: klv-jobwatch %s [OPTIONS]%s%s\n", command->name,
           command->summary ? command->summary : "", command->name, command->arguments ? " " : "",
           command->arguments ? command->arguments : "");
    if (command->more[0])
        printf("\n%s\n", command->more);
    print_options(command);
    if (command->examples[0])
        print_examples(command->examples);
}

/* ---- mistakes ---- */

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < n_commands; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static void complain_command(const char *name)
{
    const char *names[32];
    size_t n = 0;
    for (size_t i = 0; i < n_commands && n < sizeof names / sizeof *names; i++) {
        if (commands[i].summary)
            names[n++] = commands[i].name;
    }
    const char *close = closest(name, names, n);
    fprintf(stderr, "klv-jobwatch: unknown command \"%s\"; %s%s%s`klv-jobwatch --help` lists them\n", name,
            close ? "did you mean \"" : "", close ? close : "", close ? "\"? " : "");
}

static void complain_option(const struct command *command, const char *word)
{
    const char *names[N_OPTIONS];
    size_t n = 0;
    for (size_t i = 0; i < N_OPTIONS; i++) {
        if (command_allows(command, &option_types[i]))
            names[n++] = option_types[i].name;
    }
    const char *close = strncmp(word, "--", 2) == 0 ? closest(word + 2, names, n) : NULL;
    fprintf(stderr, "klv-jobwatch %s: unknown option \"%s\"; %s%s%s`klv-jobwatch %s --help` lists them\n",
            command->name, word, close ? "did you mean \"--" : "", close ? close : "", close ? "\"? " : "",
            command->name);
}

bool options_choose(const char *option, const char *value, const char *const *words, size_t n, size_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(words[i], value) == 0) {
            *ret = i;
            return true;
        }
    }
    const char *close = closest(value, words, n);
    fprintf(stderr, "klv-jobwatch: --%s \"%s\": ", option, value);
    if (close)
        fprintf(stderr, "did you mean \"%s\"? ", close);
    fputs("It takes ", stderr);
    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", words[i]);
    fputc('\n', stderr);
    return false;
}

/* ---- reading ---- */

static bool read_count(const char *text, size_t *ret)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (strcmp(text, "all") == 0) {
        *ret = LINES_ALL;
        return true;
    }
    if (errno || *end || end == text || text[0] == '-' || value == 0 || value > 1000000)
        return false;
    *ret = value;
    return true;
}

static bool take_option(const struct command *command, int letter, const char *value, struct options *ret)
{
    const struct option_type *option = option_types;
    while (option->letter != letter)
        option++;
    void *place = (char *)ret + option->place;
    if (option->kind == WORD_NONE)
        *(bool *)place = true;
    else if (option->kind != WORD_COUNT)
        *(const char **)place = value;
    else if (!read_count(value, place)) {
        fprintf(stderr, "klv-jobwatch %s: --%s takes a number from 1 to 1000000, or \"all\", not \"%s\"\n",
                command->name, option->name, value);
        return false;
    }
    return true;
}

/* getopt_long's tables for the options that this command takes. */
static void make_tables(const struct command *command, struct option *longs, char *shorts)
{
    *shorts++ = ':';
    for (size_t i = 0; i < N_OPTIONS; i++) {
        const struct option_type *o = &option_types[i];
        if (!command_allows(command, o))
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

static bool take_arguments(const struct command *command, int argc, char **argv, struct options *ret)
{
    ret->arguments = argv + optind;
    ret->n_arguments = (size_t)(argc - optind);
    if (ret->n_arguments <= command->max_arguments)
        return true;
    fprintf(stderr, "klv-jobwatch %s: takes no argument \"%s\"; `klv-jobwatch %s --help` shows its usage\n",
            command->name, ret->arguments[command->max_arguments], command->name);
    return false;
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
    return take_arguments(command, argc, argv, ret);
}

/* `help` and `help COMMAND`. */
static int help(int argc, char **argv)
{
    const struct command *command = argc > 2 ? command_find(argv[2]) : NULL;
    if (argc > 2 && !command) {
        complain_command(argv[2]);
        return EXIT_USAGE;
    }
    if (command)
        print_command_help(command);
    else
        print_help();
    return argc > 1 ? EXIT_FINE : EXIT_USAGE;
}

const struct command *options_read(int argc, char **argv, struct options *ret, int *ret_code)
{
    const char *word = argc > 1 ? argv[1] : "help";
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
        *ret_code = help(argc, argv);
        return NULL;
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        puts("klv-jobwatch " JOBWATCH_VERSION);
        *ret_code = EXIT_FINE;
        return NULL;
    }
    const struct command *command = command_find(word);
    if (!command) {
        complain_command(word);
        *ret_code = EXIT_USAGE;
        return NULL;
    }
    const char *state = getenv("STATE_DIRECTORY");
    *ret = (struct options){.config = DEFAULT_CONFIG, .state = state && *state ? state : DEFAULT_STATE};
    return read_options(command, argc - 1, argv + 1, ret, ret_code) ? command : NULL;
}
