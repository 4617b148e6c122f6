/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/tls_pair.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t clock_ns = 1000 * KOLK_S_NS;

uint64_t pair_now_ns(void)
{
	return clock_ns;
}

void pair_pass_ns(uint64_t ns)
{
	clock_ns += ns;
}

static uint64_t now_ns(void *context)
{
	(void)context;
	return clock_ns;
}

static void ignore_log(void *user, enum kolk_log_level level, const char *subject, const char *text)
{
	(void)user, (void)level, (void)subject, (void)text;
}

/* ---- the world */

int pair_world_open(void **state)
{
	static const struct kolk__link_callbacks callbacks = { .log = ignore_log };
	static struct kolk_sys sys;
	struct pair_world *world = calloc(1, sizeof *world);

	if (world == NULL)
		return -1;
	*state = world;
	sys = *kolk_sys_linux();
	sys.now_ns = now_ns;
	if (kolk__transport_open(&sys, &callbacks, KOLK_BACKEND_EPOLL, &world->transport) !=
		    KOLK_OK ||
	    !kit_certs_open(&world->certs))
		return -1;
	world->loop.transport = world->transport;
	return 0;
}

int pair_world_close(void **state)
{
	struct pair_world *w = *state;

	kit_certs_close(&w->certs);
	kolk__transport_close(w->transport);
	free(w);
	return 0;
}

/* ---- both ends */

struct kolk_listener_tls pair_listener(struct pair_world *world,
				       struct kolk_certificate certificates[1])
{
	struct kolk_listener_tls o = KOLK_INIT(kolk_listener_tls);

	certificates[0].certificate_file = world->certs.first.pem;
	certificates[0].key_file = world->certs.first.key;
	o.certificates = certificates;
	o.certificate_count = 1;
	return o;
}

struct kolk_tls_options pair_client(struct pair_world *world)
{
	struct kolk_tls_options o = KOLK_INIT(kolk_tls_options);

	o.ca_file = world->certs.authority.pem;
	o.server_name = "first.test";
	return o;
}

struct kolk__tls_server *pair_server(struct pair_world *world, const struct kolk_listener_tls *o)
{
	struct kolk_failure failure = KOLK_INIT(kolk_failure);
	struct kolk__tls_server *server = NULL;

	if (kolk__tls_server_open(world->transport, o, &failure, &server) != KOLK_OK)
		fail_msg("%s: %s, -0x%04x", failure.field, kolk_err_name(failure.err),
			 (unsigned)-failure.tls_error);
	return server;
}

static void end_open(struct pair_end *end, struct pair *pair)
{
	end->link.loop = &pair->world->loop;
	end->link.upstream = pair->upstream;
	end->link.fd = -1;
	end->link.phase = KOLK__HANDSHAKING;
	end->link.progress = &end->progress;
	end->progress.link = &end->link;
}

void pair_open(struct pair *pair, struct pair_world *world, const struct kolk_tls_options *o,
	       kolk__tls_sessions_ptr *sessions)
{
	struct kolk_pool_options options = KOLK_INIT(kolk_pool_options);
	struct kolk_failure failure = KOLK_INIT(kolk_failure);

	memset(pair, 0, sizeof *pair);
	pair->world = world;
	options.address = "127.0.0.1:1";
	options.tls = o;
	assert_int_equal(kolk__upstream_open(world->transport, &options, &failure, &pair->upstream),
			 KOLK_OK);
	pair->upstream->number = 1; /* of one pool: another one's sessions are not resumed */
	end_open(&pair->client, pair);
	end_open(&pair->server, pair);
	pair->client.progress.tls_sessions = sessions != NULL ? sessions : &pair->sessions;
	assert_int_equal(kolk__tls_open(&pair->client.link), KOLK_OK);
	assert_int_equal(kolk__tls_sessions_begin(&pair->client.link), KOLK_OK);
}

void pair_accept(struct pair *pair, struct kolk__tls_server *server)
{
	assert_int_equal(kolk__tls_accept(&pair->server.link, server), KOLK_OK);
}

void pair_only_12(struct kolk__tls_server *server)
{
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
	mbedtls_ssl_conf_max_tls_version(&server->common.ssl, MBEDTLS_SSL_VERSION_TLS1_2);
#else
	(void)server;
#endif
}

static void end_close(struct pair_end *end)
{
	kolk__tls_close(&end->link);
	kolk__output_free(&end->link);
	kolk__input_free(&end->link);
}

void pair_close(struct pair *pair)
{
	end_close(&pair->client);
	end_close(&pair->server);
	kolk__tls_sessions_close(pair->world->transport, &pair->sessions);
	kolk__upstream_unref(pair->upstream);
}

size_t pair_move(struct pair_end *from, struct pair_end *to)
{
	const uint8_t *bytes;
	size_t size, space, moved = 0;

	while ((bytes = kolk__output_next(&from->link, &size)) != NULL) {
		uint8_t *place = kolk__input_reserve(&to->link, &space);

		assert_non_null(place);
		size = size < space ? size : space;
		memcpy(place, bytes, size);
		kolk__input_received(&to->link, size);
		kolk__output_sent(&from->link, size);
		moved += size;
	}
	from->sent += moved;
	return moved;
}

void pair_shake(struct pair *pair)
{
	size_t moved = 1;

	while (moved > 0) {
		if (pair_outcome(&pair->client) == KOLK_PENDING)
			kolk__tls_handshake(&pair->client.link);
		if (pair_outcome(&pair->client) == KOLK_OK && pair->shaken == 0)
			pair->shaken = pair->server.sent;
		moved = pair_move(&pair->client, &pair->server);
		if (pair_outcome(&pair->server) == KOLK_PENDING)
			kolk__tls_handshake(&pair->server.link);
		moved += pair_move(&pair->server, &pair->client);
	}
	if (pair_outcome(&pair->client) != KOLK_OK)
		return;
	kolk__tls_sessions_end(&pair->client.link);
	pair->client.link.phase = KOLK__READY;
}

enum kolk_err pair_outcome(const struct pair_end *end)
{
	int error;

	return kolk__tls_outcome(&end->link, &error);
}

bool pair_say(struct pair_end *from, struct pair_end *to, const char *text)
{
	char heard[64];
	size_t size = 0;

	if (kolk__tls_write(&from->link, text, strlen(text)) != KOLK_OK)
		return false;
	pair_move(from, to);
	return kolk__tls_read(&to->link, heard, sizeof heard, &size) == KOLK_OK &&
	       size == strlen(text) && memcmp(heard, text, size) == 0;
}

const char *pair_detail(const struct pair_end *end)
{
	const char *detail = kolk__tls_detail(&end->link);

	return detail != NULL ? detail : "";
}

struct kolk_stream_peer pair_peer(const struct pair *pair)
{
	struct kolk_stream_peer peer = KOLK_INIT(kolk_stream_peer);

	kolk__tls_peer(&pair->server.link, &peer);
	return peer;
}
