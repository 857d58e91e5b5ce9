/*
 * The supervisor: starts, watches and stops the services, and decides who may
 * ask for what.  This file holds its start, its links to the other processes
 * and its own end.
 */
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "privdrop.h"
#include "sandbox.h"
#include "util.h"

#include "supervisor.h"

#define PARENT_FD	3
#define PRIORITIES	2	/* new events get 1 */
#define KILL_ROUNDS_MS	20	/* between the last kills at keepd's end */
#define KILL_ROUNDS	250

struct options {
	struct privdrop	 drop;
	int		 foreground;
	int		 verbose;
	int		 best_effort;
	const char	*cgroup;	/* made for us, or NULL */
};

struct supervisor	 sup;

static struct event	 term_ev, int_ev, hup_ev;
static struct event	 last_ev;
static int		 last_rounds;

struct service *
service_next(const struct service *s)
{
	uint32_t	 id = s == NULL ? 0 : s->id + 1;

	for (; id < sup.id_end; id++)
		if (sup.services[id] != NULL)
			return (sup.services[id]);
	return (NULL);
}

/* --- the end -------------------------------------------------------------- */
static void
supervisor_stopped(void)
{
	if (sup.stopped_sent)
		return;
	sup.stopped_sent = 1;
	log_info("all services are stopped");
	if (sup.orphaned || sup.parent == NULL)
		sup.quit = 1;
	else
		link_send(sup.parent, IMSG_STOPPED, 0, -1, NULL, 0);
}

/* Every service is stopped; what else descends from us goes the hard way. */
static void
last_round(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval	 tv = { 0, KILL_ROUNDS_MS * 1000 };

	(void)fd;
	(void)what;
	(void)arg;
	if (reap_kill_all() == 0 || ++last_rounds > KILL_ROUNDS)
		supervisor_stopped();
	else
		evtimer_add(&last_ev, &tv);
}

static int
all_gone(void)
{
	struct service	*s;

	SERVICE_FOREACH(s)
		if (service_alive(s) && s->st.state != ST_FAILED)
			return (0);
	TAILQ_FOREACH(s, &sup.orphans, orphan_entry)
		if (service_alive(s) && s->st.state != ST_FAILED)
			return (0);
	return (1);
}

void
supervisor_check_stopped(void)
{
	if (!sup.shutting_down || sup.stopped_sent || sup.ending ||
	    !all_gone())
		return;
	sup.ending = 1;
	last_round(-1, 0, NULL);
}

static void
supervisor_shutdown(int force)
{
	struct service	*s, *next;

	if (!sup.shutting_down)
		event_note(NULL, EV_ACTION, "", force ? "shutdown at once" :
		    "shutdown");
	sup.shutting_down = 1;
	SERVICE_FOREACH(s)
		service_halt(s, force);
	TAILQ_FOREACH_SAFE(s, &sup.orphans, orphan_entry, next)
		service_halt(s, force);
	supervisor_check_stopped();
}

/* --- the parent ----------------------------------------------------------- */
static void
parent_peer(struct link *l, struct imsg *imsg)
{
	uint32_t	 id = imsg_get_id(imsg);
	int		 fd = imsg_get_fd(imsg);

	(void)l;
	if (id == PEER_FRONTEND)
		front_up(fd);
	else if (id == PEER_LOGGER)
		logs_up(fd);
	else if (fd != -1)
		close(fd);
}

static void
parent_start(struct link *l, struct imsg *imsg)
{
	(void)l;
	(void)imsg;
	if (sup.started)
		return;
	sup.started = 1;
	conf_autostart();
}

static void
parent_verbose(struct link *l, struct imsg *imsg)
{
	struct wire_u32	 w;

	(void)l;
	if (imsg_get_data(imsg, &w, sizeof(w)) == 0)
		log_setverbose((int)w.value);
}

static void
parent_shutdown(struct link *l, struct imsg *imsg)
{
	struct wire_u32	 w;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1)
		link_refuse(l, "bad SHUTDOWN");
	else
		supervisor_shutdown(w.value != 0);
}

static const struct permit parent_permits[] = {
	{ IMSG_PEER,		LINK_ANY,	parent_peer },
	{ IMSG_CONF_BEGIN,	LINK_IDLE,	conf_begin },
	{ IMSG_CONF_GLOBAL,	LINK_CONF,	conf_global },
	{ IMSG_CONF_SERVICE,	LINK_CONF,	conf_service },
	{ IMSG_CONF_STR,	LINK_CONF,	conf_str },
	{ IMSG_CONF_PORT,	LINK_CONF,	conf_port },
	{ IMSG_CONF_ADMIN,	LINK_CONF,	conf_admin },
	{ IMSG_CONF_CONTROL,	LINK_CONF,	conf_control },
	{ IMSG_CONF_END,	LINK_CONF,	conf_end },
	{ IMSG_START,		LINK_IDLE,	parent_start },
	{ IMSG_VERBOSE,		LINK_ANY,	parent_verbose },
	{ IMSG_SHUTDOWN,	LINK_ANY,	parent_shutdown },
	{ IMSG_RELOADED,	LINK_ANY,	control_reloaded },
	{ IMSG_NONE,		0,		NULL }
};

/* The parent is gone: nobody could start us again, so services end, too. */
static void
parent_lost(struct link *l, const char *reason)
{
	log_setsink(NULL);
	if (!sup.stopped_sent)
		log_warnx("the parent is gone (%s): stopping all services",
		    reason);
	link_free(l);
	sup.parent = NULL;
	sup.orphaned = 1;
	if (sup.stopped_sent) {
		sup.quit = 1;
		return;
	}
	supervisor_shutdown(0);
}

static const struct link_ops parent_ops = { parent_lost, NULL };

static void
parent_log(int level, const char *line)
{
	struct wire_u32	 w = { (uint32_t)level };
	static int	 busy;

	/* What goes wrong on this very link is not told on it. */
	if (busy || sup.parent == NULL)
		return;
	busy = 1;
	link_send2(sup.parent, IMSG_LOG, 0, -1, &w, sizeof(w), line,
	    strnlen(line, ERRTEXT_SIZE));
	busy = 0;
}

/* --- start ---------------------------------------------------------------- */
/* A ^C on the terminal reaches the whole group: the parent decides. */
static void
signal_ignored(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
}

static void
signals_default(void)
{
	sigset_t	 none;
	int		 sig;

	/* What keepd's own starter ignored is not for services (nohup). */
	for (sig = 1; sig < NSIG; sig++)
		signal_default(sig);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void
signals_init(void)
{
	evsignal_assign(&term_ev, sup.base, SIGTERM, signal_ignored, NULL);
	evsignal_assign(&int_ev, sup.base, SIGINT, signal_ignored, NULL);
	evsignal_assign(&hup_ev, sup.base, SIGHUP, signal_ignored, NULL);
	if (event_add(&term_ev, NULL) == -1 ||
	    event_add(&int_ev, NULL) == -1 || event_add(&hup_ev, NULL) == -1)
		fatal("signals");
	reap_init();
}

static void
base_init(void)
{
	struct event_config	*cfg;

	/* Delays are kept by the millisecond. */
	if ((cfg = event_config_new()) == NULL ||
	    event_config_set_flag(cfg, EVENT_BASE_FLAG_PRECISE_TIMER) == -1 ||
	    (sup.base = event_base_new_with_config(cfg)) == NULL)
		fatalx("event loop");
	event_config_free(cfg);
	/* The end of a process goes before all else that is ready. */
	if (event_base_priority_init(sup.base, PRIORITIES) == -1)
		fatalx("event loop");
}

static uint32_t
option_number(const char *s)
{
	const char	*why;
	uint32_t	 n;

	n = (uint32_t)strtonum(s, 0, UINT32_MAX - 1, &why);
	if (why != NULL)
		fatalx("%s: %s", s, why);
	return (n);
}

static void
options_read(struct options *o, int argc, char *argv[])
{
	int	 ch;

	memset(o, 0, sizeof(*o));
	while ((ch = getopt(argc, argv, "bc:dSvu:g:C:")) != -1)
		switch (ch) {
		case 'b':
			o->best_effort = 1;
			break;
		case 'c':
			o->cgroup = optarg;
			break;
		case 'd':
			o->foreground = 1;
			break;
		case 'S':
			break;		/* CONF_GLOBAL says it again */
		case 'v':
			o->verbose++;
			break;
		case 'u':
			o->drop.uid = option_number(optarg);
			break;
		case 'g':
			o->drop.gid = option_number(optarg);
			break;
		case 'C':
			break;		/* services need the whole tree */
		default:
			fatalx("unknown option");
		}
}

static void
supervisor_ready(unsigned int layers)
{
	struct wire_u32	 w = { layers };

	link_send(sup.parent, IMSG_READY, 0, -1, &w, sizeof(w));
}

static unsigned int
lock_up(const struct options *o)
{
	struct sandbox_opts	 so = { o->best_effort, 0 };

	privdrop(ROLE_SUPERVISOR, &o->drop);
	return (sandbox_enter(ROLE_SUPERVISOR, &so));
}

/* What the loop leaves undone is done once a turn. */
static void
supervisor_loop(void)
{
	while (!sup.quit) {
		if (event_base_loop(sup.base, EVLOOP_ONCE) == -1)
			fatalx("event loop");
		tree_forget();
		if (spawn_busy())
			continue;
		logs_flush();
		conf_collect();
		push_flush();
	}
}

int
main(int argc, char *argv[])
{
	struct options	 o;
	unsigned int	 layers;

	log_init("supervisor", 1);
	if (fcntl(PARENT_FD, F_GETFD) == -1)
		fatalx("started by hand: this program is keepd's own");
	options_read(&o, argc, argv);
	log_setverbose(o.verbose);
	signals_default();
	sandbox_prepare(ROLE_SUPERVISOR);
	layers = lock_up(&o);
	TAILQ_INIT(&sup.orphans);
	sup.boot_ms = now_ms();
	base_init();
	sup.parent = link_new(sup.base, "parent", PARENT_FD, LINK_FDPASS,
	    parent_permits, &parent_ops, NULL);
	if (sup.parent == NULL)
		fatal("link to the parent");
	log_setsink(parent_log);
	spawn_init();
	logs_init();
	signals_init();
	if (tree_init() == -1)
		fatal("/proc: children of this process");
	cgroup_init(o.cgroup);
	if (diag_init() == -1)
		log_warn("sock_diag: TCP clients cannot be told apart");
	evtimer_assign(&last_ev, sup.base, last_round, NULL);
	supervisor_ready(layers);
	supervisor_loop();
	return (0);
}
