/*
 * Questions to the logger: one record each, data taken by credit, a deadline,
 * and one more try when the logger was replaced meanwhile.
 */
#include <stdlib.h>
#include <string.h>

#include "frontend.h"
#include "log.h"
#include "render.h"
#include "util.h"

#define SEARCH_DEADLINE_MS	15000	/* when the configuration gives none */
#define TEXT_MAX		(ERRTEXT_SIZE + PATTERN_MAX)
#define READY_PATIENCE_MS	2000	/* for LOGS_READY, after a new link */

struct query {
	RB_ENTRY(query)		 node;
	struct wire_query	 wq;
	char			*pattern;
	const struct query_ops	*ops;
	void			*arg;
	struct event		 deadline;
	uint32_t		 id;
	int			 sent;
	int			 tries;
};
RB_HEAD(querytree, query);

static struct querytree	 queries = RB_INITIALIZER(&queries);
static uint32_t		 last_id;
static int		 waiting;	/* for LOGS_READY */
static struct event	*patience;

static int
query_cmp(const struct query *a, const struct query *b)
{
	return (a->id < b->id ? -1 : a->id > b->id);
}

RB_PROTOTYPE(querytree, query, node, query_cmp)
RB_GENERATE(querytree, query, node, query_cmp)

static void
query_free(struct query *q)
{
	(void)event_del(&q->deadline);
	RB_REMOVE(querytree, &queries, q);
	free(q->pattern);
	free(q);
}

static void
query_finish(struct query *q, const struct wire_end *we, const char *text)
{
	const struct query_ops	*ops = q->ops;
	void			*arg = q->arg;

	query_free(q);
	ops->end(arg, we, text);
}

static void
query_fail(struct query *q, uint32_t code, const char *text)
{
	struct wire_end	we;

	memset(&we, 0, sizeof(we));
	we.code = code;
	query_finish(q, &we, text);
}

static void
query_tell_cancel(struct query *q)
{
	if (q->sent && logger_link != NULL)
		(void)link_send(logger_link, IMSG_CANCEL, q->id, -1, NULL, 0);
	q->sent = 0;
}

static void
deadline_cb(int fd, short what, void *arg)
{
	struct query	*q = arg;

	(void)fd;
	(void)what;
	query_tell_cancel(q);
	query_fail(q, logger_link == NULL ? END_BUSY : END_TIMEOUT,
	    logger_link == NULL ? "the log process is being replaced; "
	    "try again" : "the search took too long");
}

/* Send it, if the logger can take it now. */
static void
query_send(struct query *q)
{
	if (logger_link == NULL || waiting || q->sent)
		return;
	q->tries++;
	q->sent = 1;
	(void)link_send2(logger_link, IMSG_QUERY, q->id, -1, &q->wq,
	    sizeof(q->wq), q->pattern, q->pattern == NULL ? 0 :
	    strlen(q->pattern));
}

static void
query_arm(struct query *q)
{
	struct timeval	tv;
	uint64_t	ms = q->wq.timeout_ms;

	if (ms == 0)
		ms = global.search_timeout_ms != 0 ?
		    global.search_timeout_ms : SEARCH_DEADLINE_MS;
	ms += ANSWER_SLACK_MS;
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	(void)evtimer_assign(&q->deadline, base, deadline_cb, q);
	(void)evtimer_add(&q->deadline, &tv);
}

struct query *
query_start(struct conn *c, const struct wire_query *wq, const char *pattern,
    const struct query_ops *ops, void *arg)
{
	struct query	*q;

	if ((q = calloc(1, sizeof(*q))) == NULL)
		return (NULL);
	if (pattern != NULL && (q->pattern = strdup(pattern)) == NULL) {
		free(q);
		return (NULL);
	}
	q->wq = *wq;
	q->wq.conn = c->id;
	q->ops = ops;
	q->arg = arg;
	do {
		q->id = ++last_id;
	} while (RB_INSERT(querytree, &queries, q) != NULL);
	query_arm(q);
	query_send(q);
	return (q);
}

void
query_cancel(struct query *q)
{
	query_tell_cancel(q);
	query_free(q);
}

static struct query *
query_of(struct imsg *imsg)
{
	struct query	key, *q;

	key.id = imsg_get_id(imsg);
	q = RB_FIND(querytree, &queries, &key);
	return (q != NULL && q->sent ? q : NULL);
}

void
query_data(struct link *link, struct imsg *imsg)
{
	const unsigned char	*data;
	const char		*text;
	struct wire_line	 line;
	struct wire_u32		 credit;
	struct ibuf		 view;
	struct query		*q;
	size_t			 len;
	int			 more;

	if (imsg_get_ibuf(imsg, &view) == -1) {
		link_refuse(link, "bad data");
		return;
	}
	/* Cancelled ones may still have data under way. */
	if ((q = query_of(imsg)) == NULL)
		return;
	data = ibuf_data(&view);
	len = ibuf_size(&view);
	credit.value = len;
	while ((more = line_next(&data, &len, &line, &text)) == 1)
		q->ops->line(q->arg, &line, text);
	if (more == -1) {
		link_refuse(link, "bad data");
		return;
	}
	(void)link_send(link, IMSG_CREDIT, q->id, -1, &credit, sizeof(credit));
}

void
query_end(struct link *link, struct imsg *imsg)
{
	struct wire_end	 we;
	struct query	*q;
	char		 raw[TEXT_MAX], text[3 * TEXT_MAX];
	size_t		 len;

	if (imsg_get_buf(imsg, &we, sizeof(we)) == -1 ||
	    (len = imsg_get_len(imsg)) >= sizeof(raw)) {
		link_refuse(link, "bad end of data");
		return;
	}
	(void)imsg_get_data(imsg, raw, len);
	(void)utf8_clean(text, raw, len);
	if ((q = query_of(imsg)) != NULL)
		query_finish(q, &we, text);
}

/* --- the logger goes and comes ------------------------------------------- */

void
query_link_lost(void)
{
	struct query	*q, *next;

	waiting = 1;
	RB_FOREACH_SAFE(q, querytree, &queries, next) {
		if (!q->sent)
			continue;
		q->sent = 0;
		if (q->tries > 1)
			query_fail(q, END_BUSY, "the log process was replaced "
			    "twice meanwhile; try again");
		else
			q->ops->reset(q->arg);
	}
}

static void
query_go_on(void)
{
	struct query	*q;

	waiting = 0;
	if (patience != NULL)
		(void)event_del(patience);
	RB_FOREACH(q, querytree, &queries)
		query_send(q);
}

static void
patience_cb(int fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	query_go_on();
}

/*
 * The grants must be there before the first question.  At start there are
 * none, later LOGS_READY tells; it may have come before the link.
 */
void
query_link_ready(void)
{
	struct timeval	tv = { READY_PATIENCE_MS / 1000, 0 };

	if (!waiting) {
		query_go_on();
		return;
	}
	if (patience == NULL)
		patience = event_new(base, -1, 0, patience_cb, NULL);
	if (patience != NULL)
		(void)event_add(patience, &tv);
}

void
query_logs_ready(struct link *link, struct imsg *imsg)
{
	(void)link;
	(void)imsg;
	query_go_on();
}
