/*
 * A link: imsg frames on the event loop, with the sender's permit table and
 * back pressure by bytes.  Every frame is checked against the message table
 * (proto.c) and then against the permit table before a handler sees it.
 */
#ifndef KEEPD_LINK_H
#define KEEPD_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "imsg.h"

struct event_base;
struct link;

/* One row: this type is allowed in these states, and this function takes it. */
struct permit {
	uint32_t	  type;
	uint32_t	  states;	/* mask of states, LINK_ANY for all */
	void		(*handler)(struct link *, struct imsg *);
};
#define LINK_ANY	0xffffffffU

#define LINK_FDPASS	0x01	/* descriptors may come along (receive and send) */

/* Bytes queued for a peer: above HIGH link_full() is true until below LOW. */
#define LINK_HIGH	(256 * 1024)
#define LINK_LOW	(64 * 1024)
/* A peer that lets this much pile up is closed ("queue overflow"). */
#define LINK_MAX	(16 * 1024 * 1024)

struct link_ops {
	/* Peer is gone or broke a rule.  Must end in link_free or exit; the
	 * reason is "end of file", "forbidden message NAME in state X", ... */
	void	(*closed)(struct link *, const char *);
	/* The queue has fallen below LINK_LOW after link_full().  May be NULL. */
	void	(*drained)(struct link *);
};

/*
 * Takes fd (made non-blocking).  The permit table ends with a row whose type
 * is 0 and must outlive the link.  Handlers need not free the imsg.  A handler
 * may call link_free on its own link.  NULL: out of memory, errno set.
 */
struct link	*link_new(struct event_base *, const char *, int, int,
		    const struct permit *, const struct link_ops *, void *);
void		 link_free(struct link *);	/* closes the descriptor */
void		*link_arg(struct link *);
const char	*link_name(struct link *);
int		 link_fd(struct link *);
void		 link_state_set(struct link *, uint32_t);	/* one bit; 1 at first */
uint32_t	 link_state(struct link *);
/* Called from a handler: the message was ill-formed inside.  Closes the link
 * (ops->closed) once the handler has returned; the reason is kept. */
void		 link_refuse(struct link *, const char *);
/*
 * Queue a message.  Type and length are checked against the message table
 * (a wrong one is a bug: fatal).  0: queued, fd (or -1) is the link's;
 * -1: the link is closing or overflowed, fd was closed.
 */
int		 link_send(struct link *, uint32_t type, uint32_t id, int fd,
		    const void *, size_t);
/* The same with two pieces: a wire struct and its tail. */
int		 link_send2(struct link *, uint32_t type, uint32_t id, int fd,
		    const void *, size_t, const void *, size_t);
int		 link_full(struct link *);
size_t		 link_queued(struct link *);
void		 link_pause(struct link *);	/* stop reading from this peer */
void		 link_resume(struct link *);
int		 link_flush(struct link *);	/* blocking; for shutdown only */
/* Close once everything queued has been written; reads nothing more.  Then
 * ops->closed with "done". */
void		 link_finish(struct link *);

#endif
