/*
 * Which services' logs each network connection may read, as the supervisor
 * says.  A connection without a grant reads nothing.
 */
#include <errno.h>
#include <stdlib.h>

#include "logger.h"

static int
grant_cmp(struct grant *a, struct grant *b)
{
	return (a->conn < b->conn ? -1 : a->conn > b->conn);
}

RB_HEAD(grants, grant);
RB_PROTOTYPE(grants, grant, entry, grant_cmp)
RB_GENERATE(grants, grant, entry, grant_cmp)

static struct grants	grants = RB_INITIALIZER(&grants);

struct grant *
grant_find(uint32_t conn)
{
	struct grant key;

	key.conn = conn;
	return (RB_FIND(grants, &grants, &key));
}

int
grant_set(uint32_t conn, const struct wire_grant *wire)
{
	struct grant *g;

	if ((g = grant_find(conn)) == NULL) {
		if ((g = calloc(1, sizeof(*g))) == NULL)
			return (-1);
		g->conn = conn;
		RB_INSERT(grants, &grants, g);
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
	RB_REMOVE(grants, &grants, g);
	free(g);
}

int
grant_sees(const struct grant *g, uint32_t service)
{
	return (service < MAX_SERVICES &&
	    (g->wire.visible[service / 8] & (1U << (service % 8))) != 0);
}
