/*
 * The read ends of services' pipes: when to read, how much, and when to wait a
 * little so that a process that writes line by line does not wake us for each.
 *
 * A pipe that has nothing rests in epoll and costs nothing.  One that was read
 * less than QUIET_US ago and gives only a little is taken out of epoll and
 * looked at again after a pause, which is at most PAUSE_MAX_US (so a line is
 * visible within a millisecond) and less when the pipe was found nearly full.
 */
#include <sys/timerfd.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "log.h"
#include "logger.h"
#include "util.h"

#define TURN_BYTES	(512 * 1024)	/* of one pipe, then others */
#define LITTLE		4096		/* bytes: not worth a wake-up */
#define QUIET_US	1000		/* since the last read: not busy */
#define PAUSE_MIN_US	20
#define PAUSE_MAX_US	500
#define PIPE_SMALL	(64 * 1024)
#define PIPE_LARGE	(1024 * 1024)
#define LARGE_MAX	16	/* a quarter of pipe-user-pages-soft */
#define FULL_READS	4	/* running, before a pipe is made large */
#define DRAIN_BYTES	(4 * PIPE_LARGE)

struct source {
	TAILQ_ENTRY(source)	 entry;		/* of its log */
	TAILQ_ENTRY(source)	 lazy;
	struct log		*log;
	struct event		*ev;
	int			 fd;
	uint32_t		 run;
	uint32_t		 slot;		/* RING_NONE: text is discarded */
	uint32_t		 stream;
	uint32_t		 pipe;		/* bytes it holds */
	unsigned int		 full;		/* full reads running */
	unsigned int		 pause;		/* us */
	int			 lazing;
	int			 no_large;	/* was refused */
	uint64_t		 due_us;	/* lazing: look again */
	uint64_t		 read_us;	/* last read */
	uint64_t		 busy_us;	/* last full read */
};

static TAILQ_HEAD(lazy_head, source) lazies = TAILQ_HEAD_INITIALIZER(lazies);
static struct event	*timer_ev;
static int		 timer_fd = -1;
static unsigned int	 nlarge;
static struct source	*large[LARGE_MAX];

static void	 source_cb(evutil_socket_t, short, void *);

/* --- pipes' sizes -------------------------------------------------------- */

static void
pipe_small(unsigned int i)
{
	struct source *s = large[i];

	(void)fcntl(s->fd, F_SETPIPE_SZ, PIPE_SMALL);
	s->pipe = PIPE_SMALL;
	large[i] = large[--nlarge];
}

/* The large pipe that was last busy before the others; -1: all are busy. */
static int
pipe_idle(uint64_t now)
{
	unsigned int	i;
	int		found = -1;
	uint64_t	oldest = now - 1000000;

	for (i = 0; i < nlarge; i++)
		if (large[i]->busy_us < oldest) {
			oldest = large[i]->busy_us;
			found = i;
		}
	return (found);
}

/*
 * Twice as fast with a large pipe, but an ordinary user has few pages for
 * pipes, and beyond those new pipes are tiny: only the busiest get one.
 */
static void
pipe_grow(struct source *s, uint64_t now)
{
	int i;

	if (s->no_large || s->pipe >= PIPE_LARGE)
		return;
	if (nlarge == LARGE_MAX) {
		if ((i = pipe_idle(now)) == -1)
			return;
		pipe_small(i);
	}
	if (fcntl(s->fd, F_SETPIPE_SZ, PIPE_LARGE) == -1) {
		s->no_large = 1;
		return;
	}
	s->pipe = PIPE_LARGE;
	large[nlarge++] = s;
}

static void
pipe_forget(struct source *s)
{
	unsigned int i;

	for (i = 0; i < nlarge; i++)
		if (large[i] == s)
			large[i] = large[--nlarge];
}

/* --- pauses -------------------------------------------------------------- */

static void
timer_arm(uint64_t us)
{
	struct itimerspec it;

	memset(&it, 0, sizeof(it));
	it.it_value.tv_sec = us / 1000000;
	it.it_value.tv_nsec = us % 1000000 * 1000 + 1;
	if (timerfd_settime(timer_fd, 0, &it, NULL) == -1)
		fatal("timerfd_settime");
}

static void
source_wake(struct source *s)
{
	if (s->lazing) {
		TAILQ_REMOVE(&lazies, s, lazy);
		s->lazing = 0;
		(void)event_add(s->ev, NULL);
	}
}

static void
source_laze(struct source *s, uint64_t now)
{
	s->due_us = now + s->pause;
	if (s->lazing)
		return;
	s->lazing = 1;
	(void)event_del(s->ev);
	if (TAILQ_EMPTY(&lazies))
		timer_arm(s->pause);
	TAILQ_INSERT_TAIL(&lazies, s, lazy);
}

/* --- reading ------------------------------------------------------------- */

static void
source_free(struct source *s)
{
	if (s->lazing)
		TAILQ_REMOVE(&lazies, s, lazy);
	pipe_forget(s);
	if (s->slot != RING_NONE)
		ring_unpin(&s->log->ring, s->slot);
	TAILQ_REMOVE(&s->log->sources, s, entry);
	if (s->ev != NULL)
		event_free(s->ev);
	close(s->fd);
	free(s);
}

/* Every byte is in the ring: the supervisor may let go of its duplicate. */
static void
source_eof(struct source *s)
{
	struct wire_attach w;

	if (s->slot != RING_NONE)
		ring_eof(&s->log->ring, s->slot, s->stream);
	memset(&w, 0, sizeof(w));
	w.kind = s->log->kind;
	w.run = s->run;
	w.stream = s->stream;
	logger_drained(s->log->service, &w);
	source_free(s);
}

static ssize_t
source_discard(struct source *s)
{
	static uint8_t	sink[PIPE_SMALL];
	ssize_t		n;

	n = read(s->fd, sink, sizeof(sink));
	return (n == -1 && errno == EAGAIN ? 0 : n);
}

/* Nothing to read: 1 if nobody can write any more. */
static int
source_hung_up(const struct source *s)
{
	struct pollfd p = { s->fd, POLLIN, 0 };

	return (poll(&p, 1, 0) == 1 && (p.revents & POLLIN) == 0 &&
	    (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0);
}

/*
 * How much a turn gave decides on the pipe's size and on the next pause: it
 * should end before the pipe is half full.
 */
static void
source_learn(struct source *s, size_t n, uint64_t now)
{
	if (n >= PIPE_SMALL / 2)
		s->busy_us = now;
	s->full = n >= s->pipe / 4 * 3 ? s->full + 1 : 0;
	if (s->full >= FULL_READS)
		pipe_grow(s, now);
	if (!s->lazing)
		return;
	if (n >= s->pipe / 2 && s->pause / 2 >= PAUSE_MIN_US)
		s->pause /= 2;
	else if (n < s->pipe / 4 && s->pause < PAUSE_MAX_US)
		s->pause = s->pause * 2 > PAUSE_MAX_US ? PAUSE_MAX_US :
		    s->pause * 2;
}

static ssize_t
source_read_once(struct source *s)
{
	if (s->slot == RING_NONE)
		return (source_discard(s));
	return (ring_read(&s->log->ring, s->slot, s->stream, s->fd,
	    RING_READ_MAX));
}

/* Tell those who care of lines that came, by comparing with before. */
static void
source_news(struct log *l, uint32_t slot, uint64_t before)
{
	struct ring_state st;

	if (slot == RING_NONE)
		return;
	ring_state_get(&l->ring, slot, &st);
	if (st.lines == before)
		return;
	if (logger_global.echo)
		echo_lines(l, slot, before + 1);
	query_news(l);
}

static uint64_t
source_lines(const struct source *s)
{
	struct ring_state st;

	if (s->slot == RING_NONE)
		return (0);
	ring_state_get(&s->log->ring, s->slot, &st);
	return (st.lines);
}

/*
 * After a turn: rest in epoll or pause?  A writer that fills half the pipe
 * meanwhile would only be held up by a pause.
 */
static void
source_settle(struct source *s, size_t total, uint64_t now)
{
	int busy = s->read_us != 0 && now - s->read_us < QUIET_US;

	if (total > 0)
		s->read_us = now;
	if (total == 0 || total >= s->pipe / 2 || (!busy && !s->lazing))
		source_wake(s);
	else
		source_laze(s, now);
}

/*
 * Read until there is little left or others must have their turn.  A rest is
 * left to gather only if the pipe has been busy.
 */
static void
source_read(struct source *s)
{
	struct log	*l = s->log;
	uint32_t	 slot = s->slot;
	uint64_t	 before = source_lines(s), now = mono_us();
	size_t		 total = 0;
	ssize_t		 n;

	while ((n = source_read_once(s)) > 0) {
		total += n;
		if ((size_t)n < LITTLE || total >= TURN_BYTES)
			break;
	}
	if (n == -1)
		log_warn("%s: reading its output", l->name);
	if (n == -1 || (total == 0 && source_hung_up(s))) {
		source_eof(s);
	} else {
		source_learn(s, total, now);
		source_settle(s, total, now);
	}
	source_news(l, slot, before);
}

static void
source_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	source_read(arg);
}

/* Those whose pause is over; the timer goes on for the others. */
static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	struct source	*s, *next;
	uint64_t	 ticks, now = mono_us(), due = UINT64_MAX;

	(void)what;
	(void)arg;
	if (read(fd, &ticks, sizeof(ticks)) != sizeof(ticks))
		return;
	for (s = TAILQ_FIRST(&lazies); s != NULL; s = next) {
		next = TAILQ_NEXT(s, lazy);
		if (s->due_us <= now + PAUSE_MIN_US)
			source_read(s);
	}
	now = mono_us();
	TAILQ_FOREACH(s, &lazies, lazy)
		if (s->due_us < due)
			due = s->due_us;
	if (due != UINT64_MAX)
		timer_arm(due > now ? due - now : 0);
}

int
source_init(void)
{
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer_fd == -1)
		return (-1);
	timer_ev = event_new(logger_base, timer_fd, EV_READ | EV_PERSIST,
	    timer_cb, NULL);
	if (timer_ev == NULL)
		return (-1);
	return (event_add(timer_ev, NULL));
}

/* --- attaching and letting go -------------------------------------------- */

/* The slot of a run, which begins now if nobody has said so (S0-65). */
static uint32_t
source_slot(struct log *l, uint32_t run)
{
	uint32_t slot = ring_run_slot(&l->ring, run);

	if (slot == RING_NONE && run > ring_run_newest(&l->ring) &&
	    ring_run_begin(&l->ring, run, now_ms()) == 0) {
		source_run(l, run);
		slot = ring_run_slot(&l->ring, run);
	}
	if (slot != RING_NONE && ring_pin(&l->ring, slot) == -1) {
		log_warn("%s: mapping run %u", l->name, run);
		slot = RING_NONE;
	}
	return (slot);
}

void
source_attach(struct log *l, const struct wire_attach *w, int fd)
{
	struct source	*s;
	int		 size;

	if ((s = calloc(1, sizeof(*s))) == NULL || fd_nonblock(fd) == -1 ||
	    (s->ev = event_new(logger_base, fd, EV_READ | EV_PERSIST,
	    source_cb, s)) == NULL) {
		log_warn("%s: attaching its output", l->name);
		free(s);
		close(fd);
		return;
	}
	s->log = l;
	s->fd = fd;
	s->run = w->run;
	s->stream = w->stream;
	s->pause = PAUSE_MAX_US;
	size = fcntl(fd, F_GETPIPE_SZ);
	s->pipe = size > 0 ? size : PIPE_SMALL;
	s->slot = source_slot(l, w->run);
	if (s->slot == RING_NONE)
		log_warnx("%s: run %u is not kept any more: its output is "
		    "discarded", l->name, w->run);
	TAILQ_INSERT_TAIL(&l->sources, s, entry);
	(void)event_add(s->ev, NULL);
}

void
source_run(struct log *l, uint32_t run)
{
	struct source	*s;
	uint32_t	 slot = run % l->ring.runs;

	TAILQ_FOREACH(s, &l->sources, entry)
		if (s->slot == slot && s->run != run) {
			ring_unpin(&l->ring, slot);
			s->slot = RING_NONE;
		}
}

/* What is dead writes no more, so the pipe is all there is to come. */
void
source_drain(struct log *l, uint32_t run)
{
	struct source	*s, *next;
	uint64_t	 before;
	uint32_t	 slot;
	size_t		 total;
	ssize_t		 n;

	for (s = TAILQ_FIRST(&l->sources); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		if (run != 0 && s->run != run)
			continue;
		slot = s->slot;
		before = source_lines(s);
		for (total = 0; total < DRAIN_BYTES &&
		    (n = source_read_once(s)) > 0;)
			total += n;
		if (total < DRAIN_BYTES && source_hung_up(s))
			source_eof(s);
		source_news(l, slot, before);
	}
}

void
source_drop(struct log *l)
{
	struct source *s, *next;

	for (s = TAILQ_FIRST(&l->sources); s != NULL; s = next) {
		next = TAILQ_NEXT(s, entry);
		source_free(s);
	}
}
