/*
 * Writing a ring: runs, reads from pipes, lines.  One writer at a time (the
 * logger); it may be killed between any two instructions and its successor
 * loses and doubles nothing.  Knows no event loop and no message.
 *
 * Three rules make that so:
 *  1. What readers and successors believe is one ring_state, published whole
 *     by one store of the slot's epoch.  Until then only bytes change that no
 *     published state refers to.
 *  2. So each step from one published state to the next may be repeated from
 *     its start: it computes the same from bytes that it has not changed.
 *  3. The read itself cannot be repeated, so it must be known afterwards
 *     whether it took place: see ring_read.
 */
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ring.h"
#include "util.h"

#define CHUNK		(16 * 1024)	/* counted at once; below LINE_TEXT_MAX */
#define PAGE		4096		/* stride that touches every page */
#define BATCH_RECORDS	512		/* greatest number a batch may make */
#define WARM_FROM	(32 * 1024)	/* reads this large warm ahead */
#define WARM_AHEAD	4		/* times the read */

_Static_assert(BATCH_RECORDS < RING_RECORD_SLACK, "records under way fit");
_Static_assert(2 * (RING_READ_MAX + LINE_TEXT_MAX) / CHUNK + 8 < BATCH_RECORDS,
    "a read makes fewer records");

/* A step under way: a copy of the state that becomes the published one. */
struct step {
	struct ring		*ring;
	struct ring_slot	*slot;
	struct ring_bulk	*bulk;
	struct ring_state	 st;
	uint64_t		 now;
};

void	(*ring_step)(int);

static void	 stage_run(struct ring *, uint32_t);

/* A point at which a test may kill us. */
static inline void
kill_point(int n)
{
	if (ring_step != NULL)
		ring_step(n);
}

static struct ring_slot *
slot_at(struct ring *r, uint32_t slot)
{
	return ((struct ring_slot *)(void *)(r->front + RING_ALIGN +
	    (size_t)slot * RING_SLOT_SIZE));
}

static void
step_begin(struct step *s, struct ring *r, uint32_t slot)
{
	s->ring = r;
	s->slot = slot_at(r, slot);
	s->bulk = &r->bulk[slot];
	s->st = s->slot->copy[s->slot->epoch & 1];
	s->now = now_ms();
	if (s->now < s->st.last_ms)
		s->now = s->st.last_ms;
}

static void
step_publish(struct step *s)
{
	uint64_t e = s->slot->epoch + 1;

	s->slot->copy[e & 1] = s->st;
	kill_point(1);
	__atomic_store_n(&s->slot->epoch, e, __ATOMIC_RELEASE);
	kill_point(2);
}

/* Say what will be overwritten before it is: readers look afterwards. */
static void
step_reserve(struct step *s, uint64_t off)
{
	uint64_t rec = s->st.records + BATCH_RECORDS;

	if (off > s->slot->reserve)
		__atomic_store_n(&s->slot->reserve, off, __ATOMIC_RELAXED);
	if (rec > s->slot->rec_reserve)
		__atomic_store_n(&s->slot->rec_reserve, rec, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static uint8_t *
step_text(const struct step *s, uint64_t off)
{
	return (s->bulk->text + (off & (s->ring->run_bytes - 1)));
}

static uint8_t *
step_side(const struct step *s, uint32_t stream)
{
	return (s->bulk->base + (size_t)stream * RING_SIDE_SIZE);
}

static int
step_prefixed(const struct step *s, uint32_t stream)
{
	return (stream == STREAM_STDERR && s->ring->kind == RING_OUTPUT);
}

/*
 * Count n lines of a stream that start at off.  They join the last record if
 * it is of the same stream and millisecond and not yet too long; a piece of a
 * cut line is alone in its record.
 */
static void
step_lines(struct step *s, uint32_t stream, uint64_t off, uint64_t n,
    uint32_t flags)
{
	struct ring_record	*rec;
	uint64_t		 mask = s->ring->nrecords - 1;

	if (s->st.records > s->st.base_rec && flags == 0) {
		rec = &s->bulk->records[(s->st.records - 1) & mask];
		if (rec->flags == 0 && rec->stream == stream &&
		    rec->time_ms == s->now && off - rec->off < RING_SPAN) {
			s->st.lines += n;
			return;
		}
	}
	rec = &s->bulk->records[s->st.records++ & mask];
	rec->off = off;
	rec->line = s->st.lines + 1;
	rec->time_ms = s->now;
	rec->stream = stream;
	rec->flags = flags;
	s->st.lines += n;
	s->st.last_ms = s->now;
}

/* --- text that was read behind head ------------------------------------- */

/*
 * The text from off (a line's start) to end holds a line that is too long:
 * hand it to the stage, which cuts.
 */
static void
fast_overlong(struct step *s, uint32_t slot, uint32_t stream, uint64_t off,
    uint64_t end)
{
	s->st.head = off;
	s->st.tail = 0;
	s->st.owner = RING_NONE;
	memcpy(s->ring->stage, step_text(s, off), end - off);
	kill_point(3);
	s->st.stage_stream = stream;
	s->st.stage_pos = 0;
	s->st.stage_len = end - off;
	step_publish(s);
	stage_run(s->ring, slot);
}

/* Lines of a chunk that start at off, the last one ending before next. */
static void
fast_lines(struct step *s, uint32_t stream, uint64_t off, uint64_t next,
    uint64_t n)
{
	const uint8_t	*p = step_text(s, off), *nl;

	if (s->st.cont[stream]) {
		nl = memchr(p, '\n', next - off);
		step_lines(s, stream, off, 1, LINE_CONT);
		s->st.cont[stream] = 0;
		off += nl - p + 1;
		if (--n == 0)
			return;
	}
	step_lines(s, stream, off, n, 0);
}

/*
 * n bytes of the stream lie behind head and tail.  A line longer than
 * LINE_TEXT_MAX covers a whole chunk, so only a chunk's first newline can end
 * one; inside a chunk lines are only counted.
 */
static void
fast_commit(struct ring *r, uint32_t slot, uint32_t stream, size_t n)
{
	struct step	 s;
	const uint8_t	*p, *nl;
	uint64_t	 line, pos, next, end;
	size_t		 c;

	step_begin(&s, r, slot);
	line = s.st.head;
	pos = line + s.st.tail;
	end = pos + n;
	for (; pos < end; pos = next) {
		next = end - pos > CHUNK ? pos + CHUNK : end;
		p = step_text(&s, pos);
		c = ring_count_lines(p, next - pos);
		if (next - line > LINE_TEXT_MAX) {
			nl = c == 0 ? NULL : memchr(p, '\n', next - pos);
			if (nl == NULL || pos + (nl - p) - line > LINE_TEXT_MAX) {
				fast_overlong(&s, slot, stream, line, end);
				return;
			}
		}
		if (c == 0)
			continue;
		nl = memrchr(p, '\n', next - pos);
		fast_lines(&s, stream, line, pos + (nl - p) + 1, c);
		line = pos + (nl - p) + 1;
	}
	s.st.head = line;
	s.st.tail = end - line;
	s.st.owner = s.st.tail > 0 ? stream : RING_NONE;
	step_publish(&s);
}

/* The stream's partial line moves from its side buffer behind head. */
static void
fast_take(struct ring *r, uint32_t slot, uint32_t stream)
{
	struct step	s;
	uint32_t	len;

	step_begin(&s, r, slot);
	len = s.st.partial[stream];
	step_reserve(&s, s.st.head + len);
	memcpy(step_text(&s, s.st.head), step_side(&s, stream), len);
	kill_point(4);
	s.st.owner = stream;
	s.st.tail = len;
	s.st.partial[stream] = 0;
	step_publish(&s);
}

/* --- text that lies in the stage ----------------------------------------- */

/* The open tail moves to its owner's side buffer, to make way. */
static void
stage_evict(struct ring *r, uint32_t slot)
{
	struct step s;

	step_begin(&s, r, slot);
	if (s.st.owner == RING_NONE)
		return;
	memcpy(step_side(&s, s.st.owner), step_text(&s, s.st.head), s.st.tail);
	kill_point(5);
	s.st.partial[s.st.owner] = s.st.tail;
	s.st.owner = RING_NONE;
	s.st.tail = 0;
	step_publish(&s);
}

static const uint8_t stage_prefix[RING_PREFIX_LEN] = RING_PREFIX;

/* Append one line: what the side buffer holds, then n bytes. */
static void
stage_line(struct step *s, uint32_t stream, const uint8_t *p, size_t n,
    uint32_t flags)
{
	uint64_t	 off = s->st.head;
	uint8_t		*d = step_text(s, off);

	if (s->st.cont[stream])
		flags |= LINE_CONT;
	step_lines(s, stream, off, 1, flags);
	if (step_prefixed(s, stream)) {
		memcpy(d, stage_prefix, sizeof(stage_prefix));
		d += RING_PREFIX_LEN;
	}
	if (s->st.partial[stream] > 0) {
		memcpy(d, step_side(s, stream), s->st.partial[stream]);
		d += s->st.partial[stream];
		s->st.partial[stream] = 0;
	}
	memcpy(d, p, n);
	d += n;
	*d++ = '\n';
	s->st.head = off + (d - step_text(s, off));
	s->st.cont[stream] = (flags & LINE_CUT) != 0;
}

/*
 * One batch of lines, at most a quarter of the ring.  A rest without newline
 * goes to the side buffer, as a step of its own if this one has consumed what
 * the published state says is in there.
 */
static void
stage_batch(struct step *s)
{
	const uint8_t	*p, *nl;
	uint32_t	 stream = s->st.stage_stream, held, made;
	uint64_t	 limit;
	size_t		 left, room, n;

	limit = s->st.head + s->ring->run_bytes / 4;
	step_reserve(s, limit);
	held = s->st.partial[stream];
	made = s->st.records;
	while (s->st.stage_pos < s->st.stage_len) {
		p = s->ring->stage + s->st.stage_pos;
		left = s->st.stage_len - s->st.stage_pos;
		room = LINE_TEXT_MAX - s->st.partial[stream];
		n = left > room + 1 ? room + 1 : left;
		nl = memchr(p, '\n', n);
		if (limit - s->st.head < LINE_TEXT_MAX + 2 * RING_PREFIX_LEN ||
		    s->st.records - made > BATCH_RECORDS - 4)
			return;
		if (nl != NULL) {
			stage_line(s, stream, p, nl - p, 0);
			s->st.stage_pos += nl - p + 1;
		} else if (left > room) {
			stage_line(s, stream, p, room, LINE_CUT);
			s->st.stage_pos += room;
		} else {
			if (held > 0 && s->st.partial[stream] != held)
				return;
			memcpy(step_side(s, stream) + s->st.partial[stream], p,
			    left);
			kill_point(6);
			s->st.partial[stream] += left;
			s->st.stage_pos += left;
		}
	}
}

/* Turn all that is in the stage into lines. */
static void
stage_run(struct ring *r, uint32_t slot)
{
	struct step s;

	stage_evict(r, slot);
	for (;;) {
		step_begin(&s, r, slot);
		if (s.st.stage_pos >= s.st.stage_len)
			return;
		stage_batch(&s);
		kill_point(7);
		step_publish(&s);
	}
}

/* n bytes of the stream have been put into the stage. */
static void
stage_commit(struct ring *r, uint32_t slot, uint32_t stream, size_t n)
{
	struct step s;

	step_begin(&s, r, slot);
	s.st.stage_stream = stream;
	s.st.stage_pos = 0;
	s.st.stage_len = n;
	step_publish(&s);
	stage_run(r, slot);
}

/* --- reading ------------------------------------------------------------- */

/*
 * Have every page of the destination present before the kernel copies to it:
 * a page fault inside the copy could, with a fatal signal pending, end the
 * read half-way.  Only bytes that nobody refers to are touched.
 */
static void
read_touch(struct ring *r, struct ring_bulk *b, uint8_t *dst, uint64_t off,
    size_t n)
{
	size_t		i, ahead;
	uintptr_t	a;

	if (b != NULL && n >= WARM_FROM && off + n > b->warm) {
		/* In one call cheaper than fault by fault; a busy stream will
		 * come to the pages behind, too. */
		ahead = n * WARM_AHEAD;
		if (ahead > r->run_bytes / 4)
			ahead = r->run_bytes / 4;
		a = (uintptr_t)dst & ~(uintptr_t)(PAGE - 1);
		(void)madvise((void *)a, ahead, MADV_POPULATE_WRITE);
		b->warm = off + ahead - PAGE;
	}
	for (i = 0; i < n; i += PAGE - (((uintptr_t)dst + i) & (PAGE - 1)))
		*(volatile uint8_t *)(dst + i) = 0;
}

/* Bytes with the top bit set, which text seldom has. */
static void
read_sentinel(uint8_t *s)
{
	static uint64_t	x;
	int		i;

	if (x == 0)
		arc4random_buf(&x, sizeof(x));
	for (i = 0; i < RING_SENTINEL; i++) {
		x = x * 6364136223846793005ULL + 1442695040888963407ULL;
		s[i] = (x >> 56) | 0x80;
	}
}

static uint8_t *
read_dest(struct ring *r, uint32_t slot, uint32_t dest, uint64_t off)
{
	return (dest == DEST_STAGE ? r->stage :
	    r->bulk[slot].text + (off & (r->run_bytes - 1)));
}

/*
 * Read n bytes, n being what the pipe holds at least, and make it known to a
 * successor whether that happened.  Before the read its destination ends in a
 * random sentinel and the intent says where.  We are the only reader, so the
 * bytes seen by FIONREAD can only be taken by us, and a read of no more than
 * those takes all or nothing (the pages are present, nothing blocks).  A
 * successor that finds the slot's epoch unchanged and the sentinel in place
 * knows that the read did not happen; the sentinel gone, that it did, and goes
 * on from there; a newer epoch, that the bytes have been dealt with.  A text of
 * just these bytes has a chance of 2^-112 (less than 16 bytes: 2^-7n, and only
 * if the kill hits the instant between).
 */
static ssize_t
read_exactly(struct ring *r, uint32_t slot, uint32_t stream, int fd,
    uint32_t dest, uint64_t off, size_t n)
{
	struct ring_intent	*in = &r->head->intent;
	uint8_t			*dst = read_dest(r, slot, dest, off);
	size_t			 k = n < RING_SENTINEL ? n : RING_SENTINEL;
	ssize_t			 got;

	__atomic_store_n(&in->set, 0, __ATOMIC_RELEASE);
	read_touch(r, dest == DEST_RING ? &r->bulk[slot] : NULL, dst, off, n);
	read_sentinel(in->sentinel);
	memcpy(dst + n - k, in->sentinel, k);
	in->slot = slot;
	in->stream = stream;
	in->dest = dest;
	in->off = off;
	in->n = n;
	in->epoch = slot_at(r, slot)->epoch;
	kill_point(8);
	__atomic_store_n(&in->set, 1, __ATOMIC_RELEASE);
	kill_point(9);
	do {
		got = read(fd, dst, n);
	} while (got == -1 && errno == EINTR);
	kill_point(10);
	if (got <= 0)
		__atomic_store_n(&in->set, 0, __ATOMIC_RELEASE);
	return (got);
}

/* May the stream's text be read straight to its place behind head? */
static int
read_is_fast(const struct step *s, uint32_t stream)
{
	return (!step_prefixed(s, stream) &&
	    (s->st.owner == RING_NONE || s->st.owner == stream));
}

ssize_t
ring_read(struct ring *r, uint32_t slot, uint32_t stream, int fd, size_t max)
{
	struct step	s;
	uint64_t	off;
	ssize_t		got;
	int		avail;

	if (ioctl(fd, FIONREAD, &avail) == -1)
		return (-1);
	if (avail <= 0)
		return (0);
	if (max > RING_READ_MAX)
		max = RING_READ_MAX;
	if (max > r->run_bytes / 4)
		max = r->run_bytes / 4;
	if (max > (size_t)avail)
		max = avail;
	step_begin(&s, r, slot);
	if (!read_is_fast(&s, stream)) {
		got = read_exactly(r, slot, stream, fd, DEST_STAGE, 0, max);
		if (got > 0)
			stage_commit(r, slot, stream, got);
		return (got);
	}
	if (s.st.partial[stream] > 0) {
		fast_take(r, slot, stream);
		step_begin(&s, r, slot);
	}
	off = s.st.head + s.st.tail;
	step_reserve(&s, off + max);
	got = read_exactly(r, slot, stream, fd, DEST_RING, off, max);
	if (got > 0)
		fast_commit(r, slot, stream, got);
	return (got);
}

void
ring_append(struct ring *r, uint32_t slot, uint32_t stream, const void *p,
    size_t n)
{
	const uint8_t	*b = p;
	size_t		 k;

	for (; n > 0; n -= k, b += k) {
		k = n < RING_SPAN ? n : RING_SPAN;
		memcpy(r->stage, b, k);
		stage_commit(r, slot, stream, k);
	}
}

void
ring_eof(struct ring *r, uint32_t slot, uint32_t stream)
{
	struct step s;

	stage_evict(r, slot);
	step_begin(&s, r, slot);
	if (s.st.partial[stream] == 0) {
		s.st.cont[stream] = 0;
	} else {
		step_reserve(&s, s.st.head + LINE_TEXT_MAX +
		    2 * RING_PREFIX_LEN);
		stage_line(&s, stream, s.ring->stage, 0, 0);
	}
	step_publish(&s);
}

/* --- recovery ------------------------------------------------------------ */

/* What a predecessor's last read has come to: see read_exactly. */
static void
recover_read(struct ring *r)
{
	struct ring_intent	*in = &r->head->intent;
	uint8_t			*dst;
	size_t			 k = in->n < RING_SENTINEL ? in->n :
				    RING_SENTINEL;

	if (!in->set || in->slot >= r->runs || in->stream >= RING_STREAMS ||
	    in->n == 0 || in->n > RING_READ_MAX ||
	    in->epoch != slot_at(r, in->slot)->epoch)
		return;
	dst = read_dest(r, in->slot, in->dest, in->off);
	if (memcmp(dst + in->n - k, in->sentinel, k) == 0)
		return;
	if (in->dest == DEST_STAGE)
		stage_commit(r, in->slot, in->stream, in->n);
	else
		fast_commit(r, in->slot, in->stream, in->n);
}

/* Only a slot whose state says so needs its bulk. */
static int
recover(struct ring *r)
{
	struct ring_state	st;
	uint32_t		i, slot;

	slot = r->head->intent.set ? r->head->intent.slot : RING_NONE;
	if (slot < r->runs) {
		if (ring_pin(r, slot) == -1)
			return (-1);
		recover_read(r);
		ring_unpin(r, slot);
	}
	__atomic_store_n(&r->head->intent.set, 0, __ATOMIC_RELEASE);
	for (i = 0; i < r->runs; i++) {
		ring_state_get(r, i, &st);
		if (st.stage_pos >= st.stage_len)
			continue;
		if (ring_pin(r, i) == -1)
			return (-1);
		stage_run(r, i);
		ring_unpin(r, i);
	}
	return (0);
}

int
ring_open(struct ring *r, int fd, const struct wire_ring *w)
{
	struct ring_head *h;

	if (ring_map(r, fd, w, 1) == -1)
		return (-1);
	h = r->head;
	if (h->magic == 0) {
		h->run_bytes = r->run_bytes;
		h->kind = r->kind;
		h->lines = r->lines;
		h->runs = r->runs;
		__atomic_store_n(&h->magic, RING_MAGIC, __ATOMIC_RELEASE);
	}
	if (h->magic != RING_MAGIC || h->run_bytes != r->run_bytes ||
	    h->kind != r->kind || h->lines != r->lines || h->runs != r->runs) {
		ring_unmap(r);
		errno = EINVAL;
		return (-1);
	}
	if (recover(r) == -1) {
		ring_unmap(r);
		return (-1);
	}
	return (0);
}

void
ring_close(struct ring *r)
{
	ring_unmap(r);
}

/* --- runs ---------------------------------------------------------------- */

/* Give the memory of a slot's old run back.  Failing costs memory only. */
static void
run_forget(struct ring *r, uint32_t slot)
{
	(void)fallocate(r->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	    ring_layout_slot(r->lines, r->run_bytes, r->runs, slot),
	    ring_layout_text(r->lines) + r->run_bytes);
	r->bulk[slot].warm = 0;
}

int
ring_run_begin(struct ring *r, uint32_t run, uint64_t ms)
{
	struct step	s;
	uint64_t	base, base_rec;
	uint32_t	slot = run % r->runs;

	if (run != 0 && ring_run_slot(r, run) != RING_NONE)
		return (0);
	if (run <= ring_run_newest(r)) {
		errno = EINVAL;
		return (-1);
	}
	step_begin(&s, r, slot);
	/* Beyond anything that was ever valid in this slot. */
	base = (s.slot->reserve + 2 * r->run_bytes - 1) & ~(r->run_bytes - 1);
	base_rec = s.slot->rec_reserve + r->nrecords;
	if (s.st.run != 0) {
		__atomic_store_n(&s.slot->reserve, base, __ATOMIC_RELAXED);
		__atomic_store_n(&s.slot->rec_reserve, base_rec,
		    __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		run_forget(r, slot);
	}
	memset(&s.st, 0, sizeof(s.st));
	s.st.base = s.st.head = base;
	s.st.base_rec = s.st.records = base_rec;
	s.st.run = run;
	s.st.start_ms = ms;
	s.st.owner = RING_NONE;
	step_reserve(&s, base);
	step_publish(&s);
	return (0);
}

void
ring_run_end(struct ring *r, uint32_t run, uint64_t ms, int32_t code,
    uint32_t sig)
{
	struct step	s;
	uint32_t	slot = ring_run_slot(r, run);

	if (slot == RING_NONE)
		return;
	step_begin(&s, r, slot);
	s.st.flags |= RING_ENDED;
	s.st.end_ms = ms;
	s.st.exit_code = code;
	s.st.signal = sig;
	step_publish(&s);
}
