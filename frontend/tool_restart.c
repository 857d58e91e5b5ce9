/*
 * restart: build beside the running process, then swap (S0-50).  All of it
 * happens in the supervisor; here it is asked for, waited for and told.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "frontend.h"
#include "jsonrpc.h"
#include "schema.h"
#include "util.h"

#define WAIT_SECONDS		50	/* clients give up after 60 s */
#define WAIT_TOKEN_SECONDS	600	/* who sent a progress token does not */
#define BUILD_LINES		40	/* of a build that failed */
#define BUILD_BYTES		16384
#define MS_PER_SEC		1000

struct restart {
	struct call		*call;
	uint32_t		 service;
	struct wire_result	 result;	/* of a build that failed */
	char			 text[ERRTEXT_SIZE];
	struct lines		*lines;
};

static const struct param params[] = {
	PARAM_NAMES("process", "target",
	    "The service: its name, id, label, pid or command."),
	{ "wait", P_BOOLEAN, 0, 0, NULL, "false: return as soon as the "
	    "restart is accepted (default true)." },
	{ "timeout", P_NUMBER, 1, WAIT_TOKEN_SECONDS, NULL, "Seconds to wait "
	    "for the result (default and at most 50; 600 with a progress "
	    "token). The restart goes on after that." },
	{ "reason", P_STRING, 0, REASON_SIZE - 1, NULL,
	    "Why, for the audit trail and whoever looks next." },
	{ NULL, P_STRING, 0, 0, NULL, NULL }
};

static void	restart_run(struct call *);

const struct tool tool_restart = {
	"restart", "Rebuild and restart",
	"Builds a service (debug build) while the old process runs on, then "
	"swaps it for the new one, and puts keepd in dev mode. Use it after "
	"changing code. If the build fails the old process stays and the last "
	"lines of the build are returned.",
	params,
	"{\"type\":\"object\",\"properties\":{"
	"\"process\":{\"type\":\"string\"},"
	"\"result\":{\"type\":\"string\",\"enum\":[\"restarted\",\"accepted\","
	"\"in_progress\"]},"
	"\"message\":{\"type\":\"string\"},"
	"\"old_pid\":{\"type\":[\"integer\",\"null\"]},"
	"\"new_pid\":{\"type\":[\"integer\",\"null\"]},"
	"\"run\":{\"type\":[\"integer\",\"null\"]},"
	"\"shared\":{\"type\":\"boolean\"},"
	"\"downtime_ms\":{\"type\":[\"integer\",\"null\"]},"
	"\"elapsed_ms\":{\"type\":\"integer\"}},"
	"\"required\":[\"process\",\"result\",\"message\"]}",
	ROLE_OPERATE, TOOL_DESTRUCTIVE, restart_run
};

static void
restart_free(void *arg)
{
	struct restart	*r = arg;

	lines_free(r->lines);
	free(r);
}

static const char *
restart_name(const struct restart *r)
{
	const struct service	*s = service_get(r->service);

	return (s != NULL ? s->state.name : "the service");
}

static void
restart_answer(struct restart *r, const char *result, const char *text,
    const struct wire_result *wr)
{
	json_t	*o;

	o = json_pack("{s:s, s:s, s:s, s:b, s:I}", "process", restart_name(r),
	    "result", result, "message", text, "shared", wr->joined != 0,
	    "elapsed_ms", (json_int_t)(mono_ms() - r->call->started));
	(void)json_object_set_new(o, "old_pid", wr->old_pid == 0 ?
	    json_null() : json_integer(wr->old_pid));
	(void)json_object_set_new(o, "new_pid", wr->new_pid == 0 ?
	    json_null() : json_integer(wr->new_pid));
	(void)json_object_set_new(o, "run", wr->run == 0 ? json_null() :
	    json_integer(wr->run));
	(void)json_object_set_new(o, "downtime_ms", wr->new_pid == 0 ?
	    json_null() : json_integer(wr->gap_ms));
	tool_text(r->call, text, o);
}

static void
restart_expired(struct call *call)
{
	struct restart		*r = call->state;
	struct wire_result	 none;
	char			 text[NAME_SIZE + 128];

	memset(&none, 0, sizeof(none));
	(void)strlcpy(text, restart_name(r), sizeof(text));
	(void)strlcat(text, " is still being restarted; wait_for waits for "
	    "it, search_build_log shows the build", sizeof(text));
	restart_answer(r, "in_progress", text, &none);
}

/* --- a build that failed ------------------------------------------------- */

static void
failed_line(void *arg, const struct wire_line *line, const char *text)
{
	struct restart	*r = arg;

	lines_add(r->lines, line, text);
}

static void
failed_reset(void *arg)
{
	struct restart	*r = arg;

	lines_reset(r->lines);
}

static void
failed_answer(struct restart *r)
{
	const struct wire_result	*wr = &r->result;
	struct evbuffer			*extra = evbuffer_new();
	json_t				*error;

	error = tool_error_new("BUILD_FAILED", r->text);
	(void)json_object_set_new(error, "process",
	    json_string(restart_name(r)));
	(void)json_object_set_new(error, "exit_code", wr->exit_code < 0 ?
	    json_null() : json_integer(wr->exit_code));
	(void)json_object_set_new(error, "signal", wr->exit_signal == 0 ?
	    json_null() : json_integer(wr->exit_signal));
	if (extra != NULL && r->lines->count > 0) {
		out_text(extra, "{\"type\":\"text\",\"text\":\"");
		(void)evbuffer_add_buffer(extra, r->lines->text);
		out_text(extra, "\"}");
	}
	tool_error_json(r->call, error, extra);
	if (extra != NULL)
		evbuffer_free(extra);
}

/* Without the lines if they cannot be had. */
static void
failed_end(void *arg, const struct wire_end *we, const char *text)
{
	struct restart	*r = arg;

	(void)we;
	(void)text;
	r->call->query = NULL;
	failed_answer(r);
}

static const struct query_ops failed_ops = {
	failed_line, failed_end, failed_reset
};

static void
failed_expired(struct call *call)
{
	failed_answer(call->state);
}

static void
restart_build_failed(struct restart *r, const struct wire_result *wr,
    const char *text)
{
	struct wire_query	 wq;

	r->result = *wr;
	text_field(r->text, sizeof(r->text), *text != '\0' ? text :
	    "the build failed");
	memset(&wq, 0, sizeof(wq));
	wq.query = QUERY_SEARCH;
	wq.kind = RING_BUILD;
	wq.service = r->service;
	wq.index = -1;
	wq.flags = Q_TAIL;
	wq.tail = BUILD_LINES;
	wq.max_bytes = BUILD_BYTES;
	call_wait(r->call, ANSWER_SLACK_MS, failed_expired);
	r->call->query = query_start(r->call->conn, &wq, NULL, &failed_ops, r);
	if (r->call->query == NULL)
		failed_answer(r);
}

/* --- the way of a restart ------------------------------------------------ */

static void
restart_result(void *arg, const struct wire_result *wr, const char *text)
{
	struct restart	*r = arg;

	r->call->ask = NULL;
	if (wr->code == RES_BUILD_FAILED)
		restart_build_failed(r, wr, text);
	else if (wr->code != RES_OK)
		tool_result_error(r->call, wr, text);
	else
		restart_answer(r, arg_boolean(r->call->args, "wait", 1) ?
		    "restarted" : "accepted", text, wr);
}

/* Seconds to wait, or -1 when the call has ended. */
static double
restart_seconds(struct call *call)
{
	double	 max = call->token != NULL ? WAIT_TOKEN_SECONDS : WAIT_SECONDS;
	double	 seconds = arg_number(call->args, "timeout", max);

	if (seconds <= max)
		return (seconds);
	tool_error(call, "INVALID_PARAMETER",
	    "timeout must be at most %d without a progress token",
	    WAIT_SECONDS);
	return (-1);
}

static void
restart_ask(struct restart *r, uint64_t limit_ms)
{
	struct call		*call = r->call;
	struct wire_action	 wa;
	const char		*reason = arg_string(call->args, "reason");

	memset(&wa, 0, sizeof(wa));
	wa.service = r->service;
	wa.verb = VERB_REBUILD;
	if (!arg_boolean(call->args, "wait", 1))
		wa.flags |= ACTION_NOWAIT;
	text_field(wa.reason, sizeof(wa.reason), reason != NULL ? reason : "");
	(void)strlcpy(wa.client, call->client, sizeof(wa.client));
	call->ask = ask_action(call->conn, &wa, restart_result, r);
	if (call->ask == NULL) {
		tool_error(call, "BUSY", "too much is going on; try again");
		return;
	}
	call_wait(call, limit_ms, restart_expired);
	call_watch(call, r->service, limit_ms);
}

static void
restart_run(struct call *call)
{
	struct service	*s;
	struct restart	*r;
	double		 seconds;

	if ((s = target_resolve(call)) == NULL ||
	    (seconds = restart_seconds(call)) < 0)
		return;
	/* Whether the caller may is the supervisor's to say, and to record. */
	if ((r = calloc(1, sizeof(*r))) == NULL ||
	    (r->lines = lines_new(0, BUILD_BYTES)) == NULL) {
		free(r);
		call_error(call, 200, RPC_INTERNAL_ERROR, "Out of memory");
		return;
	}
	r->call = call;
	r->service = s->id;
	call->state = r;
	call->state_free = restart_free;
	restart_ask(r, (uint64_t)(seconds * MS_PER_SEC));
}
