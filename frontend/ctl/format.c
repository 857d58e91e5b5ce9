/*
 * Times, durations, exits and commands in words for people.
 */
#include <err.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"
#include "util.h"

#define MS_PER_SEC	1000ULL
#define MS_PER_MIN	(60 * MS_PER_SEC)
#define MS_PER_HOUR	(60 * MS_PER_MIN)
#define MS_PER_DAY	(24 * MS_PER_HOUR)

/* Two neighbouring units say enough: "3d 4h", "1h 20m", "12m 5s", "45s". */
static const struct unit {
	uint64_t	 ms;
	const char	*name;
} units[] = {
	{ MS_PER_DAY, "d" }, { MS_PER_HOUR, "h" }, { MS_PER_MIN, "m" },
	{ MS_PER_SEC, "s" }
};

char *
duration_text(uint64_t ms, char *buf, size_t size)
{
	uint64_t	 rest;
	size_t		 i;

	for (i = 0; i < nitems(units) && ms < units[i].ms; i++)
		continue;
	if (i == nitems(units)) {
		snprintf(buf, size, "%llums", (unsigned long long)ms);
		return (buf);
	}
	rest = i + 1 < nitems(units) ? ms % units[i].ms / units[i + 1].ms : 0;
	if (rest == 0)
		snprintf(buf, size, "%llu%s",
		    (unsigned long long)(ms / units[i].ms), units[i].name);
	else
		snprintf(buf, size, "%llu%s %llu%s",
		    (unsigned long long)(ms / units[i].ms), units[i].name,
		    (unsigned long long)rest, units[i + 1].name);
	return (buf);
}

char *
local_time(uint64_t ms, char *buf, size_t size)
{
	time_t		 t = ms / MS_PER_SEC;
	struct tm	 tm;

	if (localtime_r(&t, &tm) == NULL ||
	    strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(buf, size, "%llu ms", (unsigned long long)ms);
	return (buf);
}

const char *
signal_text(uint32_t sig)
{
	static char	 buf[24];
	const char	*abbrev = sigabbrev_np(sig);

	if (abbrev != NULL)
		snprintf(buf, sizeof(buf), "SIG%s", abbrev);
	else
		snprintf(buf, sizeof(buf), "signal %u", sig);
	return (buf);
}

char *
exit_text(uint32_t reason, int32_t code, uint32_t sig, char *buf, size_t size)
{
	static const char *const words[EXIT_COUNT] = {
		[EXIT_REQUESTED] = "stopped",
		[EXIT_START_FAILED] = "start failed",
		[EXIT_STOP_TIMEOUT] = "survived stop",
		[EXIT_BUILD_FAILED] = "build failed",
	};

	if (reason < EXIT_COUNT && words[reason] != NULL)
		strlcpy(buf, words[reason], size);
	else if (sig != 0)
		strlcpy(buf, signal_text(sig), size);
	else
		snprintf(buf, size, "code %d", code);
	return (buf);
}

char *
flatten_words(const char *words, size_t len, const char *none)
{
	char	**argv, *text, *clean;
	size_t	  n = 0, off, size;

	if (len == 0)
		return (clean_text(none));
	if ((argv = calloc(len + 1, sizeof(*argv))) == NULL)
		err(CTL_FAILED, NULL);
	for (off = 0; off < len; off += strlen(words + off) + 1)
		argv[n++] = (char *)(uintptr_t)(words + off);
	size = argv_display(NULL, 0, argv) + 1;
	if ((text = malloc(size)) == NULL)
		err(CTL_FAILED, NULL);
	argv_display(text, size, argv);
	clean = clean_text(text);
	free(text);
	free(argv);
	return (clean);
}
