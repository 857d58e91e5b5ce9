/*
 * The sandbox on OpenBSD: pledge(2) and unveil(2).  Neither is inherited over
 * exec here (no execpromises), so parent and supervisor are in one as well,
 * and services are not.
 */
#include <sys/types.h>
#include <sys/resource.h>

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "sandbox.h"
#include "util.h"

static const struct {
	const char	*promises;
	int		 paths;		/* may still open some */
} roles[ROLE_COUNT] = {
	[ROLE_PARENT] = { "stdio rpath wpath cpath fattr flock inet unix "
	    "getpw proc exec id sendfd recvfd", 1 },
	[ROLE_SUPERVISOR] = { "stdio rpath unix ps proc exec id sendfd "
	    "recvfd", 1 },
	[ROLE_LOGGER] = { "stdio sendfd recvfd", 0 },
	[ROLE_FRONTEND] = { "stdio inet unix recvfd", 0 },
	/* A promise cannot come back: the workers' JIT needs it from here. */
	[ROLE_SEARCHER] = { "stdio proc recvfd prot_exec", 0 },
	[ROLE_WORKER] = { "stdio", 0 }
};

static const struct {
	unsigned int	 layer;
	const char	*name;
} layer_names[] = {
	{ SANDBOX_PLEDGE,	"pledge" },
	{ SANDBOX_RLIMITS,	"rlimits" }
};

static int		saved;		/* the two below are filled in */
static struct rlimit	saved_core;
static struct rlimit	saved_files;

void
sandbox_prepare(enum role role)
{
	(void)role;
	saved = getrlimit(RLIMIT_CORE, &saved_core) == 0 &&
	    getrlimit(RLIMIT_NOFILE, &saved_files) == 0;
}

static int
limits_enter(enum role role)
{
	struct rlimit core = { 0, 0 }, files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1)
		return (-1);
	files.rlim_cur = files.rlim_max;
	if (role == ROLE_PARENT || role == ROLE_SUPERVISOR)
		core.rlim_max = saved_core.rlim_max;
	if (setrlimit(RLIMIT_CORE, &core) == -1)
		return (-1);
	return (setrlimit(RLIMIT_NOFILE, &files));
}

unsigned int
sandbox_enter(enum role role, const struct sandbox_opts *opts)
{
	const char	*promises = roles[role].promises;
	unsigned int	 on = 0;

	if (role == ROLE_WORKER && opts->jit)
		promises = "stdio prot_exec";
	if (limits_enter(role) == 0)
		on |= SANDBOX_RLIMITS;
	/* A worker was born below its searcher's unveil and has no promise to
	 * call it again. */
	if (!roles[role].paths && role != ROLE_WORKER &&
	    (unveil("/", "") == -1 || unveil(NULL, NULL) == -1))
		fatal("sandbox of the %s: unveil", role_names[role]);
	if (pledge(promises, NULL) == -1)
		fatal("sandbox of the %s: pledge \"%s\"", role_names[role],
		    promises);
	return (on | SANDBOX_PLEDGE);
}

const char *
sandbox_describe(unsigned int layers, char *buf, size_t size)
{
	size_t	i;

	if (size != 0)
		buf[0] = '\0';
	for (i = 0; i < nitems(layer_names); i++) {
		if ((layers & layer_names[i].layer) == 0)
			continue;
		if (buf[0] != '\0')
			(void)strlcat(buf, " ", size);
		(void)strlcat(buf, layer_names[i].name, size);
	}
	return (buf);
}

/* pledge and unveil end at exec by themselves. */
void
sandbox_service(void)
{
	if (!saved)
		return;
	(void)setrlimit(RLIMIT_CORE, &saved_core);
	(void)setrlimit(RLIMIT_NOFILE, &saved_files);
}
