/*
 * A parent and supervisor of some lines for the real logger and searcher, so
 * that a program can measure or torture them alone.  Everything blocks;
 * whatever goes wrong ends the program.
 */
#ifndef KEEPD_RIG_H
#define KEEPD_RIG_H

#include <sys/types.h>

#include "imsg.h"
#include "proto.h"

struct rig {
	pid_t		 pid;		/* of the logger */
	char		 logger[1024];	/* its path */
	struct imsgbuf	 parent;
	struct imsgbuf	 sup;
	struct imsgbuf	 front;
	struct wire_ring ring;
	int		 fd;		/* the memfd */
	int		 fd_ro;
	uint32_t	 next_query;
	uint32_t	 drained;	/* messages seen */
};

struct rig_result {
	struct wire_end	 end;
	char		 text[1200];
	uint64_t	 lines;
	uint64_t	 bytes;
};

/* bin: the build tree's root (".build/gcc"). */
void	rig_start(struct rig *, const char *bin, uint32_t lines,
	    uint64_t run_bytes, uint32_t runs);
void	rig_kill(struct rig *);		/* kill -9 the logger */
void	rig_again(struct rig *);	/* start a fresh one with the same ring */
void	rig_stop(struct rig *);
void	rig_run(struct rig *, uint32_t run);
void	rig_run_end(struct rig *, uint32_t run, int code);
/* Gives the logger a duplicate of fd. */
void	rig_attach(struct rig *, uint32_t run, uint32_t stream, int fd);
void	rig_wait_drained(struct rig *, uint32_t);
/* Ask and take in the whole answer; line (may be NULL) sees each line. */
void	rig_query(struct rig *, struct wire_query *, const char *pattern,
	    void (*line)(const struct wire_line *, const char *, void *), void *,
	    struct rig_result *);
/* The same in two steps, on one of the links; id 0: of whichever query
 * ends next.  0: no END within ms. */
uint32_t rig_ask(struct rig *, struct imsgbuf *, const struct wire_query *,
	    const char *pattern);
int	rig_answer(struct rig *, struct imsgbuf *, uint32_t id, int ms,
	    void (*line)(const struct wire_line *, const char *, void *), void *,
	    struct rig_result *);
void	rig_put(struct imsgbuf *, uint32_t type, uint32_t id, int fd,
	    const void *, size_t);
double	rig_now(void);			/* seconds */

#endif
