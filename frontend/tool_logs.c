/*
 * search_logs and search_build_log: arguments to a question for the logger,
 * lines to an answer (S0-70 to S0-80).  Several services are asked one after
 * the other.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend.h"
#include "jsonrpc.h"
#include "render.h"
#include "schema.h"
#include "util.h"

#define TARGETS_MAX	16
#define LINES_MAX	1000000
#define BYTES_DEFAULT	24576
#define BYTES_MAX	1048576
#define CALL_MAX_MS	60000	/* all services together */

struct search {
	struct call		*call;
	struct wire_query	 wq;
	const char		*pattern;
	uint32_t		 targets[TARGETS_MAX];
	size_t			 ntargets, next;
	size_t			 max_bytes;
	struct lines		*all;
	struct lines		*current;
	json_t			*results;	/* one of each service */
	char			 note[ERRTEXT_SIZE];	/* S0-71, S0-78 */
	uint64_t		 matches, shown, elided;
	uint32_t		 runs, run;
	int			 truncated;
	json_t			*cursor;
};

static const char *const stream_words[] = {
	"stdout", "stderr", "both", "combined", NULL
};
static const char *const ansi_words[] = { "strip", "keep", NULL };

#define PARAMS_SEARCH							\
	{ "target", P_STRING, 1, 4096, NULL, NULL },			\
	{ "pid", P_INTEGER, 1, INT32_MAX, NULL, NULL },			\
	{ "command_or_label", P_STRING, 1, 4096, NULL, NULL },		\
	{ "label", P_STRING, 1, 4096, NULL, NULL },			\
	{ "working_directory", P_STRING, 1, 1024, NULL, NULL },		\
	{ "pattern", P_STRING, 0, PATTERN_MAX, NULL,			\
	    "Regular expression (PCRE2), case-sensitive, matched against "\
	    "each line; without it all lines are returned." },		\
	{ "ignore_case", P_BOOLEAN, 0, 0, NULL,				\
	    "Match without regard to case." },				\
	{ "context_lines", P_INTEGER, 0, 10000, NULL,			\
	    "Lines to show before and after each match (default 0)." },	\
	{ "head", P_INTEGER, 0, LINES_MAX, NULL,			\
	    "Only the first so many lines of the result." },		\
	{ "tail", P_INTEGER, 0, LINES_MAX, NULL,			\
	    "Only the last so many lines of the result; not with head." },\
	{ "index", P_INTEGER, INT32_MIN, INT32_MAX, NULL,		\
	    "Which run: -1 the newest (default), -2 the one before; "	\
	    "0 the oldest that is kept, 1 the next." },			\
	{ "since_time", P_STRING, 1, 64, NULL,				\
	    "Only lines from this time on: RFC 3339, or 10m, 1h ago." },\
	{ "before_time", P_STRING, 1, 64, NULL,				\
	    "Only lines before this time." },				\
	{ "collapse", P_BOOLEAN, 0, 0, NULL,				\
	    "Show equal lines in a row once, with their number." },	\
	{ "cursor", P_STRING, 1, 64, NULL,				\
	    "next_cursor of an earlier answer: continue there." },	\
	{ "max_bytes", P_INTEGER, 1, BYTES_MAX, NULL,			\
	    "Bytes of log text at most (default 24576)." },		\
	{ "ansi", P_STRING, 0, 0, ansi_words,				\
	    "keep: leave colour escape sequences in (default strip)." }

static const struct param search_params[] = {
	{ "process", P_STRINGS, 1, TARGETS_MAX, NULL,
	    "The service: its name, id, label, pid or command; or a list." },
	PARAMS_SEARCH,
	{ "stream", P_STRING, 0, 0, stream_words,
	    "Only stdout or stderr (default both)." },
	{ NULL, P_STRING, 0, 0, NULL, NULL }
};

static const struct param build_params[] = {
	{ "process", P_STRINGS, 1, TARGETS_MAX, NULL,
	    "The service: its name, id, label, pid or command; or a list." },
	PARAMS_SEARCH,
	{ NULL, P_STRING, 0, 0, NULL, NULL }
};

#define OUTPUT_COUNTS							\
	"\"matches\":{\"type\":\"integer\"},"				\
	"\"shown\":{\"type\":\"integer\"},"				\
	"\"elided\":{\"type\":\"integer\"},"				\
	"\"runs\":{\"type\":\"integer\"},"				\
	"\"run\":{\"type\":[\"integer\",\"null\"]},"			\
	"\"truncated\":{\"type\":\"boolean\"},"				\
	"\"next_cursor\":{\"type\":[\"string\",\"null\"]}"

static const char output[] =
    "{\"type\":\"object\",\"properties\":{"
    "\"lines\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
    OUTPUT_COUNTS ",\"results\":{\"type\":\"array\",\"items\":{"
    "\"type\":\"object\",\"properties\":{\"process\":{\"type\":\"string\"},"
    OUTPUT_COUNTS "}}}},"
    "\"required\":[\"lines\",\"matches\",\"shown\",\"runs\",\"truncated\","
    "\"next_cursor\"]}";

static void	search_run(struct call *);
static void	search_step(struct search *);

const struct tool tool_search_logs = {
	"search_logs", "Search output",
	"Searches or reads the output (stdout and stderr) of a service, by "
	"run: regular expression with context lines, head or tail. Lines of "
	"stderr begin with [stderr]. With a pattern, matching lines begin "
	"with \" * \" and context lines with three blanks. Use tail: 50 to "
	"see what happened last.",
	search_params, output, ROLE_OBSERVE,
	TOOL_READONLY | TOOL_IDEMPOTENT, search_run
};

const struct tool tool_search_build_log = {
	"search_build_log", "Search build log",
	"The same as search_logs, for what the builds of a service printed: "
	"compiler errors and warnings, build by build (index -1 the newest).",
	build_params, output, ROLE_OBSERVE,
	TOOL_READONLY | TOOL_IDEMPOTENT, search_run
};

static void
search_free(void *arg)
{
	struct search	*s = arg;

	lines_free(s->all);
	lines_free(s->current);
	json_decref(s->results);
	json_decref(s->cursor);
	free(s);
}

/* --- arguments ----------------------------------------------------------- */

static int
time_arg(struct call *call, const char *name, uint64_t *ms)
{
	const char	*text = arg_string(call->args, name);

	if (text == NULL || parse_when(text, now_ms(), ms) == 0)
		return (0);
	tool_error(call, "INVALID_PARAMETER",
	    "%s must be a time such as 2026-11-20T10:00:00Z or 10m", name);
	return (-1);
}

static int
limit_args(struct search *s)
{
	const json_t	*args = s->call->args;

	if (arg_given(args, "head") && arg_given(args, "tail")) {
		tool_error(s->call, "INVALID_PARAMETER",
		    "head and tail exclude each other: give one");
		return (-1);
	}
	if (arg_given(args, "head"))
		s->wq.flags |= Q_HEAD;
	if (arg_given(args, "tail"))
		s->wq.flags |= Q_TAIL;
	s->wq.head = arg_integer(args, "head", 0);
	s->wq.tail = arg_integer(args, "tail", 0);
	s->wq.context = arg_integer(args, "context_lines", 0);
	s->wq.index = arg_integer(args, "index", -1);
	s->max_bytes = arg_integer(args, "max_bytes", BYTES_DEFAULT);
	return (0);
}

static int
cursor_arg(struct search *s)
{
	const char	*text = arg_string(s->call->args, "cursor");

	if (text == NULL)
		return (0);
	if (s->ntargets > 1) {
		tool_error(s->call, "INVALID_PARAMETER",
		    "cursor is of one process, not of a list");
		return (-1);
	}
	if (cursor_parse(text, &s->wq) == 0)
		return (0);
	tool_error(s->call, "INVALID_PARAMETER",
	    "cursor must be the next_cursor of an earlier answer");
	return (-1);
}

static void
stream_arg(struct search *s)
{
	const char	*word = arg_string(s->call->args, "stream");

	if (word != NULL && strcmp(word, "stdout") == 0)
		s->wq.flags |= Q_STDOUT;
	else if (word != NULL && strcmp(word, "stderr") == 0)
		s->wq.flags |= Q_STDERR;
}

static int
targets_arg(struct search *s)
{
	json_t		*list, *v;
	struct service	*svc;
	size_t		 i;

	list = json_object_get(s->call->args, "process");
	if (!json_is_array(list) || json_array_size(list) == 1) {
		if ((svc = target_resolve(s->call)) == NULL)
			return (-1);
		s->targets[s->ntargets++] = svc->id;
		return (0);
	}
	json_array_foreach(list, i, v) {
		svc = target_find(s->call, json_string_value(v));
		if (svc == NULL)
			return (-1);
		s->targets[s->ntargets++] = svc->id;
	}
	return (0);
}

static int
search_args(struct search *s)
{
	const json_t	*args = s->call->args;
	const char	*ansi = arg_string(args, "ansi");
	int		 flags = 0;

	s->pattern = arg_string(args, "pattern");
	s->wq.query = QUERY_SEARCH;
	s->wq.kind = s->call->tool == &tool_search_build_log ? RING_BUILD :
	    RING_OUTPUT;
	if (targets_arg(s) == -1 || limit_args(s) == -1 ||
	    cursor_arg(s) == -1 ||
	    time_arg(s->call, "since_time", &s->wq.since_ms) == -1 ||
	    time_arg(s->call, "before_time", &s->wq.before_ms) == -1)
		return (-1);
	stream_arg(s);
	if (s->pattern != NULL) {
		s->wq.flags |= Q_PATTERN;
		flags |= RENDER_MARKS;
	}
	if (arg_boolean(args, "ignore_case", 0))
		s->wq.flags |= Q_ICASE;
	if (s->wq.kind == RING_OUTPUT)
		flags |= RENDER_STDERR;
	if (ansi != NULL && strcmp(ansi, "keep") == 0)
		flags |= RENDER_ANSI;
	s->all = lines_new(flags, s->max_bytes);
	s->current = lines_new(flags, s->max_bytes);
	if (s->all == NULL || s->current == NULL) {
		call_error(s->call, 200, RPC_INTERNAL_ERROR, "Out of memory");
		return (-1);
	}
	s->current->collapse = arg_boolean(args, "collapse", 0);
	return (0);
}

/* --- answers ------------------------------------------------------------- */

static json_t *
counts_json(const char *process, uint64_t matches, uint64_t shown,
    uint64_t elided, uint32_t runs, uint32_t run, int truncated,
    json_t *cursor)
{
	json_t	*o;

	o = json_pack("{s:I, s:I, s:I, s:I, s:b, s:O}", "matches",
	    (json_int_t)matches, "shown", (json_int_t)shown, "elided",
	    (json_int_t)elided, "runs", (json_int_t)runs, "truncated",
	    truncated, "next_cursor", cursor);
	(void)json_object_set_new(o, "run", run == 0 ? json_null() :
	    json_integer(run));
	if (process != NULL)
		(void)json_object_set_new(o, "process", json_string(process));
	return (o);
}

static void
out_counts(struct evbuffer *out, struct search *s)
{
	json_t	*o;
	char	*text;

	o = counts_json(NULL, s->matches, s->shown, s->elided, s->runs,
	    s->ntargets == 1 ? s->run : 0, s->truncated, s->cursor);
	if (s->ntargets > 1)
		(void)json_object_set(o, "results", s->results);
	/* The members of this object go on in the one that has begun. */
	if ((text = json_dumps(o, JSON_COMPACT)) != NULL)
		out_text(out, text + 1);
	free(text);
	json_decref(o);
}

static void
search_content(struct search *s, struct evbuffer *content)
{
	char		 buf[160];
	const char	*cursor = json_string_value(s->cursor);

	if (s->all->count == 0 && s->note[0] != '\0')
		content_text(content, s->note, strlen(s->note));
	else {
		out_text(content, "{\"type\":\"text\",\"text\":\"");
		(void)evbuffer_add_buffer(content, s->all->text);
		out_text(content, "\"}");
	}
	if (!s->truncated)
		return;
	(void)snprintf(buf, sizeof(buf), "(truncated at max_bytes: %llu lines "
	    "shown; %s%s)", (unsigned long long)s->shown,
	    cursor != NULL ? "continue with cursor " : "narrow the search",
	    cursor != NULL ? cursor : "");
	content_text(content, buf, strlen(buf));
}

static void
search_finish(struct search *s)
{
	struct evbuffer	*content = evbuffer_new(), *json = evbuffer_new();

	if (content == NULL || json == NULL)
		call_error(s->call, 200, RPC_INTERNAL_ERROR, "Out of memory");
	else {
		search_content(s, content);
		out_text(json, "{\"lines\":[");
		(void)evbuffer_add_buffer(json, s->all->array);
		out_text(json, "],");
		out_counts(json, s);
		tool_reply(s->call, content, json);
	}
	if (content != NULL)
		evbuffer_free(content);
	if (json != NULL)
		evbuffer_free(json);
}

static const struct {
	uint32_t	 code;
	const char	*error;
} end_errors[] = {
	{ END_BAD_PATTERN,	"INVALID_PARAMETER" },
	{ END_TIMEOUT,		"OPERATION_TIMEOUT" },
	{ END_DENIED,		"PERMISSION_DENIED" },
	{ END_BUSY,		"BUSY" },
	{ END_SLOW,		"BUSY" },
	{ END_CANCELLED,	"STATE_ERROR" },
	{ END_FAILED,		"STATE_ERROR" },
};

int
query_failed(struct call *call, const struct wire_end *we, const char *text)
{
	static const char	bad[] = "Invalid regex pattern";
	size_t			i;

	for (i = 0; i < nitems(end_errors); i++) {
		if (end_errors[i].code != we->code)
			continue;
		if (we->code == END_BAD_PATTERN &&
		    strncmp(text, bad, sizeof(bad) - 1) != 0)
			tool_error(call, end_errors[i].error, "%s: %s", bad,
			    text);
		else
			tool_error(call, end_errors[i].error, "%s",
			    *text != '\0' ? text : "the search failed");
		return (1);
	}
	return (0);
}

/* The one line that stands for none. */
static void
search_note(struct search *s, const struct wire_end *we, const char *text)
{
	if (we->code == END_NO_SUCH_RUN)
		(void)strlcpy(s->note, text, sizeof(s->note));
	else if (s->pattern != NULL && we->matches == 0)
		(void)strlcpy(s->note, "No matches found", sizeof(s->note));
	else
		(void)strlcpy(s->note, "(empty)", sizeof(s->note));
}

static void
search_add(struct search *s, const struct wire_end *we)
{
	const struct service	*svc = service_get(s->targets[s->next]);
	const char		*name = svc != NULL ? svc->state.name : "?";
	char			 head[NAME_SIZE + 16];
	struct lines		*l = s->current;
	uint64_t		 shown;
	int			 cut = we->truncated || l->full;

	lines_finish(l);
	shown = l->full ? l->count : we->shown;
	json_decref(s->cursor);
	if (l->full)
		s->cursor = cursor_json(l->last_run, l->last_line);
	else if (cut)
		s->cursor = cursor_json(we->next_run, we->next_line);
	else
		s->cursor = json_null();
	(void)json_array_append_new(s->results, counts_json(name, we->matches,
	    shown, we->elided, we->runs, we->run, cut, s->cursor));
	s->matches += we->matches;
	s->shown += shown;
	s->elided += we->elided;
	s->runs = s->ntargets == 1 ? we->runs : s->runs + we->runs;
	s->run = we->run;
	s->truncated |= cut;
	if (s->ntargets > 1) {
		(void)snprintf(head, sizeof(head), "==> %s <==", name);
		lines_note(s->all, head);
		if (l->count == 0)
			lines_note(l, s->note);
		json_decref(s->cursor);
		s->cursor = json_null();
	}
	lines_append(s->all, l);
	lines_reset(l);
}

static void
search_line(void *arg, const struct wire_line *line, const char *text)
{
	struct search	*s = arg;

	lines_add(s->current, line, text);
}

static void
search_reset(void *arg)
{
	struct search	*s = arg;

	lines_reset(s->current);
}

static void
search_end(void *arg, const struct wire_end *we, const char *text)
{
	struct search	*s = arg;

	s->call->query = NULL;
	if (query_failed(s->call, we, text))
		return;
	search_note(s, we, text);
	search_add(s, we);
	s->next++;
	search_step(s);
}

static const struct query_ops search_ops = {
	search_line, search_end, search_reset
};

static void
search_step(struct search *s)
{
	struct call	*call = s->call;
	size_t		 left;

	if (s->next == s->ntargets) {
		search_finish(s);
		return;
	}
	left = s->all->bytes < s->max_bytes ? s->max_bytes - s->all->bytes : 1;
	s->current->limit = left;
	s->wq.service = s->targets[s->next];
	s->wq.max_bytes = left;
	call->query = query_start(call->conn, &s->wq, s->pattern, &search_ops,
	    s);
	if (call->query == NULL)
		tool_error(call, "BUSY", "too much is going on; try again");
}

static void
search_expired(struct call *call)
{
	tool_error(call, "OPERATION_TIMEOUT", "the search took too long");
}

static void
search_run(struct call *call)
{
	struct search	*s;

	if ((s = calloc(1, sizeof(*s))) == NULL) {
		call_error(call, 200, RPC_INTERNAL_ERROR, "Out of memory");
		return;
	}
	s->call = call;
	s->results = json_array();
	s->cursor = json_null();
	call->state = s;
	call->state_free = search_free;
	if (search_args(s) == -1)
		return;
	call_wait(call, CALL_MAX_MS, search_expired);
	search_step(s);
}
