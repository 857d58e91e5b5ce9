/*
 * The logger's side of a run: which pipes it is to read, and a duplicate of
 * each until it has read to the end, so that a fresh logger, or a fresh
 * supervisor through the parent's store, can go on.
 */
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#include "supervisor.h"

#define FORGET_MS	20	/* until a drained pipe leaves the store */
#define ENDS_MAX	64	/* in one turn of the loop, else sent at once */

/* Used again and again: the steady state allocates nothing. */
static struct logpipe_list	 spare = TAILQ_HEAD_INITIALIZER(spare);
static struct logpipe_list	 drained = TAILQ_HEAD_INITIALIZER(drained);
static struct event		 drained_ev;

/*
 * Ends that the logger has not been told yet: telling it wakes it up, and the
 * next process comes first.
 */
struct run_end {
	struct service	*svc;
	struct wire_run	 run;
};
static struct run_end	 ends[ENDS_MAX];
static unsigned int	 nends;

static void	drained_forget(evutil_socket_t, short, void *);

static void
logs_send_run(uint32_t type, const struct service *s,
    const struct wire_run *r)
{
	if (sup.logger != NULL && !s->orphan)
		link_send(sup.logger, type, s->id, -1, r, sizeof(*r));
}

void
logs_init(void)
{
	evtimer_assign(&drained_ev, sup.base, drained_forget, NULL);
}

void
logs_flush(void)
{
	unsigned int	 i;

	for (i = 0; i < nends; i++)
		logs_send_run(IMSG_RUN_END, ends[i].svc, &ends[i].run);
	nends = 0;
}

void
logs_run(struct service *s, uint32_t kind, uint32_t run)
{
	struct wire_run	 r;

	logs_flush();
	memset(&r, 0, sizeof(r));
	r.time_ms = now_ms();
	r.kind = kind;
	r.run = run;
	r.exit_code = -1;
	logs_send_run(IMSG_RUN, s, &r);
}

/* Told before the next run, or when the loop turns. */
void
logs_run_over(struct service *s, uint32_t kind, uint32_t run, int code,
    int sig)
{
	struct wire_run	*r;

	if (nends == ENDS_MAX)
		logs_flush();
	ends[nends].svc = s;
	r = &ends[nends++].run;
	memset(r, 0, sizeof(*r));
	r->time_ms = now_ms();
	r->kind = kind;
	r->run = run;
	r->exit_code = code;
	r->signal = (uint32_t)sig;
}

/* --- pipes ---------------------------------------------------------------- */
static void
pipe_key(struct wire_key *key, uint32_t service, const struct logpipe *p)
{
	memset(key, 0, sizeof(*key));
	key->service = service;
	key->run = p->run;
	key->kind = p->kind;
	key->stream = p->stream;
}

static void
pipe_keep(const struct service *s, const struct logpipe *p)
{
	struct wire_key	 key;
	int		 fd;

	if (sup.parent == NULL || s->orphan)
		return;
	if ((fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		log_warn("%s: log pipe for the store", s->st.name);
		return;
	}
	pipe_key(&key, s->id, p);
	link_send(sup.parent, IMSG_KEEP, 0, fd, &key, sizeof(key));
}

/* Taken from its list by the caller. */
static void
pipe_free(uint32_t service, struct logpipe *p)
{
	struct wire_key	 key;

	if (sup.parent != NULL) {
		pipe_key(&key, service, p);
		link_send(sup.parent, IMSG_FORGET, 0, -1, &key, sizeof(key));
	}
	close(p->fd);
	TAILQ_INSERT_HEAD(&spare, p, entry);
}

static void
pipe_attach(const struct service *s, const struct logpipe *p)
{
	struct wire_attach	 a;
	int			 fd;

	if (sup.logger == NULL || s->orphan)
		return;
	if ((fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		log_warn("%s: log pipe for the logger", s->st.name);
		return;
	}
	memset(&a, 0, sizeof(a));
	a.kind = p->kind;
	a.run = p->run;
	a.stream = p->stream;
	link_send(sup.logger, IMSG_ATTACH, s->id, fd, &a, sizeof(a));
}

static void
pipe_forget(struct service *s, struct logpipe *p)
{
	TAILQ_REMOVE(&s->pipes, p, entry);
	s->npipes--;
	pipe_free(s->id, p);
}

/*
 * A pipe is drained when its process has just died.  Telling the parent wakes
 * it up, and the next process comes first: so this is done a moment later.
 */
static void
drained_forget(evutil_socket_t fd, short what, void *arg)
{
	struct logpipe	*p;

	(void)fd;
	(void)what;
	(void)arg;
	while ((p = TAILQ_FIRST(&drained)) != NULL) {
		TAILQ_REMOVE(&drained, p, entry);
		pipe_free(p->service, p);
	}
}

static struct logpipe *
pipe_new(void)
{
	struct logpipe	*p;

	if ((p = TAILQ_FIRST(&spare)) != NULL)
		TAILQ_REMOVE(&spare, p, entry);
	else if ((p = malloc(sizeof(*p))) == NULL)
		fatal("log pipe");
	return (p);
}

/* Takes fd. */
void
logs_attach(struct service *s, uint32_t kind, uint32_t run, uint32_t stream,
    int fd)
{
	struct logpipe	*p = pipe_new();

	p->kind = kind;
	p->run = run;
	p->stream = stream;
	p->fd = fd;
	TAILQ_INSERT_TAIL(&s->pipes, p, entry);
	s->npipes++;
	pipe_attach(s, p);
	pipe_keep(s, p);
	if (s->npipes > LOGPIPES_MAX) {
		log_warnx("%s: log of run %u is given up: too many unread",
		    s->st.name, TAILQ_FIRST(&s->pipes)->run);
		pipe_forget(s, TAILQ_FIRST(&s->pipes));
	}
}

void
logs_forget(struct service *s)
{
	struct logpipe	*p;

	logs_flush();
	/* Their keys may be another service's soon. */
	drained_forget(-1, 0, NULL);
	while ((p = TAILQ_FIRST(&s->pipes)) != NULL)
		pipe_forget(s, p);
}

static void
logs_drained(struct link *l, struct imsg *imsg)
{
	const struct timeval	 tv = { 0, FORGET_MS * 1000 };
	struct wire_attach	 a;
	struct service		*s;
	struct logpipe		*p;
	uint32_t		 id = imsg_get_id(imsg);

	if (imsg_get_data(imsg, &a, sizeof(a)) == -1 || id >= MAX_SERVICES) {
		link_refuse(l, "DRAINED of no service");
		return;
	}
	/* What was forgotten meanwhile may still be reported. */
	if ((s = sup.services[id]) == NULL)
		return;
	TAILQ_FOREACH(p, &s->pipes, entry)
		if (p->run == a.run && p->kind == a.kind &&
		    p->stream == a.stream)
			break;
	if (p == NULL)
		return;
	TAILQ_REMOVE(&s->pipes, p, entry);
	s->npipes--;
	p->service = id;
	TAILQ_INSERT_TAIL(&drained, p, entry);
	if (!evtimer_pending(&drained_ev, NULL))
		evtimer_add(&drained_ev, &tv);
}

static void
logs_granted(struct link *l, struct imsg *imsg)
{
	(void)l;
	front_granted(imsg_get_id(imsg));
}

static const struct permit logger_permits[] = {
	{ IMSG_GRANTED,		LINK_ANY,	logs_granted },
	{ IMSG_DRAINED,		LINK_ANY,	logs_drained },
	{ IMSG_DATA,		LINK_ANY,	relay_data },
	{ IMSG_END,		LINK_ANY,	relay_end },
	{ IMSG_NONE,		0,		NULL }
};

/* --- the link ------------------------------------------------------------- */
static void
logs_down(void)
{
	sup.logger = NULL;
	relay_down();
	front_no_logger();
}

static void
logs_lost(struct link *l, const char *reason)
{
	/* Services go on: their pipes fill until the parent's next logger. */
	if (strcmp(reason, "end of file") == 0)
		log_info("logger: %s", reason);
	else
		log_warnx("logger broke a rule and is cut off: %s", reason);
	if (sup.logger == l)
		logs_down();
	link_free(l);
}

static const struct link_ops logger_ops = { logs_lost, NULL };

/* A fresh logger has the rings; it needs the pipes and who may read what. */
void
logs_up(int fd)
{
	struct service	*s;
	struct logpipe	*p;
	struct link	*old = sup.logger;

	if (old != NULL) {
		logs_down();
		link_free(old);
	}
	sup.logger = link_new(sup.base, "logger", fd, LINK_FDPASS,
	    logger_permits, &logger_ops, NULL);
	if (sup.logger == NULL)
		fatal("link to the logger");
	SERVICE_FOREACH(s)
		TAILQ_FOREACH(p, &s->pipes, entry)
			pipe_attach(s, p);
	front_regrant();
}
