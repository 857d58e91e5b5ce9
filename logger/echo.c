/*
 * Lines to keepd's own stdout and stderr (S0-64).  Whoever reads those may be
 * slow or gone: what cannot be written at once is dropped, counted, and the
 * count said once when there is room again.
 */
#include <sys/stat.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "logger.h"

#define ECHO_MAX	4096	/* a pipe takes that much whole, or says no */

struct echo {
	int	 fd;
	uint64_t lost;
	size_t	 used;
	size_t	 lines;
	char	 buf[ECHO_MAX];
};
static struct echo echoes[RING_STREAMS] = {
	[STREAM_STDOUT] = { .fd = STDOUT_FILENO },
	[STREAM_STDERR] = { .fd = STDERR_FILENO }
};

static int	echo_off;	/* nobody reads either of them */

/* Before the lock-up.  Rendering every line for /dev/null halves the ingest. */
void
echo_init(void)
{
	struct stat	null, st;
	int		i;

	if (stat("/dev/null", &null) == -1)
		return;
	for (i = 0; i < RING_STREAMS; i++)
		if (fstat(echoes[i].fd, &st) == -1 || !S_ISCHR(st.st_mode) ||
		    st.st_rdev != null.st_rdev)
			return;
	echo_off = 1;
}

static int
echo_ready(const struct echo *e)
{
	struct pollfd p = { e->fd, POLLOUT, 0 };

	return (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0);
}

static void
echo_flush(struct echo *e)
{
	char	note[80];
	int	n;

	if (e->used == 0)
		return;
	if (!echo_ready(e)) {
		e->lost += e->lines;
	} else {
		if (e->lost > 0) {
			n = snprintf(note, sizeof(note), "[keepd] %llu lines "
			    "were not shown here\n",
			    (unsigned long long)e->lost);
			if (write(e->fd, note, n) == n)
				e->lost = 0;
		}
		if (!echo_ready(e) ||
		    write(e->fd, e->buf, e->used) != (ssize_t)e->used)
			e->lost += e->lines;
	}
	e->used = 0;
	e->lines = 0;
}

/* A long line goes in pieces; a piece that finds no room is dropped. */
static void
echo_bytes(struct echo *e, const void *p, size_t n)
{
	const char	*b = p;
	size_t		 k;

	while (n > 0) {
		if (e->used == sizeof(e->buf))
			echo_flush(e);
		k = sizeof(e->buf) - e->used;
		if (k > n)
			k = n;
		memcpy(e->buf + e->used, b, k);
		e->used += k;
		b += k;
		n -= k;
	}
}

static void
echo_line(struct log *l, const struct wire_line *wl, const uint8_t *text)
{
	struct echo	*e = &echoes[wl->stream & 1];
	const char	*name = l->kind == RING_BUILD ? "build" : l->name;
	size_t		 n = strlen(name) + wl->len + 4;

	if (n > sizeof(e->buf) - e->used)
		echo_flush(e);
	e->lines++;
	echo_bytes(e, "[", 1);
	echo_bytes(e, name, strlen(name));
	echo_bytes(e, "] ", 2);
	echo_bytes(e, text, wl->len);
	echo_bytes(e, "\n", 1);
}

/* Lines of the slot's run from number `from` on. */
void
echo_lines(struct log *l, uint32_t slot, uint64_t from)
{
	struct wire_query	 q;
	struct wire_line	 wl;
	struct ring_sel		 sel;
	struct ring_iter	 it;
	const uint8_t		*text;

	if (echo_off)
		return;
	memset(&q, 0, sizeof(q));
	ring_sel_get(&l->ring, slot, &q, &sel);
	if (from < sel.first)
		echoes[STREAM_STDOUT].lost += sel.first - from;
	ring_iter_at(&it, &sel, from);
	while (ring_iter_next(&it, &wl, &text) == 1)
		echo_line(l, &wl, text);
	echo_flush(&echoes[STREAM_STDOUT]);
	echo_flush(&echoes[STREAM_STDERR]);
}
