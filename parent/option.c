/*
 * What the statements of keepd.conf do; see option.h.  What only the whole
 * file can tell is in check.c.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <arpa/inet.h>

#include <ctype.h>
#include <stddef.h>
#include <string.h>

#include "config.h"
#include "option.h"
#include "util.h"

/* Keys that name or make a single service. */
#define SERVICE_ONLY	(KEY_BIT(KEY_DESCRIPTION) | KEY_BIT(KEY_LABEL) |	\
	KEY_BIT(KEY_COMMAND) | KEY_BIT(KEY_COMMAND_DEV) |		\
	KEY_BIT(KEY_COMMAND_RELEASE) | KEY_BIT(KEY_ARGS))

#define AT(field)	offsetof(struct service, field)
#define ANY		{ 0, 0, 0 }

/* Keys whose value is one word: how it is read and where it goes. */
enum value_kind { AS_NUMBER, AS_DURATION, AS_SIZE, AS_OCTAL, AS_FACTOR,
	AS_SIGNAL, AS_CHOICE };
static const struct value_row {
	enum svc_key		 key;
	enum value_kind		 kind;
	const char		*word;
	size_t			 offset;
	struct range		 range;
	const struct choice	*choices;
} value_rows[] = {
	{ KEY_TYPE, AS_CHOICE, "type", AT(type), ANY, type_choices },
	{ KEY_UMASK, AS_OCTAL, "umask", AT(umask), ANY, NULL },
	{ KEY_ENV_INHERIT, AS_CHOICE, "env inherit", AT(env_inherit),
	    ANY, yesno_choices },
	{ KEY_DIRENV, AS_CHOICE, "direnv", AT(direnv), ANY, tri_choices },
	{ KEY_AUTOSTART, AS_CHOICE, "autostart", AT(autostart), ANY,
	    yesno_choices },
	{ KEY_BUILD_TIMEOUT, AS_DURATION, "build timeout", AT(build_timeout_ms),
	    { MS_SECOND, 24 * MS_HOUR, 0 }, NULL },
	{ KEY_STOP_SIGNAL, AS_SIGNAL, "stop signal", AT(stop_signal),
	    ANY, NULL },
	{ KEY_STOP_TIMEOUT, AS_DURATION, "stop timeout", AT(stop_timeout_ms),
	    { 0, MS_HOUR, 0 }, NULL },
	{ KEY_KILL_WAIT, AS_DURATION, "stop kill wait", AT(kill_wait_ms),
	    { 0, MS_HOUR, 0 }, NULL },
	{ KEY_BACKOFF, AS_CHOICE, "backoff", AT(backoff), ANY,
	    backoff_choices },
	{ KEY_BACKOFF_INITIAL, AS_DURATION, "backoff", AT(backoff_initial_ms),
	    { 0, 365 * MS_DAY, 0 }, NULL },
	{ KEY_FACTOR, AS_FACTOR, "backoff factor", AT(factor_milli), ANY,
	    NULL },
	{ KEY_BACKOFF_MAX, AS_DURATION, "backoff max", AT(backoff_max_ms),
	    { 0, 365 * MS_DAY, 0 }, NULL },
	{ KEY_FREE, AS_NUMBER, "backoff free", AT(free_attempts),
	    { 0, 1000000, 0 }, NULL },
	{ KEY_FIRST_DEV, AS_DURATION, "backoff first dev", AT(first_dev_ms),
	    { 0, 365 * MS_DAY, 0 }, NULL },
	{ KEY_ATTEMPTS, AS_NUMBER, "attempts", AT(max_attempts),
	    { 0, 1000000, 0 }, NULL },
	{ KEY_STABLE, AS_DURATION, "stable after", AT(stable_ms),
	    { 0, 365 * MS_DAY, 0 }, NULL },
	{ KEY_LOG_LINES, AS_NUMBER, "log lines", AT(log_lines),
	    { 1, 100000000, 0 }, NULL },
	{ KEY_LOG_RUNS, AS_NUMBER, "log runs", AT(log_runs), { 1, 1000, 0 },
	    NULL },
	{ KEY_LOG_RING, AS_SIZE, "log ring", AT(ring_bytes),
	    { 1, CONF_RING_MAX, 0 }, NULL },
	{ KEY_CEILING, AS_CHOICE, "allow network", AT(ceiling), ANY,
	    role_choices },
};

static const struct text_row {
	enum svc_key	 key;
	const char	*word;
	size_t		 offset;
	size_t		 max;		/* bytes with the NUL */
} text_rows[] = {
	{ KEY_DESCRIPTION, "description", AT(description), LABEL_SIZE },
	{ KEY_LABEL, "label", AT(label), LABEL_SIZE },
	{ KEY_GROUP, "group", AT(group), NAME_SIZE },
	{ KEY_DIRECTORY, "directory", AT(directory), PATH_SIZE },
	{ KEY_USER, "user", AT(user), NAME_SIZE },
	{ KEY_ARTIFACT, "artifact", AT(artifact), PATH_SIZE },
};

static const struct words_row {
	enum svc_key	 key;
	int		 may_be_empty;
	const char	*word;
	size_t		 offset;
} words_rows[] = {
	{ KEY_COMMAND, 0, "command", AT(command) },
	{ KEY_COMMAND_DEV, 0, "command dev", AT(command_dev) },
	{ KEY_COMMAND_RELEASE, 0, "command release", AT(command_release) },
	{ KEY_ARGS, 1, "args", AT(args) },
	{ KEY_BUILD, 0, "build", AT(build) },
	{ KEY_BUILD_RELEASE, 0, "build release", AT(build_release) },
};

/* Names of services, groups and policies. */
int
name_ok(const char *name)
{
	size_t	 n;

	for (n = 0; name[n] != '\0'; n++)
		if (!isalnum((unsigned char)name[n]) &&
		    strchr("._-", name[n]) == NULL)
			return (0);
	return (n > 0 && n < NAME_SIZE);
}

static void
name_check(struct config *conf, const struct pos *pos, const char *what,
    const char *name)
{
	if (!name_ok(name))
		config_error(conf, pos, "%s `%s`: a name has 1 to %d letters, "
		    "digits, dots, underscores and hyphens", what, name,
		    NAME_SIZE - 1);
}

static void
endpoint_add(struct config *conf, struct endpoint *ep)
{
	const struct endpoint	*e;

	TAILQ_FOREACH(e, &conf->listen, entry) {
		if (e->kind != ep->kind)
			continue;
		if (ep->kind == LISTEN_UNIX ? strcmp(e->path, ep->path) == 0 :
		    strcmp(e->address, ep->address) == 0 && e->port == ep->port)
			config_error(conf, &ep->pos, "listen on: the same as "
			    "in line %d", e->pos.line);
	}
	TAILQ_INSERT_TAIL(&conf->listen, ep, entry);
}

static int
address_is_loopback(enum listen_kind kind, const void *address)
{
	static const uint8_t	 one[16] = { [15] = 1 };

	if (kind == LISTEN_INET)
		return (*(const uint8_t *)address == 127);
	return (memcmp(address, one, sizeof(one)) == 0);
}

void
listen_inet(struct config *conf, const struct pos *pos, const char *address,
    const char *port)
{
	struct endpoint	*ep = config_alloc(conf, sizeof(*ep));
	unsigned char	 bytes[16];
	char		 text[INET6_ADDRSTRLEN];
	int		 af = strchr(address, ':') == NULL ? AF_INET : AF_INET6;

	ep->pos = *pos;
	ep->kind = af == AF_INET ? LISTEN_INET : LISTEN_INET6;
	if (value_number(conf, pos, "listen on: port", port, RANGE_PORT,
	    &ep->port) == -1)
		return;
	if (inet_pton(af, address, bytes) != 1) {
		config_error(conf, pos, "listen on: `%s` is not an IP address "
		    "like 127.0.0.1 or ::1", address);
		return;
	}
	if (!address_is_loopback(ep->kind, bytes)) {
		config_error(conf, pos, "listen on: %s is not a loopback "
		    "address (127.0.0.1, ::1): clients of other hosts have no "
		    "identity here", address);
		return;
	}
	ep->address = config_strdup(conf, inet_ntop(af, bytes, text,
	    sizeof(text)));
	endpoint_add(conf, ep);
}

static const char *
socket_path(struct config *conf, const struct pos *pos, const char *path)
{
	path = global_path(conf, pos, path);
	if (strlen(path) > CONF_SOCKET_MAX)
		config_error(conf, pos, "the socket's path has more than %d "
		    "bytes: %s", CONF_SOCKET_MAX, path);
	return (path);
}

struct endpoint *
listen_unix(struct config *conf, const struct pos *pos, const char *path)
{
	struct endpoint	*ep = config_alloc(conf, sizeof(*ep));

	ep->pos = *pos;
	ep->kind = LISTEN_UNIX;
	ep->mode = CONF_MODE_NONE;
	ep->path = socket_path(conf, pos, path);
	endpoint_add(conf, ep);
	return (ep);
}

struct endpoint *
control_socket(struct config *conf, const struct pos *pos, const char *path)
{
	conf->control.pos = *pos;
	conf->control.path = socket_path(conf, pos, path);
	return (&conf->control);
}

const char *
global_path(struct config *conf, const struct pos *pos, const char *path)
{
	if (*path == '\0')
		config_error(conf, pos, "an empty path");
	path = path_resolve(conf, path_dirname(conf, pos->file), path);
	if (strlen(path) >= PATH_SIZE)
		config_error(conf, pos, "a path of more than %d bytes",
		    PATH_SIZE - 1);
	else if (!proto_str_ok(path, strlen(path) + 1))
		config_error(conf, pos, "control bytes in a path");
	return (path);
}

/* A name or address as it stands in Host:, without a port. */
static int
host_ok(const char *host)
{
	size_t	 n;

	for (n = 0; host[n] != '\0'; n++)
		if (!isalnum((unsigned char)host[n]) &&
		    strchr("-._:[]", host[n]) == NULL)
			return (0);
	return (n > 0 && n < 256);
}

void
host_allow(struct config *conf, const struct pos *pos,
    const struct words *hosts)
{
	const struct word	*w;

	TAILQ_FOREACH(w, hosts, entry) {
		if (!host_ok(w->text))
			config_error(conf, pos, "host allow: `%s` is not the "
			    "name of a host", w->text);
		words_add(conf, &conf->hosts, w->text);
	}
}

/* scheme://host[:port], as browsers send it: no path, not even a slash. */
static int
origin_ok(const char *origin)
{
	const char	*host = strstr(origin, "://");
	size_t		 n;

	if (host == NULL || host == origin)
		return (0);
	for (n = 0; origin + n < host; n++)
		if (!isalnum((unsigned char)origin[n]) &&
		    strchr("+-.", origin[n]) == NULL)
			return (0);
	return (host_ok(host + 3) && strlen(origin) < 256);
}

void
origin_allow(struct config *conf, const struct pos *pos,
    const struct words *origins)
{
	const struct word	*w;

	TAILQ_FOREACH(w, origins, entry) {
		if (!origin_ok(w->text))
			config_error(conf, pos, "origin allow: `%s` is not an "
			    "origin like http://localhost:5173", w->text);
		words_add(conf, &conf->origins, w->text);
	}
}

struct service *
block_service(struct config *conf, const struct pos *pos, const char *name)
{
	struct service	*svc, *old;

	name_check(conf, pos, "service", name);
	if ((old = service_find(&conf->services, name)) != NULL)
		config_error(conf, pos, "service %s is defined twice (before: "
		    "%s:%d)", name, old->pos.file, old->pos.line);
	svc = service_new(conf, pos, name);
	if (conf->defaults != NULL)
		service_apply(conf, svc, conf->defaults);
	TAILQ_INSERT_TAIL(&conf->services, svc, entry);
	conf->nservices++;
	return (svc);
}

struct service *
block_policy(struct config *conf, const struct pos *pos, const char *name)
{
	struct service	*policy;

	name_check(conf, pos, "policy", name);
	if (preset_is(name))
		config_error(conf, pos, "policy %s is built in: take another "
		    "name", name);
	else if (service_find(&conf->policies, name) != NULL)
		config_error(conf, pos, "policy %s is defined twice", name);
	policy = service_new(conf, pos, name);
	policy->block = BLOCK_POLICY;
	return (policy);
}

struct service *
block_defaults(struct config *conf, const struct pos *pos)
{
	struct service	*svc = service_new(conf, pos, "defaults");

	svc->block = BLOCK_DEFAULTS;
	if (conf->defaults != NULL)
		config_error(conf, pos, "a second defaults block (the first: "
		    "%s:%d)", conf->defaults->pos.file,
		    conf->defaults->pos.line);
	else if (!TAILQ_EMPTY(&conf->services))
		config_error(conf, pos, "the defaults block must come before "
		    "the first service");
	return (svc);
}

/* Only now can a policy be used: it cannot name itself. */
void
block_done(struct config *conf, struct service *svc)
{
	if (svc->block == BLOCK_DEFAULTS)
		conf->defaults = svc;
	else if (svc->block == BLOCK_POLICY)
		TAILQ_INSERT_TAIL(&conf->policies, svc, entry);
}

/* 1: this key may be set in this block; an error was reported otherwise. */
static int
option_allowed(struct config *conf, struct service *svc, const struct pos *pos,
    enum svc_key key, const char *word)
{
	if ((KEY_BIT(key) & SERVICE_ONLY) && svc->block != BLOCK_SERVICE) {
		config_error(conf, pos, "%s belongs to one service, not to %s",
		    word, svc->block == BLOCK_POLICY ? "a policy" : "defaults");
		return (0);
	}
	svc->set |= KEY_BIT(key);
	return (1);
}

void
option_text(struct config *conf, struct service *svc, const struct pos *pos,
    enum svc_key key, const char *text)
{
	const struct text_row	*row = text_rows;

	while (row->key != key)
		row++;
	if (!option_allowed(conf, svc, pos, key, row->word))
		return;
	if (strlen(text) >= row->max)
		config_error(conf, pos, "%s: more than %zu bytes", row->word,
		    row->max - 1);
	else if (!proto_str_ok(text, strlen(text) + 1))
		config_error(conf, pos, "%s: control bytes are not allowed",
		    row->word);
	else if (*text == '\0' && key != KEY_DESCRIPTION && key != KEY_LABEL)
		config_error(conf, pos, "%s: an empty text", row->word);
	else if (key == KEY_GROUP)
		name_check(conf, pos, "group", text);
	/* A directory is relative to the file that names it. */
	if (key == KEY_DIRECTORY && *text != '\0')
		text = global_path(conf, pos, text);
	*(const char **)(void *)((char *)svc + row->offset) = text;
}

void
option_value(struct config *conf, struct service *svc, const struct pos *pos,
    enum svc_key key, const char *text)
{
	const struct value_row	*row = value_rows;
	void			*field;

	while (row->key != key)
		row++;
	if (!option_allowed(conf, svc, pos, key, row->word))
		return;
	field = (char *)svc + row->offset;
	switch (row->kind) {
	case AS_NUMBER:
		value_number(conf, pos, row->word, text, row->range, field);
		break;
	case AS_DURATION:
		value_duration(conf, pos, row->word, text, row->range, field);
		break;
	case AS_SIZE:
		value_size(conf, pos, row->word, text, row->range, field);
		break;
	case AS_OCTAL:
		value_octal(conf, pos, row->word, text, field);
		break;
	case AS_FACTOR:
		value_factor(conf, pos, row->word, text, field);
		break;
	case AS_SIGNAL:
		value_signal(conf, pos, row->word, text, field);
		break;
	case AS_CHOICE:
		value_choice(conf, pos, row->word, text, row->choices, field);
		break;
	}
}

void
option_words(struct config *conf, struct service *svc, const struct pos *pos,
    enum svc_key key, struct words *words)
{
	const struct words_row	*row = words_rows;

	while (row->key != key)
		row++;
	if (!option_allowed(conf, svc, pos, key, row->word) || words == NULL)
		return;
	if (words_count(words) == 0 && !row->may_be_empty)
		config_error(conf, pos, "%s: no words", row->word);
	else if (words_count(words) > 0 && !row->may_be_empty &&
	    *TAILQ_FIRST(words)->text == '\0')
		config_error(conf, pos, "%s: the program's name is empty",
		    row->word);
	if (key == KEY_COMMAND && svc->shell)
		config_error(conf, pos, "command and shell exclude each other");
	*(struct words **)(void *)((char *)svc + row->offset) = words;
}

void
option_shell(struct config *conf, struct service *svc, const struct pos *pos,
    const char *text)
{
	if (!option_allowed(conf, svc, pos, KEY_COMMAND, "shell"))
		return;
	if (svc->command != NULL && !svc->shell)
		config_error(conf, pos, "command and shell exclude each other");
	if (text[strspn(text, " \t\n")] == '\0')
		config_error(conf, pos, "shell: no command");
	svc->shell = 1;
	svc->command = words_new(conf);
	words_add(conf, svc->command, text);
}

void
option_env(struct config *conf, struct service *svc, const struct pos *pos,
    const char *name, const char *value)
{
	const char	*p;

	for (p = name; isalnum((unsigned char)*p) || *p == '_'; p++)
		;
	if (*p != '\0' || p == name || isdigit((unsigned char)*name)) {
		config_error(conf, pos, "env: `%s` is not the name of a "
		    "variable", name);
		return;
	}
	service_env(conf, svc, name, value);
}

void
option_restart(struct service *svc, enum restart_on on)
{
	svc->restart_on = on;
	svc->set |= KEY_BIT(KEY_RESTART);
}

void
option_policy(struct config *conf, struct service *svc, const struct pos *pos,
    const char *name)
{
	const struct service	*policy;

	policy = service_find(&conf->policies, name);
	if (policy == NULL)
		config_error(conf, pos, "policy `%s` is not defined (before "
		    "this line)", name);
	else
		service_apply(conf, svc, policy);
}
