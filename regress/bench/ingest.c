/*
 * How fast the logger takes in what a service writes: the real logger, a child
 * that writes lines, one pipe.  Beside it, in the same run, a reader that does
 * nothing (`child | cat >/dev/null` without the cat) as the floor.
 *
 *	bench-ingest BUILDTREE [MiB [write-size [ring-MiB]]]
 *
 * A write-size of 0 means one line of 100 bytes a write.  One line of JSON.
 */
#include <sys/resource.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "util.h"

#define LINE	100

static pid_t
writer(size_t total, size_t size, int fds[2])
{
	char	*buf;
	size_t	 i, n;
	ssize_t	 k;
	pid_t	 pid;

	if (size == 0)
		size = LINE;
	if (pipe(fds) == -1)
		err(1, "pipe");
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid != 0) {
		close(fds[1]);
		return (pid);
	}
	close(fds[0]);
	if ((buf = malloc(size)) == NULL)
		err(1, NULL);
	memset(buf, 'x', size);
	for (i = LINE - 1; i < size; i += LINE)
		buf[i] = '\n';
	buf[size - 1] = '\n';
	for (n = 0; n < total; n += k)
		if ((k = write(fds[1], buf, size)) <= 0)
			_exit(1);
	_exit(0);
}

/* cat(1)'s way of reading. */
static double
floor_read(size_t total, size_t size)
{
	static char	buf[128 * 1024];
	double		t = rig_now();
	int		fds[2];
	pid_t		pid = writer(total, size, fds);

	while (read(fds[0], buf, sizeof(buf)) > 0)
		;
	close(fds[0]);
	waitpid(pid, NULL, 0);
	return (rig_now() - t);
}

static double
cpu_of(pid_t pid)
{
	char		 path[64];
	unsigned long	 u, s;
	FILE		*f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if ((f = fopen(path, "r")) == NULL || fscanf(f, "%*d (%*[^)]) %*c %*d "
	    "%*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &u, &s) != 2)
		err(1, "%s", path);
	fclose(f);
	return ((u + s) / (double)sysconf(_SC_CLK_TCK));
}

static double
logger_read(struct rig *r, uint32_t run, size_t total, size_t size)
{
	double	t;
	int	fds[2];
	pid_t	pid;

	rig_run(r, run);
	t = rig_now();
	pid = writer(total, size, fds);
	rig_attach(r, run, STREAM_STDOUT, fds[0]);
	close(fds[0]);
	rig_wait_drained(r, run);
	t = rig_now() - t;
	waitpid(pid, NULL, 0);
	return (t);
}

int
main(int argc, char *argv[])
{
	struct rig		 r;
	struct wire_query	 q;
	struct rig_result	 res;
	size_t			 mib, size, ring, total;
	double			 base, ours, cpu;

	if (argc < 2)
		errx(2, "usage: bench-ingest BUILDTREE [MiB [size [ring-MiB]]]");
	mib = argc > 2 ? strtoul(argv[2], NULL, 10) : 1024;
	size = argc > 3 ? strtoul(argv[3], NULL, 10) : 64 * 1024;
	ring = argc > 4 ? strtoul(argv[4], NULL, 10) : 16;
	total = mib * 1024 * 1024;
	rig_start(&r, argv[1], 1 << 24, ring * 1024 * 1024, 1);
	(void)floor_read(total / 8, size);
	base = floor_read(total, size);
	cpu = cpu_of(r.pid);
	ours = logger_read(&r, 1, total, size);
	cpu = cpu_of(r.pid) - cpu;
	memset(&q, 0, sizeof(q));
	q.query = QUERY_WINDOW;
	q.index = -1;
	q.flags = Q_TAIL;
	q.tail = 1;
	rig_query(&r, &q, NULL, NULL, NULL, &res);
	printf("{\"bench\":\"ingest\",\"mib\":%zu,\"write\":%zu,"
	    "\"floor_mbps\":%.1f,\"mbps\":%.1f,\"cpu_s_per_gib\":%.3f,"
	    "\"lines\":%llu}\n", mib, size, total / base / 1e6,
	    total / ours / 1e6, cpu * 1024 / mib,
	    (unsigned long long)res.end.next_line);
	rig_stop(&r);
	return (0);
}
