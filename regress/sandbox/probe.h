/*
 * Trying the sandbox: one forked process a probe, which becomes a role, asks
 * the kernel for one thing, and tells how that ended.
 */
#ifndef KEEPD_PROBE_H
#define KEEPD_PROBE_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#include "sandbox.h"

/* The roles as the probe knows them: a worker is two, by its JIT. */
enum cell { CELL_LOGGER, CELL_FRONTEND, CELL_SEARCHER, CELL_WORKER,
	CELL_JIT, CELL_COUNT };

#define L	(1U << CELL_LOGGER)
#define F	(1U << CELL_FRONTEND)
#define S	(1U << CELL_SEARCHER)
#define W	(1U << CELL_WORKER)
#define J	(1U << CELL_JIT)
#define ALL	(L | F | S | W | J)
#define NOBODY	0U

extern const char *const cell_names[CELL_COUNT];

/* How it ended. */
enum how { HOW_WORKED, HOW_ERRNO, HOW_SIGNAL, HOW_BROKEN };
struct outcome {
	uint32_t	how;
	int32_t		value;		/* errno, signal */
	uint32_t	layers;		/* what sandbox_enter said */
};

/*
 * A probe.  `setup` runs before the sandbox is entered (may be NULL), `run`
 * within; both return 0, or -1 and errno.
 */
struct probe {
	const char	*name;
	int		(*setup)(void);
	int		(*run)(void);
	uint32_t	 cells;		/* who is asked; 0: all */
};

/* probe.c */
void	probe_result(int ok, const char *, ...)
	    __attribute__((format(printf, 2, 3)));
void	probe_skip(const char *, ...) __attribute__((format(printf, 1, 2)));
/* Fork, become the cell, run. */
struct outcome probe_run(enum cell, const struct probe *);
const char *outcome_text(const struct outcome *, char *, size_t);
/* Fork and run without any sandbox; value is the exit status. */
struct outcome probe_bare(int (*)(void));
/* Who is root's stand-in: uid and gid of nobody; and of another user. */
extern struct privdrop probe_user, probe_other;
void	cell_enter(enum cell, struct outcome *);

/* forbidden.c, needed.c, layers.c: each prints its part of the matrix.  The
 * name, or NULL for all, restricts; so does the cell, or CELL_COUNT. */
int	forbidden_run(enum cell, const char *);
int	needed_run(enum cell, const char *);
int	layers_run(const char *);

#endif
