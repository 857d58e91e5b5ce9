/*
 * Which services a client of the control socket means: by name, pid, label,
 * group or glob, among those that it may see.
 */
#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "util.h"

#include "supervisor.h"

struct target {
	const char	*text;
	uint32_t	 pid;		/* 0: text is no number */
};

static int
match_all(const struct service *s, const struct target *t)
{
	(void)s;
	return (t->text[0] == '\0');
}

static int
match_name(const struct service *s, const struct target *t)
{
	return (strcmp(s->st.name, t->text) == 0);
}

static int
match_pid(const struct service *s, const struct target *t)
{
	return (t->pid != 0 && s->st.pid == t->pid);
}

static int
match_label(const struct service *s, const struct target *t)
{
	return (strcmp(s->conf->label, t->text) == 0);
}

static int
match_glob(const struct service *s, const struct target *t)
{
	return (strpbrk(t->text, "*?[") != NULL &&
	    glob_match(t->text, s->st.name));
}

static int
match_group(const struct service *s, const struct target *t)
{
	return (strcmp(s->st.group, t->text) == 0);
}

/* The first way that finds something is the one that was meant. */
static int	(*const ways[])(const struct service *, const struct target *) = {
	match_all, match_name, match_pid, match_label, match_glob
};

static size_t
target_by(int (*match)(const struct service *, const struct target *),
    const struct target *t, const struct identity *who,
    struct service **found, size_t max)
{
	struct service	*s;
	size_t		 n = 0;

	SERVICE_FOREACH(s)
		if (n < max && auth_visible(who, s) && match(s, t))
			found[n++] = s;
	return (n);
}

size_t
target_find(const struct wire_target *w, const struct identity *who,
    struct service **found, size_t max)
{
	struct target	 t;
	size_t		 i, n = 0;

	t.text = w->text;
	t.pid = (uint32_t)strtonum(w->text, 1, INT32_MAX, NULL);
	if (w->group)
		return (target_by(match_group, &t, who, found, max));
	for (i = 0; i < nitems(ways) && n == 0; i++)
		n = target_by(ways[i], &t, who, found, max);
	return (n);
}

/* --- did you mean --------------------------------------------------------- */
static size_t
least(size_t a, size_t b, size_t c)
{
	size_t	 m = a < b ? a : b;

	return (m < c ? m : c);
}

/* Levenshtein's distance, one row at a time. */
static size_t
edits(const char *a, const char *b)
{
	size_t	 row[NAME_SIZE], i, j, corner, above, lb = strlen(b);

	if (lb >= NAME_SIZE || strlen(a) >= NAME_SIZE)
		return (NAME_SIZE);
	for (j = 0; j <= lb; j++)
		row[j] = j;
	for (i = 1; a[i - 1] != '\0'; i++) {
		corner = row[0];
		row[0] = i;
		for (j = 1; j <= lb; j++) {
			above = row[j];
			row[j] = least(above + 1, row[j - 1] + 1,
			    corner + (a[i - 1] != b[j - 1]));
			corner = above;
		}
	}
	return (row[lb]);
}

const char *
target_hint(const char *text, const struct identity *who)
{
	const struct service	*best = NULL;
	struct service		*s;
	size_t			 d, least_d = NAME_HINT_DISTANCE + 1;

	SERVICE_FOREACH(s) {
		if (!auth_visible(who, s))
			continue;
		d = edits(text, s->st.name);
		if (d < least_d && d < strlen(s->st.name)) {
			least_d = d;
			best = s;
		}
	}
	return (best == NULL ? NULL : best->st.name);
}
