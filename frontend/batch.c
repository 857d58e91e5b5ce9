/*
 * Arrays of messages, which revision 2025-03-26 has: one element after the
 * other, the answers in one array.
 */
#include <event2/buffer.h>
#include <stdlib.h>

#include "frontend.h"
#include "jsonrpc.h"

struct batch {
	struct conn	*conn;
	json_t		*array;
	size_t		 next;
	size_t		 answers;
	int		 running;	/* within batch_run */
	int		 ended;		/* the current element */
	struct evbuffer	*out;
	struct call	*call;		/* that is being waited for */
};

static void
batch_free(struct batch *b)
{
	json_decref(b->array);
	if (b->out != NULL)
		evbuffer_free(b->out);
	free(b);
}

static void
batch_finish(struct batch *b)
{
	struct conn	*c = b->conn;

	if (b->answers == 0)
		http_empty(c, 202);
	else {
		out_text(b->out, "]");
		http_reply(c, 200, "application/json", b->out);
	}
	batch_free(b);
}

static void
batch_run(struct batch *b)
{
	b->running = 1;
	do {
		if (b->next == json_array_size(b->array)) {
			batch_finish(b);
			return;
		}
		b->ended = 0;
		b->call = NULL;
		mcp_message(b->conn, b,
		    json_incref(json_array_get(b->array, b->next++)));
	} while (b->ended);
	b->running = 0;
}

void
batch_answer(struct batch *b, struct evbuffer *json)
{
	if (json != NULL) {
		out_text(b->out, b->answers++ == 0 ? "[" : ",");
		(void)evbuffer_add_buffer(b->out, json);
	}
	b->ended = 1;
	if (!b->running)
		batch_run(b);
}

static void
batch_gone(void *arg)
{
	struct batch	*b = arg;

	if (b->call != NULL)
		call_abandon(b->call);
	batch_free(b);
}

void
batch_pending(struct batch *b, struct call *call)
{
	b->call = call;
	http_pending(b->conn, batch_gone, b);
}

void
batch_start(struct conn *c, json_t *array)
{
	struct batch	*b;

	if ((b = calloc(1, sizeof(*b))) == NULL ||
	    (b->out = evbuffer_new()) == NULL) {
		free(b);
		json_decref(array);
		http_empty(c, 500);
		return;
	}
	b->conn = c;
	b->array = array;
	batch_run(b);
}
