/*
 * Questions about TCP sockets to the kernel, by NETLINK_SOCK_DIAG: who owns
 * the other end of a connection, and does anybody listen on a port.  The
 * kernel answers within the call; nothing here waits.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

#include "supervisor.h"

#define ANSWER_SIZE	16384

/* Who holds a socket that is one of these can be told; in others, TIME_WAIT
 * above all, the kernel would say 0. */
#define OWNED_STATES	((1U << TCP_ESTABLISHED) | (1U << TCP_FIN_WAIT1) | \
			 (1U << TCP_FIN_WAIT2) | (1U << TCP_CLOSE_WAIT))

static int	diag_fd = -1;

struct diag_request {
	struct nlmsghdr			 nlh;
	struct inet_diag_req_v2		 req;
};

int
diag_init(void)
{
	diag_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    NETLINK_SOCK_DIAG);
	return (diag_fd == -1 ? -1 : 0);
}

static void
diag_drain(void)
{
	char	 buf[ANSWER_SIZE];

	while (recv(diag_fd, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		continue;
}

static int
diag_ask(struct diag_request *r, int flags)
{
	static uint32_t		 seq;
	struct sockaddr_nl	 kernel;

	diag_drain();
	memset(&kernel, 0, sizeof(kernel));
	kernel.nl_family = AF_NETLINK;
	r->nlh.nlmsg_len = sizeof(*r);
	r->nlh.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	r->nlh.nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
	r->nlh.nlmsg_seq = ++seq;
	if (sendto(diag_fd, r, sizeof(*r), 0, (struct sockaddr *)&kernel,
	    sizeof(kernel)) == -1)
		return (-1);
	return (0);
}

/* --- the owner of a connection -------------------------------------------- */
static void
diag_tuple(struct inet_diag_sockid *id, const struct wire_peeraddr *p)
{
	size_t	 len = p->kind == LISTEN_INET ? 4 : 16;

	id->idiag_sport = htons(p->client_port);
	id->idiag_dport = htons(p->server_port);
	memcpy(id->idiag_src, p->client, len);
	memcpy(id->idiag_dst, p->server, len);
	id->idiag_cookie[0] = id->idiag_cookie[1] = INET_DIAG_NOCOOKIE;
}

static int
diag_same(const struct inet_diag_sockid *a, const struct inet_diag_sockid *b)
{
	return (a->idiag_sport == b->idiag_sport &&
	    a->idiag_dport == b->idiag_dport);
}

static int
diag_read_uid(const struct diag_request *r, uint32_t *uid)
{
	union {
		struct nlmsghdr	 nlh;
		char		 buf[ANSWER_SIZE];
	}				 u;
	const struct inet_diag_msg	*m;
	ssize_t				 n;

	n = recv(diag_fd, &u, sizeof(u), MSG_DONTWAIT);
	if (n < 0 || !NLMSG_OK(&u.nlh, (size_t)n) ||
	    u.nlh.nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    u.nlh.nlmsg_seq != r->nlh.nlmsg_seq ||
	    u.nlh.nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
		return (-1);
	m = NLMSG_DATA(&u.nlh);
	/* A socket that no process holds belongs to nobody we could name. */
	if (!diag_same(&m->id, &r->req.id) || m->idiag_inode == 0 ||
	    m->idiag_state > TCP_CLOSING ||
	    !(OWNED_STATES & (1U << m->idiag_state)))
		return (-1);
	*uid = m->idiag_uid;
	return (0);
}

int
diag_peer_uid(const struct wire_peeraddr *p, uint32_t *uid)
{
	struct diag_request	 r;

	if (diag_fd == -1)
		return (-1);
	memset(&r, 0, sizeof(r));
	r.req.sdiag_family = p->kind == LISTEN_INET ? AF_INET : AF_INET6;
	r.req.sdiag_protocol = IPPROTO_TCP;
	r.req.idiag_states = OWNED_STATES;
	diag_tuple(&r.req.id, p);
	if (diag_ask(&r, 0) == -1) {
		log_warn("sock_diag");
		return (-1);
	}
	return (diag_read_uid(&r, uid));
}

/* --- listeners ------------------------------------------------------------ */
/* 1 found, 0 not, -1 more to read. */
static int
diag_read_listener(ssize_t n, struct nlmsghdr *h, uint32_t port)
{
	const struct inet_diag_msg	*m;
	size_t				 left = (size_t)n;

	for (; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
		if (h->nlmsg_type == NLMSG_DONE ||
		    h->nlmsg_type == NLMSG_ERROR)
			return (0);
		if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
			continue;
		m = NLMSG_DATA(h);
		if (ntohs(m->id.idiag_sport) == port &&
		    m->idiag_state == TCP_LISTEN)
			return (1);
	}
	return (-1);
}

static int
diag_listening_family(int family, uint32_t port)
{
	union {
		struct nlmsghdr	 nlh;
		char		 buf[ANSWER_SIZE];
	}			 u;
	struct diag_request	 r;
	ssize_t			 n;
	int			 found;

	memset(&r, 0, sizeof(r));
	r.req.sdiag_family = (uint8_t)family;
	r.req.sdiag_protocol = IPPROTO_TCP;
	r.req.idiag_states = 1U << TCP_LISTEN;
	r.req.id.idiag_sport = htons((uint16_t)port);
	if (diag_ask(&r, NLM_F_DUMP) == -1)
		return (0);
	while ((n = recv(diag_fd, &u, sizeof(u), MSG_DONTWAIT)) > 0)
		if ((found = diag_read_listener(n, &u.nlh, port)) != -1)
			return (found);
	return (0);
}

int
diag_listening(uint32_t port)
{
	if (diag_fd == -1)
		return (0);
	return (diag_listening_family(AF_INET, port) ||
	    diag_listening_family(AF_INET6, port));
}
