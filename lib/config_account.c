#include "config_private.h"

#include "closest.h"

#include <stdlib.h>
#include <string.h>

/* Filled first; what has to be worked out from several options follows. */
struct account_options {
    struct config_account account;
    struct config_list jobs;
};

#define ACCOUNT(member) offsetof(struct account_options, member)
#define FAMILY(member)  offsetof(struct family, member)

static const struct value_rule account_rules[] = {
    {"api-key-file", VALUE_PATH, NULL, 0, 0, false, ACCOUNT(account.api_key_file)},
    {"jobs", VALUE_LIST, "{\"catalog-category-bulk-delete-job\"}", 0, 0, false, ACCOUNT(jobs)},
    {"interval", VALUE_DURATION, "10s", 100, HOUR, false, ACCOUNT(account.interval)},
    {"idle-interval", VALUE_DURATION, NULL, 100, DAY, false, ACCOUNT(account.idle_interval)},
    {"full-sweep-interval", VALUE_DURATION, NULL, 100, 7 * DAY, false, ACCOUNT(account.full_sweep_interval)},
    {"detail-timeout", VALUE_DURATION, "10s", 100, 5 * MINUTE, true, ACCOUNT(account.detail_timeout)},
    {"budget", VALUE_SHARE, "10%", 1, 100 * PERCENT, false, ACCOUNT(account.budget)},
    {"burst", VALUE_COUNT, "0", 1, 1000, true, ACCOUNT(account.burst)},
    {"steady", VALUE_COUNT, "0", 1, 4000, true, ACCOUNT(account.steady)},
    {"yield-below", VALUE_SHARE, "50%", 1, 100 * PERCENT, true, ACCOUNT(account.yield_below)},
};

static const struct value_rule family_rules[] = {
    {"path", VALUE_TEXT, NULL, 0, 0, false, FAMILY(path)},
    {"burst", VALUE_COUNT, NULL, 1, 1000, false, FAMILY(burst)},
    {"steady", VALUE_COUNT, NULL, 1, 4000, false, FAMILY(steady)},
    {"scope", VALUE_TEXT, "", 0, 0, false, FAMILY(scope)},
    {"fields", VALUE_TEXT, "", 0, 0, false, FAMILY(fields)},
    {"sort", VALUE_TEXT, "", 0, 0, false, FAMILY(sort)},
    {"page-size", VALUE_COUNT, "0", 1, 1000, true, FAMILY(page_size)},
    {"has-errors", VALUE_BOOL, "true", 0, 0, false, FAMILY(has_errors)},
    {"has-cancelled", VALUE_BOOL, "true", 0, 0, false, FAMILY(has_cancelled)},
};

const struct section_rules account_section = {"account", account_rules, COUNT(account_rules), true};
const struct section_rules family_section = {"family", family_rules, COUNT(family_rules), true};

/* ---- families ---- */

static void check_path(struct parsing *p, cfg_t *section, struct family *family)
{
    char *path = (char *)family->path;
    size_t len = strlen(path);
    if (len > 1 && path[len - 1] == '/')
        path[--len] = '\0';
    bool fine = path[0] == '/' && len > 1 && len < FAMILY_PATH_MAX && !strpbrk(path, "?#% \t\"") &&
                !strstr(path, "..");
    for (size_t i = 0; i < len; i++)
        fine &= path[i] > ' ' && path[i] < 0x7f;
    if (!fine)
        complain(p, line_of(p, section, "path"),
                 "path = \"%s\": should be the path of the list, as in /api/some-new-bulk-jobs", path);
}

static void fill_family(struct parsing *p, cfg_t *section, struct family *family)
{
    const char *type = cfg_title(section);
    fill(p, section, &family_section, family);
    family->type = strdup(type);
    if (!title_is_fine(p, section, "family"))
        return;
    if (strlen(type) > FAMILY_TYPE_MAX - 1)
        complain(p, line_of(p, section, NULL), "family \"%s\": the name is too long", type);
    if (family_find(type))
        complain(p, line_of(p, section, NULL), "family \"%s\": is known already; leave this section out",
                 type);
    if (family->path)
        check_path(p, section, family);
    if (!family->path || family->burst == 0 || family->steady == 0)
        complain(p, line_of(p, section, NULL), "family \"%s\": path, burst and steady are needed", type);
}

void fill_families(struct parsing *p, cfg_t *cfg)
{
    p->config->own = room_for_each(p, cfg, "family", sizeof *p->config->own, &p->config->n_own);
    for (size_t i = 0; i < p->config->n_own; i++)
        fill_family(p, cfg_getnsec(cfg, "family", (unsigned)i), &p->config->own[i]);
}

/* The i-th of all families, those of the table first; NULL behind the last. */
static const struct family *family_at(const struct config *config, size_t i)
{
    if (i < n_families)
        return &families[i];
    return i - n_families < config->n_own ? &config->own[i - n_families] : NULL;
}

/* ---- accounts ---- */

static bool has_family(const struct config_account *account, const struct family *family)
{
    for (size_t i = 0; i < account->n_families; i++) {
        if (account->families[i] == family)
            return true;
    }
    return false;
}

static void add_matching(struct parsing *p, cfg_t *section, struct config_account *account, const char *glob)
{
    const char *names[64];
    size_t n = 0, found = 0;
    const struct family *family;
    for (size_t i = 0; (family = family_at(p->config, i)) != NULL; i++) {
        if (n < COUNT(names) && family->type)
            names[n++] = family->type;
        if (!family->type || !glob_match(glob, family->type))
            continue;
        found++;
        if (!has_family(account, family))
            account->families[account->n_families++] = family;
    }
    if (found > 0)
        return;
    const char *close = closest(glob, names, n);
    complain(p, line_of(p, section, "jobs"),
             "jobs: \"%s\" matches no job type; %s%s%sklv-jobwatch.conf(5) lists them", glob,
             close ? "did you mean \"" : "", close ? close : "", close ? "\"? " : "");
}

/* An interval that was not given is its default, or the next shorter interval when that is longer. */
static void settle_interval(struct parsing *p, cfg_t *section, const char *option, int64_t *at,
                            int64_t standard, int64_t least)
{
    if (!was_given(p, section, option)) {
        *at = standard > least ? standard : least;
        return;
    }
    if (*at > 0 && *at < least)
        complain(p, line_of(p, section, option), "%s should not be shorter than interval", option);
}

static void fill_account(struct parsing *p, cfg_t *section, struct config_account *ret)
{
    struct account_options filled = {0};
    struct config_account *account = &filled.account;
    fill(p, section, &account_section, &filled);
    title_is_fine(p, section, "account");
    settle_interval(p, section, "idle-interval", &account->idle_interval, MINUTE, account->interval);
    settle_interval(p, section, "full-sweep-interval", &account->full_sweep_interval, 10 * MINUTE,
                    account->interval);
    account->name = strdup(cfg_title(section));
    account->families = calloc(n_families + p->config->n_own, sizeof *account->families);
    if (!account->name || !account->families)
        complain(p, 0, "out of memory");
    for (size_t i = 0; account->families && i < filled.jobs.n; i++)
        add_matching(p, section, account, filled.jobs.items[i]);
    config_list_finish(&filled.jobs);
    *ret = *account;
}

void fill_accounts(struct parsing *p, cfg_t *cfg)
{
    p->config->accounts =
        room_for_each(p, cfg, "account", sizeof *p->config->accounts, &p->config->n_accounts);
    for (size_t i = 0; i < p->config->n_accounts; i++)
        fill_account(p, cfg_getnsec(cfg, "account", (unsigned)i), &p->config->accounts[i]);
}

/* ---- the end ---- */

void config_account_finish(struct config_account *account)
{
    free(account->name);
    free(account->api_key_file);
    free(account->families);
}

/* The texts of an own family are ours, those of the table are not; the type is const for both. */
void config_family_finish(struct family *family)
{
    free((char *)family->type);
    free((char *)family->path);
    free((char *)family->scope);
    free((char *)family->fields);
    free((char *)family->sort);
}
