/*
 * wait_for: until a service is ready, has exited, has opened a port (asked of
 * the supervisor), has logged a pattern or gone quiet (asked of the logger).
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

#define WAIT_DEFAULT		25
#define WAIT_SECONDS		50	/* clients give up after 60 s */
#define WAIT_TOKEN_SECONDS	600
#define QUIET_DEFAULT		2
#define CONTEXT_LINES		3
#define BYTES_DEFAULT		24576
#define BYTES_MAX		1048576
#define MS_PER_SEC		1000

struct wait {
	struct call	*call;
	const char	*until;
	uint32_t	 service;
	uint64_t	 limit_ms;
	struct lines	*lines;
};

static const char *const until_words[] = {
	"ready", "exit", "log", "quiet", "port", NULL
};

static const struct param params[] = {
	PARAM_NAMES("target", "process",
	    "The service: its name, id, label, pid or command."),
	{ "until", P_STRING, 0, 0, until_words, "What to wait for: ready, "
	    "exit, log (a line that matches pattern), quiet (no line for "
	    "quiet_seconds), port (something listens on port)." },
	{ "pattern", P_STRING, 0, PATTERN_MAX, NULL,
	    "until log: regular expression (PCRE2)." },
	{ "ignore_case", P_BOOLEAN, 0, 0, NULL,
	    "Match without regard to case." },
	{ "quiet_seconds", P_NUMBER, 0, WAIT_TOKEN_SECONDS, NULL,
	    "until quiet: how long without a line (default 2)." },
	{ "port", P_INTEGER, 1, 65535, NULL, "until port: the TCP port." },
	{ "timeout", P_NUMBER, 0, WAIT_TOKEN_SECONDS, NULL, "Seconds to wait "
	    "(default 25, at most 50; 600 with a progress token)." },
	{ "since", P_STRING, 1, 64, NULL, "until log: now (default), run (also "
	    "what this run has printed so far), or a next_cursor." },
	{ "max_bytes", P_INTEGER, 1, BYTES_MAX, NULL,
	    "Bytes of log text at most (default 24576)." },
	{ NULL, P_STRING, 0, 0, NULL, NULL }
};

static void	wait_run(struct call *);

const struct tool tool_wait_for = {
	"wait_for", "Wait for a service",
	"Waits until a service is ready, has exited, has logged a line that "
	"matches a pattern, has gone quiet, or listens on a port. Use it "
	"instead of sleeping or polling. A time-out is a normal answer "
	"(reason: timeout), not an error: call again to go on waiting.",
	params,
	"{\"type\":\"object\",\"properties\":{"
	"\"process\":{\"type\":\"string\"},"
	"\"until\":{\"type\":\"string\"},"
	"\"reason\":{\"type\":\"string\",\"enum\":[\"matched\",\"settled\","
	"\"exited\",\"timeout\"]},"
	"\"elapsed_ms\":{\"type\":\"integer\"},"
	"\"state\":{\"type\":[\"string\",\"null\"]},"
	"\"exit_code\":{\"type\":[\"integer\",\"null\"]},"
	"\"signal\":{\"type\":[\"integer\",\"null\"]},"
	"\"lines\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},"
	"\"truncated\":{\"type\":\"boolean\"},"
	"\"next_cursor\":{\"type\":[\"string\",\"null\"]}},"
	"\"required\":[\"process\",\"until\",\"reason\",\"elapsed_ms\","
	"\"lines\"]}",
	ROLE_OBSERVE, TOOL_READONLY, wait_run
};

static void
wait_free(void *arg)
{
	struct wait	*w = arg;

	lines_free(w->lines);
	free(w);
}

/* --- answers ------------------------------------------------------------- */

/* The members behind the lines; text goes on after an opened object. */
static void
out_rest(struct evbuffer *out, struct wait *w, const char *reason,
    int32_t code, uint32_t sig, json_t *cursor)
{
	const struct service	*s = service_get(w->service);
	json_t			*o;
	char			*text;

	o = json_pack("{s:s, s:s, s:s, s:I, s:b, s:o}", "process",
	    s != NULL ? s->state.name : "?", "until", w->until, "reason",
	    reason, "elapsed_ms", (json_int_t)(mono_ms() - w->call->started),
	    "truncated", w->lines->full, "next_cursor", cursor);
	(void)json_object_set_new(o, "state", s == NULL ? json_null() :
	    json_string(proto_state_name(s->state.state)));
	(void)json_object_set_new(o, "exit_code", code < 0 ? json_null() :
	    json_integer(code));
	(void)json_object_set_new(o, "signal", sig == 0 ? json_null() :
	    json_integer(sig));
	if ((text = json_dumps(o, JSON_COMPACT)) != NULL)
		out_text(out, text + 1);
	free(text);
	json_decref(o);
}

static void
out_sentence(struct evbuffer *content, struct wait *w, const char *reason)
{
	const struct service	*s = service_get(w->service);
	char			 buf[NAME_SIZE + 128];

	(void)snprintf(buf, sizeof(buf), "%s: %s after %.1f s (until %s)",
	    s != NULL ? s->state.name : "?", reason,
	    (mono_ms() - w->call->started) / (double)MS_PER_SEC, w->until);
	content_text(content, buf, strlen(buf));
}

static void
wait_answer(struct wait *w, const char *reason, int32_t code, uint32_t sig,
    json_t *cursor)
{
	struct evbuffer	*content = evbuffer_new(), *json = evbuffer_new();

	if (content == NULL || json == NULL) {
		json_decref(cursor);
		call_error(w->call, 200, RPC_INTERNAL_ERROR, "Out of memory");
	} else {
		out_sentence(content, w, reason);
		if (w->lines->count > 0) {
			out_text(content, ",{\"type\":\"text\",\"text\":\"");
			(void)evbuffer_add_buffer(content, w->lines->text);
			out_text(content, "\"}");
		}
		out_text(json, "{\"lines\":[");
		(void)evbuffer_add_buffer(json, w->lines->array);
		out_text(json, "],");
		out_rest(json, w, reason, code, sig, cursor);
		tool_reply(w->call, content, json);
	}
	if (content != NULL)
		evbuffer_free(content);
	if (json != NULL)
		evbuffer_free(json);
}

static void
wait_expired(struct call *call)
{
	wait_answer(call->state, "timeout", -1, 0, json_null());
}

/* --- the logger's part --------------------------------------------------- */

static void
wait_line(void *arg, const struct wire_line *line, const char *text)
{
	struct wait	*w = arg;

	lines_add(w->lines, line, text);
}

static void
wait_reset(void *arg)
{
	struct wait	*w = arg;

	lines_reset(w->lines);
}

static const struct {
	uint32_t	 code;
	const char	*reason;
} end_reasons[] = {
	{ END_MATCHED,		"matched" },
	{ END_SETTLED,		"settled" },
	{ END_EXITED,		"exited" },
	{ END_WAIT_TIMEOUT,	"timeout" },
};

static void
wait_end(void *arg, const struct wire_end *we, const char *text)
{
	struct wait	*w = arg;
	json_t		*cursor;
	size_t		 i;

	w->call->query = NULL;
	if (query_failed(w->call, we, text))
		return;
	for (i = 0; i < nitems(end_reasons); i++)
		if (end_reasons[i].code == we->code)
			break;
	if (i == nitems(end_reasons)) {
		tool_error(w->call, "STATE_ERROR", "%s", *text != '\0' ? text :
		    "the wait ended without an answer");
		return;
	}
	cursor = we->next_run == 0 ? json_null() : cursor_json(we->next_run,
	    we->next_line);
	wait_answer(w, end_reasons[i].reason, we->code == END_EXITED ?
	    we->exit_code : -1, we->code == END_EXITED ? we->signal : 0,
	    cursor);
}

static const struct query_ops wait_ops = { wait_line, wait_end, wait_reset };

/* -1: the call has ended. */
static int
since_arg(struct wait *w, struct wire_query *wq)
{
	const char	*since = arg_string(w->call->args, "since");

	if (since == NULL || strcmp(since, "now") == 0)
		return (0);
	if (strcmp(since, "run") == 0)
		wq->flags |= Q_SINCE_RUN;
	else if (cursor_parse(since, wq) == -1) {
		tool_error(w->call, "INVALID_PARAMETER",
		    "since must be now, run or a next_cursor");
		return (-1);
	}
	return (0);
}

static void
wait_logger(struct wait *w)
{
	struct call		*call = w->call;
	const char		*pattern = arg_string(call->args, "pattern");
	struct wire_query	 wq;
	int			 quiet = strcmp(w->until, "quiet") == 0;

	if (!quiet && pattern == NULL) {
		tool_error(call, "INVALID_PARAMETER",
		    "pattern must be provided with until: log");
		return;
	}
	memset(&wq, 0, sizeof(wq));
	wq.query = quiet ? QUERY_WAIT_QUIET : QUERY_WAIT_LOG;
	wq.kind = RING_OUTPUT;
	wq.service = w->service;
	wq.index = -1;
	wq.timeout_ms = w->limit_ms;
	wq.context = CONTEXT_LINES;
	wq.max_bytes = w->lines->limit;
	wq.quiet_ms = arg_number(call->args, "quiet_seconds", QUIET_DEFAULT) *
	    MS_PER_SEC;
	if (!quiet)
		wq.flags |= Q_PATTERN;
	if (arg_boolean(call->args, "ignore_case", 0))
		wq.flags |= Q_ICASE;
	if (since_arg(w, &wq) == -1)
		return;
	call_wait(call, w->limit_ms + ANSWER_SLACK_MS, wait_expired);
	call_watch(call, w->service, w->limit_ms);
	call->query = query_start(call->conn, &wq, quiet ? NULL : pattern,
	    &wait_ops, w);
	if (call->query == NULL)
		tool_error(call, "BUSY", "too much is going on; try again");
}

/* --- the supervisor's part ----------------------------------------------- */

static void
wait_result(void *arg, const struct wire_result *wr, const char *text)
{
	struct wait	*w = arg;
	int		 exited = strcmp(w->until, "exit") == 0;

	w->call->ask = NULL;
	if (wr->code == RES_EXITED || (wr->code == RES_OK && exited))
		wait_answer(w, "exited", wr->exit_code, wr->exit_signal,
		    json_null());
	else if (wr->code == RES_OK)
		wait_answer(w, "matched", -1, 0, json_null());
	else if (wr->code == RES_TIMEOUT)
		wait_answer(w, "timeout", -1, 0, json_null());
	else
		tool_result_error(w->call, wr, text);
}

static void
wait_supervisor(struct wait *w)
{
	struct call		*call = w->call;
	struct wire_wait	 ww;

	memset(&ww, 0, sizeof(ww));
	ww.service = w->service;
	ww.timeout_ms = w->limit_ms;
	ww.until = UNTIL_READY;
	if (strcmp(w->until, "exit") == 0)
		ww.until = UNTIL_EXIT;
	else if (strcmp(w->until, "port") == 0)
		ww.until = UNTIL_PORT;
	ww.port = arg_integer(call->args, "port", 0);
	if (ww.until == UNTIL_PORT && ww.port == 0) {
		tool_error(call, "INVALID_PARAMETER",
		    "port must be provided with until: port");
		return;
	}
	call->ask = ask_wait(call->conn, &ww, wait_result, w);
	if (call->ask == NULL) {
		tool_error(call, "BUSY", "too much is going on; try again");
		return;
	}
	call_wait(call, w->limit_ms + ANSWER_SLACK_MS, wait_expired);
	call_watch(call, w->service, w->limit_ms);
}

/* --- both ---------------------------------------------------------------- */

static int
timeout_arg(struct wait *w)
{
	struct call	*call = w->call;
	double		 max, seconds;

	max = call->token != NULL ? WAIT_TOKEN_SECONDS : WAIT_SECONDS;
	seconds = arg_number(call->args, "timeout", WAIT_DEFAULT);
	if (seconds > max) {
		tool_error(call, "INVALID_PARAMETER", "timeout must be at "
		    "most %d without a progress token", WAIT_SECONDS);
		return (-1);
	}
	w->limit_ms = seconds * MS_PER_SEC;
	return (0);
}

static void
wait_run(struct call *call)
{
	struct service	*s;
	struct wait	*w;

	if ((s = target_resolve(call)) == NULL)
		return;
	if ((w = calloc(1, sizeof(*w))) == NULL ||
	    (w->lines = lines_new(RENDER_STDERR, arg_integer(call->args,
	    "max_bytes", BYTES_DEFAULT))) == NULL) {
		free(w);
		call_error(call, 200, RPC_INTERNAL_ERROR, "Out of memory");
		return;
	}
	w->call = call;
	w->service = s->id;
	w->until = arg_string(call->args, "until");
	call->state = w;
	call->state_free = wait_free;
	if (w->until == NULL)
		tool_error(call, "INVALID_PARAMETER",
		    "until must be provided: ready, exit, log, quiet or port");
	else if (timeout_arg(w) == -1)
		return;
	else if (strcmp(w->until, "log") == 0 ||
	    strcmp(w->until, "quiet") == 0)
		wait_logger(w);
	else
		wait_supervisor(w);
}
