/* main: the command words, and nothing else. */
#include "commands/commands.h"
#include "options.h"
#include "log.h"

const struct command commands[] = {
    {"run", "watch, in the foreground (what the systemd unit starts)", "csdN", command_run},
    {"once", "one full sweep against the stored state, tell and deliver what changed, exit", "csjd",
     command_once},
    {"check", "read configuration and secrets, print what is in effect", "co", command_check},
    {"status", "what the daemon sees and does: accounts, sweeps, queues, problems", "csj", command_status},
    {"events", "the recorded events", "csjSUJkanf", command_events},
};
const size_t n_commands = sizeof commands / sizeof *commands;

int main(int argc, char **argv)
{
    struct options options;
    int code;
    const struct command *command = options_read(argc, argv, &options, &code);
    if (!command)
        return code;
    log_init(options.debug ? PRIO_DEBUG : PRIO_INFO);
    return command->run(&options);
}
