/*
 * The ring: the captured text of one service and kind, run by run, in one
 * memfd.  ring.c writes it (the logger, the only writer), ring_read.c reads it
 * (logger and searchers) without a lock: what a reader has copied is good if
 * the writer's `reserve` says afterwards that it was not overwritten.
 *
 * Offsets of text and indices of records only ever grow, over the runs of a
 * slot too, so that a number once invalid is never valid again.
 */
#ifndef KEEPD_RING_H
#define KEEPD_RING_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "proto.h"
#include "ring_layout.h"

#define RING_MAGIC	0x6b656570726e6731ULL	/* "keeprng1" */
#define RING_NONE	0xffffffffU		/* no stream, no slot */
#define RING_STREAMS	2
#define RING_SENTINEL	16
#define RING_READ_MAX	(256 * 1024)		/* bytes of one read */
#define RING_SPAN	(64 * 1024)		/* a record's text, about */
#define RING_PREFIX	"[stderr] "		/* S0-62 */
#define RING_PREFIX_LEN	9

/* What a read was about to do, so that a successor can tell whether it did. */
struct ring_intent {
	uint32_t	set;
	uint32_t	slot;
	uint32_t	stream;
	uint32_t	dest;			/* enum ring_dest */
	uint64_t	off;			/* DEST_RING: of the first byte */
	uint64_t	epoch;			/* of the slot at that time */
	uint32_t	n;
	uint32_t	pad;
	uint8_t		sentinel[RING_SENTINEL];
};
enum ring_dest { DEST_RING, DEST_STAGE };

struct ring_head {
	uint64_t		magic;
	uint64_t		run_bytes;
	uint32_t		kind;
	uint32_t		lines;
	uint32_t		runs;
	uint32_t		pad;
	struct ring_intent	intent;
};

#define RING_ENDED	0x1		/* the process is gone */
struct ring_state {
	uint64_t	base;		/* offset of the run's first byte */
	uint64_t	base_rec;	/* index of its first record */
	uint64_t	head;		/* offset behind the last whole line */
	uint64_t	records;	/* index behind the last record */
	uint64_t	lines;		/* whole lines since the run began */
	uint64_t	start_ms;
	uint64_t	end_ms;
	uint64_t	last_ms;	/* time of the last line; never goes back */
	uint32_t	run;		/* 0: the slot is empty */
	uint32_t	flags;
	int32_t		exit_code;
	uint32_t	signal;
	uint32_t	owner;		/* stream of the open tail behind head */
	uint32_t	tail;		/* its bytes */
	uint32_t	partial[RING_STREAMS];	/* bytes in the side buffers */
	uint32_t	cont[RING_STREAMS];	/* partial continues a cut line */
	uint32_t	stage_pos;	/* bytes of the stage done */
	uint32_t	stage_len;
	uint32_t	stage_stream;
	uint32_t	pad;
};

struct ring_slot {
	uint64_t		epoch;		/* low bit: the copy that counts */
	uint64_t		reserve;	/* text up to here may be written */
	uint64_t		rec_reserve;	/* the same for records */
	struct ring_state	copy[2];
};

struct ring_record {
	uint64_t	off;		/* of its first line */
	uint64_t	line;		/* number of its first line, from 1 */
	uint64_t	time_ms;
	uint32_t	stream;
	uint32_t	flags;		/* LINE_CUT, LINE_CONT: one line only */
};

/* A slot's mapping; the text lies twice, back to back, so nothing wraps. */
struct ring_bulk {
	uint8_t			*base;		/* NULL: not mapped */
	uint32_t		 pins;
	struct ring_record	*records;
	uint8_t			*text;
	uint64_t		 warm;		/* writer: pages present up to */
};

struct ring {
	int			 fd;
	int			 writable;
	uint32_t		 kind;
	uint32_t		 lines;
	uint32_t		 runs;
	uint64_t		 run_bytes;
	uint64_t		 nrecords;	/* capacity, a power of two */
	uint8_t			*front;		/* head, states, stage */
	size_t			 front_len;
	struct ring_head	*head;
	uint8_t			*stage;
	struct ring_bulk	*bulk;		/* one a slot */
};

/* --- ring_read.c --------------------------------------------------------- */

/* Maps the front.  -1: errno (EINVAL: not a ring of this geometry).  The
 * descriptor stays the caller's and must live as long as the ring. */
int	 ring_map(struct ring *, int, const struct wire_ring *, int writable);
void	 ring_unmap(struct ring *);
/* Map a slot's bulk, counted.  -1: errno. */
int	 ring_pin(struct ring *, uint32_t slot);
void	 ring_unpin(struct ring *, uint32_t slot);
/* A consistent copy of a slot's state. */
void	 ring_state_get(const struct ring *, uint32_t slot, struct ring_state *);
/* Numbers of the retained runs, ascending, into an array of ring->runs. */
uint32_t ring_runs(const struct ring *, uint32_t *);
/* S0-70: -1 newest, 0 oldest.  The run's number, 0: outside. */
uint32_t ring_run_index(const struct ring *, int32_t, uint32_t *count);
/* The newest run's number; 0: none. */
uint32_t ring_run_newest(const struct ring *);
/* The slot that holds a run; RING_NONE. */
uint32_t ring_run_slot(const struct ring *, uint32_t run);

/*
 * What can be seen of a run at one moment: lines first .. last, in the records
 * rec_first .. rec_end - 1.  The slot must be pinned while it is in use.
 */
struct ring_view {
	const struct ring	*ring;
	const struct ring_bulk	*bulk;
	const struct ring_slot	*slot;
	struct ring_state	 st;
	uint64_t		 first;		/* line number */
	uint64_t		 last;		/* first > last: none */
	uint64_t		 off_first;	/* where line `first` starts */
	uint64_t		 rec_first;	/* record that holds it */
	uint64_t		 rec_end;
};
void	 ring_view_get(const struct ring *, uint32_t slot, struct ring_view *);
/* Start of the text at an offset; contiguous up to head. */
static inline const uint8_t *
ring_view_text(const struct ring_view *v, uint64_t off)
{
	return (v->bulk->text + (off & (v->ring->run_bytes - 1)));
}
/* 1: what was copied from off on had not been overwritten (seqlock). */
int	 ring_view_valid(const struct ring_view *, uint64_t off);
/* A record by index; -1: it was overwritten. */
int	 ring_view_record(const struct ring_view *, uint64_t,
	    struct ring_record *);
/* Index of the record that holds a line or an offset, or of the first record
 * at or after a time (rec_end: none). */
uint64_t ring_view_by_line(const struct ring_view *, uint64_t line);
uint64_t ring_view_by_off(const struct ring_view *, uint64_t off);
uint64_t ring_view_by_time(const struct ring_view *, uint64_t ms);
/* Where a visible line starts. */
uint64_t ring_view_line_off(const struct ring_view *, uint64_t line);
/* Offset behind a record's last line, and the number behind it. */
uint64_t ring_view_rec_off_end(const struct ring_view *, uint64_t rec);
uint64_t ring_view_rec_line_end(const struct ring_view *, uint64_t rec);
/*
 * One line as DATA carries it: header into *wl, text pointer and length
 * without newline and prefix.  off_next: where the next line starts.
 * -1: overwritten meanwhile.
 */
int	 ring_view_wire(const struct ring_view *, uint64_t off, uint64_t line,
	    const struct ring_record *, struct wire_line *,
	    const uint8_t **text, uint64_t *off_next);
/*
 * What a query asks for of one run: lines first .. last of the streams in the
 * mask, in order of arrival.
 */
struct ring_sel {
	struct ring_view view;
	uint64_t	 first;
	uint64_t	 last;
	uint64_t	 lost;		/* wanted, but no longer in the ring */
	uint32_t	 streams;	/* bit 0 stdout, bit 1 stderr */
};
#define RING_BOTH	0x3
void	 ring_sel_get(const struct ring *, uint32_t slot,
	    const struct wire_query *, struct ring_sel *);
/* How many lines that is, and the number of the k-th (from 0) of them. */
uint64_t ring_sel_count(const struct ring_sel *);
uint64_t ring_sel_nth(const struct ring_sel *, uint64_t k);
/* Walks through a selection line by line. */
struct ring_iter {
	const struct ring_sel	*sel;
	struct ring_record	 rec;
	uint64_t		 idx;		/* of rec */
	uint64_t		 rec_end;	/* line number behind rec's last */
	uint64_t		 line;		/* the next one */
	uint64_t		 off;
};
void	 ring_iter_at(struct ring_iter *, const struct ring_sel *, uint64_t line);
/* The next line; 0: there is none, or it was overwritten meanwhile. */
int	 ring_iter_next(struct ring_iter *, struct wire_line *,
	    const uint8_t **);

/* Newlines in n bytes, vectorised. */
size_t	 ring_count_lines(const void *, size_t);

/* --- ring.c -------------------------------------------------------------- */

/* Maps for writing; makes a fresh memfd a ring; finishes what a predecessor
 * was doing when it died.  -1: errno. */
int	 ring_open(struct ring *, int, const struct wire_ring *);
void	 ring_close(struct ring *);
/* A new run; its slot's old run is forgotten and its memory given back.
 * Known already: nothing happens.  -1: EINVAL, number not above the newest. */
int	 ring_run_begin(struct ring *, uint32_t run, uint64_t ms);
void	 ring_run_end(struct ring *, uint32_t run, uint64_t ms, int32_t code,
	    uint32_t sig);
/*
 * The functions below want the slot of the run pinned.
 * Read once, up to max bytes, exactly once even over kill -9.  Bytes read;
 * 0: nothing there now (empty or end of file); -1: errno.
 */
ssize_t	 ring_read(struct ring *, uint32_t slot, uint32_t stream, int fd,
	    size_t max);
/* Bytes from memory, as if read from the stream (build notes, tests). */
void	 ring_append(struct ring *, uint32_t slot, uint32_t stream, const void *,
	    size_t);
/* End of file: an unterminated rest becomes a line (S0-65). */
void	 ring_eof(struct ring *, uint32_t slot, uint32_t stream);
/* Tests: called between the steps that a kill could separate. */
extern void (*ring_step)(int);

#endif
