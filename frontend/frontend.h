/*
 * What the files of the frontend share.  Grouped by the file that holds it.
 */
#ifndef KEEPD_FRONTEND_H
#define KEEPD_FRONTEND_H

#include <sys/types.h>
#include <sys/queue.h>
#include <sys/tree.h>

#include <event2/event.h>
#include <event2/event_struct.h>
#include <jansson.h>
#include <stdint.h>

#include "link.h"
#include "proto.h"
#include "record.h"

struct bufferevent;
struct call;
struct conn;
struct evbuffer;
struct evhttp_connection;
struct evhttp_request;
struct imsg;
struct patience;

#define IDENTITY_DEADLINE_MS	5000	/* parked requests: then 503 */
#define DESCRIBE_DEADLINE_MS	1000	/* then answered without display text */
#define CONN_IDLE_MS		75000	/* from an answer to a request */
#define CONN_RECEIVE_MS		10000	/* from its first byte to its last */
#define CONN_WRITE_SECONDS	30	/* a client that does not read */
#define ANSWER_SLACK_MS		3000	/* beyond the time others promised */

/* --- frontend.c ---------------------------------------------------------- */
extern struct event_base	*base;
extern struct wire_global	 global;
extern struct link		*supervisor_link;	/* NULL at first */
extern struct link		*logger_link;		/* or NULL */
extern uint32_t			 conf_serial;

/* --- hosts.c: which Host and Origin headers are ours --------------------- */
void	 hosts_clear(void);		/* at the begin of a transaction */
void	 hosts_add(const char *, size_t);
void	 origins_add(const char *, size_t);
void	 hosts_listen(const struct wire_listen *);	/* kept over reloads */
int	 host_ok(const char *);
int	 origin_ok(const char *);

/* --- http.c: evhttp, the order of checks, answers ------------------------ */
/* Headers that something here looks at; NULL when absent. */
struct http_headers {
	const char	*host, *origin, *content_type, *content_length;
	const char	*transfer_encoding, *authorization, *accept;
	const char	*protocol_version, *mcp_method, *mcp_name, *session_id;
};

void	 http_init(void);
int	 http_listen(const struct wire_listen *, int fd);	/* takes fd */
void	 http_start(void);			/* begin to accept */
void	 http_stop(void);			/* accept no more */
void	 http_limits(void);			/* global has changed */
/* Answers.  The exchange is over, and conn may be gone, when they return. */
void	 http_reply(struct conn *, int status, const char *type,
	    struct evbuffer *);
void	 http_empty(struct conn *, int status);
void	 http_error(struct conn *, int status, const char *code,
	    const char *, ...) __attribute__((format(printf, 4, 5)));
void	 http_add_header(struct conn *, const char *, const char *);
/* Server-Sent Events. */
void	 http_stream_start(struct conn *);
void	 http_stream_send(struct conn *, struct evbuffer *);
void	 http_stream_end(struct conn *);	/* conn may be gone */
/* The answer comes later.  gone(arg): the client has left, do not answer. */
void	 http_pending(struct conn *, void (*gone)(void *), void *);

/* --- conn.c: connections, who is at their other end ---------------------- */
struct exchange {			/* the request that a connection has */
	struct evhttp_request	 *req;	/* NULL: none */
	struct http_headers	  headers;
	struct event		  parked;	/* deadline of the identity */
	struct event		  watch;	/* the client closes */
	int			  watching;
	int			  waiting;	/* for the identity */
	void			(*handler)(struct conn *);
	void			(*gone)(void *);
	void			 *arg;
};

enum described { DESCRIBED_NO, DESCRIBED_ASKED, DESCRIBED_YES };

struct conn {
	RB_ENTRY(conn)		 node;		/* by id */
	RB_ENTRY(conn)		 by_evcon;
	TAILQ_ENTRY(conn)	 entry;		/* fresh, then of patience */
	struct bufferevent	*bev;		/* evhttp's */
	struct evhttp_connection *evcon;	/* NULL while fresh */
	struct exchange		 x;
	struct wire_identity	 identity;
	struct patience		*patience;	/* list it is in; NULL: none */
	uint64_t		 since;		/* mono ms; when it got there */
	uint32_t		 id;
	int			 known;		/* identity has come */
	int			 described;	/* enum described */
	int			 finish;	/* close behind the answer */
	int			 saw_nul;	/* somewhere in what came in */
};

void		 conn_init(void);
struct bufferevent *conn_accept(struct event_base *, void *);
struct conn	*conn_find(uint32_t);
struct conn	*conn_of(struct evhttp_request *);
/* Runs handler now or when the identity is known; 403 or 503 otherwise. */
void		 conn_identify(struct conn *, void (*handler)(struct conn *));
void		 conn_identity(struct link *, struct imsg *);
void		 conn_busy(struct conn *);	/* a request has come */
void		 conn_idle(struct conn *);	/* it was answered */
void		 conn_release(struct conn *);	/* its exchange is over */
void		 conn_watch(struct conn *);	/* does the client leave? */
void		 conn_forget_service(uint32_t);
void		 conn_doubt_service(uint32_t);	/* id is another's now */
void		 conn_undescribed(void);
void		 conn_finish(void);		/* shutting down */
const char	*conn_who(struct conn *);

/* --- services.c: the table of services ----------------------------------- */
struct service {
	uint32_t		 id;
	struct wire_public	 public;
	struct wire_state	 state;
	struct display		 display;
	int			 configured;	/* public is there */
	int			 has_state;
	int			 has_display;
	int			 mentioned;	/* in this transaction */
};

extern uint64_t	services_generation;	/* grows with every change */

void		 services_begin(void);		/* transaction */
void		 services_public(uint32_t, const struct wire_public *);
void		 services_end(void);
void		 services_state(struct link *, struct imsg *);
void		 services_gone(struct link *, struct imsg *);
void		 services_text(struct link *, struct imsg *);
void		 services_mode(struct link *, struct imsg *);
struct service	*service_get(uint32_t);
/* The next one that conn may see, from id on; NULL at the end. */
struct service	*service_next(struct conn *, uint32_t);
int		 service_visible(struct conn *, const struct service *);
uint32_t	 service_role(struct conn *, const struct service *);
uint32_t	 services_best_role(struct conn *);
/* NULL when the display text has not come (yet). */
const struct display *service_display(const struct service *);
/* Is all display text there that conn may see?  Asks for it if not. */
int		 services_described(struct conn *);
uint32_t	 mode_now(void);
int64_t		 mode_left_ms(void);		/* -1: does not apply */
void		 mode_stamp(struct conn *);	/* a tools/call (S0-41) */

/* --- ask.c: questions to the supervisor that take a while ---------------- */
struct ask;
typedef void	 ask_cb(void *, const struct wire_result *, const char *text);

struct ask	*ask_action(struct conn *, struct wire_action *, ask_cb *,
		    void *);
struct ask	*ask_wait(struct conn *, struct wire_wait *, ask_cb *, void *);
void		 ask_cancel(struct ask *);	/* the callback is not called */
void		 ask_result(struct link *, struct imsg *);

/* --- query.c: questions to the logger ------------------------------------ */
struct query;
struct query_ops {
	void	(*line)(void *, const struct wire_line *, const char *);
	/* Exactly once unless cancelled; the query is gone then. */
	void	(*end)(void *, const struct wire_end *, const char *text);
	/* Asked again: what came so far does not count. */
	void	(*reset)(void *);
};
struct query	*query_start(struct conn *, const struct wire_query *,
		    const char *pattern, const struct query_ops *, void *);
void		 query_cancel(struct query *);
void		 query_data(struct link *, struct imsg *);
void		 query_end(struct link *, struct imsg *);
void		 query_link_lost(void);
void		 query_link_ready(void);	/* a new link to the logger */
void		 query_logs_ready(struct link *, struct imsg *);

/* --- session.c: legacy sessions ------------------------------------------ */
struct session {
	RB_ENTRY(session)	 node;		/* by id */
	TAILQ_ENTRY(session)	 entry;		/* least recently used first */
	char			 id[33];
	char			 who[WHO_SIZE];
	char			 client[CLIENT_SIZE];
	const char		*version;
	uint64_t		 used;		/* mono ms */
};

struct session	*session_new(const char *who, const char *version,
		    const char *client);
/* NULL: unknown, expired or another's. */
struct session	*session_find(const char *id, const char *who);
void		 session_free(struct session *);

/* --- out.c: JSON text into buffers --------------------------------------- */
void	 out_text(struct evbuffer *, const char *);
void	 out_string(struct evbuffer *, const char *, size_t);	/* quoted */
void	 out_escaped(struct evbuffer *, const char *, size_t);
void	 out_json(struct evbuffer *, const json_t *);
/* Valid UTF-8 without control bytes, cut at a character; for wire strings. */
void	 text_field(char *, size_t, const char *);

/* --- health.c ------------------------------------------------------------ */
void	 health_get(struct conn *);

/* --- mcp.c: methods and the rules of both eras --------------------------- */
struct batch;

void	 mcp_post(struct conn *);
void	 mcp_delete(struct conn *);

/* An element of a batch, or the only message of a body; takes the message. */
void	 mcp_message(struct conn *, struct batch *, json_t *);

/* --- call.c: one JSON-RPC request on its way ----------------------------- */
struct tool;

struct call {
	TAILQ_ENTRY(call)	 entry;
	struct conn		*conn;
	struct batch		*batch;		/* NULL: a request of its own */
	json_t			*message;	/* owned; holds the rest */
	json_t			*id;
	json_t			*params;	/* or NULL */
	json_t			*args;		/* of tools/call, or NULL */
	json_t			*token;		/* progressToken, or NULL */
	const char		*method;
	const struct tool	*tool;
	char			 session[33];	/* "": none */
	char			 client[CLIENT_SIZE];
	int			 modern;
	int			 cacheable;	/* result has ttlMs */
	int			 streaming;
	uint64_t		 started;	/* mono ms */
	uint64_t		 progress;	/* ms; the last number sent */
	uint64_t		 limit_ms;	/* total of progress */
	unsigned int		 ticks;
	struct event		 tick;
	struct event		 timer;
	void			(*expired)(struct call *);
	void			(*described)(struct call *);
	uint32_t		 watched;	/* service; for progress */
	struct query		*query;
	struct ask		*ask;
	void			*state;		/* the tool's; freed too */
	void			(*state_free)(void *);
};

struct call	*call_new(struct conn *, struct batch *, json_t *message);
/* Each of these ends the call. */
void		 call_result(struct call *, struct evbuffer *members);
/* The same, with the two braces that end a message in it already. */
void		 call_result_closed(struct call *, struct evbuffer *);
void		 call_error(struct call *, int status, int code,
		    const char *, ...) __attribute__((format(printf, 4, 5)));
void		 call_abandon(struct call *);	/* nobody is there to answer */
/* The answer takes a while; expired runs after ms unless it ended before. */
void		 call_wait(struct call *, uint64_t ms,
		    void (*expired)(struct call *));
/* Progress for whoever sent a token: time, and the states of a service. */
void		 call_watch(struct call *, uint32_t service, uint64_t limit_ms);
void		 calls_state_news(const struct service *);
void		 calls_described(void);	/* display text has come */
void		 calls_cancel(const char *session, const json_t *id);
void		 calls_finish(void);		/* shutting down */
/* A JSON-RPC error for a message that did not become a call; takes data. */
void		 rpc_error(struct conn *, struct batch *, const json_t *id,
		    int status, int code, json_t *data, const char *text);
/* 202, or nothing within a batch. */
void		 rpc_accepted(struct conn *, struct batch *);

/* --- batch.c: arrays of messages (2025-03-26), one after the other ------- */
void	 batch_start(struct conn *, json_t *array);	/* takes the array */
/* The current element has ended, with this answer or (NULL) without one. */
void	 batch_answer(struct batch *, struct evbuffer *);
void	 batch_pending(struct batch *, struct call *);

/* --- tools.c ------------------------------------------------------------- */
struct param;

#define TOOL_READONLY		0x01
#define TOOL_DESTRUCTIVE	0x02
#define TOOL_IDEMPOTENT		0x04

struct tool {
	const char		*name;
	const char		*title;
	const char		*description;
	const struct param	*params;	/* ends with a NULL name */
	const char		*output;	/* outputSchema */
	uint32_t		 role;		/* least that may call it */
	int			 hints;
	void			(*run)(struct call *);
};

void	 tools_list(struct call *);
void	 tools_call(struct call *);
/* Results; each ends the call.  content: items with commas between. */
void	 tool_reply(struct call *, struct evbuffer *content,
	    struct evbuffer *structured);
void	 tool_text(struct call *, const char *text, json_t *structured);
void	 tool_error(struct call *, const char *code, const char *, ...)
	    __attribute__((format(printf, 3, 4)));
/* extra: more content items, or NULL.  Takes error. */
void	 tool_error_json(struct call *, json_t *error, struct evbuffer *extra);
json_t	*tool_error_new(const char *code, const char *text);
/* Ends the call with the error of a RESULT. */
void	 tool_result_error(struct call *, const struct wire_result *,
	    const char *text);
/* A text item; content_text puts a comma before all but the first. */
void	 content_first(struct evbuffer *, const char *, size_t);
void	 content_text(struct evbuffer *, const char *, size_t);

extern const struct tool	tool_get_status, tool_search_logs,
				tool_search_build_log, tool_wait_for,
				tool_restart;

/* --- tool_logs.c --------------------------------------------------------- */
/* 1: the END tells of a failure, and has ended the call as an error. */
int	 query_failed(struct call *, const struct wire_end *, const char *text);

/* --- lines.c: lines of logs as JSON -------------------------------------- */
struct lines {
	struct evbuffer	*text;		/* escaped, "\\n" between lines */
	struct evbuffer	*array;		/* "..." with commas between */
	size_t		 count;
	size_t		 bytes;		/* of text, before escaping */
	size_t		 limit;
	int		 flags;		/* RENDER_* */
	int		 collapse;	/* equal lines in a row become one */
	int		 full;		/* the limit was reached */
	uint32_t	 last_run;	/* the last line that was taken */
	uint64_t	 last_line;
	uint64_t	 repeated;
	char		*last;
	size_t		 last_len;
};

struct lines	*lines_new(int flags, size_t limit);
void		 lines_free(struct lines *);
void		 lines_reset(struct lines *);
void		 lines_add(struct lines *, const struct wire_line *,
		    const char *);
void		 lines_note(struct lines *, const char *);	/* ours */
void		 lines_finish(struct lines *);	/* before it is read */
void		 lines_append(struct lines *, struct lines *);	/* moves */
/* "3:1200"; -1 when ill-formed. */
int		 cursor_parse(const char *, struct wire_query *);
json_t		*cursor_json(uint32_t run, uint64_t line);

/* --- target.c ------------------------------------------------------------ */
/* The one service that the arguments name; NULL: the call has ended. */
struct service	*target_resolve(struct call *);
/* The same for one name. */
struct service	*target_find(struct call *, const char *);
int		 target_given(const json_t *args);

#endif
