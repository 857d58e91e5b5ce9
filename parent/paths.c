/*
 * Which file is the configuration, where sockets and state go when it does not
 * say, and whether a file may be trusted.
 */
#include <sys/types.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "util.h"

#define SYSTEM_CONF	"/etc/keepd.conf"
#define SYSTEM_RUN	"/run/keepd"
#define SYSTEM_STATE	"/var/lib/keepd"
#define SYSTEM_LOG	"/var/log/keepd"
#define SOCKET_NAME	"keepd.sock"

static char *
path_join(const char *dir, const char *name)
{
	char	*path;

	if (asprintf(&path, "%s/%s", dir, name) == -1)
		return (NULL);
	return (path);
}

/* dir/name when it is there, absolute; else NULL. */
static char *
path_try(const char *dir, const char *name)
{
	char	*path, *real = NULL;

	if ((path = path_join(dir, name)) == NULL)
		return (NULL);
	if (access(path, F_OK) == 0)
		real = realpath(path, NULL);
	free(path);
	return (real);
}

/*
 * The file's name stays as it was given (a link named .mcp-run is one), its
 * directory becomes absolute.
 */
static char *
path_absolute(const char *file)
{
	char	*copy, *real, *path = NULL, *slash;

	if ((copy = strdup(file)) == NULL)
		return (NULL);
	if ((slash = strrchr(copy, '/')) == NULL)
		real = realpath(".", NULL);
	else {
		*slash = '\0';
		real = realpath(slash == copy ? "/" : copy, NULL);
	}
	if (real != NULL) {
		path = path_join(strcmp(real, "/") == 0 ? "" : real,
		    slash == NULL ? file : slash + 1);
	}
	free(real);
	free(copy);
	return (path);
}

/* keepd.conf, .mcp-run, Procfile of a directory, in this order. */
static char *
path_in(const char *dir, int *procfile)
{
	char	*path;

	if ((path = path_try(dir, "keepd.conf")) == NULL)
		path = path_try(dir, ".mcp-run");
	if (path == NULL && (path = path_try(dir, "Procfile")) != NULL) {
		free(path);
		*procfile = 1;
		return (NULL);
	}
	return (path);
}

static const char *
home_directory(void)
{
	const struct passwd	*pw;
	const char		*home = getenv("HOME");

	if (home != NULL && *home == '/')
		return (home);
	if ((pw = getpwuid(geteuid())) != NULL && *pw->pw_dir == '/')
		return (pw->pw_dir);
	return (NULL);
}

/* $variable, else ~/fallback; NULL without a home. */
static char *
xdg_directory(const char *variable, const char *fallback)
{
	const char	*dir = getenv(variable), *home;

	if (dir != NULL && *dir == '/')
		return (strdup(dir));
	if ((home = home_directory()) == NULL)
		return (NULL);
	return (path_join(home, fallback));
}

static void
say_procfile(const char *dir)
{
	fprintf(stderr, "keepd: %s/Procfile: a Procfile is not supported in "
	    "this version: write its lines as services into %s/keepd.conf "
	    "(see keepd.conf(5))\n", dir, dir);
}

static char *
path_of_directory(const char *directory)
{
	struct stat	 st;
	char		*path;
	int		 procfile = 0;

	if (stat(directory, &st) == -1 || !S_ISDIR(st.st_mode)) {
		fprintf(stderr, "keepd: %s: %s\n", directory,
		    strerror(errno != 0 ? errno : ENOTDIR));
		return (NULL);
	}
	if ((path = path_in(directory, &procfile)) != NULL)
		return (path);
	if (procfile)
		say_procfile(directory);
	else
		fprintf(stderr, "keepd: %s: there is neither keepd.conf nor "
		    ".mcp-run in this directory\n", directory);
	return (NULL);
}

/* User mode, nothing said: here, then the user's own configuration. */
static char *
path_of_user(void)
{
	char	*path, *dir;
	int	 procfile = 0;

	if ((path = path_in(".", &procfile)) != NULL)
		return (path);
	if (procfile) {
		say_procfile(".");
		return (NULL);
	}
	if ((dir = xdg_directory("XDG_CONFIG_HOME", ".config")) != NULL) {
		path = path_try(dir, "keepd/keepd.conf");
		free(dir);
	}
	if (path == NULL)
		fprintf(stderr, "keepd: no configuration: there is no "
		    "keepd.conf or .mcp-run here and no keepd/keepd.conf in "
		    "the configuration directory; name one with -f\n");
	return (path);
}

char *
path_config(const char *file, const char *directory)
{
	char	*path;

	errno = 0;
	if (file != NULL) {
		if ((path = path_absolute(file)) == NULL)
			fprintf(stderr, "keepd: %s: %s\n", file,
			    strerror(errno));
		return (path);
	}
	if (directory != NULL)
		return (path_of_directory(directory));
	if (geteuid() == 0)
		return (strdup(SYSTEM_CONF));
	return (path_of_user());
}

static const char *
path_user_state(struct config *conf, const char *name)
{
	char		*dir = xdg_directory("XDG_STATE_HOME", ".local/state");
	const char	*path;

	if (dir == NULL) {
		config_error(conf, NULL, "neither XDG_STATE_HOME nor HOME is "
		    "set, and there is no state directory in the "
		    "configuration");
		return ("/nonexistent");
	}
	path = config_printf(conf, "%s/keepd%s%s", dir,
	    *name == '\0' ? "" : "/", name);
	free(dir);
	return (path);
}

const char *
path_control(struct config *conf)
{
	const char	*dir = getenv("XDG_RUNTIME_DIR");

	if (conf->system_mode)
		return (SYSTEM_RUN "/" SOCKET_NAME);
	if (dir != NULL && *dir == '/')
		return (config_printf(conf, "%s/keepd/%s", dir, SOCKET_NAME));
	return (path_user_state(conf, SOCKET_NAME));
}

const char *
path_state(struct config *conf)
{
	return (conf->system_mode ? SYSTEM_STATE : path_user_state(conf, ""));
}

const char *
path_log(struct config *conf)
{
	return (conf->system_mode ? SYSTEM_LOG : path_user_state(conf, "log"));
}

const char *
path_resolve(struct config *conf, const char *base, const char *path)
{
	size_t	 len = strlen(path);

	while (strncmp(path, "./", 2) == 0) {
		path += 2;
		len -= 2;
	}
	while (len > 1 && path[len - 1] == '/')
		len--;
	if (*path == '/')
		return (config_printf(conf, "%.*s", (int)len, path));
	if (len == 0 || strcmp(path, ".") == 0)
		return (base);
	return (config_printf(conf, "%s/%.*s", strcmp(base, "/") == 0 ? "" :
	    base, (int)len, path));
}

const char *
path_dirname(struct config *conf, const char *path)
{
	const char	*slash = strrchr(path, '/');

	if (slash == NULL || slash == path)
		return ("/");
	return (config_printf(conf, "%.*s", (int)(slash - path), path));
}

/* What somebody else may change must not say what is started as whom. */
static const char *
path_distrust(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return ("not a regular file");
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return ("owned by somebody else: refused");
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return ("others can write to this file: refused (chmod go-w)");
	if (st->st_size > CONF_FILE_MAX)
		return ("larger than 1 MiB");
	return (NULL);
}

static const char *
path_slurp(struct config *conf, int fd, size_t *len)
{
	char	*text = config_alloc(conf, CONF_FILE_MAX + 2);
	ssize_t	 n;

	*len = 0;
	while ((n = read(fd, text + *len, CONF_FILE_MAX + 1 - *len)) > 0)
		*len += (size_t)n;
	if (n == 0 && *len > CONF_FILE_MAX) {
		errno = EFBIG;
		return (NULL);
	}
	return (n == -1 ? NULL : text);
}

const char *
path_read(struct config *conf, const struct pos *pos, const char *path,
    size_t *len)
{
	const struct pos	 whole = { path, 0 };
	const char		*why = NULL, *text = NULL;
	struct stat		 st;
	int			 fd;

	/* Non-blocking: a FIFO must not hold us up. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &st) == -1)
		why = strerror(errno);
	else if ((why = path_distrust(&st)) == NULL &&
	    (text = path_slurp(conf, fd, len)) == NULL)
		why = strerror(errno);
	if (fd != -1)
		close(fd);
	if (why != NULL && pos != NULL)
		config_error(conf, pos, "include %s: %s", path, why);
	else if (why != NULL)
		config_error(conf, &whole, "%s", why);
	return (text);
}

int
path_mkdirs(const char *path, mode_t mode)
{
	char	 part[PATH_MAX], *slash;

	if (strlcpy(part, path, sizeof(part)) >= sizeof(part)) {
		errno = ENAMETOOLONG;
		return (-1);
	}
	for (slash = part; slash != NULL;) {
		if ((slash = strchr(slash + 1, '/')) != NULL)
			*slash = '\0';
		if (mkdir(part, mode) == -1 && errno != EEXIST &&
		    (slash == NULL || access(part, F_OK) == -1))
			return (-1);
		if (slash != NULL)
			*slash = '/';
	}
	return (0);
}
