/*
 * Between the files that make up a service's life: service.c (transitions),
 * ask.c (verbs of clients) and build.c.  Nobody else needs these.
 */
#ifndef KEEPD_SERVICE_H
#define KEEPD_SERVICE_H

#include "supervisor.h"

/* service.c */
void	service_event(struct service *, enum svc_event);
void	service_go(struct service *);		/* up, as op and op_mode say */
void	service_kill(struct service *);		/* KILL to all, arm the timer */
void	service_settle(struct service *);	/* no operation any more */
void	service_rebuild(struct service *, uint32_t mode);

/* ask.c: the operation is over; begin what was asked for meanwhile. */
void	ask_next(struct service *);

/* build.c */
void	build_start(struct service *);
void	build_timeout(evutil_socket_t, short, void *);

#endif
