/*
 * The control socket: keepctl's requests.  Who is at the other end is what
 * the kernel says (SO_PEERCRED, SO_PEERGROUPS).  A client that sends garbage
 * loses its connection, and nothing else happens.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "util.h"

#include "supervisor.h"

#define CTL_MAX			64
#define CTL_USER_MAX		32
#define CTL_ACTIONS_MAX		8192	/* of one client, unanswered */
#define CTL_HELLO_SECONDS	10
#define CTL_RETRY_MS		200	/* accept again after a failure */
#define CTL_NOTE_MS		1000	/* between notes of refused clients */
#define CTL_TIMEOUT_MAX_MS	(24ULL * 3600 * 1000)
#define CTL_GREETED		2U	/* state of the link after HELLO */

enum job_kind { JOB_NONE, JOB_STATUS, JOB_EVENTS };

/* A long answer, given in pieces as fast as the client reads. */
struct job {
	enum job_kind	 kind;
	uint32_t	 frame;
	uint32_t	*ids;		/* services */
	size_t		 n;
	size_t		 pos;
	uint64_t	 seq;		/* JOB_EVENTS: sent up to here */
	uint64_t	 since_ms;
	int		 own;		/* keepd's own events, too */
	int		 follow;
};

struct ctl {
	TAILQ_ENTRY(ctl) entry;
	struct link	*link;
	struct identity	 who;
	gid_t		 groups[GROUPS_MAX];
	size_t		 ngroups;
	struct event	 hello;
	struct job	 job;
	int		 following;
	uint32_t	 follow_frame;
	int		 follow_own;
	uint8_t		 follow[MAX_SERVICES / 8];
	uint32_t	 reload;	/* serial of a reload that it awaits */
	uint32_t	 reload_frame;
};
TAILQ_HEAD(ctl_list, ctl);

static struct ctl_list	 ctls = TAILQ_HEAD_INITIALIZER(ctls);
static unsigned int	 nctls;
static struct event	 listen_ev;
static struct event	 retry_ev;
static int		 listen_fd = -1;
static uint32_t		 reload_serial;
static const struct permit control_permits[];
static const struct link_ops control_ops;

struct link *
control_link(struct ctl *c)
{
	return (c->link);
}

/* --- answers -------------------------------------------------------------- */
void
control_send(struct ctl *c, uint32_t frame, struct wire_result *r,
    const char *text)
{
	link_send2(c->link, IMSG_RESULT, frame, -1, r, sizeof(*r), text,
	    strlen(text));
}

/* The final RESULT of a request. */
static void
control_final(struct ctl *c, uint32_t frame, uint32_t serial, uint32_t code,
    const char *text)
{
	struct wire_result	 r;

	memset(&r, 0, sizeof(r));
	r.serial = serial;
	r.service = SERVICE_NONE;
	r.code = code;
	r.verb = VERB_COUNT;
	r.exit_code = -1;
	control_send(c, frame, &r, text);
}

static const char *
not_found_text(struct ctl *c, const struct wire_target *t)
{
	const char	*hint;

	if (t->text[0] == '\0')
		return ("no service is configured that you may see");
	if (t->group)
		return (textf("group %s not found", t->text));
	hint = target_hint(t->text, &c->who);
	return (textf("service %s not found%s%s%s", t->text,
	    hint == NULL ? "" : "; did you mean ", hint == NULL ? "" : hint,
	    hint == NULL ? "" : "?"));
}

static void
control_not_found(struct ctl *c, uint32_t frame, uint32_t serial,
    const struct wire_target *t)
{
	control_final(c, frame, serial, RES_NOT_FOUND, not_found_text(c, t));
}

/* --- targets -------------------------------------------------------------- */
static struct service	*found[MAX_SERVICES];

static size_t
control_find(struct ctl *c, const struct wire_target *t)
{
	return (target_find(t, &c->who, found, MAX_SERVICES));
}

static int
target_ok(const struct wire_target *t)
{
	return (proto_str_ok(t->text, sizeof(t->text)));
}

/* --- jobs ----------------------------------------------------------------- */
static void
job_end(struct ctl *c)
{
	struct job	*j = &c->job;

	if (!j->follow)
		control_final(c, j->frame, 0, RES_OK, "");
	free(j->ids);
	memset(j, 0, sizeof(*j));
	link_resume(c->link);
}

static void
job_send_status(struct ctl *c, const struct service *s)
{
	static char	 tail[FRAME_MAX - sizeof(struct wire_text)];
	struct wire_text text;
	size_t		 len;

	link_send(c->link, IMSG_STATE, s->id, -1, &s->st, sizeof(s->st));
	len = push_text(s, &text, tail, sizeof(tail));
	link_send2(c->link, IMSG_TEXT, s->id, -1, &text, sizeof(text), tail,
	    len);
}

static void
job_status(struct ctl *c)
{
	struct job		*j = &c->job;
	const struct service	*s;

	while (j->pos < j->n && !link_full(c->link))
		if ((s = sup.services[j->ids[j->pos++]]) != NULL &&
		    auth_visible(&c->who, s))
			job_send_status(c, s);
	if (j->pos == j->n)
		job_end(c);
}

/* The first event of a service behind seq, NULL for none. */
static const struct wire_event *
event_after(const struct service *s, uint64_t seq)
{
	const struct wire_event	*ev;
	unsigned int		 lo = 0, hi = EVENTS_KEPT, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		ev = event_at(s, mid);
		if (ev != NULL && ev->seq <= seq)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo < EVENTS_KEPT ? event_at(s, lo) : NULL);
}

static const struct wire_event *
job_next_event(const struct ctl *c)
{
	const struct job	*j = &c->job;
	const struct wire_event	*ev, *first = NULL;
	const struct service	*s;
	size_t			 i;

	if (j->own)
		first = event_after(NULL, j->seq);
	for (i = 0; i < j->n; i++) {
		if ((s = sup.services[j->ids[i]]) == NULL ||
		    (ev = event_after(s, j->seq)) == NULL)
			continue;
		if (first == NULL || ev->seq < first->seq)
			first = ev;
	}
	return (first);
}

static void
job_events(struct ctl *c)
{
	struct job		*j = &c->job;
	const struct wire_event	*ev;

	while (!link_full(c->link)) {
		if ((ev = job_next_event(c)) == NULL) {
			c->following = j->follow;
			c->follow_frame = j->frame;
			job_end(c);
			return;
		}
		j->seq = ev->seq;
		if (ev->time_ms >= j->since_ms)
			link_send(c->link, IMSG_EVENT, j->frame, -1, ev,
			    sizeof(*ev));
	}
}

static void
job_run(struct ctl *c)
{
	if (c->job.kind == JOB_STATUS)
		job_status(c);
	else if (c->job.kind == JOB_EVENTS)
		job_events(c);
}

/* One at a time: what else the client sends waits in its socket. */
static int
job_begin(struct ctl *c, enum job_kind kind, uint32_t frame, size_t n)
{
	struct job	*j = &c->job;
	size_t		 i;

	memset(j, 0, sizeof(*j));
	if ((j->ids = reallocarray(NULL, n == 0 ? 1 : n,
	    sizeof(*j->ids))) == NULL) {
		control_final(c, frame, 0, RES_BUSY, "out of memory");
		return (-1);
	}
	for (i = 0; i < n; i++)
		j->ids[i] = found[i]->id;
	j->kind = kind;
	j->frame = frame;
	j->n = n;
	link_pause(c->link);
	return (0);
}

/* --- requests ------------------------------------------------------------- */
static void
control_welcome(struct ctl *c, uint32_t frame)
{
	struct wire_welcome	 w;

	memset(&w, 0, sizeof(w));
	w.proto = PROTO_VERSION;
	w.pid = (uint32_t)getppid();
	w.mode = mode_now();
	w.system_mode = sup.global.system_mode;
	w.started_ms = sup.boot_ms;
	strlcpy(w.version, KEEPD_VERSION, sizeof(w.version));
	strlcpy(w.config, sup.global.config_path, sizeof(w.config));
	link_send(c->link, IMSG_CTL_WELCOME, frame, -1, &w, sizeof(w));
}

static void
control_hello(struct link *l, struct imsg *imsg)
{
	struct ctl	*c = link_arg(l);
	struct wire_u32	 w;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1) {
		link_refuse(l, "bad HELLO");
		return;
	}
	if (w.value != PROTO_VERSION) {
		control_final(c, imsg_get_id(imsg), 0, RES_INVALID,
		    textf("keepctl speaks version %u of the protocol, keepd "
		    "%u: install the same version of both", w.value,
		    PROTO_VERSION));
		link_finish(l);
		return;
	}
	evtimer_del(&c->hello);
	link_state_set(l, CTL_GREETED);
	control_welcome(c, imsg_get_id(imsg));
}

static void
control_version(struct link *l, struct imsg *imsg)
{
	control_welcome(link_arg(l), imsg_get_id(imsg));
}

static void
control_status(struct link *l, struct imsg *imsg)
{
	struct ctl		*c = link_arg(l);
	struct wire_target	 t;
	size_t			 n;

	if (imsg_get_data(imsg, &t, sizeof(t)) == -1 || !target_ok(&t)) {
		link_refuse(l, "bad CTL_STATUS");
		return;
	}
	n = control_find(c, &t);
	if (n == 0 && t.text[0] != '\0')
		control_not_found(c, imsg_get_id(imsg), 0, &t);
	else if (job_begin(c, JOB_STATUS, imsg_get_id(imsg), n) == 0)
		job_run(c);
}

static void
control_events(struct link *l, struct imsg *imsg)
{
	struct ctl		*c = link_arg(l);
	struct wire_ctlevents	 e;
	size_t			 i, n;

	if (imsg_get_data(imsg, &e, sizeof(e)) == -1 ||
	    !target_ok(&e.target)) {
		link_refuse(l, "bad CTL_EVENTS");
		return;
	}
	n = control_find(c, &e.target);
	if (n == 0 && e.target.text[0] != '\0') {
		control_not_found(c, imsg_get_id(imsg), 0, &e.target);
		return;
	}
	if (job_begin(c, JOB_EVENTS, imsg_get_id(imsg), n) == -1)
		return;
	c->job.since_ms = e.since_ms;
	c->job.follow = e.follow != 0;
	c->job.own = c->follow_own = e.target.text[0] == '\0' &&
	    c->who.role == ROLE_MANAGE;
	memset(c->follow, 0, sizeof(c->follow));
	for (i = 0; i < n; i++)
		c->follow[found[i]->id / 8] |= 1U << (found[i]->id % 8);
	job_run(c);
}

static int
control_follows(const struct ctl *c, const struct wire_event *ev)
{
	const struct service	*s;

	if (!c->following)
		return (0);
	if (ev->service == SERVICE_NONE)
		return (c->follow_own);
	/* Everything includes what a reload has added since. */
	if (c->follow_own)
		return (1);
	s = sup.services[ev->service];
	return ((c->follow[ev->service / 8] & (1U << (ev->service % 8))) &&
	    s != NULL && auth_visible(&c->who, s));
}

void
control_event(const struct wire_event *ev)
{
	struct ctl	*c;

	TAILQ_FOREACH(c, &ctls, entry) {
		if (!control_follows(c, ev))
			continue;
		if (link_full(c->link))
			link_refuse(c->link, "follows events too slowly");
		else
			link_send(c->link, IMSG_EVENT, c->follow_frame, -1,
			    ev, sizeof(*ev));
	}
}

/* --- actions -------------------------------------------------------------- */
static int
ctl_action_ok(const struct wire_ctlaction *a)
{
	return (target_ok(&a->target) && a->action.verb < VERB_COUNT &&
	    a->action.timeout_ms <= CTL_TIMEOUT_MAX_MS &&
	    proto_str_ends(a->action.reason, sizeof(a->action.reason)) &&
	    proto_str_ends(a->action.client, sizeof(a->action.client)));
}

static void
control_act(struct ctl *c, struct service *s, const struct asker *asker,
    const struct wire_action *a)
{
	if (auth_role(&c->who, s) >= ROLE_OPERATE) {
		service_ask(s, asker, &c->who, a);
		return;
	}
	event_note(s, EV_REFUSED, c->who.who, proto_verb_name(a->verb));
	request_refuse(asker, s, a->verb, RES_PERMISSION,
	    textf("Permission denied: %s", s->st.name));
}

static void
control_action(struct link *l, struct imsg *imsg)
{
	struct ctl		*c = link_arg(l);
	struct wire_ctlaction	 a;
	struct asker		 asker;
	struct batch		*b;
	size_t			 i, n;

	if (imsg_get_data(imsg, &a, sizeof(a)) == -1 || !ctl_action_ok(&a)) {
		link_refuse(l, "bad CTL_ACTION");
		return;
	}
	if ((n = control_find(c, &a.target)) == 0) {
		control_not_found(c, imsg_get_id(imsg), a.action.serial,
		    &a.target);
		return;
	}
	if (request_count_ctl(c) + n > CTL_ACTIONS_MAX ||
	    (b = calloc(1, sizeof(*b))) == NULL) {
		control_final(c, imsg_get_id(imsg), a.action.serial, RES_BUSY,
		    "too many actions are pending");
		return;
	}
	/* One more than there are, so that it lives until all are asked. */
	b->pending = (int)n + 1;
	b->verb = a.action.verb;
	b->begun_us = mono_us();
	memset(&asker, 0, sizeof(asker));
	asker.ctl = c;
	asker.frame = imsg_get_id(imsg);
	asker.serial = a.action.serial;
	asker.batch = b;
	mode_activity();
	for (i = 0; i < n; i++)
		control_act(c, found[i], &asker, &a.action);
	batch_release(&asker, RES_OK, 1);
}

/* Exactly one service, or the answer has been given. */
static struct service *
control_one(struct ctl *c, uint32_t frame, uint32_t serial,
    const struct wire_target *t)
{
	size_t	 n = control_find(c, t);

	if (n == 1)
		return (found[0]);
	if (n == 0)
		control_not_found(c, frame, serial, t);
	else
		control_final(c, frame, serial, RES_AMBIGUOUS,
		    textf("Multiple processes found for %s: name one",
		    t->text[0] == '\0' ? "all" : t->text));
	return (NULL);
}

static void
control_wait(struct link *l, struct imsg *imsg)
{
	struct ctl		*c = link_arg(l);
	struct wire_ctlwait	 w;
	struct asker		 asker;
	struct service		*s;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1 ||
	    !target_ok(&w.target) || w.wait.until > UNTIL_PORT ||
	    w.wait.port > UINT16_MAX) {
		link_refuse(l, "bad CTL_WAIT");
		return;
	}
	s = control_one(c, imsg_get_id(imsg), w.wait.serial, &w.target);
	if (s == NULL)
		return;
	memset(&asker, 0, sizeof(asker));
	asker.ctl = c;
	asker.frame = imsg_get_id(imsg);
	asker.serial = w.wait.serial;
	wait_add(s, &asker, &w.wait);
}

/* --- log queries ---------------------------------------------------------- */
static void
control_query(struct link *l, struct imsg *imsg)
{
	struct ctl		*c = link_arg(l);
	struct wire_ctlquery	 q;
	struct ibuf		 pattern;
	uint32_t		 frame = imsg_get_id(imsg);
	size_t			 n;

	if (imsg_get_buf(imsg, &q, sizeof(q)) == -1 ||
	    !target_ok(&q.target) || imsg_get_ibuf(imsg, &pattern) == -1) {
		link_refuse(l, "bad CTL_QUERY");
		return;
	}
	n = control_find(c, &q.target);
	if (n == 0)
		relay_fail(c, frame, END_FAILED,
		    not_found_text(c, &q.target));
	else if (n > 1)
		relay_fail(c, frame, END_FAILED, textf("Multiple processes "
		    "found for %s: name one", q.target.text));
	else
		relay_query(c, frame, found[0], &q.query,
		    ibuf_data(&pattern), ibuf_size(&pattern));
}

static void
control_credit(struct link *l, struct imsg *imsg)
{
	struct wire_u32	 w;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1)
		link_refuse(l, "bad CREDIT");
	else
		relay_credit(link_arg(l), imsg_get_id(imsg), w.value);
}

static void
control_cancel(struct link *l, struct imsg *imsg)
{
	relay_cancel(link_arg(l), imsg_get_id(imsg));
}

/* --- keepd as a whole ----------------------------------------------------- */
/* For those who manage everything; others hear why not. */
static int
control_may_manage(struct ctl *c, uint32_t frame, const char *what)
{
	if (c->who.role == ROLE_MANAGE) {
		event_note(NULL, EV_ACTION, c->who.who, what);
		return (1);
	}
	event_note(NULL, EV_REFUSED, c->who.who, what);
	control_final(c, frame, 0, RES_PERMISSION,
	    textf("Permission denied: %s", what));
	return (0);
}

static void
control_mode(struct link *l, struct imsg *imsg)
{
	struct ctl	*c = link_arg(l);
	struct wire_u32	 w;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1 || w.value > MODE_DEV) {
		link_refuse(l, "bad CTL_MODE");
		return;
	}
	if (!control_may_manage(c, imsg_get_id(imsg), textf("mode %s",
	    proto_mode_name(w.value))))
		return;
	mode_set(w.value, c->who.who);
	push_flush();
	control_final(c, imsg_get_id(imsg), 0, RES_OK, textf("%s mode",
	    proto_mode_name(w.value)));
}

static void
control_reload(struct link *l, struct imsg *imsg)
{
	struct ctl	*c = link_arg(l);

	if (!control_may_manage(c, imsg_get_id(imsg), "reload"))
		return;
	if (c->reload != 0 || sup.parent == NULL || sup.shutting_down) {
		control_final(c, imsg_get_id(imsg), 0, RES_BUSY,
		    "a reload is in progress, or keepd is shutting down");
		return;
	}
	if ((c->reload = ++reload_serial) == 0)
		c->reload = ++reload_serial;
	c->reload_frame = imsg_get_id(imsg);
	link_send(sup.parent, IMSG_RELOAD, c->reload, -1, NULL, 0);
}

/* The parent has read the file, and says what came of it. */
void
control_reloaded(struct link *l, struct imsg *imsg)
{
	static char	 text[FRAME_MAX];
	struct wire_u32	 w;
	struct ctl	*c;
	size_t		 len;

	if (imsg_get_buf(imsg, &w, sizeof(w)) == -1 ||
	    (len = imsg_get_len(imsg)) >= sizeof(text) ||
	    imsg_get_data(imsg, text, len) == -1) {
		link_refuse(l, "bad RELOADED");
		return;
	}
	text[len] = '\0';
	event_note(NULL, EV_RELOAD, "", w.value == 0 ? "done" :
	    textf("%u errors", w.value));
	TAILQ_FOREACH(c, &ctls, entry) {
		if (c->reload == 0 || c->reload != imsg_get_id(imsg))
			continue;
		c->reload = 0;
		control_final(c, c->reload_frame, 0, w.value == 0 ? RES_OK :
		    RES_INVALID, text);
	}
}

static void
control_shutdown(struct link *l, struct imsg *imsg)
{
	struct ctl	*c = link_arg(l);

	if (!control_may_manage(c, imsg_get_id(imsg), "shutdown"))
		return;
	if (sup.parent != NULL)
		link_send(sup.parent, IMSG_ASK_SHUTDOWN, 0, -1, NULL, 0);
	control_final(c, imsg_get_id(imsg), 0, RES_OK, "keepd is stopping");
}

static const struct permit control_permits[] = {
	{ IMSG_CTL_HELLO,	1,		control_hello },
	{ IMSG_CTL_VERSION,	CTL_GREETED,	control_version },
	{ IMSG_CTL_STATUS,	CTL_GREETED,	control_status },
	{ IMSG_CTL_EVENTS,	CTL_GREETED,	control_events },
	{ IMSG_CTL_ACTION,	CTL_GREETED,	control_action },
	{ IMSG_CTL_WAIT,	CTL_GREETED,	control_wait },
	{ IMSG_CTL_QUERY,	CTL_GREETED,	control_query },
	{ IMSG_CREDIT,		CTL_GREETED,	control_credit },
	{ IMSG_CANCEL,		CTL_GREETED,	control_cancel },
	{ IMSG_CTL_MODE,	CTL_GREETED,	control_mode },
	{ IMSG_CTL_RELOAD,	CTL_GREETED,	control_reload },
	{ IMSG_CTL_SHUTDOWN,	CTL_GREETED,	control_shutdown },
	{ IMSG_NONE,		0,		NULL }
};

/* --- clients -------------------------------------------------------------- */
static void
control_closed(struct link *l, const char *reason)
{
	struct ctl	*c = link_arg(l);

	if (strcmp(reason, "end of file") != 0 && strcmp(reason, "done") != 0)
		log_notice("control: %s: %s", c->who.who, reason);
	request_drop_ctl(c);
	wait_drop_ctl(c);
	relay_drop_ctl(c);
	evtimer_del(&c->hello);
	free(c->job.ids);
	TAILQ_REMOVE(&ctls, c, entry);
	nctls--;
	link_free(l);
	free(c);
}

static void
control_drained(struct link *l)
{
	job_run(link_arg(l));
}

static const struct link_ops control_ops = { control_closed, control_drained };

static void
control_mute(evutil_socket_t fd, short what, void *arg)
{
	struct ctl	*c = arg;

	(void)fd;
	(void)what;
	link_refuse(c->link, "no HELLO in time");
}

static unsigned int
control_of_user(uint32_t uid)
{
	struct ctl	*c;
	unsigned int	 n = 0;

	TAILQ_FOREACH(c, &ctls, entry)
		n += c->who.uid == uid;
	return (n);
}

static size_t
peer_groups(int fd, gid_t *groups)
{
	socklen_t	 len = GROUPS_MAX * sizeof(*groups);

	/* More than fit: the kernel says ERANGE, and none of them counts. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == -1)
		return (0);
	return (len / sizeof(*groups));
}

/* Nobody fills the log by knocking. */
static int
control_may_note(void)
{
	static uint64_t	 last;

	if (last != 0 && mono_ms() - last < CTL_NOTE_MS)
		return (0);
	last = mono_ms();
	return (1);
}

static int
control_identify(struct ctl *c, int fd)
{
	struct ucred	 cred;
	socklen_t	 len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return (-1);
	c->ngroups = peer_groups(fd, c->groups);
	/* The primary group counts like the others. */
	if (c->ngroups < GROUPS_MAX)
		c->groups[c->ngroups++] = cred.gid;
	auth_identify(&c->who, cred.uid, c->groups, c->ngroups, 0);
	if (c->who.role == ROLE_NONE) {
		if (control_may_note())
			event_note(NULL, EV_REFUSED, c->who.who,
			    "control socket");
		return (-1);
	}
	if (nctls >= CTL_MAX || control_of_user(cred.uid) >= CTL_USER_MAX) {
		if (control_may_note())
			log_notice("control: too many clients, %s refused",
			    c->who.who);
		return (-1);
	}
	return (0);
}

/* Takes fd. */
static void
control_new(int fd)
{
	const struct timeval	 tv = { CTL_HELLO_SECONDS, 0 };
	struct ctl		*c;

	if ((c = calloc(1, sizeof(*c))) == NULL ||
	    control_identify(c, fd) == -1 ||
	    (c->link = link_new(sup.base, "keepctl", fd, 0, control_permits,
	    &control_ops, c)) == NULL) {
		free(c);
		close(fd);
		return;
	}
	TAILQ_INSERT_TAIL(&ctls, c, entry);
	nctls++;
	evtimer_assign(&c->hello, sup.base, control_mute, c);
	evtimer_add(&c->hello, &tv);
}

static void
control_pause(void)
{
	const struct timeval	 tv = { 0, CTL_RETRY_MS * 1000 };

	log_warn("control: accept");
	event_del(&listen_ev);
	evtimer_add(&retry_ev, &tv);
}

static void
control_accept(evutil_socket_t lfd, short what, void *arg)
{
	int	 fd;

	(void)what;
	(void)arg;
	fd = accept4(lfd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd != -1)
		control_new(fd);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
	    errno == ENOBUFS)
		control_pause();
}

static void
control_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	event_add(&listen_ev, NULL);
}

/* Takes the listening socket; clients are heard from the start on. */
void
control_listen(int fd)
{
	if (listen_fd != -1) {
		event_del(&listen_ev);
		evtimer_del(&retry_ev);
		close(listen_fd);
	}
	listen_fd = fd;
	if (fd_nonblock(fd) == -1)
		fatal("control socket");
	event_assign(&listen_ev, sup.base, fd, EV_READ | EV_PERSIST,
	    control_accept, NULL);
	evtimer_assign(&retry_ev, sup.base, control_retry, NULL);
	if (event_add(&listen_ev, NULL) == -1)
		fatal("control socket");
}

/* A new configuration may change who manages what. */
void
control_reidentify(void)
{
	struct ctl	*c;

	TAILQ_FOREACH(c, &ctls, entry) {
		auth_identify(&c->who, c->who.uid, c->groups, c->ngroups, 0);
		if (c->who.role == ROLE_NONE)
			link_refuse(c->link, "no longer permitted");
	}
}
