/* main: read what was typed, run it. */
#include "options.h"
#include "allocator.h"
#include "log.h"

int main(int argc, char **argv)
{
    struct options options;
    int code;
    allocator_set_up();
    const struct command *command = options_read(argc, argv, &options, &code);
    if (!command)
        return code;
    log_init(options.debug ? PRIO_DEBUG : PRIO_INFO);
    return command->run(&options);
}
