/* SPDX-License-Identifier: Apache-2.0 */
/* credential.h - fields whose values are credentials. Copies of them are wiped before their memory
 * is returned, and HTTP/2 keeps them out of its compression table. */
#ifndef KOLK_DRIVERS_CREDENTIAL_H
#define KOLK_DRIVERS_CREDENTIAL_H

#include <kolk/http.h>

#include <string.h>

#include "core/base/ascii.h"

/* Names have some other length, mostly. */
static inline bool http_is_credential(const char *name, size_t size)
{
	return (size == 13 && kolk__word_is(name, size, "authorization")) ||
	       (size == 19 && kolk__word_is(name, size, "proxy-authorization")) ||
	       (size == 6 && kolk__word_is(name, size, "cookie"));
}

/* Wipe the values of those among these fields, which are copies of the caller's own. */
static inline void http_credentials_wipe(const struct kolk_http_field *fields, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (http_is_credential(fields[i].name, strlen(fields[i].name)))
			explicit_bzero((void *)(uintptr_t)fields[i].value,
				       strlen(fields[i].value));
}

#endif
