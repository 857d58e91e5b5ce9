/*
 * What concerns keepd itself: mode, reload, shutdown, version; and completion.
 */
#include <sys/stat.h>

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "util.h"

#define GONE_STEP_MS	10	/* between two looks at the socket */

static void	socket_wait(struct client *, uint64_t);
static int	socket_gone(const char *);

int
verb_mode(const struct options *o)
{
	struct client	*c;
	struct wire_u32	 mode = { MODE_DEV };
	int		 status = CTL_OK;

	if (o->argc == 1 && strcmp(o->argv[0], "release") == 0)
		mode.value = MODE_RELEASE;
	else if (o->argc == 1 && strcmp(o->argv[0], "dev") != 0)
		errx(CTL_USAGE, "there is no mode %s: dev or release",
		    o->argv[0]);
	c = client_open(o);
	if (o->argc == 1) {
		client_send(c, IMSG_CTL_MODE, 0, &mode, sizeof(mode), NULL, 0);
		status = result_finish(o, c, "done");
	} else if (given(o, OPT_JSON))
		json_line(json_pack("{s:s}", "mode",
		    proto_mode_name(client_welcome(c)->mode)));
	else
		puts(proto_mode_name(client_welcome(c)->mode));
	client_close(c);
	return (status);
}

int
verb_reload(const struct options *o)
{
	struct client	*c;
	int		 status;

	if (given(o, OPT_PLAN))
		errx(CTL_USAGE, "reload -n is not available in this version");
	c = client_open(o);
	client_send(c, IMSG_CTL_RELOAD, 0, NULL, 0, NULL, 0);
	/* What is wrong then is not our command line. */
	if ((status = result_finish(o, c, "the configuration is in force")) ==
	    CTL_USAGE)
		status = CTL_FAILED;
	client_close(c);
	return (status);
}

int
verb_shutdown(const struct options *o)
{
	struct client	*c = client_open(o);
	int		 status;

	client_send(c, IMSG_CTL_SHUTDOWN, 0, NULL, 0, NULL, 0);
	status = result_finish(o, c, "keepd is stopping");
	if (status == CTL_OK && !given(o, OPT_NOWAIT))
		socket_wait(c, given(o, OPT_TIMEOUT) ?
		    o->number[OPT_TIMEOUT] : 0);
	client_close(c);
	return (status);
}

int
verb_version(const struct options *o)
{
	const struct wire_welcome	*w;
	struct client			*c;
	char				 when[RFC3339_SIZE];

	if (!given(o, OPT_JSON)) {
		printf("keepctl  %s\n", KEEPD_VERSION);
		fflush(stdout);
	}
	c = client_open(o);
	w = client_welcome(c);
	if (given(o, OPT_JSON))
		json_line(json_pack("{s:s,s:s,s:i,s:I,s:s,s:b,s:s,s:s?,s:s}",
		    "keepctl", KEEPD_VERSION, "keepd", w->version,
		    "protocol", (int)w->proto, "pid", (json_int_t)w->pid,
		    "mode", proto_mode_name(w->mode),
		    "system_mode", w->system_mode != 0,
		    "started", rfc3339(w->started_ms, when, sizeof(when)),
		    "config", *w->config != '\0' ? w->config : NULL,
		    "socket", client_path(c)));
	else {
		printf("keepd    %s, pid %u, %s mode, started %s%s\n",
		    w->version, w->pid, proto_mode_name(w->mode),
		    local_time(w->started_ms, when, sizeof(when)),
		    w->system_mode ? " as root" : "");
		if (*w->config != '\0')
			printf("config   %s\n", w->config);
		printf("socket   %s\n", client_path(c));
	}
	client_close(c);
	return (CTL_OK);
}

int
verb_completion(const struct options *o)
{
	const char	*script = completion_script(o->argv[0]);

	if (script != NULL) {
		fputs(script, stdout);
		return (CTL_OK);
	}
	errx(CTL_USAGE, "no completion for %s: bash, zsh or fish",
	    o->argv[0]);
}

/* keepd has gone when its socket has; the connection ends a moment before. */
static void
socket_wait(struct client *c, uint64_t timeout)
{
	struct imsg	 imsg;
	uint64_t	 began = mono_ms();
	int		 n;

	do {
		n = client_next(c, &imsg, GONE_STEP_MS);
		if (n == 1)
			imsg_free(&imsg);
		if (timeout != 0 && mono_ms() - began > timeout)
			errx(CTL_TIMED_OUT, "keepd is still stopping: see "
			    "keepctl status");
	} while (n != -1);
	while (!socket_gone(client_path(c))) {
		poll(NULL, 0, GONE_STEP_MS);
		if (timeout != 0 && mono_ms() - began > timeout)
			errx(CTL_TIMED_OUT, "keepd is still stopping: see its "
			    "log");
	}
}

static int
socket_gone(const char *path)
{
	struct stat	 st;

	return (stat(path, &st) == -1 && errno == ENOENT);
}
