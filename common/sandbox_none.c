/*
 * A system without a sandbox that keepd knows: it does not run there, unless
 * the configuration says `sandbox best effort`.
 */
#include <sys/types.h>
#include <sys/resource.h>

#include <stddef.h>

#include "log.h"
#include "sandbox.h"

static struct rlimit	saved_core;
static int		saved;

void
sandbox_prepare(enum role role)
{
	(void)role;
	saved = getrlimit(RLIMIT_CORE, &saved_core) == 0;
}

unsigned int
sandbox_enter(enum role role, const struct sandbox_opts *opts)
{
	struct rlimit none = { 0, saved_core.rlim_max };

	if (!opts->best_effort)
		fatalx("sandbox of the %s: there is none on this system; to "
		    "run without, write `sandbox best effort` into the "
		    "configuration", role_names[role]);
	log_warnx("sandbox of the %s: there is none on this system; going on, "
	    "as `sandbox best effort` says", role_names[role]);
	/* Memory of clients and configuration stays out of core files. */
	if (!saved || setrlimit(RLIMIT_CORE, &none) == -1)
		return (0);
	return (SANDBOX_RLIMITS);
}

const char *
sandbox_describe(unsigned int layers, char *buf, size_t size)
{
	static const char limits[] = "rlimits";
	size_t		  i;

	for (i = 0; (layers & SANDBOX_RLIMITS) && i + 1 < size &&
	    limits[i] != '\0'; i++)
		buf[i] = limits[i];
	if (size != 0)
		buf[i] = '\0';
	return (buf);
}

void
sandbox_service(void)
{
	if (saved)
		(void)setrlimit(RLIMIT_CORE, &saved_core);
}
