/*
 * System mode: the users that the three processes run as, the empty directory
 * they see, and who may manage everything.
 */
#include <sys/types.h>
#include <sys/stat.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "parent.h"
#include "util.h"

#define ADMIN_GROUP	"keepd"
#define EMPTY_DIR	"empty"		/* in the state directory */

static const char *const	 user_names[PEERS] = {
	[PEER_SUPERVISOR] = "_keepsup",
	[PEER_LOGGER] = "_keeplog",
	[PEER_FRONTEND] = "_keepweb"
};
static struct child_user	 users[PEERS];

static int
user_find(enum peer peer)
{
	const struct passwd	*pw;

	if ((pw = getpwnam(user_names[peer])) == NULL) {
		log_warnx("user %s does not exist: install "
		    "etc/sysusers.d/keepd.conf and run systemd-sysusers (or "
		    "useradd --system %s)", user_names[peer],
		    user_names[peer]);
		return (-1);
	}
	if (pw->pw_uid == 0) {
		log_warnx("user %s is root: refused", user_names[peer]);
		return (-1);
	}
	users[peer].uid = pw->pw_uid;
	users[peer].gid = pw->pw_gid;
	return (0);
}

static int
directory_is_empty(const char *path)
{
	DIR		*dir;
	int		 n = 0;

	if ((dir = opendir(path)) == NULL)
		return (0);
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return (n == 2);	/* . and .. */
}

/* Where a chroot may go: root's, empty, not to be written by anybody. */
static int
empty_directory(char *path, size_t size)
{
	struct stat	 st;

	if ((size_t)snprintf(path, size, "%s/%s", parent.conf->state_dir,
	    EMPTY_DIR) >= size) {
		log_warnx("state directory: the path is too long");
		return (-1);
	}
	if (mkdir(path, 0555) == -1 && errno != EEXIST) {
		log_warn("%s", path);
		return (-1);
	}
	if (lstat(path, &st) == -1 || !S_ISDIR(st.st_mode) ||
	    st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) ||
	    !directory_is_empty(path)) {
		log_warnx("%s is not an empty directory of root that nobody "
		    "else can write to: remove it", path);
		return (-1);
	}
	return (0);
}

int
users_init(void)
{
	enum peer	 peer;

	if (!parent.conf->system_mode)
		return (0);
	for (peer = 0; peer < PEERS; peer++) {
		if (user_find(peer) == -1)
			return (-1);
		/* The supervisor needs the services' directories. */
		if (peer != PEER_SUPERVISOR &&
		    empty_directory(users[peer].chroot,
		    sizeof(users[peer].chroot)) == -1)
			return (-1);
	}
	return (0);
}

const struct child_user *
users_of(enum peer peer)
{
	return (&users[peer]);
}

static void
admin_send(struct link *link, uint32_t is_gid, uint32_t id)
{
	struct wire_admin	 admin = { .is_gid = is_gid, .id = id };

	link_send(link, IMSG_CONF_ADMIN, 0, -1, &admin, sizeof(admin));
}

/* Group keepd manages everything, as a group and member by member. */
void
users_send_admins(struct link *link)
{
	const struct group	*gr;
	const struct passwd	*pw;
	char *const		*m;

	if (!parent.conf->system_mode ||
	    (gr = getgrnam(ADMIN_GROUP)) == NULL)
		return;
	admin_send(link, 1, gr->gr_gid);
	for (m = gr->gr_mem; *m != NULL; m++)
		if ((pw = getpwnam(*m)) != NULL)
			admin_send(link, 0, pw->pw_uid);
}
