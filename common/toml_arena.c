/*
 * Memory of a TOML document, one bounded arena that is freed as a whole, and
 * the getters of toml.h.  Reads no text.
 */
#include <stdlib.h>
#include <string.h>

#include "toml_text.h"

#define CHUNK_SIZE	(32 * 1024)
#define ARENA_MAX	(64 * 1024 * 1024)	/* bytes a document */
#define ITEMS_FIRST	4
#define ALIGN		_Alignof(max_align_t)

static int
value_cmp(const struct toml_value *a, const struct toml_value *b)
{
	return (strcmp(a->key, b->key));
}

RB_GENERATE(toml_tree, toml_value, entry, value_cmp)

struct toml_doc *
doc_new(void)
{
	struct toml_doc *doc;

	if ((doc = calloc(1, sizeof(*doc))) == NULL)
		return (NULL);
	SLIST_INIT(&doc->chunks);
	RB_INIT(&doc->root.tree);
	doc->root.type = TOML_TABLE;
	doc->root.origin = FROM_HEADER;
	doc->root.line = 1;
	return (doc);
}

static struct toml_chunk *
chunk_new(struct toml_text *t, size_t need)
{
	struct toml_chunk *c;
	size_t		   size = need > CHUNK_SIZE ? need : CHUNK_SIZE;

	if (size > ARENA_MAX - t->doc->bytes) {
		text_error(t, "the document takes more than %d MiB of memory",
		    ARENA_MAX / (1024 * 1024));
		return (NULL);
	}
	if ((c = malloc(sizeof(*c) + size)) == NULL) {
		text_error(t, "out of memory");
		return (NULL);
	}
	c->used = 0;
	c->size = size;
	t->doc->bytes += size;
	SLIST_INSERT_HEAD(&t->doc->chunks, c, entry);
	return (c);
}

void *
arena_alloc(struct toml_text *t, size_t len)
{
	struct toml_chunk *c = SLIST_FIRST(&t->doc->chunks);
	void		  *p;

	/* Callers ask for a small multiple of TOML_MAX_SIZE at most. */
	len = (len + ALIGN - 1) / ALIGN * ALIGN;
	if ((c == NULL || c->size - c->used < len) &&
	    (c = chunk_new(t, len)) == NULL)
		return (NULL);
	p = c->data + c->used;
	c->used += len;
	return (p);
}

struct toml_value *
value_new(struct toml_text *t, enum toml_type type)
{
	struct toml_value *v;

	if (t->doc->values == TOML_MAX_VALUES) {
		text_error(t, "more than %d values", TOML_MAX_VALUES);
		return (NULL);
	}
	if ((v = arena_alloc(t, sizeof(*v))) == NULL)
		return (NULL);
	memset(v, 0, sizeof(*v));
	RB_INIT(&v->tree);
	v->type = type;
	v->line = t->line;
	t->doc->values++;
	return (v);
}

static int
items_grow(struct toml_text *t, struct toml_value *v)
{
	struct toml_value **item;
	size_t		    room, size = sizeof(struct toml_value *);

	room = v->room == 0 ? ITEMS_FIRST : v->room * 2;
	if ((item = arena_alloc(t, room * size)) == NULL)
		return (-1);
	if (v->count != 0)
		memcpy(item, v->item, v->count * size);
	v->item = item;
	v->room = room;
	return (0);
}

/* Appends to an array or, by its key, to a table that has no such key. */
int
value_add(struct toml_text *t, struct toml_value *to, struct toml_value *v)
{
	if (to->count == to->room && items_grow(t, to) == -1)
		return (-1);
	if (to->type == TOML_TABLE)
		RB_INSERT(toml_tree, &to->tree, v);
	to->item[to->count++] = v;
	return (0);
}

struct toml_value *
value_find(const struct toml_value *table, const char *key)
{
	/* RB_FIND only looks, but knows no const. */
	struct toml_tree  *tree = (struct toml_tree *)(uintptr_t)&table->tree;
	struct toml_value  wanted = { .key = key };

	return (RB_FIND(toml_tree, tree, &wanted));
}

void
toml_free(struct toml_value *root)
{
	struct toml_doc   *doc = (struct toml_doc *)root;
	struct toml_chunk *c;

	if (doc == NULL)
		return;
	while ((c = SLIST_FIRST(&doc->chunks)) != NULL) {
		SLIST_REMOVE_HEAD(&doc->chunks, entry);
		free(c);
	}
	free(doc);
}

enum toml_type
toml_type(const struct toml_value *v)
{
	return (v->type);
}

int
toml_line(const struct toml_value *v)
{
	return (v->line);
}

size_t
toml_count(const struct toml_value *v)
{
	return (v->count);
}

const struct toml_value *
toml_at(const struct toml_value *v, size_t i)
{
	return (i < v->count ? v->item[i] : NULL);
}

const char *
toml_key_at(const struct toml_value *v, size_t i)
{
	return (i < v->count ? v->item[i]->key : NULL);
}

const struct toml_value *
toml_get(const struct toml_value *v, const char *key)
{
	return (v->type == TOML_TABLE ? value_find(v, key) : NULL);
}

const char *
toml_string(const struct toml_value *v, size_t *len)
{
	if (v->type != TOML_STRING)
		return (NULL);
	if (len != NULL)
		*len = v->u.len;
	return (v->u.s);
}

int
toml_integer(const struct toml_value *v, int64_t *n)
{
	if (v->type != TOML_INTEGER)
		return (-1);
	*n = v->u.integer;
	return (0);
}

int
toml_float(const struct toml_value *v, double *n)
{
	if (v->type != TOML_FLOAT)
		return (-1);
	*n = v->u.number;
	return (0);
}

int
toml_boolean(const struct toml_value *v, int *truth)
{
	if (v->type != TOML_BOOLEAN)
		return (-1);
	*truth = v->u.truth;
	return (0);
}

const char *
toml_datetime(const struct toml_value *v)
{
	return (v->type == TOML_DATETIME ? v->u.s : NULL);
}
