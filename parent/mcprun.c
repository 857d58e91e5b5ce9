/*
 * Reads .mcp-run, the TOML file of S0 (S0-3 to S0-16), into the same structures
 * that keepd.conf fills.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "option.h"
#include "toml.h"
#include "util.h"

#define MCPRUN_POLICY	"bpm-dev"	/* S0-29 to S0-34 */

/* Numbers of the file, in its units; least..most is what makes sense. */
struct mcprun {
	int64_t		 port;
	int64_t		 dev_timeout;
	int64_t		 dev_wait;
	int64_t		 backoff_initial;
	int64_t		 backoff_max;
};

static const struct number_row {
	const char	*key;
	size_t		 offset;
	int64_t		 least;
	int64_t		 most;
	int64_t		 value;		/* without the key; -1: needed */
} number_rows[] = {
	{ "mcp_port", offsetof(struct mcprun, port), 1, 65535, -1 },
	{ "dev_timeout_hours", offsetof(struct mcprun, dev_timeout),
	    1, 365 * 24, 3 },
	{ "dev_crash_wait_seconds", offsetof(struct mcprun, dev_wait),
	    0, 365 * 86400, 120 },
	{ "release_crash_backoff_initial_seconds",
	    offsetof(struct mcprun, backoff_initial), 0, 365 * 86400, 1 },
	{ "release_crash_backoff_max_seconds",
	    offsetof(struct mcprun, backoff_max), 0, 365 * 86400, 300 },
};

static struct config	*conf;
static const char	*file;

static struct pos
at(const struct toml_value *v)
{
	return ((struct pos){ file, toml_line(v) });
}

static const struct number_row *
number_find(const char *key)
{
	size_t	 i;

	for (i = 0; i < nitems(number_rows); i++)
		if (strcmp(number_rows[i].key, key) == 0)
			return (&number_rows[i]);
	return (NULL);
}

static void
read_number(const struct toml_value *root, const struct number_row *row,
    struct mcprun *m)
{
	const struct toml_value	*v = toml_get(root, row->key);
	int64_t			*out = (int64_t *)(void *)
				    ((char *)m + row->offset);
	struct pos		 pos = { file, 0 };

	*out = row->value;
	if (v == NULL) {
		if (row->value == -1)
			config_error(conf, &pos, "%s is missing", row->key);
		return;
	}
	pos = at(v);
	if (toml_integer(v, out) == -1 || *out < row->least ||
	    *out > row->most)
		config_error(conf, &pos, "%s: not a whole number from %lld to "
		    "%lld", row->key, (long long)row->least,
		    (long long)row->most);
}

/* S0-13: S0 ignored them; a slip of the finger should be seen. */
static void
warn_unknown(const struct toml_value *root)
{
	const char	*key;
	struct pos	 pos;
	size_t		 i;

	for (i = 0; i < toml_count(root); i++) {
		key = toml_key_at(root, i);
		pos = at(toml_at(root, i));
		if (number_find(key) == NULL && strcmp(key, "process") != 0)
			config_warning(conf, &pos, "unknown key `%s` is "
			    "ignored", key);
	}
}

/* A list of strings without NULs; NULL after an error or without the key. */
static struct words *
read_list(const struct toml_value *process, const char *name, const char *key)
{
	const struct toml_value	*list = toml_get(process, key);
	struct words		*words;
	struct pos		 pos;
	const char		*s;
	size_t			 i, len;

	if (list == NULL)
		return (NULL);
	pos = at(list);
	if (toml_type(list) != TOML_ARRAY) {
		config_error(conf, &pos, "process %s: %s is not a list of "
		    "strings", name, key);
		return (NULL);
	}
	words = words_new(conf);
	for (i = 0; i < toml_count(list); i++) {
		s = toml_string(toml_at(list, i), &len);
		if (s == NULL || strlen(s) != len) {
			config_error(conf, &pos, "process %s: %s has an "
			    "element that is not a string", name, key);
			return (NULL);
		}
		words_add(conf, words, s);
	}
	return (words);
}

static void
process_keys(const struct toml_value *process, const char *name)
{
	static const char *const	 known[] = { "type", "args",
	    "command" };
	const char			*key;
	struct pos			 pos;
	size_t				 i, j;

	for (i = 0; i < toml_count(process); i++) {
		key = toml_key_at(process, i);
		pos = at(toml_at(process, i));
		for (j = 0; j < nitems(known); j++)
			if (strcmp(key, known[j]) == 0)
				break;
		if (j == nitems(known))
			config_warning(conf, &pos, "process %s: unknown key "
			    "`%s` is ignored", name, key);
	}
}

/* S0-10 */
static int
process_type(const struct toml_value *process, struct service *svc)
{
	const struct toml_value	*v = toml_get(process, "type");
	const char		*type = NULL;
	struct pos		 pos = svc->pos;
	size_t			 len;

	if (v != NULL) {
		pos = at(v);
		type = toml_string(v, &len);
	}
	if (type != NULL && strcmp(type, "rust") == 0)
		svc->type = TYPE_RUST;
	else if (type != NULL && strcmp(type, "npm") == 0)
		svc->type = TYPE_NPM;
	else {
		config_error(conf, &pos, "process %s: type must be \"rust\" "
		    "or \"npm\"%s", svc->name, v == NULL ? ", and is missing" :
		    "");
		return (-1);
	}
	return (0);
}

/* S0-11, S0-12 */
static void
process_words(struct service *svc, struct words *args, struct words *command)
{
	int	 rust = svc->type == TYPE_RUST;

	if (rust ? words_count(command) > 0 : words_count(args) > 0)
		config_warning(conf, &svc->pos, "process %s: %s is ignored "
		    "for type %s", svc->name, rust ? "command" : "args",
		    rust ? "rust" : "npm");
	if (rust)
		svc->args = args;
	else if (words_count(command) > 0 &&
	    *TAILQ_FIRST(command)->text != '\0')
		svc->command = command;
}

static void
read_process(const struct toml_value *process, const char *name,
    const struct mcprun *m)
{
	struct pos	 pos = at(process);
	struct service	*svc;

	if (toml_type(process) != TOML_TABLE) {
		config_error(conf, &pos, "process.%s is not a table", name);
		return;
	}
	svc = block_service(conf, &pos, config_strdup(conf, name));
	process_keys(process, name);
	if (process_type(process, svc) == -1) {
		/* Its absence of a command would be a second error. */
		svc->type = TYPE_RUST;
		return;
	}
	option_policy(conf, svc, &pos, MCPRUN_POLICY);
	/* 0 s is a delay here, and "none" there: the least that is one. */
	svc->first_dev_ms = m->dev_wait == 0 ? 1 :
	    (uint64_t)m->dev_wait * MS_SECOND;
	svc->backoff_initial_ms = (uint64_t)m->backoff_initial * MS_SECOND;
	svc->backoff_max_ms = (uint64_t)m->backoff_max * MS_SECOND;
	process_words(svc, read_list(process, name, "args"),
	    read_list(process, name, "command"));
}

static void
read_processes(const struct toml_value *root, const struct mcprun *m)
{
	const struct toml_value	*table = toml_get(root, "process");
	struct pos		 pos = { file, 0 };
	size_t			 i;

	if (table == NULL || toml_type(table) != TOML_TABLE ||
	    toml_count(table) == 0) {
		config_error(conf, &pos, "no processes defined: there is no "
		    "table [process.NAME]");
		return;
	}
	for (i = 0; i < toml_count(table); i++)
		read_process(toml_at(table, i), toml_key_at(table, i), m);
}

static void
read_global(struct mcprun *m)
{
	struct endpoint	*ep = config_alloc(conf, sizeof(*ep));

	ep->pos = (struct pos){ file, 0 };
	ep->kind = LISTEN_INET;
	ep->address = "127.0.0.1";	/* S0-19 */
	ep->port = (uint32_t)m->port;
	TAILQ_INSERT_TAIL(&conf->listen, ep, entry);
	conf->mode_timeout_ms = (uint64_t)m->dev_timeout * MS_HOUR;
	if (m->backoff_initial > m->backoff_max) {
		config_error(conf, &ep->pos, "release_crash_backoff_initial_"
		    "seconds (%lld) is more than release_crash_backoff_max_"
		    "seconds (%lld)", (long long)m->backoff_initial,
		    (long long)m->backoff_max);
		m->backoff_max = m->backoff_initial;	/* said once */
	}
}

/* S0-17: the words of RUST_LOG; S0 began at info. */
static void
read_verbosity(void)
{
	const char	*level = getenv("RUST_LOG");

	conf->verbose = 1;
	if (level == NULL)
		return;
	if (strcmp(level, "debug") == 0 || strcmp(level, "trace") == 0)
		conf->verbose = 2;
	else if (strcmp(level, "warn") == 0 || strcmp(level, "error") == 0)
		conf->verbose = 0;
}

void
mcprun_parse(struct config *c, const char *path)
{
	struct toml_value	*root;
	struct toml_error	 error;
	struct mcprun		 m = { 0 };
	const char		*text;
	size_t			 len, i;
	int			 errors;

	conf = c;
	file = path;
	if ((text = path_read(conf, NULL, path, &len)) == NULL)
		return;
	if ((root = toml_parse(text, len, &error)) == NULL) {
		config_error(conf, &(struct pos){ path, error.line },
		    "column %d: %s", error.column, error.text);
		return;
	}
	errors = conf->errors;
	warn_unknown(root);
	for (i = 0; i < nitems(number_rows); i++)
		read_number(root, &number_rows[i], &m);
	if (conf->errors == errors)
		read_global(&m);
	read_processes(root, &m);
	read_verbosity();
	toml_free(root);
}
