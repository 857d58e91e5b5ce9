/*
 * Log queries: who may ask what, credit, and that each ends exactly once.
 * What a query does is window.c, wait.c and search.c.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "log.h"
#include "logger.h"
#include "util.h"

#define CONTEXT_MAX	1000		/* lines */

static LIST_HEAD(query_list, query) queries = LIST_HEAD_INITIALIZER(queries);
static unsigned int		 nqueries;
static unsigned int		 nctl;		/* of them from keepctl */

static struct query *
query_find(struct link *l, uint32_t id)
{
	struct query *q;

	LIST_FOREACH(q, &queries, entry)
		if (q->link == l && q->id == id)
			return (q);
	return (NULL);
}

static void
query_free(struct query *q)
{
	search_abandon(q);
	if (q->watching)
		TAILQ_REMOVE(&q->log->watchers, q, watch);
	if (q->deadline != NULL)
		event_free(q->deadline);
	if (q->pause != NULL)
		event_free(q->pause);
	if (q->grant != NULL)
		q->grant->queries--;
	else
		nctl--;
	LIST_REMOVE(q, entry);
	nqueries--;
	free(q->pattern);
	free(q);
}

int
query_may_send(const struct query *q)
{
	return (q->credit > 0 && !link_full(q->link));
}

void
query_data(struct query *q, const void *p, size_t n)
{
	q->credit -= n;
	(void)link_send(q->link, IMSG_DATA, q->id, -1, p, n);
}

static void
end_send(struct link *l, uint32_t id, struct wire_end *end, uint32_t code,
    const char *text)
{
	end->code = code;
	(void)link_send2(l, IMSG_END, id, -1, end, sizeof(*end), text,
	    strlen(text));
}

void
query_end(struct query *q, uint32_t code, const char *fmt, ...)
{
	char	text[ERRTEXT_SIZE];
	va_list	ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	end_send(q->link, q->id, &q->end, code, text);
	query_free(q);
}

void
query_watch(struct query *q)
{
	if (q->watching)
		return;
	q->watching = 1;
	TAILQ_INSERT_TAIL(&q->log->watchers, q, watch);
}

/* --- beginning ----------------------------------------------------------- */

/* How a query without a pattern goes on; searchers answer those with one. */
static const struct {
	void	(*pump)(struct query *);
	int	pattern;		/* 1 must have, 0 must not, -1 either */
} kinds[] = {
	[QUERY_SEARCH] =	{ window_pump,	-1 },
	[QUERY_WINDOW] =	{ window_pump,	 0 },
	[QUERY_FOLLOW] =	{ window_pump,	 0 },
	[QUERY_WAIT_LOG] =	{ NULL,		 1 },
	[QUERY_WAIT_QUIET] =	{ NULL,		 0 }
};

/* What no honest frontend or keepctl sends; NULL: nothing is wrong. */
static const char *
query_wrong(const struct wire_query *w)
{
	int pattern = (w->flags & Q_PATTERN) != 0;

	if (w->query >= nitems(kinds) || w->kind >= RING_KINDS)
		return ("unknown kind of query");
	if (kinds[w->query].pattern != -1 && kinds[w->query].pattern != pattern)
		return (pattern ? "this query takes no pattern" :
		    "this query needs a pattern");
	if ((w->flags & Q_HEAD) && (w->flags & Q_TAIL))
		return ("head and tail exclude each other");	/* C-1 */
	if (w->context > CONTEXT_MAX)
		return ("context: at most 1000 lines");
	if (w->query == QUERY_WAIT_QUIET && w->quiet_ms == 0)
		return ("the quiet time must not be zero");
	return (NULL);
}

/* May this link ask that?  The code for END, END_OK: yes. */
static uint32_t
query_allowed(struct link *l, const struct wire_query *w, struct grant **g)
{
	*g = NULL;
	if (link_arg(l) == NULL) {		/* the supervisor has asked */
		if (nctl >= QUERIES_CTL || nqueries >= QUERIES_MAX)
			return (END_BUSY);
		return (END_OK);
	}
	if ((*g = grant_find(w->conn)) == NULL || !grant_sees(*g, w->service))
		return (END_DENIED);
	if ((*g)->queries >= QUERIES_CONN || nqueries >= QUERIES_MAX)
		return (END_BUSY);
	return (END_OK);
}

static void
query_refuse(struct link *l, uint32_t id, uint32_t code, const char *why)
{
	struct wire_end end;

	memset(&end, 0, sizeof(end));
	end_send(l, id, &end, code, why);
}

/*
 * Which run, S0-70 and S0-71.  0: the query has been ended.  With Q_ALL_RUNS
 * UINT32_MAX.
 */
static uint32_t
query_run(struct query *q)
{
	uint32_t run, n;

	run = ring_run_index(&q->log->ring, q->q.index, &n);
	q->end.runs = n;
	if ((q->q.flags & Q_ALL_RUNS) ||
	    (n == 0 && q->q.query == QUERY_FOLLOW))
		return (UINT32_MAX);
	if (q->q.flags & Q_CURSOR) {
		run = q->q.cursor_run;
		if (ring_run_slot(&q->log->ring, run) != RING_NONE)
			return (run);
		query_end(q, END_NO_SUCH_RUN, "run %u is not kept any more "
		    "(%u available)", run, n);
		return (0);
	}
	if (run == 0)
		query_end(q, END_NO_SUCH_RUN, "No log instance at index %d "
		    "(%u available)", (int)q->q.index, n);
	return (run);
}

static void
query_begin(struct query *q)
{
	uint32_t run;

	if (q->q.query == QUERY_WAIT_LOG || q->q.query == QUERY_WAIT_QUIET) {
		wait_start(q);
		return;
	}
	if ((run = query_run(q)) == 0)
		return;
	if (q->q.flags & Q_PATTERN) {
		search_start(q, run == UINT32_MAX ? 0 : run, 0);
		return;
	}
	q->win.run = run;
	window_start(q);
}

static struct query *
query_make(struct link *l, uint32_t id, const struct wire_query *w,
    struct grant *g, struct log *log, const void *pattern, size_t len)
{
	struct query *q;

	if ((q = calloc(1, sizeof(*q))) == NULL)
		return (NULL);
	if ((q->pattern = malloc(len + 1)) == NULL) {
		free(q);
		return (NULL);
	}
	if (len > 0)
		memcpy(q->pattern, pattern, len);
	q->pattern_len = len;
	q->link = l;
	q->id = id;
	q->q = *w;
	q->grant = g;
	q->log = log;
	q->credit = DATA_CREDIT;
	LIST_INSERT_HEAD(&queries, q, entry);
	nqueries++;
	if (g != NULL)
		g->queries++;
	else
		nctl++;
	return (q);
}

void
query_new(struct link *l, struct imsg *imsg)
{
	static const char *const why[] = {
		[END_DENIED] = "this connection may not read that log",
		[END_BUSY] = "too many queries are open; try again later"
	};
	struct wire_query	 w;
	struct ibuf		 tail;
	struct grant		*g;
	struct query		*q;
	struct log		*log;
	const char		*wrong;
	uint32_t		 id = imsg_get_id(imsg), code;

	if (imsg_get_buf(imsg, &w, sizeof(w)) == -1 ||
	    imsg_get_ibuf(imsg, &tail) == -1 || query_find(l, id) != NULL) {
		link_refuse(l, "bad query");
		return;
	}
	if ((code = query_allowed(l, &w, &g)) != END_OK) {
		query_refuse(l, id, code, why[code]);
		return;
	}
	if ((wrong = query_wrong(&w)) != NULL) {
		query_refuse(l, id, END_FAILED, wrong);
		return;
	}
	if ((log = logger_log(w.service, w.kind)) == NULL) {
		query_refuse(l, id, END_NO_SUCH_RUN,
		    "there is no log of this service");
		return;
	}
	q = query_make(l, id, &w, g, log, ibuf_data(&tail), ibuf_size(&tail));
	if (q == NULL)
		query_refuse(l, id, END_BUSY, "out of memory");
	else
		query_begin(q);
}

/* --- going on ------------------------------------------------------------ */

void
query_pump(struct query *q)
{
	if (q->q.flags & Q_PATTERN)
		search_pump(q);
	else if (kinds[q->q.query].pump != NULL)
		kinds[q->q.query].pump(q);
}

void
query_credit(struct link *l, struct imsg *imsg)
{
	struct wire_u32	 w;
	struct query	*q;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1) {
		link_refuse(l, "bad credit");
		return;
	}
	if ((q = query_find(l, imsg_get_id(imsg))) == NULL)
		return;		/* has ended meanwhile */
	q->credit += w.value;
	if (q->credit > DATA_CREDIT)
		q->credit = DATA_CREDIT;
	query_pump(q);
}

void
query_cancel(struct link *l, struct imsg *imsg)
{
	struct query *q;

	if ((q = query_find(l, imsg_get_id(imsg))) != NULL)
		query_end(q, END_CANCELLED, "cancelled");
}

/*
 * Whatever is done to one query may end another (descriptors run out, say), so
 * these begin anew after each step.
 */
static uint32_t	pass;

void
query_pump_link(struct link *l)
{
	struct query *q;

	pass++;
again:
	LIST_FOREACH(q, &queries, entry)
		if (q->link == l && q->pass != pass && query_may_send(q)) {
			q->pass = pass;
			query_pump(q);
			goto again;
		}
}

void
query_news(struct log *l)
{
	struct query *q;

	pass++;
again:
	TAILQ_FOREACH(q, &l->watchers, watch)
		if (q->pass != pass) {
			q->pass = pass;
			if (q->q.query == QUERY_FOLLOW)
				window_pump(q);
			else
				wait_news(q);
			goto again;
		}
}

void
query_drop_link(struct link *l)
{
	struct query *q;

again:
	LIST_FOREACH(q, &queries, entry)
		if (q->link == l) {
			query_free(q);
			goto again;
		}
}

void
query_drop_grant(struct grant *g)
{
	struct query *q;

again:
	LIST_FOREACH(q, &queries, entry)
		if (q->grant == g) {
			query_end(q, END_CANCELLED, "the connection is gone");
			goto again;
		}
}

void
query_drop_log(struct log *l)
{
	struct query *q;

again:
	LIST_FOREACH(q, &queries, entry)
		if (q->log == l) {
			query_end(q, END_CANCELLED, "the service is gone");
			goto again;
		}
}
