/*
 * Giving up privilege for good, and the check that it worked.
 */
#ifndef KEEPD_PRIVDROP_H
#define KEEPD_PRIVDROP_H

#include <sys/types.h>

enum role { ROLE_PARENT, ROLE_SUPERVISOR, ROLE_LOGGER, ROLE_FRONTEND,
	ROLE_SEARCHER, ROLE_WORKER, ROLE_COUNT };

extern const char *const role_names[ROLE_COUNT];

struct privdrop {
	uid_t	 uid;
	gid_t	 gid;
	char	 chroot[256];	/* "" for none */
};

/*
 * Started as root: chroot, groups, gids, uids of the role, capabilities: none,
 * or for the supervisor CAP_SETUID, CAP_SETGID, CAP_KILL (permitted and
 * effective; not inheritable, not ambient).  Then verify: ids read back, root
 * cannot be regained, capget shows exactly the set.  Not root: verifies that
 * real, effective and saved ids are one and no capability is held.
 * fatal on any difference.
 */
void	privdrop(enum role, const struct privdrop *);
/* In a forked child of the supervisor, before exec, async-signal-safe: become
 * the service's user with these groups and no capability at all; 0, or -1 and
 * errno with *stage naming the call that failed. */
int	privdrop_service(uid_t, gid_t, const gid_t *, int ngroups,
	    const char **stage);

#endif
