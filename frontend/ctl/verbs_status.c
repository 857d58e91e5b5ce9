/*
 * status and list: what there is and how it is.  A table of several services,
 * or one in full.
 */
#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "util.h"

#define TEXT_SIZE	256
#define MS_PER_SEC	1000
#define LABEL_WIDTH	12	/* of the left column of one in full */
#define FIELD_INDENT	(2 + LABEL_WIDTH + 2)

static const struct column status_columns[] = {
	{ "NAME", 0, 12, 0, 0 },
	{ "STATE", 0, 0, 0, 0 },
	{ "READY", 0, 0, 5, 0 },
	{ "MODE", 0, 0, 7, 0 },
	{ "PID", 1, 0, 0, 0 },
	{ "PORT", 1, 0, 3, 1 },
	{ "UPTIME", 1, 0, 0, 0 },
	{ "RESTARTS", 1, 0, 6, 0 },
	{ "LAST EXIT", 0, 16, 2, 0 },
};

static const struct column list_columns[] = {
	{ "NAME", 0, 12, 0, 0 },
	{ "GROUP", 0, 8, 2, 1 },
	{ "STATE", 0, 0, 0, 0 },
	{ "PID", 1, 0, 0, 0 },
	{ "COMMAND", 0, 16, 3, 0 },
	{ "DESCRIPTION", 0, 12, 1, 1 },
};

static const char *const stale_words[] = {
	"command", "environment", "directory", "user", "other settings"
};

static void	services_collect(const struct options *, struct client *,
		    struct services *);
static void	print_json(struct client *, const struct services *, int);
static void	print_table(const struct services *);
static void	status_row(struct table *, const struct wire_state *,
		    const struct service *, uint64_t);
static void	exit_cell(struct table *, const struct wire_state *, uint64_t);
static int	exit_bad(uint32_t);
static void	print_summary(struct client *, const struct services *);
static void	print_errors(const struct services *);
static void	print_full(const struct service *);
static void	full_head(const struct wire_state *, const struct service *,
		    uint64_t);
static int	label_derived(const struct service *);
static void	full_process(const struct wire_state *, uint64_t);
static void	full_command(const struct service *);
static void	full_exit(const struct wire_state *, uint64_t);
static void	full_action(const struct wire_state *, uint64_t);
static void	full_events(const struct wire_state *);
static void	field(const char *, const char *, ...)
		    __attribute__((format(printf, 2, 3)));
static void	wrap(char *, int);
static void	filter(const struct options *, struct services *);
static int	is_status(const char *);
static void	print_list(const struct services *);
static void	print_csv(const struct services *);
static void	csv_row(const struct service *, uint64_t);
static void	csv_text(const char *, int);
static void	csv_number(int, uint64_t);

int
verb_status(const struct options *o)
{
	struct client	*c = client_open(o);
	struct services	 all = { NULL, 0, 0 };
	int		 one;

	services_collect(o, c, &all);
	one = o->argc == 1 && !is_glob(o->argv[0]) && all.count == 1;
	if (given(o, OPT_JSON))
		print_json(c, &all, one);
	else if (one)
		print_full(&all.list[0]);
	else {
		print_table(&all);
		if (colour_on() && !given(o, OPT_BRIEF)) {
			print_errors(&all);
			print_summary(c, &all);
		}
	}
	services_clear(&all);
	client_close(c);
	return (CTL_OK);
}

int
verb_list(const struct options *o)
{
	struct client	*c;
	struct services	 all = { NULL, 0, 0 };
	size_t		 i;

	if (given(o, OPT_STATUS) && !is_status(o->text[OPT_STATUS]))
		errx(CTL_USAGE, "there is no status %s: see keepctl(8) for "
		    "their names", o->text[OPT_STATUS]);
	c = client_open(o);
	services_collect(o, c, &all);
	filter(o, &all);
	if (given(o, OPT_JSON))
		print_json(c, &all, 0);
	else if (given(o, OPT_CSV))
		print_csv(&all);
	else if (given(o, OPT_BRIEF))
		for (i = 0; i < all.count; i++)
			puts(all.list[i].state.name);
	else
		print_list(&all);
	services_clear(&all);
	client_close(c);
	return (CTL_OK);
}

/* All requests go out before the first answer is read. */
static void
services_collect(const struct options *o, struct client *c,
    struct services *all)
{
	struct wire_target	 t;
	struct result		 r;
	int			 i, n = o->argc > 0 ? o->argc : 1;

	if (o->argc > 0 && given(o, OPT_GROUP))
		errx(CTL_USAGE, "name services or a --group, not both");
	for (i = 0; i < n; i++) {
		target_set(&t, o->argc > 0 ? o->argv[i] :
		    given(o, OPT_GROUP) ? o->text[OPT_GROUP] : "",
		    given(o, OPT_GROUP));
		services_ask(c, &t);
	}
	for (i = 0; i < n; i++) {
		if (services_read(c, all, &r) != RES_OK) {
			result_warn(&r);
			exit(result_exit(r.wire.code));
		}
		result_clear(&r);
	}
}

static void
print_json(struct client *c, const struct services *all, int one)
{
	const struct service	*s;
	json_t			*list = json_array();
	uint64_t		 now = now_ms();
	size_t			 i;

	for (i = 0; i < all->count; i++) {
		s = &all->list[i];
		json_array_append_new(list, record_json(&s->state,
		    s->has_display ? &s->display : NULL, now));
	}
	if (one) {
		json_line(json_incref(json_array_get(list, 0)));
		json_decref(list);
	} else
		json_line(record_list_json(client_welcome(c)->mode, list));
}

static void
print_table(const struct services *all)
{
	struct table	*t;
	uint64_t	 now = now_ms();
	size_t		 i;

	t = table_new(status_columns, nitems(status_columns));
	for (i = 0; i < all->count; i++)
		status_row(t, &all->list[i].state, &all->list[i], now);
	table_print(t, terminal_width());
	table_free(t);
}

static void
status_row(struct table *t, const struct wire_state *st,
    const struct service *s, uint64_t now)
{
	char	 up[TEXT_SIZE];
	int	 alive = st->pid != 0;

	table_cell(t, COLOUR_BOLD, "%s", st->name);
	table_cell(t, state_colour(st), "%s%s%s%s",
	    symbol(state_symbol(st), ""), symbol(" ", ""),
	    proto_state_name(st->state),
	    st->activity == ACT_BUILDING ? ", building" :
	    st->activity == ACT_SWAPPING ? ", swapping" : "");
	table_cell(t, COLOUR_NONE, "%s",
	    !alive ? "-" : st->flags & STF_READY ? "yes" : "no");
	table_cell(t, COLOUR_NONE, "%s",
	    alive ? proto_mode_name(st->mode) : "-");
	if (alive)
		table_cell(t, COLOUR_NONE, "%u", st->pid);
	else
		table_cell(t, COLOUR_DIM, "-");
	if (s->has_display && s->display.text.port != 0)
		table_cell(t, COLOUR_NONE, "%u", s->display.text.port);
	else
		table_cell(t, COLOUR_DIM, "-");
	table_cell(t, alive ? COLOUR_NONE : COLOUR_DIM, "%s",
	    alive && st->start_ms != 0 && now >= st->start_ms ?
	    duration_text(now - st->start_ms, up, sizeof(up)) : "-");
	table_cell(t, st->restarts > 0 ? COLOUR_NONE : COLOUR_DIM, "%u",
	    st->restarts);
	exit_cell(t, st, now);
}

static void
exit_cell(struct table *t, const struct wire_state *st, uint64_t now)
{
	uint64_t	 ago = now > st->exit_ms ? now - st->exit_ms : 0;
	enum colour	 c = COLOUR_DIM;
	char		 how[TEXT_SIZE], when[TEXT_SIZE];

	if (st->exit_reason == EXIT_NONE) {
		table_cell(t, COLOUR_DIM, "-");
		return;
	}
	exit_text(st->exit_reason, st->exit_code, st->exit_signal, how,
	    sizeof(how));
	if (st->state == ST_BACKOFF && st->next_start_ms > now) {
		table_cell(t, COLOUR_YELLOW, "%s, next start in %s", how,
		    duration_text(st->next_start_ms - now, when,
		    sizeof(when)));
		return;
	}
	if (st->pid == 0 && exit_bad(st->exit_reason))
		c = COLOUR_RED;
	table_cell(t, c, "%s, %s ago", how, duration_text(ago, when,
	    sizeof(when)));
}

static int
exit_bad(uint32_t reason)
{
	return (reason != EXIT_NONE && reason != EXIT_EXITED &&
	    reason != EXIT_REQUESTED);
}

/* "5 services: 3 running, 1 backoff, 1 failed; dev mode" */
static void
print_summary(struct client *c, const struct services *all)
{
	size_t		 count[ST_COUNT] = { 0 }, i;
	const char	*sep = ": ";

	for (i = 0; i < all->count; i++)
		count[all->list[i].state.state]++;
	printf("\n%s%zu service%s", colour(COLOUR_DIM), all->count,
	    all->count == 1 ? "" : "s");
	for (i = 0; i < ST_COUNT; i++)
		if (count[i] > 0) {
			printf("%s%zu %s", sep, count[i], proto_state_name(i));
			sep = ", ";
		}
	printf("; %s mode%s\n", proto_mode_name(client_welcome(c)->mode),
	    colour_end());
}

/* What is wrong, below the table: there is no room for it inside. */
static void
print_errors(const struct services *all)
{
	const struct wire_state	*st;
	const char		*gap = "\n";
	char			*error;
	size_t			 i;

	for (i = 0; i < all->count; i++) {
		st = &all->list[i].state;
		if (*st->error == '\0')
			continue;
		error = clean_text(st->error);
		printf("%s%s%s%s: %s\n", gap, colour(state_colour(st)),
		    st->name, colour_end(), error);
		free(error);
		gap = "";
	}
}

static void
print_full(const struct service *s)
{
	const struct wire_state	*st = &s->state;
	uint64_t		 now = now_ms();
	char			 list[TEXT_SIZE];
	size_t			 i;

	full_head(st, s, now);
	full_process(st, now);
	full_command(s);
	if (*st->group != '\0')
		field("Group", "%s", st->group);
	field("Restarts", "%u, crashes in a row: %u", st->restarts,
	    st->crash_count);
	full_exit(st, now);
	if (*st->error != '\0')
		field("Error", "%s", st->error);
	list[0] = '\0';
	for (i = 0; i < nitems(stale_words); i++)
		if (st->stale & (1U << i)) {
			strlcat(list, list[0] == '\0' ? "" : ", ",
			    sizeof(list));
			strlcat(list, stale_words[i], sizeof(list));
		}
	if (list[0] != '\0')
		field("Stale", "%s: changed since it was started, "
		    "keepctl restart %s takes it over", list, st->name);
	full_action(st, now);
	full_events(st);
}

/* The name and its state in a line, and what it is in the next ones. */
static void
full_head(const struct wire_state *st, const struct service *s, uint64_t now)
{
	char	 buf[TEXT_SIZE];
	char	*text;

	printf("%s%s%s%s%s%s%s  %s%s", colour(state_colour(st)),
	    symbol(state_symbol(st), ""), colour_end(), symbol(" ", ""),
	    colour(COLOUR_BOLD), st->name, colour_end(),
	    colour(state_colour(st)), proto_state_name(st->state));
	if (st->pid != 0 && st->start_ms != 0 && now >= st->start_ms)
		printf(" for %s", duration_text(now - st->start_ms, buf,
		    sizeof(buf)));
	if (st->pid != 0)
		printf(", %s", st->flags & STF_READY ? "ready" : "not ready");
	if (st->activity != ACT_NONE)
		printf(", %s", st->activity == ACT_BUILDING ? "building" :
		    "swapping");
	printf("%s\n", colour_end());
	if (s->has_display && *s->display.text.label != '\0' &&
	    !label_derived(s)) {
		text = clean_text(s->display.text.label);
		printf("  %s\n", text);
		free(text);
	}
	if (s->has_display && *s->display.text.description != '\0') {
		text = clean_text(s->display.text.description);
		printf("  %s\n", text);
		free(text);
	}
	putchar('\n');
}

/* A label that only says what the command and directory below do (S3-28). */
static int
label_derived(const struct service *s)
{
	char	*command = flatten_words(s->display.words,
	    s->display.words_len, "");
	char	*label = clean_text(s->display.text.label);
	char	*dir = clean_text(s->display.text.directory);
	size_t	 n = strlen(command);
	int	 derived;

	derived = strncmp(label, command, n) == 0 &&
	    strncmp(label + n, " in ", 4) == 0 &&
	    strcmp(label + n + 4, dir) == 0;
	free(dir);
	free(label);
	free(command);
	return (derived);
}

static void
full_process(const struct wire_state *st, uint64_t now)
{
	char	 when[TEXT_SIZE], in[TEXT_SIZE];

	if (st->pid != 0) {
		field("Process", "pid %u, run %u, started %s", st->pid,
		    st->run, local_time(st->start_ms, when, sizeof(when)));
		field("Mode", "%s", proto_mode_name(st->mode));
	} else if (st->start_ms != 0)
		field("Last start", "%s, run %u", local_time(st->start_ms,
		    when, sizeof(when)), st->run);
	field("Wanted", "%s, automatic restart %s",
	    st->flags & STF_DESIRED ? "up" : "down",
	    st->flags & STF_AUTO ? "on" : "off");
	if (st->next_start_ms != 0)
		field("Next start", "%s, in %s", local_time(st->next_start_ms,
		    when, sizeof(when)), duration_text(st->next_start_ms > now ?
		    st->next_start_ms - now : 0, in, sizeof(in)));
}

static void
full_command(const struct service *s)
{
	const struct wire_text	*text = &s->display.text;
	char			*command;

	if (!s->has_display)
		return;
	if (text->port != 0)
		field("Port", "%u, http://127.0.0.1:%u", text->port,
		    text->port);
	command = flatten_words(s->display.words, s->display.words_len, "-");
	field("Command", "%s", command);
	free(command);
	field("Directory", "%s", text->directory);
	if (*text->user != '\0')
		field("User", "%s", text->user);
}

static void
full_exit(const struct wire_state *st, uint64_t now)
{
	char	 what[TEXT_SIZE], when[TEXT_SIZE], ago[TEXT_SIZE];

	if (st->exit_reason == EXIT_NONE)
		return;
	field("Last exit", "%s (%s), %s, %s ago",
	    proto_exit_name(st->exit_reason),
	    st->exit_signal != 0 || st->exit_code >= 0 ?
	    exit_text(EXIT_NONE, st->exit_code, st->exit_signal, what,
	    sizeof(what)) : "no status",
	    local_time(st->exit_ms, when, sizeof(when)),
	    duration_text(now > st->exit_ms ? now - st->exit_ms : 0, ago,
	    sizeof(ago)));
}

static void
full_action(const struct wire_state *st, uint64_t now)
{
	char	 ago[TEXT_SIZE];

	if (st->action_ms == 0 || st->action_verb >= VERB_COUNT)
		return;
	field("Last action", "%s by %s%s%s, %s ago%s%s",
	    proto_verb_name(st->action_verb),
	    *st->action_by != '\0' ? st->action_by : "keepd",
	    *st->action_client != '\0' ? ", " : "", st->action_client,
	    duration_text(now > st->action_ms ? now - st->action_ms : 0, ago,
	    sizeof(ago)),
	    *st->action_reason != '\0' ? ": " : "", st->action_reason);
}

static void
full_events(const struct wire_state *st)
{
	const struct wire_short_event	*ev;
	char				 when[TEXT_SIZE], what[TEXT_SIZE];
	uint32_t			 i;

	for (i = 0; i < st->nevents; i++) {
		ev = &st->events[i];
		local_time(ev->time_ms, when, sizeof(when));
		if (ev->kind == EV_STARTED)
			strlcpy(what, "started", sizeof(what));
		else {
			strlcpy(what, "crashed, ", sizeof(what));
			exit_text(EXIT_NONE, ev->exit_code, ev->signal,
			    what + strlen(what), sizeof(what) - strlen(what));
		}
		field(i == 0 ? "Events" : "", "%s  %s", when, what);
	}
}

static void
field(const char *label, const char *fmt, ...)
{
	va_list	 ap;
	char	*text, *clean;
	int	 n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n == -1)
		err(CTL_FAILED, NULL);
	clean = clean_text(text);
	printf("  %s%-*s%s  ", colour(COLOUR_DIM), LABEL_WIDTH, label,
	    colour_end());
	wrap(clean, terminal_width() - FIELD_INDENT);
	free(clean);
	free(text);
}

/* Break between words where a line would get wider, and indent what follows. */
static void
wrap(char *text, int width)
{
	char	*word, *next = text;
	int	 used = 0, n;

	while ((word = strsep(&next, " ")) != NULL) {
		n = text_width(word);
		if (used > 0 && width > 0 && used + 1 + n > width) {
			printf("\n%*s", FIELD_INDENT, "");
			used = 0;
		} else if (word != text)
			used += printf(" ");
		fputs(word, stdout);
		used += n;
	}
	putchar('\n');
}

/* Keep what has the state, or S3's word for it, and the group. */
static void
filter(const struct options *o, struct services *all)
{
	struct service	*s;
	const char	*status = o->text[OPT_STATUS];
	size_t		 i, kept = 0;

	if (status == NULL)
		return;
	for (i = 0; i < all->count; i++) {
		s = &all->list[i];
		if (strcmp(proto_state_name(s->state.state), status) == 0 ||
		    strcmp(proto_status_word(s->state.state,
		    s->state.exit_reason), status) == 0)
			all->list[kept++] = *s;
		else if (s->has_display)
			display_clear(&s->display);
	}
	all->count = kept;
}

static int
is_status(const char *word)
{
	uint32_t	 state, reason;

	for (state = 0; state < ST_COUNT; state++) {
		if (strcmp(proto_state_name(state), word) == 0)
			return (1);
		for (reason = 0; reason < EXIT_COUNT; reason++)
			if (strcmp(proto_status_word(state, reason), word) == 0)
				return (1);
	}
	return (0);
}

static void
print_list(const struct services *all)
{
	const struct wire_state	*st;
	const struct service	*s;
	struct table		*t;
	char			*command;
	size_t			 i;

	t = table_new(list_columns, nitems(list_columns));
	for (i = 0; i < all->count; i++) {
		s = &all->list[i];
		st = &s->state;
		table_cell(t, COLOUR_BOLD, "%s", st->name);
		table_cell(t, COLOUR_NONE, "%s",
		    *st->group != '\0' ? st->group : "-");
		table_cell(t, state_colour(st), "%s",
		    proto_state_name(st->state));
		if (st->pid != 0)
			table_cell(t, COLOUR_NONE, "%u", st->pid);
		else
			table_cell(t, COLOUR_DIM, "-");
		command = flatten_words(s->display.words,
		    s->display.words_len, "-");
		table_cell(t, COLOUR_NONE, "%s", command);
		free(command);
		table_cell(t, COLOUR_DIM, "%s",
		    *s->display.text.description != '\0' ?
		    s->display.text.description : "-");
	}
	table_print(t, terminal_width());
	table_free(t);
}

/* RFC 4180, except that lines end as lines do here. */
static void
print_csv(const struct services *all)
{
	uint64_t	 now = now_ms();
	size_t		 i;

	puts("name,group,state,status,ready,mode,pid,port,uptime_seconds,"
	    "restarts,crash_count,exit_reason,exit_code,exit_signal,"
	    "exit_time,working_directory,command");
	for (i = 0; i < all->count; i++)
		csv_row(&all->list[i], now);
}

static void
csv_row(const struct service *s, uint64_t now)
{
	const struct wire_state	*st = &s->state;
	int			 gone = st->exit_reason != EXIT_NONE;
	char			 when[RFC3339_SIZE];
	char			*command;

	csv_text(st->name, ',');
	csv_text(st->group, ',');
	csv_text(proto_state_name(st->state), ',');
	csv_text(proto_status_word(st->state, st->exit_reason), ',');
	csv_text(st->flags & STF_READY ? "true" : "false", ',');
	csv_text(st->pid != 0 ? proto_mode_name(st->mode) : "", ',');
	csv_number(st->pid != 0, st->pid);
	csv_number(s->display.text.port != 0, s->display.text.port);
	csv_number(st->pid != 0, now > st->start_ms ?
	    (now - st->start_ms) / MS_PER_SEC : 0);
	csv_number(1, st->restarts);
	csv_number(1, st->crash_count);
	csv_text(gone ? proto_exit_name(st->exit_reason) : "", ',');
	csv_number(gone && st->exit_code >= 0, st->exit_code);
	csv_text(st->exit_signal != 0 ? signal_text(st->exit_signal) : "", ',');
	csv_text(st->exit_ms != 0 ? rfc3339(st->exit_ms, when, sizeof(when)) :
	    "", ',');
	csv_text(s->display.text.directory, ',');
	command = flatten_words(s->display.words, s->display.words_len, "");
	csv_text(command, '\n');
	free(command);
}

static void
csv_text(const char *text, int end)
{
	char	*clean = clean_text(text);
	char	*p;
	int	 quote = strpbrk(clean, ",\"") != NULL;

	if (quote)
		putchar('"');
	for (p = clean; *p != '\0'; p++) {
		if (*p == '"')
			putchar('"');
		putchar(*p);
	}
	if (quote)
		putchar('"');
	putchar(end);
	free(clean);
}

static void
csv_number(int known, uint64_t n)
{
	if (known)
		printf("%llu", (unsigned long long)n);
	putchar(',');
}
