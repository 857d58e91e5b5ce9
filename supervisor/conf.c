/*
 * The parent's configuration as a transaction: collected between BEGIN and
 * END, then put in force in one step, or not at all.
 */
#include <sys/types.h>

#include <stdlib.h>
#include <string.h>

#include "log.h"

#include "supervisor.h"

/* What has come since BEGIN. */
static struct {
	uint32_t		 serial;
	int			 has_global;
	struct wire_global	 global;
	struct svc_conf		*services[MAX_SERVICES];
	struct admin		*admins;
	size_t			 nadmins;
	struct wire_port	*ports;
	size_t			 nports;
} staged;

/* Out of memory or nonsense from the parent: there is no going on. */
#define conf_bad(what)	fatalx("configuration from the parent: bad %s", what)

static void
staged_clear(void)
{
	uint32_t	 i;

	for (i = 0; i < MAX_SERVICES; i++)
		conf_unref(staged.services[i]);
	free(staged.admins);
	free(staged.ports);
	memset(&staged, 0, sizeof(staged));
}

void
conf_begin(struct link *l, struct imsg *imsg)
{
	struct wire_serial	 w;

	staged_clear();
	if (imsg_get_data(imsg, &w, sizeof(w)) == -1)
		conf_bad("serial");
	staged.serial = w.serial;
	link_state_set(l, LINK_CONF);
}

void
conf_global(struct link *l, struct imsg *imsg)
{
	(void)l;
	if (imsg_get_data(imsg, &staged.global, sizeof(staged.global)) == -1)
		conf_bad("global part");
	staged.has_global = 1;
}

static int
service_strings_ok(const struct wire_service *w)
{
	return (proto_str_ok(w->name, sizeof(w->name)) &&
	    proto_str_ok(w->group, sizeof(w->group)) &&
	    proto_str_ok(w->label, sizeof(w->label)) &&
	    proto_str_ok(w->description, sizeof(w->description)) &&
	    proto_str_ok(w->directory, sizeof(w->directory)) &&
	    proto_str_ok(w->user, sizeof(w->user)));
}

void
conf_service(struct link *l, struct imsg *imsg)
{
	struct svc_conf	*c;
	uint32_t	 id = imsg_get_id(imsg);

	(void)l;
	if ((c = calloc(1, sizeof(*c))) == NULL)
		fatal("configuration");
	if (id >= MAX_SERVICES || staged.services[id] != NULL ||
	    imsg_get_data(imsg, &c->w, sizeof(c->w)) == -1 ||
	    !service_strings_ok(&c->w) || c->w.ngroups > GROUPS_MAX)
		conf_bad("service");
	c->refs = 1;
	staged.services[id] = c;
}

void
conf_str(struct link *l, struct imsg *imsg)
{
	struct wire_str	 w;
	struct svc_conf	*c;
	struct ibuf	 tail;
	uint32_t	 id = imsg_get_id(imsg);

	(void)l;
	if (id >= MAX_SERVICES || (c = staged.services[id]) == NULL ||
	    imsg_get_buf(imsg, &w, sizeof(w)) == -1 || w.kind >= STR_COUNT ||
	    imsg_get_ibuf(imsg, &tail) == -1)
		conf_bad("string");
	if (strlist_add(&c->str[w.kind], ibuf_data(&tail),
	    ibuf_size(&tail)) == -1)
		fatal("configuration");
}

void
conf_port(struct link *l, struct imsg *imsg)
{
	struct wire_port	*p;

	(void)l;
	if ((p = reallocarray(staged.ports, staged.nports + 1,
	    sizeof(*p))) == NULL)
		fatal("configuration");
	staged.ports = p;
	if (imsg_get_data(imsg, &p[staged.nports++], sizeof(*p)) == -1)
		conf_bad("port");
}

void
conf_admin(struct link *l, struct imsg *imsg)
{
	struct wire_admin	 w;
	struct admin		*a;

	(void)l;
	if (imsg_get_data(imsg, &w, sizeof(w)) == -1)
		conf_bad("admin");
	if ((a = reallocarray(staged.admins, staged.nadmins + 1,
	    sizeof(*a))) == NULL)
		fatal("configuration");
	staged.admins = a;
	a[staged.nadmins].is_gid = w.is_gid;
	a[staged.nadmins++].id = w.id;
}

void
conf_control(struct link *l, struct imsg *imsg)
{
	(void)l;
	control_listen(imsg_get_fd(imsg));
}

/* --- in force ------------------------------------------------------------- */
static void
conf_take_lists(void)
{
	free(sup.admins);
	free(sup.ports);
	sup.admins = staged.admins;
	sup.nadmins = staged.nadmins;
	sup.ports = staged.ports;
	sup.nports = staged.nports;
	staged.admins = NULL;
	staged.ports = NULL;
}

static void
conf_gone(uint32_t id)
{
	if (sup.frontend != NULL)
		link_send(sup.frontend, IMSG_GONE, id, -1, NULL, 0);
}

/* Out of the table: its number belongs to somebody else from now on. */
static void
conf_orphan(struct service *s)
{
	push_forget(s);
	logs_forget(s);
	conf_gone(s->id);
	s->orphan = 1;
	sup.services[s->id] = NULL;
	TAILQ_INSERT_TAIL(&sup.orphans, s, orphan_entry);
}

static void
conf_remove(struct service *s)
{
	s->removed = 1;
	log_info("%s: removed from the configuration", s->st.name);
	service_halt(s, 0);
}

/* Old and new under the same number: the same service, or another one? */
static void
conf_service_commit(uint32_t id)
{
	struct service	*s = sup.services[id];
	struct svc_conf	*c = staged.services[id];

	if (s != NULL && (c == NULL || s->removed ||
	    strcmp(s->conf->w.name, c->w.name) != 0)) {
		if (!s->removed)
			conf_remove(s);
		if (c == NULL)
			return;
		conf_orphan(s);
		s = NULL;
	}
	if (c == NULL)
		return;
	if (s != NULL)
		service_configure(s, c);
	else {
		s = sup.services[id] = service_new(id, c);
		s->fresh = 1;
		if (id >= sup.id_end)
			sup.id_end = id + 1;
	}
}

/* Those that are new, or all at the start. */
void
conf_autostart(void)
{
	struct service	*s;

	SERVICE_FOREACH(s) {
		if (!s->fresh)
			continue;
		s->fresh = 0;
		if (s->conf->w.autostart)
			service_boot(s);
	}
}

static void
conf_prepare(void)
{
	uint32_t	 id;

	for (id = 0; id < MAX_SERVICES; id++)
		if (staged.services[id] != NULL &&
		    command_prepare(staged.services[id]) == -1)
			fatal("service %s", staged.services[id]->w.name);
}

static void
conf_commit(void)
{
	uint32_t	 id;

	sup.global = staged.global;
	sup.serial = staged.serial;
	log_setverbose((int)sup.global.verbose);
	conf_take_lists();
	if (!sup.configured)
		mode_init();
	for (id = 0; id < MAX_SERVICES; id++)
		conf_service_commit(id);
	auth_names();
	if (sup.configured) {
		front_reidentify();
		control_reidentify();
		mode_reconfigured();
	}
	sup.configured = 1;
	if (sup.started)
		conf_autostart();
}

void
conf_end(struct link *l, struct imsg *imsg)
{
	struct wire_serial	 w;

	if (imsg_get_data(imsg, &w, sizeof(w)) == -1 ||
	    w.serial != staged.serial || !staged.has_global)
		conf_bad("end");
	conf_prepare();
	conf_commit();
	staged_clear();
	link_state_set(l, LINK_IDLE);
	link_send(l, IMSG_CONF_DONE, 0, -1, &w, sizeof(w));
}

/* Removed services whose processes are gone; from the loop, not from within. */
void
conf_collect(void)
{
	struct service	*s, *next;

	for (s = service_next(NULL); s != NULL; s = next) {
		next = service_next(s);
		if (!s->removed || !service_idle(s))
			continue;
		conf_gone(s->id);
		sup.services[s->id] = NULL;
		service_free(s);
	}
	TAILQ_FOREACH_SAFE(s, &sup.orphans, orphan_entry, next)
		if (service_idle(s)) {
			TAILQ_REMOVE(&sup.orphans, s, orphan_entry);
			service_free(s);
		}
}
