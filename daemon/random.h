/* random: chance for the shell to hand into the core (jitter, hash seeds), from getrandom(2). */
#ifndef KLV_RANDOM_H
#define KLV_RANDOM_H

#include <stdint.h>

uint64_t random_u64(void);

#endif
