/*
 * Clients that wait for a service to run, to end, or to listen on a port.
 * (Waits for log lines are the logger's.)
 */
#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "util.h"

#include "supervisor.h"

#define PORT_POLL_MS	50	/* only while somebody waits for a port */
#define WAIT_MAX_MS	(24ULL * 3600 * 1000)

struct wait {
	TAILQ_ENTRY(wait)	 entry;
	struct service		*svc;
	struct asker		 asker;
	uint32_t		 until;
	uint32_t		 port;
	uint64_t		 begun_us;
	struct event		 deadline;
};
TAILQ_HEAD(wait_list, wait);

static struct wait_list	 waits = TAILQ_HEAD_INITIALIZER(waits);
static unsigned int	 front_waits;
static unsigned int	 port_waits;
static struct event	 port_ev;
static int		 port_ready;

static void
wait_free(struct wait *w)
{
	if (w->asker.conn != 0)
		front_waits--;
	if (w->until == UNTIL_PORT && --port_waits == 0)
		evtimer_del(&port_ev);
	evtimer_del(&w->deadline);
	TAILQ_REMOVE(&waits, w, entry);
	free(w);
}

static void
wait_answer(struct wait *w, uint32_t code, const char *text)
{
	struct wire_result	 r;
	struct asker		 asker = w->asker;
	const struct service	*s = w->svc;

	memset(&r, 0, sizeof(r));
	r.service = s->id;
	r.code = code;
	r.verb = VERB_COUNT;
	r.new_pid = s->st.pid;
	r.run = s->st.run;
	r.exit_code = s->st.exit_code;
	r.exit_signal = s->st.exit_signal;
	r.elapsed_ms = (mono_us() - w->begun_us) / 1000;
	wait_free(w);
	request_send(&asker, &r, text);
}

static void
wait_ended(struct wait *w)
{
	const struct wire_state	*st = &w->svc->st;

	if (st->error[0] != '\0')
		wait_answer(w, RES_EXITED, textf("%s: %s", st->name,
		    st->error));
	else if (st->exit_signal != 0)
		wait_answer(w, RES_EXITED, textf("%s was killed by signal %u",
		    st->name, st->exit_signal));
	else
		wait_answer(w, RES_EXITED, textf("%s exited with status %d",
		    st->name, st->exit_code));
}

/* --- ports ---------------------------------------------------------------- */
static void
port_arm(void)
{
	const struct timeval	 tv = { 0, PORT_POLL_MS * 1000 };

	evtimer_add(&port_ev, &tv);
}

static int
wait_port_met(struct wait *w)
{
	if (!diag_listening(w->port))
		return (0);
	wait_answer(w, RES_OK, textf("port %u is listening", w->port));
	return (1);
}

static void
port_poll(evutil_socket_t fd, short what, void *arg)
{
	struct wait	*w, *next;

	(void)fd;
	(void)what;
	(void)arg;
	TAILQ_FOREACH_SAFE(w, &waits, entry, next)
		if (w->until == UNTIL_PORT)
			wait_port_met(w);
	if (port_waits > 0)
		port_arm();
}

/* --- conditions ----------------------------------------------------------- */
/* Nothing will change by itself any more. */
static int
wait_hopeless(const struct service *s)
{
	return (s->st.state == ST_FAILED);
}

/* 1: answered. */
static int
wait_check(struct wait *w)
{
	struct service	*s = w->svc;

	switch (w->until) {
	case UNTIL_READY:
		if (s->st.state == ST_RUNNING && (s->st.flags & STF_READY)) {
			wait_answer(w, RES_OK, textf("%s is ready, pid %u",
			    s->st.name, s->st.pid));
			return (1);
		}
		break;
	case UNTIL_EXIT:
		if (s->run.pid != 0 || s->st.state == ST_WAITING ||
		    s->st.state == ST_BUILDING || s->st.state == ST_BACKOFF)
			return (0);
		wait_ended(w);
		return (1);
	case UNTIL_PORT:
		if (wait_port_met(w))
			return (1);
		break;
	}
	if (!wait_hopeless(s))
		return (0);
	wait_ended(w);
	return (1);
}

static void
wait_expired(evutil_socket_t fd, short what, void *arg)
{
	struct wait	*w = arg;

	(void)fd;
	(void)what;
	wait_answer(w, RES_TIMEOUT, textf("%s: time is up, state is %s",
	    w->svc->st.name, proto_state_name(w->svc->st.state)));
}

static void
wait_arm(struct wait *w, uint64_t ms)
{
	struct timeval	 tv;

	if (ms == 0)
		return;
	if (ms > WAIT_MAX_MS)
		ms = WAIT_MAX_MS;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_add(&w->deadline, &tv);
}

static void
wait_start_port(void)
{
	if (!port_ready)
		evtimer_assign(&port_ev, sup.base, port_poll, NULL);
	port_ready = 1;
	if (port_waits++ == 0)
		port_arm();
}

void
wait_add(struct service *s, const struct asker *asker,
    const struct wire_wait *ww)
{
	struct wait	*w;

	if ((w = calloc(1, sizeof(*w))) == NULL) {
		request_refuse(asker, s, VERB_COUNT, RES_BUSY, "out of memory");
		return;
	}
	w->svc = s;
	w->asker = *asker;
	w->until = ww->until;
	w->port = ww->port;
	w->begun_us = mono_us();
	evtimer_assign(&w->deadline, sup.base, wait_expired, w);
	TAILQ_INSERT_TAIL(&waits, w, entry);
	if (asker->conn != 0)
		front_waits++;
	if (w->until == UNTIL_PORT)
		wait_start_port();
	wait_arm(w, ww->timeout_ms);
	wait_check(w);
}

/* --- what may answer them ------------------------------------------------- */
void
wait_changed(struct service *s)
{
	struct wait	*w, *next;

	TAILQ_FOREACH_SAFE(w, &waits, entry, next)
		if (w->svc == s && w->until == UNTIL_READY)
			wait_check(w);
}

/* The process is gone: that is what some wait for, and others need not. */
void
wait_exited(struct service *s)
{
	struct wait	*w, *next;

	TAILQ_FOREACH_SAFE(w, &waits, entry, next)
		if (w->svc == s && w->until != UNTIL_READY)
			wait_ended(w);
}

void
wait_gone(struct service *s)
{
	struct wait	*w, *next;

	TAILQ_FOREACH_SAFE(w, &waits, entry, next)
		if (w->svc == s)
			wait_answer(w, RES_NOT_FOUND, textf("%s not found: "
			    "it was removed", s->st.name));
}

void
wait_drop(uint32_t conn, uint32_t serial)
{
	struct wait	*w, *next;

	TAILQ_FOREACH_SAFE(w, &waits, entry, next)
		if (w->asker.conn == conn && w->asker.serial == serial)
			wait_free(w);
}

void
wait_drop_conn(uint32_t conn)
{
	struct wait	*w, *next;

	TAILQ_FOREACH_SAFE(w, &waits, entry, next)
		if (w->asker.conn != 0 && (conn == 0 || w->asker.conn == conn))
			wait_free(w);
}

void
wait_drop_ctl(struct ctl *ctl)
{
	struct wait	*w, *next;

	TAILQ_FOREACH_SAFE(w, &waits, entry, next)
		if (w->asker.ctl == ctl)
			wait_free(w);
}

unsigned int
wait_count(void)
{
	return (front_waits);
}
