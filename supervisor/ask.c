/*
 * What a client's verb means for a service in the situation it is in: act,
 * join somebody else's, wait for the present operation, or refuse.  Whether
 * the client may ask at all was decided before.
 */
#include <sys/types.h>

#include <signal.h>
#include <string.h>

#include "log.h"
#include "util.h"

#include "service.h"

#define FINISH_UP	((1U << VERB_START) | (1U << VERB_RESTART) | \
			 (1U << VERB_REBUILD))

enum situation {
	SIT_DOWN,		/* stopped or failed */
	SIT_BACKOFF,
	SIT_COMING,		/* a start or a crash recovery is under way */
	SIT_UP,
	SIT_RESTART,		/* being restarted */
	SIT_REBUILD,		/* a successor is being built, or swapped in */
	SIT_GOING,		/* being stopped */
	SIT_SWEEP,		/* crashed; what it left is being killed */
	SIT_COUNT
};

struct ask {
	struct service			*s;
	const struct asker		*asker;
	const struct wire_action	*a;
};

static enum situation
situation(const struct service *s)
{
	if (s->op == VERB_STOP)
		return (SIT_GOING);
	if (s->op == VERB_REBUILD)
		return (SIT_REBUILD);
	if (s->op == VERB_RESTART)
		return (SIT_RESTART);
	switch (s->st.state) {
	case ST_BACKOFF:
		return (SIT_BACKOFF);
	case ST_WAITING:
	case ST_BUILDING:
	case ST_STARTING:
		return (SIT_COMING);
	case ST_RUNNING:
		return (SIT_UP);
	case ST_STOPPING:
		return (SIT_SWEEP);
	}
	return (SIT_DOWN);
}

/* --- outcomes ------------------------------------------------------------- */
static void
ask_accept(struct ask *k, int joined)
{
	struct request	*r;

	if ((r = request_add(k->s, k->asker, k->a)) == NULL)
		return;
	r->joined = (uint32_t)joined;
	if (k->a->flags & ACTION_NOWAIT)
		request_done(r, RES_OK, textf("%s of %s was accepted",
		    proto_verb_name(k->a->verb), k->s->st.name));
}

static void
ask_refuse(struct ask *k, uint32_t code, const char *text)
{
	request_refuse(k->asker, k->s, k->a->verb, code, text);
}

static void
ask_join(struct ask *k)
{
	ask_accept(k, 1);
}

/* After the stop that is under way; the last one to ask wins. */
static void
ask_after(struct ask *k)
{
	k->s->then = k->a->verb;
	ask_accept(k, 0);
}

static void
ask_busy(struct ask *k)
{
	ask_refuse(k, RES_BUSY, textf("a %s of %s is in progress",
	    k->s->op == VERB_REBUILD ? "rebuild" : "restart", k->s->st.name));
}

/* --- starting ------------------------------------------------------------- */
static void
ask_set_mode(struct service *s, uint32_t verb)
{
	if (verb == VERB_REBUILD) {
		mode_set(MODE_DEV, s->st.action_by);	/* S0-44 */
		s->op_mode = MODE_DEV;
	} else
		s->op_mode = mode_now();
}

/* Nothing is alive: start it for whoever asked (U-1, U-22). */
static void
ask_begin(struct service *s, uint32_t verb)
{
	if (s->run.pid != 0 || s->sweeping) {
		request_finish(s, FINISH_UP, RES_STATE_ERROR,
		    textf("the previous process of %s is still there: %s",
		    s->st.name, s->st.error));
		return;
	}
	s->attempts = 0;
	s->op = verb;
	s->automatic = 0;
	s->swap = verb == VERB_REBUILD;
	s->old_pid = 0;
	s->exited_us = 0;
	ask_set_mode(s, verb);
	service_go(s);
}

static void
ask_up(struct ask *k)
{
	ask_accept(k, 0);
	ask_begin(k->s, k->a->verb);
}

static void
ask_is_running(struct ask *k)
{
	ask_refuse(k, RES_ALREADY_RUNNING, textf("%s is already running "
	    "(pid %u)", k->s->st.name, k->s->st.pid));
}

/* --- restarting ----------------------------------------------------------- */
static void
ask_restart(struct ask *k)
{
	struct service	*s = k->s;

	ask_accept(k, 0);
	s->attempts = 0;
	s->op = VERB_RESTART;
	s->automatic = 0;
	/* What was built for another mode may not be there. */
	s->op_mode = build_needed(s, MODE_DEV) ||
	    build_needed(s, MODE_RELEASE) ? s->st.mode : mode_now();
	s->old_pid = s->st.pid;
	s->stop_limit_ms = k->a->timeout_ms;
	s->force = (k->a->flags & ACTION_FORCE) != 0;
	s->replace = 1;
	service_event(s, SE_STOP);
}

static void
ask_rebuild(struct ask *k)
{
	struct service	*s = k->s;

	ask_accept(k, 0);
	s->attempts = 0;
	s->automatic = 0;
	s->force = 0;
	mode_set(MODE_DEV, s->st.action_by);
	service_rebuild(s, MODE_DEV);
}

/* A rebuild while a start is under way: what is being built is not wanted. */
static void
ask_rebuild_coming(struct ask *k)
{
	struct service	*s = k->s;

	if (s->st.state == ST_STARTING) {	/* a moment: after it */
		ask_after(k);
		return;
	}
	build_cancel(s);
	service_settle(s);
	service_event(s, SE_STOP);
	ask_up(k);
}

/* Joins one that builds the same; the switch to release is overtaken. */
static void
ask_rebuild_again(struct ask *k)
{
	struct service	*s = k->s;

	if (s->op_mode == MODE_DEV) {
		ask_join(k);
		return;
	}
	if (s->st.state != ST_RUNNING || s->replace) {
		ask_after(k);
		return;
	}
	build_cancel(s);
	service_settle(s);
	ask_rebuild(k);
}

/* --- stopping ------------------------------------------------------------- */
static void
ask_stop_note(struct service *s)
{
	s->then = VERB_COUNT;
	s->st.flags &= ~STF_DESIRED;
	request_finish(s, FINISH_UP, RES_CANCELLED,
	    textf("%s is being stopped by %s", s->st.name, s->st.action_by));
}

static void
ask_not_running(struct ask *k)
{
	struct service	*s = k->s;

	if (s->run.pid != 0 || s->sweeping)	/* survived an earlier one */
		reap_kill(s, 0, SIGKILL);
	ask_refuse(k, RES_NOT_RUNNING, textf("%s is not running",
	    s->st.name));
}

/* Nothing is alive but perhaps a build: stopped at once. */
static void
ask_stop_idle(struct ask *k)
{
	struct service	*s = k->s;

	ask_stop_note(s);
	service_settle(s);
	service_event(s, SE_STOP);
	if (s->building)		/* its end answers */
		ask_accept(k, 0);
	else
		ask_refuse(k, RES_OK, textf("%s was stopped before it ran",
		    s->st.name));
}

static void
ask_stop(struct ask *k)
{
	struct service	*s = k->s;

	if (s->st.state == ST_WAITING || s->st.state == ST_BUILDING) {
		ask_stop_idle(k);
		return;
	}
	ask_stop_note(s);
	if (s->queued || s->building)
		build_cancel(s);
	service_settle(s);
	s->op = VERB_STOP;
	s->stop_limit_ms = k->a->timeout_ms;
	s->force = (k->a->flags & ACTION_FORCE) != 0;
	s->old_pid = s->st.pid;
	ask_accept(k, 0);
	if (s->st.state != ST_STOPPING)
		service_event(s, SE_STOP);
	else if (s->force && !s->killed)
		service_kill(s);
}

static void
ask_stop_again(struct ask *k)
{
	ask_stop_note(k->s);
	ask_join(k);
	if ((k->a->flags & ACTION_FORCE) && !k->s->killed)
		service_kill(k->s);
}

/* --- the table ------------------------------------------------------------ */
static void	(*const asks[VERB_COUNT][SIT_COUNT])(struct ask *) = {
	[VERB_START] = {
		[SIT_DOWN] = ask_up,
		[SIT_BACKOFF] = ask_up,
		[SIT_COMING] = ask_join,
		[SIT_UP] = ask_is_running,
		[SIT_RESTART] = ask_join,
		[SIT_REBUILD] = ask_join,
		[SIT_GOING] = ask_after,
		[SIT_SWEEP] = ask_after,
	},
	[VERB_STOP] = {
		[SIT_DOWN] = ask_not_running,
		[SIT_BACKOFF] = ask_stop_idle,
		[SIT_COMING] = ask_stop,
		[SIT_UP] = ask_stop,
		[SIT_RESTART] = ask_stop,
		[SIT_REBUILD] = ask_stop,
		[SIT_GOING] = ask_stop_again,
		[SIT_SWEEP] = ask_stop,
	},
	[VERB_RESTART] = {
		[SIT_DOWN] = ask_up,
		[SIT_BACKOFF] = ask_up,
		[SIT_COMING] = ask_join,
		[SIT_UP] = ask_restart,
		[SIT_RESTART] = ask_join,
		[SIT_REBUILD] = ask_busy,
		[SIT_GOING] = ask_after,
		[SIT_SWEEP] = ask_after,
	},
	[VERB_REBUILD] = {
		[SIT_DOWN] = ask_up,
		[SIT_BACKOFF] = ask_up,
		[SIT_COMING] = ask_rebuild_coming,
		[SIT_UP] = ask_rebuild,
		[SIT_RESTART] = ask_busy,
		[SIT_REBUILD] = ask_rebuild_again,
		[SIT_GOING] = ask_after,
		[SIT_SWEEP] = ask_after,
	},
};

static void
ask_record(struct service *s, const struct identity *who,
    const struct wire_action *a)
{
	struct wire_event	*ev;

	s->st.action_ms = now_ms();
	s->st.action_verb = a->verb;
	strlcpy(s->st.action_by, who->who, sizeof(s->st.action_by));
	strlcpy(s->st.action_client, a->client, sizeof(s->st.action_client));
	strlcpy(s->st.action_reason, a->reason, sizeof(s->st.action_reason));
	push_state(s);
	ev = event_begin(s, EV_ACTION);
	ev->exit_code = -1;
	strlcpy(ev->who, who->who, sizeof(ev->who));
	strlcpy(ev->detail, textf("%s%s%s%s%s%s", proto_verb_name(a->verb),
	    a->client[0] == '\0' ? "" : " by ", a->client,
	    a->reason[0] == '\0' ? "" : ": ", a->reason,
	    a->flags & ACTION_FORCE ? " (force)" : ""), sizeof(ev->detail));
	event_publish(ev);
}

void
service_ask(struct service *s, const struct asker *asker,
    const struct identity *who, const struct wire_action *a)
{
	struct ask	 k = { s, asker, a };

	if (a->verb >= VERB_COUNT) {
		ask_refuse(&k, RES_INVALID, "no such verb");
		return;
	}
	ask_record(s, who, a);
	if (sup.shutting_down && a->verb != VERB_STOP) {
		ask_refuse(&k, RES_SHUTTING_DOWN, "keepd is shutting down");
		return;
	}
	if (s->removed) {
		ask_refuse(&k, RES_NOT_FOUND, textf("%s not found: it was "
		    "removed from the configuration", s->st.name));
		return;
	}
	asks[a->verb][situation(s)](&k);
}

void
ask_next(struct service *s)
{
	uint32_t	 verb = s->then;

	if (verb == VERB_COUNT)
		return;
	s->then = VERB_COUNT;
	if (sup.shutting_down || s->removed)
		return;
	switch (situation(s)) {
	case SIT_DOWN:
	case SIT_BACKOFF:
		ask_begin(s, verb);
		break;
	case SIT_UP:
		if (verb == VERB_REBUILD) {
			mode_set(MODE_DEV, s->st.action_by);
			service_rebuild(s, MODE_DEV);
		} else
			request_finish(s, FINISH_UP, RES_OK,
			    textf("%s is running", s->st.name));
		break;
	default:	/* on its way up: its end answers all */
		break;
	}
}
