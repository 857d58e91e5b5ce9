/*
 * wait: until a service is ready, has exited, listens on a port, has printed
 * something, or has gone quiet.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query.h"
#include "util.h"

/* For lines, without --timeout: a day.  (For states 0 is no limit.) */
#define LINES_WAIT_MS	(24ULL * 60 * 60 * 1000)

static const struct reason {
	enum option_id	 option;
	uint32_t	 until;
	const char	*word;
} reasons[] = {
	{ OPT_READY, UNTIL_READY, "ready" },
	{ OPT_EXIT, UNTIL_EXIT, "exited" },
	{ OPT_PORT, UNTIL_PORT, "port" },
};

static int	wait_state(const struct options *, struct client *,
		    const struct service *, const struct reason *);
static int	exit_status(const struct wire_result *);
static void	wait_json(const char *, const char *, const struct result *);
static int	wait_lines(const struct options *, struct client *,
		    const struct services *);
static int	lines_read(struct client *, struct queries *,
		    struct printer *, int);
static void	lines_json(const struct query *, const char *);

int
verb_wait(const struct options *o)
{
	const struct reason	*why = &reasons[0];
	struct client		*c;
	struct services		 all = { NULL, 0, 0 };
	size_t			 i;
	int			 status, lines;

	lines = given(o, OPT_LOG) + given(o, OPT_QUIET);
	if (given(o, OPT_READY) + given(o, OPT_EXIT) + given(o, OPT_PORT) +
	    lines > 1)
		errx(CTL_USAGE, "--ready, --exit, --port, --log and --quiet "
		    "exclude each other: give one");
	if (given(o, OPT_FROM) && !given(o, OPT_LOG))
		errx(CTL_USAGE, "--since goes with --log only");
	for (i = 0; i < nitems(reasons); i++)
		if (given(o, reasons[i].option))
			why = &reasons[i];
	c = client_open(o);
	services_get(c, &all, o->argv[0], 0);
	if (all.count != 1)
		errx(CTL_USAGE, "%s are %zu services: wait for one",
		    o->argv[0], all.count);
	if (lines)
		status = wait_lines(o, c, &all);
	else
		status = wait_state(o, c, &all.list[0], why);
	services_clear(&all);
	client_close(c);
	return (status);
}

static int
wait_state(const struct options *o, struct client *c,
    const struct service *s, const struct reason *why)
{
	struct wire_ctlwait	 req;
	struct imsg		 imsg;
	struct result		 r;
	int			 status, over;

	memset(&req, 0, sizeof(req));
	target_set(&req.target, s->state.name, 0);
	req.wait.timeout_ms = o->number[OPT_TIMEOUT];
	req.wait.serial = 1;
	req.wait.until = why->until;
	req.wait.port = o->number[OPT_PORT];
	client_send(c, IMSG_CTL_WAIT, 0, &req, sizeof(req), NULL, 0);
	client_must(c, &imsg);
	if (imsg_get_type(&imsg) != IMSG_RESULT)
		client_confused(&imsg);
	result_read(&imsg, &r);
	over = r.wire.code == RES_OK ||
	    (why->until == UNTIL_EXIT && r.wire.code == RES_EXITED);
	status = over && why->until == UNTIL_EXIT ? exit_status(&r.wire) :
	    result_exit(r.wire.code);
	if (!over)
		result_warn(&r);
	if (given(o, OPT_JSON))
		wait_json(s->state.name, why->word, &r);
	else if (over && !given(o, OPT_BRIEF) && *r.text != '\0')
		puts(r.text);
	result_clear(&r);
	return (status);
}

/* As a shell would have it; of a process that never was there is none. */
static int
exit_status(const struct wire_result *w)
{
	if (w->exit_signal != 0)
		return (CTL_SIGNALLED + (int)w->exit_signal);
	return (w->exit_code >= 0 ? w->exit_code : CTL_FAILED);
}

static void
wait_json(const char *name, const char *word, const struct result *r)
{
	const struct wire_result	*w = &r->wire;
	json_t				*j;

	if (w->code == RES_TIMEOUT)
		word = "timeout";
	else if (w->code == RES_EXITED)
		word = "exited";
	else if (w->code != RES_OK)
		word = "error";
	j = json_pack("{s:s,s:s,s:s,s:I,s:s}", "service", name, "reason", word,
	    "code", proto_result_name(w->code), "elapsed_ms",
	    (json_int_t)w->elapsed_ms, "text", r->text);
	if (j == NULL)
		err(CTL_FAILED, NULL);
	word = strcmp(word, "exited") == 0 ? word : NULL;
	json_object_set_new(j, "exit_code", word != NULL &&
	    w->exit_code >= 0 ? json_integer(w->exit_code) : json_null());
	json_object_set_new(j, "signal", word != NULL && w->exit_signal != 0 ?
	    json_integer(w->exit_signal) : json_null());
	json_line(j);
}

static int
wait_lines(const struct options *o, struct client *c,
    const struct services *all)
{
	struct wire_query	*w;
	struct queries		 qs;
	struct query		*q;
	struct printer		 p;
	int			 status;

	queries_init(&qs, all);
	q = &qs.list[0];
	w = &q->wire.query;
	w->timeout_ms = given(o, OPT_TIMEOUT) ? o->number[OPT_TIMEOUT] :
	    LINES_WAIT_MS;
	if (given(o, OPT_LOG)) {
		w->query = QUERY_WAIT_LOG;
		q->pattern = o->text[OPT_LOG];
		/* What it waits for may have been said already. */
		if (!given(o, OPT_FROM) || o->number[OPT_FROM])
			w->flags |= Q_SINCE_RUN;
	} else {
		w->query = QUERY_WAIT_QUIET;
		w->quiet_ms = o->number[OPT_QUIET];
	}
	query_send(c, q);
	printer_init(&p, o, &qs);
	status = lines_read(c, &qs, &p, !given(o, OPT_BRIEF) &&
	    given(o, OPT_LOG));
	printer_clear(&p);
	if (given(o, OPT_JSON))
		lines_json(q, o->text[OPT_LOG]);
	queries_clear(&qs);
	return (status);
}

/* Until the end comes; the line that was waited for is shown. */
static int
lines_read(struct client *c, struct queries *qs, struct printer *p, int show)
{
	struct query		*q = &qs->list[0];
	struct wire_line	 line;
	struct imsg		 imsg;
	const char		*text;

	for (;;) {
		while (query_peek(q, &line, &text)) {
			if (show && !p->json)
				printer_line(p, qs, q, &line, text);
			query_take(c, q);
		}
		if (q->ended)
			return (query_exit(q, 0));
		client_must(c, &imsg);
		queries_dispatch(qs, &imsg);
	}
}

static void
lines_json(const struct query *q, const char *pattern)
{
	static const char *const words[] = {
		[END_MATCHED] = "matched", [END_SETTLED] = "settled",
		[END_EXITED] = "exited", [END_WAIT_TIMEOUT] = "timeout",
	};
	const char	*word = NULL;
	json_t		*j;

	if (q->end.code < nitems(words))
		word = words[q->end.code];
	j = json_pack("{s:s,s:s,s:s?,s:I,s:I,s:s}", "service", q->name,
	    "reason", word != NULL ? word : "error", "pattern", pattern,
	    "elapsed_ms", (json_int_t)(q->end.elapsed_us / 1000),
	    "run", (json_int_t)q->end.run, "text", q->text);
	if (j == NULL)
		err(CTL_FAILED, NULL);
	json_line(j);
}
