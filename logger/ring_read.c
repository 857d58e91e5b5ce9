/*
 * Reading a ring: mapping, consistent snapshots, the line index.  Shared by
 * the logger (windows, followers) and the searchers (read-only mappings); it
 * never writes to the memfd.
 */
#include <sys/mman.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ring.h"
#include "simd.h"

_Static_assert(sizeof(struct ring_slot) <= RING_SLOT_SIZE, "slot size");
_Static_assert(sizeof(struct ring_record) == RING_RECORD_SIZE, "record size");
_Static_assert(sizeof(struct ring_head) <= RING_ALIGN, "head size");
_Static_assert(RING_STAGE_SIZE >= RING_READ_MAX + LINE_TEXT_MAX + RING_SPAN,
    "a read and the tail before it fit the stage");

/* --- counting ------------------------------------------------------------ */

static size_t
count_portable(const uint8_t *p, size_t n)
{
	size_t	c = 0, i;

	for (i = 0; i < n; i++)
		c += p[i] == '\n';
	return (c);
}

#if SIMD_X86
/*
 * Each lane counts its matches in a byte, so at most 255 rounds go by before
 * the lanes are summed up.
 */
SIMD_AVX2 static size_t
count_avx2(const uint8_t *p, size_t n)
{
	const __m256i	 nl = _mm256_set1_epi8('\n'), zero = _mm256_setzero_si256();
	__m256i		 acc, sum = zero;
	uint64_t	 lane[4];
	size_t		 i = 0, j, rounds;

	while (n - i >= 32) {
		rounds = (n - i) / 32;
		if (rounds > 255)
			rounds = 255;
		acc = zero;
		for (j = 0; j < rounds; j++, i += 32)
			acc = _mm256_sub_epi8(acc, _mm256_cmpeq_epi8(nl,
			    _mm256_loadu_si256((const __m256i *)(p + i))));
		sum = _mm256_add_epi64(sum, _mm256_sad_epu8(acc, zero));
	}
	_mm256_storeu_si256((__m256i *)lane, sum);
	return (lane[0] + lane[1] + lane[2] + lane[3] +
	    count_portable(p + i, n - i));
}
#endif

static size_t	 count_choose(const uint8_t *, size_t);
static size_t	(*count_lines)(const uint8_t *, size_t) = count_choose;

static size_t
count_choose(const uint8_t *p, size_t n)
{
	count_lines = count_portable;
#if SIMD_X86
	if (simd_have_avx2())
		count_lines = count_avx2;
#endif
	return (count_lines(p, n));
}

size_t
ring_count_lines(const void *p, size_t n)
{
	return (count_lines(p, n));
}

/* --- mapping ------------------------------------------------------------- */

static int
ring_prot(const struct ring *r)
{
	return (r->writable ? PROT_READ | PROT_WRITE : PROT_READ);
}

int
ring_map(struct ring *r, int fd, const struct wire_ring *w, int writable)
{
	memset(r, 0, sizeof(*r));
	if (!ring_layout_ok(w->lines, w->run_bytes, w->runs) ||
	    w->size < ring_layout_size(w->lines, w->run_bytes, w->runs)) {
		errno = EINVAL;
		return (-1);
	}
	r->fd = fd;
	r->writable = writable;
	r->kind = w->kind;
	r->lines = w->lines;
	r->runs = w->runs;
	r->run_bytes = w->run_bytes;
	r->nrecords = ring_layout_records(w->lines);
	r->front_len = ring_layout_stage(w->runs) + RING_STAGE_SIZE;
	if ((r->bulk = calloc(w->runs, sizeof(*r->bulk))) == NULL)
		return (-1);
	r->front = mmap(NULL, r->front_len, ring_prot(r), MAP_SHARED, fd, 0);
	if (r->front == MAP_FAILED) {
		free(r->bulk);
		return (-1);
	}
	r->head = (struct ring_head *)(void *)r->front;
	r->stage = r->front + ring_layout_stage(w->runs);
	if (!writable && (r->head->magic != RING_MAGIC ||
	    r->head->lines != r->lines || r->head->runs != r->runs ||
	    r->head->run_bytes != r->run_bytes)) {
		ring_unmap(r);
		errno = EINVAL;
		return (-1);
	}
	return (0);
}

static size_t
ring_bulk_len(const struct ring *r)
{
	return (ring_layout_text(r->lines) + r->run_bytes);
}

static void
ring_bulk_unmap(struct ring *r, struct ring_bulk *b)
{
	if (b->base != NULL)
		munmap(b->base, ring_bulk_len(r) + r->run_bytes);
	memset(b, 0, sizeof(*b));
}

void
ring_unmap(struct ring *r)
{
	uint32_t i;

	if (r->front == NULL)
		return;
	for (i = 0; i < r->runs; i++)
		ring_bulk_unmap(r, &r->bulk[i]);
	free(r->bulk);
	munmap(r->front, r->front_len);
	memset(r, 0, sizeof(*r));
}

int
ring_pin(struct ring *r, uint32_t slot)
{
	struct ring_bulk	*b = &r->bulk[slot];
	size_t			 len = ring_bulk_len(r);
	uint64_t		 off;
	uint8_t			*p;

	if (b->base == NULL) {
		off = ring_layout_slot(r->lines, r->run_bytes, r->runs, slot);
		/* Room for all first, so that the second copy of the text
		 * comes to lie directly behind the first. */
		p = mmap(NULL, len + r->run_bytes, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			return (-1);
		if (mmap(p, len, ring_prot(r), MAP_SHARED | MAP_FIXED, r->fd,
		    off) == MAP_FAILED || mmap(p + len, r->run_bytes,
		    ring_prot(r), MAP_SHARED | MAP_FIXED, r->fd,
		    off + ring_layout_text(r->lines)) == MAP_FAILED) {
			munmap(p, len + r->run_bytes);
			return (-1);
		}
		b->base = p;
		b->records = (struct ring_record *)(void *)(p +
		    2 * RING_SIDE_SIZE);
		b->text = p + ring_layout_text(r->lines);
	}
	b->pins++;
	return (0);
}

void
ring_unpin(struct ring *r, uint32_t slot)
{
	struct ring_bulk *b = &r->bulk[slot];

	if (b->pins > 0 && --b->pins == 0)
		ring_bulk_unmap(r, b);
}

/* --- runs ---------------------------------------------------------------- */

static const struct ring_slot *
ring_slot_at(const struct ring *r, uint32_t slot)
{
	return ((const struct ring_slot *)(const void *)(r->front +
	    RING_ALIGN + (size_t)slot * RING_SLOT_SIZE));
}

/*
 * The writer fills the copy that does not count and then moves the epoch on,
 * so the copy we read can only change after the epoch has.
 */
void
ring_state_get(const struct ring *r, uint32_t slot, struct ring_state *st)
{
	const struct ring_slot	*s = ring_slot_at(r, slot);
	uint64_t		 e;

	do {
		e = __atomic_load_n(&s->epoch, __ATOMIC_ACQUIRE);
		memcpy(st, &s->copy[e & 1], sizeof(*st));
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
	} while (__atomic_load_n(&s->epoch, __ATOMIC_RELAXED) != e);
}

static int
run_cmp(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x < y ? -1 : x > y);
}

uint32_t
ring_runs(const struct ring *r, uint32_t *runs)
{
	struct ring_state	st;
	uint32_t		i, n = 0;

	for (i = 0; i < r->runs; i++) {
		ring_state_get(r, i, &st);
		if (st.run != 0)
			runs[n++] = st.run;
	}
	if (n > 1)
		qsort(runs, n, sizeof(*runs), run_cmp);
	return (n);
}

uint32_t
ring_run_index(const struct ring *r, int32_t idx, uint32_t *count)
{
	uint32_t	runs[RING_RUNS_MAX], n;
	int64_t		i;

	n = ring_runs(r, runs);
	*count = n;
	i = idx < 0 ? (int64_t)n + idx : idx;
	return (i >= 0 && i < n ? runs[i] : 0);
}

uint32_t
ring_run_newest(const struct ring *r)
{
	struct ring_state	st;
	uint32_t		i, run = 0;

	for (i = 0; i < r->runs; i++) {
		ring_state_get(r, i, &st);
		if (st.run > run)
			run = st.run;
	}
	return (run);
}

uint32_t
ring_run_slot(const struct ring *r, uint32_t run)
{
	struct ring_state	st;
	uint32_t		slot = run % r->runs;

	ring_state_get(r, slot, &st);
	return (run != 0 && st.run == run ? slot : RING_NONE);
}

/* --- views --------------------------------------------------------------- */

int
ring_view_valid(const struct ring_view *v, uint64_t off)
{
	/* Everything copied before must have been loaded before. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return (__atomic_load_n(&v->slot->reserve, __ATOMIC_RELAXED) <=
	    off + v->ring->run_bytes);
}

int
ring_view_record(const struct ring_view *v, uint64_t i, struct ring_record *rec)
{
	*rec = v->bulk->records[i & (v->ring->nrecords - 1)];
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return (__atomic_load_n(&v->slot->rec_reserve, __ATOMIC_RELAXED) <=
	    i + v->ring->nrecords ? 0 : -1);
}

enum view_key { BY_LINE, BY_OFF, BY_TIME };

/*
 * First record in rec_first .. rec_end whose key is above (or, for times, not
 * below) the wanted one.  A record that was overwritten counts as below: all
 * that is left is above it.
 */
static uint64_t
view_bound(const struct ring_view *v, enum view_key key, uint64_t want)
{
	struct ring_record	rec;
	uint64_t		lo = v->rec_first, hi = v->rec_end, mid;
	int			above;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		if (ring_view_record(v, mid, &rec) == -1)
			above = 0;
		else if (key == BY_LINE)
			above = rec.line > want;
		else if (key == BY_OFF)
			above = rec.off > want;
		else
			above = rec.time_ms >= want;
		if (above)
			hi = mid;
		else
			lo = mid + 1;
	}
	return (lo);
}

uint64_t
ring_view_by_line(const struct ring_view *v, uint64_t line)
{
	uint64_t i = view_bound(v, BY_LINE, line);

	return (i > v->rec_first ? i - 1 : i);
}

uint64_t
ring_view_by_off(const struct ring_view *v, uint64_t off)
{
	uint64_t i = view_bound(v, BY_OFF, off);

	return (i > v->rec_first ? i - 1 : i);
}

uint64_t
ring_view_by_time(const struct ring_view *v, uint64_t ms)
{
	return (view_bound(v, BY_TIME, ms));
}

uint64_t
ring_view_rec_off_end(const struct ring_view *v, uint64_t rec)
{
	struct ring_record r;

	if (rec + 1 >= v->rec_end || ring_view_record(v, rec + 1, &r) == -1)
		return (v->st.head);
	return (r.off);
}

uint64_t
ring_view_rec_line_end(const struct ring_view *v, uint64_t rec)
{
	struct ring_record r;

	if (rec + 1 >= v->rec_end || ring_view_record(v, rec + 1, &r) == -1)
		return (v->st.lines + 1);
	return (r.line);
}

/* Skip n lines from off; not beyond end. */
static uint64_t
view_skip(const struct ring_view *v, uint64_t off, uint64_t end, uint64_t n)
{
	const uint8_t *p;

	for (; n > 0 && off < end; n--) {
		p = memchr(ring_view_text(v, off), '\n', end - off);
		if (p == NULL)
			return (end);
		off += p - ring_view_text(v, off) + 1;
	}
	return (off);
}

uint64_t
ring_view_line_off(const struct ring_view *v, uint64_t line)
{
	struct ring_record	rec;
	uint64_t		i;

	i = ring_view_by_line(v, line);
	if (i >= v->rec_end || ring_view_record(v, i, &rec) == -1)
		return (v->st.head);
	return (view_skip(v, rec.off, ring_view_rec_off_end(v, i),
	    line > rec.line ? line - rec.line : 0));
}

/*
 * Visible is what satisfies all three limits: records not reused, text not
 * overwritten (whole records only: what is left of one cannot be numbered),
 * and the last `lines` lines.
 */
void
ring_view_get(const struct ring *r, uint32_t slot, struct ring_view *v)
{
	struct ring_record	rec;
	uint64_t		reserve, rec_reserve, i, low;

	v->ring = r;
	v->bulk = &r->bulk[slot];
	v->slot = ring_slot_at(r, slot);
	ring_state_get(r, slot, &v->st);
	reserve = __atomic_load_n(&v->slot->reserve, __ATOMIC_ACQUIRE);
	rec_reserve = __atomic_load_n(&v->slot->rec_reserve, __ATOMIC_ACQUIRE);
	v->rec_end = v->st.records;
	v->rec_first = v->st.base_rec;
	if (rec_reserve > r->nrecords && rec_reserve - r->nrecords > v->rec_first)
		v->rec_first = rec_reserve - r->nrecords;
	if (v->rec_first > v->rec_end)
		v->rec_first = v->rec_end;
	low = reserve > r->run_bytes ? reserve - r->run_bytes : 0;
	if (low > v->st.base) {
		i = view_bound(v, BY_OFF, low - 1);
		if (i > v->rec_first)
			v->rec_first = i;
	}
	v->first = v->st.lines + 1;
	v->last = v->st.lines;
	v->off_first = v->st.head;
	if (v->rec_first >= v->rec_end ||
	    ring_view_record(v, v->rec_first, &rec) == -1) {
		v->rec_first = v->rec_end;
		return;
	}
	v->first = rec.line;
	v->off_first = rec.off;
	if (v->st.lines > r->lines && v->first <= v->st.lines - r->lines) {
		v->first = v->st.lines - r->lines + 1;
		v->rec_first = ring_view_by_line(v, v->first);
		v->off_first = ring_view_line_off(v, v->first);
	}
}

int
ring_view_wire(const struct ring_view *v, uint64_t off, uint64_t line,
    const struct ring_record *rec, struct wire_line *wl, const uint8_t **text,
    uint64_t *off_next)
{
	const uint8_t	*p = ring_view_text(v, off), *nl;
	size_t		 max, len;

	max = LINE_TEXT_MAX + RING_PREFIX_LEN + 1;
	if (off >= v->st.head)
		return (-1);
	if (max > v->st.head - off)
		max = v->st.head - off;
	if ((nl = memchr(p, '\n', max)) == NULL)
		return (-1);
	len = nl - p;
	*off_next = off + len + 1;
	if (rec->stream == STREAM_STDERR && v->ring->kind == RING_OUTPUT &&
	    len >= RING_PREFIX_LEN) {
		p += RING_PREFIX_LEN;
		len -= RING_PREFIX_LEN;
	}
	if (len > LINE_TEXT_MAX)
		return (-1);
	memset(wl, 0, sizeof(*wl));
	wl->line = line;
	wl->time_ms = rec->time_ms;
	wl->run = v->st.run;
	wl->len = len;
	wl->stream = rec->stream;
	wl->flags = rec->flags;
	*text = p;
	return (ring_view_valid(v, off) ? 0 : -1);
}

/* --- selections ---------------------------------------------------------- */

static uint32_t
sel_streams(uint32_t flags)
{
	uint32_t m = 0;

	if (flags & Q_STDOUT)
		m |= 1U << STREAM_STDOUT;
	if (flags & Q_STDERR)
		m |= 1U << STREAM_STDERR;
	return (m == 0 ? RING_BOTH : m);
}

/* Number of the first line at or after a time. */
static uint64_t
sel_time(const struct ring_view *v, uint64_t ms)
{
	struct ring_record	rec;
	uint64_t		i = ring_view_by_time(v, ms);

	if (i >= v->rec_end || ring_view_record(v, i, &rec) == -1)
		return (v->last + 1);
	return (rec.line);
}

void
ring_sel_get(const struct ring *r, uint32_t slot, const struct wire_query *q,
    struct ring_sel *sel)
{
	struct ring_view	*v = &sel->view;
	uint64_t		 n;

	ring_view_get(r, slot, v);
	sel->first = v->first;
	sel->last = v->last;
	sel->lost = 0;
	sel->streams = sel_streams(q->flags);
	if ((q->flags & Q_CURSOR) && q->cursor_run == v->st.run) {
		if (q->cursor_line + 1 < v->first)
			sel->lost = v->first - q->cursor_line - 1;
		else
			sel->first = q->cursor_line + 1;
	}
	if (q->since_ms != 0 && (n = sel_time(v, q->since_ms)) > sel->first)
		sel->first = n;
	if (q->before_ms != 0 && (n = sel_time(v, q->before_ms)) <= sel->last)
		sel->last = n - 1;
}

static int
sel_admits(const struct ring_sel *sel, const struct ring_record *rec)
{
	return ((sel->streams & (1U << (rec->stream & 1))) != 0);
}

/* Lines of a record, from line `from` on, that are in the selection. */
static uint64_t
sel_rec_lines(const struct ring_sel *sel, uint64_t i, uint64_t *from)
{
	struct ring_record	rec;
	uint64_t		end;

	if (ring_view_record(&sel->view, i, &rec) == -1 ||
	    !sel_admits(sel, &rec))
		return (0);
	end = ring_view_rec_line_end(&sel->view, i);
	if (end > sel->last + 1)
		end = sel->last + 1;
	*from = rec.line > sel->first ? rec.line : sel->first;
	return (end > *from ? end - *from : 0);
}

uint64_t
ring_sel_count(const struct ring_sel *sel)
{
	uint64_t i, from, n = 0;

	if (sel->first > sel->last)
		return (0);
	if (sel->streams == RING_BOTH)
		return (sel->last - sel->first + 1);
	for (i = ring_view_by_line(&sel->view, sel->first);
	    i < sel->view.rec_end; i++)
		n += sel_rec_lines(sel, i, &from);
	return (n);
}

uint64_t
ring_sel_nth(const struct ring_sel *sel, uint64_t k)
{
	uint64_t i, n, from;

	if (sel->streams == RING_BOTH)
		return (sel->first + k);
	for (i = ring_view_by_line(&sel->view, sel->first);
	    i < sel->view.rec_end; i++) {
		n = sel_rec_lines(sel, i, &from);
		if (k < n)
			return (from + k);
		k -= n;
	}
	return (sel->last + 1);
}

/* On to record i or the first one behind it that the selection admits. */
static void
iter_record(struct ring_iter *it, uint64_t i)
{
	const struct ring_view *v = &it->sel->view;

	for (; i < v->rec_end; i++) {
		if (ring_view_record(v, i, &it->rec) == -1 ||
		    !sel_admits(it->sel, &it->rec))
			continue;
		it->idx = i;
		it->rec_end = ring_view_rec_line_end(v, i);
		if (it->line < it->rec.line) {
			it->line = it->rec.line;
			it->off = it->rec.off;
		}
		return;
	}
	it->line = it->sel->last + 1;
}

void
ring_iter_at(struct ring_iter *it, const struct ring_sel *sel, uint64_t line)
{
	const struct ring_view *v = &sel->view;

	memset(it, 0, sizeof(*it));
	it->sel = sel;
	it->line = line > sel->first ? line : sel->first;
	if (it->line > sel->last)
		return;
	it->off = ring_view_line_off(v, it->line);
	iter_record(it, ring_view_by_line(v, it->line));
}

int
ring_iter_next(struct ring_iter *it, struct wire_line *wl, const uint8_t **text)
{
	if (it->line > it->sel->last)
		return (0);
	if (ring_view_wire(&it->sel->view, it->off, it->line, &it->rec, wl,
	    text, &it->off) == -1)
		return (0);
	if (++it->line >= it->rec_end)
		iter_record(it, it->idx + 1);
	return (1);
}
