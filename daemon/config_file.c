#include "config_file.h"

#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_CONFIG ((size_t)4 << 20)

/* The whole file of at most `max` bytes, NUL-terminated; NULL with errno. */
static char *read_text(FILE *file, size_t max, size_t *ret_len)
{
    char *text = malloc(max + 1);
    if (!text)
        return NULL;
    size_t len = fread(text, 1, max + 1, file);
    if (ferror(file) || len > max) {
        if (len > max)
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

/* The text of the file at path; NULL with errno. */
static char *read_path(const char *path, size_t max, size_t *ret_len)
{
    char *text = NULL;
    struct stat st;
    FILE *file = fopen(path, "re");
    if (!file)
        return NULL;
    if (fstat(fileno(file), &st) == 0 && S_ISDIR(st.st_mode))
        errno = EISDIR;
    else
        text = read_text(file, max, ret_len);
    int error = errno;
    fclose(file);
    errno = error;
    return text;
}

static bool read_template(struct config_webhook *webhook)
{
    size_t len = 0;
    char *error = NULL;
    char *text = read_path(webhook->template_file, TEMPLATE_MAX, &len);
    if (!text) {
        log_error("template %s of webhook \"%s\": %s; template-file should name a text of at most %d bytes",
                  webhook->template_file, webhook->name, strerror(errno), TEMPLATE_MAX);
        return false;
    }
    webhook->template = template_parse(text, len, webhook->template_file, &error);
    if (!webhook->template)
        log_error("%s", error ? error : "out of memory");
    free(error);
    free(text);
    return webhook->template != NULL;
}

static bool read_templates(struct config *config)
{
    bool fine = true;
    for (size_t i = 0; i < config->n_webhooks; i++) {
        if (config->webhooks[i].template_file)
            fine &= read_template(&config->webhooks[i]);
    }
    return fine;
}

struct config *config_file_read(const char *path)
{
    struct config_errors errors = {0};
    struct config *config = NULL;
    size_t len = 0;
    char *text = read_path(path, MAX_CONFIG, &len);
    if (!text) {
        log_error("configuration %s: %s; write one (man 5 klv-jobwatch.conf) or name another with --config",
                  path, strerror(errno));
    } else if (memchr(text, '\0', len)) {
        log_error("configuration %s: holds a NUL byte; it should be plain text", path);
    } else {
        config = config_parse(text, path, &errors);
        if (!config && errors.text)
            log_lines(errors.text);
        else if (!config)
            log_error("configuration %s: out of memory", path);
    }
    if (config && !read_templates(config)) {
        config_free(config);
        config = NULL;
    }
    free(errors.text);
    free(text);
    return config;
}
