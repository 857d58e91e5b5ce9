/*
 * Inside of the TOML reader: what its files share, nobody else's business.
 * toml.c: documents, tables, keys.  toml_string.c: strings.  toml_scalar.c:
 * numbers and dates.  toml_arena.c: memory, and the getters of toml.h.
 */
#ifndef KEEPD_TOML_TEXT_H
#define KEEPD_TOML_TEXT_H

#include <sys/queue.h>
#include <sys/tree.h>

#include <stddef.h>
#include <stdint.h>

#include "toml.h"

/* How a table or an array came to be; decides what may still be added. */
enum toml_origin {
	FROM_VALUE,	/* inline table, array in brackets: closed for good */
	FROM_PATH,	/* in between in a header: may be defined once */
	FROM_HEADER,	/* [a] or, an array, [[a]] */
	FROM_DOTS	/* in between in a dotted key */
};

RB_HEAD(toml_tree, toml_value);

struct toml_value {
	RB_ENTRY(toml_value)	  entry;	/* in the parent's tree, by key */
	const char		 *key;		/* NULL in arrays */
	struct toml_value	**item;		/* members in order */
	size_t			  count;
	size_t			  room;
	struct toml_tree	  tree;		/* tables */
	union {
		struct {
			char	*s;		/* strings, date-times */
			size_t	 len;
		};
		int64_t		  integer;
		double		  number;
		int		  truth;
	} u;
	enum toml_type		  type;
	enum toml_origin	  origin;
	int			  line;
	int			  depth;	/* the root: 0 */
};

RB_PROTOTYPE(toml_tree, toml_value, entry, value_cmp)

struct toml_chunk {
	SLIST_ENTRY(toml_chunk)	 entry;
	size_t			 used;
	size_t			 size;
	_Alignas(max_align_t) unsigned char data[];
};

struct toml_doc {
	struct toml_value	 root;		/* first: toml_free knows it */
	SLIST_HEAD(toml_chunks, toml_chunk) chunks;
	size_t			 bytes;
	size_t			 values;
};

struct toml_mark {
	int	line;
	int	column;
};

struct toml_text {
	const char		*p;		/* next byte */
	const char		*end;
	const char		*line_start;
	int			 line;
	struct toml_error	*error;
	struct toml_doc		*doc;
};

/* toml_arena.c; NULL: the error is filled. */
struct toml_doc	*doc_new(void);
void		*arena_alloc(struct toml_text *, size_t);
struct toml_value *value_new(struct toml_text *, enum toml_type);
int		 value_add(struct toml_text *, struct toml_value *,
		    struct toml_value *);
struct toml_value *value_find(const struct toml_value *, const char *);

/* toml.c: all of these return -1, for `return (text_error(...))`. */
int		 text_error(struct toml_text *, const char *, ...)
		    __attribute__((format(printf, 2, 3)));
int		 text_error_at(struct toml_text *, struct toml_mark,
		    const char *, ...) __attribute__((format(printf, 3, 4)));
struct toml_mark text_mark(const struct toml_text *);
int		 text_peek(const struct toml_text *, size_t); /* -1: the end */
void		 text_newline(struct toml_text *);	/* p is behind it */

/* toml_string.c: a quote is next.  multi: """ is understood as such. */
int		 string_read(struct toml_text *, int multi, char **, size_t *);
/* Length of the character at s, 0 if it is not UTF-8. */
size_t		 utf8_length(const char *, const char *end);

/* toml_scalar.c: whatever is neither string, array nor table. */
struct toml_value *scalar_read(struct toml_text *);

#endif
