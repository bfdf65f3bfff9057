#include "commands.h"

const struct command commands[] = {
    {"run", "watch, in the foreground (what the systemd unit starts)", "csdN", command_run},
    {"once", "one full sweep against the stored state, tell and deliver what changed, exit", "csjd",
     command_once},
    {"check", "read configuration and secrets, print what is in effect", "co", command_check},
    {"status", "what the daemon sees and does: accounts, sweeps, queues, problems", "csj", command_status},
    {"events", "the recorded events", "csjSUJkanf", command_events},
};
const size_t n_commands = sizeof commands / sizeof *commands;
