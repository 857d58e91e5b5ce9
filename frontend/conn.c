/*
 * Connections of clients: one bounded record each, who is at the other end
 * (asked of the supervisor once), and how long they may stay silent.  Knows
 * nothing of what is said on them.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend.h"
#include "log.h"
#include "util.h"

#define BODY_SLACK	(128 * 1024)	/* headers, chunk marks */

TAILQ_HEAD(connlist, conn);
RB_HEAD(conntree, conn);
RB_HEAD(evcontree, conn);

static struct conntree	 conns = RB_INITIALIZER(&conns);
static struct evcontree	 evcons = RB_INITIALIZER(&evcons);
static struct connlist	 fresh = TAILQ_HEAD_INITIALIZER(fresh);
static struct event	*fresh_event;
static uint32_t		 nconns, last_id;

/* Clients that owe something; whoever came first is the first to run out. */
struct patience {
	struct connlist	 list;
	uint64_t	 ms;
	struct event	*timer;
};

static struct patience	 idle = {	/* the next request */
	TAILQ_HEAD_INITIALIZER(idle.list), CONN_IDLE_MS, NULL
};
static struct patience	 receiving = {	/* the rest of one */
	TAILQ_HEAD_INITIALIZER(receiving.list), CONN_RECEIVE_MS, NULL
};

static int
conn_cmp(const struct conn *a, const struct conn *b)
{
	return (a->id < b->id ? -1 : a->id > b->id);
}

static int
evcon_cmp(const struct conn *a, const struct conn *b)
{
	uintptr_t	x = (uintptr_t)a->evcon, y = (uintptr_t)b->evcon;

	return (x < y ? -1 : x > y);
}

RB_PROTOTYPE(conntree, conn, node, conn_cmp)
RB_GENERATE(conntree, conn, node, conn_cmp)
RB_PROTOTYPE(evcontree, conn, by_evcon, evcon_cmp)
RB_GENERATE(evcontree, conn, by_evcon, evcon_cmp)

struct conn *
conn_find(uint32_t id)
{
	struct conn	key;

	key.id = id;
	return (RB_FIND(conntree, &conns, &key));
}

static uint32_t
conn_next_id(void)
{
	do {
		if (++last_id == 0)
			last_id = 1;
	} while (conn_find(last_id) != NULL);
	return (last_id);
}

const char *
conn_who(struct conn *c)
{
	return (c->identity.who);
}

static int
address_get(int fd, int (*ask)(int, struct sockaddr *, socklen_t *),
    uint8_t *addr, uint16_t *port, uint32_t *scope, uint32_t *kind)
{
	struct sockaddr_storage	 ss;
	struct sockaddr_in	 in;
	struct sockaddr_in6	 in6;
	socklen_t		 len = sizeof(ss);

	memset(&ss, 0, sizeof(ss));
	if (ask(fd, (struct sockaddr *)&ss, &len) == -1)
		return (-1);
	if (ss.ss_family == AF_INET) {
		memcpy(&in, &ss, sizeof(in));
		memcpy(addr, &in.sin_addr, sizeof(in.sin_addr));
		*port = ntohs(in.sin_port);
		*kind = LISTEN_INET;
	} else if (ss.ss_family == AF_INET6) {
		memcpy(&in6, &ss, sizeof(in6));
		memcpy(addr, &in6.sin6_addr, sizeof(in6.sin6_addr));
		*port = ntohs(in6.sin6_port);
		*scope = in6.sin6_scope_id;
		*kind = LISTEN_INET6;
	} else
		*kind = LISTEN_UNIX;
	return (0);
}

static int
peeraddr_get(int fd, struct wire_peeraddr *pa)
{
	struct ucred	 cred;
	socklen_t	 len = sizeof(cred);

	memset(pa, 0, sizeof(*pa));
	if (address_get(fd, getsockname, pa->server, &pa->server_port,
	    &pa->scope, &pa->kind) == -1)
		return (-1);
	pa->uid = (uint32_t)-1;
	if (pa->kind != LISTEN_UNIX)
		return (address_get(fd, getpeername, pa->client,
		    &pa->client_port, &pa->scope, &pa->kind));
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return (-1);
	pa->uid = cred.uid;
	return (0);
}

/* Asks the supervisor who this is; -1: the client has left already. */
static int
conn_ask(struct conn *c)
{
	struct wire_peeraddr	pa;

	if (peeraddr_get(bufferevent_getfd(c->bev), &pa) == -1)
		return (-1);
	if (supervisor_link != NULL)
		(void)link_send(supervisor_link, IMSG_PEERADDR, c->id, -1,
		    &pa, sizeof(pa));
	return (0);
}

/* --- the life of a record ------------------------------------------------ */

static void
patience_arm(struct patience *p, uint64_t ms)
{
	struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	(void)event_add(p->timer, &tv);
}

/* The timer may run out in vain. */
static void
patience_leave(struct conn *c)
{
	if (c->patience != NULL)
		TAILQ_REMOVE(&c->patience->list, c, entry);
	c->patience = NULL;
}

static void
patience_enter(struct conn *c, struct patience *p)
{
	patience_leave(c);
	c->patience = p;
	c->since = mono_ms();
	TAILQ_INSERT_TAIL(&p->list, c, entry);
	if (!event_pending(p->timer, EV_TIMEOUT, NULL))
		patience_arm(p, p->ms);
}

static void
patience_cb(int fd, short what, void *arg)
{
	struct patience	*p = arg;
	struct conn	*c;
	uint64_t	 now = mono_ms();

	(void)fd;
	(void)what;
	while ((c = TAILQ_FIRST(&p->list)) != NULL) {
		if (now < c->since + p->ms) {
			patience_arm(p, c->since + p->ms - now);
			return;
		}
		evhttp_connection_free(c->evcon);
	}
}

void
conn_busy(struct conn *c)
{
	patience_leave(c);
}

void
conn_idle(struct conn *c)
{
	patience_enter(c, &idle);
}

/* Nobody waits for this request any more. */
void
conn_release(struct conn *c)
{
	struct exchange	*x = &c->x;

	if (x->waiting)
		(void)event_del(&x->parked);
	if (x->watching)
		(void)event_del(&x->watch);
	x->waiting = x->watching = 0;
	x->req = NULL;
	x->gone = NULL;
}

/* The client has left in the midst of its request. */
static void
exchange_forget(struct conn *c)
{
	struct exchange	*x = &c->x;
	void		(*gone)(void *) = x->gone;

	if (x->req == NULL)
		return;
	/* evhttp has let go of it: nobody else frees it. */
	if (evhttp_request_get_connection(x->req) == NULL)
		evhttp_request_free(x->req);
	conn_release(c);
	if (gone != NULL)
		gone(x->arg);
}

/*
 * Something has come.  evhttp's lines are C strings: a NUL byte would hide what
 * follows it.  Only remembered here, because a body's are the JSON parser's.
 */
static void
input_cb(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct conn		*c = arg;
	struct evbuffer_ptr	 at;
	char			 nul = '\0';

	if (info->n_added == 0)
		return;
	if (c->patience == &idle)
		patience_enter(c, &receiving);
	if (evbuffer_ptr_set(in, &at, info->orig_size, EVBUFFER_PTR_SET) == -1)
		return;
	at = evbuffer_search(in, &nul, 1, &at);
	if (at.pos != -1)
		c->saw_nul = 1;
}

static void
conn_free(struct conn *c)
{
	/* The bufferevent may live a little longer. */
	(void)evbuffer_remove_cb(bufferevent_get_input(c->bev), input_cb, c);
	patience_leave(c);
	if (c->evcon != NULL)
		RB_REMOVE(evcontree, &evcons, c);
	RB_REMOVE(conntree, &conns, c);
	free(c);
}

/* evhttp frees the connection right after this, whoever began it. */
static void
conn_closed(struct evhttp_connection *evcon, void *arg)
{
	struct conn	*c = arg;

	(void)evcon;
	nconns--;
	exchange_forget(c);
	if (supervisor_link != NULL)
		(void)link_send(supervisor_link, IMSG_CONN_CLOSED, c->id, -1,
		    NULL, 0);
	conn_free(c);
}

/* evhttp wants a bufferevent for a connection that it is about to make. */
struct bufferevent *
conn_accept(struct event_base *evbase, void *arg)
{
	struct timeval	 tv = { CONN_WRITE_SECONDS, 0 };
	struct conn	*c;

	(void)arg;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		return (NULL);
	if ((c->bev = bufferevent_socket_new(evbase, -1, 0)) == NULL) {
		free(c);
		return (NULL);
	}
	/* What a client sends while its request is answered stays with it. */
	bufferevent_setwatermark(c->bev, EV_READ, 0,
	    global.max_request + BODY_SLACK);
	(void)bufferevent_set_timeouts(c->bev, NULL, &tv);
	(void)evbuffer_add_cb(bufferevent_get_input(c->bev), input_cb, c);
	bufferevent_incref(c->bev);
	c->id = conn_next_id();
	RB_INSERT(conntree, &conns, c);
	TAILQ_INSERT_TAIL(&fresh, c, entry);
	event_active(fresh_event, EV_TIMEOUT, 1);
	return (c->bev);
}

/* The bufferevent's callbacks have the evhttp connection as their argument. */
static struct evhttp_connection *
evcon_of(struct bufferevent *bev)
{
	void	*arg = NULL;

	bufferevent_getcb(bev, NULL, NULL, NULL, &arg);
	return (arg);
}

static void
parked_cb(int fd, short what, void *arg)
{
	struct conn	*c = arg;

	(void)fd;
	(void)what;
	c->x.waiting = 0;
	http_error(c, 503, "BUSY", "keepd could not find out in time who is "
	    "at the other end of this connection; try again");
}

static void
watch_cb(int fd, short what, void *arg)
{
	struct conn	*c = arg;

	(void)fd;
	(void)what;
	evhttp_connection_free(c->evcon);
}

/* Nobody was told of it yet. */
static void
conn_discard(struct conn *c)
{
	struct evhttp_connection	*evcon = c->evcon;

	conn_free(c);
	evhttp_connection_free(evcon);
}

static void
conn_begin(struct conn *c)
{
	struct bufferevent	*bev = c->bev;

	if ((c->evcon = evcon_of(bev)) == NULL) {
		conn_free(c);
		(void)bufferevent_decref(bev);
		return;
	}
	(void)bufferevent_decref(bev);
	RB_INSERT(evcontree, &evcons, c);
	(void)evtimer_assign(&c->x.parked, base, parked_cb, c);
	(void)event_assign(&c->x.watch, base, bufferevent_getfd(bev),
	    EV_CLOSED, watch_cb, c);
	conn_idle(c);
	if (nconns >= global.max_connections) {
		log_debug("connection %u: too many", c->id);
		conn_discard(c);
		return;
	}
	if (conn_ask(c) == -1) {
		conn_discard(c);
		return;
	}
	nconns++;
	evhttp_connection_set_closecb(c->evcon, conn_closed, c);
}

/* Runs after accept, before the first byte is read. */
static void
fresh_cb(int fd, short what, void *arg)
{
	struct conn	*c;

	(void)fd;
	(void)what;
	(void)arg;
	while ((c = TAILQ_FIRST(&fresh)) != NULL) {
		TAILQ_REMOVE(&fresh, c, entry);
		conn_begin(c);
	}
}

void
conn_init(void)
{
	if ((fresh_event = event_new(base, -1, 0, fresh_cb, NULL)) == NULL ||
	    (idle.timer = event_new(base, -1, 0, patience_cb, &idle)) == NULL ||
	    (receiving.timer = event_new(base, -1, 0, patience_cb,
	    &receiving)) == NULL)
		fatalx("out of memory");
}

struct conn *
conn_of(struct evhttp_request *req)
{
	struct conn	key;

	key.evcon = evhttp_request_get_connection(req);
	return (RB_FIND(evcontree, &evcons, &key));
}

/* --- identity ------------------------------------------------------------ */

static uint32_t
conn_count_user(uint32_t uid)
{
	struct conn	*c;
	uint32_t	 n = 0;

	RB_FOREACH(c, conntree, &conns)
		if (c->known && c->identity.uid == uid)
			n++;
	return (n);
}

static void
conn_admit(struct conn *c)
{
	void	(*handler)(struct conn *) = c->x.handler;

	if (c->x.waiting)
		(void)event_del(&c->x.parked);
	c->x.waiting = 0;
	if (c->identity.role == ROLE_NONE) {
		log_debug("connection %u: %s refused", c->id, conn_who(c));
		http_error(c, 403, "PERMISSION_DENIED",
		    "Permission denied: this keepd does not serve %s",
		    conn_who(c));
		return;
	}
	handler(c);
}

void
conn_identify(struct conn *c, void (*handler)(struct conn *))
{
	struct timeval	tv = { IDENTITY_DEADLINE_MS / 1000, 0 };

	c->x.handler = handler;
	if (c->known) {
		conn_admit(c);
		return;
	}
	c->x.waiting = 1;
	(void)evtimer_add(&c->x.parked, &tv);
	http_pending(c, NULL, NULL);
}

static void
conn_too_many(struct conn *c)
{
	log_debug("connection %u: too many of %s", c->id, conn_who(c));
	c->known = 0;
	if (c->x.waiting) {
		http_error(c, 503, "BUSY", "too many connections of %s",
		    conn_who(c));
	} else if (c->x.req == NULL)
		evhttp_connection_free(c->evcon);
}

void
conn_identity(struct link *link, struct imsg *imsg)
{
	struct wire_identity	 wi;
	struct conn		*c;
	int			 first;

	if (imsg_get_data(imsg, &wi, sizeof(wi)) == -1 ||
	    !proto_str_ok(wi.who, sizeof(wi.who)) || wi.role > ROLE_MANAGE) {
		link_refuse(link, "bad identity");
		return;
	}
	/* The client may have left meanwhile. */
	if ((c = conn_find(imsg_get_id(imsg))) == NULL || c->evcon == NULL)
		return;
	first = !c->known;
	c->identity = wi;
	c->known = 1;
	c->described = DESCRIBED_NO;
	if (first && conn_count_user(wi.uid) > global.max_user_connections) {
		conn_too_many(c);
		return;
	}
	if (wi.role != ROLE_NONE)
		(void)services_described(c);
	if (c->x.waiting)
		conn_admit(c);
}

/* --- changes of the configuration ---------------------------------------- */

void
conn_forget_service(uint32_t id)
{
	struct conn	*c;

	RB_FOREACH(c, conntree, &conns)
		c->identity.visible[id / 8] &= ~(1U << (id % 8));
}

/*
 * The id is another service's now, and it is the supervisor's to say who sees
 * that.  It tells only changes, so these clients must come again.
 */
void
conn_doubt_service(uint32_t id)
{
	struct conn	*c, *next;

	RB_FOREACH_SAFE(c, conntree, &conns, next) {
		if ((c->identity.visible[id / 8] & 1U << id % 8) == 0)
			continue;
		if (c->x.req == NULL && c->patience == &idle)
			evhttp_connection_free(c->evcon);
		else
			c->finish = 1;
	}
}

void
conn_undescribed(void)
{
	struct conn	*c;

	RB_FOREACH(c, conntree, &conns)
		c->described = DESCRIBED_NO;
}

void
conn_finish(void)
{
	struct conn	*c, *next;

	RB_FOREACH_SAFE(c, conntree, &conns, next)
		if (c->evcon != NULL && c->x.req == NULL)
			evhttp_connection_free(c->evcon);
}

void
conn_watch(struct conn *c)
{
	if (!c->x.watching && event_add(&c->x.watch, NULL) == 0)
		c->x.watching = 1;
}
