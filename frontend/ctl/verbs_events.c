/*
 * events: what happened to services, and who asked for it.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "util.h"

#define NAME_WIDTH	12
#define MS_PER_SEC	1000
#define TEXT_SIZE	512

static const enum colour colours[EV_COUNT] = {
	[EV_STATE] = COLOUR_NONE,
	[EV_STARTED] = COLOUR_GREEN,
	[EV_CRASHED] = COLOUR_RED,
	[EV_EXITED] = COLOUR_YELLOW,
	[EV_BUILD_STARTED] = COLOUR_CYAN,
	[EV_BUILT] = COLOUR_CYAN,
	[EV_BUILD_FAILED] = COLOUR_RED,
	[EV_ACTION] = COLOUR_BLUE,
	[EV_REFUSED] = COLOUR_MAGENTA,
	[EV_MODE] = COLOUR_BLUE,
	[EV_STRAY] = COLOUR_MAGENTA,
	[EV_RELOAD] = COLOUR_BLUE,
};

static void	event_read(struct imsg *, struct wire_event *);
static void	event_print(const struct wire_event *);
static void	event_text(const struct wire_event *, char *, size_t);

int
verb_events(const struct options *o)
{
	struct client		*c;
	struct wire_ctlevents	 req;
	struct wire_event	 ev;
	struct imsg		 imsg;
	struct result		 r;
	int			 status;

	if (o->argc > 0 && given(o, OPT_GROUP))
		errx(CTL_USAGE, "name a service or a --group, not both");
	memset(&req, 0, sizeof(req));
	target_set(&req.target, o->argc > 0 ? o->argv[0] :
	    given(o, OPT_GROUP) ? o->text[OPT_GROUP] : "",
	    given(o, OPT_GROUP));
	req.since_ms = o->number[OPT_SINCE];
	req.follow = given(o, OPT_FOLLOW);
	c = client_open(o);
	client_send(c, IMSG_CTL_EVENTS, 0, &req, sizeof(req), NULL, 0);
	for (;;) {
		client_must(c, &imsg);
		if (imsg_get_type(&imsg) == IMSG_RESULT)
			break;
		event_read(&imsg, &ev);
		if (given(o, OPT_JSON))
			json_line(event_json(&ev));
		else
			event_print(&ev);
	}
	result_read(&imsg, &r);
	status = result_exit(r.wire.code);
	if (status != CTL_OK)
		result_warn(&r);
	result_clear(&r);
	client_close(c);
	return (status);
}

static void
event_read(struct imsg *imsg, struct wire_event *ev)
{
	if (imsg_get_type(imsg) != IMSG_EVENT ||
	    imsg_get_data(imsg, ev, sizeof(*ev)) == -1 ||
	    ev->kind >= EV_COUNT || ev->from >= ST_COUNT ||
	    ev->to >= ST_COUNT || !proto_str_ok(ev->name, sizeof(ev->name)) ||
	    !proto_str_ends(ev->who, sizeof(ev->who)) ||
	    !proto_str_ends(ev->detail, sizeof(ev->detail)))
		client_confused(imsg);
	imsg_free(imsg);
}

/* "2026-11-20 10:00:00.123  web  running -> stopping  by uid 1000 (a)" */
static void
event_print(const struct wire_event *ev)
{
	char	 when[64], text[TEXT_SIZE];
	char	*clean;

	event_text(ev, text, sizeof(text));
	clean = clean_text(text);
	printf("%s%s.%03u%s  %s%-*s%s  %s%s%s\n", colour(COLOUR_DIM),
	    local_time(ev->time_ms, when, sizeof(when)),
	    (unsigned int)(ev->time_ms % MS_PER_SEC), colour_end(),
	    colour(COLOUR_BOLD), NAME_WIDTH,
	    *ev->name != '\0' ? ev->name : "keepd", colour_end(),
	    colour(colours[ev->kind]), clean, colour_end());
	free(clean);
}

static void
event_text(const struct wire_event *ev, char *buf, size_t size)
{
	char	 part[TEXT_SIZE];

	if (ev->kind == EV_STATE || ev->from != ev->to)
		snprintf(buf, size, "%s %s %s", proto_state_name(ev->from),
		    symbol("→", "->"), proto_state_name(ev->to));
	else
		strlcpy(buf, proto_event_name(ev->kind), size);
	if (ev->kind == EV_STARTED) {
		snprintf(part, sizeof(part), ", pid %u, run %u", ev->pid,
		    ev->run);
		strlcat(buf, part, size);
	}
	if (ev->signal != 0) {
		strlcat(buf, ", ", size);
		strlcat(buf, signal_text(ev->signal), size);
	} else if (ev->exit_code >= 0 && (ev->kind == EV_CRASHED ||
	    ev->kind == EV_EXITED || ev->kind == EV_BUILD_FAILED)) {
		snprintf(part, sizeof(part), ", code %d", ev->exit_code);
		strlcat(buf, part, size);
	}
	if (*ev->detail != '\0') {
		strlcat(buf, ": ", size);
		strlcat(buf, ev->detail, size);
	}
	if (*ev->who != '\0') {
		strlcat(buf, ", by ", size);
		strlcat(buf, ev->who, size);
	}
}
