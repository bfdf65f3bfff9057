/* store: its file loses its name while it is in use, alone, with the lock, with the whole directory; nothing that was
 * recorded is lost, and what is somebody else's by then is left alone. */
#include "../unit/unit.h"

#include "../../daemon/store.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* In the state directory. */
static void shell(const char *command)
{
    char whole[300];
    snprintf(whole, sizeof whole, "cd %s && %s", dir, command);
    assert_int_equal(system(whole), 0);
}

static struct store *must_open(void)
{
    char why[STORE_WHY];
    struct store *store = store_open(dir, true, why);
    if (!store)
        fail_msg("%s", why);
    return store;
}

static bool note(struct store *store, const char *key)
{
    bool fine = store_begin(store) && store_note_put(store, key, "noted") && store_commit(store);
    if (!fine)
        store_rollback(store);
    return fine;
}

static void assert_noted(struct store *store, const char *key)
{
    char *text = store_note_get(store, key);
    assert_non_null(text);
    assert_string_equal(text, "noted");
    free(text);
}

struct scene {
    struct store *store;
};

static int set_up(void **state)
{
    static struct scene scene;
    snprintf(dir, sizeof dir, "/tmp/klv-store-place-XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    scene.store = must_open();
    *state = &scene;
    return note(scene.store, "before") ? 0 : -1;
}

/* Whatever happened, a fresh look finds all that was recorded, in a file for nobody else. */
static int tear_down(void **state)
{
    struct scene *scene = *state;
    struct stat st;
    store_close(scene->store);
    struct store *store = must_open();
    assert_noted(store, "before");
    assert_noted(store, "after");
    store_close(store);
    assert_int_equal(stat(path_of(STORE_FILE), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_not_equal(access(path_of(STORE_FILE ".new"), F_OK), 0);
    shell("rm -r \"$PWD\"");
    return 0;
}

static void test_the_file(void **state)
{
    struct scene *scene = *state;
    shell("rm " STORE_FILE "*");
    assert_true(note(scene->store, "after"));
    /* It is the file that has the name now, and stays it. */
    assert_true(note(scene->store, "later"));
    assert_noted(scene->store, "before");
}

/* Another daemon on the directory, until *ret_end is closed; whether it could begin. */
static pid_t start_another(int *ret_end, bool *ret_began)
{
    int began[2], end[2];
    char why[STORE_WHY], byte = '0';
    assert_int_equal(pipe(began) | pipe(end), 0);
    pid_t child = fork();
    if (child == 0) {
        byte = store_open(dir, true, why) ? '1' : '0';
        close(end[1]);
        if (write(began[1], &byte, 1) == 1)
            (void)!read(end[0], &byte, 1);
        raise(SIGKILL); /* nothing of the test's own is tidied up twice */
    }
    close(end[0]);
    close(began[1]);
    assert_int_equal(read(began[0], &byte, 1), 1);
    close(began[0]);
    *ret_end = end[1];
    *ret_began = byte == '1';
    return child;
}

static void test_the_file_and_the_lock(void **state)
{
    struct scene *scene = *state;
    int end;
    bool began;
    shell("rm *");
    assert_true(note(scene->store, "after"));
    /* The new lock holds like the old one. */
    pid_t child = start_another(&end, &began);
    close(end);
    waitpid(child, NULL, 0);
    assert_false(began);
}

static void test_the_directory(void **state)
{
    struct scene *scene = *state;
    shell("rm -r \"$PWD\"");
    assert_false(note(scene->store, "after"));
    assert_non_null(strstr(store_error(scene->store), dir));
    assert_noted(scene->store, "before"); /* what is there can be read all the time */
    assert_int_equal(mkdir(dir, 0700), 0);
    assert_true(note(scene->store, "after"));
}

static void test_the_rest_of_an_earlier_try(void **state)
{
    struct scene *scene = *state;
    shell("rm " STORE_FILE "*; echo half of it > " STORE_FILE ".new");
    assert_true(note(scene->store, "after"));
}

static void test_a_try_that_fails(void **state)
{
    struct scene *scene = *state;
    shell("rm " STORE_FILE "*; mkdir -p " STORE_FILE ".new/in-the-way");
    assert_false(note(scene->store, "after"));
    assert_true(store_error(scene->store)[0] != '\0');
    assert_int_not_equal(access(path_of(STORE_FILE), F_OK), 0);
    shell("rm -r " STORE_FILE ".new");
    assert_true(note(scene->store, "after"));
}

static void test_another_file_in_its_place(void **state)
{
    struct scene *scene = *state;
    char kept[20] = "";
    shell("mv " STORE_FILE " kept; echo somebody else > " STORE_FILE);
    assert_false(note(scene->store, "after"));
    assert_non_null(strstr(store_error(scene->store), "was replaced by another file"));
    FILE *file = fopen(path_of(STORE_FILE), "r");
    assert_non_null(file);
    assert_non_null(fgets(kept, sizeof kept, file));
    fclose(file);
    assert_string_equal(kept, "somebody else\n");
    shell("mv kept " STORE_FILE);
    assert_true(note(scene->store, "after"));
}

/* Another daemon was started on the emptied directory: its lock is respected until it ends. */
static void test_another_daemon_in_its_place(void **state)
{
    struct scene *scene = *state;
    int end;
    bool began;
    shell("rm *");
    pid_t child = start_another(&end, &began);
    assert_true(began);
    shell("rm " STORE_FILE "*"); /* and its file is removed again, but not its lock */
    assert_false(note(scene->store, "after"));
    assert_true(store_error(scene->store)[0] != '\0');
    assert_int_not_equal(access(path_of(STORE_FILE), F_OK), 0);
    close(end);
    waitpid(child, NULL, 0);
    assert_true(note(scene->store, "after"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_file),
        TEST(test_the_file_and_the_lock),
        TEST(test_the_directory),
        TEST(test_the_rest_of_an_earlier_try),
        TEST(test_a_try_that_fails),
        TEST(test_another_file_in_its_place),
        TEST(test_another_daemon_in_its_place),
    };
    return cmocka_run_group_tests_name("store_place", tests, NULL, NULL);
}
