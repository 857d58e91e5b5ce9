/*
 * MCP: which era a message belongs to, the order of the modern checks with
 * the exact code of each, the shape of messages, and whose Host and Origin
 * headers are ours.
 */
#include <sys/types.h>

#include <stdio.h>
#include <string.h>

#include "frontend/era.h"
#include "frontend/frontend.h"
#include "frontend/jsonrpc.h"
#include "unit.h"
#include "util.h"

#define NEW		"2026-07-28"
#define CLAIM(v)	"\"io.modelcontextprotocol/protocolVersion\":" v
#define CAPS		"\"io.modelcontextprotocol/clientCapabilities\":{}"
#define MSG(m, p)	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"" m \
			"\",\"params\":{" p "}}"
#define META(x)		"\"_meta\":{" x "}"
#define GOOD		CLAIM("\"2026-07-28\"") "," CAPS

struct era_case {
	const char	*body;
	const char	*version;	/* MCP-Protocol-Version */
	const char	*method;	/* Mcp-Method */
	const char	*name;		/* Mcp-Name */
	int		 session;
	int		 modern;
	int		 code;		/* of era_check; 0 fine */
};

static const struct era_case cases[] = {
	/* Legacy: nothing claimed. */
	{ MSG("tools/list", ""), NULL, NULL, NULL, 0, 0, 0 },
	{ MSG("tools/list", ""), "2025-11-25", NULL, NULL, 1, 0, 0 },
	{ MSG("tools/list", ""), NULL, "tools/list", NULL, 0, 0, 0 },
	{ MSG("tools/list", META("\"progressToken\":1")), "2025-06-18", NULL,
	    NULL, 1, 0, 0 },
	{ MSG("tools/list", META(CLAIM("\"2025-11-25\""))), "2025-11-25", NULL,
	    NULL, 0, 0, 0 },
	{ MSG("initialize", ""), "2025-11-25", "initialize", NULL, 0, 0, 0 },
	{ MSG("initialize", ""), NEW, NULL, NULL, 0, 0, 0 },
	{ MSG("initialize", META(CLAIM("\"2025-03-26\""))), NULL, NULL, NULL,
	    0, 0, 0 },
	{ MSG("tools/list", ""), "v999.0.0", NULL, NULL, 1, 0, 0 },
	/* 1: the claim is missing or no string. */
	{ MSG("tools/list", ""), NEW, "tools/list", NULL, 0, 1, -32602 },
	{ MSG("tools/list", META(CAPS)), NEW, "tools/list", NULL, 0, 1,
	    -32602 },
	{ MSG("tools/list", META(CLAIM("5"))), NEW, "tools/list", NULL, 0, 1,
	    -32602 },
	{ MSG("tools/list", ""), "v999.0.0", NULL, NULL, 0, 1, -32602 },
	/* 2, 3: the header is missing or says something else. */
	{ MSG("tools/list", META(GOOD)), NULL, "tools/list", NULL, 0, 1,
	    -32020 },
	{ MSG("tools/list", META(CLAIM("\"v999.0.0\"") "," CAPS)), NEW,
	    "tools/list", NULL, 0, 1, -32020 },
	{ MSG("tools/list", META(GOOD)), "2025-11-25", "tools/list", NULL, 1,
	    1, -32020 },
	/* 4: a version that nobody has. */
	{ MSG("tools/list", META(CLAIM("\"v999.0.0\"") "," CAPS)), "v999.0.0",
	    "tools/list", NULL, 0, 1, -32022 },
	{ MSG("initialize", META(CLAIM("\"v999.0.0\""))), "v999.0.0",
	    "initialize", NULL, 0, 1, -32022 },
	/* 5: capabilities of the client; clientInfo is not needed. */
	{ MSG("tools/list", META(CLAIM("\"2026-07-28\""))), NEW, "tools/list",
	    NULL, 0, 1, -32602 },
	{ MSG("tools/list", META(CLAIM("\"2026-07-28\"") ",\"io.modelcontext"
	    "protocol/clientCapabilities\":[]")), NEW, "tools/list", NULL, 0,
	    1, -32602 },
	{ MSG("tools/list", META(GOOD ",\"io.modelcontextprotocol/logLevel\":"
	    "\"loud\"")), NEW, "tools/list", NULL, 0, 1, -32602 },
	{ MSG("tools/list", META(GOOD ",\"io.modelcontextprotocol/logLevel\":"
	    "\"debug\"")), NEW, "tools/list", NULL, 0, 1, 0 },
	/* 6: Mcp-Method. */
	{ MSG("tools/list", META(GOOD)), NEW, NULL, NULL, 0, 1, -32020 },
	{ MSG("tools/list", META(GOOD)), NEW, "tools/call", NULL, 0, 1,
	    -32020 },
	{ MSG("tools/list", META(GOOD)), NEW, "Tools/List", NULL, 0, 1,
	    -32020 },
	{ MSG("tools/list", META(GOOD)), " 2026-07-28\t", " tools/list ",
	    NULL, 0, 1, 0 },
	/* 7: Mcp-Name, plain and encoded. */
	{ MSG("tools/call", "\"name\":\"a b\"," META(GOOD)), NEW, "tools/call",
	    NULL, 0, 1, -32020 },
	{ MSG("tools/call", "\"name\":\"a b\"," META(GOOD)), NEW, "tools/call",
	    " a b", 0, 1, 0 },
	{ MSG("tools/call", "\"name\":\"a b\"," META(GOOD)), NEW, "tools/call",
	    "a", 0, 1, -32020 },
	{ MSG("tools/call", "\"name\":\"a b\"," META(GOOD)), NEW, "tools/call",
	    "=?base64?YSBi?=", 0, 1, 0 },
	{ MSG("tools/call", "\"name\":\"h\xc3\xa9\"," META(GOOD)), NEW,
	    "tools/call", "=?base64?aMOp?=", 0, 1, 0 },
	{ MSG("tools/call", "\"name\":\"h\xc3\xa9\"," META(GOOD)), NEW,
	    "tools/call", "h\xc3\xa9", 0, 1, -32020 },
	{ MSG("tools/call", "\"name\":\"ab\"," META(GOOD)), NEW, "tools/call",
	    "=?base64?YWI?=", 0, 1, -32020 },
	{ MSG("tools/call", "\"name\":\"ab\"," META(GOOD)), NEW, "tools/call",
	    "=?base64?YWI=?=", 0, 1, 0 },
	{ MSG("tools/call", "\"name\":\"ab\"," META(GOOD)), NEW, "tools/call",
	    "=?base64?YWJ=?=", 0, 1, -32020 },
	{ MSG("tools/call", "\"name\":\"ab\"," META(GOOD)), NEW, "tools/call",
	    "=?base64?Y*I=?=", 0, 1, -32020 },
	{ MSG("tools/call", "\"name\":\"=?base64?x\"," META(GOOD)), NEW,
	    "tools/call", "=?base64?x", 0, 1, 0 },
	{ MSG("tools/call", "\"name\":\"x?=\"," META(GOOD)), NEW, "tools/call",
	    "x?=", 0, 1, 0 },
	{ MSG("tools/call", "\"name\":5," META(GOOD)), NEW, "tools/call", NULL,
	    0, 1, 0 },
	{ MSG("resources/read", "\"uri\":\"a:b\"," META(GOOD)), NEW,
	    "resources/read", "a:b", 0, 1, 0 },
	/* 9 is the method table's; the checks let these pass. */
	{ MSG("ping", META(GOOD)), NEW, "ping", NULL, 0, 1, 0 },
	{ MSG("initialize", META(GOOD)), NEW, "initialize", NULL, 0, 1, 0 },
};

START_TEST(test_era)
{
	const struct era_case	*c = &cases[_i];
	struct mcp_headers	 h = { c->version, c->method, c->name,
				    c->session };
	struct rpc		 rpc;
	struct fault		 f;
	json_t			*msg;

	memset(&f, 0, sizeof(f));
	msg = rpc_parse(c->body, strlen(c->body), &f);
	ck_assert_msg(msg != NULL, "%s: %s", c->body, f.text);
	ck_assert_int_eq(rpc_read(msg, &rpc, &f), 0);
	ck_assert_msg(era_is_modern(&rpc, &h) == c->modern, "%s", c->body);
	if (c->modern) {
		f.code = 0;
		ck_assert_int_eq(era_check(&rpc, &h, &f),
		    c->code == 0 ? 0 : -1);
		ck_assert_msg(f.code == c->code, "%s: %d", c->body, f.code);
		ck_assert(f.code == 0 || f.status == 400);
	}
	if (c->code == MCP_UNSUPPORTED_VERSION) {
		ck_assert_str_eq(json_string_value(json_object_get(f.data,
		    "requested")), "v999.0.0");
		ck_assert_str_eq(json_string_value(json_array_get(
		    json_object_get(f.data, "supported"), 0)), NEW);
		json_decref(f.data);
	}
	json_decref(msg);
}
END_TEST

START_TEST(test_legacy_version)
{
	struct mcp_headers	h = { NULL, NULL, NULL, 0 };
	struct fault		f;

	ck_assert_int_eq(era_check_legacy(&h, &f), 0);
	h.version = " 2025-03-26 ";
	ck_assert_int_eq(era_check_legacy(&h, &f), 0);
	h.version = NEW;
	ck_assert_int_eq(era_check_legacy(&h, &f), -1);
	ck_assert_int_eq(f.status, 400);
	ck_assert_ptr_null(era_legacy_version(NEW));
	ck_assert_ptr_null(era_legacy_version(NULL));
	ck_assert_str_eq(era_legacy_version("2025-06-18"), "2025-06-18");
}
END_TEST

/* --- messages ------------------------------------------------------------ */

static const struct {
	const char	*body;
	int		 code;		/* 0: well-formed */
	enum rpc_kind	 kind;
	int		 id;		/* the id could be read */
} messages[] = {
	{ "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"x\"}", 0, RPC_REQUEST,
	    1 },
	{ "{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"x\"}", 0, RPC_REQUEST,
	    1 },
	{ "{\"jsonrpc\":\"2.0\",\"method\":\"x\"}", 0, RPC_NOTIFICATION, 0 },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}", 0, RPC_RESPONSE, 1 },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}", 0, RPC_RESPONSE, 1 },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1}", -32600, 0, 1 },
	{ "{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"x\"}", -32600, 0, 1 },
	{ "{\"id\":1,\"method\":\"x\"}", -32600, 0, 1 },
	{ "{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"x\"}", -32600, 0, 0 },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"x\"}", -32600, 0, 0 },
	{ "{\"jsonrpc\":\"2.0\",\"id\":true,\"method\":\"x\"}", -32600, 0, 0 },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}", -32600, 0, 1 },
	{ "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":[]}",
	    -32600, 0, 1 },
	{ "5", -32600, 0, 0 },
	{ "", -32700, 0, 0 },
	{ "{", -32700, 0, 0 },
	{ "{\"a\":1,\"a\":2}", -32700, 0, 0 },
	{ "{\"a\":\"\xff\"}", -32700, 0, 0 },
	{ "{\"a\":\"\\u0000\"}", -32700, 0, 0 },
	{ "{\"a\":1}x", -32700, 0, 0 },
	{ "{\"a\":123456789012345678901234567890}", -32700, 0, 0 },
};

START_TEST(test_messages)
{
	const char	*body = messages[_i].body;
	struct rpc	 rpc;
	struct fault	 f;
	json_t		*msg;
	int		 r;

	memset(&f, 0, sizeof(f));
	memset(&rpc, 0, sizeof(rpc));
	/* A bare number is no root for jansson: an error all the same. */
	if ((msg = rpc_parse(body, strlen(body), &f)) == NULL) {
		ck_assert(messages[_i].code != 0);
		ck_assert_int_eq(f.status, 400);
		return;
	}
	r = rpc_read(msg, &rpc, &f);
	ck_assert_msg(r == (messages[_i].code == 0 ? 0 : -1), "%s", body);
	if (r == 0)
		ck_assert_int_eq(rpc.kind, messages[_i].kind);
	else
		ck_assert_int_eq(f.code, messages[_i].code);
	ck_assert_int_eq(rpc.id != NULL, messages[_i].id);
	json_decref(msg);
}
END_TEST

/* n arrays one in the other. */
static int
depth_parses(int n, const char *inside)
{
	static char	 buf[65536];
	struct fault	 f;
	size_t		 len = 0;
	json_t		*msg;
	int		 i;

	for (i = 0; i < n; i++)
		buf[len++] = '[';
	memcpy(buf + len, inside, strlen(inside));
	len += strlen(inside);
	for (i = 0; i < n; i++)
		buf[len++] = ']';
	msg = rpc_parse(buf, len, &f);
	json_decref(msg);
	return (msg != NULL);
}

START_TEST(test_depth)
{
	ck_assert(depth_parses(RPC_DEPTH_MAX, "1"));
	ck_assert(!depth_parses(RPC_DEPTH_MAX + 1, "1"));
	ck_assert(!depth_parses(10000, "1"));
	/* Brackets in strings do not count; an escaped quote ends none. */
	ck_assert(depth_parses(RPC_DEPTH_MAX, "\"[[[[\\\"[[[[\\\\\",\"[[\""));
	ck_assert(!depth_parses(RPC_DEPTH_MAX, "\"\\\\\",[]"));
}
END_TEST

/* --- Host and Origin ----------------------------------------------------- */

static void
hosts_setup(void)
{
	struct wire_listen	wl;

	memset(&wl, 0, sizeof(wl));
	wl.kind = LISTEN_INET;
	wl.port = 8947;
	(void)strlcpy(wl.address, "127.0.0.2", sizeof(wl.address));
	hosts_listen(&wl);
	wl.kind = LISTEN_INET6;
	(void)strlcpy(wl.address, "fd00::1", sizeof(wl.address));
	hosts_listen(&wl);
	hosts_add("devbox.example", strlen("devbox.example"));
	origins_add("http://page.example:5173",
	    strlen("http://page.example:5173"));
}

static const struct {
	const char	*host;
	int		 ok;
} hosts[] = {
	{ "localhost", 1 }, { "localhost:8947", 1 }, { "LocalHost:8947", 1 },
	{ "127.0.0.1:8947", 1 }, { "[::1]:8947", 1 }, { "[::1]", 1 },
	{ "127.0.0.2:8947", 1 }, { "[fd00::1]:8947", 1 },
	{ "devbox.example", 1 }, { "devbox.example:8947", 1 },
	{ "", 0 }, { "localhost:1", 0 }, { "localhost:", 0 },
	{ "localhost:08947", 0 }, { "localhost:8947:8947", 0 },
	{ "localhost.", 0 }, { "localhost.evil.example", 0 },
	{ "evil.example", 0 }, { "evil.example:8947", 0 },
	{ "localhost@evil.example", 0 }, { "evil@localhost:8947", 0 },
	{ "127.0.0.1, evil", 0 }, { "::1", 0 }, { "[::1", 0 },
	{ "[::1]x:8947", 0 }, { "127.1", 0 }, { "0.0.0.0:8947", 0 },
	{ " localhost", 0 },
};

START_TEST(test_host)
{
	hosts_setup();
	ck_assert_msg(host_ok(hosts[_i].host) == hosts[_i].ok, "%s",
	    hosts[_i].host);
}
END_TEST

static const struct {
	const char	*origin;
	int		 ok;
} origins[] = {
	{ "http://localhost:8947", 1 }, { "http://127.0.0.1:8947", 1 },
	{ "http://[::1]:8947", 1 }, { "http://devbox.example:8947", 1 },
	{ "http://page.example:5173", 1 },
	{ "null", 0 }, { "", 0 }, { "http://localhost", 0 },
	{ "https://localhost:8947", 0 }, { "http://localhost:8947/", 0 },
	{ "http://evil.example:8947", 0 }, { "http://localhost:5173", 0 },
	{ "localhost:8947", 0 }, { "http://", 0 },
	{ "http://page.example:5173.evil", 0 },
	{ "http://a@localhost:8947", 0 },
};

START_TEST(test_origin)
{
	hosts_setup();
	ck_assert_msg(origin_ok(origins[_i].origin) == origins[_i].ok, "%s",
	    origins[_i].origin);
}
END_TEST

UNIT_SUITE(mcp);

Suite *
mcp_suite(void)
{
	Suite	*s = suite_create("mcp");
	TCase	*tc = tcase_create("mcp");

	tcase_add_loop_test(tc, test_era, 0, nitems(cases));
	tcase_add_test(tc, test_legacy_version);
	tcase_add_loop_test(tc, test_messages, 0, nitems(messages));
	tcase_add_test(tc, test_depth);
	tcase_add_loop_test(tc, test_host, 0, nitems(hosts));
	tcase_add_loop_test(tc, test_origin, 0, nitems(origins));
	suite_add_tcase(s, tc);
	return (s);
}
