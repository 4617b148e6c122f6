/* SPDX-License-Identifier: Apache-2.0 */
/*
 * upstream.c - the peer of a pool and how it is dialled, read once and never changed: a pool that
 * is given another address gets another upstream, and the links of the old one keep that.
 *
 * References are counted. R1: unref is a release, so what its owner did with the upstream is done
 * for A1: the last unref, an acquire, which frees it. ref may be relaxed: its caller has a
 * reference already, so the count cannot reach zero meanwhile.
 */
#include "transport/upstream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/base/atomic.h"
#include "core/base/sized.h"
#include "transport/child.h"
#include "transport/dns_cache.h"
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

/* With a bind address, and a name with its own name servers. */
static enum kolk_err read_address(struct kolk__upstream *upstream,
				  const struct kolk_pool_options *options, const char *text,
				  struct kolk_failure *failure)
{
	const char *servers = options->name_servers != NULL ? options->name_servers : "";
	struct kolk__endpoint *endpoint = &upstream->endpoint;

	if (strlen(servers) >= KOLK__HOST_MAX)
		return refuse(failure, "name_servers");
	if (!kolk__endpoint_read(text, endpoint))
		return refuse(failure, "address");
	if (options->bind_address != NULL) {
		if (!kolk__literal_read(options->bind_address, 0, &upstream->bind))
			return refuse(failure, "bind_address");
		kolk__literal_write(&upstream->bind, upstream->bind_text);
		kolk__zone_name(options->bind_address, upstream->bind_zone);
		upstream->socket.bind = &upstream->bind;
	}
	if (endpoint->address.size != 0)
		return KOLK_OK;
	upstream->dns = kolk__dns_cache_open(upstream->transport, endpoint->host, endpoint->port,
					     servers);
	if (upstream->dns != NULL)
		return KOLK_OK;
	failure->err = KOLK_E_MEMORY;
	return KOLK_E_MEMORY;
}

static enum kolk_err socket_upstream(struct kolk__upstream *upstream,
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
	err = read_address(upstream, options, text, failure);
	if (err == KOLK_OK && tls != NULL)
		err = kolk__tls_config_open(upstream, tls, failure);
	return err;
}

/* The text contains the program, for people; the identity contains everything (core/identity.c). */
static enum kolk_err child_upstream(struct kolk__upstream *upstream,
				    const struct kolk_pool_options *options,
				    struct kolk_failure *failure)
{
	enum kolk_err err = kolk__child_config_open(upstream->transport, options->child, failure,
						    &upstream->child);

	if (err != KOLK_OK)
		return err;
	snprintf(upstream->endpoint.text, sizeof upstream->endpoint.text, "child:%s",
		 upstream->child->spec.command[0]);
	return KOLK_OK;
}

/* It can create, in one way, and all of it blocks or nothing does. */
static bool is_of_one_form(const struct kolk_resource_driver *r)
{
	if ((r->create != NULL) + (r->create_for != NULL) + (r->begin_create != NULL) != 1)
		return false;
	if (r->begin_create != NULL)
		return r->validate == NULL && r->destroy == NULL;
	return r->begin_ping == NULL && r->begin_reset == NULL && r->begin_destroy == NULL &&
	       r->expired == NULL && r->op_bytes == 0;
}

static enum kolk_err read_drivers(struct kolk__upstream *upstream,
				  const struct kolk_pool_options *options,
				  struct kolk_failure *failure)
{
	upstream->driver_user = options->driver_user;
	if (options->resource != NULL) {
		if (!kolk__sized_read(&upstream->resource_read, options->resource) ||
		    !is_of_one_form(&upstream->resource_read))
			return refuse(failure, "resource");
		upstream->resource = &upstream->resource_read;
		return KOLK_OK;
	}
	upstream->driver_given = options->driver != NULL ? options->driver : kolk_driver_raw();
	if (!kolk__sized_read(&upstream->driver_read, upstream->driver_given) ||
	    upstream->driver_read.speaks_first > 1 || upstream->driver_read.reserved != 0)
		return refuse(failure, "driver");
	upstream->driver = &upstream->driver_read;
	return KOLK_OK;
}

static struct kolk__upstream *make(struct kolk__transport *transport)
{
	struct kolk__upstream *upstream = kolk__alloc(transport, sizeof *upstream);

	if (upstream == NULL)
		return NULL;
	upstream->transport = transport;
	upstream->number = kolk__add_relaxed(&transport->upstreams, 1) + 1;
	kolk__store_relaxed(&upstream->refs, 1);
	kolk__lock_init(&upstream->closes.lock, KOLK__RANK_LEAF);
	upstream->closes.end = &upstream->closes.first;
	return upstream;
}

struct kolk__upstream *kolk__upstream_accepting(struct kolk__transport *transport,
						size_t stream_bytes,
						const struct kolk__accepting *accepting)
{
	struct kolk__upstream *upstream = make(transport);

	if (upstream == NULL)
		return NULL;
	upstream->driver_read.session_bytes = (uint32_t)stream_bytes;
	upstream->driver = &upstream->driver_read;
	upstream->accepting = accepting;
	return upstream;
}

enum kolk_err kolk__upstream_open(struct kolk__transport *transport,
				  const struct kolk_pool_options *options,
				  struct kolk_failure *failure, struct kolk__upstream **out)
{
	struct kolk__upstream *upstream = make(transport);
	enum kolk_err err;

	if (upstream == NULL) {
		failure->err = KOLK_E_MEMORY;
		return KOLK_E_MEMORY;
	}
	err = read_drivers(upstream, options, failure);
	if (err == KOLK_OK && options->child != NULL)
		err = child_upstream(upstream, options, failure);
	else if (err == KOLK_OK && options->resource == NULL)
		err = socket_upstream(upstream, options, failure);
	failure->err_class = kolk_err_class(err);
	if (err == KOLK_OK)
		*out = upstream;
	else
		kolk__upstream_unref(upstream);
	return err;
}

struct kolk__upstream *kolk__upstream_ref(struct kolk__upstream *upstream)
{
	kolk__add_relaxed(&upstream->refs, 1);
	return upstream;
}

void kolk__upstream_unref(struct kolk__upstream *upstream)
{
	struct kolk__transport *transport = upstream->transport;

	if (kolk__sub_acq_rel(&upstream->refs, 1) > 1) /* R1, A1 */
		return;
	kolk__tls_config_close(transport, upstream->tls);
	kolk__child_config_close(transport, upstream->child);
	kolk__dns_cache_close(upstream->dns);
	if (upstream->driver_options != NULL)
		explicit_bzero(upstream->driver_options, upstream->driver_bytes);
	kolk__dealloc(transport, upstream->driver_options, upstream->driver_bytes);
	kolk__dealloc(transport, upstream, sizeof *upstream);
}

/* ---- its identity */

const char *kolk__upstream_address(const struct kolk__upstream *upstream)
{
	return upstream->endpoint.text;
}

const char *kolk__upstream_bind(const struct kolk__upstream *upstream)
{
	return upstream->bind_text;
}

bool kolk__upstream_is_tls(const struct kolk__upstream *upstream)
{
	return upstream->tls != NULL;
}

const char *kolk__upstream_server_name(const struct kolk__upstream *upstream)
{
	return upstream->tls != NULL ? kolk__tls_config_name(upstream->tls) : "";
}

void kolk__upstream_digest(const struct kolk__upstream *upstream, uint8_t digest[32])
{
	if (upstream->tls != NULL)
		memcpy(digest, kolk__tls_config_digest(upstream->tls), 32);
	else if (upstream->child != NULL)
		memcpy(digest, upstream->child->digest, 32);
	else
		memset(digest, 0, 32);
}

/* ---- what it can, and its sockets */

const struct kolk_driver *kolk__upstream_driver(const struct kolk__upstream *upstream)
{
	return upstream->driver;
}

bool kolk__upstream_can_ping(const struct kolk__upstream *upstream)
{
	const struct kolk_resource_driver *resource = upstream->resource;

	return resource != NULL ? resource->validate != NULL || resource->begin_ping != NULL :
				  upstream->driver->ping != NULL;
}

void kolk__upstream_own_options(struct kolk__upstream *upstream, void *driver_options, size_t size)
{
	upstream->driver_user = upstream->driver_options = driver_options;
	upstream->driver_bytes = size;
}

bool kolk__upstream_must_reset(const struct kolk__upstream *upstream)
{
	const struct kolk_resource_driver *resource = upstream->resource;

	return resource != NULL && (resource->reset != NULL || resource->begin_reset != NULL);
}

/* Relaxed: loops and workers read each value independently meanwhile. */
void kolk__upstream_tune(struct kolk__upstream *upstream, const struct kolk_pool_options *options)
{
	kolk__store_relaxed(kolk__as_atomic(&upstream->socket.keepalive_ns), options->keepalive_ns);
	kolk__store_relaxed(kolk__as_atomic(&upstream->socket.unacked_ns), options->unacked_ns);
	kolk__store_relaxed(kolk__as_atomic(&upstream->socket.port_min), options->bind_port_min);
	kolk__store_relaxed(kolk__as_atomic(&upstream->socket.port_max), options->bind_port_max);
	kolk__store_relaxed(&upstream->times.resolve_ns, options->resolve_timeout_ns);
	kolk__store_relaxed(&upstream->times.connect_ns, options->connect_timeout_ns);
	kolk__store_relaxed(&upstream->times.tls_ns, options->tls_timeout_ns);
	kolk__store_relaxed(&upstream->times.ready_ns, options->ready_timeout_ns);
	kolk__store_relaxed(&upstream->times.ping_ns, options->ping_timeout_ns);
	kolk__store_relaxed(&upstream->times.reset_ns, options->mend_timeout_ns);
	kolk__store_relaxed(&upstream->times.retry_ns, options->retry_interval_ns);
	kolk__store_relaxed(&upstream->times.retry_max_ns, options->retry_max_ns);
	kolk__store_relaxed(&upstream->reset_bytes_max, options->mend_bytes_max);
	kolk__store_relaxed(&upstream->closes.max, options->closes_max);
	kolk__store_relaxed(&upstream->closes.ns, options->close_timeout_ns);
	if (upstream->child == NULL)
		return;
	kolk__store_relaxed(&upstream->child->stop_ns, options->child->stop_timeout_ns);
	kolk__store_relaxed(&upstream->child->term_ns, options->child->term_timeout_ns);
	kolk__store_relaxed(&upstream->child->lines_max, options->child->lines_max);
	kolk__store_relaxed(&upstream->child->stderr_tail, !options->child->last_words_off);
}

int kolk__upstream_socket(const struct kolk__upstream *upstream, uint32_t family)
{
	const struct kolk_sys *sys = upstream->transport->sys;
	struct kolk_address bind = upstream->bind;
	struct kolk_sock_options options = {
		.bind = upstream->socket.bind,
		.keepalive_ns = kolk__load_relaxed(kolk__as_atomic(&upstream->socket.keepalive_ns)),
		.unacked_ns = kolk__load_relaxed(kolk__as_atomic(&upstream->socket.unacked_ns)),
		.port_min = kolk__load_relaxed(kolk__as_atomic(&upstream->socket.port_min)),
		.port_max = kolk__load_relaxed(kolk__as_atomic(&upstream->socket.port_max)),
		.speaks_first = upstream->driver->speaks_first,
	};

	if (options.bind != NULL)
		options.bind = bind.family == family ? &bind : NULL; /* or of the other family */
	if (options.bind != NULL && !kolk__zone_update(upstream->bind_zone, &bind))
		return -ENODEV;
	return sys->sock_open(sys->context, family, &options);
}
