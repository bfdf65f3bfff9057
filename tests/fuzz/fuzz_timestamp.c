/* Any text as an ISO 8601 time: what is taken comes back the same, whatever its offset and fraction. */
#include "../../lib/timestamp.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Years 1 to 9999, give or take the day that an offset can move a time out of them. */
#define FIRST (INT64_C(-62135596800000) - 86400000)
#define LAST  (INT64_C(253402300799999) + 86400000)

static void check_iso(const char *text, size_t len)
{
    wall_time t = {42}, again;
    char out[WALL_TEXT_SIZE];
    if (!wall_parse(text, len, &t)) {
        assert(t.ms == 42);
        return;
    }
    assert(t.ms >= FIRST && t.ms <= LAST);
    wall_format(t, out);
    assert(strlen(out) < sizeof out);
    /* Out of those years wall_format writes what wall_parse does not take. */
    if (wall_parse(out, strlen(out), &again))
        assert(again.ms == t.ms);
    else
        assert(t.ms < FIRST + 86400000 || t.ms > LAST - 86400000);
}

static void check_http(const char *text, size_t len)
{
    wall_time t = {42};
    if (!wall_parse_http(text, len, &t)) {
        assert(t.ms == 42);
        return;
    }
    /* Whole seconds, but a leap second is the last millisecond of its minute. */
    assert(t.ms % 1000 == 0 || (t.ms + 1) % 60000 == 0);
    assert(t.ms >= FIRST && t.ms <= LAST);
}

/* Any number is a time that can be written, and every distance saturates. */
static void check_number(const uint8_t *data, size_t size)
{
    int64_t a = 0, b = 0;
    char out[WALL_TEXT_SIZE];
    memcpy(&a, data, size < sizeof a ? size : sizeof a);
    if (size > sizeof a)
        memcpy(&b, data + sizeof a, size - sizeof a < sizeof b ? size - sizeof a : sizeof b);
    wall_format((wall_time){a}, out);
    assert((out[0] == '\0') == wall_is_none((wall_time){a}));
    int64_t apart = mono_diff((mono_time){a}, (mono_time){b});
    assert((apart > 0) == (a > b) && (apart == 0) == (a == b));
    assert(mono_add(MONO_NEVER, b).ms == MONO_NEVER.ms);
    assert(b >= 0 ? mono_add((mono_time){a}, b).ms >= a : mono_add((mono_time){a}, b).ms <= a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_iso((const char *)data, size);
    check_http((const char *)data, size);
    check_number(data, size);
    return 0;
}
