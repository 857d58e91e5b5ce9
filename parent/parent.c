/*
 * keepd's parent process: options, start, signals, stop.  It holds what the
 * others must not be able to reach (the configuration, the store) and does
 * nothing that needs parsing of what strangers send.
 */
#include <sys/types.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <event2/event.h>

#include "log.h"
#include "parent.h"
#include "privdrop.h"
#include "sandbox.h"
#include "util.h"

#define LIBEXEC		"/../libexec/keepd"	/* from our own directory */
#define MACROS_MAX	64
#define VERBOSE_MAX	2
#define STOPS_MAX	3	/* then the supervisor is not asked any more */

struct parent	 parent = { .serial = 1 };

static int	 daemon_fd = -1;	/* to the caller's process */
static int	 stops;			/* how often we were asked to */

/* --- the command line -------------------------------------------------- */

struct arguments {
	const char	*file;
	const char	*directory;
	const char	*macros[MACROS_MAX];
	int		 check;
	int		 verbose;
};

static void __attribute__((noreturn))
usage(void)
{
	fprintf(stderr, "usage: keepd [-dnVv] [-D macro=value] [-f file] "
	    "[-s socket] [directory]\n");
	exit(1);
}

/* The working directory is left soon: what is relative to it is not. */
static const char *
absolute(const char *path)
{
	char	*cwd, *whole;

	if (*path == '/')
		return (path);
	if ((cwd = getcwd(NULL, 0)) == NULL ||
	    asprintf(&whole, "%s/%s", cwd, path) == -1)
		fatal("%s", path);
	free(cwd);
	return (whole);
}

static void
arguments_macro(struct arguments *a, const char *definition)
{
	if (parent.options.nmacros == MACROS_MAX) {
		fprintf(stderr, "keepd: more than %d times -D\n", MACROS_MAX);
		exit(1);
	}
	a->macros[parent.options.nmacros++] = definition;
}

static void
arguments_parse(struct arguments *a, int argc, char **argv)
{
	int	 ch;

	while ((ch = getopt(argc, argv, "D:df:ns:Vv")) != -1) {
		switch (ch) {
		case 'D':
			arguments_macro(a, optarg);
			break;
		case 'd':
			parent.foreground = 1;
			break;
		case 'f':
			a->file = optarg;
			break;
		case 'n':
			a->check = 1;
			break;
		case 's':
			parent.options.socket = absolute(optarg);
			break;
		case 'V':
			printf("keepd %s\n", KEEPD_VERSION);
			exit(0);
		case 'v':
			a->verbose++;
			break;
		default:
			usage();
		}
	}
	/* S0-1 */
	if (argc - optind > 1 || (argc > optind && a->file != NULL))
		usage();
	a->directory = argv[optind];
	parent.options.macros = a->macros;
	parent.options.check_only = a->check;
	parent.options.verbose = a->check ? 0 : a->verbose;
}

int
parent_verbose(const struct config *conf)
{
	int	 level = (int)conf->verbose + parent.options.verbose;

	return (level > VERBOSE_MAX ? VERBOSE_MAX : level);
}

static int
check_only(struct config *conf, int print)
{
	int	 errors = conf->errors;

	if (errors == 0)
		fputs("configuration OK\n", stderr);
	if (errors == 0 && print)
		config_print(conf, stdout);
	config_free(conf);
	return (errors > 0 || fflush(stdout) == EOF);
}

/* --- into the background ----------------------------------------------- */

/*
 * The caller's command returns when the new process says that it serves, and
 * fails when that ends without a word; what went wrong it has said itself on
 * the stderr that both have.
 */
static void
daemon_begin(void)
{
	int	 fds[2];
	char	 byte;

	if (pipe2(fds, O_CLOEXEC) == -1)
		fatal("pipe");
	switch (fork()) {
	case -1:
		fatal("fork");
	case 0:
		close(fds[0]);
		daemon_fd = fds[1];
		if (setsid() == -1)
			fatal("setsid");
		return;
	}
	close(fds[1]);
	_exit(read(fds[0], &byte, 1) == 1 ? 0 : 1);
}

static void
daemon_done(void)
{
	int	 null;

	if (daemon_fd == -1)
		return;
	log_init("keepd", 0);
	if ((null = open("/dev/null", O_RDWR | O_CLOEXEC)) == -1)
		fatal("/dev/null");
	if (dup2(null, STDIN_FILENO) == -1 ||
	    dup2(null, STDOUT_FILENO) == -1 ||
	    dup2(null, STDERR_FILENO) == -1)
		fatal("dup2");
	close(null);
	if (write_all(daemon_fd, "", 1) == -1)
		log_info("nobody waits for the start");
	close(daemon_fd);
	daemon_fd = -1;
}

/* --- the life of the daemon -------------------------------------------- */

void
parent_started(void)
{
	parent.started = 1;
	parent.services = 1;
	log_notice("version %s, %u service%s from %s", KEEPD_VERSION,
	    parent.conf->nservices, parent.conf->nservices == 1 ? "" : "s",
	    parent.conf->path);
	notify_ready();
	greet();
	daemon_done();
}

void
parent_start_failed(const char *name)
{
	if (parent.stopping)
		return;
	log_warnx("keepd cannot start without its %s%s", name,
	    parent.foreground ? "" : ": start it with -d to see why");
	parent.stopping = 1;
	parent.exit_code = 1;
	child_shutdown_all();
}

void
parent_conf_done(void)
{
	reload_progress();
}

void
parent_services_stopped(void)
{
	if (!parent.services)
		return;
	log_info("all services are stopped");
	parent.services = 0;
	child_shutdown_all();
}

/*
 * A new supervisor could not know what the old one was doing.  The services
 * are ours now: they are stopped, and a service manager starts keepd afresh.
 */
void
parent_supervisor_gone(void)
{
	if (!parent.services)
		return;
	if (!parent.stopping) {
		log_warnx("without its supervisor keepd stops all services "
		    "and ends; it has to be started again");
		parent.stopping = 1;
		parent.exit_code = 1;
		notify_stopping();
	}
	orphans_stop(parent_services_stopped);
}

static void
parent_end(void)
{
	event_base_loopbreak(parent.base);
}

/* Whatever the supervisor may have overlooked does not outlive us. */
void
parent_all_gone(void)
{
	if (!parent.services)
		orphans_stop(parent_end);
}

void
parent_stop(void)
{
	struct link	*link = child_link(PEER_SUPERVISOR);
	struct wire_u32	 w = { .value = stops > 0 };

	if (!parent.stopping)
		notify_stopping();
	parent.stopping = 1;
	if (!parent.services) {
		child_shutdown_all();
		return;
	}
	if (++stops >= STOPS_MAX)
		child_abort(PEER_SUPERVISOR);
	else if (link != NULL)
		link_send(link, IMSG_SHUTDOWN, 0, -1, &w, sizeof(w));
}

/* --- signals ----------------------------------------------------------- */

static void
on_stop(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	(void)arg;
	log_notice("signal %d: %s", (int)sig, parent.stopping ?
	    "stopping at once" : "stopping");
	parent_stop();
}

static void
on_hup(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	reload(0, 0);
}

static void
on_usr1(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	log_info("no log files to reopen: logs are kept in memory");
}

static void
on_chld(evutil_socket_t sig, short what, void *arg)
{
	pid_t	 pid;
	int	 status, others = 0;

	(void)sig;
	(void)what;
	(void)arg;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (!child_reaped(pid, status))
			others++;
	if (others > 0)
		orphans_reaped();
}

static void
signal_on(int sig, event_callback_fn handler)
{
	struct event	*ev = evsignal_new(parent.base, sig, handler, NULL);

	if (ev == NULL || evsignal_add(ev, NULL) == -1)
		fatal("event");
}

static void
signals_init(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal_on(SIGTERM, on_stop);
	signal_on(SIGINT, on_stop);
	signal_on(SIGHUP, on_hup);
	signal_on(SIGUSR1, on_usr1);
	signal_on(SIGCHLD, on_chld);
}

/* --- the start --------------------------------------------------------- */

/* The same in a build tree and in an installation. */
static const char *
libexec_directory(void)
{
	static char	 path[PATH_SIZE];
	char		 exe[PATH_SIZE];
	ssize_t		 n;

	n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	if (n == -1)
		fatal("/proc/self/exe");
	exe[n] = '\0';
	if ((size_t)snprintf(path, sizeof(path), "%s%s", dirname(exe),
	    LIBEXEC) >= sizeof(path))
		fatalx("%s: too long", exe);
	return (path);
}

static int
directory_make(const char *path, mode_t mode)
{
	struct stat	 st;

	if (path_mkdirs(path, geteuid() == 0 ? mode : 0700) == -1 ||
	    stat(path, &st) == -1) {
		log_warn("%s", path);
		return (-1);
	}
	if (!S_ISDIR(st.st_mode)) {
		log_warnx("%s is not a directory", path);
		return (-1);
	}
	return (0);
}

/* Endpoints before all else (S0-22); -1: said why. */
static int
parent_prepare(const struct config *conf)
{
	if (listen_open(conf) == -1 ||
	    directory_make(conf->state_dir, 0755) == -1 ||
	    directory_make(conf->log_dir, 0750) == -1 ||
	    users_init() == -1 || child_init(libexec_directory()) == -1 ||
	    store_update(conf) == -1)
		return (-1);
	cgroup_init();
	if (os_subreaper() == -1) {
		log_warn("child subreaper");
		return (-1);
	}
	return (0);
}

static void
parent_lock_up(const struct config *conf)
{
	const struct privdrop		 nothing = { 0 };
	const struct sandbox_opts	 opts = {
		.best_effort = (int)conf->best_effort
	};
	char				 buf[256];

	privdrop(ROLE_PARENT, &nothing);
	log_info("parent: process %d, sandbox: %s", (int)getpid(),
	    sandbox_describe(sandbox_enter(ROLE_PARENT, &opts), buf,
	    sizeof(buf)));
}

static int
parent_run(const struct config *conf)
{
	sandbox_prepare(ROLE_PARENT);
	if ((parent.base = event_base_new()) == NULL)
		fatalx("event_base_new");
	if (chdir("/") == -1)
		fatal("/");
	if (parent_prepare(conf) == -1) {
		listen_close();
		return (1);
	}
	signals_init();
	parent_lock_up(conf);
	child_start_all();
	event_base_dispatch(parent.base);
	cgroup_end();
	listen_close();
	log_notice("ended");
	return (parent.exit_code);
}

int
main(int argc, char **argv)
{
	static struct arguments	 a;
	struct config		*conf;
	char			*path;

	setvbuf(stderr, NULL, _IOLBF, 0);
	log_init("keepd", 1);
	arguments_parse(&a, argc, argv);
	if ((path = path_config(a.file, a.directory)) == NULL)
		return (1);
	conf = config_load(path, &parent.options);
	free(path);
	fputs(config_report(conf), stderr);
	if (a.check)
		return (check_only(conf, a.verbose > 0));
	if (conf->errors > 0)
		return (1);
	config_ids(conf, NULL);
	parent.conf = conf;
	log_setverbose(parent_verbose(conf));
	notify_init();
	if (!parent.foreground)
		daemon_begin();
	return (parent_run(conf));
}
