/*
 * The tools as MCP sees them: the list, the way of a call to its tool, and the
 * shapes of results.
 */
#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "era.h"
#include "frontend.h"
#include "log.h"
#include "schema.h"
#include "util.h"

static const struct tool *const tools[] = {
	&tool_get_status,
	&tool_search_logs,
	&tool_wait_for,
	&tool_restart,
	&tool_search_build_log,
};

/* One for each role, written when it is first asked for. */
static char	*lists[ROLE_MANAGE + 1];

/* --- tools/list ---------------------------------------------------------- */

static json_t *
tool_describe(const struct tool *t)
{
	json_t	*hints, *output;

	hints = json_pack("{s:s, s:b, s:b, s:b, s:b}", "title", t->title,
	    "readOnlyHint", (t->hints & TOOL_READONLY) != 0,
	    "destructiveHint", (t->hints & TOOL_DESTRUCTIVE) != 0,
	    "idempotentHint", (t->hints & TOOL_IDEMPOTENT) != 0,
	    "openWorldHint", 0);
	if ((output = json_loads(t->output, 0, NULL)) == NULL)
		fatalx("outputSchema of %s is not JSON", t->name);
	return (json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "name", t->name,
	    "title", t->title, "description", t->description, "inputSchema",
	    schema_json(t->params), "outputSchema", output, "annotations",
	    hints));
}

static const char *
tools_text(uint32_t role)
{
	json_t	*list;
	size_t	 i;

	if (lists[role] != NULL)
		return (lists[role]);
	list = json_array();
	for (i = 0; i < nitems(tools); i++)
		if (tools[i]->role <= role)
			(void)json_array_append_new(list,
			    tool_describe(tools[i]));
	lists[role] = json_dumps(list, JSON_COMPACT);
	json_decref(list);
	return (lists[role]);
}

void
tools_list(struct call *call)
{
	struct evbuffer	*out;
	const char	*text;

	/* We never gave one out. */
	if (arg_given(call->params, "cursor")) {
		call_error(call, 200, RPC_INVALID_PARAMS, "Invalid cursor");
		return;
	}
	text = tools_text(services_best_role(call->conn));
	if (text == NULL || (out = evbuffer_new()) == NULL) {
		call_error(call, 200, RPC_INTERNAL_ERROR, "Out of memory");
		return;
	}
	out_text(out, "\"tools\":");
	out_text(out, text);
	call_result(call, out);
	evbuffer_free(out);
}

/* --- results ------------------------------------------------------------- */

void
content_text(struct evbuffer *content, const char *text, size_t len)
{
	if (evbuffer_get_length(content) > 0)
		out_text(content, ",");
	content_first(content, text, len);
}

void
content_first(struct evbuffer *content, const char *text, size_t len)
{
	out_text(content, "{\"type\":\"text\",\"text\":");
	out_string(content, text, len);
	out_text(content, "}");
}

static void
reply(struct call *call, struct evbuffer *content, struct evbuffer *structured,
    int is_error)
{
	struct evbuffer	*out;

	if ((out = evbuffer_new()) == NULL) {
		call_error(call, 200, RPC_INTERNAL_ERROR, "Out of memory");
		return;
	}
	out_text(out, "\"content\":[");
	(void)evbuffer_add_buffer(out, content);
	out_text(out, "]");
	if (structured != NULL) {
		out_text(out, ",\"structuredContent\":");
		(void)evbuffer_add_buffer(out, structured);
	}
	out_text(out, is_error ? ",\"isError\":true" : ",\"isError\":false");
	call_result(call, out);
	evbuffer_free(out);
}

void
tool_reply(struct call *call, struct evbuffer *content,
    struct evbuffer *structured)
{
	reply(call, content, structured, 0);
}

void
tool_text(struct call *call, const char *text, json_t *structured)
{
	struct evbuffer	*content = evbuffer_new(), *json = evbuffer_new();

	if (content == NULL || json == NULL)
		call_error(call, 200, RPC_INTERNAL_ERROR, "Out of memory");
	else {
		content_text(content, text, strlen(text));
		out_json(json, structured);
		reply(call, content, json, 0);
	}
	if (content != NULL)
		evbuffer_free(content);
	if (json != NULL)
		evbuffer_free(json);
	json_decref(structured);
}

json_t *
tool_error_new(const char *code, const char *text)
{
	char	 when[RFC3339_SIZE];

	return (json_pack("{s:s, s:s, s:s}", "error", text, "error_code",
	    code, "timestamp", rfc3339(now_ms(), when, sizeof(when))));
}

void
tool_error_json(struct call *call, json_t *error, struct evbuffer *extra)
{
	struct evbuffer	*content;
	char		*text;

	content = evbuffer_new();
	text = json_dumps(error, JSON_COMPACT);
	if (content == NULL || text == NULL)
		call_error(call, 200, RPC_INTERNAL_ERROR, "Out of memory");
	else {
		content_text(content, text, strlen(text));
		if (extra != NULL && evbuffer_get_length(extra) > 0) {
			out_text(content, ",");
			(void)evbuffer_add_buffer(content, extra);
		}
		/* No structuredContent: that would have to fit the schema. */
		reply(call, content, NULL, 1);
	}
	free(text);
	if (content != NULL)
		evbuffer_free(content);
	json_decref(error);
}

void
tool_error(struct call *call, const char *code, const char *fmt, ...)
{
	char	 raw[3 * ERRTEXT_SIZE], text[ERRTEXT_SIZE];
	va_list	 ap;

	va_start(ap, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	text_field(text, sizeof(text), raw);
	tool_error_json(call, tool_error_new(code, text), NULL);
}

void
tool_result_error(struct call *call, const struct wire_result *wr,
    const char *text)
{
	const char	*code;

	code = wr->code == RES_CANCELLED || wr->code == RES_OK ?
	    "STATE_ERROR" : proto_result_name(wr->code);
	tool_error(call, code, "%s", *text != '\0' ? text : code);
}

/* --- tools/call ---------------------------------------------------------- */

static void
run_anyway(struct call *call)
{
	void	(*run)(struct call *) = call->described;

	/* The supervisor owes some text: do without it from now on. */
	call->described = NULL;
	call->conn->described = DESCRIBED_YES;
	run(call);
}

static const struct tool *
tool_find(const char *name)
{
	size_t	 i;

	for (i = 0; i < nitems(tools); i++)
		if (strcmp(tools[i]->name, name) == 0)
			return (tools[i]);
	return (NULL);
}

static int
tool_admit(struct call *call)
{
	char	 what[ERRTEXT_SIZE];

	if (schema_check(call->tool->params, call->args, what,
	    sizeof(what)) == -1) {
		tool_error(call, "INVALID_PARAMETER", "%s", what);
		return (-1);
	}
	return (0);
}

void
tools_call(struct call *call)
{
	const char	*name;
	char		 shown[65];
	json_t		*args = json_object_get(call->params, "arguments");

	name = json_string_value(json_object_get(call->params, "name"));
	call->tool = name == NULL ? NULL : tool_find(name);
	/* S0-41, S0-115: all but a status that asks not to count. */
	if (call->tool != &tool_get_status ||
	    !json_is_true(json_object_get(args, "passive")))
		mode_stamp(call->conn);
	if (name == NULL)
		call_error(call, 200, RPC_INVALID_PARAMS,
		    "Invalid params: name must be a string");
	else if (call->tool == NULL) {
		text_field(shown, sizeof(shown), name);
		call_error(call, 200, RPC_INVALID_PARAMS, "Unknown tool: %s",
		    shown);
	} else if (args != NULL && !json_is_object(args))
		call_error(call, 200, RPC_INVALID_PARAMS,
		    "Invalid params: arguments must be an object");
	else {
		call->args = args;
		if (tool_admit(call) == -1)
			return;
		if (services_described(call->conn)) {
			call->tool->run(call);
			return;
		}
		call->described = call->tool->run;
		call_wait(call, DESCRIBE_DEADLINE_MS, run_anyway);
	}
}
