/*
 * JSON-RPC 2.0 messages, without any knowledge of methods or transport.
 */
#ifndef KEEPD_JSONRPC_H
#define KEEPD_JSONRPC_H

#include <jansson.h>
#include <stddef.h>

#define RPC_PARSE_ERROR		-32700
#define RPC_INVALID_REQUEST	-32600
#define RPC_METHOD_NOT_FOUND	-32601
#define RPC_INVALID_PARAMS	-32602
#define RPC_INTERNAL_ERROR	-32603
#define RPC_DEPTH_MAX		64	/* nested arrays and objects */

enum rpc_kind { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESPONSE };

struct rpc {			/* all borrowed from the message */
	enum rpc_kind	 kind;
	const char	*method;
	json_t		*id;
	json_t		*params;	/* an object, or NULL */
	json_t		*meta;		/* params._meta if it is an object */
};

struct fault {			/* what is wrong with a message */
	int	 status;	/* of HTTP */
	int	 code;		/* of JSON-RPC */
	json_t	*data;		/* or NULL; owned by whoever reads the fault */
	char	 text[256];
};

/* Whole body to JSON; NULL and the fault.  The caller has the reference. */
json_t	*rpc_parse(const char *, size_t, struct fault *);
/* Is this one message?  -1 and the fault (id is set if it could be read). */
int	 rpc_read(json_t *, struct rpc *, struct fault *);
/* Always -1. */
int	 fault_set(struct fault *, int status, int code, const char *, ...)
	    __attribute__((format(printf, 4, 5)));

#endif
