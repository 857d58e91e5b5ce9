/*
 * What a worker writes to its answer pipe: frames of a header and a payload.
 * The logger believes none of it beyond these bounds.
 */
#ifndef KEEPD_ANSWER_H
#define KEEPD_ANSWER_H

#include "proto.h"

enum answer_type {
	ANSWER_DATA = 1,	/* n x (wire_line + text), ready for IMSG_DATA */
	ANSWER_END		/* wire_end + text; the last frame */
};
struct answer_hdr {
	uint32_t	type;
	uint32_t	len;	/* of the payload, at most FRAME_MAX */
};

/*
 * In the wire_search that goes to the searcher, query.index is the number of
 * the run to search, 0 with Q_ALL_RUNS: the logger has resolved S0-70.
 */

#endif
