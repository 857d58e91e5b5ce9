/*
 * Links on an event loop: permit tables with every kind of breach, back
 * pressure both ways, ends of all sorts, and link_free from inside handlers.
 */
#include <sys/types.h>
#include <sys/socket.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "imsg.h"
#include "link.h"
#include "log.h"
#include "proto.h"
#include "unit.h"
#include "util.h"

UNIT_SUITE(link);

static struct event_base	*base;
static struct link		*l;
static struct imsgbuf		 peer;	/* the other end, by hand */
static int			 sv[2];	/* peer's, link's */
static char			 reason[256];	/* of ops->closed */
static int			 nclosed, ndrained, nframes, fds_before;
static uint32_t			 last_id;
static void			(*on_frame)(struct link *);
static void			(*on_drained)(struct link *);

static int
fds_open(void)
{
	int	fd, n = 0;

	for (fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			n++;
	return (n);
}

static void
handle(struct link *link, struct imsg *imsg)
{
	nframes++;
	last_id = imsg_get_id(imsg);
	if (on_frame != NULL)
		on_frame(link);
}

static void
handle_fd(struct link *link, struct imsg *imsg)
{
	int	fd = imsg_get_fd(imsg);

	ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
	close(fd);
	handle(link, imsg);
}

static const struct permit permits[] = {
	{ IMSG_VERBOSE,	LINK_ANY,	handle },
	{ IMSG_START,	0x1,		handle },
	{ IMSG_PEER,	LINK_ANY,	handle_fd },
	{ IMSG_KEEP,	LINK_ANY,	handle },	/* fd left */
	{ IMSG_LOG,	LINK_ANY,	handle },
	{ IMSG_STOPPED,	0x2,		handle },
	{ IMSG_NONE,	0,		NULL }
};

static void
closed(struct link *link, const char *why)
{
	nclosed++;
	(void)snprintf(reason, sizeof(reason), "%s", why);
	ck_assert_ptr_eq(link, l);
	link_free(link);
	l = NULL;
}

static void
drained(struct link *link)
{
	ndrained++;
	if (on_drained != NULL)
		on_drained(link);
}

static const struct link_ops ops = { closed, drained };

/* The tests of our own mistakes end in fatalx; nobody needs to read that. */
static void
no_log(int level, const char *line)
{
	(void)level;
	(void)line;
}

static void
open_link(int flags)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0,
	    sv), 0);
	ck_assert_int_eq(fd_nonblock(sv[0]), 0);
	ck_assert_int_eq(imsgbuf_init(&peer, sv[0]), 0);
	ck_assert_int_eq(imsgbuf_set_maxsize(&peer, LINK_FRAME_MAX), 0);
	imsgbuf_allow_fdpass(&peer);
	l = link_new(base, "test", sv[1], flags, permits, &ops, &nframes);
	ck_assert_ptr_nonnull(l);
}

static void
setup(void)
{
	fds_before = fds_open();
	base = event_base_new();
	nclosed = ndrained = nframes = 0;
	on_frame = on_drained = NULL;
	reason[0] = '\0';
	log_setsink(no_log);
	open_link(LINK_FDPASS);
}

static void
peer_close(void)
{
	if (sv[0] == -1)
		return;
	imsgbuf_clear(&peer);
	close(sv[0]);
	sv[0] = -1;
}

static void
teardown(void)
{
	link_free(l);
	peer_close();
	event_base_free(base);
	ck_assert_int_eq(fds_open(), fds_before);
}

/* Let the loop run until nothing happens any more. */
static void
run(void)
{
	int	i;

	for (i = 0; i < 100; i++)
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
}

static int
null_fd(void)
{
	return (open("/dev/null", O_RDONLY | O_CLOEXEC));
}

static void
say(uint32_t type, uint32_t id, int fd, size_t len)
{
	static char	zeros[FRAME_MAX];

	ck_assert_int_eq(imsg_compose(&peer, type, id, 0, fd, zeros, len), 1);
	ck_assert_int_eq(imsgbuf_flush(&peer), 0);
}

static void
send_log(size_t len)
{
	static char	zeros[FRAME_MAX];
	struct wire_u32	head = { 3 };

	(void)link_send2(l, IMSG_LOG, 0, -1, &head, sizeof(head), zeros, len);
}

/* The peer reads what is there; returns the number of frames. */
static int
listen_all(void)
{
	struct imsg	imsg;
	int		before, n = 0;

	do {
		before = n;
		if (imsgbuf_read(&peer) != 1)
			break;
		while (imsgbuf_get(&peer, &imsg) == 1) {
			imsg_free(&imsg);
			n++;
		}
		(void)event_base_loop(base, EVLOOP_NONBLOCK);
	} while (n > before);
	return (n);
}

static void
expect_closed(const char *why, int frames)
{
	run();
	ck_assert_str_eq(reason, why);
	ck_assert_int_eq(nclosed, 1);
	ck_assert_int_eq(nframes, frames);
	ck_assert_ptr_null(l);
}

START_TEST(accessors)
{
	ck_assert_ptr_eq(link_arg(l), &nframes);
	ck_assert_str_eq(link_name(l), "test");
	ck_assert_int_eq(link_fd(l), sv[1]);
	ck_assert_uint_eq(link_state(l), 1);
	link_state_set(l, 2);
	ck_assert_uint_eq(link_state(l), 2);
	ck_assert_int_eq(link_full(l), 0);
	ck_assert_uint_eq(link_queued(l), 0);
	ck_assert(fcntl(sv[1], F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(sv[1], F_GETFD) & FD_CLOEXEC);
}
END_TEST

START_TEST(permitted)
{
	say(IMSG_START, 7, -1, 0);
	say(IMSG_VERBOSE, 8, -1, 4);
	say(IMSG_PEER, 9, null_fd(), 0);
	run();
	ck_assert_int_eq(nframes, 3);
	ck_assert_uint_eq(last_id, 9);
	ck_assert_int_eq(nclosed, 0);
}
END_TEST

START_TEST(descriptor_not_taken_is_closed)
{
	say(IMSG_KEEP, 0, null_fd(), sizeof(struct wire_key));
	run();
	ck_assert_int_eq(nframes, 1);
}
END_TEST

START_TEST(unknown_type)
{
	say(4711, 0, -1, 0);
	say(IMSG_START, 0, -1, 0);
	expect_closed("unknown message 4711", 0);
}
END_TEST

START_TEST(type_zero)
{
	say(0, 0, -1, 0);
	expect_closed("unknown message 0", 0);
}
END_TEST

START_TEST(unlisted_type)
{
	say(IMSG_SHUTDOWN, 0, -1, 4);
	expect_closed("forbidden message IMSG_SHUTDOWN in state 1", 0);
}
END_TEST

START_TEST(wrong_state)
{
	say(IMSG_START, 0, -1, 0);
	say(IMSG_STOPPED, 0, -1, 0);
	expect_closed("forbidden message IMSG_STOPPED in state 1", 1);
}
END_TEST

static void
to_state_2(struct link *link)
{
	link_state_set(link, 2);
}

START_TEST(state_set_by_handler_counts_at_once)
{
	on_frame = to_state_2;
	say(IMSG_START, 0, -1, 0);
	say(IMSG_STOPPED, 0, -1, 0);
	say(IMSG_START, 0, -1, 0);
	expect_closed("forbidden message IMSG_START in state 2", 2);
}
END_TEST

START_TEST(too_short)
{
	say(IMSG_VERBOSE, 0, -1, 3);
	expect_closed("message IMSG_VERBOSE of wrong length 3", 0);
}
END_TEST

START_TEST(too_long)
{
	say(IMSG_LOG, 0, -1, 4 + 2048);
	say(IMSG_LOG, 0, -1, 4 + 2049);
	expect_closed("message IMSG_LOG of wrong length 2053", 1);
}
END_TEST

START_TEST(missing_descriptor)
{
	say(IMSG_PEER, 0, -1, 0);
	expect_closed("message IMSG_PEER without a descriptor", 0);
}
END_TEST

START_TEST(unexpected_descriptor)
{
	say(IMSG_START, 0, null_fd(), 0);
	expect_closed("message IMSG_START with a descriptor", 0);
}
END_TEST

START_TEST(descriptor_on_link_without)
{
	link_free(l);
	peer_close();
	open_link(0);
	say(IMSG_PEER, 0, null_fd(), 0);
	expect_closed("bad frame", 0);
}
END_TEST

START_TEST(bad_header)
{
	static const struct imsg_hdr	hdr = { IMSG_START, 3, 0, 0 };

	ck_assert_int_eq(write(sv[0], &hdr, sizeof(hdr)), sizeof(hdr));
	expect_closed("bad frame", 0);
}
END_TEST

START_TEST(end_of_file)
{
	peer_close();
	expect_closed("end of file", 0);
}
END_TEST

START_TEST(end_of_file_after_frames)
{
	int	i;

	for (i = 0; i < 500; i++)
		ck_assert_int_eq(imsg_compose(&peer, IMSG_START, 0, 0, -1,
		    NULL, 0), 1);
	ck_assert_int_eq(imsgbuf_flush(&peer), 0);
	peer_close();
	expect_closed("end of file", 500);
}
END_TEST

START_TEST(end_of_file_within_a_frame)
{
	static const struct imsg_hdr	hdr = { IMSG_VERBOSE, 20, 0, 0 };

	ck_assert_int_eq(write(sv[0], &hdr, sizeof(hdr)), sizeof(hdr));
	run();
	ck_assert_int_eq(nclosed, 0);
	peer_close();
	expect_closed("end of file", 0);
}
END_TEST

static void
refuse_second(struct link *link)
{
	if (nframes == 2) {
		link_refuse(link, "ill-formed name");
		link_refuse(link, "another reason");
	}
}

START_TEST(refused_by_handler)
{
	int	i;

	on_frame = refuse_second;
	for (i = 0; i < 10; i++)
		say(IMSG_START, 0, -1, 0);
	expect_closed("ill-formed name", 2);
}
END_TEST

START_TEST(refused_from_outside)
{
	link_refuse(l, "timed out");
	ck_assert_int_eq(nclosed, 0);
	ck_assert_int_eq(link_send(l, IMSG_START, 0, -1, NULL, 0), -1);
	say(IMSG_START, 0, -1, 0);
	expect_closed("timed out", 0);
}
END_TEST

static void
free_third(struct link *link)
{
	if (nframes != 3)
		return;
	link_free(link);
	l = NULL;
	/* what a handler may still do after that without harm */
	ck_assert_int_eq(link_send(link, IMSG_PEER, 0, null_fd(), NULL, 0), -1);
	link_refuse(link, "no");
	link_finish(link);
	link_pause(link);
	link_resume(link);
	link_free(link);
}

START_TEST(freed_in_handler)
{
	int	i;

	on_frame = free_third;
	for (i = 0; i < 10; i++)
		say(IMSG_START, 0, -1, 0);
	run();
	ck_assert_int_eq(nframes, 3);
	ck_assert_int_eq(nclosed, 0);
}
END_TEST

START_TEST(freed_with_events_pending)
{
	say(IMSG_START, 0, -1, 0);
	send_log(100);
	link_refuse(l, "gone");
	link_free(l);
	l = NULL;
	run();
	ck_assert_int_eq(nclosed, 0);
	ck_assert_int_eq(nframes, 0);
}
END_TEST

static void
free_now(struct link *link)
{
	link_free(link);
	l = NULL;
}

START_TEST(freed_in_drained)
{
	on_drained = free_now;
	while (!link_full(l))
		send_log(2048);
	while (l != NULL)
		(void)listen_all();
	run();
	ck_assert_int_eq(ndrained, 1);
	ck_assert_int_eq(nclosed, 0);
}
END_TEST

static int	seen_by_timer;

static void
timer_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	if (seen_by_timer == 0)
		seen_by_timer = nframes;
}

/* A peer that sends without end gets a bounded number of frames a turn. */
START_TEST(others_get_their_turn)
{
	struct timeval	 soon = { 0, 0 };
	struct event	*ev = evtimer_new(base, timer_cb, NULL);
	int		 i;

	for (i = 0; i < 2000; i++)
		ck_assert_int_eq(imsg_compose(&peer, IMSG_START, 0, 0, -1,
		    NULL, 0), 1);
	ck_assert_int_eq(imsgbuf_write(&peer), 0);
	seen_by_timer = 0;
	(void)event_base_loop(base, EVLOOP_ONCE);
	(void)evtimer_add(ev, &soon);
	run();
	ck_assert_int_eq(nframes, 2000);
	ck_assert_int_gt(seen_by_timer, 0);
	ck_assert_int_le(seen_by_timer, 3 * 64);
	event_free(ev);
}
END_TEST

static void
pause_each(struct link *link)
{
	link_pause(link);
}

START_TEST(paused_in_handler)
{
	int	i;

	on_frame = pause_each;
	for (i = 0; i < 5; i++)
		say(IMSG_START, 0, -1, 0);
	for (i = 1; i <= 5; i++) {
		run();
		ck_assert_int_eq(nframes, i);
		link_resume(l);
	}
	peer_close();
	expect_closed("end of file", 5);
}
END_TEST

START_TEST(paused_reads_nothing)
{
	link_pause(l);
	say(IMSG_START, 0, -1, 0);
	run();
	ck_assert_int_eq(nframes, 0);
	link_resume(l);
	link_resume(l);
	run();
	ck_assert_int_eq(nframes, 1);
}
END_TEST

START_TEST(sent_at_once)
{
	struct imsg	imsg;
	struct wire_u32	level = { 2 };

	/* no turn of the loop in between */
	ck_assert_int_eq(link_send(l, IMSG_VERBOSE, 5, -1, &level,
	    sizeof(level)), 0);
	ck_assert_int_eq(link_send(l, IMSG_PEER, 6, null_fd(), NULL, 0), 0);
	ck_assert_uint_eq(link_queued(l), 0);
	ck_assert_int_eq(imsgbuf_read(&peer), 1);
	ck_assert_int_eq(imsgbuf_get(&peer, &imsg), 1);
	ck_assert_uint_eq(imsg_get_type(&imsg), IMSG_VERBOSE);
	ck_assert_uint_eq(imsg_get_id(&imsg), 5);
	ck_assert_int_eq(imsg_get_pid(&imsg), getpid());
	imsg_free(&imsg);
	ck_assert_int_eq(imsgbuf_get(&peer, &imsg), 1);
	ck_assert(ibuf_fd_avail(imsg.buf));
	imsg_free(&imsg);
}
END_TEST

START_TEST(full_and_drained)
{
	int	sent, got = 0;

	for (sent = 0; !link_full(l); sent++)
		send_log(2048);
	ck_assert_uint_gt(link_queued(l), LINK_HIGH);
	/* a peer that does not read is not listened to */
	say(IMSG_START, 0, -1, 0);
	run();
	ck_assert_int_eq(nframes, 0);
	ck_assert_int_eq(ndrained, 0);
	while (link_full(l))
		got += listen_all();
	ck_assert_uint_lt(link_queued(l), LINK_LOW);
	run();
	ck_assert_int_eq(ndrained, 1);
	ck_assert_int_eq(nframes, 1);
	got += listen_all();
	ck_assert_int_eq(got, sent);
	ck_assert_uint_eq(link_queued(l), 0);
}
END_TEST

START_TEST(overflow)
{
	while (link_queued(l) + 4096 < LINK_MAX)
		send_log(2048);
	ck_assert_int_eq(link_send(l, IMSG_PEER, 0, null_fd(), NULL, 0), 0);
	send_log(2048);
	send_log(2048);
	ck_assert_uint_le(link_queued(l), LINK_MAX);
	ck_assert_int_eq(link_send(l, IMSG_PEER, 0, null_fd(), NULL, 0), -1);
	ck_assert_int_eq(nclosed, 0);
	expect_closed("queue overflow", 0);
}
END_TEST

START_TEST(finished_when_written)
{
	int	i, got = 0;

	for (i = 0; i < 300; i++)
		send_log(2048);
	ck_assert_uint_gt(link_queued(l), 0);
	link_finish(l);
	ck_assert_int_eq(link_send(l, IMSG_START, 0, -1, NULL, 0), -1);
	say(IMSG_START, 0, -1, 0);
	run();
	ck_assert_int_eq(nclosed, 0);
	for (i = 0; i < 1000 && nclosed == 0; i++)
		got += listen_all();
	expect_closed("done", 0);
	got += listen_all();
	ck_assert_int_eq(got, 300);
}
END_TEST

START_TEST(finished_with_nothing_queued)
{
	link_finish(l);
	ck_assert_int_eq(nclosed, 0);
	expect_closed("done", 0);
}
END_TEST

START_TEST(finished_but_peer_is_gone)
{
	int	i;

	for (i = 0; i < 300; i++)
		send_log(2048);
	link_finish(l);
	peer_close();
	expect_closed("end of file", 0);
}
END_TEST

/* A peer's last words are heard although it cannot be answered any more. */
START_TEST(last_words)
{
	say(IMSG_START, 0, -1, 0);
	say(IMSG_VERBOSE, 3, -1, 4);
	peer_close();
	send_log(10);
	send_log(10);
	ck_assert_int_eq(link_send(l, IMSG_PEER, 0, null_fd(), NULL, 0), -1);
	expect_closed("end of file", 2);
	ck_assert_uint_eq(last_id, 3);
}
END_TEST

START_TEST(gone_while_full)
{
	while (!link_full(l))
		send_log(2048);
	say(IMSG_START, 0, -1, 0);
	peer_close();
	run();
	ck_assert_int_eq(nclosed, 1);
	ck_assert_str_eq(reason, "end of file");
}
END_TEST

START_TEST(gone_while_paused)
{
	link_pause(l);
	peer_close();
	run();
	ck_assert_int_eq(nclosed, 0);
	send_log(10);
	expect_closed("end of file", 0);
}
END_TEST

START_TEST(flushed)
{
	pid_t	pid;
	char	buf[4096];
	int	i;

	for (i = 0; i < 300; i++)
		send_log(2048);
	if ((pid = fork()) == 0) {
		close(sv[1]);
		(void)fcntl(sv[0], F_SETFL, 0);
		while (read(sv[0], buf, sizeof(buf)) > 0)
			;
		_exit(0);
	}
	ck_assert_int_eq(link_flush(l), 0);
	ck_assert_uint_eq(link_queued(l), 0);
	run();
	ck_assert_int_eq(ndrained, 1);
	ck_assert_int_eq(nclosed, 0);
	ck_assert_int_eq(shutdown(sv[1], SHUT_WR), 0);
}
END_TEST

START_TEST(flush_to_nobody)
{
	peer_close();
	send_log(10);
	ck_assert_int_eq(link_flush(l), -1);
	expect_closed("end of file", 0);
}
END_TEST

START_TEST(bug_unknown_type)
{
	(void)link_send(l, 4711, 0, -1, NULL, 0);
}
END_TEST

START_TEST(bug_wrong_length)
{
	(void)link_send(l, IMSG_VERBOSE, 0, -1, "x", 1);
}
END_TEST

START_TEST(bug_no_descriptor)
{
	(void)link_send(l, IMSG_PEER, 0, -1, NULL, 0);
}
END_TEST

START_TEST(bug_descriptor)
{
	(void)link_send(l, IMSG_START, 0, 0, NULL, 0);
}
END_TEST

START_TEST(bug_no_fdpass)
{
	link_free(l);
	peer_close();
	open_link(0);
	(void)link_send(l, IMSG_PEER, 0, 0, NULL, 0);
}
END_TEST

static void
add_breaches(TCase *t)
{
	tcase_add_test(t, unknown_type);
	tcase_add_test(t, type_zero);
	tcase_add_test(t, unlisted_type);
	tcase_add_test(t, wrong_state);
	tcase_add_test(t, state_set_by_handler_counts_at_once);
	tcase_add_test(t, too_short);
	tcase_add_test(t, too_long);
	tcase_add_test(t, missing_descriptor);
	tcase_add_test(t, unexpected_descriptor);
	tcase_add_test(t, descriptor_on_link_without);
	tcase_add_test(t, bad_header);
	tcase_add_test(t, refused_by_handler);
	tcase_add_test(t, refused_from_outside);
}

static void
add_ends(TCase *t)
{
	tcase_add_test(t, end_of_file);
	tcase_add_test(t, end_of_file_after_frames);
	tcase_add_test(t, end_of_file_within_a_frame);
	tcase_add_test(t, freed_in_handler);
	tcase_add_test(t, freed_with_events_pending);
	tcase_add_test(t, freed_in_drained);
	tcase_add_test(t, finished_when_written);
	tcase_add_test(t, finished_with_nothing_queued);
	tcase_add_test(t, finished_but_peer_is_gone);
	tcase_add_test(t, last_words);
	tcase_add_test(t, gone_while_full);
	tcase_add_test(t, gone_while_paused);
}

static void
add_flow(TCase *t)
{
	tcase_add_test(t, accessors);
	tcase_add_test(t, permitted);
	tcase_add_test(t, descriptor_not_taken_is_closed);
	tcase_add_test(t, others_get_their_turn);
	tcase_add_test(t, paused_in_handler);
	tcase_add_test(t, paused_reads_nothing);
	tcase_add_test(t, sent_at_once);
	tcase_add_test(t, full_and_drained);
	tcase_add_test(t, overflow);
	tcase_add_test(t, flushed);
	tcase_add_test(t, flush_to_nobody);
}

static void
add_bugs(TCase *t)
{
	tcase_add_exit_test(t, bug_unknown_type, 1);
	tcase_add_exit_test(t, bug_wrong_length, 1);
	tcase_add_exit_test(t, bug_no_descriptor, 1);
	tcase_add_exit_test(t, bug_descriptor, 1);
	tcase_add_exit_test(t, bug_no_fdpass, 1);
}

static void
add_case(Suite *s, const char *name, void (*add)(TCase *))
{
	TCase	*t = tcase_create(name);

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 30);
	add(t);
	suite_add_tcase(s, t);
}

Suite *
link_suite(void)
{
	Suite	*s = suite_create("link");

	add_case(s, "breaches", add_breaches);
	add_case(s, "ends", add_ends);
	add_case(s, "flow", add_flow);
	add_case(s, "bugs", add_bugs);
	return (s);
}
