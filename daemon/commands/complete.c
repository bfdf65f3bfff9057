/*
 * complete: what may come next on a command line, for the shells' completions (config/completions/). They hand over the words
 * behind the program's name, the last one being the one to complete; a line of output is a word, a tab, and what it is.
 * ":file" and ":directory" ask the shell for its own.
 */
#include "commands.h"

#include "../config_file.h"
#include "../log.h"
#include "../store_read.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_JOBS 50

struct completing {
    char **words;
    size_t n;
    const struct command *command;
    const char *current; /* what the word to complete begins with */
    const char *lead;    /* what goes before each offer: "--account=" */
    size_t lead_len;
};

/* What is taken over must not mean anything to the shell, whoever chose it. */
static bool is_plain(const char *word)
{
    for (const char *at = word; *at; at++) {
        if (!isalnum((unsigned char)*at) && !strchr("._:@%+-", *at))
            return false;
    }
    return *word != '\0';
}

static void offer(const struct completing *completing, const char *word, const char *what)
{
    if (strncmp(word, completing->current, strlen(completing->current)) == 0 && is_plain(word))
        printf("%.*s%s\t%s\n", (int)completing->lead_len, completing->lead, word, what);
}

static void offer_commands(const struct completing *completing)
{
    for (size_t i = 0; i < n_commands; i++) {
        if (commands[i].summary)
            offer(completing, commands[i].name, commands[i].summary);
    }
    offer(completing, "help", "help for a command");
}

static void offer_options(const struct completing *completing)
{
    char word[40];
    for (size_t i = 0; i < n_option_types; i++) {
        snprintf(word, sizeof word, "--%s", option_types[i].name);
        if (command_allows(completing->command, &option_types[i]))
            offer(completing, word, option_types[i].text);
    }
}

static void offer_words(const struct completing *completing, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        offer(completing, words[i], "");
}

/* ---- what the configuration and the store know ---- */

/* The value that was typed for an option, by its letter; NULL: none. */
static const char *typed(const struct completing *completing, char letter)
{
    const struct option_type *option = option_types;
    const char *value = NULL;
    while (option->letter != letter)
        option++;
    size_t len = strlen(option->name);
    for (size_t i = 1; i + 1 < completing->n; i++) {
        const char *word = completing->words[i];
        bool is_short = option->has_short && word[0] == '-' && word[1] == letter && word[2] == '\0';
        if (is_short || (strncmp(word, "--", 2) == 0 && strcmp(word + 2, option->name) == 0))
            value = completing->words[i + 1];
        else if (strncmp(word, "--", 2) == 0 && strncmp(word + 2, option->name, len) == 0 &&
                 word[2 + len] == '=')
            value = word + 3 + len;
    }
    return value;
}

static void offer_configured(const struct completing *completing, const struct options *options,
                             enum word_kind kind)
{
    const char *path = typed(completing, 'c');
    struct config *config = config_file_read(path ? path : options->config);
    for (size_t i = 0; config && kind == WORD_ACCOUNT && i < config->n_accounts; i++)
        offer(completing, config->accounts[i].name, "account");
    for (size_t i = 0; config && kind == WORD_WEBHOOK && i < config->n_webhooks; i++)
        offer(completing, config->webhooks[i].name, "webhook");
    for (size_t i = 0; config && kind == WORD_FAMILY && i < config->n_own; i++)
        offer(completing, config->own[i].type, "job type of the configuration");
    config_free(config);
}

static bool offer_job(void *user, const struct job_row *row)
{
    char what[2 * FAMILY_TYPE_MAX];
    snprintf(what, sizeof what, "%.64s, %.60s", is_plain(row->status_word) ? row->status_word : "",
             row->family);
    offer(user, row->id, what);
    return true;
}

static void offer_jobs(struct completing *completing, const struct options *options)
{
    char why[STORE_WHY];
    const char *state = typed(completing, 's');
    struct job_query query = {.id = completing->current, .limit = MAX_JOBS};
    struct store *store = store_open(state ? state : options->state, false, why);
    if (store)
        (void)store_read_jobs(store, &query, offer_job, completing);
    store_close(store);
}

/* ---- values ---- */

static void offer_kinds(const struct completing *completing)
{
    for (int i = 0; i < N_EVENT_KINDS; i++) {
        if (i != EVENT_TEST)
            offer(completing, event_types[i].name, "");
    }
}

static void offer_priorities(const struct completing *completing)
{
    for (int i = PRIO_EMERG; i <= PRIO_DEBUG; i++)
        offer(completing, priority_word((enum priority)i), "");
}

static void offer_values(struct completing *completing, const struct options *options, enum word_kind kind)
{
    static const char *const times[] = {"today", "yesterday", "1h", "1d", "1w"};
    static const char *const counts[] = {"all"};
    switch (kind) {
    case WORD_NONE:
    case WORD_TEXT:
        break;
    case WORD_FILE:
        puts(":file");
        break;
    case WORD_DIRECTORY:
        puts(":directory");
        break;
    case WORD_COUNT:
        offer_words(completing, counts, 1);
        break;
    case WORD_TIME:
        offer_words(completing, times, sizeof times / sizeof *times);
        break;
    case WORD_FAMILY:
        for (size_t i = 0; i < n_families; i++)
            offer(completing, families[i].type, "");
        offer_configured(completing, options, kind);
        break;
    case WORD_ACCOUNT:
    case WORD_WEBHOOK:
        offer_configured(completing, options, kind);
        break;
    case WORD_EVENT_KIND:
        offer_kinds(completing);
        break;
    case WORD_PRIORITY:
        offer_priorities(completing);
        break;
    case WORD_STATUS:
        offer_words(completing, job_choice_words, N_JOB_CHOICES);
        break;
    case WORD_ORDER:
        offer_words(completing, job_order_words, N_JOB_ORDERS);
        break;
    case WORD_JOB:
        offer_jobs(completing, options);
        break;
    }
}

/* The option that a word names, when the command has it and it takes a value; len 0: the whole word. */
static const struct option_type *value_option(const struct command *command, const char *word, size_t len)
{
    len = len ? len : strlen(word);
    for (size_t i = 0; i < n_option_types; i++) {
        const struct option_type *option = &option_types[i];
        bool is_short = option->has_short && len == 2 && word[0] == '-' && word[1] == option->letter;
        bool is_long = len > 2 && strncmp(word, "--", 2) == 0 && strlen(option->name) == len - 2 &&
                       strncmp(word + 2, option->name, len - 2) == 0;
        if ((is_short || is_long) && option->value && command_allows(command, option))
            return option;
    }
    return NULL;
}

/* The option whose value is being typed: "--account ma", "--account=ma"; NULL: none. */
static const struct option_type *open_option(struct completing *completing)
{
    const char *current = completing->current;
    size_t equals = strcspn(current, "=");
    if (strncmp(current, "--", 2) == 0 && current[equals] == '=') {
        completing->lead = current;
        completing->lead_len = equals + 1;
        completing->current += equals + 1;
        return value_option(completing->command, current, equals);
    }
    return completing->n > 2 ? value_option(completing->command, completing->words[completing->n - 2], 0)
                             : NULL;
}

int command_complete(const struct options *options)
{
    log_init(PRIO_EMERG); /* a mistake in the configuration is nobody's business here */
    if (options->n_arguments == 0)
        return EXIT_USAGE;
    struct completing completing = {
        .words = options->arguments,
        .n = options->n_arguments,
        .command = command_find(options->arguments[0]),
        .current = options->arguments[options->n_arguments - 1],
        .lead = "",
    };
    if (completing.n == 1 || (completing.n == 2 && strcmp(completing.words[0], "help") == 0)) {
        offer_commands(&completing);
        return EXIT_FINE;
    }
    if (!completing.command)
        return EXIT_FINE;
    const struct option_type *option = open_option(&completing);
    if (option)
        offer_values(&completing, options, option->kind);
    else if (completing.current[0] == '-')
        offer_options(&completing);
    else
        offer_values(&completing, options, completing.command->argument);
    return EXIT_FINE;
}
