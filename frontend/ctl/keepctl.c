/*
 * keepctl(8): the command line.  Reads options by a table, finds the verb in
 * another, and lets it do the work.
 */
#include <err.h>
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "util.h"

#define BIT(id)		(1ULL << (id))
#define LONG_BASE	256	/* above any short option */
#define MAX_COUNT	1000000000
#define TIME_MAX_MS	(24ULL * 60 * 60 * 1000)

enum option_kind {
	KIND_FLAG, KIND_TEXT, KIND_DURATION, KIND_WHEN, KIND_COUNT,
	KIND_LINES, KIND_STREAM, KIND_RUN, KIND_FROM, KIND_PORT
};

static const struct option_row {
	const char	*name;
	int		 letter;	/* 0: none */
	enum option_kind kind;
	const char	*value;		/* as the help shows it */
	const char	*help;
} option_rows[OPT_COUNT] = {
	[OPT_JSON] = { "json", 'j', KIND_FLAG, NULL, "print JSON" },
	[OPT_BRIEF] = { "brief", 'q', KIND_FLAG, NULL, "print less" },
	[OPT_SOCKET] = { "socket", 's', KIND_TEXT, "path",
	    "control socket of keepd" },
	[OPT_GROUP] = { "group", 'g', KIND_TEXT, "group",
	    "the services of a group" },
	[OPT_ALL] = { "all", 'a', KIND_FLAG, NULL, "every service" },
	[OPT_TIMEOUT] = { "timeout", 't', KIND_DURATION, "time",
	    "give up after, as in 500ms, 30s, 5m" },
	[OPT_FORCE] = { "force", 'f', KIND_FLAG, NULL, "kill at once" },
	[OPT_NOWAIT] = { "no-wait", 0, KIND_FLAG, NULL,
	    "return when the request is accepted" },
	[OPT_REASON] = { "reason", 0, KIND_TEXT, "text",
	    "kept in the audit trail" },
	[OPT_REBUILD] = { "build", 'b', KIND_FLAG, NULL,
	    "build first, then swap; mode dev" },
	[OPT_FOLLOW] = { "follow", 'f', KIND_FLAG, NULL,
	    "go on as new ones come" },
	[OPT_LINES] = { "lines", 'n', KIND_LINES, "count",
	    "the last count lines, or all" },
	[OPT_STREAM] = { "stream", 0, KIND_STREAM, "name",
	    "stdout, stderr or both" },
	[OPT_SINCE] = { "since", 0, KIND_WHEN, "when",
	    "not older: RFC 3339, or 10m, 1h, 2d ago" },
	[OPT_UNTIL] = { "until", 0, KIND_WHEN, "when", "only older ones" },
	[OPT_RUN] = { "run", 0, KIND_RUN, "index",
	    "-1 newest run, -2 the one before, 0 oldest; all" },
	[OPT_RAW] = { "raw", 0, KIND_FLAG, NULL, "bytes as they were written" },
	[OPT_NOPREFIX] = { "no-prefix", 0, KIND_FLAG, NULL,
	    "no service names before lines" },
	[OPT_TIME] = { "time", 'T', KIND_FLAG, NULL, "time before each line" },
	[OPT_ICASE] = { "ignore-case", 'i', KIND_FLAG, NULL,
	    "capital and small letters match" },
	[OPT_CONTEXT] = { "context", 'C', KIND_COUNT, "lines",
	    "lines around each match" },
	[OPT_HEAD] = { "head", 0, KIND_COUNT, "count",
	    "only the first lines of the result" },
	[OPT_TAIL] = { "tail", 0, KIND_COUNT, "count",
	    "only the last lines of the result" },
	[OPT_BUILDLOG] = { "build", 'b', KIND_FLAG, NULL, "the build's log" },
	[OPT_MAXBYTES] = { "max-bytes", 0, KIND_COUNT, "bytes",
	    "stop after so much text" },
	[OPT_READY] = { "ready", 0, KIND_FLAG, NULL, "until it is ready" },
	[OPT_LOG] = { "log", 0, KIND_TEXT, "pattern",
	    "until a line matches" },
	[OPT_EXIT] = { "exit", 0, KIND_FLAG, NULL,
	    "until it has exited; its status is ours" },
	[OPT_QUIET] = { "quiet", 0, KIND_DURATION, "time",
	    "until no line came for so long" },
	[OPT_PORT] = { "port", 'p', KIND_PORT, "port",
	    "until something listens there" },
	[OPT_STATUS] = { "status", 0, KIND_TEXT, "state",
	    "only services in this state" },
	[OPT_CSV] = { "csv", 0, KIND_FLAG, NULL, "comma separated values" },
	[OPT_FROM] = { "since", 0, KIND_FROM, "now|run",
	    "with --log: old lines of the run count (run) or not" },
	[OPT_PLAN] = { "plan", 'n', KIND_FLAG, NULL,
	    "show what would change" },
};

#define GLOBAL	(BIT(OPT_JSON) | BIT(OPT_BRIEF) | BIT(OPT_SOCKET))
#define ACTING	(GLOBAL | BIT(OPT_GROUP) | BIT(OPT_ALL) | BIT(OPT_TIMEOUT) | \
		    BIT(OPT_NOWAIT) | BIT(OPT_REASON))
#define LOGGING	(GLOBAL | BIT(OPT_STREAM) | BIT(OPT_SINCE) | BIT(OPT_UNTIL) \
		    | BIT(OPT_RUN) | BIT(OPT_RAW) | BIT(OPT_TIME) | \
		    BIT(OPT_BUILDLOG))

static const struct verb_row verbs[] = {
	{ "status", "[service ...]", "how services are: all, or one in full",
	    GLOBAL | BIT(OPT_GROUP), 0, -1, verb_status },
	{ "list", "[service ...]", "which services there are",
	    GLOBAL | BIT(OPT_STATUS) | BIT(OPT_GROUP) | BIT(OPT_CSV), 0, -1,
	    verb_list },
	{ "ls", "[service ...]", NULL,
	    GLOBAL | BIT(OPT_STATUS) | BIT(OPT_GROUP) | BIT(OPT_CSV), 0, -1,
	    verb_list },
	{ "start", "[service ...]", "start services", ACTING, 0, -1,
	    verb_start },
	{ "stop", "[service ...]", "stop services with all their processes",
	    ACTING | BIT(OPT_FORCE), 0, -1, verb_stop },
	{ "restart", "[service ...]", "stop and start, or build and swap",
	    ACTING | BIT(OPT_FORCE) | BIT(OPT_REBUILD), 0, -1, verb_restart },
	{ "logs", "[service ...]", "what services print",
	    LOGGING | BIT(OPT_GROUP) | BIT(OPT_FOLLOW) | BIT(OPT_LINES) |
	    BIT(OPT_NOPREFIX), 0, -1, verb_logs },
	{ "search", "service [pattern]", "find lines by a regular expression",
	    LOGGING | BIT(OPT_ICASE) | BIT(OPT_CONTEXT) | BIT(OPT_HEAD) |
	    BIT(OPT_TAIL) | BIT(OPT_MAXBYTES), 1, 2, verb_search },
	{ "wait", "service", "wait until something happens",
	    GLOBAL | BIT(OPT_READY) | BIT(OPT_LOG) | BIT(OPT_EXIT) |
	    BIT(OPT_QUIET) | BIT(OPT_PORT) | BIT(OPT_TIMEOUT) | BIT(OPT_FROM),
	    1, 1, verb_wait },
	{ "events", "[service]", "transitions and who asked for them",
	    GLOBAL | BIT(OPT_GROUP) | BIT(OPT_FOLLOW) | BIT(OPT_SINCE), 0, 1,
	    verb_events },
	{ "mode", "[dev | release]", "show or change the mode", GLOBAL, 0, 1,
	    verb_mode },
	{ "reload", "", "read the configuration again",
	    GLOBAL | BIT(OPT_PLAN), 0, 0, verb_reload },
	{ "shutdown", "", "stop all services and keepd",
	    GLOBAL | BIT(OPT_NOWAIT) | BIT(OPT_TIMEOUT), 0, 0, verb_shutdown },
	{ "version", "", "versions of keepctl and keepd", GLOBAL, 0, 0,
	    verb_version },
	{ "completion", "bash | zsh | fish", "a completion script for a shell",
	    GLOBAL, 1, 1, verb_completion },
	{ "help", "[verb]", "this list, or the options of a verb", GLOBAL, 0, 1,
	    verb_help },
};

/* Names that are taken: scripts learn that they are no mistakes of theirs. */
static const char *const later[] = {
	"run", "why", "history", "health", "top", "monitor", "guard", "clear",
	"upgrade", "delete", "clean", "nuke", "ports", "find-port",
	"free-port", "env", "deps", "groups", "paths", "capture", "token",
	"init", "import", "check", "doctor", "mcp", "pending", "approve"
};

struct parser {
	const struct verb_row	*verb;		/* NULL: before it */
	uint64_t		 allowed;
	struct option		 longs[OPT_COUNT + 1];
	char			 shorts[2 + 2 * OPT_COUNT];
};

static void	parser_init(struct parser *, const struct verb_row *);
static void	parser_run(struct parser *, struct options *, int, char **);
static int	option_id(const struct parser *, int);
static void	option_set(struct options *, int, const char *);
static void	option_bad(int, const char *, const char *)
		    __attribute__((noreturn));
static uint64_t	number(int, const char *, long long, long long);
static uint64_t	stream_flag(int, const char *);
static void	run_set(struct options *, const char *);
static const struct verb_row *verb_find(const char *);
static void	usage(const struct verb_row *) __attribute__((noreturn));
static void	usage_all(FILE *);
static void	usage_options(uint64_t);

int
main(int argc, char **argv)
{
	struct options		 o;
	struct parser		 p;
	const struct verb_row	*v;

	memset(&o, 0, sizeof(o));
	setprogname("keepctl");
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ);	/* an error is one write */
	colour_init();
	parser_init(&p, NULL);
	parser_run(&p, &o, argc, argv);
	if (optind == argc) {
		usage_all(stderr);
		return (CTL_USAGE);
	}
	argv += optind;
	argc -= optind;
	v = verb_find(argv[0]);
	parser_init(&p, v);
	argv[0] = (char *)(uintptr_t)getprogname();
	optind = 0;	/* getopt begins afresh */
	parser_run(&p, &o, argc, argv);
	o.argc = argc - optind;
	o.argv = argv + optind;
	if (o.argc < v->min || (v->max != -1 && o.argc > v->max))
		usage(v);
	setvbuf(stdout, NULL, _IOFBF, 64 * 1024);
	return (v->run(&o));
}

/* One that there is not ends the program. */
static const struct verb_row *
verb_find(const char *name)
{
	size_t	 i;

	for (i = 0; i < nitems(verbs); i++)
		if (strcmp(verbs[i].name, name) == 0)
			return (&verbs[i]);
	for (i = 0; i < nitems(later); i++)
		if (strcmp(later[i], name) == 0)
			errx(CTL_USAGE, "%s is not available in this version",
			    name);
	errx(CTL_USAGE, "there is no verb %s: see keepctl help", name);
}

static void
usage(const struct verb_row *v)
{
	fprintf(stderr, "usage: keepctl [-jq] [-s socket] %s [options]%s%s\n",
	    v->name, *v->arguments != '\0' ? " " : "", v->arguments);
	exit(CTL_USAGE);
}

int
verb_help(const struct options *o)
{
	const struct verb_row	*v;

	if (o->argc == 0) {
		usage_all(stdout);
		return (CTL_OK);
	}
	v = verb_find(o->argv[0]);
	printf("usage: keepctl [-jq] [-s socket] %s [options]%s%s\n", v->name,
	    *v->arguments != '\0' ? " " : "", v->arguments);
	usage_options(v->allowed);
	return (CTL_OK);
}

/* The tables of getopt_long for the options that are allowed here. */
static void
parser_init(struct parser *p, const struct verb_row *v)
{
	struct option	*l;
	char		*s;
	int		 i, n = 0;

	memset(p, 0, sizeof(*p));
	p->verb = v;
	p->allowed = v == NULL ? GLOBAL : v->allowed;
	s = p->shorts;
	if (v == NULL)
		*s++ = '+';		/* what follows the verb is its own */
	for (i = 0; i < OPT_COUNT; i++) {
		if ((p->allowed & BIT(i)) == 0)
			continue;
		l = &p->longs[n++];
		l->name = option_rows[i].name;
		l->has_arg = option_rows[i].kind == KIND_FLAG ? no_argument :
		    required_argument;
		l->val = LONG_BASE + i;
		if (option_rows[i].letter != 0) {
			*s++ = option_rows[i].letter;
			if (option_rows[i].kind != KIND_FLAG)
				*s++ = ':';
		}
	}
	*s = '\0';
}

static void
parser_run(struct parser *p, struct options *o, int argc, char **argv)
{
	int	 ch, id;

	while ((ch = getopt_long(argc, argv, p->shorts, p->longs, NULL)) !=
	    -1) {
		if ((id = option_id(p, ch)) == -1) {
			if (p->verb != NULL)
				usage(p->verb);
			usage_all(stderr);
			exit(CTL_USAGE);
		}
		option_set(o, id, optarg);
	}
}

static int
option_id(const struct parser *p, int ch)
{
	int	 i;

	if (ch >= LONG_BASE)
		return (ch - LONG_BASE);
	for (i = 0; i < OPT_COUNT; i++)
		if ((p->allowed & BIT(i)) != 0 && option_rows[i].letter == ch)
			return (i);
	return (-1);
}

static void
option_set(struct options *o, int id, const char *value)
{
	uint64_t	*n = &o->number[id];

	o->given |= BIT(id);
	o->text[id] = value;
	switch (option_rows[id].kind) {
	case KIND_FLAG:
	case KIND_TEXT:
		break;
	case KIND_DURATION:
		if (parse_duration(value, n) == -1)
			option_bad(id, value, "no time such as 500ms, 30s, 5m");
		if (*n == 0 || *n > TIME_MAX_MS)
			option_bad(id, value, "from 1ms to 1d");
		break;
	case KIND_WHEN:
		if (parse_when(value, now_ms(), n) == -1)
			option_bad(id, value, "neither RFC 3339 nor a time ago "
			    "such as 10m, 2h, 1d");
		break;
	case KIND_LINES:
		if (strcmp(value, "all") == 0)
			*n = UINT64_MAX;
		else
			*n = number(id, value, 0, MAX_COUNT);
		break;
	case KIND_COUNT:
		*n = number(id, value, 0, MAX_COUNT);
		break;
	case KIND_PORT:
		*n = number(id, value, 1, UINT16_MAX);
		break;
	case KIND_STREAM:
		*n = stream_flag(id, value);
		break;
	case KIND_RUN:
		run_set(o, value);
		break;
	case KIND_FROM:
		if (strcmp(value, "now") != 0 && strcmp(value, "run") != 0)
			option_bad(id, value, "must be now or run");
		*n = strcmp(value, "run") == 0;
		break;
	}
}

static void
option_bad(int id, const char *value, const char *why)
{
	errx(CTL_USAGE, "--%s %s: %s", option_rows[id].name, value, why);
}

static uint64_t
number(int id, const char *value, long long least, long long most)
{
	const char	*error;
	long long	 n;

	n = strtonum(value, least, most, &error);
	if (error != NULL)
		errx(CTL_USAGE, "--%s %s: the number is %s (%lld to %lld)",
		    option_rows[id].name, value, error, least, most);
	return (n);
}

static uint64_t
stream_flag(int id, const char *value)
{
	if (strcmp(value, "stdout") == 0)
		return (Q_STDOUT);
	if (strcmp(value, "stderr") == 0)
		return (Q_STDERR);
	if (strcmp(value, "both") != 0 && strcmp(value, "combined") != 0)
		option_bad(id, value, "stream must be stdout, stderr or both");
	return (0);
}

static void
run_set(struct options *o, const char *value)
{
	const char	*error;

	if (strcmp(value, "all") == 0) {
		o->all_runs = 1;
		return;
	}
	o->run = strtonum(value, INT32_MIN, INT32_MAX, &error);
	if (error != NULL)
		option_bad(OPT_RUN, value, "no run such as -1 (newest), 0 "
		    "(oldest kept) or all");
}

static void
usage_all(FILE *out)
{
	size_t	 i;

	fprintf(out, "usage: keepctl [-jq] [-s socket] verb [options] "
	    "[argument ...]\n\n");
	for (i = 0; i < nitems(verbs); i++)
		if (verbs[i].summary != NULL)
			fprintf(out, "  %-11s %-17s  %s\n", verbs[i].name,
			    verbs[i].arguments, verbs[i].summary);
	fprintf(out, "\nkeepctl help verb shows the options of one.\n");
}

static void
usage_options(uint64_t allowed)
{
	const struct option_row	*row;
	char			 name[48];
	int			 i;

	for (i = 0; i < OPT_COUNT; i++) {
		if ((allowed & BIT(i)) == 0)
			continue;
		row = &option_rows[i];
		snprintf(name, sizeof(name), "--%s%s%s", row->name,
		    row->value != NULL ? " " : "",
		    row->value != NULL ? row->value : "");
		if (row->letter != 0)
			printf("  -%c, %-20s  %s\n", row->letter, name,
			    row->help);
		else
			printf("      %-20s  %s\n", name, row->help);
	}
}
