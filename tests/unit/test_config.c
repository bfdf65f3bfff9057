/* config: what people may write, what they get, and what they are told when it is wrong. */
#include "unit.h"

#include "../../lib/config.h"

#include <stdio.h>
#include <stdlib.h>

#define ACCOUNT "account \"main\" { api-key-file = \"/k\" }\n"

static struct config *parse(const char *text)
{
    struct config_errors errors = {0};
    struct config *config = config_parse(text, "f.conf", &errors);
    if (!config)
        fail_msg("refused: %s", errors.text ? errors.text : "(no text)");
    assert_null(errors.text);
    return config;
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *config = parse(ACCOUNT);
    const struct config_account *account = &config->accounts[0];
    assert_string_equal(config->api_url, "https://a.klaviyo.com");
    assert_string_equal(config->revision, "2026-07-15");
    assert_null(config->ca_file);
    assert_int_equal(config->connect_timeout, 10000);
    assert_int_equal(config->request_timeout, 30000);
    assert_int_equal(config->retention, 30LL * 86400000);
    assert_memory_equal(&config->alerts, &alert_rules_default, sizeof alert_rules_default);
    assert_int_equal(config->n_accounts, 1);
    assert_int_equal(config->n_webhooks, 0);
    assert_string_equal(account->name, "main");
    assert_string_equal(account->api_key_file, "/k");
    assert_int_equal(account->n_families, 1);
    assert_string_equal(account->families[0]->type, "catalog-category-bulk-delete-job");
    assert_int_equal(account->interval, 10000);
    assert_int_equal(account->idle_interval, 60000);
    assert_int_equal(account->full_sweep_interval, 600000);
    assert_int_equal(account->detail_timeout, 10000);
    assert_float_equal(account->budget, 0.1, 1e-9);
    assert_float_equal(account->yield_below, 0.5, 1e-9);
    config_free(config);
}

/* The example of the manual, every option in it. */
static void test_everything(void **state)
{
    (void)state;
    struct config *config = parse(
        "# a comment\n"
        "api-url = \"https://a.klaviyo.com/\"  revision = \"2024-02-15\"\n"
        "ca-file = \"/ca.pem\"  connect-timeout = 5s  request-timeout = 1m  retention = 7d\n"
        "family \"some-new-bulk-job\" { path = \"/api/some-new-bulk-jobs/\"  burst = 75  steady = 750\n"
        "  sort = \"-created\"  page-size = 50  has-errors = no  scope = \"x:read\"  fields = \"status\" }\n"
        "account \"a.B_1-2\" { jobs = { \"catalog-item-*\", \"some-new-bulk-job\", "
        "\"catalog-item-bulk-create-job\" }\n"
        "  interval = 30s  budget = 2.5%  burst = 3  steady = 9  yield-below = 0%  detail-timeout = 0 }\n"
        "account \"all\" { jobs = { \"*\" }  interval = 2m  idle-interval = 1h  full-sweep-interval = 1d }\n"
        "alerts { stalled-after = 0  failure-step = 100  failure-ratio = 0.5%  expiring-before = 2d\n"
        "  unreachable-after = 90s  remind-every = 0  capacity-warn = 99.9%  job-created = true }\n"
        "webhook \"ops\" { url = \"https://u:p@hooks.example.com/klv?t=1\"  secret-file = \"/s\"  format = "
        "standard\n"
        "  events = { \"job.*\", \"api.unreachable\" }  min-priority = warning  accounts = { \"a*\" }  "
        "families = { \"*delete*\" }\n"
        "  give-up-after = 1d  timeout = 2s  retry-base = 100ms  retry-max = 10m  concurrency = 8\n"
        "  headers = { \"X-Team: ops\", \"X-Empty:\" } }\n"
        "webhook \"local\" { url = \"http://127.0.0.1:8080/\"  group-wait = 5s  group-max = 100 }\n"
        "webhook \"lan\" { url = \"http://10.0.0.1/\"  allow-http = true }\n");
    assert_string_equal(config->api_url, "https://a.klaviyo.com");
    assert_string_equal(config->own[0].path, "/api/some-new-bulk-jobs");
    assert_int_equal(config->own[0].page_size, 50);
    assert_false(config->own[0].has_errors);
    assert_true(config->own[0].has_cancelled);
    const struct config_account *first = &config->accounts[0], *all = &config->accounts[1];
    assert_int_equal(first->n_families, 4); /* three of items, one of its own; none twice */
    assert_ptr_equal(first->families[3], &config->own[0]);
    assert_float_equal(first->budget, 0.025, 1e-9);
    assert_int_equal(first->steady, 9);
    assert_int_equal(first->detail_timeout, 0);
    assert_int_equal(all->n_families, n_families + 1);
    assert_int_equal(all->idle_interval, 3600000);
    assert_int_equal(config->alerts.failure_step, 100);
    assert_int_equal(config->alerts.capacity_warn, 500);
    assert_true(config->alerts.job_created);
    const struct config_webhook *ops = &config->webhooks[0];
    assert_int_equal(ops->min_priority, PRIO_WARNING);
    assert_int_equal(ops->n_headers, 2);
    assert_string_equal(ops->headers[0].value, "ops");
    assert_string_equal(ops->headers[1].value, "");
    assert_true(config_list_matches(&ops->events, "job.completed"));
    assert_false(config_list_matches(&ops->events, "api.recovered"));
    assert_null(config->webhooks[1].secret_file);
    assert_int_equal(ops->group_wait, 0);
    assert_int_equal(config->webhooks[1].group_wait, 5000);
    assert_int_equal(config->webhooks[1].group_max, 100);
    assert_true(config->webhooks[2].allow_http);
    config_free(config);
}

static void test_long_intervals_bring_their_followers(void **state)
{
    (void)state;
    struct config *config = parse("account \"a\" { interval = 30m }");
    assert_int_equal(config->accounts[0].idle_interval, 30 * 60000);
    assert_int_equal(config->accounts[0].full_sweep_interval, 30 * 60000);
    config_free(config);
}

/* One mistake each: the line it is told at, and a part of what is said. */
static const struct {
    const char *text;
    const char *said;
} mistakes[] = {
    {"", "there should be at least one section account"},
    {ACCOUNT "webhook \"w\" { url = \"https://h/\"\n group-max = 1 }",
     "f.conf:3: group-max = \"1\": should be"},
    {ACCOUNT "webhook \"w\" { url = \"https://h/\"\n group-wait = 2h }",
     "f.conf:3: group-wait = \"2h\": should be"},
    {ACCOUNT "webhook \"w\" { url = \"https://h/\"  format = pagerduty\n group-wait = 5s }",
     "f.conf:3: group-wait: a request of format pagerduty holds one event"},
    {"\n\nintervall = 10s\n" ACCOUNT, "f.conf:3: no such option 'intervall'"},
    {"account \"a\" {\n intervall = 10s }",
     "f.conf:2: no such option 'intervall'; did you mean \"interval\"?"},
    {"account \"a\" {\n api-key = \"pk_x\" }", "api-key-file"},
    {"account \"a\" {\n\n interval = 10 }", "f.conf:3: interval = \"10\": should be a time from 100ms to 1h"},
    {"account \"a\" { interval = 10parsecs }", "interval = \"10parsecs\""},
    {"account \"a\" { interval = -5s }", "interval = \"-5s\""},
    {"account \"a\" { interval = 99ms }", "should be a time"},
    {"account \"a\" { interval = 61m }", "should be a time"},
    {"account \"a\" { interval = 99999999999999999999999s }", "should be a time"},
    {"account \"a\" { interval = 0 }", "should be a time"},
    {"account \"a\" { interval = 1m idle-interval = 30s }",
     "idle-interval should not be shorter than interval"},
    {"account \"a\" { interval = 1m\n full-sweep-interval = 30s }",
     "f.conf:2: full-sweep-interval should not be shorter"},
    {"account \"a\" { budget = 0% }", "budget = \"0%\": should be a share"},
    {"account \"a\" { budget = 101% }", "should be a share"},
    {"account \"a\" { budget = 10 }", "with its percent sign"},
    {"account \"a\" { budget = nan% }", "should be a share"},
    {"account \"a\" { steady = 4001 }", "should be a whole number from 0 to 4000"},
    {"account \"a\" { api-key-file = \"key\" }", "should be an absolute path"},
    {"account \"a\" { jobs = { \"catalog-category-bulk-delet-job\" } }",
     "matches no job type; did you mean \"catalog-category-bulk-delete-job\"? klv-jobwatch.conf(5) lists "
     "them"},
    {"account \"a\" { jobs = { } }", "jobs should name at least one"},
    {"account \"a\" { }\naccount \"a\" { }", "f.conf:2: "},
    {"account \"a b\" { }", "account \"a b\": a name should be"},
    {"account \"\" { }", "a name should be"},
    {"api-url = \"http://a.klaviyo.com\"\n" ACCOUNT,
     "f.conf:1: api-url = \"http://a.klaviyo.com\": should begin with https://"},
    {"api-url = \"https://a.klaviyo.com/api\"\n" ACCOUNT, "without a path"},
    {"api-url = \"https://u:p@a.klaviyo.com\"\n" ACCOUNT, "user name or password"},
    {"api-url = \"ftp://a\"\n" ACCOUNT, "https://"},
    {"revision = \"latest\"\n" ACCOUNT, "revision = \"latest\": should be a date"},
    {ACCOUNT "webhook \"w\" { }", "webhook \"w\": url is needed"},
    {ACCOUNT "webhook \"w\" { url = \"http://hooks.example.com/secret-token\" }", "allow-http = true"},
    {ACCOUNT "webhook \"w\" { url = \"https://h/ x\" }", "percent-encoded"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" format = slick }",
     "format = \"slick\": should be one of standard, cloudevents, slack, discord, pagerduty, ntfy, template"},
    {ACCOUNT "webhook \"w\" {\n url = \"https://h\"\n format = template }",
     "f.conf:4: format = template: template-file is needed too"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" template-file = \"/t\" }", "is for format = template only"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" content-type = \"text/plain\" }",
     "content-type: is for format = template only"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" format = template template-file = \"t\" }",
     "should be an absolute path"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" format = template template-file = \"/t\" content-type = "
             "\"text\" }",
     "should be a media type"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" format = template template-file = \"/t\" content-type = "
             "\"text/plain;\\r\\nX: y\" }",
     "should be a media type"},
    {ACCOUNT "webhook \"w\" { url = \"https://ntfy.sh/a/b\" format = ntfy }", "should end in the topic"},
    {ACCOUNT "webhook \"w\" { url = \"https://ntfy.sh\" format = ntfy }", "should end in the topic"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" min-priority = loud }", "emerg, alert, crit"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" events = { \"jobs.*\" } }", "matches no kind of event"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" headers = { \"webhook-id: x\" } }",
     "is set by klv-jobwatch itself"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" headers = { \"no colon\" } }",
     "should read \"Name: value\""},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" retry-base = 1m retry-max = 1s }",
     "retry-max should not be shorter"},
    {ACCOUNT "family \"f\" { path = \"/api/f\" }", "family \"f\": path, burst and steady are needed"},
    {ACCOUNT "family \"f\" { path = \"https://evil/f\" burst = 1 steady = 1 }",
     "should be the path of the list"},
    {ACCOUNT "family \"f\" { path = \"/api/../f\" burst = 1 steady = 1 }", "should be the path of the list"},
    {ACCOUNT "family \"coupon-code-bulk-create-job\" { path = \"/api/f\" burst = 1 steady = 1 }",
     "is known already"},
    {ACCOUNT "alerts { failure-step = many }", "failure-step = \"many\""},
    {ACCOUNT "alerts { job-created = maybe }", "should be true or false"},
    {ACCOUNT "alerts {", "f.conf:2: the section that begins here is not closed"},
    {"account \"a\" { # }\n interval = 5s", "f.conf:1: the section that begins here is not closed"},
    {ACCOUNT "alerts { /* }", "f.conf:2: the section that begins here is not closed"},
    {ACCOUNT "alerts { // }", "f.conf:2: the section that begins here is not closed"},
    {ACCOUNT "alerts { # '}'\n", "f.conf:2: the section that begins here is not closed"},
    {ACCOUNT "api-url = '}\n", "f.conf:"},
    {ACCOUNT "heartbeats { }", "no such option 'heartbeats'"},
    {"account \"a\" {\n key = \"pk_x\" }", "f.conf:2: no such option 'key'; secrets stay out of this file"},
    {ACCOUNT "webhook \"w\" { secret = \"whsec_x\" }", "secrets stay out of this file"},
    {ACCOUNT "xyzzy = 1", "no such option 'xyzzy'; see klv-jobwatch.conf(5)"},
    {"account \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" { }", "a name should be"},
    {"account \"a\" { jobs = { \"xyzzy\" } }", "matches no job type; klv-jobwatch.conf(5) lists them"},
    {"api-url = \"\"\n" ACCOUNT, "api-url = \"\": is no URL"},
    {ACCOUNT "alerts { failure-step = 5x }", "failure-step = \"5x\": should be a whole number"},
    {ACCOUNT "alerts { failure-ratio = 101% }",
     "should be a share from 0.0001% to 100%, with its percent sign; or 0% for never"},
    {ACCOUNT "alerts { stalled-after = 1ms }", "or 0 for never"},
    {"account \"a\" { steady = 5x }", "should be a whole number"},
    {ACCOUNT "family \"f f\" { path = \"/api/f\" burst = 1 steady = 1 }", "family \"f f\": a name should be"},
    {ACCOUNT "family \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" { path = "
             "\"/api/f\" burst = 1 steady = 1 }",
     "the name is too long"},
    {ACCOUNT "family \"f\" { path = \"/api/f\" burst = 1 }", "path, burst and steady are needed"},
    {ACCOUNT "family \"f\" { burst = 1 steady = 1 }", "path, burst and steady are needed"},
    {ACCOUNT "family \"f\" { path = \"/\" burst = 1 steady = 1 }", "should be the path of the list"},
    {ACCOUNT "family \"f\" { path = \"/a\xc3\xa4\" burst = 1 steady = 1 }", "should be the path of the list"},
    {ACCOUNT "family \"f\" { path = \"/a\x7f\" burst = 1 steady = 1 }", "should be the path of the list"},
    {ACCOUNT "family \"f\" { path = "
             "\"/"
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
             "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" burst = 1 steady = 1 }",
     "should be the path of the list"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" headers = { \"X Y: v\" } }", "should read \"Name: value\""},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" headers = { \": v\" } }", "should read \"Name: value\""},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" headers = { \"X: a\x01\" } }", "holds a control character"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" headers = { \"X: a\x7f\" } }", "holds a control character"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" headers = { \"HOST: x\" } }",
     "is set by klv-jobwatch itself"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" format = template template-file = \"/t\" content-type = "
             "\"te xt/plain\" }",
     "should be a media type"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" format = template template-file = \"/t\" content-type = "
             "\"text/\" }",
     "should be a media type"},
    {ACCOUNT "webhook \"w\" { url = \"https://h\" format = template template-file = \"/t\" content-type = "
             "\"text/plain; \x7f\" }",
     "should be a media type"},
    {ACCOUNT "webhook \"w\" { format = ntfy }", "webhook \"w\": url is needed"},
    {ACCOUNT "heartbeat { every = 1m }", "heartbeat: url is needed"},
    {ACCOUNT "heartbeat { url = \"http://h/secret-token\" }", "f.conf:2: url should begin with https://"},
    {ACCOUNT "heartbeat { url = \"http://h/secret-token\" }", "[::1]), or with allow-http = true"},
    {ACCOUNT "heartbeat { url = \"ftp://h\" allow-http = true }", "[::1])"},
    {ACCOUNT "webhook \"w\" { url = \"ftp://h\" allow-http = true }", "[::1])"},
    {"account \"a\" { interval = \"\x1b[31m\" }", "interval = \"\xef\xbf\xbd[31m\""},
};

/* A brace in a comment or a quoted text opens and closes nothing. */
static void test_braces_that_are_none(void **state)
{
    (void)state;
    struct config *config = parse("# {\n// {\n/* {\n{ */\n"
                                  "account \"a\" { # }\n api-key-file = '/k{' }\n"
                                  "webhook \"w\" { url = \"https://h/{\" headers = { \"X: \\\"{\" } }\n");
    assert_string_equal(config->accounts[0].api_key_file, "/k{");
    assert_string_equal(config->webhooks[0].url, "https://h/{");
    assert_string_equal(config->webhooks[0].headers[0].value, "\"{");
    config_free(config);
}

static void test_formats(void **state)
{
    static const char text[] =
        ACCOUNT "webhook \"a\" { url = \"https://h\" }\n"
                "webhook \"b\" { url = \"https://h\" format = slack }\n"
                "webhook \"c\" { url = \"https://ntfy.sh/to_pic-1?auth=x\" format = ntfy }\n"
                "webhook \"d\" { url = \"https://h\" format = template template-file = \"/etc/t.json\" "
                "content-type = \"text/plain; charset=utf-8\" }\n";
    (void)state;
    struct config_errors errors = {0};
    struct config *config = config_parse(text, "f.conf", &errors);
    if (!config)
        fail_msg("%s", errors.text);
    assert_int_equal(config->webhooks[0].format, FORMAT_STANDARD);
    assert_null(config->webhooks[0].template_file);
    assert_int_equal(config->webhooks[1].format, FORMAT_SLACK);
    assert_int_equal(config->webhooks[2].format, FORMAT_NTFY);
    assert_int_equal(config->webhooks[3].format, FORMAT_TEMPLATE);
    assert_string_equal(config->webhooks[3].template_file, "/etc/t.json");
    assert_string_equal(config->webhooks[3].content_type, "text/plain; charset=utf-8");
    assert_null(config->webhooks[3].template);
    config_free(config);
}

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        struct config_errors errors = {0};
        struct config *config = config_parse(mistakes[i].text, "f.conf", &errors);
        if (config || !errors.text || strncmp(errors.text, "f.conf:", 7) != 0 ||
            !strstr(errors.text, mistakes[i].said))
            fail_msg("%s\n→ %s", mistakes[i].text, errors.text ? errors.text : "(taken)");
        assert_null(strstr(errors.text, "secret-token"));
        free(errors.text);
    }
}

static void test_all_mistakes_at_once(void **state)
{
    (void)state;
    struct config_errors errors = {0};
    assert_null(config_parse(
        "api-url = \"x\"\naccount \"a\" {\n interval = 5\n budget = 5\n}\nalerts { stalled-after = x }\n",
        "f.conf", &errors));
    int lines = 1;
    for (const char *p = errors.text; *p; p++)
        lines += *p == '\n';
    assert_int_equal(lines, 4);
    free(errors.text);
}

static void test_many_accounts(void **state)
{
    (void)state;
    size_t room = 500 * 80, used = 0;
    char *text = calloc(1, room);
    assert_non_null(text);
    for (int i = 0; i < 500; i++)
        used += (size_t)snprintf(text + used, room - used, "account \"shop-%d\" { jobs = { \"*\" } }\n", i);
    struct config *config = parse(text);
    assert_int_equal(config->n_accounts, 500);
    assert_int_equal(config->accounts[499].n_families, n_families);
    config_free(config);
    free(text);
}

static void test_globs(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool match;
    } cases[] = {
        {"*", "", true},
        {"*", "abc", true},
        {"a*c", "abc", true},
        {"a*c", "ac", true},
        {"a*c", "acd", false},
        {"a?c", "abc", true},
        {"a?c", "ac", false},
        {"job.*", "job.completed", true},
        {"job.*", "job", false},
        {"", "", true},
        {"", "a", false},
        {"**a**", "xxaxx", true},
        {"*a*b*c", "aXbXc", true},
        {"*a*b*c", "aXbX", false},
        {"*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (glob_match(cases[i].pattern, cases[i].text) != cases[i].match)
            fail_msg("%s, %s", cases[i].pattern, cases[i].text);
    }
}

static void test_urls(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool allowed;
        const char *origin;
    } cases[] = {
        {"https://a.klaviyo.com", true, "https://a.klaviyo.com"},
        {"HTTPS://host:8443/x?y#z", true, "HTTPS://host:8443"},
        {"https://user:pa@ss@host/x", true, "https://host"},
        {"http://localhost/x", true, "http://localhost"},
        {"http://127.1.2.3:80/", true, "http://127.1.2.3:80"},
        {"http://[::1]:80/", true, "http://[::1]:80"},
        {"http://127.evil.example/", false, "http://127.evil.example"},
        {"http://localhost.evil.example/", false, "http://localhost.evil.example"},
        {"http://localhost@evil.example/", false, "http://evil.example"},
        {"http://[::1].evil.example/", false, NULL},
        {"http://127.0.0.1.5/", false, "http://127.0.0.1.5"},
        {"http://127.0.0.x/", false, "http://127.0.0.x"},
        {"http://127.1", false, "http://127.1"},
        {"http://128.0.0.1/", false, "http://128.0.0.1"},
        {"http://[::1", false, NULL},
        {"http://[::1]", true, "http://[::1]"},
        {"http://[::2]/", false, "http://[::2]"},
        {"https://h/\x7f", false, "https://h"},
        {"https://h/\xc3\xa4", false, "https://h"},
        {"https://", false, NULL},
        {"https:///x", false, NULL},
        {"://x", false, NULL},
        {"", false, NULL},
        {"file:///etc/passwd", false, NULL},
        {"https://h\n", false, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *why;
        if (url_is_allowed(cases[i].url, false, true, &why) != cases[i].allowed)
            fail_msg("%s: %s", cases[i].url, why);
        char *origin = url_origin(cases[i].url);
        if (cases[i].origin)
            assert_string_equal(origin, cases[i].origin);
        free(origin);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything),
        cmocka_unit_test(test_long_intervals_bring_their_followers),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_braces_that_are_none),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_all_mistakes_at_once),
        cmocka_unit_test(test_many_accounts),
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_urls),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
