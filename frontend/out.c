/*
 * JSON text written straight into buffers, for answers whose parts are ready
 * as text, and the cleaning of clients' words.  Parsing is jansson's.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "frontend.h"
#include "util.h"

#define REAL_DIGITS	15	/* 12.3, not 12.300000000000001 */

void
out_text(struct evbuffer *out, const char *text)
{
	(void)evbuffer_add(out, text, strlen(text));
}

static int
out_short(struct evbuffer *out, unsigned char c)
{
	static const char	from[] = "\"\\\b\f\n\r\t";
	static const char	to[] = "\"\\bfnrt";
	const char		*p;

	if (c == '\0' || (p = strchr(from, c)) == NULL)
		return (0);
	(void)evbuffer_add_printf(out, "\\%c", to[p - from]);
	return (1);
}

/* The text must be valid UTF-8. */
void
out_escaped(struct evbuffer *out, const char *text, size_t len)
{
	const unsigned char	*p = (const unsigned char *)text;
	size_t			 i, start = 0;

	for (i = 0; i < len; i++) {
		if (p[i] >= 0x20 && p[i] != '"' && p[i] != '\\')
			continue;
		(void)evbuffer_add(out, text + start, i - start);
		start = i + 1;
		if (out_short(out, p[i]) == 0)
			(void)evbuffer_add_printf(out, "\\u%04x", p[i]);
	}
	(void)evbuffer_add(out, text + start, len - start);
}

void
out_string(struct evbuffer *out, const char *text, size_t len)
{
	(void)evbuffer_add(out, "\"", 1);
	out_escaped(out, text, len);
	(void)evbuffer_add(out, "\"", 1);
}

static int
out_chunk(const char *data, size_t len, void *arg)
{
	return (evbuffer_add(arg, data, len));
}

void
out_json(struct evbuffer *out, const json_t *json)
{
	(void)json_dump_callback(json, out_chunk, out,
	    JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS));
}

void
text_field(char *dst, size_t size, const char *src)
{
	size_t	 i, n = 0;

	for (i = 0; src[i] != '\0' && n < size - 1; i++) {
		if ((unsigned char)src[i] < 0x20 || src[i] == 0x7f)
			dst[n++] = ' ';
		else
			dst[n++] = src[i];
	}
	/* Cut within a character: go back to where it begins. */
	if (src[i] != '\0')
		while (n > 0 && ((unsigned char)src[i] & 0xc0) == 0x80) {
			n--;
			i--;
		}
	dst[n] = '\0';
}
