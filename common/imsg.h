/*
 * imsg frames over a unix socket: names and contracts of OpenBSD's
 * imsg_init(3), our own code.  Knows nothing of message types or event loops.
 */
#ifndef KEEPD_IMSG_H
#define KEEPD_IMSG_H

#include <sys/types.h>
#include <sys/queue.h>

#include <stdint.h>

#include "ibuf.h"

/* The header is 16 bytes on the wire: type, len, peerid, pid. */
#define IMSG_HEADER_SIZE	16
/* The greatest frame, header included, unless imsgbuf_set_maxsize says else. */
#define MAX_IMSGSIZE		16384

struct imsg_hdr {
	uint32_t	 type;
	uint32_t	 len;	/* whole frame; top bit: a descriptor comes along */
	uint32_t	 peerid;
	uint32_t	 pid;
};

struct imsg {
	struct imsg_hdr	 hdr;	/* len without the mark */
	struct ibuf	*buf;	/* owned; read position behind the header */
};

struct imsgbuf {
	struct msgbuf	*w;
	int		 fd;
	uint32_t	 maxsize;
	pid_t		 pid;
	int		 flags;
};

int	 imsgbuf_init(struct imsgbuf *, int);
void	 imsgbuf_allow_fdpass(struct imsgbuf *);
int	 imsgbuf_set_maxsize(struct imsgbuf *, uint32_t);
/* 1: something was read, or nothing was there yet; 0: end of file; -1: errno */
int	 imsgbuf_read(struct imsgbuf *);
/* 0: progress or nothing to do (EAGAIN included); -1: errno, the link is dead */
int	 imsgbuf_write(struct imsgbuf *);
/* Write all, blocking on poll(2) where the socket is full.  For shutdown. */
int	 imsgbuf_flush(struct imsgbuf *);
/* Frees what is queued both ways and closes descriptors in flight, not fd. */
void	 imsgbuf_clear(struct imsgbuf *);
uint32_t imsgbuf_queuelen(struct imsgbuf *);	/* frames queued for writing */
size_t	 imsgbuf_queuebytes(struct imsgbuf *);	/* bytes queued for writing */

/* 1: a frame, to be given to imsg_free; 0: none is whole; -1: EBADMSG */
int	 imsgbuf_get(struct imsgbuf *, struct imsg *);

/* Takes exactly len bytes; -1 and EBADMSG when the payload has another size. */
int	 imsg_get_data(struct imsg *, void *, size_t);
/* Takes the first len bytes; -1 when there are less. */
int	 imsg_get_buf(struct imsg *, void *, size_t);
/* A view of what was not taken yet; lives as long as the imsg. */
int	 imsg_get_ibuf(struct imsg *, struct ibuf *);
/* The descriptor, once; then and without one -1.  The caller closes it. */
int	 imsg_get_fd(struct imsg *);
uint32_t imsg_get_id(struct imsg *);
size_t	 imsg_get_len(struct imsg *);		/* payload not taken yet */
pid_t	 imsg_get_pid(struct imsg *);
uint32_t imsg_get_type(struct imsg *);
void	 imsg_free(struct imsg *);

/* fd is -1 or becomes the queue's.  1: queued; -1: errno, fd still caller's. */
int	 imsg_compose(struct imsgbuf *, uint32_t, uint32_t, pid_t, int,
	    const void *, size_t);
int	 imsg_composev(struct imsgbuf *, uint32_t, uint32_t, pid_t, int,
	    const struct iovec *, int);
struct ibuf *imsg_create(struct imsgbuf *, uint32_t, uint32_t, pid_t, size_t);
int	 imsg_add(struct ibuf *, const void *, size_t);
void	 imsg_close(struct imsgbuf *, struct ibuf *);

#endif
