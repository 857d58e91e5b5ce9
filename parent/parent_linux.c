/*
 * The calls of the parent that only Linux has.
 */
#include <sys/types.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "parent.h"

/* Newer than some C libraries: memfd_create(2), Linux 6.3. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	0x0008U
#endif

int
os_subreaper(void)
{
	return (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
}

int
os_memfd(const char *name)
{
	int	 fd;

	fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING |
	    MFD_NOEXEC_SEAL);
	if (fd == -1 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return (fd);
}

/* A reader maps all of it: it must not shrink under its feet. */
int
os_memfd_seal(int fd)
{
	return (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL));
}

int
os_children(pid_t *pids, int max)
{
	char	 path[64], *line = NULL, *p, *end;
	size_t	 size = 0;
	FILE	*fp;
	int	 n = 0;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	if ((fp = fopen(path, "re")) == NULL)
		return (-1);
	if (getline(&line, &size, fp) != -1) {
		for (p = line; n < max; p = end) {
			pids[n] = (pid_t)strtol(p, &end, 10);
			if (end == p)
				break;
			n++;
		}
	}
	free(line);
	fclose(fp);
	return (n);
}

int
os_peer_pid(int fd, pid_t *pid)
{
	struct ucred	 cred;
	socklen_t	 len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == -1)
		return (-1);
	*pid = cred.pid;
	return (0);
}
