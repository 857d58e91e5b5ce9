/*
 * Log lines as text: the walk over an IMSG_DATA, the prefixes of a surface,
 * and the cleaning of bytes that came from outside.  Knows nothing of where
 * lines come from or where the text goes.
 */
#include <sys/types.h>

#include <stdint.h>
#include <string.h>

#include "render.h"
#include "util.h"

#define ESC	0x1b
#define CAN	0x18
#define SUB	0x1a
#define BEL	0x07
#define DEL	0x7f
#define NO_CHAR	0xff	/* in no UTF-8 */

#define PREFIX_MAX	(RFC3339_SIZE + 1 + 3 + 9)
#define LINE_FLAGS	(LINE_MATCH | LINE_CONTEXT | LINE_CUT | LINE_CONT)

/* U+FFFD */
static const unsigned char replacement[] = { 0xef, 0xbf, 0xbd };

/* Introducers of control strings: OSC, DCS, SOS, PM, APC; behind ESC, alone. */
static const unsigned char strings7[] = { ']', 'P', 'X', '^', '_' };
static const unsigned char strings8[] = { 0x9d, 0x90, 0x98, 0x9e, 0x9f };

/* What the escape stripper knows between two bytes. */
struct strip {
	const unsigned char	*in;
	const unsigned char	*end;
	unsigned char		*start;		/* of the output */
	unsigned char		*out;
	size_t			 back;		/* backspaces to act on */
	int			 home;		/* or a carriage return */
};

/* Least and greatest second byte of a UTF-8 sequence, by its first. */
struct lead {
	unsigned char	first, last;
	unsigned char	len;
	unsigned char	low, high;
};

static const struct lead leads[] = {
	{ 0xc2, 0xdf, 2, 0x80, 0xbf },
	{ 0xe0, 0xe0, 3, 0xa0, 0xbf },
	{ 0xe1, 0xec, 3, 0x80, 0xbf },
	{ 0xed, 0xed, 3, 0x80, 0x9f },		/* no surrogates */
	{ 0xee, 0xef, 3, 0x80, 0xbf },
	{ 0xf0, 0xf0, 4, 0x90, 0xbf },
	{ 0xf1, 0xf3, 4, 0x80, 0xbf },
	{ 0xf4, 0xf4, 4, 0x80, 0x8f },		/* up to U+10FFFF */
};

static size_t	utf8_take(const unsigned char *, size_t, int *);
static size_t	utf8_write(char *, const char *, size_t);
static void	strip_put(struct strip *, size_t);
static void	strip_erase(struct strip *);
static void	strip_control(struct strip *);
static void	strip_escape(struct strip *);
static void	strip_high(struct strip *);
static const unsigned char *csi_end(const unsigned char *,
		    const unsigned char *);
static const unsigned char *string_end(const unsigned char *,
		    const unsigned char *, int, int *);
static size_t	prefix_write(char *, size_t, const struct wire_line *, int);

int
line_next(const unsigned char **data, size_t *len, struct wire_line *line,
    const char **text)
{
	if (*len == 0)
		return (0);
	if (*len < sizeof(*line))
		return (-1);
	memcpy(line, *data, sizeof(*line));
	if (line->len > *len - sizeof(*line) || line->stream > STREAM_STDERR ||
	    (line->flags & ~LINE_FLAGS) != 0)
		return (-1);
	*text = (const char *)*data + sizeof(*line);
	*data += sizeof(*line) + line->len;
	*len -= sizeof(*line) + line->len;
	return (1);
}

size_t
render_bound(size_t len)
{
	/* U+FFFD has three bytes and may stand for one. */
	return (PREFIX_MAX + 3 * len + 1);
}

size_t
render_line(char *dst, size_t size, const struct wire_line *line,
    const char *text, int flags)
{
	size_t	 off, len = line->len;
	char	*raw;

	if (size < PREFIX_MAX + 1) {
		if (size > 0)
			dst[0] = '\0';
		return (0);
	}
	off = prefix_write(dst, size, line, flags);
	if (len > (size - off - 1) / 3)
		len = (size - off - 1) / 3;
	if (flags & RENDER_RAW)
		memcpy(dst + off, text, len);
	else {
		/*
		 * The raw text goes to the far end of the room and is written
		 * from there to its place: the writer, who makes at most three
		 * bytes of one, cannot overtake the reader.
		 */
		raw = dst + off + 2 * len;
		memcpy(raw, text, len);
		if ((flags & RENDER_ANSI) == 0)
			len = ansi_strip(raw, len);
		len = utf8_write(dst + off, raw, len);
	}
	dst[off + len] = '\0';
	return (off + len);
}

size_t
ansi_strip(char *text, size_t len)
{
	struct strip	 s;

	memset(&s, 0, sizeof(s));
	s.in = s.start = s.out = (unsigned char *)text;
	s.end = s.in + len;
	while (s.in < s.end) {
		if (*s.in == ESC)
			strip_escape(&s);
		else if (*s.in >= 0x80)
			strip_high(&s);
		else if ((*s.in < 0x20 && *s.in != '\t') || *s.in == DEL)
			strip_control(&s);
		else
			strip_put(&s, 1);
	}
	return (s.out - s.start);
}

/*
 * Bytes of the sequence at p: a whole one (ok), or the longest beginning of
 * one, which Unicode wants replaced by a single U+FFFD.
 */
static size_t
utf8_take(const unsigned char *p, size_t len, int *ok)
{
	const struct lead	*l;
	size_t			 i, n;

	*ok = p[0] < 0x80;
	for (i = 0; i < nitems(leads); i++) {
		l = &leads[i];
		if (p[0] < l->first || p[0] > l->last)
			continue;
		if (len < 2 || p[1] < l->low || p[1] > l->high)
			return (1);
		for (n = 2; n < l->len && n < len; n++)
			if ((p[n] & 0xc0) != 0x80)
				return (n);
		*ok = n == l->len;
		return (n);
	}
	return (1);
}

/* src may lie in dst as render_line puts it.  NULs are dropped. */
static size_t
utf8_write(char *dst, const char *src, size_t len)
{
	size_t	 n, w = 0;
	int	 ok;

	while (len > 0) {
		n = utf8_take((const unsigned char *)src, len, &ok);
		if (!ok) {
			memcpy(dst + w, replacement, sizeof(replacement));
			w += sizeof(replacement);
		} else if (*src != '\0') {
			memmove(dst + w, src, n);
			w += n;
		}
		src += n;
		len -= n;
	}
	return (w);
}

/* Take over n bytes of text; what a control byte promised happens first. */
static void
strip_put(struct strip *s, size_t n)
{
	if (s->home) {
		s->out = s->start;
		s->home = 0;
	}
	for (; s->back > 0; s->back--)
		strip_erase(s);
	memmove(s->out, s->in, n);
	s->out += n;
	s->in += n;
}

/* Drop the last character of the output. */
static void
strip_erase(struct strip *s)
{
	int	 i;

	for (i = 0; i < 4 && s->out > s->start; i++)
		if ((*--s->out & 0xc0) != 0x80)
			break;
}

/*
 * A carriage return or backspace only moves the cursor: text is lost when
 * something is written over it, not before.  So "50%\r100%\r" is "100%", and
 * the last frame of a spinner stays.
 */
static void
strip_control(struct strip *s)
{
	if (*s->in == '\r') {
		s->home = 1;
		s->back = 0;
	} else if (*s->in == '\b' && !s->home)
		s->back++;
	s->in++;
}

static void
strip_escape(struct strip *s)
{
	const unsigned char	*p = s->in + 1;
	int			 ended;

	if (p < s->end && *p == '[') {
		s->in = csi_end(p + 1, s->end);
		return;
	}
	if (p < s->end && memchr(strings7, *p, sizeof(strings7)) != NULL) {
		/* Not ended: the terminal would go on, this line is over. */
		s->in = string_end(p + 1, s->end, *p == ']', &ended);
		return;
	}
	while (p < s->end && *p >= 0x20 && *p <= 0x2f)
		p++;
	if (p < s->end && *p >= 0x30 && *p < DEL)
		p++;
	s->in = p;
}

/*
 * A byte above 0x7f: a character, or part of none.  The one-byte forms of CSI,
 * OSC and so on are taken as such only where no character uses the byte, and
 * those of strings only where the string ends: text of an old encoding has
 * such bytes, too, and shall not vanish.
 */
static void
strip_high(struct strip *s)
{
	const unsigned char	*p = s->in, *end;
	size_t			 n;
	int			 ok, ended;

	n = utf8_take(p, s->end - p, &ok);
	if (ok && p[0] == 0xc2 && p[1] < 0xa0) {
		s->in += n;		/* U+0080 to U+009F: a bare control */
		return;
	}
	if (!ok && *p == 0x9b) {
		s->in = csi_end(p + 1, s->end);
		return;
	}
	if (!ok && memchr(strings8, *p, sizeof(strings8)) != NULL) {
		end = string_end(p + 1, s->end, *p == 0x9d, &ended);
		if (ended) {
			s->in = end;
			return;
		}
	}
	strip_put(s, n);
	if (!ok) {
		/*
		 * What is dropped around it must not make a character of it:
		 * it becomes a byte that is part of none.
		 */
		s->out -= n;
		*s->out++ = NO_CHAR;
	}
}

/* Behind the final byte of a control sequence; p: behind its introducer. */
static const unsigned char *
csi_end(const unsigned char *p, const unsigned char *end)
{
	for (; p < end; p++) {
		if (*p == ESC || *p >= 0x80)
			return (p);
		if (*p == CAN || *p == SUB || (*p >= 0x40 && *p < DEL))
			return (p + 1);
	}
	return (end);
}

/* Behind the end of a control string: ST, for OSC also BEL, or an abort. */
static const unsigned char *
string_end(const unsigned char *p, const unsigned char *end, int osc,
    int *ended)
{
	size_t	 n;
	int	 ok;

	*ended = 1;
	while (p < end) {
		n = utf8_take(p, end - p, &ok);
		if (*p == ESC)
			return (p + 1 < end && p[1] == '\\' ? p + 2 : p);
		if (*p == CAN || *p == SUB || (osc && *p == BEL) ||
		    (!ok && *p == 0x9c))
			return (p + n);
		p += n;
	}
	*ended = 0;
	return (end);
}

static size_t
prefix_write(char *dst, size_t size, const struct wire_line *line, int flags)
{
	dst[0] = '\0';
	if (flags & RENDER_TIME) {
		rfc3339(line->time_ms, dst, RFC3339_SIZE);
		strlcat(dst, " ", size);
	}
	if (flags & RENDER_MARKS)
		strlcat(dst, line->flags & LINE_MATCH ? " * " : "   ", size);
	if ((flags & RENDER_STDERR) && line->stream == STREAM_STDERR)
		strlcat(dst, "[stderr] ", size);
	return (strlen(dst));
}
