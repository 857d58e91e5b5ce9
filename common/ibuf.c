/*
 * Bounded byte buffers, as ibuf.h tells.  Knows nothing of frames or sockets.
 *
 * rpos <= wpos <= size holds at all times; what an owner wrote is never moved
 * except by ibuf_reserve growing the memory.  A view has max 0: it owns
 * neither its bytes nor itself and nothing can be added to it.
 */
#include <sys/types.h>
#include <sys/queue.h>

#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ibuf.h"

/*
 * Small buffers come from a short list of used ones, so that the steady state
 * of a process does not call malloc for each message.  Off under the
 * sanitizers, which would see no use after free otherwise.
 */
#define IBUF_SMALL	2048	/* bytes */
#ifdef KEEPD_SANITIZE
#define IBUF_CACHED	0
#else
#define IBUF_CACHED	32
#endif

TAILQ_HEAD(ibuf_list, ibuf);

static struct ibuf_list	 ibuf_cache = TAILQ_HEAD_INITIALIZER(ibuf_cache);
static int		 ibuf_ncached;

static int
ibuf_fail(int error)
{
	errno = error;
	return (-1);
}

static void *
ibuf_fail_null(int error)
{
	errno = error;
	return (NULL);
}

static struct ibuf *
ibuf_alloc(size_t size)
{
	struct ibuf	*buf;

	if (size <= IBUF_SMALL &&
	    (buf = TAILQ_FIRST(&ibuf_cache)) != NULL) {
		TAILQ_REMOVE(&ibuf_cache, buf, entry);
		ibuf_ncached--;
		return (buf);
	}
	if (size < IBUF_SMALL)
		size = IBUF_SMALL;
	if ((buf = malloc(sizeof(*buf))) == NULL)
		return (NULL);
	if ((buf->buf = malloc(size)) == NULL) {
		free(buf);
		return (NULL);
	}
	buf->size = size;
	return (buf);
}

struct ibuf *
ibuf_dynamic(size_t len, size_t max)
{
	struct ibuf	*buf;

	if (max == 0 || max < len)
		return (ibuf_fail_null(EINVAL));
	if ((buf = ibuf_alloc(len)) == NULL)
		return (NULL);
	buf->max = max;
	buf->wpos = 0;
	buf->rpos = 0;
	buf->fd = -1;
	return (buf);
}

struct ibuf *
ibuf_open(size_t len)
{
	return (ibuf_dynamic(len, len));
}

void
ibuf_free(struct ibuf *buf)
{
	int	saved = errno;

	if (buf == NULL || buf->max == 0)
		return;
	if (buf->fd != -1)
		close(buf->fd);
	if (buf->size == IBUF_SMALL && ibuf_ncached < IBUF_CACHED) {
		TAILQ_INSERT_HEAD(&ibuf_cache, buf, entry);
		ibuf_ncached++;
	} else {
		free(buf->buf);
		free(buf);
	}
	errno = saved;
}

size_t
ibuf_size(const struct ibuf *buf)
{
	return (buf->wpos - buf->rpos);
}

size_t
ibuf_left(const struct ibuf *buf)
{
	return (buf->max > buf->wpos ? buf->max - buf->wpos : 0);
}

void *
ibuf_data(const struct ibuf *buf)
{
	return (buf->buf + buf->rpos);
}

void
ibuf_from_buffer(struct ibuf *buf, void *data, size_t len)
{
	memset(buf, 0, sizeof(*buf));
	buf->buf = data;
	buf->size = len;
	buf->wpos = len;
	buf->fd = -1;
}

/* Double the memory until need bytes fit, but not beyond max. */
static int
ibuf_grow(struct ibuf *buf, size_t need)
{
	unsigned char	*p;
	size_t		 size = buf->size;

	while (size < need)
		size = size > SIZE_MAX / 2 ? need : size * 2;
	if (size > buf->max)
		size = buf->max;
	if ((p = realloc(buf->buf, size)) == NULL)
		return (-1);
	buf->buf = p;
	buf->size = size;
	return (0);
}

void *
ibuf_reserve(struct ibuf *buf, size_t len)
{
	void	*p;

	if (len > ibuf_left(buf))
		return (ibuf_fail_null(ERANGE));
	if (len > buf->size - buf->wpos &&
	    ibuf_grow(buf, buf->wpos + len) == -1)
		return (NULL);
	p = buf->buf + buf->wpos;
	buf->wpos += len;
	return (p);
}

void *
ibuf_seek(struct ibuf *buf, size_t pos, size_t len)
{
	if (pos > ibuf_size(buf) || len > ibuf_size(buf) - pos)
		return (ibuf_fail_null(ERANGE));
	return (buf->buf + buf->rpos + pos);
}

/* The unread part becomes len bytes long: cut, or filled up with zeros. */
int
ibuf_truncate(struct ibuf *buf, size_t len)
{
	if (len <= ibuf_size(buf)) {
		buf->wpos = buf->rpos + len;
		return (0);
	}
	return (ibuf_add_zero(buf, len - ibuf_size(buf)));
}

void
ibuf_rewind(struct ibuf *buf)
{
	buf->rpos = 0;
}

int
ibuf_add(struct ibuf *buf, const void *data, size_t len)
{
	void	*p;

	if ((p = ibuf_reserve(buf, len)) == NULL)
		return (-1);
	if (len > 0)
		memcpy(p, data, len);
	return (0);
}

int
ibuf_add_zero(struct ibuf *buf, size_t len)
{
	void	*p;

	if ((p = ibuf_reserve(buf, len)) == NULL)
		return (-1);
	memset(p, 0, len);
	return (0);
}

int
ibuf_add_n8(struct ibuf *buf, uint64_t value)
{
	uint8_t	v = (uint8_t)value;

	if (value > UINT8_MAX)
		return (ibuf_fail(ERANGE));
	return (ibuf_add(buf, &v, sizeof(v)));
}

int
ibuf_add_n16(struct ibuf *buf, uint64_t value)
{
	uint16_t	v = htobe16((uint16_t)value);

	if (value > UINT16_MAX)
		return (ibuf_fail(ERANGE));
	return (ibuf_add(buf, &v, sizeof(v)));
}

int
ibuf_add_n32(struct ibuf *buf, uint64_t value)
{
	uint32_t	v = htobe32((uint32_t)value);

	if (value > UINT32_MAX)
		return (ibuf_fail(ERANGE));
	return (ibuf_add(buf, &v, sizeof(v)));
}

int
ibuf_add_n64(struct ibuf *buf, uint64_t value)
{
	value = htobe64(value);
	return (ibuf_add(buf, &value, sizeof(value)));
}

int
ibuf_set(struct ibuf *buf, size_t pos, const void *data, size_t len)
{
	void	*p;

	if ((p = ibuf_seek(buf, pos, len)) == NULL)
		return (-1);
	if (len > 0)
		memcpy(p, data, len);
	return (0);
}

int
ibuf_get(struct ibuf *buf, void *data, size_t len)
{
	if (len > ibuf_size(buf))
		return (ibuf_fail(EBADMSG));
	if (len > 0)
		memcpy(data, ibuf_data(buf), len);
	buf->rpos += len;
	return (0);
}

int
ibuf_get_n8(struct ibuf *buf, uint8_t *value)
{
	return (ibuf_get(buf, value, sizeof(*value)));
}

int
ibuf_get_n16(struct ibuf *buf, uint16_t *value)
{
	if (ibuf_get(buf, value, sizeof(*value)) == -1)
		return (-1);
	*value = be16toh(*value);
	return (0);
}

int
ibuf_get_n32(struct ibuf *buf, uint32_t *value)
{
	if (ibuf_get(buf, value, sizeof(*value)) == -1)
		return (-1);
	*value = be32toh(*value);
	return (0);
}

int
ibuf_get_n64(struct ibuf *buf, uint64_t *value)
{
	if (ibuf_get(buf, value, sizeof(*value)) == -1)
		return (-1);
	*value = be64toh(*value);
	return (0);
}

int
ibuf_skip(struct ibuf *buf, size_t len)
{
	if (len > ibuf_size(buf))
		return (ibuf_fail(EBADMSG));
	buf->rpos += len;
	return (0);
}

/* max is the greatest length that the caller accepts. */
char *
ibuf_get_string(struct ibuf *buf, size_t max)
{
	size_t	 len = ibuf_size(buf);
	char	*s;

	if (len > max)
		return (ibuf_fail_null(EMSGSIZE));
	if (len > 0 && memchr(ibuf_data(buf), '\0', len) != NULL)
		return (ibuf_fail_null(EBADMSG));
	if ((s = malloc(len + 1)) == NULL)
		return (NULL);
	if (len > 0)
		memcpy(s, ibuf_data(buf), len);
	s[len] = '\0';
	buf->rpos += len;
	return (s);
}

void
ibuf_fd_set(struct ibuf *buf, int fd)
{
	if (buf->fd != -1 && buf->fd != fd)
		close(buf->fd);
	buf->fd = fd;
}

int
ibuf_fd_get(struct ibuf *buf)
{
	int	fd = buf->fd;

	buf->fd = -1;
	return (fd);
}

int
ibuf_fd_avail(const struct ibuf *buf)
{
	return (buf->fd != -1);
}
