/*
 * Small helpers that more than one program needs: time, descriptors, text.
 */
#ifndef KEEPD_UTIL_H
#define KEEPD_UTIL_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define nitems(a)	(sizeof(a) / sizeof((a)[0]))

uint64_t now_ms(void);		/* wall clock, ms since 1970 UTC */
uint64_t mono_ms(void);		/* monotonic, ms */
uint64_t mono_us(void);
#define RFC3339_SIZE	32
/* "2026-11-20T10:00:00.000Z" into buf (RFC3339_SIZE); returns buf. */
char	*rfc3339(uint64_t ms, char *buf, size_t);
/* RFC 3339 or relative ("10m", "1h", "2d", "500ms") to ms since 1970; -1: bad */
int	 parse_when(const char *, uint64_t now, uint64_t *);
/* "90m" "500ms" "2s" "1h" "3d"; a bare number is refused.  -1: bad */
int	 parse_duration(const char *, uint64_t *ms);
int	 fd_nonblock(int);
int	 fd_cloexec(int);
/* Write all to a blocking descriptor; -1 and errno. */
int	 write_all(int, const void *, size_t);
/* Shortest display of an argv: words quoted for sh(1) only where needed.
 * Returns strlen of the whole (like strlcpy). */
size_t	 argv_display(char *, size_t, char *const *);
/* Replaces invalid UTF-8 by U+FFFD, drops NULs, control bytes except \t\n.
 * dst needs 3 * len + 1.  Returns bytes written (NUL added behind). */
size_t	 utf8_clean(char *dst, const char *src, size_t len);
int	 glob_match(const char *pattern, const char *s);	/* fnmatch */

#endif
