/*
 * A configuration as a transaction of messages: to each of the three what it
 * needs to know, and to the frontend nothing that could be executed.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <string.h>
#include <unistd.h>

#include "log.h"
#include "parent.h"
#include "util.h"

static void
send_serial(struct link *link, uint32_t type)
{
	struct wire_serial	 w = { .serial = parent.serial };

	link_send(link, type, 0, -1, &w, sizeof(w));
}

static void
send_global(struct link *link, const struct config *conf)
{
	struct wire_global	 w;

	memset(&w, 0, sizeof(w));
	w.mode_timeout_ms = conf->mode_timeout_ms;
	w.mode_check_ms = conf->mode_check_ms;
	w.initial_mode = conf->initial_mode;
	w.echo = conf->echo;
	w.best_effort = conf->best_effort;
	w.search_jit = conf->search_jit;
	w.search_timeout_ms = (uint32_t)conf->search_timeout_ms;
	w.max_request = (uint32_t)conf->max_request;
	w.max_connections = conf->max_connections;
	w.max_user_connections = conf->max_user_connections;
	w.system_mode = (uint32_t)conf->system_mode;
	w.uid = geteuid();
	w.verbose = (uint32_t)log_getverbose();
	w.nservices = conf->nservices;
	strlcpy(w.socket_path, conf->control.path, sizeof(w.socket_path));
	strlcpy(w.config_path, conf->path, sizeof(w.config_path));
	link_send(link, IMSG_CONF_GLOBAL, 0, -1, &w, sizeof(w));
}

static void
send_words(struct link *link, uint32_t id, enum conf_str kind,
    const struct words *words)
{
	const struct word	*w;
	struct wire_str		 str = { .kind = kind };

	if (words == NULL)
		return;
	TAILQ_FOREACH(w, words, entry)
		link_send2(link, IMSG_CONF_STR, id, -1, &str, sizeof(str),
		    w->text, strlen(w->text));
}

static void
service_names(struct wire_service *w, const struct service *svc)
{
	strlcpy(w->name, svc->name, sizeof(w->name));
	strlcpy(w->group, svc->group, sizeof(w->group));
	strlcpy(w->label, svc->label, sizeof(w->label));
	strlcpy(w->description, svc->description, sizeof(w->description));
	strlcpy(w->directory, svc->directory, sizeof(w->directory));
	if (svc->user != NULL)
		strlcpy(w->user, svc->user, sizeof(w->user));
}

static void
service_policy(struct wire_service *w, const struct service *svc)
{
	w->build_timeout_ms = svc->build_timeout_ms;
	w->stop_timeout_ms = svc->stop_timeout_ms;
	w->kill_wait_ms = svc->kill_wait_ms;
	w->backoff_initial_ms = svc->backoff_initial_ms;
	w->backoff_max_ms = svc->backoff_max_ms;
	w->first_dev_ms = svc->first_dev_ms;
	w->stable_ms = svc->stable_ms;
	w->factor_milli = svc->factor_milli;
	w->backoff = svc->backoff;
	w->truncate_seconds = svc->truncate_seconds;
	w->free_attempts = svc->free_attempts;
	w->max_attempts = svc->max_attempts;
	w->restart_on = svc->restart_on;
	w->stop_signal = svc->stop_signal;
}

static void
service_process(struct wire_service *w, const struct service *svc)
{
	uint32_t	 i;

	w->type = svc->type;
	w->shell = svc->shell;
	w->autostart = svc->autostart;
	w->env_inherit = svc->env_inherit;
	w->direnv = svc->direnv;
	w->umask = svc->umask;
	w->uid = svc->uid;
	w->gid = svc->gid;
	w->ngroups = svc->ngroups;
	for (i = 0; i < svc->ngroups; i++)
		w->groups[i] = svc->groups[i];
	w->ceiling = svc->ceiling;
	w->log_lines = svc->log_lines;
	w->log_runs = svc->log_runs;
	w->has_build = (uint32_t)service_has_build(svc);
}

static void
send_service(struct link *link, struct service *svc)
{
	struct wire_service	 w;
	struct words		 artifact = TAILQ_HEAD_INITIALIZER(artifact);
	struct word		 path = { .text = svc->artifact };

	memset(&w, 0, sizeof(w));
	service_names(&w, svc);
	service_policy(&w, svc);
	service_process(&w, svc);
	link_send(link, IMSG_CONF_SERVICE, svc->id, -1, &w, sizeof(w));
	send_words(link, svc->id, STR_COMMAND, svc->command);
	send_words(link, svc->id, STR_COMMAND_DEV, svc->command_dev);
	send_words(link, svc->id, STR_COMMAND_RELEASE, svc->command_release);
	send_words(link, svc->id, STR_ARG, svc->args);
	send_words(link, svc->id, STR_ENV, svc->env);
	send_words(link, svc->id, STR_BUILD, svc->build);
	send_words(link, svc->id, STR_BUILD_RELEASE, svc->build_release);
	if (svc->artifact != NULL) {
		TAILQ_INSERT_TAIL(&artifact, &path, entry);
		send_words(link, svc->id, STR_ARTIFACT, &artifact);
	}
}

static void
send_public(struct link *link, const struct service *svc)
{
	struct wire_public	 w;

	memset(&w, 0, sizeof(w));
	strlcpy(w.name, svc->name, sizeof(w.name));
	strlcpy(w.group, svc->group, sizeof(w.group));
	strlcpy(w.description, svc->description, sizeof(w.description));
	w.ceiling = svc->ceiling;
	w.has_build = (uint32_t)service_has_build(svc);
	link_send(link, IMSG_CONF_PUBLIC, svc->id, -1, &w, sizeof(w));
}

static void
send_supervisor(struct link *link, const struct config *conf, int first)
{
	struct service	*svc;

	users_send_admins(link);
	listen_send_ports(link);
	if (first)
		listen_send_control(link);
	TAILQ_FOREACH(svc, &conf->services, entry)
		send_service(link, svc);
}

static void
send_logger(struct link *link, const struct config *conf,
    const struct config *old)
{
	const struct service	*svc;

	if (old != NULL)
		TAILQ_FOREACH(svc, &old->services, entry)
			if (service_find(&conf->services, svc->name) == NULL)
				link_send(link, IMSG_GONE, svc->id, -1, NULL,
				    0);
	store_send(link);
}

static void
send_texts(struct link *link, uint32_t type, const struct words *words)
{
	const struct word	*w;

	TAILQ_FOREACH(w, words, entry)
		link_send(link, type, 0, -1, w->text, strlen(w->text));
}

static void
send_frontend(struct link *link, const struct config *conf, int first)
{
	const struct service	*svc;

	if (first)
		listen_send_frontend(link);
	send_texts(link, IMSG_CONF_HOST, &conf->hosts);
	send_texts(link, IMSG_CONF_ORIGIN, &conf->origins);
	TAILQ_FOREACH(svc, &conf->services, entry)
		send_public(link, svc);
}

/*
 * Sockets go out with the first transaction of a child only: endpoints do not
 * change while keepd runs.
 */
void
sendconf(enum peer peer, struct link *link, const struct config *old)
{
	const struct config	*conf = parent.conf;

	send_serial(link, IMSG_CONF_BEGIN);
	send_global(link, conf);
	switch (peer) {
	case PEER_SUPERVISOR:
		send_supervisor(link, conf, old == NULL);
		break;
	case PEER_LOGGER:
		send_logger(link, conf, old);
		break;
	case PEER_FRONTEND:
		send_frontend(link, conf, old == NULL);
		break;
	}
	send_serial(link, IMSG_CONF_END);
}
