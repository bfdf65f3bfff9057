#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The parts of "scheme://[user:pass@]host[:port][/...]" that matter here; they point into the URL. */
struct parts {
    const char *authority; /* behind the credentials */
    size_t authority_len;
    const char *host;
    size_t host_len;
    size_t scheme_len;
    bool credentials;
};

static bool split(const char *url, struct parts *ret)
{
    const char *colon = strstr(url, "://");
    if (!colon || colon == url)
        return false;
    const char *authority = colon + 3;
    size_t len = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', len);
    *ret = (struct parts){.scheme_len = (size_t)(colon - url), .credentials = at};
    if (at) {
        len -= (size_t)(at + 1 - authority);
        authority = at + 1;
    }
    ret->authority = authority;
    ret->authority_len = len;
    ret->host = authority;
    if (*authority == '[') {
        const char *end = memchr(authority, ']', len);
        if (!end || (end + 1 < authority + len && end[1] != ':'))
            return false;
        ret->host_len = (size_t)(end + 1 - authority);
    } else {
        const char *port = memchr(authority, ':', len);
        ret->host_len = port ? (size_t)(port - authority) : len;
    }
    return ret->host_len > 0;
}

static bool is(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && strncasecmp(text, word, len) == 0;
}

/* Four decimal numbers, the first of them 127. */
static bool is_loopback_v4(const char *host, size_t len)
{
    int dots = 0;
    if (len < 9 || strncmp(host, "127.", 4) != 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (host[i] == '.')
            dots++;
        else if (host[i] < '0' || host[i] > '9')
            return false;
    }
    return dots == 3;
}

static bool is_loopback(const struct parts *parts)
{
    return is(parts->host, parts->host_len, "localhost") || is(parts->host, parts->host_len, "[::1]") ||
           is_loopback_v4(parts->host, parts->host_len);
}

static bool is_plain(const char *url)
{
    for (const unsigned char *p = (const unsigned char *)url; *p; p++) {
        if (*p <= ' ' || *p >= 0x7f)
            return false;
    }
    return true;
}

bool url_is_allowed(const char *url, bool allow_http, bool credentials, const char **why)
{
    struct parts parts;
    *why = "is no URL; it should read https://host/path";
    if (!split(url, &parts))
        return false;
    *why = "holds spaces, control characters or other bytes that have to be percent-encoded";
    if (!is_plain(url))
        return false;
    *why = "holds a user name or password, which does not belong here";
    if (parts.credentials && !credentials)
        return false;
    *why = "should begin with https://; plain http:// is allowed to this machine only (localhost, 127.0.0.1, "
           "[::1])";
    if (is(url, parts.scheme_len, "https"))
        return true;
    return is(url, parts.scheme_len, "http") && (allow_http || is_loopback(&parts));
}

char *url_origin(const char *url)
{
    struct parts parts;
    if (!split(url, &parts))
        return strdup("(no URL)");
    size_t scheme = parts.scheme_len + 3;
    char *origin = malloc(scheme + parts.authority_len + 1);
    if (!origin)
        return NULL;
    memcpy(origin, url, scheme);
    memcpy(origin + scheme, parts.authority, parts.authority_len);
    origin[scheme + parts.authority_len] = '\0';
    return origin;
}
