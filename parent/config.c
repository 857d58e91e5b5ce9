/*
 * The configuration's memory, its list of errors, and how services, policies
 * and defaults combine.  Not the language (parse.y) nor the checks (check.c).
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "log.h"
#include "util.h"

#define MINUTE_MS	(60ULL * 1000)

struct chunk {
	SLIST_ENTRY(chunk)	 entry;
	max_align_t		 data[];
};

const struct choice type_choices[] = {
	{ "command", TYPE_COMMAND }, { "rust", TYPE_RUST }, { "npm", TYPE_NPM },
	{ NULL, 0 }
};
const struct choice backoff_choices[] = {
	{ "none", BACKOFF_NONE }, { "fixed", BACKOFF_FIXED },
	{ "linear", BACKOFF_LINEAR }, { "exponential", BACKOFF_EXPONENTIAL },
	{ NULL, 0 }
};
const struct choice tri_choices[] = {
	{ "yes", TRI_YES }, { "no", TRI_NO }, { "auto", TRI_AUTO }, { NULL, 0 }
};
const struct choice yesno_choices[] = {
	{ "yes", 1 }, { "no", 0 }, { NULL, 0 }
};
const struct choice role_choices[] = {
	{ "none", ROLE_NONE }, { "observe", ROLE_OBSERVE },
	{ "operate", ROLE_OPERATE }, { "manage", ROLE_MANAGE }, { NULL, 0 }
};
const struct choice mode_choices[] = {
	{ "dev", MODE_DEV }, { "release", MODE_RELEASE }, { NULL, 0 }
};

/* The fields that a key stands for: what `policy NAME` copies. */
#define FIELD(key, field)						\
	{ key, offsetof(struct service, field),				\
	    sizeof(((struct service *)0)->field) }
#define POINTER(key, field)						\
	{ key, offsetof(struct service, field), sizeof(void *) }
static const struct {
	enum svc_key	 key;
	size_t		 offset;
	size_t		 size;
} service_fields[] = {
	FIELD(KEY_GROUP, group),
	FIELD(KEY_TYPE, type),
	FIELD(KEY_DIRECTORY, directory),
	FIELD(KEY_USER, user),
	FIELD(KEY_UMASK, umask),
	FIELD(KEY_ENV_INHERIT, env_inherit),
	FIELD(KEY_DIRENV, direnv),
	FIELD(KEY_AUTOSTART, autostart),
	POINTER(KEY_BUILD, build),
	POINTER(KEY_BUILD_RELEASE, build_release),
	FIELD(KEY_ARTIFACT, artifact),
	FIELD(KEY_BUILD_TIMEOUT, build_timeout_ms),
	FIELD(KEY_STOP_SIGNAL, stop_signal),
	FIELD(KEY_STOP_TIMEOUT, stop_timeout_ms),
	FIELD(KEY_KILL_WAIT, kill_wait_ms),
	FIELD(KEY_RESTART, restart_on),
	FIELD(KEY_BACKOFF, backoff),
	FIELD(KEY_BACKOFF_INITIAL, backoff_initial_ms),
	FIELD(KEY_FACTOR, factor_milli),
	FIELD(KEY_BACKOFF_MAX, backoff_max_ms),
	FIELD(KEY_FREE, free_attempts),
	FIELD(KEY_FIRST_DEV, first_dev_ms),
	FIELD(KEY_TRUNCATE, truncate_seconds),
	FIELD(KEY_ATTEMPTS, max_attempts),
	FIELD(KEY_STABLE, stable_ms),
	FIELD(KEY_LOG_LINES, log_lines),
	FIELD(KEY_LOG_RUNS, log_runs),
	FIELD(KEY_LOG_RING, ring_bytes),
	FIELD(KEY_CEILING, ceiling),
};

static void	config_note(struct config *, const struct pos *, const char *,
		    const char *, va_list) __attribute__((format(printf, 4, 0)));

void *
config_alloc(struct config *conf, size_t size)
{
	struct chunk	*c;

	if ((c = calloc(1, sizeof(*c) + size)) == NULL)
		fatal("configuration");
	SLIST_INSERT_HEAD(&conf->chunks, c, entry);
	return (c->data);
}

const char *
config_strdup(struct config *conf, const char *s)
{
	size_t	 len = strlen(s) + 1;

	return (memcpy(config_alloc(conf, len), s, len));
}

const char *
config_printf(struct config *conf, const char *fmt, ...)
{
	const char	*copy;
	char		*s;
	va_list		 ap;

	va_start(ap, fmt);
	if (vasprintf(&s, fmt, ap) == -1)
		fatal("configuration");
	va_end(ap);
	copy = config_strdup(conf, s);
	free(s);
	return (copy);
}

/* The numbers of requirements 9.3. */
static void
config_defaults(struct config *conf)
{
	conf->system_mode = (geteuid() == 0);
	conf->initial_mode = MODE_RELEASE;
	conf->mode_timeout_ms = 180 * MINUTE_MS;
	conf->mode_check_ms = MINUTE_MS;
	conf->echo = 1;
	conf->max_request = 1024 * 1024;
	conf->max_connections = 256;
	conf->max_user_connections = 64;
	conf->search_timeout_ms = 10 * 1000;
	conf->search_jit = 1;
	conf->control.kind = LISTEN_UNIX;
	conf->control.mode = CONF_MODE_NONE;
}

static void
config_define(struct config *conf, const char *definition)
{
	struct macro	*m = config_alloc(conf, sizeof(*m));
	const char	*eq = strchr(definition, '=');

	if (eq == NULL || eq == definition) {
		config_error(conf, NULL, "-D %s: write it as -D macro=value",
		    definition);
		return;
	}
	m->name = config_printf(conf, "%.*s", (int)(eq - definition),
	    definition);
	m->value = config_strdup(conf, eq + 1);
	m->fixed = 1;
	TAILQ_INSERT_TAIL(&conf->macros, m, entry);
}

struct config *
config_new(const char *path, const struct conf_options *options)
{
	struct config	*conf;
	size_t		 i;

	if ((conf = calloc(1, sizeof(*conf))) == NULL)
		fatal("configuration");
	SLIST_INIT(&conf->chunks);
	TAILQ_INIT(&conf->macros);
	TAILQ_INIT(&conf->listen);
	TAILQ_INIT(&conf->hosts);
	TAILQ_INIT(&conf->origins);
	TAILQ_INIT(&conf->policies);
	TAILQ_INIT(&conf->services);
	conf->report = open_memstream(&conf->report_text, &conf->report_size);
	if (conf->report == NULL)
		fatal("configuration");
	conf->path = config_strdup(conf, path);
	conf->options = options;
	config_defaults(conf);
	for (i = 0; i < options->nmacros; i++)
		config_define(conf, options->macros[i]);
	return (conf);
}

void
config_free(struct config *conf)
{
	struct chunk	*c;

	if (conf == NULL)
		return;
	while ((c = SLIST_FIRST(&conf->chunks)) != NULL) {
		SLIST_REMOVE_HEAD(&conf->chunks, entry);
		free(c);
	}
	fclose(conf->report);
	free(conf->report_text);
	free(conf);
}

struct config *
config_load(const char *path, const struct conf_options *options)
{
	struct config	*conf = config_new(path, options);
	const char	*slash = strrchr(path, '/');

	preset_define(conf);
	if (strcmp(slash == NULL ? path : slash + 1, ".mcp-run") == 0)
		mcprun_parse(conf, conf->path);
	else
		parse_config(conf, conf->path);
	config_check(conf);
	return (conf);
}

static void
config_note(struct config *conf, const struct pos *pos, const char *kind,
    const char *fmt, va_list ap)
{
	if (pos != NULL && pos->file != NULL) {
		fputs(pos->file, conf->report);
		if (pos->line > 0)
			fprintf(conf->report, ":%d", pos->line);
		fputs(": ", conf->report);
	}
	fputs(kind, conf->report);
	vfprintf(conf->report, fmt, ap);
	fputc('\n', conf->report);
}

void
config_error(struct config *conf, const struct pos *pos, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	config_note(conf, pos, "", fmt, ap);
	va_end(ap);
	conf->errors++;
}

void
config_warning(struct config *conf, const struct pos *pos, const char *fmt, ...)
{
	va_list	 ap;

	va_start(ap, fmt);
	config_note(conf, pos, "warning: ", fmt, ap);
	va_end(ap);
	conf->warnings++;
}

const char *
config_report(struct config *conf)
{
	if (fflush(conf->report) == EOF)
		fatal("configuration");
	return (conf->report_text);
}

struct words *
words_new(struct config *conf)
{
	struct words	*words = config_alloc(conf, sizeof(*words));

	TAILQ_INIT(words);
	return (words);
}

void
words_add(struct config *conf, struct words *words, const char *text)
{
	struct word	*w = config_alloc(conf, sizeof(*w));

	w->text = config_strdup(conf, text);
	TAILQ_INSERT_TAIL(words, w, entry);
}

size_t
words_count(const struct words *words)
{
	const struct word	*w;
	size_t			 n = 0;

	if (words != NULL)
		TAILQ_FOREACH(w, words, entry)
			n++;
	return (n);
}

int
words_equal(const struct words *a, const struct words *b)
{
	const struct word	*v, *w;

	v = a == NULL ? NULL : TAILQ_FIRST(a);
	w = b == NULL ? NULL : TAILQ_FIRST(b);
	for (; v != NULL && w != NULL; v = TAILQ_NEXT(v, entry),
	    w = TAILQ_NEXT(w, entry))
		if (strcmp(v->text, w->text) != 0)
			return (0);
	return (v == NULL && w == NULL);
}

/* Values of a service about which the file says nothing (9.3). */
struct service *
service_new(struct config *conf, const struct pos *pos, const char *name)
{
	struct service	*svc = config_alloc(conf, sizeof(*svc));

	svc->pos = *pos;
	svc->name = name;
	svc->description = svc->label = svc->group = "";
	svc->type = TYPE_COMMAND;
	svc->umask = CONF_UMASK_NONE;
	svc->env_inherit = 1;
	svc->direnv = TRI_AUTO;
	svc->autostart = 1;
	svc->build_timeout_ms = 30 * MINUTE_MS;
	svc->stop_signal = SIGTERM;
	svc->stop_timeout_ms = 10 * 1000;
	svc->kill_wait_ms = 2 * 1000;
	svc->restart_on = RESTART_NEVER;
	svc->backoff = BACKOFF_EXPONENTIAL;
	svc->backoff_initial_ms = 2 * 1000;
	svc->factor_milli = 2 * CONF_FACTOR_ONE;
	svc->backoff_max_ms = 5 * MINUTE_MS;
	svc->free_attempts = 1;
	svc->max_attempts = 5;
	svc->stable_ms = 2 * MINUTE_MS;
	svc->log_lines = 10000;
	svc->log_runs = 10;
	svc->ceiling = ROLE_OPERATE;
	svc->uid = geteuid();
	svc->gid = getegid();
	return (svc);
}

struct service *
service_find(const struct services *list, const char *name)
{
	struct service	*svc;

	TAILQ_FOREACH(svc, list, entry)
		if (strcmp(svc->name, name) == 0)
			return (svc);
	return (NULL);
}

void
service_apply(struct config *conf, struct service *svc,
    const struct service *policy)
{
	const struct word	*w;
	const char		*eq;
	size_t			 i;

	for (i = 0; i < nitems(service_fields); i++) {
		if ((policy->set & KEY_BIT(service_fields[i].key)) == 0)
			continue;
		memcpy((char *)svc + service_fields[i].offset,
		    (const char *)policy + service_fields[i].offset,
		    service_fields[i].size);
		svc->set |= KEY_BIT(service_fields[i].key);
	}
	if (policy->env == NULL)
		return;
	TAILQ_FOREACH(w, policy->env, entry) {
		eq = strchr(w->text, '=');
		service_env(conf, svc, config_printf(conf, "%.*s",
		    (int)(eq - w->text), w->text), eq + 1);
	}
}

/* A second value for a variable takes the place of the first. */
void
service_env(struct config *conf, struct service *svc, const char *name,
    const char *value)
{
	const char	*text = config_printf(conf, "%s=%s", name, value);
	struct word	*w;
	size_t		 len = strlen(name);

	svc->set |= KEY_BIT(KEY_ENV);
	if (svc->env == NULL)
		svc->env = words_new(conf);
	TAILQ_FOREACH(w, svc->env, entry) {
		if (strncmp(w->text, name, len) == 0 && w->text[len] == '=') {
			w->text = text;
			return;
		}
	}
	words_add(conf, svc->env, text);
}

int
service_has_build(const struct service *svc)
{
	return (svc->type == TYPE_RUST || svc->build != NULL ||
	    svc->build_release != NULL);
}

uint64_t
service_ring_bytes(const struct service *svc)
{
	uint64_t	 want = svc->ring_bytes, size = CONF_RING_MIN;

	if (want == 0) {
		want = (uint64_t)svc->log_lines * CONF_RING_LINE;
		if (want > CONF_RING_AUTO)
			want = CONF_RING_AUTO;
	}
	while (size < want)
		size *= 2;
	return (size);
}

/*
 * An id that the old configuration used is not given to another service in the
 * same step, so that nobody mistakes one for the other meanwhile.
 */
void
config_ids(struct config *conf, const struct config *old)
{
	static uint8_t	 taken[MAX_SERVICES];
	struct service	*svc, *was;
	uint32_t	 next = 0;

	memset(taken, 0, sizeof(taken));
	if (old != NULL)
		TAILQ_FOREACH(was, &old->services, entry)
			taken[was->id] = 1;
	TAILQ_FOREACH(svc, &conf->services, entry) {
		was = old == NULL ? NULL :
		    service_find(&old->services, svc->name);
		svc->id = was != NULL ? was->id : MAX_SERVICES;
	}
	TAILQ_FOREACH(svc, &conf->services, entry) {
		if (svc->id != MAX_SERVICES)
			continue;
		while (next < MAX_SERVICES && taken[next])
			next++;
		if (next == MAX_SERVICES) {
			config_error(conf, &svc->pos, "no free id for service "
			    "%s in this reload: reload in two steps", svc->name);
			return;
		}
		svc->id = next;
		taken[next] = 1;
	}
}
