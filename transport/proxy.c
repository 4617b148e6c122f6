/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.c - reads a PROXY header. See proxy.h. */
#include "transport/proxy.h"

#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

enum { SIGNATURE = 12, COMMAND = 12, FAMILY = 13, LENGTH = 14, FIXED = 16 };
enum { LOCAL = 0x20, PROXY = 0x21 }; /* version 2 and the command */
enum { UNSPEC = 0x00, TCP4 = 0x11, TCP6 = 0x21, UNIX_STREAM = 0x31 };

static const uint8_t signature[SIGNATURE] = { '\r', '\n', '\r', '\n', 0, '\r', '\n',
					      'Q',  'U',  'I',	'T',  '\n' };

static uint16_t number_at(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

/* Each a type, a length and so many bytes, up to the end. */
static bool extensions_fit(const uint8_t *bytes, size_t size)
{
	while (size >= 3) {
		size_t length = number_at(bytes + 1);

		if (length > size - 3)
			return false;
		bytes += 3 + length;
		size -= 3 + length;
	}
	return size == 0;
}

/* Both addresses, then both ports; of so many bytes each. */
static void read_addresses(const uint8_t *bytes, size_t size, struct kolk__proxy *proxy)
{
	memcpy(proxy->peer, bytes, size);
	memcpy(proxy->local, bytes + size, size);
	proxy->peer_port = number_at(bytes + 2 * size);
	proxy->local_port = number_at(bytes + 2 * size + 2);
}

static bool addresses_read(uint8_t family, const uint8_t *bytes, size_t size,
			   struct kolk__proxy *proxy)
{
	static const size_t v4 = 4, v6 = 16, path = 108;
	size_t address = family == TCP4 ? 2 * v4 + 4 : family == TCP6 ? 2 * v6 + 4 :
			 family == UNIX_STREAM ? 2 * path : 0;

	if (family != UNSPEC && address == 0)
		return false; /* datagrams, or what there is not */
	if (family == UNSPEC)
		return true; /* what follows is not defined */
	if (size < address || !extensions_fit(bytes + address, size - address))
		return false;
	proxy->family = family == TCP4 ? AF_INET : family == TCP6 ? AF_INET6 : AF_UNIX;
	if (family != UNIX_STREAM)
		read_addresses(bytes, family == TCP4 ? v4 : v6, proxy);
	return true;
}

/* The bytes so far must be right: a peer with another protocol is refused at once. */
static bool fixed_fits(const uint8_t *bytes, size_t size)
{
	if (memcmp(bytes, signature, size < SIGNATURE ? size : SIGNATURE) != 0)
		return false;
	if (size > COMMAND && bytes[COMMAND] != LOCAL && bytes[COMMAND] != PROXY)
		return false;
	return size < FIXED || number_at(bytes + LENGTH) <= KOLK__PROXY_MAX - FIXED;
}

int32_t kolk__proxy_read(const uint8_t *bytes, size_t size, struct kolk__proxy *proxy)
{
	size_t whole;

	*proxy = (struct kolk__proxy){ .family = AF_UNSPEC };
	if (!fixed_fits(bytes, size))
		return -1;
	if (size < FIXED)
		return 0;
	whole = FIXED + (size_t)number_at(bytes + LENGTH);
	if (size < whole)
		return 0;
	if (bytes[COMMAND] == PROXY &&
	    !addresses_read(bytes[FAMILY], bytes + FIXED, whole - FIXED, proxy))
		return -1;
	return (int32_t)whole;
}
