/*
 * Queries that wait: until a line matches (looked for by short searches in a
 * worker, never here) or until nothing was written for a while.  They end when
 * the run does, and when their time is up.
 */
#include <sys/time.h>

#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "logger.h"
#include "util.h"

#define LOOK_US		(10 * 1000)	/* between two searches */
#define EXPIRE_MAX_MS	(24ULL * 3600 * 1000)

static void
wait_after(struct event *ev, uint64_t us)
{
	struct timeval tv;

	tv.tv_sec = us / 1000000;
	tv.tv_usec = us % 1000000;
	(void)event_add(ev, &tv);
}

/* State of the run that is waited for; -1: there is none. */
static int
wait_state(const struct query *q, struct ring_state *st)
{
	uint32_t slot = ring_run_slot(&q->log->ring, q->wait.run);

	if (slot == RING_NONE)
		return (-1);
	ring_state_get(&q->log->ring, slot, st);
	return (0);
}

static void
wait_exited(struct query *q, const struct ring_state *st)
{
	q->end.run = q->wait.run;
	q->end.next_run = q->wait.run;
	q->end.next_line = q->wait.line;
	if (st != NULL) {
		q->end.exit_code = st->exit_code;
		q->end.signal = st->signal;
	}
	if (st != NULL && st->signal != 0)
		query_end(q, END_EXITED, "run %u ended by signal %u",
		    q->end.run, st->signal);
	else if (st != NULL)
		query_end(q, END_EXITED, "run %u exited with status %d",
		    q->end.run, (int)st->exit_code);
	else
		query_end(q, END_EXITED, "run %u is gone", q->end.run);
}

/* Nothing more to look at in this run for now. */
static void
wait_idle(struct query *q)
{
	struct ring_state st;

	if (q->wait.run == 0)
		return;
	if (wait_state(q, &st) == -1)
		wait_exited(q, NULL);
	else if ((st.flags & RING_ENDED) ||
	    ring_run_newest(&q->log->ring) != q->wait.run)
		wait_exited(q, &st);
}

static void
wait_look(struct query *q)
{
	struct ring_state st;

	if (q->search != NULL)
		return;
	if (q->wait.run != 0 && wait_state(q, &st) == 0 &&
	    st.lines > q->wait.line)
		search_start(q, q->wait.run, q->wait.line);
	else
		wait_idle(q);
}

static void
wait_pause_cb(evutil_socket_t fd, short what, void *arg)
{
	struct query *q = arg;

	(void)fd;
	(void)what;
	q->wait.waiting = 0;
	wait_look(q);
}

/* Quiet since the last line, or since the query: due, or wait for the rest. */
static void
wait_quiet_cb(evutil_socket_t fd, short what, void *arg)
{
	struct query		*q = arg;
	struct ring_state	 st;
	uint64_t		 now = mono_us(), quiet;

	(void)fd;
	(void)what;
	quiet = (uint64_t)q->q.quiet_ms * 1000;
	if (now - q->wait.since_us + 500 < quiet) {
		wait_after(q->pause, quiet - (now - q->wait.since_us));
		return;
	}
	q->end.run = q->end.next_run = q->wait.run;
	if (wait_state(q, &st) == 0)
		q->end.next_line = st.lines;
	query_end(q, END_SETTLED, "nothing was written for %u ms",
	    q->q.quiet_ms);
}

static void
wait_expire_cb(evutil_socket_t fd, short what, void *arg)
{
	struct query *q = arg;

	(void)fd;
	(void)what;
	q->end.run = q->end.next_run = q->wait.run;
	q->end.next_line = q->wait.line;
	query_end(q, END_WAIT_TIMEOUT, "waited for %llu ms",
	    (unsigned long long)q->q.timeout_ms);
}

/* The newest run, from its end unless the query says otherwise. */
static void
wait_place(struct query *q)
{
	struct ring_state	st;
	uint32_t		run = ring_run_newest(&q->log->ring);

	q->wait.run = run;
	if (run == 0 || wait_state(q, &st) == -1)
		return;
	if (q->q.flags & Q_SINCE_RUN)
		q->wait.line = 0;
	else if ((q->q.flags & Q_CURSOR) && q->q.cursor_run == run)
		q->wait.line = q->q.cursor_line < st.lines ?
		    q->q.cursor_line : st.lines;
	else if ((q->q.flags & Q_CURSOR) && q->q.cursor_run < run)
		q->wait.line = 0;
	else
		q->wait.line = st.lines;
}

/* With SINCE_RUN it counts how long the run has been quiet already. */
static void
wait_quiet_start(struct query *q)
{
	struct ring_state	st;
	uint64_t		last, now = now_ms();

	q->wait.since_us = mono_us();
	if ((q->q.flags & Q_SINCE_RUN) && wait_state(q, &st) == 0) {
		last = st.last_ms > st.start_ms ? st.last_ms : st.start_ms;
		if (now > last && (now - last) * 1000 < q->wait.since_us)
			q->wait.since_us -= (now - last) * 1000;
	}
	if (wait_state(q, &st) == 0 && (st.flags & RING_ENDED))
		wait_exited(q, &st);
	else
		wait_quiet_cb(-1, 0, q);
}

void
wait_start(struct query *q)
{
	int		quiet = q->q.query == QUERY_WAIT_QUIET;
	uint64_t	ms = q->q.timeout_ms;

	q->pause = evtimer_new(logger_base,
	    quiet ? wait_quiet_cb : wait_pause_cb, q);
	q->deadline = evtimer_new(logger_base, wait_expire_cb, q);
	if (q->pause == NULL || q->deadline == NULL) {
		query_end(q, END_BUSY, "out of memory");
		return;
	}
	if (ms != 0)
		wait_after(q->deadline,
		    (ms < EXPIRE_MAX_MS ? ms : EXPIRE_MAX_MS) * 1000);
	query_watch(q);
	wait_place(q);
	if (quiet)
		wait_quiet_start(q);
	else
		wait_look(q);
}

/* Lines came, a run began or ended. */
void
wait_news(struct query *q)
{
	struct ring_state st;

	if (q->wait.run == 0)
		q->wait.run = ring_run_newest(&q->log->ring);
	if (q->q.query == QUERY_WAIT_QUIET) {
		q->wait.since_us = mono_us();
		if (wait_state(q, &st) == 0 && (st.flags & RING_ENDED))
			wait_exited(q, &st);
	} else if (q->search == NULL && !q->wait.waiting) {
		wait_look(q);
	}
}

/* A search has ended well; q->end has its figures. */
void
wait_searched(struct query *q)
{
	if (q->end.matches > 0) {
		query_end(q, END_MATCHED, "%s", "");
		return;
	}
	if (q->end.next_line > q->wait.line)
		q->wait.line = q->end.next_line;
	q->wait.waiting = 1;
	wait_after(q->pause, LOOK_US);
}
