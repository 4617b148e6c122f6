/* SPDX-License-Identifier: Apache-2.0 */
/* listen_address.c - where a listener listens: text and socket. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "transport/endpoint.h"
#include "transport/os_error.h"
#include "transport/stream.h"

/* What endpoint.c reads, and port 0; no names. */
bool kolk__listen_address_read(const char *text, struct kolk_address *address)
{
	struct kolk__endpoint endpoint;
	const char *colon = strrchr(text, ':');
	char host[KOLK__HOST_MAX];
	size_t size;

	if (strncmp(text, "unix:", 5) == 0 || colon == NULL || strcmp(colon, ":0") != 0) {
		if (!kolk__endpoint_read(text, &endpoint))
			return false;
		*address = endpoint.address;
		return address->size != 0;
	}
	size = (size_t)(colon - text);
	if (text[0] == '[' && size > 2 && text[size - 1] == ']') {
		text++;
		size -= 2;
	} else if (memchr(text, ':', size) != NULL) {
		return false;
	}
	if (size >= sizeof host)
		return false;
	memcpy(host, text, size);
	host[size] = 0;
	return kolk__literal_read(host, 0, address);
}

bool kolk__listen_address_is_unix(const struct kolk_address *address)
{
	return address->family == AF_UNIX;
}

static uint32_t port_of(const struct kolk_address *address)
{
	return address->family == AF_UNIX ? 0 : (uint32_t)(address->bytes[2] << 8 | address->bytes[3]);
}

static void unix_write(const struct kolk_address *address, char text[KOLK__LISTEN_TEXT])
{
	size_t at = offsetof(struct sockaddr_un, sun_path);
	const char *path = (const char *)address->bytes + at;
	size_t size = address->size > at ? address->size - at : 0;

	if (size > 0 && path[0] == 0)
		snprintf(text, KOLK__LISTEN_TEXT, "unix:@%.*s", (int)size - 1, path + 1);
	else
		snprintf(text, KOLK__LISTEN_TEXT, "unix:%.*s", (int)size, path);
}

void kolk__listen_address_write(const struct kolk_address *address, char text[KOLK__LISTEN_TEXT])
{
	char host[KOLK__HOST_MAX];

	if (address->family == AF_UNIX) {
		unix_write(address, text);
		return;
	}
	kolk__literal_write(address, host);
	snprintf(text, KOLK__LISTEN_TEXT, address->family == AF_INET6 ? "[%.80s]:%u" : "%.80s:%u",
		 host, port_of(address));
}

/* ---- its socket */

static enum kolk_err error_of(int result, const char **field)
{
	*field = NULL;
	switch (-result) {
	case EADDRINUSE:
		return KOLK_E_IN_USE;
	case ESRCH:
		*field = "unix_owner";
		return KOLK_E_OPTIONS;
	case EINVAL:
	case ENOTSOCK:
	case EBADF:
		*field = "socket";
		return KOLK_E_OPTIONS;
	case EADDRNOTAVAIL:
	case ENOENT: /* of a Unix socket: its directory */
	case ENOTDIR:
	case ENAMETOOLONG:
		*field = "address";
		return KOLK_E_OPTIONS;
	default:
		return kolk__err_of(result);
	}
}

/* A Unix socket's file has the name that was asked for; the kernel knows an earlier one. */
static int name_of(const struct kolk_sys *sys, int fd, const struct kolk_sock_listen *options,
		   struct kolk_address *name)
{
	const struct kolk_address *address = options->address;

	if (address == NULL || address->family != AF_UNIX ||
	    address->size <= offsetof(struct sockaddr_un, sun_path) ||
	    address->bytes[offsetof(struct sockaddr_un, sun_path)] == 0)
		return sys->sock_name(sys->context, fd, false, name);
	if (name != address)
		*name = *address;
	return 0;
}

int kolk__listen_socket(struct kolk__transport *transport, const struct kolk_sock_listen *options,
			struct kolk_address *name, struct kolk_failure *failure)
{
	const struct kolk_sys *sys = transport->sys;
	int fd = sys->sock_listen(sys->context, options);
	int result = fd >= 0 ? name_of(sys, fd, options, name) : fd;

	if (result >= 0)
		return fd;
	if (fd >= 0)
		sys->sock_unlisten(sys->context, fd);
	failure->err = error_of(result, &failure->field);
	failure->err_class = kolk_err_class(failure->err);
	failure->phase = failure->err == KOLK_E_OPTIONS ? KOLK_PHASE_OPTIONS : KOLK_PHASE_CONNECT;
	failure->os_error = -result;
	return -1;
}
