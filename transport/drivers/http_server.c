/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_server.c - servers: opened, with listeners, closed.
 *
 * The end has two steps. Listeners and loops: each listener reports that its streams have ended,
 * each loop that it drains; the last report begins the second. Loops again: each stops its timer
 * and frees what it keeps; the last one frees the server.
 */
#include "transport/drivers/http_server_h2.h"

#include <kolk/engine.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/atomic.h"
#include "core/base/sized.h"

/* A loop of a server's. */
struct server_loop {
	struct hs_loop hs; /* first */
	struct kolk_http_server *server;
	struct kolk_loop *loop;
	struct kolk_timer timer;
	struct kolk_call run_call, end_call;
	bool run_posted;
};

struct kolk_http_server {
	struct kolk_engine *engine;
	struct kolk_http_server_options options;
	struct kolk_http_server_handler handler;
	void *server_user;
	struct kolk_listener **listeners;
	uint32_t listener_count, loop_count;
	/* Reports that are to come, in each step of the end. W, R: loops, acquire and release. */
	kolk__atomic_u32 awaited;
	kolk_http_server_closed_fn *closed;
	void *closed_user;
	struct server_loop loops[];
};

/* ---- loops */

static struct server_loop *server_loop_of(struct hs_loop *loop)
{
	return (struct server_loop *)(void *)loop;
}

struct hs_loop *hs_loop_of(struct kolk_http_server *server, struct kolk_loop *loop)
{
	return &server->loops[kolk_loop_index(loop)].hs;
}

static uint64_t clock_now(struct hs_loop *loop)
{
	return kolk_loop_now(server_loop_of(loop)->loop);
}

static void on_timer(struct kolk_timer *timer, void *user)
{
	(void)timer;
	hs_loop_expire(user);
}

static void clock_arm(struct hs_loop *loop, uint64_t due_ns)
{
	struct server_loop *own = server_loop_of(loop);

	(void)kolk_timer_start(own->loop, &own->timer, due_ns, on_timer, loop);
}

static void on_run(struct kolk_call *call, void *user)
{
	struct server_loop *own = user;

	(void)call;
	own->run_posted = false;
	hs_loop_run(&own->hs);
}

static void clock_post(struct hs_loop *loop)
{
	struct server_loop *own = server_loop_of(loop);

	if (own->run_posted)
		return;
	own->run_posted = true;
	(void)kolk_loop_call(own->loop, &own->run_call, on_run, own);
}

static const struct hs_clock loop_clock = { .now = clock_now, .arm = clock_arm,
					    .post = clock_post };

/* ---- opened */

static bool options_read(struct kolk_http_server_options *to,
			 const struct kolk_http_server_options *options)
{
	static const struct kolk_http_server_options usual = KOLK_INIT(kolk_http_server_options);

	if (!kolk__sized_read(to, options != NULL ? options : &usual))
		return false;
	kolk_option_defaults(&hs_option_table, to);
	return kolk_option_check(&hs_option_table, to) == NULL;
}

static void loops_init(struct kolk_http_server *server)
{
	for (uint32_t i = 0; i < server->loop_count; i++) {
		struct server_loop *own = &server->loops[i];

		own->server = server;
		own->loop = kolk_engine_loop(server->engine, i);
		own->hs.kolk = own->loop;
		own->hs.options = &server->options;
		own->hs.handler = &server->handler;
		own->hs.server_user = server->server_user;
		own->hs.clock = &loop_clock;
		hs_loop_init(&own->hs);
	}
}

enum kolk_err kolk_http_server_open(struct kolk_engine *engine,
				    const struct kolk_http_server_options *options,
				    const struct kolk_http_server_handler *handler,
				    void *server_user, struct kolk_http_server **server)
{
	uint32_t loops = kolk_engine_loop_count(engine);
	struct kolk_http_server *own = calloc(1, sizeof *own + loops * sizeof own->loops[0]);

	if (own == NULL)
		return KOLK_E_MEMORY;
	if (!options_read(&own->options, options) || !kolk__sized_read(&own->handler, handler) ||
	    own->handler.reserved != 0 || own->handler.request == NULL ||
	    own->handler.end == NULL) {
		free(own);
		return KOLK_E_OPTIONS;
	}
	own->engine = engine;
	own->server_user = server_user;
	own->loop_count = loops;
	loops_init(own);
	*server = own;
	return KOLK_OK;
}

static bool alpn_allowed(const struct kolk_http_server *server,
			 const struct kolk_listener_options *options)
{
	const char *const *alpn = options->tls != NULL ? options->tls->alpn : NULL;

	while (alpn != NULL && *alpn != NULL &&
	       (strcmp(*alpn, "http/1.1") == 0 ||
		(strcmp(*alpn, "h2") == 0 && server->options.protocols != KOLK_HTTP_1_ONLY)))
		alpn++;
	return alpn == NULL || *alpn == NULL;
}

static bool add_place(struct kolk_http_server *server)
{
	struct kolk_listener **listeners = realloc(
		server->listeners, (server->listener_count + 1) * sizeof(struct kolk_listener *));

	if (listeners == NULL)
		return false;
	server->listeners = listeners;
	return true;
}

enum kolk_err kolk_http_server_listen(struct kolk_http_server *server,
				      const struct kolk_listener_options *options,
				      struct kolk_listener **listener)
{
	struct kolk_listener_options own;
	struct kolk_listener *opened = NULL;
	enum kolk_err err;

	if (!kolk__sized_read(&own, options) || own.handler != NULL || own.user != NULL ||
	    !alpn_allowed(server, &own))
		return KOLK_E_OPTIONS;
	if (!add_place(server))
		return KOLK_E_MEMORY;
	own.handler = &hs_stream_handler;
	own.user = server;
	err = kolk_listen(server->engine, &own, &opened);
	if (err != KOLK_OK)
		return err;
	server->listeners[server->listener_count++] = opened;
	if (listener != NULL)
		*listener = opened;
	return KOLK_OK;
}

enum kolk_err kolk_http_server_stats(const struct kolk_http_server *server,
				     struct kolk_http_server_stats *out)
{
	struct kolk_http_server_stats stats = KOLK_INIT(kolk_http_server_stats);

	for (uint32_t i = 0; i < server->loop_count; i++)
		hs_stats_add(&server->loops[i].hs, &stats);
	return kolk__sized_write(out, &stats) ? KOLK_OK : KOLK_E_OPTIONS;
}

/* ---- closed */

static void server_free(struct kolk_http_server *server)
{
	kolk_http_server_closed_fn *closed = server->closed;
	void *user = server->closed_user;

	free(server->listeners);
	free(server);
	closed(user);
}

static void on_loop_end(struct kolk_call *call, void *user)
{
	struct server_loop *own = user;
	struct kolk_http_server *server = own->server;

	if (own->run_posted) { /* what was posted before runs first */
		(void)kolk_loop_call(own->loop, call, on_loop_end, own);
		return;
	}
	kolk_timer_stop(&own->timer);
	hs_loop_free(&own->hs);
	if (kolk__sub_acq_rel(&server->awaited, 1) == 1)
		server_free(server);
}

static void on_report(void *user)
{
	struct kolk_http_server *server = user;
	uint32_t loops = server->loop_count;

	if (kolk__sub_acq_rel(&server->awaited, 1) > 1)
		return;
	kolk__store_release(&server->awaited, loops);
	for (uint32_t i = 0; i < loops; i++) { /* the server may be gone behind the last call */
		struct server_loop *own = &server->loops[i];

		(void)kolk_loop_call(own->loop, &own->end_call, on_loop_end, own);
	}
}

static void on_drain(struct kolk_call *call, void *user)
{
	struct server_loop *own = user;

	(void)call;
	hs_loop_drain(&own->hs);
	on_report(own->server);
}

/* Stop first, so that no loop accepts for what drains already. An error (E_FORKED): nothing will
 * be called. */
static enum kolk_err close_begin(struct kolk_http_server *server, uint64_t deadline_ns)
{
	uint32_t listeners = server->listener_count;

	kolk__store_release(&server->awaited, server->loop_count + listeners + 1);
	for (uint32_t i = 0; i < listeners; i++)
		kolk_listener_stop(server->listeners[i]);
	for (uint32_t i = 0; i < server->loop_count; i++) {
		struct server_loop *own = &server->loops[i];
		enum kolk_err err = kolk_loop_call(own->loop, &own->end_call, on_drain, own);

		if (err != KOLK_OK)
			return err;
	}
	for (uint32_t i = 0; i < listeners; i++)
		if (kolk_listener_close(server->listeners[i], deadline_ns, on_report, server) !=
		    KOLK_OK)
			on_report(server);
	on_report(server);
	return KOLK_OK;
}

static void wake(void *user)
{
	(void)sem_post(user);
}

enum kolk_err kolk_http_server_close(struct kolk_http_server *server, uint64_t deadline_ns,
				     kolk_http_server_closed_fn *closed, void *user)
{
	enum kolk_err err;
	sem_t done;

	if (closed == NULL && kolk_loop_current() != NULL)
		return KOLK_E_THREAD;
	(void)sem_init(&done, 0, 0);
	server->closed = closed != NULL ? closed : wake;
	server->closed_user = closed != NULL ? user : &done;
	err = close_begin(server, deadline_ns);
	while (err == KOLK_OK && closed == NULL && sem_wait(&done) != 0)
		; /* a signal */
	(void)sem_destroy(&done);
	return err;
}
