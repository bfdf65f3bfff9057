/* Any text as a configuration: taken whole, or refused with errors that name the file. */
#include "../../lib/config.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_errors errors = {0};
    char *text = strndup((const char *)data, size);
    if (!text)
        return 0;
    struct config *config = config_parse(text, "fuzz.conf", &errors);
    assert((config == NULL) == (errors.text != NULL));
    if (config)
        assert(config->n_accounts > 0 && config->accounts[0].n_families > 0 &&
               config->accounts[0].interval >= 100);
    else
        assert(strncmp(errors.text, "fuzz.conf:", 10) == 0);
    free(errors.text);
    config_free(config);
    free(text);
    return 0;
}
