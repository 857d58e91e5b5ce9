/*
 * What a role that was taken over would try.  Raw system calls, so that no
 * library decides instead of the kernel.  Arguments are chosen to do no harm
 * should a call go through.
 */
#include <sys/types.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"
#include "util.h"

#ifndef SYS_open
#define SYS_open	-1
#endif
#ifndef TCP_ULP
#define TCP_ULP		31
#endif
#ifndef PR_SET_MDWE
#define PR_SET_MDWE	65
#endif
#define X32_BIT		0x40000000L
#define CALL_ARGS	6

/*
 * works: must succeed.  refused: must fail and leave the process alive.  All
 * others must be killed.  needs: a layer without which the row says nothing.
 */
struct forbidden {
	const char	*name;
	long		 nr;
	uint32_t	 works;
	uint32_t	 refused;
	uint32_t	 needs;
	uintptr_t	 a[CALL_ARGS];
};

/* Stand for values that are known at run time only. */
#define PARENT		((uintptr_t)-101)
#define SOCKET		((uintptr_t)-102)
#define PAGE		((uintptr_t)-103)

#define P(s)		((uintptr_t)(s))
#define KILLED(name, nr, ...) { name, nr, NOBODY, NOBODY, 0, { __VA_ARGS__ } }
#define REFUSED(name, nr, ...) { name, nr, NOBODY, ALL, 0, { __VA_ARGS__ } }
#define WORKS(name, nr, cells, ...) { name, nr, cells, NOBODY, 0, { __VA_ARGS__ } }
#define SCOPED(name, nr, ...)						\
	{ name, nr, NOBODY, S, SANDBOX_LANDLOCK_SCOPE, { __VA_ARGS__ } }

#define THREAD	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define ANON	(MAP_PRIVATE | MAP_ANONYMOUS)

static const struct sockaddr_in loopback = {
	.sin_family = AF_INET, .sin_port = 0x0900,
	.sin_addr = { 0x0100007f }
};
static const char *const no_argv[] = { "true", NULL };
static struct msghdr	empty_msg;
static int		one = 1;
static int		sock = -1;
static void		*page;

static const struct forbidden calls[] = {
	/* programs and processes */
	KILLED("execve", SYS_execve, P("/bin/true"), P(no_argv), P(no_argv + 1)),
	KILLED("execveat", SYS_execveat, P(AT_FDCWD), P("/bin/true"),
	    P(no_argv), P(no_argv + 1)),
	KILLED("memfd_create", SYS_memfd_create, P("x"), 0),
	WORKS("fork", SYS_clone, S, SIGCHLD),
	KILLED("thread", SYS_clone, THREAD),
	KILLED("clone-newuser", SYS_clone, CLONE_NEWUSER | SIGCHLD),
	KILLED("clone-parent", SYS_clone, CLONE_PARENT | SIGCHLD),
	REFUSED("clone3", SYS_clone3, 0, 0),
	KILLED("ptrace-traceme", SYS_ptrace, PTRACE_TRACEME),
	KILLED("ptrace-attach", SYS_ptrace, PTRACE_ATTACH, PARENT),
	KILLED("process_vm_readv", SYS_process_vm_readv, PARENT, 0, 0, 0, 0),
	KILLED("process_vm_writev", SYS_process_vm_writev, PARENT, 0, 0, 0, 0),
	KILLED("pidfd_open", SYS_pidfd_open, PARENT),
	KILLED("pidfd_getfd", SYS_pidfd_getfd, 0, 0, 0),
	SCOPED("kill-parent", SYS_kill, PARENT, SIGCONT),
	SCOPED("tgkill-parent", SYS_tgkill, PARENT, PARENT, SIGCONT),
	KILLED("kill-all", SYS_kill, P(-1), 0),
	KILLED("kill-group", SYS_kill, 0, 0),
	KILLED("tkill", SYS_tkill, PARENT, 0),
	KILLED("rt_sigqueueinfo", SYS_rt_sigqueueinfo, PARENT, 0, 0),
	KILLED("prlimit-other", SYS_prlimit64, PARENT, 0, 0, 0),
	KILLED("sched_setscheduler", SYS_sched_setscheduler, PARENT, 0, 0),

	/* files */
	REFUSED("open-passwd", SYS_openat, P(AT_FDCWD), P("/etc/passwd"), O_RDONLY),
	REFUSED("open-create", SYS_openat, P(AT_FDCWD), P("/tmp/sandbox-probe"),
	    O_WRONLY | O_CREAT, 0600),
	REFUSED("open-self-mem", SYS_openat, P(AT_FDCWD), P("/proc/self/mem"), O_RDWR),
	REFUSED("open-old", SYS_open, P("/etc/passwd"), O_RDONLY),
	KILLED("openat2", SYS_openat2, P(AT_FDCWD), P("/etc/passwd"), 0, 0),
	KILLED("open_by_handle_at", SYS_open_by_handle_at, 0, 0, 0),
	REFUSED("stat-path", SYS_newfstatat, P(AT_FDCWD), P("/etc/passwd"), 0, 0),
	REFUSED("readlink", SYS_readlinkat, P(AT_FDCWD), P("/proc/self/exe"), 0, 0),
	KILLED("unlink", SYS_unlinkat, P(AT_FDCWD), P("/nonexistent/x"), 0),
	KILLED("mkdir", SYS_mkdirat, P(AT_FDCWD), P("/nonexistent/x"), 0),
	KILLED("rename", SYS_renameat2, P(AT_FDCWD), P("/nonexistent/x"),
	    P(AT_FDCWD), P("/nonexistent/y"), 0),
	KILLED("link", SYS_linkat, P(AT_FDCWD), P("/nonexistent/x"),
	    P(AT_FDCWD), P("/nonexistent/y"), 0),
	KILLED("symlink", SYS_symlinkat, P("x"), P(AT_FDCWD), P("/nonexistent/y")),
	KILLED("chmod", SYS_fchmodat, P(AT_FDCWD), P("/nonexistent/x"), 0),
	KILLED("chown", SYS_fchownat, P(AT_FDCWD), P("/nonexistent/x"), 0, 0, 0),
	KILLED("truncate", SYS_truncate, P("/nonexistent/x"), 0),
	KILLED("mknod", SYS_mknodat, P(AT_FDCWD), P("/nonexistent/x"), 0, 0),
	KILLED("chdir", SYS_chdir, P("/")),
	KILLED("chroot", SYS_chroot, P("/")),
	KILLED("mount", SYS_mount, 0, P("/nonexistent/x"), 0, 0, 0),
	KILLED("umount2", SYS_umount2, P("/nonexistent/x"), 0),
	KILLED("pivot_root", SYS_pivot_root, P("/nonexistent"), P("/nonexistent")),
	KILLED("inotify", SYS_inotify_init1, 0),
	KILLED("fanotify", SYS_fanotify_init, 0, 0),
	KILLED("splice", SYS_splice, 0, 0, 0, 0, 0, 0),
	KILLED("sendfile", SYS_sendfile, 0, 0, 0, 0),

	/* the network */
	KILLED("socket-inet", SYS_socket, AF_INET, SOCK_STREAM, 0),
	KILLED("socket-unix", SYS_socket, AF_UNIX, SOCK_STREAM, 0),
	KILLED("socket-netlink", SYS_socket, AF_NETLINK, SOCK_RAW, 0),
	KILLED("connect", SYS_connect, SOCKET, P(&loopback), sizeof(loopback)),
	KILLED("bind", SYS_bind, SOCKET, P(&loopback), sizeof(loopback)),
	KILLED("listen", SYS_listen, SOCKET, 1),
	KILLED("sendto-address", SYS_sendto, SOCKET, P("x"), 1, 0,
	    P(&loopback), sizeof(loopback)),
	KILLED("sendmsg-fastopen", SYS_sendmsg, SOCKET, P(&empty_msg),
	    MSG_FASTOPEN),
	KILLED("setsockopt-ulp", SYS_setsockopt, SOCKET, IPPROTO_TCP, TCP_ULP,
	    P("tls"), 3),
	KILLED("setsockopt-filter", SYS_setsockopt, SOCKET, SOL_SOCKET,
	    SO_ATTACH_FILTER, P(&one), sizeof(one)),

	/* memory */
	WORKS("mmap-exec", SYS_mmap, S | J, 0, 4096,
	    PROT_READ | PROT_WRITE | PROT_EXEC, ANON, P(-1), 0),
	WORKS("mprotect-exec", SYS_mprotect, S | J, PAGE, 4096,
	    PROT_READ | PROT_EXEC),
	KILLED("pkey_mprotect", SYS_pkey_mprotect, PAGE, 4096,
	    PROT_READ | PROT_EXEC, P(-1)),
	KILLED("remap_file_pages", SYS_remap_file_pages, PAGE, 4096, 0, 0, 0),
	KILLED("shmat", SYS_shmat, 0, 0, 0),
	KILLED("userfaultfd", SYS_userfaultfd, 0),
	KILLED("mlockall", SYS_mlockall, 0),

	/* the kernel's wider surface */
	KILLED("setns", SYS_setns, P(-1), 0),
	KILLED("unshare", SYS_unshare, CLONE_NEWUSER),
	KILLED("bpf", SYS_bpf, 0, 0, 0),
	KILLED("io_uring_setup", SYS_io_uring_setup, 1, 0),
	KILLED("io_uring_enter", SYS_io_uring_enter, P(-1), 0, 0, 0, 0),
	KILLED("keyctl", SYS_keyctl, 0, 0),
	KILLED("add_key", SYS_add_key, P("user"), P("x"), P("x"), 1, 0),
	KILLED("personality", SYS_personality, 0xffffffffU),
	KILLED("perf_event_open", SYS_perf_event_open, 0, 0, P(-1), P(-1), 0),
	KILLED("init_module", SYS_init_module, 0, 0, P("")),
	KILLED("finit_module", SYS_finit_module, P(-1), P(""), 0),
	KILLED("kexec_load", SYS_kexec_load, 0, P(-1), 0, 0),
	KILLED("reboot", SYS_reboot, 0, 0, 0, 0),
	KILLED("swapon", SYS_swapon, P("/nonexistent/x"), 0),
	KILLED("acct", SYS_acct, P("/nonexistent/x")),
	KILLED("sethostname", SYS_sethostname, 0, P(-1)),
	KILLED("settimeofday", SYS_settimeofday, 0, P(1)),
	KILLED("setuid", SYS_setuid, 0),
	KILLED("setresuid", SYS_setresuid, P(-1), P(-1), P(-1)),
	KILLED("setgroups", SYS_setgroups, 0, 0),
	KILLED("capset", SYS_capset, 0, 0),
	KILLED("ioctl-tiocsti", SYS_ioctl, 0, TIOCSTI, P("x")),
	KILLED("ioctl-tiocsctty", SYS_ioctl, 0, TIOCSCTTY, 0),
	KILLED("ioctl-siocgif", SYS_ioctl, SOCKET, 0x8912 /* SIOCGIFCONF */, 0),
	KILLED("fcntl-setown", SYS_fcntl, SOCKET, F_SETOWN, PARENT),
	KILLED("fcntl-setsig", SYS_fcntl, SOCKET, F_SETSIG, SIGKILL),
	KILLED("fcntl-lease", SYS_fcntl, SOCKET, F_SETLEASE, F_RDLCK),
	KILLED("prctl-dumpable", SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0),
	KILLED("prctl-set-mm", SYS_prctl, PR_SET_MM, 0, 0, 0, 0),
	KILLED("prctl-keepcaps", SYS_prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0),
	KILLED("prctl-subreaper", SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0),
#ifdef __x86_64__
	KILLED("x32", X32_BIT | SYS_getpid, 0),
	KILLED("iopl", SYS_iopl, 0),
	KILLED("modify_ldt", SYS_modify_ldt, 0, 0, 0),
	KILLED("arch_prctl", SYS_arch_prctl, 0, 0)
#endif
};

static const struct forbidden *current;

static int
calls_setup(void)
{
	if ((sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) == -1)
		return (-1);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, ANON, -1, 0);
	return (page == MAP_FAILED ? -1 : 0);
}

static uintptr_t
argument(uintptr_t a, pid_t parent)
{
	if (a == PARENT)
		return ((uintptr_t)parent);
	if (a == SOCKET)
		return ((uintptr_t)sock);
	return (a == PAGE ? (uintptr_t)page : a);
}

static int
calls_try(void)
{
	uintptr_t	a[CALL_ARGS];
	size_t		i;
	pid_t		self = getpid();
	long		ret;

	for (i = 0; i < CALL_ARGS; i++)
		a[i] = argument(current->a[i], getppid());
	ret = syscall(current->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	if (ret == 0 && getpid() != self)
		_exit(0);		/* the child of a fork that worked */
	return (ret == -1 ? -1 : 0);
}

static int
as_wanted(enum cell cell, const struct forbidden *f, const struct outcome *o)
{
	uint32_t bit = 1U << cell;

	if (f->works & bit)
		return (o->how == HOW_WORKED);
	if (f->refused & bit)
		return (o->how == HOW_ERRNO);
#ifdef KEEPD_SANITIZE	/* refuses what the sanitizers' run time may ask */
	if (o->how == HOW_ERRNO && o->value == EPERM)
		return (1);
#endif
	return (o->how == HOW_SIGNAL && o->value == SIGSYS);
}

static void
forbidden_try(enum cell cell, const struct forbidden *f)
{
	static const struct probe p = { "", calls_setup, calls_try, ALL };
	struct outcome	o;
	char		buf[64];

	if (f->nr == -1) {
		probe_skip("%s %s: this machine has no such call",
		    cell_names[cell], f->name);
		return;
	}
	current = f;
	o = probe_run(cell, &p);
	if ((f->refused & 1U << cell) && (f->needs & ~o.layers)) {
		probe_skip("%s %s: the kernel lacks the layer for it",
		    cell_names[cell], f->name);
		return;
	}
	probe_result(as_wanted(cell, f, &o), "%s %s: %s", cell_names[cell],
	    f->name, outcome_text(&o, buf, sizeof(buf)));
}

int
forbidden_run(enum cell cell, const char *name)
{
	size_t	i;

	for (i = 0; i < nitems(calls); i++)
		if (name == NULL || strcmp(name, calls[i].name) == 0)
			forbidden_try(cell, &calls[i]);
	return (0);
}
