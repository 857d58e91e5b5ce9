/*
 * imsg frames over a unix stream socket, as imsg.h tells: cutting the stream
 * into frames, queueing, passing descriptors.  Knows nothing of message types
 * or event loops.
 *
 * Descriptors: a descriptor is no barrier in a stream on Linux, one recvmsg may
 * return several frames and the descriptor of a later one.  The sender marks
 * the frame that owns a descriptor and begins a sendmsg of its own with it, so
 * the descriptor arrives with the first byte of that frame.  The receiver
 * remembers for each descriptor which part of the stream came with it; its
 * frame must begin within that part, or the peer is refused.
 */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "imsg.h"

#define IMSG_FD_MARK	0x80000000U
#define IMSG_FDPASS	0x01		/* imsgbuf.flags */
#define IMSG_IOV	64		/* frames a sendmsg */
#define IMSG_FDS_READ	8		/* descriptors a recvmsg */
#define IMSG_FDS_MAX	64		/* waiting for their frames */
#define FLUSH_WAIT_MS	5000		/* then the peer is given up */
#define FLUSH_RETRY_MS	10

_Static_assert(sizeof(struct imsg_hdr) == IMSG_HEADER_SIZE, "imsg_hdr");

/* A descriptor that came with the bytes start <= n < end of the stream. */
struct msgfd {
	uint64_t	 start;
	uint64_t	 end;
	int		 fd;
};

struct msgbuf {
	TAILQ_HEAD(msgqueue, ibuf) queue;	/* to be written */
	uint32_t	 queuelen;
	size_t		 queuebytes;
	unsigned char	*rbuf;
	size_t		 rsize;
	size_t		 rstart;	/* first byte not given out */
	size_t		 rend;
	uint64_t	 roff;		/* place of rstart in the stream */
	struct msgfd	 fds[IMSG_FDS_MAX];
	unsigned int	 nfds;
	int		 bad;		/* a rule was broken */
};

union msgcontrol {
	struct cmsghdr	 hdr;
	unsigned char	 buf[CMSG_SPACE(sizeof(int) * IMSG_FDS_READ)];
};

int
imsgbuf_init(struct imsgbuf *imsgbuf, int fd)
{
	struct msgbuf	*w;

	memset(imsgbuf, 0, sizeof(*imsgbuf));
	if ((w = calloc(1, sizeof(*w))) == NULL)
		return (-1);
	if ((w->rbuf = malloc(MAX_IMSGSIZE)) == NULL) {
		free(w);
		return (-1);
	}
	w->rsize = MAX_IMSGSIZE;
	TAILQ_INIT(&w->queue);
	imsgbuf->w = w;
	imsgbuf->fd = fd;
	imsgbuf->maxsize = MAX_IMSGSIZE;
	imsgbuf->pid = getpid();
	return (0);
}

void
imsgbuf_allow_fdpass(struct imsgbuf *imsgbuf)
{
	imsgbuf->flags |= IMSG_FDPASS;
}

int
imsgbuf_set_maxsize(struct imsgbuf *imsgbuf, uint32_t size)
{
	struct msgbuf	*w = imsgbuf->w;
	unsigned char	*p;

	if (size < IMSG_HEADER_SIZE || size >= IMSG_FD_MARK ||
	    size < w->rend) {
		errno = EINVAL;
		return (-1);
	}
	if ((p = realloc(w->rbuf, size)) == NULL)
		return (-1);
	w->rbuf = p;
	w->rsize = size;
	imsgbuf->maxsize = size;
	return (0);
}

/* --- reading ---------------------------------------------------------- */

static int
msgbuf_refuse(struct msgbuf *w)
{
	w->bad = 1;
	errno = EBADMSG;
	return (-1);
}

/* Make the free space one piece, behind what was not given out yet. */
static size_t
msgbuf_space(struct msgbuf *w)
{
	if (w->rstart > 0) {
		memmove(w->rbuf, w->rbuf + w->rstart, w->rend - w->rstart);
		w->rend -= w->rstart;
		w->rstart = 0;
	}
	return (w->rsize - w->rend);
}

/* Take one descriptor over, or close it; -1 when there are too many. */
static int
msgbuf_fd_add(struct msgbuf *w, int fd, int allowed, size_t n)
{
	struct msgfd	*m;

	if (!allowed || w->nfds == IMSG_FDS_MAX) {
		close(fd);
		return (-1);
	}
	m = &w->fds[w->nfds++];
	m->fd = fd;
	m->start = w->roff + (w->rend - w->rstart);
	m->end = m->start + n;
	return (0);
}

/*
 * Every descriptor of a control message is queued or closed, whatever else is
 * wrong.  Returns how many there were, -1 when one of them was refused.
 */
static int
msgbuf_fds(struct msgbuf *w, struct msghdr *msg, int allowed, size_t n)
{
	struct cmsghdr	*cmsg;
	size_t		 i, count;
	int		 fd, total = 0, refused = 0;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg != NULL;
	    cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count; i++) {
			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int),
			    sizeof(fd));
			if (msgbuf_fd_add(w, fd, allowed, n) == -1)
				refused = 1;
			total++;
		}
	}
	return (refused ? -1 : total);
}

static ssize_t
msgbuf_recv(struct imsgbuf *imsgbuf, struct msghdr *msg)
{
	ssize_t	n;

	do {
		n = recvmsg(imsgbuf->fd, msg, MSG_CMSG_CLOEXEC);
	} while (n == -1 && errno == EINTR);
	return (n);
}

int
imsgbuf_read(struct imsgbuf *imsgbuf)
{
	struct msgbuf		*w = imsgbuf->w;
	union msgcontrol	 control;
	struct msghdr		 msg;
	struct iovec		 iov;
	ssize_t			 n;
	int			 nfds;

	if (w->bad)
		return (msgbuf_refuse(w));
	/* A full buffer holds a whole frame that must be taken out first. */
	if ((iov.iov_len = msgbuf_space(w)) == 0)
		return (1);
	iov.iov_base = w->rbuf + w->rend;
	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = &control;
	msg.msg_controllen = sizeof(control.buf);
	if ((n = msgbuf_recv(imsgbuf, &msg)) == -1)
		return (errno == EAGAIN || errno == EWOULDBLOCK ? 1 : -1);
	nfds = msgbuf_fds(w, &msg, imsgbuf->flags & IMSG_FDPASS, (size_t)n);
	if (nfds == -1)
		return (msgbuf_refuse(w));
	if (msg.msg_flags & MSG_CTRUNC) {
		(void)msgbuf_refuse(w);
		/* With room left in msg, our own table was what was full. */
		errno = nfds < IMSG_FDS_READ ? EMFILE : EBADMSG;
		return (-1);
	}
	w->rend += (size_t)n;
	return (n == 0 ? 0 : 1);
}

static void
msgbuf_fd_drop(struct msgbuf *w)
{
	w->nfds--;
	memmove(&w->fds[0], &w->fds[1], w->nfds * sizeof(w->fds[0]));
}

/*
 * The descriptor of the frame that begins at roff and is len bytes long, -1
 * for none; -2: mark and descriptors do not agree.
 */
static int
msgbuf_fd_match(struct msgbuf *w, int marked, size_t len)
{
	struct msgfd	*m = &w->fds[0];

	if (!marked) {
		/* No later frame begins within the part of the first one. */
		if (w->nfds > 0 && w->roff + len >= m->end)
			return (-2);
		return (-1);
	}
	if (w->nfds == 0 || w->roff < m->start || w->roff >= m->end)
		return (-2);
	return (m->fd);
}

/* A fresh buffer with a frame in it and the read position behind its header. */
static struct ibuf *
msgbuf_copy(const unsigned char *frame, size_t len, int fd)
{
	struct ibuf	*buf;

	if ((buf = ibuf_open(len)) == NULL)
		return (NULL);
	if (ibuf_add(buf, frame, len) == -1 ||
	    ibuf_skip(buf, IMSG_HEADER_SIZE) == -1) {
		ibuf_free(buf);
		return (NULL);
	}
	buf->fd = fd;
	return (buf);
}

int
imsgbuf_get(struct imsgbuf *imsgbuf, struct imsg *imsg)
{
	struct msgbuf	*w = imsgbuf->w;
	struct imsg_hdr	 hdr;
	int		 fd, marked;

	if (w->bad)
		return (msgbuf_refuse(w));
	if (w->rend - w->rstart < sizeof(hdr))
		return (0);
	memcpy(&hdr, w->rbuf + w->rstart, sizeof(hdr));
	marked = (hdr.len & IMSG_FD_MARK) != 0;
	hdr.len &= ~IMSG_FD_MARK;
	if (hdr.len < IMSG_HEADER_SIZE || hdr.len > imsgbuf->maxsize)
		return (msgbuf_refuse(w));
	if ((fd = msgbuf_fd_match(w, marked, hdr.len)) == -2)
		return (msgbuf_refuse(w));
	if (w->rend - w->rstart < hdr.len)
		return (0);
	imsg->hdr = hdr;
	if ((imsg->buf = msgbuf_copy(w->rbuf + w->rstart, hdr.len, fd)) == NULL)
		return (-1);
	if (fd != -1)
		msgbuf_fd_drop(w);
	w->rstart += hdr.len;
	w->roff += hdr.len;
	if (w->rstart == w->rend)
		w->rstart = w->rend = 0;
	return (1);
}

/* --- a frame that was read -------------------------------------------- */

int
imsg_get_data(struct imsg *imsg, void *data, size_t len)
{
	if (ibuf_size(imsg->buf) != len) {
		errno = EBADMSG;
		return (-1);
	}
	return (ibuf_get(imsg->buf, data, len));
}

int
imsg_get_buf(struct imsg *imsg, void *data, size_t len)
{
	return (ibuf_get(imsg->buf, data, len));
}

int
imsg_get_ibuf(struct imsg *imsg, struct ibuf *view)
{
	ibuf_from_buffer(view, ibuf_data(imsg->buf), ibuf_size(imsg->buf));
	return (0);
}

int
imsg_get_fd(struct imsg *imsg)
{
	return (ibuf_fd_get(imsg->buf));
}

uint32_t
imsg_get_id(struct imsg *imsg)
{
	return (imsg->hdr.peerid);
}

size_t
imsg_get_len(struct imsg *imsg)
{
	return (ibuf_size(imsg->buf));
}

pid_t
imsg_get_pid(struct imsg *imsg)
{
	return ((pid_t)imsg->hdr.pid);
}

uint32_t
imsg_get_type(struct imsg *imsg)
{
	return (imsg->hdr.type);
}

void
imsg_free(struct imsg *imsg)
{
	ibuf_free(imsg->buf);
	imsg->buf = NULL;
}

/* --- writing ---------------------------------------------------------- */

struct ibuf *
imsg_create(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid,
    size_t len)
{
	struct imsg_hdr	 hdr;
	struct ibuf	*buf;

	if (len > imsgbuf->maxsize - IMSG_HEADER_SIZE) {
		errno = ERANGE;
		return (NULL);
	}
	if ((buf = ibuf_dynamic(IMSG_HEADER_SIZE + len,
	    imsgbuf->maxsize)) == NULL)
		return (NULL);
	hdr.type = type;
	hdr.len = 0;			/* imsg_close knows it */
	hdr.peerid = id;
	hdr.pid = (uint32_t)(pid != 0 ? pid : imsgbuf->pid);
	if (ibuf_add(buf, &hdr, sizeof(hdr)) == -1) {
		ibuf_free(buf);
		return (NULL);
	}
	return (buf);
}

int
imsg_add(struct ibuf *buf, const void *data, size_t len)
{
	return (ibuf_add(buf, data, len));
}

void
imsg_close(struct imsgbuf *imsgbuf, struct ibuf *buf)
{
	struct msgbuf	*w = imsgbuf->w;
	uint32_t	 len = (uint32_t)ibuf_size(buf);

	if (ibuf_fd_avail(buf))
		len |= IMSG_FD_MARK;
	/* Cannot fail: imsg_create has put a header there. */
	(void)ibuf_set(buf, offsetof(struct imsg_hdr, len), &len, sizeof(len));
	TAILQ_INSERT_TAIL(&w->queue, buf, entry);
	w->queuelen++;
	w->queuebytes += ibuf_size(buf);
}

int
imsg_composev(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid,
    int fd, const struct iovec *iov, int iovcnt)
{
	struct ibuf	*buf;
	size_t		 len = 0;
	int		 i;

	if (fd != -1 && !(imsgbuf->flags & IMSG_FDPASS)) {
		errno = EINVAL;
		return (-1);
	}
	for (i = 0; i < iovcnt; i++)
		if (__builtin_add_overflow(len, iov[i].iov_len, &len)) {
			errno = ERANGE;
			return (-1);
		}
	if ((buf = imsg_create(imsgbuf, type, id, pid, len)) == NULL)
		return (-1);
	for (i = 0; i < iovcnt; i++)
		if (ibuf_add(buf, iov[i].iov_base, iov[i].iov_len) == -1) {
			ibuf_free(buf);
			return (-1);
		}
	buf->fd = fd;
	imsg_close(imsgbuf, buf);
	return (1);
}

int
imsg_compose(struct imsgbuf *imsgbuf, uint32_t type, uint32_t id, pid_t pid,
    int fd, const void *data, size_t len)
{
	struct ibuf	*buf;

	if (fd != -1 && !(imsgbuf->flags & IMSG_FDPASS)) {
		errno = EINVAL;
		return (-1);
	}
	if ((buf = imsg_create(imsgbuf, type, id, pid, len)) == NULL)
		return (-1);
	if (ibuf_add(buf, data, len) == -1) {
		ibuf_free(buf);
		return (-1);
	}
	buf->fd = fd;
	imsg_close(imsgbuf, buf);
	return (1);
}

/*
 * What the next sendmsg takes: a frame with a descriptor alone, otherwise all
 * frames up to the next one that has a descriptor.
 */
static int
msgbuf_gather(struct msgbuf *w, struct iovec *iov)
{
	struct ibuf	*buf;
	int		 n = 0;

	for (buf = TAILQ_FIRST(&w->queue); buf != NULL;
	    buf = TAILQ_NEXT(buf, entry)) {
		if (n == IMSG_IOV || (n > 0 && ibuf_fd_avail(buf)))
			break;
		iov[n].iov_base = ibuf_data(buf);
		iov[n].iov_len = ibuf_size(buf);
		n++;
		if (ibuf_fd_avail(buf))
			break;
	}
	return (n);
}

static void
msghdr_set_fd(struct msghdr *msg, union msgcontrol *control, int fd)
{
	struct cmsghdr	*cmsg;

	memset(control, 0, sizeof(*control));
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(sizeof(fd));
	cmsg = CMSG_FIRSTHDR(msg);
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
}

/* n bytes have left; a descriptor went with the first of them. */
static void
msgbuf_sent(struct msgbuf *w, size_t n)
{
	struct ibuf	*buf;
	size_t		 len;
	int		 fd;

	while (n > 0 && (buf = TAILQ_FIRST(&w->queue)) != NULL) {
		if ((fd = ibuf_fd_get(buf)) != -1)
			close(fd);
		len = ibuf_size(buf) < n ? ibuf_size(buf) : n;
		(void)ibuf_skip(buf, len);
		w->queuebytes -= len;
		n -= len;
		if (ibuf_size(buf) > 0)
			break;
		TAILQ_REMOVE(&w->queue, buf, entry);
		w->queuelen--;
		ibuf_free(buf);
	}
}

/* One sendmsg.  1: bytes went out; 0: not now; -1: errno */
static int
msgbuf_send(struct imsgbuf *imsgbuf)
{
	struct msgbuf		*w = imsgbuf->w;
	struct iovec		 iov[IMSG_IOV];
	union msgcontrol	 control;
	struct msghdr		 msg;
	struct ibuf		*first = TAILQ_FIRST(&w->queue);
	ssize_t			 n;

	memset(&msg, 0, sizeof(msg));
	msg.msg_iov = iov;
	msg.msg_iovlen = (size_t)msgbuf_gather(w, iov);
	if (ibuf_fd_avail(first))
		msghdr_set_fd(&msg, &control, first->fd);
	do {
		n = sendmsg(imsgbuf->fd, &msg, MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	if (n == -1) {
		/*
		 * ETOOMANYREFS: our descriptors in flight are as many as we may
		 * have open; they get fewer when the peer reads.
		 */
		if (errno == EAGAIN || errno == EWOULDBLOCK ||
		    errno == ENOBUFS || errno == ETOOMANYREFS)
			return (0);
		return (-1);
	}
	msgbuf_sent(w, (size_t)n);
	return (1);
}

int
imsgbuf_write(struct imsgbuf *imsgbuf)
{
	int	n = 1;

	while (n == 1 && imsgbuf->w->queuelen > 0)
		n = msgbuf_send(imsgbuf);
	return (n == -1 ? -1 : 0);
}

/* The socket can be writable and yet take nothing (ETOOMANYREFS): wait then. */
static int
msgbuf_wait(struct imsgbuf *imsgbuf)
{
	struct pollfd	pfd = { imsgbuf->fd, POLLOUT, 0 };
	struct timespec	ts = { 0, FLUSH_RETRY_MS * 1000000L };
	int		n;

	do {
		n = poll(&pfd, 1, FLUSH_WAIT_MS);
	} while (n == -1 && errno == EINTR);
	if (n == 0)
		errno = ETIMEDOUT;
	if (n <= 0)
		return (-1);
	(void)nanosleep(&ts, NULL);
	return (0);
}

int
imsgbuf_flush(struct imsgbuf *imsgbuf)
{
	struct pollfd	pfd = { imsgbuf->fd, POLLOUT, 0 };
	size_t		before;

	while (imsgbuf->w->queuelen > 0) {
		before = imsgbuf->w->queuebytes;
		if (imsgbuf_write(imsgbuf) == -1)
			return (-1);
		if (imsgbuf->w->queuelen == 0)
			break;
		if (imsgbuf->w->queuebytes < before)
			(void)poll(&pfd, 1, FLUSH_WAIT_MS);
		else if (msgbuf_wait(imsgbuf) == -1)
			return (-1);
	}
	return (0);
}

void
imsgbuf_clear(struct imsgbuf *imsgbuf)
{
	struct msgbuf	*w = imsgbuf->w;
	struct ibuf	*buf;
	unsigned int	 i;

	if (w == NULL)
		return;
	while ((buf = TAILQ_FIRST(&w->queue)) != NULL) {
		TAILQ_REMOVE(&w->queue, buf, entry);
		ibuf_free(buf);
	}
	for (i = 0; i < w->nfds; i++)
		close(w->fds[i].fd);
	free(w->rbuf);
	free(w);
	imsgbuf->w = NULL;
}

uint32_t
imsgbuf_queuelen(struct imsgbuf *imsgbuf)
{
	return (imsgbuf->w == NULL ? 0 : imsgbuf->w->queuelen);
}

size_t
imsgbuf_queuebytes(struct imsgbuf *imsgbuf)
{
	return (imsgbuf->w == NULL ? 0 : imsgbuf->w->queuebytes);
}
