/*
 * The demo's service: answers each HTTP request on an ephemeral loopback port
 * with a line, and logs what it does.  SIGTERM ends it in order.
 */
#include <sys/socket.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t quit;

static void
on_term(int sig)
{
	(void)sig;
	quit = 1;
}

static void
serve(int s, unsigned long n)
{
	static const char reply[] = "HTTP/1.0 200 OK\r\n"
	    "Content-Type: text/plain\r\n\r\nhello from a " MODE " build\n";
	char req[512];
	ssize_t len;

	len = read(s, req, sizeof(req) - 1);
	if (len > 0) {
		req[len] = '\0';
		req[strcspn(req, "\r\n")] = '\0';
		printf("request %lu: %s\n", n, req);
		if (write(s, reply, sizeof(reply) - 1) == -1)
			perror("write");
	}
	close(s);
}

int
main(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sigaction sa = { .sa_handler = on_term };
	socklen_t len = sizeof(sin);
	unsigned long n = 0;
	int fd, s;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigaction(SIGTERM, &sa, NULL);
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if ((fd = socket(AF_INET, SOCK_STREAM, 0)) == -1 ||
	    bind(fd, (struct sockaddr *)&sin, sizeof(sin)) == -1 ||
	    listen(fd, 16) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1) {
		perror("hello");
		return (1);
	}
	printf("hello: %s build, listening on 127.0.0.1:%d\n", MODE,
	    ntohs(sin.sin_port));
	fprintf(stderr, "warning: no configuration file, using defaults\n");
	printf("cache: error: upstream 10.0.0.7 timeout after 250 ms\n");
	printf("cache: continuing without upstream\n");
	while (!quit) {
		if ((s = accept(fd, NULL, NULL)) != -1)
			serve(s, ++n);
	}
	printf("hello: ending in order\n");
	return (0);
}
