/*
 * Builds: at most BUILD_SLOTS at once, each a child with a log of its own and
 * a time limit, followed by a look at what it promised to make.
 */
#include <sys/types.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "util.h"

#include "service.h"

#define LINGER_MS	2000

static struct service_list	 queue = TAILQ_HEAD_INITIALIZER(queue);
static int			 slots = BUILD_SLOTS;

int
build_needed(const struct service *s, uint32_t mode)
{
	return (s->conf->build[mode].argc > 0);
}

/* A service whose cancelled build is still dying waits like the others. */
static struct service *
queue_ready(void)
{
	struct service	*s;

	if (slots > 0)
		TAILQ_FOREACH(s, &queue, queue_entry)
			if (!s->building)
				return (s);
	return (NULL);
}

static void
queue_run(void)
{
	struct service	*s;

	while ((s = queue_ready()) != NULL) {
		TAILQ_REMOVE(&queue, s, queue_entry);
		s->queued = 0;
		s->building = 1;
		slots--;
		service_slot(s);
	}
}

static void
slot_release(struct service *s)
{
	evtimer_del(&s->build_timer);
	s->building = s->aborted = s->timed_out = 0;
	slots++;
}

void
build_want(struct service *s)
{
	if (!s->queued) {
		TAILQ_INSERT_TAIL(&queue, s, queue_entry);
		s->queued = 1;
	}
	queue_run();
}

void
build_cancel(struct service *s)
{
	if (s->queued) {
		TAILQ_REMOVE(&queue, s, queue_entry);
		s->queued = 0;
	}
	if (s->building && !s->aborted &&
	    (s->build.pid != 0 || s->build_left)) {
		s->aborted = 1;
		event_note(s, EV_BUILD_FAILED, s->st.action_by, "cancelled");
		reap_kill(s, 1, SIGKILL);
	}
}

static void
build_arm(struct service *s, uint64_t ms)
{
	struct timeval	 tv;

	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_add(&s->build_timer, &tv);
}

/* KILL was sent to what the build left behind: wait for that, not for ever. */
void
build_linger(struct service *s)
{
	s->build_left = 1;
	build_arm(s, LINGER_MS);
}

void
build_timeout(evutil_socket_t fd, short what, void *arg)
{
	struct service	*s = arg;

	(void)fd;
	(void)what;
	if (s->build_left) {
		log_warnx("%s: something of the build does not end",
		    s->st.name);
		reap_build_done(s);
		return;
	}
	if (s->build.pid == 0 || s->aborted)
		return;
	s->timed_out = 1;
	reap_kill(s, 1, SIGKILL);
}

/* The slot is free again before anybody acts on the outcome. */
static void
build_failed(struct service *s, const char *text)
{
	slot_release(s);
	service_build_failed(s, text);
	queue_run();
}

static void
build_succeeded(struct service *s)
{
	struct wire_event	*ev;

	slot_release(s);
	ev = event_begin(s, EV_BUILT);
	ev->run = s->st.build_run;
	ev->exit_code = 0;
	strlcpy(ev->detail, proto_mode_name(s->op_mode), sizeof(ev->detail));
	event_publish(ev);
	service_built(s);
	queue_run();
}

void
build_start(struct service *s)
{
	struct wire_event	*ev;
	char			 error[REASON_SIZE];

	if (spawn_child(s, CHILD_BUILD, s->op_mode, error) == -1) {
		build_failed(s, error);
		return;
	}
	if (s->conf->w.build_timeout_ms != 0)
		build_arm(s, s->conf->w.build_timeout_ms);
	ev = event_begin(s, EV_BUILD_STARTED);
	ev->run = s->st.build_run;
	ev->pid = (uint32_t)s->build.pid;
	ev->exit_code = -1;
	strlcpy(ev->detail, proto_mode_name(s->op_mode), sizeof(ev->detail));
	event_publish(ev);
	push_state(s);
}

static int
build_must_check(const struct service *s)
{
	return (s->conf->rust_binary || s->conf->str[STR_ARTIFACT].n > 0);
}

static void
build_check(struct service *s)
{
	char	 error[REASON_SIZE];

	if (!build_must_check(s))
		build_succeeded(s);
	else if (spawn_child(s, CHILD_CHECK, s->op_mode, error) == -1)
		build_failed(s, error);
}

static void
build_checked(struct service *s)
{
	struct launch	 l = { .kind = CHILD_CHECK };
	char		 text[REASON_SIZE];

	if (s->build.failed) {
		child_explain(&s->build.report, &l, s->st.name, text,
		    sizeof(text));
		build_failed(s, textf("build failed: %s", text));
		return;
	}
	/* Display only: a start looks again. */
	if (s->conf->rust_binary) {
		free(s->binary[s->op_mode]);
		s->binary[s->op_mode] = strdup(s->build.report.detail);
	}
	build_succeeded(s);
}

static const char *
build_outcome(struct service *s, int code, int sig)
{
	struct launch	 l = { .kind = CHILD_BUILD };
	char		 text[REASON_SIZE];

	if (s->timed_out)
		return (textf("build failed: it took longer than %llu s and "
		    "was killed", (unsigned long long)
		    s->conf->w.build_timeout_ms / 1000));
	if (s->build.failed) {
		child_explain(&s->build.report, &l, s->st.name, text,
		    sizeof(text));
		return (textf("build failed: %s", text));
	}
	if (sig != 0)
		return (textf("build failed: killed by signal %d; see the "
		    "build log", sig));
	if (code != 0)
		return (textf("build failed: exit status %d; see the build "
		    "log", code));
	return (NULL);
}

void
build_exited(struct service *s, int code, int sig)
{
	const char	*why;

	if (s->build.kind == CHILD_BUILD)
		logs_run_over(s, RING_BUILD, s->st.build_run, code, sig);
	if (s->aborted) {
		slot_release(s);
		if (s->op != VERB_STOP)		/* else the stop's end does */
			request_finish(s, 1U << VERB_STOP, RES_OK,
			    textf("%s was stopped", s->st.name));
		queue_run();
		supervisor_check_stopped();
	} else if (s->build.kind == CHILD_CHECK)
		build_checked(s);
	else if ((why = build_outcome(s, code, sig)) != NULL)
		build_failed(s, why);
	else {
		evtimer_del(&s->build_timer);
		build_check(s);
	}
}
