/*
 * Log queries over the control socket: several at a time, each with its lines
 * queued until they are taken, credit returned as they are.
 */
#ifndef KEEPD_CTL_QUERY_H
#define KEEPD_CTL_QUERY_H

#include "ctl.h"

struct frame;
TAILQ_HEAD(frame_list, frame);

struct query {
	uint32_t		 id;
	uint32_t		 service;	/* id of the service */
	const char		*name;		/* of the service; not owned */
	const char		*pattern;	/* NULL: none; not owned */
	struct wire_ctlquery	 wire;
	struct frame_list	 frames;
	uint32_t		 last_run;	/* of the last line taken */
	uint64_t		 last_line;
	int			 tries;		/* to go on, since data came */
	int			 ended;
	struct wire_end		 end;
	char			*text;		/* of the end, cleaned */
};

struct queries {
	struct query	*list;
	size_t		 count;
};

/* One query a service, none sent yet; the services must outlive them. */
void	 queries_init(struct queries *, const struct services *);
void	 queries_clear(struct queries *);
void	 query_send(struct client *, struct query *);
/* The first line that was not taken: 1, or 0 when none has come. */
int	 query_peek(struct query *, struct wire_line *, const char **);
/* Takes it; its text is gone after that. */
void	 query_take(struct client *, struct query *);
/* Takes a frame of any of the queries and frees it. */
void	 queries_dispatch(struct queries *, struct imsg *);
/* What the end means as exit status; says on stderr what went wrong, and
 * that there is no log yet unless the service is one of several. */
int	 query_exit(const struct query *, int several);

/* How lines are shown. */
struct printer {
	int		 flags;		/* RENDER_* */
	int		 json;		/* an object a line, for streams */
	json_t		*lines;		/* JSON, no stream: the text of each */
	json_t		*entries;	/* and what is known of it */
	int		 marks;		/* JSON: say which lines match */
	int		 prefix;	/* width of the names; 0: none */
	char		*buf;
	size_t		 size;
	const struct query *open;	/* the rest of its line is to come */
};

void	 printer_init(struct printer *, const struct options *,
	    const struct queries *);
void	 printer_line(struct printer *, const struct queries *,
	    const struct query *, const struct wire_line *, const char *);
/* Lines are kept for one JSON object, which printer_answer prints. */
void	 printer_collect(struct printer *);
void	 printer_answer(struct printer *, const struct queries *);
void	 printer_clear(struct printer *);

#endif
