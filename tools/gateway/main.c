/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - kolk-gateway: arguments, signals, the order of start and end.
 *
 * Start: configuration, engine with its pools, an HTTP client for each loop, server, listeners.
 * End, in the opposite order: the server finishes the answers in progress, the HTTP clients end, the
 * engine closes its connections.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tools/gateway/dns/dns.h"
#include "tools/gateway/export.h"
#include "tools/gateway/health.h"
#include "tools/gateway/jwt/jwks_url.h"
#include "tools/gateway/mcp/stdio.h"
#include "tools/gateway/proxy.h"
#include "tools/gateway/rate.h"
#include "tools/gateway/say.h"
#include "tools/gateway/status/status.h"
#include "tools/gateway/usage.h"
#include "tools/gateway/warm/warm.h"

static int complain(const char *what, enum kolk_err err)
{
	fprintf(stderr, "kolk-gateway: %s: %s\n", what, kolk_err_text(err));
	return EXIT_FAILURE;
}

static int complain_config(const struct kolk_config_error *error)
{
	char text[4096];

	kolk_config_error_text(error, text, sizeof text);
	fprintf(stderr, "kolk-gateway: %s\n", text);
	return EXIT_FAILURE;
}

static void on_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	(void)user;
	(void)level;
	gw_say("%s: %s", subject, text);
}

/* ---- start: on a failure nothing is undone here; stop() ends what has begun */

static enum kolk_err open_engine(struct gateway *gateway, struct kolk_config_error *error)
{
	struct kolk_engine_options base = KOLK_INIT(kolk_engine_options);

	base.log_level = KOLK_LOG_WARN;
	base.on_log = on_log;
	if (gateway->stdio_route != NULL)
		base.loops = 1; /* unless the file says another number */
	gw_mcp_engine_options(gateway->view->config, &base);
	return kolk_config_open(gateway->view->config->pools, &base, &gateway->engine, error);
}

static enum kolk_err open_loops(struct gateway *gateway)
{
	uint32_t count = kolk_engine_loop_count(gateway->engine);
	enum kolk_err err = KOLK_OK;

	gateway->rates = gw_rates_make();
	gateway->loops = calloc(count, sizeof *gateway->loops);
	gateway->tracers = calloc(count, sizeof *gateway->tracers);
	if (gateway->loops == NULL || gateway->tracers == NULL || gateway->rates == NULL)
		return KOLK_E_MEMORY;
	gateway->loop_count = count;
	for (uint32_t i = 0; i < count && err == KOLK_OK; i++) {
		struct gw_loop *loop = &gateway->loops[i];

		loop->gateway = gateway;
		loop->index = i;
		loop->view = gateway->view;
		loop->loop = kolk_engine_loop(gateway->engine, i);
		gateway->tracers[i].loop = loop;
		if (getrandom(&loop->random, sizeof loop->random, GRND_NONBLOCK) < 0)
			loop->random = kolk_in_ns(i);
		loop->random |= 1;
		err = kolk_http_open(loop->loop, NULL, &loop->http);
	}
	return err;
}

/* False: standard error says why. */
static bool open_log(struct gateway *gateway)
{
	const char *path = gateway->view->config->access_log.path;
	enum kolk_err err;

	if (path == NULL || strcmp(path, "off") == 0 || gateway->stdio_route != NULL)
		return true;
	err = gw_access_log_open(path, &gateway->log);
	if (err != KOLK_OK)
		gw_say("access log %s: %s", path,
		       err == KOLK_E_IO ? strerror(errno) : kolk_err_text(err));
	return err == KOLK_OK;
}

/* False: standard error says why. */
static bool open_admin(struct gateway *gateway)
{
	const struct kolk_admin_options *options = kolk_config_admin(gateway->view->config->pools);
	struct kolk_admin_options copy = KOLK_INIT(kolk_admin_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	enum kolk_err err;

	if (options->listen == NULL)
		return true;
	memcpy(&copy, options, options->size < sizeof copy ? options->size : sizeof copy);
	copy.size = sizeof copy;
	copy.reload = gateway->stdio_route == NULL ? gw_reload : NULL;
	copy.reload_user = gateway;
	copy.program_status = gw_status_json;
	copy.program_metrics = gw_status_metrics;
	copy.on_log = on_log;
	copy.failure = &failure;
	err = kolk_admin_open(gateway->engine, &copy, &gateway->admin);
	if (err != KOLK_OK)
		gw_say("no admin server at %s: %s", options->listen,
		       failure.os_error != 0 ? strerror(failure.os_error) : kolk_err_text(err));
	return err == KOLK_OK;
}

static enum kolk_err open_tracing(struct gateway *gateway)
{
	struct gw_collector *collector;
	enum kolk_err err = gw_collector_open(gateway, gateway->view->config, &collector);

	gw_tracing_swap(gateway, collector);
	return err;
}

static enum kolk_err open_names(struct gateway *gateway, struct kolk_config_error *error)
{
	enum kolk_err err;

	if (gateway->stdio_route != NULL)
		return KOLK_OK; /* to an MCP server, which has no balancer */
	err = gw_dns_names_open(gateway->dns, gateway->view->config, &gateway->names, error);
	if (err == KOLK_OK)
		gw_dns_bind(gateway->names, gateway->view, gateway->engine);
	return err;
}

static void begin_checks(struct gw_loop *loop, void *user)
{
	(void)user;
	gw_health_begin(loop, loop->view);
}

static void end_checks(struct gw_loop *loop, void *user)
{
	(void)user;
	gw_health_end(loop, loop->view);
}

/* Of one file there may be several programs, and one that has the address of the admin server. */
static bool start_stdio(struct gateway *gateway)
{
	(void)open_admin(gateway);
	gateway->stdio = gw_stdio_begin(gateway, gateway->stdio_route, gateway->stdio_fds);
	return gateway->stdio != NULL;
}

static bool start(struct gateway *gateway)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	const struct kolk_http_server_options *options = &gateway->view->config->server;
	const char *what = "loops";
	enum kolk_err err;

	gateway->dns = gw_dns_open(gw_members_renew, gateway);
	if (gateway->dns == NULL) {
		complain("names", KOLK_E_MEMORY);
		return false;
	}
	if (gw_config_usable(gateway->view->config, gateway->stdio_route == NULL, &error) != KOLK_OK ||
	    open_engine(gateway, &error) != KOLK_OK ||
	    open_names(gateway, &error) != KOLK_OK) {
		complain_config(&error);
		return false;
	}
	if (getrandom(&gateway->request_id_base, sizeof gateway->request_id_base, 0) < 0)
		gateway->request_id_base = kolk_in_ns(0);
	gw_view_bind(gateway->view, gateway->engine);
	if (!open_log(gateway))
		return false;
	err = open_loops(gateway);
	if (err == KOLK_OK)
		what = "pools of protocol mcp", err = gw_mcp_open(gateway) ? KOLK_OK : KOLK_E_OPTIONS;
	if (err == KOLK_OK)
		gw_mcp_bind(gateway, gateway->view, NULL), gw_status_show_mcp(gateway->mcp);
	if (err == KOLK_OK && gateway->stdio_route != NULL)
		return start_stdio(gateway);
	if (err == KOLK_OK)
		what = "keys of tokens",
		err = gw_keys_open(gateway, gateway->view->config, &gateway->keys);
	gw_key_source_show(gateway->keys);
	if (err == KOLK_OK)
		what = "traces", err = open_tracing(gateway);
	if (err == KOLK_OK)
		what = "server", err = kolk_http_server_open(gateway->engine, options,
							     &gw_front_handler, gateway,
							     &gateway->server);
	if (err == KOLK_OK)
		what = "warm start", err = gw_warm_begin(gateway) ? KOLK_OK : KOLK_E_MEMORY;
	if (err != KOLK_OK) {
		complain(what, err);
		return false;
	}
	if (!open_admin(gateway))
		return false;
	gw_each_loop(gateway, begin_checks, NULL);
	return gw_listen(gateway);
}

/* ---- the end: drain_timeout bounds all of it */

static void flush_log(struct gw_loop *loop, void *user)
{
	(void)user;
	gw_log_flush(loop);
}

/* The threads of the admin server and of DNS may still change the view. */
static uint64_t drain_ns(struct gateway *gateway)
{
	uint64_t ns;

	pthread_mutex_lock(&gateway->reload_lock);
	ns = gateway->view->config->drain_timeout_ns;
	pthread_mutex_unlock(&gateway->reload_lock);
	if (ns == 0)
		return 10 * KOLK_S_NS;
	return ns == KOLK_AT_ONCE ? 0 : ns;
}

/* The part of it that is kept for closing after the last request, which takes milliseconds unless a
 * peer does not read. */
static uint64_t rest_ns(uint64_t drain_ns)
{
	uint64_t quarter_ns = drain_ns / 4;

	return quarter_ns > KOLK_S_NS ? KOLK_S_NS :
	       quarter_ns < KOLK_S_NS / 2 ? KOLK_S_NS / 2 : quarter_ns;
}

static void on_closed(void *user)
{
	sem_post(user);
}

/* End the HTTP clients. Connections that they still use after half of the time are closed anyway.
 * False = not all were closed at the deadline, so the engine and what its loops use have to stay. */
static bool end_engine(struct gateway *gateway, uint64_t ns, uint64_t deadline_ns)
{
	static sem_t closed; /* outlives the wait for it */
	uint32_t closing = 0;

	sem_init(&closed, 0, 0);
	for (uint32_t i = 0; i < gateway->loop_count; i++)
		if (gateway->loops[i].http != NULL &&
		    kolk_http_close(gateway->loops[i].http, on_closed, &closed) == KOLK_OK)
			closing++;
	(void)kolk_engine_drain(gateway->engine, kolk_in_ns(ns / 2));
	if (kolk_engine_wait_closed(gateway->engine, deadline_ns) != KOLK_OK)
		return false;
	while (closing > 0) /* no connection is left, so they end at once */
		closing -= sem_wait(&closed) == 0;
	sem_destroy(&closed);
	return kolk_engine_destroy(gateway->engine) == KOLK_OK;
}

static void free_all(struct gateway *gateway)
{
	for (uint32_t i = 0; i < gateway->loop_count; i++) {
		gw_proxy_free(&gateway->loops[i]);
		gw_fields_free(&gateway->loops[i].fields);
	}
	gw_tracing_free(gateway);
	gw_warm_free(gateway);
	gw_dns_free(gateway->dns);
	gw_rates_free(gateway->rates);
	free(gateway->loops);
	free(gateway->listeners);
	free(gateway->fixed);
	gw_view_free(gateway->view);
	pthread_mutex_destroy(&gateway->reload_lock);
}

static uint64_t sooner(uint64_t a_ns, uint64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

static uint64_t left_ns(uint64_t until_ns)
{
	uint64_t now_ns = kolk_in_ns(0);

	return until_ns > now_ns ? until_ns - now_ns : 0;
}

/* Until when closing may go on: children that are slow to end and servers that are slow to answer
 * DELETE have what is left of drain_timeout, but at most 30 s. */
static uint64_t close_until_ns(uint64_t deadline_ns)
{
	return sooner(kolk_in_ns(30 * KOLK_S_NS), deadline_ns);
}

/* End everything. Spans have a second to be sent, and at most a quarter of the rest. False =
 * connections were left: their memory is freed with the process. */
static bool stop(struct gateway *gateway)
{
	const uint64_t began_ns = kolk_in_ns(0);
	uint64_t all_ns, rest, deadline_ns;
	bool ended = true;

	gw_dns_give_up(gateway->dns); /* a reload may wait for names */
	all_ns = drain_ns(gateway);
	rest = rest_ns(all_ns);
	deadline_ns = kolk_in_ns(all_ns > rest ? all_ns : rest);
	kolk_admin_close(gateway->admin);
	gw_dns_end(gateway->dns); /* before loops end */
	gw_status_show_mcp(NULL);
	gw_warm_end(gateway, kolk_in_ns(sooner(all_ns / 4, KOLK_S_NS)));
	gw_mcp_drain(gateway);
	gw_stdio_end(gateway, gateway->stdio, kolk_in_ns(all_ns > rest ? all_ns - rest : 0));
	if (gateway->server != NULL) {
		const uint64_t end_ns = kolk_in_ns(all_ns > rest ? all_ns - rest : 0);

		gw_drain_begin(gateway, end_ns);
		(void)kolk_http_server_close(gateway->server, end_ns, NULL, NULL);
		gw_drain_say(gateway, began_ns);
	}
	gw_key_source_show(NULL);
	gw_key_source_close(gateway->keys);
	if (gateway->engine != NULL) {
		if (gateway->stdio_route == NULL)
			gw_each_loop(gateway, end_checks, NULL);
		gw_tracing_end(gateway, sooner(kolk_in_ns(KOLK_S_NS), deadline_ns - rest * 3 / 4));
		gw_each_loop(gateway, flush_log, NULL);
		gw_dns_names_close(gateway->names);
		ended = gw_mcp_close(gateway, close_until_ns(deadline_ns - rest / 2)) &&
			end_engine(gateway,
				   sooner(rest - rest / 4, left_ns(deadline_ns - rest / 4)),
				   close_until_ns(deadline_ns - rest / 4));
	}
	gw_access_log_close(gateway->log, deadline_ns); /* all requests have ended */
	if (ended)
		free_all(gateway);
	return ended;
}

/* ---- while it runs */

static void reload(struct gateway *gateway)
{
	char text[4096];
	enum kolk_err err;

	gw_access_log_reopen(gateway->log);
	err = gw_reload(gateway, text, sizeof text);
	gw_say("reload %s: %s", err == KOLK_OK ? "done" : "refused", text);
}

/* Until SIGTERM or SIGINT. Pools that a reload removed are freed when they are closed. */
static void run(struct gateway *gateway, const sigset_t *signals)
{
	const struct timespec second = { .tv_sec = 1 };
	int number;

	do {
		number = sigtimedwait(signals, NULL, &second);
		if (number == SIGHUP && gateway->stdio == NULL)
			reload(gateway);
		else if (number < 0)
			gw_reap(gateway);
	} while (number != SIGTERM && number != SIGINT &&
		 (number != SIGHUP || gateway->stdio == NULL));
	if (gateway->stdio == NULL)
		gw_say("draining");
}

static void block_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGHUP);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGTERM);
	pthread_sigmask(SIG_BLOCK, signals, NULL); /* before there are other threads */
	signal(SIGPIPE, SIG_IGN);
}

static int serve(struct gw_config *config, const char *path, const char *stdio_route)
{
	struct gateway gateway = { .path = path, .stdio_route = stdio_route };
	enum kolk_err err = gw_view_make(config, &gateway.view);
	sigset_t signals;
	bool ok;

	if (err != KOLK_OK) {
		gw_config_free(config);
		return complain(path, err);
	}
	block_signals(&signals);
	pthread_mutex_init(&gateway.reload_lock, NULL);
	pthread_mutex_lock(&gateway.reload_lock); /* names change members once it has started */
	ok = (stdio_route == NULL || gw_stdio_take(gateway.stdio_fds)) && start(&gateway);
	pthread_mutex_unlock(&gateway.reload_lock);
	if (ok)
		run(&gateway, &signals);
	if (!stop(&gateway)) {
		gw_say("ended with connections open");
		_exit(EXIT_FAILURE); /* its threads run */
	}
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- arguments */

static int check(struct gw_config *config, const char *path, bool listens)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct kolk_config_error warnings = KOLK_INIT(kolk_config_error);
	enum kolk_err err = gw_config_try(config, listens, &error, &warnings);
	char text[4096];

	gw_config_free(config);
	kolk_config_error_text(&warnings, text, sizeof text);
	if (warnings.mistakes > 0)
		gw_say_lines("warning: ", text);
	if (err != KOLK_OK)
		return complain_config(&error);
	printf("%s is right\n", path);
	return EXIT_SUCCESS;
}

static int run_file(const char *path, const char *stdio_route, bool only_check)
{
	struct kolk_config_error error = KOLK_INIT(kolk_config_error);
	struct gw_config *config;
	enum kolk_err err = stdio_route == NULL ? gw_config_load(path, &config, &error) :
						  gw_config_load_silent(path, &config, &error);

	if (err != KOLK_OK)
		return complain_config(&error);
	if (stdio_route != NULL && !gw_stdio_check(config, stdio_route)) {
		gw_config_free(config);
		return EXIT_FAILURE;
	}
	return only_check ? check(config, path, stdio_route == NULL) :
			    serve(config, path, stdio_route);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' }, { "check", no_argument, NULL, 'n' },
		{ "stdio", required_argument, NULL, 's' },
		{ "version", no_argument, NULL, 'V' }, { "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	const char *path = NULL, *stdio_route = NULL;
	bool only_check = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c')
			path = optarg;
		else if (option == 'n')
			only_check = true;
		else if (option == 's')
			stdio_route = optarg;
		else if (option == 'V')
			return printf("kolk-gateway %s, %s\n", kolk_version_text(),
				      kolk_tls_text()) < 0;
		else
			return option == 'h' ? gw_usage(stdout, 0) : gw_usage(stderr, GW_USAGE);
	}
	if (stdio_route != NULL && path == NULL)
		path = optind < argc ? argv[optind++] : GW_STDIO_FILE;
	if (path == NULL || optind != argc)
		return gw_usage_wrong(path, argv[optind]);
	return run_file(path, stdio_route, only_check);
}
