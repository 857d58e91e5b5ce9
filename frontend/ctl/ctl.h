/*
 * keepctl: what its files share.  keepctl.c reads the command line, client.c
 * speaks to the supervisor, verbs_*.c do the work, the rest is for the eye.
 */
#ifndef KEEPD_CTL_H
#define KEEPD_CTL_H

#include <sys/types.h>

#include <jansson.h>
#include <stdint.h>

#include "imsg.h"
#include "proto.h"
#include "frontend/record.h"

/* Exit statuses (interfaces.md, section 2). */
enum ctl_exit {
	CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_NO_DAEMON = 3,
	CTL_NO_SERVICE = 4, CTL_DENIED = 5, CTL_TIMED_OUT = 6, CTL_PORT = 7,
	CTL_SIGNALLED = 128, CTL_INTERRUPTED = 130
};

#define NO_SERVICE	0xffffffffU

/* --- keepctl.c ----------------------------------------------------------- */
enum option_id {
	OPT_JSON, OPT_BRIEF, OPT_SOCKET, OPT_GROUP, OPT_ALL, OPT_TIMEOUT,
	OPT_FORCE, OPT_NOWAIT, OPT_REASON, OPT_REBUILD, OPT_FOLLOW, OPT_LINES,
	OPT_STREAM, OPT_SINCE, OPT_UNTIL, OPT_RUN, OPT_RAW, OPT_NOPREFIX,
	OPT_TIME, OPT_ICASE, OPT_CONTEXT, OPT_HEAD, OPT_TAIL, OPT_BUILDLOG,
	OPT_MAXBYTES, OPT_READY, OPT_LOG, OPT_EXIT, OPT_QUIET, OPT_PORT,
	OPT_STATUS, OPT_CSV, OPT_FROM, OPT_PLAN, OPT_COUNT
};

/* The command line, as read; an option that was not given has a clear bit. */
struct options {
	uint64_t	 given;		/* 1 << enum option_id */
	const char	*text[OPT_COUNT];
	uint64_t	 number[OPT_COUNT];	/* count, ms, enum stream */
	int64_t		 run;			/* OPT_RUN */
	int		 all_runs;
	int		 argc;
	char		**argv;
};

#define given(o, id)	(((o)->given >> (id)) & 1)

struct verb_row {
	const char	 *name;
	const char	 *arguments;	/* for the usage line */
	const char	 *summary;
	uint64_t	  allowed;	/* options */
	int		  min, max;	/* arguments; max -1: any number */
	int		(*run)(const struct options *);
};


/* --- client.c ------------------------------------------------------------ */
struct client;

/* Connects and greets.  Everything that can go wrong ends the program. */
struct client	*client_open(const struct options *);
void		 client_close(struct client *);
/* The socket's path, static or from the options. */
const char	*client_path(const struct client *);
/* The daemon's greeting; waits for it where it has not come yet. */
const struct wire_welcome *client_welcome(struct client *);
void		 client_send(struct client *, uint32_t type, uint32_t id,
		    const void *, size_t, const void *tail, size_t tail_len);
/* The next frame: 1, to be freed with imsg_free; 0: time is up; -1: the
 * connection is over.  timeout in ms, -1 waits. */
int		 client_next(struct client *, struct imsg *, int timeout);
/* The same where only a frame will do. */
void		 client_must(struct client *, struct imsg *);
/* The answer is not what was asked for. */
void		 client_confused(struct imsg *) __attribute__((noreturn));

/* --- request.c ----------------------------------------------------------- */
/* A service as CTL_STATUS brings it. */
struct service {
	struct wire_state	 state;
	struct display		 display;
	int			 has_display;
};
struct services {
	struct service	*list;
	size_t		 count;
	size_t		 room;
};

struct result {
	struct wire_result	 wire;
	char			*text;		/* cleaned; never NULL */
};

/* Checks the length; anything else ends the program. */
void	 target_set(struct wire_target *, const char *, int group);
int	 is_glob(const char *);
/* Sends a status request; the answer is read by services_read, which adds to
 * the list and returns the final RESULT's code with its text in *result. */
void	 services_ask(struct client *, const struct wire_target *);
uint32_t services_read(struct client *, struct services *, struct result *);
/* Both for one target; ends the program if there is none such. */
void	 services_get(struct client *, struct services *, const char *,
	    int group);
void	 services_clear(struct services *);
const struct service *services_find(const struct services *, uint32_t id);
/* Takes a RESULT out of a frame and frees the frame. */
void	 result_read(struct imsg *, struct result *);
void	 result_clear(struct result *);
int	 result_exit(uint32_t code);	/* enum result_code to enum ctl_exit */
/* The error of a result as one line on stderr. */
void	 result_warn(const struct result *);
/* A fresh string: bytes from outside made fit for a terminal. */
char	*clean_text(const char *);
void	 json_line(json_t *);		/* prints and takes it */
/* Prints the RESULT that comes, as text (or this one, if it brings none) or
 * JSON; its exit status. */
int	 result_finish(const struct options *, struct client *, const char *);

/* --- table.c ------------------------------------------------------------- */
enum colour {
	COLOUR_NONE, COLOUR_BOLD, COLOUR_DIM, COLOUR_RED, COLOUR_GREEN,
	COLOUR_YELLOW, COLOUR_BLUE, COLOUR_MAGENTA, COLOUR_CYAN, COLOUR_COUNT
};

struct column {
	const char	*title;
	int		 right;		/* aligned */
	int		 least;		/* may shrink to; 0: not at all */
	int		 drop;		/* goes first, the greater; 0: never */
	int		 hide;		/* not there while all cells are "-" */
};

struct table;

struct table	*table_new(const struct column *, size_t);
/* Cells are added row by row; the text is cleaned and copied. */
void		 table_cell(struct table *, enum colour, const char *, ...)
		    __attribute__((format(printf, 3, 4)));
void		 table_print(struct table *, int width);  /* 0: any width */
void		 table_free(struct table *);
size_t		 text_width(const char *);	/* columns on a terminal */

/* --- colour.c ------------------------------------------------------------ */
void		 colour_init(void);
int		 colour_on(void);
int		 terminal_width(void);	/* 0: not a terminal */
/* Sequences, empty without colour. */
const char	*colour(enum colour);
const char	*colour_end(void);
/* The first where symbols may be shown, else the second. */
const char	*symbol(const char *, const char *);
enum colour	 state_colour(const struct wire_state *);
const char	*state_symbol(const struct wire_state *);
enum colour	 name_colour(size_t);	/* the nth of several services */

/* --- format.c ------------------------------------------------------------ */
/* Into buf, and return it. */
char	*duration_text(uint64_t ms, char *, size_t);	/* "1h 20m" */
char	*local_time(uint64_t ms, char *, size_t);	/* with the date */
char	*exit_text(uint32_t reason, int32_t code, uint32_t sig, char *, size_t);
const char *signal_text(uint32_t);	/* "SIGTERM"; static */
char	*flatten_words(const char *, size_t, const char *); /* fresh, shown */

/* --- completion.c -------------------------------------------------------- */
const char *completion_script(const char *shell);	/* NULL: unknown */

/* --- verbs_*.c: they return the exit status ------------------------------- */
int	 verb_status(const struct options *);
int	 verb_list(const struct options *);
int	 verb_start(const struct options *);
int	 verb_stop(const struct options *);
int	 verb_restart(const struct options *);
int	 verb_wait(const struct options *);
int	 verb_logs(const struct options *);
int	 verb_search(const struct options *);
int	 verb_events(const struct options *);
int	 verb_mode(const struct options *);
int	 verb_reload(const struct options *);
int	 verb_shutdown(const struct options *);
int	 verb_version(const struct options *);
int	 verb_completion(const struct options *);
int	 verb_help(const struct options *);

#endif
