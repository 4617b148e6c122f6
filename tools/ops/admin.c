/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.c - the admin server: sockets, one thread, and limits for clients.
 *
 * libmicrohttpd speaks HTTP; requests are answered in routes.c. The thread polls by itself so that
 * it can close clients whose whole request takes too long: a time-out of inactivity alone would
 * never end a client that sends a byte now and then.
 *
 * A connection is passed to the library when the head of its request is complete and has one
 * meaning (head.c peeks at it). The next request's head could not be checked, because the library
 * reads ahead: a connection serves one request.
 */
#define _GNU_SOURCE /* accept4 */
#include <kolk/ops/admin.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/sized.h"
#include "tools/ops/admin_clients.h"
#include "tools/ops/headers.h"
#include "tools/ops/listen.h"
#include "tools/ops/options.h"

enum { TICK_MS = 200, HOSTS_MAX = 64, STREAM_BLOCK = 16 * 1024 };

/* One request while its body arrives. */
struct upload {
	char *body;
	size_t size;
	bool begun, too_large, no_memory;
	bool escaped; /* the path has a percent sign */
};

/* ---- a request */

static ssize_t read_stream(void *user, uint64_t at, char *bytes, size_t capacity)
{
	ssize_t size = kolk__metrics_read(user, bytes, capacity);

	(void)at; /* it is read in order */
	if (size < 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	return size != 0 ? size : MHD_CONTENT_READER_END_OF_STREAM;
}

static void close_stream(void *user)
{
	kolk__metrics_close(user);
}

/* A stream's size is not known: it is sent in chunks, so that a client sees when it is cut off. */
static struct MHD_Response *response_make(const struct kolk__response *response)
{
	if (response->stream == NULL) /* the library takes it as what it may change; it does not */
		return MHD_create_response_from_buffer(
			response->size,
			response->owned != NULL ? response->owned : (void *)(uintptr_t)response->body,
			response->owned != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream,
						 response->stream, close_stream);
}

static enum MHD_Result reply(struct MHD_Connection *connection,
			     const struct kolk__response *response)
{
	struct MHD_Response *answer = response_make(response);
	enum MHD_Result queued;

	if (answer == NULL) {
		free(response->owned);
		kolk__metrics_close(response->stream);
		return MHD_NO;
	}
	MHD_add_response_header(answer, "Content-Type", response->type);
	MHD_add_response_header(answer, "Content-Security-Policy", response->policy);
	MHD_add_response_header(answer, "Cache-Control", "no-store");
	MHD_add_response_header(answer, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(answer, "X-Frame-Options", "DENY");
	MHD_add_response_header(answer, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(answer, "Cross-Origin-Resource-Policy", "same-origin");
	if (response->allow != NULL)
		MHD_add_response_header(answer, "Allow", response->allow);
	if (response->status == 401)
		MHD_add_response_header(answer, "WWW-Authenticate", "Bearer");
	MHD_add_response_header(answer, "Connection", "close");
	queued = MHD_queue_response(connection, response->status, answer);
	MHD_destroy_response(answer);
	return queued;
}

static enum MHD_Result answer(struct kolk_admin *admin, struct MHD_Connection *connection,
			      const struct upload *upload, struct kolk__request *request)
{
	struct kolk__query query;
	struct kolk__response response;

	if (upload->no_memory)
		return MHD_NO;
	kolk__query_read(connection, &query, request);
	request->body = upload->body;
	request->body_size = upload->size;
	request->too_large = upload->too_large;
	kolk__answer(&admin->server, request, &response);
	return reply(connection, &response);
}

static void append_body(const struct kolk_admin *admin, struct upload *upload, const char *data,
			size_t size)
{
	if (upload->too_large || size > admin->body_max - upload->size) {
		upload->too_large = true;
		return;
	}
	if (upload->body == NULL)
		upload->body = malloc(admin->body_max);
	upload->no_memory = upload->body == NULL;
	if (upload->no_memory)
		return;
	memcpy(upload->body + upload->size, data, size);
	upload->size += size;
}

/* Every path here is written plainly. The library would make "/health" of "/health%00x", and
 * "/api/drain" of "/api%2fdrain": a filter of paths in front would not see what is meant. */
static void *on_uri(void *user, const char *uri, struct MHD_Connection *connection)
{
	struct upload *upload = calloc(1, sizeof *upload);

	(void)user;
	(void)connection;
	if (upload != NULL)
		upload->escaped = memchr(uri, '%', strcspn(uri, "?")) != NULL;
	return upload;
}

/* The library calls it for the headers, for each piece of the body, and at the end. A doubtful
 * request, or one whose announced length is too large, is answered before the body is sent. */
static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *path,
				  const char *method, const char *version, const char *data,
				  size_t *size, void **context)
{
	struct kolk_admin *admin = user;
	struct upload *upload = *context;
	struct kolk__request request = { .method = method };
	bool first = upload != NULL && !upload->begun;
	const char *length;

	(void)version;
	if (upload == NULL)
		return MHD_NO; /* no memory */
	if (*size != 0 && !first) {
		append_body(admin, upload, data, *size);
		*size = 0;
		return MHD_YES;
	}
	request.path = upload->escaped ? "" : path;
	length = kolk__headers_read(connection, &request);
	upload->too_large |= length != NULL && strtoull(length, NULL, 10) > admin->body_max;
	upload->begun = true;
	return !first || upload->too_large || request.doubtful ?
		       answer(admin, connection, upload, &request) : MHD_YES;
}

/* The library frees its memory as it is, and the token in it would be in the next core file. */
static void wipe_token(struct MHD_Connection *connection)
{
	const char *shown = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							"Authorization");

	if (shown != NULL)
		explicit_bzero((char *)(uintptr_t)shown, strlen(shown));
}

static void on_completed(void *user, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode how)
{
	struct upload *upload = *context;

	(void)user;
	(void)how;
	wipe_token(connection);
	if (upload != NULL)
		free(upload->body);
	free(upload);
	*context = NULL;
}

/* ---- the thread */

/* False when descriptors are short: clients stay in the backlog, and an immediate retry would
 * spin. */
static bool accept_client(struct kolk_admin *admin)
{
	int fd = accept4(admin->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
	kolk__client_add(admin, fd);
	return true;
}

static int patience(struct kolk_admin *admin, bool resting)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (admin->client_count == 0)
		return resting ? TICK_MS : -1;
	if (MHD_get_timeout(admin->daemon, &ms) == MHD_YES && ms < TICK_MS)
		return (int)ms;
	return TICK_MS;
}

static void *serve(void *user)
{
	struct kolk_admin *admin = user;
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[] = { { .fd = admin->wake, .events = POLLIN },
				{ .events = POLLIN },
				{ .fd = info->epoll_fd, .events = POLLIN },
				{ .fd = admin->heads, .events = POLLIN } };
	struct kolk__admin_server *server = &admin->server;
	bool resting = false;

	for (;;) {
		int wait_ms = kolk__stats_log_wait(&server->stats_log,
						   kolk_engine_now(server->engine),
						   patience(admin, resting));

		fds[1].fd = resting ? -1 : admin->listener.fd;
		if (poll(fds, 4, wait_ms) < 0 && errno != EINTR)
			return NULL;
		if (fds[0].revents != 0)
			return NULL;
		kolk__stats_log_run(&server->stats_log, server);
		resting = fds[1].fd >= 0 && fds[1].revents != 0 && !accept_client(admin);
		kolk__clients_read_heads(admin);
		MHD_run(admin->daemon);
		kolk__clients_close_slow(admin);
	}
}

/* The program's signals are not for this thread. */
static bool thread_start(struct kolk_admin *admin)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	admin->running = pthread_create(&admin->thread, NULL, serve, admin) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return admin->running;
}

/* ---- open and close */

static enum kolk_err refuse(const struct kolk_admin_options *o, enum kolk_err err,
			    const char *field, int32_t os_error)
{
	const struct kolk_failure refusal = { .size = (uint32_t)sizeof refusal,
					      .err = err,
					      .err_class = kolk_err_class(err),
					      .phase = KOLK_PHASE_OPTIONS,
					      .field = field,
					      .os_error = os_error };

	(void)kolk__sized_write(o->failure, &refusal);
	return err;
}

static enum kolk_err options_check(const struct kolk_admin_options *o)
{
	const char *field = kolk_option_check(&kolk__admin_table, o);
	size_t hosts = 0;

	while (o->hosts != NULL && hosts <= HOSTS_MAX && o->hosts[hosts] != NULL)
		hosts++;
	if (o->listen == NULL)
		return refuse(o, KOLK_E_OPTIONS, "listen", 0);
	if (o->token != NULL ? o->token_size < KOLK_ADMIN_TOKEN_MIN : kolk__is_tcp(o->listen))
		return refuse(o, KOLK_E_OPTIONS, "token", 0);
	/* It is compared with a header's text, which ends at the first 0. */
	if (o->token != NULL && memchr(o->token, 0, o->token_size) != NULL)
		return refuse(o, KOLK_E_OPTIONS, "token", 0);
	if (hosts > HOSTS_MAX)
		return refuse(o, KOLK_E_OPTIONS, "hosts", 0);
	return field == NULL ? KOLK_OK : refuse(o, KOLK_E_OPTIONS, field, 0);
}

static bool copy_hosts(struct kolk__admin_server *server, const char *const *hosts)
{
	size_t count = 0;

	if (hosts == NULL)
		return true;
	while (hosts[count] != NULL)
		count++;
	server->hosts = calloc(count + 1, sizeof *server->hosts);
	for (size_t i = 0; server->hosts != NULL && i < count; i++) {
		server->hosts[i] = strdup(hosts[i]);
		if (server->hosts[i] == NULL)
			return false;
	}
	return server->hosts != NULL;
}

static bool server_fill(struct kolk__admin_server *server, struct kolk_engine *engine,
			const struct kolk_admin_options *o)
{
	server->engine = engine;
	server->tcp = kolk__is_tcp(o->listen);
	server->has_token = o->token != NULL;
	server->reload = o->reload;
	server->reload_user = o->reload_user;
	server->on_log = o->on_log;
	server->log_user = o->log_user;
	server->metrics_tenants = o->metrics_tenants_max;
	server->program = (struct kolk__program){ o->program_status, o->program_metrics,
						  o->program_user };
	server->wait_ns = 2 * KOLK_S_NS;
	kolk__stats_log_open(&server->stats_log, o->on_log != NULL ? o->log_stats_interval_ns : 0,
			     kolk_engine_now(engine));
	kolk__page_policy(server->page_policy, sizeof server->page_policy);
	return copy_hosts(server, o->hosts) &&
	       (o->token == NULL || kolk__digest(o->token, o->token_size, server->token_digest));
}

static struct kolk_admin *admin_make(struct kolk_engine *engine,
				     const struct kolk_admin_options *o)
{
	struct kolk_admin *admin = calloc(1, sizeof *admin);

	if (admin == NULL)
		return NULL;
	admin->listener.fd = -1;
	admin->clients_max = o->clients_max;
	admin->body_max = o->body_max;
	admin->request_timeout_ns = o->request_timeout_ns;
	admin->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	admin->heads = epoll_create1(EPOLL_CLOEXEC);
	admin->clients = calloc(o->clients_max, sizeof *admin->clients);
	for (uint32_t i = 0; admin->clients != NULL && i < o->clients_max; i++)
		admin->clients[i].fd = -1;
	if (admin->wake >= 0 && admin->heads >= 0 && admin->clients != NULL &&
	    server_fill(&admin->server, engine, o))
		return admin;
	kolk_admin_close(admin);
	return NULL;
}

static bool daemon_start(struct kolk_admin *admin)
{
	admin->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, on_request, admin,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)admin->clients_max,
		MHD_OPTION_NOTIFY_CONNECTION, kolk__client_notify, admin, MHD_OPTION_NOTIFY_COMPLETED,
		on_completed, admin, MHD_OPTION_URI_LOG_CALLBACK, on_uri, NULL,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
	return admin->daemon != NULL && thread_start(admin);
}

enum kolk_err kolk_admin_open(struct kolk_engine *engine, const struct kolk_admin_options *options,
			      struct kolk_admin **out)
{
	struct kolk_admin_options o;
	struct kolk_admin *admin;
	int32_t os_error = 0;
	enum kolk_err err;

	*out = NULL;
	if (!kolk__sized_read(&o, options))
		return refuse(&o, KOLK_E_OPTIONS, "size", 0);
	if (o.failure != NULL && kolk__sized_size(o.failure) == 0)
		return KOLK_E_OPTIONS;
	kolk_option_defaults(&kolk__admin_table, &o);
	err = options_check(&o);
	if (err != KOLK_OK)
		return err;
	admin = admin_make(engine, &o);
	if (admin == NULL)
		return refuse(&o, KOLK_E_MEMORY, NULL, 0);
	err = kolk__listen(o.listen, &admin->listener, &os_error);
	if (err == KOLK_OK && !daemon_start(admin))
		err = KOLK_E_MEMORY;
	if (err != KOLK_OK) {
		kolk_admin_close(admin);
		return refuse(&o, err, "listen", os_error);
	}
	*out = admin;
	return KOLK_OK;
}

const char *kolk_admin_address(const struct kolk_admin *admin)
{
	return admin->listener.address;
}

void kolk_admin_close(struct kolk_admin *admin)
{
	if (admin == NULL)
		return;
	if (admin->running) {
		(void)eventfd_write(admin->wake, 1);
		pthread_join(admin->thread, NULL);
	}
	if (admin->daemon != NULL)
		MHD_stop_daemon(admin->daemon);
	for (uint32_t i = 0; admin->clients != NULL && i < admin->clients_max; i++)
		if (admin->clients[i].fd >= 0)
			close(admin->clients[i].fd);
	kolk__listen_end(&admin->listener);
	for (char **host = admin->server.hosts; host != NULL && *host != NULL; host++)
		free(*host);
	free(admin->server.hosts);
	kolk__latencies_free(&admin->server.trend.latencies);
	free(admin->clients);
	if (admin->wake >= 0)
		close(admin->wake);
	if (admin->heads >= 0)
		close(admin->heads);
	free(admin);
}
