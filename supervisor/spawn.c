/*
 * Forking a child with its pipes, and learning whether its exec succeeded.
 * What the child itself does is in child.c; what follows is service.c's or
 * build.c's part.
 */
#include <sys/types.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#include "supervisor.h"

#define HURRY_MS	20	/* longest that others wait for an exec */

struct spawn_pipes {
	int	 out[2];
	int	 err[2];
	int	 report[2];
};

static struct child_tree	 children = RB_INITIALIZER(&children);
static sigset_t			 all_signals;
static unsigned int		 spawning;	/* forked, exec not through */
static struct event		 late_ev;
static int			 late;

static int
child_cmp(const struct child *a, const struct child *b)
{
	return (a->pid < b->pid ? -1 : a->pid > b->pid);
}

RB_PROTOTYPE(child_tree, child, node, child_cmp);
RB_GENERATE(child_tree, child, node, child_cmp);

static void	spawn_late(evutil_socket_t, short, void *);

void
spawn_init(void)
{
	sigfillset(&all_signals);
	evtimer_assign(&late_ev, sup.base, spawn_late, NULL);
}

struct child *
child_find(pid_t pid)
{
	struct child	 key;

	key.pid = pid;
	return (RB_FIND(child_tree, &children, &key));
}

void
child_forget(struct child *c)
{
	RB_REMOVE(child_tree, &children, c);
	c->pid = 0;
}

void
child_note_dead(void)
{
	struct child	*c;
	siginfo_t	 si;

	RB_FOREACH(c, child_tree, &children) {
		si.si_pid = 0;
		if (!c->dead && waitid(P_PID, c->pid, &si, WEXITED | WNOHANG |
		    WNOWAIT) == 0)
			c->dead = si.si_pid != 0;
	}
}

/* --- pipes ---------------------------------------------------------------- */
static void
pipes_close(struct spawn_pipes *p)
{
	int	*fds = (int *)p;
	size_t	 i;

	for (i = 0; i < sizeof(*p) / sizeof(int); i++)
		if (fds[i] != -1)
			close(fds[i]);
}

static int
pipes_open(struct spawn_pipes *p, enum child_kind kind)
{
	memset(p, 0xff, sizeof(*p));
	if (pipe2(p->report, O_CLOEXEC) == -1)
		return (-1);
	if (fd_nonblock(p->report[0]) == -1)
		goto fail;
	if (kind == CHILD_CHECK)	/* says nothing but its report */
		return (0);
	if (pipe2(p->out, O_CLOEXEC) == -1 || pipe2(p->err, O_CLOEXEC) == -1)
		goto fail;
	return (0);
fail:
	pipes_close(p);
	return (-1);
}

/* --- what the child gets -------------------------------------------------- */
static void
launch_command(struct launch *l, struct service *s)
{
	struct svc_conf	*c = s->conf;

	if (l->kind == CHILD_BUILD) {
		l->argv = c->build[l->mode].slots + ARGV_SLOTS;
		l->env = c->build_env;
		return;
	}
	l->argv = c->run[l->mode].slots + ARGV_SLOTS;
	l->env = c->env;
	l->rust_binary = c->rust_binary;
	if (c->str[STR_ARTIFACT].n > 0)
		l->artifact = c->str[STR_ARTIFACT].v[0];
}

static void
launch_fill(struct launch *l, struct service *s, enum child_kind kind,
    uint32_t mode)
{
	struct svc_conf	*c = s->conf;

	memset(l, 0, sizeof(*l));
	l->kind = kind;
	l->mode = mode;
	launch_command(l, s);
	l->path = c->path;
	l->directory = c->w.directory;
	l->direnv = (int)c->w.direnv;
	l->umask = c->w.umask;
	l->uid = c->w.uid;
	l->gid = c->w.gid;
	l->groups = c->groups;
	l->ngroups = c->ngroups;
	l->mark = s->mark + (kind != CHILD_RUN);
	l->cgroup = -1;
}

static void
launch_pipes(struct launch *l, const struct spawn_pipes *p)
{
	l->report = p->report[1];
	l->out = l->kind == CHILD_CHECK ? STDIN_FILENO : p->out[1];
	l->err = l->kind == CHILD_CHECK ? STDIN_FILENO : p->err[1];
}

/*
 * The logger hears of a run when exec is through: waking it up earlier would
 * only take the processor from the child.  Until then the pipes hold.
 */
static void
spawn_logs(struct child *c)
{
	struct service	*s = c->svc;
	uint32_t	 ring, run;

	if (c->out == -1)
		return;
	ring = c->kind == CHILD_RUN ? RING_OUTPUT : RING_BUILD;
	run = c->kind == CHILD_RUN ? s->st.run : s->st.build_run;
	logs_run(s, ring, run);
	logs_attach(s, ring, run, STREAM_STDOUT, c->out);
	logs_attach(s, ring, run, STREAM_STDERR, c->err);
	c->out = c->err = -1;
}

/* --- what it reports ------------------------------------------------------ */
/* Exec closes the pipe; a failure before it writes one report first. */
void
spawn_settle(struct child *c)
{
	ssize_t	 n;

	if (c->errfd == -1)
		return;
	n = read(c->errfd, &c->report, sizeof(c->report));
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	event_del(&c->err_ev);
	close(c->errfd);
	c->errfd = -1;
	spawning--;
	spawn_logs(c);
	if (n == sizeof(c->report)) {
		c->report.detail[sizeof(c->report.detail) - 1] = '\0';
		c->failed = c->report.stage != STAGE_OK;
	} else if (c->kind == CHILD_RUN)
		service_ready(c->svc);
}

static void
spawn_report(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	spawn_settle(arg);
}

/* --- the fork ------------------------------------------------------------- */
static pid_t
spawn_fork(struct launch *l)
{
	sigset_t	 old;
	pid_t		 pid;
	int		 error;

	/* No handler of ours may run in the child. */
	sigprocmask(SIG_BLOCK, &all_signals, &old);
	if ((pid = cgroup_fork(l->cgroup)) == 0)
		child_main(l);
	error = errno;
	if (l->cgroup != -1)
		close(l->cgroup);
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = error;
	return (pid);
}

static void
spawn_late(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	late = 1;
}

/* Is a child on its way to exec?  Then what can wait, waits, for a moment. */
int
spawn_busy(void)
{
	return (spawning > 0 && !late);
}

static void
spawn_hurry(void)
{
	const struct timeval	 tv = { 0, HURRY_MS * 1000 };

	spawning++;
	if (!evtimer_pending(&late_ev, NULL)) {
		late = 0;
		evtimer_add(&late_ev, &tv);
	}
}

static void
spawn_watch(struct child *c, struct service *s, enum child_kind kind,
    pid_t pid, struct spawn_pipes *p)
{
	int	 fd = p->report[0];

	c->svc = s;
	c->kind = kind;
	c->pid = c->sid = pid;
	c->failed = c->dead = 0;
	memset(&c->report, 0, sizeof(c->report));
	c->errfd = fd;
	c->out = p->out[0];
	c->err = p->err[0];
	p->report[0] = p->out[0] = p->err[0] = -1;
	RB_INSERT(child_tree, &children, c);
	event_assign(&c->err_ev, sup.base, fd, EV_READ | EV_PERSIST,
	    spawn_report, c);
	event_add(&c->err_ev, NULL);
	spawn_hurry();
}

static void
spawn_number(struct service *s, enum child_kind kind)
{
	if (kind == CHILD_BUILD)
		s->st.build_run++;
	if (kind != CHILD_RUN)
		return;
	s->st.run++;
	snprintf(s->conf->env_run, sizeof("KEEPD_RUN=4294967295"),
	    "KEEPD_RUN=%u", s->st.run);
}

int
spawn_child(struct service *s, enum child_kind kind, uint32_t mode,
    char *error)
{
	struct child		*c = kind == CHILD_RUN ? &s->run : &s->build;
	struct spawn_pipes	 p;
	struct launch		 l;
	const char		*stage = "pipe";
	pid_t			 pid = -1;

	launch_fill(&l, s, kind, mode);
	if (pipes_open(&p, kind) == 0) {
		stage = "fork";
		launch_pipes(&l, &p);
		spawn_number(s, kind);
		l.cgroup = cgroup_open(s, kind != CHILD_RUN);
		pid = spawn_fork(&l);
	}
	if (pid == -1) {
		snprintf(error, REASON_SIZE, "cannot start %s: %s: %s",
		    s->st.name, stage, strerror(errno));
		if (stage[0] == 'f')
			pipes_close(&p);
		return (-1);
	}
	spawn_watch(c, s, kind, pid, &p);
	pipes_close(&p);
	return (0);
}
