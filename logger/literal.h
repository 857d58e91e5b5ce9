/*
 * Literals of a regular expression: which strings every match must contain
 * (literal.c), and finding them fast (literal_scan.c).  Bytes, not characters;
 * no PCRE2 in here.
 */
#ifndef KEEPD_LITERAL_H
#define KEEPD_LITERAL_H

#include <stddef.h>
#include <stdint.h>

#define LITERAL_LEN	48	/* bytes of one string; longer ones are cut */
#define LITERAL_SET	16	/* strings of which one must be there */
#define LITERAL_CANDS	6	/* sets to choose from */

struct literal {
	uint32_t	len;
	uint8_t		b[LITERAL_LEN];
};
struct literal_set {
	uint32_t	n;
	struct literal	lit[LITERAL_SET];
};

struct literal_plan {
	int			icase;
	int			pure;		/* cand[0] is the whole pattern */
	int			block_safe;	/* see match.c */
	uint32_t		ncands;		/* 0: no literal is required */
	struct literal_set	cand[LITERAL_CANDS];
};

/* Never wrong, often modest: what it does not understand yields no candidate. */
void	literal_parse(struct literal_plan *, const uint8_t *, size_t, int icase);

#define LITERAL_BUCKETS	8
struct literal_scan {
	struct literal_set	 set;
	int			 icase;
	uint32_t		 min;		/* shortest length */
	uint32_t		 at[2];		/* single: offsets of two rare bytes */
	uint8_t			 want[2];
	uint8_t			 mask[2];	/* 0x20: either case */
	uint32_t		 window;	/* several: bytes of the fingerprint */
	uint8_t			 lo[3][16];	/* buckets by nibble */
	uint8_t			 hi[3][16];
	uint8_t			 first[256];	/* buckets by first byte */
	const uint8_t		*(*find)(const struct literal_scan *,
				    const uint8_t *, const uint8_t *);
};

/* hist: how often each byte occurs in a sample of the text. */
void	literal_scan_init(struct literal_scan *, const struct literal_set *,
	    int icase, const uint32_t *hist);
/* Start of the first occurrence of one of the set within p .. end; NULL. */
static inline const uint8_t *
literal_find(const struct literal_scan *s, const uint8_t *p, const uint8_t *end)
{
	return (s->find(s, p, end));
}
/* Tests: 1 forbids the vectorised kernels. */
extern int literal_portable;

#endif
