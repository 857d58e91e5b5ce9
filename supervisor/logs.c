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

#define ENDS_MAX	64	/* in one turn of the loop, else sent at once */

/* Used again and again: the steady state allocates nothing. */
static struct logpipe_list	 spare = TAILQ_HEAD_INITIALIZER(spare);

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

static void
logs_send_run(uint32_t type, const struct service *s,
    const struct wire_run *r)
{
	if (sup.logger != NULL && !s->orphan)
		link_send(sup.logger, type, s->id, -1, r, sizeof(*r));
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
pipe_store(const struct service *s, const struct logpipe *p, int keep)
{
	struct wire_key	 key;
	int		 fd = -1;

	if (sup.parent == NULL || s->orphan)
		return;
	memset(&key, 0, sizeof(key));
	key.service = s->id;
	key.run = p->run;
	key.kind = p->kind;
	key.stream = p->stream;
	if (keep && (fd = fcntl(p->fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		log_warn("%s: log pipe for the store", s->st.name);
		return;
	}
	link_send(sup.parent, keep ? IMSG_KEEP : IMSG_FORGET, 0, fd, &key,
	    sizeof(key));
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
	pipe_store(s, p, 0);
	close(p->fd);
	TAILQ_REMOVE(&s->pipes, p, entry);
	s->npipes--;
	TAILQ_INSERT_HEAD(&spare, p, entry);
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
	pipe_store(s, p, 1);
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
	while ((p = TAILQ_FIRST(&s->pipes)) != NULL)
		pipe_forget(s, p);
}

static void
logs_drained(struct link *l, struct imsg *imsg)
{
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
		    p->stream == a.stream) {
			pipe_forget(s, p);
			return;
		}
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
