/*
 * GET /health: the one page that needs no identity; says that keepd answers,
 * and nothing about services.
 */
#include <event2/buffer.h>

#include "frontend.h"

void
health_get(struct conn *c)
{
	struct evbuffer	*body;

	if ((body = evbuffer_new()) == NULL) {
		http_empty(c, 500);
		return;
	}
	(void)evbuffer_add_printf(body,
	    "{\"status\":\"ok\",\"name\":\"keepd\",\"version\":\"%s\"}\n",
	    KEEPD_VERSION);
	http_add_header(c, "Cache-Control", "no-store");
	http_reply(c, 200, "application/json", body);
	evbuffer_free(body);
}
