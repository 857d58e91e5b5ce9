/*
 * Which lines of a block of text match a pattern (searcher only).
 */
#ifndef KEEPD_MATCH_H
#define KEEPD_MATCH_H

#include <stddef.h>
#include <stdint.h>

struct match;

struct match_error {
	char	 text[256];
	uint32_t offset;	/* where in the pattern */
};

/* Compiles.  NULL: the pattern is bad (text and offset say why). */
struct match	*match_new(const uint8_t *, size_t, int icase, int jit,
		    struct match_error *);
void		 match_free(struct match *);
/* Choose the way of searching by a sample of the text (whole lines). */
void		 match_tune(struct match *, const uint8_t *, size_t);
/*
 * The next matching line that starts at or after p, which is the start of a
 * line; end[-1] is a newline.  1: found, *ls its start, *le its newline;
 * 0: none; -1: the pattern ran into a limit, see match_why.
 */
int		 match_next(struct match *, const uint8_t *p,
		    const uint8_t *end, const uint8_t **ls, const uint8_t **le);
const char	*match_why(const struct match *);
const char	*match_way(const struct match *);	/* for the log */
/* Tests: search in this way ("all", "literal", "filter", "block", "line");
 * -1: it is not possible for this pattern. */
int		 match_force(struct match *, const char *);

#endif
