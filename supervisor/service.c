/*
 * The life of one service: acts on the transitions of states.c.  What a
 * client's verb means in which situation is in ask.c.
 */
#include <sys/types.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "util.h"

#include "policy.h"
#include "service.h"

#define KILL_WAIT_MIN_MS	100	/* even KILL takes the kernel a while */

static void	action_none(struct service *);
static void	action_queue(struct service *);
static void	action_build(struct service *);
static void	action_spawn(struct service *);
static void	action_signal(struct service *);
static void	action_sweep(struct service *);
static void	action_delay(struct service *);
static void	action_cancel(struct service *);

static void	service_crashed(struct service *);
static void	service_fell(struct service *);

static void	(*const actions[ACTION_COUNT])(struct service *) = {
	[ACTION_NONE] = action_none,
	[ACTION_QUEUE] = action_queue,
	[ACTION_BUILD] = action_build,
	[ACTION_SPAWN] = action_spawn,
	[ACTION_SIGNAL] = action_signal,
	[ACTION_SWEEP] = action_sweep,
	[ACTION_DELAY] = action_delay,
	[ACTION_CANCEL] = action_cancel,
};

/* --- small ones ----------------------------------------------------------- */
static void
timer_arm(struct event *ev, uint64_t ms)
{
	struct timeval	 tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_add(ev, &tv);
}

static void
service_error(struct service *s, const char *text)
{
	strlcpy(s->st.error, text, sizeof(s->st.error));
}

int
service_alive(const struct service *s)
{
	return (s->run.pid != 0 || s->build.pid != 0 || s->sweeping ||
	    s->build_left);
}

int
service_idle(const struct service *s)
{
	return (!service_alive(s) && !s->queued && (s->st.state == ST_STOPPED ||
	    s->st.state == ST_FAILED));
}

static int
service_wanted(const struct service *s)
{
	return (s->st.flags & STF_DESIRED);
}

static void
service_want(struct service *s, int up)
{
	if (up)
		s->st.flags |= STF_DESIRED;
	else
		s->st.flags &= ~STF_DESIRED;
}

/* The operation is over, whatever came of it. */
void
service_settle(struct service *s)
{
	s->op = VERB_COUNT;
	s->automatic = 0;
	s->swap = 0;
	s->nobuild = 0;
	s->replace = 0;
	s->stop_limit_ms = 0;
	s->st.activity = ACT_NONE;
	push_state(s);
}

/* --- transitions ---------------------------------------------------------- */
static void
service_note(struct service *s, uint32_t from)
{
	struct wire_event	*ev;

	ev = event_begin(s, EV_STATE);
	ev->from = from;
	ev->to = s->st.state;
	ev->pid = s->st.pid;
	ev->run = s->st.run;
	ev->exit_code = -1;
	if (s->op != VERB_COUNT && !s->automatic)
		strlcpy(ev->who, s->st.action_by, sizeof(ev->who));
	if (s->st.state == ST_BACKOFF || s->st.state == ST_FAILED)
		strlcpy(ev->detail, s->st.error, sizeof(ev->detail));
	event_publish(ev);
}

void
service_event(struct service *s, enum svc_event event)
{
	const struct transition	*t;
	uint32_t		 from = s->st.state;

	if ((t = states_find(from, event)) == NULL) {
		log_warnx("%s: event \"%s\" does not apply in state %s",
		    s->st.name, states_event_name(event),
		    proto_state_name(from));
		return;
	}
	s->st.state = t->next;
	push_state(s);
	if (t->action == ACTION_SPAWN) {	/* the log can wait, exec not */
		actions[t->action](s);
		if (s->st.state == ST_STARTING)
			service_note(s, from);
	} else {
		service_note(s, from);
		actions[t->action](s);
	}
	wait_changed(s);
}

static void
action_none(struct service *s)
{
	if (s->st.state == ST_STOPPED || s->st.state == ST_FAILED) {
		evtimer_del(&s->timer);
		s->st.next_start_ms = 0;
		supervisor_check_stopped();
	}
}

static void
action_queue(struct service *s)
{
	evtimer_del(&s->timer);
	s->st.next_start_ms = 0;
	build_want(s);
}

static void
action_build(struct service *s)
{
	build_start(s);
}

static void
action_spawn(struct service *s)
{
	char	 error[REASON_SIZE];

	evtimer_del(&s->timer);
	s->st.next_start_ms = 0;
	s->st.stale = 0;
	s->killed = 0;
	if (spawn_child(s, CHILD_RUN, s->op_mode, error) == -1) {
		service_start_failed(s, error);
		return;
	}
	if (s->used != s->conf) {
		conf_unref(s->used);
		s->used = conf_ref(s->conf);
	}
	s->started_us = mono_us();
	s->st.start_ms = now_ms();
	s->st.pid = (uint32_t)s->run.pid;
	s->st.mode = s->op_mode;
	if (s->st.run > 1)
		s->st.restarts++;
}

static void
action_signal(struct service *s)
{
	uint64_t	 limit = s->conf->w.stop_timeout_ms;

	s->st.flags &= ~STF_READY;
	s->stop_us = mono_us();
	s->killed = 0;
	if (s->stop_limit_ms != 0)
		limit = s->stop_limit_ms;
	if (s->force || limit == 0) {
		service_kill(s);
		return;
	}
	reap_kill(s, 0, (int)s->conf->w.stop_signal);
	timer_arm(&s->timer, limit);
}

/* The main process is gone and KILL was sent to what it left. */
static void
action_sweep(struct service *s)
{
	s->st.flags &= ~STF_READY;
	service_kill(s);
}

static void
action_delay(struct service *s)
{
	s->st.next_start_ms = now_ms() + s->delay_ms;
	timer_arm(&s->timer, s->delay_ms);
}

static void
action_cancel(struct service *s)
{
	evtimer_del(&s->timer);
	s->st.next_start_ms = 0;
	build_cancel(s);
	supervisor_check_stopped();
}

/* --- the ways up ---------------------------------------------------------- */
/* Start it as s->op, s->op_mode and s->automatic say. */
void
service_go(struct service *s)
{
	service_want(s, 1);
	s->st.error[0] = '\0';
	if (!s->nobuild && build_needed(s, s->op_mode))
		service_event(s, SE_QUEUE);
	else
		service_event(s, SE_SPAWN);
}

void
service_boot(struct service *s)
{
	if (sup.shutting_down || s->st.state != ST_STOPPED)
		return;
	s->op = VERB_START;
	s->op_mode = mode_now();
	s->automatic = 1;
	service_go(s);
}

/* A build slot is ours. */
void
service_slot(struct service *s)
{
	if (s->st.state == ST_WAITING)
		service_event(s, SE_SLOT);
	else
		build_start(s);
}

void
service_built(struct service *s)
{
	if (s->st.state == ST_BUILDING) {
		service_event(s, SE_SPAWN);
		return;
	}
	/* Beside a running one: now its time has come (U-8). */
	s->st.activity = ACT_SWAPPING;
	s->replace = 1;
	if (s->st.state == ST_RUNNING)
		service_event(s, SE_STOP);
	/* In `stopping` it is on its way out already. */
}

static const char *
ready_text(struct service *s)
{
	switch (s->op) {
	case VERB_REBUILD:
		return (textf("%s was restarted in %s mode", s->st.name,
		    proto_mode_name(s->st.mode)));
	case VERB_RESTART:
		return (textf("%s was restarted, pid %u", s->st.name,
		    s->st.pid));
	default:
		return (textf("%s was started, pid %u", s->st.name,
		    s->st.pid));
	}
}

static void
ready_note(struct service *s)
{
	struct wire_event	*ev;

	ev = event_begin(s, EV_STARTED);
	ev->pid = s->st.pid;
	ev->run = s->st.run;
	ev->exit_code = -1;
	if (!s->automatic)
		strlcpy(ev->who, s->st.action_by, sizeof(ev->who));
	event_publish(ev);
}

/* Exec succeeded, and in this part of keepd that is readiness. */
void
service_ready(struct service *s)
{
	const char	*text;

	if (s->st.state != ST_STARTING)
		return;
	s->st.flags |= STF_READY;
	s->gap_us = s->exited_us == 0 ? 0 : mono_us() - s->exited_us;
	service_event(s, SE_READY);
	ready_note(s);
	if (!s->automatic && (s->op == VERB_RESTART || s->op == VERB_REBUILD))
		s->st.crash_count = 0;	/* S0-31 */
	text = ready_text(s);
	service_settle(s);
	request_finish(s, ~(1U << VERB_STOP), RES_OK, text);
	ask_next(s);
}

/* --- the ways down -------------------------------------------------------- */
void
service_kill(struct service *s)
{
	uint64_t	 wait = s->conf->w.kill_wait_ms;

	s->killed = 1;
	reap_kill(s, 0, SIGKILL);
	timer_arm(&s->timer, wait < KILL_WAIT_MIN_MS ? KILL_WAIT_MIN_MS : wait);
}

static void
service_survived(struct service *s)
{
	char	 who[REASON_SIZE / 2];

	reap_survivors(s, who, sizeof(who));
	service_error(s, textf("%s did not end after SIGKILL: %s", s->st.name,
	    who[0] == '\0' ? "its main process" : who));
	log_warnx("%s", s->st.error);
	s->st.exit_reason = EXIT_STOP_TIMEOUT;
	service_want(s, 0);
	s->then = VERB_COUNT;
	service_settle(s);
	service_event(s, SE_SURVIVED);
	request_finish(s, ~0U, RES_TIMEOUT, s->st.error);
}

static void
service_timer(evutil_socket_t fd, short what, void *arg)
{
	struct service	*s = arg;

	(void)fd;
	(void)what;
	if (s->st.state == ST_BACKOFF)
		service_go(s);
	else if (s->st.state == ST_STOPPING && !s->killed)
		service_kill(s);
	else if (s->st.state == ST_STOPPING)
		service_survived(s);
}

static void
exit_note(struct service *s, uint32_t kind)
{
	struct wire_event	*ev;

	ev = event_begin(s, kind);
	ev->run = s->st.run;
	ev->exit_code = s->st.exit_code;
	ev->signal = s->st.exit_signal;
	ev->pid = s->last_pid;
	strlcpy(ev->detail, s->st.error, sizeof(ev->detail));
	event_publish(ev);
}

/* Gone, and this time somebody wanted it so. */
static void
service_stopped(struct service *s)
{
	s->st.exit_reason = s->killed ? EXIT_KILLED : EXIT_REQUESTED;
	exit_note(s, EV_EXITED);
	service_settle(s);
	service_event(s, SE_DONE);
	if (!s->building)	/* else the end of the build answers */
		request_finish(s, 1U << VERB_STOP, RES_OK,
		    textf("%s was stopped%s", s->st.name,
		    s->killed ? " with SIGKILL" : ""));
	ask_next(s);
	supervisor_check_stopped();
}

/* It went because a restart or a swap stopped it. */
static void
service_replace(struct service *s)
{
	s->st.exit_reason = s->killed ? EXIT_KILLED : EXIT_REQUESTED;
	s->replace = 0;
	s->nobuild = 1;
	service_go(s);
}

/* What comes now that nothing of it is left. */
static void
service_tree_next(struct service *s)
{
	if (s->st.state == ST_FAILED || s->st.state == ST_STOPPED)
		supervisor_check_stopped();	/* a survivor went at last */
	else if (s->op == VERB_STOP)
		service_stopped(s);
	else if (sup.shutting_down || s->removed) {
		s->op = VERB_STOP;
		service_stopped(s);
	} else if (s->replace)
		service_replace(s);
	else if (s->swap && (s->queued || s->building)) {
		s->st.activity = ACT_NONE;
		service_event(s, SE_SWAP_EXIT);
	} else if (s->start_failed)
		service_fell(s);
	else
		service_crashed(s);
}

/* Nothing of it is left. */
void
service_tree_gone(struct service *s)
{
	evtimer_del(&s->timer);
	s->sweeping = 0;
	reap_forget(s);
	service_tree_next(s);
	if (s->run.pid == 0)	/* else the next one is in it */
		cgroup_remove(s, 0);
}

static void
exit_record(struct service *s, int code, int sig)
{
	s->exited_us = mono_us();
	s->last_pid = s->st.pid;
	s->st.exit_ms = now_ms();
	s->st.exit_code = code;
	s->st.exit_signal = (uint32_t)sig;
	s->st.exit_reason = code == 0 ? EXIT_EXITED : EXIT_FAILED;
	s->st.pid = 0;
	s->st.flags &= ~STF_READY;
	push_state(s);
}

/* The main process ended and was reaped; left: some of its tree still lives. */
void
service_exited(struct service *s, int code, int sig, int left)
{
	exit_record(s, code, sig);
	logs_run_over(s, RING_OUTPUT, s->st.run, code, sig);
	s->start_failed = s->run.failed;
	s->sweeping = (uint8_t)left;
	if (!left) {
		wait_exited(s);
		service_tree_gone(s);
		return;
	}
	if (s->st.state == ST_RUNNING || s->st.state == ST_STARTING)
		service_event(s, SE_LEFTOVERS);
	wait_exited(s);
}

/* --- what follows from an end that nobody asked for ----------------------- */
static void
crash_text(struct service *s)
{
	if (s->st.exit_signal != 0)
		service_error(s, textf("killed by signal %u (SIG%s)",
		    s->st.exit_signal,
		    sigabbrev_np((int)s->st.exit_signal) == NULL ? "?" :
		    sigabbrev_np((int)s->st.exit_signal)));
	else
		service_error(s, textf("exited with status %d",
		    s->st.exit_code));
}

static void
crash_retry(struct service *s)
{
	s->attempts++;
	s->op = VERB_START;
	s->automatic = 1;
	s->op_mode = mode_now();	/* before the delay: S0-29 */
	s->delay_ms = policy_delay(&s->conf->w, s->op_mode, s->attempts);
	if (s->delay_ms == 0)
		service_go(s);
	else
		service_event(s, SE_RETRY);
}

static void
crash_give_up(struct service *s, int exhausted)
{
	char	 why[REASON_SIZE];

	if (exhausted) {
		strlcpy(why, s->st.error, sizeof(why));
		service_error(s, textf("gave up after %u attempts: %s",
		    s->attempts, why));
	}
	service_want(s, 0);
	service_event(s, SE_GIVE_UP);
}

/* A crash, or the failure of a start or build that nobody waits for. */
static void
crash_decide(struct service *s, int failed)
{
	enum decision	 d;
	int		 never_ran = s->st.exit_reason == EXIT_START_FAILED ||
			    s->st.exit_reason == EXIT_BUILD_FAILED;

	service_settle(s);
	if (!service_wanted(s)) {
		service_event(s, SE_DONE);
		return;
	}
	d = policy_decide(&s->conf->w, failed, s->attempts);
	if (d == DECIDE_RESTART)
		crash_retry(s);
	else if (d == DECIDE_FAIL || never_ran)
		crash_give_up(s, d == DECIDE_FAIL);
	else {
		service_want(s, 0);
		service_event(s, SE_DONE);
	}
}

/*
 * Tell those who waited for it to come up that it did not.  Who asked for
 * something to be done after this waits on.
 */
static void
fail_requests(struct service *s, uint32_t code, const char *text)
{
	uint32_t	 verbs = ~(1U << VERB_STOP);

	if (s->then != VERB_COUNT)
		verbs &= ~(1U << s->then);
	request_finish(s, verbs, code, text);
}

/* It ran, and ended on its own (U-5, S0-27). */
static void
service_crashed(struct service *s)
{
	uint32_t	 on = s->conf->w.restart_on;
	int		 failed = s->st.exit_code != 0;
	char		 text[REASON_SIZE];

	if (policy_stable(&s->conf->w, (s->exited_us - s->started_us) / 1000))
		s->attempts = 0;
	crash_text(s);
	strlcpy(text, s->st.error, sizeof(text));
	if (failed || on == RESTART_ALWAYS) {
		s->st.crash_count++;
		exit_note(s, EV_CRASHED);
	} else
		exit_note(s, EV_EXITED);
	crash_decide(s, failed);
	fail_requests(s, RES_COMMAND_FAILED, text);
	ask_next(s);
}

/* It never ran: start or build failed.  Who asked, if anybody, hears it. */
static void
service_fail(struct service *s, uint32_t reason, uint32_t code)
{
	char	 text[REASON_SIZE];

	strlcpy(text, s->st.error, sizeof(text));
	log_notice("%s", text);
	s->st.exit_reason = reason;
	if (s->automatic) {
		s->st.crash_count++;
		exit_note(s, reason == EXIT_BUILD_FAILED ? EV_BUILD_FAILED :
		    EV_CRASHED);
		crash_decide(s, 1);
	} else {
		service_settle(s);
		service_want(s, 0);
		service_event(s, SE_GIVE_UP);
	}
	fail_requests(s, code, text);
	ask_next(s);
}

/* The report of a child that could not exec. */
static void
service_fell(struct service *s)
{
	struct launch	 l = { .kind = CHILD_RUN };
	char		 text[REASON_SIZE];

	s->start_failed = 0;
	s->st.exit_code = -1;		/* not a program's */
	s->st.exit_signal = 0;
	child_explain(&s->run.report, &l, s->st.name, text, sizeof(text));
	service_error(s, text);
	service_fail(s, EXIT_START_FAILED, RES_COMMAND_FAILED);
}

/* There was not even a child. */
void
service_start_failed(struct service *s, const char *text)
{
	service_error(s, text);
	s->st.exit_code = -1;
	s->st.exit_signal = 0;
	s->st.exit_ms = now_ms();
	service_fail(s, EXIT_START_FAILED, RES_COMMAND_FAILED);
}

void
service_build_failed(struct service *s, const char *text)
{
	if (s->st.state == ST_BUILDING) {
		service_error(s, text);
		s->st.exit_code = -1;
		s->st.exit_signal = 0;
		s->st.exit_ms = now_ms();
		service_fail(s, EXIT_BUILD_FAILED, RES_BUILD_FAILED);
		return;
	}
	/* Beside a running one: that stays, and the flag goes (S0-52). */
	event_note(s, EV_BUILD_FAILED, s->automatic ? "" : s->st.action_by,
	    text);
	log_notice("%s: %s; the old process stays", s->st.name, text);
	service_settle(s);
	push_state(s);
	request_finish(s, ~(1U << VERB_STOP), RES_BUILD_FAILED, text);
	ask_next(s);
}

/* --- from above ----------------------------------------------------------- */
/* keepd ends, or the service left the configuration. */
void
service_halt(struct service *s, int force)
{
	const char	*why = sup.shutting_down ? "keepd is shutting down" :
			    "the service was removed from the configuration";

	service_want(s, 0);
	s->then = VERB_COUNT;
	s->force = (uint8_t)force;
	request_finish(s, ~(1U << VERB_STOP), sup.shutting_down ?
	    RES_SHUTTING_DOWN : RES_CANCELLED, why);
	if (s->queued || s->building)
		build_cancel(s);
	switch (s->st.state) {
	case ST_RUNNING:
	case ST_STARTING:
		service_settle(s);
		s->op = VERB_STOP;
		service_event(s, SE_STOP);
		break;
	case ST_STOPPING:
		service_settle(s);
		s->op = VERB_STOP;
		if (force && !s->killed)
			service_kill(s);
		break;
	case ST_WAITING:
	case ST_BUILDING:
	case ST_BACKOFF:
		service_settle(s);
		service_event(s, SE_STOP);
		break;
	}
}

/* S0-42: release again; build first, then swap. */
void
service_release(struct service *s)
{
	if (s->st.state != ST_RUNNING || s->op != VERB_COUNT ||
	    s->st.mode == MODE_RELEASE)
		return;
	if (!s->conf->distinct && s->conf->build[MODE_DEV].argc == 0 &&
	    s->conf->build[MODE_RELEASE].argc == 0)
		return;
	s->automatic = 1;
	service_rebuild(s, MODE_RELEASE);
}

/* Build beside the running process, then swap. */
void
service_rebuild(struct service *s, uint32_t mode)
{
	s->op = VERB_REBUILD;
	s->op_mode = mode;
	s->swap = 1;
	s->replace = 0;
	s->old_pid = s->st.pid;
	push_state(s);
	if (!build_needed(s, mode)) {
		service_built(s);
		return;
	}
	s->st.activity = ACT_BUILDING;
	build_want(s);
}

/* --- records -------------------------------------------------------------- */
static void
service_configured(struct service *s)
{
	const struct wire_service	*w = &s->conf->w;

	strlcpy(s->st.name, w->name, sizeof(s->st.name));
	strlcpy(s->st.group, w->group, sizeof(s->st.group));
	if (w->restart_on != RESTART_NEVER)
		s->st.flags |= STF_AUTO;
	else
		s->st.flags &= ~STF_AUTO;
	if (s->run.pid != 0)
		s->st.stale = command_stale(s->used, s->conf);
}

void
service_configure(struct service *s, struct svc_conf *c)
{
	conf_unref(s->conf);
	s->conf = conf_ref(c);
	service_configured(s);
	push_state(s);
}

struct service *
service_new(uint32_t id, struct svc_conf *c)
{
	static uint32_t	 next_mark;
	struct service	*s;

	if ((s = calloc(1, sizeof(*s))) == NULL ||
	    (s->events = event_ring_new()) == NULL)
		fatal("service %s", c->w.name);
	s->id = id;
	/* Not the id: that may be given to somebody else one day. */
	s->mark = next_mark;
	next_mark = (next_mark + 2) & MARK_MAX;
	s->op = s->then = VERB_COUNT;
	s->op_mode = mode_now();
	s->run.errfd = s->build.errfd = -1;
	s->run.out = s->run.err = s->build.out = s->build.err = -1;
	s->st.service = id;
	s->st.state = ST_STOPPED;
	s->st.mode = mode_now();
	s->st.exit_code = -1;
	s->st.action_verb = VERB_COUNT;
	TAILQ_INIT(&s->requests);
	TAILQ_INIT(&s->pipes);
	evtimer_assign(&s->timer, sup.base, service_timer, s);
	evtimer_assign(&s->build_timer, sup.base, build_timeout, s);
	service_configure(s, c);
	return (s);
}

/* Only when nothing of it is alive. */
void
service_free(struct service *s)
{
	evtimer_del(&s->timer);
	evtimer_del(&s->build_timer);
	build_cancel(s);
	request_finish(s, ~0U, RES_CANCELLED, "the service was removed");
	wait_gone(s);
	logs_forget(s);
	push_forget(s);
	reap_forget(s);
	conf_unref(s->conf);
	conf_unref(s->used);
	event_ring_free(s->events);
	free(s->binary[MODE_DEV]);
	free(s->binary[MODE_RELEASE]);
	free(s);
}
