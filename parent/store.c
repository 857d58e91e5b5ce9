/*
 * What must outlive a child: the memfds that hold the rings, and a duplicate
 * of each log pipe's read end while its logger has not drained it.  The parent
 * never looks inside.
 */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logger/ring_layout.h"
#include "log.h"
#include "parent.h"

_Static_assert(CONF_RING_MIN >= RING_BYTES_MIN, "rings of the logger");

#define STORE_PIPES_MAX	(MAX_SERVICES * 16)
#define RING_KINDS	2

struct ring {
	struct wire_ring	 wire;
	uint32_t		 service;
	int			 rw;
	int			 ro;
	int			 sent;
};
static struct ring		*rings[MAX_SERVICES][RING_KINDS];

/* The nth of all places for a ring. */
#define RING_PLACES	(MAX_SERVICES * RING_KINDS)
#define RING_AT(n)	(rings[(n) / RING_KINDS][(n) % RING_KINDS])

struct pipe_end {
	LIST_ENTRY(pipe_end)	 entry;
	struct wire_key		 key;
	int			 fd;
};
static LIST_HEAD(pipes, pipe_end) pipes = LIST_HEAD_INITIALIZER(pipes);
static size_t			 npipes;

static void
ring_free(struct ring *r)
{
	if (r->rw != -1)
		close(r->rw);
	if (r->ro != -1)
		close(r->ro);
	free(r);
}

/*
 * The second descriptor is read-only for good: mode 0400 and no capability
 * keep a searcher from opening it anew for writing.
 */
static int
ring_open(struct ring *r)
{
	char	 path[64];

	if ((r->rw = os_memfd(r->wire.name)) == -1 ||
	    ftruncate(r->rw, (off_t)r->wire.size) == -1 ||
	    fchmod(r->rw, S_IRUSR) == -1 || os_memfd_seal(r->rw) == -1)
		return (-1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->rw);
	r->ro = open(path, O_RDONLY | O_CLOEXEC);
	return (r->ro == -1 ? -1 : 0);
}

static int
ring_new(const struct service *svc, uint32_t kind)
{
	struct ring	*r;

	if ((r = calloc(1, sizeof(*r))) == NULL)
		return (-1);
	r->rw = r->ro = -1;
	r->service = svc->id;
	r->wire.kind = kind;
	r->wire.lines = svc->log_lines;
	r->wire.runs = svc->log_runs;
	r->wire.run_bytes = service_ring_bytes(svc);
	r->wire.size = ring_layout_size(r->wire.lines, r->wire.run_bytes,
	    r->wire.runs);
	r->wire.fresh = 1;
	strlcpy(r->wire.name, svc->name, sizeof(r->wire.name));
	if (ring_open(r) == -1) {
		log_warn("service %s: no memory for its log", svc->name);
		ring_free(r);
		return (-1);
	}
	rings[svc->id][kind] = r;
	return (0);
}

int
store_update(const struct config *conf)
{
	const struct service	*svc;
	uint32_t		 kind;

	if (limits_files(conf) == -1)
		return (-1);
	TAILQ_FOREACH(svc, &conf->services, entry)
		for (kind = 0; kind < RING_KINDS; kind++)
			if (rings[svc->id][kind] == NULL &&
			    ring_new(svc, kind) == -1)
				return (-1);
	return (0);
}

void
store_drop(uint32_t service)
{
	uint32_t	 kind;

	for (kind = 0; kind < RING_KINDS; kind++) {
		if (rings[service][kind] != NULL)
			ring_free(rings[service][kind]);
		rings[service][kind] = NULL;
	}
}

void
store_unsent(void)
{
	size_t	 i;

	for (i = 0; i < RING_PLACES; i++)
		if (RING_AT(i) != NULL)
			RING_AT(i)->sent = 0;
}

void
store_seen(void)
{
	size_t	 i;

	for (i = 0; i < RING_PLACES; i++)
		if (RING_AT(i) != NULL && RING_AT(i)->sent)
			RING_AT(i)->wire.fresh = 0;
}

static int
ring_send_fd(struct link *link, struct ring *r, uint32_t type, int fd)
{
	int	 copy;

	if ((copy = fcntl(fd, F_DUPFD_CLOEXEC, 0)) == -1) {
		log_warn("service %s: log", r->wire.name);
		return (-1);
	}
	return (link_send(link, type, r->service, copy, &r->wire,
	    sizeof(r->wire)));
}

void
store_send(struct link *link)
{
	struct ring	*r;
	size_t		 i;

	for (i = 0; i < RING_PLACES; i++) {
		if ((r = RING_AT(i)) == NULL || r->sent)
			continue;
		if (ring_send_fd(link, r, IMSG_CONF_RING, r->rw) == 0 &&
		    ring_send_fd(link, r, IMSG_CONF_RING_RO, r->ro) == 0)
			r->sent = 1;
	}
}

int
store_resized(const struct service *svc)
{
	const struct ring	*r = rings[svc->id][RING_OUTPUT];

	return (r != NULL && (r->wire.lines != svc->log_lines ||
	    r->wire.runs != svc->log_runs ||
	    r->wire.run_bytes != service_ring_bytes(svc)));
}

static struct pipe_end *
pipe_find(const struct wire_key *key)
{
	struct pipe_end	*p;

	LIST_FOREACH(p, &pipes, entry)
		if (memcmp(&p->key, key, sizeof(*key)) == 0)
			return (p);
	return (NULL);
}

int
store_keep(const struct wire_key *key, int fd)
{
	struct pipe_end	*p;

	if (npipes >= STORE_PIPES_MAX || pipe_find(key) != NULL ||
	    (p = calloc(1, sizeof(*p))) == NULL) {
		close(fd);
		return (-1);
	}
	p->key = *key;
	p->fd = fd;
	LIST_INSERT_HEAD(&pipes, p, entry);
	npipes++;
	return (0);
}

void
store_forget(const struct wire_key *key)
{
	struct pipe_end	*p;

	if ((p = pipe_find(key)) == NULL)
		return;
	LIST_REMOVE(p, entry);
	npipes--;
	close(p->fd);
	free(p);
}
