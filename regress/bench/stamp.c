/*
 * Says when it began to run: writes its start (CLOCK_MONOTONIC, ns) and pid as
 * one line to the FIFO named by its argument, then waits to be killed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	struct timespec ts;
	char line[64];
	int fd, len;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	if (argc < 2 || (fd = open(argv[1], O_WRONLY)) == -1)
		return (1);
	len = snprintf(line, sizeof(line), "%lld %d\n",
	    (long long)ts.tv_sec * 1000000000LL + ts.tv_nsec, (int)getpid());
	if (write(fd, line, (size_t)len) != len)
		return (1);
	close(fd);
	for (;;)
		pause();
}
