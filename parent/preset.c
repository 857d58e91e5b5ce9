/*
 * The policies that keepd brings along (U-21, stop times of C-21).  Data only;
 * `policy NAME` applies them like policies of the file.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <string.h>

#include "config.h"
#include "util.h"

static const struct preset {
	const char	*name;
	uint64_t	 initial_ms;
	uint64_t	 max_ms;
	uint64_t	 first_dev_ms;
	uint64_t	 stable_ms;		/* 0: S0-31, never by time */
	uint64_t	 stop_timeout_ms;
	uint32_t	 restart_on;
	uint32_t	 backoff;
	uint32_t	 factor_milli;
	uint32_t	 free_attempts;
	uint32_t	 max_attempts;
	uint32_t	 truncate_seconds;	/* S0-32 */
} presets[] = {
	{ "bpm-release", 1000, 300000, 0, 0, 5000,
	    RESTART_ALWAYS, BACKOFF_EXPONENTIAL, 1500, 0, 0, 1 },
	{ "bpm-dev", 1000, 300000, 120000, 0, 5000,
	    RESTART_ALWAYS, BACKOFF_EXPONENTIAL, 1500, 0, 0, 1 },
	{ "ally", 5000, 300000, 0, 120000, 5000,
	    RESTART_ALWAYS, BACKOFF_LINEAR, 2000, 0, 3, 0 },
	{ "mpm", 2000, 300000, 0, 120000, 10000,
	    RESTART_FAILURE, BACKOFF_EXPONENTIAL, 2000, 1, 5, 0 },
	{ "bgr-guard", 30000, 300000, 0, 120000, 500,
	    RESTART_ALWAYS, BACKOFF_EXPONENTIAL, 2000, 5, 0, 0 },
};

#define PRESET_KEYS	(KEY_BIT(KEY_RESTART) | KEY_BIT(KEY_BACKOFF) |	\
	KEY_BIT(KEY_BACKOFF_INITIAL) | KEY_BIT(KEY_FACTOR) |		\
	KEY_BIT(KEY_BACKOFF_MAX) | KEY_BIT(KEY_FREE) |			\
	KEY_BIT(KEY_ATTEMPTS) | KEY_BIT(KEY_FIRST_DEV) |		\
	KEY_BIT(KEY_TRUNCATE) | KEY_BIT(KEY_STABLE) |			\
	KEY_BIT(KEY_STOP_TIMEOUT))

static void
preset_add(struct config *conf, const struct preset *p)
{
	static const struct pos	 nowhere;
	struct service		*policy;

	policy = service_new(conf, &nowhere, p->name);
	policy->set = PRESET_KEYS;
	policy->restart_on = p->restart_on;
	policy->backoff = p->backoff;
	policy->backoff_initial_ms = p->initial_ms;
	policy->factor_milli = p->factor_milli;
	policy->backoff_max_ms = p->max_ms;
	policy->free_attempts = p->free_attempts;
	policy->max_attempts = p->max_attempts;
	policy->first_dev_ms = p->first_dev_ms;
	policy->truncate_seconds = p->truncate_seconds;
	policy->stable_ms = p->stable_ms;
	policy->stop_timeout_ms = p->stop_timeout_ms;
	TAILQ_INSERT_TAIL(&conf->policies, policy, entry);
}

void
preset_define(struct config *conf)
{
	size_t	 i;

	for (i = 0; i < nitems(presets); i++)
		preset_add(conf, &presets[i]);
}

int
preset_is(const char *name)
{
	size_t	 i;

	for (i = 0; i < nitems(presets); i++)
		if (strcmp(presets[i].name, name) == 0)
			return (1);
	return (0);
}
