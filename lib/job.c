#include "job.h"

#include <ctype.h>
#include <string.h>

#define FIELDS "status,created_at,total_count,completed_count,failed_count,completed_at,expires_at"
#define CATALOG(kind, per_second, per_minute)                                                                \
    {                                                                                                        \
        .type = "catalog-" kind "-job", .path = "/api/catalog-" kind "-jobs", .burst = (per_second),         \
        .steady = (per_minute), .scope = "catalogs:read", .fields = FIELDS, .sort = "", .has_errors = true,  \
        .has_cancelled = true                                                                                \
    }
#define SUPPRESSION(kind)                                                                                    \
    {                                                                                                        \
        .type = "profile-suppression-bulk-" kind "-job",                                                     \
        .path = "/api/profile-suppression-bulk-" kind "-jobs", .burst = 75, .steady = 750,                   \
        .scope = "subscriptions:read", .sort = "-created",                                                   \
        .fields = "status,created_at,total_count,completed_count,skipped_count,completed_at",                \
        .has_cancelled = true                                                                                \
    }

const struct family families[] = {
    CATALOG("category-bulk-create", 350, 3500),
    CATALOG("category-bulk-update", 350, 3500),
    CATALOG("category-bulk-delete", 350, 3500),
    CATALOG("item-bulk-create", 75, 750),
    CATALOG("item-bulk-update", 75, 750),
    CATALOG("item-bulk-delete", 350, 3500),
    CATALOG("variant-bulk-create", 75, 750),
    CATALOG("variant-bulk-update", 75, 750),
    CATALOG("variant-bulk-delete", 350, 3500),
    {
        .type = "coupon-code-bulk-create-job",
        .path = "/api/coupon-code-bulk-create-jobs",
        .burst = 75,
        .steady = 750,
        .scope = "coupon-codes:read",
        .fields = FIELDS,
        .sort = "",
        .has_errors = true,
        .has_cancelled = true,
    },
    {
        .type = "profile-bulk-import-job",
        .path = "/api/profile-bulk-import-jobs",
        .burst = 10,
        .steady = 150,
        .scope = "lists:read profiles:read",
        .fields = FIELDS ",started_at",
        .sort = "-created_at",
        .page_size = 100,
        .has_any = true,
    },
    SUPPRESSION("create"),
    SUPPRESSION("delete"),
};
const size_t n_families = sizeof families / sizeof *families;

const char *job_status_word(enum job_status status)
{
    switch (status) {
    case JOB_QUEUED:
        return "queued";
    case JOB_PROCESSING:
        return "processing";
    case JOB_COMPLETE:
        return "complete";
    case JOB_CANCELLED:
        return "cancelled";
    case JOB_OTHER:
        return "other";
    }
    return "other";
}

enum job_status job_status_from_word(const char *word)
{
    for (enum job_status status = JOB_QUEUED; status < JOB_OTHER; status++) {
        if (strcmp(job_status_word(status), word) == 0)
            return status;
    }
    return JOB_OTHER;
}

const struct family *family_find(const char *type)
{
    for (size_t i = 0; i < n_families; i++) {
        if (strcmp(families[i].type, type) == 0)
            return &families[i];
    }
    return NULL;
}

bool revision_has_job_id(const char *revision)
{
    return strncmp(revision, "2023-07-15", 10) <= 0;
}

bool revision_has_trailing_slash(const char *revision)
{
    return strncmp(revision, "2024", 4) < 0;
}

bool revision_is_valid(const char *text)
{
    wall_time t;
    char date[] = "0000-00-00T00:00:00";
    size_t len = strlen(text);
    if (len < 10)
        return false;
    memcpy(date, text, 10);
    if (!wall_parse(date, sizeof date - 1, &t))
        return false;
    if (len == 10)
        return true;
    for (size_t i = 11; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && text[i] != '-')
            return false;
    }
    return text[10] == '.' && len > 11 && len < 40;
}
