/*
 * TOML numbers, truth values and dates: everything that is a word.  Strings
 * are elsewhere.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "toml_text.h"
#include "util.h"

/* A word and how far it has been read. */
struct word {
	const char	*s;
	const char	*end;
};

static const struct {
	char	prefix;
	int	base;
} bases[] = { { 'x', 16 }, { 'o', 8 }, { 'b', 2 } };

static const struct {
	const char	*word;
	double		 value;
} constants[] = {
	{ "inf", INFINITY }, { "+inf", INFINITY }, { "-inf", -INFINITY },
	{ "nan", NAN }, { "+nan", NAN }, { "-nan", -NAN }
};

static int
is_digit(int c)
{
	return (c >= '0' && c <= '9');
}

static int
word_byte(int c)
{
	return (is_digit(c) || (c >= 'a' && c <= 'z') ||
	    (c >= 'A' && c <= 'Z') || c == '_' || c == '+' || c == '-' ||
	    c == '.' || c == ':');
}

static int
word_is(const struct word *w, const char *s)
{
	size_t	len = strlen(s);

	return ((size_t)(w->end - w->s) == len && memcmp(w->s, s, len) == 0);
}

static int
word_next(const struct word *w)
{
	return (w->s < w->end ? (unsigned char)*w->s : -1);
}

static int
word_eat(struct word *w, char c)
{
	if (word_next(w) != c)
		return (0);
	w->s++;
	return (1);
}

/* --- dates and times --------------------------------------------------- */

/* Exactly n digits, between lo and hi. */
static int
digits_read(struct word *w, int n, int lo, int hi, int *value)
{
	int	v = 0;

	for (; n > 0; n--, w->s++) {
		if (!is_digit(word_next(w)))
			return (0);
		v = v * 10 + (*w->s - '0');
	}
	*value = v;
	return (v >= lo && v <= hi);
}

static int
month_days(int year, int month)
{
	static const int days[] =
	    { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	if (month == 2 && year % 4 == 0 && (year % 100 != 0 ||
	    year % 400 == 0))
		return (29);
	return (days[month - 1]);
}

static int
date_read(struct word *w)
{
	int	year, month, day;

	return (digits_read(w, 4, 0, 9999, &year) && word_eat(w, '-') &&
	    digits_read(w, 2, 1, 12, &month) && word_eat(w, '-') &&
	    digits_read(w, 2, 1, month_days(year, month), &day));
}

/* Second 60 is a leap second (RFC 3339). */
static int
time_read(struct word *w)
{
	int	v;

	if (!digits_read(w, 2, 0, 23, &v) || !word_eat(w, ':') ||
	    !digits_read(w, 2, 0, 59, &v) || !word_eat(w, ':') ||
	    !digits_read(w, 2, 0, 60, &v))
		return (0);
	if (!word_eat(w, '.'))
		return (1);
	if (!is_digit(word_next(w)))
		return (0);
	while (is_digit(word_next(w)))
		w->s++;
	return (1);
}

static int
offset_read(struct word *w)
{
	int	v;

	if (word_eat(w, 'Z') || word_eat(w, 'z'))
		return (1);
	return ((word_eat(w, '+') || word_eat(w, '-')) &&
	    digits_read(w, 2, 0, 23, &v) && word_eat(w, ':') &&
	    digits_read(w, 2, 0, 59, &v));
}

static int
datetime_valid(struct word w)
{
	if (w.end - w.s > 2 && w.s[2] == ':')
		return (time_read(&w) && w.s == w.end);
	if (!date_read(&w))
		return (0);
	if (w.s == w.end)
		return (1);
	if (!word_eat(&w, 'T') && !word_eat(&w, 't') && !word_eat(&w, ' '))
		return (0);
	return (time_read(&w) && (w.s == w.end || offset_read(&w)) &&
	    w.s == w.end);
}

static int
looks_like_date(const struct word *w)
{
	size_t	n = 0;

	while (w->s + n < w->end && is_digit(w->s[n]))
		n++;
	return (w->s + n < w->end && ((n == 4 && w->s[n] == '-') ||
	    (n == 2 && w->s[n] == ':')));
}

/* A space in place of the T: a second word belongs to this one. */
static void
date_extend(const struct toml_text *t, struct word *w)
{
	if (w->end - w->s != 10 || w->s[4] != '-' || t->end - w->end < 2 ||
	    w->end[0] != ' ' || !is_digit(w->end[1]))
		return;
	w->end++;
	while (w->end < t->end && word_byte(*w->end))
		w->end++;
}

static struct toml_value *
datetime_read(struct toml_text *t, struct word w)
{
	struct toml_value *v;

	if (!datetime_valid(w)) {
		text_error(t, "no such date or time; they are written "
		    "1979-05-27T07:32:00Z, 1979-05-27, 07:32:00");
		return (NULL);
	}
	if ((v = value_new(t, TOML_DATETIME)) == NULL)
		return (NULL);
	v->u.len = (size_t)(w.end - w.s);
	if ((v->u.s = arena_alloc(t, v->u.len + 1)) == NULL)
		return (NULL);
	memcpy(v->u.s, w.s, v->u.len);
	v->u.s[v->u.len] = '\0';
	return (v);
}

/* --- numbers ----------------------------------------------------------- */

static int
digit_value(int c, int base)
{
	int	d = -1;

	if (is_digit(c))
		d = c - '0';
	else if (c >= 'a' && c <= 'f')
		d = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		d = c - 'A' + 10;
	return (d < base ? d : -1);
}

/*
 * digit *( [_] digit ): eats as far as that goes and appends the digits to out.
 * -1: none, or an underscore not between two digits.
 */
static int
digits_copy(struct word *w, int base, char *out, size_t *len)
{
	if (digit_value(word_next(w), base) == -1)
		return (-1);
	for (;;) {
		out[(*len)++] = *w->s++;
		if (word_eat(w, '_')) {
			if (digit_value(word_next(w), base) == -1)
				return (-1);
		} else if (digit_value(word_next(w), base) == -1)
			return (0);
	}
}

static struct toml_value *
integer_make(struct toml_text *t, const char *digits, int base)
{
	struct toml_value *v;
	long long	   n;

	errno = 0;
	n = strtoll(digits, NULL, base);
	if (errno == ERANGE) {
		text_error(t, "the number does not fit into 64 bits");
		return (NULL);
	}
	if ((v = value_new(t, TOML_INTEGER)) != NULL)
		v->u.integer = n;
	return (v);
}

static struct toml_value *
float_make(struct toml_text *t, const char *digits)
{
	struct toml_value *v;
	double		   n;

	n = strtod(digits, NULL);
	if (isinf(n)) {
		text_error(t, "the number is too great; infinity is written "
		    "inf");
		return (NULL);
	}
	if ((v = value_new(t, TOML_FLOAT)) != NULL)
		v->u.number = n;
	return (v);
}

static struct toml_value *
number_bad(struct toml_text *t)
{
	text_error(t, "not a value: expected a string in quotes, a number, "
	    "true, false, a date, an array or an inline table");
	return (NULL);
}

static struct toml_value *
based_read(struct toml_text *t, struct word w, char *buf)
{
	size_t	i, len = 0;

	for (i = 0; i < nitems(bases); i++) {
		if (w.s[1] != bases[i].prefix)
			continue;
		w.s += 2;
		if (digits_copy(&w, bases[i].base, buf, &len) == -1 ||
		    w.s != w.end)
			break;
		buf[len] = '\0';
		return (integer_make(t, buf, bases[i].base));
	}
	return (number_bad(t));
}

/* [.digits] [e[+-]digits], behind the whole part.  -1: ill-formed. */
static int
fraction_copy(struct word *w, char *buf, size_t *len)
{
	if (word_eat(w, '.')) {
		buf[(*len)++] = '.';
		if (digits_copy(w, 10, buf, len) == -1)
			return (-1);
	}
	if (!word_eat(w, 'e') && !word_eat(w, 'E'))
		return (0);
	buf[(*len)++] = 'e';
	if (word_next(w) == '+' || word_next(w) == '-')
		buf[(*len)++] = *w->s++;
	return (digits_copy(w, 10, buf, len));
}

static struct toml_value *
decimal_read(struct toml_text *t, struct word w, char *buf)
{
	size_t	len = 0, whole;

	if (word_next(&w) == '+' || word_next(&w) == '-')
		buf[len++] = *w.s++;
	whole = len;
	if (digits_copy(&w, 10, buf, &len) == -1)
		return (number_bad(t));
	if (buf[whole] == '0' && len - whole > 1) {
		text_error(t, "a number must not start with 0");
		return (NULL);
	}
	whole = len;
	if (fraction_copy(&w, buf, &len) == -1 || w.s != w.end)
		return (number_bad(t));
	buf[len] = '\0';
	return (len == whole ? integer_make(t, buf, 10) : float_make(t, buf));
}

static struct toml_value *
number_read(struct toml_text *t, struct word w)
{
	char	*buf;
	size_t	 len = (size_t)(w.end - w.s);

	if ((buf = arena_alloc(t, len + 1)) == NULL)
		return (NULL);
	if (len > 2 && w.s[0] == '0' && w.s[1] >= 'a' && w.s[1] != 'e')
		return (based_read(t, w, buf));
	return (decimal_read(t, w, buf));
}

/* --- words ------------------------------------------------------------- */

static struct toml_value *
constant_read(struct toml_text *t, const struct word *w)
{
	struct toml_value *v;
	size_t		   i;

	for (i = 0; i < nitems(constants); i++) {
		if (!word_is(w, constants[i].word))
			continue;
		if ((v = value_new(t, TOML_FLOAT)) != NULL)
			v->u.number = constants[i].value;
		return (v);
	}
	if ((v = value_new(t, TOML_BOOLEAN)) != NULL)
		v->u.truth = word_is(w, "true");
	return (v);
}

static int
is_constant(const struct word *w)
{
	size_t	i;

	for (i = 0; i < nitems(constants); i++)
		if (word_is(w, constants[i].word))
			return (1);
	return (word_is(w, "true") || word_is(w, "false"));
}

struct toml_value *
scalar_read(struct toml_text *t)
{
	struct toml_value *v;
	struct word	   w = { t->p, t->p };

	while (w.end < t->end && word_byte(*w.end))
		w.end++;
	if (is_constant(&w))
		v = constant_read(t, &w);
	else if (looks_like_date(&w)) {
		date_extend(t, &w);
		v = datetime_read(t, w);
	} else
		v = number_read(t, w);
	if (v != NULL)
		t->p = w.end;
	return (v);
}
