/*
 * What keepd.conf says, as structures.  One struct config is one reading of
 * the file; nothing in it changes once config_check() was content, and all of
 * it is freed at once with config_free().
 */
#ifndef KEEPD_CONFIG_H
#define KEEPD_CONFIG_H

#include <sys/types.h>
#include <sys/queue.h>

#include <limits.h>
#include <stdint.h>
#include <stdio.h>

#include "proto.h"

#define CONF_FILE_MAX	(1024 * 1024)	/* bytes of one file */
#define CONF_PORT	8947		/* S3-1 */
#define CONF_SOCKET_MAX	104		/* bytes of a socket's path */
#define CONF_FACTOR_ONE	1000		/* factors are kept in thousandths */
#define CONF_UMASK_NONE	0xffffffffU
#define CONF_MODE_NONE	0xffffffffU
#define CONF_RING_MIN	(512ULL * 1024)		/* RING_BYTES_MIN */
#define CONF_RING_AUTO	(64ULL * 1024 * 1024)	/* most that lines give */
#define CONF_RING_MAX	(4ULL * 1024 * 1024 * 1024)
#define CONF_RING_LINE	128		/* bytes of text foreseen for a line */

struct pos {
	const char	*file;
	int		 line;		/* 0: the file as a whole */
};

struct word {
	TAILQ_ENTRY(word)	 entry;
	const char		*text;
};
TAILQ_HEAD(words, word);

struct endpoint {
	TAILQ_ENTRY(endpoint)	 entry;
	struct pos		 pos;
	enum listen_kind	 kind;
	const char		*address;	/* INET, INET6 */
	uint32_t		 port;
	const char		*path;		/* UNIX: absolute */
	const char		*group;		/* UNIX: NULL for keepd's own */
	uint32_t		 mode;		/* UNIX: CONF_MODE_NONE unset */
};
TAILQ_HEAD(endpoints, endpoint);

/* Which keys of a service, policy or defaults block were given. */
enum svc_key {
	KEY_DESCRIPTION, KEY_LABEL, KEY_GROUP, KEY_TYPE, KEY_COMMAND,
	KEY_COMMAND_DEV, KEY_COMMAND_RELEASE, KEY_ARGS, KEY_DIRECTORY, KEY_USER,
	KEY_UMASK, KEY_ENV, KEY_ENV_INHERIT, KEY_DIRENV, KEY_AUTOSTART,
	KEY_BUILD, KEY_BUILD_RELEASE, KEY_ARTIFACT, KEY_BUILD_TIMEOUT,
	KEY_STOP_SIGNAL, KEY_STOP_TIMEOUT, KEY_KILL_WAIT, KEY_RESTART,
	KEY_BACKOFF, KEY_BACKOFF_INITIAL, KEY_FACTOR, KEY_BACKOFF_MAX,
	KEY_FREE, KEY_FIRST_DEV, KEY_TRUNCATE, KEY_ATTEMPTS, KEY_STABLE,
	KEY_LOG_LINES, KEY_LOG_RUNS, KEY_LOG_RING, KEY_CEILING,
	KEY_COUNT
};
#define KEY_BIT(k)	(1ULL << (k))

enum block { BLOCK_SERVICE, BLOCK_POLICY, BLOCK_DEFAULTS };

struct service {
	TAILQ_ENTRY(service)	 entry;
	enum block		 block;
	struct pos		 pos;
	const char		*name;
	uint32_t		 id;		/* given by config_ids() */
	uint64_t		 set;		/* mask of KEY_BIT */
	const char		*description;
	const char		*label;
	const char		*group;
	const char		*directory;	/* absolute after config_check */
	const char		*user;
	const char		*artifact;
	struct words		*command;	/* NULL: none */
	struct words		*command_dev;
	struct words		*command_release;
	struct words		*args;
	struct words		*env;		/* "NAME=value" */
	struct words		*build;
	struct words		*build_release;
	uint64_t		 build_timeout_ms;
	uint64_t		 stop_timeout_ms;
	uint64_t		 kill_wait_ms;
	uint64_t		 backoff_initial_ms;
	uint64_t		 backoff_max_ms;
	uint64_t		 first_dev_ms;	/* 0: none */
	uint64_t		 stable_ms;
	uint64_t		 ring_bytes;	/* 0: from log_lines */
	uint32_t		 factor_milli;
	uint32_t		 backoff;
	uint32_t		 truncate_seconds;
	uint32_t		 free_attempts;
	uint32_t		 max_attempts;
	uint32_t		 restart_on;
	uint32_t		 type;
	uint32_t		 shell;		/* command is one shell string */
	uint32_t		 autostart;
	uint32_t		 env_inherit;
	uint32_t		 direnv;
	uint32_t		 stop_signal;
	uint32_t		 umask;
	uint32_t		 ceiling;
	uint32_t		 log_lines;
	uint32_t		 log_runs;
	uid_t			 uid;		/* from here: config_check */
	gid_t			 gid;
	uint32_t		 ngroups;
	gid_t			 groups[GROUPS_MAX];
};
TAILQ_HEAD(services, service);

struct macro {
	TAILQ_ENTRY(macro)	 entry;
	const char		*name;
	const char		*value;
	int			 fixed;		/* from -D: the file cannot change it */
	int			 used;
};
TAILQ_HEAD(macros, macro);

/* What the command line says; outlives every reading of the file. */
struct conf_options {
	const char		*socket;	/* -s, or NULL */
	const char *const	*macros;	/* -D name=value */
	size_t			 nmacros;
	int			 verbose;	/* number of -v */
	int			 check_only;	/* -n: about the file, not the host */
};

struct chunk;
SLIST_HEAD(chunks, chunk);

struct config {
	struct chunks		 chunks;	/* everything allocated for it */
	const char		*path;		/* absolute */
	const struct conf_options *options;
	int			 errors;
	int			 warnings;
	FILE			*report;	/* "file:line: text\n"... */
	char			*report_text;
	size_t			 report_size;
	struct macros		 macros;

	int			 system_mode;
	struct endpoints	 listen;
	struct endpoint		 control;
	const char		*state_dir;
	const char		*log_dir;
	uint32_t		 initial_mode;
	uint64_t		 mode_timeout_ms;
	uint64_t		 mode_check_ms;
	uint32_t		 echo;
	uint32_t		 verbose;
	struct words		 hosts;
	struct words		 origins;
	uint64_t		 max_request;
	uint32_t		 max_connections;
	uint32_t		 max_user_connections;
	uint64_t		 search_timeout_ms;
	uint32_t		 search_jit;
	uint32_t		 max_services;	/* 0: MAX_SERVICES */
	uint32_t		 best_effort;
	struct service		*defaults;	/* NULL: no such block */
	struct services		 policies;
	struct services		 services;
	uint32_t		 nservices;
};

/* A word of the grammar and what it stands for; tables end with NULL. */
struct choice {
	const char	*word;
	uint32_t	 value;
};
extern const struct choice type_choices[], backoff_choices[], tri_choices[],
    yesno_choices[], role_choices[], mode_choices[];

/* config.c: memory, reports, services and policies */
struct config	*config_new(const char *path, const struct conf_options *);
void		 config_free(struct config *);
/* Reads what path names (.mcp-run by its name); never NULL, see errors. */
struct config	*config_load(const char *path, const struct conf_options *);
void		*config_alloc(struct config *, size_t);	/* zeroed; never NULL */
const char	*config_strdup(struct config *, const char *);
const char	*config_printf(struct config *, const char *, ...)
		    __attribute__((format(printf, 2, 3)));
void		 config_error(struct config *, const struct pos *,
		    const char *, ...) __attribute__((format(printf, 3, 4)));
void		 config_warning(struct config *, const struct pos *,
		    const char *, ...) __attribute__((format(printf, 3, 4)));
const char	*config_report(struct config *);	/* all of them so far */
struct words	*words_new(struct config *);
void		 words_add(struct config *, struct words *, const char *);
size_t		 words_count(const struct words *);	/* NULL: 0 */
int		 words_equal(const struct words *, const struct words *);
struct service	*service_new(struct config *, const struct pos *, const char *);
struct service	*service_find(const struct services *, const char *);
/* What `policy NAME` does: keys that the policy gives replace those of svc. */
void		 service_apply(struct config *, struct service *,
		    const struct service *);
void		 service_env(struct config *, struct service *, const char *name,
		    const char *value);
int		 service_has_build(const struct service *);
uint64_t	 service_ring_bytes(const struct service *); /* a power of two */
/* Ids of services that old has too are kept, others get free ones. */
void		 config_ids(struct config *, const struct config *old);

/* preset.c: the policies that are built in (U-21) */
void		 preset_define(struct config *);
int		 preset_is(const char *);

/* check.c: what only the whole file can tell; resolves users and paths */
void		 config_check(struct config *);
int		 name_ok(const char *);

/* parse.y, mcprun.c: the two languages */
void		 parse_config(struct config *, const char *path);
void		 mcprun_parse(struct config *, const char *path);

/* printconf.c */
void		 config_print(const struct config *, FILE *);
const char	*print_duration(uint64_t ms, char *, size_t);
const char	*print_size(uint64_t bytes, char *, size_t);

/* value.c: text to values; -1 after config_error */
struct range {
	uint64_t	 min;
	uint64_t	 max;
	int		 or_zero;	/* 0 is allowed, too: never, off */
};
int	 value_number(struct config *, const struct pos *, const char *key,
	    const char *text, struct range, uint32_t *);
int	 value_duration(struct config *, const struct pos *, const char *key,
	    const char *text, struct range, uint64_t *);
int	 value_size(struct config *, const struct pos *, const char *key,
	    const char *text, struct range, uint64_t *);
int	 value_octal(struct config *, const struct pos *, const char *key,
	    const char *text, uint32_t *);
int	 value_factor(struct config *, const struct pos *, const char *key,
	    const char *text, uint32_t *);
int	 value_signal(struct config *, const struct pos *, const char *key,
	    const char *text, uint32_t *);
int	 value_choice(struct config *, const struct pos *, const char *key,
	    const char *text, const struct choice *, uint32_t *);
/* C-36: shell quoting rules, no shell.  NULL after config_error. */
struct words *value_split(struct config *, const struct pos *, const char *key,
	    const char *text);
const char *choice_name(const struct choice *, uint32_t);
const char *signal_name(uint32_t);	/* "TERM"; NULL for unknown ones */
/* The word of the table (ends with NULL) nearest to text, or NULL. */
const char *suggest(const char *text, const char *const *table, size_t stride);

/* paths.c: where files are, and whether they can be trusted */
/* The configuration's absolute path; NULL after a message on stderr. */
char		*path_config(const char *file, const char *directory);
const char	*path_control(struct config *);
const char	*path_state(struct config *);
const char	*path_log(struct config *);
/* path relative to the directory of the file that pos names. */
const char	*path_resolve(struct config *, const char *base, const char *path);
const char	*path_dirname(struct config *, const char *);
/* The file's text (NUL behind); NULL after config_error: unreadable, too
 * large, or writable by somebody else than its owner, root or us. */
const char	*path_read(struct config *, const struct pos *, const char *,
		    size_t *);
/* mkdir -p, each new one 0700 (user mode) or 0755; -1 and errno. */
int		 path_mkdirs(const char *, mode_t);

#endif
