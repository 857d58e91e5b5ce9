/*
 * A bare evhttp server that answers every request with the same small JSON:
 * the peer of get_status.  Prints its port, ends with its standard input.
 */
#include <sys/socket.h>

#include <arpa/inet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>

static void
answer(struct evhttp_request *req, void *arg)
{
	static const char body[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";
	struct evbuffer *out = evbuffer_new();

	(void)arg;
	evbuffer_add(out, body, sizeof(body) - 1);
	evhttp_add_header(evhttp_request_get_output_headers(req),
	    "Content-Type", "application/json");
	evhttp_send_reply(req, 200, "OK", out);
	evbuffer_free(out);
}

static void
ended(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(arg);
}

int
main(void)
{
	struct event_base *base = event_base_new();
	struct evhttp *http = evhttp_new(base);
	struct evhttp_bound_socket *bound;
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	evhttp_set_gencb(http, answer, NULL);
	bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
	if (bound == NULL || getsockname(evhttp_bound_socket_get_fd(bound),
	    (struct sockaddr *)&sin, &len) == -1)
		return (1);
	printf("%d\n", ntohs(sin.sin_port));
	fflush(stdout);
	event_add(event_new(base, 0, EV_READ, ended, base), NULL);
	event_base_dispatch(base);
	return (0);
}
