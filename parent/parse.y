/*
 * The grammar of keepd.conf.  The words come from lex.c; what a statement means
 * for a service is in option.c.  Every error is reported: after one, the parser
 * goes on behind the statement.
 */
%{
#include <sys/types.h>
#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "lex.h"
#include "option.h"
#include "util.h"

static struct config	*conf;
static struct service	*svc;		/* the block being read */
static struct endpoint	*end;		/* the socket being read */

static int	 yylex(void);
static void	 yyerror(const char *, ...);
static void	 later(const char *, const char *);

/* Where errors of the present statement are said to be. */
#define POS	(&lex_statement()->pos)
%}

%union {
	const char	*text;
	struct words	*words;
}

%token	ALLOW ALWAYS AFTER ARGS ARTIFACT ATTEMPTS AUTOSTART BACKOFF BEST BUILD
%token	CHECK COMMAND CONNECTIONS CONTROL DEFAULTS DESCRIPTION DEV DIRECTORY
%token	DIRENV ECHO_ EFFORT END ENV EXPONENTIAL FACTOR FAILURE FIRST FREE GROUP
%token	HOST INCLUDE INHERIT JIT KILL LABEL LIMIT LINES LISTEN LOG MAX MODE
%token	NETWORK NEVER ON ORIGIN PER POLICY PORT RELEASE REQUEST RESTART RING
%token	RUNS SANDBOX SEARCH SERVICE SERVICES SHELL SIGNAL SOCKET STABLE STATE
%token	STOP STRICT TIME TIMEOUT TYPE UMASK USER VERBOSE WAIT
%token	<text> LATER STRING
%type	<text> string mode
%type	<words> list items strings argv

%%

grammar	: /* empty */
	| grammar END
	| grammar global END
	| grammar block END
	| grammar error END		{ yyerrok; }
	;

global	: STRING '=' string		{ lex_macro(POS, $1, $3); }
	| INCLUDE string		{
		lex_include(POS, path_resolve(conf,
		    path_dirname(conf, POS->file), $2));
	}
	| LISTEN ON STRING PORT STRING	{ listen_inet(conf, POS, $3, $5); }
	| LISTEN ON SOCKET string	{ end = listen_unix(conf, POS, $4); }
	  sockopts
	| CONTROL SOCKET string		{ end = control_socket(conf, POS, $3); }
	  sockopts
	| STATE DIRECTORY string	{
		conf->state_dir = global_path(conf, POS, $3);
	}
	| LOG DIRECTORY string		{
		conf->log_dir = global_path(conf, POS, $3);
	}
	| MODE mode			{
		value_choice(conf, POS, "mode", $2, mode_choices,
		    &conf->initial_mode);
	}
	| MODE TIMEOUT STRING		{
		value_duration(conf, POS, "mode timeout", $3, RANGE_MODE_TIMEOUT,
		    &conf->mode_timeout_ms);
	}
	| MODE CHECK STRING		{
		value_duration(conf, POS, "mode check", $3, RANGE_MODE_CHECK,
		    &conf->mode_check_ms);
	}
	| ECHO_ STRING			{
		value_choice(conf, POS, "echo", $2, yesno_choices, &conf->echo);
	}
	| VERBOSE STRING		{
		value_number(conf, POS, "verbose", $2, RANGE_VERBOSE,
		    &conf->verbose);
	}
	| HOST ALLOW strings		{ host_allow(conf, POS, $3); }
	| ORIGIN ALLOW strings		{ origin_allow(conf, POS, $3); }
	| LIMIT REQUEST STRING		{
		value_size(conf, POS, "limit request", $3, RANGE_REQUEST,
		    &conf->max_request);
	}
	| LIMIT CONNECTIONS STRING	{
		value_number(conf, POS, "limit connections", $3,
		    RANGE_CONNECTIONS, &conf->max_connections);
	}
	| LIMIT CONNECTIONS PER USER STRING	{
		value_number(conf, POS, "limit connections per user", $5,
		    RANGE_CONNECTIONS, &conf->max_user_connections);
	}
	| LIMIT SEARCH TIME STRING	{
		value_duration(conf, POS, "limit search time", $4,
		    RANGE_SEARCH_TIME, &conf->search_timeout_ms);
	}
	| SEARCH JIT STRING		{
		value_choice(conf, POS, "search jit", $3, yesno_choices,
		    &conf->search_jit);
	}
	| SERVICES MAX STRING		{
		value_number(conf, POS, "services max", $3, RANGE_SERVICES,
		    &conf->max_services);
	}
	| SANDBOX STRICT		{ conf->best_effort = 0; }
	| SANDBOX BEST EFFORT		{ conf->best_effort = 1; }
	| LATER				{ later("", $1); }
	;

mode	: DEV				{ $$ = "dev"; }
	| RELEASE			{ $$ = "release"; }
	| STRING
	;

sockopts: /* empty */
	| sockopts GROUP STRING		{ end->group = $3; }
	| sockopts MODE STRING		{
		value_octal(conf, POS, "mode", $3, &end->mode);
	}
	;

block	: SERVICE STRING		{ svc = block_service(conf, POS, $2); }
	  body
	| POLICY STRING			{ svc = block_policy(conf, POS, $2); }
	  body
	| DEFAULTS			{ svc = block_defaults(conf, POS); }
	  body
	;

body	: '{' options '}'		{ block_done(conf, svc); }
	;

options	: /* empty */
	| options END
	| options option END
	| options error END		{ yyerrok; }
	;

option	: DESCRIPTION string	{ option_text(conf, svc, POS, KEY_DESCRIPTION, $2); }
	| LABEL string		{ option_text(conf, svc, POS, KEY_LABEL, $2); }
	| GROUP STRING		{ option_text(conf, svc, POS, KEY_GROUP, $2); }
	| DIRECTORY string	{ option_text(conf, svc, POS, KEY_DIRECTORY, $2); }
	| USER STRING		{ option_text(conf, svc, POS, KEY_USER, $2); }
	| TYPE STRING		{ option_value(conf, svc, POS, KEY_TYPE, $2); }
	| COMMAND argv		{ option_words(conf, svc, POS, KEY_COMMAND, $2); }
	| COMMAND DEV argv	{
		option_words(conf, svc, POS, KEY_COMMAND_DEV, $3);
	}
	| COMMAND RELEASE argv	{
		option_words(conf, svc, POS, KEY_COMMAND_RELEASE, $3);
	}
	| SHELL string		{ option_shell(conf, svc, POS, $2); }
	| ARGS list		{ option_words(conf, svc, POS, KEY_ARGS, $2); }
	| UMASK STRING		{ option_value(conf, svc, POS, KEY_UMASK, $2); }
	| ENV STRING string	{ option_env(conf, svc, POS, $2, $3); }
	| ENV INHERIT STRING	{
		option_value(conf, svc, POS, KEY_ENV_INHERIT, $3);
	}
	| ENV LATER		{ later("env ", $2); }
	| DIRENV STRING		{ option_value(conf, svc, POS, KEY_DIRENV, $2); }
	| AUTOSTART STRING	{
		option_value(conf, svc, POS, KEY_AUTOSTART, $2);
	}
	| BUILD buildargv
	| BUILD buildargv buildopts
	| BUILD buildopts
	| STOP stopopts
	| RESTART NEVER		{ option_restart(svc, RESTART_NEVER); }
	| RESTART ON FAILURE	{ option_restart(svc, RESTART_FAILURE); }
	| RESTART ALWAYS	{ option_restart(svc, RESTART_ALWAYS); }
	| RESTART LATER		{ later("restart ", $2); }
	| BACKOFF STRING	{ option_value(conf, svc, POS, KEY_BACKOFF, $2); }
	  backoffopts
	| ATTEMPTS STRING	{ option_value(conf, svc, POS, KEY_ATTEMPTS, $2); }
	| STABLE AFTER STRING	{ option_value(conf, svc, POS, KEY_STABLE, $3); }
	| POLICY STRING		{ option_policy(conf, svc, POS, $2); }
	| LOG logopts
	| LOG LATER		{ later("log ", $2); }
	| ALLOW NETWORK STRING	{ option_value(conf, svc, POS, KEY_CEILING, $3); }
	| LATER			{ later("", $1); }
	| LISTEN		{ later("", "listen"); }
	| SOCKET		{ later("", "socket"); }
	| PORT			{ later("", "port"); }
	| LIMIT			{ later("", "limit"); }
	| SANDBOX		{ later("", "sandbox"); }
	| ON LATER		{ later("on ", $2); }
	;

buildargv: argv		{ option_words(conf, svc, POS, KEY_BUILD, $1); }
	;

buildopts: buildopt
	| buildopts buildopt
	;

buildopt: RELEASE argv		{
		option_words(conf, svc, POS, KEY_BUILD_RELEASE, $2);
	}
	| ARTIFACT string	{
		option_text(conf, svc, POS, KEY_ARTIFACT, $2);
	}
	| TIMEOUT STRING	{
		option_value(conf, svc, POS, KEY_BUILD_TIMEOUT, $2);
	}
	;

stopopts: stopopt
	| stopopts stopopt
	;

stopopt	: SIGNAL STRING		{
		option_value(conf, svc, POS, KEY_STOP_SIGNAL, $2);
	}
	| TIMEOUT STRING	{
		option_value(conf, svc, POS, KEY_STOP_TIMEOUT, $2);
	}
	| KILL WAIT STRING	{
		option_value(conf, svc, POS, KEY_KILL_WAIT, $3);
	}
	;

backoffopts: /* empty */
	| backoffopts STRING		{
		option_value(conf, svc, POS, KEY_BACKOFF_INITIAL, $2);
	}
	| backoffopts FACTOR STRING	{
		option_value(conf, svc, POS, KEY_FACTOR, $3);
	}
	| backoffopts MAX STRING	{
		option_value(conf, svc, POS, KEY_BACKOFF_MAX, $3);
	}
	| backoffopts FREE STRING	{
		option_value(conf, svc, POS, KEY_FREE, $3);
	}
	| backoffopts FIRST DEV STRING	{
		option_value(conf, svc, POS, KEY_FIRST_DEV, $4);
	}
	;

logopts	: logopt
	| logopts logopt
	;

logopt	: LINES STRING		{ option_value(conf, svc, POS, KEY_LOG_LINES, $2); }
	| RUNS STRING		{ option_value(conf, svc, POS, KEY_LOG_RUNS, $2); }
	| RING STRING		{ option_value(conf, svc, POS, KEY_LOG_RING, $2); }
	;

string	: STRING
	| string STRING		{ $$ = config_printf(conf, "%s%s", $1, $2); }
	;

strings	: list
	| string		{
		$$ = words_new(conf);
		words_add(conf, $$, $1);
	}
	;

/* A command: its words one by one, or a string that is split (C-36). */
argv	: list
	| string		{ $$ = value_split(conf, POS, "command", $1); }
	;

list	: '{' items '}'		{ $$ = $2; }
	;

items	: /* empty */		{ $$ = words_new(conf); }
	| items STRING		{
		words_add(conf, $1, $2);
		$$ = $1;
	}
	| items ','
	;

%%

/* What the lexer does after a keyword, besides giving it to the grammar. */
#define NAME_NEXT	0x1	/* the next word is a name, never a keyword */
#define ENV_NEXT	0x2	/* the next word is a variable's, or these: */
#define ENV_WORD	0x4

static const struct keyword {
	const char	*word;
	int		 token;
	int		 flags;
} keywords[] = {
	{ "adhoc",		LATER, 0 },
	{ "after",		AFTER, 0 },
	{ "allow",		ALLOW, 0 },
	{ "always",		ALWAYS, 0 },
	{ "args",		ARGS, 0 },
	{ "artifact",		ARTIFACT, 0 },
	{ "attempts",		ATTEMPTS, 0 },
	{ "autostart",		AUTOSTART, 0 },
	{ "backoff",		BACKOFF, NAME_NEXT },
	{ "best",		BEST, 0 },
	{ "breaker",		LATER, 0 },
	{ "build",		BUILD, 0 },
	{ "cgroup",		LATER, 0 },
	{ "check",		CHECK, 0 },
	{ "command",		COMMAND, 0 },
	{ "connections",	CONNECTIONS, 0 },
	{ "control",		CONTROL, 0 },
	{ "defaults",		DEFAULTS, 0 },
	{ "depends",		LATER, 0 },
	{ "description",	DESCRIPTION, 0 },
	{ "dev",		DEV, 0 },
	{ "directory",		DIRECTORY, 0 },
	{ "direnv",		DIRENV, NAME_NEXT },
	{ "echo",		ECHO_, NAME_NEXT },
	{ "effort",		EFFORT, 0 },
	{ "env",		ENV, ENV_NEXT },
	{ "events",		LATER, 0 },
	{ "every",		LATER, 0 },
	{ "exit",		LATER, 0 },
	{ "factor",		FACTOR, 0 },
	{ "failure",		FAILURE, 0 },
	{ "fetch",		LATER, 0 },
	{ "file",		LATER, ENV_WORD },
	{ "finished",		LATER, 0 },
	{ "first",		FIRST, 0 },
	{ "free",		FREE, 0 },
	{ "group",		GROUP, NAME_NEXT },
	{ "health",		LATER, 0 },
	{ "host",		HOST, 0 },
	{ "include",		INCLUDE, NAME_NEXT },
	{ "inherit",		INHERIT, ENV_WORD },
	{ "instances",		LATER, 0 },
	{ "jit",		JIT, 0 },
	{ "kill",		KILL, 0 },
	{ "label",		LABEL, NAME_NEXT },
	{ "leak",		LATER, 0 },
	{ "limit",		LIMIT, 0 },
	{ "lines",		LINES, 0 },
	{ "listen",		LISTEN, 0 },
	{ "log",		LOG, 0 },
	{ "max",		MAX, 0 },
	{ "mode",		MODE, 0 },
	{ "network",		NETWORK, NAME_NEXT },
	{ "never",		NEVER, 0 },
	{ "on",			ON, 0 },
	{ "once",		LATER, 0 },
	{ "origin",		ORIGIN, 0 },
	{ "pattern",		LATER, 0 },
	{ "per",		PER, 0 },
	{ "policy",		POLICY, NAME_NEXT },
	{ "port",		PORT, 0 },
	{ "protect",		LATER, 0 },
	{ "ready",		LATER, 0 },
	{ "release",		RELEASE, 0 },
	{ "request",		REQUEST, 0 },
	{ "restart",		RESTART, 0 },
	{ "ring",		RING, 0 },
	{ "rlimit",		LATER, 0 },
	{ "runs",		RUNS, 0 },
	{ "sandbox",		SANDBOX, 0 },
	{ "search",		SEARCH, 0 },
	{ "service",		SERVICE, NAME_NEXT },
	{ "services",		SERVICES, 0 },
	{ "shell",		SHELL, NAME_NEXT },
	{ "signal",		SIGNAL, 0 },
	{ "size",		LATER, 0 },
	{ "socket",		SOCKET, 0 },
	{ "stable",		STABLE, 0 },
	{ "state",		STATE, 0 },
	{ "stderr",		LATER, 0 },
	{ "stdout",		LATER, 0 },
	{ "stop",		STOP, 0 },
	{ "strict",		STRICT, 0 },
	{ "template",		LATER, 0 },
	{ "time",		TIME, 0 },
	{ "timeout",		TIMEOUT, 0 },
	{ "token",		LATER, 0 },
	{ "tools",		LATER, 0 },
	{ "type",		TYPE, NAME_NEXT },
	{ "umask",		UMASK, 0 },
	{ "user",		USER, NAME_NEXT },
	{ "verbose",		VERBOSE, 0 },
	{ "verify",		LATER, 0 },
	{ "wait",		WAIT, 0 },
	{ "watch",		LATER, 0 },
	{ "watchdog",		LATER, 0 },
	{ NULL,			0, 0 }
};

/* The first words of statements, for the hint about an unknown one. */
static const char *const global_words[] = { "control", "defaults", "echo",
	"host", "include", "limit", "listen", "log", "mode", "origin", "policy",
	"sandbox", "search", "service", "services", "state", "verbose", NULL };
static const char *const option_words_list[] = { "allow", "args", "attempts",
	"autostart", "backoff", "build", "command", "description", "directory",
	"direnv", "env", "group", "label", "log", "policy", "restart", "shell",
	"stable", "stop", "type", "umask", "user", NULL };

static int	 word_flags;	/* of the keyword before */

static const struct keyword *
keyword_find(const char *word)
{
	const struct keyword	*k;

	for (k = keywords; k->word != NULL; k++)
		if (strcmp(k->word, word) == 0)
			return (k);
	return (NULL);
}

static int
word_token(const struct lex_token *t)
{
	const struct keyword	*k = NULL;
	int			 flags = word_flags;

	word_flags = 0;
	yylval.text = t->text;
	if (t->plain && !t->in_list && !(flags & NAME_NEXT))
		k = keyword_find(t->text);
	if (k == NULL || ((flags & ENV_NEXT) && !(k->flags & ENV_WORD)))
		return (STRING);
	word_flags = k->flags;
	return (k->token);
}

static int
yylex(void)
{
	static const int	 tokens[] = {
		[LEX_EOF] = 0, [LEX_END] = END, [LEX_OPEN] = '{',
		[LEX_CLOSE] = '}', [LEX_COMMA] = ',', [LEX_EQUALS] = '='
	};
	struct lex_token	 t;

	lex_next(&t);
	if (t.kind == LEX_WORD)
		return (word_token(&t));
	word_flags = 0;
	return (tokens[t.kind]);
}

/* A key that has a meaning in the language, but not yet in this program. */
static void
later(const char *before, const char *key)
{
	config_error(conf, POS, "`%s%s` is not available in this version",
	    before, key);
	lex_skip();
}

static void
unknown_key(const struct lex_statement *st)
{
	const char	*near;

	near = suggest(st->first.text, st->block ? option_words_list :
	    global_words, sizeof(char *));
	if (near != NULL)
		config_error(conf, &st->pos, "unknown key `%s`: did you mean "
		    "`%s`?", st->first.text, near);
	else
		config_error(conf, &st->pos, "unknown key `%s`",
		    st->first.text);
}

/* bison calls it with "syntax error": what is wrong we see better ourselves. */
static void
yyerror(const char *fmt, ...)
{
	const struct lex_statement	*st = lex_statement();
	const struct lex_token		*last = lex_last();
	const char			*first = st->first.text;
	int				 known;

	(void)fmt;
	known = st->first.kind == LEX_WORD && st->first.plain &&
	    keyword_find(first) != NULL;
	if (st->first.kind == LEX_WORD && !known)
		unknown_key(st);
	else if (last->kind == LEX_CLOSE && st->ntokens == 1)
		config_error(conf, &last->pos, "a } without a {");
	else if (st->ntokens == 1 && known)
		config_error(conf, &st->pos, st->block ?
		    "`%s` is not a key of a service" :
		    "`%s` is not a key outside of a service", first);
	else if (last->kind == LEX_WORD && last->plain &&
	    keyword_find(last->text) != NULL)
		config_error(conf, &last->pos, "%s: syntax error at `%s` (a "
		    "word of the language: put it in quotes if it is meant as "
		    "text)", first, last->text);
	else
		config_error(conf, &last->pos, "%s: syntax error at %s%s%s",
		    first, last->kind == LEX_WORD ? "`" : "", last->text,
		    last->kind == LEX_WORD ? "`" : "");
	lex_skip();
}

void
parse_config(struct config *c, const char *path)
{
	(void)path;
	conf = c;
	svc = NULL;
	word_flags = 0;
	lex_open(conf);
	yyparse();
	lex_close();
	conf = NULL;
}
