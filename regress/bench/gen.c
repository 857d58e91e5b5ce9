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

#define BLOCK	(1024 * 1024)

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

/*
 * Formatting would cost more than the pipe, so one block of lines is made
 * beforehand and written again and again, cut where the writes cut it.
 */
int
main(int argc, char *argv[])
{
	long long t0;
	unsigned long n = 0, lines;
	size_t total, done = 0, size, used = 0, pos = 0, left;
	char *buf, tail[64];
	int fd, len;

	if (argc != 4)
		return (2);
	total = strtoul(argv[1], NULL, 10) * 1024 * 1024;
	size = strtoul(argv[2], NULL, 10);
	if (size == 0 || (buf = malloc(BLOCK + 2 * size + 256)) == NULL)
		return (2);
	while (used < BLOCK)
		used += (size_t)line(buf + used, 256, n++);
	memcpy(buf + used, buf, size);
	lines = 0;
	t0 = now();
	for (; done + size <= total; done += size) {
		put(buf + pos, size);
		if ((pos += size) >= used) {
			pos -= used;
			lines += n;
		}
	}
	/* Up to the end of the line that was cut last. */
	left = (size_t)((char *)memchr(buf + pos, '\n', used - pos) -
	    (buf + pos)) + 1;
	put(buf + pos, left);
	for (left += pos; left > 0; left--)
		lines += buf[left - 1] == '\n';
	if ((fd = open(argv[3], O_WRONLY)) == -1)
		return (1);
	len = snprintf(tail, sizeof(tail), "%lld %lu\n", now() - t0, lines);
	if (write(fd, tail, (size_t)len) != len)
		return (1);
	return (0);
}
