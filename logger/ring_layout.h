/*
 * Where everything lies in a ring's memfd, and how large that is.  For the
 * parent, which makes it, and for ring.c and ring_read.c, which map it.
 *
 *	head	magic, geometry, the intent of the read under way
 *	states	one ring_slot for each run that is kept
 *	stage	bytes read but not yet turned into lines
 *	slots	for each run: two side buffers, the records, the text
 *
 * All parts start at multiples of RING_ALIGN, which is a multiple of every
 * page size in use.  The memfd is sparse: what is never touched costs nothing.
 */
#ifndef KEEPD_RING_LAYOUT_H
#define KEEPD_RING_LAYOUT_H

#include <stdint.h>

#define RING_ALIGN		(64 * 1024)
#define RING_BYTES_MIN		(512 * 1024)	/* of run_bytes */
#define RING_LINES_MAX		(1U << 28)
#define RING_RUNS_MAX		1024
#define RING_SLOT_SIZE		512		/* struct ring_slot */
#define RING_SIDE_SIZE		(64 * 1024)	/* a partial line */
#define RING_STAGE_SIZE		(512 * 1024)
#define RING_RECORD_SIZE	32		/* struct ring_record */
#define RING_RECORD_SLACK	1024

static inline uint64_t
ring_layout_align(uint64_t n)
{
	return ((n + RING_ALIGN - 1) & ~(uint64_t)(RING_ALIGN - 1));
}

/*
 * Each record holds one whole line at least, so as many as lines are enough;
 * the slack is what a writer may have under way.  A power of two.
 */
static inline uint64_t
ring_layout_records(uint32_t lines)
{
	uint64_t n = RING_RECORD_SLACK;

	while (n < (uint64_t)lines + RING_RECORD_SLACK)
		n *= 2;
	return (n);
}

/* Offset of the stage: behind head and states. */
static inline uint64_t
ring_layout_stage(uint32_t runs)
{
	return (RING_ALIGN +
	    ring_layout_align((uint64_t)runs * RING_SLOT_SIZE));
}

/* Offset of the text within a slot. */
static inline uint64_t
ring_layout_text(uint32_t lines)
{
	return (2 * RING_SIDE_SIZE +
	    ring_layout_align(ring_layout_records(lines) * RING_RECORD_SIZE));
}

/* Offset of a slot. */
static inline uint64_t
ring_layout_slot(uint32_t lines, uint64_t run_bytes, uint32_t runs,
    uint32_t slot)
{
	return (ring_layout_stage(runs) + RING_STAGE_SIZE +
	    slot * (ring_layout_text(lines) + run_bytes));
}

/* Bytes of the whole memfd. */
static inline uint64_t
ring_layout_size(uint32_t lines, uint64_t run_bytes, uint32_t runs)
{
	return (ring_layout_slot(lines, run_bytes, runs, runs));
}

/* 1: a geometry that ring_open accepts. */
static inline int
ring_layout_ok(uint32_t lines, uint64_t run_bytes, uint32_t runs)
{
	return (lines > 0 && lines <= RING_LINES_MAX && runs > 0 &&
	    runs <= RING_RUNS_MAX && run_bytes >= RING_BYTES_MIN &&
	    run_bytes <= (1ULL << 36) && (run_bytes & (run_bytes - 1)) == 0);
}

#endif
