/*
 * The record of a service as JSON: every key is there whatever is known, and
 * bytes that are no UTF-8 do not lose the record.
 */
#include <stdlib.h>
#include <string.h>

/* Under names of its own: what else is linked here may have it, too. */
#define display_get		tested_display_get
#define display_clear		tested_display_clear
#define record_json		tested_record_json
#define record_list_json	tested_record_list_json
#define event_json		tested_event_json
#define short_event_text	tested_short_event_text
#define hours_minutes		tested_hours_minutes
#include "frontend/record.c"

#include "unit.h"

UNIT_SUITE(record);

/* interfaces: "a key that does not apply is null, never absent" */
static const char *const keys[] = {
	"name", "id", "label", "group", "description", "state", "status",
	"ready", "health", "mode", "activity", "pid", "run", "instance",
	"command", "working_directory", "user", "port", "url", "start_time",
	"uptime_seconds", "restarts", "crash_count", "breaker", "next_start",
	"exit", "cpu_percent", "memory_mb", "stale", "last_action", "log_paths"
};

static void
keys_check(json_t *r)
{
	size_t	i;
	char	*text;

	for (i = 0; i < nitems(keys); i++)
		ck_assert_msg(json_object_get(r, keys[i]) != NULL, "no %s",
		    keys[i]);
	text = json_dumps(r, JSON_COMPACT);
	ck_assert_ptr_nonnull(text);
	free(text);
}

START_TEST(bare)
{
	struct wire_state	 st;
	json_t			*r;

	memset(&st, 0, sizeof(st));
	strlcpy(st.name, "web", sizeof(st.name));
	st.action_verb = VERB_COUNT;
	r = record_json(&st, NULL, 1000);
	keys_check(r);
	ck_assert(json_is_null(json_object_get(r, "exit")));
	ck_assert(json_is_null(json_object_get(r, "pid")));
	ck_assert(json_is_null(json_object_get(r, "uptime_seconds")));
	ck_assert(json_is_null(json_object_get(r, "command")));
	ck_assert(json_is_null(json_object_get(r, "last_action")));
	ck_assert(json_is_false(json_object_get(r, "ready")));
	json_decref(r);
}
END_TEST

START_TEST(full)
{
	struct display		 d;
	struct wire_state	 st;
	json_t			*r;
	char			 words[] = "npm\0run\0\377";

	memset(&st, 0, sizeof(st));
	memset(&d, 0, sizeof(d));
	strlcpy(st.name, "web", sizeof(st.name));
	st.state = ST_RUNNING;
	st.pid = 42;
	st.start_ms = 1000;
	st.flags = STF_READY;
	st.stale = STALE_ENV | STALE_OTHER;
	st.exit_reason = EXIT_KILLED;
	st.exit_code = -1;
	st.exit_signal = 9;
	st.exit_ms = 500;
	st.action_ms = 900;
	st.action_verb = VERB_RESTART;
	strlcpy(st.action_reason, "bytes \377\376", sizeof(st.action_reason));
	d.text.port = 3000;
	strlcpy(d.text.label, "a\370b", sizeof(d.text.label));
	d.words = words;
	d.words_len = sizeof(words);
	r = record_json(&st, &d, 3500);
	keys_check(r);
	ck_assert(json_real_value(json_object_get(r, "uptime_seconds")) ==
	    2.5);
	ck_assert_uint_eq(json_array_size(json_object_get(r, "command")), 3);
	ck_assert_uint_eq(json_array_size(json_object_get(r, "stale")), 2);
	ck_assert_str_eq(json_string_value(json_object_get(r, "url")),
	    "http://127.0.0.1:3000");
	r = record_list_json(MODE_DEV, json_pack("[o]", r));
	ck_assert_int_eq(json_integer_value(json_object_get(r,
	    "running_count")), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(r,
	    "stopped_count")), 0);
	json_decref(r);
}
END_TEST

START_TEST(texts)
{
	struct wire_short_event	ev = { .time_ms = 1795168800000ULL,
				    .kind = EV_STARTED };
	char			buf[128];

	ck_assert_str_eq(short_event_text(&ev, buf, sizeof(buf)),
	    "Started at 2026-11-20 10:00:00 UTC");
	ev.kind = EV_CRASHED;
	ev.exit_code = 3;
	ck_assert_str_eq(short_event_text(&ev, buf, sizeof(buf)),
	    "Crashed at 2026-11-20 10:00:00 UTC (exit code: 3)");
	ev.exit_code = -1;
	ev.signal = 11;
	ck_assert_str_eq(short_event_text(&ev, buf, sizeof(buf)),
	    "Crashed at 2026-11-20 10:00:00 UTC (exit code: none, SIGSEGV)");
	ev.signal = 0;
	ck_assert_str_eq(short_event_text(&ev, buf, sizeof(buf)),
	    "Crashed at 2026-11-20 10:00:00 UTC (did not start)");
	ck_assert_str_eq(hours_minutes(7384000, buf, sizeof(buf)),
	    "2 hours 3 minutes");
	ck_assert_str_eq(hours_minutes(0, buf, sizeof(buf)),
	    "0 hours 0 minutes");
}
END_TEST

Suite *
record_suite(void)
{
	Suite	*s = suite_create("record");
	TCase	*tc = tcase_create("record");

	tcase_add_test(tc, bare);
	tcase_add_test(tc, full);
	tcase_add_test(tc, texts);
	suite_add_tcase(s, tc);
	return (s);
}
