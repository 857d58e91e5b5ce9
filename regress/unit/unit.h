/*
 * For the unit tests: a file test_NAME.c says UNIT_SUITE(NAME); once, behind
 * its includes, and defines `Suite *NAME_suite(void)`; main.c finds it.
 */
#ifndef KEEPD_UNIT_H
#define KEEPD_UNIT_H

#include <check.h>

struct unit {
	const char	*name;
	Suite		*(*suite)(void);
	struct unit	*next;
};

void	unit_register(struct unit *);

#define UNIT_SUITE(NAME)						\
	Suite *NAME##_suite(void);					\
	static struct unit unit_##NAME = { #NAME, NAME##_suite, NULL };	\
	static void __attribute__((constructor))			\
	unit_register_##NAME(void)					\
	{								\
		unit_register(&unit_##NAME);				\
	}								\
	struct unit_end_##NAME

#endif
