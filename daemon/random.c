#include "random.h"

#include <stdlib.h>
#include <sys/random.h>

uint64_t random_u64(void)
{
    uint64_t value;
    /* Small requests cannot be cut short or interrupted once the pool is ready, and it is long before a
     * service starts. */
    if (getrandom(&value, sizeof value, 0) != (ssize_t)sizeof value)
        abort();
    return value;
}
