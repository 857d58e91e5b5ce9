/*
 * Sessions of the legacy era: minted at initialize, bound to who asked, given
 * up when idle or when there are too many.  They prove nothing: every request
 * is judged by the identity of its connection.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend.h"
#include "util.h"

#define SESSIONS_MAX	1024
#define SESSIONS_WHO	64		/* of one principal */
#define SESSION_IDLE_MS	(3600 * 1000)

RB_HEAD(sessiontree, session);
TAILQ_HEAD(sessionlist, session);

static struct sessiontree	 sessions = RB_INITIALIZER(&sessions);
static struct sessionlist	 lru = TAILQ_HEAD_INITIALIZER(lru);
static int			 nsessions;

static int
session_cmp(const struct session *a, const struct session *b)
{
	return (strcmp(a->id, b->id));
}

RB_PROTOTYPE(sessiontree, session, node, session_cmp)
RB_GENERATE(sessiontree, session, node, session_cmp)

void
session_free(struct session *s)
{
	RB_REMOVE(sessiontree, &sessions, s);
	TAILQ_REMOVE(&lru, s, entry);
	nsessions--;
	free(s);
}

static void
session_make_room(const char *who)
{
	struct session	*s, *oldest = NULL;
	uint64_t	 now = mono_ms();
	int		 n = 0;

	while ((s = TAILQ_FIRST(&lru)) != NULL &&
	    (nsessions >= SESSIONS_MAX || s->used + SESSION_IDLE_MS < now))
		session_free(s);
	TAILQ_FOREACH(s, &lru, entry)
		if (strcmp(s->who, who) == 0) {
			if (oldest == NULL)
				oldest = s;
			n++;
		}
	if (n >= SESSIONS_WHO)
		session_free(oldest);
}

struct session *
session_new(const char *who, const char *version, const char *client)
{
	unsigned char	 rnd[16];
	struct session	*s;
	size_t		 i;

	session_make_room(who);
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return (NULL);
	arc4random_buf(rnd, sizeof(rnd));
	for (i = 0; i < sizeof(rnd); i++)
		(void)snprintf(s->id + 2 * i, 3, "%02x", rnd[i]);
	(void)strlcpy(s->who, who, sizeof(s->who));
	(void)strlcpy(s->client, client, sizeof(s->client));
	s->version = version;
	s->used = mono_ms();
	RB_INSERT(sessiontree, &sessions, s);
	TAILQ_INSERT_TAIL(&lru, s, entry);
	nsessions++;
	return (s);
}

struct session *
session_find(const char *id, const char *who)
{
	struct session	*s, key;
	uint64_t	 now = mono_ms();

	if (strlcpy(key.id, id, sizeof(key.id)) >= sizeof(key.id))
		return (NULL);
	if ((s = RB_FIND(sessiontree, &sessions, &key)) == NULL ||
	    strcmp(s->who, who) != 0)
		return (NULL);
	if (s->used + SESSION_IDLE_MS < now) {
		session_free(s);
		return (NULL);
	}
	s->used = now;
	TAILQ_REMOVE(&lru, s, entry);
	TAILQ_INSERT_TAIL(&lru, s, entry);
	return (s);
}
