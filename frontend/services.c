/*
 * The table of services as the supervisor pushes it, the mode, and display
 * text asked for once a configuration.  Answers what a connection may see;
 * the supervisor and the logger check that again.
 */
#include <stdlib.h>
#include <string.h>

#include "frontend.h"
#include "log.h"
#include "util.h"

#define STAMP_EVERY_MS	200	/* more activity messages tell nothing new */

uint64_t		 services_generation = 1;

static struct service	*services[MAX_SERVICES];
static uint32_t		 nids;		/* greatest id in use + 1 */
static uint32_t		 mode;
static uint64_t		 mode_until;	/* mono ms */
static uint64_t		 stamped;	/* mono ms of the last ACTIVITY */

static struct service *
service_make(uint32_t id)
{
	struct service	*s;

	if (id >= MAX_SERVICES)
		return (NULL);
	if (services[id] != NULL)
		return (services[id]);
	if ((s = calloc(1, sizeof(*s))) == NULL)
		fatalx("out of memory");
	s->id = id;
	services[id] = s;
	if (id >= nids)
		nids = id + 1;
	return (s);
}

static void
service_undescribe(struct service *s)
{
	if (s->has_display)
		display_clear(&s->display);
	s->has_display = 0;
}

static void
service_drop(struct service *s)
{
	conn_forget_service(s->id);
	service_undescribe(s);
	services[s->id] = NULL;
	free(s);
	services_generation++;
}

struct service *
service_get(uint32_t id)
{
	struct service	*s;

	if (id >= nids || (s = services[id]) == NULL)
		return (NULL);
	return (s->configured && s->has_state ? s : NULL);
}

/* --- configuration ------------------------------------------------------- */

void
services_begin(void)
{
	uint32_t	 i;

	for (i = 0; i < nids; i++)
		if (services[i] != NULL)
			services[i]->mentioned = 0;
}

void
services_public(uint32_t id, const struct wire_public *wp)
{
	struct service	*s = service_make(id);

	if (s->configured && strcmp(s->public.name, wp->name) != 0) {
		/* Another has the id: nothing said of the old holds. */
		conn_doubt_service(id);
		service_drop(s);
		s = service_make(id);
	}
	s->public = *wp;
	s->configured = s->mentioned = 1;
}

void
services_end(void)
{
	struct service	*s;
	uint32_t	 i;

	for (i = 0; i < nids; i++) {
		if ((s = services[i]) == NULL)
			continue;
		if (s->configured && !s->mentioned)
			service_drop(s);
		else if (s->has_display &&
		    s->display.text.serial != conf_serial)
			service_undescribe(s);
	}
	services_generation++;
	conn_undescribed();
}

/* --- what the supervisor says -------------------------------------------- */

static int
state_ok(const struct wire_state *st)
{
	return (st->state < ST_COUNT && st->nevents <= STATE_EVENTS &&
	    st->mode <= MODE_DEV && st->exit_reason < EXIT_COUNT &&
	    proto_str_ok(st->name, sizeof(st->name)) &&
	    proto_str_ok(st->group, sizeof(st->group)) &&
	    proto_str_ok(st->action_by, sizeof(st->action_by)) &&
	    proto_str_ok(st->action_client, sizeof(st->action_client)) &&
	    proto_str_ends(st->action_reason, sizeof(st->action_reason)) &&
	    proto_str_ends(st->error, sizeof(st->error)));
}

void
services_state(struct link *link, struct imsg *imsg)
{
	struct wire_state	 st;
	struct service		*s;

	if (imsg_get_data(imsg, &st, sizeof(st)) == -1 ||
	    imsg_get_id(imsg) >= MAX_SERVICES || !state_ok(&st)) {
		link_refuse(link, "bad state");
		return;
	}
	s = service_make(imsg_get_id(imsg));
	/* Nobody can have asked for the text of one that was not there. */
	if (!s->has_state)
		conn_undescribed();
	s->state = st;
	s->has_state = 1;
	services_generation++;
	calls_state_news(s);
}

void
services_gone(struct link *link, struct imsg *imsg)
{
	uint32_t	 id = imsg_get_id(imsg);
	struct service	*s;

	(void)link;
	if (id >= nids || (s = services[id]) == NULL)
		return;
	/* The parent's transaction may have been here before. */
	if (s->configured) {
		s->has_state = 0;
		conn_forget_service(id);
		services_generation++;
	} else
		service_drop(s);
}

void
services_text(struct link *link, struct imsg *imsg)
{
	uint32_t	 id = imsg_get_id(imsg);
	struct service	*s;
	struct display	 d;

	if (id >= MAX_SERVICES || display_get(&d, imsg) == -1) {
		link_refuse(link, "bad display text");
		return;
	}
	if (id >= nids || (s = services[id]) == NULL) {
		display_clear(&d);
		return;
	}
	service_undescribe(s);
	s->display = d;
	s->has_display = 1;
	services_generation++;
	calls_described();
}

void
services_mode(struct link *link, struct imsg *imsg)
{
	struct wire_mode	wm;

	if (imsg_get_data(imsg, &wm, sizeof(wm)) == -1 || wm.mode > MODE_DEV) {
		link_refuse(link, "bad mode");
		return;
	}
	mode = wm.mode;
	mode_until = mono_ms() + wm.until_release_ms;
	services_generation++;
}

/* --- what a connection may see ------------------------------------------- */

int
service_visible(struct conn *c, const struct service *s)
{
	return (s->configured && s->has_state &&
	    s->public.ceiling != ROLE_NONE &&
	    (c->identity.visible[s->id / 8] & 1U << s->id % 8) != 0);
}

struct service *
service_next(struct conn *c, uint32_t id)
{
	for (; id < nids; id++)
		if (services[id] != NULL && service_visible(c, services[id]))
			return (services[id]);
	return (NULL);
}

uint32_t
service_role(struct conn *c, const struct service *s)
{
	return (c->identity.role < s->public.ceiling ? c->identity.role :
	    s->public.ceiling);
}

/* The greatest role that conn has for any service, at least observe. */
uint32_t
services_best_role(struct conn *c)
{
	struct service	*s;
	uint32_t	 role, best = ROLE_OBSERVE;

	for (s = service_next(c, 0); s != NULL; s = service_next(c, s->id + 1))
		if ((role = service_role(c, s)) > best)
			best = role;
	return (best);
}

const struct display *
service_display(const struct service *s)
{
	return (s->has_display ? &s->display : NULL);
}

static int
services_describe(struct conn *c, int ask)
{
	struct service	*s;
	struct wire_u32	 wu;
	int		 missing = 0;

	c->described = DESCRIBED_YES;
	for (s = service_next(c, 0); s != NULL;
	    s = service_next(c, s->id + 1)) {
		if (s->has_display && s->display.text.serial == conf_serial)
			continue;
		/* Text of another configuration will do, this one time. */
		if (s->has_display)
			c->described = DESCRIBED_NO;
		else
			missing++;
		wu.value = s->id;
		if (ask && supervisor_link != NULL)
			(void)link_send(supervisor_link, IMSG_DESCRIBE, c->id,
			    -1, &wu, sizeof(wu));
	}
	return (missing);
}

int
services_described(struct conn *c)
{
	int	 ask = c->described != DESCRIBED_ASKED;

	if (c->described == DESCRIBED_YES)
		return (1);
	if (services_describe(c, ask) == 0)
		return (1);
	c->described = DESCRIBED_ASKED;
	return (0);
}

/* --- the mode ------------------------------------------------------------ */

uint32_t
mode_now(void)
{
	return (mode);
}

int64_t
mode_left_ms(void)
{
	uint64_t	now = mono_ms();

	if (mode != MODE_DEV || global.mode_timeout_ms == 0)
		return (-1);
	return (now < mode_until ? (int64_t)(mode_until - now) : 0);
}

void
mode_stamp(struct conn *c)
{
	uint64_t	now = mono_ms();

	if (now < stamped + STAMP_EVERY_MS || supervisor_link == NULL)
		return;
	stamped = now;
	mode_until = now + global.mode_timeout_ms;
	(void)link_send(supervisor_link, IMSG_ACTIVITY, c->id, -1, NULL, 0);
}
