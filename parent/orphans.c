/*
 * The supervisor has died: its services have become children of the parent
 * (child subreaper), which stops them here: SIGTERM to each process group,
 * SIGKILL to what is left after five seconds, until nothing is left.  A pid is
 * only signalled while it is an unreaped child of ours, so it cannot be a
 * stranger's.
 */
#include <sys/types.h>

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "log.h"
#include "parent.h"
#include "util.h"

#define ORPHANS_GRACE_MS	5000
#define ORPHANS_LOOK_MS		100	/* for new ones, from dead parents */
#define ORPHANS_MAX		65536

static struct event	*orphans_timer;
static void		(*orphans_done)(void);
static uint64_t		 orphans_deadline;
/* Already sent SIGTERM: once is enough. */
static pid_t		 orphans_seen[ORPHANS_MAX];
static int		 orphans_nseen;

static int
orphan_is_new(pid_t pid)
{
	int	 i;

	for (i = 0; i < orphans_nseen; i++)
		if (orphans_seen[i] == pid)
			return (0);
	if (orphans_nseen < ORPHANS_MAX)
		orphans_seen[orphans_nseen++] = pid;
	return (1);
}

static void
orphan_signal(pid_t pid, int sig)
{
	pid_t	 group = getpgid(pid);

	/* A process in our own group would take us along. */
	if (group > 1 && group != getpgrp())
		kill(-group, sig);
	kill(pid, sig);
}

/* How many are left. */
static int
orphans_signal(void)
{
	static pid_t	 pids[ORPHANS_MAX];
	int		 late = mono_ms() >= orphans_deadline;
	int		 i, n, left = 0;

	if ((n = os_children(pids, ORPHANS_MAX)) == -1) {
		log_warn("cannot list the services that are left");
		return (0);
	}
	if (late)
		cgroup_kill();
	for (i = 0; i < n; i++) {
		if (child_is(pids[i]))
			continue;
		left++;
		if (late)
			orphan_signal(pids[i], SIGKILL);
		else if (orphan_is_new(pids[i]))
			orphan_signal(pids[i], SIGTERM);
	}
	return (left);
}

static void
orphans_look(void)
{
	const struct timeval	 soon = { 0, ORPHANS_LOOK_MS * 1000 };
	void			(*done)(void) = orphans_done;

	if (orphans_signal() > 0) {
		evtimer_add(orphans_timer, &soon);
		return;
	}
	event_free(orphans_timer);
	orphans_timer = NULL;
	orphans_done = NULL;
	done();
}

static void
orphans_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	orphans_look();
}

void
orphans_stop(void (*done)(void))
{
	const struct timeval	 now = { 0, 0 };

	if (orphans_done != NULL)
		return;
	orphans_done = done;
	orphans_deadline = mono_ms() + ORPHANS_GRACE_MS;
	orphans_nseen = 0;
	orphans_timer = evtimer_new(parent.base, orphans_tick, NULL);
	if (orphans_timer == NULL || evtimer_add(orphans_timer, &now) == -1)
		fatal("event");
}

/* One of them is gone, and maybe it was the last. */
void
orphans_reaped(void)
{
	const struct timeval	 now = { 0, 0 };

	if (orphans_timer != NULL)
		evtimer_add(orphans_timer, &now);
}
