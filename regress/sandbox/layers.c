/*
 * Each layer by itself, what the kernel says about a locked-up process, and
 * giving up privilege.  Layers are private to sandbox_linux.c and hide one
 * another - behind seccomp nobody would notice a Landlock that does nothing -
 * so this file takes its source in.
 */
#include "common/sandbox_linux.c"

#undef L
#undef F
#undef S
#undef W
#undef J
#undef ALL

#include <sys/ptrace.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <grp.h>
#include <poll.h>
#include <stdlib.h>

#include "probe.h"

#define SKIP	77	/* exit status: this machine has no such thing */

/* Says which condition of a check in a child was not met. */
#define must(cond)							\
	do {								\
		if (!(cond)) {						\
			log_warn("%s:%d: %s", __func__, __LINE__, #cond); \
			_exit(1);					\
		}							\
	} while (0)

#define LOGGER		(1U << CELL_LOGGER)
#define SEARCHER	(1U << CELL_SEARCHER)
#define EVERY		((1U << CELL_COUNT) - 1)
#define ZERO_LIMIT	"0                    0 "

static pid_t	 tester;

/* --- what the kernel says ---------------------------------------------- */

static int
proc_line(pid_t pid, const char *file, const char *label, char *buf,
    size_t size)
{
	char	 path[64];
	FILE	*fp;
	int	 found = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	if ((fp = fopen(path, "r")) == NULL)
		return (-1);
	while (found == -1 && fgets(buf, (int)size, fp) != NULL)
		if (strncmp(buf, label, strlen(label)) == 0)
			found = 0;
	fclose(fp);
	return (found);
}

static const struct {
	const char	*file;
	const char	*label;		/* start of a line */
	const char	*value;		/* what follows, blanks skipped */
	uint32_t	 cells;
} facts[] = {
	{ "status", "NoNewPrivs:",	"1\n", EVERY },
	{ "status", "Seccomp:",		"2\n", EVERY },
	{ "status", "Threads:",		"1\n", EVERY },
	{ "status", "CapInh:",		"0000000000000000\n", EVERY },
	{ "status", "CapPrm:",		"0000000000000000\n", EVERY },
	{ "status", "CapEff:",		"0000000000000000\n", EVERY },
	{ "status", "CapAmb:",		"0000000000000000\n", EVERY },
	{ "limits", "Max core file size", ZERO_LIMIT, EVERY },
	{ "limits", "Max processes",	ZERO_LIMIT, EVERY & ~SEARCHER },
#ifndef KEEPD_SANITIZE
	{ "limits", "Max file size",	ZERO_LIMIT, EVERY & ~LOGGER },
#endif
};

static void
facts_check(enum cell cell, pid_t pid)
{
	const char	*name = cell_names[cell];
	char		 line[256], *v;
	size_t		 i;

	for (i = 0; i < nitems(facts); i++) {
		if ((facts[i].cells & 1U << cell) == 0)
			continue;
		if (proc_line(pid, facts[i].file, facts[i].label, line,
		    sizeof(line)) == -1) {
			probe_result(0, "%s: no %s", name, facts[i].label);
			continue;
		}
		v = line + strlen(facts[i].label);
		v += strspn(v, " \t");
		probe_result(strncmp(v, facts[i].value,
		    strlen(facts[i].value)) == 0, "%s as the kernel sees it: "
		    "%.*s", name, (int)strcspn(line, "\n"), line);
	}
}

/* Nobody of the same user may look into it.  Root may anyway. */
static void
attach_check(const char *name, pid_t pid)
{
	if (geteuid() == 0)
		probe_skip("%s ptrace from outside: we are root", name);
	else
		probe_result(ptrace(PTRACE_ATTACH, pid, NULL, NULL) == -1,
		    "%s cannot be traced by its own user", name);
}

/* What a sleeping process of the role looks like from outside. */
static void
cell_check(enum cell cell, enum role role)
{
	struct outcome	o = { 0, 0, 0 };
	char		text[256] = "";
	int		fds[2];
	pid_t		pid;

	fflush(NULL);
	if (pipe(fds) == -1 || (pid = fork()) == -1)
		fatal("fork");
	if (pid == 0) {
		sandbox_prepare(role);
		privdrop(role, &probe_user);
		cell_enter(cell, &o);
		must(write(fds[1], &o, sizeof(o)) == (ssize_t)sizeof(o));
		for (;;)
			poll(NULL, 0, -1);
	}
	close(fds[1]);
	if (read(fds[0], &o, sizeof(o)) == (ssize_t)sizeof(o)) {
		printf("# %s: %s\n", cell_names[cell],
		    sandbox_describe(o.layers, text, sizeof(text)));
		facts_check(cell, pid);
		attach_check(cell_names[cell], pid);
	} else
		probe_result(0, "%s: did not get into its sandbox",
		    cell_names[cell]);
	close(fds[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* --- Landlock, MDWE, namespace, filter, alone -------------------------- */

static unsigned int
landlock_alone(void)
{
	unsigned int on;

	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	if ((on = landlock_enter()) == 0)
		_exit(SKIP);
	return (on);
}

static int
landlock_fs(void)
{
	landlock_alone();
	must(open("/etc/passwd", O_RDONLY) == -1 && errno == EACCES);
	must(open("/", O_RDONLY | O_DIRECTORY) == -1 && errno == EACCES);
	must(open("/tmp/sandbox-probe", O_WRONLY | O_CREAT, 0600) == -1 &&
	    errno == EACCES);
	must(mkdirat(AT_FDCWD, "/tmp/sandbox-probe", 0700) == -1);
	must(execl("/bin/true", "true", (char *)NULL) == -1 &&
	    errno == EACCES);
	return (0);
}

static int
landlock_net(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int		   s;

	if ((landlock_alone() & SANDBOX_LANDLOCK_NET) == 0)
		return (SKIP);
	must((s = socket(AF_INET, SOCK_STREAM, 0)) != -1);
	must(bind(s, (struct sockaddr *)&sin, sizeof(sin)) == -1 &&
	    errno == EACCES);
	sin.sin_port = htons(9);
	must(connect(s, (struct sockaddr *)&sin, sizeof(sin)) == -1 &&
	    errno == EACCES);
	return (0);
}

/* The listener is older than the domain, so outside of it. */
static int
landlock_scope(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	socklen_t	   len;
	int		   l, c, status;
	pid_t		   pid;

	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
	    (size_t)snprintf(sun.sun_path + 1, 32, "sandbox-probe-%d",
	    getpid()));
	must((l = socket(AF_UNIX, SOCK_STREAM, 0)) != -1);
	must(bind(l, (struct sockaddr *)&sun, len) == 0 && listen(l, 1) == 0);
	if ((landlock_alone() & SANDBOX_LANDLOCK_SCOPE) == 0)
		return (SKIP);
	must((c = socket(AF_UNIX, SOCK_STREAM, 0)) != -1);
	must(connect(c, (struct sockaddr *)&sun, len) == -1 && errno == EPERM);
	must(kill(tester, 0) == -1 && errno == EPERM);
	must((pid = fork()) != -1);
	if (pid == 0)
		for (;;)
			poll(NULL, 0, -1);
	must(kill(pid, SIGKILL) == 0);
	must(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
	return (0);
}

static int
page_to_exec(void)
{
	void	*p;

	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(p != MAP_FAILED);
	return (mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int
mdwe_alone(void)
{
	if (mdwe_enter(ROLE_LOGGER) == -1)
		return (SKIP);
	must(page_to_exec() == -1 && errno == EACCES);
	return (0);
}

static int
mdwe_not_inherited(void)
{
	int	status;
	pid_t	pid;

	if (mdwe_enter(ROLE_SUPERVISOR) == -1)
		return (SKIP);
	must(page_to_exec() == -1 && errno == EACCES);
	must((pid = fork()) != -1);
	if (pid == 0)
		_exit(page_to_exec() == 0 ? 0 : 1);
	must(waitpid(pid, &status, 0) == pid && status == 0);
	return (0);
}

/* Without privdrop, which makes root's processes undumpable anyway. */
static int
nodump_alone(void)
{
	must(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1);
	must(layers_enter(ROLE_LOGGER, SANDBOX_NODUMP) & SANDBOX_NODUMP);
	must(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	return (0);
}

static int
netns_alone(void)
{
	char	before[64] = "", after[64] = "";
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = 0x0900,
	    .sin_addr = { htonl(INADDR_LOOPBACK) } };
	uid_t	uid = getuid();
	gid_t	gid = getgid();
	int	s;

	must(readlink("/proc/self/ns/net", before, sizeof(before) - 1) > 0);
	sandbox_prepare(ROLE_FRONTEND);
	if ((prepared & SANDBOX_NETNS) == 0)
		return (SKIP);
	must(getuid() == uid && getgid() == gid);
	must(readlink("/proc/self/ns/net", after, sizeof(after) - 1) > 0);
	must(strcmp(before, after) != 0);
	must((s = socket(AF_INET, SOCK_STREAM, 0)) != -1);
	must(connect(s, (struct sockaddr *)&sin, sizeof(sin)) == -1 &&
	    errno == ENETUNREACH);
	privdrop(ROLE_FRONTEND, &probe_user);	/* dies if a capability stays */
	must(unshare(CLONE_NEWNS) == -1);
	return (0);
}

/* The 32-bit entry has other numbers: 20 is getpid there, writev here. */
static int
int80_call(void)
{
#ifdef __x86_64__
	long	ret;

	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(20L) : "memory");
	return (ret == getpid() ? 0 : SKIP);
#else
	return (SKIP);
#endif
}

static int
int80_filtered(void)
{
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	must(seccomp_enter(ROLE_LOGGER, 0) == 0);
	return (int80_call());
}

/* --- missing layers ---------------------------------------------------- */

static int
missing_strict(void)
{
	log_setsink(NULL);
	close(2);
	report_missing(ROLE_FRONTEND, SANDBOX_SECCOMP, 0);
	return (0);		/* not reached */
}

static int
missing_best_effort(void)
{
	close(2);
	report_missing(ROLE_FRONTEND, SANDBOX_SECCOMP | SANDBOX_LANDLOCK_FS, 1);
	report_missing(ROLE_FRONTEND, SANDBOX_LANDLOCK_SCOPE, 0);
	return (0);
}

/* --- the supervisor and its services ----------------------------------- */

/* Limits other than those that the supervisor gives itself. */
static void
limits_differ(struct rlimit *core, struct rlimit *files)
{
	must(getrlimit(RLIMIT_CORE, core) == 0);
	core->rlim_cur = core->rlim_max;
	must(setrlimit(RLIMIT_CORE, core) == 0);
	must(getrlimit(RLIMIT_NOFILE, files) == 0);
	files->rlim_cur = files->rlim_max / 2;
	must(setrlimit(RLIMIT_NOFILE, files) == 0);
}

static int
supervisor_service(void)
{
	struct sandbox_opts opts = { .best_effort = 1 };
	struct rlimit	    core, files, rl;
	const struct privdrop *to = &probe_other;
	struct privdrop	    self = { .uid = getuid(), .gid = getgid() };
	const char	   *stage = "";
	char		    line[128];
	int		    status;
	pid_t		    pid;

	limits_differ(&core, &files);
	if (geteuid() != 0)
		to = &self;
	sandbox_prepare(ROLE_SUPERVISOR);
	privdrop(ROLE_SUPERVISOR, &probe_user);
	sandbox_enter(ROLE_SUPERVISOR, &opts);
	must(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	must(getrlimit(RLIMIT_CORE, &rl) == 0 && rl.rlim_cur == 0 &&
	    rl.rlim_max == core.rlim_max);
	must(getrlimit(RLIMIT_NOFILE, &rl) == 0 &&
	    rl.rlim_cur == files.rlim_max);
	must((pid = fork()) != -1);
	if (pid != 0) {
		must(waitpid(pid, &status, 0) == pid);
		return (status == 0 ? 0 : 1);
	}
	sandbox_service();
	must(getrlimit(RLIMIT_CORE, &rl) == 0 &&
	    rl.rlim_cur == core.rlim_cur && rl.rlim_max == core.rlim_max);
	must(getrlimit(RLIMIT_NOFILE, &rl) == 0 &&
	    rl.rlim_cur == files.rlim_cur && rl.rlim_max == files.rlim_max);
	must(privdrop_service(to->uid, to->gid, &to->gid, 1, &stage) == 0);
	must(getuid() == to->uid && geteuid() == to->uid);
	must(setuid(0) == -1);
	must(proc_line(getpid(), "status", "NoNewPrivs:\t0", line,
	    sizeof(line)) == 0);
	must(proc_line(getpid(), "status", "Seccomp:\t0", line,
	    sizeof(line)) == 0);
	must(proc_line(getpid(), "status", "CapPrm:\t0000000000000000", line,
	    sizeof(line)) == 0);
	return (0);
}

/* From nobody with CAP_SETUID back to root must not bring more than asked. */
static int
supervisor_caps(void)
{
	char	line[128];

	if (geteuid() != 0)
		return (SKIP);
	privdrop(ROLE_SUPERVISOR, &probe_user);
	must(getuid() == probe_user.uid);
	/* CAP_KILL 5, CAP_SETGID 6, CAP_SETUID 7 */
	must(proc_line(getpid(), "status", "CapPrm:\t00000000000000e0", line,
	    sizeof(line)) == 0);
	must(proc_line(getpid(), "status", "CapEff:\t00000000000000e0", line,
	    sizeof(line)) == 0);
	must(proc_line(getpid(), "status", "CapInh:\t0000000000000000", line,
	    sizeof(line)) == 0);
	must(kill(tester, 0) == 0);
	must(chroot("/") == -1 && errno == EPERM);
	return (0);
}

/* --- giving up privilege ----------------------------------------------- */

static int
privdrop_nobody(void)
{
	char	line[128];
	gid_t	g[4];

	if (geteuid() != 0)
		return (SKIP);
	privdrop(ROLE_FRONTEND, &probe_user);
	must(getuid() == probe_user.uid && getgid() == probe_user.gid);
	must(getgroups(4, g) == 1 && g[0] == probe_user.gid);
	must(setuid(0) == -1 && setgid(0) == -1);
	must(proc_line(getpid(), "status", "CapBnd:\t0000000000000000", line,
	    sizeof(line)) == 0);
	must(open("/etc/shadow", O_RDONLY) == -1);
	return (0);
}

static int
privdrop_chroot(void)
{
	struct privdrop pd = probe_user;

	if (geteuid() != 0)
		return (SKIP);
	must(snprintf(pd.chroot, sizeof(pd.chroot), "/usr/share") > 0);
	privdrop(ROLE_LOGGER, &pd);
	must(access("/etc/passwd", F_OK) == -1);
	must(access("/doc", F_OK) == 0);
	return (0);
}

static int
privdrop_to_root(void)
{
	struct privdrop pd = { .uid = 0, .gid = 0 };

	if (geteuid() != 0)
		return (SKIP);
	close(2);
	privdrop(ROLE_FRONTEND, &pd);
	return (0);		/* not reached: fatal */
}

static int
service_unprivileged(void)
{
	const char	*stage = "";
	gid_t		 gid = 0;

	if (geteuid() == 0)
		privdrop(ROLE_LOGGER, &probe_user);
	must(privdrop_service(0, 0, &gid, 1, &stage) == -1 && errno == EPERM);
	must(strcmp(stage, "setgroups") == 0);
	return (0);
}

/* --- the table --------------------------------------------------------- */

static const struct {
	const char	*name;
	int		(*run)(void);
	int		 status;	/* that is right */
	int		 signal;
} checks[] = {
	{ "landlock alone: no path",		landlock_fs, 0, 0 },
	{ "landlock alone: no TCP",		landlock_net, 0, 0 },
	{ "landlock alone: no socket, no signal", landlock_scope, 0, 0 },
	{ "mdwe alone",				mdwe_alone, 0, 0 },
	{ "mdwe of the supervisor is not inherited", mdwe_not_inherited, 0, 0 },
	{ "nodump alone",			nodump_alone, 0, 0 },
	{ "netns: no network, ids kept, no capability", netns_alone, 0, 0 },
	{ "seccomp: 32-bit entry",		int80_filtered, 0, SIGSYS },
	{ "a needed layer is missing: fatal",	missing_strict, 1, 0 },
	{ "sandbox best effort: goes on",	missing_best_effort, 0, 0 },
	{ "supervisor: services inherit nothing", supervisor_service, 0, 0 },
	{ "supervisor: exactly three capabilities", supervisor_caps, 0, 0 },
	{ "privdrop: root to nobody",		privdrop_nobody, 0, 0 },
	{ "privdrop: chroot",			privdrop_chroot, 0, 0 },
	{ "privdrop: to root is refused",	privdrop_to_root, 1, 0 },
	{ "privdrop: a service needs privilege to be another",
	    service_unprivileged, 0, 0 }
};

static int
entry_missing(int (*run)(void))
{
	return (run == int80_filtered && probe_bare(int80_call).how !=
	    HOW_WORKED);
}

static void
check_one(size_t i)
{
	struct outcome	o;
	char		buf[64];
	int		ok;

	if (entry_missing(checks[i].run)) {
		probe_skip("%s: this kernel has none", checks[i].name);
		return;
	}
	o = probe_bare(checks[i].run);
	if (o.how == HOW_BROKEN && o.value == SKIP) {
		probe_skip("%s: not to be had here (%s)", checks[i].name,
		    geteuid() == 0 ? "kernel" : "kernel, or needs root");
		return;
	}
	if (checks[i].signal != 0)
		ok = o.how == HOW_SIGNAL && o.value == checks[i].signal;
	else if (checks[i].status != 0)
		ok = o.how == HOW_BROKEN && o.value == checks[i].status;
	else
		ok = o.how == HOW_WORKED;
	probe_result(ok, "%s: %s", checks[i].name,
	    outcome_text(&o, buf, sizeof(buf)));
}

int
layers_run(const char *name)
{
	size_t	i;

	tester = getpid();
	if (name == NULL) {
		cell_check(CELL_LOGGER, ROLE_LOGGER);
		cell_check(CELL_FRONTEND, ROLE_FRONTEND);
		cell_check(CELL_SEARCHER, ROLE_SEARCHER);
		cell_check(CELL_WORKER, ROLE_SEARCHER);
		cell_check(CELL_JIT, ROLE_SEARCHER);
	}
	for (i = 0; i < nitems(checks); i++)
		if (name == NULL || strstr(checks[i].name, name) != NULL)
			check_one(i);
	return (0);
}
