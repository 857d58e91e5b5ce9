/*
 * JSON-RPC 2.0 messages: parsing with limits, and the shape that MCP asks of
 * every message.  Methods and eras are looked at elsewhere.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "jsonrpc.h"

int
fault_set(struct fault *f, int status, int code, const char *fmt, ...)
{
	va_list	 ap;

	f->status = status;
	f->code = code;
	f->data = NULL;
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof(f->text), fmt, ap);
	va_end(ap);
	return (-1);
}

/* Just behind the string that begins at i. */
static size_t
string_skip(const char *text, size_t len, size_t i)
{
	for (i++; i < len && text[i] != '"'; i++)
		if (text[i] == '\\')
			i++;
	return (i + 1);
}

/* Before the parser, which recurses, sees it. */
static int
depth_ok(const char *text, size_t len)
{
	size_t	 i = 0;
	int	 depth = 0;

	while (i < len) {
		if (text[i] == '"') {
			i = string_skip(text, len, i);
			continue;
		}
		if (text[i] == '[' || text[i] == '{') {
			if (++depth > RPC_DEPTH_MAX)
				return (0);
		} else if (text[i] == ']' || text[i] == '}')
			depth--;
		i++;
	}
	return (1);
}

json_t *
rpc_parse(const char *text, size_t len, struct fault *f)
{
	json_error_t	 error;
	json_t		*root;

	if (!depth_ok(text, len)) {
		(void)fault_set(f, 400, RPC_INVALID_REQUEST,
		    "Nested more than %d deep", RPC_DEPTH_MAX);
		return (NULL);
	}
	root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	/* error.text quotes the body, which is no business of an answer. */
	if (root == NULL)
		(void)fault_set(f, 400, RPC_PARSE_ERROR,
		    "Not valid JSON (line %d, column %d)", error.line,
		    error.column);
	return (root);
}

static int
id_ok(const json_t *id)
{
	return (json_is_string(id) || json_is_integer(id));
}

static int
response_read(const json_t *msg, struct rpc *rpc, struct fault *f)
{
	if (json_object_get(msg, "result") == NULL &&
	    json_object_get(msg, "error") == NULL)
		return (fault_set(f, 400, RPC_INVALID_REQUEST,
		    "A message needs a method"));
	rpc->kind = RPC_RESPONSE;
	return (0);
}

int
rpc_read(json_t *msg, struct rpc *rpc, struct fault *f)
{
	const char	*version;
	json_t		*id, *method;

	memset(rpc, 0, sizeof(*rpc));
	if (!json_is_object(msg))
		return (fault_set(f, 400, RPC_INVALID_REQUEST,
		    "A message is one JSON object"));
	if ((id = json_object_get(msg, "id")) != NULL && id_ok(id))
		rpc->id = id;
	version = json_string_value(json_object_get(msg, "jsonrpc"));
	if (version == NULL || strcmp(version, "2.0") != 0)
		return (fault_set(f, 400, RPC_INVALID_REQUEST,
		    "jsonrpc must be \"2.0\""));
	if (id != NULL && rpc->id == NULL)
		return (fault_set(f, 400, RPC_INVALID_REQUEST,
		    "id must be a string or an integer"));
	if ((method = json_object_get(msg, "method")) == NULL)
		return (response_read(msg, rpc, f));
	if ((rpc->method = json_string_value(method)) == NULL)
		return (fault_set(f, 400, RPC_INVALID_REQUEST,
		    "method must be a string"));
	rpc->params = json_object_get(msg, "params");
	if (rpc->params != NULL && !json_is_object(rpc->params))
		return (fault_set(f, 400, RPC_INVALID_REQUEST,
		    "params must be an object"));
	rpc->meta = json_object_get(rpc->params, "_meta");
	if (!json_is_object(rpc->meta))
		rpc->meta = NULL;
	rpc->kind = rpc->id != NULL ? RPC_REQUEST : RPC_NOTIFICATION;
	return (0);
}
