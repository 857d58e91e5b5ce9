/*
 * TOML 1.0 reader with bounded depth and size, for env files and .mcp-run.
 * Errors name line and column.  Reads text, never opens a file.
 */
#ifndef KEEPD_TOML_H
#define KEEPD_TOML_H

#include <stddef.h>
#include <stdint.h>

enum toml_type {
	TOML_STRING, TOML_INTEGER, TOML_FLOAT, TOML_BOOLEAN,
	TOML_DATETIME, TOML_ARRAY, TOML_TABLE
};

#define TOML_MAX_SIZE	(1024 * 1024)	/* bytes of text */
#define TOML_MAX_DEPTH	32		/* nested arrays, tables, dotted keys */
#define TOML_MAX_VALUES	65536

struct toml_value;
struct toml_error {
	int	 line;		/* from 1 */
	int	 column;	/* from 1, in bytes */
	char	 text[160];
};

/* The root table, or NULL and the error filled.  Free with toml_free. */
struct toml_value	*toml_parse(const char *, size_t, struct toml_error *);
void			 toml_free(struct toml_value *);
enum toml_type		 toml_type(const struct toml_value *);
int			 toml_line(const struct toml_value *);
/* Members of a table in the order of the text, elements of an array. */
size_t			 toml_count(const struct toml_value *);
const struct toml_value	*toml_at(const struct toml_value *, size_t);
const char		*toml_key_at(const struct toml_value *, size_t);
const struct toml_value	*toml_get(const struct toml_value *, const char *);
/* NULL/-1 when the type is another.  Strings may hold NULs: see length. */
const char		*toml_string(const struct toml_value *, size_t *);
int			 toml_integer(const struct toml_value *, int64_t *);
int			 toml_float(const struct toml_value *, double *);
int			 toml_boolean(const struct toml_value *, int *);
const char		*toml_datetime(const struct toml_value *); /* as written */

#endif
