/*
 * The connection to the supervisor's control socket: where it is, whether it
 * may be trusted, and frames out and in.  Knows the greeting, no other message.
 */
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <err.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "util.h"

#define SYSTEM_SOCKET	"/run/keepd/keepd.sock"
#define WELCOME_MS	10000		/* a living supervisor needs none */

struct client {
	struct imsgbuf		 buf;
	int			 fd;
	int			 welcomed;
	int			 foreign;	/* another user's keepd */
	struct wire_welcome	 welcome;
	char			 path[PATH_MAX];
};

static void	on_signal(int);
static int	path_user(char *, size_t);
static void	path_find(const struct options *, char *, size_t);
static int	path_check(const char *);
static uid_t	owner_check(const char *, const char *);
static void	client_connect(struct client *);
static void	welcome_read(struct client *, struct imsg *);
static int	frame_get(struct client *, struct imsg *);
static int	frame_wait(struct client *, int);

struct client *
client_open(const struct options *o)
{
	struct client	*c;
	struct wire_u32	 hello = { PROTO_VERSION };

	signal(SIGINT, on_signal);
	if ((c = calloc(1, sizeof(*c))) == NULL)
		err(CTL_FAILED, NULL);
	path_find(o, c->path, sizeof(c->path));
	client_connect(c);
	if (imsgbuf_init(&c->buf, c->fd) == -1 ||
	    imsgbuf_set_maxsize(&c->buf, LINK_FRAME_MAX) == -1)
		err(CTL_FAILED, "cannot set up the connection");
	/* The first request follows at once: one round trip for both. */
	client_send(c, IMSG_CTL_HELLO, 0, &hello, sizeof(hello), NULL, 0);
	return (c);
}

void
client_close(struct client *c)
{
	imsgbuf_clear(&c->buf);
	close(c->fd);
	free(c);
}

const char *
client_path(const struct client *c)
{
	return (c->path);
}

const struct wire_welcome *
client_welcome(struct client *c)
{
	struct imsg	 imsg;

	/* The greeting comes before any other frame, or the program ends. */
	while (!c->welcomed) {
		if (frame_get(c, &imsg) == 1) {
			welcome_read(c, &imsg);
			continue;
		}
		switch (frame_wait(c, WELCOME_MS)) {
		case 0:
			errx(CTL_NO_DAEMON, "keepd at %s does not answer: see "
			    "its log", c->path);
		case -1:
			errx(c->foreign ? CTL_DENIED : CTL_NO_DAEMON,
			    "keepd at %s closed the connection: it is stopping,"
			    " has too many clients, or does not serve you",
			    c->path);
		}
	}
	return (&c->welcome);
}

void
client_send(struct client *c, uint32_t type, uint32_t id, const void *data,
    size_t len, const void *tail, size_t tail_len)
{
	struct iovec	 iov[2];

	iov[0].iov_base = (void *)(uintptr_t)data;
	iov[0].iov_len = len;
	iov[1].iov_base = (void *)(uintptr_t)tail;
	iov[1].iov_len = tail_len;
	if (imsg_composev(&c->buf, type, id, 0, -1, iov, 2) == -1)
		err(CTL_FAILED, "cannot send a request");
}

int
client_next(struct client *c, struct imsg *imsg, int timeout)
{
	int	 n;

	client_welcome(c);
	for (;;) {
		if (frame_get(c, imsg) == 1)
			return (1);
		if ((n = frame_wait(c, timeout)) != 1)
			return (n);
	}
}

void
client_must(struct client *c, struct imsg *imsg)
{
	if (client_next(c, imsg, -1) != 1)
		errx(CTL_NO_DAEMON, "keepd closed the connection before it "
		    "answered: see its log");
}

void
client_confused(struct imsg *imsg)
{
	errx(CTL_FAILED, "unexpected answer from keepd (%s): are keepctl and "
	    "keepd of one version? see keepctl version",
	    proto_name(imsg_get_type(imsg)));
}

/* What is to be seen was flushed before the wait that this interrupts. */
static void
on_signal(int sig)
{
	(void)sig;
	_exit(CTL_INTERRUPTED);
}

/* A user's own socket, as keepd in user mode makes it. */
static int
path_user(char *buf, size_t size)
{
	const char	*dir, *home;
	struct passwd	*pw;
	int		 n;

	if ((dir = getenv("XDG_RUNTIME_DIR")) != NULL && *dir == '/')
		n = snprintf(buf, size, "%s/keepd/keepd.sock", dir);
	else if ((dir = getenv("XDG_STATE_HOME")) != NULL && *dir == '/')
		n = snprintf(buf, size, "%s/keepd/keepd.sock", dir);
	else {
		if ((home = getenv("HOME")) == NULL || *home != '/') {
			if ((pw = getpwuid(getuid())) == NULL)
				return (-1);
			home = pw->pw_dir;
		}
		n = snprintf(buf, size, "%s/.local/state/keepd/keepd.sock",
		    home);
	}
	return (n < 0 || (size_t)n >= size ? -1 : 0);
}

static void
path_find(const struct options *o, char *buf, size_t size)
{
	const char	*path = o->text[OPT_SOCKET];
	struct stat	 st;

	if (path == NULL)
		path = getenv("KEEPD_SOCKET");
	if (path != NULL && *path != '\0') {
		if (strlcpy(buf, path, size) >= size)
			errx(CTL_USAGE, "the socket's path is too long");
		return;
	}
	if (getuid() == 0 || path_user(buf, size) == -1 ||
	    (stat(buf, &st) == -1 && stat(SYSTEM_SOCKET, &st) == 0))
		strlcpy(buf, SYSTEM_SOCKET, size);
}

/*
 * Who can put a socket of his own in this place could make us believe
 * anything.  The peer's credentials do not tell: in system mode the one who
 * answers is neither root nor us.  1: root's, and we are not root.
 */
static int
path_check(const char *path)
{
	char	 copy[PATH_MAX];

	/* Root's own place is root's; any other one root has named himself. */
	if (geteuid() == 0 && strcmp(path, SYSTEM_SOCKET) != 0)
		return (0);
	strlcpy(copy, path, sizeof(copy));
	owner_check(dirname(copy), path);
	return (owner_check(path, path) != geteuid());
}

static uid_t
owner_check(const char *path, const char *sock)
{
	struct stat	 st;

	if (stat(path, &st) == -1)
		err(CTL_NO_DAEMON, "cannot look at %s", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		errx(CTL_DENIED, "%s belongs to uid %u, neither to root nor to "
		    "you, so that nobody knows who answers%s%s: ask as that "
		    "user", path, (unsigned int)st.st_uid,
		    strcmp(path, sock) == 0 ? "" : " at ",
		    strcmp(path, sock) == 0 ? "" : sock);
	return (st.st_uid);
}

static void
client_connect(struct client *c)
{
	struct sockaddr_un	 sun;

	memset(&sun, 0, sizeof(sun));
	sun.sun_family = AF_UNIX;
	if (strlcpy(sun.sun_path, c->path, sizeof(sun.sun_path)) >=
	    sizeof(sun.sun_path))
		errx(CTL_USAGE, "the socket's path %s is too long: at most %zu "
		    "bytes", c->path, sizeof(sun.sun_path) - 1);
	if ((c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		err(CTL_FAILED, "socket");
	if (connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) == -1) {
		if (errno == EACCES || errno == EPERM)
			errx(CTL_DENIED, "Permission denied at %s: ask as its "
			    "owner, or name another socket with -s", c->path);
		errx(CTL_NO_DAEMON, "keepd is not reachable at %s (%s): start "
		    "it with keepd, or name its socket with -s", c->path,
		    strerror(errno));
	}
	c->foreign = path_check(c->path);
	if (fd_nonblock(c->fd) == -1)
		err(CTL_FAILED, "fcntl");
}

static void
welcome_read(struct client *c, struct imsg *imsg)
{
	struct wire_welcome	*w = &c->welcome;

	if (imsg_get_type(imsg) == IMSG_RESULT) {
		struct result	 r;

		result_read(imsg, &r);
		result_warn(&r);
		exit(result_exit(r.wire.code));
	}
	if (imsg_get_type(imsg) != IMSG_CTL_WELCOME ||
	    imsg_get_data(imsg, w, sizeof(*w)) == -1 ||
	    !proto_str_ok(w->version, sizeof(w->version)) ||
	    !proto_str_ends(w->config, sizeof(w->config)))
		client_confused(imsg);
	if (w->proto != PROTO_VERSION)
		errx(CTL_FAILED, "keepd %s speaks protocol %u, keepctl %s "
		    "speaks %u: install both from one version", w->version,
		    w->proto, KEEPD_VERSION, PROTO_VERSION);
	c->welcomed = 1;
	imsg_free(imsg);
}

/* 1: a whole frame of a known type was there; 0: not yet. */
static int
frame_get(struct client *c, struct imsg *imsg)
{
	const struct proto_row	*row;
	int			 n;

	if ((n = imsgbuf_get(&c->buf, imsg)) == -1)
		errx(CTL_FAILED, "keepd at %s does not speak our protocol",
		    c->path);
	if (n == 1) {
		row = proto_row(imsg_get_type(imsg));
		if (row == NULL || imsg_get_len(imsg) < row->min ||
		    imsg_get_len(imsg) > row->max)
			client_confused(imsg);
	}
	return (n);
}

/*
 * Write what is queued, read what comes.  1: something came; 0: time is up;
 * -1: the connection is over.  Leaves when the one who reads our output did.
 */
static int
frame_wait(struct client *c, int timeout)
{
	struct pollfd	 pfd[2];
	int		 n;

	if (imsgbuf_write(&c->buf) == -1)
		return (-1);
	pfd[0].fd = c->fd;
	pfd[0].events = POLLIN;
	if (imsgbuf_queuelen(&c->buf) > 0)
		pfd[0].events |= POLLOUT;
	pfd[1].fd = STDOUT_FILENO;
	pfd[1].events = 0;
	if (timeout != 0)
		fflush(stdout);
	n = poll(pfd, nitems(pfd), timeout);
	if (n == -1 && errno != EINTR)
		err(CTL_FAILED, "poll");
	if (n <= 0)
		return (n == 0 ? 0 : 1);
	if (pfd[1].revents & POLLERR)
		exit(CTL_FAILED);
	if (pfd[0].revents & (POLLIN | POLLHUP | POLLERR))
		return (imsgbuf_read(&c->buf) == 1 ? 1 : -1);
	return (1);
}
