/*
 * Bounded byte buffers with checked getters and setters: names and contracts
 * of OpenBSD's ibuf_add(3), our own code.  Every function that can fail says
 * so with -1 (NULL) and errno and leaves the buffer as it was.
 */
#ifndef KEEPD_IBUF_H
#define KEEPD_IBUF_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include <stdint.h>

struct ibuf {
	TAILQ_ENTRY(ibuf)	 entry;
	unsigned char		*buf;
	size_t			 size;	/* allocated */
	size_t			 max;	/* may grow to */
	size_t			 wpos;
	size_t			 rpos;
	int			 fd;	/* -1, or owned */
};

struct msgbuf;

struct ibuf	*ibuf_open(size_t);		/* fixed size */
struct ibuf	*ibuf_dynamic(size_t, size_t);	/* first size, greatest size */
void		 ibuf_free(struct ibuf *);
size_t		 ibuf_size(const struct ibuf *);	/* unread bytes */
size_t		 ibuf_left(const struct ibuf *);	/* bytes that still fit */
void		*ibuf_data(const struct ibuf *);	/* first unread byte */
void		 ibuf_from_buffer(struct ibuf *, void *, size_t); /* a view */
void		*ibuf_reserve(struct ibuf *, size_t);
void		*ibuf_seek(struct ibuf *, size_t, size_t);
int		 ibuf_truncate(struct ibuf *, size_t);
void		 ibuf_rewind(struct ibuf *);
int		 ibuf_add(struct ibuf *, const void *, size_t);
int		 ibuf_add_zero(struct ibuf *, size_t);
int		 ibuf_add_n8(struct ibuf *, uint64_t);	/* ERANGE checked */
int		 ibuf_add_n16(struct ibuf *, uint64_t);	/* network order */
int		 ibuf_add_n32(struct ibuf *, uint64_t);
int		 ibuf_add_n64(struct ibuf *, uint64_t);
int		 ibuf_set(struct ibuf *, size_t, const void *, size_t);
int		 ibuf_get(struct ibuf *, void *, size_t);
int		 ibuf_get_n8(struct ibuf *, uint8_t *);
int		 ibuf_get_n16(struct ibuf *, uint16_t *);
int		 ibuf_get_n32(struct ibuf *, uint32_t *);
int		 ibuf_get_n64(struct ibuf *, uint64_t *);
int		 ibuf_skip(struct ibuf *, size_t);
/* Everything unread as a fresh C string; -1 with a NUL inside.  Caller frees. */
char		*ibuf_get_string(struct ibuf *, size_t);
void		 ibuf_fd_set(struct ibuf *, int);	/* takes the descriptor */
int		 ibuf_fd_get(struct ibuf *);		/* gives it up */
int		 ibuf_fd_avail(const struct ibuf *);

#endif
