/* jobs: what the list of jobs and the page of one job have in common: how far a job is, how fast, until when. */
#ifndef KLV_JOBS_H
#define KLV_JOBS_H

#include "view.h"
#include "../../lib/json_out.h"

struct job_pace {
    double part;       /* done, failed or not, 0..1; < 0: not known */
    double per_second; /* items, on average since it was seen to start; 0: not known */
    wall_time end;     /* when it will be done at that rate; WALL_NONE: not known */
};

/* False when the store fails. */
bool job_pace(const struct view *view, const struct job_row *row, struct job_pace *ret);

/* "[####....]" in so many columns. out has room for any bar of at most 40. */
#define JOB_BAR_SIZE 160
char *job_bar(const struct terminal *terminal, double part, int width, char out[JOB_BAR_SIZE]);

/* "processing", "stalled"; the style says how good that is. */
const char *job_state(const struct job_row *row, enum style *ret_style);

/* The job as an object for others: the names are those of the webhooks' "job". NULL without memory, or when the store fails. */
struct json_object *job_json(const struct view *view, const struct job_row *row);

/* The page of one job: its history with errors and deliveries. */
bool job_page(struct view *view, const struct job_row *row, FILE *out);

#endif
