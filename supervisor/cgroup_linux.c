/*
 * A cgroup for each service and each build, below the one that the parent has
 * made for us where one is delegated.  Whatever is in it belongs to the
 * service, and the kernel ends all of it at once.  Its name ends in the mark
 * of the service, so nothing has to be kept here.  Everything works without.
 */
#include <sys/types.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#include "supervisor.h"

#define OWN_PLACE	"/supervisor"
#define LINE_START	"0::"		/* of version 2, in /proc/PID/cgroup */
#define NFTW_FDS	8
#define FILE_SIZE	(PATH_SIZE + NAME_SIZE + 32)

static const char	*root;			/* NULL: none */
static char		 prefix[PATH_SIZE];	/* root, as /proc has it */

/* What /proc/PID/cgroup says; -1: nothing that fits. */
static int
cgroup_of(const char *pid, char *path, size_t size)
{
	char	 file[64], buf[8192], *p;
	ssize_t	 n;
	int	 fd;

	snprintf(file, sizeof(file), "/proc/%s/cgroup", pid);
	if ((fd = open(file, O_RDONLY | O_CLOEXEC)) == -1)
		return (-1);
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return (-1);
	buf[n] = '\0';
	for (p = buf; strncmp(p, LINE_START, strlen(LINE_START)) != 0; p++)
		if ((p = strchr(p, '\n')) == NULL)
			return (-1);
	p += strlen(LINE_START);
	p[strcspn(p, "\n")] = '\0';
	return (strlcpy(path, p, size) < size ? 0 : -1);
}

/* Are we where the parent should have put us? */
static int
own_place(void)
{
	char	*end;

	if (cgroup_of("self", prefix, sizeof(prefix)) == -1 ||
	    (end = strrchr(prefix, '/')) == NULL ||
	    strcmp(end, OWN_PLACE) != 0)
		return (0);
	end[1] = '\0';
	return (1);
}

void
cgroup_init(const char *directory)
{
	if (directory != NULL && own_place())
		root = directory;
	log_info("what belongs to a service is told by its %s",
	    root != NULL ? "cgroup" : "rlimit mark");
}

static void
cgroup_file(const struct service *s, int build, const char *name, char *path,
    size_t size)
{
	snprintf(path, size, "%s/%s.%u%s", root, s->st.name, s->mark +
	    (build ? 1 : 0), name);
}

int
cgroup_open(const struct service *s, int build)
{
	char	 path[FILE_SIZE];

	if (root == NULL)
		return (-1);
	cgroup_file(s, build, "", path, sizeof(path));
	if (mkdir(path, 0755) == -1 && errno != EEXIST) {
		log_debug("%s: %s", path, strerror(errno));
		return (-1);
	}
	return (open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/*
 * Born there: to move a living process makes the kernel wait for all its
 * processors, some 20 ms.  Where the call is refused, the mark has to do.
 */
pid_t
cgroup_fork(int fd)
{
	struct clone_args	 args;
	pid_t			 pid;

	if (fd == -1)
		return (fork());
	memset(&args, 0, sizeof(args));
	args.flags = CLONE_INTO_CGROUP;
	args.exit_signal = SIGCHLD;
	args.cgroup = (uint64_t)fd;
	if ((pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args))) == -1)
		return (fork());
	return (pid);
}

int
cgroup_mark(pid_t pid, uint32_t *mark)
{
	char		 path[PATH_SIZE], number[16], *p;
	const char	*why;
	size_t		 len = strlen(prefix);

	if (root == NULL)
		return (0);
	snprintf(number, sizeof(number), "%d", (int)pid);
	if (cgroup_of(number, path, sizeof(path)) == -1 ||
	    strncmp(path, prefix, len) != 0)
		return (0);
	/* A service may have made cgroups of its own below. */
	path[len + strcspn(path + len, "/")] = '\0';
	if ((p = strrchr(path + len, '.')) == NULL)
		return (0);
	*mark = (uint32_t)strtonum(p + 1, 0, (long long)MARK_MAX + 1, &why);
	return (why == NULL);
}

void
cgroup_kill(const struct service *s, int build)
{
	char	 path[FILE_SIZE];
	int	 fd;

	if (root == NULL)
		return;
	cgroup_file(s, build, "/cgroup.kill", path, sizeof(path));
	if ((fd = open(path, O_WRONLY | O_CLOEXEC)) == -1)
		return;
	if (write(fd, "1", 1) == -1)
		log_debug("%s: %s", path, strerror(errno));
	close(fd);
}

static int
remove_one(const char *path, const struct stat *st, int type,
    struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_DP)
		(void)rmdir(path);
	return (0);
}

/* What is not empty stays; the parent tries again at the end. */
void
cgroup_remove(const struct service *s, int build)
{
	char	 path[FILE_SIZE];

	if (root == NULL)
		return;
	cgroup_file(s, build, "", path, sizeof(path));
	if (rmdir(path) == -1 && (errno == EBUSY || errno == ENOTEMPTY))
		(void)nftw(path, remove_one, NFTW_FDS, FTW_DEPTH | FTW_PHYS);
}
