/*
 * What a process of keepd could do to the others if somebody had taken it
 * over: put in the place of libexec/keepd/frontend or libexec/keepd/logger, it
 * waits for its links like the real one and then sends every message there
 * is, in every length class, with every kind of content, with and without
 * descriptors.  It knows nothing of what is allowed: that is for the others
 * to say.
 *
 * Breaking a rule costs it the link, and its life soon after; the next life
 * goes on where this one ended, by the counters in `breach.state` beside the
 * program.  What it tried is in `breach.log` there.
 */
#include <sys/types.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cases.h"
#include "imsg.h"
#include "log.h"
#include "privdrop.h"
#include "proto.h"
#include "util.h"

#define PARENT_FD	3
#define LIFE_S		20	/* seconds at most */
#define ANSWER_MS	15	/* how long we look for a link's end */
#define RINGS		64

/* Links, in the order of the counters in the state file. */
enum { TO_SUPERVISOR, TO_OTHER, TO_PARENT, LINKS };
static const char *const link_names[LINKS] = {
	"supervisor", "other", "parent"
};

/* A life ends with the first case that is refused: a prime step visits the
 * types in such an order that few lives meet many of them. */
#define CASE_STEP	1009

struct state {
	uint32_t	lives;
	uint32_t	next[LINKS];
	uint32_t	sent;
	uint32_t	closed;		/* links that were cut for it */
};

static struct state	*state;
static int		 logfd = -1;
static int		 links[LINKS] = { -1, -1, PARENT_FD };
static int		 rings[RINGS];
static int		 nrings;
static size_t		 ring_sizes[RINGS];
static int		 is_logger;
static unsigned char	 payload[CASE_SIZE];

static void __attribute__((format(printf, 1, 2)))
say(const char *fmt, ...)
{
	char	line[512];
	va_list	ap;
	int	n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n > 0 && logfd != -1)
		(void)!write(logfd, line, (size_t)n);
}

/* --- sending ------------------------------------------------------------ */

static void
link_lost(int which)
{
	if (links[which] == -1)
		return;
	close(links[which]);
	links[which] = -1;
	state->closed++;
}

/* Takes what the other side sends; 0 once it has closed. */
static int
link_look(int which, int ms)
{
	char		buf[65536];
	struct pollfd	p = { .fd = links[which], .events = POLLIN };
	ssize_t		n;

	while (links[which] != -1 && poll(&p, 1, ms) == 1) {
		n = recv(links[which], buf, sizeof(buf), MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN)) {
			link_lost(which);
			return (0);
		}
		ms = 0;
	}
	return (links[which] != -1);
}

static int
send_bytes(int which, const void *head, size_t headlen, size_t len, int fd)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec	 iov[2] = {
		{ .iov_base = (void *)(uintptr_t)head, .iov_len = headlen },
		{ .iov_base = payload, .iov_len = len }
	};
	struct msghdr	 msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr	*c;
	struct pollfd	 p;
	ssize_t		 n;
	size_t		 left = headlen + len;

	if (links[which] == -1)
		return (0);
	if (fd != -1) {
		memset(&control, 0, sizeof(control));
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	while (left > 0) {
		n = sendmsg(links[which], &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == -1 && (errno == EAGAIN || errno == EINTR)) {
			p.fd = links[which];
			p.events = POLLOUT;
			if (!link_look(which, 0) || poll(&p, 1, 2000) < 1)
				return (0);
			continue;
		}
		if (n == -1) {
			link_lost(which);
			return (0);
		}
		left -= (size_t)n;
		msg.msg_control = NULL;
		msg.msg_controllen = 0;
		if ((size_t)n >= iov[0].iov_len) {
			iov[1].iov_base = (char *)iov[1].iov_base + n -
			    iov[0].iov_len;
			iov[1].iov_len -= (size_t)n - iov[0].iov_len;
			iov[0].iov_len = 0;
		} else {
			iov[0].iov_base = (char *)iov[0].iov_base + n;
			iov[0].iov_len -= (size_t)n;
		}
	}
	state->sent++;
	return (1);
}

static int
send_frame(int which, uint32_t type, uint32_t id, size_t len, int fd)
{
	struct imsg_hdr	h;

	h.type = type;
	h.len = (uint32_t)(IMSG_HEADER_SIZE + len) | (fd != -1 ? FRAME_FD : 0);
	h.peerid = id;
	h.pid = 0;
	return (send_bytes(which, &h, sizeof(h), len, fd));
}

static int
send_struct(int which, uint32_t type, uint32_t id, const void *data,
    size_t len)
{
	memcpy(payload, data, len);
	return (send_frame(which, type, id, len, -1));
}

/* --- every message ------------------------------------------------------ */

static void
send_case(int which, uint32_t n)
{
	static struct breach_case	c;
	int				fd = -1;

	case_make(&c, n < CASES ? n * CASE_STEP % CASES : n);
	if (c.wants_fd)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	memcpy(payload, c.frame, c.len);
	send_bytes(which, payload, 0, c.len, fd);
	if (fd != -1)
		close(fd);
}

/* From where the last life ended until the link is cut, or all is sent. */
static void
send_cases(int which)
{
	uint32_t	n;

	while (links[which] != -1 && state->next[which] < CASES_ALL) {
		n = state->next[which]++;
		send_case(which, n);
		link_look(which, ANSWER_MS);
	}
	say("life %u: %s cut at case %u of %d\n", state->lives,
	    link_names[which], state->next[which], CASES_ALL);
}

/* --- what breaks no rule, and should not be granted --------------------- */

static void
claim_identity(uint32_t conn)
{
	struct wire_peeraddr	p;

	memset(&p, 0, sizeof(p));
	p.kind = LISTEN_UNIX;
	p.uid = conn % 2 ? 0 : (uint32_t)getuid();
	send_struct(TO_SUPERVISOR, IMSG_PEERADDR, conn, &p, sizeof(p));
}

static void
ask_action(uint32_t conn, uint32_t service, uint32_t verb)
{
	struct wire_action	a;

	memset(&a, 0, sizeof(a));
	a.serial = dice();
	a.service = service;
	a.verb = verb;
	a.flags = dice() % 4;
	a.timeout_ms = dice() % 3 ? 0 : UINT64_MAX;
	(void)snprintf(a.reason, sizeof(a.reason), "/bin/sh -c 'touch breach'");
	(void)snprintf(a.client, sizeof(a.client), "$(touch breach)");
	send_struct(TO_SUPERVISOR, IMSG_ACTION, conn, &a, sizeof(a));
}

/* Every service that could be there, every verb, as whoever we say we are. */
static void
ask_actions(void)
{
	uint32_t	conn, service, verb;
	int		round;

	for (conn = 1; conn <= 4; conn++)
		claim_identity(conn);
	for (round = 0; round < 8; round++) {
		for (service = 0; service < 8; service++)
			for (verb = 0; verb < VERB_COUNT; verb++)
				ask_action(1 + dice() % 4, service, verb);
		link_look(TO_SUPERVISOR, 0);
	}
}

static void
ask_wait(uint32_t conn)
{
	struct wire_wait	w;

	memset(&w, 0, sizeof(w));
	w.timeout_ms = dice() % 2 ? UINT64_MAX : 1;
	w.serial = dice();
	w.service = dice() % 8;
	w.until = dice() % 3;
	w.port = 1 + dice() % 65535;
	send_struct(TO_SUPERVISOR, IMSG_WAIT, conn, &w, sizeof(w));
}

static void
ask_waits(void)
{
	int	i;

	for (i = 0; i < 500; i++)
		ask_wait(1 + dice() % 4);
	link_look(TO_SUPERVISOR, 0);
}

static void
ask_query(uint32_t id)
{
	struct wire_query	q;
	static const char	pattern[] = "(x+x+)+y|(.*a){30}";

	memset(&q, 0, sizeof(q));
	q.conn = 1 + dice() % 4;
	q.service = dice() % 8;
	q.query = dice() % 5;
	q.kind = dice() % 2;
	q.flags = dice() & 0x1ff;
	q.index = (int32_t)dice();
	q.context = dice();
	q.max_bytes = dice();
	q.timeout_ms = UINT64_MAX;
	memcpy(payload, &q, sizeof(q));
	memcpy(payload + sizeof(q), pattern, sizeof(pattern) - 1);
	send_frame(TO_OTHER, IMSG_QUERY, id,
	    sizeof(q) + (q.flags & Q_PATTERN ? sizeof(pattern) - 1 : 0), -1);
}

static void
ask_queries(void)
{
	struct wire_u32	credit = { 0xffffffff };
	uint32_t	i;

	for (i = 0; i < 200; i++) {
		ask_query(i);
		send_struct(TO_OTHER, IMSG_CREDIT, i, &credit, sizeof(credit));
		link_look(TO_OTHER, 0);
	}
	for (i = 0; i < 400; i++)
		send_frame(TO_OTHER, IMSG_CANCEL, i, 0, -1);
	link_look(TO_OTHER, 0);
}

/* Reading an answer from the supervisor costs it nothing; not reading must
 * not cost it more than the link. */
static void
ask_without_reading(void)
{
	struct wire_u32	u;
	int		i;

	for (i = 0; i < 3000 && links[TO_SUPERVISOR] != -1; i++) {
		u.value = (uint32_t)i % 8;
		send_struct(TO_SUPERVISOR, IMSG_DESCRIBE, 1, &u, sizeof(u));
	}
}

static void
attack_as_frontend(void)
{
	ask_actions();
	ask_waits();
	ask_queries();
	if (state->lives % 4 == 3)
		ask_without_reading();
}

/* The logger holds the rings: it may lie about logs.  Nobody may fall over
 * what it writes there. */
static void
spoil_ring(int fd, size_t size)
{
	uint64_t	*m;
	size_t		 i, words = size / sizeof(*m);

	if (size == 0)
		return;
	m = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (m == MAP_FAILED)
		return;
	for (i = 0; i < words && i < 8192; i++)
		m[i] = dice() % 2 ? UINT64_MAX : (uint64_t)dice() << 32 | dice();
	munmap(m, size);
}

static void
lie_to_frontend(void)
{
	uint32_t	i;

	for (i = 0; i < 200; i++) {
		dice_fill(dice() % C_COUNT, payload, 512);
		send_frame(TO_OTHER, dice() % 2 ? IMSG_DATA : IMSG_END, i,
		    dice() % 2 ? 512 : sizeof(struct wire_end), -1);
	}
	link_look(TO_OTHER, 0);
}

static void
attack_as_logger(void)
{
	int	i;

	for (i = 0; i < nrings; i++)
		spoil_ring(rings[i], ring_sizes[i]);
	lie_to_frontend();
}

/* --- the life of an innocent -------------------------------------------- */

static void
take_peer(struct imsg *imsg)
{
	uint32_t	id = imsg_get_id(imsg);
	int		which = id == PEER_SUPERVISOR ? TO_SUPERVISOR : TO_OTHER;

	if (links[which] != -1)
		close(links[which]);
	links[which] = imsg_get_fd(imsg);
}

static void
take_ring(struct imsg *imsg)
{
	struct stat	st;
	int		fd = imsg_get_fd(imsg);

	if (fd == -1 || nrings == RINGS || fstat(fd, &st) == -1)
		return;
	ring_sizes[nrings] = (size_t)st.st_size;
	rings[nrings++] = fd;
}

/* 1 once START has come. */
static int
take_one(struct imsgbuf *b, struct imsg *imsg)
{
	struct wire_serial	s;

	switch (imsg_get_type(imsg)) {
	case IMSG_PEER:
		take_peer(imsg);
		break;
	case IMSG_CONF_RING:
		take_ring(imsg);
		break;
	case IMSG_CONF_END:
		if (imsg_get_data(imsg, &s, sizeof(s)) == 0)
			imsg_compose(b, IMSG_CONF_DONE, 0, 0, -1, &s,
			    sizeof(s));
		break;
	case IMSG_START:
		return (1);
	default:
		break;
	}
	return (0);
}

static void
wait_for_start(struct imsgbuf *b)
{
	struct imsg	imsg;
	struct pollfd	p = { .fd = PARENT_FD, .events = POLLIN };
	int		n, started = 0;

	while (!started) {
		if (imsgbuf_flush(b) == -1 || poll(&p, 1, -1) == -1 ||
		    imsgbuf_read(b) != 1)
			exit(1);
		while (!started && (n = imsgbuf_get(b, &imsg)) != 0) {
			if (n == -1)
				exit(1);
			started = take_one(b, &imsg);
			imsg_free(&imsg);
		}
	}
	imsgbuf_flush(b);
}

static void
open_files(void)
{
	char	exe[PATH_MAX], path[PATH_MAX + 32];
	ssize_t	n;
	char	*dir;
	int	fd;

	if ((n = readlink("/proc/self/exe", exe, sizeof(exe) - 1)) == -1)
		exit(1);
	exe[n] = '\0';
	is_logger = strcmp(strrchr(exe, '/'), "/logger") == 0;
	dir = dirname(exe);
	(void)snprintf(path, sizeof(path), "%s/breach.log", dir);
	logfd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	(void)snprintf(path, sizeof(path), "%s/breach.state", dir);
	if ((fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666)) == -1 ||
	    ftruncate(fd, sizeof(*state)) == -1)
		exit(1);
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	if (state == MAP_FAILED)
		exit(1);
	close(fd);
}

/* Taken over after it was locked up: so without root, as the real one. */
static void
drop(int argc, char **argv)
{
	struct privdrop	pd;
	int		ch, system_mode = 0;

	memset(&pd, 0, sizeof(pd));
	while ((ch = getopt(argc, argv, "C:Sbdg:u:v")) != -1) {
		switch (ch) {
		case 'C':
			(void)snprintf(pd.chroot, sizeof(pd.chroot), "%s",
			    optarg);
			break;
		case 'S':
			system_mode = 1;
			break;
		case 'g':
			pd.gid = (gid_t)strtoul(optarg, NULL, 10);
			break;
		case 'u':
			pd.uid = (uid_t)strtoul(optarg, NULL, 10);
			break;
		default:
			break;
		}
	}
	if (system_mode)
		privdrop(is_logger ? ROLE_LOGGER : ROLE_FRONTEND, &pd);
}

int
main(int argc, char **argv)
{
	struct imsgbuf	b;
	struct wire_u32	layers = { 0xffffffff };

	signal(SIGPIPE, SIG_IGN);
	alarm(LIFE_S);
	open_files();
	dice_seed(4711 + state->lives++);
	log_init("breach", 0);
	drop(argc, argv);
	if (imsgbuf_init(&b, PARENT_FD) == -1 ||
	    imsgbuf_set_maxsize(&b, LINK_FRAME_MAX) == -1)
		return (1);
	imsgbuf_allow_fdpass(&b);
	imsg_compose(&b, IMSG_READY, 0, 0, -1, &layers, sizeof(layers));
	wait_for_start(&b);
	say("life %u begins as %s\n", state->lives,
	    is_logger ? "logger" : "frontend");
	if (is_logger)
		attack_as_logger();
	else
		attack_as_frontend();
	send_cases(TO_SUPERVISOR);
	send_cases(TO_OTHER);
	send_cases(TO_PARENT);
	return (1);
}
