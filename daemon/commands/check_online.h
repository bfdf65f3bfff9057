/*
 * check_online: one request for each account and family, a few at a time, and what the answers say in words: the key, the
 * scopes, the revision, the clocks, the limits, and what watching will cost.
 */
#ifndef KLV_CHECK_ONLINE_H
#define KLV_CHECK_ONLINE_H

#include "../options.h"
#include "../../lib/config.h"

/* Ask and print. False when anything is not as it should be. */
bool check_online(const struct options *options, const struct config *config);

#endif
