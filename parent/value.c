/*
 * Text of the configuration to values: numbers, durations, sizes, words, and
 * command strings split as sh(1) would (C-36), each with its range and its
 * error.  Knows nothing of what the values are for.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "util.h"

#define SUGGEST_MAX	40	/* longer words are not compared */

static const struct choice signal_choices[] = {
	{ "TERM", SIGTERM }, { "INT", SIGINT }, { "QUIT", SIGQUIT },
	{ "HUP", SIGHUP }, { "KILL", SIGKILL }, { "USR1", SIGUSR1 },
	{ "USR2", SIGUSR2 }, { "ABRT", SIGABRT }, { "ALRM", SIGALRM },
	{ "WINCH", SIGWINCH }, { NULL, 0 }
};

/* Digits only: strtonum would take blanks, signs and 2^63 and above not. */
static int
digits(const char *text, uint64_t *value)
{
	char	*end;

	if (!isdigit((unsigned char)*text))
		return (-1);
	errno = 0;
	*value = strtoull(text, &end, 10);
	return (errno != 0 || *end != '\0' ? -1 : 0);
}

int
value_number(struct config *conf, const struct pos *pos, const char *key,
    const char *text, struct range range, uint32_t *out)
{
	uint64_t	 n;

	if (digits(text, &n) == -1 || n < range.min || n > range.max) {
		config_error(conf, pos, "%s: `%s` is not a number from %llu "
		    "to %llu", key, text, (unsigned long long)range.min,
		    (unsigned long long)range.max);
		return (-1);
	}
	*out = (uint32_t)n;
	return (0);
}

int
value_duration(struct config *conf, const struct pos *pos, const char *key,
    const char *text, struct range range, uint64_t *out)
{
	char		 min[32], max[32];
	uint64_t	 ms;

	if (strcmp(text, "0") == 0)
		ms = 0;
	else if (parse_duration(text, &ms) == -1) {
		config_error(conf, pos, "%s: `%s` is not a duration like 500ms, "
		    "30s, 5m, 3h or 1d", key, text);
		return (-1);
	}
	if ((ms < range.min || ms > range.max) && !(ms == 0 && range.or_zero)) {
		config_error(conf, pos, "%s: %s is not from %s to %s", key,
		    text, print_duration(range.min, min, sizeof(min)),
		    print_duration(range.max, max, sizeof(max)));
		return (-1);
	}
	*out = ms;
	return (0);
}

static int
size_parse(const char *text, uint64_t *out)
{
	static const char	 units[] = "KMG";
	const char		*unit;
	char			*end;
	int			 shift = 0;
	uint64_t		 n;

	if (!isdigit((unsigned char)*text))
		return (-1);
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno != 0)
		return (-1);
	if (*end != '\0') {
		unit = strchr(units, toupper((unsigned char)*end));
		if (unit == NULL || end[1] != '\0')
			return (-1);
		shift = 10 * ((int)(unit - units) + 1);
	}
	if (n > (UINT64_MAX >> shift))
		return (-1);
	*out = n << shift;
	return (0);
}

int
value_size(struct config *conf, const struct pos *pos, const char *key,
    const char *text, struct range range, uint64_t *out)
{
	char	 min[32], max[32];

	if (size_parse(text, out) == -1) {
		config_error(conf, pos, "%s: `%s` is not a size like 4096, "
		    "256K, 16M or 1G", key, text);
		return (-1);
	}
	if (*out < range.min || *out > range.max) {
		config_error(conf, pos, "%s: %s is not from %s to %s", key,
		    text, print_size(range.min, min, sizeof(min)),
		    print_size(range.max, max, sizeof(max)));
		return (-1);
	}
	return (0);
}

int
value_octal(struct config *conf, const struct pos *pos, const char *key,
    const char *text, uint32_t *out)
{
	unsigned long	 n = 0;
	char		*end = NULL;

	if (isdigit((unsigned char)*text))
		n = strtoul(text, &end, 8);
	if (end == NULL || *end != '\0' || n > 0777) {
		config_error(conf, pos, "%s: `%s` is not an octal number from "
		    "0 to 0777", key, text);
		return (-1);
	}
	*out = (uint32_t)n;
	return (0);
}

/* "2", "1.5", "1.125": from 1 to 100, at most three decimals. */
int
value_factor(struct config *conf, const struct pos *pos, const char *key,
    const char *text, uint32_t *out)
{
	const char	*p = text;
	uint32_t	 n = 0, digit = CONF_FACTOR_ONE;

	for (; isdigit((unsigned char)*p) && n <= 100; p++)
		n = n * 10 + (uint32_t)(*p - '0');
	n *= CONF_FACTOR_ONE;
	if (p != text && *p == '.' && isdigit((unsigned char)p[1])) {
		for (p++; isdigit((unsigned char)*p) && digit > 1; p++) {
			digit /= 10;
			n += digit * (uint32_t)(*p - '0');
		}
	}
	if (p == text || *p != '\0' || n < CONF_FACTOR_ONE ||
	    n > 100 * CONF_FACTOR_ONE) {
		config_error(conf, pos, "%s: `%s` is not a factor from 1.0 to "
		    "100.0 with at most three decimals", key, text);
		return (-1);
	}
	*out = n;
	return (0);
}

int
value_signal(struct config *conf, const struct pos *pos, const char *key,
    const char *text, uint32_t *out)
{
	if (strncmp(text, "SIG", 3) == 0)
		text += 3;
	return (value_choice(conf, pos, key, text, signal_choices, out));
}

const char *
signal_name(uint32_t sig)
{
	return (choice_name(signal_choices, sig));
}

const char *
choice_name(const struct choice *table, uint32_t value)
{
	for (; table->word != NULL; table++)
		if (table->value == value)
			return (table->word);
	return (NULL);
}

static const char *
choice_list(struct config *conf, const struct choice *table)
{
	const char	*list = "";

	for (; table->word != NULL; table++)
		list = config_printf(conf, "%s%s%s", list, *list == '\0' ? "" :
		    table[1].word == NULL ? " or " : ", ", table->word);
	return (list);
}

int
value_choice(struct config *conf, const struct pos *pos, const char *key,
    const char *text, const struct choice *table, uint32_t *out)
{
	const struct choice	*c;

	for (c = table; c->word != NULL; c++) {
		if (strcmp(c->word, text) == 0) {
			*out = c->value;
			return (0);
		}
	}
	config_error(conf, pos, "%s: `%s` is not %s", key, text,
	    choice_list(conf, table));
	return (-1);
}

/* One quoted or escaped piece of a word; returns what follows, NULL: open. */
static const char *
split_piece(const char *s, char **out)
{
	if (*s == '\\') {
		if (s[1] == '\0')
			return (NULL);
		*(*out)++ = s[1];
		return (s + 2);
	}
	if (*s == '\'') {
		for (s++; *s != '\'' && *s != '\0'; s++)
			*(*out)++ = *s;
		return (*s == '\0' ? NULL : s + 1);
	}
	if (*s == '"') {
		for (s++; *s != '"' && *s != '\0'; s++) {
			if (*s == '\\' && s[1] != '\0' &&
			    strchr("$`\"\\", s[1]) != NULL)
				s++;
			*(*out)++ = *s;
		}
		return (*s == '\0' ? NULL : s + 1);
	}
	*(*out)++ = *s;
	return (s + 1);
}

struct words *
value_split(struct config *conf, const struct pos *pos, const char *key,
    const char *text)
{
	static const char	 blanks[] = " \t\n";
	struct words		*words = words_new(conf);
	const char		*s = text + strspn(text, blanks);
	char			*word = config_alloc(conf, strlen(text) + 1);
	char			*out;
	int			 shellish = 0;

	while (*s != '\0') {
		for (out = word; *s != '\0' && strchr(blanks, *s) == NULL;) {
			shellish |= strchr("|&;<>`$", *s) != NULL;
			if ((s = split_piece(s, &out)) == NULL) {
				config_error(conf, pos, "%s: a quote or "
				    "backslash in `%s` has no end", key, text);
				return (NULL);
			}
		}
		*out = '\0';
		words_add(conf, words, word);
		s += strspn(s, blanks);
	}
	if (shellish)
		config_warning(conf, pos, "%s: no shell reads `%s`: use shell "
		    "for pipes, redirections and variables", key, text);
	return (words);
}

/* How many letters to insert, drop, change or swap to make b of a. */
static size_t
distance(const char *a, const char *b)
{
	size_t	 la = strlen(a), lb = strlen(b), i, j, best;
	size_t	 d[SUGGEST_MAX + 1][SUGGEST_MAX + 1];

	if (la > SUGGEST_MAX || lb > SUGGEST_MAX)
		return (SUGGEST_MAX);
	for (i = 0; i <= la; i++)
		d[i][0] = i;
	for (j = 0; j <= lb; j++)
		d[0][j] = j;
	for (i = 1; i <= la; i++) {
		for (j = 1; j <= lb; j++) {
			best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			if (d[i - 1][j] + 1 < best)
				best = d[i - 1][j] + 1;
			if (d[i][j - 1] + 1 < best)
				best = d[i][j - 1] + 1;
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
				best = d[i - 2][j - 2] + 1;
			d[i][j] = best;
		}
	}
	return (d[la][lb]);
}

/* Rows of stride bytes that begin with a pointer to the word. */
const char *
suggest(const char *text, const char *const *table, size_t stride)
{
	const char	*word, *best = NULL;
	size_t		 n, least = (strlen(text) + 1) / 3;

	if (least == 0)
		least = 1;

	for (; (word = *table) != NULL; table = (const char *const *)
	    ((const char *)table + stride)) {
		if ((n = distance(text, word)) <= least && n < strlen(word)) {
			if (best != NULL && n == least)
				continue;
			best = word;
			least = n;
		}
	}
	return (best);
}
