/*
 * log: what the program says about itself, on stderr.
 *
 * One entry point. Under systemd (stderr is the journal's stream: JOURNAL_STREAM names its device and inode)
 * each line starts with "<N>", the syslog level, which journald takes off and stores as PRIORITY; elsewhere
 * lines start with "klv-jobwatch: ". No time stamps of its own: journald has them. Each line goes out in one
 * write(2), its control characters replaced, so nothing that came from outside can forge a second line.
 * Secrets never come here: callers name files and origins.
 */
#ifndef KLV_LOG_H
#define KLV_LOG_H

#include "../lib/event.h"

/* Prepare; nothing else may be called before. Lines less urgent than max are dropped (PRIO_INFO by default).
 */
void log_init(enum priority max);

/* One line, newline added; cut at 2 KiB. */
void log_line(enum priority priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...)   log_line(PRIO_ERR, __VA_ARGS__)
#define log_warning(...) log_line(PRIO_WARNING, __VA_ARGS__)
#define log_notice(...)  log_line(PRIO_NOTICE, __VA_ARGS__)
#define log_info(...)    log_line(PRIO_INFO, __VA_ARGS__)
#define log_debug(...)   log_line(PRIO_DEBUG, __VA_ARGS__)

#endif
