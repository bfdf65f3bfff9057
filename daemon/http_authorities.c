/*
 * Whom a server's certificate has to be signed by: the authorities of the request's file and no others; else the
 * system's, looked up in their folder by their hash, and at last in the file that holds them all.
 *
 * Invariant: a server that the folder lacks the authority of is judged by the file of all, once for each transfer; a
 * request with a file of its own is judged by that alone. The folder's path is curl's own and never freed.
 */
#include "http_private.h"

#include <ctype.h>
#include <dirent.h>
#include <string.h>

/* "5ed36f99.0" */
static bool is_hash_name(const char *name)
{
    size_t digits = 0;
    while (digits < 8 && isxdigit((unsigned char)name[digits]))
        digits++;
    return digits == 8 && strcmp(name + 8, ".0") == 0;
}

/* The folder that this curl looks into, when it holds authorities and there is a file of all beside it. */
const char *authorities_find(void)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    DIR *folder =
        info->age >= CURLVERSION_SEVENTH && info->capath && info->cainfo ? opendir(info->capath) : NULL;
    bool found = false;
    for (struct dirent *entry; folder && !found && (entry = readdir(folder)) != NULL;)
        found = is_hash_name(entry->d_name);
    if (folder)
        closedir(folder);
    return found ? info->capath : NULL;
}

/*
 * Whom to trust: the authorities of the request's file and no others; else the system's. Read from one file for each
 * connection, as curl does by itself, all of these take as long as half a sweep of 10,000 jobs, and megabytes; in their
 * folder OpenSSL finds the one that it needs.
 */
bool authorities_set(struct http_transfer *t, const struct http_request *request)
{
    t->by_hash = !request->ca_file && t->http->authorities;
    if (request->ca_file)
        return curl_easy_setopt(t->easy, CURLOPT_CAINFO, request->ca_file) == CURLE_OK &&
               curl_easy_setopt(t->easy, CURLOPT_CAPATH, NULL) == CURLE_OK;
    return !t->by_hash || (curl_easy_setopt(t->easy, CURLOPT_CAINFO, NULL) == CURLE_OK &&
                           curl_easy_setopt(t->easy, CURLOPT_CAPATH, t->http->authorities) == CURLE_OK);
}

/* The folder lacks the authority, but somebody may have put it into the file of all by hand: that one decides. */
bool authorities_try_all(struct http_transfer *t, CURLcode code)
{
    if (code != CURLE_PEER_FAILED_VERIFICATION || !t->by_hash || t->again)
        return false;
    t->again = true;
    return curl_easy_setopt(t->easy, CURLOPT_CAINFO, curl_version_info(CURLVERSION_NOW)->cainfo) ==
               CURLE_OK &&
           curl_multi_add_handle(t->http->multi, t->easy) == CURLM_OK;
}
