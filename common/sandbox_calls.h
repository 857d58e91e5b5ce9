/*
 * The system calls of each locked-up role on Linux, as data: one row a call
 * and condition, with the roles it is for.  Included by sandbox_linux.c alone.
 *
 * Rows are tried in order, the first that fits decides.  What no row names
 * ends the process (SECCOMP_RET_KILL_PROCESS): a role that steps outside of
 * its table is no longer ours.  A few calls are refused with an error instead,
 * because libraries try them and have another way.
 */
#ifndef KEEPD_SANDBOX_CALLS_H
#define KEEPD_SANDBOX_CALLS_H

#include <linux/seccomp.h>

enum op {
	ARG_ANY,	/* no condition */
	ARG_IS,		/* low 32 bits are the value; for int arguments */
	ARG_NULL,	/* all 64 bits are zero */
	ARG_WITHOUT,	/* none of these bits */
	ARG_ONLY,	/* no bits but these, of all 64 */
	ARG_POSITIVE,	/* an int greater than 0 */
	ARG_SELF	/* our own pid */
};
struct cond {
	uint32_t	arg;
	uint32_t	op;
	uint32_t	value;
};
#define RULE_CONDS	2
struct rule {
	int		nr;
	uint32_t	roles;
	uint32_t	action;
	struct cond	cond[RULE_CONDS];
};

/* Letters of the roles column. */
#define L	(1U << ROLE_LOGGER)
#define F	(1U << ROLE_FRONTEND)
#define S	(1U << ROLE_SEARCHER)
#define W	(1U << ROLE_WORKER)
#define J	(1U << ROLE_COUNT)	/* a worker that may use the JIT */
#define ALL	(L | F | S | W)

#define ALLOW(call, roles)						\
	{ SYS_##call, roles, SECCOMP_RET_ALLOW, { { 0, ARG_ANY, 0 } } }
#define REFUSE(call, error)						\
	{ SYS_##call, ALL, SECCOMP_RET_ERRNO | (error),			\
	  { { 0, ARG_ANY, 0 } } }
#define ALLOW_IF(call, roles, ...)					\
	{ SYS_##call, roles, SECCOMP_RET_ALLOW, { __VA_ARGS__ } }
#define REFUSE_IF(call, error, ...)					\
	{ SYS_##call, ALL, SECCOMP_RET_ERRNO | (error), { __VA_ARGS__ } }
#define ARG(n, op, value)	{ n, op, value }

/* Calls that newer architectures (aarch64) were not given: rows to skip. */
#define NO_CALL		-1
#ifndef SYS_open
#define SYS_open	NO_CALL
#endif
#ifndef SYS_access
#define SYS_access	NO_CALL
#endif
#ifndef SYS_readlink
#define SYS_readlink	NO_CALL
#endif
#ifndef SYS_stat
#define SYS_stat	NO_CALL
#endif
#ifndef SYS_lstat
#define SYS_lstat	NO_CALL
#endif
#ifndef SYS_poll
#define SYS_poll	NO_CALL
#endif
#ifndef SYS_epoll_wait
#define SYS_epoll_wait	NO_CALL
#endif
#ifndef SYS_pipe
#define SYS_pipe	NO_CALL
#endif
#ifndef SYS_dup2
#define SYS_dup2	NO_CALL
#endif
#ifndef SYS_fork
#define SYS_fork	NO_CALL
#endif
#ifndef SYS_vfork
#define SYS_vfork	NO_CALL
#endif
#ifndef SYS_time
#define SYS_time	NO_CALL
#endif
/* Calls and names younger than the headers we must build with. */
#ifndef PR_SET_VMA
#define PR_SET_VMA	0x53564d41
#endif
#ifndef PR_SET_MDWE
#define PR_SET_MDWE	65
#endif
#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN	0x20000000
#endif

/* fork(2) as the C libraries make it: a process, no namespace, no thread. */
#define FORK_FLAGS	(SIGCHLD | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)

static const struct rule rules[] = {
	/* --- bytes and readiness: the steady state, so first --- */
	ALLOW(epoll_wait,	L | F | S),
	ALLOW(epoll_pwait,	L | F | S),
	ALLOW(epoll_pwait2,	L | F | S),
	ALLOW(read,		ALL),
	ALLOW(readv,		ALL),
	ALLOW(write,		ALL),
	ALLOW(writev,		ALL),
	ALLOW(recvmsg,		L | F | S),
	ALLOW(recvfrom,		L | F | S),
	/*
	 * MSG_FASTOPEN on a TCP socket that was shut down would be a connect(2)
	 * by another name, and so would a destination address.
	 */
	ALLOW_IF(sendmsg,	L | F | S, ARG(2, ARG_WITHOUT, MSG_FASTOPEN)),
	ALLOW_IF(sendto,	L | F | S, ARG(3, ARG_WITHOUT, MSG_FASTOPEN),
				    ARG(4, ARG_NULL, 0)),
	ALLOW(epoll_ctl,	L | F | S),
	ALLOW(epoll_create1,	L | F | S),
	ALLOW(timerfd_settime,	L | F | S),
	ALLOW(poll,		ALL),
	ALLOW(ppoll,		ALL),
	ALLOW(close,		ALL),
	ALLOW(close_range,	ALL),
	ALLOW(shutdown,		L | F | S),
	ALLOW(lseek,		ALL),
	ALLOW(dup,		L | S),
	ALLOW(dup2,		L | S),
	ALLOW(dup3,		L | S),
	ALLOW(pipe,		L | S),
	ALLOW(pipe2,		L | S),
	ALLOW(fallocate,	L),

	/* --- sockets: the ones we were given and what they accept --- */
	ALLOW(accept,		F),
	ALLOW(accept4,		F),
	ALLOW(getpeername,	L | F | S),
	ALLOW(getsockname,	L | F | S),
	ALLOW_IF(getsockopt,	L | F | S, ARG(1, ARG_IS, SOL_SOCKET)),
	/* Named one by one: TCP_ULP, SO_ATTACH_BPF open whole subsystems. */
	ALLOW_IF(setsockopt,	F, ARG(1, ARG_IS, SOL_SOCKET),
				    ARG(2, ARG_IS, SO_KEEPALIVE)),
	ALLOW_IF(setsockopt,	F, ARG(1, ARG_IS, SOL_SOCKET),
				    ARG(2, ARG_IS, SO_LINGER)),
	ALLOW_IF(setsockopt,	L | F | S, ARG(1, ARG_IS, SOL_SOCKET),
				    ARG(2, ARG_IS, SO_SNDBUF)),
	ALLOW_IF(setsockopt,	L | F | S, ARG(1, ARG_IS, SOL_SOCKET),
				    ARG(2, ARG_IS, SO_RCVBUF)),
	ALLOW_IF(setsockopt,	F, ARG(1, ARG_IS, IPPROTO_TCP),
				    ARG(2, ARG_IS, TCP_NODELAY)),
	ALLOW_IF(setsockopt,	F, ARG(1, ARG_IS, IPPROTO_TCP),
				    ARG(2, ARG_IS, TCP_USER_TIMEOUT)),

	/* --- what a descriptor is like --- */
	ALLOW(fstat,		ALL),
	/* glibc's fstat.  A path beside AT_EMPTY_PATH passes, too, and would
	 * tell a file's size and times; no filter can see that. */
	ALLOW_IF(newfstatat,	ALL, ARG(3, ARG_IS, AT_EMPTY_PATH)),
	ALLOW_IF(fcntl,		ALL, ARG(1, ARG_IS, F_GETFL)),
	ALLOW_IF(fcntl,		ALL, ARG(1, ARG_IS, F_SETFL)),
	ALLOW_IF(fcntl,		ALL, ARG(1, ARG_IS, F_GETFD)),
	ALLOW_IF(fcntl,		ALL, ARG(1, ARG_IS, F_SETFD)),
	ALLOW_IF(fcntl,		L | S, ARG(1, ARG_IS, F_DUPFD_CLOEXEC)),
	ALLOW_IF(fcntl,		L | S, ARG(1, ARG_IS, F_GET_SEALS)),
	ALLOW_IF(fcntl,		L | S, ARG(1, ARG_IS, F_SETPIPE_SZ)),
	ALLOW_IF(fcntl,		L | S, ARG(1, ARG_IS, F_GETPIPE_SZ)),
	ALLOW_IF(ioctl,		ALL, ARG(1, ARG_IS, FIONREAD)),
	ALLOW_IF(ioctl,		ALL, ARG(1, ARG_IS, FIONBIO)),
	REFUSE_IF(ioctl,	ENOTTY, ARG(1, ARG_IS, TCGETS)),  /* stdio */

	/* --- memory --- */
	ALLOW(brk,		ALL),
	ALLOW(munmap,		ALL),
	ALLOW(mremap,		ALL),
	ALLOW(madvise,		ALL),
	/*
	 * A searcher's own filter must leave its workers the JIT, because
	 * filters only add up.  The worker's closes it when there is no JIT.
	 */
	ALLOW_IF(mmap,		L | F | W, ARG(2, ARG_WITHOUT, PROT_EXEC)),
	ALLOW_IF(mprotect,	L | F | W, ARG(2, ARG_WITHOUT, PROT_EXEC)),
	ALLOW(mmap,		S | J),
	ALLOW(mprotect,		S | J),

	/* --- time, chance, waiting, oneself --- */
	ALLOW(clock_gettime,	ALL),
	ALLOW(clock_getres,	ALL),
	ALLOW(clock_nanosleep,	ALL),
	ALLOW(nanosleep,	ALL),
	ALLOW(gettimeofday,	ALL),
	ALLOW(time,		ALL),
	ALLOW(getrandom,	ALL),
	ALLOW(futex,		ALL),
	ALLOW(sched_yield,	ALL),
	ALLOW(sysinfo,		ALL),		/* glibc's qsort */
	ALLOW(getrusage,	ALL),
	ALLOW(getpid,		ALL),
	ALLOW(getppid,		ALL),
	ALLOW(gettid,		ALL),
	ALLOW(getuid,		ALL),
	ALLOW(geteuid,		ALL),
	ALLOW(getgid,		ALL),
	ALLOW(getegid,		ALL),
	ALLOW_IF(prlimit64,	ALL, ARG(0, ARG_IS, 0)),
	ALLOW(rt_sigaction,	ALL),
	ALLOW(rt_sigprocmask,	ALL),
	ALLOW(rt_sigreturn,	ALL),
	ALLOW(sigaltstack,	ALL),
	ALLOW(restart_syscall,	ALL),
	ALLOW(exit,		ALL),
	ALLOW(exit_group,	ALL),
	ALLOW_IF(tgkill,	ALL, ARG(0, ARG_SELF, 0)),	/* abort */

	/* --- children: the logger's searcher, the searcher's workers --- */
	ALLOW(wait4,		L | S),
	ALLOW(waitid,		L | S),
	ALLOW_IF(kill,		S, ARG(0, ARG_POSITIVE, 0)),
	ALLOW_IF(tgkill,	S, ARG(0, ARG_POSITIVE, 0)),
	ALLOW_IF(clone,		S, ARG(0, ARG_ONLY, FORK_FLAGS)),
	ALLOW(fork,		S),
	ALLOW(set_robust_list,	S | W),		/* fork's child */
	ALLOW(rseq,		S | W),
	/* What a worker's own sandbox is made of: all of it only takes away. */
	ALLOW_IF(prctl,		S, ARG(0, ARG_IS, PR_SET_NO_NEW_PRIVS)),
	ALLOW_IF(prctl,		S, ARG(0, ARG_IS, PR_SET_MDWE)),
	ALLOW_IF(prctl,		S, ARG(0, ARG_IS, PR_SET_DUMPABLE),
				    ARG(1, ARG_NULL, 0)),
	ALLOW_IF(prctl,		S, ARG(0, ARG_IS, PR_SET_PDEATHSIG)),
	ALLOW_IF(seccomp,	S, ARG(0, ARG_IS, SECCOMP_SET_MODE_FILTER)),
	ALLOW(landlock_create_ruleset, S),
	ALLOW(landlock_restrict_self, S),

	/* --- refused with an error, because a library asks and copes --- */
	REFUSE(clone3,		ENOSYS),	/* falls back to clone */
	REFUSE(open,		EACCES),	/* gmtime: /etc/localtime; */
	REFUSE(openat,		EACCES),	/* jansson: /dev/urandom */
	REFUSE(stat,		EACCES),
	REFUSE(lstat,		EACCES),
	REFUSE(newfstatat,	EACCES),
	REFUSE(statx,		ENOSYS),
	REFUSE(access,		EACCES),
	REFUSE(faccessat,	EACCES),
	REFUSE(faccessat2,	EACCES),
	REFUSE(readlink,	EACCES),
	REFUSE(readlinkat,	EACCES),
	/* malloc names its pages. */
	REFUSE_IF(prctl,	EINVAL, ARG(0, ARG_IS, PR_SET_VMA)),

#ifdef KEEPD_SANITIZE
	/* --- the sanitizers' run time: reports, shadow memory, symbols --- */
	ALLOW(sched_getaffinity, ALL),
	ALLOW_IF(prctl,		ALL, ARG(0, ARG_IS, PR_GET_DUMPABLE)),
	REFUSE(clone,		EPERM),		/* symbolizer, leak checker */
	REFUSE(fork,		EPERM),
	REFUSE(vfork,		EPERM),
	REFUSE(pipe,		EPERM),
	REFUSE(pipe2,		EPERM),
	REFUSE(socketpair,	EPERM),
	REFUSE(getdents64,	EPERM),
	REFUSE(uname,		EPERM),
#endif
};

#endif
