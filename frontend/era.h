/*
 * The two eras of MCP over HTTP: which one a message belongs to, and the
 * checks of the modern one.  Pure functions of the message and its headers.
 */
#ifndef KEEPD_ERA_H
#define KEEPD_ERA_H

#include "jsonrpc.h"

#define MCP_HEADER_MISMATCH	-32020
#define MCP_UNSUPPORTED_VERSION	-32022

#define META_VERSION	"io.modelcontextprotocol/protocolVersion"
#define META_CAPS	"io.modelcontextprotocol/clientCapabilities"
#define META_CLIENT	"io.modelcontextprotocol/clientInfo"
#define META_LOGLEVEL	"io.modelcontextprotocol/logLevel"
#define META_SERVER	"io.modelcontextprotocol/serverInfo"

struct mcp_headers {
	const char	*version;	/* MCP-Protocol-Version, NULL: none */
	const char	*method;	/* Mcp-Method */
	const char	*name;		/* Mcp-Name */
	int		 session;	/* there is an Mcp-Session-Id */
};

/* Our own string for a version that this server speaks; NULL: none such. */
const char	*era_legacy_version(const char *);
const char	*era_latest_legacy(void);
json_t		*era_versions(void);	/* fresh array, newest first */
int		 era_is_modern(const struct rpc *, const struct mcp_headers *);
/* Steps 1 to 8 of the modern validation; -1 and the fault. */
int		 era_check(const struct rpc *, const struct mcp_headers *,
		    struct fault *);
/* A legacy message's MCP-Protocol-Version; -1 and the fault. */
int		 era_check_legacy(const struct mcp_headers *, struct fault *);

#endif
