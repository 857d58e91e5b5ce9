/*
 * Log lines as text: whatever bytes come in, what goes out is UTF-8 of one
 * line without control bytes; and text that is none of that is not lost.
 */
#include <stdlib.h>
#include <string.h>

/* Under names of its own: what else is linked here may have it, too. */
#define line_next	tested_line_next
#define render_bound	tested_render_bound
#define render_line	tested_render_line
#define ansi_strip	tested_ansi_strip
#include "frontend/render.c"

#include "unit.h"

UNIT_SUITE(render);

#define TEXT(s)		s, sizeof(s) - 1
#define RANDOM_ROUNDS	20000
#define RANDOM_MAX	40

struct sample {
	const char	*in;
	size_t		 len;
	const char	*out;
};

static const struct sample samples[] = {
	{ TEXT(""), "" },
	{ TEXT("plain\ttext"), "plain\ttext" },
	/* CSI */
	{ TEXT("\033[31mred\033[0m"), "red" },
	{ TEXT("\033[1;38;5;200mx\033[K"), "x" },
	{ TEXT("\033[?25lhidden\033[?25h"), "hidden" },
	{ TEXT("\033[2 qcursor"), "cursor" },
	{ TEXT("a\033[31"), "a" },
	{ TEXT("a\033["), "a" },
	{ TEXT("a\033[3\0301b"), "a1b" },	/* CAN breaks it off */
	{ TEXT("a\033[3\033[1mb"), "ab" },	/* so does another one */
	/* OSC, ended by BEL, ST, nothing; hyperlinks */
	{ TEXT("\033]0;title\007x"), "x" },
	{ TEXT("\033]0;title\033\\x"), "x" },
	{ TEXT("a\033]0;title"), "a" },
	{ TEXT("\033]8;;http://x/\033\\link\033]8;;\033\\"), "link" },
	{ TEXT("\033]0;gr\303\266\303\234e\007x"), "x" },
	/* DCS, SOS, PM, APC: BEL is none of their ends */
	{ TEXT("\033P1$r0m\033\\x"), "x" },
	{ TEXT("\033Xsos\007more\033\\x"), "x" },
	{ TEXT("\033^pm\033\\x\033_apc\033\\y"), "xy" },
	{ TEXT("a\033_apc"), "a" },
	/* two bytes and more */
	{ TEXT("\0337a\0338b\033cc"), "abc" },
	{ TEXT("\033(Ba\033#8b\033 Fc"), "abc" },
	{ TEXT("\033\033[1mx"), "x" },
	{ TEXT("x\033"), "x" },
	{ TEXT("x\033\001y"), "xy" },
	/* one-byte forms, and characters that only look like them */
	{ TEXT("\233" "31mx"), "x" },
	{ TEXT("\2350;t\007x"), "x" },
	{ TEXT("\220q\234x"), "x" },
	{ TEXT("\304\233\304\235\303\220"), "\304\233\304\235\303\220" },
	{ TEXT("\302\233" "31mx"), "31mx" },	/* U+009B goes, alone */
	{ TEXT("\302\240"), "\302\240" },
	/* carriage returns */
	{ TEXT("10%\r50%\r100%"), "100%" },
	{ TEXT("done\r"), "done" },
	{ TEXT("10%\r100%\r\r"), "100%" },
	{ TEXT("\rx"), "x" },
	{ TEXT("old\r\033[Knew"), "new" },
	/* backspaces */
	{ TEXT("|\b/\b-\b\\\b"), "\\" },
	{ TEXT("abc\b\bX"), "aX" },
	{ TEXT("gr\303\266\bo"), "gro" },
	{ TEXT("_\bu_\bn"), "un" },
	{ TEXT("\b\b\bx"), "x" },
	{ TEXT("ab\r\bc"), "c" },
	/* the rest */
	{ TEXT("a\0b"), "ab" },
	{ TEXT("\001\002\016\017\177x\n"), "x" },
};

/* Valid UTF-8 by the letter of RFC 3629, told in another way than render.c. */
static int
is_utf8(const unsigned char *s, size_t len)
{
	uint32_t	cp;
	size_t		i, n, k;

	for (i = 0; i < len; i += n) {
		n = s[i] < 0x80 ? 1 : s[i] < 0xc0 ? 0 : s[i] < 0xe0 ? 2 :
		    s[i] < 0xf0 ? 3 : s[i] < 0xf8 ? 4 : 0;
		if (n == 0 || n > len - i)
			return (0);
		cp = n == 1 ? s[i] : s[i] & (0x7f >> n);
		for (k = 1; k < n; k++) {
			if ((s[i + k] & 0xc0) != 0x80)
				return (0);
			cp = cp << 6 | (s[i + k] & 0x3f);
		}
		if ((n == 2 && cp < 0x80) || (n == 3 && cp < 0x800) ||
		    (n == 4 && cp < 0x10000) || cp > 0x10ffff ||
		    (cp >= 0xd800 && cp <= 0xdfff))
			return (0);
	}
	return (1);
}

/* One assertion a text: each costs more than all that is looked at. */
static void
clean_check(const char *s, size_t len)
{
	const char	*bad = NULL;
	size_t		 i;

	for (i = 0; i < len; i++) {
		if (((unsigned char)s[i] < 0x20 && s[i] != '\t') ||
		    s[i] == 0x7f)
			bad = "control byte left";
		if (i + 1 < len && (unsigned char)s[i] == 0xc2 &&
		    (unsigned char)s[i + 1] < 0xa0)
			bad = "C1 control left";
	}
	if (!is_utf8((const unsigned char *)s, len))
		bad = "no UTF-8";
	if (s[len] != '\0')
		bad = "not terminated";
	if (bad != NULL)
		ck_abort_msg("%s", bad);
}

/* In a buffer of exactly the promised size, so that a sanitizer sees more. */
static char *
render(const char *text, size_t len, int flags, size_t *out)
{
	struct wire_line	 line;
	char			*in, *dst;

	memset(&line, 0, sizeof(line));
	line.len = len;
	line.stream = STREAM_STDERR;
	line.flags = LINE_MATCH;
	in = malloc(len + 1);
	dst = malloc(render_bound(len));
	if (in == NULL || dst == NULL)
		ck_abort_msg("no memory");
	memcpy(in, text, len);
	*out = render_line(dst, render_bound(len), &line, in, flags);
	if (*out >= render_bound(len))
		ck_abort_msg("more than promised");
	free(in);
	return (dst);
}

static void
render_check(const char *text, size_t len)
{
	size_t	 n;
	char	*dst = render(text, len, RENDER_TIME | RENDER_MARKS |
	    RENDER_STDERR, &n);

	clean_check(dst, n);
	free(dst);
}

START_TEST(strip_samples)
{
	char	buf[256];
	size_t	i, n;

	for (i = 0; i < nitems(samples); i++) {
		memcpy(buf, samples[i].in, samples[i].len);
		n = ansi_strip(buf, samples[i].len);
		buf[n] = '\0';
		ck_assert_msg(strcmp(buf, samples[i].out) == 0,
		    "sample %zu: \"%s\" is not \"%s\"", i, buf,
		    samples[i].out);
		ck_assert_uint_eq(n, strlen(samples[i].out));
	}
}
END_TEST

START_TEST(every_cut)
{
	size_t	i, from, to;

	for (i = 0; i < nitems(samples); i++)
		for (from = 0; from <= samples[i].len; from++)
			for (to = from; to <= samples[i].len; to++)
				render_check(samples[i].in + from, to - from);
}
END_TEST

START_TEST(every_byte)
{
	char	buf[8];
	int	a, b;

	for (a = 0; a < 256; a++) {
		buf[0] = a;
		render_check(buf, 1);
		for (b = 0; b < 256; b++) {
			memcpy(buf, "x\033[yyz", 6);
			buf[1] = a;
			buf[2] = b;
			render_check(buf, 3);
			buf[0] = '\033';
			render_check(buf, 5);
		}
	}
	/* Printable bytes alone are themselves. */
	for (a = 0x20; a < 0x7f; a++) {
		size_t	 n;
		char	*dst;

		buf[0] = a;
		dst = render(buf, 1, 0, &n);
		ck_assert_uint_eq(n, 1);
		ck_assert_int_eq(dst[0], a);
		free(dst);
	}
}
END_TEST

START_TEST(random_bytes)
{
	static const char alphabet[] = "ab \033[]P_^X\\;0m\r\b\t\n\007\030\0"
	    "\200\233\235\234\302\303\266\340\342\202\254\355\240\360\237"
	    "\230\200\364\377";
	char	buf[RANDOM_MAX];
	size_t	len, i;
	int	round;

	srandom(1);
	for (round = 0; round < RANDOM_ROUNDS; round++) {
		len = random() % RANDOM_MAX;
		for (i = 0; i < len; i++)
			buf[i] = alphabet[random() % (sizeof(alphabet) - 1)];
		render_check(buf, len);
	}
}
END_TEST

START_TEST(invalid_utf8)
{
	static const struct sample bad[] = {
		{ TEXT("a\377b"), "a\357\277\275b" },
		{ TEXT("\303"), "\357\277\275" },
		{ TEXT("\342\202"), "\357\277\275" },	/* one for both */
		{ TEXT("\300\257"), "\357\277\275\357\277\275" },
		{ TEXT("\355\240\200"),
		    "\357\277\275\357\277\275\357\277\275" },
		{ TEXT("\364\220\200\200x"),
		    "\357\277\275\357\277\275\357\277\275\357\277\275x" },
		{ TEXT("\342\202\254"), "\342\202\254" },
		{ TEXT("\360\237\230\200"), "\360\237\230\200" },
		/* no end: an old encoding's letter, not the start of OSC */
		{ TEXT("\235x y"), "\357\277\275x y" },
	};
	size_t	 i, n;
	char	*dst;

	for (i = 0; i < nitems(bad); i++) {
		dst = render(bad[i].in, bad[i].len, 0, &n);
		ck_assert_str_eq(dst, bad[i].out);
		free(dst);
	}
}
END_TEST

START_TEST(prefixes)
{
	struct wire_line	line = { .time_ms = 0, .len = 1 };
	char			dst[128];

	render_line(dst, sizeof(dst), &line, "x", RENDER_TIME |
	    RENDER_MARKS | RENDER_STDERR);
	ck_assert_str_eq(dst, "1970-01-01T00:00:00.000Z    x");
	line.stream = STREAM_STDERR;
	line.flags = LINE_MATCH;
	render_line(dst, sizeof(dst), &line, "x", RENDER_MARKS);
	ck_assert_str_eq(dst, " * x");
	render_line(dst, sizeof(dst), &line, "x", RENDER_MARKS |
	    RENDER_STDERR);
	ck_assert_str_eq(dst, " * [stderr] x");
	line.flags = LINE_CONTEXT;
	render_line(dst, sizeof(dst), &line, "x", RENDER_MARKS);
	ck_assert_str_eq(dst, "   x");
	render_line(dst, sizeof(dst), &line, "x", 0);
	ck_assert_str_eq(dst, "x");
}
END_TEST

START_TEST(kept)
{
	size_t	 n;
	char	*dst;

	dst = render(TEXT("\033[1m\0\377\r"), RENDER_RAW, &n);
	ck_assert_uint_eq(n, 7);
	ck_assert_mem_eq(dst, "\033[1m\0\377\r", 7);
	free(dst);
	dst = render(TEXT("\033[1m\0\377x"), RENDER_ANSI, &n);
	ck_assert_str_eq(dst, "\033[1m\357\277\275x");
	free(dst);
}
END_TEST

START_TEST(small_buffers)
{
	struct wire_line	 line = { .len = 10, .stream = STREAM_STDERR };
	char			*dst;
	size_t			 size, n;

	for (size = 1; size < render_bound(10); size++) {
		dst = malloc(size);
		n = render_line(dst, size, &line, "\377123456789",
		    RENDER_TIME | RENDER_MARKS | RENDER_STDERR);
		ck_assert_uint_lt(n, size);
		clean_check(dst, n);
		free(dst);
	}
}
END_TEST

START_TEST(lines)
{
	unsigned char		 data[4 * sizeof(struct wire_line)];
	const unsigned char	*pos;
	struct wire_line	 line = { .line = 7, .len = 3 };
	const char		*text;
	size_t			 left, whole = 2 * sizeof(line) + 3, cut;

	memcpy(data, &line, sizeof(line));
	memcpy(data + sizeof(line), "abc", 3);
	line.len = 0;
	memcpy(data + sizeof(line) + 3, &line, sizeof(line));
	pos = data;
	left = whole;
	ck_assert_int_eq(line_next(&pos, &left, &line, &text), 1);
	ck_assert_uint_eq(line.line, 7);
	ck_assert_mem_eq(text, "abc", 3);
	ck_assert_int_eq(line_next(&pos, &left, &line, &text), 1);
	ck_assert_uint_eq(line.len, 0);
	ck_assert_int_eq(line_next(&pos, &left, &line, &text), 0);
	for (cut = 1; cut < sizeof(line) + 3; cut++) {
		pos = data;
		left = cut;
		ck_assert_int_eq(line_next(&pos, &left, &line, &text), -1);
	}
	memcpy(&line, data, sizeof(line));
	line.len = UINT32_MAX;
	memcpy(data, &line, sizeof(line));
	pos = data;
	left = whole;
	ck_assert_int_eq(line_next(&pos, &left, &line, &text), -1);
	line.len = 3;
	line.stream = 2;
	memcpy(data, &line, sizeof(line));
	ck_assert_int_eq(line_next(&pos, &left, &line, &text), -1);
}
END_TEST

Suite *
render_suite(void)
{
	Suite	*s = suite_create("render");
	TCase	*tc = tcase_create("render");

	tcase_add_test(tc, strip_samples);
	tcase_add_test(tc, every_cut);
	tcase_add_test(tc, every_byte);
	tcase_add_test(tc, random_bytes);
	tcase_add_test(tc, invalid_utf8);
	tcase_add_test(tc, prefixes);
	tcase_add_test(tc, kept);
	tcase_add_test(tc, small_buffers);
	tcase_add_test(tc, lines);
	suite_add_tcase(s, tc);
	return (s);
}
