/* commands: each takes what was typed and returns the exit code (enum exit_code). */
#ifndef KLV_COMMANDS_H
#define KLV_COMMANDS_H

#include "../options.h"

int command_run(const struct options *options);
int command_once(const struct options *options);
int command_check(const struct options *options);
int command_status(const struct options *options);
int command_jobs(const struct options *options);
int command_events(const struct options *options);
int command_test_webhook(const struct options *options);
int command_replay(const struct options *options);
int command_complete(const struct options *options);

struct config;
struct config_webhook;

/* The webhook of that name; NULL after an error in the log. */
const struct config_webhook *webhook_named(const struct config *config, const char *name);

#endif
