/*
 * dev and release: one mode for all (S0-40), and the way back to release when
 * nobody has asked for anything for long (S0-41 to S0-43).
 */
#include <sys/types.h>

#include <string.h>

#include "log.h"
#include "util.h"

#include "supervisor.h"

static uint32_t		 mode = MODE_RELEASE;
static uint64_t		 last_activity;		/* mono_ms */
static struct event	 check_ev;

uint32_t
mode_now(void)
{
	return (mode);
}

static uint64_t
mode_idle(void)
{
	return (mono_ms() - last_activity);
}

/* A timer in dev mode only: release mode wakes up for nobody. */
static void
check_arm(void)
{
	uint64_t	 ms = sup.global.mode_check_ms;
	struct timeval	 tv;

	evtimer_del(&check_ev);
	if (mode != MODE_DEV || sup.global.mode_timeout_ms == 0 || ms == 0)
		return;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_add(&check_ev, &tv);
}

static void
mode_release_all(void)
{
	struct service	*s;

	SERVICE_FOREACH(s)
		service_release(s);
}

static void
mode_check(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (mode_idle() > sup.global.mode_timeout_ms) {
		log_notice("no tool call for %llu s: back to release mode",
		    (unsigned long long)mode_idle() / 1000);
		mode_set(MODE_RELEASE, "");
	} else
		check_arm();
}

void
mode_init(void)
{
	mode = sup.global.initial_mode == MODE_DEV ? MODE_DEV : MODE_RELEASE;
	last_activity = mono_ms();
	evtimer_assign(&check_ev, sup.base, mode_check, NULL);
	check_arm();
	push_mode();
}

void
mode_set(uint32_t to, const char *who)
{
	last_activity = mono_ms();
	push_mode();
	if (to == mode) {
		check_arm();
		return;
	}
	mode = to;
	event_note(NULL, EV_MODE, who, proto_mode_name(to));
	check_arm();
	if (to == MODE_RELEASE && !sup.shutting_down)
		mode_release_all();
}

void
mode_activity(void)
{
	last_activity = mono_ms();
	if (mode == MODE_DEV)
		push_mode();
}

void
mode_fill(struct wire_mode *m)
{
	uint64_t	 idle = mode_idle();

	memset(m, 0, sizeof(*m));
	m->mode = mode;
	m->sent_ms = now_ms();
	if (mode == MODE_DEV && idle < sup.global.mode_timeout_ms)
		m->until_release_ms = sup.global.mode_timeout_ms - idle;
}

/* The initial mode is for the start; a reload keeps the one in force. */
void
mode_reconfigured(void)
{
	check_arm();
	push_mode();
}
