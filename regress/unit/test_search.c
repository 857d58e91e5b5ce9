/*
 * Patterns against lines: every way of searching finds the same lines as
 * `grep -aP`; then a worker's whole answer: context, head and tail, budget
 * (S0-72 to S0-78).
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "match.h"
#include "searcher.h"
#include "unit.h"
#include "util.h"

UNIT_SUITE(search);

static char	 text[65536];
static size_t	 text_len;

/* Lines with everything that makes trouble. */
static void
corpus(void)
{
	static const char *const parts[] = { "error", "timeout", " ", "x", "xx",
		"y", "Foo", "foo", "\t", "panic", "a b", "9", "12.5", "\r",
		"\xff\xfe", "[stderr] ", ".", "latency_ms=", "=", "ab", "" };
	size_t	i, n;

	srandom(42);
	for (i = 0; text_len < sizeof(text) - 400; i++) {
		for (n = random() % 8; n > 0; n--)
			text_len += sprintf(text + text_len, "%s",
			    parts[random() % nitems(parts)]);
		text[text_len++] = '\n';
	}
	text_len += sprintf(text + text_len, "\n\n");
}

static const char *const patterns[] = {
	"error", "error.*timeout", "(?i)foo", "FOO", "^$", "^", "$", "x*",
	"(x+x+)+y", "panic|timeout|9", "^error", "timeout$", "\\bab\\b",
	"[0-9]+\\.[0-9]", "latency_ms=[0-9]", "\\s", "\\s+$", "^\\s", "[^a-z]",
	"[^x]*y", "(?!foo)...$", "(?<=foo)x", "\\Aerror", "error\\z", "error\\Z",
	"\\s++$", "(?>x+)y", "a.b", "a\\sb", "\\r$", ".\\xff", "^.{3}$",
	"\\S+\\s\\S+", "error|.*panic", "(error|foo)(x|y)", "foo(?=x)", "\\W$",
	"\\d$", "^\\D*$", "[stderr\\] ]+x", "^\\[stderr\\] ", "\\v", "\\R",
	"error[^q]+panic", "\\x0a", "(?s)error.", "x{3,}", "(ab)+", "[[:digit:]]"
};

/* The numbers of the matching lines, as text. */
static char *
lines_of(struct match *m)
{
	const uint8_t	*base = (const uint8_t *)text, *p = base;
	const uint8_t	*end = base + text_len, *ls, *le;
	static char	 out[1 << 20];
	size_t		 n = 0, line = 1;
	int		 rc;

	out[0] = '\0';
	while ((rc = match_next(m, p, end, &ls, &le)) == 1) {
		ck_assert(ls >= p);
		ck_assert_int_eq(*le, '\n');
		for (; p < ls; p++)
			line += *p == '\n';
		n += sprintf(out + n, "%zu\n", line);
		p = le + 1;
		line++;
	}
	ck_assert_int_eq(rc, 0);
	return (out);
}

static char *
grep_of(const char *pattern)
{
	static char	 out[1 << 20];
	char		 path[] = "/tmp/keepd-unit.XXXXXX", cmd[512];
	size_t		 n = 0, k;
	FILE		*f;
	int		 fd = mkstemp(path);

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(write_all(fd, text, text_len), 0);
	close(fd);
	setenv("P", pattern, 1);
	snprintf(cmd, sizeof(cmd), "LC_ALL=C grep -aPn -e \"$P\" %s | "
	    "LC_ALL=C sed 's/:.*//'", path);
	f = popen(cmd, "r");
	ck_assert_ptr_nonnull(f);
	while ((k = fread(out + n, 1, sizeof(out) - 1 - n, f)) > 0)
		n += k;
	out[n] = '\0';
	pclose(f);
	unlink(path);
	return (out);
}

START_TEST(ways)
{
	static const char *const names[] = { "literal", "filter", "block",
		"line" };
	struct match_error	 e;
	struct match		*m;
	const char		*p = patterns[_i];
	char			*want;
	size_t			 w;
	int			 jit;

	corpus();
	want = strdup(grep_of(p));
	for (jit = 0; jit < 2; jit++) {
		m = match_new((const uint8_t *)p, strlen(p), 0, jit, &e);
		ck_assert_msg(m != NULL, "%s: %s", p, e.text);
		match_tune(m, (const uint8_t *)text, text_len);
		ck_assert_msg(strcmp(lines_of(m), want) == 0, "%s by %s", p,
		    match_way(m));
		for (w = 0; w < nitems(names); w++) {
			if (match_force(m, names[w]) == -1)
				continue;
			ck_assert_msg(strcmp(lines_of(m), want) == 0,
			    "%s by %s", p, names[w]);
		}
		match_free(m);
	}
	free(want);
}
END_TEST

START_TEST(bad)
{
	static const char *const t[] = { "(", "[a", "a**b(", "\\", "(?<n", "\\C",
		"(*UTF)a", "(*UCP)a", "x{99999}" };
	struct match_error	 e;
	struct match		*m;
	size_t			 i;

	for (i = 0; i < nitems(t); i++) {
		m = match_new((const uint8_t *)t[i], strlen(t[i]), 0, 1, &e);
		ck_assert_msg(m == NULL, "%s", t[i]);
		ck_assert_str_ne(e.text, "");
	}
	m = match_new((const uint8_t *)"", 0, 0, 1, &e);
	ck_assert_ptr_nonnull(m);
	corpus();
	ck_assert_int_gt(strlen(lines_of(m)), 100);
	match_free(m);
}
END_TEST

/* --- whole answers -------------------------------------------------------- */

static struct ring		 ring;
static struct wire_ring		 conf;
static struct wire_end		 end;
static char			 shown[1 << 16];

static void
fill(void)
{
	static const char *const l[] = { "one", "two", "three", "four", "five",
		"six", "seven", "eight", "nine", "ten" };
	char	 line[32];
	uint32_t slot;
	size_t	 i;
	int	 fd = memfd_create("ring", MFD_CLOEXEC);

	memset(&conf, 0, sizeof(conf));
	conf.kind = RING_OUTPUT;
	conf.lines = 100;
	conf.run_bytes = RING_BYTES_MIN;
	conf.runs = 2;
	conf.size = ring_layout_size(conf.lines, conf.run_bytes, conf.runs);
	ck_assert_int_eq(ftruncate(fd, conf.size), 0);
	ck_assert_int_eq(ring_open(&ring, fd, &conf), 0);
	ck_assert_int_eq(ring_run_begin(&ring, 1, 1), 0);
	slot = ring_run_slot(&ring, 1);
	ck_assert_int_eq(ring_pin(&ring, slot), 0);
	for (i = 0; i < nitems(l); i++) {
		snprintf(line, sizeof(line), "%s\n", l[i]);
		ring_append(&ring, slot, i % 3 == 2, line, strlen(line));
	}
	ck_assert_int_eq(ring_run_begin(&ring, 2, 2), 0);
	slot = ring_run_slot(&ring, 2);
	ck_assert_int_eq(ring_pin(&ring, slot), 0);
	ring_append(&ring, slot, 0, "one again\n", 10);
}

static void
render(const uint8_t *p, size_t n)
{
	struct wire_line	 wl;
	size_t			 k = strlen(shown);

	while (n > 0) {
		memcpy(&wl, p, sizeof(wl));
		k += snprintf(shown + k, sizeof(shown) - k, "%s%s%.*s%s|",
		    wl.flags & LINE_MATCH ? "*" : "",
		    wl.stream == STREAM_STDERR ? "!" : "", (int)wl.len,
		    p + sizeof(wl), "");
		p += sizeof(wl) + wl.len;
		n -= sizeof(wl) + wl.len;
	}
}

/* Run a worker's function and take its answer apart. */
static const char *
ask(const char *pattern, struct wire_query *q)
{
	static uint8_t		 buf[sizeof(struct answer_hdr) + FRAME_MAX];
	struct wire_search	 ws;
	struct answer_hdr	 h;
	FILE			*in;
	int			 p[2], status;
	pid_t			 pid;

	memset(&ws, 0, sizeof(ws));
	ws.query = *q;
	ws.query.flags |= Q_PATTERN;
	if (ws.query.index == 0 && !(q->flags & Q_ALL_RUNS))
		ws.query.index = 1;
	ws.jit = 1;
	ws.pattern_len = strlen(pattern);
	ck_assert_int_eq(pipe(p), 0);
	if ((pid = fork()) == 0) {
		close(p[0]);
		work_run(&ring, &ws, (const uint8_t *)pattern, p[1]);
		_exit(0);
	}
	close(p[1]);
	shown[0] = '\0';
	in = fdopen(p[0], "r");
	for (;;) {
		ck_assert_uint_eq(fread(&h, sizeof(h), 1, in), 1);
		ck_assert_uint_le(h.len, FRAME_MAX);
		ck_assert_uint_eq(fread(buf, 1, h.len, in), h.len);
		if (h.type == ANSWER_END)
			break;
		render(buf, h.len);
	}
	memcpy(&end, buf, sizeof(end));
	fclose(in);
	waitpid(pid, &status, 0);
	return (shown);
}

START_TEST(answers)
{
	static const struct {
		const char	*pattern;
		uint32_t	 flags, context, head, tail, bytes;
		const char	*want;
		uint32_t	 matches, shown, elided;
	} t[] = {
		{ "tw|te", 0, 0, 0, 0, 0, "*two|*ten|", 2, 2, 0 },
		{ "^e", 0, 1, 0, 0, 0, "seven|*eight|!nine|", 1, 3, 0 },
		{ "o", 0, 1, 0, 0, 0,
		    "*one|*two|!three|*four|five|", 3, 5, 0 },
		{ "ee|fi", 0, 1, 0, 0, 0,
		    "two|*!three|four|*five|!six|", 2, 5, 0 },
		{ "ee|fi", 0, 1, 0, 0, 0,
		    "two|*!three|four|*five|!six|", 2, 5, 0 },
		{ "ee|fi", Q_HEAD, 1, 2, 0, 0, "two|*!three|", 2, 2, 3 },
		{ "ee|fi", Q_TAIL, 1, 0, 2, 0, "*five|!six|", 2, 2, 3 },
		{ "ee|fi", Q_TAIL, 1, 0, 99, 0,
		    "two|*!three|four|*five|!six|", 2, 5, 0 },
		{ "ee|fi", Q_HEAD, 1, 0, 0, 0, "", 2, 0, 5 },
		{ "ee|fi", Q_TAIL, 1, 0, 0, 0, "", 2, 0, 5 },
		{ "zzz", 0, 3, 0, 0, 0, "", 0, 0, 0 },
		{ "stderr", 0, 0, 0, 0, 0, "*!three|*!six|*!nine|", 3, 3, 0 },
		{ "e", Q_STDERR, 0, 0, 0, 0, "*!three|*!six|*!nine|", 3, 3, 0 },
		{ "six", Q_STDERR, 1, 0, 0, 0, "!three|*!six|!nine|", 1, 3, 0 },
		{ "four", Q_STDOUT, 2, 0, 0, 0,
		    "one|two|*four|five|seven|", 1, 5, 0 },
		{ "ONE", Q_ICASE, 0, 0, 0, 0, "*one|", 1, 1, 0 },
		{ "e", 0, 0, 0, 0, 8, "*one|*!three|", 8, 2, 6 },
		{ "e", Q_HEAD, 0, 3, 0, 5, "*one|", 8, 1, 7 },
		{ "one", Q_ALL_RUNS, 0, 0, 0, 0, "*one|*one again|", 2, 2, 0 },
		{ "one", Q_ALL_RUNS | Q_TAIL, 1, 0, 2, 0,
		    "two|*one again|", 2, 2, 1 },
		{ "", 0, 0, 0, 0, 4, "*one|", 10, 1, 9 },
	};
	struct wire_query	 q;
	const char		*got;
	size_t			 i;

	fill();
	for (i = 0; i < nitems(t); i++) {
		memset(&q, 0, sizeof(q));
		q.flags = t[i].flags;
		q.context = t[i].context;
		q.head = t[i].head;
		q.tail = t[i].tail;
		q.max_bytes = t[i].bytes;
		got = ask(t[i].pattern, &q);
		ck_assert_msg(strcmp(got, t[i].want) == 0, "%zu %s: %s", i,
		    t[i].pattern, got);
		ck_assert_uint_eq(end.code, END_OK);
		ck_assert_msg(end.matches == t[i].matches &&
		    end.shown == t[i].shown && end.elided == t[i].elided,
		    "%zu %s: %u %u %u", i, t[i].pattern, (unsigned)end.matches,
		    (unsigned)end.shown, (unsigned)end.elided);
	}
}
END_TEST

/* Piece by piece by cursor gives the same as at once. */
START_TEST(cursor)
{
	struct wire_query q;
	char all[1000] = "";
	int i;

	fill();
	memset(&q, 0, sizeof(q));
	q.max_bytes = 6;
	for (i = 0; i < 20; i++) {
		strlcat(all, ask("e", &q), sizeof(all));
		if (!end.truncated)
			break;
		q.flags |= Q_CURSOR;
		q.cursor_run = end.next_run;
		q.cursor_line = end.next_line;
	}
	ck_assert_str_eq(all,
	    "*one|*!three|*five|*!six|*seven|*eight|*!nine|*ten|");
	ck_assert_uint_eq(end.next_line, 10);
}
END_TEST

START_TEST(waits)
{
	struct wire_query q;

	fill();
	memset(&q, 0, sizeof(q));
	q.query = QUERY_WAIT_LOG;
	q.flags = Q_CURSOR;
	q.cursor_run = 1;
	q.cursor_line = 3;
	q.context = 1;
	ck_assert_str_eq(ask("e", &q), "four|*five|!six|");
	ck_assert_uint_eq(end.matches, 1);
	q.cursor_line = 10;
	ck_assert_str_eq(ask("e", &q), "");
	ck_assert_uint_eq(end.matches, 0);
	ck_assert_uint_eq(end.next_line, 10);
}
END_TEST

Suite *
search_suite(void)
{
	Suite *s = suite_create("search");
	TCase *t = tcase_create("search");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, ways, 0, nitems(patterns));
	tcase_add_test(t, bad);
	tcase_add_test(t, answers);
	tcase_add_test(t, cursor);
	tcase_add_test(t, waits);
	suite_add_tcase(s, t);
	return (s);
}
