/*
 * Searches: the searcher process, how many workers run at once and for whom,
 * their answers and their deadlines.  No pattern is looked at here; and what a
 * worker answers is checked, because it may be the pattern's author speaking.
 */
#include <sys/time.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "answer.h"
#include "log.h"
#include "logger.h"
#include "util.h"

#define RUNNING_MAX	8
#define RUNNING_CONN	2		/* of one network connection */
#define RUNNING_CTL	4		/* of all control clients */
#define QUEUED_MAX	64
#define TIMEOUT_MS	10000		/* where nothing is configured */
#define TIMEOUT_MAX_MS	600000
#define PATTERN_SHOWN	200		/* bytes of it in an error */

struct search {
	TAILQ_ENTRY(search)	 entry;		/* of queued or running */
	uint32_t		 id;
	struct query		*q;		/* NULL: nobody cares any more */
	struct grant		*grant;		/* whose count it is in */
	int			 running;
	int			 exited;
	uint32_t		 run;
	uint64_t		 line;
	uint64_t		 ms;		/* allowed */
	int			 fd;		/* answer; -1: closed */
	struct event		*ev;
	struct event		*deadline;
	size_t			 have;		/* bytes of buf */
	size_t			 sent;		/* the frame up to here is dealt with */
	uint8_t			 buf[sizeof(struct answer_hdr) + FRAME_MAX];
};

TAILQ_HEAD(search_list, search);

static struct search_list	 queued = TAILQ_HEAD_INITIALIZER(queued);
static struct search_list	 running = TAILQ_HEAD_INITIALIZER(running);
static unsigned int		 nqueued, nrunning, nctl;
static struct link		*searcher;
static uint32_t			 next_id;

static void	 handle_exit(struct link *, struct imsg *);
static void	 handle_log(struct link *, struct imsg *);
static void	 search_next(void);
static void	 answer_read(struct search *);

static const struct permit permits[] = {
	{ IMSG_SRCH_EXIT,	LINK_ANY,	handle_exit },
	{ IMSG_LOG,		LINK_ANY,	handle_log },
	{ 0, 0, NULL }
};

/* Without it there are no searches: the parent starts us both afresh. */
static void
searcher_closed(struct link *l, const char *why)
{
	(void)l;
	fatalx("the searcher is gone: %s", why);
}

static const struct link_ops searcher_ops = { searcher_closed, NULL };

void
search_init(int fd)
{
	searcher = link_new(logger_base, "searcher", fd, LINK_FDPASS, permits,
	    &searcher_ops, NULL);
	if (searcher == NULL)
		fatal("link_new");
}

void
search_verbose(uint32_t level)
{
	struct wire_u32 w = { level };

	(void)link_send(searcher, IMSG_VERBOSE, 0, -1, &w, sizeof(w));
}

static void
handle_log(struct link *l, struct imsg *imsg)
{
	struct wire_u32	 w;
	struct ibuf	 tail;

	if (imsg_get_buf(imsg, &w, sizeof(w)) == -1 ||
	    imsg_get_ibuf(imsg, &tail) == -1) {
		link_refuse(l, "bad log line");
		return;
	}
	log_warnx("searcher: %.*s", (int)ibuf_size(&tail),
	    (const char *)ibuf_data(&tail));
}

/* --- ends ---------------------------------------------------------------- */

static void
search_free(struct search *s)
{
	if (s->fd != -1)
		close(s->fd);
	if (s->ev != NULL)
		event_free(s->ev);
	if (s->deadline != NULL)
		event_free(s->deadline);
	if (s->running) {
		TAILQ_REMOVE(&running, s, entry);
		nrunning--;
	} else {
		TAILQ_REMOVE(&queued, s, entry);
		nqueued--;
	}
	free(s);
}

/* It no longer counts for its connection; its worker may still be dying. */
static void
search_release(struct search *s)
{
	if (s->running && s->q != NULL) {
		if (s->grant != NULL)
			s->grant->running--;
		else
			nctl--;
	}
	if (s->q != NULL)
		s->q->search = NULL;
	s->q = NULL;
	s->grant = NULL;
	if (s->ev != NULL)
		event_free(s->ev);
	if (s->deadline != NULL)
		event_free(s->deadline);
	s->ev = s->deadline = NULL;
	if (s->fd != -1)
		close(s->fd);
	s->fd = -1;
}

/* Take the search off its query: the query, which the caller ends. */
static struct query *
search_detach(struct search *s)
{
	struct query *q = s->q;

	search_release(s);
	if (!s->exited && s->running)
		(void)link_send(searcher, IMSG_SRCH_KILL, s->id, -1, NULL, 0);
	else
		search_free(s);
	return (q);
}

void
search_abandon(struct query *q)
{
	if (q->search == NULL)
		return;
	(void)search_detach(q->search);
	search_next();
}

static void
search_fail(struct search *s, uint32_t code, const char *why)
{
	struct query *q = search_detach(s);

	if (q != NULL)
		query_end(q, code, "%s", why);
	search_next();
}

static void
deadline_cb(evutil_socket_t fd, short what, void *arg)
{
	struct search	*s = arg;
	char		 text[160];

	(void)fd;
	(void)what;
	if (s->q != NULL && !query_may_send(s->q)) {
		search_fail(s, END_SLOW, "the answer was read too slowly");
		return;
	}
	(void)snprintf(text, sizeof(text), "the pattern took longer than %llu "
	    "ms; make it simpler or narrow the search",
	    (unsigned long long)s->ms);
	search_fail(s, END_TIMEOUT, text);
}

static struct search *
search_running(uint32_t id)
{
	struct search *s;

	TAILQ_FOREACH(s, &running, entry)
		if (s->id == id)
			return (s);
	return (NULL);
}

static void
handle_exit(struct link *l, struct imsg *imsg)
{
	struct wire_u32	 w;
	struct search	*s;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1) {
		link_refuse(l, "bad exit");
		return;
	}
	if ((s = search_running(imsg_get_id(imsg))) == NULL)
		return;
	s->exited = 1;
	if (w.value != 0 && s->q != NULL)
		log_debug("worker of search %u: wait status 0x%x", s->id,
		    w.value);
	if (s->q == NULL)
		search_free(s);		/* the answer was dealt with before */
	search_next();
}

/* --- answers ------------------------------------------------------------- */

/* The pattern as far as a line of text can show it. */
static const char *
pattern_show(const struct query *q)
{
	static char	buf[PATTERN_SHOWN + 4];
	size_t		i;

	for (i = 0; i < q->pattern_len && i < PATTERN_SHOWN; i++)
		buf[i] = iscntrl(q->pattern[i]) ? '?' : q->pattern[i];
	buf[i] = '\0';
	if (i < q->pattern_len)
		strlcat(buf, "...", sizeof(buf));
	return (buf);
}

/* The figures a worker may set; the rest of q->end is ours. */
static void
end_take(struct query *q, const struct wire_end *e)
{
	q->end.matches = e->matches;
	q->end.shown = e->shown;
	q->end.elided = e->elided;
	q->end.lost += e->lost;
	q->end.next_line = e->next_line;
	q->end.next_run = e->next_run;
	q->end.elapsed_us = e->elapsed_us;
	q->end.run = e->run;
	q->end.truncated = e->truncated != 0;
	q->end.offset = e->offset;
}

static void
answer_end(struct search *s, const uint8_t *p, size_t n)
{
	struct wire_end	 e;
	struct query	*q;
	char		 text[300];

	memcpy(&e, p, sizeof(e));
	n -= sizeof(e);
	if (n >= sizeof(text))
		n = sizeof(text) - 1;
	memcpy(text, p + sizeof(e), n);
	text[n] = '\0';
	q = search_detach(s);
	end_take(q, &e);
	if (e.code == END_BAD_PATTERN)
		query_end(q, END_BAD_PATTERN, "Invalid regex pattern: %s: %s "
		    "(at offset %u)", pattern_show(q), text, e.offset);
	else if (e.code != END_OK)
		query_end(q, END_LIMIT, "%s", text);
	else if (q->q.query == QUERY_WAIT_LOG)
		wait_searched(q);
	else
		query_end(q, END_OK, "%s", "");
	search_next();
}

/* Does a payload consist of whole lines? */
static int
answer_lines_ok(const uint8_t *p, size_t n)
{
	struct wire_line wl;

	while (n > 0) {
		if (n < sizeof(wl))
			return (0);
		memcpy(&wl, p, sizeof(wl));
		if (wl.len > LINE_TEXT_MAX || wl.len > n - sizeof(wl))
			return (0);
		p += sizeof(wl) + wl.len;
		n -= sizeof(wl) + wl.len;
	}
	return (1);
}

/* A whole frame is in the buffer.  1: go on; 0: the search is over. */
static int
answer_frame(struct search *s, const struct answer_hdr *h)
{
	const uint8_t *p = s->buf + sizeof(*h);

	if (h->type == ANSWER_END) {
		if (h->len < sizeof(struct wire_end))
			search_fail(s, END_FAILED, "the search failed");
		else
			answer_end(s, p, h->len);
		return (0);
	}
	if (!answer_lines_ok(p, h->len)) {
		log_warnx("search %u: a worker answers nonsense", s->id);
		search_fail(s, END_FAILED, "the search failed");
		return (0);
	}
	if (h->len > 0)
		query_data(s->q, p, h->len);
	s->have = 0;
	return (1);
}

/* Read up to what the frame at hand needs; 1: it is complete. */
static int
answer_fill(struct search *s, struct answer_hdr *h)
{
	size_t	want = sizeof(*h);
	ssize_t	n;

	for (;;) {
		if (s->have >= sizeof(*h)) {
			memcpy(h, s->buf, sizeof(*h));
			if (h->len > FRAME_MAX ||
			    (h->type != ANSWER_DATA && h->type != ANSWER_END)) {
				search_fail(s, END_FAILED, "the search failed");
				return (0);
			}
			want = sizeof(*h) + h->len;
			if (s->have == want)
				return (1);
		}
		n = read(s->fd, s->buf + s->have, want - s->have);
		if (n == -1 && (errno == EAGAIN || errno == EINTR))
			return (0);
		if (n <= 0) {
			search_fail(s, END_FAILED, "the search failed");
			return (0);
		}
		s->have += n;
	}
}

/* Only while there is credit: a slow client holds up its own worker. */
static void
answer_read(struct search *s)
{
	struct answer_hdr h;

	while (query_may_send(s->q))
		if (!answer_fill(s, &h) || !answer_frame(s, &h))
			return;
	(void)event_del(s->ev);
}

static void
answer_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	answer_read(arg);
}

void
search_pump(struct query *q)
{
	if (q->search != NULL && q->search->ev != NULL && query_may_send(q))
		(void)event_add(q->search->ev, NULL);
}

/* --- beginnings ---------------------------------------------------------- */

static uint64_t
search_allowed_ms(const struct query *q)
{
	uint64_t ms = logger_global.search_timeout_ms;

	if (ms == 0)
		ms = TIMEOUT_MS;
	if (q->q.query != QUERY_WAIT_LOG && q->q.timeout_ms != 0)
		ms = q->q.timeout_ms;
	return (ms < TIMEOUT_MAX_MS ? ms : TIMEOUT_MAX_MS);
}

static void
search_wire(const struct search *s, struct wire_search *w)
{
	memset(w, 0, sizeof(*w));
	w->query = s->q->q;
	w->query.index = s->run;
	w->query.conn = 0;
	w->jit = logger_global.search_jit;
	w->pattern_len = s->q->pattern_len;
	if (s->q->q.query == QUERY_WAIT_LOG) {
		w->query.flags &= Q_ICASE | Q_STDOUT | Q_STDERR | Q_PATTERN;
		w->query.flags |= Q_CURSOR;
		w->query.cursor_run = s->run;
		w->query.cursor_line = s->line;
		w->query.since_ms = w->query.before_ms = 0;
	}
}

static int
search_events(struct search *s, int fd)
{
	struct timeval tv;

	s->fd = fd;
	s->ev = event_new(logger_base, fd, EV_READ | EV_PERSIST, answer_cb, s);
	s->deadline = evtimer_new(logger_base, deadline_cb, s);
	if (s->ev == NULL || s->deadline == NULL)
		return (-1);
	s->ms = search_allowed_ms(s->q);
	tv.tv_sec = s->ms / 1000;
	tv.tv_usec = s->ms % 1000 * 1000;
	if (event_add(s->ev, NULL) == -1 || event_add(s->deadline, &tv) == -1)
		return (-1);
	return (0);
}

/* Hand it to the searcher. */
static void
search_launch(struct search *s)
{
	struct wire_search	 w;
	const struct query	*q = s->q;
	int			 p[2] = { -1, -1 }, ring;

	TAILQ_REMOVE(&queued, s, entry);
	nqueued--;
	TAILQ_INSERT_TAIL(&running, s, entry);
	nrunning++;
	s->running = 1;
	if (s->grant != NULL)
		s->grant->running++;
	else
		nctl++;
	ring = dup(q->log->fd_ro);
	if (ring == -1 || pipe2(p, O_CLOEXEC) == -1 ||
	    fd_nonblock(p[0]) == -1 || search_events(s, p[0]) == -1) {
		log_warn("starting a search");
		if (ring != -1)
			close(ring);
		if (p[1] != -1)
			close(p[1]);
		if (p[0] != -1 && s->fd == -1)
			close(p[0]);
		s->exited = 1;
		search_fail(s, END_BUSY, "out of descriptors or memory");
		return;
	}
	search_wire(s, &w);
	(void)link_send(searcher, IMSG_SRCH_RING, s->id, ring, &q->log->conf,
	    sizeof(q->log->conf));
	(void)link_send2(searcher, IMSG_SRCH_START, s->id, p[1], &w, sizeof(w),
	    q->pattern, q->pattern_len);
}

static int
search_eligible(const struct search *s)
{
	if (s->grant != NULL)
		return (s->grant->running < RUNNING_CONN);
	return (nctl < RUNNING_CTL);
}

/* The oldest that its connection may run. */
static struct search *
search_pick(void)
{
	struct search *s;

	TAILQ_FOREACH(s, &queued, entry)
		if (search_eligible(s))
			return (s);
	return (NULL);
}

static void
search_next(void)
{
	struct search *s;

	while (nrunning < RUNNING_MAX && (s = search_pick()) != NULL)
		search_launch(s);
}

void
search_start(struct query *q, uint32_t run, uint64_t line)
{
	struct search *s;

	if (nqueued >= QUEUED_MAX || (s = calloc(1, sizeof(*s))) == NULL) {
		query_end(q, END_BUSY, "too many searches; try again later");
		return;
	}
	s->id = ++next_id;
	s->q = q;
	s->grant = q->grant;
	s->run = run;
	s->line = line;
	s->fd = -1;
	q->search = s;
	TAILQ_INSERT_TAIL(&queued, s, entry);
	nqueued++;
	search_next();
}
