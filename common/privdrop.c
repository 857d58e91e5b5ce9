/*
 * Giving up privilege: ids and capabilities, and the check that the kernel did
 * what it was asked.  Not the sandbox: what a role may still call is said in
 * sandbox_*.c.  Capabilities are set by system call, without libcap.
 */
#include <sys/types.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <linux/capability.h>

#include <errno.h>
#include <grp.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "privdrop.h"

/* The one with 64 bits, in two halves. */
#define CAP_VERSION	_LINUX_CAPABILITY_VERSION_3
#define CAP_BIT(c)	(UINT64_C(1) << (c))
/* What spawning and signalling other users' services takes. */
#define SUPERVISOR_CAPS	(CAP_BIT(CAP_SETUID) | CAP_BIT(CAP_SETGID) | \
			 CAP_BIT(CAP_KILL))

struct caps {
	uint64_t	effective;
	uint64_t	permitted;
	uint64_t	inheritable;
};

const char *const role_names[ROLE_COUNT] = {
	[ROLE_PARENT] = "parent",
	[ROLE_SUPERVISOR] = "supervisor",
	[ROLE_LOGGER] = "logger",
	[ROLE_FRONTEND] = "frontend",
	[ROLE_SEARCHER] = "searcher",
	[ROLE_WORKER] = "worker"
};

static int
caps_get(struct caps *c)
{
	struct __user_cap_header_struct hdr = { CAP_VERSION, 0 };
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];

	memset(d, 0, sizeof(d));
	if (syscall(SYS_capget, &hdr, d) == -1)
		return (-1);
	c->effective = (uint64_t)d[1].effective << 32 | d[0].effective;
	c->permitted = (uint64_t)d[1].permitted << 32 | d[0].permitted;
	c->inheritable = (uint64_t)d[1].inheritable << 32 | d[0].inheritable;
	return (0);
}

/* Permitted and effective become this set, inheritable and ambient none. */
static int
caps_set(uint64_t set)
{
	struct __user_cap_header_struct hdr = { CAP_VERSION, 0 };
	struct __user_cap_data_struct d[_LINUX_CAPABILITY_U32S_3];

	memset(d, 0, sizeof(d));
	d[0].permitted = d[0].effective = (uint32_t)set;
	d[1].permitted = d[1].effective = (uint32_t)(set >> 32);
	return (syscall(SYS_capset, &hdr, d) == -1 ? -1 : 0);
}

static int
caps_are(uint64_t set)
{
	struct caps c;

	return (caps_get(&c) == 0 && c.permitted == set &&
	    c.effective == set && c.inheritable == 0);
}

static int
ids_are(uid_t uid, gid_t gid)
{
	uid_t	r, e, s;
	gid_t	rg, eg, sg;

	return (getresuid(&r, &e, &s) == 0 && r == uid && e == uid &&
	    s == uid && getresgid(&rg, &eg, &sg) == 0 && rg == gid &&
	    eg == gid && sg == gid);
}

/*
 * No program this process could ever execute gets a capability either.  Not
 * for the supervisor: its services inherit the bounding set, and sudo(8) in a
 * service would be broken by an empty one.  Only a capable process may shrink
 * it, others have no_new_privs instead.
 */
static void
bounding_drop(void)
{
	int	cap;

	for (cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) != -1; cap++)
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == -1 &&
		    errno != EPERM)
			fatal("privdrop: PR_CAPBSET_DROP %d", cap);
}

/* The only proof that root is out of reach is to reach for it. */
static void
verify_noroot(enum role role, gid_t gid)
{
	if (setuid(0) != -1 || seteuid(0) != -1)
		fatalx("privdrop: %s could become root again",
		    role_names[role]);
	if (gid != 0 && (setgid(0) != -1 || setegid(0) != -1))
		fatalx("privdrop: %s could take group 0 again",
		    role_names[role]);
}

static void
verify(enum role role, uid_t uid, gid_t gid, uint64_t caps)
{
	if (!ids_are(uid, gid))
		fatalx("privdrop: %s does not have uid %u, gid %u alone",
		    role_names[role], (unsigned int)uid, (unsigned int)gid);
	/* Before the try: a capability left over must not pass unseen. */
	if (!caps_are(caps))
		fatalx("privdrop: %s does not have exactly capabilities %llx",
		    role_names[role], (unsigned long long)caps);
	if (caps & CAP_BIT(CAP_SETUID))
		return;
	verify_noroot(role, gid);
	if (!ids_are(uid, gid))
		fatalx("privdrop: ids of %s changed", role_names[role]);
}

static void
verify_groups(enum role role, gid_t gid)
{
	gid_t	g[2];

	if (getgroups(2, g) != 1 || g[0] != gid)
		fatalx("privdrop: %s has groups besides %u", role_names[role],
		    (unsigned int)gid);
}

static void
enter_chroot(const char *dir)
{
	if (dir[0] == '\0')
		return;
	if (chroot(dir) == -1)
		fatal("privdrop: chroot %s", dir);
	if (chdir("/") == -1)
		fatal("privdrop: chdir / in %s", dir);
}

static void
drop_from_root(enum role role, const struct privdrop *pd)
{
	uint64_t	caps;

	caps = role == ROLE_SUPERVISOR ? SUPERVISOR_CAPS : 0;
	if (pd == NULL || pd->uid == 0 || pd->gid == 0)
		fatalx("privdrop: %s was started as root and has no user and "
		    "group to become", role_names[role]);
	enter_chroot(pd->chroot);
	if (setgroups(1, &pd->gid) == -1)
		fatal("privdrop: setgroups");
	if (setresgid(pd->gid, pd->gid, pd->gid) == -1)
		fatal("privdrop: setresgid %u", (unsigned int)pd->gid);
	if (caps == 0)
		bounding_drop();
	/* Leaving uid 0 empties the permitted set unless asked not to. */
	if (caps != 0 && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == -1)
		fatal("privdrop: PR_SET_KEEPCAPS");
	if (setresuid(pd->uid, pd->uid, pd->uid) == -1)
		fatal("privdrop: setresuid %u", (unsigned int)pd->uid);
	if (caps_set(caps) == -1)
		fatal("privdrop: capset");
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == -1)
		fatal("privdrop: PR_SET_KEEPCAPS");
	verify_groups(role, pd->gid);
	verify(role, pd->uid, pd->gid, caps);
}

/* A user namespace of one's own (sandbox_prepare) came with every capability
 * in it: give them up, whether there are any or not. */
static void
drop_as_user(enum role role)
{
	if (role != ROLE_PARENT && role != ROLE_SUPERVISOR)
		bounding_drop();
	if (caps_set(0) == -1)
		fatal("privdrop: capset");
	verify(role, getuid(), getgid(), 0);
}

void
privdrop(enum role role, const struct privdrop *pd)
{
	if (geteuid() != 0)
		drop_as_user(role);
	else if (role != ROLE_PARENT)	/* the one that stays root */
		drop_from_root(role, pd);
}

/*
 * setuid between two ordinary users leaves every capability in place, so they
 * go by hand.  Nothing here allocates or locks.
 */
static int
service_become(uid_t uid, gid_t gid, const gid_t *groups, int ngroups,
    const char **stage)
{
	*stage = "setgroups";
	if (ngroups < 0) {
		errno = EINVAL;
		return (-1);
	}
	if (setgroups((size_t)ngroups, groups) == -1)
		return (-1);
	*stage = "setresgid";
	if (setresgid(gid, gid, gid) == -1)
		return (-1);
	*stage = "setresuid";
	if (setresuid(uid, uid, uid) == -1)
		return (-1);
	*stage = "PR_CAP_AMBIENT_CLEAR_ALL";
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == -1 &&
	    errno != EINVAL)	/* EINVAL: a kernel without ambient sets */
		return (-1);
	*stage = "PR_SET_KEEPCAPS";
	if (prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == -1)
		return (-1);
	*stage = "capset";
	return (caps_set(0));
}

int
privdrop_service(uid_t uid, gid_t gid, const gid_t *groups, int ngroups,
    const char **stage)
{
	struct caps c;

	*stage = "capget";
	if (caps_get(&c) == -1)
		return (-1);
	/* Without privilege and as the right user there is nothing to do. */
	if ((c.permitted != 0 || !ids_are(uid, getgid())) &&
	    service_become(uid, gid, groups, ngroups, stage) == -1)
		return (-1);
	*stage = "verifying the user of the service";
	if (!ids_are(uid, gid) || !caps_are(0)) {
		errno = EPERM;
		return (-1);
	}
	return (0);
}
