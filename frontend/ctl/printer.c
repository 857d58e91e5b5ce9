/*
 * Log lines on stdout: as text with the service's name before it where there
 * are several; as JSON one object a line, or one for the whole answer.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "query.h"
#include "frontend/render.h"
#include "util.h"

static void	line_json(struct printer *, const struct query *,
		    const struct wire_line *, const char *);
static void	line_prefix(const struct printer *, const struct queries *,
		    const struct query *);
static enum colour line_colour(const struct printer *,
		    const struct wire_line *);

void
printer_init(struct printer *p, const struct options *o,
    const struct queries *qs)
{
	size_t	 i;
	int	 width;

	memset(p, 0, sizeof(*p));
	p->json = given(o, OPT_JSON);
	if (given(o, OPT_RAW))
		p->flags |= RENDER_RAW;
	if (given(o, OPT_TIME))
		p->flags |= RENDER_TIME;
	if (qs->count < 2 || given(o, OPT_NOPREFIX))
		return;
	for (i = 0; i < qs->count; i++)
		if ((width = strlen(qs->list[i].name)) > p->prefix)
			p->prefix = width;
}

void
printer_clear(struct printer *p)
{
	if (p->open != NULL)
		putchar('\n');
	json_decref(p->lines);
	json_decref(p->entries);
	free(p->buf);
}

void
printer_collect(struct printer *p)
{
	p->lines = json_array();
	p->entries = json_array();
	if (p->lines == NULL || p->entries == NULL)
		err(CTL_FAILED, NULL);
}

/* The answer of interfaces.md, its counts summed up over the services. */
void
printer_answer(struct printer *p, const struct queries *qs)
{
	const struct wire_end	*e;
	json_int_t		 matches = 0, elided = 0, lost = 0;
	json_t			*cursor = NULL, *j;
	uint32_t		 runs = 0, run = 0;
	size_t			 i;
	int			 truncated = 0;

	for (i = 0; i < qs->count; i++) {
		e = &qs->list[i].end;
		matches += e->matches;
		elided += e->elided;
		lost += e->lost;
		truncated |= e->truncated != 0;
		runs = e->runs > runs ? e->runs : runs;
		run = e->run;
		/* One service's answer can be continued, a mixture cannot. */
		if (e->truncated && qs->count == 1)
			cursor = json_sprintf("%u:%llu", e->next_run,
			    (unsigned long long)e->next_line);
	}
	j = json_pack("{s:O,s:O,s:I,s:I,s:I,s:I,s:I,s:o,s:b,s:o}",
	    "lines", p->lines, "entries", p->entries, "matches", matches,
	    "shown", (json_int_t)json_array_size(p->lines), "elided", elided,
	    "lost", lost, "runs", (json_int_t)runs,
	    "run", qs->count == 1 && run != 0 ? json_integer(run) : json_null(),
	    "truncated", truncated,
	    "next_cursor", cursor != NULL ? cursor : json_null());
	if (j == NULL)
		err(CTL_FAILED, NULL);
	json_line(j);
}

/* Pieces of a long line are put together again where nothing comes between. */
void
printer_line(struct printer *p, const struct queries *qs,
    const struct query *q, const struct wire_line *line, const char *text)
{
	size_t		 need = render_bound(line->len);
	int		 goes_on, flags = p->flags;
	enum colour	 c;

	if (need > p->size) {
		free(p->buf);
		if ((p->buf = malloc(need)) == NULL)
			err(CTL_FAILED, NULL);
		p->size = need;
	}
	if (p->json) {
		line_json(p, q, line, text);
		return;
	}
	goes_on = p->open != NULL && p->open == q &&
	    (line->flags & LINE_CONT) != 0;
	if (p->open != NULL && !goes_on)
		putchar('\n');
	if (goes_on)
		flags &= RENDER_RAW | RENDER_ANSI;
	else
		line_prefix(p, qs, q);
	need = render_line(p->buf, p->size, line, text, flags);
	c = line_colour(p, line);
	fputs(colour(c), stdout);
	fwrite(p->buf, 1, need, stdout);
	if (c != COLOUR_NONE)
		fputs(colour_end(), stdout);
	p->open = line->flags & LINE_CUT ? q : NULL;
	if (p->open == NULL)
		putchar('\n');
}

static void
line_json(struct printer *p, const struct query *q,
    const struct wire_line *line, const char *text)
{
	json_t	*j;
	size_t	 n;
	char	 when[RFC3339_SIZE];

	n = render_line(p->buf, p->size, line, text,
	    p->flags & RENDER_RAW ? RENDER_ANSI : 0);
	j = json_pack("{s:s,s:I,s:I,s:s,s:s,s:o}", "service", q->name,
	    "run", (json_int_t)line->run, "line", (json_int_t)line->line,
	    "time", rfc3339(line->time_ms, when, sizeof(when)),
	    "stream", line->stream == STREAM_STDERR ? "stderr" : "stdout",
	    "text", json_stringn_nocheck(p->buf, n));
	if (j == NULL)
		err(CTL_FAILED, NULL);
	if (p->marks)
		json_object_set_new(j, "match",
		    json_boolean(line->flags & LINE_MATCH));
	if (p->entries == NULL) {
		json_line(j);
		return;
	}
	json_array_append_new(p->entries, j);
	n = render_line(p->buf, p->size, line, text, p->flags);
	json_array_append_new(p->lines, json_stringn_nocheck(p->buf, n));
}

static void
line_prefix(const struct printer *p, const struct queries *qs,
    const struct query *q)
{
	if (p->prefix == 0)
		return;
	printf("%s%-*s %s%s ", colour(name_colour(q - qs->list)), p->prefix,
	    q->name, symbol("│", "|"), colour_end());
}

/* Bytes as they were written bring their own colours. */
static enum colour
line_colour(const struct printer *p, const struct wire_line *line)
{
	if (p->flags & RENDER_RAW)
		return (COLOUR_NONE);
	if ((p->flags & RENDER_MARKS) && (line->flags & LINE_MATCH) == 0)
		return (COLOUR_DIM);
	if (line->stream == STREAM_STDERR)
		return (COLOUR_RED);
	return (COLOUR_NONE);
}
