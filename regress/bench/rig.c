/*
 * See rig.h.
 */
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ring_layout.h"
#include "rig.h"
#include "util.h"

double
rig_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (ts.tv_sec + ts.tv_nsec / 1e9);
}

static void
link_pair(struct imsgbuf *b, int sv[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) == -1)
		err(1, "socketpair");
	if (imsgbuf_init(b, sv[0]) == -1 ||
	    imsgbuf_set_maxsize(b, LINK_FRAME_MAX) == -1)
		err(1, "imsgbuf_init");
	imsgbuf_allow_fdpass(b);
}

void
rig_put(struct imsgbuf *b, uint32_t type, uint32_t id, int fd, const void *p,
    size_t n)
{
	if (fd != -1 && (fd = fcntl(fd, F_DUPFD_CLOEXEC, 10)) == -1)
		err(1, "dup");
	if (imsg_compose(b, type, id, 0, fd, p, n) != 1 ||
	    imsgbuf_flush(b) == -1)
		err(1, "%s", proto_name(type));
}

/* 1: a frame; 0: the timeout has passed. */
static int
get(struct imsgbuf *b, struct imsg *imsg, int ms)
{
	struct pollfd p = { b->fd, POLLIN, 0 };
	int n;

	for (;;) {
		if ((n = imsgbuf_get(b, imsg)) == -1)
			err(1, "imsgbuf_get");
		if (n == 1)
			return (1);
		if (poll(&p, 1, ms) == 0)
			return (0);
		if ((n = imsgbuf_read(b)) == -1)
			err(1, "imsgbuf_read");
		if (n == 0)
			errx(1, "the logger has closed its link");
	}
}

static void
show_log(struct imsg *imsg)
{
	struct wire_u32	 w;
	struct ibuf	 t;

	if (imsg_get_type(imsg) != IMSG_LOG ||
	    imsg_get_buf(imsg, &w, sizeof(w)) == -1 ||
	    imsg_get_ibuf(imsg, &t) == -1)
		return;
	if (w.value <= 4 || getenv("RIG_VERBOSE") != NULL)
		fprintf(stderr, "logger: %.*s\n", (int)ibuf_size(&t),
		    (const char *)ibuf_data(&t));
}

static void
expect(struct rig *r, uint32_t type)
{
	struct imsg	imsg;
	uint32_t	t;

	do {
		if (!get(&r->parent, &imsg, 20000))
			errx(1, "no %s from the logger", proto_name(type));
		t = imsg_get_type(&imsg);
		show_log(&imsg);
		imsg_free(&imsg);
	} while (t != type);
}

static void
configure(struct rig *r)
{
	struct wire_serial	serial = { 1, 0 };
	struct wire_global	g;

	memset(&g, 0, sizeof(g));
	g.search_jit = getenv("RIG_NOJIT") == NULL;
	g.search_timeout_ms = 10000;
	g.echo = getenv("RIG_ECHO") != NULL;
	g.nservices = 1;
	rig_put(&r->parent, IMSG_CONF_BEGIN, 0, -1, &serial, sizeof(serial));
	rig_put(&r->parent, IMSG_CONF_GLOBAL, 0, -1, &g, sizeof(g));
	rig_put(&r->parent, IMSG_CONF_RING, 0, r->fd, &r->ring, sizeof(r->ring));
	rig_put(&r->parent, IMSG_CONF_RING_RO, 0, r->fd_ro, &r->ring,
	    sizeof(r->ring));
	rig_put(&r->parent, IMSG_CONF_END, 0, -1, &serial, sizeof(serial));
	expect(r, IMSG_CONF_DONE);
	rig_put(&r->parent, IMSG_START, 0, -1, NULL, 0);
}

void
rig_again(struct rig *r)
{
	static char	name[] = "keepd: logger", best[] = "-b";
	static char	nobody[] = "-u65534", nogroup[] = "-g65534";
	char		*argv[] = { name, best, nobody, nogroup, NULL };
	int		 sv[2], peer[2];

	if (getuid() != 0)
		argv[2] = NULL;		/* it stays who we are */
	link_pair(&r->parent, sv);
	if ((r->pid = fork()) == -1)
		err(1, "fork");
	if (r->pid == 0) {
		if (dup2(sv[1], 3) == -1)
			_exit(127);
		execv(r->logger, argv);
		_exit(127);
	}
	close(sv[1]);
	expect(r, IMSG_READY);
	link_pair(&r->sup, peer);
	rig_put(&r->parent, IMSG_PEER, PEER_SUPERVISOR, peer[1], NULL, 0);
	close(peer[1]);
	link_pair(&r->front, peer);
	rig_put(&r->parent, IMSG_PEER, PEER_FRONTEND, peer[1], NULL, 0);
	close(peer[1]);
	configure(r);
}

void
rig_start(struct rig *r, const char *bin, uint32_t lines, uint64_t run_bytes,
    uint32_t runs)
{
	char path[64];

	memset(r, 0, sizeof(*r));
	signal(SIGPIPE, SIG_IGN);
	snprintf(r->logger, sizeof(r->logger), "%s/libexec/keepd/logger", bin);
	r->ring.kind = RING_OUTPUT;
	r->ring.lines = lines;
	r->ring.run_bytes = run_bytes;
	r->ring.runs = runs;
	r->ring.fresh = 1;
	r->ring.size = ring_layout_size(lines, run_bytes, runs);
	strlcpy(r->ring.name, "web", sizeof(r->ring.name));
	if ((r->fd = memfd_create("ring", MFD_CLOEXEC)) == -1 ||
	    ftruncate(r->fd, r->ring.size) == -1)
		err(1, "memfd_create");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", r->fd);
	if ((r->fd_ro = open(path, O_RDONLY | O_CLOEXEC)) == -1)
		err(1, "%s", path);
	rig_again(r);
	r->ring.fresh = 0;
}

static void
forget(struct rig *r)
{
	imsgbuf_clear(&r->parent);
	close(r->parent.fd);
	imsgbuf_clear(&r->sup);
	close(r->sup.fd);
	imsgbuf_clear(&r->front);
	close(r->front.fd);
}

void
rig_kill(struct rig *r)
{
	kill(r->pid, SIGKILL);
	waitpid(r->pid, NULL, 0);
	forget(r);
}

void
rig_stop(struct rig *r)
{
	struct wire_u32	how = { 0 };

	rig_put(&r->parent, IMSG_SHUTDOWN, 0, -1, &how, sizeof(how));
	waitpid(r->pid, NULL, 0);
	forget(r);
	close(r->fd);
	close(r->fd_ro);
}

void
rig_run(struct rig *r, uint32_t run)
{
	struct wire_run w;

	memset(&w, 0, sizeof(w));
	w.time_ms = now_ms();
	w.kind = RING_OUTPUT;
	w.run = run;
	rig_put(&r->sup, IMSG_RUN, 0, -1, &w, sizeof(w));
}

void
rig_run_end(struct rig *r, uint32_t run, int code)
{
	struct wire_run w;

	memset(&w, 0, sizeof(w));
	w.time_ms = now_ms();
	w.kind = RING_OUTPUT;
	w.run = run;
	w.exit_code = code;
	rig_put(&r->sup, IMSG_RUN_END, 0, -1, &w, sizeof(w));
}

void
rig_attach(struct rig *r, uint32_t run, uint32_t stream, int fd)
{
	struct wire_attach w;

	memset(&w, 0, sizeof(w));
	w.kind = RING_OUTPUT;
	w.run = run;
	w.stream = stream;
	rig_put(&r->sup, IMSG_ATTACH, 0, fd, &w, sizeof(w));
}

void
rig_wait_drained(struct rig *r, uint32_t n)
{
	struct imsg imsg;

	while (r->drained < n) {
		if (!get(&r->sup, &imsg, 120000))
			errx(1, "not drained");
		if (imsg_get_type(&imsg) == IMSG_DRAINED)
			r->drained++;
		imsg_free(&imsg);
	}
}

static void
take_data(struct rig_result *res, struct imsg *imsg,
    void (*line)(const struct wire_line *, const char *, void *), void *arg)
{
	struct wire_line	 wl;
	struct ibuf		 b;

	if (imsg_get_ibuf(imsg, &b) == -1)
		errx(1, "bad data");
	while (ibuf_size(&b) > 0) {
		if (ibuf_get(&b, &wl, sizeof(wl)) == -1 ||
		    ibuf_size(&b) < wl.len)
			errx(1, "bad line in data");
		if (line != NULL)
			line(&wl, ibuf_data(&b), arg);
		res->lines++;
		res->bytes += wl.len;
		(void)ibuf_skip(&b, wl.len);
	}
}

uint32_t
rig_ask(struct rig *r, struct imsgbuf *b, const struct wire_query *q,
    const char *pattern)
{
	uint8_t		 buf[sizeof(*q) + PATTERN_MAX];
	struct wire_query w = *q;
	size_t		 len = pattern == NULL ? 0 : strlen(pattern);

	if (pattern != NULL)
		w.flags |= Q_PATTERN;
	memcpy(buf, &w, sizeof(w));
	if (len > 0)
		memcpy(buf + sizeof(w), pattern, len);
	rig_put(b, IMSG_QUERY, ++r->next_query, -1, buf, sizeof(w) + len);
	return (r->next_query);
}

static void
take_end(struct rig_result *res, struct imsg *imsg)
{
	size_t len;

	if (imsg_get_buf(imsg, &res->end, sizeof(res->end)) == -1)
		errx(1, "bad end");
	len = imsg_get_len(imsg);
	if (len >= sizeof(res->text))
		len = sizeof(res->text) - 1;
	(void)imsg_get_buf(imsg, res->text, len);
}

int
rig_answer(struct rig *r, struct imsgbuf *b, uint32_t id, int ms,
    void (*line)(const struct wire_line *, const char *, void *), void *arg,
    struct rig_result *res)
{
	struct imsg	 imsg;
	struct wire_u32	 n;
	uint32_t	 type;

	memset(res, 0, sizeof(*res));
	do {
		if (!get(b, &imsg, ms))
			return (0);
		type = imsg_get_type(&imsg);
		if (type == IMSG_DRAINED)
			r->drained++;
		if (id != 0 && imsg_get_id(&imsg) != id)
			type = IMSG_NONE;
		if (type == IMSG_DATA) {
			n.value = imsg_get_len(&imsg);
			take_data(res, &imsg, line, arg);
			rig_put(b, IMSG_CREDIT, imsg_get_id(&imsg), -1, &n,
			    sizeof(n));
		}
		if (type == IMSG_END)
			take_end(res, &imsg);
		imsg_free(&imsg);
	} while (type != IMSG_END);
	return (1);
}

void
rig_query(struct rig *r, struct wire_query *q, const char *pattern,
    void (*line)(const struct wire_line *, const char *, void *), void *arg,
    struct rig_result *res)
{
	uint32_t id = rig_ask(r, &r->sup, q, pattern);

	if (!rig_answer(r, &r->sup, id, 120000, line, arg, res))
		errx(1, "no answer to a query");
}
