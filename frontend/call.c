/*
 * One JSON-RPC request from the moment it is understood until its answer is
 * handed to HTTP: the envelope of results, deadlines, progress over
 * Server-Sent Events, cancellation.  What is asked is mcp.c's and the tools'.
 */
#include <event2/buffer.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "era.h"
#include "frontend.h"
#include "util.h"

#define ID_SHORT	16	/* bytes of an id that need no special room */
#define TICK_SECONDS	5
#define TICKS_COMMENT	2	/* a keep-alive comment every so many ticks */
#define WATCHED_NONE	0xffffffffU

TAILQ_HEAD(calllist, call);

static struct calllist	calls = TAILQ_HEAD_INITIALIZER(calls);

struct call *
call_new(struct conn *c, struct batch *batch, json_t *message)
{
	struct call	*call;

	if ((call = calloc(1, sizeof(*call))) == NULL)
		return (NULL);
	call->conn = c;
	call->batch = batch;
	call->message = message;
	call->watched = WATCHED_NONE;
	call->started = mono_ms();
	TAILQ_INSERT_TAIL(&calls, call, entry);
	return (call);
}

static void
call_free(struct call *call)
{
	TAILQ_REMOVE(&calls, call, entry);
	if (call->expired != NULL)
		(void)event_del(&call->timer);
	if (call->streaming)
		(void)event_del(&call->tick);
	if (call->query != NULL)
		query_cancel(call->query);
	if (call->ask != NULL)
		ask_cancel(call->ask);
	if (call->state != NULL)
		call->state_free(call->state);
	json_decref(call->message);
	free(call);
}

void
call_abandon(struct call *call)
{
	call_free(call);
}

static void
call_gone(void *arg)
{
	call_free(arg);
}

/* --- answers ------------------------------------------------------------- */

static void
event_send(struct conn *c, struct evbuffer *json)
{
	struct evbuffer	*out;

	if ((out = evbuffer_new()) == NULL)
		return;
	out_text(out, "event: message\ndata: ");
	(void)evbuffer_add_buffer(out, json);
	out_text(out, "\n\n");
	http_stream_send(c, out);
	evbuffer_free(out);
}

/* Hands over a whole message; json NULL: nothing is to be said. */
static void
call_answer(struct call *call, int status, struct evbuffer *json)
{
	struct conn	*c = call->conn;
	struct batch	*batch = call->batch;
	int		 streaming = call->streaming;

	call_free(call);
	if (batch != NULL) {
		batch_answer(batch, json);
		return;
	}
	if (json != NULL && !streaming) {
		http_reply(c, status, "application/json", json);
		return;
	}
	if (!streaming)
		http_stream_start(c);
	if (json != NULL)
		event_send(c, json);
	http_stream_end(c);
}

static void
out_id(struct evbuffer *out, const json_t *id)
{
	if (json_is_integer(id))
		(void)evbuffer_add_printf(out, "%" JSON_INTEGER_FORMAT,
		    json_integer_value(id));
	else
		out_json(out, id);
}

/* What stands before the members of a result, written in one go. */
static void
result_head(struct call *call, char *buf, size_t size, int comma)
{
	static const char	rpc[] = "{\"jsonrpc\":\"2.0\",\"id\":";
	static const char	server[] = "\"resultType\":\"complete\","
	    "\"_meta\":{\"" META_SERVER "\":{\"name\":\"keepd\","
	    "\"title\":\"keepd\",\"version\":\"" KEEPD_VERSION "\"}}";

	(void)strlcpy(buf, rpc, size);
	if (json_is_integer(call->id))
		(void)snprintf(buf + sizeof(rpc) - 1, size - sizeof(rpc),
		    "%" JSON_INTEGER_FORMAT, json_integer_value(call->id));
	else
		buf[json_dumpb(call->id, buf + sizeof(rpc) - 1,
		    size - sizeof(rpc), JSON_ENCODE_ANY) + sizeof(rpc) - 1] =
		    '\0';
	(void)strlcat(buf, ",\"result\":{", size);
	if (call->cacheable && call->modern)
		(void)strlcat(buf, "\"ttlMs\":0,\"cacheScope\":\"private\",",
		    size);
	if (call->modern)
		(void)strlcat(buf, server, size);
	if (call->modern && comma)
		(void)strlcat(buf, ",", size);
}

void
call_result(struct call *call, struct evbuffer *members)
{
	(void)evbuffer_add(members, "}}", 2);
	call_result_closed(call, members);
}

void
call_result_closed(struct call *call, struct evbuffer *members)
{
	char	 fixed[512], *head = fixed;
	size_t	 size = sizeof(fixed);

	/* An id may be as long as a body; escapes make it no longer than 6. */
	if (json_string_length(call->id) > ID_SHORT) {
		size += 6 * json_string_length(call->id);
		if ((head = malloc(size)) == NULL) {
			call_answer(call, 200, NULL);
			return;
		}
	}
	result_head(call, head, size, evbuffer_get_length(members) > 2);
	(void)evbuffer_prepend(members, head, strlen(head));
	if (head != fixed)
		free(head);
	call_answer(call, 200, members);
}

static struct evbuffer *
error_message(const json_t *id, int code, json_t *data, const char *text)
{
	struct evbuffer	*out;

	if ((out = evbuffer_new()) == NULL)
		return (NULL);
	out_text(out, "{\"jsonrpc\":\"2.0\",");
	if (id != NULL) {
		out_text(out, "\"id\":");
		out_id(out, id);
		out_text(out, ",");
	}
	(void)evbuffer_add_printf(out, "\"error\":{\"code\":%d,\"message\":",
	    code);
	out_string(out, text, strlen(text));
	if (data != NULL) {
		out_text(out, ",\"data\":");
		out_json(out, data);
		json_decref(data);
	}
	out_text(out, "}}");
	return (out);
}

void
call_error(struct call *call, int status, int code, const char *fmt, ...)
{
	struct evbuffer	*out;
	char		 raw[512], text[400];
	va_list		 ap;

	va_start(ap, fmt);
	(void)vsnprintf(raw, sizeof(raw), fmt, ap);
	va_end(ap);
	/* Shorter than raw, so that a cut is never within a character. */
	text_field(text, sizeof(text), raw);
	out = error_message(call->id, code, NULL, text);
	call_answer(call, status, out);
	if (out != NULL)
		evbuffer_free(out);
}

void
rpc_error(struct conn *c, struct batch *batch, const json_t *id, int status,
    int code, json_t *data, const char *text)
{
	struct evbuffer	*out;

	out = error_message(id, code, data, text);
	if (batch != NULL)
		batch_answer(batch, out);
	else if (out == NULL)
		http_empty(c, status);
	else
		http_reply(c, status, "application/json", out);
	if (out != NULL)
		evbuffer_free(out);
}

void
rpc_accepted(struct conn *c, struct batch *batch)
{
	if (batch != NULL)
		batch_answer(batch, NULL);
	else
		http_empty(c, 202);
}

/* --- waiting ------------------------------------------------------------- */

static void
timer_cb(int fd, short what, void *arg)
{
	struct call	*call = arg;

	(void)fd;
	(void)what;
	call->expired(call);
}

void
call_wait(struct call *call, uint64_t ms, void (*expired)(struct call *))
{
	struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	if (call->expired == NULL)
		(void)evtimer_assign(&call->timer, base, timer_cb, call);
	call->expired = expired;
	(void)evtimer_add(&call->timer, &tv);
	if (call->batch != NULL)
		batch_pending(call->batch, call);
	else
		http_pending(call->conn, call_gone, call);
}

static void
call_progress(struct call *call, const char *message)
{
	struct evbuffer	*out;
	uint64_t	 ms = mono_ms() - call->started;

	if (!call->streaming || (out = evbuffer_new()) == NULL)
		return;
	/* Must grow with every notification. */
	if (ms <= call->progress)
		ms = call->progress + 1;
	call->progress = ms;
	out_text(out, "{\"jsonrpc\":\"2.0\","
	    "\"method\":\"notifications/progress\","
	    "\"params\":{\"progressToken\":");
	out_id(out, call->token);
	(void)evbuffer_add_printf(out, ",\"progress\":%.3f", ms / 1000.0);
	if (call->limit_ms >= ms)
		(void)evbuffer_add_printf(out, ",\"total\":%.3f",
		    call->limit_ms / 1000.0);
	out_text(out, ",\"message\":");
	out_string(out, message, strlen(message));
	out_text(out, "}}");
	event_send(call->conn, out);
	evbuffer_free(out);
}

static const char *
service_word(const struct service *s)
{
	static const char *const words[] = { NULL, "building", "swapping" };

	if (s == NULL)
		return ("waiting");
	if (s->state.activity != ACT_NONE && s->state.activity < nitems(words))
		return (words[s->state.activity]);
	return (proto_state_name(s->state.state));
}

static void
tick_cb(int fd, short what, void *arg)
{
	struct call	*call = arg;
	struct evbuffer	*out;

	(void)fd;
	(void)what;
	call_progress(call, service_word(service_get(call->watched)));
	if (++call->ticks % TICKS_COMMENT != 0 ||
	    (out = evbuffer_new()) == NULL)
		return;
	out_text(out, ": keep-alive\n\n");
	http_stream_send(call->conn, out);
	evbuffer_free(out);
}

void
call_watch(struct call *call, uint32_t service, uint64_t limit_ms)
{
	struct timeval	tv = { TICK_SECONDS, 0 };

	call->watched = service;
	call->limit_ms = limit_ms;
	if (call->token == NULL || call->batch != NULL || call->streaming)
		return;
	call->streaming = 1;
	http_stream_start(call->conn);
	(void)event_assign(&call->tick, base, -1, EV_PERSIST, tick_cb, call);
	(void)event_add(&call->tick, &tv);
	call_progress(call, service_word(service_get(service)));
}

void
calls_state_news(const struct service *s)
{
	struct call	*call;

	TAILQ_FOREACH(call, &calls, entry)
		if (call->watched == s->id && call->streaming)
			call_progress(call, service_word(s));
}

void
calls_described(void)
{
	struct call	*call, *next;
	void		(*run)(struct call *);

	TAILQ_FOREACH_SAFE(call, &calls, entry, next) {
		if ((run = call->described) == NULL ||
		    !services_described(call->conn))
			continue;
		call->described = NULL;
		run(call);
	}
}

void
calls_cancel(const char *session, const json_t *id)
{
	struct call	*call;

	TAILQ_FOREACH(call, &calls, entry) {
		if (call->modern || strcmp(call->session, session) != 0 ||
		    !json_equal(call->id, id))
			continue;
		call_answer(call, 200, NULL);
		return;
	}
}

void
calls_finish(void)
{
	struct call	*call, *next;

	TAILQ_FOREACH_SAFE(call, &calls, entry, next)
		tool_error(call, "SHUTTING_DOWN", "keepd is shutting down");
}
