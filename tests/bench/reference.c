/*
 * What any watcher has to do at least: `reference fetch URL PAGES` fetches an account's pages one after the
 * other with libcurl, on one connection; `reference parse URL PAGES` also parses each once with json-c. It is
 * told how many pages there are and counts their cursors up, so that it reads nothing of them.
 */
#include <curl/curl.h>
#include <json-c/json.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct body {
    char *bytes;
    size_t len;
    size_t room;
    bool keep;
};

static size_t on_body(char *data, size_t size, size_t n, void *user)
{
    struct body *body = user;
    size_t len = size * n;
    if (!body->keep)
        return len;
    if (body->len + len + 1 > body->room) {
        body->room = (body->len + len + 1) * 2;
        body->bytes = realloc(body->bytes, body->room);
        if (!body->bytes)
            return 0;
    }
    memcpy(body->bytes + body->len, data, len);
    body->len += len;
    return len;
}

static bool parse(const struct body *body)
{
    struct json_tokener *tokener = json_tokener_new();
    struct json_object *root = tokener ? json_tokener_parse_ex(tokener, body->bytes, (int)body->len) : NULL;
    json_tokener_free(tokener);
    bool fine = json_object_is_type(json_object_object_get(root, "data"), json_type_array);
    json_object_put(root);
    return fine;
}

static bool fetch(CURL *curl, const char *url, unsigned long page, struct body *body)
{
    char text[1024];
    long status = 0;
    if (page == 0)
        snprintf(text, sizeof text, "%s", url);
    else
        snprintf(text, sizeof text, "%s?page%%5Bcursor%%5D=bmV4dDo6aWQ6%07lu", url, page);
    body->len = 0;
    return curl_easy_setopt(curl, CURLOPT_URL, text) == CURLE_OK && curl_easy_perform(curl) == CURLE_OK &&
           curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status == 200 &&
           (!body->keep || parse(body));
}

int main(int argc, char **argv)
{
    if (argc != 4 || (strcmp(argv[1], "fetch") != 0 && strcmp(argv[1], "parse") != 0)) {
        fprintf(stderr, "usage: reference fetch|parse URL PAGES\n");
        return 2;
    }
    struct body body = {.keep = strcmp(argv[1], "parse") == 0};
    unsigned long pages = strtoul(argv[3], NULL, 10);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Authorization: Klaviyo-API-Key pk_bench");
    headers = curl_slist_append(headers, "revision: 2026-07-15");
    headers = curl_slist_append(headers, "Accept: application/vnd.api+json");
    if (!curl || !headers || curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body) != CURLE_OK)
        return 1;
    bool fine = true;
    for (unsigned long page = 0; fine && page < pages; page++)
        fine = fetch(curl, argv[2], page, &body);
    if (!fine)
        fprintf(stderr, "reference: a page did not come, or holds no jobs\n");
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    curl_global_cleanup();
    free(body.bytes);
    return fine ? 0 : 1;
}
