/*
 * Required literals of patterns, and finding literals: vectorised and portable
 * forms against a naive search.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "literal.h"
#include "unit.h"
#include "util.h"

UNIT_SUITE(literal);

/* Is this the best candidate: its members joined by "|"? */
static const char *
best(const char *pattern, int *pure, int *safe)
{
	static char		 out[1024];
	struct literal_plan	 p;
	uint32_t		 i;

	literal_parse(&p, (const uint8_t *)pattern, strlen(pattern), 0);
	*pure = p.pure;
	*safe = p.block_safe;
	out[0] = '\0';
	if (p.ncands == 0)
		return (out);
	for (i = 0; i < p.cand[0].n; i++) {
		if (i > 0)
			strlcat(out, "|", sizeof(out));
		snprintf(out + strlen(out), sizeof(out) - strlen(out), "%.*s",
		    (int)p.cand[0].lit[i].len, p.cand[0].lit[i].b);
	}
	return (out);
}

START_TEST(parse)
{
	static const struct {
		const char	*pattern;
		const char	*want;
		int		 pure, safe;
	} t[] = {
		{ "deadbeef", "deadbeef", 1, 1 },
		{ "error.*timeout", "timeout", 0, 1 },
		{ "a|bc|def", "a|bc|def", 1, 1 },
		{ "panic|fatal|oom-kill", "panic|fatal|oom-kill", 1, 1 },
		{ "(panic|fatal) now", "panic now|fatal now", 1, 1 },
		{ "x(foo)+bar", "foobar", 0, 1 },
		{ "(x+x+)+y", "xxy", 0, 1 },
		{ "ab{3}c", "abbbc", 0, 1 },
		{ "ab{2,}c", "bbc", 0, 1 },
		{ "ab*c", "c", 0, 1 },
		{ "ab?c", "c", 0, 1 },
		{ "(ab)?c", "c", 0, 1 },
		{ "^ERROR: \\d+$", "ERROR: ", 0, 1 },
		{ "[Ee]rror", "Error|error", 1, 1 },
		{ "[a-z]rror", "rror", 0, 1 },
		{ "[[:alpha:]]xyz", "xyz", 0, 1 },
		{ "[]a]xyz", "]xyz|axyz", 1, 1 },
		{ "[^]a]xyz", "xyz", 0, 1 },
		{ "[\\]a]xyz", "xyz", 0, 1 },
		{ "foo\\.bar\\x41", "foo.barA", 1, 1 },
		{ "foo\\bbar", "foobar", 0, 1 },
		{ "foo(?=bar)", "foo", 0, 0 },
		{ "foo(?!bar)x", "foox", 0, 0 },
		{ "foo++bar", "oobar", 0, 0 },
		{ "\\Afoo", "foo", 0, 0 },
		{ "(?:foo|b.r)", "foo|b", 0, 1 },
		{ "(?:foo|ba.r)", "foo|ba", 0, 1 },
		{ "foo|.*", "", 0, 1 },
		{ "(?x) foo", "", 0, 0 },
		{ "\\Qa.b\\E", "", 0, 0 },
		{ "(a)\\1", "", 0, 0 },
		{ "(*UTF)a", "", 0, 0 },
		{ "a\\nb", "", 0, 0 },
		{ "(?<n>foo)", "", 0, 0 },
		{ "a{,3}b", "a{,3}b", 1, 1 },
		{ "{abc", "{abc", 1, 1 },
		{ "foo{0}bar", "bar", 0, 1 },
		{ "", "", 0, 1 },
		{ "[abc", "", 0, 0 },
		{ "(abc", "", 0, 0 },
		{ "abc)", "", 0, 0 },
		{ "abc\\", "", 0, 0 },
		{ "*abc", "", 0, 0 },
	};
	const char	*got;
	size_t		 i;
	int		 pure, safe;

	for (i = 0; i < nitems(t); i++) {
		got = best(t[i].pattern, &pure, &safe);
		ck_assert_msg(strcmp(got, t[i].want) == 0 &&
		    pure == t[i].pure && safe == t[i].safe,
		    "%s: '%s' pure %d safe %d", t[i].pattern, got, pure, safe);
	}
}
END_TEST

START_TEST(icase)
{
	struct literal_plan p;

	literal_parse(&p, (const uint8_t *)"(?i)Foo", 7, 0);
	ck_assert_int_eq(p.icase, 1);
	ck_assert_int_eq(p.pure, 1);
	literal_parse(&p, (const uint8_t *)"a(?i)Foo", 8, 0);
	ck_assert_uint_eq(p.ncands, 0);
}
END_TEST

START_TEST(long_ones)
{
	struct literal_plan p;
	static uint8_t buf[4096];

	memset(buf, 'a', sizeof(buf));
	literal_parse(&p, buf, sizeof(buf), 0);
	ck_assert_uint_gt(p.ncands, 0);
	ck_assert_int_eq(p.pure, 0);
	memset(buf, '(', sizeof(buf));
	literal_parse(&p, buf, sizeof(buf), 0);
	ck_assert_uint_eq(p.ncands, 0);
	memset(buf, '|', sizeof(buf));
	literal_parse(&p, buf, sizeof(buf), 0);
	ck_assert_int_eq(p.pure, 0);
}
END_TEST

static int
same(uint8_t a, uint8_t b, int fold)
{
	if (fold && a >= 'A' && a <= 'Z')
		a |= 0x20;
	if (fold && b >= 'A' && b <= 'Z')
		b |= 0x20;
	return (a == b);
}

static const uint8_t *
naive(const struct literal_set *s, int fold, const uint8_t *p,
    const uint8_t *end)
{
	uint32_t i, j;

	for (; p < end; p++)
		for (i = 0; i < s->n; i++) {
			for (j = 0; j < s->lit[i].len; j++)
				if (p + j >= end ||
				    !same(p[j], s->lit[i].b[j], fold))
					break;
			if (j == s->lit[i].len)
				return (p);
		}
	return (NULL);
}

/* Small alphabets, so that there are many near and overlapping hits. */
START_TEST(find)
{
	static uint8_t		 text[5000];
	static uint32_t		 hist[256];
	struct literal_set	 set;
	struct literal_scan	 scan;
	const uint8_t		*p, *want, *end;
	size_t			 i, n, off;
	uint32_t		 k, j;
	int			 round, fold;

	srandom(_i);
	literal_portable = _i % 2;
	for (round = 0; round < 400; round++) {
		n = random() % (round % 4 == 0 ? 200 : sizeof(text) - 64);
		off = random() % 64;
		fold = random() % 2;
		for (i = 0; i < n; i++)
			text[off + i] = "abcABC\n@`{"[random() %
			    (round % 3 == 0 ? 3 : 10)];
		memset(&set, 0, sizeof(set));
		set.n = round % 2 ? 1 : 1 + random() % LITERAL_SET;
		for (k = 0; k < set.n; k++) {
			set.lit[k].len = 1 + random() % (round % 5 + 2);
			for (j = 0; j < set.lit[k].len; j++)
				set.lit[k].b[j] = "abcABC@`{z"[random() % 10];
		}
		literal_scan_init(&scan, &set, fold, hist);
		end = text + off + n;
		for (p = text + off; p <= end; p = want + 1) {
			want = naive(&set, fold, p, end);
			ck_assert_ptr_eq(literal_find(&scan, p, end), want);
			if (want == NULL)
				break;
		}
	}
}
END_TEST

Suite *
literal_suite(void)
{
	Suite *s = suite_create("literal");
	TCase *t = tcase_create("literal");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, parse);
	tcase_add_test(t, icase);
	tcase_add_test(t, long_ones);
	tcase_add_loop_test(t, find, 0, 8);
	suite_add_tcase(s, t);
	return (s);
}
