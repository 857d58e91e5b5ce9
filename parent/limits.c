/*
 * Descriptors: the parent holds some for each service, so its soft limit goes
 * up before the first of them is made.  What the limit was is remembered by
 * sandbox_prepare(), and services get that one.
 */
#include <sys/types.h>
#include <sys/resource.h>

#include "log.h"
#include "parent.h"

#define FILES_BASE	64	/* endpoints, links, the event loop */
/*
 * Two rings, each with one descriptor to write and one to read, and their
 * copies on the way to the logger; later, in the place of those, log pipes.
 */
#define FILES_SERVICE	8
#define FILES_FOR(n)	(FILES_BASE + (rlim_t)(n) * FILES_SERVICE)

int
limits_files(const struct config *conf)
{
	rlim_t		 need = FILES_FOR(conf->nservices);
	rlim_t		 want = FILES_FOR(MAX_SERVICES);
	struct rlimit	 rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == -1) {
		log_warn("limit of open files");
		return (-1);
	}
	if (rl.rlim_max < need) {
		log_warnx("%u services need %llu open files, and the hard "
		    "limit is %llu: raise it (ulimit -Hn, or LimitNOFILE= in "
		    "the systemd unit) or configure fewer services",
		    conf->nservices, (unsigned long long)need,
		    (unsigned long long)rl.rlim_max);
		return (-1);
	}
	if (rl.rlim_cur >= want)
		return (0);
	rl.rlim_cur = rl.rlim_max < want ? rl.rlim_max : want;
	if (setrlimit(RLIMIT_NOFILE, &rl) == -1) {
		log_warn("raising the limit of open files");
		return (-1);
	}
	return (0);
}
