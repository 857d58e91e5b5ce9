/*
 * What runs between fork and exec.  Only calls that are safe there, with one
 * exception: Cargo.toml is read, bounded, by a process that has no other
 * thread, as the service's own user.
 */
#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "privdrop.h"
#include "proto.h"
#include "sandbox.h"
#include "toml.h"

#include "child.h"

#define REPORT_FD	3
#define UMASK_KEEP	0xffffffffU
#define EXIT_NO_EXEC	127

/* The supervisor's own; everything else is default since its start. */
static const int child_signals[] = { SIGPIPE, SIGCHLD, SIGINT, SIGTERM,
	SIGHUP, SIGUSR1, SIGUSR2 };

static int	report_fd = -1;

static void __attribute__((noreturn))
child_fail(enum child_stage stage, int error, const char *detail)
{
	struct child_report	 r;

	memset(&r, 0, sizeof(r));
	r.stage = stage;
	r.error = error;
	strlcpy(r.detail, detail, sizeof(r.detail));
	/* The pipe is ours alone and empty: this fits or nobody reads it. */
	if (write(report_fd, &r, sizeof(r)) == -1)
		_exit(EXIT_NO_EXEC - 1);
	_exit(EXIT_NO_EXEC);
}

static void
child_set_signals(void)
{
	struct sigaction sa;
	sigset_t	 none;
	size_t		 i;

	memset(&sa, 0, sizeof(sa));
	sa.sa_handler = SIG_DFL;
	for (i = 0; i < sizeof(child_signals) / sizeof(child_signals[0]); i++)
		sigaction(child_signals[i], &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* 0 is /dev/null already; 1, 2 the log pipes; REPORT_FD goes at exec. */
static void
child_set_descriptors(const struct launch *l)
{
	int	 out = l->out, err = l->err;

	/* Out of the way of 1..3 first, whatever numbers the pipes got. */
	if ((report_fd = fcntl(l->report, F_DUPFD_CLOEXEC, REPORT_FD + 1)) ==
	    -1)
		_exit(EXIT_NO_EXEC);
	if ((out = fcntl(out, F_DUPFD_CLOEXEC, REPORT_FD + 1)) == -1 ||
	    (err = fcntl(err, F_DUPFD_CLOEXEC, REPORT_FD + 1)) == -1 ||
	    dup2(out, STDOUT_FILENO) == -1 || dup2(err, STDERR_FILENO) == -1)
		child_fail(STAGE_SETUP, errno, "dup2");
	if (dup3(report_fd, REPORT_FD, O_CLOEXEC) == -1)
		child_fail(STAGE_SETUP, errno, "dup3");
	report_fd = REPORT_FD;
	closefrom(REPORT_FD + 1);
}

static void
child_set_user(const struct launch *l)
{
	const char	*stage = "user";

	sandbox_service();
	tree_mark(l->mark);
	if (l->umask != UMASK_KEEP)
		umask(l->umask);
	if (privdrop_service(l->uid, l->gid, l->groups, l->ngroups, &stage) ==
	    -1)
		child_fail(STAGE_USER, errno, stage);
	if (chdir(l->directory) == -1)
		child_fail(STAGE_DIRECTORY, errno, l->directory);
}

static char *
cargo_read(size_t *len)
{
	char	*text;
	ssize_t	 n;
	int	 fd;

	if ((fd = open("Cargo.toml", O_RDONLY | O_CLOEXEC | O_NONBLOCK)) == -1)
		child_fail(STAGE_CARGO, errno, "Cargo.toml");
	if ((text = malloc(TOML_MAX_SIZE)) == NULL)
		child_fail(STAGE_CARGO, errno, "Cargo.toml");
	*len = 0;
	while (*len < TOML_MAX_SIZE &&
	    (n = read(fd, text + *len, TOML_MAX_SIZE - *len)) > 0)
		*len += n;
	close(fd);
	return (text);
}

/* target/<debug|release>/<package name> (S0-24). */
static void
cargo_binary(const struct launch *l, char *path, size_t size)
{
	const struct toml_value	*package, *name;
	struct toml_value	*root;
	struct toml_error	 error;
	const char		*s = NULL;
	char			*text, detail[256];
	size_t			 len, namelen = 0;

	text = cargo_read(&len);
	if ((root = toml_parse(text, len, &error)) == NULL) {
		snprintf(detail, sizeof(detail), "Cargo.toml:%d:%d: %s",
		    error.line, error.column, error.text);
		child_fail(STAGE_CARGO, 0, detail);
	}
	if ((package = toml_get(root, "package")) != NULL &&
	    (name = toml_get(package, "name")) != NULL)
		s = toml_string(name, &namelen);
	if (s == NULL || namelen == 0 || strlen(s) != namelen ||
	    strchr(s, '/') != NULL)
		child_fail(STAGE_CARGO, 0,
		    "Cargo.toml has no usable package name");
	if ((size_t)snprintf(path, size, "target/%s/%s",
	    l->mode == MODE_DEV ? "debug" : "release", s) >= size)
		child_fail(STAGE_CARGO, ENAMETOOLONG, "Cargo.toml");
	/* text and root stay: exec or exit is a moment away. */
}

static int
child_wants_direnv(const struct launch *l)
{
	if (l->direnv == TRI_YES)
		return (1);
	return (l->direnv == TRI_AUTO && access(".envrc", F_OK) == 0);
}

static void
child_wrap_direnv(struct launch *l)
{
	static char	 direnv[] = "direnv", verb[] = "exec", dir[] = ".";

	*--l->argv = dir;
	*--l->argv = verb;
	*--l->argv = direnv;
}

/*
 * Look the word up as the service's own PATH says, not as ours.  Unlike
 * execvp(3) never by a shell: a script says itself what runs it.
 */
static int
child_exec_path(struct launch *l)
{
	static char	 file[PATH_SIZE];
	const char	*p, *end;
	size_t		 len;
	int		 error, denied = 0;

	for (p = l->path; ; p = end + 1) {
		end = strchrnul(p, ':');
		len = end - p;
		if (len + strlen(l->argv[0]) + 2 <= sizeof(file)) {
			memcpy(file, p, len);
			if (len > 0)
				file[len++] = '/';
			strlcpy(file + len, l->argv[0], sizeof(file) - len);
			execve(file, l->argv, l->env);
			error = errno;
			if (error == EACCES)	/* or only the directory is */
				denied |= access(file, F_OK) == 0;
			else if (error != ENOENT && error != ENOTDIR)
				return (error);
		}
		if (*end == '\0')
			return (denied ? EACCES : ENOENT);
	}
}

static void __attribute__((noreturn))
child_exec(struct launch *l)
{
	int	 error;

	if (child_wants_direnv(l))
		child_wrap_direnv(l);
	if (strchr(l->argv[0], '/') == NULL)
		error = child_exec_path(l);
	else {
		execve(l->argv[0], l->argv, l->env);
		error = errno;
	}
	child_fail(STAGE_EXEC, error, l->argv[0]);
}

/* Did the build make what it should have (S0-24)?  The answer is a report. */
static void __attribute__((noreturn))
child_check(const struct launch *l, const char *binary)
{
	struct stat	 sb;

	if (l->rust_binary && access(binary, X_OK) == -1)
		child_fail(STAGE_ARTIFACT, errno, binary);
	if (l->artifact != NULL && stat(l->artifact, &sb) == -1)
		child_fail(STAGE_ARTIFACT, errno, l->artifact);
	child_fail(STAGE_OK, 0, binary);
}

void
child_main(struct launch *l)
{
	static char	 binary[PATH_SIZE];

	report_fd = l->report;
	setsid();
	child_set_descriptors(l);
	child_set_signals();
	child_set_user(l);
	if (l->rust_binary && l->kind != CHILD_BUILD) {
		cargo_binary(l, binary, sizeof(binary));
		l->argv[0] = binary;
	}
	if (l->kind == CHILD_CHECK)
		child_check(l, binary);
	child_exec(l);
}

static const char *
explain_errno(int error, const char *missing)
{
	if (error == ENOENT || error == ENOTDIR)
		return (missing);
	if (error == EACCES || error == EPERM)
		return ("Permission denied");
	return (strerror(error));
}

void
child_explain(const struct child_report *r, const struct launch *l,
    const char *name, char *buf, size_t size)
{
	const char	*what = l->kind == CHILD_RUN ? "start" : "build";

	switch (r->stage) {
	case STAGE_EXEC:
		snprintf(buf, size, "cannot %s %s: %s: %s", what, name,
		    explain_errno(r->error, "Command not found"), r->detail);
		break;
	case STAGE_DIRECTORY:
		snprintf(buf, size, "cannot %s %s: directory %s %s", what,
		    name, r->detail, explain_errno(r->error,
		    "does not exist"));
		break;
	case STAGE_ARTIFACT:
		snprintf(buf, size, "%s %s after it", r->detail,
		    explain_errno(r->error, "does not exist"));
		break;
	case STAGE_USER:
		snprintf(buf, size, "cannot %s %s as its user: %s: %s", what,
		    name, r->detail, strerror(r->error));
		break;
	case STAGE_CARGO:
		snprintf(buf, size, "cannot %s %s: %s%s%s", what, name,
		    r->detail, r->error == 0 ? "" : " ", r->error == 0 ? "" :
		    explain_errno(r->error, "does not exist"));
		break;
	default:
		snprintf(buf, size, "cannot %s %s: %s: %s", what, name,
		    r->detail, strerror(r->error));
		break;
	}
}
