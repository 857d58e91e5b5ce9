/*
 * An imsg link on the event loop, as link.h tells: each frame is checked
 * against the message table and the permit table before a handler sees it;
 * output is queued and bounded.
 *
 * Nothing calls ops->closed or ops->drained from inside link_send and its
 * like: what is due is noted, and link_turn does it from the event loop.  While
 * one of a link's functions is on the stack (depth > 0) link_free only closes
 * the link; the memory goes when the last of them has returned.
 */
#include <sys/types.h>
#include <sys/time.h>
#include <sys/uio.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "imsg.h"
#include "link.h"
#include "log.h"
#include "proto.h"
#include "util.h"

#define LINK_NAME_SIZE	64
#define LINK_REASON	256
#define LINK_TURN	64	/* frames, then others get their turn */
#define LINK_RETRY_MS	10	/* writable, yet the kernel takes nothing */

struct link {
	struct imsgbuf		 ibuf;
	struct event		*ev_read;
	struct event		*ev_write;
	struct event		*ev_turn;	/* link_turn, at once */
	struct event		*ev_retry;
	const struct permit	*permits;
	const struct link_ops	*ops;
	void			*arg;
	uint32_t		 state;
	int			 fd;
	int			 flags;
	int			 depth;
	int			 freed;
	int			 paused;	/* by link_pause */
	int			 full;		/* HIGH seen, not yet LOW */
	int			 drained;	/* ops->drained is due */
	int			 finishing;
	int			 closing;	/* ops->closed is due */
	int			 mute;		/* peer reads no more */
	char			 name[LINK_NAME_SIZE];
	char			 reason[LINK_REASON];
};

static void	link_read_cb(evutil_socket_t, short, void *);
static void	link_write_cb(evutil_socket_t, short, void *);
static void	link_turn_cb(evutil_socket_t, short, void *);

/* --- life ------------------------------------------------------------- */

static void
link_enter(struct link *l)
{
	l->depth++;
}

static void
link_leave(struct link *l)
{
	if (--l->depth == 0 && l->freed)
		free(l);
}

static void
link_event_free(struct event **ev)
{
	if (*ev != NULL)
		event_free(*ev);
	*ev = NULL;
}

static void
link_release(struct link *l)
{
	link_event_free(&l->ev_read);
	link_event_free(&l->ev_write);
	link_event_free(&l->ev_turn);
	link_event_free(&l->ev_retry);
	imsgbuf_clear(&l->ibuf);
}

static int
link_events(struct link *l, struct event_base *base)
{
	l->ev_read = event_new(base, l->fd, EV_READ | EV_PERSIST,
	    link_read_cb, l);
	l->ev_write = event_new(base, l->fd, EV_WRITE, link_write_cb, l);
	l->ev_turn = evtimer_new(base, link_turn_cb, l);
	l->ev_retry = evtimer_new(base, link_write_cb, l);
	if (l->ev_read == NULL || l->ev_write == NULL || l->ev_turn == NULL ||
	    l->ev_retry == NULL)
		return (-1);
	return (event_add(l->ev_read, NULL));
}

static int
link_init(struct link *l, struct event_base *base)
{
	if (fd_nonblock(l->fd) == -1 || fd_cloexec(l->fd) == -1)
		return (-1);
	if (imsgbuf_init(&l->ibuf, l->fd) == -1 ||
	    imsgbuf_set_maxsize(&l->ibuf, LINK_FRAME_MAX) == -1)
		return (-1);
	if (l->flags & LINK_FDPASS)
		imsgbuf_allow_fdpass(&l->ibuf);
	return (link_events(l, base));
}

struct link *
link_new(struct event_base *base, const char *name, int fd, int flags,
    const struct permit *permits, const struct link_ops *ops, void *arg)
{
	struct link	*l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return (NULL);
	l->fd = fd;
	l->flags = flags;
	l->permits = permits;
	l->ops = ops;
	l->arg = arg;
	l->state = 1;
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	if (link_init(l, base) == -1) {
		link_release(l);
		free(l);
		return (NULL);
	}
	return (l);
}

void
link_free(struct link *l)
{
	if (l == NULL || l->freed)
		return;
	l->freed = 1;
	l->closing = 1;
	link_release(l);
	close(l->fd);
	l->fd = -1;
	if (l->depth == 0)
		free(l);
}

void *
link_arg(struct link *l)
{
	return (l->arg);
}

const char *
link_name(struct link *l)
{
	return (l->name);
}

int
link_fd(struct link *l)
{
	return (l->fd);
}

void
link_state_set(struct link *l, uint32_t state)
{
	l->state = state;
}

uint32_t
link_state(struct link *l)
{
	return (l->state);
}

/* --- what is due, from the event loop --------------------------------- */

static void
link_soon(struct link *l)
{
	static const struct timeval	zero = { 0, 0 };

	/* Not event_active: that would go before all other descriptors. */
	if (!l->freed && event_add(l->ev_turn, &zero) == -1)
		fatal("link %s: event_add", l->name);
}

/* The first reason counts. */
static void __attribute__((format(printf, 2, 3)))
link_close(struct link *l, const char *fmt, ...)
{
	va_list	ap;

	if (l->closing)
		return;
	l->closing = 1;
	va_start(ap, fmt);
	(void)vsnprintf(l->reason, sizeof(l->reason), fmt, ap);
	va_end(ap);
	event_del(l->ev_read);
	event_del(l->ev_write);
	event_del(l->ev_retry);
	link_soon(l);
}

void
link_refuse(struct link *l, const char *reason)
{
	link_close(l, "%s", reason);
}

static int
link_reads(const struct link *l)
{
	return (!l->closing && !l->finishing && !l->paused && !l->full);
}

/* Some reason to read, or not to, has changed. */
static void
link_rearm(struct link *l)
{
	if (l->closing)
		return;
	if (!link_reads(l)) {
		event_del(l->ev_read);
		return;
	}
	if (event_add(l->ev_read, NULL) == -1)
		fatal("link %s: event_add", l->name);
	/* Frames may have been left in the buffer. */
	link_soon(l);
}

void
link_pause(struct link *l)
{
	l->paused = 1;
	link_rearm(l);
	/* Nobody reads any more, so end of file would not be noticed. */
	if (l->mute)
		link_close(l, "end of file");
}

void
link_resume(struct link *l)
{
	if (!l->paused)
		return;
	l->paused = 0;
	link_rearm(l);
}

void
link_finish(struct link *l)
{
	if (l->closing)
		return;
	l->finishing = 1;
	link_rearm(l);
	if (imsgbuf_queuelen(&l->ibuf) == 0)
		link_close(l, "done");
}

/* --- receiving -------------------------------------------------------- */

/* Does the frame look as the message table says? */
static int
link_check_row(struct link *l, struct imsg *imsg)
{
	const struct proto_row	*row = proto_row(imsg_get_type(imsg));
	size_t			 len = imsg_get_len(imsg);
	int			 fd = ibuf_fd_avail(imsg->buf);

	if (row == NULL) {
		link_close(l, "unknown message %u", imsg_get_type(imsg));
		return (-1);
	}
	if (len < row->min || len > row->max) {
		link_close(l, "message %s of wrong length %zu", row->name, len);
		return (-1);
	}
	if (fd != (row->fd == PROTO_FD)) {
		link_close(l, "message %s %s a descriptor", row->name,
		    fd ? "with" : "without");
		return (-1);
	}
	return (0);
}

static const struct permit *
link_permit(const struct link *l, uint32_t type)
{
	const struct permit	*p;

	for (p = l->permits; p->type != IMSG_NONE; p++)
		if (p->type == type && (p->states & l->state))
			return (p);
	return (NULL);
}

static void
link_dispatch(struct link *l, struct imsg *imsg)
{
	const struct permit	*p;
	uint32_t		 type = imsg_get_type(imsg);

	if (link_check_row(l, imsg) == -1)
		return;
	if ((p = link_permit(l, type)) == NULL) {
		link_close(l, "forbidden message %s in state %u",
		    proto_name(type), l->state);
		return;
	}
	p->handler(l, imsg);
}

static const char *
link_error(void)
{
	return (errno == EBADMSG ? "bad frame" : strerror(errno));
}

/* Whole frames in the buffer, as many as belong to one turn. */
static void
link_frames(struct link *l)
{
	struct imsg	imsg;
	int		i, n;

	for (i = 0; link_reads(l); i++) {
		if (i == LINK_TURN) {
			link_soon(l);
			return;
		}
		if ((n = imsgbuf_get(&l->ibuf, &imsg)) == 0)
			return;
		if (n == -1) {
			link_close(l, "%s", link_error());
			return;
		}
		link_dispatch(l, &imsg);
		imsg_free(&imsg);
	}
}

/* ECONNRESET: the peer closed with something of ours unread. */
static void
link_read(struct link *l)
{
	int	n = imsgbuf_read(&l->ibuf);

	if (n == 0 || (n == -1 && errno == ECONNRESET))
		link_close(l, "end of file");
	else if (n == -1)
		link_close(l, "%s", link_error());
	else
		link_frames(l);
}

static void
link_read_cb(evutil_socket_t fd, short what, void *arg)
{
	struct link	*l = arg;

	(void)fd;
	(void)what;
	/* Frames read earlier come first; their turn is due already. */
	if (!link_reads(l) || evtimer_pending(l->ev_turn, NULL))
		return;
	link_enter(l);
	link_read(l);
	link_leave(l);
}

static void
link_turn(struct link *l)
{
	if (!l->closing && l->drained) {
		l->drained = 0;
		if (l->ops->drained != NULL)
			l->ops->drained(l);
	}
	if (!l->closing)
		link_frames(l);
	/* link_frames may have closed the link, or a handler freed it. */
	if (l->closing && !l->freed)
		l->ops->closed(l, l->reason);
}

static void
link_turn_cb(evutil_socket_t fd, short what, void *arg)
{
	struct link	*l = arg;

	(void)fd;
	(void)what;
	link_enter(l);
	link_turn(l);
	link_leave(l);
}

/* --- sending ---------------------------------------------------------- */

/* What follows from the queue having become shorter. */
static void
link_written(struct link *l)
{
	if (l->closing)
		return;
	if (l->finishing && imsgbuf_queuelen(&l->ibuf) == 0) {
		link_close(l, "done");
		return;
	}
	if (l->full && imsgbuf_queuebytes(&l->ibuf) < LINK_LOW) {
		l->full = 0;
		l->drained = 1;
		link_rearm(l);
		link_soon(l);
	}
}

/*
 * The peer takes nothing any more, but what it sent before is still to be
 * read; then comes its end of file.
 */
static void
link_mute(struct link *l)
{
	l->mute = 1;
	l->full = 0;
	event_del(l->ev_write);
	event_del(l->ev_retry);
	if (l->paused || l->finishing)
		link_close(l, "end of file");
	else
		link_rearm(l);
}

static void
link_write_failed(struct link *l)
{
	if (errno == EPIPE || errno == ECONNRESET)
		link_mute(l);
	else
		link_close(l, "%s", strerror(errno));
}

/*
 * writable: the event loop said so.  If the kernel then takes nothing, our
 * descriptors in flight are too many, and asking at once again is of no use.
 */
static void
link_write(struct link *l, int writable)
{
	static const struct timeval	retry = { 0, LINK_RETRY_MS * 1000 };
	size_t				before;
	int				n;

	before = imsgbuf_queuebytes(&l->ibuf);
	if (imsgbuf_write(&l->ibuf) == -1) {
		link_write_failed(l);
		return;
	}
	link_written(l);
	if (l->closing || imsgbuf_queuelen(&l->ibuf) == 0)
		return;
	if (writable && imsgbuf_queuebytes(&l->ibuf) == before)
		n = event_add(l->ev_retry, &retry);
	else
		n = event_add(l->ev_write, NULL);
	if (n == -1)
		fatal("link %s: event_add", l->name);
}

static void
link_write_cb(evutil_socket_t fd, short what, void *arg)
{
	struct link	*l = arg;

	(void)fd;
	if (l->closing || l->mute)
		return;
	link_enter(l);
	link_write(l, what & EV_WRITE);
	link_leave(l);
}

/* A message that the table does not know is our own mistake. */
static void
link_assert_row(struct link *l, uint32_t type, int fd, size_t len)
{
	const struct proto_row	*row = proto_row(type);

	if (row == NULL)
		fatalx("link %s: sending unknown message %u", l->name, type);
	if (len < row->min || len > row->max)
		fatalx("link %s: sending %s of length %zu", l->name, row->name,
		    len);
	if ((fd != -1) != (row->fd == PROTO_FD))
		fatalx("link %s: sending %s %s a descriptor", l->name,
		    row->name, fd != -1 ? "with" : "without");
	if (fd != -1 && !(l->flags & LINK_FDPASS))
		fatalx("link %s: no descriptors may be sent", l->name);
}

static int
link_drop(int fd)
{
	if (fd != -1)
		close(fd);
	return (-1);
}

int
link_send2(struct link *l, uint32_t type, uint32_t id, int fd,
    const void *head, size_t headlen, const void *tail, size_t taillen)
{
	struct iovec	iov[2];
	size_t		queued;

	link_assert_row(l, type, fd, headlen + taillen);
	if (l->closing || l->finishing || l->mute)
		return (link_drop(fd));
	queued = imsgbuf_queuebytes(&l->ibuf);
	if (queued + headlen + taillen > LINK_MAX) {
		link_close(l, "queue overflow");
		return (link_drop(fd));
	}
	/* An iovec has no const; nothing is written through it. */
	iov[0].iov_base = (void *)(uintptr_t)head;
	iov[0].iov_len = headlen;
	iov[1].iov_base = (void *)(uintptr_t)tail;
	iov[1].iov_len = taillen;
	if (imsg_composev(&l->ibuf, type, id, 0, fd, iov, 2) == -1) {
		link_close(l, "%s", strerror(errno));
		return (link_drop(fd));
	}
	/* Saves a wake-up of the loop.  Otherwise ev_write is armed already. */
	if (queued == 0)
		link_write(l, 0);
	if (!l->full && !l->mute && imsgbuf_queuebytes(&l->ibuf) > LINK_HIGH) {
		l->full = 1;
		link_rearm(l);
	}
	return (0);
}

int
link_send(struct link *l, uint32_t type, uint32_t id, int fd,
    const void *data, size_t len)
{
	return (link_send2(l, type, id, fd, data, len, NULL, 0));
}

int
link_full(struct link *l)
{
	return (l->full);
}

size_t
link_queued(struct link *l)
{
	return (imsgbuf_queuebytes(&l->ibuf));
}

int
link_flush(struct link *l)
{
	int	n;

	if (l->closing || l->mute)
		return (-1);
	n = imsgbuf_flush(&l->ibuf);
	if (n == -1) {
		link_write_failed(l);
		return (-1);
	}
	event_del(l->ev_write);
	event_del(l->ev_retry);
	link_written(l);
	return (0);
}
