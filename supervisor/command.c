/*
 * From a service's configured strings to what exec wants: argument vectors
 * for each mode, environments, the label.  Made once when configured, so that
 * a start allocates nothing.
 */
#include <sys/types.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#include "supervisor.h"

#define PATH_DEFAULT	"/usr/local/bin:/usr/bin:/bin"
#define RUN_DIGITS	10

extern char	**environ;

/* Of keepd's own conversation with its init system: nothing for services. */
static const char *const env_private[] = {
	"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_FDS",
	"LISTEN_PID", "LISTEN_FDNAMES", "KEEPD_SERVICE", "KEEPD_BUILD",
	"KEEPD_RUN", "PWD", "OLDPWD"
};

int
strlist_add(struct strlist *l, const char *s, size_t len)
{
	char	**v, *copy;

	if ((copy = strndup(s, len)) == NULL)
		return (-1);
	if ((v = reallocarray(l->v, l->n + 2, sizeof(*v))) == NULL) {
		free(copy);
		return (-1);
	}
	l->v = v;
	l->v[l->n++] = copy;
	l->v[l->n] = NULL;
	return (0);
}

static void
strlist_free(struct strlist *l)
{
	size_t	 i;

	for (i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
}

static int
strlist_same(const struct strlist *a, const struct strlist *b)
{
	size_t	 i;

	if (a->n != b->n)
		return (0);
	for (i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return (0);
	return (1);
}

/* --- argument vectors ----------------------------------------------------- */
static int
argvec_join(struct argvec *av, char *const *a, size_t na, char *const *b,
    size_t nb)
{
	free(av->slots);
	if ((av->slots = calloc(ARGV_SLOTS + na + nb + 1, sizeof(char *))) ==
	    NULL)
		return (-1);
	if (na > 0)
		memcpy(av->slots + ARGV_SLOTS, a, na * sizeof(char *));
	if (nb > 0)
		memcpy(av->slots + ARGV_SLOTS + na, b, nb * sizeof(char *));
	av->argc = na + nb;
	return (0);
}

static const struct strlist *
command_words(const struct svc_conf *c, uint32_t mode)
{
	static const uint32_t	 own[2] = {
		[MODE_DEV] = STR_COMMAND_DEV,
		[MODE_RELEASE] = STR_COMMAND_RELEASE
	};

	if (c->str[own[mode]].n > 0)
		return (&c->str[own[mode]]);
	if (c->str[STR_COMMAND].n > 0)
		return (&c->str[STR_COMMAND]);
	return (&c->str[own[!mode]]);
}

static int
command_run(struct svc_conf *c, uint32_t mode)
{
	static char		 sh[] = "/bin/sh", dash_c[] = "-c",
				 zero[] = "sh", blank[] = "";
	const struct strlist	*cmd = command_words(c, mode);
	const struct strlist	*args = &c->str[STR_ARG];
	char			*words[4] = { blank, NULL, NULL, NULL };

	if (cmd->n == 0) {
		if (c->w.type != TYPE_RUST)
			return (0);
		c->rust_binary = 1;
		return (argvec_join(&c->run[mode], words, 1, args->v,
		    args->n));
	}
	if (!c->w.shell)
		return (argvec_join(&c->run[mode], cmd->v, cmd->n, args->v,
		    args->n));
	words[0] = sh;
	words[1] = dash_c;
	words[2] = cmd->v[0];
	words[3] = zero;
	return (argvec_join(&c->run[mode], words, args->n > 0 ? 4 : 3,
	    args->v, args->n));
}

static int
command_build(struct svc_conf *c, uint32_t mode)
{
	static char		 cargo[] = "cargo", build[] = "build",
				 release[] = "--release";
	char			*words[3] = { cargo, build, release };
	const struct strlist	*b = &c->str[STR_BUILD];

	if (mode == MODE_RELEASE && c->str[STR_BUILD_RELEASE].n > 0)
		b = &c->str[STR_BUILD_RELEASE];
	if (b->n > 0)
		return (argvec_join(&c->build[mode], b->v, b->n, NULL, 0));
	/* A rust service whose command is given builds only what it says. */
	if (c->w.type != TYPE_RUST || !c->w.has_build)
		return (0);
	return (argvec_join(&c->build[mode], words,
	    mode == MODE_RELEASE ? 3 : 2, NULL, 0));
}

/* --- environment ---------------------------------------------------------- */
static int
env_same_name(const char *a, const char *b)
{
	size_t	 len = strcspn(a, "=");

	return (strncmp(a, b, len) == 0 && (b[len] == '=' || b[len] == '\0'));
}

static int
env_is_private(const char *entry)
{
	size_t	 i;

	for (i = 0; i < nitems(env_private); i++)
		if (env_same_name(entry, env_private[i]))
			return (1);
	return (0);
}

/* An environment in the making; `own` has the strings that are not shared. */
struct env {
	char		**v;
	size_t		  n;
	struct strlist	 *own;
};

/* Later ones win.  The string must live as long as the configuration. */
static int
env_put(struct env *env, char *entry)
{
	char	**v;
	size_t	 i;

	for (i = 0; i < env->n; i++)
		if (env_same_name(entry, env->v[i])) {
			env->v[i] = entry;
			return (0);
		}
	if ((v = reallocarray(env->v, env->n + 2, sizeof(*v))) == NULL)
		return (-1);
	env->v = v;
	env->v[env->n++] = entry;
	env->v[env->n] = NULL;
	return (0);
}

static int
env_set(struct env *env, const char *entry)
{
	if (strlist_add(env->own, entry, strlen(entry)) == -1)
		return (-1);
	return (env_put(env, env->own->v[env->own->n - 1]));
}

static int
env_setf(struct env *env, const char *name, const char *value)
{
	char	*entry;
	int	 r;

	if (asprintf(&entry, "%s=%s", name, value) == -1)
		return (-1);
	r = env_set(env, entry);
	free(entry);
	return (r);
}

/* Ours never changes: services share its strings. */
static int
env_inherited(struct env *env)
{
	char	**e;

	for (e = environ; *e != NULL; e++)
		if (!env_is_private(*e) && env_put(env, *e) == -1)
			return (-1);
	return (0);
}

/* Whose home it is: of the service's user, not of who started keepd. */
static int
env_user(const struct svc_conf *c, struct env *env)
{
	const struct wire_service	*w = &c->w;
	const char			*home = auth_home(w->uid);

	if (w->user[0] != '\0' && (env_setf(env, "USER", w->user) == -1 ||
	    env_setf(env, "LOGNAME", w->user) == -1))
		return (-1);
	return (home == NULL ? 0 : env_setf(env, "HOME", home));
}

static int
env_build(const struct svc_conf *c, const char *mark, struct env *env)
{
	size_t	 i;

	if (env_set(env, "PATH=" PATH_DEFAULT) == -1)
		return (-1);
	if (c->w.env_inherit && env_inherited(env) == -1)
		return (-1);
	if ((!c->w.env_inherit || c->w.uid != geteuid()) &&
	    env_user(c, env) == -1)
		return (-1);
	if (env_setf(env, "PWD", c->w.directory) == -1)
		return (-1);
	for (i = 0; i < c->str[STR_ENV].n; i++)
		if (env_put(env, c->str[STR_ENV].v[i]) == -1)
			return (-1);
	return (env_setf(env, mark, c->w.name));
}

static const char *
env_get(char **env, const char *name)
{
	size_t	 len = strlen(name);

	for (; *env != NULL; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=')
			return (*env + len + 1);
	return (NULL);
}

static int
command_has_build(const struct svc_conf *c)
{
	return (c->build[MODE_DEV].argc > 0 || c->build[MODE_RELEASE].argc > 0);
}

static int
command_env(struct svc_conf *c)
{
	struct env	 env = { NULL, 0, &c->own }, build = { NULL, 0, &c->own };
	int		 r;

	r = env_build(c, "KEEPD_SERVICE", &env);
	if (r == 0)
		r = env_setf(&env, "KEEPD_RUN", "4294967295");
	if (r == 0 && command_has_build(c))
		r = env_build(c, "KEEPD_BUILD", &build);
	c->env = env.v;
	c->build_env = build.v;
	if (r == -1)
		return (-1);
	c->env_run = c->env[env.n - 1];
	c->path = env_get(c->env, "PATH");
	return (0);
}

/* --- the rest ------------------------------------------------------------- */
static void
command_groups(struct svc_conf *c)
{
	int	 i, n = 0;

	for (i = 0; i < (int)c->w.ngroups && i < GROUPS_MAX; i++)
		c->groups[n++] = c->w.groups[i];
	c->ngroups = n;
}

/* S3-28: what it is and where, unless the configuration says. */
static void
command_label(struct svc_conf *c)
{
	char	 words[LABEL_SIZE];

	if (c->w.label[0] != '\0') {
		strlcpy(c->label, c->w.label, sizeof(c->label));
		return;
	}
	if (c->rust_binary)
		strlcpy(words, c->w.name, sizeof(words));
	else
		argv_display(words, sizeof(words),
		    c->run[MODE_RELEASE].slots + ARGV_SLOTS);
	/* A label that does not fit is cut: it is for the eye. */
	if (snprintf(c->label, sizeof(c->label), "%s in %s", words,
	    c->w.directory) >= (int)sizeof(c->label))
		c->label[sizeof(c->label) - 2] = '~';
}

int
command_prepare(struct svc_conf *c)
{
	uint32_t	 mode;

	for (mode = MODE_RELEASE; mode <= MODE_DEV; mode++)
		if (command_run(c, mode) == -1 || command_build(c, mode) == -1)
			return (-1);
	c->distinct = c->str[STR_COMMAND_DEV].n > 0 ||
	    c->str[STR_COMMAND_RELEASE].n > 0;
	command_groups(c);
	if (command_env(c) == -1)
		return (-1);
	if (c->run[MODE_RELEASE].argc > 0)
		command_label(c);
	return (0);
}

void
command_free(struct svc_conf *c)
{
	uint32_t	 i;

	for (i = 0; i < STR_COUNT; i++)
		strlist_free(&c->str[i]);
	for (i = 0; i < 2; i++) {
		free(c->run[i].slots);
		free(c->build[i].slots);
	}
	strlist_free(&c->own);
	free(c->env);
	free(c->build_env);
	free(c);
}

struct svc_conf *
conf_ref(struct svc_conf *c)
{
	c->refs++;
	return (c);
}

void
conf_unref(struct svc_conf *c)
{
	if (c != NULL && --c->refs == 0)
		command_free(c);
}

static int
command_differs(const struct svc_conf *a, const struct svc_conf *b)
{
	uint32_t	 i;

	if (a->w.type != b->w.type || a->w.shell != b->w.shell)
		return (1);
	for (i = 0; i < STR_COUNT; i++)
		if (i != STR_ENV && !strlist_same(&a->str[i], &b->str[i]))
			return (1);
	return (0);
}

static int
user_differs(const struct svc_conf *a, const struct svc_conf *b)
{
	return (a->w.uid != b->w.uid || a->w.gid != b->w.gid ||
	    a->ngroups != b->ngroups || memcmp(a->groups, b->groups,
	    a->ngroups * sizeof(a->groups[0])) != 0);
}

uint32_t
command_stale(const struct svc_conf *a, const struct svc_conf *b)
{
	uint32_t	 stale = 0;

	if (a == NULL || a == b)
		return (0);
	if (command_differs(a, b))
		stale |= STALE_COMMAND;
	if (!strlist_same(&a->str[STR_ENV], &b->str[STR_ENV]) ||
	    a->w.env_inherit != b->w.env_inherit ||
	    a->w.direnv != b->w.direnv)
		stale |= STALE_ENV;
	if (strcmp(a->w.directory, b->w.directory) != 0)
		stale |= STALE_DIRECTORY;
	if (user_differs(a, b))
		stale |= STALE_USER;
	if (a->w.umask != b->w.umask)
		stale |= STALE_OTHER;
	return (stale);
}
