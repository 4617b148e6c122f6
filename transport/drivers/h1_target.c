/* SPDX-License-Identifier: Apache-2.0 */
/* h1_target.c - what targets and authorities are made of (RFC 9112, section 3.2; RFC 3986, section
 * 3.2). */
#include <string.h>

#include "transport/drivers/h1_fields.h"
#include "transport/drivers/h1_request.h"

/* clang-format off */
/* Of visible ASCII: all but "#"; of that, what an authority of any form may have; of that, what a
 * registered name or an IPv4 address has. */
enum { TARGET = 1, AUTHORITY = 2, HOST = 4 };
static const uint8_t visible[256] = {
	['!'] = TARGET | AUTHORITY, ['"'] = TARGET, ['$' ... '+'] = TARGET | AUTHORITY,
	[','] = TARGET, ['-' ... '.'] = TARGET | AUTHORITY | HOST, ['/'] = TARGET,
	['0' ... '9'] = TARGET | AUTHORITY | HOST, [':' ... ';'] = TARGET | AUTHORITY,
	['<'] = TARGET, ['='] = TARGET | AUTHORITY, ['>' ... '@'] = TARGET,
	['A' ... 'Z'] = TARGET | AUTHORITY | HOST, ['['] = TARGET | AUTHORITY, ['\\'] = TARGET,
	[']' ... '^'] = TARGET | AUTHORITY, ['_'] = TARGET | AUTHORITY | HOST,
	['`'] = TARGET | AUTHORITY, ['a' ... 'z'] = TARGET | AUTHORITY | HOST,
	['{' ... '}'] = TARGET | AUTHORITY, ['~'] = TARGET | AUTHORITY | HOST
};
/* clang-format on */

static size_t visible_size(const char *text, int kind)
{
	size_t size = 0;

	while ((visible[(uint8_t)text[size]] & kind) != 0)
		size++;
	return size;
}

size_t h1_target_size(const char *text)
{
	return visible_size(text, TARGET);
}

size_t h1_authority_size(const char *text)
{
	return visible_size(text, AUTHORITY);
}

static bool is_port(const char *text)
{
	uint32_t port = 0;
	size_t size = strlen(text);

	if (size == 0 || size > 5)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (uint32_t)(text[i] - '0');
	}
	return port <= 65535;
}

bool h1_is_authority(const char *text)
{
	const char *at = text;

	if (*at == '[') {
		size_t size = strspn(at + 1, "0123456789abcdefABCDEF:.");

		if (size == 0 || at[size + 1] != ']')
			return false;
		at += size + 2;
	} else {
		at += visible_size(at, HOST);
		if (at == text)
			return false;
	}
	return *at == '\0' || (*at == ':' && is_port(at + 1));
}

bool h1_is_target(const char *method, const char *target)
{
	if (strcmp(target, "*") == 0)
		return strcmp(method, "OPTIONS") == 0;
	return target[0] == '/' && target[h1_target_size(target)] == '\0';
}
