/*
 * Runs every suite that registered itself (unit.h), or those whose name
 * contains the argument.  Each test case runs in a child of its own, unless
 * CK_FORK=no is in the environment.  Exit status 1: something failed, or the
 * argument names no suite.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static struct unit	*units;		/* by name */

void
unit_register(struct unit *unit)
{
	struct unit	**at = &units;

	while (*at != NULL && strcmp((*at)->name, unit->name) < 0)
		at = &(*at)->next;
	unit->next = *at;
	*at = unit;
}

static int
unit_add(SRunner *runner, const char *only)
{
	struct unit	*u;
	int		 n = 0;

	for (u = units; u != NULL; u = u->next) {
		if (only != NULL && strstr(u->name, only) == NULL)
			continue;
		srunner_add_suite(runner, u->suite());
		n++;
	}
	return (n);
}

int
main(int argc, char *argv[])
{
	SRunner	*runner = srunner_create(NULL);
	int	 failed;

	if (argc > 2 || unit_add(runner, argc == 2 ? argv[1] : NULL) == 0) {
		(void)fprintf(stderr, "usage: unit [suite]\n");
		return (1);
	}
	if (getenv("CK_FORK") == NULL)
		srunner_set_fork_status(runner, CK_FORK);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return (failed == 0 ? 0 : 1);
}
