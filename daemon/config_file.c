#include "config_file.h"

#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_CONFIG (4u << 20)

/* The whole file, NUL-terminated; NULL with errno. */
static char *read_text(FILE *file, size_t *ret_len)
{
    char *text = malloc(MAX_CONFIG + 1);
    if (!text)
        return NULL;
    size_t len = fread(text, 1, MAX_CONFIG + 1, file);
    if (ferror(file) || len > MAX_CONFIG) {
        if (len > MAX_CONFIG)
            errno = EFBIG;
        free(text);
        return NULL;
    }
    text[len] = '\0';
    *ret_len = len;
    return text;
}

static void log_lines(char *text)
{
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        log_error("%s", line);
}

struct config *config_file_read(const char *path)
{
    struct config_errors errors = {0};
    struct config *config = NULL;
    char *text = NULL;
    size_t len = 0;
    struct stat st;
    FILE *file = fopen(path, "re");
    if (file && fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode))
        errno = EISDIR;
    else if (file)
        text = read_text(file, &len);
    if (!text) {
        log_error("configuration %s: %s; write one (man 5 klv-jobwatch.conf) or name another with --config",
                  path, strerror(errno));
    } else if (memchr(text, '\0', len)) {
        log_error("configuration %s: holds a NUL byte; it should be plain text", path);
    } else {
        config = config_parse(text, path, &errors);
        if (!config && errors.text)
            log_lines(errors.text);
    }
    free(errors.text);
    free(text);
    if (file)
        fclose(file);
    return config;
}
