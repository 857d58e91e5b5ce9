/*
 * Lines without a pattern, straight from the ring: windows and followers.  A
 * follower that is slow is never waited for: it goes on from where it stands,
 * and lines that have left the ring by then are counted as lost.
 */
#include <stdlib.h>
#include <string.h>

#include "logger.h"

#define FRAME_ROOM	(sizeof(struct wire_line) + LINE_TEXT_MAX)

_Static_assert(FRAME_ROOM <= FRAME_MAX, "the longest line fits a frame");

/* Pin a run and select what the query wants of it; RING_NONE: it is gone. */
static uint32_t
window_select(struct query *q, uint32_t run, uint64_t line,
    struct ring_sel *sel)
{
	struct wire_query	w = q->q;
	uint32_t		slot = ring_run_slot(&q->log->ring, run);

	if (slot == RING_NONE || ring_pin(&q->log->ring, slot) == -1)
		return (RING_NONE);
	w.flags &= ~Q_CURSOR;
	if (line > 1) {
		w.flags |= Q_CURSOR;
		w.cursor_run = run;
		w.cursor_line = line - 1;
	}
	ring_sel_get(&q->log->ring, slot, &w, sel);
	return (slot);
}

/* First line of a run that the query's cursor allows. */
static uint64_t
window_first(const struct query *q, uint32_t run)
{
	if ((q->q.flags & Q_CURSOR) && run == q->q.cursor_run)
		return (q->q.cursor_line + 1);
	return (1);
}

/* The runs of the query, ascending, and the lines of each; how many runs. */
static uint32_t
window_runs(struct query *q, uint32_t *runs, uint64_t *lines, uint64_t *total)
{
	struct ring_sel	sel;
	uint32_t	all[RING_RUNS_MAX], n, i, k = 0, slot;

	*total = 0;
	n = ring_runs(&q->log->ring, all);
	for (i = 0; i < n; i++) {
		if (q->win.run != UINT32_MAX ? all[i] != q->win.run :
		    (q->q.flags & Q_CURSOR) && all[i] < q->q.cursor_run)
			continue;
		slot = window_select(q, all[i], window_first(q, all[i]), &sel);
		if (slot == RING_NONE)
			continue;
		runs[k] = all[i];
		lines[k] = ring_sel_count(&sel);
		*total += lines[k++];
		q->win.last = sel.last;
		ring_unpin(&q->log->ring, slot);
	}
	return (k);
}

/* Stand on the line behind the first `skip` ones. */
static void
window_skip(struct query *q, const uint32_t *runs, const uint64_t *lines,
    uint32_t n, uint64_t skip)
{
	struct ring_sel	sel;
	uint32_t	i, slot;

	for (i = 0; i + 1 < n && skip >= lines[i]; i++)
		skip -= lines[i];
	q->win.run = runs[i];
	q->win.line = window_first(q, runs[i]);
	if (skip == 0)
		return;
	slot = window_select(q, runs[i], q->win.line, &sel);
	if (slot == RING_NONE)
		return;
	q->win.line = skip < lines[i] ? ring_sel_nth(&sel, skip) :
	    sel.last + 1;
	ring_unpin(&q->log->ring, slot);
}

void
window_start(struct query *q)
{
	static uint32_t	runs[RING_RUNS_MAX];
	static uint64_t	lines[RING_RUNS_MAX];
	uint64_t	total, skip = 0;
	uint32_t	n;

	q->win.follow = q->q.query == QUERY_FOLLOW;
	n = window_runs(q, runs, lines, &total);
	if (n == 0 && !q->win.follow) {
		query_end(q, END_OK, "%s", "");
		return;
	}
	q->win.left = UINT64_MAX;
	if (q->q.flags & Q_HEAD)
		q->win.left = q->q.head;
	if ((q->q.flags & Q_TAIL) && total > q->q.tail)
		skip = total - q->q.tail;
	q->end.matches = total;
	if (n == 0) {
		q->win.run = 0;
	} else {
		q->win.end_run = runs[n - 1];
		q->end.run = runs[n - 1];
		window_skip(q, runs, lines, n, skip);
	}
	if (q->win.follow)
		query_watch(q);
	window_pump(q);
}

static int
window_budget(struct query *q, size_t len)
{
	if (q->q.max_bytes == 0 || q->end.shown == 0 ||
	    q->win.bytes + len <= q->q.max_bytes)
		return (1);
	q->end.truncated = 1;
	return (0);
}

/* One frame of lines; 1: the selection holds more. */
static int
window_frame(struct query *q, struct ring_iter *it)
{
	static uint8_t	 frame[FRAME_MAX];
	struct wire_line wl;
	const uint8_t	*text;
	size_t		 used = 0;
	uint64_t	 last = q->win.follow ? UINT64_MAX : q->win.last;
	int		 more = 1;

	while (sizeof(frame) - used >= FRAME_ROOM || used == 0) {
		if (q->win.left == 0 || (q->win.run == q->win.end_run &&
		    it->line > last) || ring_iter_next(it, &wl, &text) == 0) {
			more = 0;
			break;
		}
		if (!window_budget(q, wl.len)) {
			more = 0;
			break;
		}
		memcpy(frame + used, &wl, sizeof(wl));
		memcpy(frame + used + sizeof(wl), text, wl.len);
		used += sizeof(wl) + wl.len;
		q->win.bytes += wl.len;
		q->win.line = wl.line + 1;
		q->win.left--;
		q->end.shown++;
		q->end.next_run = q->win.run;
		q->end.next_line = wl.line;
	}
	if (used > 0)
		query_data(q, frame, used);
	return (more);
}

/* Lines of the run at hand; 1: all that there are have been sent. */
static int
window_run(struct query *q)
{
	struct ring_sel	 sel;
	struct ring_iter it;
	uint32_t	 slot;
	int		 more = 1;

	slot = window_select(q, q->win.run, q->win.line, &sel);
	if (slot == RING_NONE)
		return (1);	/* its slot was needed by a newer run */
	q->end.lost += sel.lost;
	ring_iter_at(&it, &sel, q->win.line);
	while (more && query_may_send(q))
		more = window_frame(q, &it);
	/* What a filter has skipped need not be looked at again. */
	if (!more && q->win.line <= sel.last && !q->end.truncated &&
	    q->win.left > 0)
		q->win.line = sel.last + 1;
	ring_unpin(&q->log->ring, slot);
	return (!more);
}

/* On to the next retained run; 0: there is none (yet). */
static int
window_next(struct query *q)
{
	uint32_t runs[RING_RUNS_MAX], n, i;

	if (q->win.run >= q->win.end_run && !q->win.follow)
		return (0);
	n = ring_runs(&q->log->ring, runs);
	for (i = 0; i < n; i++)
		if (runs[i] > q->win.run) {
			if (!q->win.follow && runs[i] > q->win.end_run)
				return (0);
			q->win.run = runs[i];
			q->win.line = 1;
			return (1);
		}
	return (0);
}

/* A follower of an older run ends with it; of the newest, never. */
static int
window_over(const struct query *q)
{
	struct ring_state	st;
	uint32_t		slot;

	if (!q->win.follow || q->end.truncated || q->win.left == 0)
		return (1);
	if (q->q.index == -1 || (q->q.flags & (Q_ALL_RUNS | Q_CURSOR)))
		return (0);
	slot = ring_run_slot(&q->log->ring, q->win.run);
	if (slot == RING_NONE)
		return (1);
	ring_state_get(&q->log->ring, slot, &st);
	return ((st.flags & RING_ENDED) != 0);
}

void
window_pump(struct query *q)
{
	while (query_may_send(q)) {
		if (!window_run(q))
			return;
		if (window_over(q) && q->win.follow)
			break;
		if (q->end.truncated || q->win.left == 0 || !window_next(q))
			break;
	}
	if (!query_may_send(q) && q->win.left > 0 && !q->end.truncated)
		return;
	if (!window_over(q))
		return;
	if (q->end.next_run == 0) {
		q->end.next_run = q->win.end_run;
		q->end.next_line = q->win.last;
	}
	if (q->end.matches > q->end.shown)
		q->end.elided = q->end.matches - q->end.shown;
	query_end(q, END_OK, "%s", "");
}
