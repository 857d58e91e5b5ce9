/*
 * What the statements of keepd.conf do to the configuration: called by the
 * grammar, reports its own errors.
 */
#ifndef KEEPD_OPTION_H
#define KEEPD_OPTION_H

#include "config.h"

/* Ranges of requirements 9.3; what is 0 by intent is outside of them. */
#define MS_SECOND	1000ULL
#define MS_MINUTE	(60 * MS_SECOND)
#define MS_HOUR		(60 * MS_MINUTE)
#define MS_DAY		(24 * MS_HOUR)
#define RANGE(a, b)	((struct range){ (a), (b), 0 })
#define RANGE_PORT		RANGE(1, 65535)
#define RANGE_MODE_TIMEOUT	((struct range){ MS_MINUTE, 365 * MS_DAY, 1 })
#define RANGE_MODE_CHECK	RANGE(MS_SECOND, MS_HOUR)
#define RANGE_VERBOSE		RANGE(0, 2)
#define RANGE_REQUEST		RANGE(4096, 64 * 1024 * 1024)
#define RANGE_CONNECTIONS	RANGE(1, 65535)
#define RANGE_SEARCH_TIME	RANGE(10, 10 * MS_MINUTE)
#define RANGE_SERVICES		RANGE(0, MAX_SERVICES)

void		 listen_inet(struct config *, const struct pos *,
		    const char *address, const char *port);
struct endpoint	*listen_unix(struct config *, const struct pos *, const char *);
struct endpoint	*control_socket(struct config *, const struct pos *,
		    const char *);
const char	*global_path(struct config *, const struct pos *, const char *);
void		 host_allow(struct config *, const struct pos *,
		    const struct words *);
void		 origin_allow(struct config *, const struct pos *,
		    const struct words *);

/* A block begins: what its statements fill.  Never NULL, even after errors. */
struct service	*block_service(struct config *, const struct pos *,
		    const char *);
struct service	*block_policy(struct config *, const struct pos *, const char *);
struct service	*block_defaults(struct config *, const struct pos *);
void		 block_done(struct config *, struct service *);

void	option_text(struct config *, struct service *, const struct pos *,
	    enum svc_key, const char *);
void	option_value(struct config *, struct service *, const struct pos *,
	    enum svc_key, const char *);
void	option_words(struct config *, struct service *, const struct pos *,
	    enum svc_key, struct words *);	/* NULL: an error was reported */
void	option_shell(struct config *, struct service *, const struct pos *,
	    const char *);
void	option_env(struct config *, struct service *, const struct pos *,
	    const char *, const char *);
void	option_restart(struct service *, enum restart_on);
void	option_policy(struct config *, struct service *, const struct pos *,
	    const char *);

#endif
