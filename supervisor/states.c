/*
 * The transitions of a service, and the look-up.  No side effects here.
 */
#include <stddef.h>

#include "proto.h"

#include "states.h"

#define S(x)	(1U << ST_##x)

const struct transition states_table[] = {
  /* from						event		next		action */
  { S(STOPPED)|S(FAILED)|S(BACKOFF),			SE_QUEUE,	ST_WAITING,	ACTION_QUEUE },
  { S(RUNNING)|S(STARTING)|S(STOPPING)|S(BUILDING),	SE_QUEUE,	ST_WAITING,	ACTION_QUEUE },
  { S(WAITING),						SE_SLOT,	ST_BUILDING,	ACTION_BUILD },
  { S(STOPPED)|S(FAILED)|S(BACKOFF),			SE_SPAWN,	ST_STARTING,	ACTION_SPAWN },
  { S(WAITING)|S(BUILDING),				SE_SPAWN,	ST_STARTING,	ACTION_SPAWN },
  { S(RUNNING)|S(STARTING)|S(STOPPING),			SE_SPAWN,	ST_STARTING,	ACTION_SPAWN },
  { S(STARTING),					SE_READY,	ST_RUNNING,	ACTION_NONE },
  { S(RUNNING)|S(STARTING),				SE_LEFTOVERS,	ST_STOPPING,	ACTION_SWEEP },
  { S(RUNNING)|S(STOPPING),				SE_SWAP_EXIT,	ST_BUILDING,	ACTION_NONE },
  { S(RUNNING)|S(STARTING)|S(STOPPING),			SE_STOP,	ST_STOPPING,	ACTION_SIGNAL },
  { S(WAITING)|S(BUILDING)|S(BACKOFF),			SE_STOP,	ST_STOPPED,	ACTION_CANCEL },
  { S(RUNNING)|S(STARTING)|S(STOPPING),			SE_DONE,	ST_STOPPED,	ACTION_NONE },
  { S(RUNNING)|S(STARTING)|S(STOPPING)|S(BUILDING)|
    S(WAITING),						SE_RETRY,	ST_BACKOFF,	ACTION_DELAY },
  { S(RUNNING)|S(STARTING)|S(STOPPING)|S(BUILDING)|
    S(WAITING),						SE_GIVE_UP,	ST_FAILED,	ACTION_NONE },
  { S(STOPPING),					SE_SURVIVED,	ST_FAILED,	ACTION_NONE },
};
const unsigned int states_rows = sizeof(states_table) / sizeof(states_table[0]);

static const char *const event_names[SE_COUNT] = {
	[SE_QUEUE] = "queue",
	[SE_SLOT] = "slot",
	[SE_SPAWN] = "spawn",
	[SE_READY] = "ready",
	[SE_LEFTOVERS] = "leftovers",
	[SE_SWAP_EXIT] = "exit during swap",
	[SE_STOP] = "stop",
	[SE_DONE] = "done",
	[SE_RETRY] = "retry",
	[SE_GIVE_UP] = "give up",
	[SE_SURVIVED] = "survived",
};

const struct transition *
states_find(uint32_t state, uint32_t event)
{
	unsigned int	 i;

	for (i = 0; i < states_rows; i++)
		if (states_table[i].event == event &&
		    (states_table[i].from & (1U << state)))
			return (&states_table[i]);
	return (NULL);
}

const char *
states_event_name(uint32_t event)
{
	return (event < SE_COUNT ? event_names[event] : "unknown");
}
