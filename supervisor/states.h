/*
 * The state machine of a service (U-1 to U-13) as data.  keepd(8) prints the
 * same table.  Acting on it is service.c's part.
 */
#ifndef KEEPD_STATES_H
#define KEEPD_STATES_H

#include <stdint.h>

enum svc_event {
	SE_QUEUE,		/* a start that has to build first */
	SE_SLOT,		/* a build slot is free for it */
	SE_SPAWN,		/* start, nothing (more) to build */
	SE_READY,		/* the program runs */
	SE_LEFTOVERS,		/* main process gone, some of its tree is not */
	SE_SWAP_EXIT,		/* it ended while its successor is built */
	SE_STOP,		/* a stop begins */
	SE_DONE,		/* gone, and not to come back */
	SE_RETRY,		/* gone, to come back after a delay */
	SE_GIVE_UP,		/* gone, and help is needed */
	SE_SURVIVED,		/* KILL did not end it */
	SE_COUNT
};

enum svc_action {
	ACTION_NONE,
	ACTION_QUEUE,		/* wait for a build slot */
	ACTION_BUILD,
	ACTION_SPAWN,
	ACTION_SIGNAL,		/* stop signal to the whole tree, arm timer */
	ACTION_SWEEP,		/* KILL what is left, arm timer */
	ACTION_DELAY,		/* arm the restart timer */
	ACTION_CANCEL,		/* timer, queue, build */
	ACTION_COUNT
};

struct transition {
	uint32_t	 from;		/* mask of 1 << enum svc_state */
	uint32_t	 event;		/* enum svc_event */
	uint32_t	 next;		/* enum svc_state */
	uint32_t	 action;	/* enum svc_action */
};

extern const struct transition	 states_table[];
extern const unsigned int	 states_rows;

/* The row for this state and event, or NULL when there is none. */
const struct transition	*states_find(uint32_t state, uint32_t event);
const char		*states_event_name(uint32_t);

#endif
