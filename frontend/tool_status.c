/*
 * get_status: mode and services from the pushed state, without asking anyone.
 * What was rendered is kept while nothing changes, for a moment.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend.h"
#include "jsonrpc.h"
#include "schema.h"
#include "util.h"

#define FRESH_MS	100	/* uptimes may be that old */
#define CACHE_SIZE	4	/* different sets of visible services */
#define MS_PER_SEC	1000

/* Answers on their way out refer to it. */
struct page {
	unsigned int	 refs;
	size_t		 len;
	char		 text[];	/* members of the result, and its end */
};

struct cached {
	uint8_t		 visible[MAX_SERVICES / 8];
	uint64_t	 generation;
	uint64_t	 made;		/* mono ms */
	uint64_t	 used;
	struct page	*page;
};

static struct cached	 cache[CACHE_SIZE];

static const struct param params[] = {
	PARAM_NAMES("process", "target",
	    "Only this service: its name, id, label, pid or command."),
	{ "passive", P_BOOLEAN, 0, 0, NULL, "true: do not count as activity, "
	    "for pollers (keeps the time until release mode running)." },
	{ NULL, P_STRING, 0, 0, NULL, NULL }
};

static void	status_run(struct call *);

const struct tool tool_get_status = {
	"get_status", "Status of services",
	"Shows the mode (dev or release), how long until release mode, and "
	"every service of this project: state, ready, pid, uptime, last exit, "
	"crash count, last events, who acted last and why. Call it first, "
	"before starting anything yourself.",
	params,
	"{\"type\":\"object\",\"properties\":{"
	"\"mode\":{\"type\":\"string\"},"
	"\"time_until_release_seconds\":{\"type\":[\"number\",\"null\"]},"
	"\"processes\":{\"type\":\"array\",\"items\":{\"type\":\"object\","
	"\"properties\":{\"name\":{\"type\":\"string\"},"
	"\"state\":{\"type\":\"string\"},\"ready\":{\"type\":\"boolean\"},"
	"\"pid\":{\"type\":[\"integer\",\"null\"]},"
	"\"uptime_seconds\":{\"type\":[\"number\",\"null\"]},"
	"\"crash_count\":{\"type\":\"integer\"},"
	"\"recent_events\":{\"type\":\"array\"}},"
	"\"required\":[\"name\",\"state\",\"crash_count\"]}},"
	"\"total_count\":{\"type\":\"integer\"},"
	"\"running_count\":{\"type\":\"integer\"},"
	"\"stopped_count\":{\"type\":\"integer\"}},"
	"\"required\":[\"mode\",\"processes\",\"total_count\"]}",
	ROLE_OBSERVE, TOOL_READONLY | TOOL_IDEMPOTENT, status_run
};

/* --- the text of S0-99 --------------------------------------------------- */

static void
text_mode(struct evbuffer *out)
{
	char	 buf[64];
	int64_t	 left = mode_left_ms();

	(void)evbuffer_add_printf(out, "Mode: %s\n",
	    mode_now() == MODE_DEV ? "Dev" : "Release");
	if (mode_now() == MODE_RELEASE)
		out_text(out, "Already in release mode\n");
	else if (left == -1)
		out_text(out, "Stays in dev mode: no mode timeout is set\n");
	else
		(void)evbuffer_add_printf(out,
		    "Time until release mode: %s\n",
		    hours_minutes(left, buf, sizeof(buf)));
}

static void
text_service(struct evbuffer *out, const struct service *s, uint64_t now)
{
	const struct wire_state	*st = &s->state;
	char			 buf[128];
	uint32_t		 i;

	(void)evbuffer_add_printf(out, "\n  %s: %s\n", st->name,
	    proto_state_name(st->state));
	if (st->pid != 0 && st->start_ms != 0 && now >= st->start_ms)
		(void)evbuffer_add_printf(out, "    Uptime: %s\n",
		    hours_minutes(now - st->start_ms, buf, sizeof(buf)));
	if (st->nevents > 0)
		out_text(out, "    Recent events:\n");
	for (i = 0; i < st->nevents; i++)
		(void)evbuffer_add_printf(out, "      - %s\n",
		    short_event_text(&st->events[i], buf, sizeof(buf)));
	if (st->crash_count > 0)
		(void)evbuffer_add_printf(out, "    Crash count: %u\n",
		    st->crash_count);
}

/* only NULL: all that conn may see. */
static struct evbuffer *
status_text(struct conn *c, const struct service *only, uint64_t now)
{
	struct evbuffer		*out;
	struct service		*s;

	if ((out = evbuffer_new()) == NULL)
		return (NULL);
	text_mode(out);
	out_text(out, "\nProcesses:\n");
	for (s = service_next(c, 0); s != NULL; s = service_next(c, s->id + 1))
		if (only == NULL || s == only)
			text_service(out, s, now);
	return (out);
}

static json_t *
status_json(struct conn *c, const struct service *only, uint64_t now)
{
	struct service	*s;
	json_t		*processes = json_array(), *o;
	int64_t		 left = mode_left_ms();

	for (s = service_next(c, 0); s != NULL; s = service_next(c, s->id + 1))
		if (only == NULL || s == only)
			(void)json_array_append_new(processes, record_json(
			    &s->state, service_display(s), now));
	o = record_list_json(mode_now(), processes);
	(void)json_object_set_new(o, "time_until_release_seconds", left == -1 ?
	    json_null() : json_integer(left / MS_PER_SEC));
	return (o);
}

/* --- answers ------------------------------------------------------------- */

static struct evbuffer *
status_members(struct conn *c, const struct service *only)
{
	struct evbuffer	*out = evbuffer_new(), *text;
	uint64_t	 now = now_ms();
	json_t		*json;

	text = status_text(c, only, now);
	if (out == NULL || text == NULL) {
		if (out != NULL)
			evbuffer_free(out);
		if (text != NULL)
			evbuffer_free(text);
		return (NULL);
	}
	out_text(out, "\"content\":[");
	content_first(out, (const char *)evbuffer_pullup(text, -1),
	    evbuffer_get_length(text));
	out_text(out, "],\"structuredContent\":");
	json = status_json(c, only, now);
	out_json(out, json);
	out_text(out, ",\"isError\":false}}");
	json_decref(json);
	evbuffer_free(text);
	return (out);
}

static struct cached *
cache_slot(struct conn *c)
{
	struct cached	*slot = &cache[0];
	size_t		 i;

	for (i = 0; i < nitems(cache); i++) {
		if (memcmp(cache[i].visible, c->identity.visible,
		    sizeof(cache[i].visible)) == 0)
			return (&cache[i]);
		if (cache[i].used < slot->used)
			slot = &cache[i];
	}
	memcpy(slot->visible, c->identity.visible, sizeof(slot->visible));
	slot->generation = 0;
	return (slot);
}

static void
page_drop(struct page *page)
{
	if (page != NULL && --page->refs == 0)
		free(page);
}

static void
page_sent(const void *data, size_t len, void *arg)
{
	(void)data;
	(void)len;
	page_drop(arg);
}

static struct page *
page_make(struct conn *c)
{
	struct evbuffer	*out;
	struct page	*page;
	size_t		 len;

	if ((out = status_members(c, NULL)) == NULL)
		return (NULL);
	len = evbuffer_get_length(out);
	if ((page = malloc(sizeof(*page) + len)) != NULL) {
		page->refs = 1;
		page->len = len;
		(void)evbuffer_remove(out, page->text, len);
	}
	evbuffer_free(out);
	return (page);
}

static struct page *
cache_get(struct conn *c)
{
	struct cached	*slot = cache_slot(c);
	uint64_t	 now = mono_ms();

	slot->used = now;
	if (slot->page != NULL && slot->generation == services_generation &&
	    now < slot->made + FRESH_MS)
		return (slot->page);
	page_drop(slot->page);
	slot->page = page_make(c);
	slot->generation = services_generation;
	slot->made = now;
	return (slot->page);
}

/* All that conn may see: without a copy. */
static struct evbuffer *
status_cached(struct conn *c)
{
	struct evbuffer	*out;
	struct page	*page;

	if ((page = cache_get(c)) == NULL || (out = evbuffer_new()) == NULL)
		return (NULL);
	if (evbuffer_add_reference(out, page->text, page->len, page_sent,
	    page) == 0)
		page->refs++;
	return (out);
}

static void
status_run(struct call *call)
{
	const struct service	*only;
	struct evbuffer		*out;

	if (!target_given(call->args))
		out = status_cached(call->conn);
	else if ((only = target_resolve(call)) != NULL)
		out = status_members(call->conn, only);
	else
		return;
	if (out == NULL) {
		call_error(call, 200, RPC_INTERNAL_ERROR, "Out of memory");
		return;
	}
	call_result_closed(call, out);
	evbuffer_free(out);
}
