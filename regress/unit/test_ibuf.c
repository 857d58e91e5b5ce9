/*
 * Bounded buffers: limits, both ends of them, and that a failed call changes
 * nothing.
 */
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ibuf.h"
#include "unit.h"

UNIT_SUITE(ibuf);

START_TEST(fixed_size_is_kept)
{
	struct ibuf	*b = ibuf_open(4);

	ck_assert_ptr_nonnull(b);
	ck_assert_uint_eq(ibuf_left(b), 4);
	ck_assert_int_eq(ibuf_add(b, "abc", 3), 0);
	errno = 0;
	ck_assert_int_eq(ibuf_add(b, "de", 2), -1);
	ck_assert_int_eq(errno, ERANGE);
	ck_assert_uint_eq(ibuf_size(b), 3);
	ck_assert_int_eq(ibuf_add(b, "d", 1), 0);
	ck_assert_uint_eq(ibuf_left(b), 0);
	ck_assert_int_eq(ibuf_add(b, NULL, 0), 0);
	ck_assert_mem_eq(ibuf_data(b), "abcd", 4);
	ibuf_free(b);
}
END_TEST

START_TEST(sizes_that_make_no_sense)
{
	errno = 0;
	ck_assert_ptr_null(ibuf_open(0));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_ptr_null(ibuf_dynamic(10, 9));
	ck_assert_ptr_null(ibuf_dynamic(0, 0));
	ibuf_free(NULL);
}
END_TEST

START_TEST(dynamic_grows_to_max)
{
	struct ibuf	*b = ibuf_dynamic(1, 10000);
	unsigned char	 c;
	int		 i;

	for (i = 0; i < 10000; i++) {
		c = (unsigned char)i;
		ck_assert_int_eq(ibuf_add(b, &c, 1), 0);
	}
	ck_assert_int_eq(ibuf_add(b, "x", 1), -1);
	ck_assert_uint_eq(ibuf_size(b), 10000);
	for (i = 0; i < 10000; i++) {
		ck_assert_int_eq(ibuf_get(b, &c, 1), 0);
		ck_assert_uint_eq(c, (unsigned char)i);
	}
	errno = 0;
	ck_assert_int_eq(ibuf_get(b, &c, 1), -1);
	ck_assert_int_eq(errno, EBADMSG);
	ibuf_rewind(b);
	ck_assert_uint_eq(ibuf_size(b), 10000);
	ibuf_free(b);
}
END_TEST

START_TEST(huge_length_does_not_wrap)
{
	struct ibuf	*b = ibuf_dynamic(8, 64);

	ck_assert_int_eq(ibuf_add_zero(b, 8), 0);
	ck_assert_ptr_null(ibuf_reserve(b, (size_t)-1));
	ck_assert_ptr_null(ibuf_seek(b, 4, (size_t)-1));
	ck_assert_ptr_null(ibuf_seek(b, (size_t)-1, 1));
	ck_assert_int_eq(ibuf_skip(b, (size_t)-1), -1);
	ck_assert_uint_eq(ibuf_size(b), 8);
	ibuf_free(b);
}
END_TEST

START_TEST(numbers)
{
	struct ibuf	*b = ibuf_open(15);
	uint64_t	 n64;
	uint32_t	 n32;
	uint16_t	 n16;
	uint8_t		 n8;

	ck_assert_int_eq(ibuf_add_n8(b, 0x100), -1);
	ck_assert_int_eq(errno, ERANGE);
	ck_assert_int_eq(ibuf_add_n16(b, 0x10000), -1);
	ck_assert_int_eq(ibuf_add_n32(b, 0x100000000ULL), -1);
	ck_assert_uint_eq(ibuf_size(b), 0);
	ck_assert_int_eq(ibuf_add_n8(b, 0xff), 0);
	ck_assert_int_eq(ibuf_add_n16(b, 0x0102), 0);
	ck_assert_int_eq(ibuf_add_n32(b, 0x03040506), 0);
	ck_assert_int_eq(ibuf_add_n64(b, 0x0708090a0b0c0d0eULL), 0);
	ck_assert_mem_eq(ibuf_data(b),
	    "\xff\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe", 15);
	ck_assert_int_eq(ibuf_get_n8(b, &n8), 0);
	ck_assert_int_eq(ibuf_get_n16(b, &n16), 0);
	ck_assert_int_eq(ibuf_get_n32(b, &n32), 0);
	ck_assert_int_eq(ibuf_get_n64(b, &n64), 0);
	ck_assert_uint_eq(n8, 0xff);
	ck_assert_uint_eq(n16, 0x0102);
	ck_assert_uint_eq(n32, 0x03040506);
	ck_assert(n64 == 0x0708090a0b0c0d0eULL);
	ck_assert_int_eq(ibuf_get_n8(b, &n8), -1);
	ck_assert_int_eq(ibuf_get_n64(b, &n64), -1);
	ibuf_free(b);
}
END_TEST

START_TEST(short_get_takes_nothing)
{
	struct ibuf	*b = ibuf_open(3);
	uint32_t	 n32;

	ck_assert_int_eq(ibuf_add(b, "abc", 3), 0);
	ck_assert_int_eq(ibuf_get_n32(b, &n32), -1);
	ck_assert_uint_eq(ibuf_size(b), 3);
	ck_assert_int_eq(ibuf_skip(b, 4), -1);
	ck_assert_int_eq(ibuf_skip(b, 3), 0);
	ck_assert_uint_eq(ibuf_size(b), 0);
	ibuf_free(b);
}
END_TEST

START_TEST(set_and_seek)
{
	struct ibuf	*b = ibuf_open(8);

	ck_assert_int_eq(ibuf_add_zero(b, 4), 0);
	ck_assert_int_eq(ibuf_set(b, 1, "xy", 2), 0);
	ck_assert_mem_eq(ibuf_data(b), "\0xy\0", 4);
	errno = 0;
	ck_assert_int_eq(ibuf_set(b, 3, "zz", 2), -1);
	ck_assert_int_eq(errno, ERANGE);
	ck_assert_ptr_nonnull(ibuf_seek(b, 4, 0));
	ck_assert_int_eq(ibuf_skip(b, 2), 0);
	ck_assert_mem_eq(ibuf_seek(b, 0, 1), "y", 1);
	ibuf_free(b);
}
END_TEST

START_TEST(truncate_both_ways)
{
	struct ibuf	*b = ibuf_open(8);

	ck_assert_int_eq(ibuf_add(b, "abcdef", 6), 0);
	ck_assert_int_eq(ibuf_skip(b, 2), 0);
	ck_assert_int_eq(ibuf_truncate(b, 2), 0);
	ck_assert_uint_eq(ibuf_size(b), 2);
	ck_assert_mem_eq(ibuf_data(b), "cd", 2);
	ck_assert_int_eq(ibuf_truncate(b, 6), 0);
	ck_assert_mem_eq(ibuf_data(b), "cd\0\0\0\0", 6);
	ck_assert_int_eq(ibuf_truncate(b, 7), -1);
	ibuf_free(b);
}
END_TEST

START_TEST(view_owns_nothing)
{
	char		text[] = "hello";
	struct ibuf	b;

	ibuf_from_buffer(&b, text, 5);
	ck_assert_uint_eq(ibuf_size(&b), 5);
	ck_assert_uint_eq(ibuf_left(&b), 0);
	ck_assert_int_eq(ibuf_add(&b, "x", 1), -1);
	ck_assert_int_eq(ibuf_truncate(&b, 6), -1);
	ck_assert_int_eq(ibuf_skip(&b, 4), 0);
	ck_assert_mem_eq(ibuf_data(&b), "o", 1);
	ibuf_free(&b);
	ck_assert_str_eq(text, "hello");
}
END_TEST

START_TEST(strings)
{
	char		 text[] = "with\0nul";
	struct ibuf	 b;
	char		*s;

	ibuf_from_buffer(&b, text, 4);
	ck_assert_ptr_null(ibuf_get_string(&b, 3));
	ck_assert_int_eq(errno, EMSGSIZE);
	s = ibuf_get_string(&b, ibuf_size(&b));
	ck_assert_str_eq(s, "with");
	free(s);
	ck_assert_uint_eq(ibuf_size(&b), 0);
	s = ibuf_get_string(&b, 10);
	ck_assert_str_eq(s, "");
	free(s);
	ibuf_from_buffer(&b, text, 8);
	ck_assert_ptr_null(ibuf_get_string(&b, 10));
	ck_assert_int_eq(errno, EBADMSG);
	ck_assert_uint_eq(ibuf_size(&b), 8);
}
END_TEST

START_TEST(descriptor_is_owned)
{
	struct ibuf	*b = ibuf_open(1);
	int		 fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_eq(ibuf_fd_avail(b), 0);
	ck_assert_int_eq(ibuf_fd_get(b), -1);
	ibuf_fd_set(b, fd);
	ck_assert_int_eq(ibuf_fd_avail(b), 1);
	ck_assert_int_eq(ibuf_fd_get(b), fd);
	ck_assert_int_eq(ibuf_fd_avail(b), 0);
	ibuf_fd_set(b, fd);
	ibuf_free(b);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

START_TEST(reused_buffer_is_clean)
{
	struct ibuf	*b;
	int		 i;

	for (i = 0; i < 200; i++) {
		b = ibuf_dynamic((size_t)i * 64 + 1, 20000);
		ck_assert_uint_eq(ibuf_size(b), 0);
		ck_assert_int_eq(ibuf_fd_avail(b), 0);
		ck_assert_uint_eq(ibuf_left(b), 20000);
		ck_assert_int_eq(ibuf_add_zero(b, (size_t)i * 64 + 1), 0);
		ibuf_free(b);
	}
}
END_TEST

Suite *
ibuf_suite(void)
{
	Suite	*s = suite_create("ibuf");
	TCase	*t = tcase_create("ibuf");

	tcase_add_test(t, fixed_size_is_kept);
	tcase_add_test(t, sizes_that_make_no_sense);
	tcase_add_test(t, dynamic_grows_to_max);
	tcase_add_test(t, huge_length_does_not_wrap);
	tcase_add_test(t, numbers);
	tcase_add_test(t, short_get_takes_nothing);
	tcase_add_test(t, set_and_seek);
	tcase_add_test(t, truncate_both_ways);
	tcase_add_test(t, view_owns_nothing);
	tcase_add_test(t, strings);
	tcase_add_test(t, descriptor_is_owned);
	tcase_add_test(t, reused_buffer_is_clean);
	suite_add_tcase(s, t);
	return (s);
}
