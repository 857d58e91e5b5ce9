/*
 * Plays the parent to one of keepd's programs, and on link after link a peer
 * that was taken over: each case of cases.h goes down a fresh link, so that
 * all of them are tried.  The program must cut the link for everything that
 * is not well-formed and allowed, and live on.
 *
 *	breach-links PROGRAM supervisor|logger|frontend PEER ALLOWED...
 *
 * PEER is the link that is attacked; ALLOWED are the messages that its owner
 * may send, by name ("IMSG_ACTION").
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cases.h"
#include "imsg.h"
#include "proto.h"
#include "util.h"

#define CHILD_FD	3
#define CUT_MS		3000	/* a wrong frame's link must end by then */
#define LIVE_MS		3	/* a good one's is watched so long */
#define END_MS		10000
#define CONN		1	/* of the honest frontend at the end */

static struct imsgbuf	 parent;
static pid_t		 child;
static enum peer	 self, victim;	/* the program; the link attacked */
static int		 peers[3] = { -1, -1, -1 };
static int		 ready, conf_done, stopped;
static char *const	*allowed;
static int		 cut;		/* links that the program closed */

static void
die_with_child(const char *what)
{
	int	status;

	if (waitpid(child, &status, WNOHANG) == child)
		errx(1, "%s: the program ended, %s %d", what,
		    WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) :
		    WEXITSTATUS(status));
	kill(child, SIGKILL);
	errx(1, "%s", what);
}

/* --- the parent's side -------------------------------------------------- */

static void
parent_send(uint32_t type, uint32_t id, int fd, const void *data, size_t len)
{
	if (imsg_compose(&parent, type, id, 0, fd, data, len) != 1 ||
	    imsgbuf_flush(&parent) == -1)
		die_with_child("the parent's link is gone");
}

static void
parent_take(struct imsg *imsg)
{
	switch (imsg_get_type(imsg)) {
	case IMSG_READY:
		ready = 1;
		break;
	case IMSG_CONF_DONE:
		conf_done = 1;
		break;
	case IMSG_STOPPED:
		stopped = 1;
		break;
	default:
		break;		/* its log, what it gives to the store */
	}
}

/* Whatever has come on the parent's link; waits at most so long. */
static void
parent_read(int ms)
{
	struct pollfd	p = { .fd = parent.fd, .events = POLLIN };
	struct imsg	imsg;
	int		n;

	while (poll(&p, 1, ms) == 1) {
		if (imsgbuf_read(&parent) != 1) {
			if (stopped)
				return;
			die_with_child("the parent's link was closed");
		}
		while ((n = imsgbuf_get(&parent, &imsg)) == 1) {
			parent_take(&imsg);
			imsg_free(&imsg);
		}
		if (n == -1)
			die_with_child("a bad frame from the program");
		ms = 0;
	}
}

static void
child_start(char *program, const char *name)
{
	static char	title[64];
	char		*argv[] = { title, (char[]){ "-d" }, (char[]){ "-b" },
			    NULL };
	int		 sv[2];

	(void)snprintf(title, sizeof(title), "keepd: %s", name);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		err(1, "socketpair");
	if ((child = fork()) == -1)
		err(1, "fork");
	if (child == 0) {
		if (sv[1] == CHILD_FD)
			fcntl(CHILD_FD, F_SETFD, 0);
		else if (dup2(sv[1], CHILD_FD) == -1)
			err(1, "dup2");
		execv(program, argv);
		err(1, "%s", program);
	}
	close(sv[1]);
	if (imsgbuf_init(&parent, sv[0]) == -1 ||
	    imsgbuf_set_maxsize(&parent, LINK_FRAME_MAX) == -1)
		err(1, "imsgbuf_init");
	imsgbuf_allow_fdpass(&parent);
}

/* A fresh link: one end to the program, the other is ours. */
static void
peer_give(enum peer peer)
{
	int	sv[2];

	if (peers[peer] != -1)
		close(peers[peer]);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		err(1, "socketpair");
	peers[peer] = sv[0];
	parent_send(IMSG_PEER, peer, sv[1], NULL, 0);
}

static int
listening(int family)
{
	struct sockaddr_un	sun = { .sun_family = AF_UNIX };
	struct sockaddr_storage	any = { .ss_family = AF_INET };
	int			fd;

	if ((fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		err(1, "socket");
	/* Autobind: an abstract name, respectively any port. */
	if (bind(fd, family == AF_UNIX ? (struct sockaddr *)&sun :
	    (struct sockaddr *)&any, family == AF_UNIX ?
	    sizeof(sun.sun_family) : 16) == -1 || listen(fd, 8) == -1)
		err(1, "bind");
	return (fd);
}

static void
conf_service(void)
{
	static const char	*const words[] = { "/bin/sleep", "1000" };
	struct wire_service	 svc;
	unsigned char		 buf[64];
	struct wire_str		 str = { .kind = STR_COMMAND };
	size_t			 i;

	memset(&svc, 0, sizeof(svc));
	memcpy(svc.name, "a", 2);
	memcpy(svc.directory, "/", 2);
	svc.stop_timeout_ms = svc.kill_wait_ms = 1000;
	svc.umask = 0xffffffff;
	svc.uid = getuid();
	svc.gid = getgid();
	svc.autostart = svc.env_inherit = 1;
	svc.stop_signal = SIGTERM;
	svc.ceiling = ROLE_OBSERVE;
	svc.log_lines = 100;
	svc.log_runs = 2;
	parent_send(IMSG_CONF_SERVICE, 0, -1, &svc, sizeof(svc));
	for (i = 0; i < nitems(words); i++) {
		memcpy(buf, &str, sizeof(str));
		memcpy(buf + sizeof(str), words[i], strlen(words[i]));
		parent_send(IMSG_CONF_STR, 0, -1, buf,
		    sizeof(str) + strlen(words[i]));
	}
}

static void
conf_global(struct wire_global *g)
{
	memset(g, 0, sizeof(*g));
	g->mode_check_ms = 60000;
	g->best_effort = 1;
	g->search_timeout_ms = 1000;
	g->max_request = 1 << 20;
	g->max_connections = 64;
	g->max_user_connections = 32;
	g->uid = getuid();
	g->nservices = self == PEER_SUPERVISOR;
}

static void
conf_send(void)
{
	struct wire_serial	s = { .serial = 1 };
	struct wire_listen	l;
	struct wire_global	g;

	parent_send(IMSG_CONF_BEGIN, 0, -1, &s, sizeof(s));
	conf_global(&g);
	parent_send(IMSG_CONF_GLOBAL, 0, -1, &g, sizeof(g));
	if (self == PEER_SUPERVISOR) {
		parent_send(IMSG_CONF_CONTROL, 0, listening(AF_UNIX), NULL, 0);
		conf_service();
	} else if (self == PEER_FRONTEND) {
		memset(&l, 0, sizeof(l));
		(void)snprintf(l.address, sizeof(l.address), "127.0.0.1");
		l.port = 1;
		parent_send(IMSG_CONF_LISTEN, 0, listening(AF_INET), &l,
		    sizeof(l));
	}
	parent_send(IMSG_CONF_END, 0, -1, &s, sizeof(s));
}

static void
begin(void)
{
	enum peer	p;
	int		i;

	for (p = PEER_SUPERVISOR; p <= PEER_FRONTEND; p++)
		if (p != self)
			peer_give(p);
	conf_send();
	for (i = 0; i < 100 && !(ready && conf_done); i++)
		parent_read(100);
	if (!ready || !conf_done)
		die_with_child("no READY and CONF_DONE");
	parent_send(IMSG_START, 0, -1, NULL, 0);
}

/* --- the attack --------------------------------------------------------- */

/* 1 once the other side has closed, 0 if not within the time. */
static int
peer_cut(int fd, int ms)
{
	uint64_t	end = mono_ms() + (uint64_t)ms;
	struct pollfd	p = { .fd = fd, .events = POLLIN };
	char		buf[65536];
	ssize_t		n;
	uint64_t	now;

	while ((now = mono_ms()) <= end) {
		if (poll(&p, 1, (int)(end - now)) != 1)
			return (0);
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN))
			return (1);
	}
	return (0);
}

static void
peer_send(int fd, struct breach_case *c)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec	 iov = { .iov_base = c->frame, .iov_len = c->len };
	struct msghdr	 msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	int		 null = open("/dev/null", O_RDWR | O_CLOEXEC);

	memset(&control, 0, sizeof(control));
	control.hdr.cmsg_level = SOL_SOCKET;
	control.hdr.cmsg_type = SCM_RIGHTS;
	control.hdr.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.hdr), &null, sizeof(null));
	if (c->wants_fd) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
	}
	/* Cut in the middle of a long frame is cut as well. */
	if (sendmsg(fd, &msg, MSG_NOSIGNAL) == -1 && errno != EPIPE &&
	    errno != ECONNRESET)
		err(1, "sendmsg");
	close(null);
}

/* Connections that exist, of the owner: so that what names one gets further. */
static void
prelude(int fd)
{
	struct {
		struct imsg_hdr		hdr;
		struct wire_peeraddr	addr;
	} m;
	uint32_t	conn;

	if (self != PEER_SUPERVISOR || victim != PEER_FRONTEND)
		return;
	for (conn = 1; conn <= 3; conn++) {
		memset(&m, 0, sizeof(m));
		m.hdr.type = IMSG_PEERADDR;
		m.hdr.len = sizeof(m);
		m.hdr.peerid = conn;
		m.addr.kind = LISTEN_UNIX;
		m.addr.uid = getuid();
		if (send(fd, &m, sizeof(m), MSG_NOSIGNAL) != sizeof(m))
			errx(1, "an honest beginning was cut");
	}
}

static int
is_allowed(const struct breach_case *c)
{
	char *const	*a;

	if (c->raw == RAW_CUT)
		return (1);	/* waits for the rest of a frame */
	if (!c->well_formed)
		return (0);
	for (a = allowed; *a != NULL; a++)
		if (strcmp(*a, proto_name(c->type)) == 0)
			return (1);
	return (0);
}

/* The fake logger answers, so that nobody waits for it. */
static void
others_drain(void)
{
	char		buf[65536];
	enum peer	p;

	for (p = PEER_SUPERVISOR; p <= PEER_FRONTEND; p++)
		if (p != victim && peers[p] != -1)
			while (recv(peers[p], buf, sizeof(buf),
			    MSG_DONTWAIT) > 0)
				;
}

static void
attack(uint32_t n)
{
	static struct breach_case	c;
	char				what[128];

	case_make(&c, n);
	peer_give(victim);
	prelude(peers[victim]);
	peer_send(peers[victim], &c);
	(void)snprintf(what, sizeof(what), "case %u (%s, %zu bytes, content "
	    "%d, raw %d)", n, proto_name(c.type), c.len, c.content, c.raw);
	if (peer_cut(peers[victim], is_allowed(&c) ? LIVE_MS : CUT_MS))
		cut++;
	else if (!is_allowed(&c))
		errx(1, "%s: the link was not cut", what);
	parent_read(0);
	others_drain();
	if (waitpid(child, NULL, WNOHANG) == child) {
		child = -1;
		errx(1, "%s: the program ended", what);
	}
}

/* --- afterwards --------------------------------------------------------- */

/* The supervisor still tells an honest frontend that its service runs, and
 * that it never ran another time. */
static void
check_supervisor(void)
{
	struct wire_state	st;
	struct imsgbuf		b;
	struct imsg		imsg;
	struct pollfd		p;
	int			n, i, seen = 0;

	peer_give(PEER_FRONTEND);
	p.fd = peers[PEER_FRONTEND];
	p.events = POLLIN;
	if (imsgbuf_init(&b, p.fd) == -1 ||
	    imsgbuf_set_maxsize(&b, LINK_FRAME_MAX) == -1)
		err(1, "imsgbuf_init");
	for (i = 0; i < 50 && !seen; i++) {
		if (poll(&p, 1, 100) == 1 && imsgbuf_read(&b) != 1)
			errx(1, "an honest frontend was cut");
		while ((n = imsgbuf_get(&b, &imsg)) == 1) {
			if (imsg_get_type(&imsg) == IMSG_STATE &&
			    imsg_get_data(&imsg, &st, sizeof(st)) == 0)
				seen = 1;
			imsg_free(&imsg);
		}
		parent_read(0);
	}
	if (!seen)
		die_with_child("no state for an honest frontend");
	if (st.run != 1 || st.state != ST_RUNNING)
		errx(1, "the service was touched: run %u, %s", st.run,
		    proto_state_name(st.state));
}

static void
finish(void)
{
	struct wire_u32	at_once = { .value = 1 };
	int		status, i;

	parent_send(IMSG_SHUTDOWN, 0, -1, &at_once, sizeof(at_once));
	for (i = 0; i < END_MS / 100 && !stopped; i++) {
		if (self != PEER_SUPERVISOR)
			break;
		parent_read(100);
	}
	close(parent.fd);
	if (waitpid(child, &status, 0) == child && WIFSIGNALED(status))
		errx(1, "it ended with signal %d", WTERMSIG(status));
}

static enum peer
peer_named(const char *name)
{
	static const char *const names[] = {
		[PEER_SUPERVISOR] = "supervisor",
		[PEER_LOGGER] = "logger",
		[PEER_FRONTEND] = "frontend"
	};
	size_t	i;

	for (i = 0; i < nitems(names); i++)
		if (strcmp(names[i], name) == 0)
			return ((enum peer)i);
	errx(2, "%s: no such role", name);
}

int
main(int argc, char **argv)
{
	uint32_t	n;

	if (argc < 4)
		errx(2, "usage: breach-links program role peer [allowed ...]");
	signal(SIGPIPE, SIG_IGN);
	self = peer_named(argv[2]);
	victim = peer_named(argv[3]);
	allowed = argv + 4;
	child_start(argv[1], argv[2]);
	begin();
	for (n = 0; n < CASES_ALL; n++)
		attack(n);
	if (self == PEER_SUPERVISOR)
		check_supervisor();
	finish();
	printf("%d cases, %d cut\n", CASES_ALL, cut);
	return (0);
}
