/* config_file: the bytes of the configuration file, and of the templates it names → struct config; every error
 * is a line on stderr. */
#ifndef KLV_CONFIG_FILE_H
#define KLV_CONFIG_FILE_H

#include "../lib/config.h"

/* NULL after the errors were logged. The caller frees with config_free. */
struct config *config_file_read(const char *path);

#endif
