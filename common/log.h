/*
 * log_* and fatal*: to stderr (foreground), to the parent (children), to
 * syslog (parent in the background).  No client's bytes ever reach fatal.
 */
#ifndef KEEPD_LOG_H
#define KEEPD_LOG_H

#include <stdarg.h>

/* As in syslog(3): LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG */

/* name: as shown in the log; verbose: 0 notice and worse, 1 info, 2 debug. */
void	log_init(const char *name, int to_stderr);
void	log_setverbose(int);
int	log_getverbose(void);
/* In a child: hand finished lines to this function instead (to the parent). */
void	log_setsink(void (*)(int level, const char *line));
/* In the parent: print a line that came from a child. */
void	log_relay(const char *name, int level, const char *line);
void	log_warn(const char *, ...) __attribute__((format(printf, 1, 2)));
void	log_warnx(const char *, ...) __attribute__((format(printf, 1, 2)));
void	log_notice(const char *, ...) __attribute__((format(printf, 1, 2)));
void	log_info(const char *, ...) __attribute__((format(printf, 1, 2)));
void	log_debug(const char *, ...) __attribute__((format(printf, 1, 2)));
void	fatal(const char *, ...) __attribute__((noreturn, format(printf, 1, 2)));
void	fatalx(const char *, ...) __attribute__((noreturn, format(printf, 1, 2)));

#endif
