/* Any bytes through the decoder: no crash, and what comes out keeps the promises of page_decode.h. */
#include "../../lib/page_decode.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct page *page)
{
    assert(page->n_jobs <= PAGE_MAX_JOBS);
    assert(strlen(page->why) < PAGE_WHY_SIZE);
    assert((page->next == NEXT_CURSOR) == (page->next_cursor != NULL));
    for (size_t i = 0; i < page->n_jobs; i++) {
        const struct job *job = &page->jobs[i];
        assert(strlen(job->id) > 0 && strlen(job->id) <= JOB_ID_MAX);
        assert(strlen(job->status_word) > 0 && strlen(job->status_word) <= JOB_STATUS_MAX);
        assert(job->n_errors <= PAGE_MAX_ERRORS);
        for (size_t j = 0; j < job->n_errors; j++)
            assert(strlen(job->errors[j].detail) <= PAGE_MAX_TEXT &&
                   strlen(job->errors[j].title) <= PAGE_MAX_TEXT);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct page page;
    char error[64], *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    if (page_decode_list(text, size, "catalog-category-bulk-delete-job", &page) == PAGE_OK)
        check(&page);
    page_finish(&page);
    if (page_decode_one(text, size, "catalog-category-bulk-delete-job", &page) == PAGE_OK)
        check(&page);
    page_finish(&page);
    api_error_text(text, size, error, sizeof error);
    assert(strlen(error) < sizeof error);
    free(text);
    return 0;
}
