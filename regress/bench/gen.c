/*
 * Writes numbered log lines to standard output as fast as they are taken, in
 * writes of a given size, then tells a FIFO how long it took (ns).
 *	gen MEBIBYTES WRITESIZE FIFO
 * One line in 1000 reads "error ... timeout", one in 7 holds "request".
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static long long
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ((long long)ts.tv_sec * 1000000000LL + ts.tv_nsec);
}

static void
put(const char *buf, size_t len)
{
	ssize_t n;

	while (len > 0) {
		if ((n = write(STDOUT_FILENO, buf, len)) == -1)
			exit(1);
		buf += n;
		len -= (size_t)n;
	}
}

static int
line(char *buf, size_t size, unsigned long n)
{
	const char *what = "info cache: hit ratio fine, nothing to report here";

	if (n % 1000 == 999)
		what = "error upstream 10.0.0.7: gave up after a timeout of 250 ms";
	else if (n % 7 == 0)
		what = "info request served: GET /index.html from the pool";
	return (snprintf(buf, size, "2026-11-20T10:00:00Z %010lu %s "
	    "latency_ms=%lu\n", n, what, n % 4000));
}

int
main(int argc, char *argv[])
{
	long long t0;
	unsigned long n = 0;
	size_t total, done = 0, size, used = 0;
	char *buf, tail[64];
	int fd, len;

	if (argc != 4)
		return (2);
	total = strtoul(argv[1], NULL, 10) * 1024 * 1024;
	size = strtoul(argv[2], NULL, 10);
	if (size < 256 || (buf = malloc(size + 256)) == NULL)
		return (2);
	t0 = now();
	while (done < total) {
		used += (size_t)line(buf + used, 256, n++);
		if (used < size)
			continue;
		put(buf, size);
		done += size;
		used -= size;
		memmove(buf, buf + size, used);
	}
	put(buf, used);
	if ((fd = open(argv[3], O_WRONLY)) == -1)
		return (1);
	len = snprintf(tail, sizeof(tail), "%lld %lu\n", now() - t0, n);
	if (write(fd, tail, (size_t)len) != len)
		return (1);
	return (0);
}
