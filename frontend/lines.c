/*
 * Lines of logs on their way into an answer: cleaned, escaped once, and kept
 * both as one text and as an array.  No words of ours get into a line.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend.h"
#include "render.h"

static char	*scratch;
static size_t	 scratch_size;

struct lines *
lines_new(int flags, size_t limit)
{
	struct lines	*l;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return (NULL);
	l->text = evbuffer_new();
	l->array = evbuffer_new();
	l->flags = flags;
	l->limit = limit;
	if (l->text == NULL || l->array == NULL) {
		lines_free(l);
		return (NULL);
	}
	return (l);
}

void
lines_free(struct lines *l)
{
	if (l == NULL)
		return;
	if (l->text != NULL)
		evbuffer_free(l->text);
	if (l->array != NULL)
		evbuffer_free(l->array);
	free(l->last);
	free(l);
}

void
lines_reset(struct lines *l)
{
	(void)evbuffer_drain(l->text, evbuffer_get_length(l->text));
	(void)evbuffer_drain(l->array, evbuffer_get_length(l->array));
	free(l->last);
	l->last = NULL;
	l->count = l->bytes = 0;
	l->full = 0;
	l->repeated = 0;
}

static void
lines_put(struct lines *l, const char *text, size_t len)
{
	if (l->count > 0) {
		out_text(l->text, "\\n");
		out_text(l->array, ",");
	}
	out_escaped(l->text, text, len);
	out_string(l->array, text, len);
	l->count++;
	l->bytes += len + 1;
}

static int
scratch_room(size_t need)
{
	char	*p;

	if (need <= scratch_size)
		return (0);
	if ((p = realloc(scratch, need)) == NULL)
		return (-1);
	scratch = p;
	scratch_size = need;
	return (0);
}

static void
repeats_say(struct lines *l)
{
	char	 buf[64];

	if (l->repeated == 0)
		return;
	(void)snprintf(buf, sizeof(buf), "   ... repeated %llu more times",
	    (unsigned long long)l->repeated);
	l->repeated = 0;
	lines_put(l, buf, strlen(buf));
}

/* 1: the same as the line before, and counted. */
static int
lines_same(struct lines *l, const char *text, size_t len)
{
	if (l->last != NULL && l->last_len == len &&
	    memcmp(l->last, text, len) == 0) {
		l->repeated++;
		return (1);
	}
	repeats_say(l);
	free(l->last);
	if ((l->last = malloc(len + 1)) != NULL) {
		memcpy(l->last, text, len);
		l->last_len = len;
	}
	return (0);
}

void
lines_add(struct lines *l, const struct wire_line *line, const char *text)
{
	size_t	 len;

	if (l->full || scratch_room(render_bound(line->len)) == -1) {
		l->full = 1;
		return;
	}
	len = render_line(scratch, scratch_size, line, text, l->flags);
	if (l->collapse && lines_same(l, scratch, len)) {
		l->last_run = line->run;
		l->last_line = line->line;
		return;
	}
	if (l->bytes + len + 1 > l->limit) {
		l->full = 1;
		if (l->count > 0)
			return;
		/* Longer than all that is allowed: its beginning must do. */
		for (len = l->limit; len > 0 &&
		    ((unsigned char)scratch[len] & 0xc0) == 0x80; len--)
			continue;
	}
	l->last_run = line->run;
	l->last_line = line->line;
	lines_put(l, scratch, len);
}

void
lines_note(struct lines *l, const char *text)
{
	lines_put(l, text, strlen(text));
}

void
lines_finish(struct lines *l)
{
	repeats_say(l);
}

void
lines_append(struct lines *dst, struct lines *src)
{
	if (src->count == 0)
		return;
	if (dst->count > 0) {
		out_text(dst->text, "\\n");
		out_text(dst->array, ",");
	}
	(void)evbuffer_add_buffer(dst->text, src->text);
	(void)evbuffer_add_buffer(dst->array, src->array);
	dst->count += src->count;
	dst->bytes += src->bytes;
}

int
cursor_parse(const char *text, struct wire_query *wq)
{
	char		 run[16];
	const char	*errstr, *colon;

	if ((colon = strchr(text, ':')) == NULL ||
	    (size_t)(colon - text) >= sizeof(run))
		return (-1);
	memcpy(run, text, colon - text);
	run[colon - text] = '\0';
	wq->cursor_run = strtonum(run, 1, UINT32_MAX, &errstr);
	if (errstr != NULL)
		return (-1);
	wq->cursor_line = strtonum(colon + 1, 0, INT64_MAX, &errstr);
	if (errstr != NULL)
		return (-1);
	wq->flags |= Q_CURSOR;
	return (0);
}

json_t *
cursor_json(uint32_t run, uint64_t line)
{
	char	 buf[48];

	(void)snprintf(buf, sizeof(buf), "%u:%llu", run,
	    (unsigned long long)line);
	return (json_string(buf));
}
