/*
 * Finding literals in a block of text at the speed of memory: two rare bytes
 * of a single string compared at once, or the first bytes of several strings
 * looked up by nibble (the idea of "Teddy").  Every hit is verified.
 */
#include <ctype.h>
#include <string.h>

#include "literal.h"
#include "simd.h"

int	literal_portable;

/* ASCII only, as PCRE2 folds without UCP. */
static inline uint8_t
fold(uint8_t c)
{
	return (c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

static inline int
is_letter(uint8_t c)
{
	return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

/* Does the literal stand at p?  There are enough bytes. */
static int
literal_at(const struct literal *l, int icase, const uint8_t *p)
{
	uint32_t i;

	if (!icase)
		return (memcmp(p, l->b, l->len) == 0);
	for (i = 0; i < l->len; i++)
		if (fold(p[i]) != fold(l->b[i]))
			return (0);
	return (1);
}

static int
set_at(const struct literal_scan *s, uint32_t buckets, const uint8_t *p,
    const uint8_t *end)
{
	const struct literal	*l;
	uint32_t		 i;

	for (i = 0; i < s->set.n; i++) {
		l = &s->set.lit[i];
		if ((buckets & (1U << (i % LITERAL_BUCKETS))) != 0 &&
		    (size_t)(end - p) >= l->len && literal_at(l, s->icase, p))
			return (1);
	}
	return (0);
}

/* --- portable ------------------------------------------------------------ */

static const uint8_t *
find_one(const struct literal_scan *s, const uint8_t *p, const uint8_t *end)
{
	if (p >= end)
		return (NULL);
	return (memmem(p, end - p, s->set.lit[0].b, s->set.lit[0].len));
}

static const uint8_t *
find_byte(const struct literal_scan *s, const uint8_t *p, const uint8_t *end)
{
	if (p >= end)
		return (NULL);
	return (memchr(p, s->set.lit[0].b[0], end - p));
}

static const uint8_t *
find_first(const struct literal_scan *s, const uint8_t *p, const uint8_t *end)
{
	for (; p < end; p++)
		if (s->first[*p] != 0 && set_at(s, s->first[*p], p, end))
			return (p);
	return (NULL);
}

/* --- AVX2 ---------------------------------------------------------------- */

#if SIMD_X86

#define AHEAD	2048	/* bytes to prefetch; beyond the end does no harm */

static inline SIMD_AVX2 __m256i
load(const uint8_t *p)
{
	return (_mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* Bytes that equal want once the bits of mask are set. */
static inline SIMD_AVX2 __m256i
equal(const uint8_t *p, __m256i mask, __m256i want)
{
	return (_mm256_cmpeq_epi8(_mm256_or_si256(load(p), mask), want));
}

/* First verified hit among the candidates of 32 positions; -1: none. */
static int
pair_verify(const struct literal_scan *s, const uint8_t *p, uint32_t bits)
{
	for (; bits != 0; bits &= bits - 1)
		if (literal_at(&s->set.lit[0], s->icase,
		    p + __builtin_ctz(bits)))
			return (__builtin_ctz(bits));
	return (-1);
}

/*
 * Two bytes of the literal at their offsets, 64 positions a round.  All loads
 * and verifications stay within p .. end.
 */
SIMD_AVX2 static const uint8_t *
find_pair_avx2(const struct literal_scan *s, const uint8_t *p,
    const uint8_t *end)
{
	const __m256i	 w0 = _mm256_set1_epi8((char)s->want[0]);
	const __m256i	 w1 = _mm256_set1_epi8((char)s->want[1]);
	const __m256i	 m0 = _mm256_set1_epi8((char)s->mask[0]);
	const __m256i	 m1 = _mm256_set1_epi8((char)s->mask[1]);
	const uint32_t	 a0 = s->at[0], a1 = s->at[1], len = s->min;
	__m256i		 x, y;
	int		 hit;

	for (; (size_t)(end - p) >= 64 + (size_t)len; p += 64) {
		_mm_prefetch((const char *)p + AHEAD, _MM_HINT_T0);
		x = _mm256_and_si256(equal(p + a0, m0, w0),
		    equal(p + a1, m1, w1));
		y = _mm256_and_si256(equal(p + 32 + a0, m0, w0),
		    equal(p + 32 + a1, m1, w1));
		if (__builtin_expect(_mm256_testz_si256(
		    _mm256_or_si256(x, y), _mm256_or_si256(x, y)), 1))
			continue;
		if ((hit = pair_verify(s, p, _mm256_movemask_epi8(x))) != -1)
			return (p + hit);
		hit = pair_verify(s, p + 32, _mm256_movemask_epi8(y));
		if (hit != -1)
			return (p + 32 + hit);
	}
	return (find_first(s, p, end));
}

/* Buckets whose literals may start at each of 32 positions. */
static inline SIMD_AVX2 __m256i
teddy(const uint8_t *p, const __m256i *lo, const __m256i *hi, uint32_t window)
{
	const __m256i	nib = _mm256_set1_epi8(0x0f);
	__m256i		v, r = _mm256_set1_epi8(-1);
	uint32_t	i;

	for (i = 0; i < window; i++) {
		v = load(p + i);
		r = _mm256_and_si256(r, _mm256_and_si256(
		    _mm256_shuffle_epi8(lo[i], _mm256_and_si256(v, nib)),
		    _mm256_shuffle_epi8(hi[i], _mm256_and_si256(
		    _mm256_srli_epi16(v, 4), nib))));
	}
	return (r);
}

SIMD_AVX2 static int
teddy_verify(const struct literal_scan *s, const uint8_t *p, __m256i r,
    const uint8_t *end)
{
	uint8_t		b[32];
	uint32_t	bits;
	int		i;

	bits = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(r,
	    _mm256_setzero_si256()));
	_mm256_storeu_si256((__m256i *)(void *)b, r);
	for (; bits != 0; bits &= bits - 1) {
		i = __builtin_ctz(bits);
		if (set_at(s, b[i], p + i, end))
			return (i);
	}
	return (-1);
}

static inline SIMD_AVX2 __attribute__((always_inline)) const uint8_t *
find_set(const struct literal_scan *s, const uint8_t *p, const uint8_t *end,
    uint32_t window)
{
	__m256i		 lo[3], hi[3], x, y;
	uint32_t	 i;
	int		 hit;

	for (i = 0; i < window; i++) {
		lo[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128(
		    (const __m128i *)(const void *)s->lo[i]));
		hi[i] = _mm256_broadcastsi128_si256(_mm_loadu_si128(
		    (const __m128i *)(const void *)s->hi[i]));
	}
	for (; end - p >= 64 + 3; p += 64) {
		_mm_prefetch((const char *)p + AHEAD, _MM_HINT_T0);
		x = teddy(p, lo, hi, window);
		y = teddy(p + 32, lo, hi, window);
		if (__builtin_expect(_mm256_testz_si256(
		    _mm256_or_si256(x, y), _mm256_or_si256(x, y)), 1))
			continue;
		if ((hit = teddy_verify(s, p, x, end)) != -1)
			return (p + hit);
		if ((hit = teddy_verify(s, p + 32, y, end)) != -1)
			return (p + 32 + hit);
	}
	return (find_first(s, p, end));
}

SIMD_AVX2 static const uint8_t *
find_set_avx2(const struct literal_scan *s, const uint8_t *p,
    const uint8_t *end)
{
	switch (s->window) {
	case 1:
		return (find_set(s, p, end, 1));
	case 2:
		return (find_set(s, p, end, 2));
	}
	return (find_set(s, p, end, 3));
}
#endif

/* --- setting up ---------------------------------------------------------- */

/* The rarest byte of a literal, but not the one at `but` (NULL: any). */
static uint32_t
rarest(const struct literal_scan *s, const uint32_t *hist, const uint32_t *but)
{
	const struct literal	*l = &s->set.lit[0];
	uint64_t		 n, least = UINT64_MAX;
	uint32_t		 i, at = 0;

	for (i = 0; i < l->len; i++) {
		n = hist[l->b[i]];
		if (s->icase && is_letter(l->b[i]))
			n = (uint64_t)hist[l->b[i] | 0x20] +
			    hist[l->b[i] & ~0x20];
		/* Unlike bytes tell more than a pair of the same. */
		if (but != NULL && fold(l->b[i]) == fold(l->b[*but]))
			n = n * 4 + 1;
		if ((but == NULL || i != *but) && n < least) {
			least = n;
			at = i;
		}
	}
	return (at);
}

static void
scan_pair(struct literal_scan *s, const uint32_t *hist)
{
	const struct literal	*l = &s->set.lit[0];
	int			 i;

	s->at[0] = rarest(s, hist, NULL);
	s->at[1] = l->len > 1 ? rarest(s, hist, &s->at[0]) : s->at[0];
	for (i = 0; i < 2; i++) {
		s->want[i] = l->b[s->at[i]];
		if (s->icase && is_letter(s->want[i])) {
			s->mask[i] = 0x20;
			s->want[i] |= 0x20;
		}
	}
}

static void
scan_byte(struct literal_scan *s, uint32_t pos, uint8_t c, uint8_t bucket)
{
	if (pos < 3) {
		s->lo[pos][c & 0x0f] |= bucket;
		s->hi[pos][c >> 4] |= bucket;
	}
	if (pos == 0)
		s->first[c] |= bucket;
}

static void
scan_tables(struct literal_scan *s)
{
	const struct literal	*l;
	uint32_t		 i, j;
	uint8_t			 bucket;

	s->window = s->min < 3 ? s->min : 3;
	for (i = 0; i < s->set.n; i++) {
		l = &s->set.lit[i];
		bucket = 1U << (i % LITERAL_BUCKETS);
		for (j = 0; j < s->window; j++) {
			scan_byte(s, j, l->b[j], bucket);
			if (s->icase && is_letter(l->b[j]))
				scan_byte(s, j, l->b[j] ^ 0x20, bucket);
		}
	}
}

void
literal_scan_init(struct literal_scan *s, const struct literal_set *set,
    int icase, const uint32_t *hist)
{
	uint32_t i;

	memset(s, 0, sizeof(*s));
	s->set = *set;
	s->icase = icase;
	s->min = set->lit[0].len;
	for (i = 1; i < set->n; i++)
		if (set->lit[i].len < s->min)
			s->min = set->lit[i].len;
	scan_pair(s, hist);
	scan_tables(s);
	s->find = find_first;
	if (set->n == 1 && !icase)
		s->find = s->min == 1 ? find_byte : find_one;
#if SIMD_X86
	if (!literal_portable && simd_have_avx2() && s->find != find_byte)
		s->find = set->n == 1 ? find_pair_avx2 : find_set_avx2;
#endif
}
