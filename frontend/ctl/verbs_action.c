/*
 * start, stop and restart: one request a target, all of them at once, and an
 * answer for each service.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "util.h"

#define PATIENCE_MS	400	/* before it is shown that we wait */
#define TICK_MS		100

/* Requests under way; the serial of the nth is n + 1. */
struct actions {
	struct services	 services;
	size_t		 count;		/* requests without their last answer */
	int		 status;
	int		 many;		/* meant by a group, a pattern or all */
	json_t		*answers;
	uint64_t	 began;
	int		 waiting;	/* the line that says so is shown */
};

static int	 act(const struct options *, uint32_t);
static void	 targets_check(const struct options *);
static void	 targets_send(const struct options *, struct client *,
		    struct actions *, uint32_t);
static void	 answers_read(const struct options *, struct client *,
		    struct actions *);
static void	 answer(const struct options *, struct actions *,
		    const struct result *);
static int	 is_so_already(uint32_t);
static json_t	*answer_json(const struct result *, const char *);
static void	 answer_print(const struct result *, const char *);
static void	 waiting_show(struct actions *);
static void	 waiting_hide(struct actions *);

int
verb_start(const struct options *o)
{
	return (act(o, VERB_START));
}

int
verb_stop(const struct options *o)
{
	return (act(o, VERB_STOP));
}

int
verb_restart(const struct options *o)
{
	return (act(o, given(o, OPT_REBUILD) ? VERB_REBUILD : VERB_RESTART));
}

static int
act(const struct options *o, uint32_t verb)
{
	struct client	*c;
	struct actions	 a;
	int		 single;

	targets_check(o);
	memset(&a, 0, sizeof(a));
	a.answers = json_array();
	c = client_open(o);
	a.many = o->argc == 0 || is_glob(o->argv[0]);
	targets_send(o, c, &a, verb);
	a.began = mono_ms();
	answers_read(o, c, &a);
	single = o->argc == 1 && !is_glob(o->argv[0]) &&
	    json_array_size(a.answers) == 1;
	if (given(o, OPT_JSON) && single)
		json_line(json_incref(json_array_get(a.answers, 0)));
	else if (given(o, OPT_JSON))
		json_line(json_incref(a.answers));
	json_decref(a.answers);
	services_clear(&a.services);
	client_close(c);
	return (a.status);
}

static void
targets_check(const struct options *o)
{
	int	 ways = (o->argc > 0) + given(o, OPT_GROUP) + given(o, OPT_ALL);
	int	 i;

	if (ways == 0)
		errx(CTL_USAGE, "a service, --group or --all must be provided");
	if (ways > 1)
		errx(CTL_USAGE, "services, --group and --all exclude each "
		    "other: give one of them");
	for (i = 0; i < o->argc; i++)
		if (*o->argv[i] == '\0')
			errx(CTL_USAGE, "an empty name is no service; --all "
			    "means all");
}

/*
 * The names are looked up first: where one of them is wrong nothing is done
 * at all, and the answers, which carry ids, can be given names.
 */
static void
targets_send(const struct options *o, struct client *c, struct actions *a,
    uint32_t verb)
{
	struct wire_ctlaction	 req;
	struct wire_action	*w = &req.action;
	size_t			 i;

	a->count = o->argc > 0 ? o->argc : 1;
	memset(&req, 0, sizeof(req));
	w->verb = verb;
	w->timeout_ms = o->number[OPT_TIMEOUT];
	if (given(o, OPT_FORCE))
		w->flags |= ACTION_FORCE;
	if (given(o, OPT_NOWAIT))
		w->flags |= ACTION_NOWAIT;
	snprintf(w->client, sizeof(w->client), "keepctl %s", KEEPD_VERSION);
	if (given(o, OPT_REASON) && strlcpy(w->reason, o->text[OPT_REASON],
	    sizeof(w->reason)) >= sizeof(w->reason))
		errx(CTL_USAGE, "the reason is too long: at most %zu bytes",
		    sizeof(w->reason) - 1);
	for (i = 0; i < a->count; i++)
		services_get(c, &a->services, o->argc > 0 ? o->argv[i] :
		    given(o, OPT_GROUP) ? o->text[OPT_GROUP] : "",
		    given(o, OPT_GROUP));
	for (i = 0; i < a->count; i++) {
		target_set(&req.target, o->argc > 0 ? o->argv[i] :
		    given(o, OPT_GROUP) ? o->text[OPT_GROUP] : "",
		    given(o, OPT_GROUP));
		w->serial = i + 1;
		client_send(c, IMSG_CTL_ACTION, 0, &req, sizeof(req), NULL, 0);
	}
}

static void
answers_read(const struct options *o, struct client *c, struct actions *a)
{
	struct imsg	 imsg;
	struct result	 r;
	int		 n, shown = isatty(STDERR_FILENO) && colour_on() &&
			    !given(o, OPT_BRIEF) && !given(o, OPT_JSON);

	while (a->count > 0) {
		n = client_next(c, &imsg, shown ? TICK_MS : -1);
		if (n == 0) {
			waiting_show(a);
			continue;
		}
		waiting_hide(a);
		if (n == -1)
			errx(CTL_NO_DAEMON, "keepd closed the connection "
			    "before it answered: see its log");
		if (imsg_get_type(&imsg) != IMSG_RESULT)
			client_confused(&imsg);
		result_read(&imsg, &r);
		answer(o, a, &r);
		result_clear(&r);
	}
}

static void
answer(const struct options *o, struct actions *a, const struct result *r)
{
	const struct service	*s;
	int			 status = result_exit(r->wire.code);

	if (r->wire.service == NO_SERVICE) {
		a->count--;
		/* The answers before it have said what there is to say. */
		if (json_array_size(a->answers) > 0)
			return;
		if (status != CTL_OK)
			result_warn(r);
		if (status > a->status)
			a->status = status;
		return;
	}
	s = services_find(&a->services, r->wire.service);
	json_array_append_new(a->answers, answer_json(r,
	    s != NULL ? s->state.name : NULL));
	if (a->many && is_so_already(r->wire.code))
		return;
	if (status > a->status)
		a->status = status;
	if (status != CTL_OK && s != NULL &&
	    strstr(r->text, s->state.name) == NULL)
		warnx("%s: %s", s->state.name, r->text);
	else if (status != CTL_OK)
		result_warn(r);
	else if (!given(o, OPT_JSON) && !given(o, OPT_BRIEF))
		answer_print(r, s != NULL ? s->state.name : "service");
}

/* Who stops all of them does not mind that one was stopped before. */
static int
is_so_already(uint32_t code)
{
	return (code == RES_ALREADY_RUNNING || code == RES_NOT_RUNNING);
}

static json_t *
answer_json(const struct result *r, const char *name)
{
	const struct wire_result	*w = &r->wire;
	json_t				*j;

	j = json_pack("{s:s?,s:b,s:s,s:s,s:s,s:b,s:I,s:I}", "service", name,
	    "ok", w->code == RES_OK, "code", proto_result_name(w->code),
	    "verb", proto_verb_name(w->verb), "text", r->text,
	    "joined", w->joined != 0, "elapsed_ms", (json_int_t)w->elapsed_ms,
	    "gap_ms", (json_int_t)w->gap_ms);
	if (j == NULL)
		err(CTL_FAILED, NULL);
	json_object_set_new(j, "old_pid", w->old_pid == 0 ? json_null() :
	    json_integer(w->old_pid));
	json_object_set_new(j, "new_pid", w->new_pid == 0 ? json_null() :
	    json_integer(w->new_pid));
	json_object_set_new(j, "run", w->run == 0 ? json_null() :
	    json_integer(w->run));
	return (j);
}

/* "web was restarted in dev mode (pid 4242, 120ms, gap 3ms)" */
static void
answer_print(const struct result *r, const char *name)
{
	const struct wire_result	*w = &r->wire;
	char				 took[64], gap[64];

	printf("%s%s%s", colour(COLOUR_GREEN), symbol("✓ ", ""), colour_end());
	if (*r->text != '\0')
		fputs(r->text, stdout);
	else
		printf("%s: %s done", name, proto_verb_name(w->verb));
	printf("%s (", colour(COLOUR_DIM));
	if (w->new_pid != 0 && strstr(r->text, "pid ") == NULL)
		printf("pid %u, ", w->new_pid);
	fputs(duration_text(w->elapsed_ms, took, sizeof(took)), stdout);
	if (w->old_pid != 0 && w->new_pid != 0)
		printf(", gap %s", duration_text(w->gap_ms, gap, sizeof(gap)));
	printf("%s)%s\n", w->joined ? ", shared with another request" : "",
	    colour_end());
	fflush(stdout);
}

static void
waiting_show(struct actions *a)
{
	static const char *const frames[] = {
		"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"
	};
	uint64_t	 ms = mono_ms() - a->began;
	char		 took[64];

	if (ms < PATIENCE_MS)
		return;
	fprintf(stderr, "\r%s waiting for keepd, %s\033[K",
	    symbol(frames[ms / TICK_MS % nitems(frames)], "..."),
	    duration_text(ms, took, sizeof(took)));
	fflush(stderr);
	a->waiting = 1;
}

static void
waiting_hide(struct actions *a)
{
	if (a->waiting)
		fputs("\r\033[K", stderr);
	a->waiting = 0;
}
