/*
 * A worker's answer: takes result lines in order, applies head, tail and the
 * byte budget (S0-76, S0-77), packs frames.  Does not know what matches.
 */
#include <stdlib.h>
#include <string.h>

#include "searcher.h"
#include "util.h"

#define KEPT_FIRST	1024

void
out_init(struct out *o, int fd, struct ring *r, const struct wire_query *q)
{
	memset(o, 0, sizeof(*o));
	o->fd = fd;
	o->ring = r;
	o->q = q;
	o->used = sizeof(struct answer_hdr);
}

void
out_run(struct out *o, uint32_t slot, const struct ring_view *v)
{
	o->slot = slot;
	o->view = v;
	o->rec_end = 0;
}

int
out_counting(const struct out *o)
{
	if (o->failed || o->end.truncated)
		return (1);
	return ((o->q->flags & Q_HEAD) && o->results >= o->q->head);
}

static void
out_write(struct out *o, uint32_t type)
{
	struct answer_hdr h;

	h.type = type;
	h.len = o->used - sizeof(h);
	memcpy(o->frame, &h, sizeof(h));
	if (!o->failed && write_all(o->fd, o->frame, o->used) == -1)
		o->failed = 1;
	o->used = sizeof(h);
}

static void
out_flush(struct out *o)
{
	if (o->used > sizeof(struct answer_hdr))
		out_write(o, ANSWER_DATA);
}

/*
 * Counts newlines from the last known place on, if that is in the same record:
 * every byte is counted once at most.
 */
uint64_t
out_locate(struct out *o, uint64_t off)
{
	const struct ring_view	*v = o->view;
	uint64_t		 i;

	if (o->rec_end == 0 || off >= o->rec_end || off < o->pos_off) {
		i = ring_view_by_off(v, off);
		if (ring_view_record(v, i, &o->rec) == -1 || o->rec.off > off) {
			o->rec_end = 0;
			return (0);
		}
		o->rec_end = ring_view_rec_off_end(v, i);
		o->pos_off = o->rec.off;
		o->pos_line = o->rec.line;
	}
	o->pos_line += ring_count_lines(ring_view_text(v, o->pos_off),
	    off - o->pos_off);
	o->pos_off = off;
	return (o->pos_line);
}

static int
out_budget(struct out *o, size_t len)
{
	if (o->q->max_bytes == 0 || o->end.shown == 0 ||
	    o->bytes + len <= o->q->max_bytes)
		return (1);
	o->end.truncated = 1;
	o->end.elided++;
	return (0);
}

static void
out_emit(struct out *o, uint64_t off, uint32_t flags)
{
	struct wire_line	 wl;
	const uint8_t		*text;
	uint64_t		 next, line;

	if ((line = out_locate(o, off)) == 0 || ring_view_wire(o->view, off,
	    line, &o->rec, &wl, &text, &next) == -1) {
		o->end.lost++;
		return;
	}
	if (!out_budget(o, wl.len))
		return;
	if (o->used + sizeof(wl) + wl.len > sizeof(o->frame))
		out_flush(o);
	wl.flags |= flags;
	memcpy(o->frame + o->used, &wl, sizeof(wl));
	memcpy(o->frame + o->used + sizeof(wl), text, wl.len);
	if (!ring_view_valid(o->view, off)) {
		o->end.lost++;
		return;
	}
	o->used += sizeof(wl) + wl.len;
	o->bytes += wl.len;
	o->end.shown++;
	o->last_line = line;
	o->last_run = o->view->st.run;
}

/* Remember a line that may be among the last q->tail. */
static void
out_keep(struct out *o, uint64_t off, uint32_t flags)
{
	struct kept	*k;
	uint64_t	 n;

	if (o->q->tail == 0)
		return;
	if (o->results > o->nkept && o->nkept < o->q->tail) {
		n = o->nkept == 0 ? KEPT_FIRST : o->nkept * 2;
		if (n > o->q->tail)
			n = o->q->tail;
		if ((k = reallocarray(o->kept, n, sizeof(*k))) == NULL) {
			o->failed = 1;
			return;
		}
		o->kept = k;
		o->nkept = n;
	}
	k = &o->kept[(o->results - 1) % o->q->tail];
	k->off = off;
	k->slot = o->slot;
	k->flags = flags;
}

void
out_count(struct out *o, uint64_t n)
{
	o->results += n;
	o->end.elided += n;
}

void
out_line(struct out *o, uint64_t off, uint32_t flags)
{
	if (out_counting(o)) {
		out_count(o, 1);
		return;
	}
	o->results++;
	if (o->q->flags & Q_TAIL)
		out_keep(o, off, flags);
	else
		out_emit(o, off, flags);
}

static void
out_tail(struct out *o)
{
	struct ring_view	 v;
	const struct kept	*k;
	uint64_t		 i, n;

	n = o->results < o->q->tail ? o->results : o->q->tail;
	o->end.elided += o->results - n;
	o->slot = RING_NONE;
	for (i = o->results - n; i < o->results; i++) {
		k = &o->kept[i % o->q->tail];
		if (o->end.truncated) {
			o->end.elided++;
			continue;
		}
		if (k->slot != o->slot) {
			ring_view_get(o->ring, k->slot, &v);
			out_run(o, k->slot, &v);
		}
		out_emit(o, k->off, k->flags);
	}
}

void
out_end(struct out *o, uint32_t code, const char *text)
{
	size_t n = strlen(text);

	if ((o->q->flags & Q_TAIL) && code == END_OK && !o->failed)
		out_tail(o);
	out_flush(o);
	if (o->end.truncated || ((o->q->flags & Q_HEAD) && o->end.elided > 0 &&
	    o->end.shown > 0)) {
		o->end.next_run = o->last_run;
		o->end.next_line = o->last_line;
	}
	if (o->failed && code == END_OK) {
		code = END_LIMIT;
		text = "the search needs too much memory; narrow it";
		n = strlen(text);
		o->failed = 0;
	}
	o->end.code = code;
	memcpy(o->frame + o->used, &o->end, sizeof(o->end));
	memcpy(o->frame + o->used + sizeof(o->end), text, n);
	o->used += sizeof(o->end) + n;
	out_write(o, ANSWER_END);
	free(o->kept);
	o->kept = NULL;
}
