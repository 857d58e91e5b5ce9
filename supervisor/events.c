/*
 * What happened: the last EVENTS_KEPT of each service and of keepd itself, in
 * memory (U-13), and on to whoever follows.
 */
#include <sys/types.h>
#include <sys/mman.h>

#include <string.h>

#include "log.h"
#include "util.h"

#include "supervisor.h"

static struct wire_event	 own_events[EVENTS_KEPT];
static uint64_t			 own_count;
static uint64_t			 seq;

/*
 * Mapped, not from the heap: pages that no event has filled yet cost nothing,
 * neither memory nor time at each fork.
 */
struct wire_event *
event_ring_new(void)
{
	void	*p;

	p = mmap(NULL, EVENTS_KEPT * sizeof(struct wire_event),
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
	return (p == MAP_FAILED ? NULL : p);
}

void
event_ring_free(struct wire_event *ring)
{
	munmap(ring, EVENTS_KEPT * sizeof(*ring));
}

struct wire_event *
event_begin(struct service *s, uint32_t kind)
{
	struct wire_event	*ev;

	if (s != NULL)
		ev = &s->events[s->nevents++ % EVENTS_KEPT];
	else
		ev = &own_events[own_count++ % EVENTS_KEPT];
	memset(ev, 0, sizeof(*ev));
	ev->time_ms = now_ms();
	ev->seq = ++seq;
	ev->kind = kind;
	ev->service = s == NULL ? SERVICE_NONE : s->id;
	if (s != NULL) {
		ev->from = ev->to = s->st.state;
		strlcpy(ev->name, s->st.name, sizeof(ev->name));
	}
	return (ev);
}

/* The last few starts and crashes travel with the state (S0-99, S0-100). */
static void
event_shorten(struct service *s, const struct wire_event *ev)
{
	struct wire_state	*st = &s->st;

	memmove(&st->events[1], &st->events[0],
	    (STATE_EVENTS - 1) * sizeof(st->events[0]));
	memset(&st->events[0], 0, sizeof(st->events[0]));
	st->events[0].time_ms = ev->time_ms;
	st->events[0].kind = ev->kind;
	st->events[0].exit_code = ev->exit_code;
	st->events[0].signal = ev->signal;
	if (st->nevents < STATE_EVENTS)
		st->nevents++;
	push_state(s);
}

static struct service *
event_service(const struct wire_event *ev)
{
	struct service	*s;

	if (ev->service == SERVICE_NONE)
		return (NULL);
	s = sup.services[ev->service];
	/* Not the new owner of a number that changed hands. */
	return (s != NULL && strcmp(s->st.name, ev->name) == 0 ? s : NULL);
}

static void
event_clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

void
event_publish(struct wire_event *ev)
{
	struct service	*s = event_service(ev);

	event_clean(ev->detail);
	event_clean(ev->who);
	if (s != NULL && (ev->kind == EV_STARTED || ev->kind == EV_CRASHED))
		event_shorten(s, ev);
	if (log_getverbose() > 0)
		log_info("%s: %s%s%s%s%s", ev->name[0] == '\0' ? "keepd" :
		    ev->name, proto_event_name(ev->kind),
		    ev->kind == EV_STATE ? " " : "", ev->kind == EV_STATE ?
		    proto_state_name(ev->to) : "",
		    ev->detail[0] == '\0' ? "" : ": ", ev->detail);
	control_event(ev);
}

void
event_note(struct service *s, uint32_t kind, const char *who,
    const char *detail)
{
	struct wire_event	*ev;

	ev = event_begin(s, kind);
	ev->exit_code = -1;
	strlcpy(ev->who, who, sizeof(ev->who));
	strlcpy(ev->detail, detail, sizeof(ev->detail));
	event_publish(ev);
}

const struct wire_event *
event_at(const struct service *s, unsigned int n)
{
	const struct wire_event	*ring = s == NULL ? own_events : s->events;
	uint64_t		 count = s == NULL ? own_count : s->nevents;
	uint64_t		 kept = count < EVENTS_KEPT ? count :
				    EVENTS_KEPT;

	if (n >= kept)
		return (NULL);
	return (&ring[(count - kept + n) % EVENTS_KEPT]);
}
