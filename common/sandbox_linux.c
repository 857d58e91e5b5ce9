/*
 * The sandbox on Linux: resource limits, no dumps, W^X (MDWE), no_new_privs,
 * Landlock, seccomp and a network namespace; who gets which is the table
 * roles[] here, the system calls are in sandbox_calls.h.
 *
 * The parent and the supervisor get no seccomp filter, no Landlock domain and
 * no no_new_privs: all three are inherited over fork and exec for good, so
 * every service would be born inside them, without sudo(8), JIT compilers or
 * files.  What those two get instead ends at exec or is put back there by
 * sandbox_service().
 */
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"
#include "sandbox_calls.h"
#include "util.h"

#if defined(__x86_64__)
#define SANDBOX_ARCH	AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define SANDBOX_ARCH	AUDIT_ARCH_AARCH64
#else
#error "seccomp filter: system call numbers of this machine are not known"
#endif
/* x86_64: this bit selects the x32 table, whose numbers are not checked. */
#define X32_BIT		0x40000000U

/* prctl(2) since Linux 6.3; the second flag since 6.6. */
#define MDWE_REFUSE_EXEC_GAIN	1UL
#define MDWE_NO_INHERIT		2UL

/* Bits of landlock(7), as far as this file knows them. */
#define LANDLOCK_ABI_VERSION	1U
#define FS_ABI1			0x1fffULL	/* execute ... make_sym */
#define FS_REFER		0x2000ULL	/* ABI 2 */
#define FS_TRUNCATE		0x4000ULL	/* ABI 3 */
#define FS_IOCTL_DEV		0x8000ULL	/* ABI 5 */
#define NET_ALL			0x3ULL		/* ABI 4: bind, connect TCP */
#define SCOPE_ALL		0x3ULL		/* ABI 6: abstract, signal */

struct landlock_rights {
	uint64_t	fs;
	uint64_t	net;
	uint64_t	scope;
};

#define LANDLOCK_ALL	(SANDBOX_LANDLOCK_FS | SANDBOX_LANDLOCK_NET | \
			 SANDBOX_LANDLOCK_SCOPE)
#define LOCKED_UP	(SANDBOX_NNP | SANDBOX_SECCOMP | LANDLOCK_ALL | \
			 SANDBOX_NODUMP | SANDBOX_RLIMITS)
/*
 * Layers without which a role does not run, unless `sandbox best effort`.  The
 * others are younger than the kernels in use (Landlock's network rules 6.7,
 * its scopes 6.12, MDWE 6.3) and refuse once more what seccomp refuses anyway;
 * where the kernel lacks them, that is said and no more.
 */
#define NEEDED		(SANDBOX_NNP | SANDBOX_SECCOMP | SANDBOX_NODUMP | \
			 SANDBOX_RLIMITS | SANDBOX_LANDLOCK_FS)

#define LIMIT_NOFORK	0x01	/* no process, no thread */
#define LIMIT_NOWRITE	0x02	/* no byte into a file */
#define LIMIT_NOCORE	0x04	/* no core, for good */
#define LIMIT_FILES	0x08	/* as many descriptors as allowed */
#define LIMIT_SOFT	0x10	/* no core, put back by sandbox_service */

static const struct {
	unsigned int	layers;
	unsigned int	limits;
} roles[ROLE_COUNT] = {
	/* A process that is not dumpable writes no core: no limit needed. */
	[ROLE_PARENT] = { SANDBOX_NODUMP | SANDBOX_MDWE | SANDBOX_RLIMITS,
	    LIMIT_FILES | LIMIT_SOFT },
	[ROLE_SUPERVISOR] = { SANDBOX_NODUMP | SANDBOX_MDWE | SANDBOX_RLIMITS,
	    LIMIT_FILES | LIMIT_SOFT },
	[ROLE_LOGGER] = { LOCKED_UP | SANDBOX_MDWE | SANDBOX_NETNS,
	    LIMIT_FILES | LIMIT_NOCORE | LIMIT_NOFORK },
	[ROLE_FRONTEND] = { LOCKED_UP | SANDBOX_MDWE | SANDBOX_NETNS,
	    LIMIT_FILES | LIMIT_NOCORE | LIMIT_NOFORK | LIMIT_NOWRITE },
	/* MDWE is inherited and would deny the workers their JIT. */
	[ROLE_SEARCHER] = { LOCKED_UP | SANDBOX_NETNS,
	    LIMIT_FILES | LIMIT_NOCORE | LIMIT_NOWRITE },
	[ROLE_WORKER] = { LOCKED_UP | SANDBOX_MDWE,
	    LIMIT_NOCORE | LIMIT_NOFORK | LIMIT_NOWRITE }
};

static const struct {
	unsigned int	 layer;
	const char	*name;
	const char	*since;
} layer_names[] = {
	{ SANDBOX_NNP,		"no_new_privs",		"Linux 3.5" },
	{ SANDBOX_SECCOMP,	"seccomp",
	    "CONFIG_SECCOMP_FILTER and Linux 4.14" },
	{ SANDBOX_LANDLOCK_FS,	"landlock_fs",
	    "Linux 5.13 with lsm=...,landlock" },
	{ SANDBOX_LANDLOCK_NET,	"landlock_net",
	    "Linux 6.7 with lsm=...,landlock" },
	{ SANDBOX_LANDLOCK_SCOPE, "landlock_scope",
	    "Linux 6.12 with lsm=...,landlock" },
	{ SANDBOX_NETNS,	"netns",
	    "root or unprivileged user namespaces" },
	{ SANDBOX_NODUMP,	"nodump",		"any Linux" },
	{ SANDBOX_RLIMITS,	"rlimits",		"any Linux" },
	{ SANDBOX_MDWE,		"mdwe",			"Linux 6.3" },
	{ SANDBOX_PLEDGE,	"pledge",		"OpenBSD" }
};

static unsigned int	prepared;	/* layers that sandbox_prepare put on */
static int		saved;		/* the two below are filled in */
static struct rlimit	saved_core;
static struct rlimit	saved_files;

/* --- the network namespace --------------------------------------------- */

static int
file_write(const char *path, const char *text)
{
	size_t	len = strlen(text);
	ssize_t	n;
	int	fd;

	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		return (-1);
	n = write(fd, text, len);
	close(fd);
	return (n == (ssize_t)len ? 0 : -1);
}

/* Only the own ids exist in the new user namespace, under their own numbers:
 * getuid() and SO_PEERCRED stay as they were, setuid(0) has no meaning. */
static int
map_self(uid_t uid, gid_t gid)
{
	char	map[64];

	if (file_write("/proc/self/setgroups", "deny") == -1)
		return (-1);
	snprintf(map, sizeof(map), "%u %u 1", (unsigned int)uid,
	    (unsigned int)uid);
	if (file_write("/proc/self/uid_map", map) == -1)
		return (-1);
	snprintf(map, sizeof(map), "%u %u 1", (unsigned int)gid,
	    (unsigned int)gid);
	return (file_write("/proc/self/gid_map", map));
}

/*
 * A network namespace without a single interface.  Sockets that are open
 * already, and those accepted from them, stay with the namespace they were
 * made in.  The capabilities that a user namespace gives are dropped by
 * privdrop().
 */
static int
netns_enter(void)
{
	uid_t	uid = getuid();
	gid_t	gid = getgid();

	if (geteuid() == 0)
		return (unshare(CLONE_NEWNET));
	/* Without /proc there is no map, and there would be no way back. */
	if (access("/proc/self/uid_map", W_OK) == -1 ||
	    unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1)
		return (-1);
	if (map_self(uid, gid) == -1)
		log_warn("sandbox: mapping uid %u", (unsigned int)uid);
	return (0);
}

void
sandbox_prepare(enum role role)
{
	if (getrlimit(RLIMIT_CORE, &saved_core) == 0 &&
	    getrlimit(RLIMIT_NOFILE, &saved_files) == 0)
		saved = 1;
	if ((roles[role].layers & SANDBOX_NETNS) == 0)
		return;
	if (netns_enter() == -1)
		log_debug("sandbox: no network namespace: %s",
		    strerror(errno));
	else
		prepared |= SANDBOX_NETNS;
}

/* --- limits, dumps, W^X ------------------------------------------------ */

static int
limit_set(int resource, rlim_t soft, rlim_t hard)
{
	struct rlimit rl = { soft, hard };

	return (setrlimit(resource, &rl));
}

static int
limits_enter(unsigned int limits)
{
	struct rlimit rl;

	if ((limits & LIMIT_NOCORE) && limit_set(RLIMIT_CORE, 0, 0) == -1)
		return (-1);
	if ((limits & LIMIT_SOFT) && (getrlimit(RLIMIT_CORE, &rl) == -1 ||
	    limit_set(RLIMIT_CORE, 0, rl.rlim_max) == -1))
		return (-1);
	/* Counted over all of the user's processes, but asked only at fork. */
	if ((limits & LIMIT_NOFORK) && limit_set(RLIMIT_NPROC, 0, 0) == -1)
		return (-1);
#ifndef KEEPD_SANITIZE	/* whose reports go to a file */
	if ((limits & LIMIT_NOWRITE) && limit_set(RLIMIT_FSIZE, 0, 0) == -1)
		return (-1);
#endif
	if ((limits & LIMIT_FILES) && (getrlimit(RLIMIT_NOFILE, &rl) == -1 ||
	    limit_set(RLIMIT_NOFILE, rl.rlim_max, rl.rlim_max) == -1))
		return (-1);
	return (0);
}

/*
 * No page becomes executable that was not born so.  For the two that have
 * services it must not be inherited; a kernel that knows no such thing (before
 * 6.6) leaves them without.
 */
static int
mdwe_enter(enum role role)
{
	unsigned long flags = MDWE_REFUSE_EXEC_GAIN;

	if (role == ROLE_PARENT || role == ROLE_SUPERVISOR)
		flags |= MDWE_NO_INHERIT;
	return (prctl(PR_SET_MDWE, flags, 0UL, 0UL, 0UL));
}

/* --- Landlock ---------------------------------------------------------- */

/*
 * A domain that handles every right this kernel knows and grants none: no path
 * can be opened, no TCP port bound or connected, no abstract socket reached,
 * no process signalled outside of it.  A searcher still signals its workers,
 * which are in its domain.  Returns the layers that came of it.
 */
static unsigned int
landlock_enter(void)
{
	struct landlock_rights r = { FS_ABI1, 0, 0 };
	unsigned int layers = SANDBOX_LANDLOCK_FS;
	size_t	size = sizeof(r.fs);	/* older kernels take less of it */
	long	abi;
	int	fd;

	abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_ABI_VERSION);
	if (abi < 1)
		return (0);
	r.fs |= (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
	    (abi >= 5 ? FS_IOCTL_DEV : 0);
	if (abi >= 4) {
		r.net = NET_ALL;
		size = offsetof(struct landlock_rights, scope);
		layers |= SANDBOX_LANDLOCK_NET;
	}
	if (abi >= 6) {
		r.scope = SCOPE_ALL;
		size = sizeof(r);
		layers |= SANDBOX_LANDLOCK_SCOPE;
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
	if (fd == -1)
		return (0);
	if (syscall(SYS_landlock_restrict_self, fd, 0) == -1)
		layers = 0;
	close(fd);
	return (layers);
}

/* --- seccomp ----------------------------------------------------------- */

/* Of the BPF rows: too many instructions is a matter of the table, so of us. */
#define FILTER_MAX	1536
/* Jump targets that are known only when a rule's code is complete. */
#define TO_RELOAD	0xfe
#define TO_NEXT		0xff

struct filter {
	size_t			len;
	struct sock_filter	code[FILTER_MAX];
};

#define DATA_OFF(field)	((uint32_t)offsetof(struct seccomp_data, field))
#define LOW(n)		(DATA_OFF(args[0]) + 8 * (n))
#define HIGH(n)		(LOW(n) + 4)

static void
emit(struct filter *f, uint16_t code, uint8_t jt, uint8_t jf, uint32_t k)
{
	if (f->len == FILTER_MAX)
		fatalx("sandbox: the filter is longer than %d", FILTER_MAX);
	f->code[f->len++] = (struct sock_filter){ code, jt, jf, k };
}

static void
emit_load(struct filter *f, uint32_t off)
{
	emit(f, BPF_LD | BPF_W | BPF_ABS, 0, 0, off);
}

static void
emit_equal(struct filter *f, uint32_t value, uint8_t otherwise)
{
	emit(f, BPF_JMP | BPF_JEQ | BPF_K, 0, otherwise, value);
}

static void
emit_without(struct filter *f, uint32_t bits)
{
	emit(f, BPF_JMP | BPF_JSET | BPF_K, TO_RELOAD, 0, bits);
}

static void
emit_cond(struct filter *f, const struct cond *c)
{
	if (c->op != ARG_ANY)
		emit_load(f, LOW(c->arg));
	switch (c->op) {
	case ARG_ANY:
		break;
	case ARG_IS:
		emit_equal(f, c->value, TO_RELOAD);
		break;
	case ARG_SELF:
		emit_equal(f, (uint32_t)getpid(), TO_RELOAD);
		break;
	case ARG_WITHOUT:
		emit_without(f, c->value);
		break;
	case ARG_NULL:
	case ARG_ONLY:
		emit_without(f, ~c->value);
		emit_load(f, HIGH(c->arg));
		emit_without(f, 0xffffffffU);
		break;
	case ARG_POSITIVE:
		emit_without(f, 0x80000000U);
		emit(f, BPF_JMP | BPF_JEQ | BPF_K, TO_RELOAD, 0, 0);
		break;
	}
}

static uint8_t
jump_fix(uint8_t to, size_t at, size_t reload, size_t next)
{
	if (to == TO_RELOAD)
		return ((uint8_t)(reload - at - 1));
	if (to == TO_NEXT)
		return ((uint8_t)(next - at - 1));
	return (to);
}

/*
 * nr?, conditions, action.  The conditions overwrite the accumulator, so where
 * one fails the number is loaded again before the next rule.
 */
static void
emit_rule(struct filter *f, const struct rule *r)
{
	size_t	i, start = f->len, reload;

	emit_equal(f, (uint32_t)r->nr, TO_NEXT);
	for (i = 0; i < RULE_CONDS; i++)
		emit_cond(f, &r->cond[i]);
	emit(f, BPF_RET | BPF_K, 0, 0, r->action);
	reload = f->len;
	if (r->cond[0].op != ARG_ANY)
		emit_load(f, DATA_OFF(nr));
	for (i = start; i < reload; i++) {
		if (BPF_CLASS(f->code[i].code) != BPF_JMP)
			continue;
		f->code[i].jt = jump_fix(f->code[i].jt, i, reload, f->len);
		f->code[i].jf = jump_fix(f->code[i].jf, i, reload, f->len);
	}
}

static void
filter_build(struct filter *f, uint32_t who)
{
	size_t	i;

	f->len = 0;
	emit_load(f, DATA_OFF(arch));
	emit_equal(f, SANDBOX_ARCH, 0);
	f->code[f->len - 1].jt = 1;
	emit(f, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	emit_load(f, DATA_OFF(nr));
	emit(f, BPF_JMP | BPF_JGE | BPF_K, 0, 1, X32_BIT);
	emit(f, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
	for (i = 0; i < nitems(rules); i++)
		if ((rules[i].roles & who) != 0 && rules[i].nr != NO_CALL)
			emit_rule(f, &rules[i]);
	emit(f, BPF_RET | BPF_K, 0, 0, SECCOMP_RET_KILL_PROCESS);
}

static int
seccomp_enter(enum role role, int jit)
{
	static struct filter	f;
	struct sock_fprog	prog;
	uint32_t		who = 1U << role;

	if (role == ROLE_WORKER && jit)
		who |= J;
	filter_build(&f, who);
	prog.len = (unsigned short)f.len;
	prog.filter = f.code;
	return (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
	    SECCOMP_FILTER_FLAG_TSYNC, &prog) == 0 ? 0 : -1);
}

/* --- all of it --------------------------------------------------------- */

#ifdef KEEPD_SANITIZE
int	__lsan_is_turned_off(void);
static int locked_up;

/* LeakSanitizer stops the world with clone and ptrace: not in there. */
int
__lsan_is_turned_off(void)
{
	return (locked_up);
}
#define LOCKED_UP_NOW()	(locked_up = 1)
#else
#define LOCKED_UP_NOW()	((void)0)
#endif

static void
report_layer(enum role role, size_t i, int best_effort)
{
	const char	*who = role_names[role], *what = layer_names[i].name;
	const char	*since = layer_names[i].since;

	if ((NEEDED & layer_names[i].layer) != 0 && !best_effort)
		fatalx("sandbox of the %s: this kernel does not give %s, which "
		    "takes %s; to run without it, write `sandbox best effort` "
		    "into the configuration", who, what, since);
	/* A worker a search: its searcher has said the same already. */
	if (role == ROLE_WORKER)
		return;
	if ((NEEDED & layer_names[i].layer) != 0)
		log_warnx("sandbox of the %s is without %s, which takes %s; "
		    "going on, as `sandbox best effort` says", who, what,
		    since);
	else
		log_info("sandbox of the %s is without %s, which takes %s",
		    who, what, since);
}

/* What a missing layer means: the end, or a line in the log. */
static void
report_missing(enum role role, unsigned int missing, int best_effort)
{
	size_t	i;

	for (i = 0; i < nitems(layer_names); i++)
		if (missing & layer_names[i].layer)
			report_layer(role, i, best_effort);
}

/* Everything but seccomp, which would be in the way of the rest. */
static unsigned int
layers_enter(enum role role, unsigned int want)
{
	unsigned int	on = prepared;

	if (limits_enter(roles[role].limits) == 0)
		on |= SANDBOX_RLIMITS;
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
		on |= SANDBOX_NODUMP;
	if ((want & SANDBOX_MDWE) && mdwe_enter(role) == 0)
		on |= SANDBOX_MDWE;
	if ((want & SANDBOX_NNP) &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		on |= SANDBOX_NNP;
	if ((want & SANDBOX_LANDLOCK_FS))
		on |= landlock_enter();
	return (on);
}

unsigned int
sandbox_enter(enum role role, const struct sandbox_opts *opts)
{
	unsigned int	want = roles[role].layers, on;

	if (role == ROLE_WORKER && opts->jit)
		want &= ~SANDBOX_MDWE;
	on = layers_enter(role, want);
	/* Said before the filter: how the log is written is not its matter. */
	report_missing(role, want & ~on & ~SANDBOX_SECCOMP,
	    opts->best_effort);
	if ((want & SANDBOX_SECCOMP) == 0)
		return (on);
	LOCKED_UP_NOW();
	if (seccomp_enter(role, opts->jit) == 0)
		on |= SANDBOX_SECCOMP;
	else
		report_missing(role, SANDBOX_SECCOMP, opts->best_effort);
	return (on);
}

const char *
sandbox_describe(unsigned int layers, char *buf, size_t size)
{
	const char	*sep = "";
	size_t		 i, used = 0;
	int		 n;

	if (size != 0)
		buf[0] = '\0';
	for (i = 0; i < nitems(layer_names); i++) {
		if ((layers & layer_names[i].layer) == 0)
			continue;
		n = snprintf(buf + used, size - used, "%s%s", sep,
		    layer_names[i].name);
		if (n < 0 || (size_t)n >= size - used)
			break;
		used += (size_t)n;
		sep = " ";
	}
	return (buf);
}

/*
 * Before exec in a child of the parent or the supervisor.  Being dumpable is
 * given back by exec itself, MDWE was set so as not to be inherited.
 */
void
sandbox_service(void)
{
	if (!saved)
		return;
	(void)setrlimit(RLIMIT_CORE, &saved_core);
	(void)setrlimit(RLIMIT_NOFILE, &saved_files);
}
