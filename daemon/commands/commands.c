#include "commands.h"

const struct command commands[] = {
    {
        .name = "run",
        .summary = "watch, in the foreground (what the systemd unit starts)",
        .allowed = "csdN",
        .more = "",
        .examples = "run --no-journal --state /tmp/state   # try it by hand: alerts are lines on stderr",
        .run = command_run,
    },
    {
        .name = "once",
        .summary = "one full sweep against the stored state, tell and deliver what changed, exit",
        .allowed = "csjd",
        .more = "",
        .examples = "once --json --state /var/lib/klv-jobwatch-cron   # from cron, without the daemon",
        .run = command_once,
    },
    {
        .name = "check",
        .summary = "read configuration and secrets, print what is in effect",
        .allowed = "cso",
        .more = "",
        .examples = "check                        # all errors of the configuration, with file and line\n"
                    "check --online               # ask the API too, once per account and job type",
        .run = command_check,
    },
    {
        .name = "status",
        .summary = "is it working, is anything wrong, what will it do next",
        .allowed = "csaFfuj",
        .more = "Ends with 0 when all is well, with 1 when it does not run or something keeps it from seeing "
                "or telling.",
        .examples = "status                       # one screen\n"
                    "status --follow              # the same, live\n"
                    "status --account main        # each job type of one account among many\n"
                    "status --json | jq .problems # for scripts",
        .run = command_status,
    },
    {
        .name = "jobs",
        .arguments = "[ID]",
        .argument = WORD_JOB,
        .max_arguments = 1,
        .summary = "the known jobs, or one job with its history",
        .allowed = "csaFTELOrnfuj",
        .more = "Those in progress come first, then the newest, 100 in all unless -n says otherwise. With "
                "the id of a job, "
                "or how\nit begins, that one is shown whole: its changes, errors, and deliveries.",
        .examples = "jobs --follow                # live, until Ctrl-C\n"
                    "jobs --failed --sort failed  # where most items failed first\n"
                    "jobs 01GSQ                   # the one job that begins so, or a list of them\n"
                    "jobs --status active --json | jq -r .id",
        .run = command_jobs,
    },
    {
        .name = "events",
        .summary = "what was told, as journalctl shows the journal",
        .allowed = "csaFSUJkpDnfuj",
        .more = "",
        .examples = "events --since today         # since midnight\n"
                    "events -f                    # as they come\n"
                    "events -p warning -n 20      # the newest 20 warnings and worse\n"
                    "events --job 01GSQPBF74KQ5YTDEPP41T1BZH --deliveries\n"
                    "events --kind 'job.completed*' --since 2h --json | jq .job.id",
        .run = command_events,
    },
    {
        .name = "test-webhook",
        .arguments = "NAME",
        .argument = WORD_WEBHOOK,
        .max_arguments = 1,
        .summary = "send one signed test event to a webhook and show the answer",
        .allowed = "cj",
        .more = "Ends with 0 when the receiver took it. Nothing is stored, nothing is tried again.",
        .examples = "test-webhook ops",
        .run = command_test_webhook,
    },
    {
        .name = "replay",
        .summary = "send events to webhooks again: those given up, or chosen ones",
        .allowed = "csWSeE",
        .more = "They go out under the ids that they had. With --failed, what was given up; without, what a "
                "webhook's\n"
                "filter takes, also what was delivered before. Works while the daemon runs.",
        .examples = "replay --failed                  # everything that was given up\n"
                    "replay --failed --webhook ops    # to one webhook\n"
                    "replay --webhook new --since 2d  # fill a new webhook with the last two days\n"
                    "replay --event evt_...           # one event",
        .run = command_replay,
    },
    {
        .name = "complete",
        .arguments = "-- WORD...",
        .max_arguments = SIZE_MAX,
        .allowed = "",
        .more =
            "For the shells' completions: what the last of the words behind the program's name may become.",
        .examples = "complete -- events --ki",
        .run = command_complete,
    },
};
const size_t n_commands = sizeof commands / sizeof *commands;
