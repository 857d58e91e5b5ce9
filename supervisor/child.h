/*
 * What a forked child is given and what it reports.  The child's side,
 * child.c, knows nothing of the event loop or of services.
 */
#ifndef KEEPD_CHILD_H
#define KEEPD_CHILD_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

enum child_kind {
	CHILD_RUN,		/* a service's main process */
	CHILD_BUILD,
	CHILD_CHECK		/* is what the build promised there? */
};

/* Pointers in front of an argv that the child may fill: direnv exec DIR. */
#define ARGV_SLOTS	3

enum child_stage {
	STAGE_OK,		/* CHILD_CHECK: detail is the binary's path */
	STAGE_SETUP,		/* descriptors, session */
	STAGE_USER,		/* detail: the call that failed */
	STAGE_DIRECTORY,
	STAGE_CARGO,		/* Cargo.toml; detail says what of it */
	STAGE_ARTIFACT,		/* detail: the path */
	STAGE_EXEC,		/* detail: the word looked for */
	STAGE_COUNT
};

/* Written at once into the error pipe; less than PIPE_BUF. */
struct child_report {
	uint32_t	 stage;
	int32_t		 error;		/* errno; 0: detail says it all */
	char		 detail[512];
};

struct launch {
	enum child_kind	 kind;
	uint32_t	 mode;
	char		**argv;		/* ARGV_SLOTS usable pointers before it */
	char		**env;
	const char	*path;
	const char	*directory;
	const char	*artifact;	/* or NULL */
	int		 rust_binary;	/* argv[0] is to be found */
	int		 direnv;	/* enum tri */
	uint32_t	 umask;
	uint32_t	 mark;		/* for tree_mark */
	int		 cgroup;	/* to be forked into; or -1 */
	uid_t		 uid;
	gid_t		 gid;
	const gid_t	*groups;
	int		 ngroups;
	int		 out;		/* write ends */
	int		 err;
	int		 report;
};

/* The greatest mark. */
#define MARK_MAX	0x3fffffffU
/* tree_*.c: mark this process and all that will descend from it. */
void	tree_mark(uint32_t);
void	child_main(struct launch *) __attribute__((noreturn));
/* The report as a sentence with the key words that scripts look for (U-62). */
void	child_explain(const struct child_report *, const struct launch *,
	    const char *name, char *, size_t);

#endif
