/*
 * The searcher: searcher.c is the process that forks, searcher_work.c what a
 * worker does, searcher_out.c how it answers.
 */
#ifndef KEEPD_SEARCHER_H
#define KEEPD_SEARCHER_H

#include "answer.h"
#include "match.h"
#include "ring.h"

/* --- searcher_out.c ------------------------------------------------------ */

/* A result line that waits until it is known whether it is among the last. */
struct kept {
	uint64_t	off;
	uint32_t	slot;
	uint32_t	flags;
};

/* The result of a search on its way out: head, tail, budget, frames. */
struct out {
	int			 fd;
	struct ring		*ring;
	const struct wire_query	*q;
	struct wire_end		 end;
	uint64_t		 results;	/* lines so far, shown or not */
	uint64_t		 bytes;		/* of text that was sent */
	uint64_t		 last_line;	/* sent last */
	uint32_t		 last_run;
	int			 failed;	/* nobody reads, or no memory */
	struct kept		*kept;		/* tail: a ring of q->tail */
	uint64_t		 nkept;		/* allocated */
	size_t			 used;		/* bytes of frame */
	/* where the line numbers of the run at hand are known */
	const struct ring_view	*view;
	uint32_t		 slot;
	struct ring_record	 rec;
	uint64_t		 rec_end;	/* offset; 0: none known */
	uint64_t		 pos_off;
	uint64_t		 pos_line;
	uint8_t			 frame[sizeof(struct answer_hdr) + FRAME_MAX];
};
void	 out_init(struct out *, int fd, struct ring *, const struct wire_query *);
/* The run that the next lines are from. */
void	 out_run(struct out *, uint32_t slot, const struct ring_view *);
/* Will more result lines only be counted? */
int	 out_counting(const struct out *);
/* Number of the line at off (which only grows within a run). */
uint64_t out_locate(struct out *, uint64_t off);
void	 out_line(struct out *, uint64_t off, uint32_t flags);
/* Result lines that are only counted. */
void	 out_count(struct out *, uint64_t n);
/* The tail, then END with this code and text. */
void	 out_end(struct out *, uint32_t code, const char *);

/* --- searcher_work.c ----------------------------------------------------- */

/* Search and answer; the pattern is compiled in here. */
void	 work_run(struct ring *, const struct wire_search *, const uint8_t *,
	    int out);

#endif
