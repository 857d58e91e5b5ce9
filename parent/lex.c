/*
 * The words of keepd.conf; see lex.h.  A statement ends at a newline, a
 * semicolon or the closing brace of its block; within the braces of a list
 * newlines are blanks.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "lex.h"
#include "log.h"
#include "util.h"

#define INCLUDE_DEPTH	16
#define STRING_MAX	CONF_STR_MAX

struct source {
	const char	*file;
	const char	*text;		/* unread */
	const char	*end;
	int		 line;
};

static struct {
	struct config		*conf;
	struct source		 stack[INCLUDE_DEPTH];
	int			 depth;		/* sources; the last is read */
	struct lex_statement	 stmt;
	struct lex_token	 last;
	int			 fresh;		/* the next token begins one */
	int			 block;		/* open blocks */
	int			 list;		/* open lists, nested */
	struct pos		 open;		/* of the outermost brace */
	int			 skip;		/* until the end, at block... */
	int			 skip_block;
	char			 word[STRING_MAX + 1];
	size_t			 wordlen;
	int			 overflow;
} lex;

static const char *const block_words[] = { "service", "policy", "defaults",
	NULL };

static struct source *
source(void)
{
	return (&lex.stack[lex.depth - 1]);
}

static struct pos
here(void)
{
	return ((struct pos){ source()->file, source()->line });
}

static int
peek_at(size_t n)
{
	struct source	*s = source();

	return ((size_t)(s->end - s->text) > n ?
	    (unsigned char)s->text[n] : EOF);
}

static int
peek(void)
{
	return (peek_at(0));
}

static int
get(void)
{
	int	 c = peek();

	if (c == EOF)
		return (EOF);
	source()->text++;
	if (c == '\n')
		source()->line++;
	return (c);
}

static void
source_push(const struct pos *pos, const char *path)
{
	const char	*text;
	size_t		 len;

	if ((text = path_read(lex.conf, pos, path, &len)) == NULL)
		return;
	if (memchr(text, '\0', len) != NULL) {
		config_error(lex.conf, &(struct pos){ path, 0 },
		    "holds a NUL byte: this is not a text file");
		return;
	}
	lex.stack[lex.depth++] = (struct source){ path, text, text + len, 1 };
}

void
lex_open(struct config *conf)
{
	memset(&lex, 0, sizeof(lex));
	lex.conf = conf;
	lex.fresh = 1;
	source_push(NULL, conf->path);
}

void
lex_close(void)
{
	struct macro	*m;

	TAILQ_FOREACH(m, &lex.conf->macros, entry)
		if (!m->used && m->fixed)
			config_warning(lex.conf, NULL, "-D %s: no such macro "
			    "is used", m->name);
	memset(&lex, 0, sizeof(lex));
}

void
lex_include(const struct pos *pos, const char *path)
{
	int	 i;

	if (lex.depth == INCLUDE_DEPTH) {
		config_error(lex.conf, pos, "include: more than %d files "
		    "within each other", INCLUDE_DEPTH);
		return;
	}
	for (i = 0; i < lex.depth; i++) {
		if (strcmp(lex.stack[i].file, path) == 0) {
			config_error(lex.conf, pos, "include: %s includes "
			    "itself", path);
			return;
		}
	}
	source_push(pos, path);
}

const struct lex_statement *
lex_statement(void)
{
	return (&lex.stmt);
}

const struct lex_token *
lex_last(void)
{
	return (&lex.last);
}

static struct macro *
macro_find(const char *name)
{
	struct macro	*m;

	TAILQ_FOREACH(m, &lex.conf->macros, entry)
		if (strcmp(m->name, name) == 0)
			return (m);
	return (NULL);
}

void
lex_macro(const struct pos *pos, const char *name, const char *value)
{
	struct macro	*m;
	const char	*p;

	for (p = name; isalnum((unsigned char)*p) || *p == '_'; p++)
		;
	if (*p != '\0' || isdigit((unsigned char)*name)) {
		config_error(lex.conf, pos, "`%s` cannot be a macro's name: "
		    "letters, digits and _ only", name);
		return;
	}
	if ((m = macro_find(name)) == NULL) {
		m = config_alloc(lex.conf, sizeof(*m));
		m->name = name;
		TAILQ_INSERT_TAIL(&lex.conf->macros, m, entry);
	}
	m->used |= m->fixed;	/* -D for a macro of the file is no mistake */
	if (!m->fixed)
		m->value = value;
}

static void
word_add(int c)
{
	if (lex.wordlen < STRING_MAX)
		lex.word[lex.wordlen++] = (char)c;
	else
		lex.overflow = 1;
}

/* Behind the $: the macro's value becomes part of the word. */
static void
word_macro(const struct pos *pos)
{
	char		 name[NAME_SIZE];
	size_t		 n = 0;
	struct macro	*m;
	const char	*p;

	while (n < sizeof(name) - 1 && (isalnum(peek()) || peek() == '_'))
		name[n++] = (char)get();
	name[n] = '\0';
	if (n == 0) {
		config_error(lex.conf, pos, "$ without a macro's name: put it "
		    "in quotes");
		return;
	}
	if ((m = macro_find(name)) == NULL) {
		config_error(lex.conf, pos, "macro `%s` is not defined", name);
		return;
	}
	m->used = 1;
	for (p = m->value; *p != '\0'; p++)
		word_add((unsigned char)*p);
}

/* Behind the opening quote. */
static void
word_quoted(const struct pos *pos)
{
	int	 c;

	while ((c = get()) != '"') {
		if (c == EOF) {
			config_error(lex.conf, pos, "the string that begins "
			    "here has no closing quote");
			return;
		}
		if (c == '\\' && (peek() == '"' || peek() == '\\'))
			c = get();
		else if (c == '\\' && peek() == '\n') {
			get();
			continue;
		}
		word_add(c);
	}
}

/* = ends a word at the beginning of a statement only: macro = value. */
static int
word_char(int c)
{
	if (c == EOF || isspace(c) || iscntrl(c) || strchr("{};,", c) != NULL)
		return (0);
	return (c != '=' || !lex.fresh);
}

/* Behind the first word of a statement: is it the name of a macro? */
static int
assignment_follows(void)
{
	size_t	 n = 0;

	while (peek_at(n) == ' ' || peek_at(n) == '\t')
		n++;
	return (peek_at(n) == '=');
}

static void
word_read(struct lex_token *t)
{
	lex.wordlen = 0;
	lex.overflow = 0;
	t->kind = LEX_WORD;
	t->plain = 1;
	t->in_list = lex.list > 0;
	while (word_char(peek()) && !(peek() == '\\' && peek_at(1) == '\n')) {
		if (peek() == '"' || peek() == '$')
			t->plain = 0;
		switch (peek()) {
		case '"':
			get();
			word_quoted(&t->pos);
			break;
		case '$':
			get();
			word_macro(&t->pos);
			break;
		default:
			word_add(get());
		}
	}
	lex.word[lex.wordlen] = '\0';
	if (lex.overflow)
		config_error(lex.conf, &t->pos, "a string of more than %d "
		    "bytes", STRING_MAX);
	t->text = config_strdup(lex.conf, lex.word);
	if (lex.fresh && assignment_follows())
		t->plain = 0;	/* macros may be called like keywords */
}

/* Blanks, comments, joined lines; in a list newlines, too. */
static void
skip_blanks(void)
{
	int	 c;

	while ((c = peek()) != EOF) {
		if (c == '\\' && peek_at(1) == '\n')
			get();
		else if (c == '#') {
			while (peek() != '\n' && peek() != EOF)
				get();
			continue;
		} else if (c == '\n' ? lex.list == 0 : !isspace(c))
			return;
		get();
	}
}

static void
brace_open(const struct pos *pos)
{
	const struct lex_token	*first = &lex.stmt.first;
	size_t			 i;

	if (lex.block == 0 && lex.list == 0)
		lex.open = *pos;
	if (lex.list == 0 && lex.block == 0 && first->plain) {
		for (i = 0; block_words[i] != NULL; i++) {
			if (strcmp(first->text, block_words[i]) == 0) {
				lex.block++;
				lex.fresh = 1;
				return;
			}
		}
	}
	lex.list++;
}

/*
 * The end of a file ends its last statement; that of an included file goes on
 * where it was included.  Braces do not reach over it.
 */
static int
source_end(struct lex_token *t)
{
	if (lex.block > 0 || lex.list > 0) {
		if (lex.open.line > 0)
			config_error(lex.conf, &lex.open,
			    "the { of this line has no }");
		lex.open.line = 0;
		lex.list = 0;
		if (lex.block > 0 && lex.fresh) {
			lex.block = 0;
			t->kind = LEX_CLOSE;
			t->text = "end of file";
			lex.fresh = 0;
			return (1);
		}
	}
	if (!lex.fresh) {
		t->kind = LEX_END;
		t->text = "end of file";
		lex.fresh = 1;
		return (1);
	}
	if (lex.depth == 1) {
		t->kind = LEX_EOF;
		t->text = "end of file";
		return (1);
	}
	lex.depth--;
	return (0);
}

/* A byte that stands for itself. */
static void
punct(struct lex_token *t)
{
	switch (peek()) {
	case '{':
		t->kind = LEX_OPEN;
		t->text = "{";
		brace_open(&t->pos);
		break;
	case ',':
		t->kind = LEX_COMMA;
		t->text = ",";
		break;
	case '=':
		t->kind = LEX_EQUALS;
		t->text = "=";
		break;
	case '}':
		t->kind = LEX_CLOSE;
		t->text = "}";
		if (lex.list > 0)
			lex.list--;
		else if (lex.block > 0 && !lex.fresh) {
			/* It ends the statement first, then the block. */
			t->kind = LEX_END;
			lex.fresh = 1;
			return;
		} else if (lex.block > 0) {
			lex.block--;
			lex.fresh = 0;
		}
		break;
	default:
		t->kind = LEX_END;
		t->text = peek() == '\n' ? "end of line" : ";";
		if (lex.list == 0)
			lex.fresh = 1;
		else
			t->kind = LEX_COMMA;	/* no ; in lists: an error */
	}
	get();
}

static void
control_byte(const struct pos *pos)
{
	config_error(lex.conf, pos, "a control byte (0x%02x)", (unsigned)get());
}

static void
raw_next(struct lex_token *t)
{
	int	 was_fresh = lex.fresh;

	memset(t, 0, sizeof(*t));
	if (lex.depth == 0) {
		t->kind = LEX_EOF;
		t->text = "end of file";
		return;
	}
	for (;;) {
		skip_blanks();
		t->pos = here();
		if (peek() == EOF) {
			if (source_end(t))
				break;
		} else if (iscntrl(peek()) && peek() != '\n')
			control_byte(&t->pos);
		else if (peek() == '\n' || strchr("{};,", peek()) != NULL ||
		    (peek() == '=' && (was_fresh || lex.stmt.ntokens == 1))) {
			punct(t);
			break;
		} else {
			word_read(t);
			lex.fresh = 0;
			break;
		}
	}
	if (was_fresh) {
		lex.stmt.pos = t->pos;
		lex.stmt.first = *t;
		lex.stmt.ntokens = 0;
		lex.stmt.block = lex.block;
	}
	lex.stmt.ntokens++;
}

void
lex_next(struct lex_token *t)
{
	do
		raw_next(t);
	while (lex.skip && t->kind != LEX_EOF && lex.block >= lex.skip_block &&
	    !(t->kind == LEX_END && lex.list == 0 &&
	    lex.block == lex.skip_block));
	lex.skip = 0;
	lex.last = *t;
}

void
lex_skip(void)
{
	if (lex.last.kind == LEX_END || lex.last.kind == LEX_EOF)
		return;
	lex.skip = 1;
	lex.skip_block = lex.stmt.block;
}
