/*
 * Which Host and Origin headers belong to us.  This is what keeps a web page
 * that was bound to our address (DNS rebinding) from asking anything.
 */
#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "frontend.h"
#include "log.h"

#define HOST_MAX	256	/* bytes of a Host or Origin we look at */

struct name {
	TAILQ_ENTRY(name)	 entry;
	char			 text[];
};
TAILQ_HEAD(names, name);

static struct names	hosts = TAILQ_HEAD_INITIALIZER(hosts);
static struct names	origins = TAILQ_HEAD_INITIALIZER(origins);
static struct names	listens = TAILQ_HEAD_INITIALIZER(listens);
static struct names	ports = TAILQ_HEAD_INITIALIZER(ports);

static const char *const always[] = { "localhost", "127.0.0.1", "[::1]" };

static void
names_add(struct names *names, const char *text, size_t len)
{
	struct name	*n;

	if (len >= HOST_MAX || (n = malloc(sizeof(*n) + len + 1)) == NULL) {
		log_warnx("host or origin is too long: %zu bytes", len);
		return;
	}
	memcpy(n->text, text, len);
	n->text[len] = '\0';
	TAILQ_INSERT_TAIL(names, n, entry);
}

static void
names_clear(struct names *names)
{
	struct name	*n;

	while ((n = TAILQ_FIRST(names)) != NULL) {
		TAILQ_REMOVE(names, n, entry);
		free(n);
	}
}

static int
names_have(const struct names *names, const char *text)
{
	const struct name	*n;

	TAILQ_FOREACH(n, names, entry)
		if (strcasecmp(n->text, text) == 0)
			return (1);
	return (0);
}

void
hosts_clear(void)
{
	names_clear(&hosts);
	names_clear(&origins);
}

void
hosts_add(const char *text, size_t len)
{
	names_add(&hosts, text, len);
}

void
origins_add(const char *text, size_t len)
{
	names_add(&origins, text, len);
}

void
hosts_listen(const struct wire_listen *l)
{
	char	buf[HOST_MAX];

	if (l->kind == LISTEN_UNIX)
		return;
	(void)snprintf(buf, sizeof(buf), l->kind == LISTEN_INET6 ? "[%s]" :
	    "%s", l->address);
	if (!names_have(&listens, buf))
		names_add(&listens, buf, strlen(buf));
	(void)snprintf(buf, sizeof(buf), "%u", l->port);
	if (!names_have(&ports, buf))
		names_add(&ports, buf, strlen(buf));
}

static int
name_ok(const char *name)
{
	size_t	 i;

	for (i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		if (strcasecmp(always[i], name) == 0)
			return (1);
	return (names_have(&listens, name) || names_have(&hosts, name));
}

/* Ends the name at its port and returns that, or NULL when there is none. */
static char *
port_split(char *name)
{
	char	*p;

	if (*name == '[') {
		if ((p = strchr(name, ']')) == NULL)
			return (NULL);
		p++;
	} else
		p = name + strcspn(name, ":");
	if (*p != ':')
		return (NULL);
	*p = '\0';
	return (p + 1);
}

static int
authority_ok(const char *text, int need_port)
{
	char	 buf[HOST_MAX], *port;

	if (strlcpy(buf, text, sizeof(buf)) >= sizeof(buf))
		return (0);
	port = port_split(buf);
	if (port == NULL ? need_port : !names_have(&ports, port))
		return (0);
	return (name_ok(buf));
}

int
host_ok(const char *host)
{
	return (names_have(&hosts, host) || authority_ok(host, 0));
}

int
origin_ok(const char *origin)
{
	static const char	http[] = "http://";
	size_t			 len = sizeof(http) - 1;

	if (names_have(&origins, origin))
		return (1);
	/* A page without a port comes from port 80. */
	return (strncmp(origin, http, len) == 0 &&
	    authority_ok(origin + len, !names_have(&ports, "80")));
}
