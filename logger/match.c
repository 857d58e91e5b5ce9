/*
 * Lines that match a pattern.  PCRE2 is asked about as little as can be:
 *
 *	all	the empty pattern: every line
 *	literal	the pattern is nothing but strings: PCRE2 is not asked
 *	filter	a string that must be there is looked for, then PCRE2 is asked
 *		about its line
 *	block	PCRE2 runs over many lines at once, and is asked again about
 *		a single line when what it found crosses a line's end
 *	line	PCRE2 is asked about each line
 *
 * They find the same lines.  For `block` that takes an argument: a match of
 * the line alone is a match in the block, too, at the same place - unless the
 * pattern can see where its subject ends (\A \z, lookaround) or refuses to go
 * back (possessive, atomic, verbs); literal_parse calls such a pattern not
 * block_safe, and all it does not understand.  So the block's first match is
 * not behind the first line that matches, and if it crosses a newline the
 * search goes on at the next line.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdlib.h>
#include <string.h>

#include "literal.h"
#include "match.h"
#include "proto.h"
#include "util.h"

/* Time is bounded by the deadline (a kill), which says more to the caller than
 * a limit that the JIT and the interpreter count differently; this one is for
 * a worker that nobody kills. */
#define MATCH_LIMIT	2000000000
#define DEPTH_LIMIT	100000
#define HEAP_LIMIT	(64 * 1024)	/* KiB */
#define NEST_LIMIT	100		/* parentheses */
#define JIT_STACK_MAX	(4 * 1024 * 1024)
#define BLOCK		(256 * 1024)	/* bytes PCRE2 gets at once */
#define SAMPLE_MAX	(256 * 1024)
#define DENSE		2048	/* bytes a hit: below, block may be faster */

enum way { WAY_ALL, WAY_LITERAL, WAY_FILTER, WAY_BLOCK, WAY_LINE, WAY_COUNT };
static const char *const way_names[WAY_COUNT] = {
	"all", "literal", "filter", "block", "line"
};

struct regex {
	pcre2_code	*code;
	int		 jit;
};

struct match {
	enum way		 way;
	struct literal_plan	 plan;
	struct literal_scan	 scan;
	struct regex		 line;
	struct regex		 block;		/* the same with MULTILINE */
	pcre2_match_data	*data;
	pcre2_match_context	*ctx;
	pcre2_jit_stack		*stack;
	int			 error;
};

/* --- PCRE2 --------------------------------------------------------------- */

static int
regex_compile(struct regex *re, const uint8_t *p, size_t n, uint32_t options,
    int jit, struct match_error *err)
{
	pcre2_compile_context	*cc;
	PCRE2_SIZE		 off = 0;
	int			 code = PCRE2_ERROR_NOMEMORY;

	if ((cc = pcre2_compile_context_create(NULL)) != NULL) {
		pcre2_set_newline(cc, PCRE2_NEWLINE_LF);
		pcre2_set_max_pattern_length(cc, PATTERN_MAX);
		pcre2_set_parens_nest_limit(cc, NEST_LIMIT);
		re->code = pcre2_compile(p, n, options, &code, &off, cc);
		pcre2_compile_context_free(cc);
	}
	if (re->code == NULL) {
		if (pcre2_get_error_message(code, (PCRE2_UCHAR *)err->text,
		    sizeof(err->text)) < 0)
			strlcpy(err->text, "not understood", sizeof(err->text));
		err->offset = off;
		return (-1);
	}
	re->jit = jit && pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE) == 0;
	return (0);
}

/* 1: a match, its offsets in the match data; 0: none; -1: a limit. */
static int
regex_exec(struct match *m, const struct regex *re, const uint8_t *p, size_t n,
    size_t start)
{
	int rc;

	if (re->jit)
		rc = pcre2_jit_match(re->code, p, n, start, 0, m->data, m->ctx);
	else
		rc = pcre2_match(re->code, p, n, start, 0, m->data, m->ctx);
	if (rc >= 0)
		return (1);
	if (rc == PCRE2_ERROR_NOMATCH)
		return (0);
	m->error = rc;
	return (-1);
}

const char *
match_why(const struct match *m)
{
	switch (m->error) {
	case PCRE2_ERROR_MATCHLIMIT:
		return ("the pattern needs too much backtracking; make it "
		    "simpler or narrow the search");
	case PCRE2_ERROR_JIT_STACKLIMIT:
	case PCRE2_ERROR_HEAPLIMIT:
	case PCRE2_ERROR_DEPTHLIMIT:
	case PCRE2_ERROR_NOMEMORY:
		return ("the pattern needs too much memory; make it simpler");
	}
	return ("the pattern cannot be matched");
}

/* --- one function a way -------------------------------------------------- */

static const uint8_t *
line_end(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *nl = memchr(p, '\n', end - p);

	return (nl == NULL ? end - 1 : nl);
}

static const uint8_t *
line_start(const uint8_t *low, const uint8_t *p)
{
	const uint8_t *nl = memrchr(low, '\n', p - low);

	return (nl == NULL ? low : nl + 1);
}

static int
next_all(struct match *m, const uint8_t *p, const uint8_t *end,
    const uint8_t **ls, const uint8_t **le)
{
	(void)m;
	if (p >= end)
		return (0);
	*ls = p;
	*le = line_end(p, end);
	return (1);
}

static int
next_literal(struct match *m, const uint8_t *p, const uint8_t *end,
    const uint8_t **ls, const uint8_t **le)
{
	const uint8_t *hit;

	if ((hit = literal_find(&m->scan, p, end)) == NULL)
		return (0);
	*ls = line_start(p, hit);
	*le = line_end(hit, end);
	return (1);
}

static int
next_filter(struct match *m, const uint8_t *p, const uint8_t *end,
    const uint8_t **ls, const uint8_t **le)
{
	int rc;

	for (; next_literal(m, p, end, ls, le); p = *le + 1)
		if ((rc = regex_exec(m, &m->line, *ls, *le - *ls, 0)) != 0)
			return (rc);
	return (0);
}

static int
next_line(struct match *m, const uint8_t *p, const uint8_t *end,
    const uint8_t **ls, const uint8_t **le)
{
	int rc;

	for (; next_all(m, p, end, ls, le); p = *le + 1)
		if ((rc = regex_exec(m, &m->line, *ls, *le - *ls, 0)) != 0)
			return (rc);
	return (0);
}

/* A block ends with a line's end, which is not shown to PCRE2. */
static const uint8_t *
block_end(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *e;

	if (end - p <= BLOCK)
		return (end);
	e = memrchr(p, '\n', BLOCK);
	return ((e == NULL ? line_end(p + BLOCK, end) : e) + 1);
}

static int
next_block(struct match *m, const uint8_t *p, const uint8_t *end,
    const uint8_t **ls, const uint8_t **le)
{
	const PCRE2_SIZE	*ov = pcre2_get_ovector_pointer(m->data);
	const uint8_t		*stop, *s, *e;
	int			 rc;

	while (p < end) {
		stop = block_end(p, end);
		while (p < stop) {
			rc = regex_exec(m, &m->block, p, stop - 1 - p, 0);
			if (rc == -1)
				return (-1);
			if (rc == 0)
				break;
			s = p + ov[0];
			e = p + ov[1];
			*ls = line_start(p, s);
			*le = line_end(s, stop);
			if (e <= *le)
				return (1);
			rc = regex_exec(m, &m->line, *ls, *le - *ls, 0);
			if (rc != 0)
				return (rc);
			p = *le + 1;
		}
		p = stop;
	}
	return (0);
}

static int (*const way_next[WAY_COUNT])(struct match *, const uint8_t *,
    const uint8_t *, const uint8_t **, const uint8_t **) = {
	next_all, next_literal, next_filter, next_block, next_line
};

int
match_next(struct match *m, const uint8_t *p, const uint8_t *end,
    const uint8_t **ls, const uint8_t **le)
{
	if (p >= end)
		return (0);
	return (way_next[m->way](m, p, end, ls, le));
}

const char *
match_way(const struct match *m)
{
	return (way_names[m->way]);
}

/* --- choosing ------------------------------------------------------------ */

static uint32_t
scan_hits(const struct literal_scan *s, const uint8_t *p, size_t n)
{
	const uint8_t	*end = p + n;
	uint32_t	 hits = 0;

	while (p < end && (p = literal_find(s, p, end)) != NULL) {
		hits++;
		p++;
	}
	return (hits);
}

/* The candidate with the fewest hits; the first ones are better by nature. */
static uint32_t
tune_literal(struct match *m, const uint8_t *p, size_t n)
{
	struct literal_scan	 s;
	uint32_t		 hist[256], i, hits, least = UINT32_MAX;
	size_t			 k;

	for (i = 0; i < 256; i++)
		hist[i] = 0;
	for (k = 0; k < n; k++)
		hist[p[k]]++;
	for (i = 0; i < m->plan.ncands; i++) {
		literal_scan_init(&s, &m->plan.cand[i], m->plan.icase, hist);
		hits = scan_hits(&s, p, n);
		if (hits < least) {
			least = hits;
			m->scan = s;
		}
		if (m->plan.pure || hits == 0)
			break;
	}
	return (least);
}

static uint64_t
tune_time(struct match *m, enum way way, const uint8_t *p, size_t n)
{
	const uint8_t	*end = p + n, *ls, *le;
	uint64_t	 t = mono_us();

	m->way = way;
	while (p < end && match_next(m, p, end, &ls, &le) == 1)
		p = le + 1;
	return (mono_us() - t);
}

void
match_tune(struct match *m, const uint8_t *p, size_t n)
{
	uint32_t hits;

	if (m->way == WAY_ALL)
		return;
	if (n > SAMPLE_MAX)
		n = block_end(p, p + n) - p;
	hits = m->plan.ncands > 0 ? tune_literal(m, p, n) : 0;
	if (m->way != WAY_FILTER || m->block.code == NULL || !m->block.jit ||
	    n == 0 || hits < n / DENSE)
		return;
	/* Both are right; let the clock decide. */
	m->way = tune_time(m, WAY_FILTER, p, n) <=
	    tune_time(m, WAY_BLOCK, p, n) ? WAY_FILTER : WAY_BLOCK;
	m->error = 0;
}

static int
way_possible(const struct match *m, enum way way)
{
	switch (way) {
	case WAY_LITERAL:
		return (m->plan.pure);
	case WAY_FILTER:
		return (m->line.code != NULL && m->plan.ncands > 0);
	case WAY_BLOCK:
		return (m->block.code != NULL);
	case WAY_LINE:
		return (m->line.code != NULL);
	default:
		return (m->way == WAY_ALL);
	}
}

int
match_force(struct match *m, const char *name)
{
	int i;

	for (i = 0; i < WAY_COUNT; i++)
		if (strcmp(name, way_names[i]) == 0 && way_possible(m, i)) {
			m->way = i;
			return (0);
		}
	return (-1);
}

/* --- making -------------------------------------------------------------- */

static int
match_context(struct match *m)
{
	if ((m->ctx = pcre2_match_context_create(NULL)) == NULL ||
	    (m->data = pcre2_match_data_create(1, NULL)) == NULL)
		return (-1);
	pcre2_set_match_limit(m->ctx, MATCH_LIMIT);
	pcre2_set_depth_limit(m->ctx, DEPTH_LIMIT);
	pcre2_set_heap_limit(m->ctx, HEAP_LIMIT);
	if (m->line.jit) {
		m->stack = pcre2_jit_stack_create(32 * 1024, JIT_STACK_MAX,
		    NULL);
		if (m->stack != NULL)
			pcre2_jit_stack_assign(m->ctx, NULL, m->stack);
	}
	return (0);
}

/* What is likely best before there is a sample. */
static enum way
match_guess(const struct match *m)
{
	if (m->plan.pure)
		return (WAY_LITERAL);
	if (m->plan.ncands > 0)
		return (WAY_FILTER);
	return (m->block.code != NULL ? WAY_BLOCK : WAY_LINE);
}

struct match *
match_new(const uint8_t *p, size_t n, int icase, int jit,
    struct match_error *err)
{
	/* A caller's (*UTF) would make PCRE2 trust bytes we cannot vouch for. */
	uint32_t	 options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP |
			    PCRE2_NEVER_BACKSLASH_C |
			    (icase ? PCRE2_CASELESS : 0);
	uint32_t	 hist[256] = { 0 };
	struct match	*m;

	memset(err, 0, sizeof(*err));
	if ((m = calloc(1, sizeof(*m))) == NULL) {
		strlcpy(err->text, "out of memory", sizeof(err->text));
		return (NULL);
	}
	if (n == 0) {
		m->way = WAY_ALL;
		return (m);
	}
	if (regex_compile(&m->line, p, n, options, jit, err) == -1)
		goto fail;
	literal_parse(&m->plan, p, n, icase);
	/* ALT_CIRCUMFLEX: an empty line at the end of the block is one, too. */
	if (m->plan.block_safe && !m->plan.pure && regex_compile(&m->block, p,
	    n, options | PCRE2_MULTILINE | PCRE2_ALT_CIRCUMFLEX, jit,
	    err) == -1)
		goto fail;
	if (match_context(m) == -1) {
		strlcpy(err->text, "out of memory", sizeof(err->text));
		goto fail;
	}
	if (m->plan.ncands > 0)
		literal_scan_init(&m->scan, &m->plan.cand[0], m->plan.icase,
		    hist);
	m->way = match_guess(m);
	return (m);
fail:
	match_free(m);
	return (NULL);
}

void
match_free(struct match *m)
{
	if (m == NULL)
		return;
	pcre2_code_free(m->line.code);
	pcre2_code_free(m->block.code);
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->ctx);
	pcre2_jit_stack_free(m->stack);
	free(m);
}
