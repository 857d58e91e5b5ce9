/*
 * Arguments of tools: one table a tool, from which the inputSchema is written
 * and by which arguments are checked.
 */
#ifndef KEEPD_SCHEMA_H
#define KEEPD_SCHEMA_H

#include <jansson.h>
#include <stdint.h>

enum param_type { P_STRING, P_STRINGS /* one or a list */, P_INTEGER,
		  P_NUMBER, P_BOOLEAN };

struct param {
	const char		*name;		/* NULL ends the table */
	enum param_type		 type;
	int64_t			 min, max;	/* of number or length */
	const char *const	*words;		/* allowed; ends with NULL */
	const char		*description;	/* NULL: an alias */
};

/* The target and its aliases, first in the table of every tool that has one. */
#define PARAM_NAMES(first, second, text)				\
	{ first, P_STRING, 1, 4096, NULL, text },			\
	{ second, P_STRING, 1, 4096, NULL, NULL },			\
	{ "pid", P_INTEGER, 1, INT32_MAX, NULL, NULL },			\
	{ "command_or_label", P_STRING, 1, 4096, NULL, NULL },		\
	{ "label", P_STRING, 1, 4096, NULL, NULL },			\
	{ "working_directory", P_STRING, 1, 1024, NULL, NULL }

json_t	*schema_json(const struct param *);
/* 0, or -1 and what is wrong in buf.  args may be NULL. */
int	 schema_check(const struct param *, json_t *args, char *buf, size_t);
/* After the check: the value, or what to take when it was not given. */
const char	*arg_string(const json_t *args, const char *);	/* or NULL */
int64_t		 arg_integer(const json_t *args, const char *, int64_t);
double		 arg_number(const json_t *args, const char *, double);
int		 arg_boolean(const json_t *args, const char *, int);
int		 arg_given(const json_t *args, const char *);

#endif
