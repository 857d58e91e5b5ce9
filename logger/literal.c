/*
 * Reads a Perl-style pattern just far enough to know strings that every match
 * contains.  A node of the pattern is described by an info: the exact strings
 * it matches, if they are few, or what its matches begin and end with and sets
 * of which a member is inside.  Whatever is not understood makes the reader
 * give up, which only costs speed.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "literal.h"

#define DEPTH_MAX	24
#define REPEAT_MAX	8		/* copies of x{n} that are spelled out */

struct info {
	int			 exact;		/* matches are just those of ex */
	int			 run;		/* byte of a c{n,}, or -1 */
	uint32_t		 run_min;
	struct literal_set	 ex;
	struct literal		 prefix, suffix;
	uint32_t		 ncands;
	struct literal_set	 cand[LITERAL_CANDS];
};

struct reader {
	const uint8_t		*p, *end;
	struct literal_plan	*plan;
	int			 depth;
	int			 failed;
};

static void	 read_alternation(struct reader *, struct info *);

/* About how many bits a byte tells in log text. */
static int
byte_bits(uint8_t c)
{
	if (strchr(" etaoinsr", c) != NULL && c != '\0')
		return (4);
	if (islower(c) || isdigit(c) || strchr(".:-=/[]\"_,", c) != NULL)
		return (5);
	if (isupper(c))
		return (6);
	return (8);
}

/* The worst of its members, as each of them can be what is found. */
static int
set_bits(const struct literal_set *s)
{
	uint32_t	i, j;
	int		least = 0, bits;

	for (i = 0; i < s->n; i++) {
		bits = 0;
		for (j = 0; j < s->lit[i].len; j++)
			bits += byte_bits(s->lit[i].b[j]);
		if (i == 0 || bits < least)
			least = bits;
	}
	return (least * 2 - (s->n > 1 ? (int)s->n + 4 : 0));
}

static void
info_empty(struct info *in)
{
	memset(in, 0, sizeof(*in));
	in->exact = 1;
	in->run = -1;
	in->ex.n = 1;
}

static void
info_unknown(struct info *in)
{
	memset(in, 0, sizeof(*in));
	in->run = -1;
}

static void
info_byte(struct info *in, uint8_t c)
{
	info_empty(in);
	in->ex.lit[0].len = 1;
	in->ex.lit[0].b[0] = c;
}

/* Keep the best sets, best first. */
static void
info_candidate(struct info *in, const struct literal_set *s)
{
	uint32_t	i, j;

	if (s->n == 0)
		return;
	for (i = 0; i < s->n; i++)
		if (s->lit[i].len == 0)
			return;
	for (i = 0; i < in->ncands; i++)
		if (set_bits(s) > set_bits(&in->cand[i]))
			break;
	if (i == LITERAL_CANDS)
		return;
	if (in->ncands < LITERAL_CANDS)
		in->ncands++;
	for (j = in->ncands - 1; j > i; j--)
		in->cand[j] = in->cand[j - 1];
	in->cand[i] = *s;
}

/* a followed by b; -1: too long for one literal. */
static int
literal_join(struct literal *d, const struct literal *a, const struct literal *b)
{
	struct literal t = *a;

	if (a->len + b->len > LITERAL_LEN)
		return (-1);
	memcpy(t.b + t.len, b->b, b->len);
	t.len += b->len;
	*d = t;
	return (0);
}

static int
set_product(struct literal_set *d, const struct literal_set *a,
    const struct literal_set *b)
{
	uint32_t i, j;

	if (a->n * b->n > LITERAL_SET)
		return (-1);
	d->n = 0;
	for (i = 0; i < a->n; i++)
		for (j = 0; j < b->n; j++)
			if (literal_join(&d->lit[d->n++], &a->lit[i],
			    &b->lit[j]) == -1)
				return (-1);
	return (0);
}

/* What a match surely begins (ends) with, if that is one string. */
static const struct literal *
info_edge(const struct info *in, int last)
{
	static const struct literal none;

	if (in->exact)
		return (in->ex.n == 1 ? &in->ex.lit[0] : &none);
	return (last ? &in->suffix : &in->prefix);
}

/* Turn an exact info into one that is open at its sides. */
static void
info_open(struct info *in)
{
	if (!in->exact)
		return;
	info_candidate(in, &in->ex);
	in->prefix = *info_edge(in, 0);
	in->suffix = *info_edge(in, 1);
	in->exact = 0;
}

/* How many copies of c a literal ends with. */
static uint32_t
literal_trail(const struct literal *l, int c)
{
	uint32_t n = 0;

	while (n < l->len && l->b[l->len - 1 - n] == c)
		n++;
	return (n);
}

/* a := a followed by b, where one of them is not exact or too much is. */
static void
info_concat_open(struct info *a, struct info *b)
{
	struct literal_set	mid;
	struct literal		pre, suf;
	uint32_t		i, n;

	pre = *info_edge(a, 0);
	suf = *info_edge(b, 1);
	memset(&mid, 0, sizeof(mid));
	mid.n = 1;
	if (literal_join(&mid.lit[0], info_edge(a, 1), info_edge(b, 0)) == -1)
		mid.n = 0;
	if (a->exact && a->ex.n == 1 && mid.n == 1)
		pre = mid.lit[0];
	if (b->exact && b->ex.n == 1 && mid.n == 1)
		suf = mid.lit[0];
	if (b->run != -1) {
		/* c{n,} behind copies of c ends with that many more. */
		n = literal_trail(info_edge(a, 1), b->run) + b->run_min;
		if (n <= LITERAL_LEN) {
			suf.len = n;
			memset(suf.b, b->run, n);
		}
	}
	info_open(a);
	info_open(b);
	for (i = 0; i < b->ncands; i++)
		info_candidate(a, &b->cand[i]);
	info_candidate(a, &mid);
	a->prefix = pre;
	a->suffix = suf;
	a->run = -1;
}

static void
info_concat(struct info *a, struct info *b)
{
	struct literal_set prod;

	if (a->exact && b->exact && set_product(&prod, &a->ex, &b->ex) == 0) {
		a->ex = prod;
		return;
	}
	info_concat_open(a, b);
}

/* a := a | b */
static void
info_either(struct info *a, struct info *b)
{
	struct literal_set	u;
	uint32_t		i;

	if (a->exact && b->exact && a->ex.n + b->ex.n <= LITERAL_SET) {
		for (i = 0; i < b->ex.n; i++)
			a->ex.lit[a->ex.n++] = b->ex.lit[i];
		return;
	}
	info_open(a);
	info_open(b);
	memset(&u, 0, sizeof(u));
	if (a->ncands > 0 && b->ncands > 0 &&
	    a->cand[0].n + b->cand[0].n <= LITERAL_SET) {
		u = a->cand[0];
		for (i = 0; i < b->cand[0].n; i++)
			u.lit[u.n++] = b->cand[0].lit[i];
	}
	info_unknown(a);
	info_candidate(a, &u);
}

/* a := a{min,max}; max 0: no limit. */
static void
info_repeat(struct info *a, uint32_t min, uint32_t max)
{
	struct info	*one;
	struct literal	 c = a->ex.lit[0];
	uint32_t	 i;
	int		 single = a->exact && a->ex.n == 1 && c.len == 1;

	if (min == 1 && max == 1)
		return;
	if (min == 0 || (one = malloc(sizeof(*one))) == NULL) {
		info_unknown(a);
		return;
	}
	*one = *a;
	for (i = 1; i < min && i < REPEAT_MAX && a->exact; i++)
		info_concat(a, one);
	if (i != min || max != min || !a->exact)
		info_open(a);
	if (single && max != min && i == min) {
		a->run = c.b[0];
		a->run_min = min;
	}
	free(one);
}

/* --- the reader ---------------------------------------------------------- */

static void
reader_fail(struct reader *r, struct info *in)
{
	r->failed = 1;
	info_unknown(in);
}

/* Something of no width: not a literal any more, but adjacency holds. */
static void
read_assertion(struct reader *r, struct info *in, int safe)
{
	info_empty(in);
	r->plan->pure = 0;
	if (!safe)
		r->plan->block_safe = 0;
}

static int
hex_digit(int c)
{
	if (isdigit(c))
		return (c - '0');
	return (isxdigit(c) ? tolower(c) - 'a' + 10 : -1);
}

/* \xhh or \x{hh}, behind the x; -1: not a byte. */
static int
read_hex(struct reader *r)
{
	int v = 0, n, braces = r->p < r->end && *r->p == '{';

	r->p += braces;
	for (n = 0; r->p < r->end && hex_digit(*r->p) != -1 &&
	    n < (braces ? 4 : 2); n++)
		v = v * 16 + hex_digit(*r->p++);
	if (braces && (r->p >= r->end || *r->p++ != '}'))
		return (-1);
	return (n > 0 && v <= 255 ? v : -1);
}

/* The byte that an escape stands for inside and outside classes; -1: none. */
static int
escape_byte(struct reader *r, int c)
{
	static const char	from[] = "tfae", to[] = "\t\f\a\033";
	const char		*q;

	if (c == 'x')
		return (read_hex(r));
	if (c != '\0' && (q = strchr(from, c)) != NULL)
		return (to[q - from]);
	if (c == 'r')
		return ('\r');
	return (isalnum(c) ? -1 : c);
}

static void
read_escape(struct reader *r, struct info *in)
{
	int c, b;

	if (r->p >= r->end) {
		reader_fail(r, in);
		return;
	}
	c = *r->p++;
	if (c != '\0' && strchr("dDwWsShHvVN", c) != NULL) {
		if (c == 'N' && r->p < r->end && *r->p == '{')
			reader_fail(r, in);
		info_unknown(in);
	} else if (c == 'b' || c == 'B') {
		read_assertion(r, in, 1);
	} else if (c == 'A' || c == 'z' || c == 'Z' || c == 'G') {
		read_assertion(r, in, 0);
	} else if (c >= 0x80 || (b = escape_byte(r, c)) == -1 || b == '\n') {
		reader_fail(r, in);
	} else {
		info_byte(in, b);
	}
}

/* Behind "[" within a class: past ":name:]"; -1: that is not what it is. */
static int
read_posix(struct reader *r)
{
	const uint8_t *p = r->p + 1;

	if (r->p >= r->end || *r->p != ':')
		return (-1);
	while (p < r->end && (islower(*p) || *p == '^'))
		p++;
	if (p + 1 >= r->end || p[0] != ':' || p[1] != ']')
		return (-1);
	r->p = p + 2;
	return (0);
}

/*
 * One member of a class.  Its byte if it is a plain one; -1: something else;
 * -2: not understood.
 */
static int
read_member(struct reader *r)
{
	int c = *r->p++;

	switch (c) {
	case '\\':
		if (r->p >= r->end || strchr("QEco", *r->p) != NULL)
			return (-2);
		r->p++;
		return (-1);
	case '[':
		return (read_posix(r) == 0 ? -1 : -2);
	case '-':
	case '\n':
		return (-1);
	}
	return (c);
}

/* A class: few plain bytes are spelled out ([Ee]), all else only skipped. */
static void
read_class(struct reader *r, struct info *in)
{
	const uint8_t	*first;
	int		 plain = 1, c = 0;
	uint32_t	 n = 0;

	info_empty(in);
	if (r->p < r->end && *r->p == '^') {
		plain = 0;
		r->p++;
	}
	for (first = r->p; r->p < r->end && (*r->p != ']' || r->p == first);) {
		if ((c = read_member(r)) == -2)
			break;
		if (c == -1 || n == 4) {
			plain = 0;
		} else {
			in->ex.lit[n].len = 1;
			in->ex.lit[n++].b[0] = c;
		}
	}
	if (c == -2 || r->p >= r->end) {
		reader_fail(r, in);
		return;
	}
	r->p++;
	in->ex.n = n;
	if (!plain || n == 0)
		info_unknown(in);
}

/* Behind an opening parenthesis, up to and with the closing one. */
static void
read_group(struct reader *r, struct info *in)
{
	int	look = 0;

	if (r->p < r->end && *r->p == '*') {
		reader_fail(r, in);		/* (*VERB) */
		return;
	}
	if (r->p + 1 < r->end && *r->p == '?') {
		r->p++;
		if (*r->p == ':') {
			r->p++;
		} else if (*r->p == '=' || *r->p == '!') {
			look = 1;
			r->p++;
		} else {
			reader_fail(r, in);	/* names, flags, recursion, ... */
			return;
		}
	}
	if (++r->depth > DEPTH_MAX) {
		reader_fail(r, in);
		return;
	}
	read_alternation(r, in);
	r->depth--;
	if (r->p >= r->end || *r->p++ != ')')
		reader_fail(r, in);
	if (look)
		read_assertion(r, in, 0);
}

static void
read_atom(struct reader *r, struct info *in)
{
	int c = *r->p++;

	switch (c) {
	case '\\':
		read_escape(r, in);
		break;
	case '[':
		read_class(r, in);
		break;
	case '(':
		read_group(r, in);
		break;
	case '.':
		info_unknown(in);
		break;
	case '^':
	case '$':
		read_assertion(r, in, 1);
		break;
	case '*':
	case '+':
	case '?':
	case '\n':
		reader_fail(r, in);
		break;
	default:
		info_byte(in, c);
	}
}

static int
read_number(struct reader *r, uint32_t *n)
{
	const uint8_t *p = r->p;

	for (*n = 0; r->p < r->end && isdigit(*r->p) && *n < 100000; r->p++)
		*n = *n * 10 + (*r->p - '0');
	return (r->p > p);
}

/* {n} {n,} {n,m}; anything else is literal text, as PCRE2 10.42 has it. */
static int
read_braces(struct reader *r, uint32_t *min, uint32_t *max)
{
	const uint8_t *p = r->p++;

	if (read_number(r, min)) {
		*max = *min;
		if (r->p < r->end && *r->p == ',') {
			r->p++;
			if (!read_number(r, max))
				*max = 0;
		}
		if (r->p < r->end && *r->p == '}') {
			r->p++;
			return (1);
		}
	}
	r->p = p;
	return (0);
}

static void
read_quantifier(struct reader *r, struct info *in)
{
	uint32_t min = 1, max = 1;

	if (r->p >= r->end)
		return;
	if (*r->p == '*' || *r->p == '+' || *r->p == '?') {
		min = *r->p == '+';
		max = *r->p == '?';
		r->p++;
	} else if (*r->p != '{' || !read_braces(r, &min, &max)) {
		return;
	}
	r->plan->pure = r->plan->pure && in->exact && min == max && min == 1;
	info_repeat(in, min, max);
	if (r->p < r->end && *r->p == '+') {
		r->plan->block_safe = 0;	/* possessive */
		r->p++;
	} else if (r->p < r->end && *r->p == '?') {
		r->p++;
	}
}

static void
read_sequence(struct reader *r, struct info *in)
{
	struct info *next;

	info_empty(in);
	if ((next = malloc(sizeof(*next))) == NULL) {
		reader_fail(r, in);
		return;
	}
	while (!r->failed && r->p < r->end && *r->p != '|' && *r->p != ')') {
		read_atom(r, next);
		if (r->failed)
			break;
		read_quantifier(r, next);
		info_concat(in, next);
	}
	free(next);
}

static void
read_alternation(struct reader *r, struct info *in)
{
	struct info *next;

	read_sequence(r, in);
	if ((next = malloc(sizeof(*next))) == NULL) {
		reader_fail(r, in);
		return;
	}
	while (!r->failed && r->p < r->end && *r->p == '|') {
		r->p++;
		read_sequence(r, next);
		info_either(in, next);
	}
	free(next);
}

void
literal_parse(struct literal_plan *plan, const uint8_t *p, size_t n, int icase)
{
	struct reader	 r;
	struct info	*in;

	memset(plan, 0, sizeof(*plan));
	memset(&r, 0, sizeof(r));
	if (n >= 4 && memcmp(p, "(?i)", 4) == 0) {
		icase = 1;
		p += 4;
		n -= 4;
	}
	plan->icase = icase;
	plan->pure = 1;
	plan->block_safe = 1;
	r.p = p;
	r.end = p + n;
	r.plan = plan;
	if ((in = malloc(sizeof(*in))) == NULL)
		r.failed = 1;
	else
		read_alternation(&r, in);
	if (r.failed || r.p != r.end) {
		plan->pure = 0;
		plan->block_safe = 0;
	} else {
		plan->pure = plan->pure && in->exact;
		if (in->exact)
			info_candidate(in, &in->ex);
		plan->ncands = in->ncands;
		memcpy(plan->cand, in->cand, sizeof(plan->cand));
		if (plan->ncands == 0)
			plan->pure = 0;
	}
	free(in);
}
