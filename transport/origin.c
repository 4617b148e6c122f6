/* SPDX-License-Identifier: Apache-2.0 */
/* origin.c - where a pool dials to: its address, parsed once. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

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

/* ---- addresses */

/* An IP literal as an address; false when it is a name. */
static bool literal(const char *host, uint32_t port, struct kolk_address *address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };

	if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		address->family = AF_INET;
		address->size = sizeof v4;
		memcpy(address->bytes, &v4, sizeof v4);
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
		address->family = AF_INET6;
		address->size = sizeof v6;
		memcpy(address->bytes, &v6, sizeof v6);
		return true;
	}
	return false;
}

static bool unix_path(const char *path, struct kolk_address *address)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t size = strlen(path);

	if (size == 0 || size >= sizeof un.sun_path)
		return false;
	memcpy(un.sun_path, path, size + 1);
	address->family = AF_UNIX;
	address->size = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
	memcpy(address->bytes, &un, address->size);
	return true;
}

/* What no name and no address contains: a slip that a resolver would take seconds to tell. */
static bool is_odd(const char *from, const char *to)
{
	for (; from < to; from++)
		if (*from <= ' ' || *from == 0x7f || *from == '/' || *from == '@')
			return true;
	return false;
}

/* "host:port" or "[v6]:port" into its parts; false when it is neither. */
static bool split(const char *text, char host[KOLK__HOST_MAX], uint32_t *port)
{
	const char *colon = strrchr(text, ':');
	const char *from = text, *to = colon;
	unsigned long number;
	char *end;

	if (colon == NULL || colon[1] < '0' || colon[1] > '9')
		return false;
	if (text[0] == '[') {
		if (colon[-1] != ']')
			return false;
		from++;
		to--;
	}
	number = strtoul(colon + 1, &end, 10);
	if (*end != 0 || number == 0 || number > 65535 || to <= from ||
	    to - from >= KOLK__HOST_MAX || is_odd(from, to) ||
	    (text[0] != '[' && memchr(from, ':', (size_t)(to - from))))
		return false;
	memcpy(host, from, (size_t)(to - from));
	host[to - from] = 0;
	*port = (uint32_t)number;
	return true;
}

/* Names are case-insensitive and a trailing dot means the same host (RFC 4343, RFC 1034). */
static void normalise(char *host)
{
	size_t size = strlen(host);

	for (char *c = host; *c != 0; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	if (size > 1 && host[size - 1] == '.')
		host[size - 1] = 0;
}

static enum kolk_err parse(struct kolk__origin *origin, const struct kolk_pool_options *options,
			   const char *text, char *host, struct kolk_failure *failure)
{
	const char *servers = options->name_servers != NULL ? options->name_servers : "";

	host[0] = 0;
	if (strlen(servers) >= KOLK__HOST_MAX)
		return refuse(failure, "name_servers");
	if (strncmp(text, "unix:", 5) == 0)
		return unix_path(text + 5, &origin->address) ? KOLK_OK : refuse(failure, "address");
	if (!split(text, host, &origin->port))
		return refuse(failure, "address");
	normalise(host);
	if (literal(host, origin->port, &origin->address))
		return KOLK_OK;
	origin->names = kolk__names_open(origin->transport, host, origin->port, servers);
	if (origin->names == NULL) {
		failure->err = KOLK_E_MEMORY;
		return KOLK_E_MEMORY;
	}
	return KOLK_OK;
}

/* ---- open and close */

static enum kolk_err socket_origin(struct kolk__origin *origin,
				   const struct kolk_pool_options *options,
				   struct kolk_failure *failure)
{
	struct kolk_tls_options defaults = KOLK_INIT(kolk_tls_options);
	const struct kolk_tls_options *tls = options->tls;
	const char *text = options->address;
	char host[KOLK__HOST_MAX];
	enum kolk_err err;

	if (strncmp(text, "tls://", 6) == 0) {
		tls = tls != NULL ? tls : &defaults;
		text += 6;
	} else if (strncmp(text, "tcp://", 6) == 0) {
		if (tls != NULL)
			return refuse(failure, "tls");
		text += 6;
	}
	origin->driver = options->driver != NULL ? options->driver : kolk_driver_raw();
	err = parse(origin, options, text, host, failure);
	if (err == KOLK_OK && options->bind_address != NULL) {
		if (!literal(options->bind_address, 0, &origin->bind))
			return refuse(failure, "bind_address");
		origin->socket.bind = &origin->bind;
	}
	if (err == KOLK_OK && tls != NULL)
		err = kolk__tls_config_open(origin->transport, tls, host, failure, &origin->tls);
	return err;
}

enum kolk_err kolk__origin_open(struct kolk__transport *transport,
				const struct kolk_pool_options *options,
				struct kolk_failure *failure, struct kolk__origin **out)
{
	struct kolk__origin *origin = kolk__alloc(transport, sizeof *origin);
	enum kolk_err err = KOLK_OK;

	if (origin == NULL) {
		failure->err = KOLK_E_MEMORY;
		return KOLK_E_MEMORY;
	}
	origin->transport = transport;
	origin->driver_user = options->driver_user;
	origin->resource = options->resource;
	if (options->resource == NULL)
		err = socket_origin(origin, options, failure);
	failure->err_class = kolk_err_class(err);
	if (err == KOLK_OK)
		*out = origin;
	else
		kolk__origin_close(origin);
	return err;
}

void kolk__origin_close(struct kolk__origin *origin)
{
	struct kolk__transport *transport = origin->transport;

	kolk__tls_config_close(transport, origin->tls);
	kolk__names_close(origin->names);
	kolk__dealloc(transport, origin, sizeof *origin);
}

bool kolk__origin_can_ping(const struct kolk__origin *origin)
{
	return origin->resource != NULL ? origin->resource->validate != NULL :
					  origin->driver->ping != NULL;
}

void kolk__origin_tune(struct kolk__origin *origin, const struct kolk_pool_options *options)
{
	origin->socket.keepalive_ns = options->keepalive_ns;
	origin->socket.unacked_ns = options->unacked_ns;
	origin->socket.port_min = options->bind_port_min;
	origin->socket.port_max = options->bind_port_max;
}

int kolk__origin_socket(const struct kolk__origin *origin, uint32_t family)
{
	const struct kolk_sys *sys = origin->transport->sys;
	struct kolk_sock_options options = origin->socket;

	if (options.bind != NULL && options.bind->family != family)
		options.bind = NULL; /* an address of the other family */
	return sys->sock_open(sys->context, family, &options);
}
