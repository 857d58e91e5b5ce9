/*
 * The transitions of a service, and the look-up.  No side effects here.
 */
#include <stddef.h>

#include "proto.h"

#include "states.h"

#define S(x)	(1U << ST_##x)

/* Groups of states that a start or an end is possible from. */
#define DEAD	(S(STOPPED) | S(FAILED) | S(BACKOFF))
#define ALIVE	(S(STARTING) | S(RUNNING) | S(STOPPING))
#define COMING	(S(WAITING) | S(BUILDING))

const struct transition states_table[] = {
/* from			event		next		action */
{ DEAD | ALIVE,		SE_QUEUE,	ST_WAITING,	ACTION_QUEUE },
{ S(BUILDING),		SE_QUEUE,	ST_WAITING,	ACTION_QUEUE },
{ S(WAITING),		SE_SLOT,	ST_BUILDING,	ACTION_BUILD },
{ DEAD | COMING | ALIVE, SE_SPAWN,	ST_STARTING,	ACTION_SPAWN },
{ S(STARTING),		SE_READY,	ST_RUNNING,	ACTION_NONE },
{ S(STARTING) | S(RUNNING), SE_LEFTOVERS, ST_STOPPING,	ACTION_SWEEP },
{ S(RUNNING) | S(STOPPING), SE_SWAP_EXIT, ST_BUILDING,	ACTION_NONE },
{ ALIVE,		SE_STOP,	ST_STOPPING,	ACTION_SIGNAL },
{ COMING | S(BACKOFF),	SE_STOP,	ST_STOPPED,	ACTION_CANCEL },
{ ALIVE,		SE_DONE,	ST_STOPPED,	ACTION_NONE },
{ COMING | ALIVE,	SE_RETRY,	ST_BACKOFF,	ACTION_DELAY },
{ COMING | ALIVE,	SE_GIVE_UP,	ST_FAILED,	ACTION_NONE },
{ S(STOPPING),		SE_SURVIVED,	ST_FAILED,	ACTION_NONE },
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
