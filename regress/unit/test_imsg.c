/*
 * Frames over a socketpair: cut anywhere, glued, too long, too short; and
 * descriptors: given to the frame that is marked, to no other, never leaked.
 */
#include <sys/types.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "imsg.h"
#include "unit.h"

UNIT_SUITE(imsg);

#define MARK	0x80000000U

static int		sv[2];		/* raw end, end of the imsgbuf */
static struct imsgbuf	in;
static int		fds_before;

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
setup(void)
{
	fds_before = fds_open();
	ck_assert_int_eq(socketpair(AF_UNIX,
	    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
	ck_assert_int_eq(imsgbuf_init(&in, sv[1]), 0);
	imsgbuf_allow_fdpass(&in);
}

static void
teardown(void)
{
	imsgbuf_clear(&in);
	if (sv[0] != -1)
		close(sv[0]);
	close(sv[1]);
	ck_assert_int_eq(fds_open(), fds_before);
}

/* Frame of a type with n bytes of payload, each the low byte of the type. */
static size_t
frame(unsigned char *p, uint32_t type, uint32_t mark, size_t n)
{
	struct imsg_hdr	hdr = { type, 0, type + 1, 77 };

	hdr.len = (uint32_t)(sizeof(hdr) + n) | mark;
	memcpy(p, &hdr, sizeof(hdr));
	memset(p + sizeof(hdr), (int)type, n);
	return (sizeof(hdr) + n);
}

static void
put(const void *data, size_t len)
{
	ck_assert_int_eq(send(sv[0], data, len, MSG_NOSIGNAL), (ssize_t)len);
}

/* len bytes with n copies of a descriptor in one sendmsg. */
static void
put_fds(const void *data, size_t len, int fd, int n)
{
	union {
		struct cmsghdr	hdr;
		char		buf[CMSG_SPACE(sizeof(int) * 64)];
	} control;
	struct msghdr	 msg;
	struct iovec	 iov;
	struct cmsghdr	*cmsg;
	int		 i;

	memset(&msg, 0, sizeof(msg));
	memset(&control, 0, sizeof(control));
	memcpy(&iov.iov_base, &data, sizeof(data));
	iov.iov_len = len;
	msg.msg_iov = &iov;
	msg.msg_iovlen = 1;
	msg.msg_control = &control;
	msg.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)n);
	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)n);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	for (i = 0; i < n; i++)
		memcpy(CMSG_DATA(cmsg) + sizeof(int) * (size_t)i, &fd,
		    sizeof(fd));
	ck_assert_int_eq(sendmsg(sv[0], &msg, MSG_NOSIGNAL), (ssize_t)len);
}

static int
null_fd(void)
{
	int	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ne(fd, -1);
	return (fd);
}

static void
put_null(const void *data, size_t len, int n)
{
	int	fd = null_fd();

	put_fds(data, len, fd, n);
	close(fd);
}

/* The next frame is whole and as frame() made it; has_fd: with /dev/null. */
static void
expect(uint32_t type, size_t n, int has_fd)
{
	struct imsg	imsg;
	struct stat	a, b;
	unsigned char	payload[MAX_IMSGSIZE], want[MAX_IMSGSIZE];
	int		fd;

	ck_assert_int_eq(imsgbuf_get(&in, &imsg), 1);
	ck_assert_uint_eq(imsg_get_type(&imsg), type);
	ck_assert_uint_eq(imsg_get_id(&imsg), type + 1);
	ck_assert_int_eq(imsg_get_pid(&imsg), 77);
	ck_assert_uint_eq(imsg_get_len(&imsg), n);
	ck_assert_uint_eq(imsg.hdr.len, n + IMSG_HEADER_SIZE);
	ck_assert_int_eq(imsg_get_data(&imsg, payload, n), 0);
	memset(want, (int)type, sizeof(want));
	ck_assert(memcmp(payload, want, n) == 0);
	fd = imsg_get_fd(&imsg);
	ck_assert_int_eq(fd != -1, has_fd);
	ck_assert_int_eq(imsg_get_fd(&imsg), -1);
	if (fd != -1) {
		ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		ck_assert_int_eq(fstat(fd, &a), 0);
		ck_assert_int_eq(stat("/dev/null", &b), 0);
		ck_assert(a.st_rdev == b.st_rdev);
		close(fd);
	}
	imsg_free(&imsg);
}

static void
expect_none(void)
{
	struct imsg	imsg;

	ck_assert_int_eq(imsgbuf_get(&in, &imsg), 0);
}

static void
expect_bad(void)
{
	struct imsg	imsg;

	errno = 0;
	ck_assert_int_eq(imsgbuf_get(&in, &imsg), -1);
	ck_assert_int_eq(errno, EBADMSG);
	/* and it stays so */
	errno = 0;
	ck_assert_int_eq(imsgbuf_get(&in, &imsg), -1);
	ck_assert_int_eq(errno, EBADMSG);
	ck_assert_int_eq(imsgbuf_read(&in), -1);
}

static void
read_ok(void)
{
	ck_assert_int_eq(imsgbuf_read(&in), 1);
}

START_TEST(nothing_there)
{
	read_ok();
	expect_none();
	ck_assert_int_eq(imsgbuf_write(&in), 0);
	ck_assert_int_eq(imsgbuf_flush(&in), 0);
}
END_TEST

START_TEST(split_at_every_byte)
{
	unsigned char	buf[256];
	size_t		cut, len;

	len = frame(buf, 1, 0, 5);
	len += frame(buf + len, 2, 0, 0);
	len += frame(buf + len, 3, 0, 40);
	for (cut = 1; cut < len; cut++) {
		put(buf, cut);
		read_ok();
		if (cut >= 21)
			expect(1, 5, 0);
		if (cut >= 37)
			expect(2, 0, 0);
		expect_none();
		put(buf + cut, len - cut);
		read_ok();
		if (cut < 21)
			expect(1, 5, 0);
		if (cut < 37)
			expect(2, 0, 0);
		expect(3, 40, 0);
		expect_none();
	}
}
END_TEST

START_TEST(byte_by_byte)
{
	unsigned char	buf[64];
	size_t		i, len = frame(buf, 9, 0, 30);

	for (i = 0; i < len; i++) {
		expect_none();
		put(buf + i, 1);
		read_ok();
	}
	expect(9, 30, 0);
	expect_none();
}
END_TEST

START_TEST(split_at_every_byte_with_fd)
{
	unsigned char	buf[64];
	size_t		cut, len = frame(buf, 4, MARK, 9);

	for (cut = 1; cut < len; cut++) {
		put_null(buf, cut, 1);
		read_ok();
		expect_none();
		put(buf + cut, len - cut);
		read_ok();
		expect(4, 9, 1);
		expect_none();
	}
}
END_TEST

START_TEST(glued_fd_of_the_second)
{
	unsigned char	buf[128];
	size_t		len = frame(buf, 1, 0, 8);

	len += frame(buf + len, 2, MARK, 8);
	len += frame(buf + len, 3, 0, 8);
	put_null(buf, len, 1);
	read_ok();
	expect(1, 8, 0);
	expect(2, 8, 1);
	expect(3, 8, 0);
	expect_none();
}
END_TEST

/* As our sender does it; one recvmsg returns both. */
START_TEST(plain_then_fd_in_one_read)
{
	unsigned char	buf[128];
	size_t		one = frame(buf, 1, 0, 8);
	size_t		two = frame(buf + one, 2, MARK, 8);

	put(buf, one);
	put_null(buf + one, two, 1);
	read_ok();
	expect(1, 8, 0);
	expect(2, 8, 1);
	expect_none();
}
END_TEST

START_TEST(many_fds_waiting)
{
	unsigned char	buf[64];
	uint32_t	i;

	for (i = 0; i < 20; i++)
		put_null(buf, frame(buf, i + 1, MARK, i), 1);
	for (i = 0; i < 20; i++)
		read_ok();
	for (i = 0; i < 20; i++)
		expect(i + 1, i, 1);
	expect_none();
}
END_TEST

START_TEST(two_fds_in_one_sendmsg)
{
	unsigned char	buf[128];
	size_t		len = frame(buf, 1, MARK, 3);

	len += frame(buf + len, 2, MARK, 3);
	put_null(buf, len, 2);
	read_ok();
	expect(1, 3, 1);
	expect(2, 3, 1);
	expect_none();
}
END_TEST

START_TEST(mark_without_fd)
{
	unsigned char	buf[64];

	put(buf, frame(buf, 1, MARK, 3));
	read_ok();
	expect_bad();
}
END_TEST

/* The descriptor of a later frame must not be taken for the missing one. */
START_TEST(mark_without_fd_before_one_with)
{
	unsigned char	buf[128];
	size_t		one = frame(buf, 1, MARK, 3);
	size_t		two = frame(buf + one, 2, MARK, 3);

	put(buf, one);
	read_ok();
	put_null(buf + one, two, 1);
	read_ok();
	expect_bad();
}
END_TEST

START_TEST(fd_without_mark)
{
	unsigned char	buf[64];

	put_null(buf, frame(buf, 1, 0, 3), 1);
	read_ok();
	expect_bad();
}
END_TEST

START_TEST(fd_without_mark_glued)
{
	unsigned char	buf[128];
	size_t		len = frame(buf, 1, 0, 3);

	len += frame(buf + len, 2, 0, 3);
	put_null(buf, len, 1);
	read_ok();
	expect(1, 3, 0);
	expect_bad();
}
END_TEST

START_TEST(fd_too_many_for_marks)
{
	unsigned char	buf[128];
	size_t		len = frame(buf, 1, MARK, 3);

	put_null(buf, len, 2);
	put(buf, frame(buf, 2, 0, 3));
	read_ok();
	read_ok();
	expect(1, 3, 1);
	expect_bad();
}
END_TEST

/* A stale surplus descriptor must not be handed to the next marked frame. */
START_TEST(fd_surplus_is_not_kept_for_later)
{
	unsigned char	buf[64];
	size_t		len = frame(buf, 1, MARK, 3);

	put_null(buf, len, 2);
	read_ok();
	expect(1, 3, 1);
	expect_none();
	put_null(buf, len, 1);
	read_ok();
	expect_bad();
}
END_TEST

START_TEST(fd_not_allowed)
{
	unsigned char	buf[64];

	imsgbuf_clear(&in);
	ck_assert_int_eq(imsgbuf_init(&in, sv[1]), 0);
	put_null(buf, frame(buf, 1, MARK, 3), 1);
	errno = 0;
	ck_assert_int_eq(imsgbuf_read(&in), -1);
	ck_assert_int_eq(errno, EBADMSG);
	expect_bad();
}
END_TEST

START_TEST(fd_not_allowed_to_send)
{
	int	fd = null_fd();

	imsgbuf_clear(&in);
	ck_assert_int_eq(imsgbuf_init(&in, sv[1]), 0);
	errno = 0;
	ck_assert_int_eq(imsg_compose(&in, 1, 0, 0, fd, "x", 1), -1);
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* A peer that throws descriptors at us gets no more than the queue holds. */
START_TEST(fd_flood)
{
	unsigned char	buf[64];
	int		i, n;

	(void)frame(buf, 1, MARK, 32);
	n = 1;
	for (i = 0; i < 20 && n == 1; i++) {
		put_null(buf + i, 1, 8);
		n = imsgbuf_read(&in);
		ck_assert(n == 1 || errno == EBADMSG);
		ck_assert_int_lt(fds_open(), fds_before + 2 + 80);
	}
	ck_assert_int_eq(n, -1);
	expect_bad();
}
END_TEST

START_TEST(fds_more_than_a_read_takes)
{
	unsigned char	buf[64];

	put_null(buf, frame(buf, 1, MARK, 3), 30);
	errno = 0;
	ck_assert_int_eq(imsgbuf_read(&in), -1);
	ck_assert_int_eq(errno, EBADMSG);
	expect_bad();
}
END_TEST

/* valgrind only pretends to lower the limit. */
static int
under_valgrind(void)
{
	const char	*preload = getenv("LD_PRELOAD");

	return (preload != NULL && strstr(preload, "vgpreload") != NULL);
}

START_TEST(descriptor_table_full)
{
	unsigned char	buf[64];
	struct rlimit	old, few;

	if (under_valgrind())
		return;
	put_null(buf, frame(buf, 1, MARK, 3), 1);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	few = old;
	few.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
	errno = 0;
	ck_assert_int_eq(imsgbuf_read(&in), -1);
	ck_assert_int_eq(errno, EMFILE);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	expect_bad();
}
END_TEST

static void
header_only(uint32_t len)
{
	struct imsg_hdr	hdr = { 1, 0, 0, 0 };

	hdr.len = len;
	put(&hdr, sizeof(hdr));
	read_ok();
}

START_TEST(length_zero)
{
	header_only(0);
	expect_bad();
}
END_TEST

START_TEST(length_below_header)
{
	header_only(IMSG_HEADER_SIZE - 1);
	expect_bad();
}
END_TEST

START_TEST(length_above_maxsize)
{
	header_only(MAX_IMSGSIZE + 1);
	expect_bad();
}
END_TEST

START_TEST(length_greatest_number)
{
	header_only(0x7fffffffU);
	expect_bad();
}
END_TEST

START_TEST(truncated_then_end_of_file)
{
	unsigned char	buf[64];

	put(buf, frame(buf, 1, 0, 30) - 1);
	close(sv[0]);
	sv[0] = -1;
	read_ok();
	expect_none();
	ck_assert_int_eq(imsgbuf_read(&in), 0);
	expect_none();
}
END_TEST

START_TEST(clear_closes_descriptors)
{
	unsigned char	buf[64];

	/* one received and not given out, one queued and not sent */
	put_null(buf, frame(buf, 1, MARK, 30) - 1, 1);
	read_ok();
	ck_assert_int_eq(imsg_compose(&in, 1, 0, 0, null_fd(), "x", 1), 1);
	ck_assert_uint_eq(imsgbuf_queuelen(&in), 1);
	ck_assert_uint_eq(imsgbuf_queuebytes(&in), 17);
	imsgbuf_clear(&in);
	ck_assert_uint_eq(imsgbuf_queuelen(&in), 0);
	imsgbuf_clear(&in);
	ck_assert_int_eq(fds_open(), fds_before + 2);
}
END_TEST

START_TEST(free_closes_descriptor_not_taken)
{
	unsigned char	buf[64];
	struct imsg	imsg;

	put_null(buf, frame(buf, 1, MARK, 3), 1);
	read_ok();
	ck_assert_int_eq(imsgbuf_get(&in, &imsg), 1);
	imsg_free(&imsg);
}
END_TEST

START_TEST(greatest_frame_and_full_buffer)
{
	static unsigned char	buf[MAX_IMSGSIZE];
	size_t			n = MAX_IMSGSIZE - IMSG_HEADER_SIZE;

	put(buf, frame(buf, 1, 0, n));
	put(buf, frame(buf, 2, 0, n));
	read_ok();
	/* No room: nothing is lost, nothing is an end of file. */
	read_ok();
	expect(1, n, 0);
	expect_none();
	read_ok();
	expect(2, n, 0);
	expect_none();
}
END_TEST

START_TEST(maxsize_can_be_set)
{
	static unsigned char	buf[65536];

	ck_assert_int_eq(imsgbuf_set_maxsize(&in, 15), -1);
	ck_assert_int_eq(imsgbuf_set_maxsize(&in, MARK), -1);
	ck_assert_int_eq(imsgbuf_set_maxsize(&in, 20), 0);
	ck_assert_int_eq(imsg_compose(&in, 1, 0, 0, -1, "12345", 5), -1);
	ck_assert_int_eq(errno, ERANGE);
	ck_assert_int_eq(imsg_compose(&in, 1, 0, 0, -1, "1234", 4), 1);
	put(buf, frame(buf, 1, 0, 5));
	read_ok();
	expect_bad();
}
END_TEST

START_TEST(getters_check_length)
{
	unsigned char	buf[64], data[16];
	struct ibuf	view;
	struct imsg	imsg;

	put(buf, frame(buf, 7, 0, 8));
	read_ok();
	ck_assert_int_eq(imsgbuf_get(&in, &imsg), 1);
	errno = 0;
	ck_assert_int_eq(imsg_get_data(&imsg, data, 7), -1);
	ck_assert_int_eq(errno, EBADMSG);
	ck_assert_int_eq(imsg_get_data(&imsg, data, 9), -1);
	ck_assert_int_eq(imsg_get_buf(&imsg, data, 9), -1);
	ck_assert_int_eq(imsg_get_buf(&imsg, data, 3), 0);
	ck_assert_uint_eq(imsg_get_len(&imsg), 5);
	ck_assert_int_eq(imsg_get_ibuf(&imsg, &view), 0);
	ck_assert_uint_eq(ibuf_size(&view), 5);
	ck_assert_int_eq(ibuf_skip(&view, 5), 0);
	ck_assert_int_eq(imsg_get_data(&imsg, data, 5), 0);
	ck_assert_uint_eq(imsg_get_len(&imsg), 0);
	imsg_free(&imsg);
}
END_TEST

/* What imsgbuf_write sends, imsgbuf_get returns, fds at their frames. */
START_TEST(there_and_back)
{
	struct imsgbuf	out;
	struct imsg	imsg;
	struct iovec	iov[2];
	struct ibuf	*buf;
	char		a[] = "abc", b[] = "defg";
	uint32_t	i;
	int		n;

	ck_assert_int_eq(imsgbuf_init(&out, sv[0]), 0);
	imsgbuf_allow_fdpass(&out);
	iov[0].iov_base = a;
	iov[0].iov_len = 3;
	iov[1].iov_base = b;
	iov[1].iov_len = 4;
	for (i = 0; i < 200; i++)
		ck_assert_int_eq(imsg_composev(&out, i, i * 2, 0,
		    i % 3 == 0 ? null_fd() : -1, iov, 2), 1);
	buf = imsg_create(&out, 200, 400, 5, 1);
	ck_assert_int_eq(imsg_add(buf, "abcdefg", 7), 0);
	imsg_close(&out, buf);
	ck_assert_uint_eq(imsgbuf_queuelen(&out), 201);
	ck_assert_uint_eq(imsgbuf_queuebytes(&out), 201 * 23);
	for (i = 0; i <= 200;) {
		ck_assert_int_eq(imsgbuf_write(&out), 0);
		read_ok();
		while ((n = imsgbuf_get(&in, &imsg)) == 1) {
			ck_assert_uint_eq(imsg_get_type(&imsg), i);
			ck_assert_uint_eq(imsg_get_id(&imsg), i * 2);
			ck_assert_int_eq(imsg_get_pid(&imsg),
			    i == 200 ? 5 : getpid());
			ck_assert_int_eq(ibuf_fd_avail(imsg.buf),
			    i % 3 == 0 && i < 200);
			ck_assert_mem_eq(ibuf_data(imsg.buf), "abcdefg", 7);
			imsg_free(&imsg);
			i++;
		}
		ck_assert_int_eq(n, 0);
	}
	ck_assert_uint_eq(imsgbuf_queuelen(&out), 0);
	ck_assert_uint_eq(imsgbuf_queuebytes(&out), 0);
	imsgbuf_clear(&out);
}
END_TEST

/* The socket fills up in the middle of frames, some with descriptors. */
START_TEST(there_and_back_full_socket)
{
	static char	big[10000];
	struct imsgbuf	out;
	struct imsg	imsg;
	uint32_t	i, got = 0;
	int		small = 4096, n;

	ck_assert_int_eq(imsgbuf_init(&out, sv[0]), 0);
	imsgbuf_allow_fdpass(&out);
	ck_assert_int_eq(setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small,
	    sizeof(small)), 0);
	for (i = 0; i < 50; i++)
		ck_assert_int_eq(imsg_compose(&out, i, 0, 0,
		    i % 7 == 0 ? null_fd() : -1, big, sizeof(big)), 1);
	ck_assert_int_eq(imsgbuf_write(&out), 0);
	ck_assert_uint_gt(imsgbuf_queuelen(&out), 0);
	while (got < 50) {
		ck_assert_int_eq(imsgbuf_write(&out), 0);
		read_ok();
		while ((n = imsgbuf_get(&in, &imsg)) == 1) {
			ck_assert_uint_eq(imsg_get_type(&imsg), got);
			ck_assert_uint_eq(imsg_get_len(&imsg), sizeof(big));
			ck_assert_int_eq(ibuf_fd_avail(imsg.buf), got % 7 == 0);
			imsg_free(&imsg);
			got++;
		}
		ck_assert_int_eq(n, 0);
	}
	imsgbuf_clear(&out);
}
END_TEST

START_TEST(write_to_closed_peer)
{
	close(sv[0]);
	sv[0] = -1;
	ck_assert_int_eq(imsg_compose(&in, 1, 0, 0, null_fd(), "x", 1), 1);
	errno = 0;
	ck_assert_int_eq(imsgbuf_write(&in), -1);
	ck_assert_int_eq(errno, EPIPE);
	ck_assert_int_eq(imsgbuf_flush(&in), -1);
}
END_TEST

START_TEST(flush_waits_for_the_reader)
{
	static char	big[10000];
	struct pollfd	pfd;
	char		sink[4096];
	pid_t		pid;
	int		i;

	for (i = 0; i < 100; i++)
		ck_assert_int_eq(imsg_compose(&in, 1, 0, 0, -1, big,
		    sizeof(big)), 1);
	if ((pid = fork()) == 0) {
		pfd.fd = sv[0];
		pfd.events = POLLIN;
		close(sv[1]);
		while (poll(&pfd, 1, 5000) == 1)
			if (read(sv[0], sink, sizeof(sink)) == 0)
				_exit(0);
		_exit(1);
	}
	ck_assert_int_eq(imsgbuf_flush(&in), 0);
	ck_assert_uint_eq(imsgbuf_queuelen(&in), 0);
	ck_assert_int_eq(shutdown(sv[1], SHUT_WR), 0);
}
END_TEST

/* Any bytes at all: no crash, no leak, -1 or frames within the limits. */
START_TEST(random_bytes)
{
	unsigned char	buf[512];
	struct imsg	imsg;
	unsigned int	seed = 1;
	size_t		i;
	int		round;

	for (round = 0; round < 300; round++) {
		for (i = 0; i < sizeof(buf); i++)
			buf[i] = (unsigned char)(rand_r(&seed) >> 7);
		/* make lengths plausible now and then */
		if (round & 1)
			memcpy(buf + 4, "\x20\0\0", 4);
		put(buf, sizeof(buf));
		if (imsgbuf_read(&in) == 1)
			while (imsgbuf_get(&in, &imsg) == 1)
				imsg_free(&imsg);
		imsgbuf_clear(&in);
		ck_assert_int_eq(imsgbuf_init(&in, sv[1]), 0);
	}
}
END_TEST

static void
add_reading(TCase *t)
{
	tcase_add_test(t, nothing_there);
	tcase_add_test(t, split_at_every_byte);
	tcase_add_test(t, byte_by_byte);
	tcase_add_test(t, length_zero);
	tcase_add_test(t, length_below_header);
	tcase_add_test(t, length_above_maxsize);
	tcase_add_test(t, length_greatest_number);
	tcase_add_test(t, truncated_then_end_of_file);
	tcase_add_test(t, greatest_frame_and_full_buffer);
	tcase_add_test(t, maxsize_can_be_set);
	tcase_add_test(t, getters_check_length);
	tcase_add_test(t, random_bytes);
}

static void
add_descriptors(TCase *t)
{
	tcase_add_test(t, split_at_every_byte_with_fd);
	tcase_add_test(t, glued_fd_of_the_second);
	tcase_add_test(t, plain_then_fd_in_one_read);
	tcase_add_test(t, many_fds_waiting);
	tcase_add_test(t, two_fds_in_one_sendmsg);
	tcase_add_test(t, mark_without_fd);
	tcase_add_test(t, mark_without_fd_before_one_with);
	tcase_add_test(t, fd_without_mark);
	tcase_add_test(t, fd_without_mark_glued);
	tcase_add_test(t, fd_too_many_for_marks);
	tcase_add_test(t, fd_surplus_is_not_kept_for_later);
	tcase_add_test(t, fd_not_allowed);
	tcase_add_test(t, fd_not_allowed_to_send);
	tcase_add_test(t, fd_flood);
	tcase_add_test(t, fds_more_than_a_read_takes);
	tcase_add_test(t, descriptor_table_full);
	tcase_add_test(t, clear_closes_descriptors);
	tcase_add_test(t, free_closes_descriptor_not_taken);
}

static void
add_writing(TCase *t)
{
	tcase_add_test(t, there_and_back);
	tcase_add_test(t, there_and_back_full_socket);
	tcase_add_test(t, write_to_closed_peer);
	tcase_add_test(t, flush_waits_for_the_reader);
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
imsg_suite(void)
{
	Suite	*s = suite_create("imsg");

	add_case(s, "reading", add_reading);
	add_case(s, "descriptors", add_descriptors);
	add_case(s, "writing", add_writing);
	return (s);
}
