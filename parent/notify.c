/*
 * Tells a service manager how we are: the protocol of sd_notify(3), without
 * its library.  Without NOTIFY_SOCKET nothing is sent.
 */
#include <sys/types.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "parent.h"
#include "util.h"

#define NOTIFY_MAX	1024

static int			 notify_fd = -1;
static struct sockaddr_un	 notify_to;
static socklen_t		 notify_len;

/* The variables are ours: no service is to speak in our name. */
void
notify_init(void)
{
	const char	*path = getenv("NOTIFY_SOCKET");
	size_t		 len;

	if (path != NULL && (*path == '/' || *path == '@') &&
	    (len = strlen(path)) < sizeof(notify_to.sun_path)) {
		notify_to.sun_family = AF_UNIX;
		memcpy(notify_to.sun_path, path, len + 1);
		notify_len = (socklen_t)(offsetof(struct sockaddr_un,
		    sun_path) + len);
		if (*path == '@')
			notify_to.sun_path[0] = '\0';
		notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC |
		    SOCK_NONBLOCK, 0);
		if (notify_fd == -1)
			log_warn("NOTIFY_SOCKET: socket");
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void __attribute__((format(printf, 1, 2)))
notify_send(const char *fmt, ...)
{
	char	 text[NOTIFY_MAX];
	va_list	 ap;
	int	 n;

	if (notify_fd == -1)
		return;
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n >= sizeof(text))
		n = sizeof(text) - 1;
	if (sendto(notify_fd, text, (size_t)n, MSG_NOSIGNAL,
	    (struct sockaddr *)&notify_to, notify_len) == -1)
		log_warn("NOTIFY_SOCKET: sendto");
}

void
notify_ready(void)
{
	notify_send("READY=1\nMAINPID=%d", (int)getpid());
}

void
notify_status(const char *text)
{
	notify_send("STATUS=%s", text);
}

void
notify_reloading(void)
{
	notify_send("RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)mono_us());
}

void
notify_stopping(void)
{
	notify_send("STOPPING=1");
}
