/*
 * One search, from the selection of lines over matches to result lines with
 * their context (S0-72 to S0-78).  Runs in a worker: forked, locked up, with
 * the ring mapped read-only and a pipe for the answer.
 *
 * Lines are named by their rank among the selected ones, so that a filter by
 * stream and context go together: selected lines lie in spans of text without
 * a foreign line between.
 */
#include <sys/mman.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "searcher.h"
#include "util.h"

#define BLOCK		(8 * 1024 * 1024)	/* searched between two checks */
#define WARM_FROM	(1024 * 1024)		/* map in large spans at once */
#define TUNE_FROM	(2 * 1024 * 1024)	/* below, any way is good */
#define TUNE_BYTES	(128 * 1024)
#define PAGE_MASK	(4096 - 1)

struct span {
	uint64_t	off, end;	/* text */
	uint64_t	line;		/* of the first */
	uint64_t	lines;
	uint64_t	rank;		/* of the first */
};

struct work {
	struct ring		*ring;
	const struct wire_query	*q;
	struct match		*match;
	struct out		*out;
	struct ring_sel		 sel;
	struct span		*spans;
	size_t			 nspans, cap;
	uint64_t		 total;		/* selected lines */
	uint64_t		 from;		/* rank where matching begins */
	uint64_t		 next;		/* first rank not put out yet */
	uint64_t		 after;		/* context is due up to here */
	int			 stop;		/* waits: found */
};

/* --- spans --------------------------------------------------------------- */

static int
span_add(struct work *w, uint64_t off, uint64_t end, uint64_t line,
    uint64_t lines)
{
	struct span	*s;
	size_t		 n;

	if (w->nspans > 0 && w->spans[w->nspans - 1].end == off) {
		s = &w->spans[w->nspans - 1];
		s->end = end;
		s->lines += lines;
		w->total += lines;
		return (0);
	}
	if (w->nspans == w->cap) {
		n = w->cap == 0 ? 64 : w->cap * 2;
		s = reallocarray(w->spans, n, sizeof(*s));
		if (s == NULL)
			return (-1);
		w->spans = s;
		w->cap = n;
	}
	s = &w->spans[w->nspans++];
	s->off = off;
	s->end = end;
	s->line = line;
	s->lines = lines;
	s->rank = w->total;
	w->total += lines;
	return (0);
}

/* Spans of a selection by stream: record by record. */
static int
spans_by_record(struct work *w)
{
	const struct ring_view	*v = &w->sel.view;
	struct ring_record	 rec;
	uint64_t		 i, first, last, end;

	for (i = ring_view_by_line(v, w->sel.first); i < v->rec_end; i++) {
		if (ring_view_record(v, i, &rec) == -1 ||
		    !(w->sel.streams & (1U << (rec.stream & 1))))
			continue;
		if (rec.line > w->sel.last)
			break;
		first = rec.line > w->sel.first ? rec.line : w->sel.first;
		last = ring_view_rec_line_end(v, i) - 1;
		end = ring_view_rec_off_end(v, i);
		if (last > w->sel.last) {
			last = w->sel.last;
			end = ring_view_line_off(v, last + 1);
		}
		if (first <= last && span_add(w, first == rec.line ? rec.off :
		    ring_view_line_off(v, first), end, first,
		    last - first + 1) == -1)
			return (-1);
	}
	return (0);
}

static int
spans_make(struct work *w)
{
	const struct ring_view	*v = &w->sel.view;
	uint64_t		 end;

	w->nspans = 0;
	w->total = 0;
	if (w->sel.first > w->sel.last)
		return (0);
	if (w->sel.streams != RING_BOTH)
		return (spans_by_record(w));
	end = w->sel.last == v->last ? v->st.head :
	    ring_view_line_off(v, w->sel.last + 1);
	return (span_add(w, ring_view_line_off(v, w->sel.first), end,
	    w->sel.first, w->sel.last - w->sel.first + 1));
}

/* The span that holds a rank below total. */
static const struct span *
span_of(const struct work *w, uint64_t rank)
{
	size_t lo = 0, hi = w->nspans, mid;

	while (hi - lo > 1) {
		mid = (lo + hi) / 2;
		if (w->spans[mid].rank <= rank)
			lo = mid;
		else
			hi = mid;
	}
	return (&w->spans[lo]);
}

/* --- results ------------------------------------------------------------- */

/* Lines of rank lo .. hi - 1 as context. */
static void
work_context(struct work *w, uint64_t lo, uint64_t hi)
{
	const struct span	*s;
	const struct ring_view	*v = &w->sel.view;
	const uint8_t		*p, *nl;
	uint64_t		 off;

	if (lo >= hi)
		return;
	if (out_counting(w->out)) {
		out_count(w->out, hi - lo);
		return;
	}
	s = span_of(w, lo);
	off = ring_view_line_off(v, s->line + (lo - s->rank));
	for (; lo < hi; lo++) {
		if (lo >= s->rank + s->lines)
			off = (++s)->off;
		out_line(w->out, off, LINE_CONTEXT);
		p = ring_view_text(v, off);
		if ((nl = memchr(p, '\n', s->end - off)) == NULL)
			return;
		off += nl - p + 1;
	}
}

/*
 * A match: the context still due behind the last one, then what comes before
 * this one and was not put out, then the line (S0-75: each line once).
 */
static void
work_match(struct work *w, const struct span *s, uint64_t off)
{
	uint64_t rank, due, c = w->q->context;

	w->out->end.matches++;
	if (c == 0) {
		out_line(w->out, off, LINE_MATCH);
		if (w->q->query == QUERY_WAIT_LOG)
			w->stop = 1;
		return;
	}
	rank = s->rank + (out_locate(w->out, off) - s->line);
	due = w->after < rank ? w->after : rank;
	if (due > w->next) {
		work_context(w, w->next, due);
		w->next = due;
	}
	if (rank > c && rank - c > w->next)
		w->next = rank - c;
	work_context(w, w->next, rank);
	out_line(w->out, off, LINE_MATCH);
	w->next = rank + 1;
	w->after = rank + 1 + c;
	if (w->q->query == QUERY_WAIT_LOG)
		w->stop = 1;
}

/* --- scanning ------------------------------------------------------------ */

/* End of the block that starts at off: behind a newline. */
static uint64_t
block_end(const struct ring_view *v, uint64_t off, uint64_t end)
{
	const uint8_t	*p = ring_view_text(v, off), *nl;

	if (end - off <= BLOCK)
		return (end);
	nl = memrchr(p, '\n', BLOCK);
	return (nl == NULL ? end : off + (nl - p) + 1);
}

static void
block_warm(const struct ring_view *v, uint64_t off, uint64_t end)
{
	uintptr_t a = (uintptr_t)ring_view_text(v, off);
	uintptr_t b = a + (end - off);

	if (end - off < WARM_FROM)
		return;
	a &= ~(uintptr_t)PAGE_MASK;
	b = (b + PAGE_MASK) & ~(uintptr_t)PAGE_MASK;
	(void)madvise((void *)a, b - a, MADV_POPULATE_READ);
}

/* Lines of off .. end that the writer has taken away from us meanwhile. */
static void
block_lost(struct work *w, uint64_t off, uint64_t end)
{
	if (!ring_view_valid(&w->sel.view, off))
		w->out->end.lost += ring_count_lines(
		    ring_view_text(&w->sel.view, off), end - off);
}

static int
work_block(struct work *w, const struct span *s, uint64_t off, uint64_t end)
{
	const uint8_t	*base = ring_view_text(&w->sel.view, off), *p = base;
	const uint8_t	*stop = base + (end - off), *ls, *le;
	int		 rc;

	while (!w->stop && (rc = match_next(w->match, p, stop, &ls, &le)) != 0) {
		if (rc == -1)
			return (-1);
		if (ring_view_valid(&w->sel.view, off + (ls - base)))
			work_match(w, s, off + (ls - base));
		p = le + 1;
	}
	block_lost(w, off, end);
	return (0);
}

static int
work_span(struct work *w, const struct span *s)
{
	uint64_t off = s->off, end;

	if (w->from > s->rank)
		off = w->from >= s->rank + s->lines ? s->end :
		    ring_view_line_off(&w->sel.view,
		    s->line + (w->from - s->rank));
	for (; off < s->end && !w->stop && !w->out->failed; off = end) {
		end = block_end(&w->sel.view, off, s->end);
		block_warm(&w->sel.view, off, end);
		if (work_block(w, s, off, end) == -1)
			return (-1);
	}
	return (0);
}

static void
work_tune(struct work *w)
{
	const struct span	*s, *best = NULL;
	const uint8_t		*p, *nl;
	size_t			 i;

	for (i = 0, s = w->spans; i < w->nspans; i++, s++)
		if (best == NULL || s->end - s->off > best->end - best->off)
			best = s;
	if (best == NULL || best->end - best->off < TUNE_FROM)
		return;
	/* The newest part: it will be there for longest. */
	p = ring_view_text(&w->sel.view, best->end - TUNE_BYTES);
	if ((nl = memchr(p, '\n', TUNE_BYTES - 1)) != NULL)
		match_tune(w->match, nl + 1, TUNE_BYTES - (nl + 1 - p));
}

/* Waits look for the first match behind the cursor, but show what is before. */
static void
work_select(struct work *w, uint32_t slot)
{
	struct wire_query q = *w->q;

	w->from = w->next = w->after = 0;
	if (q.query == QUERY_WAIT_LOG)
		q.flags &= ~Q_CURSOR;
	ring_sel_get(w->ring, slot, &q, &w->sel);
}

/* Rank of the first selected line behind the cursor. */
static uint64_t
work_from(const struct work *w, uint64_t line)
{
	const struct span	*s;
	size_t			 i;

	for (i = 0, s = w->spans; i < w->nspans; i++, s++)
		if (line + 1 < s->line + s->lines)
			return (s->rank +
			    (line + 1 > s->line ? line + 1 - s->line : 0));
	return (w->total);
}

/* -1: a limit of the pattern; -2: out of memory. */
static int
work_slot(struct work *w, uint32_t slot)
{
	const struct span	*s;
	size_t			 i;

	work_select(w, slot);
	w->out->end.lost += w->sel.lost;
	w->out->end.run = w->out->end.next_run = w->sel.view.st.run;
	w->out->end.next_line = w->sel.last;
	if (spans_make(w) == -1)
		return (-2);
	if (w->q->query == QUERY_WAIT_LOG)
		w->from = work_from(w, w->q->cursor_line);
	out_run(w->out, slot, &w->sel.view);
	work_tune(w);
	for (i = 0, s = w->spans; i < w->nspans && !w->stop; i++, s++)
		if (work_span(w, s) == -1)
			return (-1);
	if (w->after > w->total)
		w->after = w->total;
	work_context(w, w->next, w->after);
	return (0);
}

/* Every retained run, or the one asked for. */
static int
work_slots(struct work *w)
{
	uint32_t	runs[RING_RUNS_MAX], n, i, slot;
	int		rc = 0;

	n = ring_runs(w->ring, runs);
	w->out->end.runs = n;
	for (i = 0; i < n && rc == 0 && !w->stop; i++) {
		if (w->q->flags & Q_ALL_RUNS) {
			if ((w->q->flags & Q_CURSOR) &&
			    runs[i] < w->q->cursor_run)
				continue;
		} else if (runs[i] != (uint32_t)w->q->index) {
			continue;
		}
		if ((slot = ring_run_slot(w->ring, runs[i])) == RING_NONE)
			continue;
		if (ring_pin(w->ring, slot) == -1)
			return (-2);
		rc = work_slot(w, slot);
	}
	return (rc);
}

void
work_run(struct ring *r, const struct wire_search *ws, const uint8_t *pattern,
    int fd)
{
	static struct out	 out;
	static struct work	 w;
	struct match_error	 err;
	uint64_t		 t = mono_us();
	int			 rc;

	out_init(&out, fd, r, &ws->query);
	memset(&w, 0, sizeof(w));
	w.ring = r;
	w.q = &ws->query;
	w.out = &out;
	w.match = match_new(pattern, ws->pattern_len,
	    (ws->query.flags & Q_ICASE) != 0, ws->jit, &err);
	if (w.match == NULL) {
		out.end.offset = err.offset;
		out_end(&out, END_BAD_PATTERN, err.text);
		return;
	}
	rc = work_slots(&w);
	out.end.elapsed_us = mono_us() - t;
	if (rc == -1)
		out_end(&out, END_LIMIT, match_why(w.match));
	else
		out_end(&out, rc == 0 ? END_OK : END_LIMIT, rc == 0 ? "" :
		    "the search needs too much memory; narrow it");
	free(w.spans);
	match_free(w.match);
}
