/*
 * A new configuration while everything runs: read completely first, then given
 * to all three as a transaction.  With any error nothing changes.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "parent.h"
#include "util.h"

#define TEXT_MAX	(FRAME_MAX - sizeof(struct wire_u32))

/* The reload under way, until all three have answered. */
static struct {
	int		 busy;
	int		 asked;		/* by the supervisor: answer it */
	uint32_t	 asker;
	char		*text;
} now;

static void
answer(int asked, uint32_t asker, uint32_t errors, const char *text)
{
	struct link	*link = child_link(PEER_SUPERVISOR);
	struct wire_u32	 w = { .value = errors };
	size_t		 len = strlen(text);

	if (!asked || link == NULL)
		return;
	link_send2(link, IMSG_RELOADED, asker, -1, &w, sizeof(w), text,
	    len < TEXT_MAX ? len : TEXT_MAX);
}

/* Line by line, each with what it is about. */
static void
log_report(const char *report)
{
	char	*copy = strdup(report), *rest = copy, *line;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (*line != '\0')
			log_warnx("%s", line);
	free(copy);
}

static int
endpoint_differs(const struct endpoint *a, const struct endpoint *b)
{
	if (a == NULL || b == NULL)
		return (a != b);
	if (a->kind != b->kind)
		return (1);
	if (a->kind != LISTEN_UNIX)
		return (strcmp(a->address, b->address) != 0 ||
		    a->port != b->port);
	return (strcmp(a->path, b->path) != 0 || a->mode != b->mode ||
	    strcmp(a->group == NULL ? "" : a->group,
	    b->group == NULL ? "" : b->group) != 0);
}

static int
endpoints_differ(const struct config *a, const struct config *b)
{
	const struct endpoint	*e = TAILQ_FIRST(&a->listen);
	const struct endpoint	*f = TAILQ_FIRST(&b->listen);

	for (; e != NULL || f != NULL; e = TAILQ_NEXT(e, entry),
	    f = TAILQ_NEXT(f, entry))
		if (endpoint_differs(e, f))
			return (1);
	return (0);
}

/* What is fixed when keepd starts. */
static void
check_fixed(struct config *conf, const struct config *old)
{
	const struct pos	 file = { conf->path, 0 };
	const struct {
		int		 differs;
		const char	*what;
	} fixed[] = {
		{ endpoints_differ(conf, old), "listen on" },
		{ endpoint_differs(&conf->control, &old->control),
		    "control socket" },
		{ strcmp(conf->state_dir, old->state_dir), "state directory" },
		{ strcmp(conf->log_dir, old->log_dir), "log directory" },
		{ conf->best_effort != old->best_effort, "sandbox" },
	};
	size_t			 i;

	for (i = 0; i < nitems(fixed); i++)
		if (fixed[i].differs)
			config_error(conf, &file, "%s has changed: this takes "
			    "effect only at a start: restart keepd",
			    fixed[i].what);
}

static void
note_rings(struct config *conf)
{
	struct service	*svc;

	TAILQ_FOREACH(svc, &conf->services, entry)
		if (store_resized(svc))
			config_warning(conf, &svc->pos, "service %s: its log "
			    "keeps its size until keepd is restarted",
			    svc->name);
}

/* Rings that conf has no service for. */
static void
drop_rings(const struct config *from, const struct config *conf)
{
	const struct service	*svc;

	TAILQ_FOREACH(svc, &from->services, entry)
		if (service_find(&conf->services, svc->name) == NULL)
			store_drop(svc->id);
}

static struct config *
reload_read(struct config *old)
{
	struct config	*conf = config_load(old->path, &parent.options);

	if (conf->errors == 0)
		check_fixed(conf, old);
	if (conf->errors == 0)
		config_ids(conf, old);
	if (conf->errors == 0 && store_update(conf) == -1) {
		config_error(conf, NULL, "no memory or descriptors for the "
		    "logs of new services: see keepd's log");
		drop_rings(conf, old);
	}
	if (conf->errors == 0)
		note_rings(conf);
	return (conf);
}

static void
reload_apply(struct config *conf, struct config *old)
{
	enum peer	 peer;
	int		 verbose;

	parent.conf = conf;
	parent.serial++;
	verbose = parent_verbose(conf);
	if (verbose != log_getverbose()) {
		log_setverbose(verbose);
		child_verbose((uint32_t)verbose);
	}
	for (peer = 0; peer < PEERS; peer++)
		if (child_link(peer) != NULL)
			sendconf(peer, child_link(peer), old);
	drop_rings(old, conf);
}

static void
reload_refused(struct config *conf, const char *report, int asked,
    uint32_t asker)
{
	log_warnx("reload: %d error%s, nothing has changed", conf->errors,
	    conf->errors == 1 ? "" : "s");
	answer(asked, asker, (uint32_t)conf->errors, report);
	config_free(conf);
	notify_ready();
}

void
reload(int asked, uint32_t asker)
{
	struct config	*conf, *old = parent.conf;
	const char	*report;

	if (parent.stopping || !parent.started || now.busy) {
		answer(asked, asker, 1, parent.stopping ?
		    "keepd is stopping" : "another reload is under way");
		return;
	}
	notify_reloading();
	log_notice("reload: reading %s", old->path);
	conf = reload_read(old);
	report = config_report(conf);
	log_report(report);
	if (conf->errors > 0) {
		reload_refused(conf, report, asked, asker);
		return;
	}
	now.busy = 1;
	now.asked = asked;
	now.asker = asker;
	if ((now.text = strdup(report)) == NULL)
		fatal("reload");
	reload_apply(conf, old);
	config_free(old);
}

/* All that live have it; who is being started afresh gets it anyway. */
void
reload_progress(void)
{
	enum peer	 peer;

	if (!now.busy)
		return;
	for (peer = 0; peer < PEERS; peer++)
		if (child_link(peer) != NULL &&
		    child_serial(peer) != parent.serial)
			return;
	log_notice("reload: configuration %u is in force", parent.serial);
	answer(now.asked, now.asker, 0, now.text);
	free(now.text);
	now.text = NULL;
	now.busy = 0;
	notify_ready();
}
