/*
 * Actions that were accepted and whose answer is due, and the answers.  Each
 * request is answered exactly once, or dropped with the one who asked.
 */
#include <sys/types.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "util.h"

#include "supervisor.h"

#define TEXTS		4		/* textf results alive at a time */
#define TEXT_SIZE	1024

static struct request_list	 requests = TAILQ_HEAD_INITIALIZER(requests);
static unsigned int		 front_requests;

const char *
textf(const char *fmt, ...)
{
	static char	 bufs[TEXTS][TEXT_SIZE];
	static int	 next;
	char		*buf = bufs[next++ % TEXTS];
	va_list		 ap;

	va_start(ap, fmt);
	vsnprintf(buf, TEXT_SIZE, fmt, ap);	/* cut is fine: for the eye */
	va_end(ap);
	return (buf);
}

/* --- batches -------------------------------------------------------------- */
/* One of several is answered; the last one brings the final RESULT. */
void
batch_release(const struct asker *asker, uint32_t code, int tell)
{
	struct batch		*b = asker->batch;
	struct wire_result	 r;

	if (b == NULL)
		return;
	if (b->worst == RES_OK)
		b->worst = code;
	if (--b->pending > 0)
		return;
	if (tell) {
		memset(&r, 0, sizeof(r));
		r.serial = asker->serial;
		r.service = SERVICE_NONE;
		r.code = b->worst;
		r.verb = b->verb;
		r.exit_code = -1;
		r.elapsed_ms = (mono_us() - b->begun_us) / 1000;
		control_send(asker->ctl, asker->frame, &r, "");
	}
	free(b);
}

/* --- answers -------------------------------------------------------------- */
void
request_send(const struct asker *asker, struct wire_result *r,
    const char *text)
{
	/* Whoever reads an answer and then asks for the state sees the new one. */
	push_flush();
	r->serial = asker->serial;
	if (asker->ctl != NULL) {
		control_send(asker->ctl, asker->frame, r, text);
		batch_release(asker, r->code, 1);
	} else if (asker->conn != 0 && sup.frontend != NULL)
		link_send2(sup.frontend, IMSG_RESULT, asker->conn, -1, r,
		    sizeof(*r), text, strlen(text));
}

static void
result_fill(struct wire_result *r, const struct service *s, uint32_t verb,
    uint32_t code)
{
	memset(r, 0, sizeof(*r));
	r->service = s->id;
	r->code = code;
	r->verb = verb;
	r->old_pid = s->old_pid;
	r->new_pid = s->st.pid;
	r->run = s->st.run;
	r->exit_code = s->st.exit_code;
	r->exit_signal = s->st.exit_signal;
}

void
request_refuse(const struct asker *asker, struct service *s, uint32_t verb,
    uint32_t code, const char *text)
{
	struct wire_result	 r;

	result_fill(&r, s, verb, code);
	request_send(asker, &r, text);
}

/* --- requests ------------------------------------------------------------- */
static void
request_free(struct request *r)
{
	if (r->asker.conn != 0)
		front_requests--;
	evtimer_del(&r->deadline);
	TAILQ_REMOVE(&r->svc->requests, r, entry);
	TAILQ_REMOVE(&requests, r, all);
	free(r);
}

void
request_done(struct request *req, uint32_t code, const char *text)
{
	struct wire_result	 r;
	struct service		*s = req->svc;
	struct asker		 asker = req->asker;

	result_fill(&r, s, req->verb, code);
	r.joined = req->joined;
	r.elapsed_ms = (mono_us() - req->begun_us) / 1000;
	if (code == RES_OK && (req->verb == VERB_RESTART ||
	    req->verb == VERB_REBUILD) && s->old_pid != 0)
		r.gap_ms = (uint32_t)((s->gap_us + 500) / 1000);
	request_free(req);
	request_send(&asker, &r, text);
}

static void
request_expired(evutil_socket_t fd, short what, void *arg)
{
	struct request	*r = arg;

	(void)fd;
	(void)what;
	request_done(r, RES_TIMEOUT, textf("%s of %s is not finished yet; it "
	    "goes on", proto_verb_name(r->verb), r->svc->st.name));
}

/* Stops and restarts have a limit of their own: when KILL comes. */
static void
request_limit(struct request *r, uint64_t ms)
{
	struct timeval	 tv;

	if (ms == 0 || r->verb == VERB_STOP || r->verb == VERB_RESTART)
		return;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	evtimer_add(&r->deadline, &tv);
}

struct request *
request_add(struct service *s, const struct asker *asker,
    const struct wire_action *a)
{
	struct request	*r;

	if ((r = calloc(1, sizeof(*r))) == NULL) {
		request_refuse(asker, s, a->verb, RES_BUSY, "out of memory");
		return (NULL);
	}
	r->svc = s;
	r->asker = *asker;
	r->verb = a->verb;
	r->begun_us = mono_us();
	evtimer_assign(&r->deadline, sup.base, request_expired, r);
	TAILQ_INSERT_TAIL(&s->requests, r, entry);
	TAILQ_INSERT_TAIL(&requests, r, all);
	if (asker->conn != 0)
		front_requests++;
	request_limit(r, a->timeout_ms);
	return (r);
}

void
request_finish(struct service *s, uint32_t verbs, uint32_t code,
    const char *text)
{
	struct request	*r, *next;

	TAILQ_FOREACH_SAFE(r, &s->requests, entry, next)
		if (verbs & (1U << r->verb))
			request_done(r, code, text);
}

unsigned int
request_count(void)
{
	return (front_requests);
}

unsigned int
request_count_ctl(const struct ctl *ctl)
{
	struct request	*r;
	unsigned int	 n = 0;

	TAILQ_FOREACH(r, &requests, all)
		n += r->asker.ctl == ctl;
	return (n);
}

void
request_drop_conn(uint32_t conn)
{
	struct request	*r, *next;

	TAILQ_FOREACH_SAFE(r, &requests, all, next)
		if (r->asker.conn != 0 && (conn == 0 || r->asker.conn == conn))
			request_free(r);
}

void
request_drop_ctl(struct ctl *ctl)
{
	struct request	*r, *next;
	struct asker	 asker;

	TAILQ_FOREACH_SAFE(r, &requests, all, next) {
		if (r->asker.ctl != ctl)
			continue;
		asker = r->asker;
		request_free(r);
		batch_release(&asker, RES_CANCELLED, 0);
	}
}
