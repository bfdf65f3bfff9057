#include "job_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct job_table {
    struct known_job **slots;
    size_t room; /* a power of two */
    size_t n;
    struct known_job **active;
    size_t n_active, room_active;
    uint64_t seed;
    uint32_t tick;
};

struct job_table *job_table_new(uint64_t seed)
{
    struct job_table *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->seed = seed;
    t->room = 16;
    t->tick = 1;
    t->slots = calloc(t->room, sizeof *t->slots);
    if (!t->slots) {
        free(t);
        return NULL;
    }
    return t;
}
void job_table_free(struct job_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->room; i++)
        free(t->slots[i]);
    free(t->slots);
    free(t->active);
    free(t);
}
static size_t home(const struct job_table *t, const char *id, size_t room)
{
    return XXH3_64bits_withSeed(id, strlen(id), t->seed) & (room - 1);
}
static size_t slot(const struct job_table *t, const char *id)
{
    size_t i = home(t, id, t->room);
    while (t->slots[i] && strcmp(t->slots[i]->id, id))
        i = (i + 1) & (t->room - 1);
    return i;
}
struct known_job *job_table_find(const struct job_table *t, const char *id)
{
    return t->slots[slot(t, id)];
}
static bool activate(struct job_table *t, struct known_job *j)
{
    if (t->n_active == t->room_active) {
        size_t r = t->room_active ? t->room_active * 2 : 16;
        void *p = reallocarray(t->active, r, sizeof *t->active);
        if (!p)
            return false;
        t->active = p;
        t->room_active = r;
    }
    j->active_place = (uint32_t)t->n_active;
    t->active[t->n_active++] = j;
    return true;
}
static void deactivate(struct job_table *t, struct known_job *j)
{
    if (j->active_place == UINT32_MAX)
        return;
    struct known_job *last = t->active[--t->n_active];
    t->active[j->active_place] = last;
    last->active_place = j->active_place;
    j->active_place = UINT32_MAX;
}
struct known_job *job_table_add(struct job_table *t, const char *id)
{
    if (t->n * 4 >= t->room * 3) {
        size_t room = t->room * 2;
        struct known_job **s = calloc(room, sizeof *s);
        if (!s)
            return NULL;
        for (size_t i = 0; i < t->room; i++)
            if (t->slots[i]) {
                size_t k = home(t, t->slots[i]->id, room);
                while (s[k])
                    k = (k + 1) & (room - 1);
                s[k] = t->slots[i];
            }
        free(t->slots);
        t->slots = s;
        t->room = room;
    }
    size_t len = strlen(id);
    struct known_job *j = calloc(1, sizeof *j + len + 2);
    if (!j)
        return NULL;
    memcpy(j->id, id, len);
    j->id_len = (uint16_t)len;
    j->status = JOB_QUEUED;
    j->gone_at = MONO_NEVER;
    j->active_place = UINT32_MAX;
    j->counts = (struct job_counts){COUNT_NONE, COUNT_NONE, COUNT_NONE, COUNT_NONE};
    j->created_at = j->completed_at = j->expires_at = WALL_NONE;
    if (!activate(t, j)) {
        free(j);
        return NULL;
    }
    size_t i = slot(t, id);
    assert(!t->slots[i]);
    t->slots[i] = j;
    t->n++;
    return j;
}
void job_table_remove(struct job_table *t, struct known_job *j)
{
    size_t i = slot(t, j->id);
    t->slots[i] = NULL;
    t->n--;
    deactivate(t, j);
    for (size_t k = (i + 1) & (t->room - 1); t->slots[k]; k = (k + 1) & (t->room - 1)) {
        struct known_job *m = t->slots[k];
        t->slots[k] = NULL;
        t->slots[slot(t, m->id)] = m;
    }
    free(j);
}
struct known_job *job_table_set_status(struct job_table *t, struct known_job *j, enum job_status st,
                                       const char *word)
{
    const char *w = st == JOB_OTHER ? word : "";
    size_t old = strlen(j->id + j->id_len + 1), nw = strlen(w);
    bool was = j->active_place != UINT32_MAX, is = job_status_is_active(st);
    if (!was && is && !activate(t, j))
        return NULL;
    if (nw > old) {
        size_t i = slot(t, j->id);
        struct known_job *m = realloc(j, sizeof *j + j->id_len + nw + 2);
        if (!m)
            return NULL;
        t->slots[i] = m;
        j = m;
        if (j->active_place != UINT32_MAX)
            t->active[j->active_place] = j;
    }
    memcpy(j->id + j->id_len + 1, w, nw + 1);
    j->status = (uint8_t)st;
    if (was && !is)
        deactivate(t, j);
    return j;
}
const char *known_status_word(const struct known_job *j)
{
    return j->status == JOB_OTHER ? j->id + j->id_len + 1 : job_status_word(j->status);
}
size_t job_table_count(const struct job_table *t)
{
    return t->n;
}
size_t job_table_active_count(const struct job_table *t)
{
    return t->n_active;
}
struct known_job *job_table_active(const struct job_table *t, size_t i)
{
    return t->active[i];
}
struct known_job *job_table_next(const struct job_table *t, size_t *c)
{
    while (*c < t->room) {
        struct known_job *j = t->slots[(*c)++];
        if (j)
            return j;
    }
    return NULL;
}
uint32_t job_table_new_tick(struct job_table *t)
{
    return ++t->tick;
}
void job_table_see(struct job_table *t, struct known_job *j)
{
    j->seen = t->tick;
}
