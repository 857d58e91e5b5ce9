/*
 * Arguments of tools: schemas written and arguments checked from one table.
 * What an argument means is the tool's.
 */
#include <stdio.h>
#include <string.h>

#include "frontend.h"
#include "schema.h"

static const char *const type_words[] = {
	"string", "string", "integer", "number", "boolean"
};

static const struct {
	const char	*name;
	const char	*text;
} aliases[] = {
	{ "process", "Same as target." },
	{ "target", "Same as process." },
	{ "pid", "The process id, in place of the name." },
	{ "command_or_label", "The label or command, in place of the name." },
	{ "label", "The label, in place of the name." },
	{ "working_directory", "Only a service of this directory." },
};

static const char *
param_text(const struct param *p)
{
	size_t	 i;

	if (p->description != NULL)
		return (p->description);
	for (i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcmp(aliases[i].name, p->name) == 0)
			return (aliases[i].text);
	return ("");
}

static json_t *
words_json(const char *const *words)
{
	json_t	*list = json_array();

	for (; *words != NULL; words++)
		(void)json_array_append_new(list, json_string(*words));
	return (list);
}

static json_t *
property_json(const struct param *p)
{
	json_t	*o = json_object(), *items;

	if (p->type == P_STRINGS) {
		items = json_pack("{s:s}", "type", "string");
		(void)json_object_set_new(o, "type",
		    json_pack("[s,s]", "string", "array"));
		(void)json_object_set_new(o, "items", items);
		(void)json_object_set_new(o, "minItems", json_integer(1));
		(void)json_object_set_new(o, "maxItems", json_integer(p->max));
	} else
		(void)json_object_set_new(o, "type",
		    json_string(type_words[p->type]));
	if (p->words != NULL)
		(void)json_object_set_new(o, "enum", words_json(p->words));
	if (p->type == P_INTEGER || p->type == P_NUMBER) {
		(void)json_object_set_new(o, "minimum", json_integer(p->min));
		(void)json_object_set_new(o, "maximum", json_integer(p->max));
	}
	(void)json_object_set_new(o, "description",
	    json_string(param_text(p)));
	return (o);
}

json_t *
schema_json(const struct param *p)
{
	json_t	*props = json_object();

	for (; p->name != NULL; p++)
		(void)json_object_set_new(props, p->name, property_json(p));
	return (json_pack("{s:s, s:o, s:b}", "type", "object", "properties",
	    props, "additionalProperties", 0));
}

/* --- checks -------------------------------------------------------------- */

static int
number_check(const struct param *p, const json_t *v, char *buf, size_t size)
{
	double	 d = json_number_value(v);

	if (json_is_number(v) && d >= p->min && d <= p->max &&
	    (p->type == P_NUMBER || (double)(int64_t)d == d))
		return (0);
	(void)snprintf(buf, size, "%s must be %s from %lld to %lld", p->name,
	    p->type == P_NUMBER ? "a number" : "an integer",
	    (long long)p->min, (long long)p->max);
	return (-1);
}

static int
word_ok(const struct param *p, const char *word)
{
	const char *const	*w;

	for (w = p->words; *w != NULL; w++)
		if (strcmp(*w, word) == 0)
			return (1);
	return (0);
}

static void
words_say(const struct param *p, char *buf, size_t size)
{
	const char *const	*w;

	(void)snprintf(buf, size, "%s must be one of", p->name);
	for (w = p->words; *w != NULL; w++) {
		(void)strlcat(buf, w == p->words ? " " : ", ", size);
		(void)strlcat(buf, *w, size);
	}
}

static int
string_check(const struct param *p, const json_t *v, char *buf, size_t size)
{
	if (!json_is_string(v)) {
		(void)snprintf(buf, size, "%s must be a string", p->name);
		return (-1);
	}
	if (p->words != NULL && !word_ok(p, json_string_value(v))) {
		words_say(p, buf, size);
		return (-1);
	}
	if (p->words == NULL && ((int64_t)json_string_length(v) < p->min ||
	    (int64_t)json_string_length(v) > p->max)) {
		(void)snprintf(buf, size, "%s must have %lld to %lld bytes",
		    p->name, (long long)p->min, (long long)p->max);
		return (-1);
	}
	return (0);
}

static int
strings_check(const struct param *p, const json_t *v, char *buf, size_t size)
{
	size_t	 i;
	int	 ok;

	ok = json_is_string(v) && json_string_length(v) > 0;
	if (json_is_array(v)) {
		ok = json_array_size(v) >= (size_t)p->min &&
		    json_array_size(v) <= (size_t)p->max;
		for (i = 0; i < json_array_size(v); i++)
			if (!json_is_string(json_array_get(v, i)))
				ok = 0;
	}
	if (ok)
		return (0);
	(void)snprintf(buf, size,
	    "%s must be a string or a list of %lld to %lld strings", p->name,
	    (long long)p->min, (long long)p->max);
	return (-1);
}

static int
value_check(const struct param *p, const json_t *v, char *buf, size_t size)
{
	switch (p->type) {
	case P_STRING:
		return (string_check(p, v, buf, size));
	case P_STRINGS:
		return (strings_check(p, v, buf, size));
	case P_BOOLEAN:
		if (json_is_boolean(v))
			return (0);
		(void)snprintf(buf, size, "%s must be true or false", p->name);
		return (-1);
	default:
		return (number_check(p, v, buf, size));
	}
}

int
schema_check(const struct param *params, json_t *args, char *buf, size_t size)
{
	const struct param	*p;
	const char		*key;
	char			 name[65];
	json_t			*v;

	json_object_foreach(args, key, v) {
		for (p = params; p->name != NULL; p++)
			if (strcmp(p->name, key) == 0)
				break;
		if (p->name == NULL) {
			text_field(name, sizeof(name), key);
			(void)snprintf(buf, size, "unknown parameter: %s",
			    name);
			return (-1);
		}
		/* Clients fill in what they have no value for. */
		if (!json_is_null(v) && value_check(p, v, buf, size) == -1)
			return (-1);
	}
	return (0);
}

/* --- values -------------------------------------------------------------- */

int
arg_given(const json_t *args, const char *name)
{
	const json_t	*v = json_object_get(args, name);

	return (v != NULL && !json_is_null(v));
}

const char *
arg_string(const json_t *args, const char *name)
{
	return (json_string_value(json_object_get(args, name)));
}

int64_t
arg_integer(const json_t *args, const char *name, int64_t otherwise)
{
	if (!arg_given(args, name))
		return (otherwise);
	return ((int64_t)json_number_value(json_object_get(args, name)));
}

double
arg_number(const json_t *args, const char *name, double otherwise)
{
	if (!arg_given(args, name))
		return (otherwise);
	return (json_number_value(json_object_get(args, name)));
}

int
arg_boolean(const json_t *args, const char *name, int otherwise)
{
	if (!arg_given(args, name))
		return (otherwise);
	return (json_is_true(json_object_get(args, name)));
}
