/*
 * Log lines as text for people, agents and terminals: walks the lines of an
 * IMSG_DATA and writes each as its surface shows it.  Shared by the frontend
 * and keepctl.  Text is cleaned here: invalid UTF-8 replaced, control and
 * escape sequences removed (unless kept).
 */
#ifndef KEEPD_RENDER_H
#define KEEPD_RENDER_H

#include "proto.h"

/* Next line of a payload: 1, with *text pointing into data (not terminated);
 * 0 at the end; -1 when ill-formed. */
int	 line_next(const unsigned char **data, size_t *len, struct wire_line *,
	    const char **text);

#define RENDER_MARKS	0x01	/* " * " and "   " (S0-74) */
#define RENDER_STDERR	0x02	/* "[stderr] " before lines of stderr (S0-62) */
#define RENDER_TIME	0x04	/* RFC 3339 and a blank first */
#define RENDER_RAW	0x08	/* bytes as they are */
#define RENDER_ANSI	0x10	/* keep escape sequences */

/* Upper bound of what render_line writes for a line of this length. */
size_t	 render_bound(size_t len);
/* Writes one line without newline, NUL-terminated; returns its length. */
size_t	 render_line(char *dst, size_t size, const struct wire_line *,
	    const char *text, int flags);
/* Removes escape sequences (CSI, OSC, DCS, two-byte) and control bytes but
 * tab; what is no UTF-8 becomes 0xff; in place; returns the new length. */
size_t	 ansi_strip(char *, size_t);

#endif
