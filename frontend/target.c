/*
 * Which service the arguments of a tool name: by name, pid, label or command,
 * among those that the caller may see.  What it may not see is "not found".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend.h"
#include "schema.h"
#include "util.h"

#define COMMAND_MAX	8192	/* bytes of a command as shown */
#define WORDS_MAX	512

#define BY_NAME		0x01
#define BY_PID		0x02
#define BY_LABEL	0x04
#define BY_COMMAND	0x08

struct want {
	const char	*text;
	const char	*directory;	/* NULL: any */
	uint32_t	 pid;
};

static const struct {
	const char	*key;
	int		 by;
} keys[] = {
	{ "process", BY_NAME | BY_PID | BY_LABEL | BY_COMMAND },
	{ "target", BY_NAME | BY_PID | BY_LABEL | BY_COMMAND },
	{ "pid", BY_PID },
	{ "command_or_label", BY_LABEL | BY_COMMAND },
	{ "label", BY_LABEL },
};

static int
name_is(const struct service *s, const struct want *w)
{
	return (strcmp(s->state.name, w->text) == 0);
}

static int
pid_is(const struct service *s, const struct want *w)
{
	return (w->pid != 0 && s->state.pid == w->pid);
}

static int
label_is(const struct service *s, const struct want *w)
{
	const struct display	*d = service_display(s);

	return (d != NULL && strcmp(d->text.label, w->text) == 0);
}

/* As sh(1) would need it, or the words with blanks between. */
static int
command_is(const struct service *s, const struct want *w)
{
	const struct display	*d = service_display(s);
	char			*argv[WORDS_MAX + 1], *p, *end;
	char			 shown[COMMAND_MAX], plain[COMMAND_MAX];
	size_t			 n = 0;

	if (d == NULL || d->words_len == 0)
		return (0);
	end = d->words + d->words_len;
	plain[0] = '\0';
	for (p = d->words; p < end && n < WORDS_MAX; p += strlen(p) + 1) {
		(void)strlcat(plain, n == 0 ? "" : " ", sizeof(plain));
		if (strlcat(plain, p, sizeof(plain)) >= sizeof(plain))
			return (0);
		argv[n++] = p;
	}
	argv[n] = NULL;
	if (strcmp(plain, w->text) == 0)
		return (1);
	return (argv_display(shown, sizeof(shown), argv) < sizeof(shown) &&
	    strcmp(shown, w->text) == 0);
}

static const struct {
	int	 by;
	int	(*is)(const struct service *, const struct want *);
} ways[] = {
	{ BY_NAME, name_is },
	{ BY_PID, pid_is },
	{ BY_LABEL, label_is },
	{ BY_COMMAND, command_is },
};

static int
directory_is(const struct service *s, const char *directory)
{
	const struct display	*d = service_display(s);

	return (directory == NULL ||
	    (d != NULL && strcmp(d->text.directory, directory) == 0));
}

/* How many are meant by the first way that knows any. */
static int
target_count(struct conn *c, const struct want *w, int by,
    struct service **found)
{
	struct service	*s;
	size_t		 i;
	int		 n = 0;

	for (i = 0; i < nitems(ways) && n == 0; i++) {
		if ((ways[i].by & by) == 0)
			continue;
		for (s = service_next(c, 0); s != NULL;
		    s = service_next(c, s->id + 1))
			if (ways[i].is(s, w) &&
			    directory_is(s, w->directory)) {
				*found = s;
				n++;
			}
	}
	return (n);
}

/* "; there are: web, api", as far as there is room. */
static void
names_list(struct conn *c, char *buf, size_t size)
{
	struct service	*s;

	buf[0] = '\0';
	for (s = service_next(c, 0); s != NULL;
	    s = service_next(c, s->id + 1)) {
		if (strlen(buf) + NAME_SIZE + 16 > size)
			break;
		(void)strlcat(buf, buf[0] == '\0' ? "; there are: " : ", ",
		    size);
		(void)strlcat(buf, s->state.name, size);
	}
}

static struct service *
target_by(struct call *call, const char *text, uint32_t pid, int by)
{
	struct service	*s = NULL;
	struct want	 w;
	char		 names[512], shown[128];
	int		 n;

	w.text = text;
	w.pid = pid;
	w.directory = arg_string(call->args, "working_directory");
	n = target_count(call->conn, &w, by, &s);
	if (n == 1)
		return (s);
	text_field(shown, sizeof(shown), text);
	names_list(call->conn, names, sizeof(names));
	if (n > 1)
		tool_error(call, "AMBIGUOUS_TARGET", "Multiple processes found "
		    "for %s: use the name%s", shown, names);
	else
		tool_error(call, "PROCESS_NOT_FOUND",
		    "Process %s not found%s", shown, names);
	return (NULL);
}

struct service *
target_find(struct call *call, const char *text)
{
	const char	*errstr;
	uint32_t	 pid;

	pid = strtonum(text, 1, INT32_MAX, &errstr);
	return (target_by(call, text, errstr == NULL ? pid : 0, keys[0].by));
}

/* The one argument that names the target; NULL: the call has ended. */
static json_t *
target_arg(struct call *call, size_t *which)
{
	json_t	*v = NULL;
	size_t	 i;

	for (i = 0; i < nitems(keys); i++) {
		if (!arg_given(call->args, keys[i].key))
			continue;
		if (v != NULL) {
			tool_error(call, "INVALID_PARAMETER",
			    "%s and %s both name the process: give one",
			    keys[*which].key, keys[i].key);
			return (NULL);
		}
		v = json_object_get(call->args, keys[i].key);
		*which = i;
	}
	if (v == NULL)
		tool_error(call, "INVALID_PARAMETER",
		    "%s must be provided", call->tool->params[0].name);
	return (v);
}

struct service *
target_resolve(struct call *call)
{
	json_t	*v;
	size_t	 which = 0;
	char	 buf[32];

	if ((v = target_arg(call, &which)) == NULL)
		return (NULL);
	if (json_is_array(v))
		v = json_array_get(v, 0);
	if (json_is_string(v) && keys[which].by == keys[0].by)
		return (target_find(call, json_string_value(v)));
	if (json_is_string(v))
		return (target_by(call, json_string_value(v), 0,
		    keys[which].by));
	(void)snprintf(buf, sizeof(buf), "%lld",
	    (long long)json_number_value(v));
	return (target_by(call, buf, (uint32_t)json_number_value(v),
	    keys[which].by));
}

int
target_given(const json_t *args)
{
	size_t	 i;

	for (i = 0; i < nitems(keys); i++)
		if (arg_given(args, keys[i].key))
			return (1);
	return (0);
}
