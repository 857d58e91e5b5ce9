/*
 * What keepd says at its first start in a terminal: where it is and what to
 * try.  A mark in the state directory keeps it from saying so again.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "parent.h"

#define GREETED	"greeted"

/* 1: this is the first time (the mark is there from now on). */
static int
greet_first(void)
{
	char	 path[PATH_SIZE + sizeof(GREETED)];
	int	 fd;

	snprintf(path, sizeof(path), "%s/%s", parent.conf->state_dir, GREETED);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	    0600);
	if (fd == -1)
		return (0);
	close(fd);
	return (1);
}

static const struct endpoint *
greet_endpoint(void)
{
	const struct endpoint	*ep;

	TAILQ_FOREACH(ep, &parent.conf->listen, entry)
		if (ep->kind != LISTEN_UNIX)
			return (ep);
	return (NULL);
}

void
greet(void)
{
	const struct endpoint	*ep = greet_endpoint();
	const char		*l, *r;

	if (!parent.foreground || !isatty(STDERR_FILENO) || !greet_first())
		return;
	if (ep != NULL) {
		l = ep->kind == LISTEN_INET6 ? "[" : "";
		r = ep->kind == LISTEN_INET6 ? "]" : "";
		fprintf(stderr,
		    "\nAgents reach keepd at http://%s%s%s:%u/mcp; "
		    "in .mcp.json:\n\n"
		    "  { \"mcpServers\": { \"keepd\": { \"type\": \"http\",\n"
		    "      \"url\": \"http://%s%s%s:%u/mcp\" } } }\n",
		    l, ep->address, r, ep->port, l, ep->address, r, ep->port);
	}
	fprintf(stderr,
	    "\nTry in another terminal:\n\n"
	    "  keepctl status            what runs, and how it is\n"
	    "  keepctl logs -f NAME      what it says\n"
	    "  keepctl restart NAME      stop it and start it again\n\n");
}
