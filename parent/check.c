/*
 * What only the whole configuration can tell: combinations that cannot be,
 * users that do not exist, defaults that depend on the rest.  With -n what is
 * wrong with this host, not with the file, is a warning.
 */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "link.h"
#include "option.h"
#include "util.h"

#define UNPRIVILEGED	"nobody"	/* user of services, system mode */
#define MODE_PRIVATE	0600
#define MODE_EVERYONE	0666		/* the supervisor asks who it is */

/* About this host: an error when keepd is to run on it. */
#define HOST_PROBLEM(conf, pos, ...) do {				\
	if ((conf)->options->check_only)				\
		config_warning(conf, pos, __VA_ARGS__);			\
	else								\
		config_error(conf, pos, __VA_ARGS__);			\
} while (0)

static void
check_endpoint(struct config *conf, struct endpoint *ep)
{
	if (ep->kind != LISTEN_UNIX)
		return;
	if (ep->mode == CONF_MODE_NONE)
		ep->mode = conf->system_mode ? MODE_EVERYONE : MODE_PRIVATE;
	if (ep->group != NULL && getgrnam(ep->group) == NULL)
		HOST_PROBLEM(conf, &ep->pos, "group %s does not exist",
		    ep->group);
}

/* S3-1: without a word about it, one endpoint on the loopback address. */
static void
check_endpoints(struct config *conf)
{
	static const struct pos	 nowhere;
	struct endpoint		*ep;

	if (TAILQ_EMPTY(&conf->listen)) {
		ep = config_alloc(conf, sizeof(*ep));
		ep->pos = nowhere;
		ep->kind = LISTEN_INET;
		ep->address = "127.0.0.1";
		ep->port = CONF_PORT;
		TAILQ_INSERT_TAIL(&conf->listen, ep, entry);
	}
	TAILQ_FOREACH(ep, &conf->listen, entry) {
		check_endpoint(conf, ep);
		if (ep->kind == LISTEN_UNIX && conf->control.path != NULL &&
		    strcmp(ep->path, conf->control.path) == 0)
			config_error(conf, &ep->pos, "listen on: this is the "
			    "control socket");
	}
	check_endpoint(conf, &conf->control);
}

static void
check_paths(struct config *conf)
{
	if (conf->options->socket != NULL)
		conf->control.path = conf->options->socket;
	if (conf->control.path == NULL)
		conf->control.path = path_control(conf);
	if (conf->state_dir == NULL)
		conf->state_dir = path_state(conf);
	if (conf->log_dir == NULL)
		conf->log_dir = path_log(conf);
	if (strlen(conf->control.path) > CONF_SOCKET_MAX)
		config_error(conf, NULL, "the control socket's path has more "
		    "than %d bytes, name a shorter one with -s: %s",
		    CONF_SOCKET_MAX, conf->control.path);
}

static void
check_limits(struct config *conf)
{
	const struct pos	 file = { conf->path, 0 };
	uint32_t		 max = conf->max_services;

	if (conf->max_user_connections > conf->max_connections)
		config_error(conf, &file, "limit connections per user %u is "
		    "more than limit connections %u",
		    conf->max_user_connections, conf->max_connections);
	if (max == 0)
		max = MAX_SERVICES;
	if (conf->nservices > max)
		config_error(conf, &file, "%u services, but no more than %u "
		    "are allowed (services max)", conf->nservices, max);
	if (conf->nservices == 0)
		config_error(conf, &file, "no services: there is nothing to "
		    "keep");
}

static void
check_groups(struct config *conf, struct service *svc, const char *user)
{
	int	 n = GROUPS_MAX;

	if (getgrouplist(user, svc->gid, svc->groups, &n) == -1)
		config_error(conf, &svc->pos, "service %s: user %s is in more "
		    "than %d groups", svc->name, user, GROUPS_MAX);
	else
		svc->ngroups = (uint32_t)n;
}

static void
check_user(struct config *conf, struct service *svc)
{
	const struct passwd	*pw;

	if (svc->user == NULL && !conf->system_mode)
		return;
	if (svc->user == NULL)
		svc->user = UNPRIVILEGED;
	if ((pw = getpwnam(svc->user)) == NULL) {
		HOST_PROBLEM(conf, &svc->pos, "service %s: user %s does not "
		    "exist", svc->name, svc->user);
		return;
	}
	if (!conf->system_mode && pw->pw_uid != geteuid()) {
		HOST_PROBLEM(conf, &svc->pos, "service %s: user %s: only keepd "
		    "started as root can run services as other users",
		    svc->name, svc->user);
		return;
	}
	svc->uid = pw->pw_uid;
	svc->gid = pw->pw_gid;
	if (conf->system_mode)
		check_groups(conf, svc, svc->user);
}

static void
check_directory(struct config *conf, struct service *svc)
{
	struct stat	 st;

	if (svc->directory == NULL)
		svc->directory = path_dirname(conf, svc->pos.file);
	if (stat(svc->directory, &st) == -1)
		config_warning(conf, &svc->pos, "service %s: directory %s: %s",
		    svc->name, svc->directory, strerror(errno));
	else if (!S_ISDIR(st.st_mode))
		config_error(conf, &svc->pos, "service %s: %s is not a "
		    "directory", svc->name, svc->directory);
}

/* S0-10 to S0-12, and what stands in each other's way. */
static void
check_command(struct config *conf, struct service *svc)
{
	int	 each = svc->command_dev != NULL && svc->command_release != NULL;

	if (svc->command == NULL && !each && svc->type != TYPE_RUST)
		config_error(conf, &svc->pos, "service %s: no command%s",
		    svc->name, svc->command_dev != NULL ? " for mode release" :
		    svc->command_release != NULL ? " for mode dev" :
		    svc->type == TYPE_NPM ? " (type npm needs one)" : "");
	if (svc->shell && (svc->command_dev != NULL ||
	    svc->command_release != NULL))
		config_error(conf, &svc->pos, "service %s: shell and command "
		    "dev/release exclude each other", svc->name);
	if (svc->shell && words_count(svc->args) > 0)
		config_error(conf, &svc->pos, "service %s: args cannot be "
		    "appended to shell: write them into it", svc->name);
	if (svc->artifact != NULL && !service_has_build(svc))
		config_error(conf, &svc->pos, "service %s: artifact without "
		    "build", svc->name);
}

static void
check_policy(struct config *conf, struct service *svc)
{
	char	 a[32], b[32];

	if (svc->backoff != BACKOFF_NONE &&
	    svc->backoff_max_ms < svc->backoff_initial_ms)
		config_error(conf, &svc->pos, "service %s: backoff max %s is "
		    "less than the first delay %s", svc->name,
		    print_duration(svc->backoff_max_ms, a, sizeof(a)),
		    print_duration(svc->backoff_initial_ms, b, sizeof(b)));
	if (svc->max_attempts > 0 && svc->free_attempts > svc->max_attempts)
		config_error(conf, &svc->pos, "service %s: backoff free %u is "
		    "more than attempts %u", svc->name, svc->free_attempts,
		    svc->max_attempts);
	if (svc->backoff == BACKOFF_NONE && svc->restart_on != RESTART_NEVER &&
	    svc->max_attempts == 0)
		config_warning(conf, &svc->pos, "service %s: restarted without "
		    "delay and without limit: a crash loop would use a whole "
		    "CPU", svc->name);
}

static size_t
check_words(struct config *conf, struct service *svc,
    const struct words *words)
{
	const struct word	*w;
	size_t			 total = 0, len;

	if (words == NULL)
		return (0);
	TAILQ_FOREACH(w, words, entry) {
		len = strlen(w->text);
		if (len > CONF_STR_MAX)
			config_error(conf, &svc->pos, "service %s: a word of "
			    "more than %d bytes: %.32s...", svc->name,
			    CONF_STR_MAX, w->text);
		total += len + IMSG_HEADER_SIZE + sizeof(struct wire_str);
	}
	return (total);
}

static size_t
check_service(struct config *conf, struct service *svc)
{
	check_user(conf, svc);
	check_directory(conf, svc);
	check_command(conf, svc);
	check_policy(conf, svc);
	return (sizeof(struct wire_service) + IMSG_HEADER_SIZE +
	    check_words(conf, svc, svc->command) +
	    check_words(conf, svc, svc->command_dev) +
	    check_words(conf, svc, svc->command_release) +
	    check_words(conf, svc, svc->args) +
	    check_words(conf, svc, svc->env) +
	    check_words(conf, svc, svc->build) +
	    check_words(conf, svc, svc->build_release));
}

void
config_check(struct config *conf)
{
	const struct pos	 file = { conf->path, 0 };
	struct service		*svc;
	size_t			 total = 0;

	check_paths(conf);
	check_endpoints(conf);
	TAILQ_FOREACH(svc, &conf->services, entry)
		total += check_service(conf, svc);
	/* Two transactions may wait in the queue of one link. */
	if (total > LINK_MAX / 2 - 65536)
		config_error(conf, &file, "the configuration is too large: "
		    "%zu bytes of services", total);
	if (conf->errors == 0)
		check_limits(conf);
}
