/*
 * Every message there is, and the structs that travel in them.  proto.c holds
 * the table that link.c checks each frame against: type, name, least and
 * greatest payload, whether a descriptor comes along.
 *
 * Wire structs hold fixed-width integers and bounded, NUL-terminated strings,
 * in an order that leaves no padding (asserted below); proto_str_ok() is
 * applied to each char array by the receiver.  A "tail" is text or bytes
 * behind the struct up to the end of the payload, not NUL-terminated.
 * All structs are zeroed before they are filled.  The frame's id field carries
 * what the comment of the message says.
 */
#ifndef KEEPD_PROTO_H
#define KEEPD_PROTO_H

#include <stddef.h>
#include <stdint.h>

#include "imsg.h"

#define KEEPD_VERSION		"0.1.0"
#define PROTO_VERSION		1	/* of the control socket */

#define MAX_SERVICES		4096	/* ids are 0 .. MAX_SERVICES - 1 */
#define NAME_SIZE		65	/* [A-Za-z0-9._-]{1,64} and NUL */
#define LABEL_SIZE		257
#define PATH_SIZE		1025
#define WHO_SIZE		97	/* "uid 1000 (a)" */
#define CLIENT_SIZE		97	/* clientInfo: "claude-code 2.1" */
#define REASON_SIZE		257
#define TARGET_SIZE		257
#define ERRTEXT_SIZE		1025
#define FRAME_MAX		(64 * 1024)		/* payload of any message */
#define LINK_FRAME_MAX		(FRAME_MAX + IMSG_HEADER_SIZE)
#define CONF_STR_MAX		(32 * 1024)		/* one string of a service */
#define PATTERN_MAX		4096			/* bytes of a regular expression */
#define LINE_TEXT_MAX		(64 * 1024 - 256)	/* longer lines are split */
#define DATA_CREDIT		(256 * 1024)		/* a query's credit at first */
#define EVENTS_KEPT		100	/* a service (U-13) */
#define GROUPS_MAX		64

enum imsg_type {
	IMSG_NONE = 0,

	/* --- parent -> each ------------------------------------------------ */
	IMSG_PEER,		/* id: enum peer; fd: one end of a fresh link   */
	IMSG_CONF_BEGIN,	/* wire_serial                                  */
	IMSG_CONF_GLOBAL,	/* wire_global                                  */
	IMSG_CONF_SERVICE,	/* id: service; wire_service                    */
	IMSG_CONF_STR,		/* id: service; wire_str + tail.  Supervisor    */
	IMSG_CONF_PUBLIC,	/* id: service; wire_public.  Frontend          */
	IMSG_CONF_LISTEN,	/* wire_listen; fd.  Frontend                   */
	IMSG_CONF_PORT,		/* wire_port: where TCP clients arrive. Supervisor */
	IMSG_CONF_HOST,		/* tail: a host name to accept.  Frontend       */
	IMSG_CONF_ORIGIN,	/* tail: an origin to accept.  Frontend         */
	IMSG_CONF_CONTROL,	/* fd: listening control socket.  Supervisor    */
	IMSG_CONF_ADMIN,	/* wire_admin: uid or gid that manages all      */
	IMSG_CONF_RING,		/* id: service; wire_ring; fd rw.  Logger       */
	IMSG_CONF_RING_RO,	/* id: service; wire_ring; fd ro, for searchers */
	IMSG_CONF_END,		/* wire_serial                                  */
	IMSG_START,		/* begin to serve                               */
	IMSG_VERBOSE,		/* wire_u32: level                              */
	IMSG_SHUTDOWN,		/* wire_u32: 0 stop in order, 1 at once         */

	/* --- each -> parent ------------------------------------------------ */
	IMSG_READY,		/* locked up; wire_u32: sandbox layers          */
	IMSG_CONF_DONE,		/* wire_serial: the transaction is in force     */
	IMSG_LOG,		/* wire_u32: syslog level; tail: the line       */

	/* --- supervisor -> parent ------------------------------------------ */
	IMSG_KEEP,		/* wire_key; fd                                 */
	IMSG_FORGET,		/* wire_key                                     */
	IMSG_RELOAD,		/* id: serial of the asker                      */
	IMSG_ASK_SHUTDOWN,	/* an admin asked keepd to stop                 */
	IMSG_STOPPED,		/* every service is stopped; parent may exit    */
	IMSG_SD_STATUS,		/* tail: a line for systemd's STATUS=           */
	/* --- parent -> supervisor ------------------------------------------ */
	IMSG_RELOADED,		/* id as asked; wire_u32: errors; tail: text    */

	/* --- supervisor -> logger ------------------------------------------ */
	IMSG_RUN,		/* id: service; wire_run: a new run begins      */
	IMSG_ATTACH,		/* id: service; wire_attach; fd: read end       */
	IMSG_RUN_END,		/* id: service; wire_run: the process is gone   */
	IMSG_GRANT,		/* id: connection; wire_grant                   */
	IMSG_REVOKE,		/* id: connection                               */
	/* --- logger -> supervisor ------------------------------------------ */
	IMSG_GRANTED,		/* id: connection                               */
	IMSG_DRAINED,		/* id: service; wire_attach: end of file read   */

	/* --- frontend -> supervisor ---------------------------------------- */
	IMSG_PEERADDR,		/* id: connection; wire_peeraddr                */
	IMSG_CONN_CLOSED,	/* id: connection                               */
	IMSG_DESCRIBE,		/* id: connection; wire_u32: service            */
	IMSG_ACTION,		/* id: connection; wire_action                  */
	IMSG_WAIT,		/* id: connection; wire_wait                    */
	IMSG_UNWAIT,		/* id: connection; wire_u32: serial             */
	IMSG_ACTIVITY,		/* id: connection: a tools/call arrived (S0-41) */
	/* --- supervisor -> frontend ---------------------------------------- */
	IMSG_IDENTITY,		/* id: connection; wire_identity                */
	IMSG_MODE,		/* wire_mode                                    */
	IMSG_STATE,		/* id: service; wire_state.  Also to keepctl    */
	IMSG_GONE,		/* id: service removed by a reload              */
	IMSG_TEXT,		/* id: service; wire_text + tail.  Also keepctl */
	IMSG_RESULT,		/* wire_result.  Also to keepctl                */
	IMSG_LOGS_READY,	/* the logger holds all grants (again)          */

	/* --- frontend, supervisor -> logger; keepctl -> supervisor --------- */
	IMSG_QUERY,		/* id: query; wire_query + pattern              */
	IMSG_CREDIT,		/* id: query; wire_u32: bytes consumed          */
	IMSG_CANCEL,		/* id: query                                    */
	/* --- logger -> frontend, supervisor; supervisor -> keepctl --------- */
	IMSG_DATA,		/* id: query; n x (wire_line + text)            */
	IMSG_END,		/* id: query; wire_end + error text             */

	/* --- keepctl -> supervisor ----------------------------------------- */
	IMSG_CTL_HELLO,		/* wire_u32: PROTO_VERSION                      */
	IMSG_CTL_STATUS,	/* wire_target; answered by STATE+TEXT, RESULT  */
	IMSG_CTL_ACTION,	/* wire_target + wire_action in wire_ctlaction  */
	IMSG_CTL_WAIT,		/* wire_ctlwait                                 */
	IMSG_CTL_QUERY,		/* id: query; wire_ctlquery + pattern           */
	IMSG_CTL_EVENTS,	/* wire_ctlevents                               */
	IMSG_CTL_MODE,		/* wire_u32: enum mode                          */
	IMSG_CTL_RELOAD,
	IMSG_CTL_SHUTDOWN,
	IMSG_CTL_VERSION,
	/* --- supervisor -> keepctl ----------------------------------------- */
	IMSG_CTL_WELCOME,	/* wire_welcome                                 */
	IMSG_EVENT,		/* wire_event                                   */

	/* --- logger -> searcher -------------------------------------------- */
	IMSG_SRCH_RING,		/* id: search; wire_ring; fd ro                 */
	IMSG_SRCH_START,	/* id: search; wire_search + pattern; fd answer pipe */
	IMSG_SRCH_KILL,		/* id: search: its deadline has passed          */
	/* --- searcher -> logger -------------------------------------------- */
	IMSG_SRCH_EXIT,		/* id: search; wire_u32: wait status            */

	IMSG_TYPE_COUNT
};

struct proto_row {
	uint32_t	 type;
	const char	*name;
	uint32_t	 min;		/* payload bytes */
	uint32_t	 max;
	int		 fd;		/* PROTO_NOFD, PROTO_FD */
};
#define PROTO_NOFD	0
#define PROTO_FD	1

/* The row of a type, NULL when there is none such. */
const struct proto_row	*proto_row(uint32_t);
const char		*proto_name(uint32_t);	/* "IMSG_STATE", "unknown" */
/* 1: there is a NUL within size, and no byte below 0x20 nor 0x7f before it. */
int	 proto_str_ok(const char *, size_t);
/* For text that may hold any byte but NUL (reasons, labels): NUL within size. */
int	 proto_str_ends(const char *, size_t);

/* --- words ------------------------------------------------------------- */
enum peer	{ PEER_SUPERVISOR, PEER_LOGGER, PEER_FRONTEND };
enum mode	{ MODE_RELEASE, MODE_DEV };
enum svc_state	{ ST_STOPPED, ST_WAITING, ST_BUILDING, ST_STARTING, ST_RUNNING,
		  ST_STOPPING, ST_BACKOFF, ST_FAILED, ST_COUNT };
enum exit_reason { EXIT_NONE, EXIT_EXITED, EXIT_FAILED, EXIT_REQUESTED,
		  EXIT_KILLED, EXIT_START_FAILED, EXIT_STOP_TIMEOUT,
		  EXIT_BUILD_FAILED, EXIT_COUNT };
enum activity	{ ACT_NONE, ACT_BUILDING, ACT_SWAPPING };
enum svc_role	{ ROLE_NONE, ROLE_OBSERVE, ROLE_OPERATE, ROLE_MANAGE };
enum verb	{ VERB_START, VERB_STOP, VERB_RESTART /* no build */,
		  VERB_REBUILD /* build first, swap, mode dev */, VERB_COUNT };
enum svc_type	{ TYPE_COMMAND, TYPE_RUST, TYPE_NPM };
enum backoff	{ BACKOFF_NONE, BACKOFF_FIXED, BACKOFF_LINEAR,
		  BACKOFF_EXPONENTIAL };
enum restart_on	{ RESTART_NEVER, RESTART_FAILURE, RESTART_ALWAYS };
enum tri	{ TRI_NO, TRI_YES, TRI_AUTO };
enum stream	{ STREAM_STDOUT, STREAM_STDERR };
enum ring_kind	{ RING_OUTPUT, RING_BUILD };
enum result_code { RES_OK, RES_NOT_FOUND, RES_AMBIGUOUS, RES_ALREADY_RUNNING,
		  RES_NOT_RUNNING, RES_COMMAND_FAILED, RES_BUILD_FAILED,
		  RES_PORT_CONFLICT, RES_TIMEOUT, RES_PERMISSION, RES_INVALID,
		  RES_SHUTTING_DOWN, RES_BUSY, RES_DEPENDENCY, RES_BREAKER,
		  RES_STATE_ERROR, RES_CANCELLED, RES_EXITED, RES_COUNT };
/* The words of interfaces.md: "running", "start_failed", "PROCESS_NOT_FOUND". */
const char *proto_state_name(uint32_t);
const char *proto_exit_name(uint32_t);		/* EXIT_NONE: "none" */
const char *proto_verb_name(uint32_t);		/* start stop restart rebuild */
const char *proto_result_name(uint32_t);	/* RES_OK: "OK" */
const char *proto_role_name(uint32_t);
const char *proto_mode_name(uint32_t);		/* "dev", "release" */
/* S3's word for a state and exit record (C-9, U-12): starting running
 * stopping stopped failed killed. */
const char *proto_status_word(uint32_t state, uint32_t exit_reason);

/* --- small ones -------------------------------------------------------- */
struct wire_u32 {
	uint32_t	value;
};
struct wire_serial {
	uint32_t	serial;		/* of the configuration, from 1 */
	uint32_t	pad;
};
struct wire_key {
	uint32_t	service;	/* key of the store: a log pipe */
	uint32_t	run;
	uint32_t	kind;		/* enum ring_kind */
	uint32_t	stream;
};
struct wire_target {
	char		text[TARGET_SIZE];	/* T of interfaces.md section 2; "" all */
	uint8_t		group;			/* 1: text is a group's name */
	uint8_t		pad[6];
};

/* --- configuration ----------------------------------------------------- */
struct wire_global {
	uint64_t	mode_timeout_ms;	/* 0: never; S0-5 */
	uint64_t	mode_check_ms;		/* S0-42 */
	uint32_t	initial_mode;		/* enum mode */
	uint32_t	echo;			/* S0-64: lines to keepd's stdout */
	uint32_t	best_effort;		/* `sandbox best effort` */
	uint32_t	search_jit;
	uint32_t	search_timeout_ms;
	uint32_t	max_request;		/* bytes of an HTTP body */
	uint32_t	max_connections;
	uint32_t	max_user_connections;
	uint32_t	system_mode;		/* 1: started as root */
	uint32_t	uid;			/* user mode: the owner */
	uint32_t	verbose;
	uint32_t	nservices;
	char		socket_path[PATH_SIZE];	/* control socket, for messages */
	char		config_path[PATH_SIZE];	/* the file it all stems from */
	uint8_t		pad[6];
};
struct wire_service {
	char		name[NAME_SIZE];
	char		group[NAME_SIZE];
	char		label[LABEL_SIZE];	/* "": derived (S3-28) */
	char		description[LABEL_SIZE];
	char		directory[PATH_SIZE];	/* absolute */
	char		user[NAME_SIZE];	/* display */
	uint8_t		pad0[2];
	uint64_t	build_timeout_ms;
	uint64_t	stop_timeout_ms;
	uint64_t	kill_wait_ms;
	uint64_t	backoff_initial_ms;
	uint64_t	backoff_max_ms;
	uint64_t	first_dev_ms;		/* 0: none; S0-33 */
	uint64_t	stable_ms;		/* 0: never resets by time */
	uint32_t	factor_milli;		/* 1500 for 1.5 */
	uint32_t	backoff;		/* enum backoff */
	uint32_t	truncate_seconds;	/* presets bpm-*: S0-32 */
	uint32_t	free_attempts;
	uint32_t	max_attempts;		/* 0: no limit */
	uint32_t	restart_on;		/* enum restart_on */
	uint32_t	type;			/* enum svc_type */
	uint32_t	shell;			/* command[0] goes to /bin/sh -c */
	uint32_t	autostart;
	uint32_t	env_inherit;
	uint32_t	direnv;			/* enum tri */
	uint32_t	stop_signal;
	uint32_t	umask;			/* 0xffffffff: inherited */
	uint32_t	uid;			/* user mode: keepd's own */
	uint32_t	gid;
	uint32_t	ngroups;
	uint32_t	groups[GROUPS_MAX];
	uint32_t	ceiling;		/* enum svc_role for the network */
	uint32_t	log_lines;
	uint32_t	log_runs;
	uint32_t	has_build;		/* build exists in some mode */
};
/* What a CONF_STR is.  Lists are sent element by element, in order. */
enum conf_str {
	STR_COMMAND,		/* both modes, when no dev/release form is given */
	STR_COMMAND_DEV, STR_COMMAND_RELEASE,
	STR_ARG,		/* appended to the command (`args`) */
	STR_ENV,		/* "NAME=value" */
	STR_BUILD, STR_BUILD_RELEASE,	/* argv of the build; rust: see build.c */
	STR_ARTIFACT,		/* `artifact`: must exist after a good build */
	STR_COUNT
};
struct wire_str {
	uint32_t	kind;		/* enum conf_str */
	uint32_t	pad;
};
struct wire_public {			/* all that the frontend may know */
	char		name[NAME_SIZE];
	char		group[NAME_SIZE];
	char		description[LABEL_SIZE];
	uint8_t		pad[1];
	uint32_t	ceiling;
	uint32_t	has_build;
	uint32_t	pad1;
};
enum listen_kind { LISTEN_INET, LISTEN_INET6, LISTEN_UNIX };
struct wire_listen {
	uint32_t	kind;
	uint32_t	port;			/* host order; 0 for unix */
	char		address[64];		/* as shown: "127.0.0.1", "::1" */
	char		path[PATH_SIZE];
	uint8_t		pad[7];
};
struct wire_port {
	uint32_t	kind;			/* LISTEN_INET or LISTEN_INET6 */
	uint32_t	port;
};
struct wire_admin {
	uint32_t	is_gid;
	uint32_t	id;
};
struct wire_ring {
	uint64_t	size;			/* bytes of the memfd */
	uint64_t	run_bytes;		/* bytes of text a run, a power of two */
	uint32_t	kind;			/* enum ring_kind */
	uint32_t	lines;			/* a run */
	uint32_t	runs;
	uint32_t	fresh;			/* 1: nothing in it yet */
	char		name[NAME_SIZE];	/* of the service, for echo */
	uint8_t		pad[7];
};

/* --- supervisor <-> logger --------------------------------------------- */
struct wire_run {
	uint64_t	time_ms;
	uint32_t	kind;			/* enum ring_kind */
	uint32_t	run;			/* from 1, grows by one */
	int32_t		exit_code;		/* RUN_END; -1: by signal */
	uint32_t	signal;
};
struct wire_attach {
	uint32_t	kind;
	uint32_t	run;
	uint32_t	stream;			/* enum stream */
	uint32_t	pad;
};
struct wire_grant {				/* what a connection may read */
	uint8_t		visible[MAX_SERVICES / 8];	/* bit i: service i */
};

/* --- supervisor <-> frontend ------------------------------------------- */
struct wire_peeraddr {
	uint32_t	kind;			/* enum listen_kind */
	uint32_t	uid;			/* LISTEN_UNIX: SO_PEERCRED */
	uint8_t		client[16];		/* network order, 4 or 16 bytes */
	uint8_t		server[16];
	uint16_t	client_port;		/* host order */
	uint16_t	server_port;
	uint32_t	scope;
};
struct wire_identity {
	uint32_t	role;			/* ROLE_NONE: answer 403 */
	uint32_t	uid;			/* 0xffffffff: unknown */
	char		who[WHO_SIZE];		/* "uid 1000 (a)", for the log */
	uint8_t		pad[7];
	uint8_t		visible[MAX_SERVICES / 8];
};
struct wire_action {
	uint32_t	serial;			/* of the sender; comes back */
	uint32_t	service;
	uint32_t	verb;			/* enum verb */
	uint32_t	flags;
	uint64_t	timeout_ms;		/* 0: the configured one */
	char		reason[REASON_SIZE];
	char		client[CLIENT_SIZE];
	uint8_t		pad[6];
};
#define ACTION_FORCE	0x01	/* stop: KILL at once */
#define ACTION_NOWAIT	0x02	/* answer when accepted, not when done */
enum wait_until { UNTIL_READY, UNTIL_EXIT, UNTIL_PORT };
struct wire_wait {
	uint64_t	timeout_ms;
	uint32_t	serial;
	uint32_t	service;
	uint32_t	until;
	uint32_t	port;			/* UNTIL_PORT */
};
struct wire_mode {
	uint64_t	until_release_ms;	/* mono deadline left, when sent */
	uint64_t	sent_ms;		/* wall clock of the message */
	uint32_t	mode;
	uint32_t	pad;
};
struct wire_event {
	uint64_t	time_ms;
	uint64_t	seq;			/* grows by one, over all services */
	uint32_t	service;		/* 0xffffffff: keepd itself */
	uint32_t	kind;			/* enum event_kind */
	uint32_t	from, to;		/* enum svc_state */
	uint32_t	pid;
	uint32_t	run;
	int32_t		exit_code;		/* -1: none or by signal */
	uint32_t	signal;
	char		name[NAME_SIZE];
	char		who[WHO_SIZE];		/* who asked; "" keepd itself */
	char		detail[REASON_SIZE];	/* free text, no newline */
	uint8_t		pad[5];
};
enum event_kind { EV_STATE, EV_STARTED, EV_CRASHED, EV_EXITED, EV_BUILD_STARTED,
		  EV_BUILT, EV_BUILD_FAILED, EV_ACTION, EV_REFUSED, EV_MODE,
		  EV_STRAY, EV_RELOAD, EV_COUNT };
const char *proto_event_name(uint32_t);	/* "state", "started", ... */
struct wire_short_event {		/* of the last five, in wire_state */
	uint64_t	time_ms;
	uint32_t	kind;			/* EV_STARTED or EV_CRASHED; S0-100 */
	int32_t		exit_code;		/* -1: by signal */
	uint32_t	signal;
	uint32_t	pad;
};
#define STATE_EVENTS	5
/* wire_state.flags */
#define STF_READY	0x01
#define STF_AUTO	0x02	/* automatic restart is on */
#define STF_DESIRED	0x04	/* wanted up */
/* wire_state.stale: what the running process has of an older configuration */
#define STALE_COMMAND	0x01
#define STALE_ENV	0x02
#define STALE_DIRECTORY	0x04
#define STALE_USER	0x08
#define STALE_OTHER	0x10
struct wire_state {
	uint64_t	start_ms;		/* of the last start; 0 never */
	uint64_t	exit_ms;		/* of the last exit; 0 none */
	uint64_t	next_start_ms;		/* backoff: wall clock; 0 none */
	uint64_t	action_ms;		/* last action; 0 none */
	uint32_t	service;
	uint32_t	state;			/* enum svc_state */
	uint32_t	flags;
	uint32_t	activity;		/* enum activity */
	uint32_t	mode;			/* mode the running process has */
	uint32_t	pid;			/* 0 none */
	uint32_t	run;			/* number of the last run; 0 none */
	uint32_t	build_run;
	uint32_t	restarts;		/* automatic and asked */
	uint32_t	crash_count;		/* S0-31 */
	uint32_t	exit_reason;		/* enum exit_reason */
	int32_t		exit_code;		/* -1: by signal or none */
	uint32_t	exit_signal;
	uint32_t	stale;
	uint32_t	action_verb;		/* enum verb; VERB_COUNT none */
	uint32_t	nevents;
	struct wire_short_event	events[STATE_EVENTS];	/* newest first */
	char		name[NAME_SIZE];
	char		group[NAME_SIZE];
	char		action_by[WHO_SIZE];
	char		action_client[CLIENT_SIZE];
	char		action_reason[REASON_SIZE];
	char		error[REASON_SIZE];	/* why failed or in backoff; "" */
	uint8_t		pad[2];
};
struct wire_text {				/* display text; tail: command words,
						 * each ended by a NUL */
	uint32_t	serial;			/* configuration it stems from */
	uint32_t	port;			/* 0: none configured */
	char		label[LABEL_SIZE];
	char		description[LABEL_SIZE];
	char		directory[PATH_SIZE];
	char		user[NAME_SIZE];
	uint8_t		pad[4];
};
struct wire_result {				/* tail: text, one line */
	uint32_t	serial;
	uint32_t	service;		/* 0xffffffff: none */
	uint32_t	code;			/* enum result_code */
	uint32_t	verb;
	uint32_t	old_pid;
	uint32_t	new_pid;
	uint32_t	run;
	uint32_t	joined;			/* 1: shared another's restart */
	int32_t		exit_code;		/* of an exit that is the answer */
	uint32_t	exit_signal;
	uint64_t	elapsed_ms;
	uint32_t	gap_ms;			/* restart: measured time without a process */
	uint32_t	pad;
};

/* --- log queries ------------------------------------------------------- */
enum query_kind { QUERY_SEARCH,		/* with a pattern (or none: all lines) */
		  QUERY_WINDOW,		/* lines by number or time, no pattern */
		  QUERY_FOLLOW,		/* WINDOW, then new lines as they come */
		  QUERY_WAIT_LOG,	/* until a line matches the pattern */
		  QUERY_WAIT_QUIET };	/* until no line came for quiet_ms */
#define Q_ICASE		0x001
#define Q_HEAD		0x002	/* head is set */
#define Q_TAIL		0x004	/* tail is set */
#define Q_STDOUT	0x008	/* only this stream; neither bit: both */
#define Q_STDERR	0x010
#define Q_PATTERN	0x020	/* a pattern is in the tail */
#define Q_CURSOR	0x040	/* start behind cursor_run/cursor_line */
#define Q_SINCE_RUN	0x080	/* waits: look at the run so far, too */
#define Q_ALL_RUNS	0x100	/* over every retained run, oldest first */
struct wire_query {
	uint64_t	since_ms;		/* 0: no limit; wall clock */
	uint64_t	before_ms;		/* 0: no limit */
	uint64_t	cursor_line;		/* line number within the run */
	uint64_t	timeout_ms;		/* waits; searches: 0 the configured */
	uint32_t	conn;			/* frontend; 0 elsewhere */
	uint32_t	service;
	uint32_t	query;			/* enum query_kind */
	uint32_t	kind;			/* enum ring_kind */
	uint32_t	flags;
	int32_t		index;			/* S0-70; -1 newest run */
	uint32_t	cursor_run;
	uint32_t	context;
	uint32_t	head;
	uint32_t	tail;
	uint32_t	max_bytes;		/* of line text; 0: no limit */
	uint32_t	quiet_ms;
};
#define LINE_MATCH	0x01	/* matches the pattern */
#define LINE_CONTEXT	0x02	/* only context of one that does */
#define LINE_CUT	0x04	/* piece of a longer line, the rest follows */
#define LINE_CONT	0x08	/* continues the piece before */
struct wire_line {			/* in DATA, followed by len bytes of text as
					 * stored, without "[stderr] ", no newline */
	uint64_t	line;			/* number within the run, from 1 */
	uint64_t	time_ms;
	uint32_t	run;
	uint32_t	len;
	uint32_t	stream;
	uint32_t	flags;
};
enum end_code { END_OK, END_NO_SUCH_RUN, END_BAD_PATTERN, END_TIMEOUT,
		END_LIMIT, END_DENIED, END_BUSY, END_CANCELLED, END_FAILED,
		END_MATCHED, END_SETTLED, END_EXITED, END_WAIT_TIMEOUT,
		END_SLOW };	/* END_SLOW: follower read too slowly, dropped */
struct wire_end {
	uint64_t	matches;		/* lines that match */
	uint64_t	shown;			/* lines sent */
	uint64_t	elided;			/* result lines not sent */
	uint64_t	lost;			/* lines that left the ring meanwhile */
	uint64_t	next_line;		/* cursor: continue behind this line */
	uint64_t	elapsed_us;
	uint32_t	next_run;
	uint32_t	code;			/* enum end_code */
	uint32_t	runs;			/* retained runs */
	uint32_t	run;			/* the run looked at; 0 none */
	uint32_t	truncated;		/* max_bytes was reached */
	uint32_t	offset;			/* BAD_PATTERN: where in the pattern */
	int32_t		exit_code;		/* END_EXITED */
	uint32_t	signal;
};

/* --- keepctl ----------------------------------------------------------- */
struct wire_ctlaction {
	struct wire_target	target;
	struct wire_action	action;		/* service is ignored */
};
struct wire_ctlwait {
	struct wire_target	target;
	struct wire_wait	wait;
};
struct wire_ctlquery {
	struct wire_target	target;
	struct wire_query	query;		/* conn and service are ignored */
};
struct wire_ctlevents {
	struct wire_target	target;
	uint64_t		since_ms;
	uint32_t		follow;
	uint32_t		pad;
};
struct wire_welcome {
	uint32_t	proto;
	uint32_t	pid;			/* of the parent */
	uint32_t	mode;			/* enum mode */
	uint32_t	system_mode;
	uint64_t	started_ms;
	char		version[NAME_SIZE];
	char		config[PATH_SIZE];
	uint8_t		pad[6];
};

/* --- logger <-> searcher ----------------------------------------------- */
struct wire_search {
	struct wire_query	query;
	uint32_t		jit;
	uint32_t		pattern_len;	/* the tail */
};

#endif
