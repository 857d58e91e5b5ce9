/*
 * logs and search: lines of one or several services, interleaved by time.
 */
#include <err.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query.h"
#include "frontend/render.h"

#define FOLLOW_LINES	10	/* before those that come */
#define RETRIES		10
#define RETRY_MS	300
#define SETTLE_MS	40	/* lines of several services meet within */

static void	names_resolve(const struct options *, struct client *,
		    struct services *, int);
static void	services_unique(struct services *);
static void	query_options(const struct options *, struct wire_query *);
static int	queries_run(struct client *, struct queries *,
		    struct printer *, int);
static int	queries_first(struct queries *, int, size_t *);
static void	gap_warn(const struct query *, const struct wire_line *);
static int	queries_open(const struct queries *);
static void	queries_resume(struct client *, struct queries *);
static void	query_resume(struct client *, struct query *);
static int	queries_exit(const struct queries *);
static void	print_nothing(const struct queries *);

int
verb_logs(const struct options *o)
{
	struct client		*c;
	struct services		 all = { NULL, 0, 0 };
	struct queries		 qs;
	struct printer		 p;
	struct wire_query	*w;
	size_t			 i;
	int			 status, follow = given(o, OPT_FOLLOW);

	if (follow && (given(o, OPT_RUN) || given(o, OPT_UNTIL)))
		errx(CTL_USAGE, "--follow is about what comes: --run and "
		    "--until do not go with it");
	c = client_open(o);
	names_resolve(o, c, &all, o->argc);
	queries_init(&qs, &all);
	for (i = 0; i < qs.count; i++) {
		w = &qs.list[i].wire.query;
		query_options(o, w);
		w->query = follow ? QUERY_FOLLOW : QUERY_WINDOW;
		if (given(o, OPT_LINES) ?
		    o->number[OPT_LINES] != UINT64_MAX :
		    follow && !given(o, OPT_SINCE)) {
			w->flags |= Q_TAIL;
			w->tail = given(o, OPT_LINES) ? o->number[OPT_LINES] :
			    FOLLOW_LINES;
		}
		query_send(c, &qs.list[i]);
	}
	printer_init(&p, o, &qs);
	if (p.json && !follow)
		printer_collect(&p);
	status = queries_run(c, &qs, &p, follow);
	if (p.lines != NULL && status == CTL_OK)
		printer_answer(&p, &qs);
	printer_clear(&p);
	queries_clear(&qs);
	services_clear(&all);
	client_close(c);
	return (status);
}

int
verb_search(const struct options *o)
{
	struct client		*c;
	struct services		 all = { NULL, 0, 0 };
	struct queries		 qs;
	struct printer		 p;
	struct wire_query	*w;
	size_t			 i;
	int			 status;

	if (given(o, OPT_HEAD) && given(o, OPT_TAIL))
		errx(CTL_USAGE, "--head and --tail exclude each other: give "
		    "one");
	c = client_open(o);
	names_resolve(o, c, &all, 1);
	queries_init(&qs, &all);
	for (i = 0; i < qs.count; i++) {
		w = &qs.list[i].wire.query;
		query_options(o, w);
		w->query = QUERY_SEARCH;
		qs.list[i].pattern = o->argc == 2 ? o->argv[1] : NULL;
		query_send(c, &qs.list[i]);
	}
	printer_init(&p, o, &qs);
	p.marks = o->argc == 2;
	if (o->argc == 2 && !given(o, OPT_RAW))
		p.flags |= RENDER_MARKS;
	if (!given(o, OPT_RAW) && !given(o, OPT_BUILDLOG))
		p.flags |= RENDER_STDERR;	/* builds: S0-63 */
	if (p.json)
		printer_collect(&p);
	status = queries_run(c, &qs, &p, 0);
	if (p.lines != NULL && status == CTL_OK)
		printer_answer(&p, &qs);
	printer_clear(&p);
	if (status == CTL_OK && !given(o, OPT_JSON))
		print_nothing(&qs);
	queries_clear(&qs);
	services_clear(&all);
	client_close(c);
	return (status);
}

/* The services meant by the first n arguments, by a group, or all. */
static void
names_resolve(const struct options *o, struct client *c, struct services *all,
    int n)
{
	int	 i;

	if (n > 0 && given(o, OPT_GROUP))
		errx(CTL_USAGE, "name services or a --group, not both");
	for (i = 0; i < n; i++)
		services_get(c, all, o->argv[i], 0);
	if (n == 0)
		services_get(c, all, given(o, OPT_GROUP) ?
		    o->text[OPT_GROUP] : "", given(o, OPT_GROUP));
	services_unique(all);
}

static void
services_unique(struct services *all)
{
	size_t	 i, j, kept = 0;

	for (i = 0; i < all->count; i++) {
		for (j = 0; j < kept; j++)
			if (all->list[j].state.service ==
			    all->list[i].state.service)
				break;
		if (j == kept)
			all->list[kept++] = all->list[i];
		else if (all->list[i].has_display)
			display_clear(&all->list[i].display);
	}
	all->count = kept;
}

static void
query_options(const struct options *o, struct wire_query *w)
{
	w->kind = given(o, OPT_BUILDLOG) ? RING_BUILD : RING_OUTPUT;
	w->flags = o->number[OPT_STREAM];
	if (given(o, OPT_SINCE))
		w->since_ms = o->number[OPT_SINCE];
	if (given(o, OPT_UNTIL))
		w->before_ms = o->number[OPT_UNTIL];
	if (given(o, OPT_RUN))
		w->index = o->run;
	/* Who asks for a time means all that was written in it. */
	if (o->all_runs || (!given(o, OPT_RUN) &&
	    (given(o, OPT_SINCE) || given(o, OPT_UNTIL))))
		w->flags |= Q_ALL_RUNS;
	if (given(o, OPT_ICASE))
		w->flags |= Q_ICASE;
	if (given(o, OPT_HEAD))
		w->flags |= Q_HEAD;
	if (given(o, OPT_TAIL))
		w->flags |= Q_TAIL;
	w->head = o->number[OPT_HEAD];
	w->tail = o->number[OPT_TAIL];
	w->context = o->number[OPT_CONTEXT];
	w->max_bytes = o->number[OPT_MAXBYTES];
}

/*
 * Show lines in the order of their times.  A line may be shown once every
 * other query has its next one here, too, or has ended.  Followers need not
 * have a next one: there the oldest goes when nothing has come for a moment.
 */
static int
queries_run(struct client *c, struct queries *qs, struct printer *p,
    int follow)
{
	struct wire_line	 line;
	struct imsg		 imsg;
	const char		*text;
	size_t			 i;
	int			 n, settled = 0;

	for (;;) {
		while (queries_first(qs, settled, &i) &&
		    query_peek(&qs->list[i], &line, &text)) {
			if (follow)
				gap_warn(&qs->list[i], &line);
			printer_line(p, qs, &qs->list[i], &line, text);
			query_take(c, &qs->list[i]);
		}
		if (follow)
			queries_resume(c, qs);
		if (!queries_open(qs))
			break;
		n = client_next(c, &imsg, follow && !settled ? SETTLE_MS : -1);
		if (n == -1)
			errx(CTL_NO_DAEMON, "keepd closed the connection");
		settled = n == 0;
		if (n == 1)
			queries_dispatch(qs, &imsg);
	}
	return (queries_exit(qs));
}

/* Lines that left the ring before we were sent them; one stream has gaps. */
static void
gap_warn(const struct query *q, const struct wire_line *line)
{
	if (line->run != q->last_run || line->line <= q->last_line + 1 ||
	    (q->wire.query.flags & (Q_STDOUT | Q_STDERR)) != 0)
		return;
	fflush(stdout);
	warnx("%s: %llu lines left out: they came faster than they could be "
	    "shown", q->name,
	    (unsigned long long)(line->line - q->last_line - 1));
}

/* Which query's line is next; 0: something must come before we know. */
static int
queries_first(struct queries *qs, int settled, size_t *best)
{
	struct wire_line	 line;
	const char		*text;
	uint64_t		 time = 0;
	size_t			 i;
	int			 found = 0;

	*best = 0;
	for (i = 0; i < qs->count; i++) {
		if (!query_peek(&qs->list[i], &line, &text)) {
			if (!qs->list[i].ended && !settled)
				return (0);
			continue;
		}
		if (!found || line.time_ms < time) {
			*best = i;
			time = line.time_ms;
			found = 1;
		}
	}
	return (found);
}

static int
queries_open(const struct queries *qs)
{
	size_t	 i;

	for (i = 0; i < qs->count; i++)
		if (!qs->list[i].ended)
			return (1);
	return (0);
}

static void
queries_resume(struct client *c, struct queries *qs)
{
	struct query	*q;
	size_t		 i;

	for (i = 0; i < qs->count; i++) {
		q = &qs->list[i];
		if (q->ended && TAILQ_EMPTY(&q->frames) &&
		    (q->end.code == END_SLOW || q->end.code == END_FAILED) &&
		    q->tries < RETRIES)
			query_resume(c, q);
	}
}

/*
 * Dropped for reading too slowly, or the logger was replaced by a fresh one,
 * which takes a moment: go on behind the last line that was shown.
 */
static void
query_resume(struct client *c, struct query *q)
{
	struct wire_query	*w = &q->wire.query;

	if (q->end.code == END_SLOW)
		warnx("%s: lines came faster than they could be shown, some "
		    "may be missing", q->name);
	else
		poll(NULL, 0, RETRY_MS);
	q->tries++;
	if (q->last_run != 0) {
		w->flags &= ~(Q_TAIL | Q_HEAD | Q_ALL_RUNS);
		w->flags |= Q_CURSOR;
		w->cursor_run = q->last_run;
		w->cursor_line = q->last_line;
	}
	query_send(c, q);
}

static int
queries_exit(const struct queries *qs)
{
	size_t	 i;
	int	 status, worst = CTL_OK;

	for (i = 0; i < qs->count; i++)
		if ((status = query_exit(&qs->list[i], qs->count > 1)) >
		    worst)
			worst = status;
	return (worst);
}

/* S0-78 */
static void
print_nothing(const struct queries *qs)
{
	uint64_t	 matches = 0, shown = 0;
	size_t		 i;
	int		 pattern = 0;

	for (i = 0; i < qs->count; i++) {
		matches += qs->list[i].end.matches;
		shown += qs->list[i].end.shown;
		pattern |= qs->list[i].pattern != NULL;
	}
	if (pattern && matches == 0)
		puts("No matches found");
	else if (shown == 0)
		puts("(empty)");
}
