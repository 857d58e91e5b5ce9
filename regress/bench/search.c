/*
 * How fast a full ring is searched: the real logger and searcher, a file as
 * the text.
 *
 *	bench-search BUILDTREE FILE [-n TIMES] PATTERN...
 *
 * One line of JSON for each pattern: the best of TIMES (5), the way from the
 * question to the last answer included.
 */
#include <sys/stat.h>
#include <sys/wait.h>

#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rig.h"
#include "util.h"

static void
load(struct rig *r, const char *path)
{
	static char	buf[64 * 1024];
	int		fds[2], fd;
	ssize_t		n;
	pid_t		pid;

	if (pipe(fds) == -1)
		err(1, "pipe");
	if ((pid = fork()) == -1)
		err(1, "fork");
	if (pid == 0) {
		close(fds[0]);
		if ((fd = open(path, O_RDONLY)) == -1)
			err(1, "%s", path);
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			if (write_all(fds[1], buf, n) == -1)
				_exit(1);
		_exit(0);
	}
	close(fds[1]);
	rig_run(r, 1);
	rig_attach(r, 1, STREAM_STDOUT, fds[0]);
	close(fds[0]);
	rig_wait_drained(r, 1);
	waitpid(pid, NULL, 0);
}

static void
measure(struct rig *r, const char *pattern, int times, off_t size)
{
	struct wire_query	 q;
	struct rig_result	 res;
	double			 t, best = 1e9;
	const char		*p;
	int			 i;

	for (i = 0; i < times; i++) {
		memset(&q, 0, sizeof(q));
		q.query = QUERY_SEARCH;
		q.index = -1;
		q.flags = Q_TAIL;
		q.tail = 100;
		q.timeout_ms = 60000;
		t = rig_now();
		rig_query(r, &q, pattern, NULL, NULL, &res);
		t = rig_now() - t;
		if (t < best)
			best = t;
	}
	printf("{\"bench\":\"search\",\"pattern\":\"");
	for (p = pattern; *p != '\0'; p++)
		printf(*p == '\\' || *p == '"' ? "\\%c" : "%c", *p);
	printf("\",\"ms\":%.1f,\"gbps\":%.2f,\"matches\":%llu,\"code\":%u,"
	    "\"worker_ms\":%.1f}\n", best * 1e3, size / best / 1e9,
	    (unsigned long long)res.end.matches, res.end.code,
	    res.end.elapsed_us / 1e3);
	fflush(stdout);
}

int
main(int argc, char *argv[])
{
	struct rig	 r;
	struct stat	 st;
	uint64_t	 bytes = 1 << 20;
	int		 i, times = 5;

	if (argc < 4 || stat(argv[2], &st) == -1)
		errx(2, "usage: bench-search BUILDTREE FILE [-n N] PATTERN...");
	while (bytes < (uint64_t)st.st_size + (2 << 20))
		bytes *= 2;
	rig_start(&r, argv[1], 1 << 26, bytes, 1);
	load(&r, argv[2]);
	for (i = 3; i < argc; i++) {
		if (strcmp(argv[i], "-n") == 0 && i + 1 < argc)
			times = atoi(argv[++i]);
		else
			measure(&r, argv[i], times, st.st_size);
	}
	rig_stop(&r);
	return (0);
}
