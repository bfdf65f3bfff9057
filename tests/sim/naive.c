/* The watchers that people write, see life.h. */
#include "life_private.h"

#include "../../lib/page_decode.h"

#include <stdio.h>
#include <string.h>

/* One page; *ret_more and the URL of the next one. */
static bool naive_page(struct run *run, char *url, size_t size, bool *ret_more)
{
    int64_t round_trip = life_latency(run);
    struct model_answer answer = model_get(run->model, url, run->now + round_trip / 2);
    struct page page;
    run->now += round_trip;
    run->result.requests++;
    run->result.limited += answer.status == 429;
    if (answer.status != 200 ||
        page_decode_list(answer.body, answer.len, "catalog-category-bulk-delete-job", &page) != PAGE_OK)
        return false;
    for (size_t i = 0; i < page.n_jobs; i++) {
        struct model_job *job = model_find(run->model, page.jobs[i].id);
        if (job && job_status_is_terminal(page.jobs[i].status) && job->told_end < 0)
            job->told_end = run->now;
    }
    *ret_more = page.next == NEXT_CURSOR;
    if (*ret_more)
        snprintf(url, size, "https://a.klaviyo.com/api/x-jobs?page%%5Bcursor%%5D=%s", page.next_cursor);
    page_finish(&page);
    return true;
}

struct result simulate_naive(const struct scenario *scenario, int64_t interval)
{
    static struct run run;
    run = (struct run){.scenario = scenario, .random = scenario->model.seed ^ 0x5851f42d4c957f2d};
    int64_t end = START + scenario->length;
    run.model = model_new(&scenario->model, START);
    for (int64_t began = START; began < end; began += interval) {
        run.now = began;
        char url[160] = "https://a.klaviyo.com/api/catalog-category-bulk-delete-jobs";
        for (bool more = true; more && run.now < end;) {
            if (!naive_page(&run, url, sizeof url, &more))
                break;
        }
        while (began + interval < run.now) /* the next run waits for this one, as under a lock */
            began += interval;
    }
    run.baseline_told = START + 2 * interval;
    life_judge_delays(&run);
    life_finish(&run);
    return run.result;
}
