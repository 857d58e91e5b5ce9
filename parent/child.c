/*
 * The three processes: started by fork and exec, linked to us and to each
 * other, started afresh when they die.  What they say is in dispatch.c; that
 * the supervisor is not replaced is decided in parent.c.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "log.h"
#include "parent.h"
#include "sandbox.h"
#include "util.h"

#define CHILD_FD		3	/* where a child finds its link */
#define BACKOFF_FIRST_MS	100
#define BACKOFF_MAX_MS		30000
#define LIVED_MS		1000	/* longer: it did start properly */
#define RESTARTS_MAX		10	/* in... */
#define RESTARTS_WINDOW_MS	60000
#define LINGER_MS		1000	/* from end of link to exit, or back */
#define SHUTDOWN_MS		3000	/* then SIGKILL */
#define ARGS_MAX		24
#define NUMBER_SIZE		16

struct child {
	enum peer		 peer;
	const char		*name;
	pid_t			 pid;		/* 0: none */
	struct link		*link;		/* NULL: none */
	int			 held[PEERS];	/* others' ends of our links */
	int			 status;	/* of waitpid, once pid is 0 */
	int			 ready;
	uint32_t		 serial;	/* of its CONF_DONE */
	struct event		*timer;
	void			(*due)(struct child *);	/* what timer is for */
	uint64_t		 begun_ms;
	uint64_t		 backoff_ms;	/* 0: none yet */
	uint64_t		 starts[RESTARTS_MAX];	/* the last ones */
	unsigned int		 nstarts;
};

static struct child	 children[PEERS] = {
	[PEER_SUPERVISOR] = { .peer = PEER_SUPERVISOR, .name = "supervisor" },
	[PEER_LOGGER] = { .peer = PEER_LOGGER, .name = "logger" },
	[PEER_FRONTEND] = { .peer = PEER_FRONTEND, .name = "frontend" }
};
static const char	*child_libexec;

static void	child_start(struct child *);
static void	child_closed(struct link *, const char *);
static void	child_shutdown_next(void);

static const struct link_ops	 child_ops = { .closed = child_closed };

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct child	*c = arg;

	(void)fd;
	(void)what;
	c->due(c);
}

static void
child_timer(struct child *c, uint64_t ms, void (*due)(struct child *))
{
	struct timeval	 tv = { (time_t)(ms / 1000),
	    (suseconds_t)(ms % 1000 * 1000) };

	c->due = due;
	if (evtimer_add(c->timer, &tv) == -1)
		fatal("event");
}

int
child_init(const char *libexec)
{
	char	 path[PATH_SIZE];
	int	 i;

	child_libexec = libexec;
	for (i = 0; i < PEERS; i++) {
		snprintf(path, sizeof(path), "%s/%s", libexec,
		    children[i].name);
		if (access(path, X_OK) == -1) {
			log_warn("%s", path);
			return (-1);
		}
		memset(children[i].held, -1, sizeof(children[i].held));
		children[i].timer = evtimer_new(parent.base, timer_cb,
		    &children[i]);
		if (children[i].timer == NULL)
			fatal("event");
	}
	return (0);
}

/* --- fork and exec ----------------------------------------------------- */

struct arguments {
	char	*argv[ARGS_MAX];
	int	 n;
	char	 title[64];
	char	 uid[NUMBER_SIZE];
	char	 gid[NUMBER_SIZE];
};

static void
argument(struct arguments *a, const char *text)
{
	/* exec(2) promises not to write to them. */
	a->argv[a->n++] = (char *)(uintptr_t)text;
	a->argv[a->n] = NULL;
}

static void
child_arguments(struct child *c, struct arguments *a)
{
	const struct child_user	*user = users_of(c->peer);
	int			 i;

	memset(a, 0, sizeof(*a));
	snprintf(a->title, sizeof(a->title), "keepd: %s", c->name);
	argument(a, a->title);
	if (parent.foreground)
		argument(a, "-d");
	for (i = 0; i < log_getverbose() && i < 3; i++)
		argument(a, "-v");
	if (parent.conf->best_effort)
		argument(a, "-b");
	if (c->peer == PEER_SUPERVISOR && cgroup_directory() != NULL) {
		argument(a, "-c");
		argument(a, cgroup_directory());
	}
	if (!parent.conf->system_mode)
		return;
	snprintf(a->uid, sizeof(a->uid), "%u", user->uid);
	snprintf(a->gid, sizeof(a->gid), "%u", user->gid);
	argument(a, "-S");
	argument(a, "-u");
	argument(a, a->uid);
	argument(a, "-g");
	argument(a, a->gid);
	if (*user->chroot != '\0') {
		argument(a, "-C");
		argument(a, user->chroot);
	}
}

static void
reset_signals(void)
{
	struct sigaction	 sa = { .sa_handler = SIG_DFL };
	sigset_t		 none;
	int			 sig;

	for (sig = 1; sig < NSIG; sig++)
		(void)sigaction(sig, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Descriptors of a child: /dev/null, ours twice, the link. */
static int
child_descriptors(int fd)
{
	int	 null = open("/dev/null", O_RDWR);

	if (null == -1 || dup2(null, STDIN_FILENO) == -1)
		return (-1);
	if (!parent.foreground && (dup2(null, STDOUT_FILENO) == -1 ||
	    dup2(null, STDERR_FILENO) == -1))
		return (-1);
	if (fd == CHILD_FD)
		return (fcntl(fd, F_SETFD, 0));
	return (dup2(fd, CHILD_FD));
}

static void __attribute__((noreturn))
child_exec(const struct child *c, const char *path, char **argv, int fd)
{
	reset_signals();
	if (c->peer == PEER_SUPERVISOR)
		cgroup_enter();
	if (child_descriptors(fd) != -1) {
		closefrom(CHILD_FD + 1);
		sandbox_service();	/* our limits are not for others */
		execv(path, argv);
	}
	_exit(127);
}

/* A signal between fork and exec must not reach our handlers in the child. */
static pid_t
child_fork(struct child *c, int fd)
{
	struct arguments	 a;
	char			 path[PATH_SIZE];
	sigset_t		 all, old;
	pid_t			 pid;

	snprintf(path, sizeof(path), "%s/%s", child_libexec, c->name);
	child_arguments(c, &a);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	if ((pid = fork()) == 0)
		child_exec(c, path, a.argv, fd);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return (pid);
}

/* --- links ------------------------------------------------------------- */

static void
held_drop(struct child *c, enum peer other)
{
	if (c->held[other] != -1)
		close(c->held[other]);
	c->held[other] = -1;
}

/* b gets its end only with held_send(a). */
static void
child_connect(struct child *a, struct child *b)
{
	int	 fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1) {
		log_warn("socketpair");
		return;
	}
	link_send(a->link, IMSG_PEER, b->peer, fds[0], NULL, 0);
	held_drop(a, b->peer);
	held_drop(b, a->peer);
	a->held[b->peer] = fds[1];
}

/*
 * What the others know of is asked at once: a logger, say, must have its rings
 * before the supervisor hands it a pipe.
 */
static void
held_send(struct child *c)
{
	int	 i;

	for (i = 0; i < PEERS; i++) {
		if (c->held[i] == -1)
			continue;
		if (children[i].link == NULL)
			close(c->held[i]);
		else
			link_send(children[i].link, IMSG_PEER, c->peer,
			    c->held[i], NULL, 0);
		c->held[i] = -1;
	}
}

/* To all that are there, and its configuration behind that. */
static void
child_introduce(struct child *c)
{
	int	 i;

	for (i = 0; i < PEERS; i++)
		if (&children[i] != c && children[i].link != NULL)
			child_connect(c, &children[i]);
	if (c->peer == PEER_LOGGER)
		store_unsent();
	sendconf(c->peer, c->link, NULL);
}

static void
child_failed(struct child *c)
{
	log_warn("%s: cannot be started", c->name);
	if (!parent.started)
		parent_start_failed(c->name);
	else
		child_timer(c, BACKOFF_MAX_MS, child_start);
}

static int
child_spawn(struct child *c)
{
	int	 fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == -1) {
		child_failed(c);
		return (-1);
	}
	c->pid = child_fork(c, fds[1]);
	close(fds[1]);
	if (c->pid == -1) {
		c->pid = 0;
		close(fds[0]);
		child_failed(c);
		return (-1);
	}
	c->link = link_new(parent.base, c->name, fds[0], LINK_FDPASS,
	    dispatch_permits(c->peer), &child_ops, c);
	if (c->link == NULL)
		fatal("%s: link", c->name);
	c->begun_ms = mono_ms();
	c->ready = 0;
	c->serial = 0;
	c->starts[c->nstarts++ % RESTARTS_MAX] = c->begun_ms;
	return (0);
}

static void
child_start(struct child *c)
{
	if (!parent.stopping && child_spawn(c) == 0)
		child_introduce(c);
}

void
child_start_all(void)
{
	int	 i, j;

	for (i = 0; i < PEERS; i++)
		if (child_spawn(&children[i]) == -1)
			return;
	for (i = 0; i < PEERS; i++) {
		for (j = 0; j < i; j++)
			child_connect(&children[i], &children[j]);
		held_send(&children[i]);
	}
	for (i = 0; i < PEERS; i++)
		sendconf(children[i].peer, children[i].link, NULL);
}

/* --- what they report -------------------------------------------------- */

static void
child_serve(struct child *c)
{
	if (link_state(c->link) == STATE_SERVING)
		return;
	link_state_set(c->link, STATE_SERVING);
	held_send(c);
	link_send(c->link, IMSG_START, 0, -1, NULL, 0);
}

/* START is for all at once the first time, and for a fresh one alone later. */
static void
child_check(struct child *c)
{
	int	 i;

	if (parent.stopping)
		return;
	if (parent.started) {
		if (c->ready && c->serial == parent.serial)
			child_serve(c);
		return;
	}
	for (i = 0; i < PEERS; i++)
		if (!children[i].ready ||
		    children[i].serial != parent.serial)
			return;
	for (i = 0; i < PEERS; i++)
		child_serve(&children[i]);
	parent_started();
}

void
child_ready(struct link *link, uint32_t layers)
{
	struct child	*c = link_arg(link);
	char		 buf[256];

	log_info("%s: ready, process %d, sandbox: %s", c->name, (int)c->pid,
	    sandbox_describe(layers, buf, sizeof(buf)));
	c->ready = 1;
	link_state_set(link, STATE_READY);
	child_check(c);
}

void
child_conf_done(struct link *link, uint32_t serial)
{
	struct child	*c = link_arg(link);

	if (serial == 0 || serial > parent.serial) {
		link_refuse(link, "CONF_DONE of an unknown configuration");
		return;
	}
	c->serial = serial;
	if (c->peer == PEER_LOGGER && serial == parent.serial)
		store_seen();
	child_check(c);
	parent_conf_done();
}

/* --- their end --------------------------------------------------------- */

static const char *
child_why(const struct child *c, char *buf, size_t size)
{
	if (WIFSIGNALED(c->status))
		snprintf(buf, size, "was killed by signal %d (%s)",
		    WTERMSIG(c->status), strsignal(WTERMSIG(c->status)));
	else
		snprintf(buf, size, "exited with status %d",
		    WEXITSTATUS(c->status));
	return (buf);
}

/* How long to wait before the next start: 0 if it did serve for a while. */
static uint64_t
child_delay(struct child *c)
{
	uint64_t	 now = mono_ms(), oldest;

	oldest = c->starts[c->nstarts % RESTARTS_MAX];
	if (c->nstarts >= RESTARTS_MAX &&
	    now - oldest < RESTARTS_WINDOW_MS) {
		log_warnx("%s: %d starts within a minute: next one in %llu s",
		    c->name, RESTARTS_MAX, (unsigned long long)
		    (RESTARTS_WINDOW_MS - (now - oldest) + 999) / 1000);
		return (RESTARTS_WINDOW_MS - (now - oldest));
	}
	if (now - c->begun_ms >= LIVED_MS) {
		c->backoff_ms = 0;
		return (0);
	}
	c->backoff_ms = c->backoff_ms == 0 ? BACKOFF_FIRST_MS :
	    c->backoff_ms * 2;
	if (c->backoff_ms > BACKOFF_MAX_MS)
		c->backoff_ms = BACKOFF_MAX_MS;
	return (c->backoff_ms);
}

static int
child_alive(const struct child *c)
{
	return (c->pid != 0 || c->link != NULL);
}

/* Process and link are both gone. */
static void
child_gone(struct child *c)
{
	char	 why[128];
	int	 i;

	evtimer_del(c->timer);
	for (i = 0; i < PEERS; i++)
		held_drop(c, (enum peer)i);
	c->ready = 0;
	c->serial = 0;
	child_why(c, why, sizeof(why));
	if (parent.stopping) {
		log_debug("%s %s", c->name, why);
		if (c->peer == PEER_SUPERVISOR)
			parent_supervisor_gone();
		if (!parent.services)
			child_shutdown_next();
		return;
	}
	log_warnx("%s %s", c->name, why);
	if (!parent.started)
		parent_start_failed(c->name);
	else if (c->peer == PEER_SUPERVISOR)
		parent_supervisor_gone();
	else {
		child_timer(c, child_delay(c), child_start);
		parent_conf_done();
	}
}

static void
child_kill(struct child *c)
{
	if (c->pid != 0)
		kill(c->pid, SIGKILL);
}

/* The process is gone, yet something of it holds the link open. */
static void
child_cut(struct child *c)
{
	link_free(c->link);
	c->link = NULL;
	child_gone(c);
}

static void
child_closed(struct link *link, const char *reason)
{
	struct child	*c = link_arg(link);

	link_free(link);
	c->link = NULL;
	if (c->pid == 0) {
		child_gone(c);
		return;
	}
	if (strcmp(reason, "end of file") == 0) {
		child_timer(c, LINGER_MS, child_kill);
		return;
	}
	log_warnx("%s: %s: it is broken or taken over, and killed", c->name,
	    reason);
	child_kill(c);
}

/* What it said last may still be in the link: wait for its end of file. */
int
child_reaped(pid_t pid, int status)
{
	struct child	*c;
	int		 i;

	for (i = 0; i < PEERS; i++)
		if (children[i].pid == pid)
			break;
	if (i == PEERS)
		return (0);
	c = &children[i];
	c->pid = 0;
	c->status = status;
	if (c->link == NULL)
		child_gone(c);
	else
		child_timer(c, LINGER_MS, child_cut);
	return (1);
}

int
child_is(pid_t pid)
{
	int	 i;

	for (i = 0; i < PEERS; i++)
		if (children[i].pid == pid)
			return (1);
	return (0);
}

struct link *
child_link(enum peer peer)
{
	return (children[peer].link);
}

uint32_t
child_serial(enum peer peer)
{
	return (children[peer].link == NULL ? 0 : children[peer].serial);
}

void
child_verbose(uint32_t level)
{
	struct wire_u32	 w = { .value = level };
	int		 i;

	for (i = 0; i < PEERS; i++)
		if (children[i].link != NULL)
			link_send(children[i].link, IMSG_VERBOSE, 0, -1, &w,
			    sizeof(w));
}

void
child_abort(enum peer peer)
{
	child_kill(&children[peer]);
}

static void
child_shutdown(struct child *c)
{
	struct wire_u32	 at_once = { .value = 1 };

	if (c->pid == 0 && c->link == NULL)
		evtimer_del(c->timer);
	if (c->link != NULL)
		link_send(c->link, IMSG_SHUTDOWN, 0, -1, &at_once,
		    sizeof(at_once));
	if (c->pid != 0)
		child_timer(c, SHUTDOWN_MS, child_kill);
}

/* The supervisor is the last: the others end when their link to it does. */
static void
child_shutdown_next(void)
{
	struct child	*c = &children[PEER_SUPERVISOR];
	int		 i, others = 0;

	for (i = 0; i < PEERS; i++)
		if (&children[i] != c && child_alive(&children[i]))
			others++;
	if (others > 0)
		return;
	if (!child_alive(c)) {
		parent_all_gone();
		return;
	}
	/* It has no service any more; it sees an end of file, and may log. */
	if (c->link != NULL)
		(void)shutdown(link_fd(c->link), SHUT_WR);
	child_timer(c, SHUTDOWN_MS, child_kill);
}

/* No service is left: they may go. */
void
child_shutdown_all(void)
{
	child_shutdown(&children[PEER_FRONTEND]);
	child_shutdown(&children[PEER_LOGGER]);
	child_shutdown_next();
}
