/*
 * What the kernel can tell about the processes below us: /proc/PID/stat,
 * /proc/PID/task/TID/children and the marks that a service's environment or
 * supplementary groups carry.  No policy here.
 */
#include <sys/types.h>
#include <sys/prctl.h>
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
#define ENVIRON_MAX	(256 * 1024)
/*
 * Group numbers that no system hands out: between what systemd gives to
 * containers and the end of the positive numbers.  In system mode every
 * process of a service carries its own one, and cannot get rid of it.
 */
#define MARK_GID	0x7a6b0000U

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

gid_t
tree_mark_gid(uint32_t id, int build)
{
	return (MARK_GID + id * 2 + (build != 0));
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

static int
is_stray(pid_t pid, void *arg)
{
	(void)arg;
	return (child_find(pid) == NULL);
}

int
tree_strays(void)
{
	return (children_each(own_children, is_stray, NULL));
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
	const struct service	*only;
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

/* A direct child; those known to belong to others are left out. */
static int
collect_root(pid_t pid, void *arg)
{
	const struct collect	*c = arg;
	const struct child	*child;

	if (c->only != NULL && (child = child_find(pid)) != NULL &&
	    child->svc != c->only)
		return (0);
	return (collect_one(pid, arg));
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
	struct collect	 c = { t, only, 0 };
	struct treeproc	 p;
	size_t		 i, n = 0;
	int		 threads;

	t->n = 0;
	children_each(own_children, collect_root, &c);
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

/* --- marks ---------------------------------------------------------------- */
static struct service *
service_named(const char *name)
{
	struct service	*s;

	SERVICE_FOREACH(s)
		if (strcmp(s->st.name, name) == 0)
			return (s);
	TAILQ_FOREACH(s, &sup.orphans, orphan_entry)
		if (strcmp(s->st.name, name) == 0)
			return (s);
	return (NULL);
}

static struct service *
marked_by_environ(pid_t pid, int *build)
{
	static char	 buf[ENVIRON_MAX];
	ssize_t		 n;
	char		*p;

	if ((n = proc_read(pid, "environ", buf, sizeof(buf))) <= 0)
		return (NULL);
	for (p = buf; p < buf + n; p += strlen(p) + 1) {
		if (strncmp(p, "KEEPD_SERVICE=", 14) == 0) {
			*build = 0;
			return (service_named(p + 14));
		}
		if (strncmp(p, "KEEPD_BUILD=", 12) == 0) {
			*build = 1;
			return (service_named(p + 12));
		}
	}
	return (NULL);
}

static struct service *
marked_by_group(pid_t pid, int *build)
{
	char		 buf[8192], *p, *end;
	unsigned long	 gid;

	if (proc_read(pid, "status", buf, sizeof(buf)) <= 0 ||
	    (p = strstr(buf, "\nGroups:")) == NULL)
		return (NULL);
	for (p += strlen("\nGroups:"); *p == ' ' || *p == '\t'; p = end) {
		gid = strtoul(p, &end, 10);
		if (end == p)
			break;
		if (gid < MARK_GID || gid >= MARK_GID + MAX_SERVICES * 2)
			continue;
		*build = (gid - MARK_GID) & 1;
		return (sup.services[(gid - MARK_GID) / 2]);
	}
	return (NULL);
}

struct service *
tree_marked(pid_t pid, int *build)
{
	if (sup.global.system_mode)
		return (marked_by_group(pid, build));
	return (marked_by_environ(pid, build));
}

/* --- signals -------------------------------------------------------------- */
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
