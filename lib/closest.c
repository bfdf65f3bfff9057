#include "closest.h"

#include <stdint.h>
#include <string.h>

enum { MAX_WORD = 63 };

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Damerau–Levenshtein (optimal string alignment): three rows of the table are enough. */
static size_t distance(const char *a, const char *b)
{
    size_t rows[3][MAX_WORD + 1] = {0};
    size_t na = strlen(a), nb = strlen(b);
    for (size_t j = 0; j <= nb; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= nb; j++) {
            size_t replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = smaller(replaced, smaller(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = smaller(row[j], above2[j - 2] + 1);
        }
    }
    return rows[na % 3][nb];
}

const char *closest(const char *word, const char *const *words, size_t n)
{
    const char *best = NULL;
    size_t len = strlen(word);
    if (len == 0 || len > MAX_WORD)
        return NULL;
    size_t limit = len / 3 > 0 ? len / 3 : 1;
    for (size_t i = 0; i < n; i++) {
        if (strlen(words[i]) > MAX_WORD)
            continue;
        size_t d = distance(word, words[i]);
        if (d <= limit) {
            best = words[i];
            if (d == 0)
                break;
            limit = d - 1;
        }
    }
    return best;
}
