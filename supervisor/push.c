/*
 * States to the frontend: each change marks a service, and once a turn of the
 * loop every marked one is sent, so that a burst is one message.
 */
#include <sys/types.h>

#include <string.h>

#include "util.h"

#include "supervisor.h"

static struct service_list	 dirty = TAILQ_HEAD_INITIALIZER(dirty);
static int			 mode_dirty;
static int			 counts_dirty;

void
push_state(struct service *s)
{
	counts_dirty = 1;
	if (s->dirty || s->orphan)
		return;
	s->dirty = 1;
	TAILQ_INSERT_TAIL(&dirty, s, dirty_entry);
}

void
push_mode(void)
{
	mode_dirty = 1;
}

void
push_forget(struct service *s)
{
	if (s->dirty)
		TAILQ_REMOVE(&dirty, s, dirty_entry);
	s->dirty = 0;
}

void
push_all(void)
{
	struct service	*s;

	SERVICE_FOREACH(s)
		push_state(s);
	push_mode();
}

/* For `systemctl status`. */
static void
push_status(void)
{
	static char	 last[96];
	struct service	*s;
	const char	*text;
	unsigned int	 n = 0, up = 0, failed = 0;

	SERVICE_FOREACH(s) {
		n++;
		up += s->st.state == ST_RUNNING;
		failed += s->st.state == ST_FAILED || s->st.state == ST_BACKOFF;
	}
	text = textf("%u of %u services running, %u failed; %s mode", up, n,
	    failed, proto_mode_name(mode_now()));
	if (strcmp(text, last) == 0)
		return;
	strlcpy(last, text, sizeof(last));
	if (sup.parent != NULL)
		link_send(sup.parent, IMSG_SD_STATUS, 0, -1, last,
		    strlen(last));
}

static void
push_mode_now(void)
{
	struct wire_mode	 m;

	mode_dirty = 0;
	mode_fill(&m);
	link_send(sup.frontend, IMSG_MODE, 0, -1, &m, sizeof(m));
}

void
push_flush(void)
{
	struct service	*s;

	if (counts_dirty) {
		counts_dirty = 0;
		push_status();
	}
	if (sup.frontend != NULL && mode_dirty)
		push_mode_now();
	while ((s = TAILQ_FIRST(&dirty)) != NULL) {
		/* A frontend that does not read gets the latest, later. */
		if (sup.frontend != NULL && link_full(sup.frontend))
			return;
		push_forget(s);
		if (sup.frontend != NULL)
			link_send(sup.frontend, IMSG_STATE, s->id, -1,
			    &s->st, sizeof(s->st));
	}
}

/* --- display text --------------------------------------------------------- */
static size_t
text_word(char *tail, size_t size, size_t len, const char *word)
{
	size_t	 n = strlen(word) + 1;

	if (len + n > size)
		return (len);
	memcpy(tail + len, word, n);
	return (len + n);
}

static const char *
text_binary(const struct service *s)
{
	if (s->binary[s->st.mode] != NULL)
		return (s->binary[s->st.mode]);
	return (textf("target/%s/%s", s->st.mode == MODE_DEV ? "debug" :
	    "release", s->st.name));
}

size_t
push_text(const struct service *s, struct wire_text *t, char *tail,
    size_t size)
{
	const struct svc_conf	*c = s->conf;
	char			**argv = c->run[s->st.mode].slots + ARGV_SLOTS;
	size_t			 len = 0;

	memset(t, 0, sizeof(*t));
	t->serial = sup.serial;
	strlcpy(t->label, c->label, sizeof(t->label));
	strlcpy(t->description, c->w.description, sizeof(t->description));
	strlcpy(t->directory, c->w.directory, sizeof(t->directory));
	strlcpy(t->user, c->w.user, sizeof(t->user));
	if (c->run[s->st.mode].argc == 0)
		return (0);
	if (c->rust_binary) {
		len = text_word(tail, size, len, text_binary(s));
		argv++;
	}
	for (; *argv != NULL; argv++)
		len = text_word(tail, size, len, *argv);
	return (len);
}
