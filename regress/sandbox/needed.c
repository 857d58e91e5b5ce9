/*
 * What a role must be able to do: its daily work, with the libraries that do
 * it in the daemon.
 */
#include <sys/types.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "log.h"
#include "probe.h"
#include "util.h"

#define RING_SIZE	(64 * 1024)
#define BIG		(8 * 1024 * 1024)	/* malloc uses mmap */

static int	pair[2] = { -1, -1 };
static int	ring = -1;
static struct event_base *base;

static int
fail(int error)
{
	errno = error;
	return (-1);
}

static int
pair_setup(void)
{
	return (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair));
}

static int
ring_setup(void)
{
	if ((ring = memfd_create("ring", MFD_CLOEXEC)) == -1)
		return (-1);
	return (ftruncate(ring, RING_SIZE));
}

/* --- everybody --------------------------------------------------------- */

static int
memory_run(void)
{
	char	*p, *q;

	if ((p = malloc(BIG)) == NULL)
		return (-1);
	memset(p, 1, BIG);
	if ((q = realloc(p, 2 * BIG)) == NULL)
		return (-1);
	free(q);
	for (size_t i = 0; i < 1000; i++)
		if (malloc(1000) == NULL)
			return (-1);
	return (0);
}

/* glibc reads /etc/localtime at the first call; being refused is no harm. */
static int
time_run(void)
{
	char	buf[RFC3339_SIZE];

	if (now_ms() == 0 || mono_ms() == 0)
		return (fail(EINVAL));
	rfc3339(0, buf, sizeof(buf));
	return (strncmp(buf, "1970-01-01T", 11) == 0 ? 0 : fail(EINVAL));
}

static int
random_run(void)
{
	return (arc4random() == arc4random() && arc4random() == 0 ?
	    fail(EIO) : 0);
}

static int
stdio_run(void)
{
	FILE	*fp;
	char	 line[8];

	if ((fp = fdopen(pair[0], "r+")) == NULL ||
	    fprintf(fp, "hello\n") != 6 || fflush(fp) != 0)
		return (-1);
	return (read(pair[1], line, sizeof(line)) == 6 ? 0 : -1);
}

static int
poll_run(void)
{
	struct pollfd	pfd = { pair[0], POLLOUT, 0 };
	int		n;

	if (poll(&pfd, 1, 0) != 1 || ioctl(pair[0], FIONREAD, &n) == -1)
		return (-1);
	return (fd_nonblock(pair[0]));
}

static int
abort_run(void)
{
	abort();
}

/* --- links ------------------------------------------------------------- */

static int
epoll_run(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int		   ep;

	if ((ep = epoll_create1(EPOLL_CLOEXEC)) == -1 ||
	    epoll_ctl(ep, EPOLL_CTL_ADD, pair[0], &ev) == -1 ||
	    write(pair[1], "x", 1) != 1)
		return (-1);
	return (epoll_wait(ep, &ev, 1, 100) == 1 ? 0 : fail(ETIMEDOUT));
}

static int
fd_send(int s, int fd)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(sizeof(int))];
	} c;
	struct iovec	iov = { (char[]){ "x" }, 1 };
	struct msghdr	msg = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = c.buf, .msg_controllen = sizeof(c.buf) };

	memset(&c, 0, sizeof(c));
	c.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	c.hdr.cmsg_level = SOL_SOCKET;
	c.hdr.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&c.hdr), &fd, sizeof(fd));
	return (sendmsg(s, &msg, 0) == 1 ? 0 : -1);
}

static int
fd_receive(int s)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(sizeof(int))];
	} c;
	char		byte;
	struct iovec	iov = { &byte, 1 };
	struct msghdr	msg = { .msg_iov = &iov, .msg_iovlen = 1,
	    .msg_control = c.buf, .msg_controllen = sizeof(c.buf) };
	int		fd;

	if (recvmsg(s, &msg, MSG_CMSG_CLOEXEC) != 1)
		return (-1);
	memcpy(&fd, CMSG_DATA(&c.hdr), sizeof(fd));
	return (fd);
}

static int
passing_setup(void)
{
	return (ring_setup() == -1 || pair_setup() == -1 ||
	    fd_send(pair[1], ring) == -1 ? -1 : 0);
}

/* A ring comes by descriptor and is mapped, in the logger to be written. */
static int
passing_run(void)
{
	char	*p;
	int	 fd;

	if ((fd = fd_receive(pair[0])) == -1)
		return (-1);
	p = mmap(NULL, RING_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return (-1);
	memcpy(p, "line", 4);
	if (madvise(p, RING_SIZE, MADV_WILLNEED) == -1)
		return (-1);
	return (munmap(p, RING_SIZE) == -1 ? -1 : close(fd));
}

static int
punch_run(void)
{
	return (fallocate(ring, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
	    4096));
}

static int
pipe_run(void)
{
	int	fds[2];
	char	c;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1 ||
	    write(fds[1], "x", 1) != 1)
		return (-1);
	return (read(fds[0], &c, 1) == 1 ? 0 : -1);
}

static int
loop_setup(void)
{
	if (pair_setup() == -1)
		return (-1);
	return ((base = event_base_new()) == NULL ? -1 : 0);
}

static void
loop_readable(struct bufferevent *bev, void *arg)
{
	char	buf[16];

	*(int *)arg = (int)bufferevent_read(bev, buf, sizeof(buf));
	event_base_loopbreak(base);
}

/* libevent: signals, timers, buffered input and output. */
static int
loop_run(void)
{
	struct bufferevent *a, *b;
	struct timeval	    second = { 1, 0 };
	struct event	   *sig;
	int		    n = 0;

	a = bufferevent_socket_new(base, pair[0], 0);
	b = bufferevent_socket_new(base, pair[1], 0);
	sig = evsignal_new(base, SIGCHLD, NULL, NULL);
	if (a == NULL || b == NULL || sig == NULL || event_add(sig, NULL) != 0)
		return (fail(ENOMEM));
	bufferevent_setcb(b, loop_readable, NULL, NULL, &n);
	bufferevent_enable(b, EV_READ);
	bufferevent_write(a, "hello", 5);
	event_base_loopexit(base, &second);
	event_base_dispatch(base);
	return (n == 5 ? 0 : fail(ETIMEDOUT));
}

/* --- the frontend's clients -------------------------------------------- */

static int	listener = -1;

static int
accept_setup(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t	   len = sizeof(sin);
	int		   c;

	/* The listener comes from outside of the sandbox and its network. */
	if ((listener = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
	    bind(listener, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(listener, 1) == -1 ||
	    getsockname(listener, (struct sockaddr *)&sin, &len) == -1 ||
	    (c = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
	    connect(c, (struct sockaddr *)&sin, sizeof(sin)) == -1)
		return (-1);
	return (write(c, "GET", 3) == 3 ? 0 : -1);
}

static int
accept_run(void)
{
	struct sockaddr_storage ss;
	socklen_t		len = sizeof(ss);
	int			fd, on = 1;
	char			buf[8];

	fd = accept4(listener, (struct sockaddr *)&ss, &len,
	    SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd == -1 || getpeername(fd, (struct sockaddr *)&ss, &len) == -1 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) == -1 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == -1 ||
	    recv(fd, buf, sizeof(buf), 0) != 3 ||
	    send(fd, "200", 3, MSG_NOSIGNAL) != 3)
		return (-1);
	return (shutdown(fd, SHUT_WR) == -1 ? -1 : close(fd));
}

static int
peercred_run(void)
{
	struct ucred	cred;
	socklen_t	len = sizeof(cred);

	return (getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &cred, &len));
}

/* --- searcher and worker ----------------------------------------------- */

static int
children_run(void)
{
	int	status;
	pid_t	pid;

	if ((pid = fork()) == -1)
		return (-1);
	if (pid == 0)
		for (;;)
			poll(NULL, 0, -1);
	if (kill(pid, SIGKILL) == -1 || waitpid(pid, &status, 0) != pid)
		return (-1);
	return (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 :
	    fail(EINVAL));
}

/* A worker in a sandbox of its own is still its searcher's to kill. */
static int
worker_kill_run(void)
{
	struct outcome	o;
	int		fds[2], status;
	char		c;
	pid_t		pid;

	if (pipe(fds) == -1 || (pid = fork()) == -1)
		return (-1);
	if (pid == 0) {
		cell_enter(CELL_WORKER, &o);
		if (write(fds[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			poll(NULL, 0, -1);
	}
	if (read(fds[0], &c, 1) != 1 || kill(pid, SIGKILL) == -1 ||
	    waitpid(pid, &status, 0) != pid)
		return (-1);
	return (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 :
	    fail(EINVAL));
}

static int
match(int jit)
{
	static const char  text[] = "2026 error: disk full";
	pcre2_match_data  *md;
	pcre2_code	  *re;
	PCRE2_SIZE	   off;
	int		   error;

	re = pcre2_compile((PCRE2_SPTR)"(?i)ERROR:\\s+(\\w+)",
	    PCRE2_ZERO_TERMINATED, PCRE2_UTF, &error, &off, NULL);
	if (re == NULL || (jit && pcre2_jit_compile(re,
	    PCRE2_JIT_COMPLETE) != 0))
		return (fail(ENOTSUP));
	if ((md = pcre2_match_data_create_from_pattern(re, NULL)) == NULL)
		return (fail(ENOMEM));
	error = pcre2_match(re, (PCRE2_SPTR)text, sizeof(text) - 1, 0, 0, md,
	    NULL);
	return (error == 2 ? 0 : fail(EINVAL));
}

static int
match_run(void)
{
	return (match(0));
}

static int
jit_run(void)
{
	return (match(1));
}

/* --- the table --------------------------------------------------------- */

static const struct probe probes[] = {
	{ "needs-memory",	NULL,		memory_run,	ALL },
	{ "needs-time",		NULL,		time_run,	ALL },
	{ "needs-random",	NULL,		random_run,	ALL },
	{ "needs-stdio",	pair_setup,	stdio_run,	ALL },
	{ "needs-poll",		pair_setup,	poll_run,	ALL },
	{ "needs-abort",	NULL,		abort_run,	ALL },
	{ "needs-epoll",	pair_setup,	epoll_run,	L | F | S },
	{ "needs-loop",		loop_setup,	loop_run,	L | F | S },
	{ "needs-peercred",	pair_setup,	peercred_run,	L | F | S },
	{ "needs-descriptors",	passing_setup,	passing_run,	L | F | S },
	{ "needs-pipe",		NULL,		pipe_run,	L | S },
	{ "needs-punch",	ring_setup,	punch_run,	L },
	{ "needs-accept",	accept_setup,	accept_run,	F },
	{ "needs-children",	NULL,		children_run,	S },
	{ "needs-worker-kill",	NULL,		worker_kill_run, S },
	{ "needs-match",	NULL,		match_run,	W | J },
	{ "needs-jit",		NULL,		jit_run,	J }
};

static void
needed_try(enum cell cell, const struct probe *p)
{
	struct outcome	o = probe_run(cell, p);
	char		buf[64];
	int		ok = o.how == HOW_WORKED;

	if (p->run == abort_run)	/* must not end as a SIGSYS */
		ok = o.how == HOW_SIGNAL && o.value == SIGABRT;
	probe_result(ok, "%s %s: %s", cell_names[cell], p->name,
	    outcome_text(&o, buf, sizeof(buf)));
}

int
needed_run(enum cell cell, const char *name)
{
	size_t	i;

	for (i = 0; i < nitems(probes); i++)
		if ((probes[i].cells & 1U << cell) &&
		    (name == NULL || strcmp(name, probes[i].name) == 0))
			needed_try(cell, &probes[i]);
	return (0);
}
