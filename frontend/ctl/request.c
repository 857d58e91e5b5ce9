/*
 * Requests that more than one verb makes, and what an answer means: targets,
 * services with their display text, results and the exit status they give.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "frontend/render.h"
#include "util.h"

#define REAL_DIGITS	15	/* what a double holds of any decimal */

/* A code of the supervisor as the program's exit status. */
static const unsigned char exits[RES_COUNT] = {
	[RES_OK] = CTL_OK,
	[RES_NOT_FOUND] = CTL_NO_SERVICE,
	[RES_AMBIGUOUS] = CTL_USAGE,
	[RES_ALREADY_RUNNING] = CTL_FAILED,
	[RES_NOT_RUNNING] = CTL_FAILED,
	[RES_COMMAND_FAILED] = CTL_FAILED,
	[RES_BUILD_FAILED] = CTL_FAILED,
	[RES_PORT_CONFLICT] = CTL_PORT,
	[RES_TIMEOUT] = CTL_TIMED_OUT,
	[RES_PERMISSION] = CTL_DENIED,
	[RES_INVALID] = CTL_USAGE,
	[RES_SHUTTING_DOWN] = CTL_FAILED,
	[RES_BUSY] = CTL_FAILED,
	[RES_DEPENDENCY] = CTL_FAILED,
	[RES_BREAKER] = CTL_FAILED,
	[RES_STATE_ERROR] = CTL_FAILED,
	[RES_CANCELLED] = CTL_FAILED,
	[RES_EXITED] = CTL_FAILED,
};

static char	*clean_lines(const char *);
static void	 service_state(struct services *, struct imsg *);
static void	 service_text(struct services *, struct imsg *);

void
target_set(struct wire_target *t, const char *text, int group)
{
	memset(t, 0, sizeof(*t));
	t->group = group;
	if (strlcpy(t->text, text, sizeof(t->text)) < sizeof(t->text) &&
	    !proto_str_ok(t->text, sizeof(t->text)))
		errx(CTL_NO_SERVICE, "not found: no service's name has control "
		    "characters");
	if (strlen(text) >= sizeof(t->text))
		errx(CTL_USAGE, "the name of a service or group has at most "
		    "%zu bytes", sizeof(t->text) - 1);
}

int
is_glob(const char *text)
{
	return (strpbrk(text, "*?[") != NULL);
}

void
services_ask(struct client *c, const struct wire_target *t)
{
	client_send(c, IMSG_CTL_STATUS, 0, t, sizeof(*t), NULL, 0);
}

uint32_t
services_read(struct client *c, struct services *all, struct result *r)
{
	struct imsg	 imsg;

	for (;;) {
		client_must(c, &imsg);
		switch (imsg_get_type(&imsg)) {
		case IMSG_STATE:
			service_state(all, &imsg);
			break;
		case IMSG_TEXT:
			service_text(all, &imsg);
			break;
		case IMSG_RESULT:
			result_read(&imsg, r);
			return (r->wire.code);
		default:
			client_confused(&imsg);
		}
		imsg_free(&imsg);
	}
}

void
services_get(struct client *c, struct services *all, const char *text,
    int group)
{
	struct wire_target	 t;
	struct result		 r;

	target_set(&t, text, group);
	services_ask(c, &t);
	if (services_read(c, all, &r) != RES_OK) {
		result_warn(&r);
		exit(result_exit(r.wire.code));
	}
	result_clear(&r);
}

void
services_clear(struct services *all)
{
	size_t	 i;

	for (i = 0; i < all->count; i++)
		if (all->list[i].has_display)
			display_clear(&all->list[i].display);
	free(all->list);
	memset(all, 0, sizeof(*all));
}

const struct service *
services_find(const struct services *all, uint32_t id)
{
	size_t	 i;

	for (i = 0; i < all->count; i++)
		if (all->list[i].state.service == id)
			return (&all->list[i]);
	return (NULL);
}

void
result_read(struct imsg *imsg, struct result *r)
{
	size_t	 len;
	char	*text;

	memset(r, 0, sizeof(*r));
	if (imsg_get_buf(imsg, &r->wire, sizeof(r->wire)) == -1 ||
	    r->wire.code >= RES_COUNT)
		client_confused(imsg);
	len = imsg_get_len(imsg);
	if ((text = malloc(len + 1)) == NULL)
		err(CTL_FAILED, NULL);
	if (imsg_get_data(imsg, text, len) == -1)
		client_confused(imsg);
	text[len] = '\0';
	r->text = clean_lines(text);
	free(text);
	imsg_free(imsg);
}

void
result_clear(struct result *r)
{
	free(r->text);
	r->text = NULL;
}

int
result_exit(uint32_t code)
{
	return (code < RES_COUNT ? exits[code] : CTL_FAILED);
}

void
result_warn(const struct result *r)
{
	fflush(stdout);
	/* Several lines are a report, as of errors in a configuration. */
	if (strchr(r->text, '\n') != NULL)
		fprintf(stderr, "%s\n", r->text);
	else if (*r->text != '\0')
		warnx("%s", r->text);
	else
		warnx("keepd answered %s", proto_result_name(r->wire.code));
}

/* As one line. */
char *
clean_text(const char *text)
{
	char	*clean = clean_lines(text);
	char	*p;

	for (p = clean; *p != '\0'; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	return (clean);
}

/* Line by line: what is removed from one does not reach into the next. */
static char *
clean_lines(const char *text)
{
	char	*copy, *rest, *line, *clean;
	size_t	 n = 0, len = strlen(text);

	if ((copy = strdup(text)) == NULL ||
	    (clean = malloc(3 * len + 2)) == NULL)
		err(CTL_FAILED, NULL);
	for (rest = copy; (line = strsep(&rest, "\n")) != NULL;) {
		len = ansi_strip(line, strlen(line));
		n += utf8_clean(clean + n, line, len);
		clean[n++] = '\n';
	}
	free(copy);
	while (n > 0 && clean[n - 1] == '\n')
		n--;
	clean[n] = '\0';
	return (clean);
}

void
json_line(json_t *value)
{
	if (json_dumpf(value, stdout, JSON_COMPACT |
	    JSON_REAL_PRECISION(REAL_DIGITS)) == -1)
		err(CTL_FAILED, "cannot print");
	putchar('\n');
	json_decref(value);
}

int
result_finish(const struct options *o, struct client *c, const char *done)
{
	struct imsg	 imsg;
	struct result	 r;
	int		 status;

	client_must(c, &imsg);
	if (imsg_get_type(&imsg) != IMSG_RESULT)
		client_confused(&imsg);
	result_read(&imsg, &r);
	status = result_exit(r.wire.code);
	if (given(o, OPT_JSON))
		json_line(json_pack("{s:b,s:s,s:s}", "ok", status == CTL_OK,
		    "code", proto_result_name(r.wire.code), "text", r.text));
	else if (status == CTL_OK && !given(o, OPT_BRIEF))
		puts(*r.text != '\0' ? r.text : done);
	if (status != CTL_OK)
		result_warn(&r);
	result_clear(&r);
	return (status);
}

static void
service_state(struct services *all, struct imsg *imsg)
{
	struct service		*s;
	struct wire_state	*st;

	if (all->count == all->room) {
		all->room = all->room == 0 ? 16 : 2 * all->room;
		all->list = reallocarray(all->list, all->room, sizeof(*s));
		if (all->list == NULL)
			err(CTL_FAILED, NULL);
	}
	s = &all->list[all->count];
	memset(s, 0, sizeof(*s));
	st = &s->state;
	if (imsg_get_data(imsg, st, sizeof(*st)) == -1 ||
	    st->state >= ST_COUNT || st->exit_reason >= EXIT_COUNT ||
	    st->nevents > STATE_EVENTS ||
	    !proto_str_ok(st->name, sizeof(st->name)) ||
	    !proto_str_ok(st->group, sizeof(st->group)) ||
	    !proto_str_ends(st->action_by, sizeof(st->action_by)) ||
	    !proto_str_ends(st->action_client, sizeof(st->action_client)) ||
	    !proto_str_ends(st->action_reason, sizeof(st->action_reason)) ||
	    !proto_str_ends(st->error, sizeof(st->error)))
		client_confused(imsg);
	all->count++;
}

/* The text belongs to the state that came just before. */
static void
service_text(struct services *all, struct imsg *imsg)
{
	struct service	*s;

	if (all->count == 0)
		client_confused(imsg);
	s = &all->list[all->count - 1];
	if (s->has_display || display_get(&s->display, imsg) == -1)
		client_confused(imsg);
	s->has_display = 1;
}
