/* job_table: a hash table that keeps its ids, its active list and its promise of size. */
#include "unit.h"

#include "../../lib/job_table.h"
#include "../../lib/record_pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void test_add_find_remove(void **state)
{
    (void)state;
    struct job_table *table = job_table_new(7);
    assert_null(job_table_find(table, "A"));
    struct known_job *job = job_table_add(table, "A");
    assert_string_equal(job->id, "A");
    assert_int_equal(job->status, JOB_QUEUED);
    assert_true(job->counts.total == COUNT_NONE && job->counts.skipped == COUNT_NONE);
    assert_true(wall_is_none(job->created_at) && job->gone_at.ms == MONO_NEVER.ms);
    assert_ptr_equal(job_table_find(table, "A"), job);
    assert_int_equal(job_table_active_count(table), 1);
    job_table_remove(table, job);
    assert_null(job_table_find(table, "A"));
    assert_int_equal(job_table_count(table), 0);
    assert_int_equal(job_table_active_count(table), 0);
    job_table_free(table);
}

static void test_status_and_words(void **state)
{
    (void)state;
    struct job_table *table = job_table_new(7);
    struct known_job *job = job_table_add(table, "A");
    job = job_table_set_status(table, job, JOB_OTHER, "a-rather-long-status-word-of-a-later-version");
    assert_string_equal(known_status_word(job), "a-rather-long-status-word-of-a-later-version");
    assert_string_equal(job->id, "A");
    assert_ptr_equal(job_table_find(table, "A"), job);
    assert_int_equal(job_table_active_count(table), 0);
    job = job_table_set_status(table, job, JOB_OTHER, "x");
    assert_string_equal(known_status_word(job), "x");
    job = job_table_set_status(table, job, JOB_PROCESSING, "ignored");
    assert_string_equal(known_status_word(job), "processing");
    assert_int_equal(job_table_active_count(table), 1);
    assert_ptr_equal(job_table_active(table, 0), job);
    job_table_free(table);
}

static void test_ticks(void **state)
{
    (void)state;
    struct job_table *table = job_table_new(7);
    struct known_job *job = job_table_add(table, "A");
    uint32_t first = job_table_new_tick(table);
    assert_false(job_seen_since(table, job, first));
    job_table_see(table, job);
    assert_true(job_seen_since(table, job, first));
    uint32_t second = job_table_new_tick(table);
    assert_false(job_seen_since(table, job, second));
    /* The counter may run over. */
    job->seen = UINT32_MAX;
    assert_true(job_seen_since(table, job, UINT32_MAX - 5));
    assert_false(job_seen_since(table, job, 3));
    job_table_free(table);
}

/* A million random steps against the simplest model there is: an array. */
static void test_against_a_model(void **state)
{
    (void)state;
    enum { IDS = 3000 };
    static bool there[IDS], active[IDS];
    struct job_table *table = job_table_new(42);
    uint64_t chance = 1;
    size_t count = 0, in_progress = 0;
    for (int step = 0; step < 1000000; step++) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(chance >> 33) % IDS, what = (unsigned)(chance >> 20) % 4;
        char id[64];
        snprintf(id, sizeof id, "job-%u-%*s", i, (int)(i % 40), "");
        struct known_job *job = job_table_find(table, id);
        assert_int_equal(job != NULL, there[i]);
        if (!job && what < 2) {
            assert_non_null(job_table_add(table, id));
            there[i] = active[i] = true;
            count++;
            in_progress++;
        } else if (job && what == 2) {
            in_progress -= active[i];
            count--;
            job_table_remove(table, job);
            there[i] = active[i] = false;
        } else if (job) {
            enum job_status status = (enum job_status)(chance % 5);
            assert_non_null(job_table_set_status(table, job, status, step % 2 ? "paused" : "somewhere-else"));
            in_progress -= active[i];
            active[i] = job_status_is_active(status);
            in_progress += active[i];
        }
        assert_int_equal(job_table_count(table), count);
        assert_int_equal(job_table_active_count(table), in_progress);
    }
    size_t walked = 0, cursor = 0;
    for (struct known_job *job; (job = job_table_next(table, &cursor)) != NULL; walked++)
        assert_ptr_equal(job_table_find(table, job->id), job);
    assert_int_equal(walked, count);
    for (size_t i = 0; i < in_progress; i++)
        assert_true(job_status_is_active((enum job_status)job_table_active(table, i)->status));
    job_table_free(table);
}

/* Removes all in walks; returns how many the first one met. */
static size_t remove_all(struct job_table *table, size_t *met)
{
    size_t first = 0;
    *met = 0;
    while (job_table_count(table) > 0) {
        size_t cursor = 0;
        for (struct known_job *job; (job = job_table_next(table, &cursor)) != NULL; ++*met)
            job_table_remove(table, job);
        first = first ? first : *met;
    }
    return first;
}

/* Every record is met once, also when those met are removed; one that moves round the end of the table, by the next walk. */
static void test_removal_while_walking(void **state)
{
    (void)state;
    size_t whole = 0;
    char id[32];
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct job_table *table = job_table_new(seed);
        size_t met;
        for (int i = 0; i < 1000; i++) {
            snprintf(id, sizeof id, "%d", i);
            assert_non_null(job_table_add(table, id));
        }
        size_t first = remove_all(table, &met);
        assert_int_equal(met, 1000);
        assert_true(first > 950);
        whole += first == 1000;
        job_table_free(table);
    }
    assert_true(whole > 20);
}

/* Room made at once, also behind what is there, holds the same as room made bit by bit. */
static void test_room_for_many(void **state)
{
    (void)state;
    enum { MANY = 350000 }; /* their records fill more than the 32 MiB from which on blocks are huge */
    char id[16];
    struct job_table *table = job_table_new(7);
    for (int i = 0; i < MANY; i++) {
        if (i == 10)
            assert_true(job_table_reserve(table, MANY));
        snprintf(id, sizeof id, "J%d", i);
        assert_non_null(job_table_add(table, id));
    }
    assert_true(job_table_reserve(table, 5));
    for (int i = 0; i < MANY; i++) {
        snprintf(id, sizeof id, "J%d", i);
        assert_string_equal(job_table_find(table, id)->id, id);
    }
    assert_int_equal(job_table_count(table), MANY);
    job_table_free(table);
}

/* Loaded or added is the same; of an id that comes twice, at once or later, the first counts and nothing of the other is left. */
static void test_loading(void **state)
{
    (void)state;
    enum { MANY = 5000, AGAIN = 100 };
    char id[16];
    struct job_table *table = job_table_new(7);
    assert_true(job_table_reserve(table, MANY / 4));
    for (int i = 0; i < MANY + AGAIN; i++) {
        snprintf(id, sizeof id, "J%d", i < MANY ? i - i % 2 : (i - MANY) * 30);
        struct known_job *job = job_table_load(table, id);
        job = job_table_set_status(table, job, i % 3 == 0 ? JOB_OTHER : (enum job_status)(i % 4),
                                   "paused-by-nobody");
        job->counts.total = i;
        job->page = (uint32_t)(i / 100) + 1;
        assert_true(known_pages_join(job_table_pages(table), (size_t)(i / 100)));
    }
    job_table_loaded(table);
    size_t cursor = 0, active = 0, met = 0;
    for (struct known_job *job; (job = job_table_next(table, &cursor)) != NULL; met++) {
        assert_ptr_equal(job_table_find(table, job->id), job);
        snprintf(id, sizeof id, "J%" PRId64, job->counts.total);
        assert_string_equal(job->id, id);
        assert_string_equal(known_status_word(job), job->counts.total % 3 == 0
                                                        ? "paused-by-nobody"
                                                        : job_status_word((enum job_status)job->status));
        active += job_status_is_active((enum job_status)job->status);
    }
    assert_int_equal(met, MANY / 2);
    assert_int_equal(job_table_count(table), MANY / 2);
    assert_int_equal(job_table_active_count(table), active);
    for (size_t i = 0; i < (MANY + AGAIN) / 100; i++)
        assert_int_equal(job_table_pages(table)->pages[i].members, i < MANY / 100 ? 50 : 0);
    assert_non_null(job_table_add(table, "another"));
    job_table_free(table);
}

static void test_a_record_is_small(void **state)
{
    (void)state;
    /* The record, its share of the slots and tags at the lowest fill, and what rounding takes at most. */
    assert_true(offsetof(struct known_job, id) + 9 * 12 / 7 + RECORD_POOL_UNIT - 1 <= 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add_find_remove),
        cmocka_unit_test(test_status_and_words),
        cmocka_unit_test(test_ticks),
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_removal_while_walking),
        cmocka_unit_test(test_room_for_many),
        cmocka_unit_test(test_loading),
        cmocka_unit_test(test_a_record_is_small),
    };
    return cmocka_run_group_tests_name("job_table", tests, NULL, NULL);
}
