/*
 * log_* and fatal*, as log.h tells.  A line goes to one place: the sink (a
 * child's link to the parent), stderr, or syslog.  Rotating or keeping logs
 * is not done here.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "log.h"

#define LOG_LINE	2048	/* bytes with the NUL; the rest is cut off */

static const char	*log_name = "keepd";
static int		 log_stderr = 1;
static int		 log_verbose;
static int		 log_busy;	/* within the sink, or in fatal */
static void		(*log_sink)(int, const char *);

void
log_init(const char *name, int to_stderr)
{
	log_name = name;
	log_stderr = to_stderr;
	log_sink = NULL;
	if (!to_stderr)
		openlog(name, LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void
log_setverbose(int verbose)
{
	log_verbose = verbose;
}

int
log_getverbose(void)
{
	return (log_verbose);
}

void
log_setsink(void (*sink)(int, const char *))
{
	log_sink = sink;
}

/* What a client sent may be part of a line: it must stay one line. */
static void
log_clean(char *line)
{
	unsigned char	*p;

	for (p = (unsigned char *)line; *p != '\0'; p++)
		if (*p < 0x20 || *p == 0x7f)
			*p = '?';
}

static int
log_wanted(int level)
{
	return (level <= LOG_NOTICE + log_verbose);
}

static void
log_print(const char *name, int level, const char *line)
{
	char	buf[LOG_LINE + 256];
	int	len;

	if (!log_stderr) {
		if (name == log_name)
			syslog(level, "%s", line);
		else
			syslog(level, "%s: %s", name, line);
		return;
	}
	/* One write, so that lines of several processes do not mix. */
	len = snprintf(buf, sizeof(buf) - 1, "%.200s: %s", name, line);
	if (len < 0)
		return;
	if (len > (int)sizeof(buf) - 2)
		len = (int)sizeof(buf) - 2;
	buf[len++] = '\n';
	if (write(STDERR_FILENO, buf, (size_t)len) == -1)
		return;		/* nobody is left to be told */
}

/* The sink may log itself (its link is gone): that goes to stderr. */
static void
log_hand(int level, const char *line)
{
	if (log_sink == NULL || log_busy) {
		log_print(log_name, level, line);
		return;
	}
	log_busy = 1;
	log_sink(level, line);
	log_busy = 0;
}

static void __attribute__((format(printf, 3, 0)))
log_line(int level, int error, const char *fmt, va_list ap)
{
	char	line[LOG_LINE];
	size_t	len;

	if (vsnprintf(line, sizeof(line), fmt, ap) < 0)
		line[0] = '\0';
	len = strlen(line);
	if (error != 0)
		(void)snprintf(line + len, sizeof(line) - len, ": %s",
		    strerror(error));
	log_clean(line);
	log_hand(level, line);
}

void
log_relay(const char *name, int level, const char *line)
{
	char	copy[LOG_LINE];

	if (level < LOG_EMERG || level > LOG_DEBUG)
		level = LOG_DEBUG;
	if (!log_wanted(level))
		return;
	(void)snprintf(copy, sizeof(copy), "%s", line);
	log_clean(copy);
	log_print(name, level, copy);
}

void
log_warn(const char *fmt, ...)
{
	int	error = errno;
	va_list	ap;

	va_start(ap, fmt);
	log_line(LOG_ERR, error, fmt, ap);
	va_end(ap);
	errno = error;
}

void
log_warnx(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	log_line(LOG_ERR, 0, fmt, ap);
	va_end(ap);
}

void
log_notice(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	log_line(LOG_NOTICE, 0, fmt, ap);
	va_end(ap);
}

void
log_info(const char *fmt, ...)
{
	va_list	ap;

	if (!log_wanted(LOG_INFO))
		return;
	va_start(ap, fmt);
	log_line(LOG_INFO, 0, fmt, ap);
	va_end(ap);
}

void
log_debug(const char *fmt, ...)
{
	va_list	ap;

	if (!log_wanted(LOG_DEBUG))
		return;
	va_start(ap, fmt);
	log_line(LOG_DEBUG, 0, fmt, ap);
	va_end(ap);
}

void
fatal(const char *fmt, ...)
{
	int	error = errno;
	va_list	ap;

	va_start(ap, fmt);
	log_line(LOG_CRIT, error, fmt, ap);
	va_end(ap);
	exit(1);
}

void
fatalx(const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	log_line(LOG_CRIT, 0, fmt, ap);
	va_end(ap);
	exit(1);
}
