/*
 * MCP over HTTP: bodies, eras, sessions and the methods that are no tools.
 * The digest of the specification is mcp.md; section numbers are of that.
 */
#include <event2/buffer.h>
#include <event2/http.h>
#include <stdio.h>
#include <string.h>

#include "era.h"
#include "frontend.h"
#include "log.h"
#include "util.h"

#define BATCH_MAX	64	/* messages of an array */

#define ERA_LEGACY	0x01
#define ERA_MODERN	0x02
#define ERA_BOTH	(ERA_LEGACY | ERA_MODERN)

struct method {
	const char	*name;
	int		 eras;
	int		 cacheable;	/* result has ttlMs and cacheScope */
	void		(*run)(struct call *);
};

static void	mcp_discover(struct call *);
static void	mcp_initialize(struct call *);
static void	mcp_ping(struct call *);

static const struct method methods[] = {
	{ "tools/call",		ERA_BOTH,	0,	tools_call },
	{ "tools/list",		ERA_BOTH,	1,	tools_list },
	{ "server/discover",	ERA_MODERN,	1,	mcp_discover },
	{ "initialize",		ERA_LEGACY,	0,	mcp_initialize },
	{ "ping",		ERA_LEGACY,	0,	mcp_ping },
};

static const char instructions[] =
    "keepd builds, runs and watches the services of this project. Do not "
    "start servers in a shell, do not sleep and do not kill by name: call "
    "get_status to see what runs, search_logs and search_build_log to read "
    "output (index -1 is the newest run), restart after changing code (it "
    "builds first and swaps; the old process runs on if the build fails), "
    "and wait_for to wait until a service is ready, has exited, has logged "
    "a pattern or gone quiet.";

static const char capabilities[] = "\"capabilities\":{\"tools\":{}}";

/* --- methods ------------------------------------------------------------- */

static void
out_instructions(struct evbuffer *out)
{
	out_text(out, ",\"instructions\":");
	out_string(out, instructions, sizeof(instructions) - 1);
}

static void
mcp_discover(struct call *call)
{
	struct evbuffer	*out;
	json_t		*versions = era_versions();

	if ((out = evbuffer_new()) == NULL) {
		call_error(call, 200, RPC_INTERNAL_ERROR, "Out of memory");
		json_decref(versions);
		return;
	}
	out_text(out, "\"supportedVersions\":");
	out_json(out, versions);
	json_decref(versions);
	out_text(out, ",");
	out_text(out, capabilities);
	out_instructions(out);
	call_result(call, out);
	evbuffer_free(out);
}

/* "claude-code 2.1" of a clientInfo: a label for the audit trail. */
static void
client_label(char *dst, size_t size, const json_t *info)
{
	const char	*name, *version;
	char		 buf[2 * CLIENT_SIZE];

	name = json_string_value(json_object_get(info, "name"));
	version = json_string_value(json_object_get(info, "version"));
	if (name == NULL)
		return;
	(void)snprintf(buf, sizeof(buf), "%s%s%s", name,
	    version != NULL ? " " : "", version != NULL ? version : "");
	text_field(dst, size, buf);
}

static int
initialize_params_ok(const json_t *params)
{
	const json_t	*info = json_object_get(params, "clientInfo");

	return (json_is_string(json_object_get(params, "protocolVersion")) &&
	    json_is_object(json_object_get(params, "capabilities")) &&
	    json_is_string(json_object_get(info, "name")) &&
	    json_is_string(json_object_get(info, "version")));
}

static void
mcp_initialize(struct call *call)
{
	struct session	*s;
	struct evbuffer	*out;
	const char	*version;

	if (call->batch != NULL) {
		call_error(call, 400, RPC_INVALID_REQUEST,
		    "initialize must not be part of a batch");
		return;
	}
	if (!initialize_params_ok(call->params)) {
		call_error(call, 200, RPC_INVALID_PARAMS, "Invalid params: "
		    "protocolVersion, capabilities and clientInfo (name, "
		    "version) are needed");
		return;
	}
	version = era_legacy_version(json_string_value(
	    json_object_get(call->params, "protocolVersion")));
	if (version == NULL)
		version = era_latest_legacy();
	client_label(call->client, sizeof(call->client),
	    json_object_get(call->params, "clientInfo"));
	s = session_new(conn_who(call->conn), version, call->client);
	if (s == NULL || (out = evbuffer_new()) == NULL) {
		call_error(call, 200, RPC_INTERNAL_ERROR, "Out of memory");
		return;
	}
	http_add_header(call->conn, "Mcp-Session-Id", s->id);
	(void)evbuffer_add_printf(out, "\"protocolVersion\":\"%s\",%s,"
	    "\"serverInfo\":{\"name\":\"keepd\",\"title\":\"keepd\","
	    "\"version\":\"%s\"}", version, capabilities, KEEPD_VERSION);
	out_instructions(out);
	call_result(call, out);
	evbuffer_free(out);
}

static void
mcp_ping(struct call *call)
{
	struct evbuffer	*out;

	if ((out = evbuffer_new()) == NULL) {
		call_error(call, 200, RPC_INTERNAL_ERROR, "Out of memory");
		return;
	}
	call_result(call, out);
	evbuffer_free(out);
}

/* --- messages ------------------------------------------------------------ */

static void
mcp_headers(const struct conn *c, struct mcp_headers *h)
{
	h->version = c->x.headers.protocol_version;
	h->method = c->x.headers.mcp_method;
	h->name = c->x.headers.mcp_name;
	h->session = c->x.headers.session_id != NULL;
}

static void
mcp_fault(struct conn *c, struct batch *batch, const json_t *id,
    const struct fault *f)
{
	rpc_error(c, batch, id, f->status, f->code, f->data, f->text);
}

static const struct method *
method_find(const char *name, int era)
{
	size_t	 i;

	for (i = 0; name != NULL && i < nitems(methods); i++)
		if ((methods[i].eras & era) != 0 &&
		    strcmp(methods[i].name, name) == 0)
			return (&methods[i]);
	return (NULL);
}

static json_t *
progress_token(const struct rpc *rpc)
{
	json_t	*token = json_object_get(rpc->meta, "progressToken");

	return (json_is_string(token) || json_is_integer(token) ? token :
	    NULL);
}

/* Takes the message. */
static void
mcp_run(struct conn *c, struct batch *batch, json_t *msg,
    const struct rpc *rpc, const struct session *s, int modern)
{
	const struct method	*m;
	struct call		*call;
	char			 name[65];

	if ((call = call_new(c, batch, msg)) == NULL) {
		rpc_error(c, batch, rpc->id, 200, RPC_INTERNAL_ERROR, NULL,
		    "Out of memory");
		json_decref(msg);
		return;
	}
	call->id = rpc->id;
	call->method = rpc->method;
	call->params = rpc->params;
	call->token = progress_token(rpc);
	call->modern = modern;
	if (s != NULL) {
		(void)strlcpy(call->session, s->id, sizeof(call->session));
		(void)strlcpy(call->client, s->client, sizeof(call->client));
	} else if (modern)
		client_label(call->client, sizeof(call->client),
		    json_object_get(rpc->meta, META_CLIENT));
	m = method_find(rpc->method, modern ? ERA_MODERN : ERA_LEGACY);
	if (m == NULL) {
		text_field(name, sizeof(name), rpc->method);
		call_error(call, modern ? 404 : 200, RPC_METHOD_NOT_FOUND,
		    "Method not found: %s", name);
		return;
	}
	call->cacheable = m->cacheable;
	m->run(call);
}

static void
mcp_modern(struct conn *c, struct batch *batch, json_t *msg,
    const struct rpc *rpc, const struct mcp_headers *h)
{
	struct fault	f;

	if (batch != NULL) {
		(void)fault_set(&f, 400, RPC_INVALID_REQUEST,
		    "This revision has no batches");
		mcp_fault(c, batch, rpc->id, &f);
		json_decref(msg);
	} else if (rpc->kind == RPC_NOTIFICATION) {
		rpc_accepted(c, NULL);
		json_decref(msg);
	} else if (era_check(rpc, h, &f) == -1) {
		mcp_fault(c, NULL, rpc->id, &f);
		json_decref(msg);
	} else
		mcp_run(c, NULL, msg, rpc, NULL, 1);
}

/* What a client says in the legacy era without asking. */
static void
mcp_notified(const struct rpc *rpc, const struct session *s)
{
	const json_t	*id;

	if (rpc->method == NULL ||
	    strcmp(rpc->method, "notifications/cancelled") != 0)
		return;
	/* Without a session the id could be anybody's. */
	id = json_object_get(rpc->params, "requestId");
	if (s != NULL && id != NULL)
		calls_cancel(s->id, id);
}

/* The session of the request; -1: it names one that is not there. */
static int
session_of(struct conn *c, struct session **s)
{
	const char	*id = c->x.headers.session_id;

	*s = NULL;
	if (id == NULL)
		return (0);
	*s = session_find(id, conn_who(c));
	return (*s == NULL ? -1 : 0);
}

static void
mcp_legacy(struct conn *c, struct batch *batch, json_t *msg,
    const struct rpc *rpc, const struct mcp_headers *h)
{
	struct session	*s;
	struct fault	 f;

	f.status = 0;
	/* A client that begins anew may still send what it had before. */
	if (rpc->method != NULL && strcmp(rpc->method, "initialize") == 0 &&
	    rpc->kind == RPC_REQUEST) {
		mcp_run(c, batch, msg, rpc, NULL, 0);
		return;
	}
	if (era_check_legacy(h, &f) == -1)
		;
	else if (session_of(c, &s) == -1)
		(void)fault_set(&f, 404, RPC_INVALID_REQUEST,
		    "Session not found: initialize again");
	else if (rpc->kind == RPC_RESPONSE && s == NULL)
		(void)fault_set(&f, 400, RPC_INVALID_REQUEST,
		    "A response to nothing");
	else if (rpc->kind == RPC_REQUEST) {
		mcp_run(c, batch, msg, rpc, s, 0);
		return;
	} else if (rpc->kind == RPC_NOTIFICATION)
		mcp_notified(rpc, s);
	if (f.status != 0)
		mcp_fault(c, batch, rpc->id, &f);
	else
		rpc_accepted(c, batch);
	json_decref(msg);
}

void
mcp_message(struct conn *c, struct batch *batch, json_t *msg)
{
	struct mcp_headers	 h;
	struct rpc		 rpc;
	struct fault		 f;

	if (rpc_read(msg, &rpc, &f) == -1) {
		mcp_fault(c, batch, rpc.id, &f);
		json_decref(msg);
		return;
	}
	mcp_headers(c, &h);
	if (rpc.kind != RPC_RESPONSE && era_is_modern(&rpc, &h))
		mcp_modern(c, batch, msg, &rpc, &h);
	else
		mcp_legacy(c, batch, msg, &rpc, &h);
}

/* Arrays exist in revision 2025-03-26 alone, which has no version header. */
static int
batch_ok(struct conn *c, const json_t *array)
{
	const char	*version = c->x.headers.protocol_version;
	struct session	*s;

	if (version == NULL) {
		if (session_of(c, &s) == -1)
			return (0);
		version = s != NULL ? s->version : "2025-03-26";
	}
	return (strcmp(version, "2025-03-26") == 0 &&
	    json_array_size(array) > 0 && json_array_size(array) <= BATCH_MAX);
}

void
mcp_post(struct conn *c)
{
	struct evbuffer	*in = evhttp_request_get_input_buffer(c->x.req);
	struct fault	 f;
	json_t		*root;
	size_t		 len = evbuffer_get_length(in);
	const char	*body;

	body = (const char *)evbuffer_pullup(in, -1);
	if ((root = rpc_parse(body == NULL ? "" : body, len, &f)) == NULL)
		mcp_fault(c, NULL, NULL, &f);
	else if (!json_is_array(root))
		mcp_message(c, NULL, root);
	else if (batch_ok(c, root))
		batch_start(c, root);
	else {
		(void)fault_set(&f, 400, RPC_INVALID_REQUEST, "Batches are "
		    "of revision 2025-03-26, with 1 to %d messages",
		    BATCH_MAX);
		mcp_fault(c, NULL, NULL, &f);
		json_decref(root);
	}
}

void
mcp_delete(struct conn *c)
{
	struct session	*s;

	if (c->x.headers.session_id == NULL)
		http_error(c, 400, "INVALID_PARAMETER",
		    "there is no Mcp-Session-Id header");
	else if (session_of(c, &s) == -1)
		http_error(c, 404, "NOT_FOUND", "there is no such session");
	else {
		session_free(s);
		http_empty(c, 204);
	}
}
