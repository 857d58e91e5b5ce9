/*
 * What somebody may do: the least of what its identity gives and of the
 * service's ceiling.  Identities come from the kernel, never from a message's
 * text.  Names for display are looked up when the configuration is taken
 * over, and never later.
 */
#include <sys/types.h>

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#include "supervisor.h"

struct user {
	uint32_t	 uid;
	int		 admin;		/* member of an admin group */
	char		 name[NAME_SIZE];
	char		 home[PATH_SIZE];
};

static struct user	*users;
static size_t		 nusers;

/* --- names ---------------------------------------------------------------- */
static struct user *
user_find(uint32_t uid)
{
	size_t	 i;

	for (i = 0; i < nusers; i++)
		if (users[i].uid == uid)
			return (&users[i]);
	return (NULL);
}

static struct user *
user_add(const struct passwd *pw)
{
	struct user	*u;

	if ((u = user_find(pw->pw_uid)) != NULL)
		return (u);
	if ((u = reallocarray(users, nusers + 1, sizeof(*u))) == NULL)
		return (NULL);
	users = u;
	u = &users[nusers++];
	memset(u, 0, sizeof(*u));
	u->uid = pw->pw_uid;
	strlcpy(u->name, pw->pw_name, sizeof(u->name));
	strlcpy(u->home, pw->pw_dir, sizeof(u->home));
	return (u);
}

static void
user_learn(uint32_t uid)
{
	struct passwd	*pw;

	if (user_find(uid) == NULL && (pw = getpwuid(uid)) != NULL)
		user_add(pw);
}

/* TCP tells a uid only, so who is in an admin group is asked beforehand. */
static void
group_learn(gid_t gid)
{
	struct group	*gr;
	struct passwd	*pw;
	struct user	*u;
	char		**m;

	if ((gr = getgrgid(gid)) == NULL)
		return;
	for (m = gr->gr_mem; *m != NULL; m++)
		if ((pw = getpwnam(*m)) != NULL && (u = user_add(pw)) != NULL)
			u->admin = 1;
}

/* Of those that the configuration mentions; forgets what was before. */
void
auth_names(void)
{
	struct service	*s;
	size_t		 i;

	nusers = 0;
	user_learn(0);
	user_learn(sup.global.uid);
	user_learn(geteuid());
	SERVICE_FOREACH(s)
		user_learn(s->conf->w.uid);
	for (i = 0; i < sup.nadmins; i++)
		if (sup.admins[i].is_gid)
			group_learn(sup.admins[i].id);
		else
			user_learn(sup.admins[i].id);
}

const char *
auth_home(uint32_t uid)
{
	const struct user	*u;

	user_learn(uid);
	return ((u = user_find(uid)) == NULL ? NULL : u->home);
}

static void
auth_describe(struct identity *id)
{
	const struct user	*u = user_find(id->uid);

	if (u == NULL)
		snprintf(id->who, sizeof(id->who), "uid %u", id->uid);
	else
		snprintf(id->who, sizeof(id->who), "uid %u (%s)", id->uid,
		    u->name);
}

/* --- roles ---------------------------------------------------------------- */
static int
is_admin_group(gid_t gid)
{
	size_t	 i;

	for (i = 0; i < sup.nadmins; i++)
		if (sup.admins[i].is_gid && sup.admins[i].id == gid)
			return (1);
	return (0);
}

static int
is_admin(uint32_t uid, const gid_t *groups, size_t ngroups)
{
	const struct user	*u;
	size_t			 i;

	if (uid == 0)
		return (1);
	for (i = 0; i < sup.nadmins; i++)
		if (!sup.admins[i].is_gid && sup.admins[i].id == uid)
			return (1);
	for (i = 0; i < ngroups; i++)
		if (is_admin_group(groups[i]))
			return (1);
	/* The kernel's list of groups is the truth where there is one. */
	return (ngroups == 0 && (u = user_find(uid)) != NULL && u->admin);
}

static uint32_t
auth_base_role(uint32_t uid, const gid_t *groups, size_t ngroups)
{
	if (!sup.global.system_mode)
		return (uid == 0 || uid == sup.global.uid ? ROLE_MANAGE :
		    ROLE_NONE);
	return (is_admin(uid, groups, ngroups) ? ROLE_MANAGE : ROLE_OPERATE);
}

/* The role of this identity for this service. */
uint32_t
auth_role(const struct identity *id, const struct service *s)
{
	uint32_t	 role = id->role;

	/* Below an admin one sees what runs as oneself. */
	if (role != ROLE_MANAGE && s->conf->w.uid != id->uid)
		return (ROLE_NONE);
	if (id->network && s->conf->w.ceiling < role)
		role = s->conf->w.ceiling;
	return (role);
}

int
auth_visible(const struct identity *id, const struct service *s)
{
	return (!s->removed && auth_role(id, s) != ROLE_NONE);
}

void
auth_see(struct identity *id)
{
	struct service	*s;

	memset(id->visible, 0, sizeof(id->visible));
	SERVICE_FOREACH(s)
		if (auth_visible(id, s))
			id->visible[s->id / 8] |= 1U << (s->id % 8);
}

void
auth_identify(struct identity *id, uint32_t uid, const gid_t *groups,
    size_t ngroups, int network)
{
	memset(id, 0, sizeof(*id));
	id->uid = uid;
	id->network = network;
	id->role = auth_base_role(uid, groups, ngroups);
	auth_describe(id);
	auth_see(id);
}

void
auth_nobody(struct identity *id, const char *why)
{
	memset(id, 0, sizeof(*id));
	id->uid = 0xffffffffU;
	id->network = 1;
	id->role = ROLE_NONE;
	strlcpy(id->who, why, sizeof(id->who));
}
