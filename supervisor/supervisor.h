/*
 * What the files of the supervisor share: its records and its public
 * functions, grouped by the file they are in.  Everything here runs in one
 * thread on one event loop, and nothing here waits.
 */
#ifndef KEEPD_SUPERVISOR_H
#define KEEPD_SUPERVISOR_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdint.h>

#include "ibuf.h"
#include "link.h"
#include "proto.h"

#include "child.h"
#include "states.h"

#define SERVICE_NONE		0xffffffffU
#define BUILD_SLOTS		2	/* builds that run side by side */
#define LOGPIPES_MAX		32	/* of one service, not yet drained */
#define FRONT_ACTIONS_MAX	256	/* asked by the frontend, unanswered */
#define FRONT_WAITS_MAX		1024
#define FRONT_CONNS_MAX		16384
#define NAME_HINT_DISTANCE	3	/* edits, for "did you mean" */

struct ctl;
struct conn;
struct service;

/* --- records -------------------------------------------------------------- */
struct strlist {
	char		**v;		/* NULL-terminated */
	size_t		  n;
};

/* An argument vector with room in front for what may have to wrap it. */
struct argvec {
	char		**slots;	/* ARGV_SLOTS free, then argv, then NULL */
	size_t		  argc;		/* 0: there is none */
};

/* The configuration of one service; immutable once in force. */
struct svc_conf {
	int		 refs;
	struct wire_service w;
	struct strlist	 str[STR_COUNT];
	struct strlist	 own;		/* strings of the environments */
	struct argvec	 run[2];	/* by enum mode */
	struct argvec	 build[2];
	char		**env;		/* of the service */
	char		**build_env;
	char		*env_run;	/* "KEEPD_RUN=...", filled at each spawn */
	const char	*path;		/* value of PATH in env */
	gid_t		 groups[GROUPS_MAX];
	int		 ngroups;
	char		 label[LABEL_SIZE];
	int		 rust_binary;	/* argv[0] comes from Cargo.toml */
	int		 distinct;	/* dev and release commands differ */
};

/* A forked child: a service's main process, its build, or its check. */
struct child {
	RB_ENTRY(child)	 node;		/* by pid, while not reaped */
	struct service	*svc;
	enum child_kind	 kind;
	pid_t		 pid;		/* 0: none */
	pid_t		 sid;		/* its session, until the tree is gone */
	int		 errfd;		/* -1, or the exec error pipe */
	int		 out;		/* read ends, until the logger has them */
	int		 err;
	struct event	 err_ev;
	struct child_report report;	/* valid when failed or reported */
	int		 failed;
	int		 dead;		/* when strays were looked for last */
};
RB_HEAD(child_tree, child);

/* A log pipe that the logger has not drained. */
struct logpipe {
	TAILQ_ENTRY(logpipe)	 entry;
	uint32_t		 run;
	uint32_t		 kind;
	uint32_t		 stream;
	uint32_t		 service;	/* once it is drained */
	int			 fd;
};
TAILQ_HEAD(logpipe_list, logpipe);

/* Who asked, and where the answer goes. */
struct asker {
	uint32_t	 conn;		/* frontend's connection; 0: not it */
	struct ctl	*ctl;		/* or a keepctl client */
	uint32_t	 frame;		/* keepctl: id of the frame */
	uint32_t	 serial;
	struct batch	*batch;		/* of several targets, or NULL */
};

/* An action over several targets: one answer at the end. */
struct batch {
	int		 pending;
	uint32_t	 worst;		/* enum result_code */
	uint32_t	 verb;
	uint64_t	 begun_us;
};

/* An accepted action whose answer is due. */
struct request {
	TAILQ_ENTRY(request)	 entry;		/* of the service */
	TAILQ_ENTRY(request)	 all;
	struct service		*svc;
	struct asker		 asker;
	uint32_t		 verb;
	uint32_t		 joined;
	uint64_t		 begun_us;
	struct event		 deadline;
};
TAILQ_HEAD(request_list, request);

struct service {
	TAILQ_ENTRY(service)	 queue_entry;	/* for a build slot */
	TAILQ_ENTRY(service)	 dirty_entry;	/* STATE to be pushed */
	TAILQ_ENTRY(service)	 orphan_entry;	/* removed, id in other hands */
	uint32_t		 id;
	uint32_t		 mark;		/* of its processes; + 1: builds */
	struct svc_conf		*conf;		/* in force */
	struct svc_conf		*used;		/* of the running process */
	struct wire_state	 st;		/* as pushed */
	struct child		 run;
	struct child		 build;
	struct event		 timer;		/* backoff, or the stop's steps */
	struct event		 build_timer;
	struct request_list	 requests;
	struct logpipe_list	 pipes;
	unsigned int		 npipes;
	struct wire_event	*events;	/* ring of EVENTS_KEPT; mapped */
	uint64_t		 nevents;	/* ever written */
	uint64_t		 started_us;	/* exec of the last run */
	uint64_t		 exited_us;	/* main process gone */
	uint64_t		 stop_us;	/* when the stop began */
	uint64_t		 gap_us;
	uint32_t		 attempts;	/* consecutive, automatic */
	uint32_t		 op;		/* enum verb, VERB_COUNT none */
	uint32_t		 op_mode;	/* mode to build and spawn in */
	uint32_t		 then;		/* verb after this one, or none */
	uint32_t		 old_pid;
	uint32_t		 last_pid;	/* of the last exit */
	uint64_t		 delay_ms;	/* of the backoff */
	uint64_t		 stop_limit_ms;	/* asked for this stop; 0: none */
	uint8_t			 automatic;	/* nobody waits for this start */
	uint8_t			 swap;		/* S0-51 */
	uint8_t			 replace;	/* stopped for its successor */
	uint8_t			 nobuild;	/* start what is there */
	uint8_t			 force;		/* KILL at once */
	uint8_t			 start_failed;	/* the exit is of no program */
	uint8_t			 queued;	/* for a build slot */
	uint8_t			 building;	/* holds a slot */
	uint8_t			 aborted;	/* the build is being killed */
	uint8_t			 timed_out;	/* the build overran its limit */
	int			 build_code;	/* of its exit */
	int			 build_sig;
	uint8_t			 build_left;	/* it ended, its tree did not */
	uint8_t			 killed;	/* KILL was sent in this stop */
	uint8_t			 sweeping;	/* main gone, its tree is not */
	uint8_t			 dirty;
	uint8_t			 fresh;		/* not yet considered for a start */
	uint8_t			 removed;
	uint8_t			 orphan;
	char			*binary[2];	/* rust: as found; by enum mode */
};
TAILQ_HEAD(service_list, service);

/* What somebody is allowed; see auth.c. */
struct identity {
	uint32_t	 uid;		/* 0xffffffff unknown */
	uint32_t	 role;
	int		 network;	/* ceilings apply */
	char		 who[WHO_SIZE];
	uint8_t		 visible[MAX_SERVICES / 8];
};

struct admin {
	uint32_t	 is_gid;
	uint32_t	 id;
};

struct supervisor {
	struct event_base	*base;
	struct link		*parent;
	struct link		*logger;
	struct link		*frontend;
	struct wire_global	 global;
	uint32_t		 serial;	/* of the configuration */
	uint64_t		 boot_ms;
	int			 configured;
	int			 started;	/* IMSG_START came */
	int			 shutting_down;
	int			 orphaned;	/* parent is gone */
	int			 ending;	/* services gone, strays going */
	int			 stopped_sent;
	int			 quit;
	struct service		*services[MAX_SERVICES];
	uint32_t		 id_end;	/* none from here on */
	struct service_list	 orphans;
	struct admin		*admins;
	size_t			 nadmins;
	struct wire_port	*ports;
	size_t			 nports;
};
extern struct supervisor sup;

/* --- supervisor.c --------------------------------------------------------- */
/* After anything ended: is keepd's own stop complete? */
void		 supervisor_check_stopped(void);
/* Iterates services in the order of their ids; NULL at the end. */
struct service	*service_next(const struct service *);
#define SERVICE_FOREACH(s) \
	for ((s) = service_next(NULL); (s) != NULL; (s) = service_next(s))

/* --- conf.c --------------------------------------------------------------- */
void		 conf_begin(struct link *, struct imsg *);
void		 conf_global(struct link *, struct imsg *);
void		 conf_service(struct link *, struct imsg *);
void		 conf_str(struct link *, struct imsg *);
void		 conf_port(struct link *, struct imsg *);
void		 conf_admin(struct link *, struct imsg *);
void		 conf_control(struct link *, struct imsg *);
void		 conf_end(struct link *, struct imsg *);
void		 conf_autostart(void);	/* services that are new */
void		 conf_collect(void);	/* frees removed ones that are gone */
#define LINK_IDLE	1U	/* states of the parent's link */
#define LINK_CONF	2U	/* within a transaction */

/* --- command.c ------------------------------------------------------------ */
/* Fills in what is derived from wire_service and the strings; -1 no memory. */
int		 command_prepare(struct svc_conf *);
void		 command_free(struct svc_conf *);
struct svc_conf	*conf_ref(struct svc_conf *);
void		 conf_unref(struct svc_conf *);
/* Mask of STALE_*: what b changes for a process started from a. */
uint32_t	 command_stale(const struct svc_conf *a, const struct svc_conf *b);
int		 strlist_add(struct strlist *, const char *, size_t);

/* --- service.c ------------------------------------------------------------ */
struct service	*service_new(uint32_t, struct svc_conf *);
void		 service_free(struct service *);
void		 service_configure(struct service *, struct svc_conf *);
/* A verb of somebody who was found to be allowed to ask for it. */
void		 service_ask(struct service *, const struct asker *,
		    const struct identity *, const struct wire_action *);
void		 service_boot(struct service *);	/* autostart */
void		 service_halt(struct service *, int force); /* shutdown, removal */
void		 service_release(struct service *);	/* mode switch, S0-42 */
int		 service_alive(const struct service *);	/* anything is left */
int		 service_idle(const struct service *);	/* stopped for good */
/* From build.c */
void		 service_slot(struct service *);	/* a build slot is ours */
void		 service_built(struct service *);
void		 service_build_failed(struct service *, const char *);
/* From spawn.c and reap.c */
void		 service_ready(struct service *);
void		 service_start_failed(struct service *, const char *);
void		 service_exited(struct service *, int code, int sig, int left);
void		 service_tree_gone(struct service *);

/* --- request.c ------------------------------------------------------------ */
/* Of several: one is answered, the last one brings the final RESULT if told. */
void		 batch_release(const struct asker *, uint32_t code, int tell);
struct request	*request_add(struct service *, const struct asker *,
		    const struct wire_action *);
void		 request_done(struct request *, uint32_t code, const char *);
/* Answers those of the verbs in the mask (1 << enum verb). */
void		 request_finish(struct service *, uint32_t verbs, uint32_t code,
		    const char *);
int		 request_pending(const struct service *, uint32_t verbs);
unsigned int	 request_count(void);		/* of the frontend */
unsigned int	 request_count_ctl(const struct ctl *);
void		 request_drop_conn(uint32_t);	/* 0: all of the frontend */
void		 request_drop_ctl(struct ctl *);
/* Answer without a request. */
void		 request_refuse(const struct asker *, struct service *,
		    uint32_t verb, uint32_t code, const char *);
void		 request_send(const struct asker *, struct wire_result *,
		    const char *);
const char	*textf(const char *, ...)	/* in a static buffer, one line */
		    __attribute__((format(printf, 1, 2)));

/* --- spawn.c -------------------------------------------------------------- */
void		 spawn_init(void);
/* 0; or -1 with the reason in the text buffer of REASON_SIZE. */
int		 spawn_child(struct service *, enum child_kind, uint32_t mode,
		    char *);
int		 spawn_busy(void);
struct child	*child_find(pid_t);
/* Marks those that have ended already. */
void		 child_note_dead(void);
/* Reads what the child reported; called before it is reaped, too. */
void		 spawn_settle(struct child *);
void		 child_forget(struct child *);	/* after it was reaped */

/* --- reap.c --------------------------------------------------------------- */
void		 reap_init(void);
/* Signal the whole tree of a service or its build; how many there are. */
unsigned int	 reap_kill(struct service *, int build, int sig);
unsigned int	 reap_left(struct service *);	/* processes still there */
void		 reap_build_done(struct service *);	/* no more waiting */
void		 reap_survivors(struct service *, char *, size_t);
unsigned int	 reap_kill_all(void);
void		 reap_forget(const struct service *);	/* its tree is gone */

/* --- build.c -------------------------------------------------------------- */
void		 build_want(struct service *);		/* queue for a slot */
void		 build_cancel(struct service *);	/* dequeue or kill */
void		 build_linger(struct service *);	/* for its tree */
void		 build_exited(struct service *, int code, int sig);
int		 build_needed(const struct service *, uint32_t mode);

/* --- mode.c --------------------------------------------------------------- */
void		 mode_init(void);		/* initial mode, at the start */
uint32_t	 mode_now(void);
void		 mode_set(uint32_t, const char *who);
void		 mode_activity(void);
void		 mode_fill(struct wire_mode *);
void		 mode_reconfigured(void);

/* --- events.c ------------------------------------------------------------- */
/* A zeroed record of the ring with time, seq and name filled in. NULL: keepd. */
struct wire_event *event_begin(struct service *, uint32_t kind);
void		 event_publish(struct wire_event *);
void		 event_note(struct service *, uint32_t kind, const char *who,
		    const char *detail);
struct wire_event *event_ring_new(void);	/* NULL and errno */
void		 event_ring_free(struct wire_event *);
/* The nth oldest that is kept; NULL when there are less. */
const struct wire_event *event_at(const struct service *, unsigned int);

/* --- push.c --------------------------------------------------------------- */
void		 push_state(struct service *);		/* soon */
void		 push_mode(void);
void		 push_forget(struct service *);
void		 push_all(void);			/* a fresh frontend */
void		 push_flush(void);			/* once a loop turn */
size_t		 push_text(const struct service *, struct wire_text *, char *,
		    size_t);				/* bytes of the tail */

/* --- logs.c --------------------------------------------------------------- */
void		 logs_init(void);
void		 logs_run(struct service *, uint32_t kind, uint32_t run);
void		 logs_attach(struct service *, uint32_t kind, uint32_t run,
		    uint32_t stream, int fd);
void		 logs_run_over(struct service *, uint32_t kind, uint32_t run,
		    int code, int sig);
void		 logs_flush(void);			/* once a loop turn */
void		 logs_forget(struct service *);		/* all its pipes */
void		 logs_up(int fd);			/* a fresh logger */

/* --- auth.c --------------------------------------------------------------- */
void		 auth_names(void);	/* at configuration time: passwd, group */
void		 auth_identify(struct identity *, uint32_t uid,
		    const gid_t *, size_t, int network);
void		 auth_see(struct identity *);	/* fills visible anew */
void		 auth_nobody(struct identity *, const char *why);
uint32_t	 auth_role(const struct identity *, const struct service *);
int		 auth_visible(const struct identity *, const struct service *);
const char	*auth_user(uint32_t uid);	/* NULL: not known */
const char	*auth_home(uint32_t uid);	/* NULL: not known */

/* --- diag_linux.c --------------------------------------------------------- */
int		 diag_init(void);
/* uid of the client's socket; -1: the kernel knows no such socket. */
int		 diag_peer_uid(const struct wire_peeraddr *, uint32_t *);
int		 diag_listening(uint32_t port);		/* 1 yes, 0 no */

/* --- front.c -------------------------------------------------------------- */
void		 front_up(int fd);			/* a fresh frontend */
void		 front_regrant(void);		/* a fresh logger */
void		 front_no_logger(void);
void		 front_granted(uint32_t conn);
void		 front_reidentify(void);	/* after a configuration */

/* --- wait.c --------------------------------------------------------------- */
void		 wait_add(struct service *, const struct asker *,
		    const struct wire_wait *);
void		 wait_changed(struct service *);	/* its state did */
void		 wait_exited(struct service *);	/* its main process ended */
void		 wait_gone(struct service *);		/* it was removed */
void		 wait_drop(uint32_t conn, uint32_t serial);
void		 wait_drop_conn(uint32_t);		/* 0: all of the frontend */
void		 wait_drop_ctl(struct ctl *);
unsigned int	 wait_count(void);			/* of the frontend */

/* --- control.c ------------------------------------------------------------ */
void		 control_listen(int fd);
void		 control_send(struct ctl *, uint32_t frame,
		    struct wire_result *, const char *);
void		 control_event(const struct wire_event *);
void		 control_reloaded(struct link *, struct imsg *);
void		 control_reidentify(void);
struct link	*control_link(struct ctl *);

/* --- target.c ------------------------------------------------------------- */
/* The services that match, at most max; returns their number. */
size_t		 target_find(const struct wire_target *, const struct identity *,
		    struct service **, size_t max);
const char	*target_hint(const char *, const struct identity *); /* or NULL */

/* --- relay.c -------------------------------------------------------------- */
void		 relay_query(struct ctl *, uint32_t frame, struct service *,
		    const struct wire_query *, const void *, size_t);
void		 relay_fail(struct ctl *, uint32_t frame, uint32_t code,
		    const char *);
void		 relay_credit(struct ctl *, uint32_t frame, uint32_t bytes);
void		 relay_cancel(struct ctl *, uint32_t frame);
void		 relay_drop_ctl(struct ctl *);
void		 relay_down(void);		/* the logger is gone */
void		 relay_data(struct link *, struct imsg *);
void		 relay_end(struct link *, struct imsg *);

/* --- cgroup_linux.c ------------------------------------------------------- */
void		 cgroup_init(const char *);	/* the parent's for us, or NULL */
/* The cgroup of what is to be started, for the fork; -1: it has none. */
int		 cgroup_open(const struct service *, int build);
pid_t		 cgroup_fork(int);	/* fork(2) into there */
/* 1: the mark of the service or build that this process is in. */
int		 cgroup_mark(pid_t, uint32_t *mark);
void		 cgroup_kill(const struct service *, int build);
void		 cgroup_remove(const struct service *, int build);

/* --- tree_linux.c --------------------------------------------------------- */
/* One process below the supervisor that is not a zombie. */
struct treeproc {
	pid_t		 pid;
	pid_t		 root;		/* our direct child that it descends from */
	pid_t		 pgid;
	pid_t		 sid;
	uint64_t	 start;		/* clock ticks since boot */
	char		 comm[16];
	int		 wanted;	/* reap.c's own mark */
};
struct tree {
	struct treeproc	*v;
	size_t		 n;
	size_t		 size;
};
int		 tree_init(void);
/* 1: we have a direct child that is none of struct child's; 0: not.  Who they
 * are is known from the last look until tree_forget(). */
int		 tree_strays(void);
void		 tree_forget(void);		/* at least once a loop turn */
void		 tree_reaped(pid_t);		/* this stray is gone */
/* Our descendants, without what descends from other services' children when
 * one is given.  The array belongs to the tree and is used again. */
void		 tree_scan(struct tree *, const struct service *);
/* 1: the mark that this process of ours was started with. */
int		 tree_marked(pid_t, uint32_t *mark);
/* Signal exactly this process, if it still is this one. */
void		 signal_default(int);
int		 tree_signal(const struct treeproc *, int);

#endif
