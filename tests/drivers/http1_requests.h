/* SPDX-License-Identifier: Apache-2.0 */
/* http1_requests.h - requests of HTTP/1.1, good, odd and hostile, and what becomes of each. */
#ifndef KOLK_TESTS_HTTP1_REQUESTS_H
#define KOLK_TESTS_HTTP1_REQUESTS_H

#include <stddef.h>

/* Or the status that it is refused with. */
enum http1_request_verdict {
	KEEP, /* accepted; the connection serves another request */
	LAST, /* accepted; the connection is closed */
	MORE, /* accepted; bytes of another one follow */
	CUT   /* not whole */
};

struct http1_request_case {
	const char *name;
	int verdict;
	/* "METHOD target authority|body", then "^protocol" that an upgrade is asked to, and "+" if
	 * trailers are accepted; of what was accepted, as far as it goes; NULL = not a head. */
	const char *meaning;
	const char *bytes;
	size_t size;
};

extern const struct http1_request_case http1_requests[];
extern const size_t http1_request_count;

#endif
