/*
 * A cgroup (version 2) of keepd's own for what the supervisor starts, where
 * one is delegated to keepd: HERE/keepd.PID, with the supervisor itself in
 * HERE/keepd.PID/supervisor, so that whatever moves does so below keepd.PID,
 * and nothing outside of it changes hands.  What is in it is the supervisor's
 * matter.  No error here is one: other means are in use then.
 */
#include <sys/types.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "parent.h"

#define OWN_PLACE	"/supervisor"
#define NFTW_FDS	8
#define END_ROUNDS	20	/* a dying process may hold a cgroup a while */
#define END_PAUSE_US	10000

static char	directory[PATH_SIZE];	/* "": none */
static int	place_fd = -1;		/* cgroup.procs of the supervisor's */

/* --- where are we --------------------------------------------------------- */
/* The path below the mount point: after "0::" in /proc/self/cgroup. */
static int
own_path(char *path, size_t size)
{
	char	*line = NULL;
	size_t	 room = 0;
	FILE	*fp;
	int	 found = 0;

	if ((fp = fopen("/proc/self/cgroup", "re")) == NULL)
		return (-1);
	while (!found && getline(&line, &room, fp) != -1) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			found = strlcpy(path, line + 3, size) < size;
	}
	free(line);
	fclose(fp);
	return (found ? 0 : -1);
}

/* Is this line of mountinfo (proc_pid_mountinfo(5)) a mount of cgroup2? */
static int
mount_parse(char *line, char **root, char **point)
{
	char	*sep, *word;
	int	 i;

	if ((sep = strstr(line, " - ")) == NULL ||
	    strncmp(sep + 3, "cgroup2 ", 8) != 0)
		return (0);
	for (i = 0; (word = strsep(&line, " ")) != NULL && i < 5; i++) {
		if (i == 3)
			*root = word;
		else if (i == 4)
			*point = word;
	}
	/* Blanks and the like are escaped: not worth the trouble. */
	return (i == 5 && strchr(*root, '\\') == NULL &&
	    strchr(*point, '\\') == NULL);
}

/* path is what lies below the root of this mount. */
static int
mount_join(const char *root, const char *point, const char *path, char *dir,
    size_t size)
{
	size_t	 len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(path, root, len) != 0 ||
	    (path[len] != '/' && path[len] != '\0'))
		return (-1);
	path += len;
	if (strcmp(path, "/") == 0)
		path = "";
	return ((size_t)snprintf(dir, size, "%s%s", point, path) < size ? 0 :
	    -1);
}

static int
own_directory(const char *path, char *dir, size_t size)
{
	struct statfs	 sf;
	char		*line = NULL, *root = NULL, *point = NULL;
	size_t		 room = 0;
	FILE		*fp;
	int		 found = 0;

	if ((fp = fopen("/proc/self/mountinfo", "re")) == NULL)
		return (-1);
	while (!found && getline(&line, &room, fp) != -1)
		found = mount_parse(line, &root, &point) &&
		    mount_join(root, point, path, dir, size) == 0 &&
		    statfs(dir, &sf) == 0 && sf.f_type == CGROUP2_SUPER_MAGIC;
	free(line);
	fclose(fp);
	return (found ? 0 : -1);
}

/* --- the directory -------------------------------------------------------- */
static int
remove_one(const char *path, const struct stat *st, int type,
    struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	/* Processes in one keep it, but no other, from going. */
	if (type == FTW_DP)
		(void)rmdir(path);
	return (0);
}

static int
directory_remove(const char *path)
{
	(void)nftw(path, remove_one, NFTW_FDS, FTW_DEPTH | FTW_PHYS);
	return (access(path, F_OK) == -1 ? 0 : -1);
}

/* An earlier keepd of our number may have left one: ours only if empty. */
static int
directory_new(const char *path)
{
	if (mkdir(path, 0755) == 0)
		return (0);
	if (errno != EEXIST || directory_remove(path) == -1)
		return (-1);
	return (mkdir(path, 0755));
}

/* The supervisor may make cgroups in it and move what is in it. */
static int
directory_give(const char *path)
{
	const struct child_user	*user = users_of(PEER_SUPERVISOR);
	char			 file[PATH_SIZE + 32];

	if (!parent.conf->system_mode)
		return (0);
	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	if (chown(path, user->uid, user->gid) == -1 ||
	    chown(file, user->uid, user->gid) == -1)
		return (-1);
	return (0);
}

/* Where the supervisor goes; cgroup.kill is there since Linux 5.14. */
static int
place_make(const char *path)
{
	char	 place[PATH_SIZE + 32], file[PATH_SIZE + 64];

	snprintf(place, sizeof(place), "%s%s", path, OWN_PLACE);
	snprintf(file, sizeof(file), "%s/cgroup.kill", place);
	if (mkdir(place, 0755) == -1 || access(file, W_OK) == -1)
		return (-1);
	snprintf(file, sizeof(file), "%s/cgroup.procs", place);
	place_fd = open(file, O_WRONLY | O_CLOEXEC);
	return (place_fd == -1 ? -1 : 0);
}

void
cgroup_init(void)
{
	char	 path[PATH_SIZE], here[PATH_SIZE], file[PATH_SIZE + 32];

	if (own_path(path, sizeof(path)) == -1 ||
	    own_directory(path, here, sizeof(here)) == -1)
		return;
	/* Root may do anything there: nobody has given that one to keepd. */
	if (parent.conf->system_mode && strcmp(path, "/") == 0)
		return;
	/* To move from here to below takes the right to write to this. */
	snprintf(file, sizeof(file), "%s/cgroup.procs", here);
	if (access(file, W_OK) == -1 || (size_t)snprintf(directory,
	    sizeof(directory), "%s/keepd.%d", here, (int)getpid()) >=
	    sizeof(directory) || directory_new(directory) == -1) {
		directory[0] = '\0';
		return;
	}
	if (directory_give(directory) == -1 || place_make(directory) == -1) {
		log_debug("%s: %s", directory, strerror(errno));
		cgroup_end();
	}
}

const char *
cgroup_directory(void)
{
	return (directory[0] == '\0' ? NULL : directory);
}

void
cgroup_enter(void)
{
	/* The supervisor looks whether it is there. */
	if (place_fd != -1 && write(place_fd, "0", 1) == -1)
		return;
}

void
cgroup_kill(void)
{
	char	 file[PATH_SIZE + 32];
	int	 fd;

	if (directory[0] == '\0')
		return;
	snprintf(file, sizeof(file), "%s/cgroup.kill", directory);
	if ((fd = open(file, O_WRONLY | O_CLOEXEC)) == -1)
		return;
	if (write(fd, "1", 1) == -1)
		log_debug("%s: %s", file, strerror(errno));
	close(fd);
}

void
cgroup_end(void)
{
	int	 i;

	if (directory[0] == '\0')
		return;
	for (i = 0; directory_remove(directory) == -1 && i < END_ROUNDS; i++)
		usleep(END_PAUSE_US);
	if (place_fd != -1)
		close(place_fd);
	place_fd = -1;
	directory[0] = '\0';
}
