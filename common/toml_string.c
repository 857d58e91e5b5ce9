/*
 * TOML strings, all four kinds, and the UTF-8 that they are made of.  Knows
 * nothing about keys and values.
 */
#include <string.h>

#include "toml_text.h"
#include "util.h"

#define QUOTES_MULTI	3	/* ''' and """ */
#define QUOTES_MAX	5	/* two of the text, then three that end it */

/* What may follow a first byte, from RFC 3629, section 4. */
static const struct {
	unsigned char	from, to;	/* first byte */
	unsigned char	lo, hi;		/* second byte */
	size_t		len;
} utf8_forms[] = {
	{ 0x00, 0x7f, 0x00, 0x00, 1 },
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 }
};

static const struct {
	char	letter;
	char	byte;
} escapes[] = {
	{ 'b', '\b' }, { 't', '\t' }, { 'n', '\n' }, { 'f', '\f' },
	{ 'r', '\r' }, { '"', '"' }, { '\\', '\\' }
};

/* A string on its way: the text between the quotes and where it goes. */
struct copy {
	const char	*close;		/* first byte behind the contents */
	char		*out;
	size_t		 len;
	int		 multi;
};

static size_t
utf8_tail(const char *s, const char *end, size_t form)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t		     i, len = utf8_forms[form].len;

	if ((size_t)(end - s) < len)
		return (0);
	if (len > 1 && (u[1] < utf8_forms[form].lo ||
	    u[1] > utf8_forms[form].hi))
		return (0);
	for (i = 2; i < len; i++)
		if ((u[i] & 0xc0) != 0x80)
			return (0);
	return (len);
}

size_t
utf8_length(const char *s, const char *end)
{
	unsigned char	c = (unsigned char)*s;
	size_t		i;

	for (i = 0; i < nitems(utf8_forms); i++)
		if (c >= utf8_forms[i].from && c <= utf8_forms[i].to)
			return (utf8_tail(s, end, i));
	return (0);
}

static size_t
utf8_put(char *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return (1);
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return (2);
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return (3);
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return (4);
}

static int
hex_digit(int c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

/* \uXXXX, \UXXXXXXXX: the digits are next. */
static int
escape_unicode(struct toml_text *t, struct copy *c, int digits)
{
	uint32_t	code = 0;
	int		i, d;

	for (i = 0; i < digits; i++, t->p++) {
		if (t->p >= c->close || (d = hex_digit(*t->p)) == -1)
			return (text_error(t, "\\%c takes %d hexadecimal "
			    "digits", digits == 4 ? 'u' : 'U', digits));
		code = code << 4 | (uint32_t)d;
	}
	if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return (text_error(t, "U+%04X is no Unicode scalar value",
		    (unsigned int)code));
	/* Never longer than the digits it replaces. */
	c->len += utf8_put(c->out + c->len, code);
	return (0);
}

static int
is_blank(int c)
{
	return (c == ' ' || c == '\t');
}

/* Eats one line end if there is one. */
static int
line_end(struct toml_text *t)
{
	if (text_peek(t, 0) == '\r' && text_peek(t, 1) == '\n')
		t->p++;
	if (text_peek(t, 0) != '\n')
		return (0);
	t->p++;
	text_newline(t);
	return (1);
}

/* A backslash at the end of a line joins it with the next text.  0: it is
 * none, and nothing was eaten. */
static int
escape_line(struct toml_text *t, struct copy *c)
{
	size_t	n = 0;

	while (is_blank(text_peek(t, n)))
		n++;
	if (!c->multi || (text_peek(t, n) != '\n' && text_peek(t, n) != '\r'))
		return (0);
	t->p += n;
	while (t->p < c->close && (is_blank(*t->p) || *t->p == '\n' ||
	    *t->p == '\r'))
		if (!line_end(t))
			t->p++;
	return (1);
}

/* The backslash has been eaten. */
static int
escape_read(struct toml_text *t, struct copy *c)
{
	size_t	i;
	int	ch = text_peek(t, 0);

	if (escape_line(t, c))
		return (0);
	if (ch == 'u' || ch == 'U') {
		t->p++;
		return (escape_unicode(t, c, ch == 'u' ? 4 : 8));
	}
	for (i = 0; i < nitems(escapes); i++) {
		if (ch != escapes[i].letter)
			continue;
		c->out[c->len++] = escapes[i].byte;
		t->p++;
		return (0);
	}
	return (text_error(t, "unknown escape sequence; a backslash is "
	    "written \\\\, or use a '...' string"));
}

static size_t
quote_run(const struct toml_text *t, const char *s, char quote)
{
	size_t	n = 0;

	while (s + n < t->end && n < QUOTES_MAX && s[n] == quote)
		n++;
	return (n);
}

/* Where the contents end, the quotes before the last three being contents.
 * NULL: nowhere. */
static const char *
find_close(const struct toml_text *t, char quote, int multi)
{
	const char	*s;
	size_t		 n;

	for (s = t->p; s < t->end; s++) {
		if (!multi && *s == '\n')
			return (NULL);
		if (*s == '\\' && quote == '"') {
			if (++s < t->end && !multi && *s == '\n')
				return (NULL);
			continue;
		}
		if (*s != quote)
			continue;
		if (!multi)
			return (s);
		n = quote_run(t, s, quote);
		if (n >= QUOTES_MULTI)
			return (s + n - QUOTES_MULTI);
		s += n - 1;
	}
	return (NULL);
}

static int
contents_read(struct toml_text *t, struct copy *c, char quote)
{
	while (t->p < c->close) {
		if (*t->p == '\\' && quote == '"') {
			t->p++;
			if (escape_read(t, c) == -1)
				return (-1);
		} else if (line_end(t))		/* \r\n becomes \n */
			c->out[c->len++] = '\n';
		else
			c->out[c->len++] = *t->p++;
	}
	c->out[c->len] = '\0';
	return (0);
}

int
string_read(struct toml_text *t, int multi, char **s, size_t *len)
{
	struct toml_mark mark = text_mark(t);
	struct copy	 c = { NULL, NULL, 0, 0 };
	char		 quote = *t->p;

	c.multi = quote_run(t, t->p, quote) >= QUOTES_MULTI;
	if (c.multi && !multi)
		return (text_error(t, "a key is written on one line"));
	t->p += c.multi ? QUOTES_MULTI : 1;
	if (c.multi)
		line_end(t);		/* right behind the quotes: dropped */
	if ((c.close = find_close(t, quote, c.multi)) == NULL)
		return (text_error_at(t, mark, "the string is not closed%s",
		    c.multi ? "" : " on this line"));
	c.out = arena_alloc(t, (size_t)(c.close - t->p) + 1);
	if (c.out == NULL || contents_read(t, &c, quote) == -1)
		return (-1);
	t->p = c.close + (c.multi ? QUOTES_MULTI : 1);
	*s = c.out;
	*len = c.len;
	return (0);
}
