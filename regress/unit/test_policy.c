/*
 * Restart decisions and delays: the series of S0-32 and S0-33, the formula of
 * U-20, and the presets' numbers of U-21.
 */
#include <string.h>

#include "policy.h"
#include "unit.h"
#include "util.h"

UNIT_SUITE(policy);

#define S(n)	((n) * 1000ULL)

static struct wire_service
bpm(uint64_t first_dev)
{
	struct wire_service	 w;

	memset(&w, 0, sizeof(w));
	w.backoff = BACKOFF_EXPONENTIAL;
	w.backoff_initial_ms = S(1);
	w.backoff_max_ms = S(300);
	w.factor_milli = 1500;
	w.truncate_seconds = 1;
	w.first_dev_ms = first_dev;
	w.restart_on = RESTART_ALWAYS;
	return (w);
}

static struct wire_service
preset(uint32_t backoff, uint64_t initial, uint32_t factor, uint64_t max,
    uint32_t free_attempts)
{
	struct wire_service	 w;

	memset(&w, 0, sizeof(w));
	w.backoff = backoff;
	w.backoff_initial_ms = initial;
	w.backoff_max_ms = max;
	w.factor_milli = factor;
	w.free_attempts = free_attempts;
	w.restart_on = RESTART_FAILURE;
	return (w);
}

static void
expect_series(const struct wire_service *w, uint32_t mode,
    const uint64_t *seconds, size_t n)
{
	uint64_t	 ms;
	uint32_t	 i;

	for (i = 0; i < n; i++) {
		ms = policy_delay(w, mode, i + 1);
		ck_assert_msg(ms == S(seconds[i]),
		    "attempt %u: %llu ms, not %llu s", i + 1,
		    (unsigned long long)ms, (unsigned long long)seconds[i]);
	}
}

START_TEST(test_release_series)
{
	static const uint64_t	 want[] = { 1, 1, 2, 3, 5, 7, 11, 17, 25, 38,
		57, 86, 129, 194, 291, 300, 300, 300 };
	struct wire_service	 w = bpm(0);

	expect_series(&w, MODE_RELEASE, want, nitems(want));
	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, 1000000), S(300));
	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, UINT32_MAX), S(300));
}
END_TEST

START_TEST(test_dev_series)
{
	static const uint64_t	 want[] = { 120, 1, 2, 3, 5, 7 };
	struct wire_service	 w = bpm(S(120));

	expect_series(&w, MODE_DEV, want, nitems(want));
	/* In release mode the first delay of dev plays no part. */
	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, 1), S(1));
}
END_TEST

START_TEST(test_mpm)
{
	static const uint64_t	 want[] = { 0, 2, 4, 8, 16, 32, 64, 128, 256,
		300, 300 };
	struct wire_service	 w = preset(BACKOFF_EXPONENTIAL, S(2), 2000,
				    S(300), 1);

	expect_series(&w, MODE_DEV, want, nitems(want));
	expect_series(&w, MODE_RELEASE, want, nitems(want));
}
END_TEST

START_TEST(test_ally)
{
	static const uint64_t	 want[] = { 5, 10, 15 };
	struct wire_service	 w = preset(BACKOFF_LINEAR, S(5), 0, S(300),
				    0);

	expect_series(&w, MODE_RELEASE, want, nitems(want));
	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, UINT32_MAX), S(300));
}
END_TEST

START_TEST(test_bgr_guard)
{
	static const uint64_t	 want[] = { 0, 0, 0, 0, 0, 30, 60, 120, 240,
		300 };
	struct wire_service	 w = preset(BACKOFF_EXPONENTIAL, S(30), 2000,
				    S(300), 5);

	expect_series(&w, MODE_RELEASE, want, nitems(want));
}
END_TEST

START_TEST(test_milliseconds)
{
	struct wire_service	 w = preset(BACKOFF_FIXED, 750, 0, S(300), 0);

	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, 1), 750);
	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, 9), 750);
	w.backoff = BACKOFF_EXPONENTIAL;
	w.factor_milli = 1500;
	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, 2), 1125);
	w.backoff_max_ms = 1000;
	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, 2), 1000);
	w.factor_milli = 1000;
	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, UINT32_MAX), 750);
	w.backoff = BACKOFF_NONE;
	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, 7), 0);
}
END_TEST

START_TEST(test_edges)
{
	struct wire_service	 w = preset(BACKOFF_EXPONENTIAL, 0, 2000,
				    S(300), 0);

	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, UINT32_MAX), 0);
	w = preset(BACKOFF_EXPONENTIAL, UINT64_MAX / 2, 100000, UINT64_MAX / 2,
	    0);
	ck_assert_uint_le(policy_delay(&w, MODE_RELEASE, 50), UINT64_MAX / 2);
	w = preset(BACKOFF_LINEAR, S(1), 0, S(5), UINT32_MAX);
	ck_assert_uint_eq(policy_delay(&w, MODE_RELEASE, UINT32_MAX), 0);
}
END_TEST

START_TEST(test_decide)
{
	struct wire_service	 w = preset(BACKOFF_NONE, 0, 0, 0, 0);

	ck_assert_int_eq(policy_decide(&w, 0, 0), DECIDE_STOP);
	ck_assert_int_eq(policy_decide(&w, 1, 0), DECIDE_RESTART);
	w.restart_on = RESTART_ALWAYS;
	ck_assert_int_eq(policy_decide(&w, 0, 0), DECIDE_RESTART);
	/* 0: without limit. */
	ck_assert_int_eq(policy_decide(&w, 1, UINT32_MAX), DECIDE_RESTART);
	w.max_attempts = 3;
	ck_assert_int_eq(policy_decide(&w, 1, 2), DECIDE_RESTART);
	ck_assert_int_eq(policy_decide(&w, 1, 3), DECIDE_FAIL);
	w.restart_on = RESTART_NEVER;
	ck_assert_int_eq(policy_decide(&w, 1, 0), DECIDE_STOP);
}
END_TEST

START_TEST(test_stable)
{
	struct wire_service	 w = preset(BACKOFF_NONE, 0, 0, 0, 0);

	ck_assert_int_eq(policy_stable(&w, UINT64_MAX), 0);
	w.stable_ms = S(120);
	ck_assert_int_eq(policy_stable(&w, S(120) - 1), 0);
	ck_assert_int_eq(policy_stable(&w, S(120)), 1);
}
END_TEST

Suite *
policy_suite(void)
{
	Suite	*s = suite_create("policy");
	TCase	*tc = tcase_create("delays");

	tcase_add_test(tc, test_release_series);
	tcase_add_test(tc, test_dev_series);
	tcase_add_test(tc, test_mpm);
	tcase_add_test(tc, test_ally);
	tcase_add_test(tc, test_bgr_guard);
	tcase_add_test(tc, test_milliseconds);
	tcase_add_test(tc, test_edges);
	suite_add_tcase(s, tc);
	tc = tcase_create("decisions");
	tcase_add_test(tc, test_decide);
	tcase_add_test(tc, test_stable);
	suite_add_tcase(s, tc);
	return (s);
}
