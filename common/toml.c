/*
 * The TOML 1.0 reader: documents, tables, keys, arrays, and who may define
 * what once more.  Words and strings are read by toml_scalar.c and
 * toml_string.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "toml_text.h"

/* What one header or the left side of a `=` names. */
struct path {
	size_t		 count;
	const char	*part[TOML_MAX_DEPTH];
	struct toml_mark mark[TOML_MAX_DEPTH];
};

static struct toml_value *value_read(struct toml_text *, int);

/* --- text -------------------------------------------------------------- */

struct toml_mark
text_mark(const struct toml_text *t)
{
	return ((struct toml_mark){ t->line, (int)(t->p - t->line_start) + 1 });
}

static void __attribute__((format(printf, 3, 0)))
error_fill(struct toml_text *t, struct toml_mark mark, const char *fmt,
    va_list ap)
{
	t->error->line = mark.line;
	t->error->column = mark.column;
	/* A long key may be cut off; what is wrong stands before it. */
	(void)vsnprintf(t->error->text, sizeof(t->error->text), fmt, ap);
}

int
text_error(struct toml_text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_fill(t, text_mark(t), fmt, ap);
	va_end(ap);
	return (-1);
}

int
text_error_at(struct toml_text *t, struct toml_mark mark, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	error_fill(t, mark, fmt, ap);
	va_end(ap);
	return (-1);
}

int
text_peek(const struct toml_text *t, size_t n)
{
	return ((size_t)(t->end - t->p) > n ? (unsigned char)t->p[n] : -1);
}

void
text_newline(struct toml_text *t)
{
	t->line++;
	t->line_start = t->p;
}

/*
 * Control characters and broken UTF-8 are wrong wherever they stand, in
 * comments as in strings: looked for once, so that nothing else has to.
 */
static int
text_check(struct toml_text *t)
{
	size_t	len;
	int	c;

	for (; t->p < t->end; t->p += len) {
		c = (unsigned char)*t->p;
		if ((len = utf8_length(t->p, t->end)) == 0)
			return (text_error(t, "byte 0x%02x is not UTF-8", c));
		if (c == '\r' && text_peek(t, 1) != '\n')
			return (text_error(t, "carriage return without a "
			    "line feed"));
		if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') ||
		    c == 0x7f)
			return (text_error(t, "control character 0x%02x; in "
			    "a \"...\" string it is written \\u%04X", c, c));
		if (c == '\n') {
			t->line++;
			t->line_start = t->p + 1;
		}
	}
	return (0);
}

static void
skip_blanks(struct toml_text *t)
{
	while (text_peek(t, 0) == ' ' || text_peek(t, 0) == '\t')
		t->p++;
}

/* Blanks and a comment, up to the end of the line. */
static void
skip_comment(struct toml_text *t)
{
	skip_blanks(t);
	if (text_peek(t, 0) != '#')
		return;
	while (t->p < t->end && *t->p != '\n' && *t->p != '\r')
		t->p++;
}

static int
eat(struct toml_text *t, char c)
{
	if (text_peek(t, 0) != c)
		return (0);
	t->p++;
	return (1);
}

static int
eat_newline(struct toml_text *t)
{
	(void)eat(t, '\r');	/* text_check: a \n follows */
	if (!eat(t, '\n'))
		return (0);
	text_newline(t);
	return (1);
}

static void
skip_lines(struct toml_text *t)
{
	do {
		skip_comment(t);
	} while (eat_newline(t));
}

static int
expect_end_of_line(struct toml_text *t)
{
	skip_comment(t);
	if (t->p == t->end || eat_newline(t))
		return (0);
	return (text_error(t, "expected the end of the line"));
}

/* --- keys -------------------------------------------------------------- */

static int
bare_byte(int c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	    (c >= '0' && c <= '9') || c == '_' || c == '-');
}

static int
bare_key_read(struct toml_text *t, const char **key)
{
	const char	*start = t->p;
	char		*s;
	size_t		 len;

	while (bare_byte(text_peek(t, 0)))
		t->p++;
	len = (size_t)(t->p - start);
	if (len == 0)
		return (text_error(t, "expected a key: letters, digits, _ and "
		    "-, or any text in quotes"));
	if ((s = arena_alloc(t, len + 1)) == NULL)
		return (-1);
	memcpy(s, start, len);
	s[len] = '\0';
	*key = s;
	return (0);
}

static int
key_read(struct toml_text *t, const char **key)
{
	struct toml_mark mark = text_mark(t);
	char		*s;
	size_t		 len;
	int		 c = text_peek(t, 0);

	if (c != '"' && c != '\'')
		return (bare_key_read(t, key));
	if (string_read(t, 0, &s, &len) == -1)
		return (-1);
	if (strlen(s) != len)
		return (text_error_at(t, mark,
		    "a key must not contain \\u0000"));
	*key = s;
	return (0);
}

/* key *( . key ); `base` is the depth of the table that it starts in. */
static int
path_read(struct toml_text *t, struct path *path, int base)
{
	path->count = 0;
	do {
		skip_blanks(t);
		if (base + (int)path->count == TOML_MAX_DEPTH)
			return (text_error(t, "nested deeper than %d",
			    TOML_MAX_DEPTH));
		path->mark[path->count] = text_mark(t);
		if (key_read(t, &path->part[path->count]) == -1)
			return (-1);
		path->count++;
		skip_blanks(t);
	} while (eat(t, '.'));
	return (0);
}

/* --- tables ------------------------------------------------------------ */

static struct toml_value *
child_add(struct toml_text *t, struct toml_value *to, const char *key,
    enum toml_type type, enum toml_origin origin)
{
	struct toml_value *v;

	if ((v = value_new(t, type)) == NULL)
		return (NULL);
	v->key = key;
	v->origin = origin;
	v->depth = to->depth + 1;
	return (value_add(t, to, v) == -1 ? NULL : v);
}

static struct toml_value *
refuse(struct toml_text *t, const struct path *path, size_t i,
    const struct toml_value *old, const char *what)
{
	text_error_at(t, path->mark[i], "%s; line %d has it: \"%s\"", what,
	    old->line, path->part[i]);
	return (NULL);
}

/* One step of a header's path, not the last. */
static struct toml_value *
header_step(struct toml_text *t, struct toml_value *at,
    const struct path *path, size_t i)
{
	struct toml_value *v = value_find(at, path->part[i]);

	if (v == NULL)
		return (child_add(t, at, path->part[i], TOML_TABLE, FROM_PATH));
	if (v->type != TOML_TABLE && v->type != TOML_ARRAY)
		return (refuse(t, path, i, v, "this is a value, no table"));
	if (v->origin == FROM_VALUE)
		return (refuse(t, path, i, v, v->type == TOML_TABLE ?
		    "nothing can be added to an inline table" :
		    "nothing can be added to an array of values"));
	return (v->type == TOML_ARRAY ? v->item[v->count - 1] : v);
}

static struct toml_value *
header_walk(struct toml_text *t, const struct path *path)
{
	struct toml_value *at = &t->doc->root;
	size_t		   i;

	for (i = 0; at != NULL && i + 1 < path->count; i++)
		at = header_step(t, at, path, i);
	return (at);
}

/* [a.b] */
static struct toml_value *
table_define(struct toml_text *t, const struct path *path)
{
	struct toml_value *at, *v;
	size_t		   last = path->count - 1;

	if ((at = header_walk(t, path)) == NULL)
		return (NULL);
	if ((v = value_find(at, path->part[last])) == NULL)
		return (child_add(t, at, path->part[last], TOML_TABLE,
		    FROM_HEADER));
	if (v->type != TOML_TABLE || v->origin != FROM_PATH)
		return (refuse(t, path, last, v, "defined twice"));
	v->origin = FROM_HEADER;
	v->line = t->line;
	return (v);
}

/* [[a.b]] */
static struct toml_value *
element_define(struct toml_text *t, const struct path *path)
{
	struct toml_value *at, *v;
	size_t		   last = path->count - 1;

	if ((at = header_walk(t, path)) == NULL)
		return (NULL);
	v = value_find(at, path->part[last]);
	if (v == NULL)
		v = child_add(t, at, path->part[last], TOML_ARRAY,
		    FROM_HEADER);
	else if (v->type != TOML_ARRAY || v->origin != FROM_HEADER)
		return (refuse(t, path, last, v,
		    "not an array of tables that could grow"));
	if (v == NULL)
		return (NULL);
	if (v->depth == TOML_MAX_DEPTH) {
		text_error(t, "nested deeper than %d", TOML_MAX_DEPTH);
		return (NULL);
	}
	return (child_add(t, v, NULL, TOML_TABLE, FROM_HEADER));
}

/* The table that the key/value pairs behind the header belong to. */
static struct toml_value *
header_read(struct toml_text *t)
{
	struct toml_value *table;
	struct path	   path = { 0 };
	int		   twice;

	t->p++;
	twice = eat(t, '[');
	if (path_read(t, &path, 0) == -1)
		return (NULL);
	if (!eat(t, ']') || (twice && !eat(t, ']'))) {
		text_error(t, "expected %s at the end of the header",
		    twice ? "]]" : "]");
		return (NULL);
	}
	table = twice ? element_define(t, &path) : table_define(t, &path);
	if (table == NULL || expect_end_of_line(t) == -1)
		return (NULL);
	return (table);
}

/*
 * One step of a dotted key, not the last.  A dotted key defines the tables on
 * its way, so they must be new, or dotted themselves, or have no definition
 * yet.
 */
static struct toml_value *
dotted_step(struct toml_text *t, struct toml_value *at,
    const struct path *path, size_t i)
{
	struct toml_value *v = value_find(at, path->part[i]);

	if (v == NULL)
		return (child_add(t, at, path->part[i], TOML_TABLE, FROM_DOTS));
	if (v->type != TOML_TABLE)
		return (refuse(t, path, i, v, "this is no table"));
	if (v->origin != FROM_DOTS && v->origin != FROM_PATH)
		return (refuse(t, path, i, v, "this table is defined and "
		    "complete"));
	v->origin = FROM_DOTS;
	return (v);
}

/* key = value, into this table.  The end of the line is the caller's. */
static int
pair_read(struct toml_text *t, struct toml_value *table)
{
	struct toml_value *v;
	struct path	   path = { 0 };
	const char	  *key;
	size_t		   i;

	if (path_read(t, &path, table->depth) == -1)
		return (-1);
	for (i = 0; table != NULL && i + 1 < path.count; i++)
		table = dotted_step(t, table, &path, i);
	if (table == NULL)
		return (-1);
	key = path.part[i];
	if ((v = value_find(table, key)) != NULL) {
		refuse(t, &path, i, v, "the key is there already");
		return (-1);
	}
	if (!eat(t, '='))
		return (text_error(t, "expected = behind the key"));
	skip_blanks(t);
	if ((v = value_read(t, table->depth + 1)) == NULL)
		return (-1);
	v->key = key;
	return (value_add(t, table, v));
}

/* --- values ------------------------------------------------------------ */

static struct toml_value *
string_value(struct toml_text *t)
{
	struct toml_value *v;

	if ((v = value_new(t, TOML_STRING)) == NULL ||
	    string_read(t, 1, &v->u.s, &v->u.len) == -1)
		return (NULL);
	return (v);
}

static int
elements_read(struct toml_text *t, struct toml_value *array)
{
	struct toml_mark   mark = text_mark(t);
	struct toml_value *v;

	t->p++;
	for (;;) {
		skip_lines(t);
		if (eat(t, ']'))
			return (0);
		if (t->p == t->end)
			return (text_error_at(t, mark,
			    "the array is not closed"));
		if ((v = value_read(t, array->depth + 1)) == NULL ||
		    value_add(t, array, v) == -1)
			return (-1);
		skip_lines(t);
		if (!eat(t, ',') && text_peek(t, 0) != ']' && t->p < t->end)
			return (text_error(t, "expected , or ] in an array"));
	}
}

/* On one line, and without a comma behind the last pair. */
static int
members_read(struct toml_text *t, struct toml_value *table)
{
	t->p++;
	skip_blanks(t);
	if (eat(t, '}'))
		return (0);
	do {
		if (pair_read(t, table) == -1)
			return (-1);
		skip_blanks(t);
	} while (eat(t, ','));
	if (eat(t, '}'))
		return (0);
	return (text_error(t, "expected , or } in an inline table, which ends "
	    "on the line that it starts on"));
}

static struct toml_value *
container_value(struct toml_text *t, int depth)
{
	struct toml_value *v;
	int		   array = *t->p == '[';

	if (depth > TOML_MAX_DEPTH) {
		text_error(t, "nested deeper than %d", TOML_MAX_DEPTH);
		return (NULL);
	}
	if ((v = value_new(t, array ? TOML_ARRAY : TOML_TABLE)) == NULL)
		return (NULL);
	v->depth = depth;
	v->origin = FROM_VALUE;
	if ((array ? elements_read(t, v) : members_read(t, v)) == -1)
		return (NULL);
	return (v);
}

/* depth: that of the value to come; the recursion ends by it. */
static struct toml_value *
value_read(struct toml_text *t, int depth)
{
	switch (text_peek(t, 0)) {
	case '"':
	case '\'':
		return (string_value(t));
	case '[':
	case '{':
		return (container_value(t, depth));
	default:
		return (scalar_read(t));
	}
}

/* --- documents --------------------------------------------------------- */

static int
document_read(struct toml_text *t)
{
	struct toml_value *table = &t->doc->root;

	for (;;) {
		skip_lines(t);
		if (t->p == t->end)
			return (0);
		if (*t->p == '[') {
			if ((table = header_read(t)) == NULL)
				return (-1);
		} else if (pair_read(t, table) == -1 ||
		    expect_end_of_line(t) == -1)
			return (-1);
	}
}

static void
text_start(struct toml_text *t, const char *s, size_t len)
{
	static const char bom[] = "\xef\xbb\xbf";

	t->p = t->line_start = s;
	t->end = s + len;
	t->line = 1;
	if (len >= 3 && memcmp(s, bom, 3) == 0)
		t->p += 3;
}

struct toml_value *
toml_parse(const char *s, size_t len, struct toml_error *error)
{
	struct toml_text t = { .error = error };

	memset(error, 0, sizeof(*error));
	text_start(&t, s, len);
	if (len > TOML_MAX_SIZE) {
		text_error(&t, "longer than %d bytes", TOML_MAX_SIZE);
		return (NULL);
	}
	if ((t.doc = doc_new()) == NULL) {
		text_error(&t, "out of memory");
		return (NULL);
	}
	if (text_check(&t) == 0) {
		text_start(&t, s, len);
		if (document_read(&t) == 0)
			return (&t.doc->root);
	}
	toml_free(&t.doc->root);
	return (NULL);
}
