/*
 * Times, durations, quoting, UTF-8, patterns; and that a log line stays one
 * line.
 */
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "log.h"
#include "unit.h"
#include "util.h"

UNIT_SUITE(util);

#define DAY	86400000ULL

START_TEST(duration)
{
	static const struct {
		const char	*text;
		uint64_t	 ms;
	} good[] = {
		{ "0s", 0 }, { "500ms", 500 }, { "2s", 2000 },
		{ "90m", 5400000 }, { "1h", 3600000 }, { "3d", 3 * DAY },
		{ "18446744073709551615ms", UINT64_MAX },
		{ "18446744073709551s", 18446744073709551000ULL }
	};
	static const char *const bad[] = { "", "5", "ms", "5 s", " 5s", "5S",
		"-5s", "+5s", "5ss", "1h30m", "1.5h", "5sec", "0x5s",
		"18446744073709551616ms", "18446744073709552s",
		"99999999999999999999999999d", "213503982335d" };
	uint64_t	ms;
	size_t		i;

	for (i = 0; i < nitems(good); i++) {
		ck_assert_msg(parse_duration(good[i].text, &ms) == 0, "%s",
		    good[i].text);
		ck_assert_msg(ms == good[i].ms, "%s", good[i].text);
	}
	ms = 42;
	for (i = 0; i < nitems(bad); i++)
		ck_assert_msg(parse_duration(bad[i], &ms) == -1, "%s", bad[i]);
	ck_assert(ms == 42);
}
END_TEST

START_TEST(when)
{
	static const struct {
		const char	*text;
		uint64_t	 ms;
	} good[] = {
		{ "1970-01-01T00:00:00Z", 0 },
		{ "2026-11-20T10:00:00.000Z", 1795168800000ULL },
		{ "2026-11-20t10:00:00.25z", 1795168800250ULL },
		{ "2026-11-20 10:00:00.1239Z", 1795168800123ULL },
		{ "2026-11-20T12:30:00+02:30", 1795168800000ULL },
		{ "2026-11-20T09:00:00-01:00", 1795168800000ULL },
		{ "2024-02-29T00:00:00Z", 1709164800000ULL },
		{ "10m", 1000 * DAY - 600000 },
		{ "500ms", 1000 * DAY - 500 },
		{ "2000d", 0 }
	};
	static const char *const bad[] = { "", "now", "5", "2026-11-20",
		"2026-11-20T10:00:00", "2026-11-20T10:00Z",
		"2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2025-02-29T00:00:00Z", "2026-02-30T00:00:00Z",
		"2026-11-20T24:00:00Z", "2026-11-20T10:60:00Z",
		"2026-11-20T10:00:00.Z", "2026-11-20T10:00:00Zx",
		"2026-11-20T10:00:00+0200", "2026-11-20T10:00:00+24:00",
		"1970-01-01T00:00:00+01:00", "1969-12-31T23:59:59Z",
		"20261120T100000Z", "-026-11-20T10:00:00Z" };
	uint64_t	ms;
	size_t		i;

	for (i = 0; i < nitems(good); i++) {
		ck_assert_msg(parse_when(good[i].text, 1000 * DAY, &ms) == 0,
		    "%s", good[i].text);
		ck_assert_msg(ms == good[i].ms, "%s: %llu", good[i].text,
		    (unsigned long long)ms);
	}
	for (i = 0; i < nitems(bad); i++)
		ck_assert_msg(parse_when(bad[i], 1000 * DAY, &ms) == -1, "%s",
		    bad[i]);
}
END_TEST

START_TEST(rfc3339_text)
{
	char		buf[RFC3339_SIZE];
	uint64_t	ms, back;

	ck_assert_str_eq(rfc3339(1795168800007ULL, buf, sizeof(buf)),
	    "2026-11-20T10:00:00.007Z");
	ck_assert_str_eq(rfc3339(0, buf, sizeof(buf)),
	    "1970-01-01T00:00:00.000Z");
	ck_assert_str_eq(rfc3339(UINT64_MAX, buf, sizeof(buf)),
	    "9999-12-31T23:59:59.999Z");
	for (ms = 1; ms < 4000000000000ULL; ms = ms * 7 + 13) {
		ck_assert_int_eq(parse_when(rfc3339(ms, buf, sizeof(buf)), 0,
		    &back), 0);
		ck_assert(ms == back);
	}
}
END_TEST

START_TEST(clocks)
{
	uint64_t	ms = mono_ms(), us = mono_us();

	ck_assert(us / 1000 >= ms);
	ck_assert(now_ms() > 1600000000000ULL);
}
END_TEST

static void
check_display(const char *want, char *a, char *b, char *c)
{
	char	*argv[4] = { a, b, c, NULL };
	char	 buf[128], few[6];

	ck_assert_uint_eq(argv_display(buf, sizeof(buf), argv), strlen(want));
	ck_assert_str_eq(buf, want);
	ck_assert_uint_eq(argv_display(few, sizeof(few), argv), strlen(want));
	ck_assert_int_eq(strncmp(few, want, 5), 0);
	ck_assert_uint_le(strlen(few), 5);
	ck_assert_uint_eq(argv_display(NULL, 0, argv), strlen(want));
}

START_TEST(display)
{
	char	npm[] = "npm", run[] = "run", dev[] = "dev:all";
	char	empty[] = "", quote[] = "it's", dollar[] = "$HOME x";
	char	assign[] = "A=b", star[] = "*.c", hash[] = "#1";

	check_display("npm run dev:all", npm, run, dev);
	check_display("npm '' 'it'\\''s'", npm, empty, quote);
	check_display("'A=b' A=b '$HOME x'", assign, assign, dollar);
	check_display("npm '*.c' '#1'", npm, star, hash);
	check_display("npm", npm, NULL, NULL);
	check_display("", NULL, NULL, NULL);
}
END_TEST

#define U	"\xef\xbf\xbd"

static void
check_clean(const char *src, size_t len, const char *want)
{
	char	*in, *dst;
	size_t	 n;

	/* exactly sized, so that valgrind and ASan see one byte too much */
	in = malloc(len + (len == 0));
	dst = malloc(3 * len + 1);
	memcpy(in, src, len);
	n = utf8_clean(dst, in, len);
	ck_assert_uint_eq(n, strlen(want));
	ck_assert_str_eq(dst, want);
	free(in);
	free(dst);
}

#define CLEAN(src, want)	check_clean((src), sizeof(src) - 1, (want))

START_TEST(utf8_good)
{
	CLEAN("", "");
	CLEAN("plain\ttext\n", "plain\ttext\n");
	CLEAN("\xc2\xa0\xdf\xbf", "\xc2\xa0\xdf\xbf");
	CLEAN("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
	    "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf");
	CLEAN("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
	    "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
}
END_TEST

START_TEST(utf8_controls)
{
	CLEAN("a\0b\rc\033[31md\x7f\bz", "abc[31mdz");
	CLEAN("a\xc2\x80" "b\xc2\x9b" "c\xc2\x9f" "d", "abcd");
}
END_TEST

START_TEST(utf8_bad)
{
	CLEAN("\x80", U);
	CLEAN("\xbf\xbf", U U);
	CLEAN("\xff\xfe", U U);
	/* overlong */
	CLEAN("\xc0\x80", U U);
	CLEAN("\xc1\xbf", U U);
	CLEAN("\xe0\x80\xaf", U U U);
	CLEAN("\xe0\x9f\xbf", U U U);
	CLEAN("\xf0\x80\x80\xaf", U U U U);
	CLEAN("\xf0\x8f\xbf\xbf", U U U U);
	/* surrogates */
	CLEAN("\xed\xa0\x80", U U U);
	CLEAN("\xed\xbf\xbf", U U U);
	/* above U+10FFFF */
	CLEAN("\xf4\x90\x80\x80", U U U U);
	CLEAN("\xf5\x80\x80\x80", U U U U);
	/* cut short: one for the longest good start */
	CLEAN("a\xc3", "a" U);
	CLEAN("\xe2\x82", U);
	CLEAN("\xf0\x9f\x98", U);
	CLEAN("\xf0\x9f\x98" "a", U "a");
	CLEAN("\xe2\x82\xe2\x82\xac", U "\xe2\x82\xac");
	CLEAN("\xc3(", U "(");
}
END_TEST

/* All code points and all pairs of bytes: what comes out is clean again. */
START_TEST(utf8_twice_is_once)
{
	char	src[3], once[16], twice[64];
	size_t	n, m;
	int	i;

	for (i = 0; i < 65536; i++) {
		src[0] = (char)(i >> 8);
		src[1] = (char)i;
		src[2] = '\xac';
		n = utf8_clean(once, src, sizeof(src));
		ck_assert(n <= 9);
		m = utf8_clean(twice, once, n);
		ck_assert(n == m && memcmp(once, twice, n + 1) == 0);
	}
}
END_TEST

START_TEST(globs)
{
	char	pattern[257], name[65];
	size_t	i;

	ck_assert_int_eq(glob_match("web*", "web-1"), 1);
	ck_assert_int_eq(glob_match("w?b", "web"), 1);
	ck_assert_int_eq(glob_match("[a-c]*", "db"), 0);
	ck_assert_int_eq(glob_match("web", "web-1"), 0);
	ck_assert_int_eq(glob_match("*", ""), 1);
	ck_assert_int_eq(glob_match("[", "["), 1);
	/* a pattern from a client must not cost exponential time */
	for (i = 0; i + 3 < sizeof(pattern); i += 2)
		memcpy(pattern + i, "*a", 2);
	memcpy(pattern + i, "b", 2);
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	ck_assert_int_eq(glob_match(pattern, name), 0);
	pattern[60] = 'b';
	pattern[61] = '\0';
	ck_assert_int_eq(glob_match(pattern, name), 0);
}
END_TEST

START_TEST(descriptors)
{
	char	buf[4];
	int	p[2];

	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(fd_nonblock(p[0]), 0);
	ck_assert_int_eq(fd_cloexec(p[0]), 0);
	ck_assert(fcntl(p[0], F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(p[0], F_GETFD) & FD_CLOEXEC);
	ck_assert_int_eq(write_all(p[1], "abc", 3), 0);
	ck_assert_int_eq(read(p[0], buf, sizeof(buf)), 3);
	close(p[0]);
	close(p[1]);
	errno = 0;
	ck_assert_int_eq(write_all(p[1], "abc", 3), -1);
	ck_assert_int_eq(errno, EBADF);
	ck_assert_int_eq(fd_nonblock(-1), -1);
	ck_assert_int_eq(fd_cloexec(-1), -1);
}
END_TEST

static int	sunk_level;
static int	sunk;
static char	sunk_line[4096];

static void
sink(int level, const char *line)
{
	sunk++;
	sunk_level = level;
	ck_assert_uint_lt(strlen(line), sizeof(sunk_line));
	memcpy(sunk_line, line, strlen(line) + 1);
}

START_TEST(log_lines)
{
	char	big[5000];

	log_init("test", 1);
	log_setsink(sink);
	log_warnx("bad %s", "a\nb\033c");
	ck_assert_str_eq(sunk_line, "bad a?b?c");
	ck_assert_int_eq(sunk_level, LOG_ERR);
	errno = ENOENT;
	log_warn("open");
	ck_assert_str_eq(sunk_line, "open: No such file or directory");
	ck_assert_int_eq(errno, ENOENT);
	log_info("quiet");
	log_debug("quiet");
	ck_assert_int_eq(sunk, 2);
	log_setverbose(1);
	log_info("heard");
	log_debug("quiet");
	ck_assert_str_eq(sunk_line, "heard");
	log_setverbose(2);
	ck_assert_int_eq(log_getverbose(), 2);
	log_debug("heard too");
	ck_assert_str_eq(sunk_line, "heard too");
	ck_assert_int_eq(sunk_level, LOG_DEBUG);
	memset(big, 'x', sizeof(big));
	big[sizeof(big) - 1] = '\0';
	log_notice("%s", big);
	ck_assert_uint_le(strlen(sunk_line), 2048);
	ck_assert_uint_gt(strlen(sunk_line), 2000);
}
END_TEST

/* Reads back what went to stderr. */
static size_t
stderr_text(int fd, char *buf, size_t size)
{
	ssize_t	n = pread(fd, buf, size - 1, 0);

	ck_assert_int_ge(n, 0);
	buf[n] = '\0';
	return ((size_t)n);
}

static void
noisy_sink(int level, const char *line)
{
	(void)level;
	log_warnx("sink: %s", line);
}

START_TEST(log_to_stderr)
{
	char	name[] = "/tmp/unit.XXXXXX", buf[4096];
	int	fd = mkstemp(name), saved = dup(STDERR_FILENO);

	ck_assert_int_ne(fd, -1);
	(void)unlink(name);
	(void)dup2(fd, STDERR_FILENO);
	log_init("keepd", 1);
	log_notice("one");
	log_relay("logger", LOG_ERR, "two\nlines");
	log_relay("logger", LOG_DEBUG, "not wanted");
	log_relay("logger", 99, "not wanted");
	log_setsink(noisy_sink);
	log_notice("three");
	(void)dup2(saved, STDERR_FILENO);
	(void)stderr_text(fd, buf, sizeof(buf));
	ck_assert_str_eq(buf, "keepd: one\nlogger: two?lines\n"
	    "keepd: sink: three\n");
	close(fd);
	close(saved);
}
END_TEST

START_TEST(log_fatal_exits)
{
	log_setsink(sink);
	fatalx("the end");
}
END_TEST

static void
add_text(TCase *t)
{
	tcase_add_test(t, duration);
	tcase_add_test(t, when);
	tcase_add_test(t, rfc3339_text);
	tcase_add_test(t, clocks);
	tcase_add_test(t, display);
	tcase_add_test(t, utf8_good);
	tcase_add_test(t, utf8_controls);
	tcase_add_test(t, utf8_bad);
	tcase_add_test(t, utf8_twice_is_once);
	tcase_add_test(t, globs);
	tcase_add_test(t, descriptors);
}

Suite *
util_suite(void)
{
	Suite	*s = suite_create("util");
	TCase	*t = tcase_create("util"), *l = tcase_create("log");

	add_text(t);
	tcase_add_test(l, log_lines);
	tcase_add_test(l, log_to_stderr);
	tcase_add_exit_test(l, log_fatal_exits, 1);
	suite_add_tcase(s, t);
	suite_add_tcase(s, l);
	return (s);
}
