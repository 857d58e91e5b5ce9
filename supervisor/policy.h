/*
 * What follows from an exit: pure functions of the configuration and the
 * counters, without clocks or side effects.
 */
#ifndef KEEPD_POLICY_H
#define KEEPD_POLICY_H

#include <stdint.h>

#include "proto.h"

enum decision {
	DECIDE_STOP,		/* it ended, and that is all */
	DECIDE_FAIL,		/* attempts are used up */
	DECIDE_RESTART
};

/* attempts: consecutive automatic ones before this exit. */
enum decision	 policy_decide(const struct wire_service *, int failed,
		    uint32_t attempts);
/* Delay before the nth consecutive automatic attempt, from 1 (U-20). */
uint64_t	 policy_delay(const struct wire_service *, uint32_t mode,
		    uint32_t n);
/* Did it run long enough to forget earlier failures (U-11)? */
int		 policy_stable(const struct wire_service *, uint64_t ran_ms);

#endif
