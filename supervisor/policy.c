/*
 * The restart decision and the delay before it (U-5, U-20, S0-32, S0-33).
 */
#include "policy.h"

enum decision
policy_decide(const struct wire_service *w, int failed, uint32_t attempts)
{
	if (w->restart_on == RESTART_NEVER)
		return (DECIDE_STOP);
	if (w->restart_on == RESTART_FAILURE && !failed)
		return (DECIDE_STOP);
	if (w->max_attempts != 0 && attempts >= w->max_attempts)
		return (DECIDE_FAIL);
	return (DECIDE_RESTART);
}

static double
delay_exponential(const struct wire_service *w, uint32_t k)
{
	double	 delay = (double)w->backoff_initial_ms;

	/* Ends early: past the cap or at a fixed point it cannot change. */
	while (--k > 0 && delay < (double)w->backoff_max_ms &&
	    delay > 0 && w->factor_milli > 1000)
		delay = delay * w->factor_milli / 1000;
	return (delay);
}

static double
delay_uncapped(const struct wire_service *w, uint32_t k)
{
	switch (w->backoff) {
	case BACKOFF_FIXED:
		return ((double)w->backoff_initial_ms);
	case BACKOFF_LINEAR:
		return ((double)w->backoff_initial_ms * k);
	case BACKOFF_EXPONENTIAL:
		return (delay_exponential(w, k));
	default:
		return (0);
	}
}

uint64_t
policy_delay(const struct wire_service *w, uint32_t mode, uint32_t n)
{
	double		 delay;
	uint64_t	 ms;

	if (mode == MODE_DEV && n == 1 && w->first_dev_ms != 0)
		return (w->first_dev_ms);
	if (n <= w->free_attempts)
		return (0);
	delay = delay_uncapped(w, n - w->free_attempts);
	if (delay >= (double)w->backoff_max_ms)
		ms = w->backoff_max_ms;
	else
		ms = (uint64_t)delay;
	if (w->truncate_seconds)
		ms -= ms % 1000;
	return (ms);
}

int
policy_stable(const struct wire_service *w, uint64_t ran_ms)
{
	return (w->stable_ms != 0 && ran_ms >= w->stable_ms);
}
