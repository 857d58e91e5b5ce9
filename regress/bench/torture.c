/*
 * The real logger and searcher under hardship: killed while lines pour in,
 * asked with patterns that never end, asked too much, asked by nobody it knows.
 *
 *	torture-logger BUILDTREE [kills]
 *
 * Exit status 0: all held.
 */
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "util.h"

static struct rig	 r;
static const char	*bin;
static int		 failures;

static void
check(int ok, const char *what)
{
	printf("%s %s\n", ok ? "ok" : "FAILED", what);
	fflush(stdout);
	failures += !ok;
}

static struct wire_query
question(uint32_t kind)
{
	struct wire_query q;

	memset(&q, 0, sizeof(q));
	q.query = kind;
	q.index = -1;
	return (q);
}

/* A child that does fn with the write ends; the read ends stay here. */
static pid_t
child(void (*fn)(int, int), int rd[2])
{
	int	o[2], e[2];
	pid_t	pid;

	if (pipe2(o, O_CLOEXEC) == -1 || pipe2(e, O_CLOEXEC) == -1 ||
	    (pid = fork()) == -1)
		err(1, "child");
	if (pid == 0) {
		close(o[0]);
		close(e[0]);
		fn(o[1], e[1]);
		_exit(0);
	}
	close(o[1]);
	close(e[1]);
	rd[0] = o[0];
	rd[1] = e[0];
	return (pid);
}

/* --- killed under load ---------------------------------------------------- */

static int	 load_lines = 200000;

static void
pour(int out, int errfd)
{
	char	buf[256];
	int	i, n;

	for (i = 0; i < load_lines; i++) {
		n = snprintf(buf, sizeof(buf), "%d %.*s\n", i, i % 150,
		    "................................................."
		    "................................................."
		    ".....................................................");
		if (write_all(i % 10 == 9 ? errfd : out, buf, n) == -1)
			_exit(1);
		if (i % 64 == 0)
			usleep(50);
	}
}

struct order {
	int	next[2];	/* number expected on each stream */
	int	bad;
};

static void
order_line(const struct wire_line *wl, const char *text, void *arg)
{
	struct order	*o = arg;
	int		 n = -1, *next = &o->next[wl->stream];
	char		 buf[16];

	snprintf(buf, sizeof(buf), "%.*s", (int)(wl->len < 15 ? wl->len : 15),
	    text);
	sscanf(buf, "%d", &n);
	if (n != *next && o->bad++ < 5)
		fprintf(stderr, "stream %u: %d instead of %d\n", wl->stream, n,
		    *next);
	*next = n + 1;
	if (wl->stream == STREAM_STDOUT && *next % 10 == 9)
		(*next)++;
	if (wl->stream == STREAM_STDERR)
		*next += 9;
}

static void
killed(int kills)
{
	struct wire_query	 q = question(QUERY_WINDOW);
	struct rig_result	 res;
	struct order		 o = { { 0, 9 }, 0 };
	int			 rd[2], i, done = 0;
	pid_t			 pid;

	rig_start(&r, bin, 1 << 20, 64 << 20, 2);
	rig_run(&r, 1);
	pid = child(pour, rd);
	rig_attach(&r, 1, STREAM_STDOUT, rd[0]);
	rig_attach(&r, 1, STREAM_STDERR, rd[1]);
	srandom(getpid());
	for (i = 0; i < kills; i++) {
		usleep(random() % 8000);
		rig_kill(&r);
		rig_again(&r);
		/* What a supervisor does that was told of no end of file. */
		rig_attach(&r, 1, STREAM_STDOUT, rd[0]);
		rig_attach(&r, 1, STREAM_STDERR, rd[1]);
		if (!done && waitpid(pid, NULL, WNOHANG) == pid)
			done = i + 1;
	}
	if (!done)
		waitpid(pid, NULL, 0);
	r.drained = 0;
	rig_wait_drained(&r, 2);
	rig_query(&r, &q, NULL, order_line, &o, &res);
	printf("   (%d kills while it wrote, %llu lines, code %u)\n",
	    done ? done : kills, (unsigned long long)res.lines, res.end.code);
	check(res.lines == (uint64_t)load_lines && o.bad == 0,
	    "kill -9 under load: no line lost, doubled or out of order");
	close(rd[0]);
	close(rd[1]);
	rig_stop(&r);
}

/* --- queries -------------------------------------------------------------- */

static void
some_lines(int out, int errfd)
{
	int i;

	for (i = 1; i <= 1000; i++)
		dprintf(i % 10 == 0 ? errfd : out, "line %d of many\n", i);
	for (i = 0; i < 2000; i++)
		dprintf(out, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx %d\n", i);
}

static void
collect(const struct wire_line *wl, const char *text, void *arg)
{
	char	*buf = arg;
	size_t	 n = strlen(buf);

	snprintf(buf + n, 4096 - n, "%s%.*s|", wl->flags & LINE_MATCH ? "*" : "",
	    (int)wl->len, text);
}

static void
begin_lines(void)
{
	int	rd[2];
	pid_t	pid;

	rig_start(&r, bin, 100000, 4 << 20, 3);
	rig_run(&r, 1);
	pid = child(some_lines, rd);
	rig_attach(&r, 1, STREAM_STDOUT, rd[0]);
	rig_attach(&r, 1, STREAM_STDERR, rd[1]);
	close(rd[0]);
	close(rd[1]);
	waitpid(pid, NULL, 0);
	rig_wait_drained(&r, 2);
}

static void
queries(void)
{
	struct wire_query	 q;
	struct rig_result	 res;
	char			 buf[4096];

	q = question(QUERY_SEARCH);
	q.context = 1;
	q.flags = Q_STDOUT;
	buf[0] = '\0';
	rig_query(&r, &q, "line 12 ", collect, buf, &res);
	check(strcmp(buf, "line 11 of many|*line 12 of many|line 13 of many|")
	    == 0, "search with context");
	q = question(QUERY_WINDOW);
	q.flags = Q_HEAD | Q_STDERR;
	q.head = 2;
	buf[0] = '\0';
	rig_query(&r, &q, NULL, collect, buf, &res);
	check(strcmp(buf, "line 10 of many|line 20 of many|") == 0 &&
	    res.end.matches == 100, "window: head, one stream");
	q.head = 100;
	q.max_bytes = 40;
	rig_query(&r, &q, NULL, NULL, NULL, &res);
	check(res.lines == 2 && res.end.truncated == 1, "window: budget");
	q = question(QUERY_SEARCH);
	q.index = 3;
	rig_query(&r, &q, "x", NULL, NULL, &res);
	check(res.end.code == END_NO_SUCH_RUN && strstr(res.text, "3") != NULL,
	    "S0-71: an index outside");
	q = question(QUERY_SEARCH);
	rig_query(&r, &q, "a(b", NULL, NULL, &res);
	check(res.end.code == END_BAD_PATTERN &&
	    strncmp(res.text, "Invalid regex pattern: a(b", 26) == 0,
	    "S0-73: a bad pattern");
	q.flags = Q_HEAD | Q_TAIL;
	rig_query(&r, &q, "x", NULL, NULL, &res);
	check(res.end.code == END_FAILED, "C-1: head and tail");
	q = question(QUERY_WINDOW);
	q.service = 77;
	rig_query(&r, &q, NULL, NULL, NULL, &res);
	check(res.end.code == END_NO_SUCH_RUN, "a service that is not there");
}

static void
endless(void)
{
	struct wire_query	 q = question(QUERY_SEARCH);
	struct rig_result	 res;
	double			 t = rig_now();

	q.timeout_ms = 700;
	rig_query(&r, &q, "(x+x+)+(y|z)\\1", NULL, NULL, &res);
	t = rig_now() - t;
	printf("   (code %u after %.0f ms: %s)\n", res.end.code, t * 1e3,
	    res.text);
	check((res.end.code == END_TIMEOUT || res.end.code == END_LIMIT) &&
	    t < 1.5, "a catastrophic pattern ends");
	q = question(QUERY_SEARCH);
	rig_query(&r, &q, "line 999 ", NULL, NULL, &res);
	check(res.lines == 1, "and the next search works");
}

/* Searches that never end on one link do not hold up the others. */
static void
crowd(void)
{
	struct wire_query	 q = question(QUERY_SEARCH);
	struct rig_result	 res;
	struct wire_grant	 g;
	uint32_t		 i, timeouts = 0;
	double			 t;

	memset(&g, 0xff, sizeof(g));
	for (i = 1; i <= 3; i++)
		rig_put(&r.sup, IMSG_GRANT, i, -1, &g, sizeof(g));
	usleep(20000);
	q.timeout_ms = 1000;
	for (i = 0; i < 12; i++) {
		q.conn = 1 + i % 3;
		(void)rig_ask(&r, &r.front, &q, "(x+x+)+(y|z)\\1");
	}
	q = question(QUERY_SEARCH);
	t = rig_now();
	rig_query(&r, &q, "line 999 ", NULL, NULL, &res);
	t = rig_now() - t;
	printf("   (%.0f ms beside twelve endless ones)\n", t * 1e3);
	check(res.lines == 1 && t < 0.9, "others' searches go on");
	for (i = 0; i < 12; i++) {
		if (!rig_answer(&r, &r.front, 0, 8000, NULL, NULL, &res))
			break;
		timeouts += res.end.code == END_TIMEOUT;
	}
	check(timeouts == 12, "each of them times out");
}

static void
strangers(void)
{
	struct wire_query	 q = question(QUERY_WINDOW);
	struct rig_result	 res;
	struct wire_grant	 g;
	uint32_t		 id, i;
	int			 ok;

	q.conn = 99;
	id = rig_ask(&r, &r.front, &q, NULL);
	ok = rig_answer(&r, &r.front, id, 2000, NULL, NULL, &res);
	check(ok && res.end.code == END_DENIED, "a connection without a grant");
	memset(&g, 0, sizeof(g));
	rig_put(&r.sup, IMSG_GRANT, 99, -1, &g, sizeof(g));
	usleep(20000);
	id = rig_ask(&r, &r.front, &q, NULL);
	ok = rig_answer(&r, &r.front, id, 2000, NULL, NULL, &res);
	check(ok && res.end.code == END_DENIED, "a grant without the service");
	g.visible[0] = 1;
	rig_put(&r.sup, IMSG_GRANT, 99, -1, &g, sizeof(g));
	usleep(20000);
	id = rig_ask(&r, &r.front, &q, NULL);
	ok = rig_answer(&r, &r.front, id, 2000, NULL, NULL, &res);
	check(ok && res.end.code == END_OK && res.lines > 2000, "a good grant");
	q.query = QUERY_FOLLOW;
	for (i = 0; i < 70; i++) {
		q.flags = Q_TAIL;
		id = rig_ask(&r, &r.front, &q, NULL);
	}
	ok = rig_answer(&r, &r.front, id, 2000, NULL, NULL, &res);
	check(ok && res.end.code == END_BUSY, "too many of one connection");
	rig_put(&r.sup, IMSG_REVOKE, 99, -1, NULL, 0);
	ok = rig_answer(&r, &r.front, id - 10, 2000, NULL, NULL, &res);
	check(ok && res.end.code == END_CANCELLED, "revoked");
}

static void
ticks(int out, int errfd)
{
	int i;

	(void)errfd;
	for (i = 0; i < 5; i++) {
		usleep(20000);
		dprintf(out, "t%d\n", i);
	}
}

static void
follows(void)
{
	struct wire_query	 q = question(QUERY_FOLLOW);
	struct rig_result	 res;
	char			 buf[4096] = "";
	uint32_t		 id;
	int			 rd[2], ok;
	pid_t			 pid;

	q.flags = Q_TAIL;
	q.tail = 1;
	id = rig_ask(&r, &r.sup, &q, NULL);
	rig_run(&r, 3);
	pid = child(ticks, rd);
	rig_attach(&r, 3, STREAM_STDOUT, rd[0]);
	rig_attach(&r, 3, STREAM_STDERR, rd[1]);
	close(rd[0]);
	close(rd[1]);
	ok = rig_answer(&r, &r.sup, id, 500, collect, buf, &res);
	check(!ok && strcmp(buf, "last words|t0|t1|t2|t3|t4|") == 0,
	    "follow: over a new run, line by line");
	rig_put(&r.sup, IMSG_CANCEL, id, -1, NULL, 0);
	ok = rig_answer(&r, &r.sup, id, 1000, NULL, NULL, &res);
	check(ok && res.end.code == END_CANCELLED, "follow: cancelled");
	waitpid(pid, NULL, 0);
}

/* --- waits ---------------------------------------------------------------- */

static void
slowly(int out, int errfd)
{
	int i;

	(void)errfd;
	for (i = 0; i < 50; i++) {
		dprintf(out, "tick %d\n", i);
		usleep(10000);
	}
	dprintf(out, "server ready on port 80\nand more\n");
	usleep(400000);
	dprintf(out, "last words");
}

static void
waits(void)
{
	struct wire_query	 q;
	struct rig_result	 res;
	char			 buf[4096] = "";
	int			 rd[2];
	double			 t;
	pid_t			 pid;

	rig_run_end(&r, 1, 3);
	q = question(QUERY_WAIT_LOG);
	q.timeout_ms = 3000;
	rig_query(&r, &q, "never", NULL, NULL, &res);
	check(res.end.code == END_EXITED && res.end.exit_code == 3,
	    "wait: the run has ended");
	rig_run(&r, 2);
	pid = child(slowly, rd);
	rig_attach(&r, 2, STREAM_STDOUT, rd[0]);
	rig_attach(&r, 2, STREAM_STDERR, rd[1]);
	close(rd[0]);
	close(rd[1]);
	q.context = 1;
	t = rig_now();
	rig_query(&r, &q, "ready.*\\d+", collect, buf, &res);
	t = rig_now() - t;
	check(res.end.code == END_MATCHED && t < 1.0 &&
	    strstr(buf, "*server ready on port 80|") != NULL, "wait: matched");
	q = question(QUERY_WAIT_LOG);
	q.flags = Q_SINCE_RUN;
	q.timeout_ms = 3000;
	rig_query(&r, &q, "tick 3$", NULL, NULL, &res);
	check(res.end.code == END_MATCHED, "wait: since the run began");
	q = question(QUERY_WAIT_LOG);
	q.timeout_ms = 50;
	rig_query(&r, &q, "never", NULL, NULL, &res);
	check(res.end.code == END_WAIT_TIMEOUT, "wait: time is up");
	q = question(QUERY_WAIT_QUIET);
	q.quiet_ms = 100;
	q.timeout_ms = 3000;
	rig_query(&r, &q, NULL, NULL, NULL, &res);
	check(res.end.code == END_SETTLED, "wait: quiet");
	waitpid(pid, NULL, 0);
	rig_run_end(&r, 2, 0);
	q = question(QUERY_WAIT_LOG);
	q.flags = Q_SINCE_RUN;
	q.timeout_ms = 3000;
	rig_query(&r, &q, "last words", NULL, NULL, &res);
	check(res.end.code == END_MATCHED, "wait: an unterminated last line");
}

int
main(int argc, char *argv[])
{
	if (argc < 2)
		errx(2, "usage: torture-logger BUILDTREE [kills]");
	bin = argv[1];
	begin_lines();
	queries();
	endless();
	crowd();
	strangers();
	waits();
	follows();
	rig_stop(&r);
	killed(argc > 2 ? atoi(argv[2]) : 100);
	return (failures != 0);
}
