/*
 * Log queries of keepctl clients: passed to the logger under a number of our
 * own, and its answers back, unread.  Back pressure is the client's credit,
 * which passes through.
 */
#include <sys/types.h>
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>

#include "log.h"

#include "supervisor.h"

#define RELAYS_PER_CLIENT	256

struct relay {
	RB_ENTRY(relay)	 node;		/* by id */
	uint32_t	 id;		/* towards the logger */
	uint32_t	 frame;		/* towards the client */
	struct ctl	*ctl;
};
RB_HEAD(relay_tree, relay);

static struct relay_tree relays = RB_INITIALIZER(&relays);
static uint32_t		 next_id;

static int
relay_cmp(const struct relay *a, const struct relay *b)
{
	return (a->id < b->id ? -1 : a->id > b->id);
}

RB_PROTOTYPE(relay_tree, relay, node, relay_cmp);
RB_GENERATE(relay_tree, relay, node, relay_cmp);

static struct relay *
relay_find(uint32_t id)
{
	struct relay	 key;

	key.id = id;
	return (RB_FIND(relay_tree, &relays, &key));
}

static struct relay *
relay_of(struct ctl *ctl, uint32_t frame)
{
	struct relay	*r;

	RB_FOREACH(r, relay_tree, &relays)
		if (r->ctl == ctl && r->frame == frame)
			return (r);
	return (NULL);
}

static unsigned int
relay_count(struct ctl *ctl)
{
	struct relay	*r;
	unsigned int	 n = 0;

	RB_FOREACH(r, relay_tree, &relays)
		n += r->ctl == ctl;
	return (n);
}

static void
relay_free(struct relay *r)
{
	RB_REMOVE(relay_tree, &relays, r);
	free(r);
}

void
relay_fail(struct ctl *ctl, uint32_t frame, uint32_t code, const char *text)
{
	struct wire_end	 e;

	memset(&e, 0, sizeof(e));
	e.code = code;
	e.exit_code = -1;
	link_send2(control_link(ctl), IMSG_END, frame, -1, &e, sizeof(e),
	    text, strlen(text));
}

static struct relay *
relay_new(struct ctl *ctl, uint32_t frame)
{
	struct relay	*r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return (NULL);
	r->ctl = ctl;
	r->frame = frame;
	do
		r->id = ++next_id;
	while (RB_INSERT(relay_tree, &relays, r) != NULL);
	return (r);
}

void
relay_query(struct ctl *ctl, uint32_t frame, struct service *s,
    const struct wire_query *wq, const void *pattern, size_t len)
{
	struct wire_query	 q = *wq;
	struct relay		*r;

	if (sup.logger == NULL)
		relay_fail(ctl, frame, END_FAILED,
		    "the logger is restarting; try again");
	else if (relay_of(ctl, frame) != NULL)
		relay_fail(ctl, frame, END_FAILED,
		    "this number is in use by another query");
	else if (relay_count(ctl) >= RELAYS_PER_CLIENT ||
	    (r = relay_new(ctl, frame)) == NULL)
		relay_fail(ctl, frame, END_BUSY, "too many queries at once");
	else {
		q.conn = 0;
		q.service = s->id;
		link_send2(sup.logger, IMSG_QUERY, r->id, -1, &q, sizeof(q),
		    pattern, len);
	}
}

/* A query may have ended while these were on their way. */
void
relay_credit(struct ctl *ctl, uint32_t frame, uint32_t bytes)
{
	struct wire_u32	 w = { bytes };
	struct relay	*r;

	if ((r = relay_of(ctl, frame)) != NULL && sup.logger != NULL)
		link_send(sup.logger, IMSG_CREDIT, r->id, -1, &w, sizeof(w));
}

void
relay_cancel(struct ctl *ctl, uint32_t frame)
{
	struct relay	*r;

	if ((r = relay_of(ctl, frame)) != NULL && sup.logger != NULL)
		link_send(sup.logger, IMSG_CANCEL, r->id, -1, NULL, 0);
}

void
relay_drop_ctl(struct ctl *ctl)
{
	struct relay	*r, *next;

	RB_FOREACH_SAFE(r, relay_tree, &relays, next) {
		if (r->ctl != ctl)
			continue;
		if (sup.logger != NULL)
			link_send(sup.logger, IMSG_CANCEL, r->id, -1, NULL, 0);
		relay_free(r);
	}
}

void
relay_down(void)
{
	struct relay	*r;

	while ((r = RB_MIN(relay_tree, &relays)) != NULL) {
		relay_fail(r->ctl, r->frame, END_FAILED,
		    "the logger was restarted; ask again");
		relay_free(r);
	}
}

/* --- from the logger ------------------------------------------------------ */
static void
relay_pass(const struct relay *r, struct imsg *imsg)
{
	struct ibuf	 data;

	if (imsg_get_ibuf(imsg, &data) == -1)
		return;
	link_send(control_link(r->ctl), imsg_get_type(imsg), r->frame, -1,
	    ibuf_data(&data), ibuf_size(&data));
}

void
relay_data(struct link *l, struct imsg *imsg)
{
	const struct relay	*r;

	(void)l;
	/* None: the client went away, and CANCEL is under way. */
	if ((r = relay_find(imsg_get_id(imsg))) != NULL)
		relay_pass(r, imsg);
}

void
relay_end(struct link *l, struct imsg *imsg)
{
	struct relay	*r;

	(void)l;
	if ((r = relay_find(imsg_get_id(imsg))) == NULL)
		return;
	relay_pass(r, imsg);
	relay_free(r);
}
