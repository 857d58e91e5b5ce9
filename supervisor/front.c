/*
 * The frontend's requests.  This permit table is the core of keepd's
 * security: whoever has taken over the frontend can say what is here, about
 * services that the network may see, and nothing else.  No command, path,
 * environment, user or signal comes in on this link.
 */
#include <sys/types.h>
#include <sys/tree.h>

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "util.h"

#include "supervisor.h"

#define TIMEOUT_MAX_MS	(24ULL * 3600 * 1000)
#define NOTE_EVERY_MS	1000	/* refused connections in the audit trail */
#define ACTION_FLAGS	(ACTION_FORCE | ACTION_NOWAIT)

/* A client of the frontend, as the supervisor knows it. */
struct conn {
	RB_ENTRY(conn)	 node;
	uint32_t	 id;
	int		 granting;	/* the logger has not confirmed yet */
	int		 known;		/* IDENTITY was sent */
	struct identity	 who;
};
RB_HEAD(conn_tree, conn);

static struct conn_tree	 conns = RB_INITIALIZER(&conns);
static unsigned int	 nconns;
static unsigned int	 regranting;	/* to confirm before LOGS_READY */

static int
conn_cmp(const struct conn *a, const struct conn *b)
{
	return (a->id < b->id ? -1 : a->id > b->id);
}

RB_PROTOTYPE(conn_tree, conn, node, conn_cmp);
RB_GENERATE(conn_tree, conn, node, conn_cmp);

static struct conn *
conn_find(uint32_t id)
{
	struct conn	 key;

	key.id = id;
	return (RB_FIND(conn_tree, &conns, &key));
}

/* --- identities and grants ------------------------------------------------ */
static void
conn_tell(struct conn *c)
{
	struct wire_identity	 w;

	c->known = 1;
	if (sup.frontend == NULL)
		return;
	memset(&w, 0, sizeof(w));
	w.role = c->who.role;
	w.uid = c->who.uid;
	strlcpy(w.who, c->who.who, sizeof(w.who));
	memcpy(w.visible, c->who.visible, sizeof(w.visible));
	link_send(sup.frontend, IMSG_IDENTITY, c->id, -1, &w, sizeof(w));
}

/* The logger first: an identity is worth what the logger knows of it. */
static void
conn_grant(struct conn *c)
{
	struct wire_grant	 g;

	memcpy(g.visible, c->who.visible, sizeof(g.visible));
	c->granting = 1;
	link_send(sup.logger, IMSG_GRANT, c->id, -1, &g, sizeof(g));
}

static void
logs_ready(void)
{
	if (sup.frontend != NULL)
		link_send(sup.frontend, IMSG_LOGS_READY, 0, -1, NULL, 0);
}

static void
regrant_one_less(void)
{
	if (regranting > 0 && --regranting == 0)
		logs_ready();
}

void
front_granted(uint32_t id)
{
	struct conn	*c;

	if ((c = conn_find(id)) == NULL || !c->granting)
		return;
	c->granting = 0;
	if (!c->known)
		conn_tell(c);
	regrant_one_less();
}

/* A fresh logger knows nobody. */
void
front_regrant(void)
{
	struct conn	*c;

	regranting = 0;
	RB_FOREACH(c, conn_tree, &conns)
		if (c->who.role != ROLE_NONE) {
			conn_grant(c);
			regranting++;
		}
	if (regranting == 0)
		logs_ready();
}

void
front_no_logger(void)
{
	struct conn	*c;

	regranting = 0;
	RB_FOREACH(c, conn_tree, &conns) {
		c->granting = 0;
		if (!c->known)
			conn_tell(c);
	}
}

static int
identity_same(const struct identity *a, const struct identity *b)
{
	return (a->uid == b->uid && a->role == b->role &&
	    a->network == b->network && strcmp(a->who, b->who) == 0 &&
	    memcmp(a->visible, b->visible, sizeof(a->visible)) == 0);
}

/* After a configuration: who sees something else now is told so. */
void
front_reidentify(void)
{
	struct conn	*c;
	struct identity	 before;

	RB_FOREACH(c, conn_tree, &conns) {
		if (c->who.role == ROLE_NONE)
			continue;
		before = c->who;
		auth_identify(&c->who, before.uid, NULL, 0, 1);
		if (identity_same(&before, &c->who))
			continue;
		c->known = 0;
		if (sup.logger != NULL)
			conn_grant(c);
		else
			conn_tell(c);
	}
}

/* --- connections ---------------------------------------------------------- */
static void
conn_free(struct conn *c)
{
	request_drop_conn(c->id);
	wait_drop_conn(c->id);
	if (sup.logger != NULL && c->who.role != ROLE_NONE)
		link_send(sup.logger, IMSG_REVOKE, c->id, -1, NULL, 0);
	if (c->granting)
		regrant_one_less();
	RB_REMOVE(conn_tree, &conns, c);
	nconns--;
	free(c);
}

static int
is_our_port(const struct wire_peeraddr *p)
{
	size_t	 i;

	for (i = 0; i < sup.nports; i++)
		if (sup.ports[i].port == p->server_port &&
		    sup.ports[i].kind == p->kind)
			return (1);
	return (0);
}

/* Somebody who comes back all the time is not to push all else out. */
static void
front_note_stranger(const char *who)
{
	static uint64_t	 last;

	if (mono_ms() - last < NOTE_EVERY_MS && last != 0)
		return;
	last = mono_ms();
	event_note(NULL, EV_REFUSED, who,
	    "connection of a user who may do nothing here");
}

static void
conn_identify(struct conn *c, const struct wire_peeraddr *p)
{
	uint32_t	 uid = p->uid;

	if (p->kind != LISTEN_UNIX && diag_peer_uid(p, &uid) == -1)
		auth_nobody(&c->who, "unknown user");
	else
		auth_identify(&c->who, uid, NULL, 0, 1);
	if (c->who.role == ROLE_NONE)
		front_note_stranger(c->who.who);
}

static void
front_peeraddr(struct link *l, struct imsg *imsg)
{
	struct wire_peeraddr	 p;
	struct conn		*c;
	uint32_t		 id = imsg_get_id(imsg);

	if (imsg_get_data(imsg, &p, sizeof(p)) == -1 || id == 0 ||
	    p.kind > LISTEN_UNIX || conn_find(id) != NULL) {
		link_refuse(l, "bad PEERADDR");
		return;
	}
	if (p.kind != LISTEN_UNIX && !is_our_port(&p)) {
		link_refuse(l, "PEERADDR of a port that is not keepd's");
		return;
	}
	if (nconns >= FRONT_CONNS_MAX ||
	    (c = calloc(1, sizeof(*c))) == NULL) {
		link_refuse(l, "too many connections");
		return;
	}
	c->id = id;
	conn_identify(c, &p);
	RB_INSERT(conn_tree, &conns, c);
	nconns++;
	if (c->who.role != ROLE_NONE && sup.logger != NULL)
		conn_grant(c);
	else
		conn_tell(c);
}

static void
front_closed(struct link *l, struct imsg *imsg)
{
	struct conn	*c;

	if ((c = conn_find(imsg_get_id(imsg))) == NULL)
		link_refuse(l, "CONN_CLOSED of no connection");
	else
		conn_free(c);
}

/* --- requests ------------------------------------------------------------- */
/* The connection of a message, which must have an identity that counts. */
static struct conn *
front_conn(struct link *l, struct imsg *imsg)
{
	struct conn	*c;

	if ((c = conn_find(imsg_get_id(imsg))) == NULL) {
		link_refuse(l, "message of no connection");
		return (NULL);
	}
	/* While a changed view is on its way the old identity still holds. */
	if (c->who.role == ROLE_NONE) {
		link_refuse(l, "message of a connection without a role");
		return (NULL);
	}
	return (c);
}

static void
front_answer(struct conn *c, uint32_t serial, uint32_t service,
    uint32_t verb, uint32_t code, const char *text)
{
	struct wire_result	 r;
	struct asker		 asker;

	memset(&asker, 0, sizeof(asker));
	asker.conn = c->id;
	asker.serial = serial;
	memset(&r, 0, sizeof(r));
	r.service = service;
	r.verb = verb;
	r.code = code;
	r.exit_code = -1;
	request_send(&asker, &r, text);
}

/* The service, if this connection can know of it. */
static struct service *
front_service(struct conn *c, uint32_t id)
{
	struct service	*s = sup.services[id];

	if (s == NULL || !auth_visible(&c->who, s))
		return (NULL);
	return (s);
}

static void
front_refuse(struct conn *c, struct service *s, const struct wire_action *a)
{
	event_note(s, EV_REFUSED, c->who.who, textf("%s%s%s%s%s",
	    proto_verb_name(a->verb), a->client[0] == '\0' ? "" : " by ",
	    a->client, a->reason[0] == '\0' ? "" : ": ", a->reason));
	front_answer(c, a->serial, s->id, a->verb, RES_PERMISSION,
	    textf("Permission denied: %s allows the network to %s only",
	    s->st.name, proto_role_name(auth_role(&c->who, s))));
}

static int
action_ok(const struct wire_action *a)
{
	return (a->service < MAX_SERVICES && a->verb < VERB_COUNT &&
	    (a->flags & ~(uint32_t)ACTION_FLAGS) == 0 &&
	    a->timeout_ms <= TIMEOUT_MAX_MS &&
	    proto_str_ends(a->reason, sizeof(a->reason)) &&
	    proto_str_ends(a->client, sizeof(a->client)));
}

static void
front_action(struct link *l, struct imsg *imsg)
{
	struct wire_action	 a;
	struct asker		 asker;
	struct service		*s;
	struct conn		*c;

	if ((c = front_conn(l, imsg)) == NULL)
		return;
	if (imsg_get_data(imsg, &a, sizeof(a)) == -1 || !action_ok(&a)) {
		link_refuse(l, "bad ACTION");
		return;
	}
	if ((s = front_service(c, a.service)) == NULL) {
		front_answer(c, a.serial, a.service, a.verb, RES_NOT_FOUND,
		    "service not found");
		return;
	}
	if (auth_role(&c->who, s) < ROLE_OPERATE) {
		front_refuse(c, s, &a);
		return;
	}
	if (request_count() >= FRONT_ACTIONS_MAX) {
		front_answer(c, a.serial, a.service, a.verb, RES_BUSY,
		    "too many actions are pending");
		return;
	}
	memset(&asker, 0, sizeof(asker));
	asker.conn = c->id;
	asker.serial = a.serial;
	service_ask(s, &asker, &c->who, &a);
}

static void
front_describe(struct link *l, struct imsg *imsg)
{
	static char	 tail[FRAME_MAX - sizeof(struct wire_text)];
	struct wire_text text;
	struct wire_u32	 w;
	struct service	*s;
	struct conn	*c;
	size_t		 len;

	if ((c = front_conn(l, imsg)) == NULL)
		return;
	if (imsg_get_data(imsg, &w, sizeof(w)) == -1 ||
	    w.value >= MAX_SERVICES) {
		link_refuse(l, "bad DESCRIBE");
		return;
	}
	if ((s = front_service(c, w.value)) == NULL)
		return;		/* removed meanwhile: it hears of that */
	len = push_text(s, &text, tail, sizeof(tail));
	link_send2(l, IMSG_TEXT, s->id, -1, &text, sizeof(text), tail, len);
}

static void
front_wait(struct link *l, struct imsg *imsg)
{
	struct wire_wait w;
	struct asker	 asker;
	struct service	*s;
	struct conn	*c;

	if ((c = front_conn(l, imsg)) == NULL)
		return;
	if (imsg_get_data(imsg, &w, sizeof(w)) == -1 ||
	    w.service >= MAX_SERVICES || w.until > UNTIL_PORT ||
	    w.port > UINT16_MAX || w.timeout_ms > TIMEOUT_MAX_MS) {
		link_refuse(l, "bad WAIT");
		return;
	}
	if ((s = front_service(c, w.service)) == NULL) {
		front_answer(c, w.serial, w.service, VERB_COUNT,
		    RES_NOT_FOUND, "service not found");
		return;
	}
	if (wait_count() >= FRONT_WAITS_MAX) {
		front_answer(c, w.serial, w.service, VERB_COUNT, RES_BUSY,
		    "too many clients are waiting");
		return;
	}
	memset(&asker, 0, sizeof(asker));
	asker.conn = c->id;
	asker.serial = w.serial;
	wait_add(s, &asker, &w);
}

static void
front_unwait(struct link *l, struct imsg *imsg)
{
	struct wire_u32	 w;
	struct conn	*c;

	if ((c = front_conn(l, imsg)) == NULL)
		return;
	if (imsg_get_data(imsg, &w, sizeof(w)) == -1)
		link_refuse(l, "bad UNWAIT");
	else
		wait_drop(c->id, w.value);
}

static void
front_activity(struct link *l, struct imsg *imsg)
{
	if (front_conn(l, imsg) != NULL)
		mode_activity();
}

static const struct permit front_permits[] = {
	{ IMSG_PEERADDR,	LINK_ANY,	front_peeraddr },
	{ IMSG_CONN_CLOSED,	LINK_ANY,	front_closed },
	{ IMSG_DESCRIBE,	LINK_ANY,	front_describe },
	{ IMSG_ACTION,		LINK_ANY,	front_action },
	{ IMSG_WAIT,		LINK_ANY,	front_wait },
	{ IMSG_UNWAIT,		LINK_ANY,	front_unwait },
	{ IMSG_ACTIVITY,	LINK_ANY,	front_activity },
	{ IMSG_NONE,		0,		NULL }
};

/* --- the link ------------------------------------------------------------- */
static void
front_forget_all(void)
{
	struct conn	*c;

	while ((c = RB_MIN(conn_tree, &conns)) != NULL)
		conn_free(c);
	request_drop_conn(0);
	wait_drop_conn(0);
}

static void
front_lost(struct link *l, const char *reason)
{
	/* A frontend that breaks a rule is broken or taken over: parent sees
	 * it die of the closed link, and starts another. */
	if (strcmp(reason, "end of file") == 0)
		log_info("frontend: %s", reason);
	else
		log_warnx("frontend broke a rule and is cut off: %s", reason);
	if (sup.frontend == l) {
		sup.frontend = NULL;
		front_forget_all();
	}
	link_free(l);
}

static void
front_drained(struct link *l)
{
	(void)l;
	push_flush();
}

static const struct link_ops front_ops = { front_lost, front_drained };

/* A fresh frontend; takes fd. */
void
front_up(int fd)
{
	struct link	*old = sup.frontend;

	front_forget_all();
	sup.frontend = link_new(sup.base, "frontend", fd, 0, front_permits,
	    &front_ops, NULL);
	if (sup.frontend == NULL)
		fatal("link to the frontend");
	if (old != NULL)
		link_free(old);
	push_all();
	if (sup.logger != NULL)
		logs_ready();
}
