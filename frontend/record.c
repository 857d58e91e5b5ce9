/*
 * Wire structs of the supervisor as JSON, in the shape that interfaces.md
 * gives.  Only turns one form into the other: what a client may see was
 * decided before, in the supervisor.
 */
#include <sys/types.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "record.h"
#include "util.h"

#define MS_PER_SEC	1000
#define SEC_PER_MIN	60
#define MIN_PER_HOUR	60

static const char *const stale_words[] = {
	"command", "environment", "directory", "user", "other"
};

static const char *const activity_words[] = { NULL, "building", "swapping" };

static json_t	*text_json(const char *, size_t);
static json_t	*word_json(const char *);
static json_t	*time_json(uint64_t);
static json_t	*number_json(uint64_t);
static json_t	*code_json(int32_t);
static json_t	*stale_json(uint32_t);
static json_t	*exit_json(const struct wire_state *);
static json_t	*action_json(const struct wire_state *);
static json_t	*events_json(const struct wire_state *);
static json_t	*command_json(const struct display *);
static void	 set(json_t *, const char *, json_t *);
static void	 set_display(json_t *, const struct display *);

int
display_get(struct display *d, struct imsg *imsg)
{
	size_t	 len;

	memset(d, 0, sizeof(*d));
	if (imsg_get_buf(imsg, &d->text, sizeof(d->text)) == -1)
		goto bad;
	if (proto_str_ends(d->text.label, sizeof(d->text.label)) == 0 ||
	    proto_str_ends(d->text.description,
	    sizeof(d->text.description)) == 0 ||
	    proto_str_ends(d->text.directory,
	    sizeof(d->text.directory)) == 0 ||
	    proto_str_ends(d->text.user, sizeof(d->text.user)) == 0)
		goto bad;
	if ((len = imsg_get_len(imsg)) == 0)
		return (0);
	if ((d->words = malloc(len)) == NULL)
		goto bad;
	if (imsg_get_data(imsg, d->words, len) == -1 ||
	    d->words[len - 1] != '\0')
		goto bad;
	d->words_len = len;
	return (0);
bad:
	display_clear(d);
	return (-1);
}

void
display_clear(struct display *d)
{
	free(d->words);
	memset(d, 0, sizeof(*d));
}

/*
 * Keys that are null here wait for what measures them: health checks, the
 * breaker, resources, log files.
 */
json_t *
record_json(const struct wire_state *st, const struct display *d, uint64_t now)
{
	json_t	*r;
	int	 alive = st->pid != 0;
	double	 up = 0;

	if (st->start_ms != 0 && now > st->start_ms)
		up = (double)(now - st->start_ms) / MS_PER_SEC;
	r = json_object();
	set(r, "name", text_json(st->name, strlen(st->name)));
	set(r, "id", text_json(st->name, strlen(st->name)));
	set(r, "label", NULL);
	set(r, "group", word_json(st->group));
	set(r, "description", NULL);
	set(r, "state", word_json(proto_state_name(st->state)));
	set(r, "status", word_json(proto_status_word(st->state,
	    st->exit_reason)));
	set(r, "ready", json_boolean(st->flags & STF_READY));
	set(r, "health", NULL);
	set(r, "mode", alive ? word_json(proto_mode_name(st->mode)) : NULL);
	set(r, "activity", st->activity < nitems(activity_words) ?
	    word_json(activity_words[st->activity]) : NULL);
	set(r, "pid", number_json(st->pid));
	set(r, "run", number_json(st->run));
	set(r, "instance", json_integer(0));
	set_display(r, d);
	set(r, "start_time", time_json(st->start_ms));
	set(r, "uptime_seconds", alive && st->start_ms != 0 ?
	    json_real(up) : NULL);
	set(r, "restarts", json_integer(st->restarts));
	set(r, "crash_count", json_integer(st->crash_count));
	set(r, "breaker", NULL);
	set(r, "auto_restart", json_boolean(st->flags & STF_AUTO));
	set(r, "next_start", time_json(st->next_start_ms));
	set(r, "exit", exit_json(st));
	set(r, "error", word_json(st->error));
	set(r, "cpu_percent", NULL);
	set(r, "memory_mb", NULL);
	set(r, "stale", stale_json(st->stale));
	set(r, "last_action", action_json(st));
	set(r, "recent_events", events_json(st));
	set(r, "log_paths", NULL);
	return (r);
}

json_t *
record_list_json(uint32_t mode, json_t *processes)
{
	json_t	*list, *rec;
	size_t	 i, running = 0, total = json_array_size(processes);

	json_array_foreach(processes, i, rec)
		if (json_is_integer(json_object_get(rec, "pid")))
			running++;
	list = json_object();
	set(list, "mode", word_json(proto_mode_name(mode)));
	set(list, "processes", processes);
	set(list, "total_count", json_integer(total));
	set(list, "running_count", json_integer(running));
	set(list, "stopped_count", json_integer(total - running));
	return (list);
}

json_t *
event_json(const struct wire_event *ev)
{
	json_t	*e = json_object();
	int	 moved = ev->from != ev->to;

	set(e, "time", time_json(ev->time_ms));
	set(e, "seq", json_integer(ev->seq));
	set(e, "service", word_json(ev->name));
	set(e, "event", word_json(proto_event_name(ev->kind)));
	set(e, "from", moved ? word_json(proto_state_name(ev->from)) : NULL);
	set(e, "to", moved ? word_json(proto_state_name(ev->to)) : NULL);
	set(e, "pid", number_json(ev->pid));
	set(e, "run", number_json(ev->run));
	set(e, "exit_code", code_json(ev->exit_code));
	set(e, "signal", number_json(ev->signal));
	set(e, "by", word_json(ev->who));
	set(e, "detail", word_json(ev->detail));
	return (e);
}

char *
short_event_text(const struct wire_short_event *ev, char *buf, size_t size)
{
	char		 when[64], how[64];
	const char	*abbrev = sigabbrev_np(ev->signal);
	time_t		 t = ev->time_ms / MS_PER_SEC;
	struct tm	 tm;

	if (gmtime_r(&t, &tm) == NULL ||
	    strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S UTC", &tm) == 0)
		strlcpy(when, "an unknown time", sizeof(when));
	if (ev->kind == EV_STARTED) {
		snprintf(buf, size, "Started at %s", when);
		return (buf);
	}
	if (ev->signal == 0 && ev->exit_code == -1)	/* of no program */
		strlcpy(how, "did not start", sizeof(how));
	else if (ev->signal == 0)
		snprintf(how, sizeof(how), "exit code: %d", ev->exit_code);
	else if (abbrev != NULL)
		snprintf(how, sizeof(how), "exit code: none, SIG%s", abbrev);
	else
		snprintf(how, sizeof(how), "exit code: none, signal %u",
		    ev->signal);
	snprintf(buf, size, "Crashed at %s (%s)", when, how);
	return (buf);
}

char *
hours_minutes(uint64_t ms, char *buf, size_t size)
{
	uint64_t	 minutes = ms / MS_PER_SEC / SEC_PER_MIN;

	snprintf(buf, size, "%llu hours %llu minutes",
	    (unsigned long long)(minutes / MIN_PER_HOUR),
	    (unsigned long long)(minutes % MIN_PER_HOUR));
	return (buf);
}

/* NULL stands for null: every key is there. */
static void
set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new_nocheck(object, key,
	    value == NULL ? json_null() : value);
}

/* Text of people may hold any bytes, JSON takes UTF-8 only. */
static json_t *
text_json(const char *s, size_t len)
{
	json_t	*j;
	char	*clean;

	if ((j = json_stringn(s, len)) != NULL)
		return (j);
	if ((clean = malloc(3 * len + 1)) == NULL)
		return (NULL);
	j = json_stringn_nocheck(clean, utf8_clean(clean, s, len));
	free(clean);
	return (j);
}

static json_t *
word_json(const char *s)
{
	return (s == NULL || *s == '\0' ? NULL : text_json(s, strlen(s)));
}

static json_t *
time_json(uint64_t ms)
{
	char	 buf[RFC3339_SIZE];

	return (ms == 0 ? NULL : json_string_nocheck(rfc3339(ms, buf,
	    sizeof(buf))));
}

static json_t *
number_json(uint64_t n)
{
	return (n == 0 ? NULL : json_integer(n));
}

static json_t *
code_json(int32_t code)
{
	return (code < 0 ? NULL : json_integer(code));
}

static json_t *
stale_json(uint32_t stale)
{
	json_t	*list = json_array();
	size_t	 i;

	for (i = 0; i < nitems(stale_words); i++)
		if (stale & (1U << i))
			json_array_append_new(list,
			    json_string_nocheck(stale_words[i]));
	return (list);
}

static json_t *
exit_json(const struct wire_state *st)
{
	json_t	*e;

	if (st->exit_reason == EXIT_NONE)
		return (NULL);
	e = json_object();
	set(e, "reason", word_json(proto_exit_name(st->exit_reason)));
	set(e, "exit_code", code_json(st->exit_code));
	set(e, "signal", number_json(st->exit_signal));
	set(e, "time", time_json(st->exit_ms));
	return (e);
}

static json_t *
action_json(const struct wire_state *st)
{
	json_t	*a;

	if (st->action_ms == 0 || st->action_verb >= VERB_COUNT)
		return (NULL);
	a = json_object();
	set(a, "verb", word_json(proto_verb_name(st->action_verb)));
	set(a, "by", word_json(st->action_by));
	set(a, "client", word_json(st->action_client));
	set(a, "reason", word_json(st->action_reason));
	set(a, "time", time_json(st->action_ms));
	return (a);
}

/* The last starts and crashes, newest first (S0-100). */
static json_t *
events_json(const struct wire_state *st)
{
	const struct wire_short_event	*ev;
	json_t				*list = json_array(), *e;
	uint32_t			 i;

	for (i = 0; i < st->nevents && i < STATE_EVENTS; i++) {
		ev = &st->events[i];
		e = json_object();
		set(e, "time", time_json(ev->time_ms));
		set(e, "event", word_json(proto_event_name(ev->kind)));
		set(e, "exit_code", ev->kind == EV_STARTED ? NULL :
		    code_json(ev->exit_code));
		set(e, "signal", number_json(ev->signal));
		json_array_append_new(list, e);
	}
	return (list);
}

static json_t *
command_json(const struct display *d)
{
	json_t	*list = json_array();
	size_t	 n, off;

	for (off = 0; off < d->words_len; off += n + 1) {
		n = strlen(d->words + off);
		json_array_append_new(list, text_json(d->words + off, n));
	}
	return (list);
}

static void
set_display(json_t *r, const struct display *d)
{
	char	 url[64];
	int	 port = d != NULL && d->text.port != 0;

	if (port)
		snprintf(url, sizeof(url), "http://127.0.0.1:%u",
		    d->text.port);
	if (d != NULL) {
		set(r, "label", word_json(d->text.label));
		set(r, "description", word_json(d->text.description));
	}
	set(r, "command", d != NULL ? command_json(d) : NULL);
	set(r, "working_directory", d != NULL ?
	    word_json(d->text.directory) : NULL);
	set(r, "user", d != NULL ? word_json(d->text.user) : NULL);
	set(r, "port", port ? json_integer(d->text.port) : NULL);
	set(r, "url", port ? word_json(url) : NULL);
}
