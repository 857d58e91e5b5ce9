/*
 * Makes the frames of cases.h.  Knows the message table, not who may send
 * what.
 */
#include <string.h>

#include "cases.h"
#include "util.h"

#define NOISE		4096
#define GLUED		64	/* bytes of rubbish behind a good frame */
#define CUT		10	/* bytes of a payload that never ends */

static uint64_t	seed = 1;

void
dice_seed(uint64_t n)
{
	seed = n;
}

uint32_t
dice(void)
{
	seed = seed * UINT64_C(6364136223846793005) +
	    UINT64_C(1442695040888963407);
	return ((uint32_t)(seed >> 33));
}

uint32_t
dice_id(void)
{
	static const uint32_t ids[] = { 1, 2, 3, 1, 2, 3, 0, 7, MAX_SERVICES - 1,
	    MAX_SERVICES, MAX_SERVICES + 1, 0x7fffffff, 0x80000000, 0xffffffff };

	return (ids[dice() % nitems(ids)]);
}

/* Small numbers and text: what gets past the first look. */
static void
fill_plausible(unsigned char *p, size_t len)
{
	uint32_t	id;
	size_t		i;

	memset(p, 0, len);
	for (i = 0; i + sizeof(id) <= len && i < 64; i += sizeof(id)) {
		id = dice_id();
		if (dice() % 2)
			memcpy(p + i, &id, sizeof(id));
	}
	for (; i + 8 <= len; i += 8)
		if (dice() % 4 == 0)
			memcpy(p + i, "../a;$x", 8);
}

void
dice_fill(enum content what, unsigned char *p, size_t len)
{
	size_t	i;

	switch (what) {
	case C_ONES:
		memset(p, 0xff, len);
		break;
	case C_RANDOM:
		for (i = 0; i < len; i++)
			p[i] = (unsigned char)dice();
		break;
	case C_PLAUSIBLE:
		fill_plausible(p, len);
		break;
	default:
		memset(p, 0, len);
	}
}

static size_t
length_of(uint32_t type, enum length class)
{
	const struct proto_row	*row = proto_row(type);
	size_t			 min = row == NULL ? 4 : row->min;
	size_t			 max = row == NULL ? FRAME_MAX : row->max;

	switch (class) {
	case L_LESS:
		return (min == 0 ? 0 : min - 1);
	case L_MIN:
		return (min);
	case L_MAX:
		return (max);
	case L_MORE:
		return (max + 1);
	default:
		return (0);
	}
}

static void
header_put(struct breach_case *c, uint32_t type, uint32_t len)
{
	struct imsg_hdr	h = { .type = type, .len = len, .peerid = dice_id() };

	memcpy(c->frame, &h, sizeof(h));
	c->len = sizeof(h);
}

static void
case_raw(struct breach_case *c, enum raw raw)
{
	static const uint32_t lens[RAW_COUNT] = {
		[RAW_SHORT] = IMSG_HEADER_SIZE - 1,
		[RAW_HUGE] = 0x7fffffff,
		[RAW_MAXPLUS] = LINK_FRAME_MAX + 1,
		[RAW_CUT] = IMSG_HEADER_SIZE + sizeof(struct wire_action),
		[RAW_GLUED] = IMSG_HEADER_SIZE
	};
	size_t	extra = raw == RAW_CUT ? CUT : raw == RAW_GLUED ? GLUED : 0;

	c->raw = raw;
	if (raw == RAW_NOISE) {
		c->len = NOISE;
		dice_fill(C_RANDOM, c->frame, NOISE);
		return;
	}
	header_put(c, raw == RAW_GLUED ? IMSG_ACTIVITY : IMSG_ACTION,
	    lens[raw]);
	memset(c->frame + c->len, 0xee, extra);
	c->len += extra;
}

static void
case_message(struct breach_case *c, uint32_t n)
{
	const struct proto_row	*row;
	size_t			 len;

	c->type = n / (L_COUNT * C_COUNT);
	c->length = n / C_COUNT % L_COUNT;
	c->content = n % C_COUNT;
	if (c->type >= IMSG_TYPE_COUNT)
		c->type = c->type == IMSG_TYPE_COUNT ? 0xffffffff :
		    c->type + 1000;
	c->wants_fd = c->content == C_FD;
	row = proto_row(c->type);
	len = length_of(c->type, c->length);
	c->well_formed = row != NULL && len >= row->min && len <= row->max &&
	    c->wants_fd == (row->fd == PROTO_FD);
	header_put(c, c->type, (uint32_t)(IMSG_HEADER_SIZE + len) |
	    (c->wants_fd ? FRAME_FD : 0));
	dice_fill(c->content, c->frame + c->len, len);
	c->len += len;
}

void
case_make(struct breach_case *c, uint32_t n)
{
	memset(c, 0, offsetof(struct breach_case, frame));
	c->raw = -1;
	if (n >= CASES)
		case_raw(c, n - CASES);
	else
		case_message(c, n);
}
