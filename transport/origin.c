/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.c - whom a pool talks to and how, read once and never changed: a pool that is given
 * another address gets another origin, and the links of the old one keep that.
 *
 * References are counted. R1: unref is a release, so what its owner did with the origin is
 * over for A1: the last unref, an acquire, which frees it. ref may be relaxed: who calls it has
 * a reference already, so the count cannot reach zero meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/atomic.h"
#include "core/base/sized.h"
#include "transport/child.h"
#include "transport/names.h"
#include "transport/tls.h"

static enum kolk_err refuse(struct kolk_failure *failure, const char *field)
{
	failure->err = KOLK_E_OPTIONS;
	failure->err_class = KOLK_CLASS_USAGE;
	failure->phase = KOLK_PHASE_OPTIONS;
	failure->field = field;
	return KOLK_E_OPTIONS;
}

/* ---- open and close */

/* With a bind address, and a name looked up by its own servers. */
static enum kolk_err take_address(struct kolk__origin *origin,
				  const struct kolk_pool_options *options, const char *text,
				  struct kolk_failure *failure)
{
	const char *servers = options->name_servers != NULL ? options->name_servers : "";
	struct kolk__endpoint *endpoint = &origin->endpoint;

	if (strlen(servers) >= KOLK__HOST_MAX)
		return refuse(failure, "name_servers");
	if (!kolk__endpoint_read(text, endpoint))
		return refuse(failure, "address");
	if (options->bind_address != NULL) {
		if (!kolk__literal_read(options->bind_address, 0, &origin->bind))
			return refuse(failure, "bind_address");
		kolk__literal_write(&origin->bind, origin->bind_text);
		kolk__zone_name(options->bind_address, origin->bind_zone);
		origin->socket.bind = &origin->bind;
	}
	if (endpoint->address.size != 0)
		return KOLK_OK;
	origin->names = kolk__names_open(origin->transport, endpoint->host, endpoint->port,
					 servers);
	if (origin->names != NULL)
		return KOLK_OK;
	failure->err = KOLK_E_MEMORY;
	return KOLK_E_MEMORY;
}

static enum kolk_err socket_origin(struct kolk__origin *origin,
				   const struct kolk_pool_options *options,
				   struct kolk_failure *failure)
{
	struct kolk_tls_options defaults = KOLK_INIT(kolk_tls_options);
	const struct kolk_tls_options *tls = options->tls;
	const char *text = options->address;
	enum kolk_err err;

	if (strncmp(text, "tls://", 6) == 0) {
		tls = tls != NULL ? tls : &defaults;
		text += 6;
	} else if (strncmp(text, "tcp://", 6) == 0) {
		if (tls != NULL)
			return refuse(failure, "tls");
		text += 6;
	}
	err = take_address(origin, options, text, failure);
	if (err == KOLK_OK && tls != NULL)
		err = kolk__tls_config_open(origin->transport, tls, origin->endpoint.host,
					    failure, &origin->tls);
	return err;
}

/* In its text stands the program, for people; the identity has all of it (core/identity.c). */
static enum kolk_err child_origin(struct kolk__origin *origin,
				  const struct kolk_pool_options *options,
				  struct kolk_failure *failure)
{
	enum kolk_err err = kolk__child_config_open(origin->transport, options->child, failure,
						    &origin->child);

	if (err != KOLK_OK)
		return err;
	snprintf(origin->endpoint.text, sizeof origin->endpoint.text, "child:%s",
		 origin->child->spec.command[0]);
	return KOLK_OK;
}

static enum kolk_err take_drivers(struct kolk__origin *origin,
				  const struct kolk_pool_options *options,
				  struct kolk_failure *failure)
{
	const struct kolk_resource_driver *resource = &origin->resource_read;

	origin->driver_user = options->driver_user;
	if (options->resource != NULL) {
		if (!kolk__sized_read(&origin->resource_read, options->resource) ||
		    (resource->create == NULL) == (resource->create_for == NULL))
			return refuse(failure, "resource");
		origin->resource = resource;
		return KOLK_OK;
	}
	origin->driver_given = options->driver != NULL ? options->driver : kolk_driver_raw();
	if (!kolk__sized_read(&origin->driver_read, origin->driver_given))
		return refuse(failure, "driver");
	origin->driver = &origin->driver_read;
	return KOLK_OK;
}

enum kolk_err kolk__origin_open(struct kolk__transport *transport,
				const struct kolk_pool_options *options,
				struct kolk_failure *failure, struct kolk__origin **out)
{
	struct kolk__origin *origin = kolk__alloc(transport, sizeof *origin);
	enum kolk_err err;

	if (origin == NULL) {
		failure->err = KOLK_E_MEMORY;
		return KOLK_E_MEMORY;
	}
	origin->transport = transport;
	origin->number = kolk__add_relaxed(&transport->origins, 1) + 1;
	kolk__store_relaxed(&origin->refs, 1);
	err = take_drivers(origin, options, failure);
	if (err == KOLK_OK && options->child != NULL)
		err = child_origin(origin, options, failure);
	else if (err == KOLK_OK && options->resource == NULL)
		err = socket_origin(origin, options, failure);
	failure->err_class = kolk_err_class(err);
	if (err == KOLK_OK)
		*out = origin;
	else
		kolk__origin_unref(origin);
	return err;
}

struct kolk__origin *kolk__origin_ref(struct kolk__origin *origin)
{
	kolk__add_relaxed(&origin->refs, 1);
	return origin;
}

void kolk__origin_unref(struct kolk__origin *origin)
{
	struct kolk__transport *transport = origin->transport;

	if (kolk__sub_acq_rel(&origin->refs, 1) > 1) /* R1, A1 */
		return;
	kolk__tls_config_close(transport, origin->tls);
	kolk__child_config_close(transport, origin->child);
	kolk__names_close(origin->names);
	if (origin->driver_options != NULL)
		explicit_bzero(origin->driver_options, origin->driver_bytes);
	kolk__dealloc(transport, origin->driver_options, origin->driver_bytes);
	kolk__dealloc(transport, origin, sizeof *origin);
}

/* ---- who it is */

const char *kolk__origin_address(const struct kolk__origin *origin)
{
	return origin->endpoint.text;
}

const char *kolk__origin_bind(const struct kolk__origin *origin)
{
	return origin->bind_text;
}

bool kolk__origin_is_tls(const struct kolk__origin *origin)
{
	return origin->tls != NULL;
}

const char *kolk__origin_server_name(const struct kolk__origin *origin)
{
	return origin->tls != NULL ? kolk__tls_config_name(origin->tls) : "";
}

void kolk__origin_digest(const struct kolk__origin *origin, uint8_t digest[32])
{
	if (origin->tls != NULL)
		memcpy(digest, kolk__tls_config_digest(origin->tls), 32);
	else if (origin->child != NULL)
		memcpy(digest, origin->child->digest, 32);
	else
		memset(digest, 0, 32);
}

/* ---- what it can, and its sockets */

const struct kolk_driver *kolk__origin_driver(const struct kolk__origin *origin)
{
	return origin->driver;
}

bool kolk__origin_can_ping(const struct kolk__origin *origin)
{
	return origin->resource != NULL ? origin->resource->validate != NULL :
					  origin->driver->ping != NULL;
}

void kolk__origin_keep(struct kolk__origin *origin, void *driver_options, size_t size)
{
	origin->driver_user = origin->driver_options = driver_options;
	origin->driver_bytes = size;
}

bool kolk__origin_resets(const struct kolk__origin *origin)
{
	return origin->resource != NULL && origin->resource->reset != NULL;
}

/* Relaxed: loops and workers read them meanwhile, each for itself. */
void kolk__origin_tune(struct kolk__origin *origin, const struct kolk_pool_options *options)
{
	kolk__store_relaxed(kolk__as_atomic(&origin->socket.keepalive_ns), options->keepalive_ns);
	kolk__store_relaxed(kolk__as_atomic(&origin->socket.unacked_ns), options->unacked_ns);
	kolk__store_relaxed(kolk__as_atomic(&origin->socket.port_min), options->bind_port_min);
	kolk__store_relaxed(kolk__as_atomic(&origin->socket.port_max), options->bind_port_max);
	kolk__store_relaxed(&origin->times.resolve_ns, options->resolve_timeout_ns);
	kolk__store_relaxed(&origin->times.connect_ns, options->connect_timeout_ns);
	kolk__store_relaxed(&origin->times.tls_ns, options->tls_timeout_ns);
	kolk__store_relaxed(&origin->times.ready_ns, options->ready_timeout_ns);
	kolk__store_relaxed(&origin->times.ping_ns, options->ping_timeout_ns);
	kolk__store_relaxed(&origin->times.mend_ns, options->mend_timeout_ns);
	kolk__store_relaxed(&origin->times.retry_ns, options->retry_interval_ns);
	kolk__store_relaxed(&origin->times.retry_max_ns, options->retry_max_ns);
	kolk__store_relaxed(&origin->mend_bytes, options->mend_bytes_max);
	if (origin->child == NULL)
		return;
	kolk__store_relaxed(&origin->child->stop_ns, options->child->stop_timeout_ns);
	kolk__store_relaxed(&origin->child->term_ns, options->child->term_timeout_ns);
	kolk__store_relaxed(&origin->child->lines_max, options->child->lines_max);
	kolk__store_relaxed(&origin->child->last_words, !options->child->last_words_off);
}

int kolk__origin_socket(const struct kolk__origin *origin, uint32_t family)
{
	const struct kolk_sys *sys = origin->transport->sys;
	struct kolk_address bind = origin->bind;
	struct kolk_sock_options options = {
		.bind = origin->socket.bind,
		.keepalive_ns = kolk__load_relaxed(kolk__as_atomic(&origin->socket.keepalive_ns)),
		.unacked_ns = kolk__load_relaxed(kolk__as_atomic(&origin->socket.unacked_ns)),
		.port_min = kolk__load_relaxed(kolk__as_atomic(&origin->socket.port_min)),
		.port_max = kolk__load_relaxed(kolk__as_atomic(&origin->socket.port_max)),
	};

	if (options.bind != NULL)
		options.bind = bind.family == family ? &bind : NULL; /* or of the other family */
	if (options.bind != NULL && !kolk__zone_update(origin->bind_zone, &bind))
		return -ENODEV;
	return sys->sock_open(sys->context, family, &options);
}
