/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address_order.c - which family of addresses is tried first (RFC 6724, shortened to what decides
 * between two).
 */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/ring.h"

/* The scope of an address: source and destination should have the same. */
static uint8_t reach_of(const struct in6_addr *a)
{
	return IN6_IS_ADDR_LOOPBACK(a) ? 1 : IN6_IS_ADDR_LINKLOCAL(a) ? 2 :
	       (a->s6_addr[0] & 0xfe) == 0xfc ? 3 : 4;
}

/* Whether this machine has an address from which it can be reached. Asks the kernel's routing
 * table; nothing is sent. */
static bool has_source_for(const struct kolk_address *address)
{
	struct sockaddr_in6 to, from;
	socklen_t size = sizeof from;
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has;

	memcpy(&to, address->bytes, sizeof to);
	has = fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
	      getsockname(fd, (struct sockaddr *)&from, &size) == 0 &&
	      reach_of(&from.sin6_addr) == reach_of(&to.sin6_addr);
	if (fd >= 0)
		close(fd);
	return has;
}

static void swap(struct kolk_address *a, struct kolk_address *b)
{
	struct kolk_address c = *a;

	*a = *b;
	*b = c;
}

void kolk__addresses_order(const struct kolk_lookup *lookup, uint32_t count)
{
	uint32_t v6 = 0, v4 = 0;

	while (v6 < count && lookup->addresses[v6].family != AF_INET6)
		v6++;
	while (v4 < count && lookup->addresses[v4].family != AF_INET)
		v4++;
	if (v6 < count && v4 < count)
		swap(&lookup->addresses[0],
		     &lookup->addresses[has_source_for(&lookup->addresses[v6]) ? v6 : v4]);
}
