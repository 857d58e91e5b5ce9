/*
 * What each role may still ask of the kernel.  One implementation a system:
 * sandbox_linux.c, sandbox_openbsd.c, sandbox_none.c; the Makefile picks.
 */
#ifndef KEEPD_SANDBOX_H
#define KEEPD_SANDBOX_H

#include "privdrop.h"

/* Layers that were put on, for the log and `keepctl version -v`; a mask. */
#define SANDBOX_NNP		0x001	/* no_new_privs */
#define SANDBOX_SECCOMP		0x002
#define SANDBOX_LANDLOCK_FS	0x004
#define SANDBOX_LANDLOCK_NET	0x008
#define SANDBOX_LANDLOCK_SCOPE	0x010	/* abstract sockets, signals */
#define SANDBOX_NETNS		0x020
#define SANDBOX_NODUMP		0x040
#define SANDBOX_RLIMITS		0x080
#define SANDBOX_MDWE		0x100
#define SANDBOX_PLEDGE		0x200

struct sandbox_opts {
	int	best_effort;	/* configuration `sandbox best effort` */
	int	jit;		/* ROLE_WORKER: JIT needs W+X */
};

/*
 * Before privdrop: what needs privilege or open files (namespaces, uid_map,
 * original rlimits remembered).  Never fatal: what the kernel refuses is
 * reported by sandbox_enter.
 */
void	sandbox_prepare(enum role);
/*
 * After privdrop, with all descriptors open: put on the rest for good.
 * Returns the mask of layers.  A needed layer of the role that the kernel has
 * no support for: fatalx (what, why, what to do) unless best_effort, then
 * log_warnx.  Needed are no_new_privs, seccomp, Landlock for files, limits, no
 * dumps; a namespace where allowed, and layers younger than common kernels
 * (Landlock's network and scopes, MDWE) are put on where they exist.
 */
unsigned int sandbox_enter(enum role, const struct sandbox_opts *);
/* "no_new_privs seccomp landlock_fs ..." */
const char *sandbox_describe(unsigned int, char *, size_t);
/* In a forked child of the parent or the supervisor, before exec: put back
 * what must not be inherited (rlimits).  Async-signal-safe. */
void	sandbox_service(void);

#endif
