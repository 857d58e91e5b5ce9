/*
 * logger: takes in what services write, keeps it in rings, answers queries
 * about it.  This file is the process: its start, its links, the table of
 * logs.  It never looks at a pattern and never waits for a reader.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <event2/event.h>

#include "log.h"
#include "logger.h"
#include "options.h"
#include "privdrop.h"
#include "sandbox.h"
#include "util.h"

#define LINK_FD		3
#define ARGS_MAX	24

extern char	**environ;

struct event_base	*logger_base;
struct wire_global	 logger_global;

static struct log	*logs[MAX_SERVICES][RING_KINDS];
static struct link	*parent, *supervisor, *frontend;
static struct options	 options;
static struct wire_serial conf;

static void	handle_peer(struct link *, struct imsg *);
static void	handle_begin(struct link *, struct imsg *);
static void	handle_global(struct link *, struct imsg *);
static void	handle_ring(struct link *, struct imsg *);
static void	handle_ring_ro(struct link *, struct imsg *);
static void	handle_gone(struct link *, struct imsg *);
static void	handle_end(struct link *, struct imsg *);
static void	handle_start(struct link *, struct imsg *);
static void	handle_verbose(struct link *, struct imsg *);
static void	handle_shutdown(struct link *, struct imsg *);
static void	handle_run(struct link *, struct imsg *);
static void	handle_attach(struct link *, struct imsg *);
static void	handle_run_end(struct link *, struct imsg *);
static void	handle_grant(struct link *, struct imsg *);
static void	handle_revoke(struct link *, struct imsg *);

/* States of the parent's link: configuration items only in a transaction. */
#define ST_IDLE		0x1
#define ST_CONF		0x2

static const struct permit parent_permits[] = {
	{ IMSG_PEER,		LINK_ANY,	handle_peer },
	{ IMSG_CONF_BEGIN,	ST_IDLE,	handle_begin },
	{ IMSG_CONF_GLOBAL,	ST_CONF,	handle_global },
	{ IMSG_CONF_RING,	ST_CONF,	handle_ring },
	{ IMSG_CONF_RING_RO,	ST_CONF,	handle_ring_ro },
	{ IMSG_GONE,		ST_CONF,	handle_gone },
	{ IMSG_CONF_END,	ST_CONF,	handle_end },
	{ IMSG_START,		ST_IDLE,	handle_start },
	{ IMSG_VERBOSE,		LINK_ANY,	handle_verbose },
	{ IMSG_SHUTDOWN,	LINK_ANY,	handle_shutdown },
	{ 0, 0, NULL }
};
static const struct permit supervisor_permits[] = {
	{ IMSG_RUN,		LINK_ANY,	handle_run },
	{ IMSG_ATTACH,		LINK_ANY,	handle_attach },
	{ IMSG_RUN_END,		LINK_ANY,	handle_run_end },
	{ IMSG_GRANT,		LINK_ANY,	handle_grant },
	{ IMSG_REVOKE,		LINK_ANY,	handle_revoke },
	{ IMSG_QUERY,		LINK_ANY,	query_new },
	{ IMSG_CREDIT,		LINK_ANY,	query_credit },
	{ IMSG_CANCEL,		LINK_ANY,	query_cancel },
	{ 0, 0, NULL }
};
static const struct permit frontend_permits[] = {
	{ IMSG_QUERY,		LINK_ANY,	query_new },
	{ IMSG_CREDIT,		LINK_ANY,	query_credit },
	{ IMSG_CANCEL,		LINK_ANY,	query_cancel },
	{ 0, 0, NULL }
};

/* --- links --------------------------------------------------------------- */

static void
log_sink(int level, const char *line)
{
	struct wire_u32 w = { level };

	if (parent == NULL)
		fprintf(stderr, "logger: %s\n", line);
	else
		(void)link_send2(parent, IMSG_LOG, 0, -1, &w, sizeof(w), line,
		    strnlen(line, FRAME_MAX - sizeof(w)));
}

/* Without parent or supervisor there is no point; the parent starts us anew,
 * and nothing is lost, because the rings and the pipes are kept by others. */
static void
essential_closed(struct link *l, const char *why)
{
	log_notice("%s: %s: exiting", link_name(l), why);
	if (l != parent)
		(void)link_flush(parent);
	_exit(1);
}

/* The frontend may come and go. */
static void
frontend_closed(struct link *l, const char *why)
{
	log_info("frontend: %s", why);
	query_drop_link(l);
	if (frontend == l)
		frontend = NULL;
	link_free(l);
}

static const struct link_ops parent_ops = { essential_closed, NULL };
static const struct link_ops supervisor_ops = { essential_closed,
	query_pump_link };
static const struct link_ops frontend_ops = { frontend_closed,
	query_pump_link };

static void
peer_supervisor(int fd)
{
	struct link *old = supervisor;

	supervisor = link_new(logger_base, "supervisor", fd, LINK_FDPASS,
	    supervisor_permits, &supervisor_ops, NULL);
	if (supervisor == NULL)
		fatal("link_new");
	if (old != NULL) {
		query_drop_link(old);
		link_free(old);
	}
}

/* The argument tells query.c that grants count on this link. */
static void
peer_frontend(int fd)
{
	struct link *old = frontend;

	frontend = link_new(logger_base, "frontend", fd, 0, frontend_permits,
	    &frontend_ops, &frontend);
	if (frontend == NULL)
		fatal("link_new");
	if (old != NULL) {
		query_drop_link(old);
		link_free(old);
	}
}

static void
handle_peer(struct link *l, struct imsg *imsg)
{
	int fd = imsg_get_fd(imsg);

	if (fd == -1) {
		link_refuse(l, "no descriptor");
	} else if (imsg_get_id(imsg) == PEER_SUPERVISOR) {
		peer_supervisor(fd);
	} else if (imsg_get_id(imsg) == PEER_FRONTEND) {
		peer_frontend(fd);
	} else {
		close(fd);
		link_refuse(l, "unknown peer");
	}
}

void
logger_drained(uint32_t service, const struct wire_attach *w)
{
	if (supervisor != NULL)
		(void)link_send(supervisor, IMSG_DRAINED, service, -1, w,
		    sizeof(*w));
}

/* --- logs ---------------------------------------------------------------- */

struct log *
logger_log(uint32_t service, uint32_t kind)
{
	if (service >= MAX_SERVICES || kind >= RING_KINDS)
		return (NULL);
	return (logs[service][kind]);
}

static void
log_free(struct log *l)
{
	query_drop_log(l);
	source_drop(l);
	ring_close(&l->ring);
	close(l->fd);
	if (l->fd_ro != -1)
		close(l->fd_ro);
	logs[l->service][l->kind] = NULL;
	free(l);
}

static struct log *
log_new(uint32_t service, const struct wire_ring *w, int fd)
{
	struct log *l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return (NULL);
	if (ring_open(&l->ring, fd, w) == -1) {
		free(l);
		return (NULL);
	}
	l->service = service;
	l->kind = w->kind;
	memcpy(l->name, w->name, sizeof(l->name));
	l->fd = fd;
	l->fd_ro = -1;
	l->conf = *w;
	TAILQ_INIT(&l->sources);
	TAILQ_INIT(&l->watchers);
	logs[service][w->kind] = l;
	return (l);
}

/* A ring message's struct and descriptor; -1: refused. */
static int
ring_get(struct link *l, struct imsg *imsg, struct wire_ring *w)
{
	int fd = imsg_get_fd(imsg);

	if (fd == -1 || imsg_get_data(imsg, w, sizeof(*w)) == -1 ||
	    imsg_get_id(imsg) >= MAX_SERVICES || w->kind >= RING_KINDS ||
	    !proto_str_ok(w->name, sizeof(w->name))) {
		if (fd != -1)
			close(fd);
		link_refuse(l, "bad ring");
		return (-1);
	}
	return (fd);
}

static void
handle_ring(struct link *l, struct imsg *imsg)
{
	struct wire_ring	 w;
	struct log		*old;
	int			 fd;

	if ((fd = ring_get(l, imsg, &w)) == -1)
		return;
	if ((old = logger_log(imsg_get_id(imsg), w.kind)) != NULL)
		log_free(old);
	if (log_new(imsg_get_id(imsg), &w, fd) == NULL) {
		log_warn("%s: opening its ring", w.name);
		close(fd);
	}
}

static void
handle_ring_ro(struct link *l, struct imsg *imsg)
{
	struct wire_ring	 w;
	struct log		*log;
	int			 fd;

	if ((fd = ring_get(l, imsg, &w)) == -1)
		return;
	if ((log = logger_log(imsg_get_id(imsg), w.kind)) == NULL) {
		close(fd);
		return;		/* it could not be opened */
	}
	if (log->fd_ro != -1)
		close(log->fd_ro);
	log->fd_ro = fd;
}

static void
handle_gone(struct link *l, struct imsg *imsg)
{
	struct log	*log;
	uint32_t	 kind;

	(void)l;
	for (kind = 0; kind < RING_KINDS; kind++)
		if ((log = logger_log(imsg_get_id(imsg), kind)) != NULL)
			log_free(log);
}

/* --- configuration and the like ----------------------------------------- */

static void
handle_begin(struct link *l, struct imsg *imsg)
{
	if (imsg_get_data(imsg, &conf, sizeof(conf)) == -1)
		link_refuse(l, "bad serial");
	else
		link_state_set(l, ST_CONF);
}

static void
handle_global(struct link *l, struct imsg *imsg)
{
	if (imsg_get_data(imsg, &logger_global, sizeof(logger_global)) == -1)
		link_refuse(l, "bad configuration");
}

static void
handle_end(struct link *l, struct imsg *imsg)
{
	struct wire_serial w;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1 ||
	    w.serial != conf.serial) {
		link_refuse(l, "bad serial");
		return;
	}
	link_state_set(l, ST_IDLE);
	(void)link_send(l, IMSG_CONF_DONE, 0, -1, &w, sizeof(w));
}

/* We take in output and answer queries as soon as we are given them. */
static void
handle_start(struct link *l, struct imsg *imsg)
{
	(void)l;
	(void)imsg;
	log_debug("started");
}

static void
handle_verbose(struct link *l, struct imsg *imsg)
{
	struct wire_u32 w;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1) {
		link_refuse(l, "bad level");
		return;
	}
	log_setverbose(w.value);
	search_verbose(w.value);
}

/* What is in the pipes still goes to the echo. */
static void
handle_shutdown(struct link *l, struct imsg *imsg)
{
	uint32_t i, kind;

	(void)l;
	(void)imsg;
	for (i = 0; i < MAX_SERVICES; i++)
		for (kind = 0; kind < RING_KINDS; kind++)
			if (logs[i][kind] != NULL)
				source_drain(logs[i][kind], 0);
	_exit(0);
}

/* --- runs, pipes, grants ------------------------------------------------- */

static struct log *
run_get(struct link *l, struct imsg *imsg, struct wire_run *w)
{
	if (imsg_get_data(imsg, w, sizeof(*w)) == -1 || w->run == 0 ||
	    imsg_get_id(imsg) >= MAX_SERVICES || w->kind >= RING_KINDS) {
		link_refuse(l, "bad run");
		return (NULL);
	}
	return (logger_log(imsg_get_id(imsg), w->kind));
}

static void
handle_run(struct link *l, struct imsg *imsg)
{
	struct wire_run	 w;
	struct log	*log;

	if ((log = run_get(l, imsg, &w)) == NULL)
		return;
	if (ring_run_begin(&log->ring, w.run, w.time_ms) == -1) {
		log_warnx("%s: run %u is older than the newest", log->name,
		    w.run);
		return;
	}
	source_run(log, w.run);
	query_news(log);
}

static void
handle_attach(struct link *l, struct imsg *imsg)
{
	struct wire_attach	 w;
	struct log		*log;
	int			 fd = imsg_get_fd(imsg);

	if (fd == -1 || imsg_get_data(imsg, &w, sizeof(w)) == -1 ||
	    w.run == 0 || w.stream >= RING_STREAMS || w.kind >= RING_KINDS ||
	    imsg_get_id(imsg) >= MAX_SERVICES) {
		if (fd != -1)
			close(fd);
		link_refuse(l, "bad attach");
		return;
	}
	if ((log = logger_log(imsg_get_id(imsg), w.kind)) == NULL) {
		log_warnx("service %u has no ring: its output is not taken",
		    imsg_get_id(imsg));
		close(fd);
		logger_drained(imsg_get_id(imsg), &w);
		return;
	}
	source_attach(log, &w, fd);
}

static void
handle_run_end(struct link *l, struct imsg *imsg)
{
	struct wire_run	 w;
	struct log	*log;

	if ((log = run_get(l, imsg, &w)) == NULL)
		return;
	source_drain(log, w.run);
	ring_run_end(&log->ring, w.run, w.time_ms, w.exit_code, w.signal);
	query_news(log);
}

static void
handle_grant(struct link *l, struct imsg *imsg)
{
	struct wire_grant w;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1) {
		link_refuse(l, "bad grant");
		return;
	}
	if (grant_set(imsg_get_id(imsg), &w) == -1)
		log_warn("grant");
	(void)link_send(l, IMSG_GRANTED, imsg_get_id(imsg), -1, NULL, 0);
}

static void
handle_revoke(struct link *l, struct imsg *imsg)
{
	(void)l;
	grant_drop(imsg_get_id(imsg));
}

/* --- start --------------------------------------------------------------- */

/* The searcher lies beside us. */
static void
searcher_path(char *buf, size_t size)
{
	char	*slash;
	ssize_t	 n;

	n = readlink("/proc/self/exe", buf, size - sizeof("/searcher"));
	if (n <= 0)
		fatal("/proc/self/exe");
	buf[n] = '\0';
	if ((slash = strrchr(buf, '/')) == NULL)
		fatalx("/proc/self/exe is no path");
	*slash = '\0';
	strlcat(buf, "/searcher", size);
}

/* It gets our options; it drops privilege and locks itself up by itself. */
static int
searcher_spawn(int argc, char *argv[])
{
	static char			 name[] = "keepd: searcher";
	posix_spawn_file_actions_t	 fa;
	char				 path[PATH_SIZE], *args[ARGS_MAX];
	pid_t				 pid;
	int				 sv[2], i, error;

	if (argc >= ARGS_MAX)
		fatalx("too many options");
	args[0] = name;
	for (i = 1; i <= argc; i++)
		args[i] = argv[i];
	searcher_path(path, sizeof(path));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		fatal("socketpair");
	if ((error = posix_spawn_file_actions_init(&fa)) != 0 ||
	    (error = posix_spawn_file_actions_adddup2(&fa, sv[1],
	    LINK_FD)) != 0 ||
	    (error = posix_spawn(&pid, path, &fa, NULL, args, environ)) != 0) {
		errno = error;
		fatal("%s", path);
	}
	posix_spawn_file_actions_destroy(&fa);
	close(sv[1]);
	return (sv[0]);
}

int
main(int argc, char *argv[])
{
	struct sandbox_opts	 so = { 0, 0 };
	struct wire_u32		 layers;
	int			 fd;

	if (options_parse(&options, argc, argv) == -1)
		return (2);
	log_init("logger", 1);
	log_setverbose(options.verbose);
	log_setsink(log_sink);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN);	/* of a terminal: the parent decides */
	if ((logger_base = event_base_new()) == NULL || source_init() == -1)
		fatal("event_base_new");
	echo_init();
	sandbox_prepare(ROLE_LOGGER);
	fd = searcher_spawn(argc, argv);
	privdrop(ROLE_LOGGER, &options.drop);
	parent = link_new(logger_base, "parent", LINK_FD, LINK_FDPASS,
	    parent_permits, &parent_ops, NULL);
	if (parent == NULL)
		fatal("link_new");
	search_init(fd);
	so.best_effort = options.best_effort;
	layers.value = sandbox_enter(ROLE_LOGGER, &so);
	(void)link_send(parent, IMSG_READY, 0, -1, &layers, sizeof(layers));
	event_base_dispatch(logger_base);
	return (1);
}
