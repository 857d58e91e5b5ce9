/*
 * The ring: lines, streams, limits, wrap-around, runs, recovery.  The writer is
 * killed at every step it takes, thousands of times, and no byte may be lost
 * or doubled.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ring.h"
#include "unit.h"

UNIT_SUITE(ring);

struct fixture {
	struct wire_ring conf;
	struct ring	 r;
	int		 fd;
};
static struct fixture f;

static void
make(uint32_t kind, uint32_t lines, uint64_t bytes, uint32_t runs)
{
	memset(&f, 0, sizeof(f));
	f.conf.kind = kind;
	f.conf.lines = lines;
	f.conf.run_bytes = bytes;
	f.conf.runs = runs;
	f.conf.size = ring_layout_size(lines, bytes, runs);
	f.fd = memfd_create("ring", MFD_CLOEXEC);
	ck_assert_int_ge(f.fd, 0);
	ck_assert_int_eq(ftruncate(f.fd, f.conf.size), 0);
	ck_assert_int_eq(ring_open(&f.r, f.fd, &f.conf), 0);
}

static void
done(void)
{
	ring_close(&f.r);
	close(f.fd);
}

static uint32_t
begin(uint32_t run)
{
	uint32_t slot;

	ck_assert_int_eq(ring_run_begin(&f.r, run, 1000), 0);
	slot = ring_run_slot(&f.r, run);
	ck_assert_uint_ne(slot, RING_NONE);
	ck_assert_int_eq(ring_pin(&f.r, slot), 0);
	return (slot);
}

static void
add(uint32_t slot, uint32_t stream, const char *s)
{
	ring_append(&f.r, slot, stream, s, strlen(s));
}

/* All visible lines as "o:text|" or "e:text|", c and > for cut and continued. */
static const char *
dump(uint32_t slot, uint32_t flags)
{
	static char		 out[400000];
	struct wire_query	 q;
	struct ring_sel		 sel;
	struct ring_iter	 it;
	struct wire_line	 wl;
	const uint8_t		*text;
	size_t			 n = 0;

	memset(&q, 0, sizeof(q));
	q.flags = flags;
	ring_sel_get(&f.r, slot, &q, &sel);
	ring_iter_at(&it, &sel, 1);
	out[0] = '\0';
	while (ring_iter_next(&it, &wl, &text) == 1)
		n += snprintf(out + n, sizeof(out) - n, "%c%s%s:%.*s|",
		    wl.stream == STREAM_STDERR ? 'e' : 'o',
		    wl.flags & LINE_CUT ? "c" : "",
		    wl.flags & LINE_CONT ? ">" : "", (int)wl.len, text);
	return (out);
}

START_TEST(lines)
{
	uint32_t slot;

	make(RING_OUTPUT, 100, RING_BYTES_MIN, 3);
	slot = begin(1);
	add(slot, STREAM_STDOUT, "a\nbc");
	add(slot, STREAM_STDERR, "bad");
	ck_assert_str_eq(dump(slot, 0), "o:a|");
	add(slot, STREAM_STDOUT, "d\n\n");
	add(slot, STREAM_STDERR, "ly\n");
	add(slot, STREAM_STDOUT, "rest");
	ck_assert_str_eq(dump(slot, 0), "o:a|o:bcd|o:|e:badly|");
	ck_assert_str_eq(dump(slot, Q_STDERR), "e:badly|");
	ck_assert_str_eq(dump(slot, Q_STDOUT), "o:a|o:bcd|o:|");
	ring_eof(&f.r, slot, STREAM_STDERR);
	ring_eof(&f.r, slot, STREAM_STDOUT);
	ck_assert_str_eq(dump(slot, 0), "o:a|o:bcd|o:|e:badly|o:rest|");
	done();
}
END_TEST

/* S0-62, S0-63: the prefix is stored for output, not for builds. */
START_TEST(prefix)
{
	struct ring_view v;
	uint32_t slot;

	make(RING_OUTPUT, 100, RING_BYTES_MIN, 1);
	slot = begin(1);
	add(slot, STREAM_STDERR, "x\n");
	ring_view_get(&f.r, slot, &v);
	ck_assert_mem_eq(ring_view_text(&v, v.off_first), "[stderr] x\n", 11);
	done();
	make(RING_BUILD, 100, RING_BYTES_MIN, 1);
	slot = begin(1);
	add(slot, STREAM_STDERR, "x\n");
	ring_view_get(&f.r, slot, &v);
	ck_assert_mem_eq(ring_view_text(&v, v.off_first), "x\n", 2);
	done();
}
END_TEST

START_TEST(bytes_kept)
{
	static const char raw[] = "a\0b\xff\xfe\r\x1b[0m\n";
	struct ring_view v;
	uint32_t slot;

	make(RING_OUTPUT, 100, RING_BYTES_MIN, 1);
	slot = begin(1);
	ring_append(&f.r, slot, STREAM_STDOUT, raw, sizeof(raw) - 1);
	ring_view_get(&f.r, slot, &v);
	ck_assert_uint_eq(v.last, 1);
	ck_assert_mem_eq(ring_view_text(&v, v.off_first), raw, sizeof(raw) - 1);
	done();
}
END_TEST

START_TEST(line_limit)
{
	char	 line[32], want[32];
	uint32_t slot;
	int	 i;
	struct ring_view v;

	make(RING_OUTPUT, 50, RING_BYTES_MIN, 1);
	slot = begin(1);
	for (i = 1; i <= 1000; i++) {
		snprintf(line, sizeof(line), "line %d\n", i);
		add(slot, STREAM_STDOUT, line);
	}
	ring_view_get(&f.r, slot, &v);
	ck_assert_uint_eq(v.first, 951);
	ck_assert_uint_eq(v.last, 1000);
	snprintf(want, sizeof(want), "o:line 951|");
	ck_assert_int_eq(strncmp(dump(slot, 0), want, strlen(want)), 0);
	done();
}
END_TEST

/* Far more text than the ring holds, in odd pieces. */
START_TEST(wrap)
{
	static char	 buf[70000];
	struct ring_view v;
	struct wire_query q = { 0 };
	struct ring_sel	 sel;
	struct ring_iter it;
	struct wire_line wl;
	const uint8_t	*text;
	char		 want[32];
	uint64_t	 i = 0, n, got = 0;
	uint32_t	 slot;
	int		 round, p[2], first = -1, number;

	ck_assert_int_eq(pipe(p), 0);
	make(RING_OUTPUT, 1000000, RING_BYTES_MIN, 1);
	slot = begin(1);
	for (round = 0; round < 300; round++) {
		n = 0;
		while (n < 20000 + (uint64_t)round * 37 % 9000)
			n += snprintf(buf + n, 32, "%llu\n",
			    (unsigned long long)i++);
		ck_assert_int_eq(write(p[1], buf, n), (ssize_t)n);
		ck_assert_int_eq(ring_read(&f.r, slot, round % 3 == 2 ?
		    STREAM_STDERR : STREAM_STDOUT, p[0], RING_READ_MAX), n);
	}
	ring_view_get(&f.r, slot, &v);
	ck_assert_uint_eq(v.last, i);
	ck_assert_uint_gt(v.first, 1);
	ring_sel_get(&f.r, slot, &q, &sel);
	ring_iter_at(&it, &sel, 1);
	while (ring_iter_next(&it, &wl, &text) == 1) {
		number = snprintf(want, sizeof(want), "%llu",
		    (unsigned long long)wl.line - 1);
		ck_assert_uint_eq(wl.len, (uint32_t)number);
		ck_assert_mem_eq(text, want, number);
		if (first == -1)
			first = wl.line;
		got++;
	}
	ck_assert_uint_eq(got, v.last - v.first + 1);
	/* Most of the ring is in use: at most two records are given up. */
	ck_assert_uint_gt(got * 8, RING_BYTES_MIN - 250000);
	done();
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(overlong)
{
	static char	 big[200000];
	const char	*s;
	uint32_t	 slot;
	int		 p[2], i, way;
	size_t		 n;

	for (way = 0; way < 3; way++) {
		ck_assert_int_eq(pipe(p), 0);
		ck_assert_int_ge(fcntl(p[1], F_SETPIPE_SZ, 1 << 20), 1 << 20);
		make(RING_OUTPUT, 100, 1 << 20, 1);
		slot = begin(1);
		memset(big, 'x', sizeof(big));
		big[2] = '\n';
		big[sizeof(big) - 4] = '\n';
		ck_assert_int_eq(write(p[1], big, sizeof(big)), sizeof(big));
		/* at once; in small pieces; as stderr */
		do {
			i = ring_read(&f.r, slot, way == 2, p[0],
			    way == 1 ? 777 : RING_READ_MAX);
			ck_assert_int_ge(i, 0);
		} while (i > 0);
		ring_eof(&f.r, slot, way == 2);
		s = dump(slot, 0);
		ck_assert_int_eq(strncmp(s + 1, ":xx|", 4), 0);
		for (n = 0, i = 0; s[n] != '\0'; n++)
			if (s[n] == '|')
				i++;
		ck_assert_int_eq(i, 1 + 4 + 1);
		ck_assert_ptr_nonnull(strstr(s, way == 2 ? "|ec:x" : "|oc:x"));
		ck_assert_ptr_nonnull(strstr(s, way == 2 ? "|ec>:x" : "|oc>:x"));
		ck_assert_ptr_nonnull(strstr(s, way == 2 ? "|e>:x" : "|o>:x"));
		ck_assert_ptr_nonnull(strstr(s, way == 2 ? "|e:xxx|" :
		    "|o:xxx|"));
		done();
		close(p[0]);
		close(p[1]);
	}
}
END_TEST

START_TEST(runs)
{
	uint32_t all[8], n, i, slot;
	struct ring_view v;
	char text[32];

	make(RING_OUTPUT, 100, RING_BYTES_MIN, 3);
	ck_assert_uint_eq(ring_run_index(&f.r, -1, &n), 0);
	ck_assert_uint_eq(n, 0);
	for (i = 1; i <= 5; i++) {
		slot = begin(i);
		snprintf(text, sizeof(text), "run %u\n", i);
		add(slot, STREAM_STDOUT, text);
		ring_run_end(&f.r, i, 2000, 7, 0);
		ring_unpin(&f.r, slot);
	}
	n = ring_runs(&f.r, all);
	ck_assert_uint_eq(n, 3);
	ck_assert_uint_eq(all[0], 3);
	ck_assert_uint_eq(all[2], 5);
	ck_assert_uint_eq(ring_run_index(&f.r, -1, &n), 5);
	ck_assert_uint_eq(ring_run_index(&f.r, -3, &n), 3);
	ck_assert_uint_eq(ring_run_index(&f.r, -4, &n), 0);
	ck_assert_uint_eq(ring_run_index(&f.r, 0, &n), 3);
	ck_assert_uint_eq(ring_run_index(&f.r, 2, &n), 5);
	ck_assert_uint_eq(ring_run_index(&f.r, 3, &n), 0);
	ck_assert_uint_eq(ring_run_slot(&f.r, 2), RING_NONE);
	ck_assert_int_eq(ring_run_begin(&f.r, 2, 1), -1);
	ck_assert_int_eq(ring_run_begin(&f.r, 5, 1), 0);
	slot = ring_run_slot(&f.r, 4);
	ck_assert_int_eq(ring_pin(&f.r, slot), 0);
	ck_assert_str_eq(dump(slot, 0), "o:run 4|");
	ring_view_get(&f.r, slot, &v);
	ck_assert_int_eq(v.st.exit_code, 7);
	ck_assert_uint_ne(v.st.flags & RING_ENDED, 0);
	/* What a reader copied of a run that has gone since is void. */
	ck_assert_int_eq(ring_view_valid(&v, v.off_first), 1);
	ring_run_begin(&f.r, 7, 1);
	ck_assert_int_eq(ring_view_valid(&v, v.off_first), 0);
	done();
}
END_TEST

START_TEST(reopen)
{
	uint32_t slot;

	make(RING_OUTPUT, 100, RING_BYTES_MIN, 2);
	slot = begin(1);
	add(slot, STREAM_STDOUT, "one\ntw");
	ring_close(&f.r);
	ck_assert_int_eq(ring_open(&f.r, f.fd, &f.conf), 0);
	ck_assert_int_eq(ring_pin(&f.r, slot), 0);
	add(slot, STREAM_STDOUT, "o\n");
	ck_assert_str_eq(dump(slot, 0), "o:one|o:two|");
	ring_close(&f.r);
	f.conf.lines = 99;
	ck_assert_int_eq(ring_open(&f.r, f.fd, &f.conf), -1);
	f.conf.lines = 100;
	f.conf.run_bytes = 12345;
	ck_assert_int_eq(ring_open(&f.r, f.fd, &f.conf), -1);
	close(f.fd);
}
END_TEST

START_TEST(selection)
{
	struct wire_query q;
	struct ring_sel sel;
	uint32_t slot;
	int i;

	make(RING_OUTPUT, 100, RING_BYTES_MIN, 1);
	slot = begin(1);
	for (i = 0; i < 10; i++) {
		add(slot, STREAM_STDOUT, "o\n");
		add(slot, STREAM_STDERR, "e\n");
	}
	memset(&q, 0, sizeof(q));
	q.flags = Q_STDERR;
	ring_sel_get(&f.r, slot, &q, &sel);
	ck_assert_uint_eq(ring_sel_count(&sel), 10);
	ck_assert_uint_eq(ring_sel_nth(&sel, 0), 2);
	ck_assert_uint_eq(ring_sel_nth(&sel, 9), 20);
	q.flags = Q_CURSOR;
	q.cursor_run = 1;
	q.cursor_line = 15;
	ring_sel_get(&f.r, slot, &q, &sel);
	ck_assert_uint_eq(sel.first, 16);
	ck_assert_uint_eq(ring_sel_count(&sel), 5);
	q.flags = 0;
	q.since_ms = UINT64_MAX;
	ring_sel_get(&f.r, slot, &q, &sel);
	ck_assert_uint_eq(ring_sel_count(&sel), 0);
	q.since_ms = 1;
	q.before_ms = 2;
	ring_sel_get(&f.r, slot, &q, &sel);
	ck_assert_uint_eq(ring_sel_count(&sel), 0);
	done();
}
END_TEST

/* --- killed at every step ------------------------------------------------- */

#define STREAM_BYTES	700000

enum { KILL_STEPS, KILL_ANYWHERE };	/* at a step of ring.c; anywhere */

static int	 countdown;

static void
step(int n)
{
	(void)n;
	if (--countdown == 0)
		kill(getpid(), SIGKILL);
}

/* What a stream writes: numbered lines, now and then an overlong one. */
static char *
script(uint32_t stream, size_t *len)
{
	char	*s = malloc(STREAM_BYTES + 200000);
	size_t	 n = 0;
	int	 i;

	ck_assert_ptr_nonnull(s);
	for (i = 0; n < STREAM_BYTES; i++) {
		n += sprintf(s + n, "%c%06d ", "OE"[stream], i);
		memset(s + n, 'a' + i % 26, i % 700);
		n += i % 700;
		if (i % 301 == 300) {
			memset(s + n, 'L', 140000);
			n += 140000;
		}
		s[n++] = '\n';
	}
	memcpy(s + n, "rest", 4);
	*len = n + 4;
	return (s);
}

static void
feeder(int fds[RING_STREAMS])
{
	char	*s[RING_STREAMS];
	size_t	 len[RING_STREAMS], at[RING_STREAMS] = { 0, 0 }, n;
	int	 i;
	ssize_t	 k;

	srandom(7);
	for (i = 0; i < RING_STREAMS; i++)
		s[i] = script(i, &len[i]);
	while (at[0] < len[0] || at[1] < len[1]) {
		i = random() & 1;
		n = 1 + random() % (random() % 8 == 0 ? 60000 : 300);
		if (n > len[i] - at[i])
			n = len[i] - at[i];
		if (n == 0)
			continue;
		k = write(fds[i], s[i] + at[i], n);
		if (k <= 0)
			_exit(1);
		at[i] += k;
	}
	_exit(0);
}

/* Reads until both streams are at their end, or it is killed. */
static void
reader(int fds[RING_STREAMS], int seed, int how)
{
	struct pollfd	p[RING_STREAMS];
	struct ring	r;
	uint32_t	slot, i, open = RING_STREAMS;
	ssize_t		n;

	srandom(seed);
	countdown = 1 + random() % 12;
	if (how == KILL_STEPS)
		ring_step = step;
	if (ring_open(&r, f.fd, &f.conf) == -1 ||
	    ring_run_begin(&r, 1, 1) == -1)
		_exit(2);
	slot = ring_run_slot(&r, 1);
	if (ring_pin(&r, slot) == -1)
		_exit(3);
	for (i = 0; i < RING_STREAMS; i++) {
		p[i].fd = fds[i];
		p[i].events = POLLIN;
	}
	while (open > 0) {
		if (poll(p, RING_STREAMS, -1) == -1)
			_exit(4);
		for (i = 0; i < RING_STREAMS; i++) {
			if (p[i].fd == -1 || p[i].revents == 0)
				continue;
			n = ring_read(&r, slot, i, fds[i],
			    1 + random() % 20000);
			if (n == -1)
				_exit(5);
			if (n == 0 && (p[i].revents & POLLIN) == 0) {
				ring_eof(&r, slot, i);
				p[i].fd = -1;
				open--;
			}
		}
	}
	_exit(0);
}

/* The text of one stream as it was written, put together from the ring. */
static void
compare(uint32_t slot, uint32_t stream)
{
	struct wire_query	 q;
	struct ring_sel		 sel;
	struct ring_iter	 it;
	struct wire_line	 wl;
	const uint8_t		*text;
	char			*want, *got;
	size_t			 len, n = 0;

	want = script(stream, &len);
	got = malloc(len + 100000);
	memset(&q, 0, sizeof(q));
	q.flags = stream == STREAM_STDERR ? Q_STDERR : Q_STDOUT;
	ring_sel_get(&f.r, slot, &q, &sel);
	ring_iter_at(&it, &sel, 1);
	while (ring_iter_next(&it, &wl, &text) == 1) {
		ck_assert_uint_le(n + wl.len + 1, len + 100000);
		memcpy(got + n, text, wl.len);
		n += wl.len;
		if (!(wl.flags & LINE_CUT))
			got[n++] = '\n';
	}
	/* "rest" had no newline, but is a line. */
	ck_assert_uint_eq(n, len + 1);
	ck_assert_int_eq(memcmp(got, want, len), 0);
	free(got);
	free(want);
}

START_TEST(killed)
{
	int	 out[RING_STREAMS][2], rd[RING_STREAMS], wr[RING_STREAMS];
	int	 i, status, kills = 0, how;
	uint32_t slot;
	pid_t	 feed, pid;

	how = _i % 4 < 2 ? KILL_STEPS : KILL_ANYWHERE;
	make(_i % 2 == 0 ? RING_OUTPUT : RING_BUILD, 1000000, 8 << 20, 1);
	ring_close(&f.r);
	for (i = 0; i < RING_STREAMS; i++) {
		ck_assert_int_eq(pipe(out[i]), 0);
		rd[i] = out[i][0];
		wr[i] = out[i][1];
	}
	if ((feed = fork()) == 0)
		feeder(wr);
	close(wr[0]);
	close(wr[1]);
	for (;;) {
		if ((pid = fork()) == 0)
			reader(rd, kills + 1000 * _i, how);
		if (how == KILL_ANYWHERE) {
			usleep(random() % 900);
			kill(pid, SIGKILL);
		}
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status))
			break;
		ck_assert_int_eq(WTERMSIG(status), SIGKILL);
		kills++;
	}
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	ck_assert_int_eq(waitpid(feed, &status, 0), feed);
	ck_assert_int_ge(kills, how == KILL_STEPS ? 100 : 0);
	ck_assert_int_eq(ring_open(&f.r, f.fd, &f.conf), 0);
	slot = ring_run_slot(&f.r, 1);
	ck_assert_int_eq(ring_pin(&f.r, slot), 0);
	compare(slot, STREAM_STDOUT);
	compare(slot, STREAM_STDERR);
	done();
	close(rd[0]);
	close(rd[1]);
}
END_TEST

START_TEST(count)
{
	static char buf[10000];
	size_t i, n, want;

	for (i = 0; i < sizeof(buf); i++)
		buf[i] = (i * 7919) % 13 == 0 ? '\n' : 'x';
	for (n = 0; n < 9000; n += 1 + n / 7) {
		for (i = 0, want = 0; i < n; i++)
			want += buf[3 + i] == '\n';
		ck_assert_uint_eq(ring_count_lines(buf + 3, n), want);
	}
	memset(buf, '\n', sizeof(buf));
	ck_assert_uint_eq(ring_count_lines(buf, sizeof(buf)), sizeof(buf));
}
END_TEST

Suite *
ring_suite(void)
{
	Suite *s = suite_create("ring");
	TCase *t = tcase_create("ring");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, lines);
	tcase_add_test(t, prefix);
	tcase_add_test(t, bytes_kept);
	tcase_add_test(t, line_limit);
	tcase_add_test(t, wrap);
	tcase_add_test(t, overlong);
	tcase_add_test(t, runs);
	tcase_add_test(t, reopen);
	tcase_add_test(t, selection);
	tcase_add_test(t, count);
	/* Under valgrind a reader dies before it gets anywhere, for ever. */
	if (getenv("UNIT_SHORT") == NULL)
		tcase_add_loop_test(t, killed, 0, 16);
	else
		puts("skip: ring \"killed\" (16 checks) under valgrind");
	suite_add_tcase(s, t);
	return (s);
}
