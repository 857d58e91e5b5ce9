/*
 * The table of transitions: one answer to each question, no dead ends, and
 * the paths of U-1 to U-8.
 */
#include "proto.h"
#include "states.h"
#include "unit.h"
#include "util.h"

UNIT_SUITE(service);

struct step {
	uint32_t	 event;
	uint32_t	 state;
	uint32_t	 action;
};

static void
walk(uint32_t state, const struct step *steps, size_t n)
{
	const struct transition	*t;
	size_t			 i;

	for (i = 0; i < n; i++) {
		t = states_find(state, steps[i].event);
		ck_assert_msg(t != NULL, "step %zu: %s does not apply in %s",
		    i, states_event_name(steps[i].event),
		    proto_state_name(state));
		ck_assert_uint_eq(t->next, steps[i].state);
		ck_assert_uint_eq(t->action, steps[i].action);
		state = t->next;
	}
}

START_TEST(test_one_row_each)
{
	uint32_t	 state, event;
	unsigned int	 i, n;

	for (state = 0; state < ST_COUNT; state++)
		for (event = 0; event < SE_COUNT; event++) {
			for (i = n = 0; i < states_rows; i++)
				n += states_table[i].event == event &&
				    (states_table[i].from & 1U << state);
			ck_assert_msg(n <= 1, "%s in %s has %u rows",
			    states_event_name(event), proto_state_name(state),
			    n);
		}
	for (i = 0; i < states_rows; i++) {
		ck_assert_uint_ne(states_table[i].from, 0);
		ck_assert_uint_lt(states_table[i].from, 1U << ST_COUNT);
		ck_assert_uint_lt(states_table[i].next, ST_COUNT);
		ck_assert_uint_lt(states_table[i].action, ACTION_COUNT);
	}
}
END_TEST

/* From every state something alive can be stopped, anything dead started. */
START_TEST(test_no_dead_end)
{
	uint32_t	 state;

	for (state = 0; state < ST_COUNT; state++) {
		ck_assert(states_find(state, SE_SPAWN) != NULL);
		if (state != ST_STOPPED && state != ST_FAILED)
			ck_assert(states_find(state, SE_STOP) != NULL);
		ck_assert(states_find(state, SE_COUNT) == NULL);
	}
	ck_assert(states_find(ST_STOPPED, SE_STOP) == NULL);
	ck_assert(states_find(ST_STOPPED, SE_RETRY) == NULL);
	ck_assert(states_find(ST_FAILED, SE_RETRY) == NULL);
	ck_assert(states_find(ST_COUNT, SE_SPAWN) == NULL);
}
END_TEST

START_TEST(test_start_with_build)
{
	static const struct step	 steps[] = {
		{ SE_QUEUE, ST_WAITING, ACTION_QUEUE },
		{ SE_SLOT, ST_BUILDING, ACTION_BUILD },
		{ SE_SPAWN, ST_STARTING, ACTION_SPAWN },
		{ SE_READY, ST_RUNNING, ACTION_NONE },
		{ SE_STOP, ST_STOPPING, ACTION_SIGNAL },
		{ SE_DONE, ST_STOPPED, ACTION_NONE },
	};

	walk(ST_STOPPED, steps, nitems(steps));
	walk(ST_FAILED, steps, nitems(steps));
	walk(ST_BACKOFF, steps, nitems(steps));
}
END_TEST

START_TEST(test_crash)
{
	static const struct step	 steps[] = {
		{ SE_RETRY, ST_BACKOFF, ACTION_DELAY },
		{ SE_SPAWN, ST_STARTING, ACTION_SPAWN },
		{ SE_RETRY, ST_BACKOFF, ACTION_DELAY },
		{ SE_QUEUE, ST_WAITING, ACTION_QUEUE },
		{ SE_SLOT, ST_BUILDING, ACTION_BUILD },
		{ SE_RETRY, ST_BACKOFF, ACTION_DELAY },
		{ SE_STOP, ST_STOPPED, ACTION_CANCEL },
	};
	static const struct step	 at_once[] = {
		{ SE_SPAWN, ST_STARTING, ACTION_SPAWN },
		{ SE_READY, ST_RUNNING, ACTION_NONE },
		{ SE_GIVE_UP, ST_FAILED, ACTION_NONE },
	};

	walk(ST_RUNNING, steps, nitems(steps));
	walk(ST_RUNNING, at_once, nitems(at_once));
}
END_TEST

START_TEST(test_leftovers)
{
	static const struct step	 steps[] = {
		{ SE_LEFTOVERS, ST_STOPPING, ACTION_SWEEP },
		{ SE_RETRY, ST_BACKOFF, ACTION_DELAY },
	};
	static const struct step	 survivors[] = {
		{ SE_STOP, ST_STOPPING, ACTION_SIGNAL },
		{ SE_SURVIVED, ST_FAILED, ACTION_NONE },
	};

	walk(ST_RUNNING, steps, nitems(steps));
	walk(ST_STARTING, steps, nitems(steps));
	walk(ST_RUNNING, survivors, nitems(survivors));
}
END_TEST

START_TEST(test_swap)
{
	static const struct step	 swap[] = {
		{ SE_STOP, ST_STOPPING, ACTION_SIGNAL },
		{ SE_SPAWN, ST_STARTING, ACTION_SPAWN },
		{ SE_READY, ST_RUNNING, ACTION_NONE },
	};
	static const struct step	 died[] = {
		{ SE_SWAP_EXIT, ST_BUILDING, ACTION_NONE },
		{ SE_SPAWN, ST_STARTING, ACTION_SPAWN },
	};
	static const struct step	 failed[] = {
		{ SE_SWAP_EXIT, ST_BUILDING, ACTION_NONE },
		{ SE_GIVE_UP, ST_FAILED, ACTION_NONE },
	};

	walk(ST_RUNNING, swap, nitems(swap));
	walk(ST_RUNNING, died, nitems(died));
	walk(ST_STOPPING, died, nitems(died));
	walk(ST_RUNNING, failed, nitems(failed));
}
END_TEST

Suite *
service_suite(void)
{
	Suite	*s = suite_create("service");
	TCase	*tc = tcase_create("transitions");

	tcase_add_test(tc, test_one_row_each);
	tcase_add_test(tc, test_no_dead_end);
	tcase_add_test(tc, test_start_with_build);
	tcase_add_test(tc, test_crash);
	tcase_add_test(tc, test_leftovers);
	tcase_add_test(tc, test_swap);
	suite_add_tcase(s, tc);
	return (s);
}
