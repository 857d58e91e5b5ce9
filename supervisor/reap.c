/*
 * The end of processes: SIGCHLD, what is left of a tree, and the reaping.
 * A child is looked at first and reaped last, so that its number, and that of
 * its group, cannot be anybody else's while they are signalled.
 */
#include <sys/types.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#include "supervisor.h"

static struct event	 reap_ev;
static struct tree	 reap_tree;
static unsigned int	 looks;		/* at the strays, in this turn */

/* --- whose is it ---------------------------------------------------------- */
static int
owns_session(const struct service *s, uint32_t sid)
{
	return (s->run.sid == (pid_t)sid || s->build.sid == (pid_t)sid);
}

static int
owns_mark(const struct service *s, uint32_t mark)
{
	return (s->mark == (mark & ~1U));
}

/* Also among those that were removed and are not gone yet. */
static struct service *
owner_by(int (*owns)(const struct service *, uint32_t), uint32_t value)
{
	struct service	*s;

	SERVICE_FOREACH(s)
		if (owns(s, value))
			return (s);
	TAILQ_FOREACH(s, &sup.orphans, orphan_entry)
		if (owns(s, value))
			return (s);
	return (NULL);
}

/*
 * Seen below a main process when its stop began.  Later it may be our own
 * child, in a session of its own and without a mark.
 */
struct seen {
	pid_t		 pid;
	uint64_t	 start;
	struct service	*svc;
	int		 build;
};
static struct seen	*seen;
static size_t		 nseen, seen_size;

static struct seen *
seen_find(const struct treeproc *p)
{
	size_t	 i;

	for (i = 0; i < nseen; i++)
		if (seen[i].pid == p->pid && seen[i].start == p->start)
			return (&seen[i]);
	return (NULL);
}

static void
seen_add(const struct treeproc *p, struct service *s, int build)
{
	struct seen	*v;

	if (seen_find(p) != NULL)
		return;
	if (nseen == seen_size) {
		v = reallocarray(seen, seen_size + 64, sizeof(*v));
		if (v == NULL)
			return;		/* its marks will have to do */
		seen = v;
		seen_size += 64;
	}
	seen[nseen].pid = p->pid;
	seen[nseen].start = p->start;
	seen[nseen].svc = s;
	seen[nseen++].build = build;
}

void
reap_forget(const struct service *s)
{
	size_t	 i, n = 0;

	for (i = 0; i < nseen; i++)
		if (seen[i].svc != s)
			seen[n++] = seen[i];
	nseen = n;
}

/* Of a process whose direct ancestor among our children is a stray. */
static struct service *
owner_of_stray(const struct treeproc *p, int *build)
{
	const struct seen	*e;
	struct service		*s;
	uint32_t		 mark;

	if (cgroup_mark(p->pid, &mark) || tree_marked(p->pid, &mark)) {
		*build = mark & 1;
		return (owner_by(owns_mark, mark));
	}
	if ((s = owner_by(owns_session, (uint32_t)p->sid)) != NULL) {
		*build = s->build.sid == p->sid;
		return (s);
	}
	if ((e = seen_find(p)) == NULL)
		return (NULL);
	*build = e->build;
	return (e->svc);
}

static struct service *
owner_of(const struct treeproc *p, const struct tree *t, int *build)
{
	const struct child	*c;
	struct service		*s;
	size_t			 i;

	if ((c = child_find(p->root)) != NULL) {
		*build = c->kind != CHILD_RUN;
		return (c->svc);
	}
	if ((s = owner_of_stray(p, build)) != NULL || p->root == p->pid)
		return (s);
	/* Its own marks may be gone; those of the one it came from count. */
	for (i = 0; i < t->n; i++)
		if (t->v[i].pid == p->root)
			return (owner_of_stray(&t->v[i], build));
	return (NULL);
}

/* Keep of the scan what belongs to this service, or to its build. */
static void
tree_select(struct tree *t, struct service *s, int want_build)
{
	size_t	 i, n = 0;
	int	 build = 0;

	tree_scan(t, s);
	for (i = 0; i < t->n; i++)
		t->v[i].wanted = owner_of(&t->v[i], t, &build) == s &&
		    build == want_build;
	for (i = 0; i < t->n; i++)
		if (t->v[i].wanted)
			t->v[n++] = t->v[i];
	t->n = n;
}

/*
 * Signal every process of this service (or of its build).  Who they are is
 * found out before the first of them can die and leave its children to us.
 */
unsigned int
reap_kill(struct service *s, int build, int sig)
{
	struct tree	*t = &reap_tree;
	pid_t		 group = build ? s->build.pid : s->run.pid;
	size_t		 i;

	/* KILL is the last word: nobody may have come since the last look. */
	if (sig == SIGKILL)
		tree_forget();
	tree_select(t, s, build);
	for (i = 0; i < t->n; i++)
		seen_add(&t->v[i], s, build);
	if (sig == SIGKILL)
		cgroup_kill(s, build);
	if (group != 0)
		kill(-group, sig);
	for (i = 0; i < t->n; i++) {
		if (group != 0 && t->v[i].pgid == group)
			continue;
		log_debug("%s: signal %d to pid %d (%s)", s->st.name, sig,
		    (int)t->v[i].pid, t->v[i].comm);
		tree_signal(&t->v[i], sig);
	}
	return (t->n);
}

unsigned int
reap_left(struct service *s)
{
	tree_forget();
	tree_select(&reap_tree, s, 0);
	return (reap_tree.n);
}

/* Name those that are still there, for the message. */
void
reap_survivors(struct service *s, char *buf, size_t size)
{
	struct tree	*t = &reap_tree;
	size_t		 i, len = 0;
	int		 n;

	buf[0] = '\0';
	tree_forget();
	tree_select(t, s, 0);
	for (i = 0; i < t->n && len < size; i++) {
		n = snprintf(buf + len, size - len, "%spid %d (%s)",
		    len > 0 ? ", " : "", (int)t->v[i].pid, t->v[i].comm);
		if (n < 0)
			return;
		len += n;
	}
}

/* keepd's own end: whoever is still below us goes. */
unsigned int
reap_kill_all(void)
{
	struct service	*s;
	struct tree	*t = &reap_tree;
	size_t		 i;

	tree_scan(t, NULL);
	SERVICE_FOREACH(s) {
		cgroup_kill(s, 0);
		cgroup_kill(s, 1);
	}
	for (i = 0; i < t->n; i++)
		tree_signal(&t->v[i], SIGKILL);
	return (t->n);
}

/* --- one exit ------------------------------------------------------------- */
static void
reap_pid(pid_t pid)
{
	siginfo_t	 si;

	while (waitid(P_PID, pid, &si, WEXITED | WNOHANG) == -1 &&
	    errno == EINTR)
		continue;
}

void
reap_build_done(struct service *s)
{
	s->build_left = 0;
	s->build.sid = 0;
	cgroup_remove(s, 1);
	build_exited(s, s->build_code, s->build_sig);
}

static void
reap_build(struct child *c, int code, int sig)
{
	struct service	*s = c->svc;
	unsigned int	 left = 0;

	/* A build that has ended leaves nobody in its group behind; one that
	 * was ended leaves nobody at all. */
	if (s->aborted || s->timed_out)
		left = reap_kill(s, 1, SIGKILL);
	else
		kill(-c->pid, SIGKILL);
	reap_pid(c->pid);
	child_forget(c);
	s->build_code = code;
	s->build_sig = sig;
	if (left == 0)
		reap_build_done(s);
	else
		build_linger(s);
}

/*
 * May it have left somebody behind?  Those would be ours since its death, so
 * only a look after that tells.  Where several have ended, one look at who
 * has and one at the strays do for all of them.
 */
static int
reap_strays(struct child *c)
{
	if (!c->dead) {
		c->dead = 1;
		if (looks++ > 0)
			child_note_dead();
		tree_forget();
	}
	return (tree_strays());
}

static void
reap_main(struct child *c, int code, int sig)
{
	struct service	*s = c->svc;
	unsigned int	 left = 0;

	if (reap_strays(c)) {
		if (s->st.state == ST_STOPPING && !s->killed)
			left = reap_left(s);	/* they have been asked to go */
		else if ((left = reap_left(s)) > 0)
			reap_kill(s, 0, SIGKILL);
	}
	reap_pid(c->pid);
	child_forget(c);
	if (left == 0)
		c->sid = 0;
	service_exited(s, code, sig, left != 0);
}

static void
reap_child(struct child *c, const siginfo_t *si)
{
	int	 code = -1, sig = 0;

	if (si->si_code == CLD_EXITED)
		code = si->si_status;
	else
		sig = si->si_status;
	spawn_settle(c);
	if (c->kind == CHILD_RUN)
		reap_main(c, code, sig);
	else
		reap_build(c, code, sig);
}

/* A stray has ended: whose tree may be gone now? */
static void
reap_check_service(struct service *s)
{
	if (s->build_left && reap_kill(s, 1, SIGKILL) == 0)
		reap_build_done(s);
	if (!s->sweeping)
		return;
	if (s->killed ? reap_kill(s, 0, SIGKILL) : reap_left(s))
		return;
	s->sweeping = 0;
	s->run.sid = 0;
	service_tree_gone(s);
}

static void
reap_check_all(void)
{
	struct service	*s, *next;

	for (s = service_next(NULL); s != NULL; s = next) {
		next = service_next(s);
		reap_check_service(s);
	}
	TAILQ_FOREACH_SAFE(s, &sup.orphans, orphan_entry, next)
		reap_check_service(s);
	supervisor_check_stopped();
}

static void
reap_all(evutil_socket_t fd, short what, void *arg)
{
	struct child	*c;
	siginfo_t	 si;
	int		 strays = 0;

	(void)fd;
	(void)what;
	(void)arg;
	looks = 0;
	for (;;) {
		memset(&si, 0, sizeof(si));
		if (waitid(P_ALL, 0, &si, WEXITED | WNOHANG | WNOWAIT) == -1) {
			if (errno == EINTR)
				continue;
			break;
		}
		if (si.si_pid == 0)
			break;
		if ((c = child_find(si.si_pid)) != NULL)
			reap_child(c, &si);
		else {
			reap_pid(si.si_pid);
			tree_reaped(si.si_pid);
			strays = 1;
		}
	}
	if (strays)
		reap_check_all();
}

void
reap_init(void)
{
	/* Whoever loses its parent below us becomes our child. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		log_warn("child subreaper");
	evsignal_assign(&reap_ev, sup.base, SIGCHLD, reap_all, NULL);
	if (event_priority_set(&reap_ev, 0) == -1 ||
	    event_add(&reap_ev, NULL) == -1)
		fatal("SIGCHLD");
}
