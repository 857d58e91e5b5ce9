/*
 * What the three may say to the parent: one permit table a sender.  Whoever
 * says anything else is killed and replaced (link.c, child.c).
 */
#include <sys/types.h>

#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "log.h"
#include "parent.h"
#include "util.h"

#define LINE_SIZE	2048

static void
handle_ready(struct link *link, struct imsg *imsg)
{
	struct wire_u32	 w;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1)
		link_refuse(link, "READY");
	else
		child_ready(link, w.value);
}

static void
handle_conf_done(struct link *link, struct imsg *imsg)
{
	struct wire_serial	 w;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1)
		link_refuse(link, "CONF_DONE");
	else
		child_conf_done(link, w.serial);
}

/* What is left of a message as text that is cut where it is too long. */
static void
take_text(struct imsg *imsg, char *buf, size_t size)
{
	size_t	 len = imsg_get_len(imsg);

	if (len > size - 1)
		len = size - 1;
	if (imsg_get_buf(imsg, buf, len) == -1)
		len = 0;
	buf[len] = '\0';
}

static void
handle_log(struct link *link, struct imsg *imsg)
{
	struct wire_u32	 w;
	char		 line[LINE_SIZE];

	if (imsg_get_buf(imsg, &w, sizeof(w)) == -1 || w.value > LOG_DEBUG) {
		link_refuse(link, "LOG");
		return;
	}
	take_text(imsg, line, sizeof(line));
	log_relay(link_name(link), (int)w.value, line);
}

static int
key_ok(const struct wire_key *key)
{
	return (key->service < MAX_SERVICES && key->kind <= RING_BUILD &&
	    key->stream <= STREAM_STDERR);
}

static void
handle_keep(struct link *link, struct imsg *imsg)
{
	struct wire_key	 key;
	int		 fd = imsg_get_fd(imsg);

	if (imsg_get_data(imsg, &key, sizeof(key)) == -1 || !key_ok(&key)) {
		close(fd);
		link_refuse(link, "KEEP");
	} else if (store_keep(&key, fd) == -1)
		link_refuse(link, "KEEP: twice, or too many");
}

static void
handle_forget(struct link *link, struct imsg *imsg)
{
	struct wire_key	 key;

	if (imsg_get_data(imsg, &key, sizeof(key)) == -1 || !key_ok(&key))
		link_refuse(link, "FORGET");
	else
		store_forget(&key);
}

static void
handle_reload(struct link *link, struct imsg *imsg)
{
	(void)link;
	reload(1, imsg_get_id(imsg));
}

static void
handle_ask_shutdown(struct link *link, struct imsg *imsg)
{
	(void)link;
	(void)imsg;
	log_notice("asked to stop");
	if (!parent.stopping)
		parent_stop();
}

static void
handle_stopped(struct link *link, struct imsg *imsg)
{
	(void)imsg;
	if (!parent.stopping)
		link_refuse(link, "STOPPED without having been asked");
	else
		parent_services_stopped();
}

static void
handle_sd_status(struct link *link, struct imsg *imsg)
{
	char	 line[LINE_SIZE];

	take_text(imsg, line, sizeof(line));
	/* A newline would begin another assignment. */
	if (!proto_str_ok(line, sizeof(line)))
		link_refuse(link, "SD_STATUS");
	else
		notify_status(line);
}

#define STATE_UP	(STATE_READY | STATE_SERVING)

static const struct permit	 from_any[] = {
	{ IMSG_LOG,		LINK_ANY,	handle_log },
	{ IMSG_READY,		STATE_STARTING,	handle_ready },
	{ IMSG_CONF_DONE,	LINK_ANY,	handle_conf_done },
	{ 0, 0, NULL }
};
static const struct permit	 from_supervisor[] = {
	{ IMSG_LOG,		LINK_ANY,	handle_log },
	{ IMSG_READY,		STATE_STARTING,	handle_ready },
	{ IMSG_CONF_DONE,	LINK_ANY,	handle_conf_done },
	{ IMSG_KEEP,		STATE_SERVING,	handle_keep },
	{ IMSG_FORGET,		STATE_SERVING,	handle_forget },
	{ IMSG_RELOAD,		STATE_SERVING,	handle_reload },
	{ IMSG_ASK_SHUTDOWN,	STATE_SERVING,	handle_ask_shutdown },
	{ IMSG_STOPPED,		STATE_UP,	handle_stopped },
	{ IMSG_SD_STATUS,	STATE_UP,	handle_sd_status },
	{ 0, 0, NULL }
};

const struct permit *
dispatch_permits(enum peer peer)
{
	return (peer == PEER_SUPERVISOR ? from_supervisor : from_any);
}
