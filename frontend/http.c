/*
 * HTTP on libevent's evhttp: what is checked before a byte of a body is
 * looked at, in the order of architecture.md section 3, and how answers are
 * written.  Knows paths, but not what is said there.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "frontend.h"
#include "log.h"
#include "util.h"

#define HEADERS_MAX	(16 * 1024)	/* bytes; more is 431 */
#define MCP_OTHERS_MAX	32		/* unknown Mcp-*; more is 431 */
#define HEADERS_READ	(64 * 1024)	/* evhttp's own limit: 413, closed */
#define TARGET_MAX	2048		/* bytes of a request target */
#define LISTENS_MAX	16
#define ACCEPT_PAUSE_MS	1000		/* out of descriptors */

#define METHOD_ALL	(EVHTTP_REQ_GET | EVHTTP_REQ_POST | EVHTTP_REQ_HEAD | \
			EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE | \
			EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE | \
			EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH)

/* A request as the routes see it. */
struct route {
	const char	*path;
	int		 method;	/* enum evhttp_cmd_type */
	int		 body;		/* JSON in, JSON or events out */
	int		 open;		/* needs no identity */
	void		(*handler)(struct conn *);
};

static const struct route routes[] = {
	{ "/mcp",	EVHTTP_REQ_POST,	1, 0,	mcp_post },
	{ "/mcp",	EVHTTP_REQ_DELETE,	0, 0,	mcp_delete },
	{ "/mcp/",	EVHTTP_REQ_POST,	1, 0,	mcp_post },
	{ "/mcp/",	EVHTTP_REQ_DELETE,	0, 0,	mcp_delete },
	{ "/health",	EVHTTP_REQ_GET,		0, 1,	health_get },
	{ "/health",	EVHTTP_REQ_HEAD,	0, 1,	health_get },
};

static const struct {
	int		 method;
	const char	*name;
} method_names[] = {
	{ EVHTTP_REQ_GET, "GET" },
	{ EVHTTP_REQ_HEAD, "HEAD" },
	{ EVHTTP_REQ_POST, "POST" },
	{ EVHTTP_REQ_DELETE, "DELETE" },
};

/* Headers that decide something: each may come once. */
#define H(n, m)	{ n, sizeof(n) - 1, offsetof(struct http_headers, m) }
static const struct {
	const char	*name;
	size_t		 len;
	size_t		 offset;
} known_headers[] = {
	H("Host", host),
	H("Origin", origin),
	H("Content-Type", content_type),
	H("Content-Length", content_length),
	H("Transfer-Encoding", transfer_encoding),
	H("Authorization", authorization),
	H("Accept", accept),
	H("MCP-Protocol-Version", protocol_version),
	H("Mcp-Method", mcp_method),
	H("Mcp-Name", mcp_name),
	H("Mcp-Session-Id", session_id),
};
#undef H

static const struct {
	int		 status;
	const char	*text;
} reasons[] = {
	{ 200, "OK" }, { 202, "Accepted" }, { 204, "No Content" },
	{ 400, "Bad Request" }, { 403, "Forbidden" }, { 404, "Not Found" },
	{ 405, "Method Not Allowed" }, { 406, "Not Acceptable" },
	{ 413, "Content Too Large" }, { 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 431, "Request Header Fields Too Large" },
	{ 500, "Internal Server Error" }, { 503, "Service Unavailable" },
};

static struct evhttp		*http;
static struct wire_listen	 listens[LISTENS_MAX];
static int			 listen_fds[LISTENS_MAX];
static struct evhttp_bound_socket *bound[LISTENS_MAX];
static int			 nlistens, serving;
static struct event		*resume_event;

/* --- answers ------------------------------------------------------------- */

static const char *
reason_of(int status)
{
	size_t	 i;

	for (i = 0; i < nitems(reasons); i++)
		if (reasons[i].status == status)
			return (reasons[i].text);
	return ("Unknown");
}

void
http_add_header(struct conn *c, const char *name, const char *value)
{
	(void)evhttp_add_header(evhttp_request_get_output_headers(c->x.req),
	    name, value);
}

/* Rendered once a second, where evhttp would do it for each answer. */
static const char *
http_date(void)
{
	static char	 buf[sizeof("Thu, 01 Jan 1970 00:00:00 GMT")];
	static time_t	 made;
	time_t		 now = time(NULL);
	struct tm	 tm;

	if (now != made && gmtime_r(&now, &tm) != NULL && strftime(buf,
	    sizeof(buf), "%a, %d %b %Y %H:%M:%S GMT", &tm) != 0)
		made = now;
	return (buf);
}

/* Takes the exchange off the connection; what is left is to write. */
static struct evhttp_request *
http_take(struct conn *c)
{
	struct evhttp_request	*req = c->x.req;

	if (c->finish)
		http_add_header(c, "Connection", "close");
	conn_release(c);
	conn_idle(c);
	return (req);
}

/*
 * Nearly every answer fits in the socket: write it now instead of asking the
 * kernel whether that would be possible.  What does not fit, and what goes
 * wrong, is left to the bufferevent, which waits to write anyway.
 */
static void
http_flush(struct bufferevent *bev)
{
	struct evbuffer	*out = bufferevent_get_output(bev);

	(void)evbuffer_unfreeze(out, 1);
	(void)evbuffer_write(out, bufferevent_getfd(bev));
	(void)evbuffer_freeze(out, 1);
	/* Tells evhttp, which may free the connection now. */
	if (evbuffer_get_length(out) == 0)
		bufferevent_trigger(bev, EV_WRITE, 0);
}

void
http_reply(struct conn *c, int status, const char *type, struct evbuffer *body)
{
	struct bufferevent	*bev = c->bev;

	http_add_header(c, "Content-Type", type);
	http_add_header(c, "X-Content-Type-Options", "nosniff");
	http_add_header(c, "Date", http_date());
	evhttp_send_reply(http_take(c), status, reason_of(status), body);
	http_flush(bev);
}

void
http_empty(struct conn *c, int status)
{
	http_add_header(c, "X-Content-Type-Options", "nosniff");
	evhttp_send_reply(http_take(c), status, reason_of(status), NULL);
}

void
http_error(struct conn *c, int status, const char *code, const char *fmt, ...)
{
	struct evbuffer	*body;
	char		 text[ERRTEXT_SIZE], when[RFC3339_SIZE];
	va_list		 ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if ((body = evbuffer_new()) == NULL) {
		http_empty(c, status);
		return;
	}
	out_text(body, "{\"error\":");
	out_string(body, text, strlen(text));
	(void)evbuffer_add_printf(body,
	    ",\"error_code\":\"%s\",\"timestamp\":\"%s\"}\n", code,
	    rfc3339(now_ms(), when, sizeof(when)));
	http_reply(c, status, "application/json", body);
	evbuffer_free(body);
}

/* Whoever sent this is not trusted to frame another request. */
static void
http_refuse(struct conn *c, int status, const char *code, const char *text)
{
	http_add_header(c, "Connection", "close");
	http_error(c, status, code, "%s", text);
}

void
http_stream_start(struct conn *c)
{
	http_add_header(c, "Content-Type", "text/event-stream");
	http_add_header(c, "Cache-Control", "no-cache, no-transform");
	http_add_header(c, "X-Accel-Buffering", "no");
	http_add_header(c, "X-Content-Type-Options", "nosniff");
	evhttp_send_reply_start(c->x.req, HTTP_OK, "OK");
}

void
http_stream_send(struct conn *c, struct evbuffer *data)
{
	evhttp_send_reply_chunk(c->x.req, data);
}

void
http_stream_end(struct conn *c)
{
	evhttp_send_reply_end(http_take(c));
}

void
http_pending(struct conn *c, void (*gone)(void *), void *arg)
{
	c->x.gone = gone;
	c->x.arg = arg;
	conn_watch(c);
}

/* --- the checks, in their order ------------------------------------------ */

static const char **
header_slot(struct http_headers *h, const char *key, size_t len)
{
	size_t	 i;

	for (i = 0; i < nitems(known_headers); i++)
		if (known_headers[i].len == len &&
		    strcasecmp(known_headers[i].name, key) == 0)
			return ((const char **)(void *)((char *)h +
			    known_headers[i].offset));
	return (NULL);
}

static const char *
slot_name(struct http_headers *h, const char **slot)
{
	size_t	 i;

	for (i = 0; i < nitems(known_headers) - 1; i++)
		if (known_headers[i].offset ==
		    (size_t)((char *)slot - (char *)h))
			break;
	return (known_headers[i].name);
}

/* 0, or the status of the refusal.  *which: the header it is about. */
static int
headers_read(struct http_headers *h, struct evkeyvalq *in, const char **which)
{
	struct evkeyval	*kv;
	const char	**slot;
	size_t		 total = 0, others = 0, len;

	memset(h, 0, sizeof(*h));
	TAILQ_FOREACH(kv, in, next) {
		len = strlen(kv->key);
		total += len + strlen(kv->value) + 4;
		if ((slot = header_slot(h, kv->key, len)) != NULL) {
			if (*slot != NULL && slot != &h->accept) {
				*which = slot_name(h, slot);
				return (400);
			}
			*slot = kv->value;
		} else if (strncasecmp(kv->key, "Mcp-", 4) == 0 &&
		    ++others <= MCP_OTHERS_MAX &&
		    evhttp_find_header(in, kv->key) != kv->value) {
			*which = "Mcp-*";
			return (400);
		}
	}
	if (total > HEADERS_MAX || others > MCP_OTHERS_MAX)
		return (431);
	return (0);
}

static int
nul_in_headers(struct conn *c)
{
	struct evbuffer		*in;
	struct evbuffer_ptr	 at;
	char			 nul = '\0';

	if (!c->saw_nul)
		return (0);
	c->saw_nul = 0;
	in = evhttp_request_get_input_buffer(c->x.req);
	at = evbuffer_search(in, &nul, 1, NULL);
	return (at.pos == -1);
}

static int
check_headers(struct conn *c)
{
	struct http_headers	*h = &c->x.headers;
	const char		*which = "";
	int			 status;

	status = headers_read(h, evhttp_request_get_input_headers(c->x.req),
	    &which);
	if (nul_in_headers(c)) {
		http_refuse(c, 400, "INVALID_PARAMETER",
		    "there is a NUL byte in the headers");
		return (-1);
	}
	if (status == 400) {
		http_add_header(c, "Connection", "close");
		http_error(c, 400, "INVALID_PARAMETER",
		    "more than one %s header", which);
		return (-1);
	}
	if (h->host == NULL || !host_ok(h->host)) {
		http_refuse(c, 403, "PERMISSION_DENIED", "the Host header "
		    "names none of this keepd's addresses (`host allow`)");
		return (-1);
	}
	if (h->origin != NULL && !origin_ok(h->origin)) {
		http_refuse(c, 403, "PERMISSION_DENIED", "the Origin header "
		    "names none of this keepd's pages (`origin allow`)");
		return (-1);
	}
	if (h->transfer_encoding != NULL && (h->content_length != NULL ||
	    strcasecmp(h->transfer_encoding, "chunked") != 0)) {
		http_refuse(c, 400, "INVALID_PARAMETER",
		    "Transfer-Encoding must be chunked, without "
		    "Content-Length");
		return (-1);
	}
	if (status != 0) {
		http_refuse(c, 431, "TOO_LARGE", "the headers are too long");
		return (-1);
	}
	return (0);
}

static const char *
target_path(struct evhttp_request *req)
{
	const struct evhttp_uri	*uri;
	const char		*target, *path;

	target = evhttp_request_get_uri(req);
	if (target == NULL || *target != '/' ||
	    (uri = evhttp_request_get_evhttp_uri(req)) == NULL ||
	    (path = evhttp_uri_get_path(uri)) == NULL)
		return (NULL);
	return (path);
}

static const char *
allow_list(int methods, char *buf, size_t size)
{
	size_t	 i;

	buf[0] = '\0';
	for (i = 0; i < nitems(method_names); i++) {
		if ((method_names[i].method & methods) == 0)
			continue;
		if (buf[0] != '\0')
			(void)strlcat(buf, ", ", size);
		(void)strlcat(buf, method_names[i].name, size);
	}
	return (buf);
}

static const struct route *
check_route(struct conn *c)
{
	const char	*path = target_path(c->x.req);
	char		 allow[64];
	size_t		 i;
	int		 method, methods = 0;

	if (path == NULL) {
		http_refuse(c, 400, "INVALID_PARAMETER",
		    "the request target must be a path");
		return (NULL);
	}
	if (strlen(evhttp_request_get_uri(c->x.req)) > TARGET_MAX) {
		http_refuse(c, 414, "TOO_LARGE",
		    "the request target is too long");
		return (NULL);
	}
	method = evhttp_request_get_command(c->x.req);
	for (i = 0; i < nitems(routes); i++) {
		if (strcmp(routes[i].path, path) != 0)
			continue;
		if (routes[i].method == method)
			return (&routes[i]);
		methods |= routes[i].method;
	}
	if (methods == 0) {
		http_error(c, 404, "NOT_FOUND",
		    "there is nothing here; MCP is at /mcp");
		return (NULL);
	}
	http_add_header(c, "Allow", allow_list(methods, allow, sizeof(allow)));
	http_error(c, 405, "METHOD_NOT_ALLOWED",
	    "this path does not take this method");
	return (NULL);
}

/* The media type without parameters and blanks, in a word of its own. */
static int
media_is(const char *text, size_t len, const char *type)
{
	size_t	 n = strcspn(text, ";");

	if (n > len)
		n = len;
	while (n > 0 && (*text == ' ' || *text == '\t')) {
		text++;
		n--;
	}
	while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t'))
		n--;
	return (n == strlen(type) && strncasecmp(text, type, n) == 0);
}

static int
accept_ok(const char *accept)
{
	int	 json = 0, events = 0;
	size_t	 n;

	if (accept == NULL)
		return (1);
	for (;; accept += n + 1) {
		n = strcspn(accept, ",");
		if (media_is(accept, n, "*/*"))
			json = events = 1;
		else if (media_is(accept, n, "application/json") ||
		    media_is(accept, n, "application/*"))
			json = 1;
		else if (media_is(accept, n, "text/event-stream") ||
		    media_is(accept, n, "text/*"))
			events = 1;
		if (accept[n] == '\0')
			return (json && events);
	}
}

static int
check_body(struct conn *c)
{
	const struct http_headers	*h = &c->x.headers;
	struct evbuffer			*in;

	in = evhttp_request_get_input_buffer(c->x.req);
	if (evbuffer_get_length(in) > global.max_request) {
		http_refuse(c, 413, "TOO_LARGE", "the body is too large");
		return (-1);
	}
	if (h->content_type == NULL || !media_is(h->content_type,
	    strlen(h->content_type), "application/json")) {
		http_error(c, 415, "UNSUPPORTED_MEDIA_TYPE",
		    "Content-Type must be application/json");
		return (-1);
	}
	if (!accept_ok(h->accept)) {
		http_error(c, 406, "NOT_ACCEPTABLE", "Accept must list "
		    "application/json and text/event-stream");
		return (-1);
	}
	return (0);
}

static void
http_request(struct evhttp_request *req, void *arg)
{
	const struct route	*r;
	struct conn		*c;

	(void)arg;
	if ((c = conn_of(req)) == NULL) {
		evhttp_send_error(req, HTTP_SERVUNAVAIL, NULL);
		return;
	}
	conn_busy(c);
	c->x.req = req;
	if (check_headers(c) == -1 || (r = check_route(c)) == NULL)
		return;
	if (r->body && check_body(c) == -1)
		return;
	if (r->open)
		r->handler(c);
	else
		conn_identify(c, r->handler);
}

/* --- listening ----------------------------------------------------------- */

static void
resume_cb(int fd, short what, void *arg)
{
	int	 i;

	(void)fd;
	(void)what;
	(void)arg;
	for (i = 0; serving && i < nlistens; i++)
		(void)evconnlistener_enable(
		    evhttp_bound_socket_get_listener(bound[i]));
}

/* Out of descriptors or memory: do not spin on a connection that waits. */
static void
accept_error(struct evconnlistener *listener, void *arg)
{
	struct timeval	tv = { ACCEPT_PAUSE_MS / 1000, 0 };

	(void)arg;
	log_warn("accept");
	(void)evconnlistener_disable(listener);
	(void)event_add(resume_event, &tv);
}

void
http_init(void)
{
	if ((http = evhttp_new(base)) == NULL ||
	    (resume_event = event_new(base, -1, 0, resume_cb, NULL)) == NULL)
		fatalx("out of memory");
	evhttp_set_allowed_methods(http, METHOD_ALL);
	evhttp_set_max_headers_size(http, HEADERS_READ);
	evhttp_set_bevcb(http, conn_accept, NULL);
	evhttp_set_gencb(http, http_request, NULL);
	/* Read on for a while, so that the client can see the 413. */
	(void)evhttp_set_flags(http, EVHTTP_SERVER_LINGERING_CLOSE);
}

void
http_limits(void)
{
	evhttp_set_max_body_size(http, global.max_request);
}

static int
listen_same(const struct wire_listen *a, const struct wire_listen *b)
{
	return (a->kind == b->kind && a->port == b->port &&
	    strcmp(a->address, b->address) == 0 &&
	    strcmp(a->path, b->path) == 0);
}

int
http_listen(const struct wire_listen *l, int fd)
{
	int	 i;

	for (i = 0; i < nlistens; i++)
		if (listen_same(&listens[i], l)) {
			close(fd);
			return (0);
		}
	if (nlistens == LISTENS_MAX || evutil_make_socket_nonblocking(fd)) {
		close(fd);
		return (-1);
	}
	listens[nlistens] = *l;
	listen_fds[nlistens++] = fd;
	hosts_listen(l);
	if (serving)
		http_start();
	return (0);
}

void
http_start(void)
{
	int	 i;

	serving = 1;
	for (i = 0; i < nlistens; i++) {
		if (bound[i] != NULL)
			continue;
		bound[i] = evhttp_accept_socket_with_handle(http,
		    listen_fds[i]);
		if (bound[i] == NULL)
			fatalx("cannot accept on %s port %u",
			    listens[i].address, listens[i].port);
		evconnlistener_set_error_cb(
		    evhttp_bound_socket_get_listener(bound[i]), accept_error);
	}
}

void
http_stop(void)
{
	int	 i;

	serving = 0;
	for (i = 0; i < nlistens; i++)
		if (bound[i] != NULL)
			(void)evconnlistener_disable(
			    evhttp_bound_socket_get_listener(bound[i]));
}
