/*
 * Small helpers that more than one program needs: time, descriptors, text.
 * Nothing here knows of services, messages or configuration.
 */
#include <sys/types.h>

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define YEAR_9999_MS	253402300799999ULL	/* the last RFC 3339 can name */
#define DIGITS		"0123456789"

static uint64_t
clock_us(clockid_t clock)
{
	struct timespec	ts;

	if (clock_gettime(clock, &ts) == -1)
		return (0);
	return ((uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000);
}

uint64_t
now_ms(void)
{
	return (clock_us(CLOCK_REALTIME) / 1000);
}

uint64_t
mono_ms(void)
{
	return (clock_us(CLOCK_MONOTONIC) / 1000);
}

uint64_t
mono_us(void)
{
	return (clock_us(CLOCK_MONOTONIC));
}

char *
rfc3339(uint64_t ms, char *buf, size_t size)
{
	struct tm	tm;
	time_t		sec;
	char		day[RFC3339_SIZE];

	if (ms > YEAR_9999_MS)
		ms = YEAR_9999_MS;
	sec = (time_t)(ms / 1000);
	if (gmtime_r(&sec, &tm) == NULL ||
	    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
		day[0] = '\0';
	(void)snprintf(buf, size, "%s.%03uZ", day, (unsigned int)(ms % 1000));
	return (buf);
}

/* Exactly n digits to a number in lo..hi; the text moves on behind them. */
static int
parse_digits(const char **s, int n, int lo, int hi, int *value)
{
	int	i, v = 0;

	for (i = 0; i < n; i++) {
		if (!isdigit((unsigned char)(*s)[i]))
			return (-1);
		v = v * 10 + ((*s)[i] - '0');
	}
	if (v < lo || v > hi)
		return (-1);
	*s += n;
	*value = v;
	return (0);
}

static int
parse_char(const char **s, const char *set)
{
	if (**s == '\0' || strchr(set, **s) == NULL)
		return (-1);
	(*s)++;
	return (0);
}

/* ".123456" to ms, digits behind the third are dropped; absent: 0. */
static int
parse_fraction(const char **s, int *ms)
{
	int	unit = 100;

	*ms = 0;
	if (**s != '.')
		return (0);
	(*s)++;
	if (!isdigit((unsigned char)**s))
		return (-1);
	for (; isdigit((unsigned char)**s); (*s)++, unit /= 10)
		*ms += (**s - '0') * unit;
	return (0);
}

/* "Z" or "+01:00" to seconds east, up to the end of the text. */
static int
parse_zone(const char *s, int *seconds)
{
	int	hours, minutes, sign;

	*seconds = 0;
	if (*s == 'Z' || *s == 'z')
		return (s[1] == '\0' ? 0 : -1);
	if (*s != '+' && *s != '-')
		return (-1);
	sign = *s++ == '-' ? -1 : 1;
	if (parse_digits(&s, 2, 0, 23, &hours) == -1 ||
	    parse_char(&s, ":") == -1 ||
	    parse_digits(&s, 2, 0, 59, &minutes) == -1 || *s != '\0')
		return (-1);
	*seconds = sign * (hours * 3600 + minutes * 60);
	return (0);
}

static int
parse_rfc3339(const char *s, uint64_t *ms)
{
	struct tm	tm, back;
	time_t		t;
	int		year, month, frac, zone;

	memset(&tm, 0, sizeof(tm));
	if (parse_digits(&s, 4, 1970, 9999, &year) == -1 ||
	    parse_char(&s, "-") == -1 ||
	    parse_digits(&s, 2, 1, 12, &month) == -1 ||
	    parse_char(&s, "-") == -1 ||
	    parse_digits(&s, 2, 1, 31, &tm.tm_mday) == -1 ||
	    parse_char(&s, "Tt ") == -1 ||
	    parse_digits(&s, 2, 0, 23, &tm.tm_hour) == -1 ||
	    parse_char(&s, ":") == -1 ||
	    parse_digits(&s, 2, 0, 59, &tm.tm_min) == -1 ||
	    parse_char(&s, ":") == -1 ||
	    parse_digits(&s, 2, 0, 60, &tm.tm_sec) == -1 ||
	    parse_fraction(&s, &frac) == -1 || parse_zone(s, &zone) == -1)
		return (-1);
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	back = tm;
	t = timegm(&back);
	/* February 30 would have become March 2. */
	if (t == -1 || (tm.tm_sec < 60 && back.tm_mday != tm.tm_mday))
		return (-1);
	t -= zone;
	if (t < 0)
		return (-1);
	*ms = (uint64_t)t * 1000 + (uint64_t)frac;
	return (0);
}

int
parse_when(const char *s, uint64_t now, uint64_t *ms)
{
	uint64_t	ago;

	if (parse_duration(s, &ago) == 0) {
		*ms = ago < now ? now - ago : 0;
		return (0);
	}
	return (parse_rfc3339(s, ms));
}

int
parse_duration(const char *s, uint64_t *ms)
{
	static const struct {
		const char	*name;
		uint64_t	 ms;
	} units[] = {
		{ "ms", 1 }, { "s", 1000 }, { "m", 60 * 1000 },
		{ "h", 3600 * 1000 }, { "d", 24 * 3600 * 1000 }
	};
	const char	*unit = s + strspn(s, DIGITS);
	uint64_t	 v = 0;
	size_t		 i;

	if (unit == s)
		return (-1);
	for (; s < unit; s++)
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, *s - '0', &v))
			return (-1);
	for (i = 0; i < nitems(units); i++)
		if (strcmp(unit, units[i].name) == 0)
			break;
	if (i == nitems(units) || __builtin_mul_overflow(v, units[i].ms, &v))
		return (-1);
	*ms = v;
	return (0);
}

int
fd_nonblock(int fd)
{
	int	flags;

	if ((flags = fcntl(fd, F_GETFL)) == -1)
		return (-1);
	return (fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1 ? -1 : 0);
}

int
fd_cloexec(int fd)
{
	int	flags;

	if ((flags = fcntl(fd, F_GETFD)) == -1)
		return (-1);
	return (fcntl(fd, F_SETFD, flags | FD_CLOEXEC) == -1 ? -1 : 0);
}

int
write_all(int fd, const void *data, size_t len)
{
	const char	*p = data;
	ssize_t		 n;

	while (len > 0) {
		if ((n = write(fd, p, len)) == -1) {
			if (errno == EINTR)
				continue;
			return (-1);
		}
		p += n;
		len -= (size_t)n;
	}
	return (0);
}

/* A bounded output that goes on counting when it is full. */
struct out {
	char	*buf;
	size_t	 size;
	size_t	 len;
};

static void
out_char(struct out *o, char c)
{
	if (o->len + 1 < o->size)
		o->buf[o->len] = c;
	o->len++;
}

static void
out_text(struct out *o, const char *s)
{
	while (*s != '\0')
		out_char(o, *s++);
}

static int
word_is_plain(const char *word, int first)
{
	static const char	plain[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS "_@%+:,./-=";

	/* "A=b" in front would be taken for an assignment. */
	if (first && strchr(word, '=') != NULL)
		return (0);
	return (*word != '\0' && word[strspn(word, plain)] == '\0');
}

static void
out_quoted(struct out *o, const char *word)
{
	out_char(o, '\'');
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			out_text(o, "'\\''");
		else
			out_char(o, *word);
	}
	out_char(o, '\'');
}

size_t
argv_display(char *buf, size_t size, char *const *argv)
{
	struct out	o = { buf, size, 0 };
	int		i;

	for (i = 0; argv[i] != NULL; i++) {
		if (i > 0)
			out_char(&o, ' ');
		if (word_is_plain(argv[i], i == 0))
			out_text(&o, argv[i]);
		else
			out_quoted(&o, argv[i]);
	}
	if (size > 0)
		buf[o.len < size ? o.len : size - 1] = '\0';
	return (o.len);
}

/*
 * Well-formed sequences, Unicode table 3-7: the first byte decides the length
 * and the range of the second byte; that is what keeps out overlong forms,
 * surrogates and what lies above U+10FFFF.
 */
static const struct utf8_form {
	unsigned char	first, last;	/* range of the first byte */
	unsigned char	lo, hi;		/* range of the second byte */
	unsigned char	len;
} utf8_forms[] = {
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 }
};

/*
 * Length of the sequence at s; *ok tells whether it is well-formed.  If not,
 * the length is that of the bytes that one U+FFFD stands for (the longest
 * start of a well-formed sequence, at least one byte).
 */
static size_t
utf8_sequence(const unsigned char *s, size_t len, int *ok)
{
	const struct utf8_form	*f;
	size_t			 i;

	*ok = 0;
	for (i = 0; i < nitems(utf8_forms); i++)
		if (s[0] >= utf8_forms[i].first && s[0] <= utf8_forms[i].last)
			break;
	if (i == nitems(utf8_forms))
		return (1);
	f = &utf8_forms[i];
	if (len < 2 || s[1] < f->lo || s[1] > f->hi)
		return (1);
	for (i = 2; i < f->len; i++)
		if (i >= len || (s[i] & 0xc0) != 0x80)
			return (i);
	*ok = 1;
	return (f->len);
}

/* U+0080 to U+009F are control characters, too: U+009B starts a sequence. */
static int
utf8_is_c1(const unsigned char *s)
{
	return (s[0] == 0xc2 && s[1] <= 0x9f);
}

size_t
utf8_clean(char *dst, const char *src, size_t len)
{
	const unsigned char	*s = (const unsigned char *)src;
	char			*d = dst;
	size_t			 n;
	int			 ok;

	for (; len > 0; s += n, len -= n) {
		n = 1;
		if (s[0] < 0x80) {
			if ((s[0] >= 0x20 && s[0] != 0x7f) ||
			    s[0] == '\t' || s[0] == '\n')
				*d++ = (char)s[0];
			continue;
		}
		n = utf8_sequence(s, len, &ok);
		if (!ok) {
			memcpy(d, "\xef\xbf\xbd", 3);
			d += 3;
		} else if (!utf8_is_c1(s)) {
			memcpy(d, s, n);
			d += n;
		}
	}
	*d = '\0';
	return ((size_t)(d - dst));
}

int
glob_match(const char *pattern, const char *s)
{
	return (fnmatch(pattern, s, 0) == 0);
}
