/*
 * The frontend: HTTP and MCP for whoever may connect.  Holds listening sockets
 * and nothing that could be executed; asks the supervisor and the logger, which
 * check every question again.  This file: start-up, links, who may say what.
 */
#include <sys/types.h>

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "frontend.h"
#include "log.h"
#include "privdrop.h"
#include "sandbox.h"
#include "util.h"

#define PARENT_FD		3
#define SHUTDOWN_GRACE_MS	300	/* to write what is under way */

/* States of the parent's link. */
#define PS_IDLE			0x01
#define PS_CONF			0x02	/* between CONF_BEGIN and CONF_END */

struct event_base	*base;
struct wire_global	 global;
struct link		*supervisor_link;
struct link		*logger_link;
uint32_t		 conf_serial;

static struct link	*parent_link;
static struct event	*exit_event;

/* --- links --------------------------------------------------------------- */

static const struct permit supervisor_permits[] = {
	{ IMSG_IDENTITY,	LINK_ANY,	conn_identity },
	{ IMSG_MODE,		LINK_ANY,	services_mode },
	{ IMSG_STATE,		LINK_ANY,	services_state },
	{ IMSG_GONE,		LINK_ANY,	services_gone },
	{ IMSG_TEXT,		LINK_ANY,	services_text },
	{ IMSG_RESULT,		LINK_ANY,	ask_result },
	{ IMSG_LOGS_READY,	LINK_ANY,	query_logs_ready },
	{ 0, 0, NULL }
};

static const struct permit logger_permits[] = {
	{ IMSG_DATA,		LINK_ANY,	query_data },
	{ IMSG_END,		LINK_ANY,	query_end },
	{ 0, 0, NULL }
};

/* Without these two there is nothing to do here; the parent starts afresh. */
static void
vital_closed(struct link *link, const char *why)
{
	if (link != parent_link) {
		log_warnx("link to the %s: %s", link_name(link), why);
		if (parent_link != NULL)
			(void)link_flush(parent_link);
	}
	exit(1);
}

static void
logger_closed(struct link *link, const char *why)
{
	log_info("link to the logger: %s", why);
	link_free(link);
	if (link != logger_link)
		return;
	logger_link = NULL;
	query_link_lost();
}

static const struct link_ops vital_ops = { vital_closed, NULL };
static const struct link_ops logger_ops = { logger_closed, NULL };

static void
parent_peer(struct link *link, struct imsg *imsg)
{
	int	 fd = imsg_get_fd(imsg);

	switch (imsg_get_id(imsg)) {
	case PEER_SUPERVISOR:
		if (supervisor_link != NULL)
			link_free(supervisor_link);
		supervisor_link = link_new(base, "supervisor", fd, 0,
		    supervisor_permits, &vital_ops, NULL);
		if (supervisor_link == NULL)
			fatal("link to the supervisor");
		break;
	case PEER_LOGGER:
		if (logger_link != NULL) {
			link_free(logger_link);
			logger_link = NULL;
			query_link_lost();
		}
		logger_link = link_new(base, "logger", fd, 0, logger_permits,
		    &logger_ops, NULL);
		if (logger_link == NULL)
			fatal("link to the logger");
		query_link_ready();
		break;
	default:
		close(fd);
		link_refuse(link, "no such peer");
	}
}

/* --- configuration ------------------------------------------------------- */

static void
conf_begin(struct link *link, struct imsg *imsg)
{
	struct wire_serial	ws;

	if (imsg_get_data(imsg, &ws, sizeof(ws)) == -1) {
		link_refuse(link, "bad serial");
		return;
	}
	hosts_clear();
	services_begin();
	link_state_set(link, PS_CONF);
}

static void
conf_global(struct link *link, struct imsg *imsg)
{
	struct wire_global	wg;

	if (imsg_get_data(imsg, &wg, sizeof(wg)) == -1 ||
	    !proto_str_ends(wg.socket_path, sizeof(wg.socket_path))) {
		link_refuse(link, "bad global");
		return;
	}
	global = wg;
	log_setverbose(wg.verbose);
	http_limits();
}

static void
conf_listen(struct link *link, struct imsg *imsg)
{
	struct wire_listen	wl;
	int			fd = imsg_get_fd(imsg);

	if (imsg_get_data(imsg, &wl, sizeof(wl)) == -1 ||
	    wl.kind > LISTEN_UNIX || !proto_str_ok(wl.address,
	    sizeof(wl.address)) || !proto_str_ends(wl.path, sizeof(wl.path))) {
		if (fd != -1)
			close(fd);
		link_refuse(link, "bad listen");
		return;
	}
	if (http_listen(&wl, fd) == -1)
		log_warnx("cannot listen: too many addresses");
}

static void
conf_name(struct link *link, struct imsg *imsg)
{
	struct ibuf	view;

	if (imsg_get_ibuf(imsg, &view) == -1) {
		link_refuse(link, "bad name");
		return;
	}
	if (imsg_get_type(imsg) == IMSG_CONF_HOST)
		hosts_add(ibuf_data(&view), ibuf_size(&view));
	else
		origins_add(ibuf_data(&view), ibuf_size(&view));
}

static void
conf_public(struct link *link, struct imsg *imsg)
{
	struct wire_public	wp;

	if (imsg_get_data(imsg, &wp, sizeof(wp)) == -1 ||
	    imsg_get_id(imsg) >= MAX_SERVICES || wp.ceiling > ROLE_MANAGE ||
	    !proto_str_ok(wp.name, sizeof(wp.name)) ||
	    !proto_str_ok(wp.group, sizeof(wp.group)) ||
	    !proto_str_ends(wp.description, sizeof(wp.description))) {
		link_refuse(link, "bad service");
		return;
	}
	services_public(imsg_get_id(imsg), &wp);
}

static void
conf_end(struct link *link, struct imsg *imsg)
{
	struct wire_serial	ws;

	if (imsg_get_data(imsg, &ws, sizeof(ws)) == -1) {
		link_refuse(link, "bad serial");
		return;
	}
	conf_serial = ws.serial;
	services_end();
	link_state_set(link, PS_IDLE);
	(void)link_send(link, IMSG_CONF_DONE, 0, -1, &ws, sizeof(ws));
}

/* --- the rest of what the parent says ------------------------------------ */

static void
parent_start(struct link *link, struct imsg *imsg)
{
	(void)link;
	(void)imsg;
	http_start();
}

static void
parent_verbose(struct link *link, struct imsg *imsg)
{
	struct wire_u32	wu;

	if (imsg_get_data(imsg, &wu, sizeof(wu)) == -1)
		link_refuse(link, "bad level");
	else
		log_setverbose(wu.value);
}

static void
exit_cb(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	exit(0);
}

static void
parent_shutdown(struct link *link, struct imsg *imsg)
{
	struct timeval	tv = { 0, SHUTDOWN_GRACE_MS * 1000 };

	(void)link;
	(void)imsg;
	http_stop();
	calls_finish();
	conn_finish();
	exit_event = event_new(base, -1, 0, exit_cb, NULL);
	if (exit_event == NULL || event_add(exit_event, &tv) == -1)
		exit(0);
}

static const struct permit parent_permits[] = {
	{ IMSG_PEER,		LINK_ANY,	parent_peer },
	{ IMSG_CONF_BEGIN,	PS_IDLE,	conf_begin },
	{ IMSG_CONF_GLOBAL,	PS_CONF,	conf_global },
	{ IMSG_CONF_LISTEN,	PS_CONF,	conf_listen },
	{ IMSG_CONF_HOST,	PS_CONF,	conf_name },
	{ IMSG_CONF_ORIGIN,	PS_CONF,	conf_name },
	{ IMSG_CONF_PUBLIC,	PS_CONF,	conf_public },
	{ IMSG_CONF_END,	PS_CONF,	conf_end },
	{ IMSG_START,		PS_IDLE,	parent_start },
	{ IMSG_VERBOSE,		LINK_ANY,	parent_verbose },
	{ IMSG_SHUTDOWN,	LINK_ANY,	parent_shutdown },
	{ 0, 0, NULL }
};

/* --- start-up ------------------------------------------------------------ */

static void
log_to_parent(int level, const char *line)
{
	struct wire_u32	wu = { (uint32_t)level };

	(void)link_send2(parent_link, IMSG_LOG, 0, -1, &wu, sizeof(wu), line,
	    strlen(line));
}

static void
libevent_log(int severity, const char *msg)
{
	if (severity >= EVENT_LOG_WARN)
		log_warnx("libevent: %s", msg);
	else
		log_debug("libevent: %s", msg);
}

static void
libevent_fatal(int err)
{
	fatalx("libevent gave up: %d", err);
}

struct options {
	int		 foreground;
	int		 verbose;
	struct privdrop	 drop;
	struct sandbox_opts sandbox;
};

static uint32_t
number_option(const char *text)
{
	const char	*errstr;
	uint32_t	 n;

	n = strtonum(text, 0, UINT32_MAX - 1, &errstr);
	if (errstr != NULL)
		fatalx("%s is %s", text, errstr);
	return (n);
}

static void
options_read(int argc, char *argv[], struct options *o)
{
	int	 ch;

	memset(o, 0, sizeof(*o));
	while ((ch = getopt(argc, argv, "bC:dg:Su:v")) != -1) {
		switch (ch) {
		case 'b':
			o->sandbox.best_effort = 1;
			break;
		case 'C':
			if (strlcpy(o->drop.chroot, optarg,
			    sizeof(o->drop.chroot)) >= sizeof(o->drop.chroot))
				fatalx("chroot is too long");
			break;
		case 'd':
			o->foreground = 1;
			break;
		case 'g':
			o->drop.gid = number_option(optarg);
			break;
		case 'S':
			break;		/* -u, -g and -C say it all */
		case 'u':
			o->drop.uid = number_option(optarg);
			break;
		case 'v':
			o->verbose++;
			break;
		default:
			fatalx("started by keepd(8) only");
		}
	}
}

/*
 * Both save the time of every request: evhttp turns reading and writing off
 * and on again, which then is no system call each; and the C library's calloc
 * passes by its cache of small blocks, as libevent's own with this malloc does
 * not.  The former asks that no descriptor here is a duplicate of another.
 */
static void
base_init(void)
{
	struct event_config	*config;

	event_set_mem_functions(malloc, realloc, free);
	if ((config = event_config_new()) == NULL ||
	    event_config_set_flag(config,
	    EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == -1 ||
	    (base = event_base_new_with_config(config)) == NULL)
		fatalx("no event loop");
	event_config_free(config);
}

int
main(int argc, char *argv[])
{
	struct options	 o;
	struct wire_u32	 layers;

	log_init("frontend", 1);
	options_read(argc, argv, &o);
	log_setverbose(o.verbose);
	/* Reads a file, once. */
	tzset();
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	event_set_log_callback(libevent_log);
	event_set_fatal_callback(libevent_fatal);
	sandbox_prepare(ROLE_FRONTEND);
	privdrop(ROLE_FRONTEND, &o.drop);
	base_init();
	conn_init();
	http_init();
	parent_link = link_new(base, "parent", PARENT_FD, LINK_FDPASS,
	    parent_permits, &vital_ops, NULL);
	if (parent_link == NULL)
		fatal("link to the parent");
	link_state_set(parent_link, PS_IDLE);
	log_setsink(log_to_parent);
	layers.value = sandbox_enter(ROLE_FRONTEND, &o.sandbox);
	(void)link_send(parent_link, IMSG_READY, 0, -1, &layers,
	    sizeof(layers));
	(void)event_base_dispatch(base);
	fatalx("the event loop ended");
}
