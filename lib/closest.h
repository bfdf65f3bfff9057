/* closest: which of some words was probably meant, for error messages. */
#ifndef JOBWATCH_CLOSEST_H
#define JOBWATCH_CLOSEST_H

#include <stddef.h>

/*
 * The one of n words nearest to `word` by edit distance (insert, delete, replace, swap of neighbours), when
 * the distance is at most a third of its length (but 1 at least); NULL when none is. Words over 63 bytes are
 * never near.
 */
const char *closest(const char *word, const char *const *words, size_t n);

#endif
