/*
 * Which services' logs each network connection may read, as the supervisor
 * says.  A connection without a grant reads nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "logger.h"

#define BUCKETS	256	/* connection ids count up, so they spread evenly */

LIST_HEAD(bucket, grant);

static struct bucket	buckets[BUCKETS];

struct grant *
grant_find(uint32_t conn)
{
	struct grant *g;

	LIST_FOREACH(g, &buckets[conn % BUCKETS], entry)
		if (g->conn == conn)
			return (g);
	return (NULL);
}

int
grant_set(uint32_t conn, const struct wire_grant *wire)
{
	struct grant *g;

	if ((g = grant_find(conn)) == NULL) {
		if ((g = calloc(1, sizeof(*g))) == NULL)
			return (-1);
		g->conn = conn;
		LIST_INSERT_HEAD(&buckets[conn % BUCKETS], g, entry);
	}
	g->wire = *wire;
	return (0);
}

void
grant_drop(uint32_t conn)
{
	struct grant *g;

	if ((g = grant_find(conn)) == NULL)
		return;
	query_drop_grant(g);
	LIST_REMOVE(g, entry);
	free(g);
}

int
grant_sees(const struct grant *g, uint32_t service)
{
	return (service < MAX_SERVICES &&
	    (g->wire.visible[service / 8] & (1U << (service % 8))) != 0);
}
