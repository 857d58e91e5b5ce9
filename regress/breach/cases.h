/*
 * Every message there is, in every length class, with every kind of content,
 * with and without a descriptor; and frames that are none.  Shared by those
 * who send them.
 */
#ifndef KEEPD_BREACH_CASES_H
#define KEEPD_BREACH_CASES_H

#include <stddef.h>
#include <stdint.h>

#include "imsg.h"
#include "proto.h"

#define FRAME_FD	0x80000000U	/* header: a descriptor comes along */

enum content { C_ZERO, C_ONES, C_RANDOM, C_PLAUSIBLE, C_FD, C_COUNT };
enum length { L_ZERO, L_LESS, L_MIN, L_MAX, L_MORE, L_COUNT };
/* Frames that are none; behind the table of messages. */
enum raw { RAW_SHORT, RAW_HUGE, RAW_MAXPLUS, RAW_NOISE, RAW_CUT, RAW_GLUED,
	RAW_COUNT };

#define TYPES		(IMSG_TYPE_COUNT + 3)
#define CASES		(TYPES * L_COUNT * C_COUNT)
#define CASES_ALL	(CASES + RAW_COUNT)
#define CASE_SIZE	(2 * FRAME_MAX)

struct breach_case {
	uint32_t	 type;
	enum length	 length;
	enum content	 content;
	int		 raw;		/* enum raw, or -1 */
	int		 wants_fd;	/* to be sent with a descriptor */
	int		 well_formed;	/* as the message table says */
	size_t		 len;		/* bytes of frame, header included */
	unsigned char	 frame[CASE_SIZE];
};

/* The same numbers in every run: a failure can be had again. */
void	 dice_seed(uint64_t);
uint32_t dice(void);
uint32_t dice_id(void);			/* ids at their bounds */
void	 dice_fill(enum content, unsigned char *, size_t);
/* Case n of CASES_ALL. */
void	 case_make(struct breach_case *, uint32_t);

#endif
