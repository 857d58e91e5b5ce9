/*
 * What the kernel can tell about the processes below us: /proc/PID/stat,
 * /proc/PID/task/TID/children and a mark that all of a service's processes
 * inherit.  No policy here.
 */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#include "supervisor.h"

#define TREE_MAX	65536		/* processes looked at in one scan */
#define STAT_SIZE	1024
/*
 * The mark: the soft RLIMIT_LOCKS, which Linux has stored and inherited but
 * not enforced since 2.4.  It outlives setsid, a second fork, exec and an
 * empty environment, needs no privilege, and /proc/PID/limits shows it to all.
 */
#define MARK_BASE	0x4b000000U
#define MARK_LINE	"\nMax file locks"

static int	own_children = -1;	/* /proc/self/task/TID/children */

int
tree_init(void)
{
	char	 path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	own_children = open(path, O_RDONLY | O_CLOEXEC);
	return (own_children == -1 ? -1 : 0);
}

/* Between fork and exec.  A hard limit below it leaves the process unmarked. */
void
tree_mark(uint32_t mark)
{
	struct rlimit	 rl;

	if (getrlimit(RLIMIT_LOCKS, &rl) == -1)
		return;
	rl.rlim_cur = MARK_BASE + mark;
	if (rl.rlim_cur <= rl.rlim_max)
		(void)setrlimit(RLIMIT_LOCKS, &rl);
}

/* --- lists of children ---------------------------------------------------- */
/* Calls back for each pid in such a file; stops early when that says so. */
static int
children_each(int fd, int (*each)(pid_t, void *), void *arg)
{
	char	 buf[4096];
	ssize_t	 n, i;
	off_t	 off = 0;
	pid_t	 pid = 0;

	while ((n = pread(fd, buf, sizeof(buf), off)) > 0) {
		off += n;
		for (i = 0; i < n; i++) {
			if (isdigit((unsigned char)buf[i])) {
				pid = pid * 10 + (buf[i] - '0');
				continue;
			}
			if (pid != 0 && each(pid, arg))
				return (1);
			pid = 0;
		}
	}
	return (0);
}

/* --- strays --------------------------------------------------------------- */
/* Our direct children that are no struct child's, as of the last look. */
static pid_t	*strays;
static size_t	 nstrays, strays_size;
static int	 strays_known;

static int
stray_add(pid_t pid, void *arg)
{
	pid_t	*v;

	(void)arg;
	if (child_find(pid) != NULL)
		return (0);
	if (nstrays == strays_size) {
		v = reallocarray(strays, strays_size + 64, sizeof(*v));
		if (v == NULL)
			return (1);
		strays = v;
		strays_size += 64;
	}
	strays[nstrays++] = pid;
	return (0);
}

int
tree_strays(void)
{
	if (!strays_known) {
		nstrays = 0;
		children_each(own_children, stray_add, NULL);
		strays_known = 1;
	}
	return (nstrays > 0);
}

void
tree_forget(void)
{
	strays_known = 0;
}

void
tree_reaped(pid_t pid)
{
	size_t	 i, n = 0;

	for (i = 0; i < nstrays; i++)
		if (strays[i] != pid)
			strays[n++] = strays[i];
	nstrays = n;
}

/* --- one process ---------------------------------------------------------- */
static ssize_t
proc_read(pid_t pid, const char *file, char *buf, size_t size)
{
	char	 path[64];
	ssize_t	 n;
	int	 fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return (-1);
	n = read(fd, buf, size - 1);
	close(fd);
	if (n >= 0)
		buf[n] = '\0';
	return (n);
}

/* 0, or -1 when there is none such or it is a zombie. */
static int
proc_stat(pid_t pid, struct treeproc *p, int *threads)
{
	unsigned long long	 start;
	char			 buf[STAT_SIZE], state, *open_par, *close_par;
	int			 pgid, sid;

	if (proc_read(pid, "stat", buf, sizeof(buf)) <= 0)
		return (-1);
	/* The name may hold blanks and parentheses: search from the end. */
	if ((open_par = strchr(buf, '(')) == NULL ||
	    (close_par = strrchr(buf, ')')) == NULL)
		return (-1);
	if (sscanf(close_par + 1, " %c %*d %d %d %*d %*d %*u %*u %*u %*u %*u "
	    "%*u %*u %*d %*d %*d %*d %d %*d %llu", &state, &pgid, &sid,
	    threads, &start) != 5)
		return (-1);
	if (state == 'Z' || state == 'X')
		return (-1);
	*close_par = '\0';
	p->pid = pid;
	p->pgid = pgid;
	p->sid = sid;
	p->start = start;
	strlcpy(p->comm, open_par + 1, sizeof(p->comm));
	return (0);
}

/* --- the whole tree ------------------------------------------------------- */
struct collect {
	struct tree		*tree;
	pid_t			 root;		/* 0: each is its own */
};

static int	collect_children(struct collect *, pid_t, int);

static struct treeproc *
tree_room(struct tree *t)
{
	struct treeproc	*v;
	size_t		 size;

	if (t->n < t->size)
		return (&t->v[t->n]);
	size = t->size == 0 ? 64 : t->size * 2;
	if (size > TREE_MAX ||
	    (v = reallocarray(t->v, size, sizeof(*v))) == NULL)
		return (NULL);
	t->v = v;
	t->size = size;
	return (&t->v[t->n]);
}

static int
collect_one(pid_t pid, void *arg)
{
	struct collect	*c = arg;
	struct treeproc	*p;

	if ((p = tree_room(c->tree)) == NULL)
		return (1);
	memset(p, 0, sizeof(*p));
	p->pid = pid;
	p->root = c->root == 0 ? pid : c->root;
	c->tree->n++;
	return (0);
}

/* A service's own children, and the strays, who may be its, too. */
static void
collect_roots(struct collect *c, const struct service *s)
{
	size_t	 i;

	if (s->run.pid != 0)
		collect_one(s->run.pid, c);
	if (s->build.pid != 0)
		collect_one(s->build.pid, c);
	if (!tree_strays())
		return;
	for (i = 0; i < nstrays; i++)
		collect_one(strays[i], c);
}

static void
collect_thread(struct collect *c, pid_t pid, pid_t tid)
{
	char	 path[80];
	int	 fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid,
	    (int)tid);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		return;
	children_each(fd, collect_one, c);
	close(fd);
}

/* Every thread has children of its own. */
static int
collect_children(struct collect *c, pid_t pid, int threads)
{
	struct dirent	*de;
	char		 path[64];
	DIR		*dir;

	if (threads <= 1) {
		collect_thread(c, pid, pid);
		return (0);
	}
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	if ((dir = opendir(path)) == NULL)
		return (-1);
	while ((de = readdir(dir)) != NULL)
		if (isdigit((unsigned char)de->d_name[0]))
			collect_thread(c, pid,
			    (pid_t)strtonum(de->d_name, 1, INT32_MAX, NULL));
	closedir(dir);
	return (0);
}

/* The array is the work list at the same time; zombies drop out at the end. */
void
tree_scan(struct tree *t, const struct service *only)
{
	struct collect	 c = { t, 0 };
	struct treeproc	 p;
	size_t		 i, n = 0;
	int		 threads;

	t->n = 0;
	if (only == NULL)
		children_each(own_children, collect_one, &c);
	else
		collect_roots(&c, only);
	for (i = 0; i < t->n; i++) {
		p = t->v[i];
		if (proc_stat(p.pid, &p, &threads) == -1)
			continue;
		c.root = p.root;
		collect_children(&c, p.pid, threads);
		t->v[n++] = p;	/* n <= i: the work list is ahead */
	}
	t->n = n;
}

/* --- marks ----------------------------------------------------------------- */
int
tree_marked(pid_t pid, uint32_t *mark)
{
	char		 buf[4096], *p;
	unsigned long	 n;

	if (proc_read(pid, "limits", buf, sizeof(buf)) <= 0 ||
	    (p = strstr(buf, MARK_LINE)) == NULL)
		return (0);
	n = strtoul(p + strlen(MARK_LINE), NULL, 10);
	if (n < MARK_BASE || n > MARK_BASE + MARK_MAX)
		return (0);
	*mark = (uint32_t)(n - MARK_BASE);
	return (1);
}

/* --- signals -------------------------------------------------------------- */
/* Two signals libc keeps for itself and refuses to reset; the kernel does. */
void
signal_default(int sig)
{
	unsigned long	 kernel_sigaction[4] = { 0 };	/* SIG_DFL, no flags */

	(void)syscall(SYS_rt_sigaction, sig, kernel_sigaction, NULL,
	    sizeof(unsigned long));
}

int
tree_signal(const struct treeproc *p, int sig)
{
	struct treeproc	 now;
	int		 fd, threads, r = -1;

	/* Our own child keeps its number until we reap it. */
	if (p->root == p->pid)
		return (kill(p->pid, sig));
	if ((fd = (int)syscall(SYS_pidfd_open, p->pid, 0)) == -1)
		return (-1);
	/* The descriptor holds whoever has the number now: the same one? */
	if (proc_stat(p->pid, &now, &threads) == 0 && now.start == p->start)
		r = (int)syscall(SYS_pidfd_send_signal, fd, sig, NULL, 0);
	close(fd);
	return (r);
}
