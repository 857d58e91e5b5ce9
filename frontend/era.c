/*
 * Which era a message belongs to is decided by its body, not by its headers;
 * a modern message must then agree with its headers (MCP 2026-07-28, the
 * transport's validation rules).  Answers, sessions and methods are elsewhere.
 */
#include <stdint.h>
#include <string.h>

#include "era.h"
#include "util.h"

#define NAME_MAX_DECODED	1024	/* bytes of an Mcp-Name */

static const char modern_version[] = "2026-07-28";
static const char *const legacy_versions[] = {
	"2025-11-25", "2025-06-18", "2025-03-26"
};

static const char *const log_levels[] = {
	"debug", "info", "notice", "warning", "error", "critical", "alert",
	"emergency"
};

/* Methods whose Mcp-Name must repeat a member of params. */
static const struct {
	const char	*method;
	const char	*member;
} named_methods[] = {
	{ "tools/call", "name" },
	{ "prompts/get", "name" },
	{ "resources/read", "uri" },
};

const char *
era_legacy_version(const char *version)
{
	size_t	 i;

	for (i = 0; version != NULL && i < nitems(legacy_versions); i++)
		if (strcmp(legacy_versions[i], version) == 0)
			return (legacy_versions[i]);
	return (NULL);
}

const char *
era_latest_legacy(void)
{
	return (legacy_versions[0]);
}

json_t *
era_versions(void)
{
	json_t	*list = json_array();
	size_t	 i;

	(void)json_array_append_new(list, json_string(modern_version));
	for (i = 0; i < nitems(legacy_versions); i++)
		(void)json_array_append_new(list,
		    json_string(legacy_versions[i]));
	return (list);
}

/* Optional white space around a header's value does not count. */
static const char *
value_trim(const char *value, size_t *len)
{
	size_t	 n;

	value += strspn(value, " \t");
	n = strlen(value);
	while (n > 0 && (value[n - 1] == ' ' || value[n - 1] == '\t'))
		n--;
	*len = n;
	return (value);
}

static int
value_is(const char *value, const char *text)
{
	size_t	 len;

	if (value == NULL)
		return (0);
	value = value_trim(value, &len);
	return (len == strlen(text) && memcmp(value, text, len) == 0);
}

static int
value_is_legacy(const char *value)
{
	size_t	 i;

	for (i = 0; i < nitems(legacy_versions); i++)
		if (value_is(value, legacy_versions[i]))
			return (1);
	return (0);
}

int
era_is_modern(const struct rpc *rpc, const struct mcp_headers *h)
{
	const json_t	*claim = json_object_get(rpc->meta, META_VERSION);
	const char	*version = json_string_value(claim);

	if (rpc->method != NULL && strcmp(rpc->method, "initialize") == 0)
		return (version != NULL &&
		    era_legacy_version(version) == NULL);
	if (claim != NULL)
		return (era_legacy_version(version) == NULL);
	if (h->version == NULL)
		return (0);
	if (value_is(h->version, modern_version))
		return (1);
	return (!value_is_legacy(h->version) && !h->session);
}

/* --- Mcp-Name ------------------------------------------------------------ */

static int
base64_digit(int c)
{
	static const char	digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char		*p;

	if (c == '\0' || (p = strchr(digits, c)) == NULL)
		return (-1);
	return (p - digits);
}

/* Strict: full groups, padding only at the end, no stray bits. */
static int
base64_decode(const char *src, size_t len, char *dst, size_t size)
{
	uint32_t	 bits = 0;
	size_t		 i, n = 0, pad = 0;
	int		 d, have = 0;

	if (len % 4 != 0)
		return (-1);
	while (pad < 2 && len > 0 && src[len - 1] == '=') {
		len--;
		pad++;
	}
	for (i = 0; i < len; i++) {
		if ((d = base64_digit(src[i])) == -1 || n + 1 >= size)
			return (-1);
		bits = bits << 6 | (uint32_t)d;
		if ((have += 6) < 8)
			continue;
		have -= 8;
		dst[n++] = bits >> have & 0xff;
		if (dst[n - 1] == '\0')
			return (-1);
	}
	if ((bits & ((1U << have) - 1)) != 0)
		return (-1);
	dst[n] = '\0';
	return (0);
}

/* What the header says, decoded into buf; -1: it is not a valid value. */
static int
name_decode(const char *value, char *buf, size_t size)
{
	static const char	head[] = "=?base64?", tail[] = "?=";
	const size_t		hlen = sizeof(head) - 1;
	const size_t		tlen = sizeof(tail) - 1;
	size_t			i, len;

	value = value_trim(value, &len);
	for (i = 0; i < len; i++)
		if ((value[i] < 0x20 && value[i] != '\t') || value[i] > 0x7e)
			return (-1);
	if (len >= hlen + tlen && memcmp(value, head, hlen) == 0 &&
	    memcmp(value + len - tlen, tail, tlen) == 0)
		return (base64_decode(value + hlen, len - hlen - tlen, buf,
		    size));
	if (len >= size)
		return (-1);
	memcpy(buf, value, len);
	buf[len] = '\0';
	return (0);
}

static int
check_name(const struct rpc *rpc, const struct mcp_headers *h, struct fault *f)
{
	char		 name[NAME_MAX_DECODED];
	const char	*want;
	size_t		 i;

	for (i = 0; i < nitems(named_methods); i++)
		if (strcmp(named_methods[i].method, rpc->method) == 0)
			break;
	if (i == nitems(named_methods))
		return (0);
	want = json_string_value(json_object_get(rpc->params,
	    named_methods[i].member));
	if (want == NULL)
		return (0);
	if (h->name == NULL)
		return (fault_set(f, 400, MCP_HEADER_MISMATCH,
		    "Header mismatch: Mcp-Name header is missing"));
	if (name_decode(h->name, name, sizeof(name)) == -1)
		return (fault_set(f, 400, MCP_HEADER_MISMATCH,
		    "Header mismatch: Mcp-Name header value is not valid"));
	if (strcmp(name, want) != 0)
		return (fault_set(f, 400, MCP_HEADER_MISMATCH,
		    "Header mismatch: Mcp-Name header value does not match "
		    "params.%s", named_methods[i].member));
	return (0);
}

/* --- the modern checks, in their order ----------------------------------- */

static int
check_version(const struct rpc *rpc, const struct mcp_headers *h,
    struct fault *f)
{
	const json_t	*claim = json_object_get(rpc->meta, META_VERSION);
	const char	*version = json_string_value(claim);

	if (version == NULL)
		return (fault_set(f, 400, RPC_INVALID_PARAMS,
		    "Invalid params: _meta must hold the string %s",
		    META_VERSION));
	if (h->version == NULL)
		return (fault_set(f, 400, MCP_HEADER_MISMATCH, "Header "
		    "mismatch: MCP-Protocol-Version header is missing"));
	if (!value_is(h->version, version))
		return (fault_set(f, 400, MCP_HEADER_MISMATCH, "Header "
		    "mismatch: MCP-Protocol-Version header does not match "
		    "%s in _meta", META_VERSION));
	if (strcmp(version, modern_version) == 0)
		return (0);
	(void)fault_set(f, 400, MCP_UNSUPPORTED_VERSION,
	    "Unsupported protocol version");
	f->data = json_pack("{s:o, s:s}", "supported", era_versions(),
	    "requested", version);
	return (-1);
}

static int
check_client(const struct rpc *rpc, struct fault *f)
{
	json_t		*level;
	const char	*word;
	size_t		 i;

	if (!json_is_object(json_object_get(rpc->meta, META_CAPS)))
		return (fault_set(f, 400, RPC_INVALID_PARAMS,
		    "Invalid params: _meta must hold the object %s",
		    META_CAPS));
	if ((level = json_object_get(rpc->meta, META_LOGLEVEL)) == NULL)
		return (0);
	word = json_string_value(level);
	for (i = 0; word != NULL && i < nitems(log_levels); i++)
		if (strcmp(log_levels[i], word) == 0)
			return (0);
	return (fault_set(f, 400, RPC_INVALID_PARAMS,
	    "Invalid params: %s is no log level", META_LOGLEVEL));
}

int
era_check(const struct rpc *rpc, const struct mcp_headers *h, struct fault *f)
{
	if (check_version(rpc, h, f) == -1 || check_client(rpc, f) == -1)
		return (-1);
	if (h->method == NULL)
		return (fault_set(f, 400, MCP_HEADER_MISMATCH,
		    "Header mismatch: Mcp-Method header is missing"));
	if (!value_is(h->method, rpc->method))
		return (fault_set(f, 400, MCP_HEADER_MISMATCH,
		    "Header mismatch: Mcp-Method header does not match the "
		    "method"));
	return (check_name(rpc, h, f));
}

int
era_check_legacy(const struct mcp_headers *h, struct fault *f)
{
	if (h->version == NULL || value_is_legacy(h->version))
		return (0);
	return (fault_set(f, 400, RPC_INVALID_REQUEST,
	    "Unsupported MCP-Protocol-Version; supported: %s, %s, %s",
	    legacy_versions[0], legacy_versions[1], legacy_versions[2]));
}
