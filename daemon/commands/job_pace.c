#include "jobs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A rate over less (ms) says nothing, nor does an end that is farther away. */
#define LEAST_SPAN 1000
#define FAR_AWAY   (365 * 86400000.0)

static double done_of(const struct job_row *row)
{
    const struct job_counts *counts = &row->counts;
    return (double)count_or_zero(counts->completed) + (double)count_or_zero(counts->failed) +
           (double)count_or_zero(counts->skipped);
}

static double part_of(const struct job_row *row)
{
    double total = (double)count_or_zero(row->counts.total);
    if (total <= 0)
        return row->status == JOB_COMPLETE ? 1 : -1;
    double part = done_of(row) / total;
    return part < 0 ? 0 : part > 1 ? 1 : part;
}

/* From where it was seen to start, else from its creation, to where it last moved; so a pause since then does not make
 * it look slower, and does not hide it: the end is not put off. */
static void estimate(const struct view *view, const struct job_row *row, const struct job_start *start,
                     struct job_pace *pace)
{
    wall_time from = wall_is_none(start->at) ? row->created_at : start->at;
    int64_t moved = view_wall(view, row->moved_at).ms;
    double done = done_of(row) - (double)(wall_is_none(start->at) ? 0 : start->done);
    if (wall_is_none(from) || moved - from.ms < LEAST_SPAN || done <= 0)
        return;
    pace->per_second = done * 1000 / (double)(moved - from.ms);
    double left = (double)count_or_zero(row->counts.total) - done_of(row);
    double ms = left > 0 ? left * 1000 / pace->per_second : 0;
    if (ms < FAR_AWAY)
        pace->end.ms = moved + (int64_t)ms;
}

bool job_pace(const struct view *view, const struct job_row *row, struct job_pace *ret)
{
    struct job_start start;
    *ret = (struct job_pace){.part = part_of(row), .end = WALL_NONE};
    if (row->status != JOB_PROCESSING || row->stalled)
        return true;
    if (!store_read_job_start(view->store, row, &start))
        return false;
    estimate(view, row, &start, ret);
    return true;
}

/* Eighths of a block where there are such characters. */
static void fine_bar(double part, int width, char *out, size_t size)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int filled = (int)floor(part * width * 8);
    size_t len = 0;
    for (int i = 0; i < width; i++) {
        const char *block = filled >= 8 * (i + 1) ? "█" : filled > 8 * i ? eighths[filled % 8] : "·";
        len += (size_t)snprintf(out + len, size - len, "%s", block);
    }
}

char *job_bar(const struct terminal *terminal, double part, int width, char out[JOB_BAR_SIZE])
{
    char dots[] = "........................................",
         marks[] = "########################################";
    if (terminal->utf8)
        fine_bar(part, width, out, JOB_BAR_SIZE);
    else
        snprintf(out, JOB_BAR_SIZE, "%.*s%.*s", (int)floor(part * width), marks,
                 width - (int)floor(part * width), dots);
    return out;
}

const char *job_state(const struct job_row *row, enum style *ret_style)
{
    *ret_style = row->status == JOB_PROCESSING  ? STYLE_GOOD
                 : row->status == JOB_CANCELLED ? STYLE_WARN
                 : row->status == JOB_OTHER     ? STYLE_BAD
                                                : STYLE_PLAIN;
    if (!row->stalled)
        return row->status_word;
    *ret_style = STYLE_BAD;
    return "stalled";
}

/* The number is the one that is written: json_out.h reads it back. */
static void put_rate(struct json_out *out, double per_second)
{
    char text[64];
    snprintf(text, sizeof text, "%.3f", per_second);
    json_out_put(out, "items_per_second", json_object_new_double_s(strtod(text, NULL), text));
}

struct json_object *job_json(const struct view *view, const struct job_row *row)
{
    struct job_pace pace;
    struct json_out out = json_out_new();
    if (!job_pace(view, row, &pace))
        out.failed = true;
    json_out_text(&out, "account", row->account);
    json_out_text(&out, "type", row->family);
    json_out_text(&out, "id", row->id);
    json_out_text(&out, "status", row->status_word);
    json_out_count(&out, "total_count", row->counts.total);
    json_out_count(&out, "completed_count", row->counts.completed);
    json_out_count(&out, "failed_count", row->counts.failed);
    json_out_count(&out, "skipped_count", row->counts.skipped);
    json_out_time(&out, "created_at", row->created_at);
    json_out_time(&out, "completed_at", row->completed_at);
    json_out_time(&out, "expires_at", row->expires_at);
    json_out_time(&out, "moved_at", view_wall(view, row->moved_at));
    if (row->stalled)
        json_out_true(&out, "stalled");
    if (row->unlisted)
        json_out_true(&out, "unlisted");
    if (!out.failed && pace.per_second > 0)
        put_rate(&out, pace.per_second);
    if (!out.failed)
        json_out_time(&out, "estimated_end_at", pace.end);
    return json_out_json(&out);
}
