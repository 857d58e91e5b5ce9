/*
 * The floor: the least that the operating system makes anyone pay.  Forks,
 * execs and waits for a program for ever, with no policy at all.
 *	floor PROGRAM [ARGUMENT ...]
 */
#include <sys/prctl.h>
#include <sys/wait.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
	pid_t pid;
	int status;

	if (argc < 2)
		return (2);
	for (;;) {
		if ((pid = fork()) == -1)
			return (1);
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			execv(argv[1], argv + 1);
			_exit(127);
		}
		if (waitpid(pid, &status, 0) == -1)
			return (1);
	}
}
