#include "config.h"

/* The last '*' is where a mismatch goes back to, so that the time is bounded by the product of the lengths.
 */
bool glob_match(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool config_list_matches(const struct config_list *list, const char *text)
{
    for (size_t i = 0; i < list->n; i++) {
        if (glob_match(list->items[i], text))
            return true;
    }
    return false;
}
