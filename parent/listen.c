/*
 * The endpoints: opened by the parent before anything else is started, and
 * handed out by descriptor.  Nothing is ever read from them here.
 */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <netinet/in.h>
#include <arpa/inet.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "parent.h"
#include "util.h"

#define LISTEN_BACKLOG	1024
#define LOCK_SUFFIX	".lock"

struct bound {
	TAILQ_ENTRY(bound)	 entry;
	struct wire_listen	 wire;
	int			 control;
	int			 fd;
	int			 lock;		/* unix: held while we live */
	dev_t			 dev;		/* unix: to know our own */
	ino_t			 ino;
};
static TAILQ_HEAD(bounds, bound) bounds = TAILQ_HEAD_INITIALIZER(bounds);

static void
path_address(const char *path, struct sockaddr_un *sun)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	strlcpy(sun->sun_path, path, sizeof(sun->sun_path));
}

/* The pid of whoever listens at this path: 0 nobody does. */
static pid_t
socket_owner(const char *path)
{
	struct sockaddr_un	 sun;
	pid_t			 pid = 0;
	int			 fd;

	path_address(path, &sun);
	if ((fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0)) == -1)
		return (0);
	/* EAGAIN: its queue is full, so somebody is there. */
	if ((connect(fd, (struct sockaddr *)&sun, sizeof(sun)) == 0 ||
	    errno == EAGAIN || errno == EACCES) &&
	    (os_peer_pid(fd, &pid) == -1 || pid == 0))
		pid = -1;
	close(fd);
	return (pid);
}

static void
say_running(const struct bound *b)
{
	pid_t	 pid = socket_owner(b->wire.path);

	if (pid > 0)
		log_warnx("%s: %s is already served by process %d%s",
		    b->control ? "keepd runs already" : "listen on socket",
		    b->wire.path, (int)pid, b->control ?
		    " (another control socket can be named with -s)" : "");
	else
		log_warnx("%s is in use by another keepd that is just "
		    "starting or stopping", b->wire.path);
}

/* Among keepds the lock decides, so that no two of them remove a socket. */
static int
socket_lock(struct bound *b)
{
	char	 path[PATH_SIZE + sizeof(LOCK_SUFFIX)];

	snprintf(path, sizeof(path), "%s%s", b->wire.path, LOCK_SUFFIX);
	b->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (b->lock == -1) {
		log_warn("%s", path);
		return (-1);
	}
	if (flock(b->lock, LOCK_EX | LOCK_NB) == -1) {
		if (errno == EWOULDBLOCK)
			say_running(b);
		else
			log_warn("%s", path);
		return (-1);
	}
	return (0);
}

/* A socket that nobody listens on is a leftover; anything else stays. */
static int
socket_clear(const struct bound *b)
{
	struct stat	 st;

	if (lstat(b->wire.path, &st) == -1) {
		if (errno == ENOENT)
			return (0);
		log_warn("%s", b->wire.path);
		return (-1);
	}
	if (!S_ISSOCK(st.st_mode)) {
		log_warnx("%s exists and is not a socket: remove it or name "
		    "another path", b->wire.path);
		return (-1);
	}
	if (socket_owner(b->wire.path) != 0) {
		say_running(b);
		return (-1);
	}
	if (unlink(b->wire.path) == -1) {
		log_warn("%s", b->wire.path);
		return (-1);
	}
	log_info("removed the stale socket %s", b->wire.path);
	return (0);
}

/* For nobody but us from birth; then what the configuration says. */
static int
socket_bind(struct bound *b, const struct endpoint *ep)
{
	struct sockaddr_un	 sun;
	struct stat		 st;
	struct group		*gr = NULL;
	mode_t			 mask;
	int			 n;

	path_address(b->wire.path, &sun);
	mask = umask(0177);
	n = bind(b->fd, (struct sockaddr *)&sun, sizeof(sun));
	umask(mask);
	if (n == -1 || lstat(b->wire.path, &st) == -1)
		return (-1);
	b->dev = st.st_dev;
	b->ino = st.st_ino;
	if (ep->group != NULL && ((gr = getgrnam(ep->group)) == NULL ||
	    lchown(b->wire.path, (uid_t)-1, gr->gr_gid) == -1)) {
		log_warn("%s: group %s", b->wire.path, ep->group);
		return (-1);
	}
	return (chmod(b->wire.path, ep->mode));
}

static int
socket_directory(const struct bound *b)
{
	char	 dir[PATH_SIZE];

	strlcpy(dir, b->wire.path, sizeof(dir));
	if (path_mkdirs(dirname(dir), parent.conf->system_mode ? 0755 :
	    0700) == -1) {
		log_warn("%s: directory", b->wire.path);
		return (-1);
	}
	return (0);
}

static int
open_unix(struct bound *b, const struct endpoint *ep)
{
	strlcpy(b->wire.path, ep->path, sizeof(b->wire.path));
	if (socket_directory(b) == -1 || socket_lock(b) == -1 ||
	    socket_clear(b) == -1)
		return (-1);
	b->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (b->fd == -1 || socket_bind(b, ep) == -1 ||
	    listen(b->fd, LISTEN_BACKLOG) == -1) {
		log_warn("%s", b->wire.path);
		return (-1);
	}
	return (0);
}

static socklen_t
inet_address(const struct endpoint *ep, struct sockaddr_storage *ss)
{
	struct sockaddr_in	*in = (struct sockaddr_in *)ss;
	struct sockaddr_in6	*in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (ep->kind == LISTEN_INET) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)ep->port);
		inet_pton(AF_INET, ep->address, &in->sin_addr);
		return (sizeof(*in));
	}
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons((uint16_t)ep->port);
	inet_pton(AF_INET6, ep->address, &in6->sin6_addr);
	return (sizeof(*in6));
}

static int
open_inet(struct bound *b, const struct endpoint *ep)
{
	struct sockaddr_storage	 ss;
	socklen_t		 len = inet_address(ep, &ss);
	int			 on = 1;

	b->wire.port = ep->port;
	strlcpy(b->wire.address, ep->address, sizeof(b->wire.address));
	b->fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC |
	    SOCK_NONBLOCK, 0);
	if (b->fd == -1 || setsockopt(b->fd, SOL_SOCKET, SO_REUSEADDR, &on,
	    sizeof(on)) == -1 || (ep->kind == LISTEN_INET6 &&
	    setsockopt(b->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on,
	    sizeof(on)) == -1)) {
		log_warn("listen on %s port %u", ep->address, ep->port);
		return (-1);
	}
	if (bind(b->fd, (struct sockaddr *)&ss, len) == -1 ||
	    listen(b->fd, LISTEN_BACKLOG) == -1) {
		if (errno == EADDRINUSE)
			log_warnx("port %u on %s is in use by another "
			    "program: stop it, or choose another port with "
			    "`listen on`", ep->port, ep->address);
		else
			log_warn("listen on %s port %u", ep->address,
			    ep->port);
		return (-1);
	}
	return (0);
}

static int
open_one(const struct endpoint *ep, int control)
{
	struct bound	*b;

	if ((b = calloc(1, sizeof(*b))) == NULL)
		fatal("listen");
	b->control = control;
	b->fd = b->lock = -1;
	b->wire.kind = ep->kind;
	TAILQ_INSERT_TAIL(&bounds, b, entry);
	return (ep->kind == LISTEN_UNIX ? open_unix(b, ep) :
	    open_inet(b, ep));
}

/* The control socket first: it tells whether a keepd is there already. */
int
listen_open(const struct config *conf)
{
	const struct endpoint	*ep;

	if (open_one(&conf->control, 1) == -1)
		return (-1);
	TAILQ_FOREACH(ep, &conf->listen, entry)
		if (open_one(ep, 0) == -1)
			return (-1);
	return (0);
}

/* Only what is still the socket that we made. */
static void
socket_remove(const struct bound *b)
{
	struct stat	 st;

	if (b->ino != 0 && lstat(b->wire.path, &st) == 0 &&
	    st.st_dev == b->dev && st.st_ino == b->ino)
		unlink(b->wire.path);
}

void
listen_close(void)
{
	struct bound	*b;

	while ((b = TAILQ_FIRST(&bounds)) != NULL) {
		TAILQ_REMOVE(&bounds, b, entry);
		socket_remove(b);
		if (b->fd != -1)
			close(b->fd);
		if (b->lock != -1)
			close(b->lock);
		free(b);
	}
}

static int
copy_fd(const struct bound *b)
{
	int	 fd = fcntl(b->fd, F_DUPFD_CLOEXEC, 0);

	if (fd == -1)
		fatal("listening socket");
	return (fd);
}

void
listen_send_frontend(struct link *link)
{
	const struct bound	*b;

	TAILQ_FOREACH(b, &bounds, entry)
		if (!b->control)
			link_send(link, IMSG_CONF_LISTEN, 0, copy_fd(b),
			    &b->wire, sizeof(b->wire));
}

void
listen_send_ports(struct link *link)
{
	const struct bound	*b;
	struct wire_port	 port;

	TAILQ_FOREACH(b, &bounds, entry) {
		if (b->wire.kind == LISTEN_UNIX)
			continue;
		port.kind = b->wire.kind;
		port.port = b->wire.port;
		link_send(link, IMSG_CONF_PORT, 0, -1, &port, sizeof(port));
	}
}

void
listen_send_control(struct link *link)
{
	const struct bound	*b;

	TAILQ_FOREACH(b, &bounds, entry)
		if (b->control)
			link_send(link, IMSG_CONF_CONTROL, 0, copy_fd(b),
			    NULL, 0);
}
