/*
 * Questions to the supervisor that are answered later by a RESULT: actions
 * and waits, found again by their serial.  Deadlines are the caller's.
 */
#include <stdlib.h>
#include <string.h>

#include "frontend.h"
#include "log.h"
#include "util.h"

struct ask {
	RB_ENTRY(ask)	 node;
	uint32_t	 serial;
	uint32_t	 conn;
	int		 is_wait;
	ask_cb		*cb;
	void		*arg;
};
RB_HEAD(asktree, ask);

static struct asktree	asks = RB_INITIALIZER(&asks);
static uint32_t		last_serial;

static int
ask_cmp(const struct ask *a, const struct ask *b)
{
	return (a->serial < b->serial ? -1 : a->serial > b->serial);
}

RB_PROTOTYPE(asktree, ask, node, ask_cmp)
RB_GENERATE(asktree, ask, node, ask_cmp)

static struct ask *
ask_new(struct conn *c, ask_cb *cb, void *arg)
{
	struct ask	*a;

	if (supervisor_link == NULL || (a = calloc(1, sizeof(*a))) == NULL)
		return (NULL);
	do {
		a->serial = ++last_serial;
	} while (RB_INSERT(asktree, &asks, a) != NULL);
	a->conn = c->id;
	a->cb = cb;
	a->arg = arg;
	return (a);
}

static void
ask_free(struct ask *a)
{
	RB_REMOVE(asktree, &asks, a);
	free(a);
}

struct ask *
ask_action(struct conn *c, struct wire_action *wa, ask_cb *cb, void *arg)
{
	struct ask	*a;

	if ((a = ask_new(c, cb, arg)) == NULL)
		return (NULL);
	wa->serial = a->serial;
	if (link_send(supervisor_link, IMSG_ACTION, c->id, -1, wa,
	    sizeof(*wa)) == -1) {
		ask_free(a);
		return (NULL);
	}
	return (a);
}

struct ask *
ask_wait(struct conn *c, struct wire_wait *ww, ask_cb *cb, void *arg)
{
	struct ask	*a;

	if ((a = ask_new(c, cb, arg)) == NULL)
		return (NULL);
	a->is_wait = 1;
	ww->serial = a->serial;
	if (link_send(supervisor_link, IMSG_WAIT, c->id, -1, ww,
	    sizeof(*ww)) == -1) {
		ask_free(a);
		return (NULL);
	}
	return (a);
}

/* An action goes on; only nobody waits for its result any more. */
void
ask_cancel(struct ask *a)
{
	struct wire_u32	wu = { a->serial };

	if (a->is_wait && supervisor_link != NULL)
		(void)link_send(supervisor_link, IMSG_UNWAIT, a->conn, -1, &wu,
		    sizeof(wu));
	ask_free(a);
}

void
ask_result(struct link *link, struct imsg *imsg)
{
	struct wire_result	 wr;
	struct ask		*a, key;
	ask_cb			*cb;
	void			*arg;
	char			 raw[ERRTEXT_SIZE], text[3 * ERRTEXT_SIZE];
	size_t			 len;

	if (imsg_get_buf(imsg, &wr, sizeof(wr)) == -1 ||
	    wr.code >= RES_COUNT) {
		link_refuse(link, "bad result");
		return;
	}
	if ((len = imsg_get_len(imsg)) >= sizeof(raw)) {
		link_refuse(link, "result is too long");
		return;
	}
	(void)imsg_get_data(imsg, raw, len);
	(void)utf8_clean(text, raw, len);
	key.serial = wr.serial;
	if ((a = RB_FIND(asktree, &asks, &key)) == NULL)
		return;
	cb = a->cb;
	arg = a->arg;
	ask_free(a);
	cb(arg, &wr, text);
}
