/*
 * The canonical form of a configuration (keepd -nv): every value written out,
 * nothing left to defaults, macros or policies.  Parsed again it prints as
 * itself.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <stdio.h>
#include <string.h>

#include "config.h"
#include "util.h"

/* The shortest form without a fraction. */
const char *
print_duration(uint64_t ms, char *buf, size_t size)
{
	static const struct {
		uint64_t	 ms;
		const char	*unit;
	} units[] = {
		{ 86400000, "d" }, { 3600000, "h" }, { 60000, "m" },
		{ 1000, "s" }, { 1, "ms" }
	};
	size_t	 i = 0;

	while (ms % units[i].ms != 0)
		i++;
	if (ms == 0)
		i = 3;
	snprintf(buf, size, "%llu%s", (unsigned long long)(ms / units[i].ms),
	    units[i].unit);
	return (buf);
}

const char *
print_size(uint64_t bytes, char *buf, size_t size)
{
	static const char	 units[] = { '\0', 'K', 'M', 'G' };
	size_t			 i = 0;

	for (; bytes != 0 && bytes % 1024 == 0 && i < sizeof(units) - 1; i++)
		bytes /= 1024;
	snprintf(buf, size, "%llu%.1s", (unsigned long long)bytes, &units[i]);
	return (buf);
}

static void
print_string(FILE *fp, const char *s)
{
	fputc('"', fp);
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			fputc('\\', fp);
		fputc(*s, fp);
	}
	fputc('"', fp);
}

static void
print_text(FILE *fp, const char *key, const char *text)
{
	if (text == NULL || *text == '\0')
		return;
	fprintf(fp, "\t%s ", key);
	print_string(fp, text);
	fputc('\n', fp);
}

static void
print_time(FILE *fp, const char *key, uint64_t ms)
{
	char	 buf[32];

	fprintf(fp, " %s%s%s", key, *key == '\0' ? "" : " ",
	    print_duration(ms, buf, sizeof(buf)));
}

static void
print_list(FILE *fp, const struct words *words)
{
	const struct word	*w;

	fputs(" {", fp);
	TAILQ_FOREACH(w, words, entry) {
		fputc(' ', fp);
		print_string(fp, w->text);
	}
	fputs(" }", fp);
}

static void
print_words(FILE *fp, const char *key, const struct words *words)
{
	if (words == NULL || TAILQ_EMPTY(words))
		return;
	fprintf(fp, "\t%s", key);
	print_list(fp, words);
	fputc('\n', fp);
}

static void
print_socket(FILE *fp, const char *key, const struct endpoint *ep)
{
	fprintf(fp, "%s ", key);
	print_string(fp, ep->path);
	if (ep->group != NULL) {
		fputs(" group ", fp);
		print_string(fp, ep->group);
	}
	fprintf(fp, " mode %04o\n", ep->mode);
}

static void
print_endpoints(const struct config *conf, FILE *fp)
{
	const struct endpoint	*ep;

	TAILQ_FOREACH(ep, &conf->listen, entry) {
		if (ep->kind == LISTEN_UNIX)
			print_socket(fp, "listen on socket", ep);
		else
			fprintf(fp, "listen on %s port %u\n", ep->address,
			    ep->port);
	}
	print_socket(fp, "control socket", &conf->control);
}

static void
print_allowed(FILE *fp, const char *key, const struct words *words)
{
	const struct word	*w;

	TAILQ_FOREACH(w, words, entry) {
		fprintf(fp, "%s ", key);
		print_string(fp, w->text);
		fputc('\n', fp);
	}
}

static void
print_global(const struct config *conf, FILE *fp)
{
	char	 buf[32];

	print_endpoints(conf, fp);
	fputs("state directory ", fp);
	print_string(fp, conf->state_dir);
	fputs("\nlog directory ", fp);
	print_string(fp, conf->log_dir);
	fprintf(fp, "\nmode %s\nmode",
	    choice_name(mode_choices, conf->initial_mode));
	print_time(fp, "timeout", conf->mode_timeout_ms);
	fputs("\nmode", fp);
	print_time(fp, "check", conf->mode_check_ms);
	fprintf(fp, "\necho %s\nverbose %u\n",
	    choice_name(yesno_choices, conf->echo), conf->verbose);
	print_allowed(fp, "host allow", &conf->hosts);
	print_allowed(fp, "origin allow", &conf->origins);
	fprintf(fp, "limit request %s\nlimit connections %u\n"
	    "limit connections per user %u\nlimit",
	    print_size(conf->max_request, buf, sizeof(buf)),
	    conf->max_connections, conf->max_user_connections);
	print_time(fp, "search time", conf->search_timeout_ms);
	fprintf(fp, "\nsearch jit %s\nservices max %u\nsandbox %s\n",
	    choice_name(yesno_choices, conf->search_jit), conf->max_services,
	    conf->best_effort ? "best effort" : "strict");
}

static void
print_command(const struct service *svc, FILE *fp)
{
	if (svc->shell)
		print_text(fp, "shell", TAILQ_FIRST(svc->command)->text);
	else
		print_words(fp, "command", svc->command);
	print_words(fp, "command dev", svc->command_dev);
	print_words(fp, "command release", svc->command_release);
	print_words(fp, "args", svc->args);
}

static void
print_build(const struct service *svc, FILE *fp)
{
	if (!service_has_build(svc))
		return;
	fputs("\tbuild", fp);
	if (svc->build != NULL)
		print_list(fp, svc->build);
	if (svc->build_release != NULL) {
		fputs(" release", fp);
		print_list(fp, svc->build_release);
	}
	if (svc->artifact != NULL) {
		fputs(" artifact ", fp);
		print_string(fp, svc->artifact);
	}
	print_time(fp, "timeout", svc->build_timeout_ms);
	fputc('\n', fp);
}

static void
print_env(const struct service *svc, FILE *fp)
{
	const struct word	*w;
	const char		*eq;

	fprintf(fp, "\tenv inherit %s\n",
	    choice_name(yesno_choices, svc->env_inherit));
	if (svc->env == NULL)
		return;
	TAILQ_FOREACH(w, svc->env, entry) {
		eq = strchr(w->text, '=');
		fprintf(fp, "\tenv %.*s ", (int)(eq - w->text), w->text);
		print_string(fp, eq + 1);
		fputc('\n', fp);
	}
}

/* One decimal at least, no zeros behind it. */
static void
print_factor(FILE *fp, uint32_t milli)
{
	char	 buf[32];
	size_t	 len;

	snprintf(buf, sizeof(buf), "%u.%03u", milli / CONF_FACTOR_ONE,
	    milli % CONF_FACTOR_ONE);
	for (len = strlen(buf); buf[len - 1] == '0' && buf[len - 2] != '.';)
		buf[--len] = '\0';
	fprintf(fp, " factor %s", buf);
}

static void
print_policy(const struct service *svc, FILE *fp)
{
	static const char *const	 restart[] = {
		[RESTART_NEVER] = "never", [RESTART_FAILURE] = "on failure",
		[RESTART_ALWAYS] = "always"
	};

	/* Whole seconds (S0-32) are a property of this policy alone. */
	if (svc->truncate_seconds)
		fputs("\tpolicy bpm-release\n", fp);
	fprintf(fp, "\tstop signal %s", signal_name(svc->stop_signal));
	print_time(fp, "timeout", svc->stop_timeout_ms);
	print_time(fp, "kill wait", svc->kill_wait_ms);
	fprintf(fp, "\n\trestart %s\n\tbackoff %s", restart[svc->restart_on],
	    choice_name(backoff_choices, svc->backoff));
	print_time(fp, "", svc->backoff_initial_ms);
	print_factor(fp, svc->factor_milli);
	print_time(fp, "max", svc->backoff_max_ms);
	fprintf(fp, " free %u", svc->free_attempts);
	print_time(fp, "first dev", svc->first_dev_ms);
	fprintf(fp, "\n\tattempts %u\n\tstable", svc->max_attempts);
	print_time(fp, "after", svc->stable_ms);
	fputc('\n', fp);
}

static void
print_service(const struct service *svc, int system_mode, FILE *fp)
{
	char	 buf[32];

	fputs("\nservice ", fp);
	print_string(fp, svc->name);
	fputs(" {\n", fp);
	print_text(fp, "description", svc->description);
	print_text(fp, "label", svc->label);
	print_text(fp, "group", svc->group);
	fprintf(fp, "\ttype %s\n", choice_name(type_choices, svc->type));
	print_command(svc, fp);
	print_text(fp, "directory", svc->directory);
	if (system_mode || svc->user != NULL)
		print_text(fp, "user", svc->user);
	if (svc->umask != CONF_UMASK_NONE)
		fprintf(fp, "\tumask %04o\n", svc->umask);
	print_env(svc, fp);
	fprintf(fp, "\tdirenv %s\n\tautostart %s\n",
	    choice_name(tri_choices, svc->direnv),
	    choice_name(yesno_choices, svc->autostart));
	print_build(svc, fp);
	print_policy(svc, fp);
	fprintf(fp, "\tlog lines %u runs %u ring %s\n", svc->log_lines,
	    svc->log_runs, print_size(service_ring_bytes(svc), buf,
	    sizeof(buf)));
	fprintf(fp, "\tallow network %s\n}\n",
	    choice_name(role_choices, svc->ceiling));
}

void
config_print(const struct config *conf, FILE *fp)
{
	const struct service	*svc;

	print_global(conf, fp);
	TAILQ_FOREACH(svc, &conf->services, entry)
		print_service(svc, conf->system_mode, fp);
}
