/*
 * The logger's own structures, and the public functions of its files.
 */
#ifndef KEEPD_LOGGER_H
#define KEEPD_LOGGER_H

#include <sys/types.h>
#include <sys/queue.h>

#include <stdint.h>

#include "link.h"
#include "proto.h"
#include "ring.h"

#define RING_KINDS	2
#define QUERIES_MAX	512	/* open, in all */
#define QUERIES_CONN	64	/* of one network connection */
#define QUERIES_CTL	256	/* of all control clients */

struct event;
struct event_base;
struct query;
struct source;
struct search;

/* The log of one service and kind. */
struct log {
	uint32_t		 service;
	uint32_t		 kind;
	char			 name[NAME_SIZE];
	int			 fd;		/* rw, for the ring */
	int			 fd_ro;		/* for searchers; -1: not yet */
	struct wire_ring	 conf;
	struct ring		 ring;
	TAILQ_HEAD(log_sources, source)	 sources;
	TAILQ_HEAD(log_watchers, query)	 watchers;	/* want to hear of new lines */
};

/* What a network connection may read. */
struct grant {
	LIST_ENTRY(grant)	 entry;
	uint32_t		 conn;
	unsigned int		 queries;	/* open */
	unsigned int		 running;	/* searches */
	struct wire_grant	 wire;
};

/* Where a window or follower stands. */
struct window {
	uint32_t	run;		/* lines of this run come next */
	uint32_t	end_run;	/* the last one to look at */
	uint64_t	line;		/* next line of run */
	uint64_t	last;		/* last line of end_run */
	uint64_t	left;		/* lines that may still be sent */
	uint64_t	bytes;		/* of text sent */
	int		follow;
};

/* Where a waiting query stands. */
struct wait {
	uint32_t	run;		/* 0: for the first run ever */
	uint64_t	line;		/* looked at up to here */
	uint64_t	since_us;	/* quiet: nothing came since */
	int		waiting;	/* the timer is a pause, not the end */
};

struct query {
	LIST_ENTRY(query)	 entry;
	TAILQ_ENTRY(query)	 watch;
	int			 watching;
	uint32_t		 pass;		/* seen in this round */
	struct link		*link;
	uint32_t		 id;
	struct grant		*grant;		/* NULL: a control client */
	struct log		*log;
	struct wire_query	 q;
	uint8_t			*pattern;
	size_t			 pattern_len;
	int64_t			 credit;
	struct wire_end		 end;
	struct window		 win;
	struct wait		 wait;
	struct search		*search;
	struct event		*deadline;	/* of the whole query */
	struct event		*pause;		/* waits: until the next look */
};

/* --- logger.c ------------------------------------------------------------ */
extern struct event_base	*logger_base;
extern struct wire_global	 logger_global;

struct log	*logger_log(uint32_t service, uint32_t kind);
void		 logger_drained(uint32_t service, const struct wire_attach *);

/* --- grant.c ------------------------------------------------------------- */
struct grant	*grant_find(uint32_t conn);
int		 grant_set(uint32_t conn, const struct wire_grant *);
void		 grant_drop(uint32_t conn);	/* ends its queries */
int		 grant_sees(const struct grant *, uint32_t service);

/* --- source.c: pipes ----------------------------------------------------- */
int	 source_init(void);		/* before the sandbox is closed */
void	 source_attach(struct log *, const struct wire_attach *, int fd);
/* A run has begun: pipes of the run that had its slot have no place left. */
void	 source_run(struct log *, uint32_t run);
/* The run's process is gone: take in what it has left in the pipes.  0: of
 * every run. */
void	 source_drain(struct log *, uint32_t run);
void	 source_drop(struct log *);	/* all of a log */

/* --- echo.c: lines to keepd's own output (S0-64) -------------------------- */
void	 echo_init(void);
void	 echo_lines(struct log *, uint32_t slot, uint64_t from);

/* --- query.c ------------------------------------------------------------- */
void	 query_new(struct link *, struct imsg *);
void	 query_credit(struct link *, struct imsg *);
void	 query_cancel(struct link *, struct imsg *);
/* Sends a piece; takes it from the credit. */
void	 query_data(struct query *, const void *, size_t);
int	 query_may_send(const struct query *);
/* Sends END (once) and frees. */
void	 query_end(struct query *, uint32_t code, const char *, ...)
	    __attribute__((format(printf, 3, 4)));
void	 query_watch(struct query *);
/* Credit or room has come. */
void	 query_pump(struct query *);
void	 query_pump_link(struct link *);
void	 query_drop_link(struct link *);	/* it is gone */
void	 query_drop_grant(struct grant *);
void	 query_drop_log(struct log *);
/* New lines, a new run, a run's end. */
void	 query_news(struct log *);

/* --- window.c: lines straight from the ring ------------------------------ */
void	 window_start(struct query *);
void	 window_pump(struct query *);

/* --- wait.c -------------------------------------------------------------- */
void	 wait_start(struct query *);
void	 wait_news(struct query *);
void	 wait_searched(struct query *);		/* its search is done */

/* --- search.c: the searcher and its workers ------------------------------ */
void	 search_init(int fd);
void	 search_verbose(uint32_t);
/* Queue a search of a run (0: all).  Ends the query if there is no room. */
void	 search_start(struct query *, uint32_t run, uint64_t line);
void	 search_pump(struct query *);
void	 search_abandon(struct query *);	/* kill what runs for it */

#endif
