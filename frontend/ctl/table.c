/*
 * A table of text, fitted to the terminal: columns are as wide as their
 * cells, shrink where they may, and go where there is no room at all.
 */
#include <err.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "ctl.h"

#define GAP	2	/* blanks between columns */

struct cell {
	char		*text;
	size_t		 width;
	enum colour	 colour;
};

struct table {
	const struct column	*columns;
	size_t			*widths;	/* 0: not shown */
	size_t			 ncolumns;
	struct cell		*cells;		/* the titles first */
	size_t			 ncells;
	size_t			 room;
};

static size_t	glyph(const char *, size_t *);
static void	cell_add(struct table *, enum colour, char *);
static void	widths_measure(struct table *);
static int	column_empty(const struct table *, size_t);
static size_t	widths_total(const struct table *);
static void	widths_shrink(struct table *, size_t);
static int	widths_drop(struct table *);
static void	row_print(const struct table *, const struct cell *);
static void	cell_print(const struct cell *, size_t, int right, int last);

struct table *
table_new(const struct column *columns, size_t n)
{
	struct table	*t;
	size_t		 i;

	if ((t = calloc(1, sizeof(*t))) == NULL ||
	    (t->widths = calloc(n, sizeof(*t->widths))) == NULL)
		err(CTL_FAILED, NULL);
	t->columns = columns;
	t->ncolumns = n;
	for (i = 0; i < n; i++)
		table_cell(t, COLOUR_DIM, "%s", columns[i].title);
	return (t);
}

void
table_free(struct table *t)
{
	while (t->ncells > 0)
		free(t->cells[--t->ncells].text);
	free(t->cells);
	free(t->widths);
	free(t);
}

void
table_cell(struct table *t, enum colour c, const char *fmt, ...)
{
	va_list	 ap;
	char	*text, *clean;
	int	 n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n == -1)
		err(CTL_FAILED, NULL);
	clean = clean_text(text);
	free(text);
	cell_add(t, c, clean);
}

void
table_print(struct table *t, int width)
{
	size_t	 i;

	widths_measure(t);
	if (width > 0)
		do
			widths_shrink(t, width);
		while (widths_total(t) > (size_t)width && widths_drop(t));
	for (i = 0; i + t->ncolumns <= t->ncells; i += t->ncolumns)
		row_print(t, &t->cells[i]);
}

size_t
text_width(const char *s)
{
	size_t	 n, width = 0;

	while (*s != '\0') {
		width += glyph(s, &n);
		s += n;
	}
	return (width);
}

/* Columns that the character at s takes; its bytes in *n. */
static size_t
glyph(const char *s, size_t *n)
{
	mbstate_t	 state;
	wchar_t		 wc;
	int		 width;

	if ((unsigned char)*s < 0x80) {
		*n = 1;
		return (1);
	}
	memset(&state, 0, sizeof(state));
	*n = mbrtowc(&wc, s, MB_LEN_MAX, &state);
	if (*n == (size_t)-1 || *n == (size_t)-2 || *n == 0) {
		*n = 1;
		return (1);
	}
	width = wcwidth(wc);
	return (width < 0 ? 0 : width);
}

static void
cell_add(struct table *t, enum colour c, char *text)
{
	struct cell	*cell;

	if (t->ncells == t->room) {
		t->room = t->room == 0 ? 64 : 2 * t->room;
		t->cells = reallocarray(t->cells, t->room, sizeof(*cell));
		if (t->cells == NULL)
			err(CTL_FAILED, NULL);
	}
	cell = &t->cells[t->ncells++];
	cell->text = text;
	cell->width = text_width(text);
	cell->colour = c;
}

static void
widths_measure(struct table *t)
{
	size_t	 i, *w;

	for (i = 0; i < t->ncells; i++) {
		w = &t->widths[i % t->ncolumns];
		if (t->cells[i].width > *w)
			*w = t->cells[i].width;
	}
	for (i = 0; i < t->ncolumns; i++)
		if (t->columns[i].hide && column_empty(t, i))
			t->widths[i] = 0;
}

static int
column_empty(const struct table *t, size_t column)
{
	size_t	 i;

	for (i = t->ncolumns + column; i < t->ncells; i += t->ncolumns)
		if (strcmp(t->cells[i].text, "-") != 0)
			return (0);
	return (1);
}

static size_t
widths_total(const struct table *t)
{
	size_t	 i, total = 0;

	for (i = 0; i < t->ncolumns; i++)
		if (t->widths[i] > 0)
			total += t->widths[i] + (total > 0 ? GAP : 0);
	return (total);
}

/* The widest column that may gives, until all fits or none may. */
static void
widths_shrink(struct table *t, size_t width)
{
	size_t	 i, best;

	while (widths_total(t) > width) {
		for (best = t->ncolumns, i = 0; i < t->ncolumns; i++) {
			if (t->columns[i].least == 0 ||
			    t->widths[i] <= (size_t)t->columns[i].least)
				continue;
			if (best == t->ncolumns ||
			    t->widths[i] > t->widths[best])
				best = i;
		}
		if (best == t->ncolumns)
			return;
		t->widths[best]--;
	}
}

/* Give up the least important column, and let the others have its room. */
static int
widths_drop(struct table *t)
{
	size_t	 i, worst = t->ncolumns;

	for (i = 0; i < t->ncolumns; i++)
		if (t->widths[i] > 0 && t->columns[i].drop > 0 &&
		    (worst == t->ncolumns ||
		    t->columns[i].drop > t->columns[worst].drop))
			worst = i;
	if (worst == t->ncolumns)
		return (0);
	t->widths[worst] = 0;
	for (i = 0; i < t->ncells; i++)
		if (t->widths[i % t->ncolumns] > 0 &&
		    t->cells[i].width > t->widths[i % t->ncolumns])
			t->widths[i % t->ncolumns] = t->cells[i].width;
	return (1);
}

static void
row_print(const struct table *t, const struct cell *row)
{
	size_t	 i, last = 0;
	int	 first = 1;

	for (i = 0; i < t->ncolumns; i++)
		if (t->widths[i] > 0 && *row[i].text != '\0')
			last = i;
	for (i = 0; i <= last; i++) {
		if (t->widths[i] == 0)
			continue;
		if (!first)
			printf("%*s", GAP, "");
		first = 0;
		cell_print(&row[i], t->widths[i], t->columns[i].right,
		    i == last);
	}
	putchar('\n');
}

static void
cell_print(const struct cell *cell, size_t width, int right, int last)
{
	const char	*s = cell->text;
	size_t		 n, used = 0, g, pad = 0;
	int		 cut = cell->width > width;

	if (!cut)
		pad = width - cell->width;
	if (right)
		printf("%*s", (int)pad, "");
	fputs(colour(cell->colour), stdout);
	if (cut) {
		while (used + (g = glyph(s, &n)) <= width - 1) {
			s += n;
			used += g;
		}
		fwrite(cell->text, 1, s - cell->text, stdout);
		fputs(symbol("…", "~"), stdout);
		pad = width - used - 1;
	} else
		fputs(s, stdout);
	if (cell->colour != COLOUR_NONE)
		fputs(colour_end(), stdout);
	if (!right && !last)
		printf("%*s", (int)pad, "");
}
