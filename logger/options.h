/*
 * The options that a child of keepd is started with; the logger hands its own
 * on to the searcher.
 */
#ifndef KEEPD_OPTIONS_H
#define KEEPD_OPTIONS_H

#include <err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "privdrop.h"

struct options {
	int		 foreground;	/* -d */
	int		 verbose;	/* -v */
	int		 system_mode;	/* -S */
	int		 best_effort;	/* -b */
	struct privdrop	 drop;		/* -u, -g, -C */
};

static inline int
options_id(const char *s, unsigned int *id)
{
	const char *why = NULL;

	*id = strtonum(s, 0, 0xfffffffeLL, &why);
	return (why == NULL ? 0 : -1);
}

/* -1: not understood, which is a mistake of keepd itself. */
static inline int
options_parse(struct options *o, int argc, char *argv[])
{
	int c, bad = 0;

	memset(o, 0, sizeof(*o));
	o->drop.uid = getuid();
	o->drop.gid = getgid();
	while ((c = getopt(argc, argv, "bC:dg:Su:v")) != -1) {
		switch (c) {
		case 'b':
			o->best_effort = 1;
			break;
		case 'C':
			bad |= strlcpy(o->drop.chroot, optarg,
			    sizeof(o->drop.chroot)) >= sizeof(o->drop.chroot);
			break;
		case 'd':
			o->foreground = 1;
			break;
		case 'g':
			bad |= options_id(optarg, &o->drop.gid) == -1;
			break;
		case 'S':
			o->system_mode = 1;
			break;
		case 'u':
			bad |= options_id(optarg, &o->drop.uid) == -1;
			break;
		case 'v':
			o->verbose++;
			break;
		default:
			bad = 1;
		}
	}
	if (bad || optind != argc) {
		warnx("this program is started by keepd(8)");
		return (-1);
	}
	return (0);
}

#endif
