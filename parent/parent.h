/*
 * What the files of the parent process share, by the file it is in.
 */
#ifndef KEEPD_PARENT_H
#define KEEPD_PARENT_H

#include <sys/types.h>

#include <stdint.h>

#include "config.h"
#include "link.h"

#define PEERS		3		/* enum peer */

struct event_base;

/* parent.c: the one state there is */
struct parent {
	struct event_base	*base;
	struct config		*conf;		/* in force */
	struct conf_options	 options;
	uint32_t		 serial;	/* of conf, from 1 */
	int			 foreground;
	int			 started;	/* START was sent */
	int			 services;	/* there may be some running */
	int			 stopping;
	int			 exit_code;
};
extern struct parent	 parent;

void	parent_started(void);		/* all three serve for the first time */
void	parent_start_failed(const char *);
void	parent_conf_done(void);		/* somebody has reported CONF_DONE */
void	parent_supervisor_gone(void);
void	parent_services_stopped(void);	/* IMSG_STOPPED */
void	parent_all_gone(void);		/* none of the three is left */
void	parent_stop(void);		/* in order; again: at once */
int	parent_verbose(const struct config *);

/* child.c: the three processes */
int	child_init(const char *libexec);	/* -1: said why */
void	child_start_all(void);
int	child_reaped(pid_t, int status);	/* 1: it was one of the three */
int	child_is(pid_t);
struct link *child_link(enum peer);		/* NULL: down */
void	child_ready(struct link *, uint32_t layers);
void	child_conf_done(struct link *, uint32_t serial);
uint32_t child_serial(enum peer);		/* last CONF_DONE; 0: down */
void	child_shutdown_all(void);		/* and kill what stays */
void	child_verbose(uint32_t);
void	child_abort(enum peer);

/* users.c: what the three run as, in system mode */
struct child_user {
	uid_t		 uid;
	gid_t		 gid;
	char		 chroot[PATH_SIZE];	/* "": none */
};
int	users_init(void);			/* -1: said why */
const struct child_user *users_of(enum peer);
void	users_send_admins(struct link *);

/* dispatch.c: what the three may say to the parent, and what it does */
const struct permit *dispatch_permits(enum peer);
#define STATE_STARTING	1U		/* link states: before READY */
#define STATE_READY	2U
#define STATE_SERVING	4U		/* START was sent */

/* listen.c: endpoints, open before anything else happens */
int	listen_open(const struct config *);	/* -1: said why */
void	listen_close(void);			/* removes our unix sockets */
void	listen_send_frontend(struct link *);
void	listen_send_ports(struct link *);
void	listen_send_control(struct link *);

/* store.c: what must outlive a child */
int	store_update(const struct config *);	/* makes rings; -1: said why */
void	store_drop(uint32_t service);
void	store_unsent(void);			/* the logger is a new one */
void	store_seen(void);			/* the logger has them all */
void	store_send(struct link *);		/* rings not sent yet */
int	store_resized(const struct service *);	/* ring has another size */
int	store_keep(const struct wire_key *, int fd); /* takes fd */
void	store_forget(const struct wire_key *);

/* limits.c: room for the descriptors of all services; -1: said why */
int	limits_files(const struct config *);

/* cgroup_linux.c: a cgroup for the services, where one is delegated */
void	cgroup_init(void);			/* before the supervisor starts */
const char *cgroup_directory(void);		/* NULL: none */
/* The forked supervisor, before exec: into its place.  Async-signal-safe. */
void	cgroup_enter(void);
void	cgroup_kill(void);			/* all in it, at once */
void	cgroup_end(void);			/* nobody is left: remove it */

/* sendconf.c: the transaction; old is NULL or what the peer had before */
void	sendconf(enum peer, struct link *, const struct config *old);

/* reload.c: SIGHUP and IMSG_RELOAD */
void	reload(int asked, uint32_t asker);	/* asker: id to answer to */
void	reload_progress(void);

/* orphans.c: services whose supervisor has died */
void	orphans_stop(void (*done)(void));
void	orphans_reaped(void);

/* notify.c: sd_notify(3)'s protocol */
void	notify_init(void);
void	notify_ready(void);
void	notify_status(const char *);
void	notify_reloading(void);
void	notify_stopping(void);

/* greet.c: the first start in a terminal */
void	greet(void);

/* parent_linux.c */
int	os_subreaper(void);
int	os_memfd(const char *name);
int	os_memfd_seal(int);
/* pids of children of ours; how many there are, at most max; -1 errno. */
int	os_children(pid_t *, int max);
int	os_peer_pid(int fd, pid_t *);

#endif
