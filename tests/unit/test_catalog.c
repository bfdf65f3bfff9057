/* catalog: systemd/klv-jobwatch.catalog beside the table of kinds: one entry each, and only fields that its events carry. */
#include "unit.h"

#include "../../lib/render.h"

#include <stdio.h>
#include <stdlib.h>

#define CATALOG TEST_DATA_DIR "/../../systemd/klv-jobwatch.catalog"

/* One entry of the catalog, as text. */
struct entry {
    char name[64]; /* from the comment above it */
    char id[64];
    char text[4096];
};

static struct entry entries[2 * N_EVENT_KINDS];
static size_t n_entries;

static void append(struct entry *entry, const char *line)
{
    size_t used = strlen(entry->text);
    assert_true(used + strlen(line) < sizeof entry->text);
    strcpy(entry->text + used, line);
}

static int read_catalog(void **state)
{
    (void)state;
    char line[256], name[64] = "";
    FILE *file = fopen(CATALOG, "re");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#') {
            assert_int_equal(sscanf(line, "# %63s", name), 1);
        } else if (strncmp(line, "-- ", 3) == 0) {
            assert_true(n_entries < sizeof entries / sizeof *entries);
            struct entry *entry = &entries[n_entries++];
            strcpy(entry->name, name);
            assert_int_equal(sscanf(line, "-- %63s", entry->id), 1);
        } else if (n_entries > 0) {
            append(&entries[n_entries - 1], line);
        }
    }
    fclose(file);
    return 0;
}

static const struct entry *find_entry(const char *id)
{
    const struct entry *found = NULL;
    for (size_t i = 0; i < n_entries; i++) {
        if (strcmp(entries[i].id, id) != 0)
            continue;
        assert_null(found);
        found = &entries[i];
    }
    return found;
}

static void test_each_kind_has_its_entry(void **state)
{
    (void)state;
    for (enum event_kind kind = 0; kind < N_EVENT_KINDS; kind++) {
        const struct entry *entry = find_entry(event_types[kind].message_id);
        if (!entry)
            fail_msg("%s (%s) is not in the catalog", event_types[kind].name, event_types[kind].message_id);
        assert_string_equal(entry->name, event_types[kind].name);
    }
    assert_int_equal(n_entries, N_EVENT_KINDS);
}

/* A subject, then a paragraph of what happened and what it means, then one of what to do. */
static void test_each_entry_is_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_entries; i++) {
        const char *text = entries[i].text;
        assert_int_equal(strncmp(text, "Subject: ", 9), 0);
        assert_non_null(strstr(text, "\nDefined-By: klv-jobwatch\nDocumentation: man:klv-jobwatch(8)\n\n"));
        size_t paragraphs = 0;
        for (const char *at = text; (at = strstr(at, "\n\n")) != NULL && at[2]; at += 2)
            paragraphs++;
        assert_in_range(paragraphs, 2, 3);
    }
}

/* The barest event of a kind that the daemon makes: about a job, about a type of jobs, or about an account. */
static struct event *barest(enum event_kind kind)
{
    static const struct job job = {
        .id = "J",
        .status = JOB_PROCESSING,
        .status_word = "processing",
        .counts = {COUNT_NONE, COUNT_NONE, 1, COUNT_NONE},
        .created_at = {INT64_MIN},
        .completed_at = {INT64_MIN},
        .expires_at = {INT64_MIN},
    };
    const char *name = event_types[kind].name;
    bool of_job = strncmp(name, "job.", 4) == 0;
    bool of_family =
        of_job || kind == EVENT_CAPACITY_HIGH || kind == EVENT_CAPACITY_OK || kind == EVENT_WATCH_STARTED;
    return event_new(kind, (wall_time){0}, "main", of_family ? "type" : "", of_job ? &job : NULL, "");
}

static bool carries(const struct journal_field *fields, size_t n, const char *name, size_t len)
{
    for (size_t i = 0; i < n; i++) {
        if (fields[i].len > len && memcmp(fields[i].data, name, len) == 0 &&
            ((const char *)fields[i].data)[len] == '=')
            return true;
    }
    return false;
}

static void test_every_place_is_filled_in(void **state)
{
    (void)state;
    size_t places = 0;
    for (enum event_kind kind = 0; kind < N_EVENT_KINDS; kind++) {
        struct journal_field fields[RENDER_MAX_FIELDS];
        struct event *event = barest(kind);
        assert_non_null(event);
        size_t n = render_journal(event, fields);
        const char *text = find_entry(event_types[kind].message_id)->text;
        for (const char *at = text; (at = strchr(at, '@')) != NULL; places++) {
            size_t len = strcspn(++at, "@");
            assert_int_equal(at[len], '@');
            if (!carries(fields, n, at, len))
                fail_msg("%s: its events need not carry %.*s", event_types[kind].name, (int)len, at);
            at += len + 1;
        }
        journal_fields_finish(fields, n);
        event_free(event);
    }
    assert_true(places > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_has_its_entry),
        cmocka_unit_test(test_each_entry_is_whole),
        cmocka_unit_test(test_every_place_is_filled_in),
    };
    return cmocka_run_group_tests(tests, read_catalog, NULL);
}
