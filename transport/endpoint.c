/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint.c - an address as it was written, converted to its canonical form. See endpoint.h. */
#include "transport/endpoint.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

enum { NAME_MAX_BYTES = 253, LABEL_MAX_BYTES = 63 }; /* RFC 1035, section 2.3.4 */

/* ---- names */

static bool is_plain(const char *text)
{
	for (; *text != 0; text++)
		if ((uint8_t)*text >= 0x80)
			return false;
	return true;
}

static void lower(char *text)
{
	for (; *text != 0; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

/* Characters that no name contains: a typing error, or a separator that a Unicode mapping
 * produced. */
static bool is_odd(char c)
{
	return c <= ' ' || c == 0x7f || strchr("/\\@:%[]?#", c) != NULL;
}

static bool labels_fit(const char *name)
{
	size_t label = 0;

	for (const char *c = name; *c != 0; c++) {
		if (is_odd(*c) || (*c == '.' && label == 0))
			return false;
		label = *c == '.' ? 0 : label + 1;
		if (label > LABEL_MAX_BYTES)
			return false;
	}
	return label > 0 && strlen(name) <= NAME_MAX_BYTES;
}

/* Without the transitional mapping: it can map to another domain (RFC 5894, section 7.2). */
static bool to_a_labels(const char *text, char host[KOLK__HOST_MAX])
{
	char *ascii = NULL;
	bool fits = idn2_to_ascii_8z(text, &ascii, IDN2_NONTRANSITIONAL) == IDN2_OK &&
		    strlen(ascii) < KOLK__HOST_MAX;

	if (fits)
		memcpy(host, ascii, strlen(ascii) + 1);
	idn2_free(ascii);
	return fits;
}

/* Names of plain ASCII are not checked by libidn2: underscores, unusual hyphens and labels of other
 * standards are in use. */
static bool name_read(const char *text, char host[KOLK__HOST_MAX])
{
	size_t size = strlen(text);

	if (size == 0 || size >= KOLK__HOST_MAX)
		return false;
	if (is_plain(text))
		memcpy(host, text, size + 1);
	else if (!to_a_labels(text, host))
		return false;
	lower(host); /* RFC 4343 */
	size = strlen(host);
	if (size > 1 && host[size - 1] == '.') /* RFC 1034, section 3.1 */
		host[size - 1] = 0;
	return labels_fit(host);
}

/* ---- addresses */

/* An interface that is there, by name or by number. */
static bool zone_read(const char *text, uint32_t *zone)
{
	char name[IF_NAMESIZE];
	unsigned long number;
	char *end;

	if (strlen(text) >= IF_NAMESIZE)
		return false;
	*zone = if_nametoindex(text);
	if (*zone != 0)
		return true;
	number = strtoul(text, &end, 10);
	*zone = (uint32_t)number;
	return text[0] >= '1' && text[0] <= '9' && *end == 0 && number <= UINT32_MAX &&
	       if_indextoname(*zone, name) != NULL;
}

static bool v4_read(const char *text, uint32_t port, struct kolk_address *address)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	if (inet_pton(AF_INET, text, &v4.sin_addr) != 1)
		return false;
	address->family = AF_INET;
	address->size = sizeof v4;
	memcpy(address->bytes, &v4, sizeof v4);
	return true;
}

static bool v6_read(const char *text, uint32_t port, struct kolk_address *address)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
	size_t size = strcspn(text, "%");
	char number[INET6_ADDRSTRLEN];

	if (size >= sizeof number)
		return false;
	memcpy(number, text, size);
	number[size] = 0;
	if (inet_pton(AF_INET6, number, &v6.sin6_addr) != 1 ||
	    (text[size] == '%' && !zone_read(text + size + 1, &v6.sin6_scope_id)))
		return false;
	address->family = AF_INET6;
	address->size = sizeof v6;
	memcpy(address->bytes, &v6, sizeof v6);
	return true;
}

bool kolk__literal_read(const char *text, uint32_t port, struct kolk_address *address)
{
	return v4_read(text, port, address) || v6_read(text, port, address);
}

static uint32_t zone_of(const struct kolk_address *address)
{
	struct sockaddr_in6 v6;

	if (address->family != AF_INET6)
		return 0;
	memcpy(&v6, address->bytes, sizeof v6);
	return v6.sin6_scope_id;
}

void kolk__zone_name(const char *text, char zone[KOLK__ZONE_MAX])
{
	const char *percent = strchr(text, '%');
	size_t size = percent != NULL ? strcspn(percent + 1, "]") : 0;

	zone[0] = 0;
	if (size == 0 || size >= KOLK__ZONE_MAX)
		return;
	memcpy(zone, percent + 1, size);
	zone[size] = 0;
	if (if_nametoindex(zone) == 0)
		zone[0] = 0; /* a number */
}

bool kolk__zone_update(const char zone[KOLK__ZONE_MAX], struct kolk_address *address)
{
	struct sockaddr_in6 v6;

	if (zone[0] == 0)
		return true;
	memcpy(&v6, address->bytes, sizeof v6);
	v6.sin6_scope_id = if_nametoindex(zone);
	memcpy(address->bytes, &v6, sizeof v6);
	return v6.sin6_scope_id != 0;
}

static char *byte_write(char *at, uint8_t byte)
{
	if (byte >= 100)
		*at++ = (char)('0' + byte / 100);
	if (byte >= 10)
		*at++ = (char)('0' + byte / 10 % 10);
	*at++ = (char)('0' + byte % 10);
	return at;
}

/* inet_ntop takes 1 200 instructions, and proxies write an address of each request. */
void kolk__v4_write(const uint8_t bytes[4], char *text)
{
	for (int i = 0; i < 4; i++) {
		text = byte_write(text, bytes[i]);
		*text++ = i < 3 ? '.' : '\0';
	}
}

static void number_write(const struct kolk_address *address, char text[KOLK__HOST_MAX])
{
	const uint8_t *bytes = address->bytes;

	text[0] = 0;
	if (address->family == AF_INET)
		kolk__v4_write(bytes + offsetof(struct sockaddr_in, sin_addr), text);
	else if (address->family == AF_INET6)
		(void)inet_ntop(AF_INET6, bytes + offsetof(struct sockaddr_in6, sin6_addr), text,
				KOLK__HOST_MAX);
}

void kolk__literal_write(const struct kolk_address *address, char text[KOLK__HOST_MAX])
{
	size_t size;

	number_write(address, text);
	size = strlen(text);
	if (zone_of(address) != 0)
		snprintf(text + size, KOLK__HOST_MAX - size, "%%%u", zone_of(address));
}

bool kolk__host_read(const char *text, char host[KOLK__HOST_MAX])
{
	struct kolk_address address;

	if (strchr(text, '%') != NULL || !v6_read(text, 0, &address))
		return name_read(text, host);
	number_write(&address, host);
	return true;
}

_Static_assert((size_t)KOLK__ZONE_MAX == IF_NAMESIZE, "an interface's name fits");

/* ---- the whole */

static bool unix_read(const char *path, struct kolk__endpoint *endpoint)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct kolk_address *address = &endpoint->address;
	bool is_abstract = path[0] == '@';
	size_t size = strlen(path);

	if (size <= is_abstract || size >= sizeof un.sun_path)
		return false;
	memcpy(un.sun_path, path, size);
	if (is_abstract)
		un.sun_path[0] = 0;
	address->family = AF_UNIX;
	address->size = (uint32_t)(offsetof(struct sockaddr_un, sun_path) + size + !is_abstract);
	memcpy(address->bytes, &un, address->size);
	snprintf(endpoint->text, sizeof endpoint->text, "unix:%s", path);
	return true;
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
	    to - from >= KOLK__HOST_MAX ||
	    (text[0] != '[' && memchr(from, ':', (size_t)(to - from))))
		return false;
	memcpy(host, from, (size_t)(to - from));
	host[to - from] = 0;
	*port = (uint32_t)number;
	return true;
}

bool kolk__endpoint_read(const char *text, struct kolk__endpoint *endpoint)
{
	char host[KOLK__HOST_MAX];

	memset(endpoint, 0, sizeof *endpoint);
	if (strncmp(text, "unix:", 5) == 0)
		return unix_read(text + 5, endpoint);
	if (!split(text, host, &endpoint->port))
		return false;
	if (text[0] != '[') {
		if (!name_read(host, endpoint->host))
			return false;
		(void)v4_read(endpoint->host, endpoint->port, &endpoint->address);
		snprintf(endpoint->text, sizeof endpoint->text, "%s:%u", endpoint->host,
			 endpoint->port);
		return true;
	}
	if (!v6_read(host, endpoint->port, &endpoint->address))
		return false;
	number_write(&endpoint->address, endpoint->host);
	kolk__zone_name(text, endpoint->zone);
	kolk__literal_write(&endpoint->address, host);
	snprintf(endpoint->text, sizeof endpoint->text, "[%s]:%u", host, endpoint->port);
	return true;
}
