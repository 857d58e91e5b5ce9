/*
 * sandbox-probe: what can a role still do?  `--all` runs the whole matrix and
 * prints a line for each cell of it; `ROLE CALL` tries one.
 */
#include <sys/types.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "probe.h"
#include "util.h"

const char *const cell_names[CELL_COUNT] = {
	"logger", "frontend", "searcher", "worker", "worker-jit"
};

static const enum role cell_roles[CELL_COUNT] = {
	ROLE_LOGGER, ROLE_FRONTEND, ROLE_SEARCHER, ROLE_WORKER, ROLE_WORKER
};

struct privdrop	probe_user, probe_other;
static int	passed, failed, skipped;

void
probe_result(int ok, const char *fmt, ...)
{
	va_list ap;

	if (ok)
		passed++;
	else
		failed++;
	printf("%s %d - ", ok ? "ok" : "not ok", passed + failed + skipped);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

void
probe_skip(const char *fmt, ...)
{
	va_list ap;

	skipped++;
	printf("skip %d - ", passed + failed + skipped);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

const char *
outcome_text(const struct outcome *o, char *buf, size_t size)
{
	switch (o->how) {
	case HOW_WORKED:
		snprintf(buf, size, "worked");
		break;
	case HOW_ERRNO:
		snprintf(buf, size, "refused (%s)", strerror(o->value));
		break;
	case HOW_SIGNAL:
		snprintf(buf, size, "killed (SIG%s)",
		    sigabbrev_np(o->value));
		break;
	default:
		snprintf(buf, size, "broken (status %d)", o->value);
		break;
	}
	return (buf);
}

static struct outcome
outcome_of(int ret)
{
	struct outcome o = { HOW_WORKED, 0, 0 };

	if (ret == -1) {
		o.how = HOW_ERRNO;
		o.value = errno;
	}
	return (o);
}

/* Waits for the child; its death by signal is what it had to say. */
static void
outcome_wait(pid_t pid, struct outcome *o)
{
	int status;

	while (waitpid(pid, &status, 0) == -1)
		if (errno != EINTR)
			return;
	if (WIFSIGNALED(status)) {
		o->how = HOW_SIGNAL;
		o->value = WTERMSIG(status);
	} else if (WEXITSTATUS(status) != 0) {
		o->how = HOW_BROKEN;
		o->value = WEXITSTATUS(status);
	}
}

static void
say(int fd, const struct outcome *o)
{
	if (write(fd, o, sizeof(*o)) != (ssize_t)sizeof(*o))
		_exit(3);
}

/* The searcher's sandbox comes first: a worker is its forked child. */
static void
worker_run(enum cell cell, const struct probe *p, int fd, struct outcome *o)
{
	struct outcome	end;
	pid_t		pid;

	if ((pid = fork()) == 0) {
		cell_enter(cell, o);
		say(fd, o);
		end = outcome_of(p->run());
		end.layers = o->layers;
		say(fd, &end);
		_exit(0);
	}
	end = *o;
	end.how = HOW_WORKED;
	outcome_wait(pid, &end);
	if (end.how != HOW_WORKED)
		say(fd, &end);
}

void
cell_enter(enum cell cell, struct outcome *o)
{
	struct sandbox_opts opts = { .best_effort = 1 };

	opts.jit = cell == CELL_JIT;
	o->layers = sandbox_enter(cell_roles[cell], &opts);
}

static void
child_run(enum cell cell, const struct probe *p, int fd)
{
	struct outcome	o = { HOW_BROKEN, 0, 0 }, end;
	int		worker = cell == CELL_WORKER || cell == CELL_JIT;

	/* A failing set-up is to be told apart from a failing call. */
	if (p->setup != NULL && p->setup() == -1)
		_exit(2);
	sandbox_prepare(worker ? ROLE_SEARCHER : cell_roles[cell]);
	privdrop(worker ? ROLE_SEARCHER : cell_roles[cell], &probe_user);
	if (worker) {
		cell_enter(CELL_SEARCHER, &o);
		worker_run(cell, p, fd, &o);
		_exit(0);
	}
	cell_enter(cell, &o);
	say(fd, &o);
	end = outcome_of(p->run());
	end.layers = o.layers;
	say(fd, &end);
	_exit(0);
}

struct outcome
probe_run(enum cell cell, const struct probe *p)
{
	struct outcome	o = { HOW_BROKEN, -1, 0 }, got;
	int		fds[2];
	pid_t		pid;

	fflush(NULL);
	if (pipe(fds) == -1 || (pid = fork()) == -1)
		fatal("fork");
	if (pid == 0) {
		close(fds[0]);
		child_run(cell, p, fds[1]);
	}
	close(fds[1]);
	/* First "in the sandbox", then, if it lives, how the call went. */
	while (read(fds[0], &got, sizeof(got)) == (ssize_t)sizeof(got))
		o = got;
	close(fds[0]);
	outcome_wait(pid, &o);
	return (o);
}

struct outcome
probe_bare(int (*run)(void))
{
	struct outcome	o = { HOW_WORKED, 0, 0 };
	pid_t		pid;

	fflush(NULL);
	if ((pid = fork()) == -1)
		fatal("fork");
	if (pid == 0)
		_exit(run());
	outcome_wait(pid, &o);
	return (o);
}

static void
users_find(void)
{
	struct passwd *pw;

	if (geteuid() != 0)
		return;
	if ((pw = getpwnam("nobody")) == NULL)
		fatalx("no user nobody");
	probe_user.uid = pw->pw_uid;
	probe_user.gid = pw->pw_gid;
	if ((pw = getpwnam("daemon")) == NULL)
		fatalx("no user daemon");
	probe_other.uid = pw->pw_uid;
	probe_other.gid = pw->pw_gid;
}

static int
usage(void)
{
	enum cell c;

	fprintf(stderr, "usage: sandbox-probe --all\n"
	    "       sandbox-probe ROLE [CALL]\nroles:");
	for (c = 0; c < CELL_COUNT; c++)
		fprintf(stderr, " %s", cell_names[c]);
	fprintf(stderr, "\n");
	return (2);
}

static void
run_matrix(void)
{
	enum cell c;

	printf("# as %s\n", geteuid() == 0 ? "root, roles drop to nobody" :
	    "an ordinary user");
	for (c = 0; c < CELL_COUNT; c++) {
		needed_run(c, NULL);
		forbidden_run(c, NULL);
	}
	layers_run(NULL);
}

/* Root sees both modes: its own first, then that of a user. */
static int
run_all(void)
{
	run_matrix();
	if (geteuid() != 0)
		return (0);
	if (setgroups(1, &probe_other.gid) == -1 ||
	    setresgid(probe_other.gid, probe_other.gid,
	    probe_other.gid) == -1 || setresuid(probe_other.uid,
	    probe_other.uid, probe_other.uid) == -1 ||
	    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == -1)
		fatal("becoming uid %u", (unsigned int)probe_other.uid);
	run_matrix();
	return (0);
}

static int
run_some(const char *role, const char *call)
{
	enum cell c;

	for (c = 0; c < CELL_COUNT; c++)
		if (strcmp(role, cell_names[c]) == 0)
			break;
	if (c == CELL_COUNT)
		return (strcmp(role, "layers") == 0 ? layers_run(call) : -1);
	return (needed_run(c, call) + forbidden_run(c, call));
}

int
main(int argc, char *argv[])
{
	int n;

	log_init("sandbox-probe", 1);
	signal(SIGPIPE, SIG_IGN);
	users_find();
	if (argc < 2 || argc > 3)
		return (usage());
	if (argc == 2 && strcmp(argv[1], "--all") == 0)
		n = run_all();
	else
		n = run_some(argv[1], argc == 3 ? argv[2] : NULL);
	if (n == -1)
		return (usage());
	if (passed + failed + skipped == 0)
		fatalx("no probe of that name");
	printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped);
	return (failed != 0);
}
