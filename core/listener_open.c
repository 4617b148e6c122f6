/* SPDX-License-Identifier: Apache-2.0 */
/* listener_open.c - a listener begins: its options, its sockets, an acceptor for each loop. */
#include "core/listener.h"

#include <string.h>

#include "core/event.h"
#include "core/listener_options.h"
#include "core/options.h"

/* What the prefix of the address says of TLS, as in pools. */
static bool contradicts(const struct kolk_listener_options *o)
{
	if (o->address == NULL)
		return false;
	return o->tls == NULL ? strncmp(o->address, "tls://", 6) == 0 :
				strncmp(o->address, "tcp://", 6) == 0;
}

static const char *options_read(struct kolk_listener_options *o,
				struct kolk_stream_handler *handler)
{
	const char *field;

	kolk_option_defaults(&kolk__listener_table, o);
	field = kolk_option_check(&kolk__listener_table, o);
	if (field != NULL)
		return field;
	if (o->handler == NULL || !kolk__sized_read(handler, o->handler) ||
	    handler->reserved != 0 || handler->open == NULL || handler->data == NULL)
		return "handler";
	if ((o->address == NULL) == (o->socket == 0) || o->socket < 0)
		return o->address == NULL ? "address" : "socket";
	return contradicts(o) ? "tls" : NULL;
}

/* At most what a socket may have (tcp(7)). */
static uint32_t keepalive_s(const struct kolk_listener_options *o)
{
	uint64_t seconds = o->keepalive_ns / KOLK_S_NS;

	return o->keepalive_ns == KOLK_FOREVER ? 0 : seconds < 32767 ? (uint32_t)seconds : 32767;
}

static struct kolk_listener *make(struct kolk_engine *engine, const struct kolk_listener_options *o,
				  const struct kolk_stream_handler *handler)
{
	uint32_t count = engine->shard_count;
	struct kolk_listener *listener =
		kolk__allocate(engine, sizeof *listener + count * sizeof listener->parts[0]);

	if (listener == NULL)
		return NULL;
	listener->engine = engine;
	listener->count = count;
	listener->streams_max = o->streams_max;
	listener->listening = (struct kolk__listening){
		.listener = listener, .transport = engine->transport, .handler = *handler,
		.user = o->user, .handshake_ns = o->handshake_timeout_ns,
		.send_ns = o->send_timeout_ns, .linger_ns = o->linger_timeout_ns,
		.keepalive_s = keepalive_s(o), .proxy = o->proxy_protocol != 0,
		.steps_max = o->handshakes_max,
	};
	kolk__listener_calls(listener, o->address_streams_max < o->streams_max);
	kolk__address_limit_init(&listener->addresses, o->address_streams_max);
	for (uint32_t i = 0; i < count; i++)
		listener->parts[i].fd = -1;
	return listener;
}

/* Can the kernel leave out those of loops that are not active? Otherwise one serves them all. */
static bool may_have_several(struct kolk_listener *listener)
{
	const struct kolk_sys *sys = listener->engine->sys;

	listener->told = kolk__load_relaxed(&listener->engine->loops_active);
	return listener->told == listener->count ||
	       sys->sock_share(sys->context, listener->parts[0].fd, listener->told) == 0;
}

/* One socket for each loop, or one for all. A port that the kernel chose for the first is that of
 * all. A socket that was given is the caller's until all is well. */
static bool sockets_open(struct kolk_listener *listener, const struct kolk_listener_options *o,
			 struct kolk_failure *failure)
{
	bool given = o->address == NULL;
	bool is_unix = given || kolk__listen_address_is_unix(&listener->address);
	struct kolk_sock_listen how = { .address = given ? NULL : &listener->address,
					.fd = o->socket, .backlog = o->backlog,
					.mode = o->unix_mode, .file = listener->file, .owner = o->unix_owner,
					.keepalive_ns = o->keepalive_ns };

	listener->given = given;
	listener->shared = is_unix || listener->count == 1;
	for (uint32_t i = 0; i < listener->count; i++) {
		how.share = listener->shared ? 0 : i == 0 ? 1 : 2;
		listener->parts[i].fd = i > 0 && listener->shared ?
			listener->parts[0].fd :
			kolk__listen_socket(listener->engine->transport, &how, &listener->address,
					    failure);
		if (listener->parts[i].fd < 0)
			return false;
		listener->made_file = is_unix && !given;
		if (i == 0 && !listener->shared)
			listener->shared = !may_have_several(listener);
	}
	kolk__listen_address_write(&listener->address, listener->text);
	return true;
}

static bool acceptors_open(struct kolk_listener *listener)
{
	for (uint32_t i = 0; i < listener->count; i++) {
		struct kolk__listener_part *part = &listener->parts[i];

		part->acceptor = kolk__acceptor_open(&listener->listening,
						     listener->engine->shards[i].io_loop, i,
						     part->fd);
		if (part->acceptor == NULL)
			return false;
	}
	return true;
}

/* Errors: E_IO; it has not begun. */
static enum kolk_err begin(struct kolk_listener *listener)
{
	struct kolk_engine *engine = listener->engine;
	enum kolk_err err;

	listener->open = listener->count;
	kolk__store_relaxed(&listener->listens, listener->count);
	kolk__take_lock(engine, &engine->listeners);
	err = kolk__listener_loops(listener);
	if (err != KOLK_OK) {
		kolk__give_lock(engine, &engine->listeners);
		return err;
	}
	listener->next = engine->listener_list;
	listener->prev = &engine->listener_list;
	if (listener->next != NULL)
		listener->next->prev = &listener->next;
	engine->listener_list = listener;
	kolk__add_acq_rel(&engine->listeners_open, 1);
	for (uint32_t i = 0; i < listener->count; i++)
		kolk__acceptor_order(listener->parts[i].acceptor, KOLK__ORDER_START);
	kolk__give_lock(engine, &engine->listeners);
	kolk__log(engine, KOLK_LOG_INFO, "listener", "listening on %s", listener->text);
	return KOLK_OK;
}

static enum kolk_err tls_set(struct kolk_listener *listener, const struct kolk_listener_tls *tls,
			     struct kolk_failure *failure)
{
	struct kolk_listener_tls o;

	if (!kolk__sized_read(&o, tls))
		return kolk__refuse(failure, "tls");
	return kolk__listening_tls_set(&listener->listening, &o, failure);
}

static enum kolk_err open_all(struct kolk_listener *listener, const struct kolk_listener_options *o,
			      struct kolk_failure *failure)
{
	const char *text = o->address;

	if (text != NULL && (strncmp(text, "tcp://", 6) == 0 || strncmp(text, "tls://", 6) == 0))
		text += 6;
	if (text != NULL && !kolk__listen_address_read(text, &listener->address))
		return kolk__refuse(failure, "address");
	if (o->tls != NULL && tls_set(listener, o->tls, failure) != KOLK_OK)
		return failure->err;
	if (!sockets_open(listener, o, failure))
		return failure->err;
	return acceptors_open(listener) ? KOLK_OK : kolk__refuse_as(failure, KOLK_E_MEMORY, NULL);
}

enum kolk_err kolk_listen(struct kolk_engine *engine, const struct kolk_listener_options *options,
			  struct kolk_listener **out)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk_listener_options o;
	struct kolk_stream_handler handler;
	struct kolk_listener *listener;
	const char *field;
	enum kolk_err err;

	*out = NULL;
	if (kolk__is_child(engine))
		return KOLK_E_FORKED;
	if (!kolk__sized_read(&o, options))
		return kolk__refuse(o.failure, "size");
	if (!kolk__failure_fits(o.failure))
		return KOLK_E_OPTIONS;
	field = options_read(&o, &handler);
	if (field != NULL)
		return kolk__refuse(o.failure, field);
	listener = make(engine, &o, &handler);
	if (listener == NULL)
		return kolk__refuse_as(o.failure, KOLK_E_MEMORY, NULL);
	err = open_all(listener, &o, &failure);
	if (err == KOLK_OK && begin(listener) != KOLK_OK)
		err = kolk__refuse_as(&failure, KOLK_E_IO, "address");
	if (err == KOLK_OK) {
		*out = listener;
		return KOLK_OK;
	}
	if (o.address != NULL)
		kolk__listener_sockets_close(listener);
	kolk__listener_free(listener);
	(void)kolk__sized_write(o.failure, &failure);
	return err;
}

enum kolk_err kolk_listener_tls_set(struct kolk_listener *listener,
				    const struct kolk_listener_tls *tls,
				    struct kolk_failure *failure)
{
	struct kolk_failure filled = KOLK_INIT(kolk_failure);
	enum kolk_err err;

	if (kolk__is_child(listener->engine))
		return KOLK_E_FORKED;
	if (!kolk__failure_fits(failure))
		return KOLK_E_OPTIONS;
	if (!listener->listening.has_tls)
		return kolk__refuse(failure, "tls");
	err = tls_set(listener, tls, &filled);
	if (err != KOLK_OK)
		(void)kolk__sized_write(failure, &filled);
	return err;
}
