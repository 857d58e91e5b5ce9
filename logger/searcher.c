/*
 * searcher: the process in which clients' patterns run.  It takes searches
 * from the logger on descriptor 3 and forks a worker for each, which locks
 * itself up with one ring mapped read-only and a pipe for its answer; it kills
 * workers on request and reports their end.  It never looks into a ring or a
 * pattern itself.
 */
#include <sys/types.h>
#include <sys/prctl.h>
#include <sys/queue.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <event2/event.h>

#include "link.h"
#include "log.h"
#include "options.h"
#include "privdrop.h"
#include "sandbox.h"
#include "searcher.h"
#include "util.h"

#define LINK_FD		3
#define SEARCHES_MAX	64

struct search {
	LIST_ENTRY(search)	 entry;
	uint32_t		 id;
	pid_t			 pid;		/* 0: not started yet */
	int			 fd;		/* of the ring; -1 once started */
	struct wire_ring	 conf;
};

static LIST_HEAD(search_list, search) searches = LIST_HEAD_INITIALIZER(searches);
static struct event_base	*base;
static struct link		*logger;
static struct options		 options;
static unsigned int		 nsearches;

static void	handle_ring(struct link *, struct imsg *);
static void	handle_start(struct link *, struct imsg *);
static void	handle_kill(struct link *, struct imsg *);
static void	handle_verbose(struct link *, struct imsg *);

static const struct permit permits[] = {
	{ IMSG_SRCH_RING,	LINK_ANY,	handle_ring },
	{ IMSG_SRCH_START,	LINK_ANY,	handle_start },
	{ IMSG_SRCH_KILL,	LINK_ANY,	handle_kill },
	{ IMSG_VERBOSE,		LINK_ANY,	handle_verbose },
	{ 0, 0, NULL }
};

static void
logger_closed(struct link *l, const char *why)
{
	(void)l;
	(void)why;
	_exit(0);
}

static const struct link_ops logger_ops = { logger_closed, NULL };

static void
log_sink(int level, const char *line)
{
	struct wire_u32 w = { level };

	if (logger != NULL)
		(void)link_send2(logger, IMSG_LOG, 0, -1, &w, sizeof(w), line,
		    strlen(line));
}

static struct search *
search_find(uint32_t id)
{
	struct search *s;

	LIST_FOREACH(s, &searches, entry)
		if (s->id == id)
			return (s);
	return (NULL);
}

static struct search *
search_of(pid_t pid)
{
	struct search *s;

	LIST_FOREACH(s, &searches, entry)
		if (s->pid == pid)
			return (s);
	return (NULL);
}

static void
search_free(struct search *s)
{
	LIST_REMOVE(s, entry);
	if (s->fd != -1)
		close(s->fd);
	free(s);
	nsearches--;
}

static void
search_report(uint32_t id, int status)
{
	struct wire_u32 w = { status };

	(void)link_send(logger, IMSG_SRCH_EXIT, id, -1, &w, sizeof(w));
}

static void
handle_ring(struct link *l, struct imsg *imsg)
{
	struct wire_ring	 conf;
	struct search		*s;
	int			 fd = imsg_get_fd(imsg);

	if (imsg_get_data(imsg, &conf, sizeof(conf)) == -1 || fd == -1 ||
	    search_find(imsg_get_id(imsg)) != NULL ||
	    nsearches >= SEARCHES_MAX ||
	    (s = calloc(1, sizeof(*s))) == NULL) {
		if (fd != -1)
			close(fd);
		link_refuse(l, "bad ring");
		return;
	}
	s->id = imsg_get_id(imsg);
	s->fd = fd;
	s->conf = conf;
	LIST_INSERT_HEAD(&searches, s, entry);
	nsearches++;
}

/* Map what the search will read, so that the descriptor can go. */
static int
worker_map(struct ring *r, int fd, const struct search *s, uint32_t run)
{
	struct ring_state	st;
	uint32_t		i;

	if (ring_map(r, fd, &s->conf, 0) == -1)
		return (-1);
	for (i = 0; i < r->runs; i++) {
		ring_state_get(r, i, &st);
		if (st.run == 0 || (run != 0 && st.run != run))
			continue;
		if (ring_pin(r, i) == -1)
			return (-1);
	}
	return (0);
}

/*
 * The worker: the answer pipe becomes descriptor 3, everything else goes, then
 * the sandbox is closed and only then the pattern compiled.
 */
static __attribute__((noreturn)) void
worker_main(const struct search *s, const struct wire_search *ws,
    const uint8_t *pattern, int answer)
{
	static struct ring	 r;
	struct sandbox_opts	 so;
	int			 fd;

	log_setsink(NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	if ((fd = dup(s->fd)) == -1 || worker_map(&r, fd, s,
	    (ws->query.flags & Q_ALL_RUNS) ? 0 : ws->query.index) == -1)
		_exit(2);
	if (answer != LINK_FD && dup2(answer, LINK_FD) == -1)
		_exit(2);
	if (close_range(LINK_FD + 1, ~0U, 0) == -1)
		_exit(2);
	so.best_effort = options.best_effort;
	so.jit = ws->jit != 0;
	sandbox_enter(ROLE_WORKER, &so);
	work_run(&r, ws, pattern, LINK_FD);
	_exit(0);
}

static void
handle_start(struct link *l, struct imsg *imsg)
{
	static uint8_t		 pattern[PATTERN_MAX];
	struct wire_search	 ws;
	struct search		*s = search_find(imsg_get_id(imsg));
	int			 fd = imsg_get_fd(imsg);

	if (fd == -1 || s == NULL || s->pid != 0 ||
	    imsg_get_buf(imsg, &ws, sizeof(ws)) == -1 ||
	    ws.pattern_len > sizeof(pattern) ||
	    ws.pattern_len != imsg_get_len(imsg) ||
	    imsg_get_data(imsg, pattern, ws.pattern_len) == -1) {
		if (fd != -1)
			close(fd);
		link_refuse(l, "bad search");
		return;
	}
	switch (s->pid = fork()) {
	case -1:
		log_warn("fork");
		search_report(s->id, -1);
		search_free(s);
		break;
	case 0:
		worker_main(s, &ws, pattern, fd);
	default:
		close(s->fd);
		s->fd = -1;
	}
	close(fd);
}

/* Also withdraws a search that was announced but not started. */
static void
handle_kill(struct link *l, struct imsg *imsg)
{
	struct search *s = search_find(imsg_get_id(imsg));

	(void)l;
	if (s == NULL)
		return;		/* ended meanwhile */
	if (s->pid == 0)
		search_free(s);
	else if (kill(s->pid, SIGKILL) == -1)
		log_warn("kill %d", (int)s->pid);
}

static void
handle_verbose(struct link *l, struct imsg *imsg)
{
	struct wire_u32 w;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1)
		link_refuse(l, "bad level");
	else
		log_setverbose(w.value);
}

static void
child_cb(evutil_socket_t sig, short what, void *arg)
{
	struct search	*s;
	pid_t		 pid;
	int		 status;

	(void)sig;
	(void)what;
	(void)arg;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if ((s = search_of(pid)) == NULL)
			continue;
		search_report(s->id, status);
		search_free(s);
	}
}

int
main(int argc, char *argv[])
{
	struct sandbox_opts	 so;
	struct event		*ev;

	if (options_parse(&options, argc, argv) == -1)
		return (2);
	log_init("searcher", 1);
	log_setverbose(options.verbose);
	log_setsink(log_sink);
	signal(SIGPIPE, SIG_IGN);
	if ((base = event_base_new()) == NULL ||
	    (ev = evsignal_new(base, SIGCHLD, child_cb, NULL)) == NULL ||
	    event_add(ev, NULL) == -1)
		fatal("event_base_new");
	sandbox_prepare(ROLE_SEARCHER);
	privdrop(ROLE_SEARCHER, &options.drop);
	logger = link_new(base, "logger", LINK_FD, LINK_FDPASS, permits,
	    &logger_ops, NULL);
	if (logger == NULL)
		fatal("link_new");
	so.best_effort = options.best_effort;
	so.jit = 1;
	sandbox_enter(ROLE_SEARCHER, &so);
	event_base_dispatch(base);
	return (1);
}
