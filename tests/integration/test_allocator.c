/* allocator: each kind of failed allocation is remembered, by its own thread, until it is forgotten. */
#include "../unit/unit.h"
#include "../../daemon/allocator.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* More than there is. Volatile, as all here: compilers know what malloc does, and would leave it out. */
static volatile size_t too_much = PTRDIFF_MAX;

/* AddressSanitizer's, or valgrind's. */
static void skip_where_another_stands(void)
{
    const char *preloaded = getenv("LD_PRELOAD");
#ifdef __SANITIZE_ADDRESS__
    preloaded = "asan";
#endif
    if (preloaded && (strstr(preloaded, "vgpreload") || strstr(preloaded, "asan")))
        skip();
}

static bool fails(void *block)
{
    void *volatile kept = block;
    bool failed = allocator_has_failed();
    allocator_forget_failure();
    free(kept);
    return failed;
}

static void *fail_beside(void *user)
{
    (void)user;
    return malloc(too_much);
}

static void test_failures_are_remembered(void **state)
{
    (void)state;
    skip_where_another_stands();
    allocator_forget_failure();
    assert_false(fails(malloc(100)));
    assert_false(fails(calloc(10, 10)));
    assert_false(fails(realloc(NULL, 10)));
    assert_true(fails(malloc(too_much)));
    assert_true(fails(calloc(too_much, 2)));
    assert_true(fails(realloc(NULL, too_much)));
    assert_false(fails(malloc(100)));
}

static void test_a_block_that_cannot_grow_stays(void **state)
{
    (void)state;
    skip_where_another_stands();
    char *volatile small = malloc(20), *volatile large = malloc(1 << 20);
    assert_non_null(small);
    assert_non_null(large);
    small[19] = large[9] = 'x';
    allocator_forget_failure();
    assert_null(realloc(small, too_much));
    assert_true(allocator_has_failed());
    allocator_forget_failure();
    assert_null(realloc(large, too_much));
    assert_true(allocator_has_failed());
    assert_true(small[19] == 'x' && large[9] == 'x');
    free(small);
    free(large);
}

static void test_another_thread_is_not_ours(void **state)
{
    (void)state;
    skip_where_another_stands();
    pthread_t thread;
    void *block = &thread;
    allocator_forget_failure();
    assert_int_equal(pthread_create(&thread, NULL, fail_beside, NULL), 0);
    assert_int_equal(pthread_join(thread, &block), 0);
    assert_null(block);
    assert_false(allocator_has_failed());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures_are_remembered),
        cmocka_unit_test(test_a_block_that_cannot_grow_stays),
        cmocka_unit_test(test_another_thread_is_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
