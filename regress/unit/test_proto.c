/*
 * The message table is complete and consistent, every word has its number,
 * and strings off the wire are checked.
 */
#include <string.h>

#include "proto.h"
#include "unit.h"
#include "util.h"

UNIT_SUITE(proto);

START_TEST(every_type_has_a_row)
{
	const struct proto_row	*row;
	uint32_t		 i;

	for (i = 1; i < IMSG_TYPE_COUNT; i++) {
		row = proto_row(i);
		ck_assert_msg(row != NULL, "no row for type %u", i);
		ck_assert_uint_eq(row->type, i);
		ck_assert_msg(strncmp(row->name, "IMSG_", 5) == 0, "%s",
		    row->name);
		ck_assert_str_eq(proto_name(i), row->name);
	}
}
END_TEST

START_TEST(no_other_type_has_one)
{
	ck_assert_ptr_null(proto_row(IMSG_NONE));
	ck_assert_ptr_null(proto_row(IMSG_TYPE_COUNT));
	ck_assert_ptr_null(proto_row(0xffffffffU));
	ck_assert_str_eq(proto_name(IMSG_NONE), "unknown");
	ck_assert_str_eq(proto_name(0x80000001U), "unknown");
}
END_TEST

START_TEST(names_are_unique)
{
	uint32_t	i, j;

	for (i = 1; i < IMSG_TYPE_COUNT; i++)
		for (j = 1; j < i; j++)
			ck_assert_str_ne(proto_name(i), proto_name(j));
}
END_TEST

START_TEST(lengths_fit_a_frame)
{
	const struct proto_row	*row;
	uint32_t		 i;

	for (i = 1; i < IMSG_TYPE_COUNT; i++) {
		row = proto_row(i);
		ck_assert_msg(row->min <= row->max, "%s", row->name);
		ck_assert_msg(row->max <= FRAME_MAX, "%s", row->name);
		ck_assert_msg(row->fd == PROTO_FD || row->fd == PROTO_NOFD,
		    "%s", row->name);
	}
}
END_TEST

static void
check_row(uint32_t type, size_t min, size_t max)
{
	const struct proto_row	*row = proto_row(type);

	ck_assert_msg(row->min == min && row->max == max, "%s: %u..%u",
	    row->name, row->min, row->max);
}

START_TEST(lengths_of_some)
{
	check_row(IMSG_PEER, 0, 0);
	check_row(IMSG_START, 0, 0);
	check_row(IMSG_READY, 4, 4);
	check_row(IMSG_CONF_SERVICE, sizeof(struct wire_service),
	    sizeof(struct wire_service));
	check_row(IMSG_CONF_STR, 8, 8 + CONF_STR_MAX);
	check_row(IMSG_CONF_HOST, 1, 255);
	check_row(IMSG_LOG, 4, 4 + 2048);
	check_row(IMSG_QUERY, sizeof(struct wire_query),
	    sizeof(struct wire_query) + PATTERN_MAX);
	check_row(IMSG_DATA, 1, FRAME_MAX);
	check_row(IMSG_RESULT, sizeof(struct wire_result),
	    sizeof(struct wire_result) + ERRTEXT_SIZE);
	check_row(IMSG_CTL_VERSION, 0, 0);
	check_row(IMSG_SRCH_START, sizeof(struct wire_search),
	    sizeof(struct wire_search) + PATTERN_MAX);
}
END_TEST

/* architecture.md section 2: where descriptors may go, and nowhere else. */
START_TEST(descriptors_of_all)
{
	static const uint32_t	with[] = { IMSG_PEER, IMSG_CONF_LISTEN,
		IMSG_CONF_CONTROL, IMSG_CONF_RING, IMSG_CONF_RING_RO,
		IMSG_KEEP, IMSG_ATTACH, IMSG_SRCH_RING, IMSG_SRCH_START };
	uint32_t		i;
	size_t			j;
	int			want;

	for (i = 1; i < IMSG_TYPE_COUNT; i++) {
		want = PROTO_NOFD;
		for (j = 0; j < nitems(with); j++)
			if (with[j] == i)
				want = PROTO_FD;
		ck_assert_msg(proto_row(i)->fd == want, "%s", proto_name(i));
	}
}
END_TEST

/* n words, all known and different, and nothing behind them. */
static void
check_words(const char *(*name)(uint32_t), uint32_t n)
{
	uint32_t	i, j;

	for (i = 0; i < n; i++) {
		ck_assert_str_ne(name(i), "unknown");
		for (j = 0; j < i; j++)
			ck_assert_str_ne(name(i), name(j));
	}
	ck_assert_str_eq(name(n), "unknown");
	ck_assert_str_eq(name(0xffffffffU), "unknown");
}

START_TEST(words_are_complete)
{
	check_words(proto_state_name, ST_COUNT);
	check_words(proto_exit_name, EXIT_COUNT);
	check_words(proto_verb_name, VERB_COUNT);
	check_words(proto_result_name, RES_COUNT);
	check_words(proto_role_name, ROLE_MANAGE + 1);
	check_words(proto_mode_name, MODE_DEV + 1);
	check_words(proto_event_name, EV_COUNT);
	ck_assert_str_eq(proto_mode_name(MODE_DEV), "dev");
	ck_assert_str_eq(proto_exit_name(EXIT_NONE), "none");
	ck_assert_str_eq(proto_result_name(RES_OK), "OK");
	ck_assert_str_eq(proto_result_name(RES_NOT_FOUND),
	    "PROCESS_NOT_FOUND");
	ck_assert_str_eq(proto_event_name(EV_BUILD_FAILED), "build_failed");
}
END_TEST

START_TEST(status_words)
{
	uint32_t	s, e;

	ck_assert_str_eq(proto_status_word(ST_RUNNING, EXIT_FAILED), "running");
	ck_assert_str_eq(proto_status_word(ST_STOPPED, EXIT_NONE), "stopped");
	ck_assert_str_eq(proto_status_word(ST_STOPPED, EXIT_EXITED), "stopped");
	ck_assert_str_eq(proto_status_word(ST_STOPPED, EXIT_REQUESTED),
	    "stopped");
	ck_assert_str_eq(proto_status_word(ST_STOPPED, EXIT_KILLED), "killed");
	ck_assert_str_eq(proto_status_word(ST_STOPPED, EXIT_FAILED), "failed");
	ck_assert_str_eq(proto_status_word(ST_BACKOFF, EXIT_NONE), "failed");
	ck_assert_str_eq(proto_status_word(ST_WAITING, EXIT_NONE), "starting");
	ck_assert_str_eq(proto_status_word(ST_STOPPING, EXIT_NONE), "stopping");
	for (s = 0; s < ST_COUNT; s++)
		for (e = 0; e < EXIT_COUNT; e++)
			ck_assert_str_ne(proto_status_word(s, e), "unknown");
	ck_assert_str_eq(proto_status_word(ST_COUNT, 0), "unknown");
	ck_assert_str_eq(proto_status_word(ST_STOPPED, EXIT_COUNT), "unknown");
}
END_TEST

START_TEST(strings)
{
	ck_assert_int_eq(proto_str_ok("web", 4), 1);
	ck_assert_int_eq(proto_str_ok("web", 3), 0);
	ck_assert_int_eq(proto_str_ok("", 1), 1);
	ck_assert_int_eq(proto_str_ok("", 0), 0);
	ck_assert_int_eq(proto_str_ok("a\nb", 4), 0);
	ck_assert_int_eq(proto_str_ok("a\033b", 4), 0);
	ck_assert_int_eq(proto_str_ok("a\x7f", 3), 0);
	ck_assert_int_eq(proto_str_ok("\xc3\xa4", 3), 1);
	/* what stands behind the NUL does not matter */
	ck_assert_int_eq(proto_str_ok("a\0\n\n", 4), 1);
	ck_assert_int_eq(proto_str_ends("a\nb", 4), 1);
	ck_assert_int_eq(proto_str_ends("a\nb", 3), 0);
}
END_TEST

Suite *
proto_suite(void)
{
	Suite	*s = suite_create("proto");
	TCase	*t = tcase_create("proto");

	tcase_add_test(t, every_type_has_a_row);
	tcase_add_test(t, no_other_type_has_one);
	tcase_add_test(t, names_are_unique);
	tcase_add_test(t, lengths_fit_a_frame);
	tcase_add_test(t, lengths_of_some);
	tcase_add_test(t, descriptors_of_all);
	tcase_add_test(t, words_are_complete);
	tcase_add_test(t, status_words);
	tcase_add_test(t, strings);
	suite_add_tcase(s, t);
	return (s);
}
